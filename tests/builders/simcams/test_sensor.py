"""The sensor against EMVA 1288's photon transfer, and its fixed patterns against their definitions."""

from __future__ import annotations

import dataclasses
from fractions import Fraction

import numpy as np
import pytest

from builders.simcams import Camera, Settings, camera_named
from builders.simcams.random_numbers import generator
from builders.simcams.stages.sensor import fixed_pattern, read_out

SIDE = 256


def shot(camera: Camera, level: float, settings: Settings, seed: int, unit: int = 1) -> np.ndarray:
    exposure = np.full((SIDE, SIDE), level, np.float32)
    return read_out(exposure, camera, settings, unit, generator("test", seed)).dn.astype(np.float64)


def at_iso(settings: Settings, iso: int) -> Settings:
    return dataclasses.replace(settings, iso=iso)


def photon_transfer_slope(camera: Camera, settings: Settings) -> float:
    """Slope of temporal variance (half that of a pair's difference) against mean over black, in DN per electron."""
    means, variances = [], []
    for i, level in enumerate(np.linspace(0.1, 0.7, 7)):
        a, b = (shot(camera, level, settings, 2 * i + k) for k in (0, 1))
        means.append((a.mean() + b.mean()) / 2 - camera.body.black_level)
        variances.append((a - b).var() / 2)
    return float(np.polyfit(means, variances, 1, w=1 / np.array(means))[0])


@pytest.mark.parametrize("name", ["Galdren G300", "Brevik Nord 2", "Elsinor E200"])
def test_photon_transfer__slope_is_the_gain(name: str, settings: Settings) -> None:
    camera = camera_named(name)
    quiet = dataclasses.replace(camera, body=dataclasses.replace(camera.body, row_noise_share=0.0))
    assert photon_transfer_slope(quiet, settings) == pytest.approx(camera.body.gain_dn_per_e(100), rel=0.01)


def test_photon_transfer__iso_doubles_the_slope(camera: Camera, settings: Settings) -> None:
    ratio = photon_transfer_slope(camera, at_iso(settings, 800)) / photon_transfer_slope(camera, at_iso(settings, 400))
    assert ratio == pytest.approx(2, rel=0.01)


def test_noise__relative_to_white_grows_with_the_root_of_iso(camera: Camera, settings: Settings) -> None:
    def relative(iso: int) -> float:
        a, b = (shot(camera, 0.5, at_iso(settings, iso), k) for k in (1, 2))
        return float((a - b).std() / (a.mean() - camera.body.black_level))

    assert relative(1600) / relative(400) == pytest.approx(2, rel=0.02)


@pytest.mark.parametrize("iso", [100, 3200])
def test_read_noise__dark_pairs_give_it_back(camera: Camera, settings: Settings, iso: int) -> None:
    body = dataclasses.replace(camera.body, dark_e_per_s=0.0, row_noise_share=0.0)
    dark = dataclasses.replace(camera, body=body)
    a, b = (shot(dark, 0.0, at_iso(settings, iso), k) for k in (1, 2))
    gain = body.gain_dn_per_e(iso)
    rounding = 1 / 12
    expected = np.sqrt((body.total_read_noise_e(iso) * gain) ** 2 + rounding)
    assert (a - b).std() / np.sqrt(2) == pytest.approx(expected, rel=0.01)


def test_read_noise__falls_with_iso_in_electrons(camera: Camera) -> None:
    body = camera.body
    assert body.total_read_noise_e(100) == pytest.approx(np.hypot(body.read_noise_e, body.downstream_noise_e))
    assert body.total_read_noise_e(3200) == pytest.approx(body.read_noise_e, rel=0.05)


def test_row_noise__rows_vary_by_the_requested_share(camera: Camera, settings: Settings) -> None:
    body = dataclasses.replace(camera.body, row_noise_share=0.5, dark_e_per_s=0.0)
    dn = shot(dataclasses.replace(camera, body=body), 0.0, settings, 5)
    read = body.total_read_noise_e(100) * body.gain_dn_per_e(100)
    columns_alone = read / np.sqrt(SIDE)
    assert dn.mean(axis=1).std() == pytest.approx(np.hypot(0.5 * read, columns_alone), rel=0.15)
    assert dn.mean(axis=0).std() == pytest.approx(columns_alone, rel=0.15)


def test_black__mean_is_the_pedestal(camera: Camera, settings: Settings) -> None:
    body = dataclasses.replace(camera.body, row_noise_share=0.0)
    assert shot(dataclasses.replace(camera, body=body), 0.0, settings, 1).mean() == pytest.approx(
        body.black_level, abs=0.05
    )


def test_white__clips_at_full_scale(settings: Settings) -> None:
    camera = camera_named("Brevik Nord 2")
    body = dataclasses.replace(camera.body, prnu=0.0)
    dn = shot(dataclasses.replace(camera, body=body), 3.0, at_iso(settings, 400), 1)
    assert (dn == body.white_level).all()


def test_full_well__holds_no_more_electrons_at_base_iso(camera: Camera, settings: Settings) -> None:
    body = dataclasses.replace(camera.body, read_noise_e=0.0, downstream_noise_e=0.0)
    dn = shot(dataclasses.replace(camera, body=body), 5.0, settings, 1)
    assert (dn == body.white_level).all()


def test_prnu__spatial_deviation_is_the_requested_one(settings: Settings) -> None:
    camera = camera_named("Alderin A6")
    mean = np.mean([shot(camera, 0.6, settings, k) for k in range(40)], axis=0) - camera.body.black_level
    shot_noise_left = 1 / (40 * 0.6 * camera.body.white_e(100))
    measured = np.sqrt(mean.var() / mean.mean() ** 2 - shot_noise_left)
    assert measured == pytest.approx(camera.body.prnu, rel=0.02)


def test_fingerprint__finds_the_unit_and_no_other(settings: Settings) -> None:
    """PRNU from 20 flats against residuals of single shots: correlated for the same unit, not for another."""
    camera = camera_named("Alderin A6")
    flats = np.mean([shot(camera, 0.6, settings, k) for k in range(20)], axis=0)
    fingerprint = flats - flats.mean()

    def correlation(unit: int) -> float:
        residual = shot(camera, 0.5, settings, 999, unit)
        return float(np.corrcoef(fingerprint.ravel(), residual.ravel())[0, 1])

    assert correlation(unit=1) > 0.2
    assert abs(correlation(unit=2)) < 4 / SIDE


def test_fixed_pattern__belongs_to_the_unit_not_to_the_shot(camera: Camera) -> None:
    first, again = fixed_pattern(camera, 1, 64, 64), fixed_pattern(camera, 1, 64, 64)
    other = fixed_pattern(camera, 2, 64, 64)
    np.testing.assert_array_equal(first.sensitivity, again.sensitivity)
    assert not np.array_equal(first.sensitivity, other.sensitivity)


def test_dark_signal__grows_with_time(camera: Camera, settings: Settings) -> None:
    hot = dataclasses.replace(camera, body=dataclasses.replace(camera.body, dark_e_per_s=300.0))
    long = dataclasses.replace(settings, exposure_s=Fraction(2))
    electrons = (shot(hot, 0.0, long, 1).mean() - camera.body.black_level) / camera.body.gain_dn_per_e(100)
    assert electrons == pytest.approx(600, rel=0.02)
