"""Audits of planted indexes: claims in null ones, intervals that hold the planted size, time and memory by size.

python scripts/checks/index_audits.py null --count 20
python scripts/checks/index_audits.py planted --count 100
python scripts/checks/index_audits.py scale --vectors 1000000 --folder /scratch [--repair]
"""

from __future__ import annotations

import argparse
import csv
import resource
import sys
import tempfile
import time
from pathlib import Path

if __name__ == "__main__" and not __package__:  # by its path, not by python -m
    sys.path[0] = str(Path(__file__).resolve().parents[2])

import numpy as np

from benchmark.index import audit_index
from tests.support.planted_index import vectors_of, write_photos, write_rows

N, LABELS = 900, 9
SAVED = (("JPEG", 92), ("JPEG", 85), ("JPEG", 75), ("PNG", 0))


def null(count: int) -> None:
    """Indexes whose vectors know nothing of the files: format and quality are drawn at random."""
    claims = []
    for seed in range(count):
        rng = np.random.default_rng(seed)
        labels = rng.integers(0, LABELS, N)
        names = [f"{label}/{i}.img" for i, label in enumerate(labels)]
        with tempfile.TemporaryDirectory() as folder:
            root = Path(folder)
            write_photos(root / "photos", names, [SAVED[i] for i in rng.choice(4, N, p=[0.4, 0.2, 0.3, 0.1])])
            place = write_rows(root, vectors_of(labels, labels * 0, 0.0, seed=seed), path=names)
            result = audit_index(str(place), images=root / "photos", label="folder")
        claims += [f"{seed}: {name}" for name in result.found]
        answers = [judged.answer for _, judged in result.groups]
        print(f"index {seed}: {len(answers)} groups, {answers.count('yes')} yes, {answers.count('no')} no", flush=True)
    print(f"{len(claims)} claims in {count} null indexes: {claims}")


def planted(count: int) -> None:
    """A third of the photos saved at q75 by one source: how often the 95 % interval holds the mean of all draws."""
    for shift in (0.15, 0.4, 1.0):
        found = []
        for seed in range(count):
            rng = np.random.default_rng(seed)
            labels, groups = rng.integers(0, LABELS, N), (rng.random(N) < 1 / 3).astype(int)
            with tempfile.TemporaryDirectory() as folder:
                rows = vectors_of(labels, groups, shift, seed=seed)
                place = write_rows(Path(folder), rows, path=range(N), label=labels, quality=groups)
                found.append(audit_index(f"{place}?label=label&group=quality").groups[0])
        values = np.array([measured.neighbours.value for measured, _ in found])
        held = [m.neighbours.low <= values.mean() <= m.neighbours.high for m, _ in found]
        said = np.mean([judged.answer == "yes" for _, judged in found])
        print(f"shift {shift}: {100 * values.mean():+.2f} points, held by {np.mean(held):.3f}, found in {said:.2f}")


def scale(vectors: int, folder: Path, repair: bool) -> None:
    """An index of 768 dimensions with three qualities, 1,000 labels and 8 sources that do nothing."""
    rng = np.random.default_rng(0)
    centres = rng.normal(size=(1000, 768)).astype(np.float32)
    shifts = rng.normal(size=(3, 768)).astype(np.float32) * 0.35
    folder.mkdir(parents=True, exist_ok=True)
    rows = np.lib.format.open_memmap(folder / "index.npy", "w+", np.float32, (vectors, 768))
    with open(folder / "index.csv", "w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["id", "label", "quality", "source"])
        for start in range(0, vectors, 8192):
            size = min(8192, vectors - start)
            label, quality = rng.integers(0, 1000, size), rng.choice(3, size, p=[0.5, 0.3, 0.2])
            noise = rng.normal(size=(size, 768)).astype(np.float32) * 2
            rows[start : start + size] = centres[label] + shifts[quality] + noise
            of = zip(range(start, start + size), label, quality, rng.integers(0, 8, size), strict=True)
            writer.writerows([[f"p/{i}.jpg", f"c{a}", f"q{b}", f"s{c}"] for i, a, b, c in of])
    rows.flush()
    del rows
    began = time.monotonic()
    result = audit_index(f"{folder / 'index.npy'}?label=label&group=quality&group=source", repair=repair)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20
    print(result)
    print({name: round(value, 1) for name, value in result.seconds.items()})
    print(f"{vectors:,} vectors: {time.monotonic() - began:.0f} s, {peak:.2f} GiB at most")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", choices=("null", "planted", "scale"))
    parser.add_argument("--count", type=int, default=20)
    parser.add_argument("--vectors", type=int, default=100_000)
    parser.add_argument("--folder", type=Path, default=Path("."))
    parser.add_argument("--repair", action="store_true")
    args = parser.parse_args()
    if args.what == "scale":
        scale(args.vectors, args.folder, args.repair)
    else:
        {"null": null, "planted": planted}[args.what](args.count)


if __name__ == "__main__":
    main()
