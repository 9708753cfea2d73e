"""Scenes and cameras that the tests of simulated cameras share."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from fractions import Fraction

import numpy as np
import pytest

from builders.simcams import Camera, SceneLight, Settings, camera_named

BASE = Settings(Fraction(1, 125), 2.8, 100, 50.0)


@pytest.fixture
def settings() -> Settings:
    return BASE


@pytest.fixture
def camera() -> Camera:
    """A quiet DSLR-like camera."""
    return camera_named("Galdren G300")


@pytest.fixture
def flat() -> Callable[..., SceneLight]:
    """A scene of one grey."""

    def make(level: float, side: int = 128, margin: int = 16, scene_id: str = "flat") -> SceneLight:
        light = np.full((side + 2 * margin, side + 2 * margin, 3), level, np.float32)
        return SceneLight.of_linear_rgb(scene_id, light, margin, expose=False)

    return make


@pytest.fixture
def ideal() -> Callable[[Camera], Camera]:
    """The same camera with a perfect lens and a processor that adds nothing: plain colour and tone."""

    def make(camera: Camera) -> Camera:
        lens = dataclasses.replace(
            camera.lens,
            blur_px=0.0,
            vignetting_stops=0.0,
            shading_correction=0.0,
            distortion_wide=0.0,
            distortion_tele=0.0,
            lateral_ca=(0.0, 0.0),
        )
        pipeline = dataclasses.replace(
            camera.pipeline,
            luma_threshold=0.0,
            chroma_levels=0,
            saturation=1.0,
            hue_twist=0.0,
            contrast=0.0,
            local_contrast=0.0,
            sharpen_amount=0.0,
        )
        return dataclasses.replace(camera, lens=lens, pipeline=pipeline)

    return make
