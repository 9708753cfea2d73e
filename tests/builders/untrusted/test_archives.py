"""Members of ZIP archives: their names, sizes and bytes, and archives that are refused."""

import struct
import zipfile
import zlib

import pyarrow as pa
import pytest

from builders.untrusted import UntrustedInputError, archives, open_archive

TEXT = b"a text that is packed, a text that is packed, " * 20


def write(path, members: dict, method: int = zipfile.ZIP_DEFLATED):
    with zipfile.ZipFile(path, "w", method) as archive:
        for name, data in members.items():
            archive.writestr(name, data)
    return path


def zstandard(path, data: bytes, *, extra: bytes = b"", stated: int | None = None):
    """An archive of one member in Zstandard, which zipfile writes from Python 3.14 on only."""
    packed = pa.compress(data, codec="zstd", asbytes=True)
    size = len(data) if stated is None else stated
    sizes = struct.pack("<III", zlib.crc32(data), len(packed), size)
    head = struct.pack("<4sHHHHH", b"PK\3\4", 63, 0, 93, 0, 33) + sizes + struct.pack("<HH", 5, len(extra))
    local = head + b"a.txt" + extra + packed
    central = struct.pack("<4sHHHHHH", b"PK\1\2", 63, 63, 0, 93, 0, 33) + sizes
    central += struct.pack("<HHHHHII", 5, 0, 0, 0, 0, 0, 0) + b"a.txt"
    end = struct.pack("<4sHHHHIIH", b"PK\5\6", 0, 0, 1, 1, len(central), len(local), 0)
    path.write_bytes(local + central + end)
    return path


@pytest.mark.parametrize("method", [zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED, zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA])
def test_archive__names_sizes_and_bytes(tmp_path, method):
    path = write(tmp_path / "a.zip", {"z.txt": TEXT, "a.txt": b"", "m/b.txt": b"12345"}, method)
    with open_archive(path, limit=path.stat().st_size) as archive:
        assert archive.names == ["z.txt", "a.txt", "m/b.txt"]
        assert archive.unpacked_bytes == len(TEXT) + 5
        assert [archive.read(name, limit=len(TEXT)) for name in archive.names] == [TEXT, b"", b"12345"]
        assert archive.read("m/b.txt", limit=5) == b"12345"
        with pytest.raises(UntrustedInputError, match=r"m/b\.txt"):
            archive.read("m/b.txt", limit=4)


@pytest.mark.parametrize("extra", [b"", b"\xff\xff\x02\x00ab"])
def test_archive__zstandard(tmp_path, extra):
    with open_archive(zstandard(tmp_path / "a.zip", TEXT, extra=extra), limit=10_000) as archive:
        assert archive.read("a.txt", limit=len(TEXT)) == TEXT
        assert archive.read("a.txt", limit=len(TEXT)) == TEXT
    for stated in (len(TEXT) - 1, len(TEXT) + 1):
        path = zstandard(tmp_path / "b.zip", TEXT, stated=stated)
        with (
            pytest.raises(UntrustedInputError, match=r"b\.zip"),
            open_archive(path, limit=10_000) as archive,
        ):
            archive.read("a.txt", limit=10_000)


def test_archive__what_is_refused_is_one_sentence(tmp_path, monkeypatch):
    path = write(tmp_path / "a.zip", {"a.txt": TEXT, "b.txt": TEXT})
    size = path.stat().st_size

    def reason(path, limit=10_000, member="a.txt"):
        with pytest.raises(UntrustedInputError) as caught, open_archive(path, limit=limit) as archive:
            archive.read(member, limit=10_000)
        assert str(caught.value) == f"{path}: {caught.value.reason}"
        return caught.value.reason

    assert f"{size}" in reason(path, size - 1)
    assert "KeyError" in reason(path, member="other")
    assert "directory" in reason(tmp_path / "none.zip")
    (tmp_path / "text.zip").write_bytes(b"no archive")
    assert "BadZipFile" in reason(tmp_path / "text.zip")
    data = bytearray(path.read_bytes())
    data[40] ^= 255  # within the packed bytes
    (tmp_path / "damaged.zip").write_bytes(data)
    assert "archive" in reason(tmp_path / "damaged.zip")
    monkeypatch.setattr(archives, "_MOST_MEMBERS", 1)
    assert "archive" in reason(path)
    monkeypatch.setattr(archives, "_MOST_MEMBERS", 2)
    with open_archive(path, limit=size) as archive:
        assert len(archive.names) == 2
