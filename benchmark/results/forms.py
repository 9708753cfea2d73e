"""The form that every field of a stranger's result must have before anybody computes with it or shows it.

A field that is absent was not recorded, which is said elsewhere; one that is there has its form or the file is refused.
"""

from __future__ import annotations

import datetime
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

from benchmark.options import RUNTIMES
from benchmark.results.detail_forms import DETAILS
from benchmark.results.plain_forms import (
    COUNTS,
    FLAG,
    NUMBER,
    OBJECT,
    TEXT,
    WHOLE,
    Form,
    is_count,
    is_number,
    is_scalar,
    is_text,
    of_each,
)
from benchmark.results.schema import OutputScores, Result, Score
from builders.outside import is_readable

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
