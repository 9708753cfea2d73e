"""How fast the kNN suite is: against its matrix products alone, products with top-k (torch, faiss), and two plain kNN.

The predictions of the plain kNN are compared with the suite's on the way. ``--set threads=1 --set clock=processor``
gives steadier ratios on a machine that others use.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping

import numpy as np
import torch

from benchmark.knn.answers import KnnAnswers
from benchmark.knn.setups import knn_setups
from scripts.speed.measure import Row, Times, interleaved
from scripts.speed.synthetic import LabelledBanks

K = 10


def rows(
    quick: bool = False, *, rounds: int = 5, n_test: int = 500, threads: int = 0, clock: str = "wall"
) -> Iterator[Row]:
    """The suite in seconds, and its ratios; ``threads``: 0 takes torch's."""
    if threads:
        torch.set_num_threads(threads)
    sizes = (1000, 40, 64, 3, 10, 2) if quick else (20_000, n_test, 512, 6, 100, 10)
    data = LabelledBanks.make(*sizes)
    train, test = ([torch.from_numpy(bank) for bank in banks] for banks in (data.train, data.test))
    block = torch.empty(len(test[0]), len(train[0]))
    plain = _Plain(data, train, test)
    times = interleaved(
        {
            "suite": lambda: knn_setups(**vars(data), k=K),
            "products": lambda: _products(train, test, block, with_top=False),
            "torch": lambda: _products(train, test, block, with_top=True),
            **_faiss(data),
            "one product": plain.one_product,
            "two products": plain.two_products,
            "drawn bank": plain.drawn_bank,
            "collection": plain.collection,
        },
        rounds,
        clock=clock,
    )
    c, seeds = len(train), len(data.train_assignments)
    singles = {"one product": c * c + c * seeds, "drawn bank": c * seeds}
    counts: dict[str, dict[str, float]] = {
        "plain": {**singles, "two products": 2 * c * (c - 1)},
        "literal": {**singles, "collection": 2 * c * (c - 1) * len(np.unique(data.test_labels))},
    }
    for name, parts in counts.items():
        times = times.scaled(name, parts)
    return _report(times, sizes, counts, plain.differing(times.results["suite"][0]))


def _report(
    times: Times, sizes: tuple[int, ...], counts: Mapping[str, Mapping[str, float]], differing: str
) -> Iterator[Row]:
    n_train, n_test, dimension, classes, labels, seeds = sizes
    n = len(times)

    def of_suite(name: str, what: str, note: str, aim: float) -> Row:
        ratio = times.ratio("suite", name)
        return Row(f"kNN suite / {what}", ratio, "of this time", n, times.median(name), aim=aim, note=note)

    note = f"{n_train} x {dimension} x {classes} bank, {n_test} test photos, {labels} labels, {seeds} seeds, k = {K}"
    yield Row("kNN suite, all six set-ups", times.median("suite"), "s", n, times.median("suite"), note=note)
    yield of_suite("products", "its matrix products alone", f"{classes**2} products, nothing kept", 1.5)
    yield of_suite("torch", "products and top-k, torch", f"the nearest {K} of each product", 1.2)
    if "faiss" in times.of:
        yield of_suite("faiss", "products and top-k, faiss", f"the nearest {K} in each bank, IndexFlatIP", 1.2)
    for name, what in (("plain", "plain kNN, a set-up at a time"), ("literal", "plain kNN, a collection per label")):
        parts = ", ".join(f"{count} x {kind}" for kind, count in counts[name].items())
        note = f"one of each kind timed in each round and scaled: {parts}; {differing}"
        ratio = times.ratio(name, "suite")
        yield Row(f"{what} / kNN suite", ratio, "times as long", n, times.median(name), aim=20, note=note)


def _products(train: list[torch.Tensor], test: list[torch.Tensor], block: torch.Tensor, *, with_top: bool) -> None:
    for queries in test:
        for bank in train:
            torch.mm(queries, bank.T, out=block)
            if with_top:
                block.topk(K, dim=1)


def _faiss(data: LabelledBanks) -> dict[str, Callable[[], object]]:
    try:
        import faiss
    except ImportError:
        return {}
    faiss.omp_set_num_threads(torch.get_num_threads())
    queries = np.concatenate(data.test)
    return {"faiss": lambda: [faiss.knn(queries, b, K, metric=faiss.METRIC_INNER_PRODUCT) for b in data.train]}


class _Plain:
    """kNN as one writes it at first: for every set-up its similarities, the nearest, and the vote."""

    def __init__(self, data: LabelledBanks, train: list[torch.Tensor], test: list[torch.Tensor]) -> None:
        self.train, self.test, self.data = train, test, data
        self.labels, self.test_labels = torch.from_numpy(data.train_labels), torch.from_numpy(data.test_labels)
        self.correct: list[tuple[int, int, np.ndarray]] = []
        self.turn = 0

    def one_product(self) -> None:
        """all-same, all-diff and uniform-test: queries of one class (or of drawn classes), train photos of another."""
        self.turn += 1
        t, c = self.turn % len(self.test), self.turn // len(self.test) % len(self.train)
        self.correct.append((t, c, self._vote(self.test[t] @ self.train[c].T).numpy()))

    def two_products(self) -> None:
        """pos-same and neg-same: positives of one class, negatives of another."""
        t, o = self.turn % len(self.test), (self.turn + 1) % len(self.test)
        positives, negatives = self.test[t] @ self.train[t].T, self.test[t] @ self.train[o].T
        self._vote(torch.where(self.labels == self.test_labels[:, None], positives, negatives))

    def collection(self) -> None:
        """The same for the queries of one label, the collection built as any library's kNN needs it."""
        t, o = self.turn % len(self.test), (self.turn + 1) % len(self.test)
        label = self.test_labels[self.turn % len(self.test_labels)]
        mixed = torch.where((self.labels == label)[:, None], self.train[t], self.train[o])
        queries = self.test_labels == label
        self._vote(self.test[t][queries] @ mixed.T, self.test_labels[queries])

    def drawn_bank(self) -> None:
        """uniform: each train photo in the class drawn for it."""
        drawn = torch.from_numpy(self.data.train_assignments[self.turn % len(self.data.train_assignments)])
        bank = torch.empty_like(self.train[0])
        for c, embeddings in enumerate(self.train):
            bank[drawn == c] = embeddings[drawn == c]
        self._vote(self.test[self.turn % len(self.test)] @ bank.T)

    def _vote(self, similarities: torch.Tensor, truth: torch.Tensor | None = None) -> torch.Tensor:
        labels = self.labels[similarities.topk(K, dim=1).indices]
        same = labels[:, :, None] == labels[:, None, :]
        # argmax takes the first of equals: the label of the nearest neighbour among those with most votes
        winner = same.sum(dim=2).argmax(dim=1, keepdim=True)
        return labels.gather(1, winner)[:, 0] == (self.test_labels if truth is None else truth)

    def differing(self, answers: KnnAnswers) -> str:
        """How many of the predictions that were timed the suite gives differently (rounding may swap equals)."""
        wrong = sum(int((answers.plain[t, c] != correct).sum()) for t, c, correct in self.correct)
        return f"{wrong} of {sum(len(correct) for *_, correct in self.correct)} answers differ from the suite's"
