"""The data of a board for the page, as values for JSON and as CSV."""

from __future__ import annotations

import dataclasses
import json
import shlex
from collections.abc import Mapping, Sequence
from typing import Any

from benchmark.compute import library_version
from benchmark.leaderboard.board import CELL_FLAGS, Board, Cell, Column
from benchmark.leaderboard.columns import board_families
from benchmark.leaderboard.detectors import detector_view
from benchmark.leaderboard.entries import GROUP_LABELS, Entry, encoder_of
from benchmark.options import OPTIONS
from benchmark.results import STUDY_CITATION, STUDY_DATE, STUDY_URL, Refusal, group_means
from builders.untrusted import csv_text

BOARD_SCHEMA = 1
"""Version of the JSON form of a board."""

_SOURCE_NOTE = (
    "Published numbers are read off the study's own interactive figures; camtrace did not measure them. "
    "Their codec versions and random seeds are not known."
)

INTERVAL_NOTE = (
    "The study printed no intervals: those of published rows are the widest that its number of test photos allows "
    "(Wilson; Newcombe for differences), without the spread of training. The interval of a mean over tasks is the mean "
    "of their intervals' ends, which is never too narrow."
)

_RANKS_NOTE = (
    "Two measured rows whose answers by photo are stored with their results, on the same photos, are ranked by their "
    "paired difference (over scenes or owners, where photos come in these); every other pair, and any with a published "
    "row, by the two intervals, which finds fewer differences. All pairs of a column are corrected together (Holm)."
)


def board_json(board: Board, refused: Sequence[Refusal], title: str) -> dict[str, Any]:
    """The board in the form that the page reads. Numbers keep every digit."""
    present = {entry.group for entry in board.entries}
    families = {column.meaning.family for column in board.columns}
    return {
        "schema": BOARD_SCHEMA,
        "title": title,
        "version": library_version("camtrace") or "unreleased",
        "generated": newest_time(board),
        "source": {
            "citation": STUDY_CITATION,
            "url": STUDY_URL,
            "note": _SOURCE_NOTE,
            "interval_note": f"{INTERVAL_NOTE} {_RANKS_NOTE}",
        },
        "groups": [{"id": group, "label": label} for group, label in GROUP_LABELS.items() if group in present],
        "families": [{"id": i, "label": label, "explain": e} for i, label, e in board_families() if i in families],
        "parameters": list(dict.fromkeys(c.meaning.parameter for c in board.columns if c.meaning.parameter)),
        "flags": CELL_FLAGS,
        "data": [{"id": d.id, "label": d.label, "note": d.note} for d in board.data],
        "columns": [_column_json(column) for column in board.columns],
        "rows": [_row_json(entry, board) for entry in board.entries],
        "group_means": _group_means(board),
        "detectors": detector_view(board.entries),
        "refused": [dataclasses.asdict(refusal) for refusal in refused],
    }


def _group_means(board: Board) -> dict[str, dict[str, Any]]:
    """Mean, minimum and maximum by column and training type.

    An encoder that was both published and measured counts once; encoders with an eraser do not count.
    """
    groups = {entry.key: entry.group for entry in board.entries}
    ids = {entry.key: entry.id or entry.key for entry in board.entries}
    erased = {entry.key for entry in board.entries if entry.facts.get("eraser")}
    means = {}
    for column in board.columns:
        # Measured entries follow published ones, and replace them.
        once = {ids[key]: key for key in column.cells if key not in erased}
        values = {key: column.cells[key].value for key in once.values()}
        means[column.id] = {name: dataclasses.asdict(mean) for name, mean in group_means(values, groups).items()}
    return means


def _column_json(column: Column) -> dict[str, Any]:
    what = column.meaning
    return {
        "id": column.id,
        "family": what.family,
        "data": column.data,
        "task": column.task,
        "metric": column.metric,
        "label": what.label,
        "group": what.group,
        "explain": f"{what.explain} Here with {', '.join(filter(None, (column.settings, _pairing(column))))}.",
        "kind": what.kind,
        "parameter": what.parameter,
        "chance": column.chance,
        "ceiling": 1.0,
        "ranked": len(column.cells),
        "paired": _pairing(column),
    }


def _pairing(column: Column) -> str:
    """Which ranks of a column come from paired differences, in one clause."""
    rows = len(column.cells)
    paired = [cell.paired for cell in column.cells.values() if cell.paired]
    if not paired:
        return "ranks from the two intervals of each pair of rows"
    if sum(paired) == rows * (rows - 1):
        return "ranks from the paired difference of each pair of rows"
    return f"ranks from paired differences among {len(paired)} of {rows} rows, from two intervals elsewhere"


def _row_json(entry: Entry, board: Board) -> dict[str, Any]:
    notes = board.notes[entry.key]
    facts = entry.facts
    return {
        "key": entry.key,
        "name": entry.name,
        "id": entry.id,
        "origin": entry.origin,
        "group": entry.group,
        "group_label": GROUP_LABELS[entry.group],
        "library": facts.get("library") or "",
        "training": facts.get("training") or "",
        "input": facts.get("input"),
        "parameters": facts.get("parameters"),
        "dimension": facts.get("dimension"),
        "revision": facts.get("revision") or "",
        "weights_sha256": facts.get("weights_sha256") or "",
        "eraser": facts.get("eraser") or "",
        "of": encoder_of(entry, board.entries),
        "status": _status(notes),
        "notes": list(notes),
        "repeat": commands(entry),
        "similarities": any("similarities" in s.details for f in entry.files for s in f.result.scores),
        "results": [
            {
                "file": f.file,
                "data": str(f.result.data["name"]),
                "photos": _photos(f.result.data.get("photos")),
                "created": f.result.created,
                "canary": str(f.result.environment.get("codec_canary") or "")[:100],
                "device": str(f.result.environment.get("device") or "")[:100],
            }
            for f in entry.files
        ],
        "cells": [_cell_json(column.cells.get(entry.key)) for column in board.columns],
    }


def _photos(splits: object) -> str:
    """``40 train, 20 val``."""
    if not isinstance(splits, Mapping):
        return ""
    return ", ".join(f"{n:,} {str(split)[:20]}" for split, n in splits.items() if isinstance(n, int) and n)


def _status(notes: Sequence[str]) -> str:
    """The most important note in a word or two."""
    for start, word in (
        ("Conflicting", "conflict"),
        ("Partial", "partial"),
        ("Recorded failures", "failures"),
        ("Holds a smoke test", "smoke test"),
    ):
        if any(note.startswith(start) for note in notes):
            return word
    return ""


def _cell_json(cell: Cell | None) -> list[Any] | None:
    if cell is None:
        return None
    numbers: list[Any] = [cell.value, cell.low, cell.high, cell.n, cell.rank_low, cell.rank_high]
    return [*numbers, list(cell.flags)] if cell.flags else numbers


def newest_time(board: Board) -> str:
    """Time of the newest result; without results, that of the study."""
    return max([file.result.created for e in board.entries for file in e.files] or [STUDY_DATE])


def commands(entry: Entry) -> list[str]:
    """Commands that compute the numbers of a row, as far as its results record them."""
    if entry.origin == "published":
        if not entry.id:
            return []
        data = "--data imagenet:PATH --data inat2018:PATH"
        return [f"camtrace score --model {shlex.quote(entry.id)} {data} --preset iccv2025"]
    commands = []
    for file in entry.files:
        recorded = file.result.environment.get("command")
        if isinstance(recorded, str):
            local = file.result.environment.get("local")
            notes = [n for n in local.values() if isinstance(n, str)] if isinstance(local, Mapping) else []
            # Notes are shell comments, one on each line, so that a copied text runs, or explains why it cannot.
            commands.append("\n".join([*(f"# {' '.join(n.split())[:500]}" for n in notes), recorded[:2000]]))
            continue
        name = str(file.result.data["name"])
        # A name is a data specification only where it needs no path.
        data = f"{name}:PATH" if name in ("imagenet", "inat2018") else name
        parts = ["camtrace score", f"--model {shlex.quote(entry.id)}", f"--data {shlex.quote(data)}"]
        if revision := entry.facts.get("revision"):
            parts.append(f"--revision {shlex.quote(revision)}")
        options = file.result.environment.get("options")
        for option in OPTIONS:
            value = options.get(option.name) if isinstance(options, Mapping) else None
            stated = option.changes_question and option.role.on_command_line
            if stated and isinstance(value, int | float | str) and not isinstance(value, bool):
                parts.append(f"{option.flag} {shlex.quote(str(value))}")
        commands.append(" ".join(parts))
    return list(dict.fromkeys(commands))


def board_csv(board: Board) -> str:
    """The board in long form: one line for each score, every digit."""
    names = ("encoder", "id", "origin", "group", "data", "task", "metric", "settings")
    rows: list[list[object]] = [
        [*names, "value", "low", "high", "n", "chance", "rank_low", "rank_high", "paired", "flags"]
    ]
    for entry in board.entries:
        for column in board.columns:
            cell = column.cells.get(entry.key)
            if cell is None:
                continue
            texts = [entry.name, entry.id, entry.origin, entry.group, column.data, column.task, column.metric]
            numbers = [cell.value, cell.low, cell.high, cell.n, column.chance]
            ranks = [cell.rank_low, cell.rank_high, cell.paired]
            rows.append([*texts, column.settings, *numbers, *ranks, " ".join(cell.flags)])
    return csv_text(rows)


def as_json(value: object) -> str:
    """Compact strict JSON."""
    return json.dumps(value, ensure_ascii=False, allow_nan=False, separators=(",", ":"))


def script_safe(text: str) -> str:
    """JSON that may stand in a script: no sequence that ends or opens a tag, no line separator that parsers refuse."""
    return text.replace("<", "\\u003c").replace("\u2028", "\\u2028").replace("\u2029", "\\u2029")
