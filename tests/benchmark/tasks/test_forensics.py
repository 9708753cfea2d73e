"""Tasks about generated photos: planted truths, plain loops, what cannot be answered, answers, reports."""

import dataclasses

import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import roc_auc_score

from benchmark.judgement import biases, biases_text, moves
from benchmark.probe import class_layer, class_scores
from benchmark.report import report_text
from benchmark.results import Score, read_answers
from benchmark.results.answers import NO_FACTS
from benchmark.results.check import check_forms
from benchmark.results.proof import contradicted
from benchmark.tasks import all_tasks, fitting_tasks, select_tasks
from benchmark.tasks.forensics.detect import BALANCED, _statistics
from builders.errors import DataError
from builders.photos import Labels
from builders.pixels import ALL_PROCESSINGS, STUDY_PROCESSINGS, process_by_pillow
from tests.support.detection_photos import DIMENSION, detection_photos
from tests.support.grouped_photos import pixel_rows
from tests.support.scoring import as_rows, score_tasks, toy_encoder

TASKS = ("forensics/floor", "forensics/detect", "forensics/leave-one-out")
CROSSING = "forensics/crossing"


def encoder():
    return toy_encoder(as_rows, pixel_rows, DIMENSION, name="pixels")


def scores_of(photos, tmp_path, tasks=TASKS):
    scored = score_tasks(encoder(), photos, tasks, tmp_path)
    return scored, {(s.task.partition("/")[2], s.metric): s for s in scored.result.scores}


@pytest.fixture(scope="module")
def shared(tmp_path_factory):
    """All generators share one effect; two sources of real photos differ by less."""
    photos = detection_photos(shared=3.0, source=1.0)
    return photos, *scores_of(photos, tmp_path_factory.mktemp("shared"))


def test_a_shared_effect_is_found_and_holds_for_unseen_generators(shared):
    _, scored, table = shared
    assert table["detect", "auc"].low > 0.85
    assert table["leave-one-out", "auc"].low > 0.85
    assert 0.5 < table["floor", "auc"].value < 0.85
    for task in ("detect", "leave-one-out"):
        assert moves(scored.result, all_tasks())[f"forensics/{task}", "margin"].answer == "yes"
    assert moves(scored.result, all_tasks())["forensics/leave-one-out", "loss"].answer != "yes"
    check_forms(scored.result)


def test_effects_of_single_generators_do_not_hold_for_unseen_ones(tmp_path):
    scored, table = scores_of(detection_photos(single=4.0), tmp_path)
    assert table["detect", "auc"].low > 0.75
    assert table["leave-one-out", "auc"].high < 0.65
    assert table["leave-one-out", "loss"].low > 0.2
    assert moves(scored.result, all_tasks())["forensics/leave-one-out", "loss"].answer == "yes"


def test_two_sources_of_real_photos_are_the_floor_and_nothing_else(tmp_path):
    scored, table = scores_of(detection_photos(source=4.0), tmp_path)
    assert table["floor", "auc"].low > 0.85
    assert table["detect", "auc"].low < 0.6
    decided = moves(scored.result, all_tasks())["forensics/detect", "margin"]
    assert decided.answer == "yes"
    assert table["detect", "margin"].value < 0


@pytest.mark.slow
def test_null_sets__are_claimed_rarely(tmp_path):
    """Of 10 sets without any effect at most three have one claim (5 % each: P(4 or more) = .001)."""
    claims = 0
    for seed in range(10):
        scored, _ = scores_of(detection_photos(seed, count=20), tmp_path / str(seed))
        decided = moves(scored.result, all_tasks())
        claims += any(d.answer == "yes" for d in decided.values())
    assert claims <= 3


def test_values__equal_those_of_plain_loops(shared):
    photos, scored, table = shared
    arrays = _arrays(scored.answers, "forensics/detect")
    rows = np.stack([pixel_rows(_image(photos, i)) for i in range(len(photos))])
    unit = rows / np.linalg.norm(rows, axis=1, keepdims=True)
    made = np.array([photos.labels.names[v] == "fake" for v in photos.labels.values])
    train, test = photos.indices("train"), photos.indices("val")
    assert (arrays["generated"] == made[test]).all()
    assert table["detect", "auc"].value == pytest.approx(roc_auc_score(made[test], arrays["scores"]), abs=1e-9)
    nearest = [train[np.argmax(unit[train] @ unit[i])] for i in test]
    right = made[nearest] == made[test]
    plain = (right[made[test]].mean() + right[~made[test]].mean()) / 2
    assert table["detect", "nearest"].value == pytest.approx(plain, abs=1e-9)
    # the mean loss plus strength / 2 of both columns' squares is that of one column with half the strength
    strength = table["detect", "auc"].details["chosen"]["strength"]
    penalty = 2 / (len(train) * strength)
    reference = LogisticRegression(C=penalty, tol=1e-8, max_iter=5000)
    expected = reference.fit(unit[train], made[train]).decision_function(unit[test])
    np.testing.assert_allclose(arrays["scores"], expected, atol=1e-3 * np.abs(expected).max())
    assert table["detect", "auc"].value == pytest.approx(roc_auc_score(made[test], expected), abs=1e-3)


def test_readers__besides_the_linear_layer_have_scores_of_their_own(shared, tmp_path):
    """On well separated classes each reads what the linear layer reads; without the option there are none."""
    scored = score_tasks(encoder(), shared[0], ("forensics/detect",), tmp_path, readers="linear,knn,mlp")
    table = {score.metric: score for score in scored.result.scores}
    arrays = _arrays(scored.answers, "forensics/detect")
    for name in ("balanced-knn", "balanced-mlp"):
        right = arrays[name] == arrays["generated"]
        plain = (right[arrays["generated"]].mean() + right[~arrays["generated"]].mean()) / 2
        assert table[name].value == pytest.approx(plain, abs=1e-9)
        assert table[name].value > 0.75
    assert ("detect", "balanced-knn") not in shared[2]
    assert table["auc"].value == shared[2]["detect", "auc"].value


def test_leave_one_out__trains_without_the_generator(shared):
    photos, scored, table = shared
    arrays = _arrays(scored.answers, "forensics/leave-one-out")
    made = np.array([photos.labels.names[v] == "fake" for v in photos.labels.values])
    generator, test = photos.groups["generator"].values, photos.indices("val")
    plain = [
        roc_auc_score(made[test][at], scores[at])
        for value, scores in zip(arrays["left_out"], arrays["scores"], strict=True)
        for at in [~made[test] | (generator[test] == value)]
    ]
    assert table["leave-one-out", "auc"].value == pytest.approx(np.mean(plain), abs=1e-9)
    rows = table["leave-one-out", "auc"].details["by_generator"]
    assert [row["auc"] for row in rows] == pytest.approx(plain, abs=1e-6)
    assert table["leave-one-out", "margin"].value == pytest.approx(np.mean(plain) - table["floor", "auc"].value)


def test_answers__prove_every_score_and_refuse_changed_ones(shared, tmp_path):
    _, scored, _ = shared
    photos = detection_photos(count=12, shared=3.0)
    crossed, _ = scores_of(photos, tmp_path, (CROSSING,))
    for run in (scored, crossed):
        answers = read_answers(run.answers, all_tasks())
        assert not answers.unreadable
        for score in run.result.scores:
            key = score.task, score.metric
            values, facts = answers.values[key], answers.facts.get(key, NO_FACTS)
            assert contradicted(score, values, facts, run.result) == ""
            for field, change in (("low", -0.01), ("high", 0.01), ("chance", -0.1), ("value", 0.01)):
                other = dataclasses.replace(score, **{field: getattr(score, field) + change})
                assert contradicted(other, values, facts, run.result) != "", (key, field)
    bias = next(s for s in crossed.result.scores if s.metric == "bias")
    rows = {name: dict(row) for name, row in bias.details["by_processing"].items()}
    rows["jpeg-q75-420"]["bias"] += 0.05
    changed = dataclasses.replace(bias, details={**bias.details, "by_processing": rows})
    key = CROSSING, "bias"
    answers = read_answers(crossed.answers, all_tasks())
    assert "by_processing" in contradicted(changed, answers.values[key], answers.facts[key], crossed.result)


@pytest.mark.slow
def test_crossing__equals_scores_of_photos_as_saved_and_the_matrix_has_the_detector(tmp_path):
    photos = detection_photos(count=24, shared=3.0)
    scored, table = scores_of(photos, tmp_path, (CROSSING, "forensics/detect"))
    arrays = _arrays(scored.answers, CROSSING)
    generated, original = arrays["generated"], arrays["scores"][-1]
    both = [roc_auc_score(generated, s) for s in arrays["scores"][:-1]]
    assert table["crossing", "both"].value == pytest.approx(np.mean(both), abs=1e-9)
    made = [roc_auc_score(generated, np.where(generated, s, original)) for s in arrays["scores"][:-1]]
    real = [roc_auc_score(generated, np.where(generated, original, s)) for s in arrays["scores"][:-1]]
    assert table["crossing", "bias"].value == pytest.approx(np.mean(made) - np.mean(real), abs=1e-9)
    rows = table["crossing", "bias"].details["by_processing"]
    assert list(rows) == list(STUDY_PROCESSINGS)
    assert [row["generated_only"] for row in rows.values()] == pytest.approx(made, abs=1e-6)
    matrix = table["crossing", "both"].details["matrix"]
    assert np.shape(matrix["auc"]) == (15, 15)
    sharpened = STUDY_PROCESSINGS.index("sharpening-x4")
    made = np.array([photos.labels.names[v] == "fake" for v in photos.labels.values])
    train, test = photos.indices("train"), photos.indices("val")
    rows = [np.stack([pixel_rows(_processed(photos, i)) for i in at]).astype(np.float32) for at in (train, test)]
    plain = class_scores([class_layer(rows[0], made[train], n_classes=2)], [rows[1]])[0, 0]
    expected = roc_auc_score(made[test], plain[:, 1] - plain[:, 0])
    assert matrix["auc"][sharpened][sharpened] == pytest.approx(expected, abs=2e-3)
    assert matrix["auc"][sharpened] != matrix["auc"][-1]
    assert matrix["auc"][-1][-1] == pytest.approx(table["detect", "auc"].value, abs=1e-3)
    text = biases_text(table["crossing", "bias"])
    assert "Holm's correction over 14 processings" in text
    assert len(biases(table["crossing", "bias"])) == 14


def test_report__begins_with_the_files_and_has_every_table(shared):
    _, scored, _ = shared
    text = report_text([scored.result], all_tasks())
    assert "**The files themselves, without any encoder (360 photos)**" in text
    assert text.index("The files themselves") < text.index("forensics/detect auc")
    for part in ("two sources of real photos", "AUC %, not in training", "expected calibration error"):
        assert part in text
    assert "generated photos are distinguished from real ones better than two sources of real photos" in text


def test_audit__names_the_confound_of_the_files_first(tmp_path):
    from builders.photos import PhotoSet
    from tests.support.images import image_bytes

    rng = np.random.default_rng(0)
    files = {}
    for i in range(120):
        pixels = rng.integers(0, 256, (16, 16, 3), dtype=np.uint8)
        files[f"{i}"] = image_bytes(pixels, "PNG") if i % 2 else image_bytes(pixels, "JPEG", quality=96)
    photos = PhotoSet.of_bytes(
        "saved otherwise",
        files,
        ["fake" if i % 2 else "real" for i in range(120)],
        ["val" if (i // 2) % 3 == 0 else "train" for i in range(120)],
    )
    _, table = scores_of(photos, tmp_path, ("forensics/detect",))
    audit = table["detect", "auc"].details["audit"]
    assert audit["flagged"]
    assert "100 % from the file header alone" in audit["verdict"]


def test_audit__does_not_take_the_sources_of_real_photos_for_a_confound(tmp_path):
    photos = detection_photos(count=12)
    sources = np.where(photos.columns["source"] == "", "generators", photos.columns["source"])
    _, table = scores_of(dataclasses.replace(photos, columns={"source": sources}), tmp_path, ("forensics/detect",))
    assert "sources of its own" not in table["detect", "auc"].details["audit"]["verdict"]


def test_answers__of_a_perfect_detector_prove_its_interval(tmp_path):
    scored, table = scores_of(detection_photos(count=12, shared=12.0), tmp_path, ("forensics/detect",))
    assert (table["detect", "auc"].value, table["detect", "auc"].high) == (1.0, 1.0)
    answers = read_answers(scored.answers, all_tasks())
    for score in scored.result.scores:
        key = score.task, score.metric
        assert contradicted(score, answers.values[key], answers.facts.get(key, NO_FACTS), scored.result) == ""


def test_biases__are_judged_on_both_sides():
    rows = {
        "looks generated": {"bias": 0.2, "low": 0.15, "high": 0.25, "p_value": 1e-9},
        "looks real": {"bias": -0.2, "low": -0.25, "high": -0.15, "p_value": 1e-9},
        "unknown": {"bias": -0.05, "low": -0.105, "high": 0.005, "p_value": 0.08},
        "nothing": {"bias": 0.0, "low": -0.001, "high": 0.001, "p_value": 1.0},
    }
    score = Score(CROSSING, "toy", "bias", 0.0, -0.1, 0.1, 1000, 0.0, {"by_processing": rows})
    assert [bias.decision.answer for bias in biases(score).values()] == ["yes", "yes", "undecided", "no"]
    assert biases_text(score) == (
        "Processing that looks generated to the detector: looks generated (+20.0 points); that looks real: looks real "
        "(-20.0 points); shown to move it by less than 1 point: nothing (+0.0 points); undecided: unknown (-5.0 "
        "points). Shown: p < 0.05 after Holm's correction over 4 processings."
    )
    assert biases(dataclasses.replace(score, details={})) == {}


@pytest.mark.parametrize(
    ("change", "task", "reason"),
    [
        ({"labels": ("cat", "dog")}, "detect", "classes"),
        ({"groups": {}}, "leave-one-out", "generator"),
        ({"columns": {}}, "floor", "photos"),
    ],
)
def test_unfit__says_what_is_missing(change, task, reason):
    photos = detection_photos(count=12)
    if "labels" in change:
        change = {"labels": Labels(change["labels"], photos.labels.values)}
    photos = dataclasses.replace(photos, **change)
    with pytest.raises(DataError, match=reason):
        fitting_tasks(select_tasks([f"forensics/{task}"], all_tasks()), photos, named=True)


def test_a_test_split_is_tested_and_val_is_trained_on(tmp_path):
    photos = detection_photos(count=30, shared=3.0)
    splits = np.where((photos.splits == 1) & (np.arange(len(photos)) % 2 == 0), 2, photos.splits).astype(np.int8)
    _, table = scores_of(dataclasses.replace(photos, splits=splits), tmp_path, ("forensics/detect",))
    assert table["detect", "auc"].n == (splits == 2).sum()
    counts = table["detect", "auc"].details["real_and_generated"]
    assert sum(counts["train"].values()) == (splits != 2).sum()


def test_default_tasks__are_those_about_detection():
    tasks = fitting_tasks(list(all_tasks().values()), detection_photos(), named=False)
    assert [t.name for t in tasks] == [*TASKS, CROSSING]


def _arrays(answers, task):
    return {name.removeprefix(f"{task}/"): array for name, array in answers.items() if name.startswith(f"{task}/")}


def _processed(photos, i):
    return process_by_pillow(_image(photos, i).convert("RGB"), ALL_PROCESSINGS["sharpening-x4"], photos.ids[i])


def _image(photos, i):
    import io

    from PIL import Image

    return Image.open(io.BytesIO(photos.read(i)))


def test_detect__a_score_of_zero_says_real():
    """Balanced accuracy is at the threshold that a detector states: above 0 is generated."""
    arrays = {"scores": np.array([-1.0, 0.0, 0.0, 2.0]), "generated": np.array([False, False, True, True])}
    assert _statistics(arrays)[BALANCED.name].value == (1 + 0.5) / 2
    nearest = _statistics({**arrays, "nearest": np.array([True, False, True, True])})
    assert [s.value for name, s in nearest.items() if name not in _statistics(arrays)] == [(0.5 + 1) / 2]
