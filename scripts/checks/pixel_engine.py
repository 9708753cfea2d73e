"""Every pixel of the exact engine against the installed Pillow: random odd cases, and every photo of some folders.

    python scripts/checks/pixel_engine.py [--cases 10000] [--photos DIR ...] [--seed 0]

An odd case is a small picture of hard content under one random processing and one random preprocessing. Each photo goes
through all 14 processings, whole and after each of several preprocessings. Ends with status 1 if one pixel differs.
To try other code paths of the codec: ``JSIMD_FORCENONE=1``; of the engine: ``NUMBA_CPU_NAME=haswell
NUMBA_CPU_FEATURES=`` (AVX2 at most; both are needed) or ``NUMBA_CPU_NAME=generic``.
"""

from __future__ import annotations

import argparse
import os
import sys
import time
from collections import Counter
from pathlib import Path

if __name__ == "__main__" and not __package__:  # by its path, not by python -m
    sys.path[0] = str(Path(__file__).resolve().parents[2])

import numpy as np
from PIL import Image
from PIL import __version__ as pillow_version

from benchmark.encoders.preprocess.pixels import CenterCrop, CenterSquare, Pixels, ResizeShort, ResizeTo
from builders.errors import PhotoError
from builders.kernels import VARIABLE
from builders.pixels.decode import decode_rgb
from builders.pixels.engine import selection
from builders.pixels.parameters import PROCESSINGS, Processing
from builders.pixels.process import preprocess_all
from builders.pixels.reference import codec_canary, process_by_pillow, request

FILTERS = [int(Image.Resampling[name]) for name in ("BILINEAR", "BICUBIC", "LANCZOS", "BOX")]
SUFFIXES = {".jpg", ".jpeg", ".png", ".tif", ".tiff", ".webp", ".heic", ".heif"}

PREPROCESSINGS = [
    Pixels((ResizeShort(224, FILTERS[1]), CenterCrop(224, 224, "round"))),
    Pixels((ResizeShort(256, FILTERS[0]), CenterCrop(224, 224))),
    Pixels((CenterSquare(0.875), ResizeTo(224, 224, FILTERS[1]))),
    Pixels((ResizeTo(160, 200, FILTERS[2]),)),
]


class Tally:
    """What was compared."""

    def __init__(self) -> None:
        self.count: Counter[str] = Counter()

    def compare(self, kind: str, made: np.ndarray, expected: np.ndarray, what: str) -> None:
        self.count[f"{kind} views"] += 1
        self.count[f"{kind} pixels"] += expected.shape[0] * expected.shape[1]
        different = (
            expected.shape[0] * expected.shape[1]
            if made.shape != expected.shape
            else int((made != expected).any(-1).sum())
        )
        if different:
            self.count[f"{kind} differing views"] += 1
            self.count["differing pixels"] += different
            print(f"DIFFERENT: {different} pixels, {what}", flush=True)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--cases", type=int, default=10_000, help="odd cases")
    parser.add_argument("--photos", type=Path, action="append", default=[], metavar="DIR", help="repeatable")
    parser.add_argument("--seed", type=int, default=0, help="of the odd cases")
    args = parser.parse_args()
    os.environ[VARIABLE] = "numba"
    started = time.monotonic()
    selection.chosen_engine()
    simd = "off" if os.environ.get("JSIMD_FORCENONE") else "on"
    cpu = os.environ.get("NUMBA_CPU_NAME", "as it is")
    print(
        f"Pillow {pillow_version}, codec {codec_canary()}, its SIMD {simd}; the engine's processor: {cpu}", flush=True
    )
    tally = Tally()
    _odd_cases(args.cases, args.seed, tally)
    for folder in args.photos:
        for path in sorted(p for p in folder.rglob("*") if p.suffix.lower() in SUFFIXES):
            _photo(path, tally)
    for name in sorted(tally.count):
        print(f"{name}: {tally.count[name]:,}")
    print(f"differing pixels: {tally.count['differing pixels']:,} ({time.monotonic() - started:.0f} s)")
    return 1 if tally.count["differing pixels"] else 0


def _odd_cases(cases: int, seed: int, tally: Tally) -> None:
    from builders.pixels.engine import photo

    generator = np.random.default_rng(seed)
    done = 0
    while done < cases:
        pixels, processing, preprocess = _odd_case(generator)
        size = pixels.shape[1::-1]
        wanted = request(processing, size, "odd", 0)
        if not photo.takes(wanted, size):
            continue
        done += 1
        what = f"{size[0]} x {size[1]}, {processing}, {preprocess}, seed {seed}, case {done}"
        view = process_by_pillow(Image.fromarray(pixels), processing, "odd", 0)
        cut_by = [lambda *s, p=preprocess: p.plan(*s) or p]
        (whole,), (cut,) = photo.preprocessed(pixels, [wanted], [lambda *s: np.array, *cut_by])
        ((alone,),) = photo.preprocessed(pixels, [wanted], cut_by)
        tally.compare("odd", whole, np.asarray(view), what)
        expected = preprocess(view)
        tally.compare("odd", cut, expected, what)
        tally.compare("odd", alone, expected, what)
    tally.count["odd cases"] = done


def _odd_case(generator: np.random.Generator) -> tuple[np.ndarray, Processing, Pixels]:
    width, height = (int(generator.integers(1, limit)) for limit in generator.permutation([41, 41, 41, 200])[:2])
    kind = generator.integers(5)
    if kind == 0:
        pixels = generator.integers(0, 256, (height, width, 3))
    elif kind == 1:
        pixels = generator.choice([0, 255], (height, width, 3))
    elif kind == 2:
        board = np.indices((height, width)).sum(0) // int(generator.integers(1, 4)) % 2 * 255
        pixels = np.where(generator.integers(0, 2, 3), board[..., None], 255 - board[..., None])
    elif kind == 3:
        pixels = np.indices((height, width)).sum(0)[..., None] * generator.integers(1, 9, 3) % 256
    else:
        pixels = np.broadcast_to(generator.integers(0, 256, 3), (height, width, 3))
    how = generator.integers(4)
    processing = Processing(
        "odd",
        quality=int(generator.choice([5, 30, 75, 85, 95, 100, generator.integers(1, 101)])),
        subsampling=str(generator.choice(["4:2:0", "4:4:4"])),  # type: ignore[arg-type]
        sharpness=float(generator.choice([0, 2, 3, 4])) if how == 1 else 1.0,
        scale=float(generator.choice([0.5, 2, generator.uniform(0.1, 3)])) if how == 2 else None if how == 3 else 1.0,
        resample=Image.Resampling(int(generator.choice(FILTERS))),
    )
    resample = int(generator.choice(FILTERS))
    side, cut = int(generator.integers(1, 60)), int(generator.integers(1, 50))
    preprocess = [
        Pixels((ResizeShort(min(side, 4 * min(width, height)), resample), CenterCrop(cut, min(cut + 3, 50), "round"))),
        Pixels((ResizeTo(side, cut, resample),)),
        Pixels((CenterSquare(float(generator.uniform(0.3, 1))), ResizeTo(side, side, resample), CenterCrop(cut, cut))),
        Pixels((CenterCrop(cut, side),)),
    ][generator.integers(4)]
    return np.ascontiguousarray(pixels.astype(np.uint8)), processing, preprocess


def _photo(path: Path, tally: Tally) -> None:
    try:
        image = decode_rgb(path.read_bytes())
    except PhotoError as error:
        tally.count["photos that cannot be decoded"] += 1
        print(f"left out: {path.name}: {error}")
        return
    tally.count["photos"] += 1
    names = [n for n, p in PROCESSINGS.items() if min(request(p, image.size, path.name, 0).size) >= 1]
    processings = [PROCESSINGS[name] for name in names]
    planners = [lambda *s, p=p: p.plan(*s) or p for p in PREPROCESSINGS]
    together = preprocess_all(image, processings, path.name, planners)
    (whole,) = preprocess_all(image, processings, path.name, [lambda *s: np.array])
    for i, processing in enumerate(processings):
        view = process_by_pillow(image, processing, path.name, 0)
        what = f"{path.name} {image.size}, {processing.name}"
        tally.compare("photo", whole[i], np.asarray(view), what)
        for k, preprocess in enumerate(PREPROCESSINGS):
            tally.compare("photo", together[k][i], preprocess(view), f"{what}, preprocessing {k}")


if __name__ == "__main__":
    sys.exit(main())
