"""Scenes: statistics, seeds, and the conversion of photos."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from builders.errors import DataError, PhotoError
from builders.simcams import PhotoScenes, ProceduralScenes, SceneLight, Settings, Shot, camera_named, render_shot
from builders.simcams.random_numbers import generator
from builders.simcams.scene_sources import linear_light
from builders.simcams.stages.develop import tone_curve
from builders.simcams.stages.light import MID_GREY, auto_exposure
from builders.simcams.stages.scene import SCENE_KINDS, natural_colours, one_over_f, paint, radii
from tests.support.images import image_pixels


def photo(folder: Path, name: str, width: int, height: int, level: int | None = None) -> None:
    rng = np.random.default_rng(0)
    rgb = rng.integers(0, 256, (height, width, 3), dtype=np.uint8)
    if level is not None:
        rgb[:] = level
    (folder / name).parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(rgb).save(folder / name, quality=90)


def test_radii__density_falls_with_the_third_power() -> None:
    """P(r > x) between bounds a, b is (x^-2 - b^-2) / (a^-2 - b^-2)."""
    r = radii(200_000, 2.0, 64.0, np.random.default_rng(0))
    assert r.min() >= 2
    assert r.max() <= 64
    for x in (3.0, 8.0, 20.0):
        expected = (x**-2 - 64**-2) / (2.0**-2 - 64**-2)
        assert (r > x).mean() == pytest.approx(expected, rel=0.05)


def test_natural_colours__channels_are_correlated_and_positive() -> None:
    colours = natural_colours(20_000, np.random.default_rng(0))
    assert colours.min() > 0
    assert np.corrcoef(np.log(colours).T).min() > 0.4


def test_one_over_f__slope_of_the_spectrum_is_the_requested_one() -> None:
    field = one_over_f(256, 256, np.random.default_rng(0), 1.2)
    power = abs(np.fft.rfft2(field)) ** 2
    radius = np.hypot(np.fft.fftfreq(256)[:, None], np.fft.rfftfreq(256)[None, :])
    use = (radius > 0.01) & (radius < 0.4)
    slope = np.polyfit(np.log(radius[use]), np.log(power[use] + 1e-12), 1)[0]
    assert slope == pytest.approx(-2.4, abs=0.15)


@pytest.mark.parametrize("kind", SCENE_KINDS)
def test_paint__spectrum_falls_as_photos_do(kind: str) -> None:
    """Natural images: power about 1/f^2; flat or much steeper would be noise or blur."""
    luma = np.log(paint(kind, 256, 256, generator("spectrum", kind)).mean(axis=2))
    power = abs(np.fft.rfft2((luma - luma.mean()) * np.outer(np.hanning(256), np.hanning(256)))) ** 2
    radius = np.hypot(np.fft.fftfreq(256)[:, None], np.fft.rfftfreq(256)[None, :])
    use = (radius > 0.02) & (radius < 0.35)
    slope = np.polyfit(np.log(radius[use]), np.log(power[use]), 1)[0]
    assert -3.2 < slope < -1.3


def test_procedural__scene_does_not_depend_on_how_many_there_are() -> None:
    few, many = ProceduralScenes(2, 32, 32).light(1), ProceduralScenes(9, 32, 32).light(1)
    np.testing.assert_array_equal(few.spectrum, many.spectrum)
    other = ProceduralScenes(2, 32, 32, seed=1).light(1)
    assert not np.array_equal(few.spectrum, other.spectrum)


def test_auto_exposure__mean_goes_to_mid_grey_unless_highlights_forbid() -> None:
    grey = np.full((3, 8, 8), 2.0, np.float32)
    assert auto_exposure(grey) * 2 == pytest.approx(MID_GREY)
    spots = np.full((3, 20, 20), 0.01, np.float32)
    spots[:, :1, :] = 10
    assert auto_exposure(spots) * 10 == pytest.approx(0.95)
    assert auto_exposure(np.zeros((3, 8, 8), np.float32)) == 1


def test_photo_scenes__shrunk_by_whole_factors_of_at_least_two(tmp_path: Path) -> None:
    for width, height in ((60, 60), (79, 80), (80, 79), (79, 200), (200, 79)):
        photo(tmp_path, f"small-{width}-{height}.jpg", width, height)
    photo(tmp_path, "a/two.jpg", 96, 96)
    photo(tmp_path, "b/four.jpg", 200, 170)
    scenes = PhotoScenes.of_folder(tmp_path, 32, 32)
    assert scenes.paths == ("a/two.jpg", "b/four.jpg")
    assert [scenes.shrink_factor(i) for i in range(2)] == [2, 4]
    assert [scenes.kind(i) for i in range(2)] == ["a", "b"]
    assert all("jpg" not in scene_id for scene_id in scenes.ids)


def test_photo_scenes__light_is_averaged_in_linear_light(tmp_path: Path) -> None:
    """A checkerboard of black and white is half the light, not half the grey value."""
    board = np.indices((96, 96)).sum(axis=0) % 2 * 255
    Image.fromarray(np.repeat(board[..., None], 3, axis=2).astype(np.uint8)).save(tmp_path / "board.png")
    light = PhotoScenes.of_folder(tmp_path, 32, 32).light(0)
    padded = light.padded_shape
    plane = np.fft.irfft2(light.spectrum[0], s=padded)
    shares = np.unique(plane.round(3))
    assert len(shares) == 1  # one level everywhere: half the light of white, on its way to a highlight


def test_linear_light__undoes_the_cameras_average_tone_curve() -> None:
    """Through a camera of contrast 0.5 it comes back to within 3 % of full scale: it is that curve's inverse nearly."""
    levels = np.arange(256, dtype=np.uint8)
    back = tone_curve(linear_light(levels), 0.5)
    assert abs(back - levels / 255).max() < 0.03


def test_photo_scenes__clipped_highlights_come_out_white(tmp_path: Path) -> None:
    photo(tmp_path, "white.jpg", 96, 96, level=255)
    light = PhotoScenes.of_folder(tmp_path, 32, 32).light(0)
    data = render_shot(light, Shot(camera_named("Istrane Pocket"), Settings(Fraction(1, 125), 4.0, 100, 200.0)))
    assert image_pixels(data).min() > 250


def test_photo_scenes__no_usable_photo_is_one_sentence(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="no such folder"):
        PhotoScenes.of_folder(tmp_path / "absent", 32, 32)
    photo(tmp_path, "small.jpg", 40, 40)
    (tmp_path / "text.jpg").write_text("no photo")
    with pytest.raises(DataError, match="80"):
        PhotoScenes.of_folder(tmp_path, 32, 32)


def test_photo_scenes__truncated_photo_is_a_recorded_failure(tmp_path: Path) -> None:
    photo(tmp_path, "cut.jpg", 200, 200)
    data = (tmp_path / "cut.jpg").read_bytes()
    (tmp_path / "cut.jpg").write_bytes(data[: len(data) // 2])
    with pytest.raises(PhotoError):
        PhotoScenes.of_folder(tmp_path, 32, 32).light(0)


def test_scene_light__negative_light_is_cut() -> None:
    light = SceneLight.of_linear_rgb("n", np.full((16, 16, 3), -1.0), 2, expose=False)
    assert not light.spectrum.any()


def test_linear_light__of_every_level_by_bisection() -> None:
    """Half the level, half the inverse of the smoothstep, then IEC 61966-2-1."""
    low, high, levels = np.zeros(256), np.ones(256), np.arange(256) / 255
    for _ in range(60):
        middle = (low + high) / 2
        above = 3 * middle**2 - 2 * middle**3 > levels
        low, high = np.where(above, low, middle), np.where(above, middle, high)
    flat = (levels + low) / 2
    expected = [v / 12.92 if v <= 0.04045 else ((v + 0.055) / 1.055) ** 2.4 for v in flat]
    light = linear_light(np.arange(256, dtype=np.uint8))
    np.testing.assert_allclose(light, expected, rtol=1e-5, atol=1e-7)
    assert (light[255], light.dtype) == (1, np.float32)
