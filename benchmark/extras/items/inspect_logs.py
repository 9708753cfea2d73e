"""Logs of inspect_ai: ``.eval`` archives and ``.json`` files (format version 2)."""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from benchmark.extras.items.scores import TEXT, Columns, ScoredRows, listed, number
from builders.errors import DataError, unknown_name
from builders.untrusted import MAX_JSON_BYTES, MAX_LOG_BYTES, open_archive, parse_json, readable

_WORDS = {"C": 1.0, "P": 0.5, "I": 0.0, "N": 0.0, "yes": 1.0, "true": 1.0, "no": 0.0, "false": 0.0}
"""Values that inspect_ai's ``value_to_float`` knows by default."""


_NAME = re.compile(r"\d{4}-\d\d-\d\dT[\d+:-]+_.+_.+\.(eval|json)")
"""Of a log: date, task and its id."""


def is_inspect_name(path: Path) -> bool:
    """Whether a file of a folder has the name of a log.

    >>> is_inspect_name(Path("2026-11-29T05-22-27-00-00_sums_SDSMmdxMnx4idnGY9HxYwV.json")), is_inspect_name(Path("a"))
    (True, False)
    """
    return path.suffix.lower() == ".eval" or _NAME.fullmatch(path.name) is not None


def is_inspect_log(value: Any) -> bool:
    """Whether a JSON value is a log of inspect_ai."""
    return isinstance(value, dict) and isinstance(value.get("eval"), dict) and "status" in value


def read_inspect_log(path: Path, argument: int, columns: Columns, value: Any = None) -> ScoredRows:
    """One score for each sample and epoch.

    Args:
        path: of the log.
        argument: as in ``ScoredRows``.
        columns: the score is a scorer, or ``scorer/key`` where its value is a dictionary, by default the first; the
            cluster is a key of the samples' metadata.
        value: of a ``.json`` log.

    Raises:
        UsageError: there is no such scorer or key.
        DataError: it cannot be read, or has no samples or no scores.
    """
    header, samples = _of_archive(path) if value is None else (value, value.get("samples"))
    of_eval = header.get("eval") if isinstance(header, dict) else None
    if not isinstance(of_eval, dict):
        raise DataError(f"{path}: no log of inspect_ai")
    rows = [each for each in samples if isinstance(each, dict) and "id" in each] if isinstance(samples, list) else []
    scored = [_scores(sample) for sample in rows]
    names = list(dict.fromkeys(name for scores in scored for name in scores))
    if not names:
        raise DataError(f"{path}: no sample has a score (status: {readable(str(header.get('status')))})")
    metric = columns.score or names[0]
    if metric not in names:
        raise unknown_name(f"score of {path.name}", metric, map(readable, names))
    clusters = None
    if columns.cluster is not None:
        metadata = [each if isinstance(each := row.get("metadata"), dict) else {} for row in rows]
        if lacking := [row["id"] for row, each in zip(rows, metadata, strict=True) if columns.cluster not in each]:
            keys = {key for each in metadata for key in each}
            if len(lacking) == len(rows):
                raise unknown_name(f"metadata of {path.name}", columns.cluster, map(readable, keys))
            raise DataError(f"{path}: {listed(pa.array(map(str, lacking)), 'sample')} without {columns.cluster}")
        clusters = pa.array([str(each[columns.cluster]) for each in metadata], TEXT)
    return ScoredRows(
        os.fspath(path),
        argument,
        readable(str(of_eval.get("model"))),
        readable(str(of_eval.get("task"))),
        readable(metric),
        pa.array([str(row["id"]) for row in rows], TEXT),
        np.array([scores.get(metric, np.nan) for scores in scored]),
        clusters,
        epochs=True,
        other_metrics=tuple(readable(name) for name in names if name != metric),
    )


def _scores(sample: Mapping[str, Any]) -> dict[str, float]:
    """Numbers of a sample by scorer, and by ``scorer/key``."""
    values: dict[str, float] = {}
    scores = sample.get("scores")
    for scorer, score in scores.items() if isinstance(scores, dict) else ():
        value = score.get("value") if isinstance(score, dict) else score
        parts = {f"{scorer}/{k}": v for k, v in value.items()} if isinstance(value, dict) else {scorer: value}
        for name, part in parts.items():
            by_word = _WORDS.get(part, _WORDS.get(part.lower())) if isinstance(part, str) else None
            if (as_number := number(part) if by_word is None else by_word) is not None:
                values[name] = as_number
    return values


def _of_archive(path: Path) -> tuple[Any, list[Any]]:
    with open_archive(path, limit=MAX_LOG_BYTES) as archive:

        def value(name: str) -> Any:
            text = archive.read(name, limit=MAX_JSON_BYTES).decode("utf-8")
            return parse_json(text, f"{os.fspath(path)}: {name}", not_finite=True)

        names = set(archive.names)
        journal = sorted(
            (name for name in names if name.startswith("_journal/summaries/")), key=lambda name: (len(name), name)
        )
        start = next((name for name in ("header.json", "_journal/start.json") if name in names), None)
        if start is None or not ("summaries.json" in names or journal):
            raise DataError(f"{path}: no log of inspect_ai, or one without samples")
        parts = ["summaries.json"] if "summaries.json" in names else journal
        return value(start), list(_flat(value(name) for name in parts))


def _flat(parts: Iterable[Any]) -> Iterable[Any]:
    for part in parts:
        yield from part if isinstance(part, list) else ()
