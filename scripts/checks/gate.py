"""How often the gate of ``camtrace compare`` stops encoders that are worse, and encoders that are equal.

    python scripts/checks/gate.py

Pairs of encoders are simulated as per-photo answers and judged by ``gate_runs``, as the command does. The power depends
on how many photos the two encoders answer differently, which is a parameter.
"""

from __future__ import annotations

import sys
from pathlib import Path

if __name__ == "__main__" and not __package__:  # by its path, not by python -m
    sys.path[0] = str(Path(__file__).resolve().parents[2])

import numpy as np

from benchmark.compare import Gate, gate_runs
from benchmark.report import markdown_table
from benchmark.results import PhotoValues, Result, Run

TASKS = ("knn/original", "probe/jpeg", "knn/jpeg", "probe/make", "probe/sharpening", "probe/resizing", "knn/resizing")
METRICS = {"knn/original": "accuracy", "knn/jpeg": "spd", "knn/resizing": "spd"}


def judged(
    rng: np.random.Generator, *, n: int, worse_by: float, differing: float, tasks: int, margin: float = 0.0
) -> Gate:
    """The gate on one simulated pair.

    Args:
        rng: random numbers.
        n: photos.
        worse_by: true loss on every task, as a share.
        differing: share of photos that the two encoders answer differently, at least ``worse_by``.
        tasks: number of tasks that are judged.
        margin: of the gate.
    """
    old, new = {}, {}
    for task in TASKS[:tasks]:
        metric = METRICS.get(task, "accuracy")
        before, after = _answers(rng, n, worse_by, differing)
        values = (before, after) if task == "knn/original" else (1 - before, 1 - after)  # more trace is worse
        if task == "knn/resizing":  # a difference around 0
            repelled = rng.random(n) < 0.3
            values = (values[0] - repelled, values[1] - repelled)
        bounds = (-1.0, 1.0) if metric == "spd" else (0.0, 1.0)
        old[task, metric], new[task, metric] = (PhotoValues(np.arange(n), each, bounds) for each in values)
    return gate_runs([_run("old", old)], [_run("new", new)], margin=margin)


def _answers(rng: np.random.Generator, n: int, worse_by: float, differing: float) -> tuple[np.ndarray, np.ndarray]:
    """Right (1) and wrong (0) answers of two encoders, 70 % right where they agree."""
    agreed = (rng.random(n) < 0.7) * 1.0
    kind = rng.random(n)
    lost = kind < (differing + worse_by) / 2
    gained = (kind >= (differing + worse_by) / 2) & (kind < differing)
    return np.where(lost, 1.0, np.where(gained, 0.0, agreed)), np.where(lost, 0.0, np.where(gained, 1.0, agreed))


def _run(encoder: str, answers: dict[tuple[str, str], PhotoValues]) -> Run:
    result = Result({"id": encoder}, {"name": "simulated", "question_hash": "q"}, {}, (), (), {}, "")
    return Run(Path(encoder), result, answers, {})


def stopped(pairs: int, *, seed: int = 0, **how: float) -> int:
    """Number of simulated pairs that the gate stops; ``how`` as in ``judged``."""
    rng = np.random.default_rng(seed)
    return sum(not judged(rng, **how).passed() for _ in range(pairs))  # type: ignore[arg-type]


def main() -> int:
    pairs = 1000
    rows = []
    for tasks in (1, len(TASKS)):
        for differing in (0.04, 0.08, 0.16, 0.3):
            shares = [
                stopped(pairs, n=n, worse_by=loss, differing=differing, tasks=tasks) / pairs
                for n, loss in ((1000, 0.0), (1000, 0.03), (5000, 0.03))
            ]
            rows.append([str(tasks), f"{100 * differing:.0f} %", *(f"{100 * share:.1f} %" for share in shares)])
    header = ["tasks", "photos answered differently", "equal, n = 1,000", "3 points worse, n = 1,000", "n = 5,000"]
    print(f"Share of {pairs:,} simulated pairs that the gate stops at margin 0:\n\n{markdown_table(header, rows)}")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
