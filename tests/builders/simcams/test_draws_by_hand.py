"""Every random draw and size of shots and scenes, computed again beside the product from the same random numbers."""

from __future__ import annotations

import math
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from builders.simcams import Camera, PhotoScenes, ProceduralScenes, Settings, bundled_catalogue, engine, simpairs_photos
from builders.simcams.engine import Stages
from builders.simcams.layouts import imagenet_es_files
from builders.simcams.random_numbers import generator
from builders.simcams.render import SimulatedShots
from builders.simcams.stages import develop
from builders.simcams.stages.light import auto_exposure
from builders.simcams.stages.optics import Moment
from builders.simcams.stages.sensor import Raw


def test_moment__speeds_and_depth_of_the_drawn_numbers() -> None:
    for seed in range(6):
        rng, moment = generator("moment", seed), Moment.draw(generator("moment", seed))
        subject, hand, depth = (math.exp(0.35 * number) for number in rng.standard_normal(3))
        along = math.radians(15) * rng.standard_normal() + math.pi * int(rng.integers(2))
        shaken = rng.uniform(0, 2 * math.pi)
        expected = [
            *(0.35 * subject * math.cos(along), 0.35 * subject * math.sin(along)),
            *(0.03 * hand * math.cos(shaken), 0.03 * hand * math.sin(shaken)),
            0.3 * depth,
        ]
        assert [*moment.subject_speed, *moment.shake_rad_per_s, moment.depth_ratio] == pytest.approx(expected)


def test_simpairs__camera_settings_body_and_framing_of_the_drawn_numbers() -> None:
    cameras, clipped = bundled_catalogue(), np.zeros(3, dtype=int)
    for seed, count in ((0, 400), (7, 5)):
        source = simpairs_photos(count, 32, seed).source
        assert isinstance(source, SimulatedShots)
        assert source.scene_of == tuple(i // 2 for i in range(2 * count))
        shots = iter(source.shots)
        for scene_id in source.scenes.ids:
            rng = generator("pair", scene_id, seed)
            for kind, f_numbers, lengths in (
                ("phone", [1.8, 2.2, 2.4], [26, 28]),
                ("compact", [2.8, 3.5, 4.5], [28, 35]),
            ):
                shot, of_kind = next(shots), [camera for camera in cameras if camera.kind == kind]
                assert shot.camera == of_kind[int(rng.integers(len(of_kind)))]
                exposure, iso = Fraction(1, int(rng.choice([60, 125, 250]))), int(rng.choice([100, 200, 400]))
                assert shot.settings == Settings(
                    exposure, float(rng.choice(f_numbers)), iso, float(rng.choice(lengths))
                )
                assert shot.unit == [1, 2, 3][int(rng.integers(3))]
                x, y, scale, turn = (float(number) for number in rng.standard_normal(4))
                bounded = [max(-0.03, min(0.03, 0.011 * number)) for number in (x, y, scale)]
                framing = shot.framing
                assert [framing.shift_x, framing.shift_y, math.log(framing.scale)] == pytest.approx(bounded)
                assert framing.rotation_deg == pytest.approx(max(-1.5, min(1.5, 0.5 * turn)))
                assert shot.seed == seed
                clipped += [abs(bounded[0]) == 0.03, abs(bounded[2]) == 0.03, abs(framing.rotation_deg) == 1.5]
    assert clipped.min() > 0


def test_imagenet_es__every_light_and_seed_has_random_numbers_of_its_own() -> None:
    seeds: list[set[int]] = []
    for seed in range(4):
        files = imagenet_es_files(ProceduralScenes(1, 32, 32), bundled_catalogue(), seed)
        seeds += [{file.shot.seed for file in files[0] if f"/{light}/" in file.path} for light in ("l1", "l5")]
    assert seeds == [{number} for number in range(8)]


def test_auto_exposure__of_the_mean_and_the_brightest_fiftieth() -> None:
    """The quantile of 101 pixels at 0.98 is the 99th in ascending order: two are brighter."""
    weights = np.array([0.2126, 0.7152, 0.0722])
    for seed in range(8):
        planes = (np.random.default_rng(seed).random((3, 1, 101)) ** (1 + 3 * seed)).astype(np.float32)
        luminance = sorted(float(weights @ planes[:, 0, i]) for i in range(101))
        assert auto_exposure(planes) == pytest.approx(
            min(0.18 / (sum(luminance) / 101), 0.95 / luminance[98]), rel=1e-4
        )
    for lit, expected in ((2, 1.0), (3, min(0.18 / (3 / 101), 0.95))):
        points = np.zeros((3, 1, 101), np.float32)
        points[:, 0, :lit] = 1
        assert auto_exposure(points) == pytest.approx(expected), "black but for some points"


@pytest.mark.parametrize(
    ("height", "width", "size"),
    [(10, 10, 3), (59, 20, 3), (20, 60, 3), (80, 20, 5), (20, 80, 5), (99, 30, 5), (30, 100, 5), (30, 120, 7)],
)
def test_contrast_luma__surroundings_are_a_twentieth_of_the_longer_side(height: int, width: int, size: int) -> None:
    linear = np.random.default_rng(0).normal(0.2, 0.4, (3, height, width)).astype(np.float32)
    luma, odd = develop.contrast_luma(linear)
    assert odd == size
    by_hand = 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]
    np.testing.assert_allclose(luma, np.where(by_hand > 0, by_hand, 0) + 0.02, rtol=1e-4, atol=1e-6)


def test_photo_scenes__fingerprint_has_both_sides_of_the_frame_and_every_path(tmp_path: Path) -> None:
    for name in ("a", "b"):
        (tmp_path / name).write_bytes(name.encode())
    made = {
        (height, width, paths): PhotoScenes(tmp_path, paths, height, width).fingerprint()
        for height in (32, 64)
        for width in (32, 64)
        for paths in (("a",), ("b",), ("a", "b"), ("b", "a"))
    }
    assert len(set(made.values())) == len(made) == 16


def stub_stages(calls: list[tuple[Any, ...]], wrong: str = "", of: str = "") -> Stages:
    """Stages that are fast. One result of ``wrong`` differs, for a kind of scenes or a camera whose name is ``of``."""

    def result(stage: str, name: str, *more: Any) -> np.ndarray:
        calls.append((stage, name, *more))
        return np.full((4, 4), 0.5 + 0.1 * (stage == wrong and of in (name, "")), np.float32)

    return Stages(
        lambda kind, height, width, rng: (
            result("paint", kind, height, width, rng.random())[0, 0] * np.ones((height, width, 3), np.float32)
        ),
        lambda light, camera, settings, moment: result("optics", camera.name, light.scene_id, settings, moment),
        lambda exposure, camera, settings, unit, rng: Raw(
            result("read-out", camera.name, settings, unit, rng.random()), np.ones(3), 1.0
        ),
        lambda raw, camera, settings: result("development", camera.name, settings),
    )


def test_difference__is_seen_in_each_kind_and_camera_and_the_stages_are_given_the_same() -> None:
    cameras: list[Camera] = list({camera.kind: camera for camera in bundled_catalogue()}.values())
    names = [camera.name for camera in cameras]
    assert len(names) > 2
    one: list[tuple[Any, ...]] = []
    other: list[tuple[Any, ...]] = []
    assert engine.difference(stub_stages(one), stub_stages(other)) == ""
    for stage in ("paint", "optics", "read-out", "development"):
        for_one, for_other = ([call for call in calls if call[0] == stage] for calls in (one, other))
        assert for_one == for_other
        of_cameras = [] if stage == "paint" else names
        assert [call[1] for call in for_one] == (of_cameras * 2 if of_cameras else ["blocks", "weave"])
    assert one[0][2:4] == (40, 40)  # 32 with a margin of 4
    assert len({call[2:4] for call in one if call[0] == "optics"}) == 2 * len(names), "settings of their own"
    assert {call[3] for call in one if call[0] == "read-out"} == {1}
    for kind in ("blocks", "weave"):
        sentence_of = engine.difference(stub_stages([], "paint", kind), stub_stages([]))
        assert sentence_of == f"compiled scenes differ from NumPy's ({kind})"
    for stage, sentence in (
        ("optics", "compiled optics differ"),
        ("read-out", "compiled read-out differs"),
        ("development", "compiled development differs"),
    ):
        for name in names:
            sentence_of = engine.difference(stub_stages([], stage, name), stub_stages([]))
            assert sentence_of == f"{sentence} from NumPy's ({name})"
