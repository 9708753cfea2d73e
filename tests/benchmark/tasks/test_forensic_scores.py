"""Tasks about generated photos at the edges of their rules: who is tested, what a file lacks, what is recorded."""

import dataclasses
from collections import Counter
from types import SimpleNamespace

import numpy as np
import pytest
from sklearn.metrics import balanced_accuracy_score, roc_auc_score

from benchmark.encoders import StatedDetector, StoredEmbeddings
from benchmark.options import RunOptions
from benchmark.tasks import TaskInput, all_tasks
from benchmark.tasks.forensics.data import detection_data, frequent_values
from builders.errors import DataError
from builders.photos import Labels, PhotoSet, labels_of
from builders.pixels import STUDY_PROCESSINGS

DETECT, FLOOR, LEAVE_ONE_OUT, CROSSING = (
    all_tasks()[f"forensics/{name}"] for name in ("detect", "floor", "leave-one-out", "crossing")
)


def pictures(*rows: tuple[int, str, str, str, str], group: str = "generator") -> PhotoSet:
    """So many photos of a kind, a split, a generator and a source; ``-`` is none."""
    listed = [row[1:] for row in rows for _ in range(row[0])]
    kind, split, generator, source = zip(*listed, strict=True)
    photos = PhotoSet.of_bytes("toy", {f"p{i}": b"" for i in range(len(listed))}, None, list(split))
    named = Labels(("fake", "real"), np.array([{"fake": 0, "real": 1, "-": -1}[k] for k in kind], np.int32))
    groups = {group: labels_of(None if g == "-" else g for g in generator)} if set(generator) != {"-"} else {}
    columns = {"source": np.array(["" if s == "-" else s for s in source])} if set(source) != {"-"} else {}
    return dataclasses.replace(photos, labels=named, groups=groups, columns=columns)


def both(train: int = 4, test: int = 4, where: str = "val") -> list[tuple[int, str, str, str, str]]:
    """Photos of two generators and two sources in training and test."""
    counts = (("train", train), (where, test))
    return [
        *((n, "fake", split, generator, "-") for split, n in counts for generator in ("g", "h")),
        *((n, "real", split, "-", source) for split, n in counts for source in ("s", "t")),
    ]


def input_of(photos: PhotoSet, rows=None, given=None, usable=None, **more) -> TaskInput:
    """``rows``: [photos, d], or such by view."""
    n = len(photos)
    rows = np.random.default_rng(0).normal(size=(n, 4)).astype(np.float32) if rows is None else rows
    bank = SimpleNamespace(view=lambda name, at: (rows[name] if isinstance(rows, dict) else rows)[at], dim=4)
    usable = np.ones(n, bool) if usable is None else usable
    options = RunOptions(resamples=200, **more.pop("options", {}))
    return TaskInput(photos, usable, bank, options, "cpu", given=given, brief=more.pop("brief", True), **more)


def detector(scores: dict[str, dict[str, float]], **stated) -> StoredEmbeddings:
    values = [v for by_photo in scores.values() for v in by_photo.values()]
    places = iter(range(len(values)))
    rows = {view: {photo: next(places) for photo in by_photo} for view, by_photo in scores.items()}
    return StoredEmbeddings("scores:S.csv", np.array(values, float)[:, None], rows, StatedDetector(**stated))


TWO = "photos have fewer than two generators with 10 photos in training and test"
SOURCES = "real photos have fewer than two sources with 10 photos in training and test"


def test_unfit__sources_of_generated_and_generators_of_real_photos_do_not_count():
    swapped = [(n, kind, split, source, generator) for n, kind, split, generator, source in both(12, 12)]
    assert (FLOOR.unfit(pictures(*swapped)), LEAVE_ONE_OUT.unfit(pictures(*swapped))) == (
        f"its {SOURCES}",
        f"its {TWO}",
    )


def test_data__splits_classes_and_order_of_frequent_values():
    photos = pictures(
        (11, "fake", "train", "few", "-"),
        (15, "fake", "train", "many", "-"),
        (15, "fake", "train", "also", "-"),
        (9, "fake", "train", "rare", "-"),
        (2, "-", "train", "rare", "-"),
        (20, "real", "train", "rare", "s"),
        (12, "fake", "train", "odd", "-"),
        (3, "fake", "val", "odd", "-"),
        (15, "real", "val", "odd", "s"),
        (10, "fake", "val", "many", "-"),
        (10, "fake", "val", "also", "-"),
        (30, "fake", "val", "few", "-"),
        (30, "fake", "val", "rare", "-"),
        (4, "-", "val", "rare", "-"),
        (5, "real", "val", "-", "s"),
    )
    data = detection_data(input_of(photos))
    names = data.generators.names
    two = dataclasses.replace(photos, groups={"model": labels_of(["x"] * len(photos)), **photos.groups})
    assert detection_data(input_of(two)).generators is photos.groups["generator"]
    assert [names[v] for v in frequent_values(data.generators, data, data.generated)] == [
        *sorted(("many", "also"), key=names.index),
        "few",
    ]
    counts = {"train": {"real": 20, "generated": 62}, "test": {"real": 20, "generated": 83}}
    assert data.details() == {"real_and_generated": counts}
    usable = photos.labels.values != 1
    for split, without in (("train", usable | (photos.splits == 1)), ("val", usable | (photos.splits == 0))):
        with pytest.raises(DataError) as refused:
            detection_data(input_of(photos, usable=without))
        assert f"{split}" in str(refused.value)


@pytest.fixture(scope="module")
def planted():
    """Twelve photos of each of two generators and sources in training, eleven in the test; generator h is hard."""
    photos = pictures(*both(12, 11), (3, "fake", "val", "k", "-"))
    rng = np.random.default_rng(5)
    fake = photos.labels.values == 0
    generator = np.array([*photos.groups["generator"].names, ""])[photos.groups["generator"].values]
    rows = rng.normal(size=(len(photos), 4)).astype(np.float32)
    rows[:, 0] += 1.6 * fake - 0.8 * (generator == "h")
    rows[:, 1] += 1.2 * (photos.columns["source"] == "t")
    return photos, rows, fake, generator


def test_detect__a_result_has_each_number_by_a_plain_loop(planted):
    photos, rows, fake, generator = planted
    outcome = DETECT.run(input_of(photos, rows))
    scores = {s.metric: s for s in outcome.scores}
    test = np.flatnonzero(photos.splits == 1)
    measured, of_test = outcome.answers["scores"], fake[test]
    assert list(scores) == ["auc", "margin", "balanced", "nearest"]
    auc = scores["auc"]
    assert auc.value == pytest.approx(roc_auc_score(of_test, measured))
    assert scores["balanced"].value == pytest.approx(balanced_accuracy_score(of_test, measured > 0))
    assert {s.chance for s in scores.values() if s.metric != "margin"} == {0.5}
    assert (scores["margin"].chance, auc.n) == (0.0, len(test) == 47 and 47)
    by_generator = auc.details["by_generator"]
    assert [row["generator"] for row in by_generator] == ["g", "h"]  # k has three photos
    for row in by_generator:
        at = ~of_test | (generator[test] == row["generator"])
        assert row["auc"] == pytest.approx(roc_auc_score(of_test[at], measured[at]), abs=1e-6)
        assert row["photos"] == 11
    unit = rows / np.linalg.norm(rows, axis=1, keepdims=True)
    train = np.flatnonzero(photos.splits == 0)
    nearest = fake[train][np.argmax(unit[test] @ unit[train].T, axis=1)]
    assert scores["nearest"].value == pytest.approx(balanced_accuracy_score(of_test, nearest))
    assert (scores["nearest"].details["k"], scores["nearest"].details["train_photos"]) == (1, len(train))
    floor = FLOOR.run(input_of(photos, rows)).scores[0]
    assert scores["margin"].value == pytest.approx(auc.value - floor.value)
    probability = 1 / (1 + np.exp(-measured.astype(float)))
    bins = np.minimum((probability * 15).astype(int), 14)
    error = sum(abs((of_test[bins == b] - probability[bins == b]).sum()) for b in range(15)) / len(test)
    assert auc.details["calibration_error"] == pytest.approx(error, abs=1e-6)
    assert (auc.details["recall"], "audit" in auc.details) == ([], False)
    facts = DETECT.read_facts(outcome.answers)
    assert facts["auc"].details["by_generator"] == [
        {n: v for n, v in row.items() if n != "generator"} for row in by_generator
    ]
    assert facts["auc"].details["calibration_error"] == auc.details["calibration_error"]
    counts = {"test": {"real": 22, "generated": 25}}
    assert {name: facts[name].details["real_and_generated"] for name in scores} == dict.fromkeys(scores, counts)
    assert {name: facts[name].chance for name in scores} == {name: s.chance for name, s in scores.items()}


def many_scores():
    """700 real and 40 generated test photos, whose scores are known; six of the real ones lie above 0.9."""
    photos = pictures(
        (2, "fake", "train", "-", "-"), (2, "real", "train", "-", "-"),
        (700, "real", "val", "-", "-"), (40, "fake", "val", "-", "-"),
    )  # fmt: skip
    real = [*np.linspace(0, 0.9, 694).tolist(), 0.91, 0.92, 0.93, 0.94, 0.95, 0.96]
    values = [0.2, 0.3, 0.6, 0.7, *real, *np.linspace(0.5, 1, 40).tolist()]
    return photos, dict(zip(photos.ids, values, strict=True))


def test_detect__recall_at_the_rate_that_the_real_photos_allow_and_the_calibration_of_probabilities():
    photos, values = many_scores()
    inputs = input_of(photos, given=detector({"original": values}, threshold=0.5), brief=False)
    inputs = dataclasses.replace(inputs, photos=dataclasses.replace(photos, columns={}))
    outcome = DETECT.run(dataclasses.replace(inputs, brief=True))
    details = outcome.scores[0].details
    real, fake = [np.array([values[p] for p in photos.ids[4:]])[at] for at in (slice(0, 700), slice(700, None))]
    cut = np.sort(real)[-8]  # seven of 700 above it; a rate of one in a thousand is not even one photo
    assert details["recall"] == [
        {
            "false_alarms": 0.01,
            "recall": pytest.approx((fake > cut).mean(), abs=1e-6),
            "threshold": pytest.approx(cut - 0.5, abs=1e-6),
            "real_photos": 700,
            "generated_photos": 40,
        }
    ]
    assert (details["threshold"], details["threshold_from"]) == (0.5, "stated by the user")
    assert [s.metric for s in outcome.scores] == ["auc", "balanced"]
    facts = DETECT.read_facts(outcome.answers)["auc"].details
    assert facts["recall"] == [{n: v for n, v in details["recall"][0].items() if n != "threshold"}]
    bins = np.minimum((np.r_[real, fake] * 15 + 1e-12).astype(int), 14)
    apart = [((np.arange(740) >= 700) - np.r_[real, fake])[bins == b].sum() for b in range(15)]
    assert details["calibration_error"] == pytest.approx(np.abs(apart).sum() / 740, abs=2e-3)
    for wrong in (-0.01, 1.01):
        more = detector({"original": values | {photos.ids[-1]: wrong}}, threshold=0.5)
        assert (
            "calibration_error" not in DETECT.run(dataclasses.replace(inputs, given=more, brief=True)).scores[0].details
        )


def test_given__threshold_from_training_photos_of_both_classes_or_a_refusal(planted):
    photos, rows, fake, _ = planted
    values = dict(zip(photos.ids, np.round(rows[:, 0].astype(float), 4), strict=True))
    train = [p for p, split in zip(photos.ids, photos.splits, strict=True) if split == 0]
    fewer = {p: v for p, v in values.items() if p not in train[:5]}
    details = DETECT.run(input_of(photos, given=detector({"original": fewer}))).scores[0].details
    assert details["threshold_from"] == f"chosen on {len(train) - 5} training photos"
    at = np.array([i for i, p in enumerate(photos.ids) if p in train[5:]])
    cut = details["threshold"]
    reached = balanced_accuracy_score(fake[at], rows[at, 0] > cut)
    assert reached == max(balanced_accuracy_score(fake[at], rows[at, 0] > c) for c in rows[at, 0])
    of_one_class = {p: v for p, v in values.items() if p not in train or fake[photos.ids.index(p)]}
    with pytest.raises(DataError) as refused:
        DETECT.run(input_of(photos, given=detector({"original": of_one_class})))
    assert "scores:FILE?threshold=0.5" in str(refused.value)
    test = [p for p in photos.ids if p not in train]
    lacking = {p: v for p, v in values.items() if p not in test[2:4]}
    with pytest.raises(DataError) as refused:
        DETECT.run(input_of(photos, given=detector({"original": lacking}, threshold=0.0)))
    assert f"{test[2]}" in str(refused.value)


def test_leave_one_out__lowest_generator_notes_and_generators_of_the_training(planted):
    photos, rows, _, generator = planted
    outcome = LEAVE_ONE_OUT.run(input_of(photos, rows))
    scores = {s.metric: s for s in outcome.scores}
    table = scores["auc"].details["by_generator"]
    lowest = min(table, key=lambda row: row["auc"])
    assert scores["worst"].details["generator"] == lowest["generator"] == "h"
    assert scores["worst"].value == pytest.approx(lowest["auc"], abs=1e-6)
    assert scores["loss"].value == pytest.approx(np.mean([r["auc_if_trained"] - r["auc"] for r in table]), abs=1e-6)
    assert "notes" not in scores["auc"].details
    facts = LEAVE_ONE_OUT.read_facts(outcome.answers)
    assert (facts["worst"].details["generator"], facts["auc"].details["by_generator"]) == ("h", table)
    older = {name: array for name, array in outcome.answers.items() if name != "left_out_names"}
    assert "generator" not in LEAVE_ONE_OUT.read_facts(older)["worst"].details
    values = dict(zip(photos.ids, rows[:, 0].astype(float), strict=True))
    for trained_on, tested in (((), ["g", "h"]), (("g",), ["h"]), (("k", "h"), ["g"])):
        given = detector({"original": values}, trained_on=trained_on)
        result = {s.metric: s for s in LEAVE_ONE_OUT.run(input_of(photos, given=given)).scores}
        assert [row["generator"] for row in result["auc"].details["by_generator"]] == tested
        assert ("notes" in result["auc"].details) is (not trained_on)
        assert "loss" not in result
        assert all(set(row) == {"generator", "auc", "photos"} for row in result["auc"].details["by_generator"])
    with pytest.raises(DataError, match="trained_on="):
        LEAVE_ONE_OUT.run(input_of(photos, given=detector({"original": values}, trained_on=("g", "h"))))
    usable = generator != "h"
    with pytest.raises(DataError, match="generators"):
        LEAVE_ONE_OUT.run(input_of(photos, rows, usable=usable))
    stated = detector({"original": values}, threshold=0.5)
    alone = LEAVE_ONE_OUT.run(input_of(photos, given=stated, usable=usable)).scores[0]
    assert [row["generator"] for row in alone.details["by_generator"]] == ["g"]


def test_floor__pairs_of_the_six_most_frequent_sources():
    counts = dict(zip("abcdefg", (12, 13, 10, 14, 11, 15, 16), strict=True))
    photos = pictures(
        *((n, "real", split, "-", source) for source, n in counts.items() for split in ("train", "val")),
        *((9, "real", split, "-", "rare") for split in ("train", "val")),
        *((12, "fake", split, "-", "a") for split in ("train", "val")),
    )
    rows = np.random.default_rng(1).normal(size=(len(photos), 4)).astype(np.float32)
    outcome = FLOOR.run(input_of(photos, rows))
    (score,) = outcome.scores
    pairs = score.details["pairs"]
    assert [row["sources"] for row in pairs] == [[x, y] for i, x in enumerate("abdefg") for y in "abdefg"[i + 1 :]]
    assert score.details["notes"] == ["7 sources have enough photos; the 6 most frequent are compared."]
    assert score.value == pytest.approx(np.mean([row["auc"] for row in pairs]), abs=1e-6)
    real = np.flatnonzero((photos.splits == 1) & (photos.labels.values == 1))
    source = photos.columns["source"][real]
    for row, measured, second in zip(pairs, outcome.answers["pair_scores"], outcome.answers["second"], strict=True):
        x, y = row["sources"]
        at = np.isin(source, (x, y))
        assert row["auc"] == pytest.approx(roc_auc_score(source[at] == y, measured[at]), abs=1e-6)
        assert (row["train_photos"], row["test_photos"]) == (counts[x] + counts[y],) * 2
        assert Counter(second.tolist()) == {1: counts[y], 0: counts[x], -1: len(real) - counts[x] - counts[y]}
    facts = FLOOR.read_facts(outcome.answers)["auc"]
    assert facts.details["pairs"] == [{n: row[n] for n in ("auc", "test_photos")} for row in pairs]
    assert (facts.chance, facts.details["real_and_generated"]) == (0.5, {"test": {"real": 100}})
    assert score.details["real_and_generated"]["test"] == {"real": 100, "generated": 12}
    assert "notes" not in FLOOR.run(input_of(pictures(*both(12, 12)))).scores[0].details


def test_floor__the_sign_of_a_detector_made_elsewhere_is_that_of_training_or_else_of_the_test():
    photos = pictures(*both(10, 10))
    second = photos.columns["source"] == "t"
    rng = np.random.default_rng(2)
    lower = np.where(second, -1.0, 0.0) + 0.3 * rng.normal(size=len(photos))
    test = photos.splits == 1
    for values, with_train, over_half in (
        (lower, True, True),
        (lower, False, True),
        (np.where(test, lower, -lower), True, False),
        (np.where(test, lower, -lower), False, True),
    ):
        held = {p: v for p, v, t in zip(photos.ids, values, test, strict=True) if t or with_train}
        given = detector({"original": held}, threshold=0.0)
        value = FLOOR.run(input_of(photos, given=given)).scores[0].value
        assert (value > 0.9, value < 0.1) == (over_half, not over_half)


def test_crossing__of_a_file_that_lacks_processings_and_its_codecs(planted):
    photos, rows, fake, _ = planted
    names = ("sharpening-x4", "jpeg-q75-420", "jpeg-q95-444")
    views = {"original": rows[:, 0]} | {n: rows[:, 0] + shift for n, shift in zip(names, (0.4, 0.8, -1.0), strict=True)}
    given = detector({n: dict(zip(photos.ids, v.astype(float), strict=True)) for n, v in views.items()}, threshold=0.0)
    outcome = CROSSING.run(input_of(photos, given=given, brief=False))
    scores = {s.metric: s for s in outcome.scores}
    held = [n for n in STUDY_PROCESSINGS if n in names]
    assert list(scores) == ["both", "real-only", "generated-only", "bias", "bias-jpeg"]
    for score in scores.values():
        assert (score.details["processings"], score.details["over"]) == (3, held)
        without = ", ".join(n for n in STUDY_PROCESSINGS if n not in names)
        assert score.details["notes"] == [f"Without scores under {without}."]
    assert "matrix" not in scores["both"].details
    assert scores["both"].details["threshold"] == 0.0
    test = photos.splits == 1
    table = scores["bias"].details["by_processing"]
    biases = {}
    for name in held:
        one, original, of_test = views[name][test], views["original"][test], fake[test]
        made = roc_auc_score(of_test, np.where(of_test, one, original))
        real = roc_auc_score(of_test, np.where(of_test, original, one))
        biases[name] = made - real
        row = table[name]
        plain = (roc_auc_score(of_test, one), real, made, made - real)
        assert [row[n] for n in ("both", "real_only", "generated_only", "bias")] == pytest.approx(plain, abs=1e-6)
        assert -1 <= row["low"] <= row["bias"] <= row["high"] <= 1
    assert scores["bias"].value == pytest.approx(np.mean(list(biases.values())))
    assert scores["bias-jpeg"].value == pytest.approx(np.mean([biases[n] for n in names[1:]]))
    read = CROSSING.read_answers(outcome.answers)
    assert {values.over for values in read.values()} == {tuple(held)}
    facts = CROSSING.read_facts(outcome.answers)
    assert facts["both"].details["matrix"]["auc"][:3] == [None] * 3
    assert len(facts["both"].details["matrix"]["auc"][3]) == 4
    assert (facts["both"].details["processings"], list(facts["bias"].details["by_processing"])) == (3, held)
    older = CROSSING.read_answers({n: outcome.answers[n] for n in ("photos", "generated")} | {"scores": np.stack(
        [views["original"][test]] * 15)})  # fmt: skip
    assert (set(older), older["bias"].over) == ({"both", "real-only", "generated-only", "bias"}, STUDY_PROCESSINGS)
