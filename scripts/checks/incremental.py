"""An update of a build against a full build: processor time, and the same files byte by byte.

    python scripts/checks/incremental.py --photos 10000 --size 96

Photos are made here. A hundredth of them is changed, half a hundredth removed, and as many are new. The build from
before is updated, a full build is made beside it, and every file is compared by its hash, and both by ``build diff``.
"""

from __future__ import annotations

import argparse
import os
import resource
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
from PIL import Image

if __name__ == "__main__" and not __package__:  # by its path, not by python -m
    sys.path[0] = str(Path(__file__).resolve().parents[2])

from builders.check import diff_builds
from builders.data_specs import open_photos
from builders.dataset import file_sha256
from builders.processed.build import build_processed
from scripts.speed.synthetic import jpeg

CLASSES = 10


def main() -> int:
    """Build, change, update, build again; 1 if a file differs."""
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("--photos", type=int, default=10_000)
    p.add_argument("--size", type=int, default=96, help="width and height in pixels")
    p.add_argument("--parameters", default="jpeg", help="configs, with commas")
    p.add_argument("--assignment", default="uniform")
    args = p.parse_args()
    with tempfile.TemporaryDirectory(prefix="camtrace-update-") as scratch:
        os.environ["CAMTRACE_CACHE"] = str(Path(scratch, "cache"))
        return compared(args, Path(scratch))


def compared(args: argparse.Namespace, folder: Path) -> int:
    """Print the figures; 1 if a file differs."""
    root, rng = folder / "photos", np.random.default_rng(0)
    for i in range(args.photos):
        write_photo(root, i, rng, args.size)

    def build(output: str, update: bool) -> None:
        build_processed(
            open_photos(f"folder:{root}"),
            folder / output,
            parameters=args.parameters.split(","),
            assignment=args.assignment,
            update=update,
            progress=False,
        )

    first = processor_seconds(lambda: build("updated", False))
    chosen = rng.permutation(args.photos)
    changed, removed = args.photos // 100, args.photos // 200
    for i in chosen[:changed].tolist():
        write_photo(root, i, rng, args.size)
    for i in chosen[changed : changed + removed].tolist():
        photo_path(root, i).unlink()
    for i in range(args.photos, args.photos + removed):
        write_photo(root, i, rng, args.size, name=f"{chosen[i - args.photos] % args.photos:07d}b")
    update = processor_seconds(lambda: build("updated", True))
    os.environ["CAMTRACE_CACHE"] = str(folder / "other-cache")  # as on another machine
    full = processor_seconds(lambda: build("full", False))
    print(f"{args.photos:,} photos of {args.size} x {args.size}: {changed} changed, {removed} removed, {removed} new")
    print(f"first build {first:.1f}, update {update:.1f}, full build {full:.1f} processor s: {update / full:.2f}")
    diff = diff_builds(folder / "updated", folder / "full")
    equal = hashes(folder / "updated") == hashes(folder / "full") and diff.is_equal and not diff.recipe
    print(f"{len(hashes(folder / 'full'))} files: {'equal byte by byte' if equal else 'DIFFERENT'}")
    return 0 if equal else 1


def photo_path(root: Path, i: int, name: str | None = None) -> Path:
    return root / f"c{i % CLASSES}" / f"{name or f'{i:07d}'}.jpg"


def write_photo(root: Path, i: int, rng: np.random.Generator, size: int, name: str | None = None) -> None:
    """Smooth texture with noise."""
    path = photo_path(root, i, name)
    path.parent.mkdir(parents=True, exist_ok=True)
    coarse = Image.fromarray(rng.integers(0, 256, (9, 12, 3), dtype=np.uint8))
    smooth = np.asarray(coarse.resize((size, size), Image.Resampling.BICUBIC)).astype(np.int16)
    noisy = np.clip(smooth + rng.integers(-12, 13, smooth.shape), 0, 255).astype(np.uint8)
    path.write_bytes(jpeg(Image.fromarray(noisy)))
    os.utime(path, (1_700_000_000, 1_700_000_000 + i))


def processor_seconds(work: Callable[[], object]) -> float:
    """User and system seconds of this process."""
    before = resource.getrusage(resource.RUSAGE_SELF)
    work()
    after = resource.getrusage(resource.RUSAGE_SELF)
    return (after.ru_utime + after.ru_stime) - (before.ru_utime + before.ru_stime)


def hashes(folder: Path) -> dict[str, str]:
    """Every published file with its hash."""
    names = [path for path in folder.rglob("*") if path.is_file() and ".build" not in path.parts]
    return {path.relative_to(folder).as_posix(): file_sha256(path) for path in names}


if __name__ == "__main__":
    sys.exit(main())
