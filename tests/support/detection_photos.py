"""Small real and generated photos whose pixels are planted embeddings."""

from __future__ import annotations

import dataclasses

import numpy as np

from builders.photos import Labels, PhotoSet
from tests.support.images import image_bytes

DIMENSION = 12


def detection_photos(
    seed: int = 0,
    *,
    count: int = 60,
    generators: int = 3,
    sources: int = 2,
    shared: float = 0.0,
    single: float = 0.0,
    source: float = 0.0,
) -> PhotoSet:
    """Real photos of some sources and as many of some generators; ``grouped_photos.pixel_rows`` reads the embeddings.

    Args:
        seed: of the embeddings.
        count: photos of each generator; real photos are as many as generated ones. A third is ``val``.
        generators, sources: how many.
        shared: effect that all generators have on one direction.
        single: effect that each generator has on a direction of its own.
        source: effect of the source of real photos, on another direction.
    """
    rng = np.random.default_rng(seed)
    n = 2 * count * generators
    made = np.arange(n) >= n // 2
    generator = np.where(made, np.arange(n) % generators, 0)
    origin = np.where(made, 0, np.arange(n) % sources)
    rows = rng.normal(size=(n, DIMENSION))
    rows[:, 0] += shared * made
    rows[np.flatnonzero(made), 1 + generator[made]] += single
    rows[:, -1] += np.where(made, 0, source * (origin - (sources - 1) / 2))
    pixels = rng.integers(0, 256, (n, 16, 16, 3), dtype=np.uint8)  # noise, so that no two look alike
    pixels[:, 0, :4] = np.clip(128 + 14 * rows, 0, 255).astype(np.uint8).reshape(-1, 4, 3)
    files = {f"{i}.png": image_bytes(pixels[i]) for i in range(n)}
    splits = ["val" if (i // 6) % 3 == 0 else "train" for i in range(n)]
    photos = PhotoSet.of_bytes("pictures", files, ["fake" if m else "real" for m in made], splits)
    names = ("none", *(f"generator {i}" for i in range(generators)))
    return dataclasses.replace(
        photos,
        groups={"generator": Labels(names, np.where(made, generator + 1, 0).astype(np.int32))},
        columns={"source": np.array([f"camera {o}" if not m else "" for o, m in zip(origin, made, strict=True)])},
    )
