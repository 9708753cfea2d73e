"""Forms of the fields of an untrusted result: ``FIELDS`` of its parts, ``DETAILS`` of its scores.

A field may be absent. A field that is present has its form, or ``check_forms`` refuses the file.
"""

from __future__ import annotations

import itertools
import math
import re
from collections.abc import Callable, Mapping
from typing import Any

from benchmark.options import RUNTIMES
from builders.untrusted import is_readable

Form = Callable[[Any], bool]


def is_number(value: object) -> bool:
    """Whether a value is an integer or a float, not a boolean."""
    return isinstance(value, int | float) and not isinstance(value, bool)


def is_count(value: object) -> bool:
    """Whether a value is an integer of 0 or more."""
    return isinstance(value, int) and not isinstance(value, bool) and value >= 0


def is_text(value: object) -> bool:
    """Whether a value is text without control characters."""
    return isinstance(value, str) and is_readable(value)


def _is_scalar(value: object) -> bool:
    """Whether a value is null, a number, a boolean or text."""
    return value is None or is_number(value) or isinstance(value, bool) or is_text(value)


def of_each(form: Form) -> Form:
    """The form of an object whose values all have a form."""
    return lambda value: isinstance(value, Mapping) and all(is_text(k) and form(v) for k, v in value.items())


COUNTS = (of_each(is_count), "an object of counts")

TEXT = (is_text, "text without control characters")

OBJECT = (lambda value: isinstance(value, Mapping), "an object")

PLAIN = (of_each(_is_scalar), "an object of plain values")

FLAG = (lambda value: isinstance(value, bool), "true or false")

NUMBER = (is_number, "a number")

WHOLE = (is_count, "a count")

MAX_STEPS = 20
"""Steps of a learning curve; camtrace writes four."""

MAX_QUERIES, MAX_EDGES = 50, 401
"""Queries whose similarities a score shows, and edges of a histogram; camtrace writes 6 and 49."""

MAX_STRIPS, MAX_VIEWS, MAX_NEIGHBOURS = 20, 100, 2000
"""Photos shown under all processings, their views, and neighbours of one; camtrace writes at most 4, 15 and 75."""


MAX_GROUPS = 400
"""Groups of a matrix; camtrace compares no more."""


MAX_EFFECTS = 32
"""Effects of five factors, and the rest."""


_INTERVAL = "value low high"


def _has(value: Any, form: Form, names: str) -> bool:
    """Whether a value is an object whose parts of these names are there and have a form."""
    return isinstance(value, Mapping) and all(form(value.get(name)) for name in names.split())


def _may_have(value: Any, form: Form, names: str) -> bool:
    """Whether a value is an object whose parts of these names have a form where they are there."""
    return isinstance(value, Mapping) and all(form(value[name]) for name in names.split() if name in value)


def _listed(value: Any, form: Form, least: int, most: float) -> bool:
    """Whether a value is a list of so many values of a form."""
    return isinstance(value, list) and least <= len(value) <= most and all(map(form, value))


def _number_or_null(value: Any) -> bool:
    return value is None or is_number(value)


def _control(value: Any) -> bool:
    return _has(value, _number_or_null, "accuracy low high mean mean_low mean_high p_value")


def _curve(value: Any) -> bool:
    """The form of ``LearningCurve.details``."""
    lists = "share n_train accuracy low high"
    return (
        _has(value, lambda steps: _listed(steps, is_number, 1, MAX_STEPS), lists)
        and len({len(value[name]) for name in lists.split()}) == 1
        and isinstance(value.get("rises"), bool)
        and (value.get("gain") is None or _gain(value["gain"]))
    )


def _gain(value: Any) -> bool:
    return _with_interval(value) and _number_or_null(value.get("p_value"))


def _training_spread(value: Any) -> bool:
    return _has(value, is_number, "deviation") and _has(value, is_count, "probes")


def _similarities(value: Any) -> bool:
    """Histograms of a kNN task: ``edges``, and for each kind the ``counts`` of the bins between them."""
    return _listed(value, _histogram, 0, MAX_QUERIES)


def _histogram(value: Any) -> bool:
    return (
        _may_have(value, is_text, "query class processing why")
        and _may_have(value, is_number, "beats overlap")
        and _listed(edges := value.get("edges"), is_number, 2, MAX_EDGES)
        and all(a < b for a, b in itertools.pairwise(edges))
        and edges[0] >= -1
        and edges[-1] <= 1.1
        and of_each(_counts(len(edges) - 1))(counts := value.get("counts"))
        and len(counts) <= 4
    )


def _similarity_summary(value: Any) -> bool:
    return (
        _has(value, of_each(is_number), "beats overlap")
        and _may_have(value, is_count, "n queries photos")
        and _may_have(value, is_number, "chance")
    )


def _jitter(value: Any) -> bool:
    """An extreme over jitters with its interval, and the paired difference from the extreme over processings."""
    return (
        _has(value, is_number, _INTERVAL)
        and _may_have(value, is_count, "jitters queries units")
        and _has(value.get("beyond"), is_number, f"{_INTERVAL} p_value")
    )


def _strips(value: Any) -> bool:
    """Photos under all processings, as ``knn/adversary`` writes them; views refer to neighbours by their index."""
    return _listed(value, _strip, 0, MAX_STRIPS)


def _strip(value: Any) -> bool:
    return (
        _has(value, is_text, "query class why")
        and _listed(photos := value.get("photos"), lambda photo: _has(photo, is_text, "id class"), 0, MAX_NEIGHBOURS)
        and _listed(value.get("views"), lambda view: _strip_view(view, len(photos)), 1, MAX_VIEWS)
    )


def _strip_view(value: Any, photos: int) -> bool:
    return (
        _has(value, is_text, "processing answer")
        and _has(value, is_number, "distance right")
        and _listed(near := value.get("neighbours"), lambda i: is_count(i) and i < photos, 0, math.inf)
        and _listed(value.get("similarities"), is_number, len(near), len(near))
    )


def _group_matrix(value: Any) -> bool:
    """Every pair of G groups: their names, the values of each given group, and tables [G, G] of numbers or null."""
    if not _has(value, lambda names: _listed(names, is_text, 2, MAX_GROUPS), "groups"):
        return False
    groups = len(value["groups"])

    def of_groups(form: Form) -> Form:
        return lambda row: _listed(row, form, groups, groups)

    table = of_groups(of_groups(_number_or_null))
    attributes, recall = value.get("attributes"), value.get("recall")
    return (
        isinstance(attributes, Mapping)
        and len(attributes) > 0
        and all(map(of_groups(is_text), attributes.values()))
        and isinstance(recall, Mapping)
        and "1" in recall
        and all(map(table, recall.values()))
        and _has(value, table, "low high n chance cosine cosine_apart")
    )


def _components(value: Any) -> bool:
    """Components of variance: each has its ``effect``, and its ``share`` with interval, estimate, p-value and cells."""
    return _listed(
        value,
        lambda row: _has(row, is_text, "effect") and _has(row, is_number, "share low high estimate p_value cells"),
        0,
        MAX_EFFECTS,
    )


def _ties(value: Any) -> bool:
    return of_each(is_number)(value) and _has(value, is_number, "least greatest random share")


def _margins(value: Any) -> bool:
    """Flips of questions of similar margin, by the range of margins in points."""
    return isinstance(value, Mapping) and all(
        re.fullmatch(r"\d{1,3} to \d{1,3}", str(name)) is not None and _has(row, is_number, "flips low high questions")
        for name, row in value.items()
    )


def _with_interval(value: Any) -> bool:
    return _has(value, is_number, _INTERVAL)


def _rows(value: Any) -> bool:
    """Numbers by processing or by view; a bias has its interval, and so has a share of flips."""
    return of_each(of_each(is_number))(value) and all(
        ("p_value" not in row or _has(row, is_number, "bias low high"))
        and ("flips_low" not in row or _has(row, is_number, "flips flips_high"))
        for row in value.values()
    )


def _counts(length: int) -> Form:
    """The form of a list of so many counts."""
    return lambda value: _listed(value, is_count, length, length)


def _each(names: str, form: tuple[Form, str]) -> dict[str, tuple[Form, str]]:
    """The same form for each of some fields."""
    return dict.fromkeys(names.split(), form)


DETAILS: Mapping[str, tuple[Form, str]] = {
    **_each("protocol resampled distractors", TEXT),
    **_each("k classes units train_photos questions processings photos_left_out collection copies", WHOLE),
    **_each("chosen_on matches", WHOLE),
    **_each("mask_ratio effective_units p_chance p_within_label most_frequent_class tied_votes", NUMBER),
    **_each("guess_flips no_option spoiled threshold threshold_low threshold_high stated_rate", NUMBER),
    "ties": (_ties, "an object of the numbers least, greatest, random and share"),
    "controls": (of_each(_control), "an object of controls"),
    "learning_curve": (_curve, "a learning curve: lists of numbers of one length, a gain, and whether it rises"),
    "training_spread": (_training_spread, "a deviation, and of how many probes"),
    "flipped": (of_each(is_number), "a share with its interval"),
    "similarities": (_similarities, f"a list of at most {MAX_QUERIES} histograms"),
    "strips": (_strips, f"a list of at most {MAX_STRIPS} photos under their processings"),
    "by_processing": (_rows, "numbers by processing"),
    "noise": (_rows, "numbers by view"),
    "by_margin": (_margins, "flips by margin (0 to 10), with interval and number of questions"),
    "movement": (_with_interval, "a rank correlation with its interval"),
    "against_final": (_with_interval, "a difference with its interval and p-value"),
    "jitter": (_jitter, "an extreme over jitters, and what is beyond it"),
    "group_matrix": (_group_matrix, f"names of 2 to {MAX_GROUPS} groups with tables of every pair"),
    "components": (_components, f"a list of at most {MAX_EFFECTS} effects with their shares"),
    "pairs": (lambda value: is_count(value) or isinstance(value, list), "a count, or a list"),
    "by_copy": (of_each(is_number), "an object of numbers"),
    "expected_matches": (_counts(2), "two counts"),
    "similarity_summary": (_similarity_summary, "two shares with their intervals, and counts"),
}
"""Of ``Score.details``, with what an error calls the form."""


def _runtime(value: Any) -> bool:
    """The library that computed a network (``Result.environment``)."""
    return (
        _may_have(value, is_text, "version reason")
        and value.get("name") in RUNTIMES
        and _may_have(value, is_number, "relative_error")
        and _may_have(value, lambda photos: isinstance(photos, Mapping), "on_photos")
    )


def _ranks(value: Any) -> bool:
    """The machines of the ranks of a plan (``Result.environment``)."""
    return isinstance(value, list) and all(
        _has(machine, is_text, "ranks host device python")
        and _has(machine, of_each(is_text), "versions")
        and _has(machine, is_number, "seconds")
        for machine in value
    )


FIELDS: Mapping[str, Mapping[str, tuple[Form, str]]] = {
    "encoder": {
        **_each("preprocessing details", OBJECT),
        **_each("dimension parameters", WHOLE),
        **_each("library revision weights_sha256 pooling group training_data dtype definition", TEXT),
    },
    "data": {
        **_each("photos source_jpeg", COUNTS),
        "classes": WHOLE,
        "smoke_test": FLAG,
        "evidence": PLAIN,
        **_each("question_hash ids_hash bytes_hash", TEXT),
    },
    "environment": {
        **_each("versions codec", (of_each(_is_scalar), "an object of versions")),
        **_each("options cudnn trial", PLAIN),
        "processings_by": (of_each(is_text), "an object of texts"),
        **_each("local retried", (of_each(is_text), "an object of sentences")),
        "precision_gate": OBJECT,
        "runtime": (_runtime, "an object that names a runtime"),
        "ranks": (_ranks, "a list of machines: host, device, versions, ranks and seconds"),
        "compiled": FLAG,
        **_each("devices statistics", WHOLE),
        **_each("python platform codec_canary device dtype storage", TEXT),
        **_each("preprocessing_by command answers_sha256", TEXT),
    },
    "cost": {
        **_each("bytes_read photos views encoders_in_pass", WHOLE),
        "views_per_second": NUMBER,
        "seconds": (of_each(is_number), "an object of numbers"),
        "peak_memory_bytes": (lambda value: is_count(value) or of_each(is_count)(value), "bytes, or an object of them"),
    },
}
"""Of ``Result``, by the name of the part that is an object."""
