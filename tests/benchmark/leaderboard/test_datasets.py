"""Which photos share a column of a board: those of the study where every number of photos is equal."""

import pytest

from benchmark.leaderboard.datasets import data_sets
from benchmark.leaderboard.entries import Entry, Observation, Photos

STUDY, MEASURED = Photos("toy"), Photos("toy", ids_hash="1d5", canary="c0dec", question_hash="9ue5")


def entry(origin, *scores):
    observations = (Observation(task, metric, photos, 0.5, None, None, n, 0.1) for task, metric, photos, n in scores)
    return Entry(origin, origin, origin, origin, "SUP", {}, tuple(observations))


PUBLISHED = entry("published", ("probe/jpeg", "accuracy", STUDY, 200), ("knn/jpeg", "spd", STUDY, 300))


@pytest.mark.parametrize(
    ("scores", "joins"),
    [
        ([("probe/jpeg", "accuracy", MEASURED, 200)], True),
        ([("probe/jpeg", "accuracy", MEASURED, 200), ("knn/original", "accuracy", MEASURED, 7)], True),
        ([("probe/jpeg", "accuracy", MEASURED, 201)], False),
        ([("probe/jpeg", "accuracy", MEASURED, 200), ("knn/jpeg", "spd", MEASURED, 200)], False),
        ([("knn/original", "accuracy", MEASURED, 200)], False),
        ([("probe/jpeg", "uniform", MEASURED, 200)], False),
    ],
    ids=["equal", "and one of ours", "other number", "one of two", "none in common", "another metric"],
)
def test_data_sets__join_the_study_where_every_common_score_has_as_many_photos(scores, joins):
    sets = data_sets([PUBLISHED, entry("measured", *scores)])
    members = [set(each.members) for each in sets]
    assert members == ([{STUDY, MEASURED}] if joins else [{STUDY}, {MEASURED}])
