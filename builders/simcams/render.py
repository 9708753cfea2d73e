"""Render one shot from scene to file: the stages in the order of the light, with the random numbers of each.

A shot depends on (scene id, camera, unit, settings, seed) alone, not on order, workers or earlier shots.
"""

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
from builders.simcams.camera import STEADY, Camera, Framing, Settings
from builders.simcams.engine import SIMCAMS_KERNELS, chosen_stages
from builders.simcams.random_numbers import generator
from builders.simcams.stages.jpeg_file import encode_file, exif_block
from builders.simcams.stages.light import SceneLight
from builders.simcams.stages.optics import Moment, white_balance_gains
from builders.simcams.stages.sensor import Raw
from builders.untrusted import files_below

EXPOSURE_ERROR_EV = 0.15
"""Standard deviation of the automatic exposure's error, in stops."""


@dataclass(frozen=True)
class Shot:
    """Camera, settings and framing of one photo of a scene."""

    camera: Camera
    settings: Settings
    unit: int = 1
    """Number of the body of this model; determines the fixed pattern."""
    framing: Framing = STEADY
    seed: int = 0
    """Of the random numbers of the shot."""


def render_shot(light: SceneLight, shot: Shot, moment: Moment | None = None) -> bytes:
    """Render the JPEG file of a shot, with its Exif.

    Args:
        light: of the scene.
        shot: camera, settings and framing.
        moment: as of ``expose``.

    Raises:
        ValueError: a side of the frame is odd (a Bayer mosaic has even sides).
    """
    camera, settings = shot.camera, shot.settings
    rgb = chosen_stages().develop(expose(light, shot, moment), camera, settings)
    scales = camera.jpeg.scales
    index = int(_random(shot, light.scene_id, "rate control").integers(len(scales))) if len(scales) > 1 else 0
    per_cent = scales[index]
    block = exif_block(camera, settings, light.width, light.height, date_taken(light.scene_id))
    return encode_file(rgb, camera.jpeg, per_cent, block)


def expose(light: SceneLight, shot: Shot, moment: Moment | None = None) -> Raw:
    """Render the raw file of a shot.

    Args:
        light: of the scene.
        shot: camera, settings and framing.
        moment: motion and depth; drawn from the random numbers of the shot if absent.

    Raises:
        ValueError: a side of the frame is odd.
    """
    if light.height % 2 or light.width % 2:
        raise ValueError(f"{light.scene_id}: a Bayer mosaic has even sides, not {light.width} x {light.height}")
    camera = shot.camera
    if moment is None:
        moment = Moment.draw(_random(shot, light.scene_id, "moment"))
    stages = chosen_stages()
    exposure = stages.light_on_sensor(light, camera, shot.settings, moment, shot.framing)
    error_ev = EXPOSURE_ERROR_EV * _random(shot, light.scene_id, "exposure error").standard_normal()
    exposure *= np.float32(2**error_ev)
    noise = _random(shot, light.scene_id, "noise")
    gains = white_balance_gains(camera.body, light.illuminant)
    return stages.read_out(exposure, camera, shot.settings, shot.unit, noise, gains)


@functools.lru_cache(maxsize=64)
def date_taken(scene_id: str) -> str:
    """Date of a scene as ``YYYY:MM:DD HH:MM:SS``, uniform over eight years, the same for every camera."""
    rng = generator("date", scene_id)
    year, month, day = 2015 + rng.integers(8), 1 + rng.integers(12), 1 + rng.integers(28)
    hour, minute, second = rng.integers(24), rng.integers(60), rng.integers(60)
    return f"{year}:{month:02}:{day:02} {hour:02}:{minute:02}:{second:02}"


def _random(shot: Shot, scene_id: str, purpose: str) -> np.random.Generator:
    s = shot.settings
    numbers = (s.exposure_s, s.f_number, s.iso, s.focal_length_35mm)
    return generator(purpose, scene_id, shot.camera.name, shot.unit, *numbers, shot.seed)


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
    """Scene of each row. Rows of one scene are adjacent, so that its light is computed once."""
    shots: tuple[Shot, ...]

    def read(self, row: int) -> bytes:
        """The JPEG file of a row.

        Raises:
            PhotoError: the photo of the scene cannot be used.
        """
        return render_shot(_light(self.scenes, self.scene_of[row]), self.shots[row])

    def shared_work(self, rows: Sequence[int]) -> list[int]:
        """The scene of each of some rows: a process that renders several rows of one scene computes its light once."""
        return [self.scene_of[row] for row in rows]

    def warm_up(self, row: int) -> None:
        """Load and test the stages and fill the tables of this size by rendering a row; its scene stays cached."""
        with contextlib.suppress(PhotoError):  # raised again when the row is read
            self.read(row)

    def prepare(self) -> None:
        """Begin to compile the kernels in a separate process, and return at once."""
        SIMCAMS_KERNELS.begin()

    def fingerprint(self) -> str:
        """32 hex digits that identify the bytes of all files without rendering one.

        They are a hash of scenes, cameras, settings and seeds, of the code that renders, and of the libraries below it.
        """
        digest = hashlib.sha256(f"{self.scenes.fingerprint()} {_renderer()}".encode())
        digest.update(repr(self.scene_of).encode())
        for shot in self.shots:
            digest.update(repr(shot).encode())
        return digest.hexdigest()[:32]


_NOT_IN_SHOTS = frozenset({"__init__.py", "build.py", "cli.py", "layouts.py", "photo_sets.py"})
"""Files of this package that cannot change the bytes of a shot: exports, rows on disk, options, and lists of shots,
which the fingerprint of ``SimulatedShots`` contains itself."""


def renderer_hash(package: Path) -> str:
    """64 hex digits that name the code that renders, by the text of its files, and the libraries under it.

    Every Python and YAML file of the package and its sub-packages counts, except ``_NOT_IN_SHOTS``: a new file counts
    unless it is listed there.

    Args:
        package: folder of this package.
    """
    digest = hashlib.sha256(f"{np.__version__} {scipy.__version__} {codec_canary()}".encode())
    for name in sorted(files_below(package)):
        if name.endswith((".py", ".yaml")) and name not in _NOT_IN_SHOTS:
            digest.update(name.encode() + b"\0" + (package / name).read_bytes())
    return digest.hexdigest()


@functools.cache
def _renderer() -> str:
    return renderer_hash(Path(__file__).parent)


@functools.lru_cache(maxsize=2)
def _light(scenes: Scenes, index: int) -> SceneLight:
    return scenes.light(index)
