"""Simulated answers: coverage of the intervals of flips and of accuracy, and how often a claim is false.

    python -m scripts.checks.answers [--sets 1000] [--first 0] [--seed 0]

The margin of each photo is normal, a part of it common to the photos of a scene. Under each of 14 processings it is
drawn again with correlation 0.9, so that about one answer in seven flips and accuracy stays the same; under the noise
floor alike. In *null* sets every claim is false. In *moved* sets margins also fall by 0.15 standard deviations, and
coverage is of the true change. One line for each number of photos, of scenes (0: every photo is a unit) and accuracy.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

if __name__ == "__main__" and not __package__:  # by its path, not by python -m
    sys.path[0] = str(Path(__file__).resolve().parents[2])

import numpy as np
from scipy.special import ndtr, ndtri

from benchmark.judgement import answer_moves
from benchmark.results import Result
from benchmark.tasks.answers.table import AnswerTable, by_processing
from builders.pixels import STUDY_PROCESSINGS

CASES = tuple((n, scenes, accuracy) for n, scenes in ((60, 0), (300, 0), (300, 30)) for accuracy in (0.6, 0.9))
"""Photos, scenes, and share of right answers."""

CORRELATION = 0.9
"""Correlation of margins under two views."""

WITHIN = 0.5
"""Share of the variance that the photos of a scene share."""


def margins(rng: np.random.Generator, n: int, scene: np.ndarray | None) -> np.ndarray:
    """Standard normal, float64 [n], alike within a scene."""
    alone = rng.normal(size=n)
    if scene is None:
        return alone
    return np.sqrt(1 - WITHIN) * alone + np.sqrt(WITHIN) * rng.normal(size=int(scene.max()) + 1)[scene]


def planted(rng: np.random.Generator, n: int, scenes: int, accuracy: float, fall: float) -> AnswerTable:
    """Answers about one set: the right option is 0 where the margin is above 0."""
    scene = np.arange(n) % scenes if scenes else None
    mean, first = float(ndtri(accuracy)), margins(rng, n, scene)

    def under(lower: float) -> np.ndarray:
        margin = CORRELATION * first + np.sqrt(1 - CORRELATION**2) * margins(rng, n, scene)
        return (mean - lower + margin <= 0).astype(np.int8)

    return AnswerTable(
        photos=np.arange(n),
        photo=np.arange(n),
        right=np.zeros(n, np.int8),
        options=np.full(n, 2, np.int8),
        original=(mean + first <= 0).astype(np.int8),
        processed={name: under(fall) for name in STUDY_PROCESSINGS},
        noise={"other-precision": under(0.0)},
        probability=None,
        margin=None,
        moved=None,
        clusters=scene,
    )


def true_flips(accuracy: float, fall: float) -> float:
    """Probability that the answer is another one, from 2,000,000 draws."""
    rng, mean = np.random.default_rng(0), float(ndtri(accuracy))
    first = rng.normal(size=2_000_000)
    second = CORRELATION * first + np.sqrt(1 - CORRELATION**2) * rng.normal(size=len(first))
    return float(((mean + first > 0) != (mean - fall + second > 0)).mean())


def measured(seed: int, sets: range, case: tuple[int, int, float], fall: float) -> dict[str, float]:
    """Shares over sets: intervals that hold the truth, and sets with a claim."""
    n, scenes, accuracy = case
    change = float(ndtr(ndtri(accuracy) - fall)) - accuracy
    flips = true_flips(accuracy, fall)
    held: dict[str, list[float]] = {"flips": [], "change": []}
    claims: dict[str, list[bool]] = {"beyond": [], "change": []}
    for number in sets:
        rng = np.random.default_rng([seed, number, n, scenes, round(100 * accuracy)])
        table = planted(rng, n, scenes, accuracy, fall)
        rows = by_processing(table)
        for name, truth in (("flips", flips), ("change", change)):
            inside = [row[f"{name}_low"] <= truth <= row[f"{name}_high"] for row in rows.values()]
            held[name].append(float(np.mean(inside)))
        units = {} if table.clusters is None else {"effective_units": float(scenes)}
        score = SimpleNamespace(details={"by_processing": rows, **units}, n=n)
        judged = answer_moves(cast(Result, cast(Any, SimpleNamespace(scores=[score]))))
        for claim, moves in judged.items():
            claims[claim].append(any(m.decision is not None and m.decision.answer == "yes" for m in moves.values()))
    shares = {f"covered {name}": float(np.mean(values)) for name, values in held.items()}
    return {**shares, **{f"claims {name}": float(np.mean(values)) for name, values in claims.items()}}


def main(words: list[str] | None = None) -> int:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--sets", type=int, default=1000)
    parser.add_argument("--first", type=int, default=0, help="number of the first set")
    parser.add_argument("--seed", type=int, default=0)
    args = parser.parse_args(words)
    sets = range(args.first, args.first + args.sets)
    print(f"{args.sets} sets from {args.first}, seed {args.seed}, {len(STUDY_PROCESSINGS)} processings; all in %")
    print("kind   photos  scenes  accuracy  covered: flips  change  a claim: beyond noise  accuracy")
    for kind, fall in (("null", 0.0), ("moved", 0.15)):
        for case in CASES:
            row = {name: 100 * value for name, value in measured(args.seed, sets, case, fall).items()}
            print(
                f"{kind:<6} {case[0]:>6}  {case[1]:>6}  {100 * case[2]:>8.0f}  {row['covered flips']:>14.1f}  "
                f"{row['covered change']:>6.1f}  {row['claims beyond']:>21.1f}  {row['claims change']:>8.1f}",
                flush=True,
            )
    return 0


if __name__ == "__main__":
    sys.exit(main())
