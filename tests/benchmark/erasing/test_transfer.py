"""The transfer matrix: fitted on the trace of a row, read on the traces of columns, also on other data."""

import dataclasses
import json

import numpy as np
import pytest

from benchmark.encoders import load_encoder
from benchmark.erasing import Row, card_text, curve_table, matrix, table, verdict
from benchmark.judgement import Answer
from benchmark.options import RunOptions
from benchmark.scoring import EraseRequest, erase_trace
from benchmark.scoring.erase import rows_of, tasks_of
from benchmark.tasks import all_tasks
from builders.errors import DataError
from builders.photos import Labels, PhotoSet
from tests.conftest import photo_bytes

pytestmark = [pytest.mark.usefixtures("short_projection"), pytest.mark.slow]


def photo_set(name: str, first: int, train: int = 16, val: int = 8) -> PhotoSet:
    names = [f"{split}/{i}" for split, count in (("train", train), ("val", val)) for i in range(count)]
    data = {n: photo_bytes(first + i, size=(64, 64)) for i, n in enumerate(names)}
    photos = PhotoSet.of_bytes(name, data, splits=["train"] * train + ["val"] * val)
    # the camera is the brightness of the photo, which every encoder of colours reveals
    light = [np.frombuffer(d, np.uint8).mean() for d in data.values()]
    make = Labels(("one", "two"), (np.argsort(np.argsort(light)) % 2).astype(np.int32))
    return dataclasses.replace(photos, attributes={"make": make, "exposure": make})


@pytest.fixture(scope="module")
def erased(tmp_path_factory):
    """Fitted on make, read on every attribute, on the same data set and on another."""
    cache = tmp_path_factory.mktemp("cache")
    common = {"readers": "linear,knn", "mask_ratio": 0.0, "assignment_seeds": 2, "resamples": 200, "workers": 0}
    options = RunOptions(device="cpu", cache=cache, **common)
    encoder = load_encoder("control:random-projection")
    request = EraseRequest("make", "mean", options, transfer=True, sizes=(4,))

    def some(*given, **how):  # all tasks take a minute
        return [task for task in tasks_of(*given, **how) if task.name in TASKS]

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("benchmark.scoring.erase.tasks_of", some)
        yield encoder, request, erase_trace(encoder, photo_set("here", 9000), request, also=[photo_set("there", 9100)])


TASKS = ("probe/make", "probe/exposure", "probe/sharpening")


def test_matrix__contains_every_trace_of_every_photo_set(erased):
    _, _, result = erased
    read = {(row.task, row.reader, row.data) for row in result.rows if row.kind == "trace"}
    assert read >= {
        (f"probe/{trace}", reader, data)
        for trace in ("make", "exposure", "sharpening")
        for reader in ("linear", "knn")
        for data in ("here", "there")
    }
    text = matrix({"make": result}, all_tasks())
    rows = [line for line in text.splitlines() if line.startswith(("| nothing", "| make"))]
    assert len(rows) == 4  # before and after, by two readers
    elsewhere = next(
        row for row in result.rows if (row.task, row.reader, row.data) == ("probe/make", "linear", "there")
    )
    columns = [cell.strip() for cell in text.splitlines()[2].split("|")]
    cells = [cell.strip() for cell in rows[1].split("|")]
    assert cells[columns.index("make on there")] == f"{100 * elsewhere.after:.1f}"


def test_erase_trace__other_data_with_photos_of_the_fit_is_refused(erased):
    encoder, request, result = erased
    again = dataclasses.replace(result.plan.fitted, splits=np.full(len(result.plan.fitted), 1, np.int8), name="again")
    with pytest.raises(DataError, match="near-duplicates"):
        erase_trace(encoder, photo_set("here", 9000), request, also=[again])


def test_curve__has_a_point_for_each_size(erased):
    _, _, result = erased
    assert [point["photos"] for point in result.curve] == [0, 4, 8]
    assert curve_table(result.curve).count("\n") == 6


def test_tasks_of__the_trace_and_its_costs_unless_all_are_requested():
    photos = photo_set("here", 9000)
    assert [task.name for task in tasks_of("make", photos, every=False)] == ["probe/make"]
    every = [task.name for task in tasks_of("make", photos, every=True)]
    assert set(every) >= {"probe/make", "probe/exposure", "probe/jpeg"}
    assert "probe/jpeg-fine" not in every


def row(reader: str, after: float, before_answer: Answer, after_answer: Answer) -> Row:
    before, change = (0.9, 0.8, 1.0), (after - 0.9, -0.8, -0.4)
    ends = (*before, after, after - 0.06, after + 0.1, *change)
    answers = (before_answer, after_answer)
    return Row("probe/jpeg", "accuracy", "d", "trace", reader, *ends, 0.001, 50, 1 / 6, *answers)


def test_verdict__names_readers_by_what_the_judge_says(erased):
    rows = [row("linear", 0.17, "yes", "no"), row("knn", 0.86, "yes", "yes"), row("mlp", 0.2, "no", "undecided")]
    read, not_read, undecided = verdict(rows, "jpeg").split(". ")[:3]
    assert all(part in read for part in ("50 unseen photos", "still read by knn (86.0 %"))
    assert "not read by linear (17.0 %" in not_read
    assert all(part in undecided for part in ("mlp (20.0 %", "undecided"))
    clustered = dataclasses.replace(rows[1], units="Photos of one scene err together.")
    assert clustered.units in verdict([clustered], "jpeg")
    text = table(rows, erased[2].eraser, all_tasks())
    assert "86.0 (80.0 to 96.0)" in text
    assert "-4.0 (-80.0 to -40.0)" in text
    assert [line.split("|")[8].strip() for line in text.splitlines()[2:]] == ["no", "yes", "undecided"]


def test_card__describes_loading_and_readers(erased):
    text = card_text(erased[2], all_tasks(), "me/eraser")
    assert 'camtrace.load_eraser("me/eraser")' in text


def test_rows_of__without_paired_answers_have_no_interval(erased):
    """No values by photo, or values of other photos: a difference without an interval."""
    _, _, result = erased
    before, after = result.before[0], result.after[0]
    paired = rows_of(before, after)
    assert all(row.low < row.high and row.p_value is not None for row in paired)
    others = {name: array + 100 if name.endswith("/photos") else array for name, array in after.answers.items()}
    for answers in ({}, others):
        rows = rows_of(before, dataclasses.replace(after, answers=answers))
        assert [(row.task, row.metric) for row in rows] == [(row.task, row.metric) for row in paired]
        for unpaired, expected in zip(rows, paired, strict=True):
            assert unpaired.difference == pytest.approx(expected.difference, abs=1e-9)
            assert (unpaired.low, unpaired.high, unpaired.p_value) == (None, None, None)
            assert json.loads(json.dumps(unpaired.record()))["low"] is None
        text = table(rows, result.eraser, all_tasks())
        assert text.count("unpaired, no interval)") == len(rows)
        assert "+0.0 to +0.0" not in text
