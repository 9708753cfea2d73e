"""Near-duplicates among very many photos, simulated as hashes: copies found, false joins, seconds and memory.

    python scripts/checks/near_duplicates_at_scale.py --photos 300000
    python scripts/checks/near_duplicates_at_scale.py --photos 1300000

A photo is its low DCT coefficients, drawn with a falling spectrum. Distances of such hashes are 31 +- 4 bits, as those
of real photos are. A thousand photos are noisy copies, half of them mirrored. A copy counts if some of its hashes are
within ``MAX_DISTANCE`` of one of its original's. All other joined photos are false joins.
"""

from __future__ import annotations

import argparse
import resource
import sys
from pathlib import Path

import numpy as np

if __name__ == "__main__" and not __package__:  # by its path, not by python -m
    sys.path[0] = str(Path(__file__).resolve().parents[2])

from builders.splits import NEAR_LIMIT, VARIANTS, photo_groups
from builders.splits.near_duplicates import MAX_DISTANCE, distances, hashes_of_coefficients
from builders.splits.variants import CROPS, ORIENTATIONS, orientations

COPIES = 1000
CHUNK = 5000
NOISE = 0.15
"""Of a copy, as a share of the spread of each coefficient."""


def main() -> int:
    """Print the figures; 1 if a copy within the distance was not joined."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--photos", type=int, default=NEAR_LIMIT)
    count = parser.parse_args().photos
    columns = VARIANTS if count <= NEAR_LIMIT else 1
    hashes = simulated(count, columns, np.random.default_rng(0))
    spread = distances(hashes[: count // 2, 0], hashes[count // 2 : 2 * (count // 2), 0]).astype(float)
    print(
        f"{count:,} photos of {columns} hashes; distances of unrelated photos {spread.mean():.1f} +- {spread.std():.1f}"
    )
    before = processor_seconds()
    groups = photo_groups(count, hashes=hashes)
    seconds = processor_seconds() - before
    originals, copies = np.arange(COPIES), np.arange(count - COPIES, count)
    apart = distances(hashes[originals][:, :, None], hashes[copies][:, None, :]).min(axis=(1, 2))
    joined = groups[originals] == groups[copies]
    near = apart <= MAX_DISTANCE
    mirrored = np.arange(COPIES) % 2 == 1
    print(f"copies within {MAX_DISTANCE} bits that were joined: {int(joined[near].sum())} of {int(near.sum())}")
    for kind, chosen in (("upright", ~mirrored), ("mirrored", mirrored)):
        print(f"  {kind} copies joined: {int(joined[chosen].sum())} of {int(chosen.sum())}")
    false = count - int(groups.max()) - 1 - int(joined.sum())
    print(f"false joins: {false}; {seconds:.0f} processor s, {peak_gigabytes():.1f} GB at most")
    return int(joined[near].sum() < near.sum())


def simulated(count: int, columns: int, rng: np.random.Generator) -> np.ndarray:
    """uint64 [count, columns]; the last ``COPIES`` photos are copies of the first."""
    u = np.arange(8)
    scale = 1 / (1 + u[:, None] ** 2 + u**2) ** 0.9
    hashes = np.zeros((count, columns), dtype=np.uint64)
    first = np.zeros((COPIES, len(CROPS) + 1, 8, 8))
    for start in range(0, count - COPIES, CHUNK):
        n = min(CHUNK, count - COPIES - start)
        whole = rng.laplace(size=(n, 1, 8, 8))
        crops = 0.8 * whole + 0.6 * rng.laplace(size=(n, len(CROPS) - 1, 8, 8))
        low = np.concatenate([whole, crops, whole], axis=1) * scale  # the last: without a border, it is the whole
        hashes[start : start + n] = of_coefficients(low)[:, :columns]
        if start == 0:
            first = low[:COPIES].copy()
    copies = first + NOISE * scale * rng.laplace(size=first.shape)
    turned = orientations(copies.reshape(-1, 8, 8))[:, 1].reshape(copies.shape)
    copies[1::2] = turned[1::2]
    hashes[-COPIES:] = of_coefficients(copies)[:, :columns]
    return hashes


def of_coefficients(low: np.ndarray) -> np.ndarray:
    """uint64 [photos, VARIANTS] of coefficients [photos, crops, 8, 8]."""
    turned = orientations(low.reshape(-1, 8, 8))
    return hashes_of_coefficients(turned).reshape(len(low), -1, ORIENTATIONS).reshape(len(low), -1)


def processor_seconds() -> float:
    usage = resource.getrusage(resource.RUSAGE_SELF)
    return usage.ru_utime + usage.ru_stime


def peak_gigabytes() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20


if __name__ == "__main__":
    sys.exit(main())
