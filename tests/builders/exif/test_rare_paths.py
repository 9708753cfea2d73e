"""Paths that are taken seldom, each by a direct call."""

from builders.exif import parser as exif_parser


def test_exif__a_value_that_cannot_be_read_counts_as_absent(monkeypatch):
    class Directory(dict):
        def load(self, stream):
            self.update({1: "one", 2: "two", 3: ""})

        def __getitem__(self, tag):
            if tag == 1:
                raise ValueError("odd")
            return super().__getitem__(tag)

    monkeypatch.setattr(exif_parser, "ImageFileDirectory_v2", lambda header: Directory())
    names = {1: "Make", 2: "Model", 3: "Lens", 4: "ISO"}
    assert exif_parser._directory_values(bytearray(20), 8, names) == {"Model": "two"}
