"""Do intervals and p-values of a score hold where a few clusters fail as a whole?

    python scripts/checks/heavy_tails.py [--trials 1000] [--photos 27] [--seed 0]

The logits of the clusters' accuracies follow Student's t with two degrees of freedom, at several scales, so that some
clusters lie far from all others, and a sample of few clusters often has none of these. Their mean over clusters is the
accuracy of the row. Printed are the least coverage of the 95 % interval and the largest share of p-values of "no better
than chance" below 5 % where the accuracy is chance, over the scales; beside them the same of Student's t alone.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

if __name__ == "__main__" and not __package__:  # by its path, not by python -m
    sys.path[0] = str(Path(__file__).resolve().parents[2])

import numpy as np
from scipy import optimize, special, stats

from benchmark.stats import against_chance, photo_interval

COUNTS, ACCURACIES, SCALES = (6, 10, 16, 28, 40), (0.5, 0.9), (0.5, 1.0, 2.0, 4.0)

_T = stats.t.ppf((np.arange(20_000) + 0.5) / 20_000, 2)


def middle_of(accuracy: float, scale: float) -> float:
    """The logit around which clusters lie whose mean accuracy is ``accuracy``."""
    return float(optimize.brentq(lambda middle: special.expit(middle + scale * _T).mean() - accuracy, -60, 60))


def measure(count: int, accuracy: float, scale: float, *, photos: int, trials: int, seed: int) -> tuple[float, ...]:
    """Coverage, share of small p-values, and share of small p-values of Student's t over cluster means."""
    rng, middle = np.random.default_rng([seed, count]), middle_of(accuracy, scale)
    clusters, found = np.repeat(np.arange(count), photos), np.zeros(3)
    for _ in range(trials):
        right = rng.binomial(photos, special.expit(middle + scale * rng.standard_t(2, count)))
        values = (np.arange(photos) < right[:, None]).astype(float).ravel()
        interval = photo_interval(values, clusters=clusters)
        shares = right / photos
        t = stats.ttest_1samp(shares, accuracy, alternative="greater").pvalue if np.ptp(shares) else 1.0
        found += (
            interval.low <= accuracy <= interval.high,
            against_chance(values, accuracy, clusters=clusters) < 0.05,
            t < 0.05,
        )
    return tuple(found / trials)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--trials", type=int, default=1000)
    parser.add_argument("--photos", type=int, default=27, help="photos of each cluster")
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    for accuracy in ACCURACIES:
        for count in COUNTS:
            more = {"photos": options.photos, "trials": options.trials, "seed": options.seed}
            rows = np.array([measure(count, accuracy, scale, **more) for scale in SCALES])
            print(
                f"{count:>3} clusters at {100 * accuracy:g} %: coverage at least {100 * rows[:, 0].min():.1f} %, "
                f"p < .05 in at most {100 * rows[:, 1].max():.1f} % (t {100 * rows[:, 2].max():.1f} %)"
            )


if __name__ == "__main__":
    main()
