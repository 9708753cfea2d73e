"""A list of simulated shots as a source of photos, rendered when read."""

from __future__ import annotations

import contextlib
import functools
import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import numpy as np
import scipy

from builders.errors import PhotoError
from builders.pixels import codec_canary
from builders.simcams.compiling import SIMCAMS_KERNELS
from builders.simcams.rendering import Shot, render_shot
from builders.simcams.scene_light import SceneLight


class Scenes(Protocol):
    """A numbered series of scenes. Hashable and picklable."""

    @property
    def count(self) -> int: ...
    @property
    def ids(self) -> tuple[str, ...]: ...
    @property
    def licence(self) -> str: ...
    @property
    def source(self) -> str: ...
    @property
    def height(self) -> int: ...
    @property
    def width(self) -> int: ...
    def kind(self, index: int) -> str: ...
    def shrink_factor(self, index: int) -> float: ...
    def light(self, index: int) -> SceneLight: ...
    def fingerprint(self) -> str: ...
    def __hash__(self) -> int: ...


@dataclass(frozen=True)
class SimulatedShots:
    """A list of shots, rendered when read. A ``builders.photos.PhotoSource``."""

    scenes: Scenes
    scene_of: tuple[int, ...]
    """Scene of each row; rows of one scene stand together, so that its light is worked out once."""
    shots: tuple[Shot, ...]

    def read(self, row: int) -> bytes:
        """The JPEG file of row ``row``.

        Raises:
            PhotoError: the scene's photo cannot be used.
        """
        return render_shot(_light(self.scenes, self.scene_of[row]), self.shots[row])

    def shared_work(self, rows: Sequence[int]) -> list[int]:
        """The scene of each of these rows, whose light is worked out once by a process that has several."""
        return [self.scene_of[row] for row in rows]

    def warm_up(self, row: int) -> None:
        """Load and test what renders, and work out the tables of this size by a first shot, whose scene is kept."""
        with contextlib.suppress(PhotoError):  # whoever reads it is told
            self.read(row)

    def prepare(self) -> None:
        """Begin to compile, in a process of its own, what will render; returns at once."""
        SIMCAMS_KERNELS.begin()

    def fingerprint(self) -> str:
        """32 hex digits that name everything that decides the bytes, without rendering one: scenes, cameras, settings
        and seeds, the text of this package, and the libraries that compute."""
        digest = hashlib.sha256(f"{self.scenes.fingerprint()} {_renderer()}".encode())
        digest.update(repr(self.scene_of).encode())
        for shot in self.shots:
            digest.update(repr(shot).encode())
        return digest.hexdigest()[:32]


@functools.cache
def _renderer() -> str:
    """Names the code that renders, by the text of its files, and the versions under it."""
    digest = hashlib.sha256(f"{np.__version__} {scipy.__version__} {codec_canary()}".encode())
    for path in sorted(Path(__file__).parent.glob("*.*")):
        if path.suffix in (".py", ".yaml"):
            digest.update(path.name.encode() + b"\0" + path.read_bytes())
    return digest.hexdigest()


@functools.lru_cache(maxsize=2)
def _light(scenes: Scenes, index: int) -> SceneLight:
    return scenes.light(index)
