"""Which reader a path needs: a log of a harness, a folder of logs, or a table with named columns."""

from __future__ import annotations

import fnmatch
import os
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from benchmark.extras.items.harness_logs import is_samples_file, read_samples, task_of_samples
from benchmark.extras.items.inspect_logs import is_inspect_log, is_inspect_name, read_inspect_log
from benchmark.extras.items.scores import TEXT, Columns, ScoredRows, joined, score_values
from benchmark.extras.items.tables import SUFFIXES, column_names, read_columns_of
from builders.errors import DataError, UsageError, unknown_name
from builders.untrusted import first_line, list_folder, read_json, readable

if TYPE_CHECKING:
    import pandas

RESULT = "result.json"

_VLMEVALKIT = frozenset(("index", "prediction"))
"""Columns of every file of predictions of VLMEvalKit."""

_VLMEVALKIT_SCORES = ("hit", "score", "eval_score", "match")
"""Columns that its evaluations add, by data set."""


def is_item_source(path: Path) -> bool:
    """Whether a path is a file of scores by item, or a folder of logs and not of results of camtrace."""
    if not path.is_dir():
        return path.suffix.lower() in (".eval", *SUFFIXES)
    folder = list_folder(path)
    return RESULT not in folder.files and bool(_logs_of(path, folder.files))


def read_sources(
    paths: Sequence[Path | tuple[str, pandas.DataFrame]], columns: Columns, patterns: Sequence[str] = ()
) -> list[ScoredRows]:
    """The scores of every path by system and task; each path is one system, unless a column names the systems.

    Args:
        paths: files, folders of logs, or a name with a frame.
        columns: of tables; with logs ``score`` is a metric and ``cluster`` a field of the samples.
        patterns: of tasks; all by default.

    Raises:
        UsageError: a column is missing or not named, or a pattern matches no task.
        DataError: a path cannot be read, or holds no scores.
    """
    rows: list[ScoredRows] = []
    for argument, path in enumerate(paths):
        if isinstance(path, tuple):
            try:
                table = pa.Table.from_pandas(path[1], preserve_index=False)
            except pa.ArrowException as error:
                raise DataError(f"{path[0]}: a column holds values of several types ({first_line(error)})") from None
            rows += _rows_of_table(table, path[0], path[0], argument, columns)
        elif not path.exists():
            raise DataError(f"{path}: there is no such file or folder")
        elif path.is_dir():
            logs = _logs_of(path, list_folder(path).files)
            if not logs:
                raise DataError(f"{path}: there is no log in it that is known, and no result of camtrace")
            for log in logs:
                if not is_samples_file(log) or _is_wanted(task_of_samples(log), patterns):
                    rows += _rows_of_file(log, argument, columns, folder=path)
        else:
            rows += _rows_of_file(path, argument, columns)
    tasks = {each.task for each in rows}
    for pattern in patterns:
        if not fnmatch.filter(tasks, pattern):
            raise unknown_name("task", pattern, tasks)
    rows = [each for each in rows if _is_wanted(each.task, patterns)]
    by_key: dict[tuple[int, str, str], list[ScoredRows]] = {}
    for each in rows:
        by_key.setdefault((each.argument, each.system, each.task), []).append(each)
    return _named([joined(members) for members in by_key.values()])


def _is_wanted(task: str, patterns: Sequence[str]) -> bool:
    return not patterns or any(fnmatch.fnmatchcase(task, pattern) for pattern in patterns)


def _logs_of(folder: Path, names: Sequence[str]) -> list[Path]:
    """Logs in a folder: of inspect_ai, samples of the two harnesses, or evaluated predictions of VLMEvalKit."""
    paths = [folder / name for name in names]
    logs = [p for p in paths if is_inspect_name(p) or is_samples_file(p)]
    if logs:
        return logs
    tables = [p for p in paths if p.name.startswith(f"{folder.resolve().name}_") and p.suffix.lower() in SUFFIXES]
    return [p for p in tables if _is_evaluated(p)]


def _is_evaluated(path: Path) -> bool:
    """Whether a table holds evaluated predictions of VLMEvalKit, which writes other files beside them."""
    try:
        return bool(_scores_of_vlmevalkit(column_names(path)))
    except DataError:
        return False


def _scores_of_vlmevalkit(names: Sequence[str]) -> list[str]:
    return [name for name in _VLMEVALKIT_SCORES if name in names] if set(names) >= _VLMEVALKIT else []


def _rows_of_file(path: Path, argument: int, columns: Columns, folder: Path | None = None) -> list[ScoredRows]:
    suffix = path.suffix.lower()
    if suffix not in (".eval", *SUFFIXES):
        raise DataError(f"{path}: not one of the kinds that are read: .eval, {', '.join(SUFFIXES)}")
    if suffix == ".eval":
        return [read_inspect_log(path, argument, columns)]
    value = read_json(path) if suffix == ".json" else None
    if is_inspect_log(value):
        return [read_inspect_log(path, argument, columns, value)]
    if columns.item is None and is_samples_file(path):
        return [read_samples(path, argument, columns)]
    names = column_names(path, value)
    item, score, task = columns.item, columns.score, ""
    if scores := _scores_of_vlmevalkit(names):
        item, score = item or "index", score or scores[0]
        task = path.stem.removeprefix(f"{folder.resolve().name}_") if folder else ""
    if item is None or score is None:
        shown = ", ".join(map(readable, names[:12]))
        raise UsageError(f"{path}: a table; --item and --score name its columns, which are: {shown}")
    full = replace(columns, item=item, score=score)
    wanted = [name for name in (item, score, full.cluster, full.task, full.system) if name is not None]
    system = folder.resolve().name if folder else path.stem
    table = read_columns_of(path, wanted, names, value)
    return _rows_of_table(table, os.fspath(path), system, argument, full, task)


def _rows_of_table(
    table: pa.Table, where: str, system: str, argument: int, columns: Columns, task: str = ""
) -> list[ScoredRows]:
    if columns.item is None or columns.score is None:
        raise UsageError(f"{where}: a table; item and score name its columns")
    missing = {columns.item, columns.score, columns.cluster, columns.task, columns.system} - {None, *table.column_names}
    if missing:
        raise UsageError(f"{where}: there is no column {readable(str(sorted(map(str, missing))[0]))!r}")
    if not table.num_rows:
        raise DataError(f"{where}: there is no row")

    def text(name: str) -> pa.Array:
        column = table.column(name).combine_chunks()
        column = column.dictionary_decode() if pa.types.is_dictionary(column.type) else column
        try:
            return column.cast(TEXT)
        except (pa.ArrowException, NotImplementedError):
            raise DataError(f"{where}: the column {readable(name)!r} is neither text nor numbers") from None

    items = text(columns.item)
    scores = score_values(table.column(columns.score).combine_chunks(), where)
    clusters = None if columns.cluster is None else text(columns.cluster)
    splits = [(name, text(name)) for name in (columns.system, columns.task) if name is not None]
    for name, labels in ((columns.cluster, clusters), *splits):
        if labels is not None and labels.null_count and name != columns.task:
            raise DataError(f"{where}: {labels.null_count:,} rows have no {readable(name or '')}")
    whole = ScoredRows(where, argument, readable(system), task, readable(columns.score), items, scores, clusters)
    if not splits:
        return [whole]
    splits = [
        (name, labels.fill_null("")) for name, labels in splits
    ]  # a row without a task is of a task without a name
    joint = pc.binary_join_element_wise(*(labels for _, labels in splits), pa.scalar("\0", TEXT))
    encoded = joint.dictionary_encode()
    codes = encoded.indices.to_numpy(zero_copy_only=False)
    parts = []
    for code, label in enumerate(encoded.dictionary.to_pylist()):
        rows = np.flatnonzero(codes == code)
        names = label.split("\0")
        of_system = whole.system if columns.system is None else readable(names[0])
        of_task = whole.task if columns.task is None else readable(names[-1])
        of_clusters = None if clusters is None else clusters.take(pa.array(rows))
        part = replace(whole, items=items.take(pa.array(rows)), scores=scores[rows], clusters=of_clusters)
        parts.append(replace(part, system=of_system, task=of_task))
    return parts


def _named(rows: Sequence[ScoredRows]) -> list[ScoredRows]:
    """Systems whose name several arguments have get the argument's file or folder behind it."""
    arguments: dict[str, set[int]] = {}
    for each in rows:
        arguments.setdefault(each.system, set()).add(each.argument)
    names: Mapping[tuple[str, int], str] = {
        (each.system, each.argument): f"{each.system} ({readable(each.where)})"
        for each in reversed(rows)
        if len(arguments[each.system]) > 1
    }
    return [replace(each, system=names.get((each.system, each.argument), each.system)) for each in rows]
