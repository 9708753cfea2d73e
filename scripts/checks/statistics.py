"""How often do the 95 % intervals of shares hold the truth? Simulated photos with known truth, one row a setting.

    python scripts/interval_coverage.py [--trials 2000] [--only scenes] [--json]

Beside ours stands the plain percentile bootstrap (multinomial weights) on the same photos, to show what the two half
photos of ``benchmark.stats.resampling`` and the closed form for scenes are for. ``scripts/difference_tests.py``
measures differences of two encoders.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
from tqdm import tqdm

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from benchmark.stats import photo_interval

PROPORTIONS = (0.2, 0.5, 0.8, 0.9, 0.98)
SCENES = ((0.11, 20.0), *((p, 8.0) for p in PROPORTIONS), *((p, 3.0) for p in PROPORTIONS))
"""Accuracies, and how alike scenes are: a scene's own accuracy is a Beta variable of that concentration."""

Draw = Callable[[np.random.Generator, int], np.ndarray]


@dataclass(frozen=True)
class Setting:
    """Photos whose values have a known mean."""

    name: str
    n: int
    truth: float
    draw: Draw
    """(generator, n) -> values [n]."""
    cluster: int = 1
    """So many photos in a row belong together and are resampled together."""


@dataclass(frozen=True)
class Coverage:
    """One row of the table."""

    setting: str
    n: int
    truth: float
    ours: float
    """Share of trials whose interval holds the truth."""
    plain: float
    """The same of the plain percentile bootstrap."""
    width: float
    """Mean width of ours."""
    plain_width: float
    trials: int


def answers(accuracy: float) -> Draw:
    """One right or wrong answer per photo."""
    return lambda rng, n: (rng.random(n) < accuracy).astype(float)


def clustered(accuracy: float, concentration: float, views: int) -> Draw:
    """``views`` answers per photo that share the photo's own difficulty, a Beta variable of that mean."""

    def draw(rng: np.random.Generator, n: int) -> np.ndarray:
        own = rng.beta(accuracy * concentration, (1 - accuracy) * concentration, n)
        return rng.binomial(views, own) / views

    return draw


def scenes(accuracy: float, concentration: float, photos: int) -> Draw:
    """One answer per photo; the ``photos`` of a scene share its own difficulty, a Beta variable of that mean."""

    def draw(rng: np.random.Generator, n: int) -> np.ndarray:
        own = rng.beta(accuracy * concentration, (1 - accuracy) * concentration, n // photos)
        return (rng.random(n) < own.repeat(photos)).astype(float)

    return draw


def settings(quick: bool = False) -> list[Setting]:
    """The simulated worlds; ``quick`` keeps a few for the tests."""
    sizes, accuracies = ((100,), (0.5, 0.9)) if quick else ((40, 300), PROPORTIONS)
    found = []
    for n in sizes:
        found += [
            *(Setting(f"one answer per photo, {a:g}", n, a, answers(a)) for a in accuracies),
            *(Setting(f"60 answers per photo, clustered, {a:g}", n, a, clustered(a, 2.0, 60)) for a in (0.35, 0.95)),
            Setting("6 answers per photo, nearly independent, 0.35", n, 0.35, clustered(0.35, 50.0, 6)),
            Setting("60 answers per photo, all but independent, 0.17", n, 0.17, clustered(0.17, 500.0, 60)),
        ]
    for clusters in (10,) if quick else (6, 10, 14, 28):
        for a, concentration in ((0.11, 20.0), (0.4, 8.0), (0.9, 8.0)) if quick else SCENES:
            name = f"{clusters} scenes of 27 photos, {a:g}, concentration {concentration:g}"
            found.append(Setting(name, 27 * clusters, a, scenes(a, concentration, 27), cluster=27))
    return found


def coverage(setting: Setting, trials: int, resamples: int = 1000, seed: int = 0) -> Coverage:
    """Draw the photos of a setting again and again and count the intervals that hold the truth."""
    rng = np.random.default_rng([seed, setting.n])
    ours = plain = 0
    width = plain_width = 0.0
    for trial in range(trials):
        values = setting.draw(rng, setting.n)
        clusters = np.arange(setting.n) // setting.cluster if setting.cluster > 1 else None
        interval = photo_interval(values, clusters=clusters, resamples=resamples, seed=trial)
        low, high = interval.low, interval.high
        ours += low - 1e-12 <= setting.truth <= high + 1e-12
        width += high - low
        low, high = percentile_bootstrap(values, resamples, rng)
        plain += low - 1e-12 <= setting.truth <= high + 1e-12
        plain_width += high - low
    return Coverage(
        setting.name,
        setting.n,
        setting.truth,
        ours / trials,
        plain / trials,
        width / trials,
        plain_width / trials,
        trials,
    )


def percentile_bootstrap(values: np.ndarray, resamples: int, rng: np.random.Generator) -> tuple[float, float]:
    """The textbook one: photos drawn with replacement (as multinomial counts of equal values)."""
    distinct, counts = np.unique(values, return_counts=True)
    draws = rng.multinomial(len(values), counts / len(values), resamples) @ distinct / len(values)
    low, high = np.quantile(draws, [0.025, 0.975])
    return float(low), float(high)


def rows(trials: int = 2000, quick: bool = False, resamples: int = 1000, only: str = "") -> list[Coverage]:
    """The table, or its rows whose name has ``only`` in it."""
    wanted = [setting for setting in settings(quick) if only in setting.name]
    return [coverage(setting, trials, resamples) for setting in tqdm(wanted, disable=None)]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--trials", type=int, default=2000, help="simulated data sets per row")
    parser.add_argument("--quick", action="store_true", help="a few rows only")
    parser.add_argument("--only", default="", metavar="TEXT", help="rows that have this in their name")
    parser.add_argument("--json", action="store_true", help="print JSON")
    options = parser.parse_args()
    table = rows(options.trials, options.quick, only=options.only)
    if options.json:
        print(json.dumps([asdict(row) for row in table], indent=2))
        return
    print(f"{'setting':<48} {'photos':>6} {'ours':>7} {'plain':>7} {'width':>7} {'plain':>7}")
    for row in table:
        print(
            f"{row.setting:<48} {row.n:>6} {row.ours:>7.1%} {row.plain:>7.1%} {row.width:>7.4f} {row.plain_width:>7.4f}"
        )


if __name__ == "__main__":
    main()
