"""Compiled stages have the same bits as those of NumPy, which define them; otherwise they are not used."""

from __future__ import annotations

import dataclasses
import importlib.util

import numpy as np
import pytest
import scipy.ndimage

pytest.importorskip("numba")

from builders.simcams import Framing, SceneLight, Shot, bundled_catalogue, engine, render_shot
from builders.simcams.kernels import develop, random, stages
from builders.simcams.random_numbers import generator
from builders.simcams.settings import STOPS, settings_for_scene
from builders.simcams.stages import optics, scene

CAMERAS = bundled_catalogue()
HAND_HELD = Framing(0.03, -0.03, 1.03, 1.5)
"""The largest framing of a shot of a pair."""

SIDE, MARGIN = 48, 6


@pytest.fixture(scope="module")
def lights():
    """A scene of each kind, and one with clipped highlights, above and below the range of the sensor."""
    side = SIDE + 2 * MARGIN
    result = [
        SceneLight.of_linear_rgb(kind, scene.paint(kind, side, side, generator(kind)), MARGIN)
        for kind in scene.SCENE_KINDS
    ]
    ramp = np.linspace(0, 1, side, dtype=np.float32)[:, None, None] * np.ones((side, side, 3), np.float32)
    return [*result, SceneLight.of_linear_rgb("blown", ramp, MARGIN, clipped=ramp[..., 0] > 0.8)]


def settings_of(i):
    """Settings of one shot of each camera."""
    return settings_for_scene("kernels", len(CAMERAS), STOPS, 0)[i]


@pytest.mark.parametrize("i", range(len(CAMERAS)), ids=[camera.name.replace(" ", "-") for camera in CAMERAS])
def test_stages__every_camera_has_numpys_bits(i, lights):
    camera, settings = CAMERAS[i], settings_of(i)
    reference = engine.numpy_stages()
    for light in (lights[i % 4], lights[4]):
        moment = optics.Moment.draw(generator("moment", i))
        for framing in (Framing(), HAND_HELD):
            exposure = reference.light_on_sensor(light, camera, settings, moment, framing)
            again = stages.compiled_light_on_sensor(light, camera, settings, moment, framing)
            np.testing.assert_array_equal(again, exposure, strict=True)
        gains = np.array([1.9, 1.0, 1.6])
        raw = reference.read_out(exposure, camera, settings, 2, generator("noise", i), gains)
        also = stages.compiled_read_out(exposure, camera, settings, 2, generator("noise", i), gains)
        np.testing.assert_array_equal(also.dn, raw.dn, strict=True)
        assert (also.white_e, also.white_balance is gains) == (raw.white_e, True)
        picture = reference.develop(raw, camera, settings)
        np.testing.assert_array_equal(stages.compiled_develop(raw, camera, settings), picture, strict=True)
        assert picture.std() > 5


@pytest.mark.parametrize("kind", scene.SCENE_KINDS)
@pytest.mark.parametrize("shape", [(60, 44), (160, 160)])
def test_paint__every_kind_of_scene_has_numpys_bits(kind, shape):
    expected, rng = scene.paint(kind, *shape, generator("kernels", kind)), generator("kernels", kind)
    np.testing.assert_array_equal(stages.compiled_paint(kind, *shape, rng), expected, strict=True)
    other = generator("kernels", kind)
    scene.paint(kind, *shape, other)
    assert rng.random() == other.random()  # what is drawn next, the illuminant, follows from the state


@pytest.mark.parametrize(("shape", "size"), [((40, 28), 3), ((28, 40), 13), ((12, 8), 21)])
def test_surroundings__are_scipys_mean_of_a_mean(shape, size):
    luma = generator("luma").random(shape, dtype=np.float32)
    expected = luma
    for _ in range(2):
        expected = scipy.ndimage.uniform_filter(expected, size, mode="nearest")
    np.testing.assert_array_equal(develop.surroundings(luma, size), expected, strict=True)


@pytest.mark.parametrize("mean", [0.0, 1e-6, 0.4, 3.0, 9.999999, 10.0, 11.0, 40.0, 2500.0, 77000.0])
def test_poisson__numbers_and_the_generator_after_them_are_numpys(mean):
    means = np.full((40, 50), mean, np.float32)
    means[::2] *= generator("means", mean).random((20, 50), dtype=np.float32)
    numpy_rng, kernel_rng = generator("poisson", mean), generator("poisson", mean)
    expected = np.minimum(numpy_rng.poisson(means), 50_000.5).astype(np.float32)
    np.testing.assert_array_equal(stages.photon_counts(means, 50_000.5, kernel_rng), expected, strict=True)
    np.testing.assert_array_equal(
        kernel_rng.standard_normal(5, dtype=np.float32), numpy_rng.standard_normal(5, dtype=np.float32)
    )


@pytest.mark.parametrize("begin", [lambda: np.random.default_rng(3), lambda: used(generator("used"), 3)])
def test_poisson__another_or_a_begun_generator(begin):
    means, numpy_rng, kernel_rng = np.linspace(0, 50, 600, dtype=np.float32).reshape(20, 30), begin(), begin()
    expected = numpy_rng.poisson(means).astype(np.float32)
    np.testing.assert_array_equal(stages.photon_counts(means, 1e6, kernel_rng), expected)
    assert numpy_rng.random() == kernel_rng.random()


@pytest.mark.parametrize("begun", [0, 1, 3, 4])
@pytest.mark.parametrize("count", [1, 2, 7, 66_001])
def test_normal__numbers_and_the_generator_after_them_are_numpys(begun, count):
    numpy_rng, kernel_rng = used(generator("normal"), begun), used(generator("normal"), begun)
    expected = numpy_rng.standard_normal(count, dtype=np.float32)
    np.testing.assert_array_equal(stages.normal_numbers(count, kernel_rng), expected, strict=True)
    np.testing.assert_array_equal(
        kernel_rng.standard_normal(3, dtype=np.float32), numpy_rng.standard_normal(3, dtype=np.float32)
    )
    assert numpy_rng.random() == kernel_rng.random()


def test_fill_bits__overflow_of_the_counter():
    """The first word of the counter carries; NumPy's generator in the same state gives the expected numbers."""
    for count, short_of in ((8, 1), (16, 3), (24, 100), (20, 7)):
        philox = np.random.Philox(key=5)
        state = philox.state
        state["state"]["counter"][:2] = 2**64 - short_of, 2
        philox.state = state
        counter, bits = state["state"]["counter"].copy(), np.empty(count, np.uint64)
        random.fill_bits(counter, state["state"]["key"], bits)
        np.testing.assert_array_equal(bits, philox.random_raw(count))
        np.testing.assert_array_equal(counter, philox.state["state"]["counter"])


@pytest.mark.parametrize("begin", [lambda: np.random.default_rng(3), lambda: half_used(generator("half"))])
def test_normal__another_generator_or_one_with_half_a_number_left(begin):
    numpy_rng, kernel_rng = begin(), begin()
    expected = numpy_rng.standard_normal(9, dtype=np.float32)
    np.testing.assert_array_equal(stages.normal_numbers(9, kernel_rng), expected, strict=True)


def half_used(rng):
    rng.integers(1 << 32, dtype=np.uint32)
    return rng


def used(rng, count):
    rng.random(count)
    return rng


def test_render_shot__the_same_file_with_and_without_kernels(lights, monkeypatch):
    for i in (0, 10, 26):
        shot, files = Shot(CAMERAS[i], settings_of(i), 1, HAND_HELD), []
        for forced in ("numba", "pillow", ""):
            monkeypatch.setenv("CAMTRACE_ENGINE", forced)
            files.append(render_shot(lights[1], shot))
        assert files[0] == files[1] == files[2]


def broken(stage):
    """The stages of NumPy, one of them with a small error."""
    right = getattr(engine.numpy_stages(), stage)

    def wrong(*arguments):
        result = right(*arguments)
        (result.dn if stage == "read_out" else result).flat[5] += 1
        return result

    return dataclasses.replace(engine.numpy_stages(), **{stage: wrong})


@pytest.mark.parametrize(
    ("stage", "named"),
    [("paint", "scenes"), ("light_on_sensor", "optics"), ("read_out", "read-out"), ("develop", "development")],
)
def test_difference__names_the_stage_that_differs(stage, named):
    assert engine.difference(engine.numpy_stages(), engine.numpy_stages()) == ""
    assert f"compiled {named} differ" in engine.difference(broken(stage), engine.numpy_stages())


@pytest.fixture
def afresh():
    """Without a cached choice, as in a new process."""
    engine.tested.cache_clear()
    yield
    engine.tested.cache_clear()


def test_chosen_stages__without_numba(afresh, monkeypatch):
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    assert engine.chosen_stages() is engine.numpy_stages()
