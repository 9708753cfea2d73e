"""Exif of many files by several processes."""

from __future__ import annotations

import piexif
import pytest

from builders.exif import read_many, reader
from tests.support.exif_files import CAMERA, picture


def test_read_many__paths_and_bytes_in_order(tmp_path):
    path = tmp_path / "a.jpg"
    path.write_bytes(picture(exif=piexif.dump(CAMERA)))
    empty = picture()
    readings = list(read_many([path, empty, tmp_path / "absent.jpg", b"no photo", path], workers=2))
    assert [r.acquisition.make for r in readings] == ["HTC", None, None, None, "HTC"]
    assert [r.reason for r in readings][:2] == [None, reader.NO_EXIF]
    assert "No such file" in readings[2].reason
    assert "not a JPEG" in readings[3].reason


@pytest.mark.slow
def test_read_many__a_lost_or_hanging_worker_costs_one_file(tmp_path, monkeypatch):
    fake = tmp_path / "sitecustomize.py"
    fake.write_text(
        "import os, time\n"
        "import builders.exif.parser as block\n"
        "read = block.read_allowed\n"
        "def hostile(data):\n"
        "    if data == b'crash': os.kill(os.getpid(), 11)\n"
        "    if data == b'hang': time.sleep(60)\n"
        "    if data == b'memory': bytearray(2**33)\n"
        "    return read(data)\n"
        "block.read_allowed = hostile\n"
    )
    monkeypatch.syspath_prepend(str(tmp_path))
    good = picture(exif=piexif.dump(CAMERA))
    readings = list(read_many([good, b"crash", good, b"hang", good, b"memory", good], workers=1, timeout_s=3))
    assert [r.acquisition.make for r in readings[::2]] == ["HTC"] * 4
    assert "-11" in readings[1].reason
    assert "longer than 3 s" in readings[3].reason
    assert "memory" in readings[5].reason
