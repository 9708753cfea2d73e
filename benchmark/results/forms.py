"""The form that every field of a stranger's result must have before anybody computes with it or shows it.

A field that is absent was not recorded, which is said elsewhere; one that is there has its form or the file is refused.
"""

from __future__ import annotations

import datetime
import itertools
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from benchmark.options import RUNTIMES
from benchmark.results.schema import OutputScores, Result, Score
from builders.untrusted import is_readable

Form = Callable[[Any], bool]


def is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def is_count(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value >= 0


def is_text(value: object) -> bool:
    return isinstance(value, str) and is_readable(value)


def is_scalar(value: object) -> bool:
    return value is None or is_number(value) or isinstance(value, bool) or is_text(value)


def of_each(form: Form) -> Form:
    return lambda value: isinstance(value, Mapping) and all(is_text(k) and form(v) for k, v in value.items())


COUNTS = (of_each(is_count), "an object of counts")

TEXT = (is_text, "text without control characters")

OBJECT = (lambda value: isinstance(value, Mapping), "an object")

FLAG = (lambda value: isinstance(value, bool), "true or false")

NUMBER = (is_number, "a number")

WHOLE = (is_count, "a count")

MAX_STEPS = 20
"""Of a learning curve: ours has four."""

MAX_QUERIES, MAX_EDGES = 50, 401
"""Whose similarities a score shows, and the edges of a histogram: ours are 6 and 49."""

MAX_STRIPS, MAX_VIEWS, MAX_NEIGHBOURS = 20, 100, 2000
"""Of photos shown under all processings: ours are 4, 15, and 75 at most."""


def _control(value: object) -> bool:
    return isinstance(value, Mapping) and all(value.get(n) is None or is_number(value[n]) for n in _CONTROL_NUMBERS)


def _curve(value: object) -> bool:
    """As ``LearningCurve.details`` gives it."""
    if not isinstance(value, Mapping) or not isinstance(value.get("rises"), bool):
        return False
    lists = [value.get(name) for name in ("share", "n_train", "accuracy", "low", "high")]
    if not all(isinstance(one, list) and 0 < len(one) <= MAX_STEPS and all(map(is_number, one)) for one in lists):
        return False
    gain = value.get("gain")
    return len({len(one) for one in lists if isinstance(one, list)}) == 1 and (
        gain is None or (isinstance(gain, Mapping) and all(is_number(gain.get(n)) for n in ("value", "low", "high")))
    )


def _training_spread(value: object) -> bool:
    return isinstance(value, Mapping) and is_number(value.get("deviation")) and is_count(value.get("probes"))


def _similarities(value: object) -> bool:
    """Histograms as a kNN task writes them: ``edges``, and ``counts`` of as many bins by kind."""
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


def _strips(value: object) -> bool:
    """Photos under all processings, as ``knn/adversary`` writes them; views name neighbours by their place."""
    return isinstance(value, list) and len(value) <= MAX_STRIPS and all(map(_strip, value))


def _strip(value: object) -> bool:
    if not isinstance(value, Mapping) or not all(is_text(value.get(n)) for n in ("query", "class", "why")):
        return False
    photos, views = value.get("photos"), value.get("views")
    if not isinstance(photos, list) or not isinstance(views, list) or len(photos) > MAX_NEIGHBOURS:
        return False
    if not all(isinstance(one, Mapping) and is_text(one.get("id")) and is_text(one.get("class")) for one in photos):
        return False
    return 1 <= len(views) <= MAX_VIEWS and all(_strip_view(one, len(photos)) for one in views)


def _strip_view(value: object, photos: int) -> bool:
    if not isinstance(value, Mapping) or not all(is_text(value.get(n)) for n in ("processing", "answer")):
        return False
    near, similar = value.get("neighbours"), value.get("similarities")
    if not isinstance(near, list) or not isinstance(similar, list) or len(near) != len(similar):
        return False
    numbers = all(is_number(value.get(name)) for name in ("distance", "right"))
    return numbers and all(map(is_number, similar)) and all(is_count(place) and place < photos for place in near)


_CONTROL_NUMBERS = ("accuracy", "low", "high", "mean", "mean_low", "mean_high", "p_value")

DETAILS: Mapping[str, tuple[Form, str]] = {
    "protocol": TEXT,
    "resampled": TEXT,
    "k": WHOLE,
    "mask_ratio": NUMBER,
    "classes": WHOLE,
    "units": WHOLE,
    "train_photos": WHOLE,
    "p_chance": NUMBER,
    "most_frequent_class": NUMBER,
    "tied_votes": NUMBER,
    "ties": (of_each(is_number), "an object of numbers"),
    "controls": (of_each(_control), "an object of controls"),
    "learning_curve": (_curve, "a learning curve: lists of numbers of one length, a gain, and whether it rises"),
    "training_spread": (_training_spread, "a deviation, and of how many probes"),
    "flipped": (of_each(is_number), "a share with its interval"),
    "similarities": (_similarities, f"a list of at most {MAX_QUERIES} histograms"),
    "strips": (_strips, f"a list of at most {MAX_STRIPS} photos under their processings"),
    "by_processing": (of_each(of_each(is_number)), "numbers by processing"),
    "spoiled": NUMBER,
    "processings": WHOLE,
    "similarity_summary": (_similarity_summary, "two shares with their intervals, and counts"),
}

MAX_NAME = 200
"""Characters of an encoder's id, a data set's name, a task or a metric."""

MAX_SCORES = 2000
"""A run of every task on one data set has under 100."""

MAX_OUTPUTS = 2000
"""Every block of the deepest networks under every pooling is under 1000."""

CLOCKS_MAY_DIFFER = datetime.timedelta(days=1)
"""A result that is dated later than this from now was not made then."""


def check_forms(result: Result, now: datetime.datetime | None = None) -> None:
    """See that every field of a result has its form.

    Args:
        result: as ``Result.from_json`` gives it.
        now: after which it cannot have been made; by default the time of this machine.

    Raises:
        ValueError: with the first reason.
    """
    for name, fields in _FIELDS.items():
        part = getattr(result, name)
        if not isinstance(part, Mapping):
            raise ValueError(f"{name} is not an object")
        for field, (form, what) in fields.items():
            if part.get(field) is not None and not form(part[field]):
                raise ValueError(f"{name}.{field} is not {what}")
    _check_name("encoder id", result.encoder.get("id"))
    _check_name("data name", result.data.get("name"))
    _check_date(result.created, now or datetime.datetime.now(datetime.timezone.utc))
    for failure in result.failures:
        if not all(isinstance(part, str) for part in (failure.kind, failure.name, failure.reason)):
            raise ValueError("a failure's kind, name or reason is not text")
    if not result.scores:
        raise ValueError("it holds no score")
    _check_scores(result.scores)
    _check_outputs(result.outputs)


def _check_outputs(outputs: Sequence[OutputScores]) -> None:
    if len(outputs) > MAX_OUTPUTS:
        raise ValueError(f"{len(outputs)} outputs, more than {MAX_OUTPUTS}")
    for output in outputs:
        for kind, name in (("output", output.name), ("output's title", output.title), ("pooling", output.pooling)):
            _check_name(kind, name)
        if not is_text(output.read) or len(output.read) > MAX_NAME:
            raise ValueError(f"{output.name}: read is not text of at most {MAX_NAME} characters")
        if (
            not all(is_count(n) for n in (output.layer, output.layers, output.dimension))
            or output.layer >= output.layers
        ):
            raise ValueError(f"{output.name}: layer, layers or dimension is not a count, or there is no such layer")
        if output.scores:
            _check_scores(output.scores)
    names = [output.name for output in outputs]
    if len(set(names)) < len(names):
        raise ValueError("an output is there twice")


def _check_scores(scores: Sequence[Score]) -> None:
    if len(scores) > MAX_SCORES:
        raise ValueError(f"{len(scores)} scores, more than {MAX_SCORES}")
    for score in scores:
        for kind, name in (("task", score.task), ("metric", score.metric), ("data", score.data)):
            _check_name(kind, name)
        where = f"{score.task} {score.metric}"
        if not score.low - 1e-9 <= score.value <= score.high + 1e-9:
            raise ValueError(f"{where}: the value is outside its own interval")
        if not isinstance(score.details, Mapping):
            raise ValueError(f"{where}: details is not an object")
        for field, (form, what) in DETAILS.items():
            if score.details.get(field) is not None and not form(score.details[field]):
                raise ValueError(f"{where}: details.{field} is not {what}")
    ((asked, times),) = Counter((s.task, s.data, s.metric) for s in scores).most_common(1)
    if times > 1:
        raise ValueError(f"{' '.join(asked)} is there {times} times")


def _check_name(kind: str, name: object) -> None:
    if not isinstance(name, str) or not name.strip():
        raise ValueError(f"the {kind} is missing or not text")
    if len(name) > MAX_NAME:
        raise ValueError(f"the {kind} has {len(name)} characters, more than {MAX_NAME}")
    if "<" in name or ">" in name or not is_readable(name):
        raise ValueError(f"the {kind} holds markup, control or invisible characters")


def _check_date(created: object, now: datetime.datetime) -> None:
    try:
        if not isinstance(created, str) or len(created) > 40:
            raise ValueError
        # Python 3.10 does not read the "Z" of ISO 8601.
        made = datetime.datetime.fromisoformat(created.replace("Z", "+00:00"))
        made = made if made.tzinfo else made.replace(tzinfo=datetime.timezone.utc)
        early = (made - now).total_seconds() <= CLOCKS_MAY_DIFFER.total_seconds()
    except (ValueError, OverflowError):
        raise ValueError("created is not an ISO 8601 time") from None
    if not early:
        clock = now.isoformat(timespec="minutes")
        raise ValueError(f"created {created} lies in the future by this machine's clock ({clock}): is the clock right?")


def _runtime(value: Any) -> bool:
    """What carried out a network's forward passes, see ``schema.py``."""
    if not isinstance(value, Mapping) or value.get("name") not in RUNTIMES:
        return False
    texts = all(is_text(value.get(name, "")) for name in ("version", "reason"))
    return texts and is_number(value.get("relative_error", 0)) and isinstance(value.get("on_photos", {}), Mapping)


_FIELDS: Mapping[str, Mapping[str, tuple[Form, str]]] = {
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
        "options": (of_each(is_scalar), "an object of plain values"),
        **dict.fromkeys(("local", "retried"), (of_each(is_text), "an object of sentences")),
        "precision_gate": OBJECT,
        "trial": (of_each(is_scalar), "an object of plain values"),
        "runtime": (_runtime, "an object that names a runtime"),
        "preprocessing_by": TEXT,
        "compiled": FLAG,
        "devices": WHOLE,
        **dict.fromkeys(
            ("python", "platform", "codec_canary", "device", "dtype", "storage", "command", "answers_sha256"), TEXT
        ),
    },
    "cost": {
        "photos": WHOLE,
        "views": WHOLE,
        "encoders_in_pass": WHOLE,
        "views_per_second": NUMBER,
        "seconds": (of_each(is_number), "an object of numbers"),
        "peak_memory_bytes": (lambda value: is_count(value) or of_each(is_count)(value), "bytes, or an object of them"),
    },
}
