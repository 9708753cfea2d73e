"""Every field of every score: changed alone, answers refuse it by its name, or it is one that ``STATED`` admits."""

from __future__ import annotations

import copy
import dataclasses
import json
import re
from collections.abc import Iterator
from typing import Any

import pytest

from benchmark.results import STATED, Score, read_answers
from benchmark.results.answers import NO_FACTS
from benchmark.results.proof import contradicted
from benchmark.scoring import Scored
from benchmark.tasks import all_tasks
from tests.benchmark.results.test_proof import of_detection, of_groups
from tests.support.toy_answers import toy_scored

__all__ = ["of_detection", "of_groups"]

PROBES = "probe|linear|forensics"

NOT_PROVEN: dict[str, str] = {
    rf"({PROBES}) (chosen|search|final_loss|gradient_norm|iterations|path)\b.*": "the fit and the controls of a probe",
    rf"({PROBES}) (converged|fit_s|search_s|at_edge|device|precision|estimator)": "the fit and the controls of a probe",
    rf"({PROBES}) (gradient_tolerance|search_gradient_tolerance|strength_shared_by|assignments_searched)": "the fit",
    rf"({PROBES}) (protocol|seed|mask_ratio|visible_share|validation_share|split|k)": "settings of tasks",
    r"(probe|knn) controls\..*|probe p_within_label": "the fit and the controls of a probe",
    r"probe training_spread\..*": "its spread over train photos",
    rf"({PROBES}) (n_train|n_validation|train_photos)": "how many there are",
    r"probe learning_curve\.(n_train|share)\.#": "how many there are",
    r".* real_and_generated\.train\.\w+|forensics real_and_generated\.test\.generated": "how many there are",
    r".* (pairs\.#\.)?train_photos": "how many there are",
    r".* (class_names|labels|groups)\.#|.* (group|resampled|unit|covers|observational)": "names of classes",
    r"forensics by_generator\.#\.generator|forensics pairs\.#\.sources\.#": "names of classes and of sources",
    r".* (cells|clusters)\.#\.#": "photos in cells of a group",
    r"forensics matrix\.views\.#": "settings of tasks",
    r"forensics matrix\.auc\.#\.#": "AUC after other training",
    r"forensics processings": "settings of tasks",
    r"forensics audit\..*": "audits of files",
    r"(knn|robustness) (k|short_lists)": "settings of tasks",
    r"knn (tied_votes|ties\..*)": "ties of extremes and shares of tied votes",
    r"knn (similarities|similarity_summary|strips)\b.*|knn by_processing\..*\.distance": "distances, similarities",
    r"retrieval lost\.shown\..*": "the photos that are shown",
    r"retrieval pairs_left_out": "settings of tasks",
    r"robustness (curve\..*|older_form|simulated_chance\..*)": "an index over k",
    r"robustness (accuracies|associations|numbers)\.#": "the parts of a performance drop and of a clustering score",
    r"robustness (ari_\w+|other_groups|pairs|photos|possible_pairs|repeats|seeds|spread)": "the parts of a performance",
}
"""Fields that no answers determine (family of the task and path), and the words of ``STATED`` that say so."""


def leaves(value: Any, path: tuple[str | int, ...] = ()) -> Iterator[tuple[tuple[str | int, ...], Any]]:
    parts = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else None
    if parts is None:
        yield path, value
    else:
        for name, part in parts:
            yield from leaves(part, (*path, name))


def other(value: Any) -> Any:
    """Another value of the same kind, which a score may have."""
    if isinstance(value, bool):
        return not value
    if isinstance(value, int):
        return value + 7
    if isinstance(value, float):
        return value - 0.03 if 0.97 < value <= 1 else value + 0.03
    return f"{value}x" if isinstance(value, str) else 0.123


def outcomes(scored: Scored) -> Iterator[tuple[str, str, str]]:
    """(family and path, name of the field as a refusal has it, refusal or "") of every field of every score."""
    answers = read_answers(scored.answers, all_tasks())
    for score in scored.result.scores:
        key = (score.task, score.metric)
        raw = json.loads(json.dumps(dataclasses.asdict(score)))
        for path, value in leaves(raw):
            if path[0] in ("task", "data", "metric"):
                continue
            changed = copy.deepcopy(raw)
            part: Any = changed
            for name in path[:-1]:
                part = part[name]
            part[path[-1]] = other(value)
            refusal = contradicted(
                Score(**changed), answers.values[key], answers.facts.get(key, NO_FACTS), scored.result
            )
            of_details = [name for name in path if name != "details"]
            field = "".join(f"[{n}]" if isinstance(n, int) else f".{n}" for n in of_details).removeprefix(".")
            general = ".".join("#" if isinstance(n, int) else n for n in of_details)
            yield f"{score.task.partition('/')[0]} {general}", f"{score.task} {score.metric}: {field} is", refusal


def assert_every_field_is_proven_or_admitted(scored: Scored, least: int) -> None:
    proven, used = 0, set()
    for general, field, refusal in outcomes(scored):
        admitted = {pattern for pattern in NOT_PROVEN if re.fullmatch(pattern, general)}
        if refusal:
            proven += 1
            whole = field.rpartition(": ")[0]
            assert refusal.startswith((field, f"{field[: field.rindex('[')]} is" if "[" in field else field)) or (
                general.rpartition(" ")[2] in ("value", "n") and refusal.startswith(f"{whole} is")
            ), (field, refusal)
        else:
            assert admitted, f"{field}: nothing proves it and nothing says so"
            used |= admitted
    assert proven >= least
    assert used
    for pattern in used:
        assert NOT_PROVEN[pattern] in STATED


@pytest.mark.slow
def test_every_field__of_processing_labels_and_pairs() -> None:
    assert_every_field_is_proven_or_admitted(toy_scored(), 280)


@pytest.mark.slow
@pytest.mark.parametrize(("fixture", "least"), [("of_groups", 110), ("of_detection", 240)])
def test_every_field__of_groups_and_of_generated_photos(
    fixture: str, least: int, request: pytest.FixtureRequest
) -> None:
    assert_every_field_is_proven_or_admitted(request.getfixturevalue(fixture), least)
