"""Light, geometry and read-out of the stages against plain loops over the pixels of a small frame."""

from __future__ import annotations

import dataclasses
import math
from fractions import Fraction

import numpy as np
import pytest

from builders.simcams import Camera, Framing, SceneLight, Settings
from builders.simcams.random_numbers import generator
from builders.simcams.stages.light import auto_exposure
from builders.simcams.stages.optics import (
    Moment,
    defocus_diameter_px,
    falloff_stops,
    motion_vector_px,
    sampling_positions,
)
from builders.simcams.stages.scene import draw_illuminant

HEIGHT, WIDTH = 6, 10


@pytest.mark.parametrize("margin", [0, 1, 2])
@pytest.mark.parametrize("expose", [True, False])
def test_light__exposed_by_the_frame_alone_and_white_where_it_is_clipped(margin: int, expose: bool) -> None:
    rng = np.random.default_rng(margin)
    height, width = HEIGHT + 2 * margin, WIDTH + 2 * margin
    linear, clipped = rng.uniform(-0.5, 6, (height, width, 3)), rng.choice([0, 0.25, 1], (height, width))
    light = SceneLight.of_linear_rgb("s", linear, margin, illuminant=(1.1, 0.9), clipped=clipped, expose=expose)
    frame = np.maximum(linear, 0)[margin : margin + HEIGHT, margin : margin + WIDTH]
    factor = auto_exposure(np.moveaxis(frame, -1, 0).astype(np.float32)) if expose else 1.0
    expected = np.empty((3, height, width))
    for c, y, x in np.ndindex(3, height, width):
        level = max(linear[y, x, c], 0) * factor
        expected[c, y, x] = level + clipped[y, x] * max(2 - level, 0)
    assert (expected > 2).any() is not expose
    np.testing.assert_allclose(np.fft.irfft2(light.spectrum, s=(height, width)), expected, atol=1e-4)
    assert (light.scene_id, light.height, light.width, light.margin) == ("s", HEIGHT, WIDTH, margin)
    assert (light.illuminant, light.padded_shape) == ((1.1, 0.9), (height, width))


@pytest.mark.parametrize(
    ("f_number", "left"),
    [(1.2, 1), (1.8, 1), (2.8, 1 - 0.75 * math.log(2.8 / 1.8) / math.log(5.6 / 1.8)), (5.6, 0.25), (16.0, 0.25)],
)
@pytest.mark.parametrize("focal", [20.0, 50.0, 200.0])
def test_falloff__of_every_pixel(camera: Camera, f_number: float, left: float, focal: float) -> None:
    stops = falloff_stops(HEIGHT, WIDTH, camera.lens, Settings(Fraction(1, 60), f_number, 100, focal))
    assert camera.lens.vignetting_stops > 0.5
    for y, x in np.ndindex(HEIGHT, WIDTH):
        r2 = ((y - 2.5) ** 2 + (x - 4.5) ** 2) / (3**2 + 5**2)
        angle = math.atan(21.63 / focal * math.sqrt(r2))
        expected = -4 * math.log2(math.cos(angle)) + camera.lens.vignetting_stops * left * r2
        assert stops[y, x] == pytest.approx(expected, abs=1e-5)


@pytest.mark.parametrize("shape", [(HEIGHT, WIDTH), (WIDTH, HEIGHT)])
@pytest.mark.parametrize("colour", range(3))
def test_positions__of_every_pixel_of_a_moved_turned_and_scaled_frame(
    camera: Camera, shape: tuple[int, int], colour: int
) -> None:
    (height, width), margin = shape, 3
    light = SceneLight.of_linear_rgb("s", np.ones((height + 6, width + 6, 3)), margin, expose=False)
    lens = dataclasses.replace(camera.lens, distortion_wide=-0.03, distortion_tele=0.01, lateral_ca=(0.01, -0.02))
    framing, settings = Framing(0.02, -0.03, 1.1, 4.0), Settings(Fraction(1, 60), 4.0, 100, 24.0)
    positions = sampling_positions(light, lens, settings, framing, colour)
    magnified, turn = (1.01, 1.0, 0.98)[colour] * 1.1, math.radians(4)
    for row, column in np.ndindex(height, width):
        y, x = row - (height - 1) / 2, column - (width - 1) / 2
        scale = (1 + 0.03 * (y * y + x * x) / ((height**2 + width**2) / 4)) / magnified
        expected = (
            scale * (math.cos(turn) * y + math.sin(turn) * x) + 3 + (height - 1) / 2 - 0.03 * 10,
            scale * (math.cos(turn) * x - math.sin(turn) * y) + 3 + (width - 1) / 2 + 0.02 * 10,
        )
        assert positions[:, row, column] == pytest.approx(expected, abs=1e-5)


def test_blur__of_depth_and_motion(camera: Camera) -> None:
    lens, moment = dataclasses.replace(camera.lens, crop_factor=1.6), Moment((0.5, -0.25), (0.02, 0.04), 0.3)
    for focal, f_number, exposure, width in ((24.0, 2.0, Fraction(1, 30), 256), (200.0, 8.0, Fraction(2), 100)):
        settings = Settings(exposure, f_number, 100, focal)
        disc = width * 50 / 36 * (focal / 1.6) / f_number * 0.3 / 3000
        assert defocus_diameter_px(settings, lens, 0.3, width) == pytest.approx(disc)
        pixels = float(exposure) * width
        assert motion_vector_px(settings, moment, width) == pytest.approx(
            ((0.5 + 0.02 * focal / 36) * pixels, (-0.25 + 0.04 * focal / 36) * pixels)
        )


def test_read_out__compiled_has_the_balance_of_the_camera_too(camera: Camera, settings: Settings) -> None:
    pytest.importorskip("numba")
    from builders.simcams.kernels.stages import compiled_read_out

    exposure = np.full((4, 4), 0.5, np.float32)
    raw = compiled_read_out(exposure, camera, settings, 1, generator("noise"))
    assert raw.white_balance.tolist() == [camera.body.white_balance[0], 1.0, camera.body.white_balance[1]]
    assert raw.white_e == camera.body.white_e(settings.iso)


def test_illuminant__red_falls_where_blue_rises() -> None:
    for seed in range(5):
        warmth = 0.08 * generator("light", seed).standard_normal()
        assert draw_illuminant(generator("light", seed)) == pytest.approx((math.exp(-warmth), math.exp(warmth)))
