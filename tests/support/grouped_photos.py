"""Small photos whose pixels are planted embeddings with a label, a scanner and a slide."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable

import numpy as np
from PIL import Image

from builders.photos import CLUSTER, Labels, PhotoSet
from tests.support.images import image_bytes
from tests.support.planted_groups import planted_table


def grouped_photos(
    seed: int = 0,
    *,
    labels: int = 2,
    groups: int = 2,
    clusters: int = 4,
    photos: int = 4,
    dimension: int = 12,
    effects: tuple[float, float, float] = (2.0, 3.0, 0.5),
    group: str = "scanner",
    shuffle: Callable[[np.ndarray], np.ndarray] = np.asarray,
) -> PhotoSet:
    """A set with the group ``scanner`` and clusters; ``pixel_rows`` reads the embeddings back.

    Args:
        seed: of the table.
        labels, groups, clusters, photos, effects: as in ``planted_table``.
        dimension: of the rows, at most 12; zeros follow.
        group: name of the group.
        shuffle: the groups of the photos by name -> the names that the set gives them.
    """
    rng = np.random.default_rng(seed)
    rows, label, scanner, slide = planted_table(
        rng, labels=labels, groups=groups, clusters=clusters, photos=photos, dimension=dimension, effects=effects
    )
    rows = np.pad(rows, ((0, 0), (0, 12 - dimension)))
    pixels = rng.integers(0, 256, (len(rows), 16, 16, 3), dtype=np.uint8)  # noise, so that no two look alike
    pixels[:, 0, :4] = np.clip(128 + 14 * rows, 0, 255).astype(np.uint8).reshape(-1, 4, 3)
    files = {f"slide-{slide[i]}/{i}.png": image_bytes(pixels[i]) for i in range(len(rows))}
    splits = ["val" if s % clusters >= clusters - max(1, clusters // 3) else "train" for s in slide]
    result = PhotoSet.of_bytes("tissue", files, [f"class {name}" for name in label], splits)
    names = tuple(f"scanner {i}" for i in range(groups))
    return dataclasses.replace(
        result,
        groups={group: Labels(names, shuffle(scanner).astype(np.int32))},
        columns={CLUSTER: np.array([f"slide {s}" for s in slide], dtype=object)},
        neighbours=5,
    )


def pixel_rows(image: Image.Image) -> np.ndarray:
    """The planted embedding of a photo."""
    return (np.asarray(image.convert("RGB"), dtype=np.float32)[0, :4].reshape(-1) - 128) / 14
