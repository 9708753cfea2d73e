"""Do thresholds for copies hold on photos that did not choose them, over several splits?

    python scripts/checks/copies.py [--data folder:photos] [--limit 1000] [--splits 20] [--model SPEC ...]

Each split draws the halves of the test photos anew, as ``copies/*`` does by its seed. A row is one encoder: in how many
splits the number of false matches of the other half lies in the range that is expected of 95 % (95 % or more, since
numbers are whole), and their mean rate beside the one stated. The exit status is 1 if that is the case in fewer than
95 % of the splits of all encoders together.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

if __name__ == "__main__" and not __package__:  # by its path, not by python -m
    sys.path[0] = str(Path(__file__).resolve().parents[2])

import numpy as np

from benchmark.encoders import load_encoder
from benchmark.extras.copies.tasks import RATE, drawn_half
from benchmark.extras.diff.embed import Lane, embed_photos
from benchmark.extras.diff.paths import PathSpec
from benchmark.knn import nearest
from benchmark.stats import error_units, expected_above, threshold_at
from builders.data_specs import open_photos
from builders.photos import PhotoSet

MODELS = ("bundled:efficientnet-lite0", "control:phash", "control:dhash", "control:whash")


def nearest_other(photos: PhotoSet, model: str) -> tuple[np.ndarray, np.ndarray]:
    """Indices of the test photos, and the cosine of each to the nearest train photo."""
    lane = Lane(model, PathSpec(), load_encoder(model, device="cpu"), 64)
    at = np.r_[photos.indices("train"), photos.indices("val")]
    done = embed_photos(photos, at, [lane])
    rows, is_train = done.lanes[model].rows, np.isin(done.photos, photos.indices("train"))
    return done.photos[~is_train], nearest(rows[is_train], rows[~is_train], 1).similarities[:, 0].astype(np.float64)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", default="sample")
    parser.add_argument("--limit", type=int, default=1000)
    parser.add_argument("--splits", type=int, default=20)
    parser.add_argument("--model", action="append")
    args = parser.parse_args()
    photos = open_photos(args.data).limited(args.limit)
    within_all = 0
    models = args.model or MODELS
    for model in models:
        test, scores = nearest_other(photos, model)
        units, ids = error_units(photos.columns, test).index, [photos.ids[i] for i in test]
        within, rates, stated = 0, [], []
        for seed in range(args.splits):
            chooses = drawn_half(units, ids, seed)
            threshold = threshold_at(scores[chooses], RATE)
            others = scores[~chooses] >= threshold.value
            low, high = expected_above(threshold, len(others))
            within += low <= int(others.sum()) <= high
            rates.append(float(others.mean()))
            stated.append(threshold.rate)
        within_all += within
        print(
            f"{model}: {len(test)} test photos, within the range in {within} of {args.splits} splits; false matches "
            f"{100 * np.mean(rates):.2f} % on average, stated {100 * np.mean(stated):.2f} %",
            flush=True,
        )
    total = args.splits * len(models)
    print(f"within the range: {within_all} of {total} ({100 * within_all / total:.1f} %)")
    return 0 if within_all >= 0.95 * total else 1


if __name__ == "__main__":
    sys.exit(main())
