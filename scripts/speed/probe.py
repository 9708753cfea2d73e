"""How fast the probes are: against scikit-learn's LogisticRegression and SGD one trial at a time, same estimators.

Everything is timed in one run, interleaved, and reported as the median; ratios are medians of the rounds' ratios. The
losses of the two solvers are compared on the way. Each figure is there for 1, 2 and all threads.

    python scripts/speed_probe.py [--quick] [--json] [--threads N ...] [--rounds N] [--cpu-time] [--sizes default ...]

``--cpu-time`` with ``--threads 1`` gives steadier ratios on a machine that others use.
"""

from __future__ import annotations

import argparse
import dataclasses
import json
import os
import platform
import statistics
import sys
import time
import warnings
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
import torch
from sklearn.linear_model import LogisticRegression
from threadpoolctl import threadpool_info, threadpool_limits

if __name__ == "__main__":
    sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from benchmark.probe import processing_probe
from benchmark.probe.converged import STRENGTHS
from benchmark.probe.features import normalised
from benchmark.probe.iccv2025 import ROUNDS
from benchmark.probe.sgd import BATCH_SIZE, EPOCHS, MOMENTUM

SEEDS = 10

T = TypeVar("T")


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


@dataclass(frozen=True)
class Row:
    """One measured figure."""

    part: str
    """``probe``."""
    what: str
    threads: int
    """Of torch and BLAS, for both sides."""
    seconds: float
    """Median over rounds, scaled where ``note`` says so."""
    ratio: float
    """Median over rounds of this / ours; 1 for ours."""
    meaning: str
    """How ``ratio`` reads."""
    note: str


@dataclass(frozen=True, eq=False)
class Data:
    """Synthetic banks: photos whose content has a steep spectrum, a trace for each class, noise of each view."""

    train: list[np.ndarray]
    test: list[np.ndarray]
    assignments: np.ndarray

    @classmethod
    def make(cls, size: Size) -> Data:
        rng = np.random.default_rng(0)
        n = size.n_train + size.n_test
        scale = 1 / np.sqrt(1 + np.arange(size.dimension))
        photos = rng.normal(size=(n, size.dimension)) * scale + scale
        banks = []
        for _ in range(size.classes):
            trace = 0.03 * rng.normal(size=size.dimension)
            noise = 0.05 * rng.normal(size=(n, size.dimension))
            banks.append((photos + trace + noise).astype(np.float32))
        assignments = rng.integers(0, size.classes, (SEEDS, size.n_train))
        return cls([b[: size.n_train] for b in banks], [b[size.n_train :] for b in banks], assignments)

    def rows_of(self, seed: int) -> tuple[np.ndarray, np.ndarray]:
        """What fit ``seed`` learns from: unit-length embeddings and classes."""
        y = self.assignments[seed]
        x = np.stack([self.train[c][i] for i, c in enumerate(y)])
        return normalised(x), y


def rows(
    quick: bool = False,
    *,
    sizes: Sequence[str] = ("default", "imagenette", "large"),
    rounds: int = 3,
    clock: Callable[[], float] = time.perf_counter,
    threads: Sequence[int] = (),
) -> list[Row]:
    """Measure; ``quick`` uses one tiny size, to see that it runs. ``threads``: 1, 2 and all of torch's by default."""
    return list(_rows(("quick",) if quick else sizes, rounds, clock, threads))


def _rows(sizes: Sequence[str], rounds: int, clock: Callable[[], float], threads: Sequence[int]) -> Iterator[Row]:
    before = torch.get_num_threads()
    for name in sizes:
        data = Data.make(SIZES[name])
        note = f"{SIZES[name].n_train} x {SIZES[name].dimension} x {SIZES[name].classes} classes x {SEEDS} seeds"
        for count in threads or sorted({1, min(2, before), before}):
            torch.set_num_threads(count)
            try:
                with threadpool_limits(count, user_api="blas"):
                    for measure in (_converged, _iccv2025):
                        yield from measure(name, data, note, rounds, clock)
            finally:
                torch.set_num_threads(before)


def machine() -> str:
    """The processor, the libraries of the products and their threads, and how busy the machine is."""
    model = platform.processor() or platform.machine()
    if (info := Path("/proc/cpuinfo")).exists():
        names = [line.partition(":")[2].strip() for line in info.read_text().splitlines() if "model name" in line]
        model = names[0] if names else model
    pools = [
        f"{pool['internal_api']} {pool['version'] or ''} ({pool['num_threads']} threads)".replace("  ", " ")
        for pool in threadpool_info()
    ]
    mkl = " with MKL" if torch.backends.mkl.is_available() else ""
    load = f", load {os.getloadavg()[0]:.1f}" if hasattr(os, "getloadavg") else ""
    return f"{os.cpu_count()} cores of {model}{load}; torch {torch.__version__}{mkl}; {', '.join(pools)}"


def _converged(name: str, data: Data, note: str, rounds: int, clock: Callable[[], float]) -> Iterator[Row]:
    ours: list[float] = []
    searches: list[float] = []
    theirs: list[float] = []
    their_searches: list[float] = []
    worst = 0.0
    for i in range(rounds + 1):
        total, answers = _timed(clock, processing_probe, data.train, data.test, data.assignments)
        share = answers.search_s / (answers.search_s + answers.fit_s)
        x, y = data.rows_of(0)
        held = len(y) - answers.n_validation
        path, losses = [], []
        for strength in STRENGTHS:
            seconds, _ = _timed(clock, _sklearn, x[:held], y[:held], strength)
            path.append(seconds)
        refit, loss = _timed(clock, _sklearn, x, y, answers.chosen["strength"])
        losses.append(abs(loss - answers.final_loss[0]))
        if i:  # the first round warms up
            pooled = answers.details()["assignments_searched"]
            ours.append(total)
            searches.append(share * total)
            their_searches.append(pooled * sum(path))
            theirs.append(pooled * sum(path) + SEEDS * refit)
            worst = max(worst, *losses)
    fits = f"{pooled} x {len(STRENGTHS)} fits to search, {SEEDS} to report"
    yield Row(
        "probe", f"{name}: converged", torch.get_num_threads(), statistics.median(ours), 1, "itself", f"{note}; {fits}"
    )
    yield Row(
        "probe",
        f"{name}: converged, its search",
        torch.get_num_threads(),
        statistics.median(searches),
        1,
        "itself",
        fits,
    )
    what = f"{name}: LogisticRegression, one fit at a time"
    scaled = f"one assignment timed, scaled; same gradient tolerance; losses differ by {worst:.0e} at most"
    yield _against(what, theirs, ours, scaled)
    yield _against(f"{what}, search alone", their_searches, searches, scaled)


def _iccv2025(name: str, data: Data, note: str, rounds: int, clock: Callable[[], float]) -> Iterator[Row]:
    ours: list[float] = []
    searches: list[float] = []
    theirs: list[float] = []
    their_searches: list[float] = []
    x, y = (torch.from_numpy(a) for a in data.rows_of(0))
    trials = sum(ROUNDS)
    for i in range(rounds + 1):
        total, answers = _timed(clock, processing_probe, data.train, data.test, data.assignments, protocol="iccv2025")
        share = answers.search_s / (answers.search_s + answers.fit_s)
        held = len(y) - answers.n_validation
        trial, _ = _timed(clock, _one_trial, x[:held], y[:held])
        refit, _ = _timed(clock, _one_trial, x, y)
        if i:
            ours.append(total)
            searches.append(share * total)
            their_searches.append(trials * trial)
            theirs.append(trials * trial + SEEDS * refit)
    fits = f"{trials} trials in rounds of {'+'.join(str(r) for r in ROUNDS)}, {SEEDS} fits, {EPOCHS} epochs each"
    yield Row(
        "probe", f"{name}: iccv2025", torch.get_num_threads(), statistics.median(ours), 1, "itself", f"{note}; {fits}"
    )
    yield Row(
        "probe",
        f"{name}: iccv2025, its search",
        torch.get_num_threads(),
        statistics.median(searches),
        1,
        "itself",
        fits,
    )
    what = f"{name}: torch's SGD, one trial at a time"
    yield _against(what, theirs, ours, "one trial and one fit timed, scaled")
    yield _against(f"{what}, search alone", their_searches, searches, "one trial timed, scaled")


def _against(what: str, theirs: list[float], ours: list[float], note: str) -> Row:
    ratio = statistics.median(b / a for a, b in zip(ours, theirs, strict=True))
    return Row("probe", what, torch.get_num_threads(), statistics.median(theirs), ratio, "times faster is ours", note)


def _timed(clock: Callable[[], float], run: Callable[..., T], *arguments: Any, **options: Any) -> tuple[float, T]:
    start = clock()
    answer = run(*arguments, **options)
    return clock() - start, answer


def _sklearn(x: np.ndarray, y: np.ndarray, strength: float) -> float:
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


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--quick", action="store_true", help="tiny size: runs, measures nothing of use")
    parser.add_argument("--json", action="store_true", help="print JSON")
    parser.add_argument("--threads", type=int, nargs="+", default=[], help="threads of torch and BLAS (1, 2 and all)")
    parser.add_argument("--rounds", type=int, default=3, help="rounds whose median counts")
    parser.add_argument("--cpu-time", action="store_true", help="count this process's CPU time, not the wall's")
    parser.add_argument("--sizes", nargs="+", default=["default", "imagenette", "large"], choices=list(SIZES))
    options = parser.parse_args()
    clock = time.process_time if options.cpu_time else time.perf_counter
    sizes = ("quick",) if options.quick else options.sizes
    table = _rows(sizes, options.rounds, clock, options.threads)
    if options.json:
        print(json.dumps([dataclasses.asdict(row) for row in table], indent=2))
        return
    print(machine())
    for row in table:  # each as it is measured
        times = f"{row.seconds:>9.3f} s {row.ratio:>8.1f}"
        print(f"{row.what:<62} {row.threads:>3} threads {times}  {row.meaning}; {row.note}", flush=True)


if __name__ == "__main__":
    main()
