"""Answers, p-values and bounds of statements do not move between versions."""

import dataclasses

import numpy as np

from benchmark.judgement import (
    statements,
)
from benchmark.results import Score
from benchmark.tasks import all_tasks
from tests.support.recorded import check_recorded
from tests.support.toy_answers import TASKS, toy_scored


def test_statements__about_planted_scores_are_as_recorded():
    """All scores of a toy run, once as they are and once nearer to what each can be."""
    result = toy_scored((*TASKS, "copies/processed", "copies/edited")).result
    made = {}
    for share in (0.0, 0.3, 0.9):
        scores = tuple(moved(score, share) for score in result.scores)
        for statement in statements(dataclasses.replace(result, scores=scores), all_tasks()):
            made[f"{share}: {statement.task} {statement.metric}"] = dataclasses.replace(statement, words="")
    check_recorded("statements", made)


def moved(score: Score, share: float) -> Score:
    """The score, with its ends, moved towards 1 by a share of the distance, and half as certain the further."""
    value, low, high = (float(end + share * (1 - end)) for end in (score.value, score.low, score.high))
    return dataclasses.replace(score, value=value, low=low, high=float(np.clip(high, value, 1.0)))
