"""One shot from scene to file: the stages in the order that light takes, and the random numbers of each.

A shot depends on (scene id, camera, unit, settings, seed) alone: not on order, workers, or what was rendered before.
"""

from __future__ import annotations

import functools
from dataclasses import dataclass

import numpy as np

from builders.simcams.camera import STEADY, Camera, Framing, Settings
from builders.simcams.exif_writing import exif_block
from builders.simcams.jpeg import encode_file
from builders.simcams.optics import Moment, white_balance_gains
from builders.simcams.randomness import generator
from builders.simcams.scene_light import SceneLight
from builders.simcams.sensor import Raw
from builders.simcams.stages import chosen_stages

EXPOSURE_ERROR_EV = 0.15
"""Standard deviation of the automatic exposure's error, in stops."""


@dataclass(frozen=True)
class Shot:
    """Who takes a scene, and how."""

    camera: Camera
    settings: Settings
    unit: int = 1
    """Which body of this model; decides the fixed pattern."""
    framing: Framing = STEADY
    seed: int = 0


def render_shot(light: SceneLight, shot: Shot) -> bytes:
    """The JPEG file of a shot of a scene, with its Exif.

    Raises:
        ValueError: a side of the frame is odd (a Bayer mosaic has even sides).
    """
    camera, settings = shot.camera, shot.settings
    rgb = chosen_stages().develop(expose(light, shot), camera, settings)
    scales = camera.jpeg.scales
    chosen = int(_random(shot, light.scene_id, "rate control").integers(len(scales))) if len(scales) > 1 else 0
    per_cent = scales[chosen]
    block = exif_block(camera, settings, light.width, light.height, date_taken(light.scene_id))
    return encode_file(rgb, camera.jpeg, per_cent, block)


def expose(light: SceneLight, shot: Shot, moment: Moment | None = None) -> Raw:
    """The raw file of a shot. ``moment`` is drawn from the shot's own random numbers unless given."""
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
    """A date for the scene, uniform over eight years, the same for every camera."""
    rng = generator("date", scene_id)
    year, month, day = 2015 + rng.integers(8), 1 + rng.integers(12), 1 + rng.integers(28)
    hour, minute, second = rng.integers(24), rng.integers(60), rng.integers(60)
    return f"{year}:{month:02}:{day:02} {hour:02}:{minute:02}:{second:02}"


def _random(shot: Shot, scene_id: str, purpose: str) -> np.random.Generator:
    s = shot.settings
    numbers = (s.exposure_s, s.f_number, s.iso, s.focal_length_35mm)
    return generator(purpose, scene_id, shot.camera.name, shot.unit, *numbers, shot.seed)
