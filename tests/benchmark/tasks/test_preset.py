"""The preset ``iccv2025`` through ``camtrace.score``, compared with a plain loop over Pillow and numpy.

Ten classes, six set-ups, four parameters, and photos as they are; the closed form of ties against 1,000 draws.
"""

from __future__ import annotations

import io
from collections.abc import Iterator
from typing import Any, NamedTuple

import numpy as np
import pytest
import torch
from PIL import Image

import camtrace
from benchmark.encoders import Pixels
from benchmark.encoders.preprocess.pixels import CenterCrop, ResizeShort
from builders.photos import PhotoSet
from builders.pixels import PARAMETERS, PROCESSINGS, assigned_class, process_by_pillow
from tests.support.images import image_bytes

pytestmark = pytest.mark.slow

SIDE, K, SEEDS, DRAWS = 16, 10, 10, 1_000
CLASSES = [f"class {c}" for c in range(10)]


class Blocks(torch.nn.Module):
    """Means of 4 x 4 pixels; the preset removes the margin of its preprocessing."""

    preprocess = Pixels((ResizeShort(20, Image.Resampling.BILINEAR), CenterCrop(SIDE, SIDE)))
    mean, std = (0.5, 0.4, 0.3), (0.2, 0.3, 0.4)

    def forward(self, pixels: torch.Tensor) -> torch.Tensor:
        return torch.nn.functional.avg_pool2d(pixels, 4).flatten(1)


def some_photos() -> dict[str, bytes]:
    """Four photos per class: a pattern with noise, wide or high; every third has an Exif orientation."""
    rng = np.random.default_rng(5)
    patterns = rng.integers(60, 196, (len(CLASSES), 6, 6, 3))
    photos = {}
    for i in range(4 * len(CLASSES)):
        noisy = np.clip(patterns[i % len(CLASSES)] + rng.normal(0, 45, (6, 6, 3)), 0, 255).astype(np.uint8)
        size = (47, 31) if i % 2 else (33, 40)
        exif = Image.Exif()
        exif[0x0112] = 6 if i % 3 == 0 else 1
        photos[f"{i}.jpg"] = image_bytes(
            Image.fromarray(noisy).resize(size, Image.Resampling.BICUBIC), "JPEG", quality=90, exif=exif
        )
    return photos


PHOTOS = some_photos()
IDS = list(PHOTOS)
LABELS = np.arange(len(IDS)) % len(CLASSES)
TRAIN = np.arange(3 * len(CLASSES))
TEST = np.arange(3 * len(CLASSES), len(IDS))


@pytest.fixture(scope="module")
def results(tmp_path_factory: pytest.TempPathFactory) -> Any:
    names = [CLASSES[label] for label in LABELS]
    splits = ["train"] * len(TRAIN) + ["val"] * len(TEST)
    return camtrace.score(
        Blocks(),
        data=PhotoSet.of_bytes("ten", PHOTOS, labels=names, splits=splits),
        tasks="knn/*",
        preset="iccv2025",
        workers=0,
        cache=tmp_path_factory.mktemp("cache"),
    )


def embedding(photo_id: str, processing: str | None) -> np.ndarray:
    """As the study's loader does: pixels as stored, short side resized to the crop, centre crop."""
    image = Image.open(io.BytesIO(PHOTOS[photo_id])).convert("RGB")
    if processing is not None:
        image = process_by_pillow(image, PROCESSINGS[processing], photo_id, 0)
    short, long = sorted(image.size)
    longer = int(SIDE * long / short)
    image = image.resize((SIDE, longer) if image.width <= image.height else (longer, SIDE), Image.Resampling.BILINEAR)
    left, top = (round((side - SIDE) / 2) for side in image.size)
    pixels = np.asarray(image, dtype=np.float64)[top : top + SIDE, left : left + SIDE] / 255
    pixels = (pixels - Blocks.mean) / Blocks.std
    vector = pixels.reshape(4, 4, 4, 4, 3).mean(axis=(1, 3)).transpose(2, 0, 1).ravel()
    return vector / np.linalg.norm(vector)


class Vote(NamedTuple):
    right: bool
    """The photo's label is among those with most votes."""
    leaders: int
    """Labels with most votes."""


def vote(query: np.ndarray, collection: np.ndarray, label: int) -> Vote:
    """Vote of the k nearest train photos in a collection."""
    nearest = np.argsort(-(collection @ query), kind="stable")[:K]
    counts = np.bincount(LABELS[TRAIN][nearest], minlength=len(CLASSES))
    leading = np.flatnonzero(counts == counts.max())
    return Vote(label in leading, len(leading))


def votes_of(name: str) -> dict[str, list[Vote]]:
    """Every vote of every set-up of a parameter."""
    parameter = PARAMETERS[name]
    seen = {c: np.array([embedding(i, p) for i in IDS]) for c, p in enumerate(parameter.processings)}
    classes = range(len(seen))
    drawn = np.array([[assigned_class(i, parameter, seed) for i in IDS] for seed in range(SEEDS)])
    of_test = [(q, seen[t][q], LABELS[q], t) for q in TEST for t in classes]

    def mixed(t: int, label: int, positive: int, negative: int) -> np.ndarray:
        changed = LABELS[TRAIN] == label
        return np.where(changed[:, None], seen[positive][TRAIN], seen[negative][TRAIN])

    def every() -> Iterator[tuple[str, Vote]]:
        for q, query, label, t in of_test:
            for o in classes:
                if o == t:
                    yield "all-same", vote(query, mixed(t, label, t, t), label)
                else:
                    yield "all-diff", vote(query, mixed(t, label, o, o), label)
                    yield "pos-same", vote(query, mixed(t, label, t, o), label)
                    yield "neg-same", vote(query, mixed(t, label, o, t), label)
            for seed in range(SEEDS):
                train = np.array([seen[drawn[seed, i]][i] for i in TRAIN])
                yield "uniform", vote(query, train, label)
                # here t is the class of all train photos, and the class of the query is drawn
                yield "uniform-test", vote(seen[drawn[seed, q]][q], seen[t][TRAIN], label)

    measured: dict[str, list[Vote]] = {}
    for setup, one in every():
        measured.setdefault(setup, []).append(one)
    return measured


@pytest.mark.parametrize("name", ["jpeg", "sharpening", "resizing", "interpolation"])
def test_iccv2025__votes_of_every_set_up(name: str, results: Any) -> None:
    rng = np.random.default_rng(0)
    by_loop = votes_of(name)
    assert len(by_loop) == 6
    for setup, votes in by_loop.items():
        right = np.array([one.right for one in votes])
        chances = right / np.array([one.leaders for one in votes])
        score = results[f"knn/{name}", setup]
        assert score.value == pytest.approx(chances.mean(), abs=1e-9), setup
        # ties are broken at random 1,000 times: the mean accuracy is close to the closed form
        accuracies = (rng.random((DRAWS, len(chances))) < chances).mean(axis=1)
        assert abs(accuracies.mean() - score.value) <= 4.5 * accuracies.std() / DRAWS**0.5 + 1e-12, setup
        ties = score.details["ties"]
        assert ties["share"] == pytest.approx(np.mean([one.leaders > 1 for one in votes]))
        assert ties["least"] == pytest.approx(np.mean(chances == 1))
        assert ties["greatest"] == pytest.approx(right.mean())
        assert ties["least"] <= score.value <= ties["greatest"]
        assert score.details["tie_rule"] == "random"
    assert results[f"knn/{name}", "all-same"].details["ties"]["share"] > 0.05  # otherwise the test would show nothing
    difference = results[f"knn/{name}", "pos-same"].value - results[f"knn/{name}", "neg-same"].value
    assert results[f"knn/{name}", "spd"].value == pytest.approx(difference)


def test_iccv2025__unprocessed_photos(results: Any) -> None:
    """SP: the same vote without processing."""
    train = np.array([embedding(IDS[i], None) for i in TRAIN])
    votes = [vote(embedding(IDS[q], None), train, LABELS[q]) for q in TEST]
    score = results["knn/original"]
    assert score.value == pytest.approx(np.mean([one.right / one.leaders for one in votes]))
    assert (score.metric, score.n, score.chance) == ("accuracy", 10, pytest.approx(0.1))
    assert score.details["ties"]["share"] == pytest.approx(np.mean([one.leaders > 1 for one in votes]))


def test_iccv2025__is_recorded(results: Any) -> None:
    [result] = results.results
    recorded = {
        n: result.environment["options"][n] for n in ("preset", "protocol", "preprocess", "ties", "orientation")
    }
    assert recorded == {
        "preset": "iccv2025",
        "protocol": "iccv2025",
        "preprocess": "study",
        "ties": "random",
        "orientation": "stored",
    }
    steps = result.encoder["preprocessing"]["steps"]
    assert [(step["step"], step.get("size"), step.get("resample")) for step in steps] == [
        ("ResizeShort", SIDE, "bilinear"),
        ("CenterCrop", None, None),
    ]
    assert result.environment["command"].endswith("--tasks 'knn/*' --preset iccv2025")


def test_iccv2025__comparisons_use_its_rule_for_ties(results: Any, tmp_path: Any) -> None:
    """A run compared with itself: both values are the score, not the accuracy under another rule for ties."""
    results.save(tmp_path / "a")
    results.save(tmp_path / "b")
    rows = {
        (row.task, row.metric): row for row in camtrace.compare(tmp_path / "a", tmp_path / "b", all_metrics=True).rows
    }
    assert len(rows) == 4 * 8 + 1 + 4
    for key, row in rows.items():
        assert row.first_value == row.second_value == pytest.approx(results[key].value)


@pytest.mark.parametrize("mode", ["own", "squash", "short-side"])
def test_preprocess__without_a_preset_for_a_network_in_memory(mode: str, tmp_path: Any) -> None:
    photos = PhotoSet.of_bytes(
        "one", dict(list(PHOTOS.items())[:4]), labels=["a", "b"] * 2, splits=["train", "train", "val", "val"]
    )
    results = camtrace.score(Blocks(), data=photos, tasks="knn/original", preprocess=mode, workers=0, cache=tmp_path)
    [result] = results.results
    assert result.environment["options"]["preprocess"] == mode
    assert result.environment["options"]["preset"] == "camtrace"
    steps = {
        "squash": [("ResizeTo", SIDE)],
        "short-side": [("ResizeShort", None), ("CenterCrop", SIDE)],
        "own": None,
    }[mode]
    made = result.encoder["preprocessing"].get("steps") if mode != "own" else None
    assert (made and [(step["step"], step.get("width")) for step in made]) == steps
    command = result.environment["command"]
    assert ("--preprocess" in command) == (mode != "own")
