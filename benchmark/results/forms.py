"""Forms of the fields of an untrusted result: ``FIELDS`` of its parts, ``DETAILS`` of its scores.

A field may be absent. A field that is present has its form, or ``check_forms`` refuses the file.
"""

from __future__ import annotations

import itertools
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


def is_scalar(value: object) -> bool:
    """Whether a value is null, a number, a boolean or text."""
    return value is None or is_number(value) or isinstance(value, bool) or is_text(value)


def of_each(form: Form) -> Form:
    """The form of an object whose values all have a form."""
    return lambda value: isinstance(value, Mapping) and all(is_text(k) and form(v) for k, v in value.items())


COUNTS = (of_each(is_count), "an object of counts")

TEXT = (is_text, "text without control characters")

OBJECT = (lambda value: isinstance(value, Mapping), "an object")

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


def _control(value: object) -> bool:
    return isinstance(value, Mapping) and all(value.get(n) is None or is_number(value[n]) for n in _CONTROL_NUMBERS)


def _curve(value: object) -> bool:
    """The form of ``LearningCurve.details``."""
    if not isinstance(value, Mapping) or not isinstance(value.get("rises"), bool):
        return False
    lists = [value.get(name) for name in ("share", "n_train", "accuracy", "low", "high")]
    if not all(isinstance(part, list) and 0 < len(part) <= MAX_STEPS and all(map(is_number, part)) for part in lists):
        return False
    gain = value.get("gain")
    return len({len(part) for part in lists if isinstance(part, list)}) == 1 and (
        gain is None or (isinstance(gain, Mapping) and all(is_number(gain.get(n)) for n in ("value", "low", "high")))
    )


def _training_spread(value: object) -> bool:
    return isinstance(value, Mapping) and is_number(value.get("deviation")) and is_count(value.get("probes"))


def _similarities(value: object) -> bool:
    """Histograms of a kNN task: ``edges``, and for each kind the ``counts`` of the bins between them."""
    return isinstance(value, list) and len(value) <= MAX_QUERIES and all(map(_histogram, value))


def _histogram(value: object) -> bool:
    if not isinstance(value, Mapping) or not all(is_text(value.get(n, "")) for n in ("query", "class", "processing")):
        return False
    edges, counts = value.get("edges"), value.get("counts")
    if not isinstance(edges, list) or not 2 <= len(edges) <= MAX_EDGES or not all(map(is_number, edges)):
        return False
    if not all(a < b for a, b in itertools.pairwise(edges)) or not -1 <= edges[0] <= edges[-1] <= 1.1:
        return False
    if not is_text(value.get("why", "")) or not all(is_number(value.get(n, 0)) for n in ("beats", "overlap")):
        return False
    return (
        isinstance(counts, Mapping)
        and len(counts) <= 4
        and all(
            is_text(kind) and isinstance(bins, list) and len(bins) == len(edges) - 1 for kind, bins in counts.items()
        )
        and all(is_count(n) for bins in counts.values() for n in bins)
    )


def _similarity_summary(value: object) -> bool:
    return (
        isinstance(value, Mapping)
        and all(of_each(is_number)(value.get(name)) for name in ("beats", "overlap"))
        and all(is_count(value.get(name, 0)) for name in ("n", "queries", "photos"))
        and is_number(value.get("chance", 0))
    )


def _jitter(value: object) -> bool:
    """An extreme over jitters with its interval, and the paired difference from the extreme over processings."""
    if not isinstance(value, Mapping) or not isinstance(beyond := value.get("beyond"), Mapping):
        return False
    ends = ("value", "low", "high")
    counts = all(is_count(value.get(n, 0)) for n in ("jitters", "queries", "units"))
    return (
        counts
        and all(is_number(value.get(n)) for n in ends)
        and all(is_number(beyond.get(n)) for n in (*ends, "p_value"))
    )


def _strips(value: object) -> bool:
    """Photos under all processings, as ``knn/adversary`` writes them; views refer to neighbours by their index."""
    return isinstance(value, list) and len(value) <= MAX_STRIPS and all(map(_strip, value))


def _strip(value: object) -> bool:
    if not isinstance(value, Mapping) or not all(is_text(value.get(n)) for n in ("query", "class", "why")):
        return False
    photos, views = value.get("photos"), value.get("views")
    if not isinstance(photos, list) or not isinstance(views, list) or len(photos) > MAX_NEIGHBOURS:
        return False
    if not all(isinstance(p, Mapping) and is_text(p.get("id")) and is_text(p.get("class")) for p in photos):
        return False
    return 1 <= len(views) <= MAX_VIEWS and all(_strip_view(view, len(photos)) for view in views)


def _strip_view(value: object, photos: int) -> bool:
    if not isinstance(value, Mapping) or not all(is_text(value.get(n)) for n in ("processing", "answer")):
        return False
    near, similar = value.get("neighbours"), value.get("similarities")
    if not isinstance(near, list) or not isinstance(similar, list) or len(near) != len(similar):
        return False
    numbers = all(is_number(value.get(name)) for name in ("distance", "right"))
    return numbers and all(map(is_number, similar)) and all(is_count(i) and i < photos for i in near)


def _group_matrix(value: object) -> bool:
    """Every pair of G groups: their names, the values of each given group, and tables [G, G] of numbers or null."""
    if not isinstance(value, Mapping) or not isinstance(names := value.get("groups"), list):
        return False
    if not 2 <= len(names) <= MAX_GROUPS or not all(map(is_text, names)):
        return False
    attributes, recall = value.get("attributes"), value.get("recall")
    if not isinstance(attributes, Mapping) or not isinstance(recall, Mapping) or "1" not in recall:
        return False
    tables = [*recall.values(), *(value.get(name) for name in ("low", "high", "n", "chance", "cosine", "cosine_apart"))]
    columns = [column for column in attributes.values() if isinstance(column, list)]
    return (
        0 < len(columns) == len(attributes)
        and all(len(column) == len(names) and all(map(is_text, column)) for column in columns)
        and all(isinstance(table, list) and len(table) == len(names) for table in tables)
        and all(isinstance(row, list) and len(row) == len(names) for table in tables for row in table)
        and all(cell is None or is_number(cell) for table in tables for row in table for cell in row)
    )


def _components(value: object) -> bool:
    """Components of variance: each has its ``effect``, and its ``share`` with interval, estimate, p-value and cells."""
    numbers = ("share", "low", "high", "estimate", "p_value", "cells")
    return (
        isinstance(value, list)
        and len(value) <= MAX_EFFECTS
        and all(
            isinstance(row, Mapping) and is_text(row.get("effect")) and all(is_number(row.get(n)) for n in numbers)
            for row in value
        )
    )


def _ties(value: object) -> bool:
    return of_each(is_number)(value) and {"least", "greatest", "random", "share"} <= dict(value).keys()  # type: ignore[call-overload]


def _margins(value: object) -> bool:
    """Flips of questions of similar margin, by the range of margins in points."""
    return isinstance(value, Mapping) and all(
        re.fullmatch(r"\d{1,3} to \d{1,3}", str(name)) is not None
        and isinstance(row, Mapping)
        and all(is_number(row.get(n)) for n in ("flips", "low", "high", "questions"))
        for name, row in value.items()
    )


def _movement(value: object) -> bool:
    return isinstance(value, Mapping) and all(is_number(value.get(name)) for name in ("value", "low", "high"))


def _counts(length: int) -> Form:
    """The form of a list of so many counts."""
    return lambda value: isinstance(value, list) and len(value) == length and all(map(is_count, value))


_CONTROL_NUMBERS = ("accuracy", "low", "high", "mean", "mean_low", "mean_high", "p_value")

DETAILS: Mapping[str, tuple[Form, str]] = {
    "protocol": TEXT,
    "resampled": TEXT,
    "k": WHOLE,
    "mask_ratio": NUMBER,
    "classes": WHOLE,
    "units": WHOLE,
    "effective_units": NUMBER,
    "train_photos": WHOLE,
    "p_chance": NUMBER,
    "most_frequent_class": NUMBER,
    "tied_votes": NUMBER,
    "ties": (_ties, "an object of the numbers least, greatest, random and share"),
    "controls": (of_each(_control), "an object of controls"),
    "learning_curve": (_curve, "a learning curve: lists of numbers of one length, a gain, and whether it rises"),
    "training_spread": (_training_spread, "a deviation, and of how many probes"),
    "flipped": (of_each(is_number), "a share with its interval"),
    "similarities": (_similarities, f"a list of at most {MAX_QUERIES} histograms"),
    "strips": (_strips, f"a list of at most {MAX_STRIPS} photos under their processings"),
    "by_processing": (of_each(of_each(is_number)), "numbers by processing"),
    "noise": (of_each(of_each(is_number)), "numbers by view"),
    "by_margin": (_margins, "flips by margin (0 to 10), with interval and number of questions"),
    "movement": (_movement, "a rank correlation with its interval"),
    "guess_flips": NUMBER,
    "no_option": NUMBER,
    "questions": WHOLE,
    "spoiled": NUMBER,
    "against_final": (of_each(is_number), "a difference with its interval and p-value"),
    "jitter": (_jitter, "an extreme over jitters, and what is beyond it"),
    "processings": WHOLE,
    "group_matrix": (_group_matrix, f"names of 2 to {MAX_GROUPS} groups with tables of every pair"),
    "components": (_components, f"a list of at most {MAX_EFFECTS} effects with their shares"),
    "pairs": (lambda value: is_count(value) or isinstance(value, list), "a count, or a list"),
    "distractors": TEXT,
    "photos_left_out": WHOLE,
    "collection": WHOLE,
    "copies": WHOLE,
    "by_copy": (of_each(is_number), "an object of numbers"),
    "threshold": NUMBER,
    "threshold_low": NUMBER,
    "threshold_high": NUMBER,
    "stated_rate": NUMBER,
    "chosen_on": WHOLE,
    "matches": WHOLE,
    "expected_matches": (_counts(2), "two counts"),
    "similarity_summary": (_similarity_summary, "two shares with their intervals, and counts"),
}
"""Of ``Score.details``, with what an error calls the form."""


def _runtime(value: Any) -> bool:
    """The library that computed a network (``Result.environment``)."""
    if not isinstance(value, Mapping) or value.get("name") not in RUNTIMES:
        return False
    texts = all(is_text(value.get(name, "")) for name in ("version", "reason"))
    return texts and is_number(value.get("relative_error", 0)) and isinstance(value.get("on_photos", {}), Mapping)


def _ranks(value: Any) -> bool:
    """The machines of the ranks of a plan (``Result.environment``)."""
    texts, versions = ("ranks", "host", "device", "python"), of_each(is_text)
    return isinstance(value, list) and all(
        isinstance(machine, Mapping)
        and all(is_text(machine.get(name)) for name in texts)
        and versions(machine.get("versions"))
        and is_number(machine.get("seconds"))
        for machine in value
    )


FIELDS: Mapping[str, Mapping[str, tuple[Form, str]]] = {
    "encoder": {
        "preprocessing": OBJECT,
        "details": OBJECT,
        "dimension": WHOLE,
        "parameters": WHOLE,
        **dict.fromkeys(("library", "revision", "weights_sha256", "pooling", "group", "training_data", "dtype"), TEXT),
    },
    "data": {
        "photos": COUNTS,
        "source_jpeg": COUNTS,
        "classes": WHOLE,
        "smoke_test": FLAG,
        "evidence": (of_each(is_scalar), "an object of plain values"),
        **dict.fromkeys(("question_hash", "ids_hash", "bytes_hash"), TEXT),
    },
    "environment": {
        "versions": (of_each(is_scalar), "an object of versions"),
        "codec": (of_each(is_scalar), "an object of versions"),
        "processings_by": (of_each(is_text), "an object of texts"),
        "options": (of_each(is_scalar), "an object of plain values"),
        **dict.fromkeys(("local", "retried"), (of_each(is_text), "an object of sentences")),
        "precision_gate": OBJECT,
        "cudnn": (of_each(is_scalar), "an object of plain values"),
        "trial": (of_each(is_scalar), "an object of plain values"),
        "runtime": (_runtime, "an object that names a runtime"),
        "ranks": (_ranks, "a list of machines: host, device, versions, ranks and seconds"),
        "preprocessing_by": TEXT,
        "compiled": FLAG,
        "devices": WHOLE,
        "statistics": WHOLE,
        **dict.fromkeys(
            ("python", "platform", "codec_canary", "device", "dtype", "storage", "command", "answers_sha256"), TEXT
        ),
    },
    "cost": {
        "bytes_read": WHOLE,
        "photos": WHOLE,
        "views": WHOLE,
        "encoders_in_pass": WHOLE,
        "views_per_second": NUMBER,
        "seconds": (of_each(is_number), "an object of numbers"),
        "peak_memory_bytes": (lambda value: is_count(value) or of_each(is_count)(value), "bytes, or an object of them"),
    },
}
"""Of ``Result``, by the name of the part that is an object."""
