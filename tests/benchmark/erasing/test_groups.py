"""A given group is erased like every other trace: a planted scanner, with intervals over slides."""

import dataclasses

import numpy as np
import pytest

from benchmark.options import RunOptions
from benchmark.robustness import clustering, drop
from benchmark.scoring import EraseRequest, erase_trace
from tests.support.grouped_photos import grouped_photos, pixel_rows
from tests.support.scoring import as_rows, toy_encoder


@pytest.fixture(scope="module", autouse=True)
def few_seeds():
    """k-means with two seeds and few numbers of clusters."""
    with pytest.MonkeyPatch.context() as patch:
        few = {**clustering.clustering_score.__kwdefaults__, "seeds": 2, "numbers": (2, 3)}
        patch.setattr(clustering.clustering_score, "__kwdefaults__", few)
        patch.setattr(drop.performance_drop, "__kwdefaults__", {**drop.performance_drop.__kwdefaults__, "repeats": 2})
        yield


@pytest.fixture(scope="module")
def photos():
    planted = grouped_photos(clusters=24, photos=4, effects=(4.0, 4.0, 0.3))
    slide = np.array([int(name.removeprefix("slide ")) % 24 for name in planted.columns["cluster"]])
    return dataclasses.replace(planted, splits=(slide >= 16).astype(np.int8))


@pytest.mark.slow
def test_leace__takes_a_planted_scanner_out__and_keeps_the_label(photos, tmp_path):
    encoder = toy_encoder(as_rows, pixel_rows, 12, name="pixels")
    options = RunOptions(cache=tmp_path, workers=0, resamples=300)
    erased = erase_trace(encoder, photos, EraseRequest("scanner", "leace", options))
    before, after = ({(s.task, s.metric): s for s in side[0].result.scores} for side in (erased.before, erased.after))
    probe = "probe/scanner", "accuracy"
    assert before[probe].low > 0.5
    assert after[probe].low < 0.5 < after[probe].high
    index = "robustness/scanner", "index"
    assert after[index].value > before[index].value + 0.1
    label = "knn/original", "accuracy"
    assert after[label].value > before[label].value - 0.05
    rows = {(row.task, row.metric): row for row in erased.rows}
    assert rows[index].low is not None
    assert rows[index].low > 0
    assert rows[probe].high is not None
    assert rows[probe].high < 0
    assert not set(erased.plan.photos.columns["cluster"][erased.plan.photos.splits == 1]) & {
        name for name, i in zip(photos.columns["cluster"], photos.ids, strict=True) if i not in erased.plan.photos.ids
    }


@pytest.mark.slow
def test_leace__a_linear_reader_sees_the_rows_that_it_gives(tmp_path):
    """Six dimensions: at unit length, rows tell the scanner by their direction again (68 % to a linear reader)."""
    planted = grouped_photos(clusters=36, photos=6, dimension=6, effects=(4.0, 4.0, 0.3))
    slide = np.array([int(name.removeprefix("slide ")) % 36 for name in planted.columns["cluster"]])
    planted = dataclasses.replace(planted, splits=(slide >= 24).astype(np.int8))
    encoder = toy_encoder(as_rows, lambda image: pixel_rows(image)[:6], 6, name="six")
    options = RunOptions(cache=tmp_path, workers=0, resamples=300, readers="linear,knn")
    erased = erase_trace(encoder, planted, EraseRequest("scanner", "leace", options))
    rows = {(row.task, row.metric): row for row in erased.rows}
    linear, neighbours = rows["probe/scanner", "accuracy"], rows["probe/scanner", "accuracy-knn"]
    assert linear.before > 0.9
    assert linear.after_low < 0.5 < linear.after_high
    assert abs(linear.after - 0.5) < 0.12
    assert neighbours.after > 0.58  # what a linear reader cannot see is there
    label = rows["linear/original", "accuracy"]
    assert label.low is not None
    assert label.low > -0.05


@pytest.mark.slow
def test_standardise__uses_the_group_of_each_photo(photos, tmp_path):
    encoder = toy_encoder(as_rows, pixel_rows, 12, name="pixels")
    options = RunOptions(cache=tmp_path, workers=0, resamples=300)
    erased = erase_trace(encoder, photos, EraseRequest("scanner", "standardise", options))
    assert erased.eraser.needs_labels
    rows = {(row.task, row.metric): row for row in erased.rows}
    assert rows["probe/scanner", "accuracy"].difference < 0
