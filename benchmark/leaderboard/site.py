"""A board as files: the page, its data as a classic script (a page opened from a file cannot fetch), JSON and CSV."""

from __future__ import annotations

import csv
import dataclasses
import io
import json
import shlex
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from importlib import resources
from pathlib import Path
from typing import Any

from benchmark.compute import library_version
from benchmark.leaderboard.board import CELL_FLAGS, Board, Cell, Column, build_board
from benchmark.leaderboard.columns import board_families
from benchmark.leaderboard.entries import (
    GROUP_LABELS,
    Entry,
    encoder_of,
    measured_entries,
    objection,
    published_entries,
    study_facts,
)
from benchmark.options import CHOICES
from benchmark.results import (
    STUDY_CITATION,
    STUDY_DATE,
    STUDY_URL,
    ReadResults,
    Refusal,
    ResultFile,
    group_means,
    published_encoders,
    read_results,
)
from builders.errors import UsageError
from builders.files import sweep_temporaries, write_text_atomically


def commands(entry: Entry) -> list[str]:
    """How to make the row's numbers, as far as its results say."""
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
            # As comments of the shell, each on one line of its own: what is copied runs, or says why it cannot.
            commands.append("\n".join([*(f"# {' '.join(n.split())[:500]}" for n in notes), recorded[:2000]]))
            continue
        name = str(file.result.data["name"])
        # A name is the specification only where it needs no place on somebody's disk.
        data = f"{name}:PATH" if name in ("imagenet", "inat2018") else name
        parts = ["camtrace score", f"--model {shlex.quote(entry.id)}", f"--data {shlex.quote(data)}"]
        if revision := entry.facts.get("revision"):
            parts.append(f"--revision {shlex.quote(revision)}")
        options = file.result.environment.get("options")
        for option, flag in _OPTIONS.items():
            value = options.get(option) if isinstance(options, Mapping) else None
            if isinstance(value, int | float | str) and not isinstance(value, bool):
                parts.append(f"{flag} {shlex.quote(str(value))}")
        commands.append(" ".join(parts))
    return list(dict.fromkeys(commands))


_OPTIONS = {name: f"--{name}" for name in ("preset", *CHOICES)} | {
    "neighbours": "--neighbours",
    "mask_ratio": "--mask-ratio",
    "seed": "--seed",
}


def board_csv(board: Board) -> str:
    """Long form: one line per score, every digit."""
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    names = ("encoder", "id", "origin", "group", "data", "task", "metric", "settings")
    writer.writerow([*names, "value", "low", "high", "n", "chance", "rank_low", "rank_high", "paired", "flags"])
    for entry in board.entries:
        for column in board.columns:
            cell = column.cells.get(entry.key)
            if cell is None:
                continue
            texts = [entry.name, entry.id, entry.origin, entry.group, column.data, column.task, column.metric]
            numbers = [cell.value, cell.low, cell.high, cell.n, column.chance]
            ranks = [cell.rank_low, cell.rank_high, cell.paired]
            writer.writerow(
                [*map(_cell_text, [*texts, column.settings]), *numbers, *ranks, " ".join(cell.flags)],
            )
    return out.getvalue()


def _cell_text(text: str) -> str:
    """A spreadsheet runs a text that begins like a formula: an apostrophe keeps it a text.

    >>> _cell_text("=1+1")
    "'=1+1"
    """
    return f"'{text}" if text[:1] in ("=", "+", "-", "@", "\t", "\r") else text


PAGE_FILES = ("index.html", "style.css", "board.js", "licences.txt")

BOARD_SCHEMA = 1

DEFAULT_TITLE = "camtrace leaderboard"

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
    "Two measured rows whose answers by photo lie beside their results, on the same photos, are ranked by their paired "
    "difference (over scenes or owners, where photos come in these); every other pair, and any with a published row, "
    "by the two intervals, which finds fewer differences. All pairs of a column are corrected together (Holm)."
)


@dataclass(frozen=True)
class WrittenSite:
    """What a leaderboard was made of."""

    published: int
    """Encoders of the study."""
    measured: int
    """Encoders of the result files."""
    files: int
    """Result files that were accepted."""
    columns: int
    refused: tuple[Refusal, ...]
    """Result files that were not accepted, with the reason."""
    left_out: tuple[Refusal, ...]
    """Columns beyond the limit."""
    loaded_bytes: int
    """Bytes that a visitor loads before asking for more."""


def build_leaderboard(
    sources: Sequence[str], folder: Path, *, title: str = DEFAULT_TITLE, published: bool = True
) -> WrittenSite:
    """Read results and write the leaderboard of them.

    Args:
        sources: folders of result files, or Hub data sets ``owner/name[@revision]``.
        folder: new, empty or an older site.
        title: heading of the page.
        published: whether the study's published encoders are shown too.

    Raises:
        UsageError: the folder holds something else.
        DataError, RemoteError: a source cannot be read.
    """
    read = _read_all(sources)
    of_study = published_entries(published_encoders(), study_facts()) if published else []
    board = build_board([*of_study, *measured_entries(read.accepted)])
    left_out = tuple(Refusal("columns", why) for why in board.left_out)
    loaded = write_site(board, [*read.refused, *left_out], folder, title=title)
    measured = len(board.entries) - len(of_study)
    refused = tuple(read.refused)
    return WrittenSite(
        len(of_study), measured, len(read.accepted), len(board.columns), refused, left_out, loaded_bytes=loaded
    )


def _read_all(sources: Sequence[str]) -> ReadResults:
    accepted: list[ResultFile] = []
    refused: list[Refusal] = []
    for source in sources:
        read = read_results(source, objection)
        accepted += read.accepted
        refused += read.refused
    seen: dict[str, str] = {}
    unique = []
    for file in accepted:
        text = file.result.to_json()
        if text in seen:
            refused.append(Refusal(file.file, f"the same result as {seen[text]}"))
        else:
            seen[text] = file.file
            unique.append(file)
    return ReadResults(tuple(unique), tuple(refused))


def write_site(board: Board, refused: Sequence[Refusal], folder: Path, *, title: str) -> int:
    """Write the whole site into a folder that is new, empty or an older site. Equal input gives equal bytes.

    Returns:
        Bytes that a visitor loads before asking for more: page, style, script, data.

    Raises:
        UsageError: the folder holds something else.
    """
    for place in (folder, folder / "encoders"):
        sweep_temporaries(place)
    if folder.exists() and not (folder.is_dir() and ((folder / "data.json").is_file() or _begun(folder))):
        raise UsageError(f"--output {folder}: it is there and is no leaderboard; choose a new folder")
    _write_details(board.entries, folder / "encoders")
    # In this order a reader of the folder never meets a page whose data are missing.
    text = as_json(board_json(board, refused, title))
    write_text_atomically(folder / "data.json", text)
    write_text_atomically(folder / "data.js", f"window.CAMTRACE_BOARD={script_safe(text)};\n")
    write_text_atomically(folder / "board.csv", board_csv(board))
    page = resources.files("benchmark.leaderboard") / "site"
    for name in PAGE_FILES:
        write_text_atomically(folder / name, (page / name).read_text(encoding="utf-8"))
    write_text_atomically(folder / "README.md", _card(board, title))
    return sum((folder / name).stat().st_size for name in ("index.html", "style.css", "board.js", "data.js"))


def _begun(folder: Path) -> bool:
    """Whether a folder is empty, or holds only what a board that was stopped before its data had written."""
    if any(path.name != "encoders" or not path.is_dir() for path in folder.iterdir()):
        return False
    return all(path.match("measured-*.js") for path in folder.glob("encoders/*"))


def _card(board: Board, title: str) -> str:
    """README.md of a static Space: front matter for the Hub, text for people."""
    import jinja2

    template = (resources.files("cards") / "leaderboard.md.jinja").read_text(encoding="utf-8")
    published_rows = sum(entry.origin == "published" for entry in board.entries)
    environment = jinja2.Environment(undefined=jinja2.StrictUndefined, keep_trailing_newline=True)
    return environment.from_string(template).render(
        title=title,
        published=published_rows,
        measured=len(board.entries) - published_rows,
        generated=_newest(board),
    )


def _newest(board: Board) -> str:
    """Time of the newest result; that of the study if there is no other."""
    return max([file.result.created for e in board.entries for file in e.files] or [STUDY_DATE])


def board_json(board: Board, refused: Sequence[Refusal], title: str) -> dict[str, Any]:
    """The board as the page reads it. Numbers keep every digit."""
    present = {entry.group for entry in board.entries}
    families = {column.meaning.family for column in board.columns}
    return {
        "schema": BOARD_SCHEMA,
        "title": title,
        "version": library_version("camtrace") or "unreleased",
        "generated": _newest(board),
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
        "refused": [dataclasses.asdict(refusal) for refusal in refused],
    }


def _group_means(board: Board) -> dict[str, dict[str, Any]]:
    """Mean, least and greatest by column and training type. An encoder that was published and measured counts once, and
    not with an eraser in place."""
    groups = {entry.key: entry.group for entry in board.entries}
    ids = {entry.key: entry.id or entry.key for entry in board.entries}
    erased = {entry.key for entry in board.entries if entry.facts.get("eraser")}
    means = {}
    for column in board.columns:
        # Measured entries come after published ones, and take their place.
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
    """Which ranks of a column rest on paired differences, in one clause."""
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
    """The most telling note in a word or two."""
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


def _write_details(entries: Iterable[Entry], folder: Path) -> None:
    """The full results of each measured encoder, loaded by the page only when asked for."""
    wanted = set()
    for entry in entries:
        if not entry.files:
            continue
        results = [{"file": f.file, "result": dataclasses.asdict(f.result)} for f in entry.files]
        name = f"{entry.key}.js"
        wanted.add(name)
        text = f"CAMTRACE.detail({json.dumps(entry.key)},{script_safe(as_json(results))});\n"
        write_text_atomically(folder / name, text)
    for path in folder.glob("measured-*.js"):
        if path.name not in wanted:
            path.unlink()


def as_json(value: object) -> str:
    """Compact strict JSON."""
    return json.dumps(value, ensure_ascii=False, allow_nan=False, separators=(",", ":"))


def script_safe(text: str) -> str:
    """JSON as a script: no sequence that could end or open a tag, no line separator that old parsers refuse."""
    return text.replace("<", "\\u003c").replace("\u2028", "\\u2028").replace("\u2029", "\\u2029")
