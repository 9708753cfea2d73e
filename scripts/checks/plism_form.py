"""Recall of ``retrieval/pairs`` on PLISM's form (460 tiles, 13 x 7 slides) against a loop over slides in float32.

    python -m scripts.checks.plism_form [--tiles 460] [--scanners 7] [--stainings 13]

Planted embeddings have cosines that are exact in float32, so both must agree to the last digit: the recall@1, 3, 5 and
10 of each of the 8,190 directions, and the medians by what differs. The loop shares no code with the package. A second
set has normal embeddings, whose nearly equal similarities float32 orders otherwise: the largest difference is printed.
"""

from __future__ import annotations

import argparse
import itertools
import sys
import time

import numpy as np

from benchmark.retrieval import RANKS, group_recall, median_recall

WEIGHTS = np.sqrt(np.repeat([2.0**-6, 2.0**-8, 2.0**-10], [32, 64, 256]))


def exact(tiles: int, scanners: int, stainings: int) -> np.ndarray:
    """float32 [slides, tiles, 352] of length 1 with exact cosines: signs, flipped by scanner, staining and photo."""
    rng = np.random.default_rng(0)

    def signs(*shape: int, share: float) -> np.ndarray:
        return np.where(rng.random((*shape, len(WEIGHTS))) < share, -1.0, 1.0)

    slides = signs(scanners, 1, share=0.06) * signs(1, stainings, share=0.1)
    rows = slides[:, :, None] * signs(tiles, share=0.5) * signs(scanners, stainings, tiles, share=0.2) * WEIGHTS
    return rows.reshape(-1, tiles, len(WEIGHTS)).astype(np.float32)


def normal(tiles: int, scanners: int, stainings: int) -> np.ndarray:
    """float32 [slides, tiles, 128] of length 1."""
    rng = np.random.default_rng(1)
    slides = 0.5 * rng.normal(size=(scanners, 1, 1, 128)) + rng.normal(size=(1, stainings, 1, 128))
    rows = slides + rng.normal(size=(tiles, 128)) + 0.7 * rng.normal(size=(scanners, stainings, tiles, 128))
    rows /= np.linalg.norm(rows, axis=-1, keepdims=True)
    return rows.reshape(-1, tiles, 128).astype(np.float32)


def looped(rows: np.ndarray, first: int, second: int) -> np.ndarray:
    """float64 [4]: recall of the tiles of one slide among all tiles of both but the query, in float32."""
    tiles = np.arange(len(rows[first]))
    similar = rows[first] @ np.concatenate([rows[first], rows[second]]).T
    target = similar[tiles, len(tiles) + tiles][:, None].copy()
    similar[tiles, tiles] = similar[tiles, len(tiles) + tiles] = -np.inf
    nearer, tied = (similar > target).sum(axis=1), (similar == target).sum(axis=1)
    return np.array([np.clip((k - nearer) / (tied + 1), 0.0, 1.0).mean() for k in RANKS])


def main() -> int:
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    for name, default in (("tiles", 460), ("scanners", 7), ("stainings", 13)):
        p.add_argument(f"--{name}", type=int, default=default)
    args = p.parse_args()
    shape = args.tiles, args.scanners, args.stainings
    slides, failed = args.scanners * args.stainings, False
    for name, make in (("exact", exact), ("normal", normal)):
        rows, started = make(*shape), time.process_time()
        table = np.arange(slides * args.tiles).reshape(slides, args.tiles)
        recall = group_recall(rows.reshape(-1, rows.shape[2]), table, np.arange(args.tiles) % 400)
        package_s, started = time.process_time() - started, time.process_time()
        expected = np.full((len(RANKS), slides, slides), np.nan)
        for first, second in itertools.permutations(range(slides), 2):
            expected[:, first, second] = looped(rows, first, second)
        loop_s = time.process_time() - started
        apart = np.nanmax(np.abs(recall.recall - expected))
        print(
            f"{name}: {slides * (slides - 1):,} directions of {args.tiles} tiles; {package_s:.0f} s and {loop_s:.0f} s"
        )
        print(f"  largest difference of a recall: {apart:.2g}")
        scanner, staining = np.divmod(np.arange(slides), args.stainings)
        differs = [code[:, None] != code[None] for code in (scanner, staining)]
        for what, among in (
            ("all pairs", ~np.eye(slides, dtype=bool)),
            ("other scanner", differs[0] & ~differs[1]),
            ("other staining", ~differs[0] & differs[1]),
            ("both", differs[0] & differs[1]),
        ):
            upper = np.triu(among, 1)
            medians = [np.median(((table + table.T) / 2)[upper]) for table in expected]
            measured = [median_recall(recall, i, among).value for i in range(len(RANKS))]
            equal = np.abs(np.subtract(medians, measured)).max() < 1e-12
            print(f"  {what}: {', '.join(f'{100 * m:.4f}' for m in measured)} % at {RANKS}; the loop's: {equal}")
            failed |= name == "exact" and not equal
        failed |= name == "exact" and bool(apart > 1e-12)
    print("PROBLEMS" if failed else "no problem")
    return int(failed)


if __name__ == "__main__":
    sys.exit(main())
