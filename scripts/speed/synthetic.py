"""What is measured on: embeddings and photos that are made, the same on every machine."""

from __future__ import annotations

import io
import itertools
import math
import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

CROP = (320, 240)
"""Width and height of a photo cut out of a scene."""

TINY = 24
"""Width and height of a tiny photo."""

PROJECTED = 768
"""Dimension of ``projection``."""


def steep_embeddings(rng: np.random.Generator, n: int, dimension: int) -> np.ndarray:
    """float64 [n, dimension] with the steep spectrum of embeddings of photos."""
    scale = 1 / np.sqrt(1 + np.arange(dimension))
    return rng.normal(size=(n, dimension)) * scale + scale


def steep_banks(rng: np.random.Generator, n: int, dimension: int, classes: int) -> list[np.ndarray]:
    """float32 [n, dimension] for each class: the same photos, a trace of the class, noise of each view."""
    photos = steep_embeddings(rng, n, dimension)
    traces = 0.03 * rng.normal(size=(classes, dimension))
    return [(photos + trace + 0.05 * rng.normal(size=photos.shape)).astype(np.float32) for trace in traces]


@dataclass(frozen=True, eq=False)
class LabelledBanks:
    """What kNN is given: a train and a test bank of each class, labels, and drawn classes."""

    train: list[np.ndarray]
    test: list[np.ndarray]
    train_labels: np.ndarray
    test_labels: np.ndarray
    train_assignments: np.ndarray
    test_assignments: np.ndarray

    @classmethod
    def make(cls, n_train: int, n_test: int, dimension: int, classes: int, labels: int, seeds: int) -> LabelledBanks:
        """Photos with content of their label and noise, a trace of each class, noise of each view; unit length."""
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


def projection() -> Any:
    """An encoder that costs nothing: 8 x 8 pixels times a fixed matrix."""
    import torch

    from benchmark.encoders import Encoder, EncoderInfo
    from benchmark.encoders.preprocess.pixels import CenterCrop, Pixels, ResizeShort

    matrix = torch.from_numpy(np.random.default_rng(1).normal(size=(192, PROJECTED)).astype(np.float32))
    info = EncoderInfo("speed:projection", "control", None, "0" * 64, PROJECTED, {"size": 8}, "none", 0)
    pixels = Pixels((ResizeShort(8, 3), CenterCrop(8, 8, "round")))
    return Encoder(info, pixels, lambda batch: batch.flatten(1).float() @ matrix, "cpu", "float32")


def tiny_photos(n: int, folder: Path) -> Path:
    """A folder of n tiny JPEG files in 100 classes, a tenth of them in val; made once, with old file times."""
    root = folder / f"photos-{n}"
    if (root / "done").is_file():
        return root
    rng = np.random.default_rng(0)
    for i in range(n):
        of_class = root / ("val" if i // 100 % 10 == 0 else "train") / f"c{i % 100:02d}"
        if i < 1100:
            of_class.mkdir(parents=True, exist_ok=True)
        pixels = rng.integers(0, 256, (4, 4, 3), dtype=np.uint8)
        path = of_class / f"{i:07d}.jpg"
        path.write_bytes(jpeg(Image.fromarray(pixels).resize((TINY, TINY))))
        os.utime(path, (1_700_000_000, 1_700_000_000))
    (root / "done").touch()
    return root


def cropped_photos(folder: Path, count: int) -> Path:
    """Crops of the bundled scenes as JPEG q90, in ``{train,val}/<scene>/``, about 5 to 2."""
    from builders.pixels.reference import encode_jpeg
    from builders.sources.sample import SCENES, scene

    rng = np.random.default_rng(0)
    names = [name for name in SCENES if all(a > b for a, b in zip(scene(name).size, CROP, strict=True))]
    for i, name in zip(range(count), itertools.cycle(names)):
        left, top = (int(rng.integers(0, a - b)) for a, b in zip(scene(name).size, CROP, strict=True))
        file = folder / ("val" if i // len(names) % 7 in (1, 4) else "train") / name / f"{i:05d}.jpg"
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(encode_jpeg(scene(name).crop((left, top, left + CROP[0], top + CROP[1])), 90, "4:2:0"))
    return folder


def textured_photos(folder: Path, count: int) -> Path:
    """Pictures with edges and texture at about the size of ImageNet's, 480 x 360."""
    for i in range(count):
        rng = np.random.default_rng(i)
        coarse = Image.fromarray(rng.integers(0, 256, (30, 40, 3), dtype=np.uint8))
        smooth = np.asarray(coarse.resize((480, 360), Image.Resampling.BICUBIC)).astype(np.int16)
        noisy = np.clip(smooth + rng.integers(-12, 13, smooth.shape), 0, 255).astype(np.uint8)
        (folder / f"{i:04d}.jpg").write_bytes(jpeg(Image.fromarray(noisy)))
    return folder


def repeated_scenes(size: tuple[int, int], count: int) -> Sequence[bytes]:
    """JPEG files of the bundled scenes at full detail, repeated as often as the size needs, cut to it."""
    from builders.sources.sample import SCENES, scene

    width, height = size
    files = []
    for name in list(SCENES)[:count]:
        pixels = np.asarray(scene(name))
        times = math.ceil(height / pixels.shape[0]), math.ceil(width / pixels.shape[1]), 1
        files.append(jpeg(Image.fromarray(np.tile(pixels, times)[:height, :width])))
    return files


def jpeg(image: Image.Image) -> bytes:
    """As a file of quality 90."""
    buffer = io.BytesIO()
    image.save(buffer, "JPEG", quality=90)
    return buffer.getvalue()
