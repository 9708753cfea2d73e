"""kNN and probe on the device, over their own matrix products alone."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import numpy as np
import torch

from gpu_parts.products import Recorder
from gpu_parts.rows import Row, seconds

K = 10
SEEDS = 10


def knn(device: torch.device, quick: bool) -> Iterator[Row]:
    """The suite of six set-ups; embeddings start in the computer's memory, as banks do."""
    from benchmark.knn.setups import knn_setups

    n_train, n_test, dimension, classes, labels = (300, 20, 32, 3, 5) if quick else (50_000, 2000, 768, 6, 1000)
    random = np.random.default_rng(0)
    train, test = (_banks(random, n, dimension, classes) for n in (n_train, n_test))
    train_labels, test_labels = (random.permutation(np.arange(n) % labels) for n in (n_train, n_test))
    drawn = [random.integers(0, classes, (SEEDS, n)) for n in (n_train, n_test)]

    def suite() -> object:
        options = {"train_assignments": drawn[0], "test_assignments": drawn[1], "k": K, "device": device}
        return knn_setups(train, test, train_labels, test_labels, **options)

    note = f"{n_train} x {dimension} x {classes} bank, {n_test} test photos, {SEEDS} seeds, k = {K}"
    yield from _against_products("knn", "all six set-ups", suite, device, quick, note)
    there = [[torch.from_numpy(bank).to(device) for bank in banks] for banks in (train, test)]

    def with_top() -> None:
        for queries in there[1]:
            for bank in there[0]:
                for part in queries.split(max(1, (1 << 28) // len(bank))):
                    (part @ bank.T).topk(K, dim=1)

    ours, floor = seconds(device, suite, with_top, rounds=1 if quick else 3)
    what = "all six set-ups, over products and top-k"
    yield Row("knn", what, ours / floor, "of this time", f"{classes**2} products by torch, banks on the device already")


def probe(device: torch.device, quick: bool) -> Iterator[Row]:
    """Search and fits of one processing parameter, both protocols."""
    from benchmark.probe import processing_probe

    small, large = ((60, 32, 3, 20), None) if quick else ((1000, 768, 6, 400), (10_000, 768, 6, 1000))
    cases = [(small, "converged"), (small, "iccv2025"), *([(large, "converged")] if large else [])]
    for (n_train, dimension, classes, n_test), protocol in cases:
        random = np.random.default_rng(0)
        both = _banks(random, n_train + n_test, dimension, classes)
        train, test = [b[:n_train] for b in both], [b[n_train:] for b in both]
        drawn = random.integers(0, classes, (SEEDS, n_train))

        def fit(
            train: list[np.ndarray] = train, test: list[np.ndarray] = test, drawn: np.ndarray = drawn, p: str = protocol
        ) -> object:
            return processing_probe(train, test, drawn, protocol=p, device=device)

        note = f"{n_train} x {dimension} x {classes} classes x {SEEDS} seeds"
        yield from _against_products("probe", f"{protocol}, {n_train} photos", fit, device, quick, note)


def _against_products(
    part: str, what: str, run: Callable[[], object], device: torch.device, quick: bool, note: str
) -> Iterator[Row]:
    with Recorder() as recorder:
        run()
    ours, floor = seconds(device, run, recorder.replay(), rounds=1 if quick else 3)
    count = sum(recorder.products.values())
    yield Row(part, what, ours, "s", note)
    yield Row(
        part, f"{what}, over its products", ours / floor, "of this time", f"{count:,} products take {floor:.3g} s"
    )


def _banks(random: np.random.Generator, n: int, dimension: int, classes: int) -> list[np.ndarray]:
    """One float32 [n, dimension] per class: photos with a steep spectrum, a trace for each class, each view's noise."""
    scale = 1 / np.sqrt(1 + np.arange(dimension))
    photos = random.normal(size=(n, dimension)) * scale + scale
    traces = 0.03 * random.normal(size=(classes, dimension))
    return [(photos + t + 0.05 * random.normal(size=photos.shape)).astype(np.float32) for t in traces]
