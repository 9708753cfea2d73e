"""Do differences, gates and ranks hold their level where the effect goes with the size of a cluster?

    python scripts/checks/informative_sizes.py [--trials 300] [--clusters 30] [--seed 0]

A prolific owner's photos, or a large slide's, may be told apart better than others. Sizes of clusters follow one of
three laws, and the difference of two encoders rises or falls with the size by up to 4 points in each direction, so that
its mean over photos is exactly what each column says. Cluster-robust t (CR1) over the same clusters stands beside.

- ``p``: p-values below 5 % where the mean difference over photos is 0.
- ``gate``: "worse" where the mean loss equals the margin of 2 points, and of 0.
- ``ranks``: trials in which any two of three encoders with equal means get different ranks.
"""

from __future__ import annotations

import argparse
import math
import sys
from pathlib import Path

if __name__ == "__main__" and not __package__:  # by its path, not by python -m
    sys.path[0] = str(Path(__file__).resolve().parents[2])

import numpy as np
from scipy import stats

from benchmark.judgement import judge_loss, loss_level
from benchmark.stats import paired_difference, rank_intervals

LAWS = ("zipf", "lognormal", "pareto")

EFFECT = 0.04
"""Greatest difference of a cluster from the mean."""

ACCURACY, BETWEEN, TOGETHER = 0.7, 0.1, 0.6
"""Mean accuracy, correlation of two photos of a cluster, and share of photos that all encoders find equally hard."""


def sizes_of(law: str, count: int, rng: np.random.Generator) -> np.ndarray:
    """int64 [count], photos of clusters that are drawn from a law."""
    drawn = {
        "zipf": lambda: np.minimum(rng.zipf(1.6, count), 400),
        "lognormal": lambda: np.exp(rng.normal(2.5, 1.1, count)),
        "pareto": lambda: np.minimum(5 * (1 + rng.pareto(1.2, count)), 1000),
    }[law]()
    return np.maximum(1, np.round(drawn)).astype(np.int64)


def rise(sizes: np.ndarray) -> np.ndarray:
    """How the effect goes with the size, -1 to 1."""
    return np.tanh(np.log(sizes) - 2)


def centre_of(law: str, count: int) -> float:
    """Mean over photos of ``rise`` in the population of a law."""
    sizes = np.concatenate([sizes_of(law, count, np.random.default_rng([9, i])) for i in range(4000)])
    return float((sizes * rise(sizes)).sum() / sizes.sum())


def draw(
    law: str, count: int, centre: float, shifts: tuple[float, ...], effects: tuple[float, ...], rng: np.random.Generator
) -> tuple[np.ndarray, np.ndarray]:
    """Right answers [encoders, photos] and clusters [photos].

    Args:
        law, count, centre: of the sizes.
        shifts: mean over photos of each encoder's accuracy, from ``ACCURACY``.
        effects: how much that of each rises with the size.
        rng: of the draw.
    """
    sizes = sizes_of(law, count, rng)
    clusters = np.repeat(np.arange(count), sizes)
    strength = 1 / BETWEEN - 1
    base = rng.beta(ACCURACY * strength, (1 - ACCURACY) * strength, count)
    hard, same = rng.random(len(clusters)), rng.random(len(clusters)) < TOGETHER
    rows = []
    for shift, effect in zip(shifts, effects, strict=True):
        chance = np.clip(base + shift + effect * (rise(sizes) - centre), 0, 1)[clusters]
        rows.append(np.where(same, hard, rng.random(len(clusters))) < chance)
    return np.array(rows, dtype=np.float64), clusters


def robust_t(difference: np.ndarray, clusters: np.ndarray) -> float:
    """P-value of the cluster-robust t-test (CR1) with G - 1 degrees of freedom."""
    count = int(clusters.max()) + 1
    residuals = np.bincount(clusters, difference - difference.mean(), minlength=count)
    error = math.sqrt(count / (count - 1) * float(np.square(residuals).sum())) / len(clusters)
    return float(2 * stats.t.sf(abs(difference.mean()) / error, count - 1)) if error else 1.0


def measure(law: str, count: int, trials: int, seed: int) -> dict[str, float]:
    """Shares of trials, by column."""
    rng, centre = np.random.default_rng([seed, LAWS.index(law), count]), centre_of(law, count)
    found = {"p": 0, "p (CR1)": 0, "gate 2": 0, "gate 0": 0, "ranks": 0}
    for _ in range(trials):
        answers, clusters = draw(law, count, centre, (0.0, 0.0, 0.0), (EFFECT / 2, -EFFECT / 2, 0.0), rng)
        found["p"] += paired_difference(answers[0], answers[1], clusters=clusters).p_value < 0.05
        found["p (CR1)"] += robust_t(answers[0] - answers[1], clusters) < 0.05
        ranks = rank_intervals(answers, clusters=clusters)
        found["ranks"] += bool(ranks.low.max() > 1 or ranks.high.min() < 3)
        for margin in (0.02, 0.0):
            pair, where = draw(law, count, centre, (margin, 0.0), (EFFECT / 2, -EFFECT / 2), rng)
            loss = paired_difference(pair[0], pair[1], clusters=where, level=loss_level(1))
            found[f"gate {100 * margin:g}"] += judge_loss(loss.low, loss.high, margin) == "worse"
    return {name: hits / trials for name, hits in found.items()}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--trials", type=int, default=300)
    parser.add_argument("--clusters", type=int, default=30)
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    for law in LAWS:
        row = measure(law, options.clusters, options.trials, options.seed)
        print(f"{law:<10} " + "  ".join(f"{name} {100 * share:.1f} %" for name, share in row.items()))


if __name__ == "__main__":
    main()
