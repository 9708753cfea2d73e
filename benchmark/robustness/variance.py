"""Components of variance: how much of the embedding's variance is scene, device, setting, and their interactions.

All factors are random: the value of a photo is a mean plus an independent effect of each factor, of each combination of
factors, and of the photo. Henderson's first method (Biometrics 9, 1953) gives unbiased estimates for any numbers of
photos in cells, empty cells included: the sums of squares of cell means equal their expectations, which are linear in
the components. With equal cells these are the usual estimates of the analysis of variance. Components are summed over
the dimensions of the embedding, so that they do not depend on its basis.
"""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np

from builders.errors import DataError

MOST_FACTORS = 5
"""Most factors: five have 31 effects."""

SINGULAR = 1e-9
"""Least ratio of the singular values of the equations, each scaled to 1."""

SAME = 1e-9
"""Largest variance of rows of length 1 that all have one direction: what rounding makes of it is about 1e-16."""

REST = "rest"
"""Name of what no factor and no combination of some factors explains: the photo, and all factors together where each
cell has one photo."""


class Rows(Protocol):
    """Embeddings [photos, dimension] that are read some rows at a time."""

    @property
    def shape(self) -> tuple[int, ...]: ...
    def __getitem__(self, at: np.ndarray, /) -> np.ndarray: ...


@dataclass(frozen=True, eq=False)
class Components:
    """Shares of the variance by effect."""

    effects: tuple[tuple[str, ...], ...]
    """Names of the factors of each effect, those of one factor first; the last is (``REST``,)."""
    cells: tuple[int, ...]
    """Number of cells of each effect: of values, or of combinations with photos; of the rest the number of photos."""
    shares: np.ndarray
    """float64 [effects], component over the sum of all; an estimate may be negative."""
    without: np.ndarray
    """float64 [blocks, effects], the shares without each block of photos; NaN where the others have one direction."""
    variance: float
    """Sum of all components, of rows of length 1: the expected squared distance of a photo from the mean."""
    merged: Mapping[str, str]
    """By combination of factors, the effect that it is the same as: of a device and its brand, the device."""


@dataclass(frozen=True, eq=False)
class _Effect:
    """A partition of the photos into cells."""

    factors: tuple[str, ...]
    code: np.ndarray
    """int64 [photos], 0 .. cells - 1."""
    within: bool
    """Whether each cell lies in one block."""

    @property
    def cells(self) -> int:
        return int(self.code.max()) + 1


def variance_components(rows: Rows, factors: Mapping[str, np.ndarray], blocks: np.ndarray) -> Components:
    """Components of the variance of rows at unit length.

    Args:
        rows: [photos, dimension].
        factors: code of each photo, int [photos], by factor; at most ``MOST_FACTORS``.
        blocks: int64 [photos], 0 .. B - 1: photos that are left out together (scenes).

    Raises:
        DataError: a factor has one value, there are too many factors, their cells do not tell two effects apart, or all
            rows have one direction.

    >>> scene, device = np.arange(200) // 5, np.arange(200) % 5
    >>> rng = np.random.default_rng(0)
    >>> effects = rng.normal(size=(40, 400)), 0.5 * rng.normal(size=(5, 400)), rng.normal(size=(200, 400))
    >>> rows = effects[0][scene] + effects[1][device] + effects[2]
    >>> components = variance_components(rows, {"scene": scene, "device": device}, scene)
    >>> components.effects, components.shares.round(2).tolist()  # 1, 0.25 and 1 of 2.25
    ((('scene',), ('device',), ('rest',)), [0.44, 0.11, 0.45])
    """
    if len(factors) > MOST_FACTORS:
        raise DataError(f"variance of {len(factors)} factors: at most {MOST_FACTORS} are taken apart, name fewer")
    n = len(blocks)
    effects, merged = _effects(factors, blocks)
    squares, squares_without = _squares(rows, effects, blocks)
    system, system_without = _system(effects, blocks, n)
    names = [" x ".join(e.factors) for e in effects]
    solved = _solve(system, squares, names)
    without = np.stack([_solve(m, q, names) for m, q in zip(system_without, squares_without, strict=True)])
    total, totals = float(solved[1:].sum()), without[:, 1:].sum(axis=1, keepdims=True)
    if total <= SAME:
        raise DataError("variance: all embeddings have one direction, so there is nothing to take apart")
    return Components(
        tuple(e.factors for e in effects),
        tuple(e.cells for e in effects),
        solved[1:] / total,
        np.divide(without[:, 1:], totals, where=totals > SAME, out=np.full_like(without[:, 1:], np.nan)),
        total,
        merged,
    )


def variance_bytes(factors: Mapping[str, np.ndarray], blocks: np.ndarray, dimension: int) -> int:
    """Bytes that the sums of ``variance_components`` take, besides the embeddings. Arguments as there."""
    effects, _ = _effects(factors, blocks)
    cells = 1 + sum(e.cells for e in effects if not e.within)
    sums = 8 * (int(blocks.max()) + 1) * cells * dimension
    return sums + 8 * len(blocks) * len(effects)


def _effects(factors: Mapping[str, np.ndarray], blocks: np.ndarray) -> tuple[list[_Effect], dict[str, str]]:
    """The distinct partitions by the combinations of factors, and the combinations that are the same as another."""
    codes = {name: np.unique(code, return_inverse=True)[1].reshape(-1) for name, code in factors.items()}
    single = next((name for name, code in codes.items() if int(code.max(initial=0)) == 0), "")
    if single:
        raise DataError(f"variance: {single} has one value, two are needed")
    n = len(blocks)
    photo = _Effect((REST,), np.arange(n), True)
    effects: list[_Effect] = []
    merged: dict[str, str] = {}
    for count in range(1, len(codes) + 1):
        for names in itertools.combinations(codes, count):
            code = _joint([codes[name] for name in names])
            within = len(np.unique(_joint([code, blocks]))) == int(code.max()) + 1
            made = _Effect(names, code, within)
            same = next(
                (e for e in (photo, *effects) if e.cells == made.cells == len(np.unique(_joint([e.code, code])))), None
            )
            if same is None:
                effects.append(made)
            else:
                merged[" x ".join(names)] = " x ".join(same.factors)
    return [*effects, photo], merged


def _joint(codes: Sequence[np.ndarray]) -> np.ndarray:
    """int64 [photos], the cell of each combination of codes."""
    joint = np.asarray(codes[0], np.int64)
    for code in codes[1:]:
        joint = np.unique(joint * (int(code.max()) + 1) + code, return_inverse=True)[1].reshape(-1)
    return joint


def _squares(rows: Rows, effects: Sequence[_Effect], blocks: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Sums of squares of cell sums over cell sizes, of one cell of all photos and of each effect: [1 + E], [B, 1 + E].

    Rows are read once, a block at a time.
    """
    count = int(blocks.max()) + 1
    across = [_Effect((), np.zeros(len(blocks), np.int64), False), *(e for e in effects if not e.within)]
    sums = [np.zeros((count, e.cells, rows.shape[1])) for e in across]
    within = np.zeros((count, len(effects)))
    order = np.argsort(blocks, kind="stable")
    for block, members in enumerate(np.split(order, np.cumsum(np.bincount(blocks))[:-1])):
        part = np.asarray(rows[members], np.float64)
        if not np.isfinite(part).all():
            bad = members[int(np.argmin(np.isfinite(part).all(axis=1)))]
            raise DataError(f"the embedding of photo {bad} holds a NaN or infinity: embed it again or leave it out")
        part /= np.maximum(np.linalg.norm(part, axis=1, keepdims=True), np.finfo(np.float64).tiny)
        for i, effect in enumerate(effects):
            if effect.within:
                total, size = _cell_sums(part, effect.code[members])
                within[block, i] = (np.square(total).sum(axis=1) / size).sum()
        for total_of, effect in zip(sums, across, strict=True):
            cells, code = np.unique(effect.code[members], return_inverse=True)
            total_of[block, cells] = _cell_sums(part, code.reshape(-1))[0]
    squares, without = np.zeros(1 + len(effects)), np.zeros((count, 1 + len(effects)))
    at = [0, *(1 + i for i, e in enumerate(effects) if not e.within)]
    for i, total_of, effect in zip(at, sums, across, strict=True):
        size = np.stack([np.bincount(effect.code[blocks == b], minlength=effect.cells) for b in range(count)])
        whole = total_of.sum(axis=0)
        squares[i] = (np.square(whole).sum(axis=1) / size.sum(axis=0)).sum()
        for b in range(count):
            left = size.sum(axis=0) - size[b]
            without[b, i] = (np.square(whole - total_of[b]).sum(axis=1)[left > 0] / left[left > 0]).sum()
    for i, effect in enumerate(effects):
        if effect.within:
            squares[1 + i] = within[:, i].sum()
            without[:, 1 + i] = squares[1 + i] - within[:, i]
    return squares, without


def _cell_sums(part: np.ndarray, code: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Sums [cells, d] and numbers [cells] of rows by cell; cells without rows are left out."""
    order = np.argsort(code, kind="stable")
    starts = np.flatnonzero(np.r_[True, np.diff(code[order]) > 0])
    return np.add.reduceat(part[order], starts, axis=0), np.diff(np.r_[starts, len(code)])


def _system(effects: Sequence[_Effect], blocks: np.ndarray, n: int) -> tuple[np.ndarray, np.ndarray]:
    """Coefficients of the mean and of each component in the expected squares: [1 + E, 1 + E] and [B, 1 + E, 1 + E].

    That of effect U in the squares of effect T is the sum over cells t of T and u of U of n_tu^2 / n_t.
    """
    rows = [_Effect((), np.zeros(n, np.int64), False), *effects]
    count = int(blocks.max()) + 1
    system, without = np.zeros((len(rows), len(rows))), np.zeros((count, len(rows), len(rows)))
    left = n - np.bincount(blocks, minlength=count)
    system[:, 0], without[:, :, 0] = n, left[:, None]
    for i, t in enumerate(rows):
        size = np.bincount(t.code).astype(np.float64)
        size_in = _table(t.code, blocks, np.ones(n), (t.cells, count)) if not t.within else None
        for j, u in enumerate(effects, start=1):
            joint = _joint([t.code, u.code])
            first = np.unique(joint, return_index=True)[1]
            number = np.bincount(joint).astype(np.float64)
            of_cell, block_of = t.code[first], blocks[first]
            squares = np.bincount(of_cell, np.square(number), t.cells)
            system[i, j] = (squares / size).sum()
            if size_in is None:  # each cell, and so each joint cell, lies in one block
                taken = np.bincount(block_of, np.square(number) / size[of_cell], count)
                without[:, i, j] = system[i, j] - taken
                continue
            in_block = _joint([joint, blocks])
            first = np.unique(in_block, return_index=True)[1]
            part = np.bincount(in_block).astype(np.float64)
            gone = 2 * number[joint[first]] * part - np.square(part)
            fewer = _table(t.code[first], blocks[first], gone, (t.cells, count))
            rest = size[:, None] - size_in
            without[:, i, j] = (np.where(rest > 0, (squares[:, None] - fewer) / np.maximum(rest, 1), 0.0)).sum(axis=0)
    return system, without


def _table(first: np.ndarray, second: np.ndarray, weights: np.ndarray, shape: tuple[int, int]) -> np.ndarray:
    return np.bincount(first * shape[1] + second, weights, shape[0] * shape[1]).reshape(shape)


def _solve(system: np.ndarray, squares: np.ndarray, names: Sequence[str]) -> np.ndarray:
    """The squared mean and the components."""
    scale = np.abs(system).max(axis=0)
    scaled = system / scale
    _, singular, vectors = np.linalg.svd(scaled / np.abs(scaled).max(axis=1, keepdims=True))
    if singular[-1] < SINGULAR * singular[0]:
        weights = np.abs(vectors[-1][1:])
        alike = [name for name, weight in zip(names, weights, strict=True) if weight > weights.max() / 10]
        raise DataError(
            f"variance: too few cells have photos to tell {' and '.join(alike)} apart: name fewer groups, or add "
            "photos of other combinations"
        )
    solution: np.ndarray = np.linalg.solve(scaled, squares) / scale
    return solution
