"""The optics: blur against closed forms and a slanted edge, geometry against its polynomial, falloff against cos^4."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from fractions import Fraction

import numpy as np
import pytest
import scipy.ndimage
import scipy.special

from builders.simcams import Camera, Framing, SceneLight, Settings, camera_named
from builders.simcams.camera import STEADY
from builders.simcams.stages.optics import (
    Moment,
    bayer_sites,
    defocus_diameter_px,
    diffraction_sigma_px,
    falloff_quarter,
    falloff_stops,
    light_on_sensor,
    motion_vector_px,
    sampling_positions,
    sensor_matrix,
    transfer_function,
    white_balance_gains,
)

Flat = Callable[..., SceneLight]
Ideal = Callable[[Camera], Camera]


def slanted_edge(side: int, margin: int, degrees: float = 5.0, oversampling: int = 16) -> SceneLight:
    """A dark and a bright half plane, integrated over pixel areas."""
    padded = side + 2 * margin
    centres = (np.arange(padded * oversampling) + 0.5) / oversampling - padded / 2
    slope = np.tan(np.radians(degrees))
    rows = (centres[:, None] - 0) * slope
    edge = np.empty((padded, padded))
    for y in range(padded):
        block = (centres[None, :] > rows[y * oversampling : (y + 1) * oversampling]).astype(np.float32)
        edge[y] = block.reshape(oversampling, padded, oversampling).mean(axis=(0, 2))
    light = np.repeat((0.1 + 0.5 * edge)[..., None], 3, axis=2)
    return SceneLight.of_linear_rgb("edge", light, margin, expose=False)


def edge_mtf(plane: np.ndarray, sites: np.ndarray, degrees: float) -> Callable[[np.ndarray], np.ndarray]:
    """ISO 12233's slanted edge: pixels ``sites`` of ``plane`` binned by distance from the edge, 4 bins a pixel."""
    side = plane.shape[0]
    y, x = np.mgrid[0:side, 0:side] - (side - 1) / 2
    turn = np.radians(degrees)
    distance = (x - y * np.tan(turn)) * np.cos(turn)
    near = sites & (abs(distance) < 12)
    bins = np.floor((distance[near] + 12) * 4).astype(int)
    profile = np.bincount(bins, plane[near], 96) / np.bincount(bins, minlength=96)
    spread = np.diff(profile) * np.hanning(95)
    at = np.arange(95) / 4

    def mtf(frequencies: np.ndarray) -> np.ndarray:
        spectrum = np.array([abs((spread * np.exp(-2j * np.pi * f * at)).sum()) for f in frequencies]) / spread.sum()
        return spectrum / np.sinc(frequencies / 4) ** 2  # the bin, and the difference of neighbours

    return mtf


@pytest.mark.parametrize("f_number", [2.8, 11.0])
def test_edge__mtf_is_that_of_gaussian_and_pixel(
    camera: Camera, settings: Settings, ideal: Ideal, f_number: float
) -> None:
    """Measured on the raw green pixels, against exp(-2 pi^2 sigma^2 f^2) times the pixel's sinc."""
    sharp = ideal(camera)
    blurred = dataclasses.replace(sharp, lens=dataclasses.replace(sharp.lens, blur_px=0.35, crop_factor=1.5))
    long_lens = dataclasses.replace(settings, f_number=f_number, focal_length_35mm=200.0)
    mosaic = light_on_sensor(slanted_edge(192, 16), blurred, long_lens, Moment.still())
    green = np.zeros(mosaic.shape, bool)
    for row, column, colour in bayer_sites(camera.body.bayer):
        green[row::2, column::2] = colour == 1
    flat = mosaic / np.exp2(-falloff_stops(192, 192, blurred.lens, long_lens))
    measured = edge_mtf(flat, green, 5.0)
    sigma = np.hypot(0.35, diffraction_sigma_px(f_number, camera.body.pitch_um, 0.54))
    frequencies = np.linspace(0.05, 0.45, 9)
    expected = np.exp(-2 * np.pi**2 * sigma**2 * frequencies**2) * np.sinc(frequencies)
    np.testing.assert_allclose(measured(frequencies), expected, atol=0.012)


def test_transfer_function__gaussian_equals_spatial_filter() -> None:
    rng = np.random.default_rng(0)
    picture = scipy.ndimage.gaussian_filter(rng.random((64, 64)), 1.5, mode="wrap")
    computed = np.fft.irfft2(np.fft.rfft2(picture) * transfer_function((64, 64), 1.2), s=(64, 64))
    np.testing.assert_allclose(
        computed, scipy.ndimage.gaussian_filter(picture, 1.2, mode="wrap", truncate=8), atol=2e-5
    )


def test_transfer_function__motion_equals_averaged_shifts() -> None:
    picture = np.zeros((64, 64))
    picture[32, 20:40] = 1
    picture = scipy.ndimage.gaussian_filter(picture, 2, mode="wrap")
    moved = np.mean(
        [scipy.ndimage.shift(picture, (0, d), order=5, mode="grid-wrap") for d in np.linspace(-3, 3, 61)], 0
    )
    computed = np.fft.irfft2(np.fft.rfft2(picture) * transfer_function((64, 64), 0, motion_px=(6.0, 0.0)), s=(64, 64))
    np.testing.assert_allclose(computed, moved, atol=1e-3)


def test_transfer_function__disc_has_its_first_zero_where_airy_says() -> None:
    """2 J1(x) / x is 0 at x = 3.8317."""
    transfer = transfer_function((512, 512), 0, disc_px=6.0)[0]
    zero = int(np.argmax(transfer < 0))
    assert zero / 512 == pytest.approx(3.8317 / (np.pi * 6.0), abs=1 / 512)


@pytest.mark.parametrize("shape", [(64, 64), (40, 72)])
def test_transfer_function__disc_is_computed_once_per_radius_with_the_same_bits(
    shape: tuple[int, int],
) -> None:
    fy, fx = np.fft.fftfreq(shape[0]).astype(np.float32)[:, None], np.fft.rfftfreq(shape[1]).astype(np.float32)[None]
    argument = np.float32(np.pi * 3.3) * np.hypot(fy, fx)
    argument[0, 0] = 1
    expected = 2 * scipy.special.j1(argument) / argument
    expected[0, 0] = 1
    np.testing.assert_array_equal(transfer_function(shape, 0, disc_px=3.3), expected)


def test_diffraction__grows_with_the_f_number() -> None:
    assert diffraction_sigma_px(8, 1.4) == pytest.approx(4 * diffraction_sigma_px(2, 1.4))


def test_defocus__small_sensors_have_deep_focus(settings: Settings) -> None:
    phone, dslr = camera_named("Alderin A6").lens, camera_named("Galdren G850").lens
    ratio = defocus_diameter_px(settings, dslr, 0.3, 512) / defocus_diameter_px(settings, phone, 0.3, 512)
    assert ratio == pytest.approx(phone.crop_factor / dslr.crop_factor)


def test_defocus__hand_computed(settings: Settings) -> None:
    """50 mm at f/2.8 on 36 mm, subject at 3 m, relative depth 0.3: 50/36 * 50/2.8 * 0.3/3000 of the width."""
    lens = dataclasses.replace(camera_named("Galdren G850").lens, crop_factor=1.0)
    assert defocus_diameter_px(settings, lens, 0.3, 1000) == pytest.approx(2.48, abs=0.005)


def test_motion__proportional_to_time_and_shake_to_focal_length(settings: Settings) -> None:
    shaking = Moment((0.0, 0.0), (0.03, 0.0), 0.0)
    long = dataclasses.replace(settings, exposure_s=Fraction(1, 30), focal_length_35mm=200.0)
    short = dataclasses.replace(settings, exposure_s=Fraction(1, 60), focal_length_35mm=100.0)
    assert motion_vector_px(long, shaking, 512)[0] == pytest.approx(4 * motion_vector_px(short, shaking, 512)[0])
    one_over_f = dataclasses.replace(settings, exposure_s=Fraction(1, 50))
    assert motion_vector_px(one_over_f, shaking, 36_000)[0] == pytest.approx(30)  # 0.03 mm of a 36 mm frame


def test_falloff__grey_scene_shows_the_requested_falloff(camera: Camera, flat: Flat) -> None:
    """Corner of the raw relative to its centre: cos^4 of the field angle and the lens's own stops."""
    wide = Settings(Fraction(1, 125), 1.8, 100, 26.0)
    mosaic = light_on_sensor(flat(0.5), camera, wide, Moment.still())
    cell = mosaic.reshape(64, 2, 64, 2).mean(axis=(1, 3))
    stops = np.log2(cell[32, 32] / cell[0, 0])
    radius = 63 / 64  # of the middle of the corner's cell
    natural = -4 * np.log2(np.cos(np.arctan(radius * 21.63 / 26.0)))
    assert stops == pytest.approx(natural + radius**2 * camera.lens.vignetting_stops, abs=0.01)


@pytest.mark.parametrize(("focal", "stops"), [(26.0, 1.5), (35.0, 0.9), (50.0, 0.5), (85.0, 0.2)])
def test_falloff__natural_part_by_focal_length(camera: Camera, focal: float, stops: float) -> None:
    lens = dataclasses.replace(camera.lens, vignetting_stops=0.0)
    corner = falloff_stops(65, 65, lens, Settings(Fraction(1, 125), 8.0, 100, focal))[0, 0]
    assert corner == pytest.approx(stops, abs=0.06)


def test_falloff__optical_part_is_a_quarter_stopped_down(camera: Camera) -> None:
    tele = Settings(Fraction(1, 125), 5.6, 100, 2000.0)
    assert falloff_stops(65, 65, camera.lens, tele)[0, 0] == pytest.approx(camera.lens.vignetting_stops / 4, abs=0.01)


def test_geometry__corner_moves_by_the_distortion(camera: Camera, flat: Flat) -> None:
    light = flat(0.5)
    lens = dataclasses.replace(camera.lens, distortion_wide=-0.03, lateral_ca=(0.001, 0.0))
    wide = Settings(Fraction(1, 125), 4.0, 100, 24.0)
    green, red = (sampling_positions(light, lens, wide, STEADY, colour) for colour in (1, 0))
    centre = light.margin + 63.5
    corner = np.hypot(*(green[:, 0, 0] - centre)) / np.hypot(63.5, 63.5)
    assert corner == pytest.approx(1 + 0.03 * (63.5 / 64) ** 2, abs=1e-3)
    assert (red[1, 64, 0] - centre) / (green[1, 64, 0] - centre) == pytest.approx(1 / 1.001, abs=1e-5)


def test_geometry__a_perfect_lens_samples_the_scene_itself(camera: Camera, settings: Settings, ideal: Ideal) -> None:
    """No blur, no falloff: the raw of a band-limited scene is the scene behind the colour filters."""
    rng = np.random.default_rng(1)
    light = scipy.ndimage.gaussian_filter(rng.random((96, 96, 3)), (3, 3, 0), mode="wrap").astype(np.float32)
    sharp = ideal(camera)
    sharp = dataclasses.replace(sharp, body=dataclasses.replace(sharp.body, pitch_um=100.0))
    tele = dataclasses.replace(settings, focal_length_35mm=100_000.0)
    mosaic = light_on_sensor(SceneLight.of_linear_rgb("s", light, 16, expose=False), sharp, tele, Moment.still())
    raw = light[16:-16, 16:-16] @ sensor_matrix(camera.body).T
    for row, column, colour in bayer_sites(camera.body.bayer):
        np.testing.assert_allclose(mosaic[row::2, column::2], raw[row::2, column::2, colour], atol=2e-4)


def test_framing__a_shift_moves_the_picture(camera: Camera, settings: Settings, ideal: Ideal) -> None:
    light = slanted_edge(96, 16)
    sharp = ideal(camera)
    there = light_on_sensor(light, sharp, settings, Moment.still(), Framing(shift_x=4 / 96))
    here = light_on_sensor(light, sharp, settings, Moment.still())
    np.testing.assert_allclose(there[20:70, 20:70], here[20:70, 24:74], rtol=0.02)


def test_colour__matrix_and_balance_undo_the_sensor(camera: Camera) -> None:
    body = camera.body
    back = np.array(body.colour_matrix) @ (white_balance_gains(body)[:, None] * sensor_matrix(body))
    np.testing.assert_allclose(back, np.eye(3), atol=1e-12)


def test_colour__no_scene_colour_turns_negative() -> None:
    """Inverse matrices of the bundled cameras have no negative entry, so that nothing is cut before Poisson."""
    from builders.simcams import bundled_catalogue

    assert all((sensor_matrix(camera.body) >= 0).all() for camera in bundled_catalogue())


def test_falloff_quarter__is_the_lower_right_of_a_frame_that_is_its_own_mirror_image(camera: Camera) -> None:
    settings = Settings(Fraction(1, 60), 2.8, 100, 24.0)
    whole = falloff_stops(36, 52, camera.lens, settings)
    quarter = falloff_quarter(36, 52, camera.lens, settings)
    np.testing.assert_array_equal(quarter, whole[18:, 26:], strict=True)
    for mirrored in (whole[17::-1, 26:], whole[18:, 25::-1], whole[17::-1, 25::-1]):
        np.testing.assert_array_equal(mirrored, quarter)


def test_moment__medians_spread_and_directions_of_what_moves():
    """A walker crosses 0.35 frames a second, hands shake 0.03 rad/s (t = 1/f), depth differs by 0.3; factors of 1.4."""
    rng = np.random.default_rng(0)
    moments = [Moment.draw(rng) for _ in range(4000)]
    speeds, shakes = (np.array([getattr(m, n) for m in moments]) for n in ("subject_speed", "shake_rad_per_s"))
    sizes = (np.hypot(*speeds.T), np.hypot(*shakes.T), np.array([m.depth_ratio for m in moments]))
    for values, median in zip(sizes, (0.35, 0.03, 0.3), strict=True):
        assert np.median(values) == pytest.approx(median, rel=0.03)
        assert np.log(values).std() == pytest.approx(0.35, rel=0.05)
    above_ground = np.arctan(speeds[:, 1] / speeds[:, 0])
    assert above_ground.std() == pytest.approx(np.radians(15), rel=0.05)
    assert (speeds[:, 0] > 0).mean() == pytest.approx(0.5, abs=0.03)
    around = np.arctan2(shakes[:, 1], shakes[:, 0])
    assert np.histogram(around, 8, (-np.pi, np.pi))[0] == pytest.approx(500, rel=0.15)
    assert Moment.still() == Moment((0.0, 0.0), (0.0, 0.0), 0.0)
