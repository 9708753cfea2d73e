"""Checks every field of an untrusted result before any value is computed with or shown."""

from __future__ import annotations

import datetime
from collections import Counter
from collections.abc import Mapping, Sequence

from benchmark.results.forms import DETAILS, FIELDS, is_count, is_text
from benchmark.results.schema import OutputScores, Result, Score
from builders.untrusted import is_readable

MAX_NAME = 200
"""Characters of an encoder's id, a data set's name, a task or a metric."""

MAX_SCORES = 2000
"""Scores of a result; a run of all tasks on one data set has fewer than 100."""

MAX_OUTPUTS = 2000
"""Outputs of a result; all blocks of the deepest networks under all poolings are fewer than 1000."""

CLOCKS_MAY_DIFFER = datetime.timedelta(days=1)
"""A result that is dated further in the future is refused."""


def check_forms(result: Result, now: datetime.datetime | None = None) -> None:
    """Check that every field of a result has its form.

    Args:
        result: from ``Result.from_json``.
        now: the latest possible time of its creation; by default the time of this machine.

    Raises:
        ValueError: a field has another form; the message names the first one.
    """
    for name, fields in FIELDS.items():
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
    ((key, times),) = Counter((s.task, s.data, s.metric) for s in scores).most_common(1)
    if times > 1:
        raise ValueError(f"{' '.join(key)} is there {times} times")


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
        time = datetime.datetime.fromisoformat(created.replace("Z", "+00:00"))
        time = time if time.tzinfo else time.replace(tzinfo=datetime.timezone.utc)
        in_future = (time - now).total_seconds() > CLOCKS_MAY_DIFFER.total_seconds()
    except (ValueError, OverflowError):
        raise ValueError("created is not an ISO 8601 time") from None
    if in_future:
        clock = now.isoformat(timespec="minutes")
        raise ValueError(f"created {created} lies in the future by this machine's clock ({clock}): is the clock right?")
