"""Do intervals, p-values and ranks hold their level where photos err together and clusters differ in size?

    python scripts/checks/clusters.py [--trials 2000] [--seed 0] [--unlike] [--only zipf] [--json]

Encoders whose true accuracies are known answer about the same photos. An answer is right where a normal variable is
above a threshold. Shares of its variance belong to the cluster and to the photo, partly common to all encoders. The
sizes of clusters are equal, geometric (each 0.8 of the one before) or Zipf's (the k-th has a k-th of the first), on
average 27 photos. Sizes do not depend on answers.

Each row is one number of clusters, one kind of sizes and one accuracy:

- ``single``: coverage of the interval of one accuracy; ``chance``: share of p-values of "no better than chance" below
  5 %, one-sided, where the accuracy is chance.
- ``paired``: coverage of a difference, of equal encoders and of others; ``size``: share of its p-values below 5 %
  without a difference; ``detected``: with one that a t-test over cluster means (``t_detected``) finds in about two
  of three trials.
- ``spd``: coverage and size of a difference of two set-ups of one encoder, whose answers mostly agree.
- ``ranks``: share of trials in which any two of eight equal encoders get different ranks.
- ``wild_chance``, ``wild_size``, ``wild_detected``: ``chance``, ``size`` and ``detected`` of the wild cluster bootstrap
  (signs of clusters flipped, the mean studentised, the null hypothesis imposed), which ``benchmark.stats`` lacks.

``--unlike`` makes clusters differ more: the standard deviation between them is then that of photos within one.
"""

from __future__ import annotations

import argparse
import json
import math
import sys
from collections.abc import Iterator
from dataclasses import asdict, dataclass, fields
from pathlib import Path

if __name__ == "__main__" and not __package__:  # by its path, not by python -m
    sys.path[0] = str(Path(__file__).resolve().parents[2])

import numpy as np
from scipy import special, stats
from tqdm import tqdm

from benchmark.stats import against_chance, photo_intervals, rank_intervals
from benchmark.stats.clusters import photo_weights
from benchmark.stats.intervals import difference_intervals
from benchmark.stats.resampling import cluster_sums
from benchmark.stats.student import p_values

COUNTS = (6, 10, 16, 28, 60)
SHAPES = ("equal", "geometric", "zipf")
ACCURACIES = (0.5, 0.9, 0.98)

MEAN_SIZE = 27
RATIO = 0.8
ENCODERS = 8

ALIKE, UNLIKE = (0.6, 0.3), (1.0, 0.5)
"""Standard deviations, where a single answer has 1, of what a cluster does to all encoders and to each of them."""

OF_PHOTOS = (1.0, 0.5)
OF_PHOTOS_IN_SET_UPS = (2.0, 0.2)
"""The same of a photo: two set-ups of one encoder agree about most photos."""

EXACT_SIGNS, SIGNS = 9, 499
"""Clusters up to which the wild bootstrap takes all signs; random signs of more."""

FOUND_AT = 0.43
"""Standard errors beyond the critical value at which a t-test finds an effect in two of three trials."""


@dataclass(frozen=True)
class Row:
    """Shares of trials in one setting."""

    clusters: int
    sizes: str
    effective: float
    accuracy: float
    single: float
    chance: float
    paired_null: float
    paired: float
    size: float
    detected: float
    t_detected: float
    spd: float
    spd_size: float
    ranks: float
    wild_chance: float
    wild_size: float
    wild_detected: float
    trials: int


def cluster_sizes(count: int, shape: str) -> np.ndarray:
    """int64 [count], photos of each cluster, at least one."""
    shares = {"equal": np.ones(count), "geometric": RATIO ** np.arange(count), "zipf": 1 / np.arange(1, count + 1)}
    share = shares[shape] / shares[shape].sum()
    return np.maximum(1, np.round(share * count * MEAN_SIZE)).astype(np.int64)


def draw(
    rng: np.random.Generator,
    trials: int,
    sizes: np.ndarray,
    accuracies: tuple[float, ...],
    of_clusters: tuple[float, float],
    of_photos: tuple[float, float] = OF_PHOTOS,
) -> list[np.ndarray]:
    """Whether each encoder is right: a bool array [trials, photos] for each accuracy."""
    spread = math.sqrt(1 + sum(np.square([*of_clusters, *of_photos])))

    def effect(deviation: float, count: int) -> np.ndarray:
        return deviation * rng.standard_normal((trials, count), dtype=np.float32)

    photos, clusters = int(sizes.sum()), len(sizes)
    common = effect(of_photos[0], photos) + effect(of_clusters[0], clusters).repeat(sizes, axis=1)
    answers = []
    for accuracy in accuracies:
        each = effect(math.hypot(1, of_photos[1]), photos) + effect(of_clusters[1], clusters).repeat(sizes, axis=1)
        answers.append(common + each + special.ndtri(accuracy) * spread > 0)
    return answers


@dataclass(frozen=True)
class Held:
    """One kind of difference over all trials."""

    coverage: float
    detected: float
    t_detected: float
    wild: float


def measure_difference(first: np.ndarray, second: np.ndarray, clusters: np.ndarray, truth: float) -> Held:
    """Coverage and share of p-values below 5 % of ``benchmark.stats`` and of a t-test over cluster means."""
    values = first.astype(float) - second
    intervals, means = difference_intervals(values, np.ones(len(clusters)), clusters, 1.0, 0.95)
    held = np.mean([i.low - 1e-12 <= truth <= i.high + 1e-12 for i in intervals])
    sums, rows = cluster_sums(values, np.ones(len(clusters)), clusters)
    of_clusters = sums / rows
    error = of_clusters.std(axis=1, ddof=1) / math.sqrt(len(rows))
    reach = stats.t.ppf(0.975, len(rows) - 1) * error
    t_detected = np.abs(of_clusters.mean(axis=1)) > reach + 1e-12
    wild = float(np.mean(wild_p_values(of_clusters, photo_weights(rows).weights) < 0.05))
    return Held(float(held), float(np.mean(p_values(means) < 0.05)), float(t_detected.mean()), wild)


def wild_p_values(of_clusters: np.ndarray, weights: np.ndarray, *, greater: bool = False, seed: int = 0) -> np.ndarray:
    """P-values of a mean of zero by the wild cluster bootstrap (Cameron, Gelbach and Miller 2008), Rademacher weights.

    Args:
        of_clusters: [trials, G], mean of each cluster under the null hypothesis.
        weights: [G], their sum is 1.
        greater: one-sided.
        seed: of the signs.

    >>> wild_p_values(np.ones((1, 5)), np.full(5, 0.2)).tolist()  # of 32 signs, all + and all -
    [0.0625]
    """
    count = len(weights)
    if count <= EXACT_SIGNS:
        signs = 1.0 - 2 * (np.arange(2**count)[:, None] >> np.arange(count) & 1)
    else:
        signs = np.random.default_rng(seed).choice([-1.0, 1.0], (SIGNS, count))
        signs[0] = 1
    parts = of_clusters * weights
    means = parts @ signs.T
    squares = np.square(parts).sum(axis=1)[:, None] - 2 * means * ((parts * weights) @ signs.T)
    t = means / np.sqrt(np.maximum(squares + np.square(means) * np.square(weights).sum(), 1e-18))
    if not greater:
        t = np.abs(t)
    shares: np.ndarray = (t >= t[:, :1] - 1e-9).mean(axis=1)
    return shares


def measure(count: int, shape: str, accuracy: float, trials: int, seed: int, of_clusters: tuple[float, float]) -> Row:
    """One row."""
    rng = np.random.default_rng([seed, count, SHAPES.index(shape), round(1000 * accuracy)])
    sizes = cluster_sizes(count, shape)
    clusters = np.arange(count).repeat(sizes)
    first, second = draw(rng, trials, sizes, (accuracy, accuracy), of_clusters)
    singles = photo_intervals(first, clusters=clusters)
    rights, photos = cluster_sums(first.astype(float), np.ones(len(clusters)), clusters)
    wild = wild_p_values(rights / photos - accuracy, photo_weights(photos).weights, greater=True)

    null = measure_difference(first, second, clusters, 0.0)
    lower = max(0.02, accuracy - _detectable(rng, sizes, accuracy, of_clusters))
    other = measure_difference(*draw(rng, trials, sizes, (accuracy, lower), of_clusters), clusters, accuracy - lower)
    set_ups = draw(rng, trials, sizes, (accuracy, accuracy), of_clusters, OF_PHOTOS_IN_SET_UPS)
    spd = measure_difference(*set_ups, clusters, 0.0)
    boards = np.stack(draw(rng, trials, sizes, (accuracy,) * ENCODERS, of_clusters), axis=1)
    ranks = [rank_intervals(board, clusters=clusters) for board in boards]
    return Row(
        clusters=count,
        sizes=shape,
        effective=float(sizes.sum() ** 2 / np.square(sizes).sum()),
        accuracy=accuracy,
        single=float(np.mean([i.low - 1e-12 <= accuracy <= i.high + 1e-12 for i in singles])),
        chance=float(np.mean([against_chance(row, accuracy, clusters=clusters) < 0.05 for row in first])),
        paired_null=null.coverage,
        paired=other.coverage,
        size=null.detected,
        detected=other.detected,
        t_detected=other.t_detected,
        spd=spd.coverage,
        spd_size=spd.detected,
        ranks=float(np.mean([r.low.max() > 1 or r.high.min() < ENCODERS for r in ranks])),
        wild_chance=float(np.mean(wild < 0.05)),
        wild_size=null.wild,
        wild_detected=other.wild,
        trials=trials,
    )


def _detectable(
    rng: np.random.Generator, sizes: np.ndarray, accuracy: float, of_clusters: tuple[float, float]
) -> float:
    first, second = draw(rng, 400, sizes, (accuracy, accuracy), of_clusters)
    sums, rows = cluster_sums(
        first.astype(float) - second, np.ones(int(sizes.sum())), np.arange(len(sizes)).repeat(sizes)
    )
    return float((stats.t.ppf(0.975, len(sizes) - 1) + FOUND_AT) * (sums / rows).std() / math.sqrt(len(sizes)))


def settings(only: str = "") -> Iterator[tuple[int, str, float]]:
    """Every (number of clusters, kind of sizes, accuracy), or those of one kind of sizes."""
    for shape in SHAPES:
        for count in COUNTS:
            for accuracy in ACCURACIES:
                if only in shape:
                    yield count, shape, accuracy


def table(trials: int, seed: int = 0, *, unlike: bool = False, only: str = "") -> list[Row]:
    """All rows."""
    of_clusters = UNLIKE if unlike else ALIKE
    return [measure(*setting, trials, seed, of_clusters) for setting in tqdm(list(settings(only)), disable=None)]


def text(rows: list[Row]) -> str:
    """A line a row, shares in per cent."""
    names = [field.name for field in fields(Row)][4:-1]
    lines = [f"{'clusters':<22} {'eff.':>5} {'acc.':>5} " + " ".join(f"{name:>13}" for name in names)]
    for row in rows:
        numbers = " ".join(f"{100 * getattr(row, name):>13.1f}" for name in names)
        lines.append(f"{row.clusters:>3} {row.sizes:<18} {row.effective:>5.1f} {row.accuracy:>5.2f} {numbers}")
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--trials", type=int, default=2000, help="simulated data sets per row")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--unlike", action="store_true", help="clusters that differ more")
    parser.add_argument("--only", default="", choices=("", *SHAPES), help="rows of one kind of sizes")
    parser.add_argument("--json", action="store_true", help="print JSON")
    options = parser.parse_args()
    rows = table(options.trials, options.seed, unlike=options.unlike, only=options.only)
    print(json.dumps([asdict(row) for row in rows], indent=2) if options.json else text(rows))


if __name__ == "__main__":
    main()
