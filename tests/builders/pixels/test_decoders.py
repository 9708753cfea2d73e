"""Files whose decoders would run without end, or write to the terminal."""

from __future__ import annotations

import contextlib
import io
import itertools
import random
import struct

import numpy as np
import pytest
from PIL import Image

from builders.errors import PhotoError
from builders.pixels import decode_rgb, decoders
from tests.support.images import image_bytes
from tests.support.processes import run_python


def blp(jpeg: bytes, width: int, height: int) -> bytes:
    """A BLP1 texture that holds a JPEG, whose size its header may misstate."""
    head = b"BLP1" + struct.pack("<iIIIII", 0, 0, width, height, 0, 0)
    start = len(head) + 128 + 4
    return head + struct.pack("<16I", start, *[0] * 15) + struct.pack("<16I", len(jpeg), *[0] * 15) + bytes(4) + jpeg


def progressive(size: tuple[int, int], scans: int) -> bytes:
    """A progressive JPEG whose last scan is there again and again."""
    buffer = io.BytesIO()
    Image.effect_noise(size, 50).save(buffer, "JPEG", progressive=True)
    data = buffer.getvalue()
    start = data.rfind(b"\xff\xda")
    header = data[start : start + 2 + int.from_bytes(data[start + 2 : start + 4], "big")]
    return data[:-2] + (header + bytes(8)) * scans + b"\xff\xd9"


def test_decode__a_texture_that_holds_a_jpeg_is_a_picture_and_one_of_20_000_scans_is_refused():
    assert decode_rgb(blp(progressive((64, 48), 0), 64, 48)).size == (64, 48)
    with pytest.raises(PhotoError, match="20006"):
        decode_rgb(blp(progressive((64, 48), 20_000), 64, 48))


def test_decode__lines_of_libtiff_do_not_reach_the_terminal(capfd):
    drawn = random.Random(1)
    for compression, _ in itertools.product(("tiff_lzw", "tiff_deflate", "group4"), range(20)):
        buffer = io.BytesIO()
        mode = "1" if compression == "group4" else "L"
        Image.effect_noise((64, 64), 90).convert(mode).save(buffer, "TIFF", compression=compression)
        spoilt = bytearray(buffer.getvalue())
        for _ in range(8):
            spoilt[drawn.randrange(8, len(spoilt))] ^= 1 << drawn.randrange(8)
        with contextlib.suppress(PhotoError):
            decode_rgb(bytes(spoilt))
    assert capfd.readouterr() == ("", "")


def test_decode__what_pillow_logs_does_not_reach_the_terminal(tmp_path):
    """In a process of its own: pytest gives the logger handlers."""
    code = (
        "import io, struct, sys\nfrom PIL import Image\nfrom builders.errors import PhotoError\n"
        "from builders.pixels import decode_rgb\n"
        "buffer = io.BytesIO()\nImage.new('RGB', (4, 4)).save(buffer, 'TIFF')\n"
        "entry = struct.pack('<HHIHH', 277, 3, 1, 3, 0)\nassert entry in buffer.getvalue()\n"
        "try:\n    decode_rgb(buffer.getvalue().replace(entry, struct.pack('<HHIHH', 277, 3, 1, 515, 0)))\n"
        "except PhotoError:\n    sys.exit(7)\n"
    )
    done = run_python("-c", code, tmp_path)
    assert (done.returncode, done.stdout, done.stderr) == (7, "", "")


def test_count_scans__random_bytes_have_none():
    assert decoders.count_scans(np.random.default_rng(0).bytes(1 << 22)) == 0
    assert decoders.count_scans(image_bytes(np.zeros((8, 8), np.uint8), "JPEG")) == 1
