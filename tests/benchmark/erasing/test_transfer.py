"""The transfer matrix: fitted on rows, read on columns, on other data too; by the pure parts of ``camtrace erase``."""

import dataclasses
import json

import numpy as np
import pytest

from benchmark.encoders import load_encoder
from benchmark.erasing import Row
from benchmark.erasing.card import card_text, curve_table, matrix, table, verdict
from benchmark.options import RunOptions
from benchmark.scoring import EraseRequest, erase_trace
from benchmark.scoring.erase import rows_of, tasks_of
from benchmark.tasks import all_tasks
from builders.errors import DataError
from builders.photos import Labels, PhotoSet
from tests.conftest import photo_bytes

pytestmark = pytest.mark.usefixtures("short_projection")


def photo_set(name: str, first: int, train: int = 16, val: int = 8) -> PhotoSet:
    names = [f"{split}/{i}" for split, count in (("train", train), ("val", val)) for i in range(count)]
    data = {n: photo_bytes(first + i, size=(64, 64)) for i, n in enumerate(names)}
    photos = PhotoSet.of_bytes(name, data, splits=["train"] * train + ["val"] * val)
    # a camera that is whether the photo is bright: any encoder of colours reads it
    light = [np.frombuffer(d, np.uint8).mean() for d in data.values()]
    make = Labels(("one", "two"), (np.argsort(np.argsort(light)) % 2).astype(np.int32))
    return dataclasses.replace(photos, attributes={"make": make, "exposure": make})


@pytest.fixture(scope="module")
def erased(tmp_path_factory):
    """Fitted on make, read on every attribute, here and on other photos."""
    cache = tmp_path_factory.mktemp("cache")
    common = {"readers": "linear,knn", "mask_ratio": 0.0, "assignment_seeds": 2, "resamples": 200, "workers": 0}
    options = RunOptions(device="cpu", cache=cache, **common)
    encoder = load_encoder("control:random-projection")
    asking = EraseRequest("make", "mean", options, transfer=True, sizes=(4,))

    def some(*given, **how):  # all of them take a minute
        return [task for task in tasks_of(*given, **how) if task.name in ASKED]

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("benchmark.scoring.erase.tasks_of", some)
        yield encoder, asking, erase_trace(encoder, photo_set("here", 9000), asking, also=[photo_set("there", 9100)])


ASKED = ("probe/make", "probe/exposure", "probe/sharpening")


def test_matrix__has_every_trace_of_every_set(erased):
    _, _, found = erased
    read = {(row.task, row.reader, row.data) for row in found.rows if row.kind == "trace"}
    assert read >= {
        (f"probe/{trace}", reader, data)
        for trace in ("make", "exposure", "sharpening")
        for reader in ("linear", "knn")
        for data in ("here", "there")
    }
    text = matrix({"make": found}, all_tasks())
    assert "What the linear reader reads" in text
    assert "What the knn reader reads" in text
    rows = [line for line in text.splitlines() if line.startswith(("| nothing", "| make"))]
    assert len(rows) == 4  # before and after, by two readers
    own = next(row for row in found.rows if (row.task, row.reader, row.data) == ("probe/make", "linear", "there"))
    columns = [cell.strip() for cell in text.splitlines()[2].split("|")]
    cells = [cell.strip() for cell in rows[1].split("|")]
    assert cells[columns.index("make on there")] == f"{100 * own.after:.1f}"


def test_other_data__that_the_fit_has_seen_is_refused(erased):
    encoder, asking, found = erased
    again = dataclasses.replace(found.plan.fitted, splits=np.full(len(found.plan.fitted), 1, np.int8), name="again")
    with pytest.raises(DataError, match="near-duplicates of the fit's photos"):
        erase_trace(encoder, photo_set("here", 9000), asking, also=[again])


def test_curve__has_a_point_for_each_size(erased):
    _, _, found = erased
    assert [point["photos"] for point in found.curve] == [0, 4, 8]
    assert curve_table(found.curve).count("\n") == 6


def test_tasks__are_the_trace_and_what_it_costs_unless_all_are_asked():
    photos = photo_set("here", 9000)
    assert [task.name for task in tasks_of("make", photos, every=False)] == ["probe/make"]
    every = [task.name for task in tasks_of("make", photos, every=True)]
    assert set(every) >= {"probe/make", "probe/exposure", "probe/jpeg"}
    assert "probe/jpeg-fine" not in every


def row(reader: str, after: float, low: float) -> Row:
    before, change = (0.9, 0.8, 1.0), (after - 0.9, -0.8, -0.4)
    ends = (*before, after, low, after + 0.1, *change)
    return Row("probe/jpeg", "accuracy", "d", "trace", reader, *ends, 0.001, 50, 1 / 6)


def test_verdict__names_who_still_reads_it(erased):
    rows = [row("linear", 0.17, 0.1), row("knn", 0.86, 0.8)]
    assert verdict(rows, "jpeg") == "On 50 unseen photos jpeg is still read by knn (86.0 %, chance 16.7 %)."
    assert verdict(rows[:1], "jpeg") == "On 50 unseen photos no reader of linear is above chance."
    text = table(rows, erased[2].eraser, all_tasks())
    assert "86.0 (80.0 to 96.0)" in text
    assert "-4.0 (-80.0 to -40.0)" in text


def test_card__tells_of_the_cameras_and_the_readers(erased):
    text = card_text(erased[2], all_tasks(), "me/eraser")
    assert 'camtrace.load_eraser("me/eraser")' in text
    assert "other photos than the fit's" in text
    assert "How many photos it needs" in text


def test_rows__that_cannot_be_paired_have_no_interval(erased):
    """No values by photo, or those of other photos: a difference, and nothing that says how sure it is."""
    _, _, found = erased
    before, after = found.before[0], found.after[0]
    paired = rows_of(before, after)
    assert all(row.low < row.high and row.p_value is not None for row in paired)
    others = {name: kept + 100 if name.endswith("/photos") else kept for name, kept in after.answers.items()}
    for answers in ({}, others):
        rows = rows_of(before, dataclasses.replace(after, answers=answers))
        assert [(row.task, row.metric) for row in rows] == [(row.task, row.metric) for row in paired]
        for one, same in zip(rows, paired, strict=True):
            assert one.difference == pytest.approx(same.difference, abs=1e-9)
            assert (one.low, one.high, one.p_value) == (None, None, None)
            assert json.loads(json.dumps(one.record()))["low"] is None
        text = table(rows, found.eraser, all_tasks())
        assert text.count("unpaired, no interval)") == len(rows)
        assert "+0.0 to +0.0" not in text
