"""How fast the probes are: against scikit-learn's LogisticRegression and SGD one trial at a time, same estimators.

The losses of the two solvers are compared on the way. Each figure is there for 1, 2 and all threads.
``--set threads=1 --set clock=processor`` gives steadier ratios on a machine that others use.
"""

from __future__ import annotations

import warnings
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from sklearn.linear_model import LogisticRegression

from benchmark.probe import processing_probe
from benchmark.probe.protocols.converged import STRENGTHS
from benchmark.probe.protocols.iccv2025 import ROUNDS
from benchmark.probe.solver.rows import normalised
from benchmark.probe.solver.sgd import BATCH_SIZE, EPOCHS, MOMENTUM
from scripts.speed.measure import Row, Times, interleaved, thread_count, usual_thread_counts
from scripts.speed.synthetic import steep_banks

SEEDS = 10


@dataclass(frozen=True)
class Size:
    """A processing probe: photos, dimension, classes, and photos to test on."""

    n_train: int
    dimension: int
    classes: int
    n_test: int


SIZES = {
    "quick": Size(60, 32, 3, 20),
    "default": Size(300, 1280, 6, 120),
    "imagenette": Size(1000, 1280, 6, 400),
    "large": Size(10_000, 768, 6, 1000),
}


class Problem:
    """A train and a test bank of each class, and the classes drawn for each fit."""

    def __init__(self, size: Size) -> None:
        rng = np.random.default_rng(0)
        banks = steep_banks(rng, size.n_train + size.n_test, size.dimension, size.classes)
        self.train, self.test = [b[: size.n_train] for b in banks], [b[size.n_train :] for b in banks]
        self.assignments = rng.integers(0, size.classes, (SEEDS, size.n_train))
        classes = self.assignments[0]
        self.x, self.y = normalised(np.stack([self.train[c][i] for i, c in enumerate(classes)])), classes
        """What the first fit learns from: unit-length embeddings and classes."""
        self.latest: Any = None
        """Answers of the probe that ran last."""

    def probe(self, protocol: str) -> Any:
        self.latest = processing_probe(self.train, self.test, self.assignments, protocol=protocol)
        return self.latest

    @property
    def n_fitted(self) -> int:
        """How many photos a trial of the search learns from."""
        return len(self.y) - self.latest.n_validation


def rows(
    quick: bool = False,
    *,
    sizes: Sequence[str] = ("default", "imagenette", "large"),
    rounds: int = 3,
    clock: str = "wall",
    threads: Sequence[int] = (),
) -> Iterator[Row]:
    """Both protocols at each size and number of threads; ``threads``: empty takes 1, 2 and all of torch's."""
    for name in ("quick",) if quick else sizes:
        size = SIZES[name]
        problem = Problem(size)
        note = f"{size.n_train} x {size.dimension} x {size.classes} classes x {SEEDS} seeds"
        for count in threads or usual_thread_counts():
            with thread_count(count):
                yield from _converged(name, problem, note, rounds, clock)
                yield from _iccv2025(name, problem, note, rounds, clock)


def _converged(name: str, problem: Problem, note: str, rounds: int, clock: str) -> Iterator[Row]:
    def path() -> None:
        n = problem.n_fitted
        for strength in STRENGTHS:
            _sklearn_loss(problem.x[:n], problem.y[:n], strength)

    def refit() -> float:
        loss = _sklearn_loss(problem.x, problem.y, problem.latest.chosen["strength"])
        return abs(loss - problem.latest.final_loss[0])

    work = {"probe": lambda: problem.probe("converged"), "path": path, "refit": refit}
    times = interleaved(work, rounds, clock=clock)
    searches = problem.latest.details()["assignments_searched"]
    times = times.scaled("their search", {"path": searches}).scaled("theirs", {"path": searches, "refit": SEEDS})
    fits = f"{searches} x {len(STRENGTHS)} fits to search, {SEEDS} to report"
    worst = max(times.results["refit"])
    scaled = f"one assignment timed, scaled; same gradient tolerance; losses differ by {worst:.0e} at most"
    what = f"{name}: LogisticRegression, one fit at a time"
    yield from _compared(f"{name}: converged", what, times, f"{note}; {fits}", fits, scaled)


def _iccv2025(name: str, problem: Problem, note: str, rounds: int, clock: str) -> Iterator[Row]:
    x, y = torch.from_numpy(problem.x), torch.from_numpy(problem.y)
    work = {
        "probe": lambda: problem.probe("iccv2025"),
        "trial": lambda: _one_trial(x[: problem.n_fitted], y[: problem.n_fitted]),
        "refit": lambda: _one_trial(x, y),
    }
    times = interleaved(work, rounds, clock=clock)
    trials = sum(ROUNDS)
    times = times.scaled("their search", {"trial": trials}).scaled("theirs", {"trial": trials, "refit": SEEDS})
    fits = f"{trials} trials in rounds of {'+'.join(str(r) for r in ROUNDS)}, {SEEDS} fits, {EPOCHS} epochs each"
    what = f"{name}: torch's SGD, one trial at a time"
    scaled = "one trial and one fit timed, scaled"
    yield from _compared(f"{name}: iccv2025", what, times, f"{note}; {fits}", fits, scaled)


def _compared(name: str, what: str, times: Times, note: str, fits: str, scaled: str) -> Iterator[Row]:
    shares = [one.search_s / (one.search_s + one.fit_s) for one in times.results["probe"]]
    times = times.scaled("search", {"probe": shares})
    n, threads = len(times), torch.get_num_threads()
    for row_name, part, of in ((name, "probe", note), (f"  {name}, its search", "search", fits)):
        seconds = times.median(part)
        yield Row(row_name, seconds, "s", n, seconds, threads=threads, note=of)
    for row_name, reference, part in ((what, "theirs", "probe"), (f"  {what}, search alone", "their search", "search")):
        ratio, seconds = times.ratio(reference, part), times.median(reference)
        yield Row(row_name, ratio, "times the probe's time", n, seconds, threads=threads, note=scaled)


def _sklearn_loss(x: np.ndarray, y: np.ndarray, strength: float) -> float:
    """The objective at scikit-learn's optimum."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        model = LogisticRegression(C=1 / (len(y) * strength), tol=1e-6, max_iter=100_000).fit(x, y)
    loss = -model.predict_log_proba(x.astype(np.float64))[np.arange(len(y)), y].mean()
    return float(loss + strength / 2 * (model.coef_**2).sum())


def _one_trial(x: torch.Tensor, y: torch.Tensor) -> None:
    """One run of the study's protocol as one writes it."""
    layer = torch.nn.Linear(x.shape[1], int(y.max()) + 1)
    optimiser = torch.optim.SGD(layer.parameters(), lr=1.0, momentum=MOMENTUM, weight_decay=1e-6)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimiser, EPOCHS)
    for _ in range(EPOCHS):
        for batch in torch.randperm(len(x)).split(BATCH_SIZE):
            optimiser.zero_grad()
            torch.nn.functional.cross_entropy(layer(x[batch]), y[batch]).backward()
            optimiser.step()
        schedule.step()
