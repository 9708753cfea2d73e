"""Tasks about answers: planted models whose flips are known by hand, noise floor, units, and what verify refuses."""

import dataclasses
import json

import numpy as np
import pytest
from scipy.stats import spearmanr

from benchmark.answers import QuestionRule
from benchmark.encoders import load_encoder
from benchmark.leaderboard.columns import meaning
from benchmark.options import RunOptions
from benchmark.results import read_answers
from benchmark.results.answers import NO_FACTS
from benchmark.results.check import check_forms
from benchmark.results.proof import contradicted
from benchmark.stats import mcnemar
from benchmark.tasks import all_tasks, fitting_tasks, select_tasks, tasks_without_views
from builders.errors import EncoderError
from builders.photos import PhotoSet
from builders.pixels import BUILT_IN
from tests.support.images import ppm
from tests.support.planted_answers import answering, photo_set
from tests.support.records import check_keys
from tests.support.scoring import as_rows, score_tasks, toy_encoder

QUALITIES = {name: int(name[6:8]) for name in BUILT_IN["jpeg"].processings}
TASK = "answers/jpeg"
FALL = {75: 1.0, 85: 0.4, 95: 0.1}


def by_quality(margins):
    """A model whose margin falls with the JPEG quality: it flips where the margin is below the fall."""
    views = {"original": margins} | {name: margins - FALL[quality] for name, quality in QUALITIES.items()}
    return views | {
        "png": margins,
        "other-batch": margins + 1e-4,
        "other-precision": margins - 0.2,
    }


def scored(encoder, photos, tmp_path, patterns=(TASK,), **options):
    run = score_tasks(encoder, photos, patterns, tmp_path, **options)
    return run, {(s.task, s.metric): s for s in run.result.scores}


@pytest.fixture(scope="module")
def planted(tmp_path_factory):
    """Margins 0.05, 0.15, ..., 1.95 five times: falls of 1.0, 0.4, 0.1 flip 50, 20 and 5 of 100 photos."""
    photos = photo_set(100)
    margins = np.tile(np.arange(20) * 0.1 + 0.05, 5)
    return photos, margins, *scored(answering(photos, by_quality(margins)), photos, tmp_path_factory.mktemp("planted"))


def test_a_model_that_reads_quality_flips_exactly_where_computed_by_hand(planted):
    _, margins, run, table = planted
    rows = table[TASK, "flips"].details["by_processing"]
    for name, quality in QUALITIES.items():
        flips = int((margins < FALL[quality]).sum())
        assert flips == {75: 50, 85: 20, 95: 5}[quality]
        row = rows[name]
        assert (row["flips"], row["right_to_wrong"], row["wrong_to_right"]) == (flips / 100, flips / 100, 0)
        assert row["accuracy"] == 1 - flips / 100
        assert row["change"] == -flips / 100
        assert row["change_p"] >= mcnemar(flips, 0)  # and not below Student's t
    assert table[TASK, "flips"].value == pytest.approx((50 + 20 + 5) / 300)
    assert table[TASK, "accuracy-original"].value == 1
    assert table[TASK, "accuracy"].chance == 0.5
    assert all(s.n == 100 for s in table.values())
    check_forms(run.result)


def test_noise_floor__png_flips_none_and_the_worst_numeric_view_is_subtracted(planted):
    noise = planted[3][TASK, "flips"].details["noise"]
    assert noise["png"]["flips"] == noise["other-batch"]["flips"] == 0
    assert noise["other-precision"]["flips"] == 0.1  # margins 0.05 and 0.15
    assert planted[3][TASK, "beyond-noise"].value == pytest.approx(0.25 - 0.1)


def test_margins__flips_stand_among_timid_answers(planted):
    rows = planted[3][TASK, "flips"].details["by_margin"]
    gaps = np.tanh((np.arange(20) * 0.1 + 0.05) / 2)  # p - (1 - p) of a logistic function
    flips = np.array([sum(m < fall for fall in FALL.values()) / 3 for m in np.arange(20) * 0.1 + 0.05])
    for name, row in rows.items():
        low, high = (float(end) / 100 for end in name.split(" to "))
        at = (gaps >= low) & (gaps < high)
        assert row["questions"] == 5 * at.sum()
        assert row["flips"] == pytest.approx(flips[at].mean(), abs=1e-6)
    assert rows["50 to 75"]["flips"] == 0 < rows["0 to 10"]["flips"]


def test_a_model_that_ignores_quality_flips_none(tmp_path):
    photos, margins = photo_set(60), np.linspace(-2, 2, 60)
    views = dict.fromkeys(["original", *QUALITIES, "png"], margins)
    _, table = scored(answering(photos, views), photos, tmp_path)
    assert table[TASK, "flips"].value == table[TASK, "beyond-noise"].value == table[TASK, "margin"].value == 0
    assert table[TASK, "flips"].high < 0.07
    assert all(row["change_p"] == 1 for row in table[TASK, "flips"].details["by_processing"].values())
    assert "movement" not in table[TASK, "flips"].details


def test_verify_recomputes_every_number_from_the_answers(planted):
    run = planted[2]
    recorded = read_answers(run.answers, all_tasks())
    assert not recorded.unreadable
    for score in run.result.scores:
        key = (score.task, score.metric)
        assert contradicted(score, recorded.values[key], recorded.facts.get(key, NO_FACTS), run.result) == ""
    flips = next(s for s in run.result.scores if s.metric == "flips")
    for part, name, column in (("by_processing", "jpeg-q75-420", "change_p"), ("noise", "png", "flips")):
        changed = {**flips.details[part], name: {**flips.details[part][name], column: 0.011}}
        forged = dataclasses.replace(flips, details={**flips.details, part: changed})
        key = (flips.task, flips.metric)
        assert f"{part}.{name}.{column}" in contradicted(forged, recorded.values[key], recorded.facts[key], run.result)


def test_record__its_keys(planted):
    record = [dataclasses.asdict(score) for score in planted[2].result.scores]
    data = ("[].details.by_processing", "[].details.noise", "[].details.by_margin")
    check_keys("scores of answers", record, any_key=data)


def test_board__metrics_of_one_parameter_stand_under_its_title():
    column = meaning(TASK, "flips")
    assert (column.family, column.group, column.label, column.parameter) == ("answers", "JPEG", "flips", "jpeg")


def test_movement__spearman_of_the_planted_order_and_its_interval(tmp_path):
    photos, rng = photo_set(80), np.random.default_rng(1)
    margins = rng.uniform(0.02, 1.9, 80)
    shake = rng.normal(0, 0.3, 80)
    moved = {name: np.clip(2 - margins + shake, 0.01, None) * 0.2 for name in QUALITIES}
    _, table = scored(answering(photos, by_quality(margins), moved=moved), photos, tmp_path)
    movement = table[TASK, "flips"].details["movement"]
    flips = sum((margins < FALL[quality]).astype(int) for quality in QUALITIES.values())
    assert movement["value"] == pytest.approx(spearmanr(moved["jpeg-q75-420"], flips)[0], abs=1e-3)
    assert 0.4 < movement["low"] < movement["value"] < movement["high"] < 1


def test_units__photos_of_a_scene_are_one(tmp_path):
    photos = photo_set(60, scenes=6)
    margins = np.where(np.arange(60) % 6 < 2, 0.05, 1.5)  # two of six scenes flip everywhere
    _, table = scored(answering(photos, by_quality(margins)), photos, tmp_path)
    flips = table[TASK, "flips"]
    assert flips.details["units"] == 6
    assert flips.high - flips.low > 0.5


def test_words_have_no_margin_and_several_questions_are_means_by_photo(tmp_path):
    photos, margins = photo_set(40), np.tile([0.5, 1.5], 20)
    _, table = scored(answering(photos, by_quality(margins), graded=False), photos, tmp_path)
    assert (TASK, "margin") not in table
    assert "by_margin" not in table[TASK, "flips"].details
    assert table[TASK, "flips"].value == pytest.approx(0.5 / 3)


def test_questions_may_have_other_numbers_of_options(tmp_path):
    photos = photo_set(40)
    encoder = answering(photos, by_quality(np.full(40, 0.5)))
    answers = encoder.answers
    first, *others = answers.rule.table
    rule = QuestionRule("own", (dataclasses.replace(first, options=("yes", "no", "perhaps")), *others))
    third = np.full((len(answers.values), 1), np.nan, np.float32)
    third[::40] = -9  # of the first photo, which alone has it
    wider = dataclasses.replace(answers, rule=rule, values=np.concatenate([answers.values, third], axis=1))
    _, table = scored(dataclasses.replace(encoder, answers=wider), photos, tmp_path)
    _, plain = scored(encoder, photos, tmp_path / "plain")
    assert table[TASK, "flips"].value == plain[TASK, "flips"].value
    assert table[TASK, "accuracy"].chance == pytest.approx((39 / 2 + 1 / 3) / 40)


def test_a_file_may_lack_processings_but_no_question(tmp_path):
    photos, margins = photo_set(40), np.full(40, 0.5)
    views = {"original": margins, "jpeg-q75-420": margins - 1}
    _, table = scored(answering(photos, views), photos, tmp_path / "part")
    assert table[TASK, "flips"].value == 1
    assert len(table[TASK, "flips"].details["without"]) == 5
    assert (TASK, "beyond-noise") not in table
    half = answering(photos, views)
    half.answers.rows["jpeg-q75-420"].pop(("7.jpg", "q"))
    run = score_tasks(half, photos, [TASK], tmp_path / "half", fails=True)
    reason = run.result.failures[0].reason
    assert "jpeg-q75-420" in reason


def test_an_encoder_without_answers_is_refused_in_one_sentence(tmp_path):
    photos = PhotoSet.of_bytes("two", {"a": ppm(1), "b": ppm(2)}, ["x", "y"], ["train", "val"])
    with pytest.raises(EncoderError, match="answers:FILE"):
        score_tasks(toy_encoder(as_rows, lambda p: np.zeros(3, np.float32), 3), photos, [TASK], tmp_path)


def answers_file(folder, photo_ids):
    rows = [
        {"photo_id": photo, "view": view, "logits": [1, 0]} for photo in photo_ids for view in ("original", *QUALITIES)
    ]
    (folder / "given.jsonl").write_text("\n".join(map(json.dumps, rows)))
    return load_encoder(f"answers:{folder}/given.jsonl")


def test_ids_of_a_file_that_are_no_photo(tmp_path):
    photos, tasks = photo_set(6), select_tasks([TASK], all_tasks())
    given = answers_file(tmp_path, [*photos.ids, "7.png", "8.png"])
    assert tasks_without_views(given, tasks, photos, RunOptions()) == (
        f"{given.info.id}: 2 of its 8 ids are no photo of planted and are not read (the first: '7.png')"
    )
    with pytest.raises(EncoderError, match="planted"):
        tasks_without_views(answers_file(tmp_path, ["7.png", "8.png"]), tasks, photos, RunOptions())
    assert tasks_without_views(answers_file(tmp_path, photos.ids), tasks, photos, RunOptions()) == ""


def test_selection__only_by_family_or_name():
    def names(*patterns):
        return [task.name for task in select_tasks(patterns, all_tasks())]

    assert names("answers/*") == [f"answers/{name}" for name, p in BUILT_IN.items() if not p.by_name]
    assert names("answers/jpeg-fine") == ["answers/jpeg-fine"]
    assert not any(name.startswith("answers/") for name in names("*"))
    photos = photo_set(8)
    photos.splits[:4] = 0
    assert not any(t.reads_answers for t in fitting_tasks(select_tasks([], all_tasks()), photos, named=False))
