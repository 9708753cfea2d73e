"""``knn/adversary``: worst of the 14 processings, flips and strips, compared with loops over the definition."""

import dataclasses
from types import SimpleNamespace

import numpy as np
import pytest
from PIL import Image

from benchmark.options import RunOptions
from benchmark.report import report_text
from benchmark.results import read_answers
from benchmark.results.check import check_forms
from benchmark.scoring import score_encoders
from benchmark.tasks import adversary, all_tasks
from builders.photos import Labels, PhotoSet
from builders.pixels import PROCESSINGS, STUDY_PROCESSINGS
from builders.pixels.process import process
from tests.support.images import image_bytes
from tests.support.scoring import as_floats, toy_encoder

TRAIN, TEST, K = 12, 6, 3


def pixels(number: int) -> np.ndarray:
    rng = np.random.default_rng(number)
    return np.clip(rng.normal(100 + 6 * (number % 2), 45, (20 + number % 3, 24, 3)), 0, 255).astype(np.uint8)


def png(number: int) -> bytes:
    return image_bytes(pixels(number), "PNG")


def look(image: Image.Image) -> np.ndarray:
    grey = np.asarray(image.convert("L"), dtype=np.float32)
    rough = [np.abs(np.diff(grey, axis=axis)).mean() for axis in (0, 1)]
    return np.array([grey.mean() - 102, grey.std() - 35, *(np.array(rough) - 35), grey.size**0.5 - 22], np.float32)


@pytest.fixture(scope="module")
def photos() -> PhotoSet:
    """12 train photos of two classes, 6 queries, one photo without a class in each split, one that cannot be read."""
    files = {"no class": png(99)} | {f"photo-{i}": png(i) for i in range(TRAIN + TEST + 1)} | {"broken": b"broken"}
    measured = PhotoSet.of_bytes("noise", files, None, ["train"] * (1 + TRAIN) + ["val"] * (TEST + 2))
    values = (np.arange(len(files), dtype=np.int32) + 1) % 2
    values[[0, 1 + TRAIN + TEST]] = -1
    return dataclasses.replace(measured, labels=Labels(("dark", "light"), values), neighbours=K)


def scored(photos: PhotoSet, cache, tasks=("knn/adversary",), **options):
    chosen = RunOptions(cache=cache, workers=0, resamples=200, assignment_seeds=2, **options)
    encoder = toy_encoder(as_floats, look, 5, name="look")
    return score_encoders([encoder], photos, [all_tasks()[task] for task in tasks], chosen)[0]


@pytest.fixture(scope="module")
def run(photos, tmp_path_factory):
    return scored(photos, tmp_path_factory.mktemp("adversary"), ("knn/original", "knn/adversary"))


def unit(rows: np.ndarray) -> np.ndarray:
    return rows / np.linalg.norm(rows, axis=1, keepdims=True)


@pytest.fixture(scope="module")
def by_hand():
    """Similarities [15 views, queries, collection] of photos processed one by one."""

    def seen(i: int, name: str) -> np.ndarray:
        image = Image.fromarray(pixels(i))
        return look(image if name == "original" else process(image, PROCESSINGS[name], f"photo-{i}"))

    collection = unit(np.stack([seen(i, "original") for i in range(TRAIN)]).astype(np.float64))
    names, test = (*STUDY_PROCESSINGS, "original"), range(TRAIN, TRAIN + TEST)
    views = np.stack([unit(np.stack([seen(i, name) for i in test]).astype(np.float64)) for name in names])
    return views @ collection.T, views


def voted(similar: np.ndarray) -> int:
    near = np.argsort(-similar, kind="stable")[:K] % 2  # the class of a photo is its parity
    return int(near.mean() > 0.5)  # three votes for two classes are never tied


def test_worst__equals_a_loop_over_the_14_processings(run, by_hand):
    similar, _ = by_hand
    assert len(STUDY_PROCESSINGS) == 14
    right = np.array([[voted(view[q]) == (TRAIN + q) % 2 for q in range(TEST)] for view in similar])
    scores = {s.metric: s for s in run.result.scores if s.task == "knn/adversary"}
    worst = np.mean([all(right[v, q] for v in range(14)) for q in range(TEST)])
    flipped = np.mean([len({bool(right[v, q]) for v in range(14)}) == 2 for q in range(TEST)])
    spoiled = np.mean([right[14, q] and not all(right[:14, q]) for q in range(TEST)])
    assert 0 < flipped < 1  # otherwise the test would show nothing
    assert scores["worst"].value == pytest.approx(worst)
    assert scores["best"].value == pytest.approx(np.mean(right[:14].any(axis=0)))
    assert scores["average"].value == pytest.approx(right[:14].mean())
    assert scores["flipped"].value == pytest.approx(flipped)
    assert scores["flipped"].details["spoiled"] == pytest.approx(spoiled)
    assert run.result.score("knn/original", "accuracy").value == pytest.approx(right[14].mean())
    assert all(s.n == TEST and s.low <= s.value <= s.high for s in scores.values())
    check_forms(run.result)


def test_answers__give_every_score(run):
    values = read_answers(run.answers, all_tasks()).values
    for score in run.result.scores:
        assert values[score.task, score.metric].values.mean() == pytest.approx(score.value)
    assert (values["knn/adversary", "worst"].values <= values["knn/original", "accuracy"].values + 1).all()
    assert len(values["knn/adversary", "worst"].photos) == TEST


def test_strips__contain_distances_answers_and_neighbours(run, by_hand):
    similar, views = by_hand
    details = run.result.score("knn/adversary", "worst").details
    strips = details["strips"]
    assert 2 <= len(strips) <= 4
    assert len({one["query"] for one in strips}) == len(strips)
    distances = 1 - (views * views[-1]).sum(axis=-1)
    for one in strips:
        q = int(one["query"].removeprefix("photo-")) - TRAIN
        assert [view["processing"] for view in one["views"]] == [*STUDY_PROCESSINGS, "original"]
        assert one["class"] == ("dark", "light")[(TRAIN + q) % 2]
        for v, view in enumerate(one["views"]):
            assert view["distance"] == pytest.approx(distances[v, q], abs=2e-6)
            assert view["answer"] == ("dark", "light")[voted(similar[v, q])]
            assert view["right"] == (view["answer"] == one["class"])
            near = np.argsort(-similar[v, q], kind="stable")[:K]
            assert [one["photos"][i]["id"] for i in view["neighbours"]] == [f"photo-{i}" for i in near]
            assert view["similarities"] == pytest.approx(similar[v, q, near], abs=1e-4)
    moved = distances[:14].mean(axis=0)
    by_why = {one["why"]: one["query"] for one in strips}
    if "embedding moved most" in by_why:
        assert by_why["embedding moved most"] == f"photo-{TRAIN + int(moved.argmax())}"
    by_processing = run.result.score("knn/adversary", "average").details["by_processing"]
    assert list(by_processing) == [*STUDY_PROCESSINGS, "original"]
    for v, one in enumerate(by_processing.values()):
        assert one["distance"] == pytest.approx(distances[v].mean(), abs=2e-6)
        right = [voted(similar[v, q]) == (TRAIN + q) % 2 for q in range(TEST)]
        assert one["accuracy"] == pytest.approx(np.mean(right), abs=1e-6)


def test_ties__bound_each_score(run):
    for score in run.result.scores:
        if score.task == "knn/adversary":
            ties = score.details["ties"]
            assert ties["least"] - 1e-12 <= score.value <= ties["greatest"] + 1e-12


RIGHT = {
    "least": [[0, 0, 1], [0, 1, 1], [0, 0, 0]],
    "greatest": [[0, 1, 1], [1, 1, 1], [1, 1, 1]],
    "random": [[0, 0.5, 1], [0.5, 1, 1], [0.5, 0.5, 0.5]],
}
"""By rule for ties, two processings and the unprocessed photo."""


def by_hand_of_ties() -> SimpleNamespace:
    tied = np.array([[1, 0, 0], [0, 0, 0], [1, 1, 1]], bool)
    right = {rule: np.array(rows, float) for rule, rows in RIGHT.items()}
    return SimpleNamespace(right=right.__getitem__, tied=tied, correct=[None] * 3, chance=0.3, k=2)


@pytest.mark.parametrize(
    ("name", "least", "greatest", "expected"),
    [
        ("worst", 1 / 3, 2 / 3, 0.5),
        ("best", 2 / 3, 1, 2.5 / 3),
        ("average", 0.5, 5 / 6, 4 / 6),
        ("flipped", 0, 2 / 3, 1 / 3),  # best under one rule minus worst under the other
    ],
)
def test_ties__by_hand(name, least, greatest, expected):
    measured = adversary._ties(name, by_hand_of_ties())
    assert measured == pytest.approx({"share": 1 / 6, "least": least, "greatest": greatest, "random": expected})


def test_random_ties__count_by_their_expectation(photos, tmp_path):
    """Two neighbours of two classes are often tied: the worst is the least expected value of a query."""
    some = dataclasses.replace(photos, neighbours=2)
    measured = scored(some, tmp_path, ties="random")
    right = measured.answers["knn/adversary/right"]
    assert set(np.unique(right)) == {0.0, 0.5, 1.0}
    assert measured.result.score("knn/adversary", "worst").value == pytest.approx(right[:14].min(axis=0).mean())


def test_report__has_a_section_about_the_adversary(run):
    text = report_text([run.result], all_tasks())
    assert "kNN, query processed" in text
    assert "A malicious agent gives each query the one of the study's 14 processings" in text


def test_unfit__stored_views_and_no_classes(photos):
    task = all_tasks()["knn/adversary"]
    assert task.unfit(photos) == ""
    assert "processed already" in task.unfit(dataclasses.replace(photos, stored_views=("a",)))
    one = dataclasses.replace(photos, labels=Labels(("dark",), np.zeros(len(photos), np.int32)))
    assert "at least two classes" in task.unfit(one)


def test_pass__is_shared_with_plain_knn(photos, run, tmp_path):
    """The unprocessed photo has one file in the bank for all recipes, so nothing is embedded twice."""
    assert run.result.cost["views"] == 15 * (len(photos) - 1)
    first = scored(photos, tmp_path, ("knn/adversary",))
    then = scored(photos, tmp_path, ("knn/original",))
    assert (first.result.cost["views"], then.result.cost["views"]) == (15 * (len(photos) - 1), 0)
    values = [one.result.score("knn/original", "accuracy").value for one in (run, then)]
    assert values[0] == values[1]
