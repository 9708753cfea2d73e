"""Processing tasks on embeddings made by hand: number of neighbours, chance level, names of classes."""

import dataclasses

import numpy as np
import pytest
import torch
from PIL import Image

from benchmark.results import Result
from builders.photos import PhotoSet
from tests.support.images import image_bytes
from tests.support.scoring import score_tasks, toy_encoder


def grey(level: int) -> bytes:
    return image_bytes(np.full((16, 16, 3), level, np.uint8), "PNG")


def brightness(image: Image.Image) -> np.ndarray:
    return np.array([float(np.asarray(image).mean())], np.float32)


def as_angle(batch: torch.Tensor) -> torch.Tensor:
    """Grey levels on a quarter of a circle: the closer two are, the larger their cosine. No processing changes them."""
    angle = batch[:, 0].round() / 255 * torch.pi / 2
    return torch.stack([angle.cos(), angle.sin()], dim=1)


def score(photos: PhotoSet, cache, task: str, **options) -> Result:
    encoder = toy_encoder(as_angle, brightness, 2, name="angle")
    return score_tasks(encoder, photos, [task], cache, **options).result


def photo_set(neighbours: int = 10) -> PhotoSet:
    """12 train photos, 3 dark (one of them nearest to the query of its class) among 9 light; 4 test photos."""
    train = [(100, "dark"), (10, "dark"), (12, "dark"), *((104 + 4 * i, "light") for i in range(9))]
    test = [(99, "dark"), (101, "dark"), (103, "light"), (140, "light")]
    rows = [*(("train", *row) for row in train), *(("val", *row) for row in test)]
    files = {f"{split}/{level}": grey(level) for split, level, _ in rows}
    made = PhotoSet.of_bytes("levels", files, [label for *_, label in rows], [split for split, *_ in rows])
    return dataclasses.replace(made, neighbours=neighbours)


@pytest.mark.parametrize(
    ("default", "option", "k", "value"),
    [
        (1, None, 1, 1.0),  # the nearest photo is of the query's class, for all four
        (10, None, 10, 0.5),  # of the ten nearest, eight or nine are light
        (1, 10, 10, 0.5),  # --neighbours takes precedence
        (10, 1, 1, 1.0),
    ],
)
def test_knn__k_is_that_of_the_data_unless_the_option_is_given(tmp_path, default, option, k, value):
    result = score(photo_set(default), tmp_path, "knn/sharpening", neighbours=option)
    for setup in ("all-same", "all-diff", "pos-same", "neg-same", "uniform", "uniform-test"):
        measured = result.score("knn/sharpening", setup)
        assert (measured.value, measured.details["k"], measured.details["train_photos"]) == (value, k, 12), setup
    assert result.environment["options"]["neighbours"] == k


def test_knn__chance_of_classes_that_are_not_equally_frequent(tmp_path):
    """Train 3 of 12 dark, test 2 of 4: 1/4 x 1/2 + 3/4 x 1/2. Of another test, 1 of 4: 1/4 x 1/4 + 3/4 x 3/4."""
    photos = photo_set()
    assert score(photos, tmp_path, "knn/jpeg").score("knn/jpeg", "all-same").chance == pytest.approx(0.5)
    light = photos.select([i for i, photo_id in enumerate(photos.ids) if photo_id != "val/99"])
    fewer = score(light, tmp_path, "knn/jpeg")
    assert fewer.score("knn/jpeg", "all-same").chance == pytest.approx(1 / 4 * 1 / 3 + 3 / 4 * 2 / 3)
    assert fewer.score("knn/jpeg", "spd").chance == 0.0


CLASS_NAMES = {
    "jpeg": ["q75-420", "q75-444", "q85-420", "q85-444", "q95-420", "q95-444"],
    "sharpening": ["none", "x2", "x4"],
    "resizing": ["none", "x0.5", "x2"],
    "interpolation": ["bilinear", "bicubic", "lanczos", "box"],
}


@pytest.mark.parametrize("parameter", CLASS_NAMES)
def test_probe__class_names_and_chance(tmp_path, parameter):
    measured = score(photo_set(), tmp_path, f"probe/{parameter}").score(f"probe/{parameter}", "accuracy")
    assert measured.details["class_names"] == CLASS_NAMES[parameter]
    assert measured.chance == pytest.approx(1 / len(CLASS_NAMES[parameter]))
    assert (measured.n, measured.details["n_train"], len(measured.details["accuracy_by_seed"])) == (4, 12, 10)
    assert measured.value == pytest.approx(
        measured.chance
    )  # no processing changes a grey: every view gets the same answer
    assert measured.details["p_chance"] == pytest.approx(0.5)
