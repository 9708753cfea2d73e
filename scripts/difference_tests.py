"""Do paired differences keep their word? Coverage, power and null p-values where the truth is known.

    python scripts/difference_tests.py [--trials 2000] [--seed 0] [--json]

Two encoders answer about the same photos. An answer is right where a normal variable is above a threshold; shares of
its variance belong to the scene and to the photo, partly common to both encoders, so that the true difference has a
closed form. Beside ours stands Student's t over units (photos, or scenes of 27) on the same data: ``scipy``'s, which
the corrections of ``benchmark.stats.student`` must not fall behind. Where encoders differ, they do so by as much as the
t-test finds in about two of three trials.

``KS`` is the p-value of a Kolmogorov-Smirnov test of the null p-values against the uniform distribution. It is left out
where more than 0.5 % of trials have one and the same p-value: with few answers a difference takes few values, and no
p-value of it is uniform.
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

import numpy as np
from scipy import special, stats
from tqdm import tqdm

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from benchmark.stats import paired_difference

PHOTOS_OF_A_SCENE = 27
ACCURACIES = (0.2, 0.5, 0.8, 0.9, 0.98)
LARGEST_ATOM = 0.005

COMMON, OWN = 1.0, 0.5
"""Standard deviations, beside the 1 of a single answer, of what a photo (and a scene) does to both and to each."""

FOUND_AT = 0.43
"""Standard errors beyond the critical value at which a t-test finds an effect in two of three trials."""


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
class Row:
    """One world, many trials."""

    world: str
    accuracy: float
    truth: float
    """Of the difference, 0 where the encoders are equal."""
    coverage: float
    """Share of trials whose interval holds the truth."""
    t_coverage: float
    """The same of Student's t."""
    found: float
    """Share of trials with a p-value below 5 %."""
    t_found: float
    ks: float | None
    trials: int


def draw(world: World, rng: np.random.Generator) -> np.ndarray:
    """float64 [2, photos], the share of right answers of either encoder."""
    photos = world.units * world.photos_each
    levels = 1 if world.photos_each == 1 else 2
    spread = math.sqrt(1 + levels * (COMMON**2 + OWN**2))
    latent = special.ndtri([[world.first], [world.second]]) * spread

    def effect(count: int) -> np.ndarray:
        return COMMON * rng.standard_normal(count) + OWN * rng.standard_normal((2, count))

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


def measure(world: World, trials: int, seed: int) -> Row:
    """Draw a world again and again."""
    rng = np.random.default_rng([seed, world.units, world.answers, round(1000 * world.second)])
    scenes = None if world.photos_each == 1 else np.arange(world.units).repeat(world.photos_each)
    truth = world.first - world.second
    critical = stats.t.ppf(0.975, world.units - 1)
    held, t_held, p_values, t_found = 0, 0, [], 0
    for _ in range(trials):
        first, second = draw(world, rng)
        found = paired_difference(first, second, clusters=scenes)
        held += found.low <= truth <= found.high
        p_values.append(found.p_value)
        of_units = (first - second).reshape(world.units, -1).mean(axis=1)
        error = of_units.std(ddof=1) / math.sqrt(world.units)
        reach = critical * error
        t_held += abs(of_units.mean() - truth) <= reach
        t_found += abs(of_units.mean()) > reach
    ks = None
    if truth == 0 and Counter(p_values).most_common(1)[0][1] <= LARGEST_ATOM * trials:
        ks = float(stats.kstest(p_values, "uniform").pvalue)
    share = float(np.mean(np.array(p_values) < 0.05))
    return Row(world.name, world.first, truth, held / trials, t_held / trials, share, t_found / trials, ks, trials)


def rows(trials: int = 2000, quick: bool = False, seed: int = 0) -> list[Row]:
    """The whole table."""
    return [measure(world, trials, seed) for world in tqdm(list(worlds(quick)), disable=None)]


def text(table: list[Row]) -> str:
    """Every row, then a line for each kind of data over its accuracies."""
    lines = [f"{'data':<24} {'acc.':>5} {'diff.':>6} {'cover':>6} {'t':>6} {'found':>6} {'t':>6} {'KS':>6}"]
    for r in table:
        ks = "" if r.ks is None else f"{r.ks:.3f}"
        lines.append(
            f"{r.world:<24} {r.accuracy:>5.2f} {r.truth:>+6.3f} {r.coverage:>6.1%} {r.t_coverage:>6.1%} "
            f"{r.found:>6.1%} {r.t_found:>6.1%} {ks:>6}"
        )
    lines += ["", f"{'data':<24} {'cover':>14} {'t cover':>14} {'size':>14} {'found':>14} {'behind t':>9} {'KS':>14}"]
    for world in dict.fromkeys(r.world for r in table):
        of = [r for r in table if r.world == world]
        null, apart = [r for r in of if not r.truth], [r for r in of if r.truth]
        behind = max(r.t_found - r.found for r in apart)
        lines.append(
            f"{world:<24} {_range(of, lambda r: r.coverage)} {_range(of, lambda r: r.t_coverage)} "
            f"{_range(null, lambda r: r.found)} {_range(apart, lambda r: r.found)} {behind:>9.1%} "
            f"{', '.join(f'{r.ks:.2f}' for r in null if r.ks is not None) or '-':>14}"
        )
    return "\n".join(lines)


def _range(table: list[Row], of: Callable[[Row], float]) -> str:
    values = [of(r) for r in table]
    return f"{min(values):>6.1%}-{max(values):<6.1%} "


def _worse(units: int, photos_each: int, answers: int, accuracy: float) -> float:
    """The accuracy, nearer to a half, of the encoder that a t-test tells from ``accuracy`` in about two of three."""
    pilot = World(2000, photos_each, answers, accuracy, accuracy)
    first, second = draw(pilot, np.random.default_rng(1))
    spread = (first - second).reshape(pilot.units, -1).mean(axis=1).std()
    gain = (stats.t.ppf(0.975, units - 1) + FOUND_AT) * spread / math.sqrt(units)
    return accuracy + gain if accuracy < 0.5 else accuracy - min(gain, accuracy - 0.02)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--trials", type=int, default=2000, help="simulated data sets per row")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--quick", action="store_true", help="a few rows only")
    parser.add_argument("--json", action="store_true", help="print JSON")
    options = parser.parse_args()
    table = rows(options.trials, options.quick, options.seed)
    print(json.dumps([asdict(row) for row in table], indent=2) if options.json else text(table))


if __name__ == "__main__":
    main()
