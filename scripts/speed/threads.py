"""How long probes, kNN and pair retrieval take on two and on all threads, in the time of one.

Small synthetic banks, as a user's first data sets have; each piece is timed on each number of threads in turns, and
reported as the median. Beside a busy process (``scripts/speed.py --only threads``) no ratio should be much over 1:
work that threads share waits for the slowest of them.

    python scripts/speed_threads.py [--quick] [--json] [--rounds N]
"""

from __future__ import annotations

import argparse
import dataclasses
import json
import statistics
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from threadpoolctl import threadpool_limits

if __name__ == "__main__":
    sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from benchmark.knn import knn_of_views, knn_setups
from benchmark.probe import labelled_probe, processing_probe
from benchmark.probe.problem import LabelledSplits
from benchmark.retrieval import pair_retrieval

CLASSES, SEEDS, LABELS = 6, 10, 27


@dataclass(frozen=True)
class Row:
    """One measured figure."""

    what: str
    threads: int
    """Of torch and BLAS."""
    seconds: float
    """Median over rounds."""
    ratio: float
    """Median over rounds of these seconds / those of one thread in the same round."""
    meaning: str
    """How ``ratio`` reads."""
    note: str


def rows(quick: bool = False, *, rounds: int = 7) -> list[Row]:
    """Measure on 1, 2 and all of torch's threads; ``quick`` uses tiny sizes, to see that it runs."""
    return list(_rows(quick, 1 if quick else rounds))


def _rows(quick: bool, rounds: int) -> Iterator[Row]:
    before = torch.get_num_threads()
    counts = sorted({1, min(2, before), before})
    for what, note, run in _pieces(quick):
        times: dict[int, list[float]] = {count: [] for count in counts}
        for i in range(rounds + 1):
            for count in counts:
                torch.set_num_threads(count)
                try:
                    with threadpool_limits(count, user_api="blas"):
                        started = time.perf_counter()
                        run()
                        seconds = time.perf_counter() - started
                finally:
                    torch.set_num_threads(before)
                if i:  # the first round warms up
                    times[count].append(seconds)
        for count in counts:
            ratio = statistics.median(a / b for a, b in zip(times[count], times[1], strict=True))
            yield Row(what, count, statistics.median(times[count]), ratio, "of the time of one thread", note)


def _pieces(quick: bool) -> Iterator[tuple[str, str, Callable[[], object]]]:
    """Names, sizes and work."""
    rng = np.random.default_rng(0)
    dimension = 32 if quick else 1280

    scale = 1 / np.sqrt(1 + np.arange(dimension))  # embeddings have a steep spectrum
    traces = rng.normal(size=(CLASSES, dimension))

    def embeddings(n: int) -> np.ndarray:
        return (rng.normal(size=(n, dimension)) * scale + scale).astype(np.float32)

    def views(n: int) -> list[np.ndarray]:
        photos, noise = embeddings(n), rng.normal(size=(CLASSES, n, dimension))
        return [
            (photos + 0.03 * trace + 0.05 * own).astype(np.float32) for trace, own in zip(traces, noise, strict=True)
        ]

    for n in (30,) if quick else (300, 1000):
        tested = 2 * n // 5
        train, test = views(n), views(tested)
        drawn, drawn_test = (rng.integers(0, CLASSES, (SEEDS, m)) for m in (n, tested))
        labels, labels_test = (rng.permutation(m) % 10 for m in (n, tested))
        note = f"{n} photos x {dimension} x {CLASSES} classes x {SEEDS} seeds, {tested} test photos"
        for protocol in ("converged", "iccv2025"):
            work = _call(processing_probe, train, test, drawn, protocol=protocol)
            yield f"probe, {protocol}, {n} photos", note, work
        given = {"train_assignments": drawn, "test_assignments": drawn_test}
        yield f"kNN suite, {n} photos", note, _call(knn_setups, train, test, labels, labels_test, **given)
    n, tested = (60, 20) if quick else (918, 459)
    x, y = embeddings(n + tested), np.arange(n + tested) % (3 if quick else LABELS)
    learnt = n * 5 // 6
    splits = LabelledSplits(x[:learnt], y[:learnt], x[learnt:n], y[learnt:n], x[n:], y[n:], int(y.max()) + 1)
    note = f"{n} photos x {dimension}, {int(y.max()) + 1} labels, {tested} test photos"
    yield "probe of a label", note, _call(labelled_probe, splits)
    yield "kNN of a label", note, _call(knn_of_views, x[:n], [x[n:]], y[:n], y[n:])
    pairs = 20 if quick else 730
    order = np.arange(2 * pairs)
    work = _call(pair_retrieval, embeddings(2 * pairs), order % pairs, order // pairs)
    yield "pair retrieval", f"{pairs} pairs x {dimension}", work


def _call(function: Callable[..., object], *given: object, **named: object) -> Callable[[], object]:
    return lambda: function(*given, **named)


def main() -> None:
    """Print the table, or JSON."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="tiny sizes: runs, measures nothing of use")
    parser.add_argument("--json", action="store_true", help="print JSON")
    parser.add_argument("--rounds", type=int, default=7, help="rounds whose median counts")
    options = parser.parse_args()
    table = _rows(options.quick, options.rounds)
    if options.json:
        print(json.dumps([dataclasses.asdict(row) for row in table], indent=2))
        return
    for row in table:  # each as it is measured
        print(
            f"{row.what:<34} {row.threads:>3} threads {row.seconds:>9.3f} s {row.ratio:>7.2f}  {row.note}", flush=True
        )


if __name__ == "__main__":
    main()
