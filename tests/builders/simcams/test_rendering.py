"""A shot depends on its parameters alone; every camera shows the scene; the fixed pattern survives the file."""

from __future__ import annotations

import dataclasses
import hashlib
from collections.abc import Callable
from fractions import Fraction

import numpy as np
import pytest

from builders.simcams import (
    Camera,
    ProceduralScenes,
    SceneLight,
    Settings,
    Shot,
    bundled_catalogue,
    camera_named,
    expose,
    render_shot,
)
from builders.simcams.random_numbers import generator
from builders.simcams.stages.optics import Moment
from tests.support.images import image_pixels

Flat = Callable[..., SceneLight]


def pixels(data: bytes) -> np.ndarray:
    return image_pixels(data).astype(float)


@pytest.fixture(scope="module")
def scene() -> SceneLight:
    return ProceduralScenes(1, 96, 96).light(0)


def test_render__same_shot_same_bytes_whatever_came_before(
    scene: SceneLight, camera: Camera, settings: Settings
) -> None:
    first = render_shot(scene, Shot(camera, settings))
    render_shot(scene, Shot(camera_named("Alderin A6"), settings))
    assert render_shot(ProceduralScenes(5, 96, 96).light(0), Shot(camera, settings)) == first


@pytest.mark.parametrize(
    "change",
    [
        lambda s: dataclasses.replace(s, seed=1),
        lambda s: dataclasses.replace(s, unit=2),
        lambda s: dataclasses.replace(s, camera=camera_named("Galdren G70")),
        lambda s: dataclasses.replace(s, settings=dataclasses.replace(s.settings, iso=200)),
    ],
)
def test_render__every_ingredient_changes_the_picture(
    change: Callable[[Shot], Shot], scene: SceneLight, camera: Camera, settings: Settings
) -> None:
    shot = Shot(camera, settings)
    assert not np.array_equal(pixels(render_shot(scene, shot)), pixels(render_shot(scene, change(shot))))


def test_render__every_camera_shows_the_same_scene(scene: SceneLight, settings: Settings) -> None:
    """Any two pictures of the scene correlate strongly, those of two scenes do not."""
    small = [
        pixels(render_shot(scene, Shot(camera, settings))).mean(axis=2).reshape(24, 4, 24, 4).mean(axis=(1, 3))
        for camera in bundled_catalogue()
    ]
    other = ProceduralScenes(6, 96, 96).light(5)
    foreign = pixels(render_shot(other, Shot(camera_named("Alderin A6"), settings))).mean(axis=2)
    foreign = foreign.reshape(24, 4, 24, 4).mean(axis=(1, 3))
    together = np.corrcoef([picture.ravel() for picture in small])
    assert together.min() > 0.8
    assert abs(np.corrcoef(small[0].ravel(), foreign.ravel())[0, 1]) < 0.5


def test_render__brightness_is_independent_of_the_exposure(scene: SceneLight, camera: Camera) -> None:
    bright = Settings(Fraction(1, 30), 2.8, 400, 50.0)
    dark = Settings(Fraction(1, 1000), 2.8, 400, 50.0)
    levels = [
        [pixels(render_shot(scene, Shot(camera, s, seed=seed))).mean() for seed in range(12)] for s in (bright, dark)
    ]
    spread = np.std(levels, axis=1).max()
    assert abs(np.mean(levels[0]) - np.mean(levels[1])) < 3 * spread / np.sqrt(6)


def test_settings__luminance_is_what_they_expose() -> None:
    """Sunny 16: 1/ISO seconds at f/16 needs 78 * 16^2 / 0.65 = 30,720 cd/m2 for white: paper in full sun."""
    assert Settings(Fraction(1, 100), 16.0, 100, 50.0).scene_luminance_cd_m2 == pytest.approx(30_720)


def test_expose__auto_exposure_error_is_small_and_unbiased(flat: Flat, camera: Camera, settings: Settings) -> None:
    levels = []
    for seed in range(60):
        raw = expose(flat(0.2, side=32, margin=8), Shot(camera, settings, seed=seed), Moment.still())
        levels.append(np.log2(raw.dn.mean() - camera.body.black_level))
    assert np.std(levels) == pytest.approx(0.15, rel=0.3)


def test_fingerprint__survives_the_file(flat: Flat) -> None:
    """Mean residual of 16 JPEG flats against single files: the same unit correlates, another does not."""
    camera = camera_named("Galdren G850")
    settings = Settings(Fraction(1, 125), 5.6, 100, 200.0)
    light = [flat(0.4, side=128, margin=16, scene_id=f"flat {i}") for i in range(20)]

    def residual(index: int, unit: int) -> np.ndarray:
        green = pixels(render_shot(light[index], Shot(camera, settings, unit)))[8:-8, 8:-8, 1]
        for axis in (0, 1):
            green = green - green.mean(axis=axis, keepdims=True)
        return green

    fingerprint = np.mean([residual(i, 1) for i in range(16)], axis=0).ravel()
    same = np.mean([np.corrcoef(fingerprint, residual(i, 1).ravel())[0, 1] for i in range(16, 20)])
    other = np.mean([np.corrcoef(fingerprint, residual(i, 2).ravel())[0, 1] for i in range(16, 20)])
    assert same > 0.05
    assert abs(other) < 0.03


def test_render__odd_sides_are_refused(flat: Flat, camera: Camera, settings: Settings) -> None:
    with pytest.raises(ValueError, match="even sides"):
        render_shot(flat(0.2, side=33, margin=8), Shot(camera, settings))


def test_generator__is_philox_under_the_hash_of_the_purpose() -> None:
    digest = hashlib.blake2b(b"noise\0scene\x007", digest_size=16).digest()
    expected = np.random.Generator(np.random.Philox(key=int.from_bytes(digest, "big")))
    np.testing.assert_array_equal(generator("noise", "scene", 7).random(9), expected.random(9))
