"""Photos of scenes that every scanner and staining shows, with embeddings whose cosines are exact in float32."""

from __future__ import annotations

import dataclasses
import itertools
from types import SimpleNamespace
from typing import Any, cast

import numpy as np

from benchmark.options import RunOptions
from benchmark.tasks import TaskInput
from builders.photos import PhotoSet, labels_of

WEIGHTS = np.sqrt(np.repeat([2.0**-6, 2.0**-8, 2.0**-10], [32, 64, 256]))
"""Sizes of the entries of a row: their squares sum to 1, and any sum of some squares is exact in float32."""


def exact_embeddings(
    scenes: int, scanners: int, stainings: int, seed: int = 0, *, flips: tuple[float, float, float] = (0.1, 0.2, 0.15)
) -> np.ndarray:
    """float32 [photos, 352] of length 1: signs of a scene, flipped by scanner, by staining and by photo."""
    rng = np.random.default_rng(seed)

    def signs(count: int, share: float) -> np.ndarray:
        return np.where(rng.random((count, len(WEIGHTS))) < share, -1.0, 1.0)

    of_scene, of_scanner, of_staining = signs(scenes, 0.5), signs(scanners, flips[0]), signs(stainings, flips[1])
    rows = [
        of_scene * of_scanner[a] * of_staining[b] * signs(scenes, flips[2]) * WEIGHTS
        for a, b in itertools.product(range(scanners), range(stainings))
    ]
    return np.concatenate(rows).astype(np.float32)


def scene_photos(scenes: int, scanners: int, stainings: int) -> PhotoSet:
    """Photos in the order of ``exact_embeddings``, with the groups ``scanner`` and ``staining``."""
    cells = list(itertools.product(range(scanners), range(stainings), range(scenes)))
    photos = PhotoSet.of_bytes("tiles", {f"{a}-{b}/{s}.jpg": b"" for a, b, s in cells})
    return dataclasses.replace(
        photos,
        groups={
            "scanner": labels_of(f"scanner {a}" for a, _, _ in cells),
            "staining": labels_of(f"staining {b}" for _, b, _ in cells),
        },
        columns={"scene": np.array([f"tile {s:04}" for _, _, s in cells])},
    )


def input_of(photos: PhotoSet, rows: np.ndarray, **options: Any) -> TaskInput:
    """The input of a task on these photos with these embeddings."""
    bank = SimpleNamespace(view=lambda name, at: rows[at])
    return TaskInput(photos, np.ones(len(photos), bool), cast("Any", bank), RunOptions(**options), "cpu")


def float32_recall(
    rows: np.ndarray, table: np.ndarray, first: int, second: int, k: int, distractors: str = "both"
) -> list[float]:
    """Recall@k of each scene, from all similarities in float32, one query after the other; ties in random order.

    Args:
        rows: [photos, d] of length 1.
        table: int [groups, scenes], the photo of each; -1 where there is none.
        first, second: groups of query and target.
        k: neighbours.
        distractors: as the option.
    """
    result = []
    groups = {"target": [second], "own": [first], "both": [first, second], "all": range(len(table))}[distractors]
    for scene in range(table.shape[1]):
        query, target = table[first, scene], table[second, scene]
        if query < 0 or target < 0:
            continue
        others = [table[g, s] for g in groups for s in range(table.shape[1]) if s != scene and table[g, s] >= 0]
        similar = rows[others].astype(np.float32) @ rows[query].astype(np.float32)
        wanted = np.float32(rows[target] @ rows[query])
        nearer, tied = int((similar > wanted).sum()), int((similar == wanted).sum())
        result.append(min(1.0, max(0.0, (k - nearer) / (tied + 1))))
    return result
