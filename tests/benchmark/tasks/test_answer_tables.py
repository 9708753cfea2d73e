"""Numbers of changed answers from stored arrays, each by a plain loop, and what files of answers and scores lack."""

import itertools
from types import SimpleNamespace

import numpy as np
import pytest
from scipy.stats import rankdata

from benchmark.options import RunOptions
from benchmark.stats import bootstrap_interval, paired_differences, photo_interval, photo_intervals
from benchmark.tasks import TaskInput, all_tasks
from builders.errors import DataError
from builders.pixels import BUILT_IN
from tests.support.planted_answers import answering, photo_set

TASK = all_tasks()["answers/jpeg"]
VIEWS = ("v0", "v1", "v2")
NOISE = ("png", "other-batch", "other-order")
BY_ROW = ("flips", "right_to_wrong", "wrong_to_right", "accuracy")


def stored(*, single: bool, clustered: bool, noise: tuple[str, ...] = NOISE, graded: bool = True, seed: int = 0):
    """Answers about seven photos, of which some are asked about twice; option -1 is none of the options."""
    rng = np.random.default_rng(seed)
    photo = np.arange(7) if single else np.array([0, 3, 1, 1, 2, 4, 5, 6, 6, 0])
    q = len(photo)
    options = rng.integers(2, 5, q)
    chosen = np.stack([rng.integers(0, options) for _ in range(1 + len(VIEWS) + len(noise))])
    chosen[1 + len(VIEWS) :] = chosen[0]
    for row, flips in zip(chosen[1 + len(VIEWS) :], (1, 2, 5), strict=False):
        row[:flips] = (row[:flips] + 1) % options[:flips]
    chosen[2, 4] = -1
    arrays = {
        "photos": np.arange(20, 27),
        "question_photo": photo.astype(np.int32),
        "right": rng.integers(0, options).astype(np.int8),
        "options": options.astype(np.int8),
        "views": np.array(VIEWS),
        "noise": np.array(noise, dtype=str),
        "chosen": chosen.astype(np.int8),
    }
    if graded:
        arrays["probability"] = rng.random((1 + len(VIEWS), q)).astype(np.float32)
        arrays["margin"] = np.r_[0.0, 0.1, 0.25, 0.99, 0.3, rng.random(q - 5)].astype(np.float32)
    if clustered:
        arrays["clusters"] = np.array([3, 3, 4, 4, 5, 6, 6])
    return arrays


@pytest.mark.parametrize(
    ("single", "clustered", "noise"),
    [(True, False, NOISE), (False, False, NOISE[1:]), (False, True, NOISE[:1]), (True, True, NOISE[::-1])],
)
def test_answers__every_number_by_a_plain_loop(single, clustered, noise):
    arrays = stored(single=single, clustered=clustered, noise=noise)
    values, facts = TASK.read_answers(arrays), TASK.read_facts(arrays)
    photo, clusters = arrays["question_photo"], arrays.get("clusters")
    original, views, of_noise = arrays["chosen"][0], arrays["chosen"][1:4], arrays["chosen"][4:]
    right = arrays["right"]

    def of_photos(per_question) -> np.ndarray:
        return np.array([np.mean([x for x, p in zip(per_question, photo, strict=True) if p == at]) for at in range(7)])

    flips = np.stack([of_photos(view != original) for view in views])
    to_wrong = np.stack([of_photos((original == right) & (view != right)) for view in views])
    to_right = np.stack([of_photos((original != right) & (view == right)) for view in views])
    after, before = np.stack([of_photos(view == right) for view in views]), of_photos(original == right)
    shift = np.stack([of_photos(p.astype(float) - arrays["probability"][0]) for p in arrays["probability"][1:]])
    numeric = [of_photos(view != original) for name, view in zip(noise, of_noise, strict=True) if name != "other-order"]
    floor = max(numeric, key=np.mean)
    expected = {
        "flips": flips.mean(axis=0),
        "right-to-wrong": to_wrong.mean(axis=0),
        "wrong-to-right": to_right.mean(axis=0),
        "accuracy": after.mean(axis=0),
        "accuracy-original": before,
        "change": after.mean(axis=0) - before,
        "margin": shift.mean(axis=0),
        "beyond-noise": flips.mean(axis=0) - floor,
    }
    assert set(values) == set(facts) == set(expected)
    for name, one in expected.items():
        assert values[name].values == pytest.approx(one, abs=1e-6), name
        assert values[name].photos.tolist() == arrays["photos"].tolist()
        assert values[name].over == VIEWS
        assert values[name].bounds == ((-1.0, 1.0) if name in ("change", "margin", "beyond-noise") else (0.0, 1.0))
    chance = np.mean(of_photos(1 / arrays["options"]))
    assert {n: f.chance for n, f in facts.items()} == {
        n: pytest.approx(chance) if n.startswith("accuracy") else 0.0 for n in facts
    }
    details = facts["flips"].details
    assert (details["processings"], details["questions"]) == (3, len(photo))
    assert all(facts[name].details == {"processings": 3} for name in facts if name != "flips")
    assert details["guess_flips"] == pytest.approx(np.mean(of_photos(1 - 1 / arrays["options"])), abs=1e-6)
    assert details["no_option"] == pytest.approx((arrays["chosen"][:4] < 0).mean(), abs=1e-6)
    assert "movement" not in details
    differences = {
        "change": paired_differences(after - before, clusters=clusters, binary=single),
        "beyond": paired_differences(flips - floor, clusters=clusters, binary=single),
        "margin": paired_differences(shift, clusters=clusters, binary=False),
    }
    intervals = photo_intervals(flips, clusters=clusters)
    for v, (name, row) in enumerate(details["by_processing"].items()):
        assert name == VIEWS[v]
        plain = [part[v].mean() for part in (flips, to_wrong, to_right, after)]
        assert [row[column] for column in BY_ROW] == pytest.approx(plain, abs=1e-6)
        ends = intervals[v]
        assert [row["flips_low"], row["flips_high"]] == pytest.approx([ends.low, ends.high], abs=1e-6)
        for column, rows in differences.items():
            one = [row[f"{column}{end}"] for end in ("", "_low", "_high", "_p")]
            assert one == pytest.approx([rows[v].value, rows[v].low, rows[v].high, rows[v].p_value], abs=1.1e-6), column
    assert list(details["noise"]) == list(noise)
    for row, view in zip(details["noise"].values(), of_noise, strict=True):
        plain = [
            np.mean(of_photos(x))
            for x in (
                view != original,
                (original == right) & (view != right),
                (original != right) & (view == right),
                view == right,
            )
        ]
        assert [row[column] for column in BY_ROW] == pytest.approx(plain, abs=1e-6)
        assert "change" not in row
    margin, of_question = arrays["margin"], np.mean([view != original for view in views], axis=0)
    for low, high in itertools.pairwise((0.0, 0.1, 0.25, 0.5, 0.75, 1.0)):
        at = (margin >= np.float32(low)) & (margin < np.float32(high)) if high < 1 else margin >= low
        row = details["by_margin"].get(f"{100 * low:g} to {100 * high:g}")
        assert (row is None) == (not at.any())
        if row is not None:
            units = None if single and not clustered else (photo if clusters is None else clusters[photo])[at]
            ends = photo_interval(of_question[at], clusters=units)
            assert (row["flips"], row["questions"]) == (pytest.approx(of_question[at].mean()), at.sum())
            assert (row["low"], row["high"]) == pytest.approx((ends.low, ends.high))


def test_answers__what_is_not_stored_is_in_no_table():
    arrays = stored(single=True, clustered=False, noise=(), graded=False)
    assert set(TASK.read_answers(arrays)).isdisjoint({"margin", "beyond-noise"})
    details = TASK.read_facts(arrays)["flips"].details
    assert {"noise", "by_margin", "movement"}.isdisjoint(details)
    assert not [c for c in details["by_processing"]["v0"] if c.startswith(("beyond", "margin"))]
    only_order = stored(single=True, clustered=False, noise=("other-order",))
    assert "beyond-noise" not in TASK.read_answers(only_order)
    assert list(TASK.read_facts(only_order)["flips"].details["noise"]) == ["other-order"]


@pytest.mark.parametrize("clustered", [False, True])
def test_movement__ranks_within_each_processing(clustered):
    arrays = stored(single=False, clustered=clustered, seed=5)
    rng = np.random.default_rng(9)
    arrays["moved"] = (rng.random((3, 7)) * np.array([[1], [10], [100]])).astype(np.float32)
    made = TASK.read_facts(arrays)["flips"].details["movement"]
    moved = np.mean([rankdata(row) for row in arrays["moved"]], axis=0)
    flips = TASK.read_answers(arrays)["flips"].values

    def correlation(at):
        x, y = rankdata(moved[at]), rankdata(flips[at])
        return None if x.std() == 0 or y.std() == 0 else float(np.corrcoef(x, y)[0, 1])

    ends = bootstrap_interval(correlation, 7, clusters=arrays.get("clusters"))
    assert made == pytest.approx({"value": correlation(np.arange(7)), "low": ends.low, "high": ends.high}, abs=1e-6)
    for still in ({"moved": np.ones((3, 7), np.float32)}, {"chosen": np.tile(arrays["chosen"][:1], (7, 1))}):
        assert "movement" not in TASK.read_facts({**arrays, **still})["flips"].details


JPEG = BUILT_IN["jpeg"].processings


def run(encoder, photos, usable=None, **more):
    usable = np.ones(len(photos), bool) if usable is None else usable
    bank = SimpleNamespace(view=None, names=(), dim=1)
    return TASK.run(TaskInput(photos, usable, bank, RunOptions(resamples=200), "cpu", answers=encoder.answers, **more))


def test_run__questions_of_usable_photos_and_processings_that_the_file_has():
    photos, margins = photo_set(9), np.array([1.0, -1, 1, 1, -1, 1, 1, 1, -1])
    views = {"original": margins, JPEG[2]: -margins, JPEG[0]: margins, "png": margins}
    encoder = answering(photos, views)
    outcome = run(encoder, photos, np.arange(9) != 1, has_embeddings=False)
    scores = {s.metric: s for s in outcome.scores}
    assert {s.n for s in outcome.scores} == {8}
    assert outcome.answers["views"].tolist() == [JPEG[0], JPEG[2]]
    for name, score in scores.items():
        assert (score.details["processings"], score.details["rule"]) == (2, "own")
        assert score.details["without"] == [v for v in JPEG if v not in (JPEG[0], JPEG[2])]
        assert ("by_processing" in score.details) is (name == "flips")
        assert score.chance == (0.5 if name.startswith("accuracy") else 0.0)
    assert scores["accuracy-original"].value == 6 / 8
    assert (scores["flips"].value, scores["beyond-noise"].value, scores["change"].value) == (0.5, 0.5, -0.25)
    assert scores["change"].low < -0.25 < scores["change"].high
    assert outcome.answers["probability"].shape == (3, 8)
    every = run(answering(photos, dict.fromkeys(("original", *JPEG), margins)), photos, has_embeddings=False)
    assert all("without" not in score.details for score in every.scores)
    with pytest.raises(DataError, match="question"):
        run(encoder, photos, np.zeros(9, bool), has_embeddings=False)
