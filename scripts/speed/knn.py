"""How fast the kNN suite is: against its matrix products alone, products with top-k (torch, faiss), and two plain kNN.

Everything is timed in one run, interleaved, and reported as the median; ratios are medians of the rounds' ratios. The
answers of the plain kNN are compared with the suite's on the way.

    python scripts/speed_knn.py [--quick] [--json] [--threads N] [--rounds N] [--cpu-time]

``--cpu-time`` with ``--threads 1`` gives steadier ratios on a machine that others use.
"""

from __future__ import annotations

import argparse
import json
import statistics
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch

if __name__ == "__main__":
    sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from benchmark.knn.answers import KnnAnswers
from benchmark.knn.setups import knn_setups

K = 10


@dataclass(frozen=True, eq=False)
class Data:
    """Synthetic banks: photos with content and noise, a trace for each class, and noise of each view."""

    train: list[np.ndarray]
    test: list[np.ndarray]
    train_labels: np.ndarray
    test_labels: np.ndarray
    train_assignments: np.ndarray
    test_assignments: np.ndarray

    @classmethod
    def make(cls, n_train: int, n_test: int, dimension: int, classes: int, labels: int, seeds: int) -> Data:
        rng = np.random.default_rng(0)

        def normal(*shape: int) -> np.ndarray:
            return rng.standard_normal(shape, dtype=np.float32)

        content, traces = normal(labels, dimension), normal(classes, dimension)

        def banks(n: int) -> tuple[list[np.ndarray], np.ndarray]:
            label = rng.permutation(np.arange(n) % labels)
            photos = 0.2 * content[label] + normal(n, dimension)
            views = [photos + 0.2 * trace + 0.5 * normal(n, dimension) for trace in traces]
            return [v / np.linalg.norm(v, axis=1, keepdims=True) for v in views], label

        train, train_labels = banks(n_train)
        test, test_labels = banks(n_test)
        assignments = [rng.integers(0, classes, (seeds, n)) for n in (n_train, n_test)]
        return cls(train, test, train_labels, test_labels, *assignments)

    def suite(self) -> KnnAnswers:
        return knn_setups(**vars(self), k=K)


def rows(
    quick: bool = False, *, rounds: int = 5, n_test: int = 500, clock: Callable[[], float] = time.perf_counter
) -> list[dict[str, Any]]:
    """One row per figure: ``what``, ``value``, ``unit``, ``n`` (rounds), ``seconds``, ``note``, and perhaps ``aim``.

    ``quick`` uses tiny sizes, to see that it runs; its ratios mean nothing.
    """
    sizes = (1000, 40, 64, 3, 10, 2) if quick else (20_000, n_test, 512, 6, 100, 10)
    data = Data.make(*sizes)
    train, test = ([torch.from_numpy(bank) for bank in banks] for banks in (data.train, data.test))
    block = torch.empty(len(test[0]), len(train[0]))
    plain = _Plain(data, train, test)
    contestants: dict[str, Callable[[], object]] = {
        "suite": data.suite,
        "products": lambda: _products(train, test, block, with_top=False),
        "torch": lambda: _products(train, test, block, with_top=True),
        **_faiss(data),
        "one product": plain.one_product,
        "two products": plain.two_products,
        "drawn bank": plain.drawn_bank,
        "collection": plain.collection,
    }
    times: dict[str, list[float]] = {name: [] for name in contestants}
    for i in range(rounds + 1):
        for name, run in contestants.items():
            start = clock()
            run()
            if i:  # the first round warms up
                times[name].append(clock() - start)
    c, seeds = len(train), len(data.train_assignments)
    singles = {"one product": c * c + c * seeds, "drawn bank": c * seeds}
    counts = {
        "plain": {**singles, "two products": 2 * c * (c - 1)},
        "literal": {**singles, "collection": 2 * c * (c - 1) * len(np.unique(data.test_labels))},
    }
    for name, parts in counts.items():
        times[name] = [sum(n * times[kind][i] for kind, n in parts.items()) for i in range(rounds)]
    return list(_report(times, sizes, counts, plain.differing(data.suite())))


def _report(
    times: dict[str, list[float]], sizes: tuple[int, ...], counts: dict[str, dict[str, int]], differing: str
) -> Iterator[dict[str, Any]]:
    n_train, n_test, dimension, classes, labels, seeds = sizes

    def row(name: str, what: str, ratios: Iterator[float], unit: str, note: str, **aim: float) -> dict[str, Any]:
        value = round(statistics.median(ratios), 2)
        seconds = round(statistics.median(times[name]), 4)
        return {
            "what": what,
            "value": value,
            "unit": unit,
            "n": len(times[name]),
            "seconds": seconds,
            "note": note,
            **aim,
        }

    def floor(name: str, what: str, note: str, aim: float) -> dict[str, Any]:
        ratios = (a / b for a, b in zip(times["suite"], times[name], strict=True))
        return row(name, f"kNN suite / {what}", ratios, "of this time", note, aim=aim)

    note = f"{n_train} x {dimension} x {classes} bank, {n_test} test photos, {labels} labels, {seeds} seeds, k = {K}"
    yield row("suite", "kNN suite, all six set-ups", iter(times["suite"]), "s", note)
    yield floor("products", "its matrix products alone", f"{classes**2} products, nothing kept", 1.5)
    yield floor("torch", "products and top-k, torch", f"the nearest {K} of each product", 1.2)
    if "faiss" in times:
        yield floor("faiss", "products and top-k, faiss", f"the nearest {K} in each bank, IndexFlatIP", 1.2)
    for name, what in (("plain", "plain kNN, a question at a time"), ("literal", "plain kNN, a collection per label")):
        parts = ", ".join(f"{n} x {kind}" for kind, n in counts[name].items())
        ratios = (b / a for a, b in zip(times["suite"], times[name], strict=True))
        note = f"one of each kind timed in each round and scaled: {parts}; {differing}"
        yield row(name, f"{what} / kNN suite", ratios, "times as long", note, aim=20)


def _products(train: list[torch.Tensor], test: list[torch.Tensor], block: torch.Tensor, *, with_top: bool) -> None:
    for queries in test:
        for bank in train:
            torch.mm(queries, bank.T, out=block)
            if with_top:
                block.topk(K, dim=1)


def _faiss(data: Data) -> dict[str, Callable[[], object]]:
    try:
        import faiss
    except ImportError:
        return {}
    faiss.omp_set_num_threads(torch.get_num_threads())
    queries = np.concatenate(data.test)
    return {"faiss": lambda: [faiss.knn(queries, b, K, metric=faiss.METRIC_INNER_PRODUCT) for b in data.train]}


class _Plain:
    """kNN as one writes it at first: for every question its similarities, the nearest, and the vote."""

    def __init__(self, data: Data, train: list[torch.Tensor], test: list[torch.Tensor]) -> None:
        self.train, self.test, self.data = train, test, data
        self.labels, self.own = torch.from_numpy(data.train_labels), torch.from_numpy(data.test_labels)
        self.answers: list[tuple[int, int, np.ndarray]] = []
        self.turn = 0

    def one_product(self) -> None:
        """all-same, all-diff and uniform-test: queries of one class (or of drawn classes), train photos of another."""
        self.turn += 1
        t, c = self.turn % len(self.test), self.turn // len(self.test) % len(self.train)
        self.answers.append((t, c, self._vote(self.test[t] @ self.train[c].T).numpy()))

    def two_products(self) -> None:
        """pos-same and neg-same: positives of one class, negatives of another."""
        t, o = self.turn % len(self.test), (self.turn + 1) % len(self.test)
        positives, negatives = self.test[t] @ self.train[t].T, self.test[t] @ self.train[o].T
        self._vote(torch.where(self.labels == self.own[:, None], positives, negatives))

    def collection(self) -> None:
        """The same for the queries of one label, the collection built as any library's kNN needs it."""
        t, o = self.turn % len(self.test), (self.turn + 1) % len(self.test)
        label = self.own[self.turn % len(self.own)]
        mixed = torch.where((self.labels == label)[:, None], self.train[t], self.train[o])
        queries = self.own == label
        self._vote(self.test[t][queries] @ mixed.T, self.own[queries])

    def drawn_bank(self) -> None:
        """uniform: each train photo in the class drawn for it."""
        drawn = torch.from_numpy(self.data.train_assignments[self.turn % len(self.data.train_assignments)])
        bank = torch.empty_like(self.train[0])
        for c, embeddings in enumerate(self.train):
            bank[drawn == c] = embeddings[drawn == c]
        self._vote(self.test[self.turn % len(self.test)] @ bank.T)

    def _vote(self, similarities: torch.Tensor, own: torch.Tensor | None = None) -> torch.Tensor:
        labels = self.labels[similarities.topk(K, dim=1).indices]
        same = labels[:, :, None] == labels[:, None, :]
        # argmax takes the first of equals: the label of the nearest neighbour among those with most votes
        winner = same.sum(dim=2).argmax(dim=1, keepdim=True)
        return labels.gather(1, winner)[:, 0] == (self.own if own is None else own)

    def differing(self, answers: KnnAnswers) -> str:
        """How many of the answers that were timed the suite gives differently (rounding may swap equals)."""
        wrong = sum(int((answers.plain[t, c] != found).sum()) for t, c, found in self.answers)
        return f"{wrong} of {sum(len(found) for *_, found in self.answers)} answers differ from the suite's"


def main() -> None:
    """Print the table, or JSON."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="tiny sizes, to see that it runs")
    parser.add_argument("--json", action="store_true", help="for tracking")
    parser.add_argument("--threads", type=int, default=torch.get_num_threads())
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--cpu-time", action="store_true", help="count this process's CPU seconds, not the clock's")
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    clock = time.process_time if options.cpu_time else time.perf_counter
    table = rows(options.quick, rounds=options.rounds, clock=clock)
    if options.json:
        print(json.dumps(table, indent=2))
        return
    for row in table:
        aim = f"aim {row['aim']:g}" if "aim" in row else ""
        print(f"{row['what']:50} {row['value']:7.2f} {row['unit']:14} {aim:8} {row['seconds']:9.3f} s  {row['note']}")


if __name__ == "__main__":
    main()
