"""Tasks pass the right inputs to the arithmetic: their scores equal those of the pure functions on the definition."""

import dataclasses
import re

import numpy as np
import pytest
from PIL import Image

from benchmark.knn import knn_setups
from benchmark.probe import processing_probe
from benchmark.scoring.run import Scored
from benchmark.stats import photo_interval
from benchmark.tasks import all_tasks, fitting_tasks, select_tasks
from builders.errors import DataError, UsageError
from builders.photos import Labels, PhotoSet
from builders.pixels import PARAMETERS, PROCESSINGS, assigned_class
from builders.pixels.process import process
from tests.support.images import image_bytes
from tests.support.scoring import as_floats, score_tasks, toy_encoder

SEEDS = 4
TRAIN, TEST = 14, 7


def pixels(number: int) -> np.ndarray:
    """Noise about a grey that leans to the photo's class, but not always."""
    rng = np.random.default_rng(number)
    return np.clip(rng.normal(100 + 4 * (number % 2), 45, (20 + number % 3, 24, 3)), 0, 255).astype(np.uint8)


def png(number: int) -> bytes:
    return image_bytes(pixels(number), "PNG")


def photo_set() -> PhotoSet:
    """14 train and 7 test photos of two classes, and two photos without a class."""
    splits = ["train"] * (TRAIN + 1) + ["val"] * (TEST + 1)
    photos = PhotoSet.of_bytes("noise", {f"photo-{i}": png(i) for i in range(len(splits))}, None, splits)
    values = np.arange(len(splits), dtype=np.int32) % 2
    values[[TRAIN, len(splits) - 1]] = -1
    return dataclasses.replace(photos, labels=Labels(("dark", "light"), values), neighbours=3)


def look(image: Image.Image) -> np.ndarray:
    """Mean, deviation, roughness along both axes, and size."""
    grey = np.asarray(image.convert("L"), dtype=np.float32)
    rough = [np.abs(np.diff(grey, axis=axis)).mean() for axis in (0, 1)]
    return np.array(
        [grey.mean() - 102, grey.std() - 35, *(np.array(rough) - 35), grey.size**0.5 - 22], dtype=np.float32
    )


def run(cache, task: str, photos: PhotoSet, **options) -> Scored:
    encoder = toy_encoder(as_floats, look, 5, name="look")
    return score_tasks(encoder, photos, [task], cache, assignment_seeds=SEEDS, **options)


def embedded(parameter: str, numbers: list[int], seed: int) -> list[np.ndarray]:
    """By definition: each photo under each class of the parameter."""
    names = PARAMETERS[parameter].processings
    return [
        np.stack([look(process(Image.fromarray(pixels(i)), PROCESSINGS[n], f"photo-{i}", seed)) for i in numbers])
        for n in names
    ]


def assigned(parameter: str, numbers: list[int]) -> np.ndarray:
    rows = [[assigned_class(f"photo-{i}", PARAMETERS[parameter], seed) for i in numbers] for seed in range(SEEDS)]
    return np.array(rows)


@pytest.mark.parametrize(("parameter", "seed"), [("sharpening", 0), ("interpolation", 5)])
def test_knn__equals_the_six_set_ups_of_labelled_train_and_val_photos(tmp_path, parameter, seed):
    train, test = list(range(TRAIN)), list(range(TRAIN + 1, TRAIN + 1 + TEST))
    moved = not np.array_equal(embedded(parameter, test, seed), embedded(parameter, test, 0))
    assert moved == (parameter == "interpolation")  # whose scale depends on photo and seed
    expected = knn_setups(
        embedded(parameter, train, seed),
        embedded(parameter, test, seed),
        np.array(train) % 2,
        np.array(test) % 2,
        train_assignments=assigned(parameter, train),
        test_assignments=assigned(parameter, test),
        k=3,
    )
    result = run(tmp_path, f"knn/{parameter}", photo_set(), seed=seed).result
    scores = {score.metric: score for score in result.scores}
    assert {name: scores[name].value for name in expected.values} == pytest.approx(expected.values)
    assert scores["spd"].value == pytest.approx(expected.values["pos-same"] - expected.values["neg-same"])
    flipped = scores["worst"].details["flipped"]
    assert flipped["value"] == pytest.approx(expected.flipped().mean())
    assert flipped["low"] <= flipped["value"] <= flipped["high"]
    assert len(set(expected.values.values())) > 3  # the set-ups differ, so that an exchange would be noticed
    apart = expected.per_photo()["pos-same"] - expected.per_photo()["neg-same"]
    ends = photo_interval(apart, bounds=(-1.0, 1.0), resamples=300)
    assert [scores["spd"].low, scores["spd"].high] == pytest.approx([ends.low, ends.high])
    for row, name in enumerate(("uniform", "uniform-test")):
        seeds = expected.by_seed[row].mean(axis=1) / len(expected.plain)
        assert scores[name].details["accuracy_by_seed"] == pytest.approx(seeds.tolist(), abs=1e-6)
    assert [scores["uniform"].n, scores["uniform"].details["train_photos"]] == [TEST, TRAIN]


def test_probe__is_trained_on_assigned_views_of_all_train_photos(tmp_path):
    """A probe does not need the picture's class: photos without a class are used too."""
    train, test = list(range(TRAIN + 1)), list(range(TRAIN + 1, TRAIN + 2 + TEST))
    expected = processing_probe(
        embedded("resizing", train, 0), embedded("resizing", test, 0), assigned("resizing", train)
    )
    scored = run(tmp_path, "probe/resizing", photo_set())
    measured = scored.result.score("probe/resizing", "accuracy")
    assert measured.value == pytest.approx(expected.accuracy)
    assert (measured.n, measured.details["n_train"]) == (TEST + 1, TRAIN + 1)
    np.testing.assert_array_equal(scored.answers["probe/resizing/predicted"], expected.predicted)


def test_probe__protocol(tmp_path):
    measured = run(tmp_path, "probe/sharpening", photo_set(), protocol="iccv2025").result
    assert measured.score("probe/sharpening", "accuracy").details["protocol"] == "iccv2025"


def test_unfit__one_class_no_val_no_pairs():
    tasks = all_tasks()
    photos = photo_set()
    assert tasks["knn/jpeg"].unfit(photos) == tasks["probe/jpeg"].unfit(photos) == ""
    one = dataclasses.replace(photos, labels=Labels(("dark",), np.zeros(len(photos), np.int32)))
    assert "at least two classes" in tasks["knn/jpeg"].unfit(one)
    assert tasks["probe/jpeg"].unfit(one) == ""
    train_alone = photos.select(np.arange(TRAIN))
    assert tasks["probe/jpeg"].unfit(train_alone) == "it has no photo in val"
    assert tasks["knn/jpeg"].unfit(photos.select(np.arange(TRAIN + 1, len(photos)))) == "it has no photo in train"
    assert "do not come in pairs" in tasks["retrieval/pairs"].unfit(photos)
    assert "no labels for make" in tasks["probe/make"].unfit(photos)
    with pytest.raises(DataError, match="cannot"):
        fitting_tasks([tasks["retrieval/pairs"]], photos, named=True)


@pytest.mark.parametrize(
    ("pairs", "types", "reason"),
    [
        (["a", "a", "b", "b"], ["x", "y", "x", "y"], ""),
        (["a", "a", "b", "c"], ["x", "y", "x", "y"], ""),  # one complete pair is enough
        (["a", "b", "c", "d"], ["x", "y", "x", "y"], "do not come in twos"),
        (["a", "a", "a", "b"], ["x", "y", "x", "y"], "do not come in twos"),
        (["a", "a", "b", "b", "b"], ["x", "y", "x", "y", "x"], "do not come in twos"),
        (["a", "a", "b", "b"], ["x", "x", "x", "x"], "two camera types"),
        (["a", "a", "b", "b"], ["x", "y", "z", "y"], "two camera types"),
    ],
)
def test_unfit__pairs(pairs, types, reason):
    photos = PhotoSet.of_bytes("pairs", {str(i): b"" for i in range(len(pairs))})
    paired = dataclasses.replace(photos, columns={"pair_id": np.array(pairs), "camera_type": np.array(types)})
    measured = all_tasks()["retrieval/pairs"].unfit(paired)
    assert reason in measured
    assert bool(reason) == bool(measured)


def test_select_tasks__patterns():
    tasks = all_tasks()
    assert [t.name for t in select_tasks([], tasks)] == list(tasks)
    assert [t.name for t in select_tasks(["*/jpeg", "retrieval/*"], tasks)] == [
        "probe/jpeg",
        "knn/jpeg",
        "retrieval/pairs",
    ]
    assert [t.name for t in select_tasks(["answers/j*g", "*/sharpening"], tasks)] == [
        "probe/sharpening",
        "knn/sharpening",
        "answers/jpeg",
    ]


@pytest.mark.parametrize("pattern", ["linear/*", "probe/jpeg-*"])
def test_select_tasks__a_pattern_that_chooses_nothing_is_refused(pattern):
    with pytest.raises(UsageError, match=re.escape(pattern)):
        select_tasks(["probe/jpeg", pattern], all_tasks())


def test_all_tasks__one_number_stands_for_a_task():
    """The Hub and the card of an encoder show one number of each task."""
    headlines = {
        name: [metric.name for metric in task.metrics if metric.headline] for name, task in all_tasks().items()
    }
    assert {name: measured for name, measured in headlines.items() if len(measured) != 1} == {}
