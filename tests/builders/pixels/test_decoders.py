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
from builders.pixels import decode, decode_rgb, decoders
from tests.support.images import image_bytes


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
    with pytest.raises(PhotoError, match=r"^20006 scans in a BLP file, refused as a bomb$"):
        decode_rgb(blp(progressive((64, 48), 20_000), 64, 48))


def test_decode__a_trial_has_a_limit_of_time_and_of_memory(monkeypatch):
    data = blp(progressive((1500, 1500), 900), 1500, 1500)
    made = decoders.Sandbox(f"{decoders.__name__}:decode_in_worker", timeout_s=0.01, memory_bytes=1 << 30)
    monkeypatch.setattr(decoders, "_sandbox", lambda process: made)
    with pytest.raises(PhotoError, match=r"^cannot be decoded \(decoding the BLP file took longer than 0.01 s\)$"):
        decode_rgb(data)
    made = decoders.Sandbox(f"{decoders.__name__}:decode_in_worker", timeout_s=60, memory_bytes=64 << 20)
    whole = io.BytesIO()
    Image.new("RGB", (9000, 9000)).save(whole, "JPEG")
    with pytest.raises(PhotoError, match="memory"):
        decode_rgb(blp(whole.getvalue(), 4, 4))
    made.stop()


def test_decode__usual_formats_are_not_tried_in_another_process(monkeypatch):
    monkeypatch.setattr(decoders, "_sandbox", lambda process: pytest.fail("a process was started"))
    picture = Image.effect_noise((16, 12), 50).convert("RGB")
    for kind in ("JPEG", "PNG", "WEBP", "BMP", "GIF", "PPM", "TIFF"):
        buffer = io.BytesIO()
        picture.save(buffer, kind)
        assert decode_rgb(buffer.getvalue()).size == (16, 12)


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


def test_decode__every_brand_that_the_reader_of_heif_takes_is_read_from_the_first_photo_on():
    pillow_heif = pytest.importorskip("pillow_heif")
    letters = [bytes(brand) for brand in itertools.product(b"hm", b"ei", *(b"cfhimsvx1",) * 2)]
    taken = [b for b in letters if pillow_heif.is_supported(io.BytesIO(b"\0\0\0\x18ftyp" + b + bytes(12)))]
    assert len(taken) >= 8
    assert set(taken) <= set(decode._HEIF_BRANDS)


def test_count_scans__random_bytes_have_none():
    assert decoders.count_scans(np.random.default_rng(0).bytes(1 << 22)) == 0
    assert decoders.count_scans(image_bytes(np.zeros((8, 8), np.uint8), "JPEG")) == 1
