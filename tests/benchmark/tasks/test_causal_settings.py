"""Probes of exposure, aperture, ISO and light where every scene has every setting, and no scene is on both sides."""

import io

import numpy as np
import pytest
import torch
from PIL import Image

from builders.data_specs import open_photos
from tests.support.camera_sets import write_tree
from tests.support.scoring import score_tasks, toy_encoder

SCENES, LEVEL = 8, 16

TASKS = ("probe/exposure", "probe/aperture", "probe/iso", "probe/light")


def colour(scene, light, number):
    """Red is the scene, green the exposure and blue the light; aperture and ISO leave the picture as it is."""
    return LEVEL * (scene + 1), LEVEL * (2 + 4 * ((number - 1) // 3 % 3)), LEVEL * (3 + 6 * light)


@pytest.fixture(scope="module")
def photos(tmp_path_factory):
    tree = {}
    for scene in range(SCENES):
        for light in (0, 1):
            for number in range(1, 28):
                buffer = io.BytesIO()
                Image.new("RGB", (16, 16), colour(scene, light, number)).save(buffer, "PNG")
                name = f"es-test/param_control/l{1 + 4 * light}/param_{number}/n0000000{scene % 2}/{scene}.png"
                tree[name] = buffer.getvalue()
    return open_photos(f"imagenet-es:{write_tree(tmp_path_factory.mktemp('es') / 'set', tree)}")


def corner(image):
    return np.asarray(image.convert("RGB"))[:2, :2]


def encoder_of(channel):
    """An encoder that keeps one channel of the picture, in steps of ``LEVEL``, and nothing else."""

    def embed(batch):
        steps = (batch.reshape(len(batch), -1)[:, channel].float() / LEVEL).round().long()
        return torch.nn.functional.one_hot(steps, 16).float()

    return toy_encoder(embed, corner, 16, name=f"channel {channel}", weights=str(channel) * 64)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("channel", "read"),
    [
        (0, {"probe/exposure": 1 / 3, "probe/aperture": 1 / 3, "probe/iso": 1 / 3, "probe/light": 1 / 2}),
        (1, {"probe/exposure": 1.0, "probe/aperture": 1 / 3, "probe/iso": 1 / 3, "probe/light": 1 / 2}),
        (2, {"probe/exposure": 1 / 3, "probe/aperture": 1 / 3, "probe/iso": 1 / 3, "probe/light": 1.0}),
    ],
)
def test_setting_probe__reads_what_the_setting_does_and_nothing_of_the_scene(channel, read, photos, tmp_path):
    """An embedding that a setting does not move gives one answer for all settings of a scene: exactly chance."""
    scored = score_tasks(encoder_of(channel), photos, TASKS, tmp_path, mask_ratio=0.0)
    values = {score.task: score for score in scored.result.scores if score.metric == "accuracy"}
    for task, accuracy in read.items():
        assert values[task].value == pytest.approx(accuracy, abs=1e-12), task
        assert values[task].chance == pytest.approx(1 / 2 if task == "probe/light" else 1 / 3)
        assert values[task].details["resampled"] == "scene"
        assert values[task].n == 2 * 27 * values[task].details["units"]


def test_setting_probe__is_tested_on_scenes_that_it_was_not_trained_on(photos, tmp_path):
    scored = score_tasks(encoder_of(1), photos, ["probe/exposure"], tmp_path, mask_ratio=0.0)
    scenes = photos.columns["scene"]
    tested = set(scenes[scored.answers["probe/exposure/photos"]])
    assert 0 < len(tested) < SCENES
    assert not tested & set(scenes[photos.indices("train")])
