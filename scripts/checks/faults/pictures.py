"""Hostile pictures: nested containers, forged headers, cut and flipped files of every format that Pillow writes."""

from __future__ import annotations

import io
import os
import random
import struct
import tempfile
import time
from collections.abc import Callable, Mapping
from typing import Any

from PIL import Image

from scripts.checks.faults.interrupt import Tally
from scripts.checks.faults.mutations import flipped

LIMIT_S = 35.0
"""Processor time of one picture, that of a trial in another process included."""

FORMATS: Mapping[str, Mapping[str, Any]] = {
    "JPEG": {"quality": 80, "progressive": True}, "PNG": {}, "WEBP": {}, "GIF": {}, "BMP": {}, "PPM": {}, "TIFF": {},
    "TIFF ": {"compression": "jpeg"}, "TIFF  ": {"compression": "tiff_lzw"}, "ICO": {}, "ICNS": {}, "TGA": {},
    "PCX": {}, "SGI": {}, "JPEG2000": {}, "DDS": {}, "MSP": {}, "XBM": {}, "SPIDER": {}, "PDF": {}, "EPS": {},
    "AVIF": {},
}  # fmt: skip
"""Formats with options of ``Image.save``; blanks make names of several for one format."""


def encoded(random_: random.Random, name: str) -> bytes:
    """A small picture in a format; a JPEG where this Pillow does not write the format."""
    side = random_.choice((1, 2, 7, 16, 64))
    image = Image.effect_noise((side, random_.choice((2, 9, 48))), 60)
    image = image.convert("1" if name in ("MSP", "XBM") else "F" if name == "SPIDER" else "RGB")
    buffer = io.BytesIO()
    try:
        image.save(buffer, name.strip(), **FORMATS[name])
    except (OSError, KeyError, ValueError):
        image.convert("RGB").save(buffer := io.BytesIO(), "JPEG")
    return buffer.getvalue()


def many_scans(random_: random.Random) -> bytes:
    """A progressive JPEG whose last scan is repeated up to 20,000 times."""
    buffer, side = io.BytesIO(), random_.choice((16, 400, 1500))
    Image.effect_noise((side, side), 60).save(buffer, "JPEG", progressive=True)
    data = buffer.getvalue()
    start = data.rfind(b"\xff\xda")
    header = data[start : start + 2 + int.from_bytes(data[start + 2 : start + 4], "big")]
    return data[:-2] + (header + bytes(8)) * int(10 ** random_.uniform(0, 4.3)) + b"\xff\xd9"


def blp(inner: bytes, random_: random.Random) -> bytes:
    """A texture (BLP1) that holds a JPEG; its header states another size."""
    sides = [random_.choice((1, 4, 64, 4096, 2**31 - 1)) for _ in range(2)]
    head = b"BLP1" + struct.pack("<iIIIII", 0, 0, *sides, 0, 0)
    start = len(head) + 132
    return head + struct.pack("<16I", start, *[0] * 15) + struct.pack("<16I", len(inner), *[0] * 15) + bytes(4) + inner


def ico(inner: bytes, random_: random.Random) -> bytes:
    """Icons that all hold one file."""
    count = random_.choice((1, 3, 200))
    entries = b"".join(
        struct.pack("<BBBBHHII", random_.randrange(256), 16, 0, 0, 1, 32, len(inner), 6 + 16 * count)
        for _ in range(count)
    )
    return struct.pack("<HHH", 0, 1, count) + entries + inner


def icns(inner: bytes, random_: random.Random) -> bytes:
    """An icon family of macOS that holds a file under several sizes."""
    kinds = random_.sample((b"ic07", b"ic08", b"ic09", b"ic10", b"ic11", b"icp4"), 3)
    blocks = b"".join(kind + struct.pack(">I", len(inner) + 8) + inner for kind in kinds)
    return b"icns" + struct.pack(">I", len(blocks) + 8) + blocks


def heif(inner: bytes, random_: random.Random) -> bytes:
    """A box of a HEIF file with any brand before other bytes."""
    brand = random_.choice((b"heic", b"hevm", b"hevs", b"mif1", b"avif", b"isom", b"qt  "))
    return struct.pack(">I", 24) + b"ftyp" + brand + bytes(4) + b"mif1heic" + inner


WRAPPERS: Mapping[str, Callable[[bytes, random.Random], bytes]] = {"BLP": blp, "ICO": ico, "ICNS": icns, "HEIF": heif}


def picture(random_: random.Random) -> tuple[str, bytes]:
    """A hostile file with the name of its kind."""
    kind = random_.choice(("plain", "flipped", "cut", "nested", "scans", "spliced"))
    name = random_.choice(list(FORMATS))
    data = many_scans(random_) if kind == "scans" and random_.random() < 0.2 else encoded(random_, name)
    if kind in ("nested", "scans"):
        for _ in range(random_.choice((1, 1, 2, 3))):
            name = random_.choice(list(WRAPPERS))
            data = WRAPPERS[name](data, random_)
    if kind == "cut":
        data = data[: random_.randrange(len(data))]
    if kind == "spliced":
        other = encoded(random_, random_.choice(list(FORMATS)))
        at = random_.randrange(min(len(data), len(other)))
        data = data[:at] + other[at:]
    for _ in range(random_.choice((1, 4, 16)) if kind in ("flipped", "nested") else 0):
        data = flipped(data, random_)
    return f"{kind} {name.strip()}", data


def fuzz_pictures(seconds: float, seed: int, most: int | None = None) -> Tally:
    """Hostile pictures through the decoder: a picture or a ``PhotoError``, in time, and no line on the terminal."""
    from builders.errors import PhotoError
    from builders.pixels import decode_rgb

    tally, count, end = Tally(), 0, time.monotonic() + seconds
    with tempfile.TemporaryFile() as heard:
        before = [os.dup(number) for number in (1, 2)]
        for number in (1, 2):
            os.dup2(heard.fileno(), number)
        try:
            while time.monotonic() < end and (most is None or count < most):
                one = random.Random(f"{seed} {count}")
                kind, data = picture(one)
                where, began = f"{kind} (seed {seed}, number {count})", time.process_time()
                tally.tried[kind] += 1
                count += 1
                try:
                    decode_rgb(data)
                    tally.outcomes["decoded"] += 1
                except PhotoError:
                    tally.outcomes["refused with a reason"] += 1
                except BaseException as error:
                    tally.wrong.append(f"{where}: {type(error).__name__}: {error}"[:300])
                if time.process_time() - began > LIMIT_S:
                    tally.wrong.append(f"{where}: took too long")
        finally:
            for number, copy in zip((1, 2), before, strict=True):
                os.dup2(copy, number)
                os.close(copy)
        heard.seek(0)
        if lines := heard.read():
            tally.wrong.append(f"decoders wrote {lines[:300]!r}")
    return tally
