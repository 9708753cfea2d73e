"""Readers other than the linear one: whole results against plain loops, and the samples that they take."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
import torch

from benchmark.probe import AsGiven
from benchmark.probe.problem import Problem
from benchmark.probe.readers.knn import read_knn, vote
from benchmark.probe.readers.mlp import train
from benchmark.probe.readers.registry import Read, sampled

CPU = torch.device("cpu")
RNG = np.random.default_rng(5)
N, TESTED, D = 40, 15, 6


@pytest.fixture(autouse=True)
def drawn_anew() -> None:
    """Draws do not depend on the tests before."""
    RNG.bit_generator.state = np.random.default_rng(0).bit_generator.state


def problem_of(fits: int = 2, validation: int = 10, as_given: bool = False, classes: int = 3) -> Problem:
    banks: list[Any] = [
        RNG.normal(size=(N, D)).astype(np.float32) * (1 + 3 * (np.arange(N, dtype=np.float32) % 4))[:, None]
        for _ in "ab"
    ]
    which, labels = RNG.integers(0, 2, (fits, N)), RNG.integers(0, classes, (fits, N))
    held = np.sort(RNG.permutation(N)[:validation])
    rows = [AsGiven(bank) for bank in banks] if as_given else banks
    return Problem(rows, which, labels, classes, np.setdiff1d(np.arange(N), held), held)


def views_of(as_given: bool = False) -> list[Any]:
    banks = [RNG.normal(size=(TESTED, D)).astype(np.float32) for _ in range(3)]
    return [AsGiven(bank) for bank in banks] if as_given else banks


def unit(rows: np.ndarray) -> np.ndarray:
    wide = np.asarray(rows, float)
    return np.asarray(wide / np.linalg.norm(wide, axis=1, keepdims=True))


def rows_of(problem: Problem, fit: int, photos: np.ndarray) -> np.ndarray:
    """The row of each photo in its bank of an assignment."""
    return np.stack([problem.banks[problem.which[fit, i]][i : i + 1][0] for i in photos])


def plain_vote(queries: np.ndarray, rows: np.ndarray, labels: np.ndarray, k: int) -> np.ndarray:
    similar = unit(queries) @ unit(rows).T
    voted = []
    for row in similar:
        names = [int(labels[i]) for i in np.argsort(-row, kind="stable")[:k]]
        voted.append(max(names, key=lambda name: (names.count(name), -names.index(name))))
    return np.array(voted)


@pytest.mark.parametrize("as_given", [False, True])
def test_read_knn__is_the_vote_of_plain_loops(as_given: bool) -> None:
    problem, test = problem_of(as_given=as_given), views_of(as_given)
    read = read_knn(problem, test, device=CPU, seed=3)
    fit, held = problem.fit_rows, problem.validation_rows
    accuracies = {}
    for k in (1, 3, 5, 10, 20):
        voted = plain_vote(rows_of(problem, 0, held), rows_of(problem, 0, fit), problem.labels[0, fit], k)
        accuracies[k] = float((voted == problem.labels[0, held]).mean())
    assert read.search == tuple({"k": float(k), "validation_accuracy": a} for k, a in accuracies.items())
    best = min(k for k, a in accuracies.items() if a == max(accuracies.values()))
    assert read.chosen == {"k": float(best)}
    for s in range(2):
        rows = rows_of(problem, s, np.arange(N))
        for v, bank in enumerate(test):
            np.testing.assert_array_equal(
                read.predicted[s, v], plain_vote(bank[0:TESTED], rows, problem.labels[s], best)
            )
    assert read.predicted.shape == (2, 3, TESTED)
    assert (read.predicted.dtype, read.n_train) == (np.uint8, N)
    assert read.constants == {
        "estimator": "majority of the nearest train photos by cosine; a tie goes to the class of the nearest",
        "tried": [1, 3, 5, 10, 20],
        "assignments": 2,
    }
    for name in ("final_loss", "gradient_norm", "iterations"):
        assert getattr(read, name).tolist() == [0, 0]
    assert (read.iterations.dtype, read.converged.tolist()) == (np.int64, [True, True])
    assert read.search_s >= 0
    assert read.fit_s > 0


@pytest.mark.parametrize(
    ("photos", "tried", "middle"),
    [(1, [1], 1), (2, [1], 1), (3, [1], 1), (4, [1, 3], 3), (6, [1, 3, 5], 3), (N, [1, 3, 5, 10, 20], 5)],
)
def test_read_knn__fewer_neighbours_than_photos_of_the_fit(photos: int, tried: list[int], middle: int) -> None:
    x, y = RNG.normal(size=(photos, D)).astype(np.float32), np.arange(photos)[None] % 2
    every = np.arange(photos)
    problem = Problem([x], np.zeros((1, photos), np.int64), y, 2, every, every[:0])
    read = read_knn(problem, [x], device=CPU, seed=0)
    assert (read.constants["tried"], read.chosen, read.search) == (tried, {"k": float(middle)}, ())


def test_vote__ties_of_every_size_go_to_the_class_with_the_nearest_photo() -> None:
    rng = np.random.default_rng(0)
    for _ in range(40):
        rows, labels = rng.normal(size=(12, 3)).astype(np.float32), rng.integers(0, 4, 12)
        queries = rng.normal(size=(7, 3)).astype(np.float32)
        ks = (1, 2, 4, 6, 12)
        given = [torch.from_numpy(unit(x).astype(np.float32)) for x in (queries, rows)]
        measured = vote(*given, labels, ks, 4)
        assert (measured.shape, measured.dtype) == ((5, 7), np.int64)
        for row, k in zip(measured, ks, strict=True):
            np.testing.assert_array_equal(row, plain_vote(queries, rows, labels, k))


def test_train__batches_of_256_rows_in_a_new_order_each_epoch() -> None:
    """One network by hand: He's first weights, AdamW's steps with decay, of 300 rows two batches an epoch."""
    rng = np.random.default_rng(1)
    rows = torch.from_numpy(rng.normal(size=(1, 300, 4)).astype(np.float32))
    labels = torch.from_numpy(rng.integers(0, 3, (1, 300)))
    nets = train(rows, labels, 3, [0.01], [0.5], (1, 3), seed=8)
    generator = torch.Generator().manual_seed(8)
    hidden = 128
    first = [
        torch.randn((4, hidden), generator=generator) * math.sqrt(2 / 4),
        torch.randn((1, hidden), generator=generator) * 0,
        torch.randn((hidden, 3), generator=generator) * math.sqrt(2 / hidden),
        torch.randn((1, 3), generator=generator) * 0,
    ]
    weights = [w.double().requires_grad_() for w in first]
    steps = torch.optim.AdamW(weights, lr=0.01, betas=(0.9, 0.999), eps=1e-8, weight_decay=0.5)
    after = []
    for _ in range(3):
        for index in torch.randperm(300, generator=generator).split(256):
            x = rows[0, index].double()
            logits = torch.relu(x @ weights[0] + weights[1]) @ weights[2] + weights[3]
            steps.zero_grad()
            torch.nn.functional.cross_entropy(logits, labels[0, index]).backward()
            steps.step()
        after.append([w.detach().clone() for w in weights])
    assert len(nets) == 2
    for net, reference in zip(nets, (after[0], after[2]), strict=True):
        for measured, expected in zip(net, reference, strict=True):
            np.testing.assert_allclose(measured[0], expected, atol=5e-5)


def test_sampled__a_seeded_sample_of_photos_and_the_first_assignments(monkeypatch: pytest.MonkeyPatch) -> None:
    problem = problem_of(3)
    same = sampled(problem, 2)
    assert same.banks is problem.banks
    np.testing.assert_array_equal(same.which, problem.which[:2])
    np.testing.assert_array_equal(same.labels, problem.labels[:2])
    assert same.fit_rows is problem.fit_rows
    monkeypatch.setattr("benchmark.probe.readers.registry.MOST_ROWS", N)
    assert sampled(problem, 1).banks is problem.banks
    monkeypatch.setattr("benchmark.probe.readers.registry.MOST_ROWS", 17)
    fewer = sampled(problem, 2)
    rows = np.sort(np.random.default_rng(7).choice(N, 17, replace=False))
    np.testing.assert_array_equal(fewer.which, problem.which[:2, rows])
    np.testing.assert_array_equal(fewer.labels, problem.labels[:2, rows])
    assert rows[fewer.fit_rows].tolist() == [i for i in rows if i in problem.fit_rows]
    assert rows[fewer.validation_rows].tolist() == [i for i in rows if i in problem.validation_rows]
    for bank, whole in zip(fewer.banks, problem.banks, strict=True):
        np.testing.assert_array_equal(bank[0:17], whole[rows])


def test_read__has_converged_where_its_loss_is_a_number() -> None:
    losses = np.array([0.0, 1e30, math.inf, -math.inf, math.nan])
    zeros = np.zeros(5)
    read = Read(zeros, 1, {}, (), losses, zeros, zeros, 0.0, 0.0)
    assert (read.converged.dtype, read.converged.tolist()) == (bool, [True, True, False, False, False])
