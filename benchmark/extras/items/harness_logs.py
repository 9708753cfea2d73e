"""Samples of lm-evaluation-harness (``samples_TASK_DATE.jsonl``) and of lmms-eval (``DATE_samples_TASK.jsonl``)."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from benchmark.extras.items.scores import TEXT, Columns, ScoredRows, number
from builders.errors import DataError, unknown_name
from builders.untrusted import files_matching, json_lines, read_json, readable

_NAMES = (
    re.compile(r"samples_(?P<task>.+)_(?P<date>\d{4}-\d\d-\d\dT[\d.:-]+)\.jsonl"),
    re.compile(r"(?P<date>\d{8}_\d{6})_samples_(?P<task>.+)\.jsonl"),
)
"""Of lm-evaluation-harness, and of lmms-eval."""

_NO_SCORES = frozenset(
    (
        *("doc_id", "doc", "target", "arguments", "resps", "filtered_resps", "filter", "metrics", "doc_hash"),
        *("prompt_hash", "target_hash", "input", "token_counts", "schema_version"),
    )
)


def is_samples_file(path: Path) -> bool:
    """Whether a file has a name of samples, by which harness ever.

    >>> is_samples_file(Path("samples_mmlu_2026-11-29T05-22-07.116389.jsonl")), is_samples_file(Path("a.jsonl"))
    (True, False)
    """
    return any(pattern.fullmatch(path.name) for pattern in _NAMES)


def task_of_samples(path: Path) -> str:
    """The task in the name of a file of samples; the name itself where it is none.

    >>> task_of_samples(Path("20261129_052500_samples_vqa.jsonl")), task_of_samples(Path("a.jsonl"))
    ('vqa', 'a')
    """
    return next((match["task"] for each in _NAMES if (match := each.fullmatch(path.name))), path.stem)


def read_samples(path: Path, argument: int, columns: Columns) -> ScoredRows:
    """One score for each document.

    An item is the number of its document and, where the harness hashed it, its hash: another document under the same
    number is another item. Where a task has several filters, a score is named ``metric,filter`` as in its results.

    Args:
        path: of the samples; the results beside them name the model.
        argument: as in ``ScoredRows``.
        columns: the score is by default the first metric with the first filter; the cluster is a field of the document,
            of the sample or of the score.

    Raises:
        UsageError: there is no such score.
        DataError: it cannot be read, or no metric is a number for each sample.
    """
    samples = list(json_lines(path))
    if not samples or any("doc_id" not in sample for sample in samples):
        raise DataError(f"{path}: no samples of lm-evaluation-harness or lmms-eval")
    filters = list(dict.fromkeys(str(sample.get("filter", "none")) for sample in samples))
    names = [name for name in _metrics(samples[0]) if _score(samples[0].get(name)) is not None]
    choices = names if len(filters) == 1 else [f"{name},{by}" for name in names for by in filters]
    if not choices:
        raise DataError(f"{path}: no metric is a number for each sample")
    chosen = columns.score or choices[0]
    if chosen not in choices:
        raise unknown_name(f"score of {path.name}", chosen, map(readable, choices))
    metric, _, by = chosen.partition(",") if len(filters) > 1 else (chosen, "", "")
    rows = [sample for sample in samples if not by or str(sample.get("filter", "none")) == by]
    scores = [_score(row.get(metric)) for row in rows]
    return ScoredRows(
        os.fspath(path),
        argument,
        readable(_model(path) or path.resolve().parent.name),
        readable(task_of_samples(path)),
        readable(chosen),
        pa.array([_item(row) for row in rows], TEXT),
        np.array([np.nan if value is None else value for value in scores]),
        None
        if columns.cluster is None
        else pa.array([_cluster(row, metric, columns.cluster, path) for row in rows], TEXT),
        other_metrics=tuple(readable(choice) for choice in choices if choice != chosen),
    )


def _metrics(sample: Mapping[str, Any]) -> list[str]:
    listed = sample.get("metrics")
    return [str(name) for name in listed] if isinstance(listed, list) else [n for n in sample if n not in _NO_SCORES]


def _score(value: Any) -> float | None:
    """A number, or the ``score`` of a dictionary, which tasks of lmms-eval keep for their own aggregation."""
    return number(value.get("score") if isinstance(value, dict) else value)


def _item(sample: Mapping[str, Any]) -> str:
    short = str(sample.get("doc_hash") or "")[:8]
    return f"{sample['doc_id']} (document {short})" if short else str(sample["doc_id"])


def _cluster(sample: Mapping[str, Any], metric: str, name: str, path: Path) -> str:
    for place in (sample.get("doc"), sample, sample.get(metric)):
        if isinstance(place, dict) and name in place:
            return str(place[name])
    fields = {key for place in (sample.get("doc"), sample.get(metric)) if isinstance(place, dict) for key in place}
    raise unknown_name(f"field of {path.name}", name, map(readable, fields))


def _model(path: Path) -> str:
    """The model that the results of the same date name; "" where there are none."""
    date = next((match["date"] for each in _NAMES if (match := each.fullmatch(path.name))), None)
    for results in files_matching(path.parent, "*results*.json"):
        if date and date in results.name:
            value = read_json(results)
            name = value.get("model_name") if isinstance(value, dict) else None
            return name if isinstance(name, str) else ""
    return ""
