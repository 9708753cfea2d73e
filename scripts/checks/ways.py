"""Does ``camtrace diff`` find what is planted, and give 0 for equal ways?

    python scripts/checks/ways.py [--data folder:photos] [--limit 1000] [--side 128] [-o DIR]

The bundled encoder reads pictures of ``--side`` pixels here, which most photos are larger than, so that antialiasing
matters. Ways: the first one again, the decoders, a squash instead of a crop, no antialiasing, and channels swapped
together with another decoder and another resize. The exit status is 1 unless equal ways are 0 in every number, the swap
is the first of its three steps, and on oblong photos the squash stands above antialiasing, with intervals apart.
"""

from __future__ import annotations

import argparse
import dataclasses
import sys
from pathlib import Path

if __name__ == "__main__" and not __package__:  # by its path, not by python -m
    sys.path[0] = str(Path(__file__).resolve().parents[2])

from PIL import Image

from benchmark.encoders import Encoder, Pixels, load_encoder
from benchmark.encoders.preprocess.pixels import CenterCrop, ResizeShort, describe
from benchmark.extras.diff import Measured, PathRow, diff, write_diff

SWAP = "colour=bgr"
WAYS = (
    "",
    *(f"decoder={name}" for name in ("opencv", "torchvision", "simplejpeg")),
    *("resize=squash", "antialias=no", f"decoder=opencv,library=torchvision,{SWAP}"),
)


def small_encoder(side: int) -> Encoder:
    """The bundled encoder on pictures of ``side`` pixels, in torch."""
    encoder = load_encoder("bundled:efficientnet-lite0", device="cpu", runtime="torch")
    resample = int(Image.Resampling.BILINEAR)
    pixels = Pixels((ResizeShort(side, resample), CenterCrop(side, side, "round")))
    native = encoder.info.preprocessing
    record = describe(pixels, tuple(native["mean"]), tuple(native["std"]), "pil")
    return dataclasses.replace(encoder, preprocess=pixels, info=dataclasses.replace(encoder.info, preprocessing=record))


def numbers(row: PathRow) -> list[float]:
    """Every number of a row that says how much differs."""
    measured = [value for value in vars(row).values() if isinstance(value, Measured)]
    ends = [v for m in measured for v in (m.value, m.low, m.high, m.traces, m.traces_low, m.traces_high)]
    return [v for v in (*ends, row.pixels_largest, row.only_first, row.only_second) if v is not None]


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", default="sample")
    parser.add_argument("--limit", type=int, default=1000)
    parser.add_argument("--side", type=int, default=128)
    parser.add_argument("-o", "--output", type=Path)
    args = parser.parse_args()
    result = diff(small_encoder(args.side), args.data, b=list(WAYS), limit=args.limit)
    print(result)
    if args.output is not None:
        write_diff(result, args.output)
    by_name = {row.name: row for row in result.rows}
    squash, antialias = (by_name[name].cosine for name in ("resize=squash", "antialias=no"))
    steps = [row.name for row in result.rows if row.kind == "step"]
    swapped = [row.name for row in result.rows if row.kind == "step" and row.name in (SWAP, "library=torchvision")]
    assert squash is not None
    assert antialias is not None
    checks = {
        "equal ways are 0 in every number": set(numbers(by_name["the same as A"])) == {0.0},
        "the swap of channels is the first step": bool(steps) and swapped[0] == steps[0] == SWAP,
        "a squash stands above antialiasing": squash.low > antialias.high,
    }
    for what, holds in checks.items():
        print(f"{what}: {'yes' if holds else 'NO'}")
    return 0 if all(checks.values()) else 1


if __name__ == "__main__":
    sys.exit(main())
