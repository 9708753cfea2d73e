"""What tasks about scenes and groups cost: runs of parts of a photo set, with made-up embeddings.

A part has whole scenes of whole groups. Seconds are a sum of amounts, such as similarities, that are counted from the
columns of the set; what one of each takes is fitted to the parts and multiplied by the amounts of the set.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from benchmark.tasks.scenes.scene_table import SceneTable, blocks_of, known_scenes, scene_table, scene_units
from benchmark.tasks.task import Clocked, Cost, Seconds, TaskInput
from builders.photos import PhotoSet

MOST_DIRECTIONS, MOST_SIMILARITIES = 1_600, 25_000_000
"""Ordered pairs of groups, and similarities, of a set that is run as a whole."""

PARTS = ((16, 8), (40, 16), (16, 400), (4, 1600))
"""Groups and scenes of the parts of a larger set: many groups, many parts of a jackknife, many similarities."""

PAIRS = (375, 1_500)
"""Pairs of two types of cameras that are run."""

MOST_PHOTOS, LEAST_SCENES = 20_000, 200
"""Photos of a set whose variance is measured as a whole; scenes of a part of a larger one, and half as many: each of
the 100 parts of a jackknife has some."""

SEED = 5


class Fit(NamedTuple):
    """Estimated seconds, and those of one of each amount."""

    wall: float
    processor: float
    each: np.ndarray
    """float64 [amounts], processor seconds."""


def fitted(amounts: Sequence[Sequence[float]], seconds: Sequence[Seconds], whole: Sequence[float]) -> Fit:
    """Seconds of a whole from those of its parts, as sums of amounts times coefficients of at least 0 (least squares).

    Args:
        amounts: of each part.
        seconds: of each part.
        whole: amounts of the whole.

    >>> fitted([[1, 10], [2, 10]], [Seconds(13.0, 26.0), Seconds(14.0, 28.0)], [4, 100]).wall
    124.0
    """
    from scipy.optimize import nnls

    scale = np.maximum(np.max(amounts, axis=0), 1.0)
    each = [
        nnls(np.asarray(amounts, float) / scale, np.array(clock))[0] / scale for clock in zip(*seconds, strict=True)
    ]
    wall, processor = (round(float(np.dot(one, whole)), 6) for one in each)
    return Fit(wall, processor, each[1])


def _design_amounts(present: np.ndarray, blocks: int, *, everywhere: bool = False) -> list[float]:
    """Amounts of work of pair retrieval of groups.

    Args:
        present: bool [groups, scenes], whether a group has a photo of a scene.
        blocks: number of parts of the scenes that are left out one at a time.
        everywhere: whether photos of all groups are distractors.

    Returns:
        Ordered pairs of groups that share a scene; these times blocks; similarities, those of a group to itself among
        them; and with ``everywhere`` targets that are searched among the similarities of each query.

    >>> _design_amounts(np.array([[True, True], [True, True], [True, False]]), 2)
    [6.0, 12.0, 17.0]
    """
    there = present.astype(np.float64)
    shared = there @ there.T
    np.fill_diagonal(shared, 0)
    directions = float((shared > 0).sum())
    searched = [float(shared.sum()) * len(present)] if everywhere else []
    return [directions, directions * blocks, similarities(present), *searched]


def similarities(present: np.ndarray) -> float:
    """Number of similarities that are computed: of every two groups once, and of every group to itself.

    >>> similarities(np.ones((91, 8139), bool))
    277294541706.0
    """
    sizes = present.sum(axis=1).astype(np.float64)
    return float((sizes.sum() ** 2 + np.square(sizes).sum()) / 2)


def part_of(table: SceneTable, groups: int, scenes: int) -> np.ndarray:
    """int64 [photos], ascending: of the groups with most photos, the scenes that most of them show; ties at random."""
    present, draw = table.photos >= 0, np.random.default_rng(SEED).random(table.photos.shape[1])
    chosen = np.sort(np.argsort(-present.sum(axis=1), kind="stable")[:groups])
    part = table.photos[chosen][:, np.lexsort((draw, -present[chosen].sum(axis=0)))[:scenes]]
    return np.sort(part[part >= 0])


def group_cost(inputs: TaskInput, dimension: int, clocked: Clocked) -> Cost:
    """Cost of ``retrieval/pairs`` of any number of groups."""
    from benchmark.retrieval import recall_bytes

    photos, distractors = inputs.photos, inputs.options.distractors

    def design(some: PhotoSet) -> tuple[SceneTable, int, list[float]]:
        table = scene_table(some, np.ones(len(some), bool))
        blocks = int(blocks_of(table.units(some)).max()) + 1
        return table, blocks, _design_amounts(table.photos >= 0, blocks, everywhere=distractors == "all")

    table, blocks, whole = design(photos)
    small = whole[0] <= MOST_DIRECTIONS and whole[2] <= MOST_SIMILARITIES
    parts = [photos.select(part_of(table, *(table.photos.shape if small else sizes))) for sizes in PARTS]
    parts = parts[:1] if small else parts
    clocked(parts[0])  # the first run compiles and loads
    fit = fitted([design(part)[2] for part in parts], [clocked(part) for part in parts], whole)
    present = table.photos >= 0
    distinct = len(parts) > 1 and present.shape[1] >= PARTS[-1][1] // 4
    rate = f" at {1e9 * fit.each[2]:.0f} ns each" if distinct else ""
    what = f"{len(present):,} groups x {present.shape[1]:,} scenes, {whole[2]:,.0f} similarities{rate}"
    return Cost(fit.wall, what, fit.processor, recall_bytes(present, blocks, dimension, distractors=distractors))


def pairs_cost(inputs: TaskInput, dimension: int, clocked: Clocked) -> Cost:
    """Cost of ``retrieval/pairs`` of two types of cameras."""
    from benchmark.retrieval import held_bytes

    _, pair, counts = np.unique(inputs.photos.columns["pair_id"], return_inverse=True, return_counts=True)
    complete = np.flatnonzero(counts == 2)
    order = np.random.default_rng(SEED).permutation(complete)
    sizes = [min(size, len(order)) for size in PAIRS]
    parts = [inputs.photos.select(np.flatnonzero(np.isin(pair, order[:size]))) for size in sizes]
    clocked(parts[0])

    def amounts(pairs: int) -> list[float]:
        return [float(pairs), similarities(np.ones((2, pairs), bool))]

    fit = fitted([amounts(size) for size in sizes], [clocked(part) for part in parts], amounts(len(complete)))
    held = held_bytes(np.ones((2, len(complete)), bool), dimension, everywhere=True)
    return Cost(fit.wall, f"{len(complete):,} pairs", fit.processor, held)


def variance_cost(inputs: TaskInput, dimension: int, clocked: Clocked, most_blocks: int) -> Cost:
    """Cost of ``variance/components``: scenes are left out, groups stay."""
    from benchmark.robustness import variance_bytes

    photos = inputs.photos
    known = known_scenes(photos, np.ones(len(photos), bool))
    scenes = np.random.default_rng(SEED).permutation(len(known.names))
    large = len(scenes) if len(known.photos) <= MOST_PHOTOS else min(LEAST_SCENES, len(scenes))
    sizes = [large] if large == len(scenes) else [large // 2, large]
    parts = [photos.select(known.photos[np.isin(known.scene, scenes[:size])]) for size in sizes]
    clocked(parts[0])
    fit = fitted([[1.0, len(part)] for part in parts], [clocked(part) for part in parts], [1.0, len(known.photos)])
    blocks = blocks_of(scene_units(photos, known.photos), most=most_blocks)
    held = variance_bytes(known.factors(photos), blocks, dimension)
    return Cost(fit.wall, f"{len(known.photos):,} photos of {len(scenes):,} scenes", fit.processor, held)
