"""Whether the stored answers of a result give the numbers that it states: every number that follows is recomputed."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np

from benchmark.results.questions import AnswerFacts, PhotoValues
from benchmark.results.schema import Result, Score
from benchmark.stats import METHODS, against_chance, effective_number, photo_interval, statistic_interval, statistic_of
from builders.photos import SPLITS

ROUNDING = 1e-6
"""Largest difference between a score and the mean of its answers: sums in another order, never another answer."""

EXACT = 2e-5
"""Largest difference of any other number: weights and sums are in single precision."""

OTHER_METHODS = 0.5
"""Largest difference between an end of an interval that was computed by other methods (``METHODS``) and the end that
these give, as a share of the distance of that end from the value. A p-value by other methods is at least a tenth of the
third power of the one that these give."""

BY_METHODS = frozenset({"rises", "units", "effective_units"})
"""Fields that other methods of intervals and p-values may state otherwise. Ends and p-values may differ only so far."""

PROVEN = (
    "value, n, interval, chance, p-values, accuracies by seed, learning curve, ties, extremes over jitters, numbers by "
    "generator, source and processing, recalls, lost queries, units and counts of photos"
)
"""What follows from answers, in words."""

STATED = (
    "the encoder's id, weights and preprocessing; settings of tasks, the fit and the controls of a probe, its spread "
    "over train photos, and how many there are; names of classes and of sources, and photos in cells of a group; ties "
    "of extremes and shares of tied votes; distances, similarities, and the photos that are shown; scores of layers, "
    "intervals of recalls, an index over k, the parts of a performance drop and of a clustering score, AUC after other "
    "training; audits of files, and costs"
)
"""What no answers prove, in words."""


def objection(score: Score, answers: PhotoValues) -> str:
    """Why answers are not those of a score, from its value and count alone; "" where they are."""
    mean = float(answers.values.mean())
    if len(answers.photos) == score.n and abs(mean - score.value) <= ROUNDING:
        return ""
    return (
        f"{score.task} {score.metric} is {score.value:.6g} of {score.n}, but its answers in answers.npz "
        f"give {mean:.6g} of {len(answers.photos)}"
    )


def contradicted(score: Score, answers: PhotoValues, facts: AnswerFacts, result: Result) -> str:
    """The first field of a score that its answers contradict, in one sentence; "" where there is none."""
    if reason := objection(score, answers):
        return reason
    same_methods = result.environment.get("statistics") == METHODS
    for field, stated, given in _fields(score, answers, facts, result):
        if (field in BY_METHODS and not same_methods) or stated is None:
            continue
        if (wrong := _difference(field, stated, given, score.value, same_methods)) is not None:
            path, is_stated, is_given = wrong
            return (
                f"{score.task} {score.metric}: {path} is {_shown(is_stated)}, but its answers in answers.npz give "
                f"{_shown(is_given)}"
            )
    return ""


def _fields(
    score: Score, answers: PhotoValues, facts: AnswerFacts, result: Result
) -> Iterator[tuple[str, object, object]]:
    """(name, stated, given by the answers) of every field that answers determine; a stated None is absent."""
    options = result.environment.get("options")
    resamples = options.get("resamples") if isinstance(options, Mapping) else None
    more = {} if not isinstance(resamples, int) or not 1 <= resamples <= 100_000 else {"resamples": resamples}
    limits = answers.limits or answers.bounds
    if answers.freedom is not None and answers.clusters is not None:
        ends = statistic_interval(answers.values, answers.clusters, answers.freedom, limits)
    else:
        ends = photo_interval(answers.values, clusters=answers.clusters, bounds=answers.bounds, **more)
    yield "low", score.low, max(ends.low, limits[0])
    yield "high", score.high, min(ends.high, limits[1])
    if facts.chance is not None:
        yield "chance", score.chance, facts.chance
    if answers.freedom is not None and answers.clusters is not None:
        p = statistic_of(answers.values, answers.clusters, answers.freedom).p_value(score.chance)
        yield "p_chance_two_sided", score.details.get("p_chance_two_sided"), p
    if answers.clusters is not None:
        sizes = np.unique(answers.clusters, return_counts=True)[1]
        yield "units", score.details.get("units"), len(sizes)
        yield "effective_units", score.details.get("effective_units"), round(effective_number(sizes), 3)
    elif score.details.get("resampled") == "photo":
        yield "units", score.details.get("units"), len(answers.photos)
    if facts.guess is not None:
        p = against_chance(answers.values, facts.guess, clusters=answers.clusters)
        yield "p_chance", score.details.get("p_chance"), p
    for name, given in facts.details.items():
        yield name, score.details.get(name), given


Wrong = tuple[str, object, object]
"""Path of a field, what is stated, what the answers give."""


def _difference(path: str, stated: object, given: object, value: float, same_methods: bool) -> Wrong | None:
    """The first place where what is stated differs from what the answers give; None where there is none.

    ``given`` is None where the answers do not determine it.
    """
    if given is None:
        return None
    if isinstance(given, Mapping):
        if not isinstance(stated, Mapping):
            return path, stated, given
        for name, part in given.items():
            if name in stated and stated[name] is not None and (same_methods or name not in BY_METHODS):
                centre = given.get("value", given.get("accuracy", value))
                wrong = _difference(f"{path}.{name}", stated[name], part, centre, same_methods)
                if wrong is not None:
                    return wrong
        return None
    if isinstance(given, list):
        if not isinstance(stated, list) or len(stated) != len(given):
            return path, stated, given
        centres = value if isinstance(value, list) else [value] * len(given)
        parts = zip(stated, given, centres, strict=True)
        return next(
            (w for i, (s, g, c) in enumerate(parts) if (w := _difference(f"{path}[{i}]", s, g, c, same_methods))), None
        )
    return None if _agrees(path, stated, given, value, same_methods) else (path, stated, given)


def _agrees(path: str, stated: Any, given: Any, value: Any, same_methods: bool) -> bool:
    if isinstance(given, bool) or isinstance(stated, bool) or not isinstance(stated, int | float):
        return bool(stated == given)
    name = path.rpartition(".")[2].partition("[")[0]
    if name in ("low", "high") and not same_methods:
        return abs(stated - given) <= OTHER_METHODS * abs(given - value) + 0.002
    if name.startswith("p_") and not same_methods:
        return bool(stated >= given**3 / 10)
    tolerance = EXACT + 1e-3 * abs(given) if name.startswith("p_") else EXACT
    return bool(abs(stated - given) <= tolerance)


def _shown(value: object) -> str:
    if isinstance(value, float):
        return f"{value:.6g}"
    return f"a list of {len(value)}" if isinstance(value, list) else str(value)[:100]


def miscounted(result: Result, splits: np.ndarray | None, photos: int) -> str:
    """Why the numbers of photos that a result states are not those of its answers; "" where they are.

    Args:
        result: with ``data["photos"]``.
        splits: int8 [N], the split of every photo of the set; None in older files.
        photos: one more than the largest index of a photo that has an answer.
    """
    stated = result.data.get("photos")
    if not isinstance(stated, Mapping):
        return ""
    counts = {str(name): int(n) for name, n in stated.items()}
    if splits is None:
        if sum(counts.values()) >= photos:
            return ""
        return f"data.photos has {sum(counts.values())} photos, but answers.npz has answers of photo {photos - 1}"
    for i, name in enumerate(SPLITS):
        given = int((splits == i).sum())
        if counts.get(name, 0) != given:
            return f"data.photos.{name} is {counts.get(name, 0)}, but answers.npz gives {given}"
    return f"answers.npz has answers of photo {photos - 1} of {len(splits)}" if photos > len(splits) else ""
