"""``--queries``: kNN uses fewer queries, the same for every encoder, and records it."""

import dataclasses

import numpy as np
import pytest

from benchmark.encoders import load_encoder
from benchmark.leaderboard.entries import _settings
from benchmark.options import RunOptions
from benchmark.scoring import score_encoders
from benchmark.tasks import all_tasks
from benchmark.tasks.knn import balanced_queries
from builders.photos import Labels, PhotoSet
from builders.sources import labelled_folder

pytestmark = pytest.mark.usefixtures("short_projection")


def photo_set(labels):
    photos = PhotoSet.of_bytes("p", {f"{i}": b"" for i in range(len(labels))})
    return dataclasses.replace(photos, labels=Labels(("a", "b", "c"), np.array(labels, np.int32)))


def drawn(photos, test, queries, seed=0):
    return balanced_queries(photos, test, RunOptions(queries=queries, seed=seed))


def test_balanced_queries__by_class_and_by_seed():
    photos = photo_set([0] * 50 + [1] * 30 + [2] * 4)
    test = np.arange(2, 84)
    for queries, counts in ((9, [3, 3, 3]), (10, None), (30, [13, 13, 4]), (82, [48, 30, 4]), (500, [48, 30, 4])):
        chosen = drawn(photos, test, queries)
        assert len(chosen) == min(queries, 82)
        assert (np.diff(chosen) > 0).all()
        assert set(chosen) <= set(test)
        measured = np.bincount(photos.labels.values[chosen], minlength=3)
        assert counts is None or measured.tolist() in (counts, [14, 12, 4], [12, 14, 4])
    assert set(drawn(photos, test, 9)) < set(drawn(photos, test, 30))
    assert drawn(photos, test, 9).tolist() != drawn(photos, test, 9, seed=1).tolist()
    # the sample depends on ids, not on the order of photos
    reversed_photos = photos.select(np.arange(83, -1, -1))
    ids = {photos.ids[i] for i in drawn(photos, test, 12)}
    assert {reversed_photos.ids[i] for i in drawn(reversed_photos, 83 - test[::-1], 12)} == ids


def test_knn__answers_of_sampled_queries_equal_those_among_all_queries(tmp_path, photo_folder):
    encoder, photos = load_encoder("control:random-projection", device="cpu"), labelled_folder(str(photo_folder))

    def score(**changes):
        options = RunOptions(cache=tmp_path, workers=0, resamples=100, assignment_seeds=2, **changes)
        [scored] = score_encoders([encoder], photos, [all_tasks()["knn/sharpening"]], options)
        return scored

    every, some = score(), score(queries=5)
    sampled = some.answers["knn/sharpening/photos"]
    at = np.isin(every.answers["knn/sharpening/photos"], sampled)
    assert at.sum() == 5
    correct = every.answers["knn/sharpening/correct"][:, at]
    np.testing.assert_array_equal(some.answers["knn/sharpening/correct"], correct)
    first = some.result.scores[0]
    assert first.n == 5
    expected = {"sampled_queries": 5, "queries_from": 12, "query_seed": 0}
    assert {name: first.details[name] for name in expected} == expected
    assert some.result.environment["options"]["queries"] == 5
    assert "queries" not in every.result.environment["options"]
    assert not set(expected) & set(every.result.scores[0].details)
    # columns of a leaderboard are distinguished by it
    assert _settings(first, {}).endswith("sampled queries = 5, query seed = 0")
    assert "queries" not in _settings(every.result.scores[0], {})
