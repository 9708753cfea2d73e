"""Image processing of the camera: greys stay grey, whites stay white, each parameter has its effect."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable

import numpy as np
import pytest

from builders.simcams import Camera, SceneLight, Settings, Shot, bundled_catalogue, camera_named, expose
from builders.simcams.random_numbers import generator
from builders.simcams.stages.develop import (
    balanced_mosaic,
    colour_correction,
    denoise,
    develop,
    sharpen,
    shrink_wavelets,
    smooth_b3,
    tone_curve,
)
from builders.simcams.stages.optics import Moment
from builders.simcams.stages.scene import paint

Flat = Callable[..., SceneLight]
Ideal = Callable[[Camera], Camera]
CAMERAS = [camera.name for camera in bundled_catalogue()[::4]]


def noiseless(camera: Camera) -> Camera:
    body = dataclasses.replace(
        camera.body,
        full_well_e=1e9,
        read_noise_e=0.0,
        downstream_noise_e=0.0,
        prnu=0.0,
        dark_e_per_s=0.0,
        adc_bits=16,
        bayer=camera.body.bayer,
    )
    return dataclasses.replace(camera, body=body)


@pytest.mark.parametrize("name", CAMERAS)
def test_develop__grey_stays_grey_and_keeps_its_level(name: str, settings: Settings, flat: Flat) -> None:
    """18 % grey through the whole of every camera: the three channels agree, at the level of its tone curve."""
    camera = noiseless(camera_named(name))
    camera = dataclasses.replace(camera, lens=dataclasses.replace(camera.lens, vignetting_stops=0.0))
    tele = dataclasses.replace(settings, focal_length_35mm=2000.0)
    rgb = develop(expose(flat(0.18), Shot(camera, tele), Moment.still()), camera, tele)[8:-8, 8:-8].astype(float)
    assert np.ptp(rgb.mean(axis=(0, 1))) < 1
    assert rgb.mean() / 255 == pytest.approx(tone_curve(np.array(0.18), camera.pipeline.contrast), abs=0.06)


@pytest.mark.parametrize("name", CAMERAS)
def test_develop__blown_highlights_are_white_not_pink(name: str, settings: Settings, flat: Flat) -> None:
    camera = camera_named(name)
    tele = dataclasses.replace(settings, focal_length_35mm=2000.0)
    rgb = develop(expose(flat(4.0), Shot(camera, tele), Moment.still()), camera, tele)
    assert rgb.min() >= 250


def test_develop__round_trip_of_a_natural_scene(settings: Settings, ideal: Ideal) -> None:
    """Noise, blur and JPEG off: back to at least 35 dB of the scene."""
    import scipy.ndimage

    scene = paint("fields", 160, 160, generator("round trip"))
    scene = scipy.ndimage.gaussian_filter(np.minimum(scene / np.quantile(scene, 0.995), 1), (1.0, 1.0, 0))
    light = SceneLight.of_linear_rgb("round trip", scene, 16, expose=False)
    camera = noiseless(ideal(camera_named("Galdren G850")))
    camera = dataclasses.replace(camera, body=dataclasses.replace(camera.body, pitch_um=100.0))
    tele = dataclasses.replace(settings, focal_length_35mm=2000.0)
    shot = Shot(camera, tele)
    raw = expose(light, shot, Moment.still())
    bright = raw.dn.astype(float).mean()
    truth = tone_curve(scene[16:-16, 16:-16], 0.0)
    # the automatic exposure's error is known by comparing with a shot of the same scene whose error is divided out
    best = max(
        -10
        * np.log10(
            ((develop(dataclasses.replace(raw, dn=_scaled(raw.dn, g, camera)), camera, tele) / 255 - truth) ** 2).mean()
        )
        for g in 2.0 ** np.arange(-0.5, 0.5, 0.02)
    )
    assert bright > camera.body.black_level
    assert best > 35


def _scaled(dn: np.ndarray, gain: float, camera: Camera) -> np.ndarray:
    black = camera.body.black_level
    return np.clip((dn.astype(float) - black) * gain + black, 0, camera.body.white_level).astype(np.uint16)


@pytest.mark.parametrize("name", CAMERAS)
def test_colour_correction__rows_sum_to_one(name: str) -> None:
    camera = camera_named(name)
    np.testing.assert_allclose(colour_correction(camera.body, camera.pipeline).sum(axis=1), 1, atol=1e-12)


def test_shading_correction__takes_back_its_share_and_lifts_corner_noise(settings: Settings, flat: Flat) -> None:
    camera = camera_named("Alderin A6")
    wide = dataclasses.replace(settings, focal_length_35mm=24.0, iso=800)

    def corner(share: float) -> np.ndarray:
        c = dataclasses.replace(camera, lens=dataclasses.replace(camera.lens, shading_correction=share))
        return balanced_mosaic(expose(flat(0.4), Shot(c, wide), Moment.still()), c, wide)[:16, :16]

    assert np.log2(corner(1.0).mean() / corner(0.0).mean()) > 1.5
    assert corner(1.0).std() > 2 * corner(0.0).std()


def test_tone_curve__is_srgb_without_contrast() -> None:
    """IEC 61966-2-1: 0.18 -> 0.461, 0.5 -> 0.735, ends fixed."""
    np.testing.assert_allclose(tone_curve(np.array([0, 0.18, 0.5, 1.0]), 0.0), [0, 0.4614, 0.7354, 1], atol=1e-4)
    np.testing.assert_allclose(tone_curve(np.array([0.0, 1.0]), 0.8), [0, 1], atol=1e-12)


def test_smooth_b3__equals_the_kernel_with_holes() -> None:
    import scipy.ndimage

    plane = np.random.default_rng(0).random((20, 24)).astype(np.float32)
    kernel = np.array([1, 0, 4, 0, 6, 0, 4, 0, 1]) / 16
    expected = scipy.ndimage.correlate1d(
        scipy.ndimage.correlate1d(plane, kernel, 0, mode="reflect"), kernel, 1, mode="reflect"
    )
    np.testing.assert_allclose(smooth_b3(plane, 2), expected, atol=1e-6)


@pytest.mark.parametrize("threshold", [0.1, 0.5, 1e6])
def test_shrink_wavelets__by_scipy(threshold: float) -> None:
    """The two finest levels of Starck and Murtagh's table lose up to 0.6 thresholds of the noise; the rest stays."""
    import scipy.ndimage

    plane = np.random.default_rng(1).normal(size=(40, 48)).astype(np.float32)
    coarse, details = plane, []
    for kernel, noise in (([1, 4, 6, 4, 1], 0.889), ([1, 0, 4, 0, 6, 0, 4, 0, 1], 0.200)):
        taps, before = np.array(kernel) / 16, coarse
        for axis in (0, 1):
            coarse = scipy.ndimage.correlate1d(coarse, taps, axis, mode="reflect")
        detail, cut = before - coarse, 0.6 * threshold * noise
        details.append(np.sign(detail) * np.maximum(np.abs(detail) - cut, 0))
    np.testing.assert_allclose(shrink_wavelets(plane, threshold), coarse + sum(details), atol=2e-6)


def test_shrink_wavelets__nothing_is_lost_at_threshold_zero() -> None:
    plane = np.random.default_rng(0).random((16, 16)).astype(np.float32)
    np.testing.assert_array_equal(shrink_wavelets(plane, 0.0), plane)
    np.testing.assert_allclose(shrink_wavelets(plane, 1e-9), plane, atol=1e-6)


@pytest.mark.parametrize(
    ("name", "least", "most"), [("Alderin A9", 0.15, 0.45), ("Fennwick Pico 20", 0.3, 0.75), ("Istrane Two", 0.5, 1.0)]
)
def test_denoise__left_over_luma_noise_is_that_of_its_kind(
    name: str, least: float, most: float, settings: Settings, flat: Flat
) -> None:
    """Typical left-over: phones 0.2-0.4, compacts 0.3-0.6, DSLRs 0.5-0.9 of the noise."""
    camera = camera_named(name)
    tele = dataclasses.replace(settings, focal_length_35mm=2000.0, iso=800)
    raw = expose(flat(0.2), Shot(camera, tele), Moment.still())
    plain = dataclasses.replace(camera.pipeline, sharpen_amount=0.0, local_contrast=0.0)
    off = dataclasses.replace(plain, luma_threshold=0.0, chroma_levels=0)

    def luma_noise(pipeline: object) -> float:
        rgb = develop(raw, dataclasses.replace(camera, pipeline=pipeline), tele)[16:-16, 16:-16]  # type: ignore[arg-type]
        return float((rgb @ [0.25, 0.5, 0.25]).std())

    assert least < luma_noise(plain) / luma_noise(off) < most


def test_denoise__keeps_mean_and_edges_but_not_texture(camera: Camera) -> None:
    """The dead-leaves law: texture at the level of noise goes, an edge far above it stays."""
    rng = np.random.default_rng(0)
    white_e, pipeline = 500.0, dataclasses.replace(camera.pipeline, luma_threshold=3.0, chroma_levels=3)
    texture = np.sin(np.arange(128) * 2.2)[None, :] * 0.01
    edge = np.where(np.arange(128) < 64, 0.1, 0.5)[None, :]

    def contrast(signal: np.ndarray) -> float:
        level = np.broadcast_to(0.3 + signal if signal is texture else signal, (128, 128))
        planes = np.stack([rng.poisson(level * white_e) / white_e for _ in range(3)]).astype(np.float32)
        out = denoise(planes, white_e, 1.0, pipeline).mean(axis=0)
        assert out.mean() == pytest.approx(level.mean(), rel=0.01)
        column = out.mean(axis=0)
        return float((column * (signal - signal.mean())[0]).sum() / ((signal - signal.mean()) ** 2).sum())

    assert contrast(texture) < 0.5
    assert contrast(edge) > 0.95


def test_sharpen__transfer_is_one_plus_amount_times_high_pass(camera: Camera) -> None:
    pipeline = dataclasses.replace(camera.pipeline, sharpen_amount=0.8, sharpen_radius_px=1.0)
    f = 8 / 64
    wave = np.broadcast_to(0.5 + 0.1 * np.cos(2 * np.pi * f * np.arange(256)), (3, 64, 256)).astype(np.float32)
    gain = np.ptp(sharpen(wave, pipeline)[0, 32, 32:-32]) / np.ptp(wave[0, 32, 32:-32])
    assert gain == pytest.approx(1 + 0.8 * (1 - np.exp(-2 * np.pi**2 * f**2)), rel=0.01)


def test_demosaicing_trace__spectrum_of_green_residual_peaks_at_half_half(settings: Settings, flat: Flat) -> None:
    """Interpolated pixels are less noisy than measured ones: a checkerboard in the variance (Gallagher 2005)."""
    camera = camera_named("Istrane Two")
    pipeline = dataclasses.replace(camera.pipeline, luma_threshold=0.0, chroma_levels=0, sharpen_amount=0.0)
    raw_camera = dataclasses.replace(camera, pipeline=pipeline)
    tele = dataclasses.replace(settings, focal_length_35mm=2000.0, iso=1600)
    green = develop(expose(flat(0.2, side=256), Shot(raw_camera, tele), Moment.still()), raw_camera, tele)[
        ..., 1
    ].astype(float)
    power = abs(np.fft.fft2((green - green.mean()) ** 2))
    assert power[128, 128] > 12 * np.median(power)
