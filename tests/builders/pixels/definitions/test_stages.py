"""Steps of a file as stages: which become fields of the processing, which stay edits, and what Pillow is given."""

import pytest

from builders.pixels import read_definitions


@pytest.fixture
def processing(tmp_path):
    """Steps as text -> their processing."""

    def read(steps):
        path = tmp_path / "mine.toml"
        path.write_text(f'schema = 1\n[[processing]]\nname = "mine"\nsteps = [{steps}]\n', encoding="utf-8")
        return read_definitions(str(path)).processings["mine"]

    return read


JPEG = '{step = "jpeg", quality = 80}'


def test_processing_of__stages_end_with_files(processing):
    first, second = '{step = "greyscale"}, {step = "webp", quality = 3}', '{step = "resize", scale = 2}, {step = "png"}'
    made = processing(f"{first}, {second}, {JPEG}")
    assert [(s.name, s.file_format, s.quality, s.scale, [e.kind for e in s.edits]) for s in made.before] == [
        ("", "WEBP", 3, 1, ["greyscale"]),
        ("", "PNG", 95, 2, []),
    ]
    assert (made.name, made.file_format, made.quality, made.edits, made.scale) == ("mine", "JPEG", 80, (), 1)
