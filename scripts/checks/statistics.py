"""Do intervals and paired differences hold what they promise, where the truth is known?

    python scripts/checks/statistics.py intervals [--trials 2000] [--only scenes] [--json]
    python scripts/checks/statistics.py differences [--trials 2000] [--seed 0] [--json]

``intervals``: how often the 95 % intervals of shares hold the truth, against the plain percentile bootstrap
(multinomial weights) on the same photos, to show what the two half photos of ``benchmark.stats.resampling`` and the
closed form for scenes are for.

``differences``: coverage, power and null p-values of paired differences. Two encoders answer about the same photos. An
answer is right where a normal variable is above a threshold; shares of its variance belong to the scene and to the
photo, partly common to both encoders, so that the true difference has a closed form. On the same data stands Student's
t over units (photos, or scenes of 27), ``scipy``'s, which the corrections of ``benchmark.stats.student`` must not fall
behind. Where encoders differ, they do so by as much as the t-test finds in about two of three trials. ``KS`` is the
p-value of a Kolmogorov-Smirnov test of the null p-values against the uniform distribution. It is left out where more
than 0.5 % of trials have one and the same p-value: with few answers a difference takes few values, and no p-value of it
is uniform.
"""

from __future__ import annotations

import argparse
import json
import math
import sys
from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import asdict, dataclass
from pathlib import Path

if __name__ == "__main__" and not __package__:  # by its path, not by python -m
    sys.path[0] = str(Path(__file__).resolve().parents[2])

import numpy as np
from scipy import special, stats
from tqdm import tqdm

from benchmark.stats import paired_difference, photo_interval

ACCURACIES = (0.2, 0.5, 0.8, 0.9, 0.98)
SCENES = ((0.11, 20.0), *((p, 8.0) for p in ACCURACIES), *((p, 3.0) for p in ACCURACIES))
"""Accuracies, and how alike scenes are: the accuracy of a scene is a Beta variable of that concentration."""

PHOTOS_OF_A_SCENE = 27
LARGEST_ATOM = 0.005

COMMON, PER_ENCODER = 1.0, 0.5
"""Standard deviations, where a single answer has 1, of what a photo (and a scene) does to both and to each."""

FOUND_AT = 0.43
"""Standard errors beyond the critical value at which a t-test finds an effect in two of three trials."""

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
    clustered: float
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
        accuracies = rng.beta(accuracy * concentration, (1 - accuracy) * concentration, n)
        return rng.binomial(views, accuracies) / views

    return draw


def scenes(accuracy: float, concentration: float, photos: int) -> Draw:
    """One answer per photo; the ``photos`` of a scene share its own difficulty, a Beta variable of that mean."""

    def draw(rng: np.random.Generator, n: int) -> np.ndarray:
        accuracies = rng.beta(accuracy * concentration, (1 - accuracy) * concentration, n // photos)
        return (rng.random(n) < accuracies.repeat(photos)).astype(float)

    return draw


def settings(quick: bool = False) -> list[Setting]:
    """The simulated worlds; ``quick`` keeps a few for the tests."""
    sizes, accuracies = ((100,), (0.5, 0.9)) if quick else ((40, 300), ACCURACIES)
    all_settings = []
    for n in sizes:
        all_settings += [
            *(Setting(f"one answer per photo, {a:g}", n, a, answers(a)) for a in accuracies),
            *(Setting(f"60 answers per photo, clustered, {a:g}", n, a, clustered(a, 2.0, 60)) for a in (0.35, 0.95)),
            Setting("6 answers per photo, nearly independent, 0.35", n, 0.35, clustered(0.35, 50.0, 6)),
            Setting("60 answers per photo, all but independent, 0.17", n, 0.17, clustered(0.17, 500.0, 60)),
        ]
    for clusters in (10,) if quick else (6, 10, 14, 28):
        for a, concentration in ((0.11, 20.0), (0.4, 8.0), (0.9, 8.0)) if quick else SCENES:
            name = f"{clusters} scenes of 27 photos, {a:g}, concentration {concentration:g}"
            all_settings.append(Setting(name, 27 * clusters, a, scenes(a, concentration, 27), cluster=27))
    return all_settings


def coverage(setting: Setting, trials: int, resamples: int = 1000, seed: int = 0) -> Coverage:
    """Draw the photos of a setting again and again and count the intervals that hold the truth."""
    rng = np.random.default_rng([seed, setting.n])
    clustered = plain = 0
    width = plain_width = 0.0
    for trial in range(trials):
        values = setting.draw(rng, setting.n)
        clusters = np.arange(setting.n) // setting.cluster if setting.cluster > 1 else None
        interval = photo_interval(values, clusters=clusters, resamples=resamples, seed=trial)
        low, high = interval.low, interval.high
        clustered += low - 1e-12 <= setting.truth <= high + 1e-12
        width += high - low
        low, high = percentile_bootstrap(values, resamples, rng)
        plain += low - 1e-12 <= setting.truth <= high + 1e-12
        plain_width += high - low
    return Coverage(
        setting.name,
        setting.n,
        setting.truth,
        clustered / trials,
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


def interval_rows(trials: int = 2000, quick: bool = False, resamples: int = 1000, only: str = "") -> list[Coverage]:
    """The table of intervals, or its rows whose name has ``only`` in it."""
    wanted = [setting for setting in settings(quick) if only in setting.name]
    return [coverage(setting, trials, resamples) for setting in tqdm(wanted, disable=None)]


def interval_text(table: list[Coverage]) -> str:
    """A line a setting."""
    lines = [f"{'setting':<48} {'photos':>6} {'ours':>7} {'plain':>7} {'width':>7} {'plain':>7}"]
    for r in table:
        shares = f"{r.clustered:>7.1%} {r.plain:>7.1%}"
        lines.append(f"{r.setting:<48} {r.n:>6} {shares} {r.width:>7.4f} {r.plain_width:>7.4f}")
    return "\n".join(lines)


@dataclass(frozen=True)
class World:
    """Two encoders whose true accuracies are known."""

    units: int
    photos_each: int
    """1: photos stand alone; more: photos of a scene."""
    answers: int
    """Of each encoder about each photo."""
    first: float
    second: float

    @property
    def name(self) -> str:
        return f"{self.units} {'photos' if self.photos_each == 1 else 'scenes'}, {self.answers} answer(s)"


@dataclass(frozen=True)
class Difference:
    """One world, many trials."""

    world: str
    accuracy: float
    truth: float
    """Of the difference, 0 where the encoders are equal."""
    coverage: float
    """Share of trials whose interval holds the truth."""
    t_coverage: float
    """The same of Student's t."""
    detected: float
    """Share of trials with a p-value below 5 %."""
    t_detected: float
    ks: float | None
    trials: int


def draw_world(world: World, rng: np.random.Generator) -> np.ndarray:
    """float64 [2, photos], the share of right answers of either encoder."""
    photos = world.units * world.photos_each
    levels = 1 if world.photos_each == 1 else 2
    spread = math.sqrt(1 + levels * (COMMON**2 + PER_ENCODER**2))
    latent = special.ndtri([[world.first], [world.second]]) * spread

    def effect(count: int) -> np.ndarray:
        return COMMON * rng.standard_normal(count) + PER_ENCODER * rng.standard_normal((2, count))

    latent = latent + effect(photos)
    if levels == 2:
        latent = latent + effect(world.units).repeat(world.photos_each, axis=1)
    return rng.binomial(world.answers, special.ndtr(latent)) / world.answers


def worlds(quick: bool = False) -> Iterable[World]:
    """Every kind of data, with equal encoders and with ones that differ; ``quick`` keeps a few for the tests."""
    kinds = [(units, 1, answers) for units in (40, 300) for answers in (1, 6, 60)]
    kinds += [(units, PHOTOS_OF_A_SCENE, answers) for units in (6, 10, 14, 28) for answers in (1, 6)]
    if quick:
        kinds = [(40, 1, 60), (6, PHOTOS_OF_A_SCENE, 6), (10, PHOTOS_OF_A_SCENE, 1)]
    for units, photos_each, answers in kinds:
        for accuracy in (0.5, 0.98) if quick else ACCURACIES:
            yield World(units, photos_each, answers, accuracy, accuracy)
            yield World(units, photos_each, answers, accuracy, _worse(units, photos_each, answers, accuracy))


def measure_difference(world: World, trials: int, seed: int) -> Difference:
    """Draw a world again and again."""
    rng = np.random.default_rng([seed, world.units, world.answers, round(1000 * world.second)])
    scenes = None if world.photos_each == 1 else np.arange(world.units).repeat(world.photos_each)
    truth = world.first - world.second
    critical = stats.t.ppf(0.975, world.units - 1)
    held, t_held, p_values, t_detected = 0, 0, [], 0
    for _ in range(trials):
        first, second = draw_world(world, rng)
        paired = paired_difference(first, second, clusters=scenes)
        held += paired.low <= truth <= paired.high
        p_values.append(paired.p_value)
        of_units = (first - second).reshape(world.units, -1).mean(axis=1)
        error = of_units.std(ddof=1) / math.sqrt(world.units)
        reach = critical * error
        t_held += abs(of_units.mean() - truth) <= reach
        t_detected += abs(of_units.mean()) > reach
    ks = None
    if truth == 0 and Counter(p_values).most_common(1)[0][1] <= LARGEST_ATOM * trials:
        ks = float(stats.kstest(p_values, "uniform").pvalue)
    share = float(np.mean(np.array(p_values) < 0.05))
    coverage, t_coverage = held / trials, t_held / trials
    return Difference(world.name, world.first, truth, coverage, t_coverage, share, t_detected / trials, ks, trials)


def difference_rows(trials: int = 2000, quick: bool = False, seed: int = 0) -> list[Difference]:
    """The whole table of differences."""
    return [measure_difference(world, trials, seed) for world in tqdm(list(worlds(quick)), disable=None)]


def difference_text(table: list[Difference]) -> str:
    """Every row, then a line for each kind of data over its accuracies."""
    lines = [f"{'data':<24} {'acc.':>5} {'diff.':>6} {'cover':>6} {'t':>6} {'found':>6} {'t':>6} {'KS':>6}"]
    for r in table:
        ks = "" if r.ks is None else f"{r.ks:.3f}"
        lines.append(
            f"{r.world:<24} {r.accuracy:>5.2f} {r.truth:>+6.3f} {r.coverage:>6.1%} {r.t_coverage:>6.1%} "
            f"{r.detected:>6.1%} {r.t_detected:>6.1%} {ks:>6}"
        )
    lines += ["", f"{'data':<24} {'cover':>14} {'t cover':>14} {'size':>14} {'found':>14} {'behind t':>9} {'KS':>14}"]
    for world in dict.fromkeys(r.world for r in table):
        of = [r for r in table if r.world == world]
        null, apart = [r for r in of if not r.truth], [r for r in of if r.truth]
        behind = max(r.t_detected - r.detected for r in apart)
        lines.append(
            f"{world:<24} {_range(of, lambda r: r.coverage)} {_range(of, lambda r: r.t_coverage)} "
            f"{_range(null, lambda r: r.detected)} {_range(apart, lambda r: r.detected)} {behind:>9.1%} "
            f"{', '.join(f'{r.ks:.2f}' for r in null if r.ks is not None) or '-':>14}"
        )
    return "\n".join(lines)


def _range(table: list[Difference], of: Callable[[Difference], float]) -> str:
    values = [of(r) for r in table]
    return f"{min(values):>6.1%}-{max(values):<6.1%} "


def _worse(units: int, photos_each: int, answers: int, accuracy: float) -> float:
    """The accuracy, nearer to a half, of the encoder that a t-test tells from ``accuracy`` in about two of three."""
    pilot = World(2000, photos_each, answers, accuracy, accuracy)
    first, second = draw_world(pilot, np.random.default_rng(1))
    spread = (first - second).reshape(pilot.units, -1).mean(axis=1).std()
    gain = (stats.t.ppf(0.975, units - 1) + FOUND_AT) * spread / math.sqrt(units)
    return accuracy + gain if accuracy < 0.5 else accuracy - min(gain, accuracy - 0.02)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", choices=("intervals", "differences"))
    parser.add_argument("--trials", type=int, default=2000, help="simulated data sets per row")
    parser.add_argument("--seed", type=int, default=0, help="of differences")
    parser.add_argument("--only", default="", metavar="TEXT", help="rows of intervals that have this in their name")
    parser.add_argument("--quick", action="store_true", help="a few rows only")
    parser.add_argument("--json", action="store_true", help="print JSON")
    options = parser.parse_args()
    table: list[Coverage] | list[Difference]
    if options.what == "intervals":
        table = interval_rows(options.trials, options.quick, only=options.only)
        printed = interval_text(table)
    else:
        table = difference_rows(options.trials, options.quick, options.seed)
        printed = difference_text(table)
    print(json.dumps([asdict(row) for row in table], indent=2) if options.json else printed)


if __name__ == "__main__":
    main()
