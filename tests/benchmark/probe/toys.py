"""Small problems of classification, from hopeless to separable, and their fits."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import torch

from benchmark.probe.solver.design import Design, design
from benchmark.probe.solver.newton import Solution, solve
from benchmark.probe.solver.rows import gather

CPU = torch.device("cpu")

PATH = (1e-1, 1e-3, 1e-5, 1e-7)


class Toy(NamedTuple):
    x: np.ndarray
    y: np.ndarray
    n_classes: int


def toy(n: int, d: int, n_classes: int, signal: float, seed: int = 0) -> Toy:
    rng = np.random.default_rng(seed)
    y = rng.integers(0, n_classes, n)
    x = rng.normal(size=(n, d)) + 2 + signal * rng.normal(size=(n_classes, d))[y]
    return Toy(x.astype(np.float32), y, n_classes)


def with_duplicates() -> Toy:
    hard = toy(40, 5, 3, 0.5)
    return Toy(np.concatenate([hard.x, hard.x, hard.x]), np.concatenate([hard.y, hard.y, hard.y[::-1]]), 3)


def with_missing_class() -> Toy:
    easy = toy(60, 8, 3, 1.0)
    return Toy(easy.x, np.array([0, 2, 3])[easy.y], 5)


def with_constant_features() -> Toy:
    easy = toy(60, 8, 3, 1.0)
    easy.x[:, 2:5] = 1.5
    return easy


def with_zero_rows() -> Toy:
    easy = toy(50, 6, 3, 1.0)
    easy.x[::7] = 0
    return easy


def one_dimension() -> Toy:
    # one unit-length dimension is a sign
    return Toy(np.array([[1], [2], [-1], [-3], [5], [-2]], np.float32), np.array([0, 0, 1, 2, 1, 2]), 3)


TOYS = {
    "hard": toy(300, 20, 4, 0.1),
    "easy": toy(300, 20, 4, 1.0),
    "d>64": toy(300, 100, 4, 0.3),
    "separable": toy(200, 30, 3, 4.0),
    "n<d": toy(60, 200, 3, 0.5),
    "n<d hopeless": toy(60, 200, 3, 0.0),
    "tiny": toy(5, 3, 3, 1.0, seed=5),
    "two classes": toy(120, 10, 2, 0.4),
    "many classes": toy(400, 30, 20, 0.6),
    "duplicate rows": with_duplicates(),
    "missing class": with_missing_class(),
    "constant features": with_constant_features(),
    "zero rows": with_zero_rows(),
    "d=1": one_dimension(),
}


def fitted(
    toy: Toy, strengths: tuple[float, ...] = PATH, dtype: torch.dtype | None = None, **options: object
) -> Solution:
    features = as_design(toy, dtype=dtype)
    labels = torch.from_numpy(toy.y)[None]
    return solve(features, labels, torch.tensor(strengths, dtype=torch.float64), toy.n_classes, **options)


def as_design(toy: Toy, memory_bytes: int = 1 << 30, dtype: torch.dtype | None = None) -> Design:
    n, d = toy.x.shape
    source = gather([toy.x], np.zeros((1, n), np.int64), np.arange(n))
    return design(source, 1, n, d, device=CPU, memory_bytes=memory_bytes, dtype=dtype)
