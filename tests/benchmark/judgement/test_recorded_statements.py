"""Answers, p-values and bounds of statements do not move between versions."""

import dataclasses

import numpy as np

from benchmark.judgement import (
    statements,
)
from benchmark.results import OutputScores, Result, Score
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


SCENES = {"resampled": "scene", "units": 40, "effective_units": 33.3}


def made_score(task: str, metric: str, value: float, half: float = 0.02, chance: float = 0.2, **details) -> Score:
    return Score(task, "toy", metric, value, value - half, value + half, 2000, chance, {**SCENES, **details})


def outputs_of(shift: float, layer: int, pooling: str, *, paired: bool = False) -> OutputScores:
    """An output whose scores differ from those of the embedding by a shift."""
    against = {"value": shift, "low": shift - 0.01, "high": shift + 0.015, "p_value": 0.001}
    more = {"against_final": against} if paired else {}
    scores = (
        made_score("probe/jpeg", "accuracy", 0.8 + shift, **more),
        made_score("probe/jpeg", "accuracy-knn", 0.7),
        made_score("knn/jpeg", "spd", -0.2 - shift, chance=0.0, **more),
        made_score("knn/jpeg", "all-same", 0.6, chance=0.0),
        made_score("knn/original", "accuracy", 0.9 + shift / 60, 0.002, 0.1, **(more if layer else {})),
    )
    shown = scores[:4] if pooling == "gem" else scores
    return OutputScores(f"layers[{layer}]:{pooling}", f"block {layer}", layer, 3, pooling, 8, "hooks", shown)


def hand_made(outputs: tuple[OutputScores, ...]) -> Result:
    """Clusters, readers, ties, jitter and the most frequent class, some of which decide."""
    further = {"value": 0.2, "low": 0.18, "high": 0.22, "p_value": 1e-9}
    jitter = {"value": 0.8, "low": 0.7, "high": 0.9, "jitters": 14, "queries": 90}
    ties = {"share": 0.1, "least": 0.0, "greatest": 0.05, "random": 0.01}
    scores = (
        made_score("probe/jpeg", "accuracy", 0.8, p_chance=1e-9, controls={"shuffled": {"p_value": 0.02}}),
        made_score("probe/jpeg", "accuracy-knn", 0.3, p_chance=0.2),
        made_score("probe/jpeg", "accuracy-mlp", 0.2, 0.01, p_chance=0.5),
        made_score("probe/make", "accuracy", 0.97, p_chance=0.001, most_frequent_class=0.92),
        made_score("probe/iso", "accuracy", 0.24, p_chance=1e-4),
        made_score("probe/flash", "accuracy", 0.5, 0.001, 0.5, p_chance=0.4, units=9, effective_units=9.0),
        made_score("knn/jpeg", "spd", -0.2, chance=0.0),
        made_score("knn/resizing", "spd", 0.03, 0.01, 0.0, ties=ties),
        made_score("knn/sharpening", "spd", 0.001, 0.004, 0.0, effective_units=400.0),
        made_score("knn/adversary", "worst", 0.6, jitter={**jitter, "beyond": further}),
        made_score("knn/adversary", "best", 0.9, jitter={**jitter, "beyond": {**further, "p_value": 0.3, "low": -0.1}}),
        made_score("knn/original", "accuracy", 0.9, 0.002, 0.1),
    )
    return Result({"id": "mine"}, {"name": "toy"}, {}, scores, (), {}, "", outputs=outputs)
