"""How long probes, kNN and pair retrieval take on two and on all threads, in the time of one.

Small synthetic banks, as a user's first data sets have; each piece is timed on each number of threads in turns. With
a busy process (``--neighbours 1``) no ratio should be much over 1: work that threads share waits for the slowest of
them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial

import numpy as np

from benchmark.knn import knn_of_views, knn_setups
from benchmark.probe import labelled_probe, processing_probe
from benchmark.probe.problem import LabelledSplits
from benchmark.retrieval import pair_retrieval
from scripts.speed.measure import Row, interleaved, thread_count, usual_thread_counts
from scripts.speed.synthetic import steep_banks, steep_embeddings

CLASSES, SEEDS, LABELS = 6, 10, 27


def rows(quick: bool = False, *, rounds: int = 7) -> Iterator[Row]:
    """Each piece of work on 1, 2 and all of torch's threads."""
    counts = usual_thread_counts()
    for what, note, run in _pieces(quick):
        times = interleaved({str(c): partial(_on_threads, c, run) for c in counts}, 1 if quick else rounds)
        for count in counts:
            ratio, seconds = times.ratio(str(count), "1"), times.median(str(count))
            yield Row(what, ratio, "of the time of one thread", len(times), seconds, threads=count, note=note)


def _on_threads(count: int, run: Callable[[], object]) -> None:
    with thread_count(count):
        run()


def _pieces(quick: bool) -> Iterator[tuple[str, str, Callable[[], object]]]:
    """Names, sizes and work."""
    rng = np.random.default_rng(0)
    dimension = 32 if quick else 1280

    def embeddings(n: int) -> np.ndarray:
        return steep_embeddings(rng, n, dimension).astype(np.float32)

    for n in (30,) if quick else (300, 1000):
        tested = 2 * n // 5
        banks = steep_banks(rng, n + tested, dimension, CLASSES)
        train, test = [bank[:n] for bank in banks], [bank[n:] for bank in banks]
        drawn, drawn_test = (rng.integers(0, CLASSES, (SEEDS, m)) for m in (n, tested))
        labels, labels_test = (rng.permutation(m) % 10 for m in (n, tested))
        note = f"{n} photos x {dimension} x {CLASSES} classes x {SEEDS} seeds, {tested} test photos"
        for protocol in ("converged", "iccv2025"):
            work = partial(processing_probe, train, test, drawn, protocol=protocol)
            yield f"probe, {protocol}, {n} photos", note, work
        assignments = {"train_assignments": drawn, "test_assignments": drawn_test}
        yield f"kNN suite, {n} photos", note, partial(knn_setups, train, test, labels, labels_test, **assignments)
    n, tested = (60, 20) if quick else (918, 459)
    x, y = embeddings(n + tested), np.arange(n + tested) % (3 if quick else LABELS)
    learnt = n * 5 // 6
    splits = LabelledSplits(x[:learnt], y[:learnt], x[learnt:n], y[learnt:n], x[n:], y[n:], int(y.max()) + 1)
    note = f"{n} photos x {dimension}, {int(y.max()) + 1} labels, {tested} test photos"
    yield "probe of a label", note, partial(labelled_probe, splits)
    yield "kNN of a label", note, partial(knn_of_views, x[:n], [x[n:]], y[:n], y[n:])
    pairs = 20 if quick else 730
    order = np.arange(2 * pairs)
    work = partial(pair_retrieval, embeddings(2 * pairs), order % pairs, order // pairs)
    yield "pair retrieval", f"{pairs} pairs x {dimension}", work
