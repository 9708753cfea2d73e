"""The bundled sample: tiles of real photos that come with scikit-image, scikit-learn and matplotlib.

The class is the scene. Tiles of ``train`` come from the left two thirds of a scene, tiles of ``val`` from the right
third, so no tile overlaps a tile of the other split. A score on the sample is a smoke test, not evidence.
"""

from __future__ import annotations

import functools
import importlib.util
import io
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image

from builders.errors import PhotoError, UsageError, missing_package
from builders.photos import SPLITS, Labels, PhotoSet
from builders.pixels import decode_rgb
from builders.untrusted import first_line

SCENES: dict[str, tuple[str, str]] = {
    "astronaut": ("skimage", "data/astronaut.png"),
    "chelsea": ("skimage", "data/chelsea.png"),
    "china": ("sklearn", "datasets/images/china.jpg"),
    "coffee": ("skimage", "data/coffee.png"),
    "flower": ("sklearn", "datasets/images/flower.jpg"),
    "grace_hopper": ("matplotlib", "mpl-data/sample_data/grace_hopper.jpg"),
    "hubble_deep_field": ("skimage", "data/hubble_deep_field.jpg"),
    "ihc": ("skimage", "data/ihc.png"),
    "motorcycle": ("skimage", "data/motorcycle_left.png"),
    "retina": ("skimage", "data/retina.jpg"),
    "rocket": ("skimage", "data/rocket.jpg"),
}
"""Package and file of each scene."""

TILE_SIDE = 128
"""Side of a tile, in pixels."""

_GRIDS = {"train": (5, 4), "val": (2, 5)}
"""Columns and rows of tiles per scene."""


@dataclass(frozen=True)
class Tile:
    """Position of one photo of the sample in its scene, in pixels."""

    scene: str
    left: int
    top: int


@dataclass(frozen=True)
class TileSource:
    """Cuts tiles when they are read. The bytes are binary PPM, the pixels without compression."""

    tiles: tuple[Tile, ...]

    def read(self, row: int) -> bytes:
        tile = self.tiles[row]
        try:
            image = scene(tile.scene)
        except OSError as error:
            raise PhotoError(f"the scene {tile.scene} cannot be read ({first_line(error)})") from None
        buffer = io.BytesIO()
        image.crop((tile.left, tile.top, tile.left + TILE_SIDE, tile.top + TILE_SIDE)).save(buffer, "PPM")
        return buffer.getvalue()


def sample_photos() -> PhotoSet:
    """The bundled sample: 30 tiles of 128 x 128 for each of 11 scenes, 20 of them ``train``.

    Raises:
        UsageError: the packages that contain the scenes are not installed.
    """
    tiles: list[Tile] = []
    splits: list[str] = []
    for name in SCENES:
        width, height = scene(name).size
        border = width * 2 // 3
        for split, (left, right) in {"train": (0, border), "val": (border, width)}.items():
            cells = _grid(left, right, height, *_GRIDS[split])
            tiles += [Tile(name, x, y) for x, y in cells]
            splits += [split] * len(cells)
    names = tuple(SCENES)
    return PhotoSet(
        name="sample",
        ids=tuple(f"{tile.scene}/{tile.left:04d}-{tile.top:04d}" for tile in tiles),
        splits=np.array([SPLITS.index(s) for s in splits], dtype=np.int8),
        labels=Labels(names, np.array([names.index(tile.scene) for tile in tiles], dtype=np.int32)),
        source=TileSource(tuple(tiles)),
        rows=np.arange(len(tiles), dtype=np.int64),
        smoke_test=True,
        evidence={"splits": "train tiles from the left two thirds of each scene, val tiles from the right third"},
    )


def _grid(left: int, right: int, height: int, columns: int, rows: int) -> list[tuple[int, int]]:
    """Top left corners of evenly spaced tiles within [left, right) x [0, height)."""
    xs = np.linspace(left, right - TILE_SIDE, columns).astype(int)
    ys = np.linspace(0, height - TILE_SIDE, rows).astype(int)
    return [(int(x), int(y)) for y in ys for x in xs]


@functools.cache
def scene(name: str) -> Image.Image:
    """One whole scene as RGB.

    Raises:
        UsageError: the package that contains it is not installed.
    """
    package, file = SCENES[name]
    spec = importlib.util.find_spec(package)
    if spec is None or not spec.submodule_search_locations:
        raise UsageError(missing_package(package, "the bundled sample", install="'camtrace[sample]'"))
    return decode_rgb(Path(spec.submodule_search_locations[0], file).read_bytes())
