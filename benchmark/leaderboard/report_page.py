"""``report.html``: the page of a run as one file that opens from disk, with the page, style and script of the board."""

from __future__ import annotations

import base64
import dataclasses
import hashlib
import html
import re
from collections.abc import Sequence
from importlib import resources
from pathlib import Path
from typing import Any

from benchmark.leaderboard.board import build_board
from benchmark.leaderboard.board_data import INTERVAL_NOTE, as_json, board_json, script_safe
from benchmark.leaderboard.entries import Entry, measured_entries, published_entries, study_facts
from benchmark.leaderboard.first_screen import first_screen
from benchmark.leaderboard.shown_photos import shown_photos
from benchmark.results import Result, ResultFile, folder_name, published_encoders
from benchmark.tasks import all_tasks
from builders.files import write_text_atomically
from builders.photos import TERMS_OF_USE, PhotoSet
from builders.untrusted import readable

_BOARD_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; base-uri 'none'; form-action 'none'"
)

TAGLINE = "What the embedding shows of {}, and what that costs search by content."

MOST_GROUPS = 2
"""Groups that the line below the heading names."""

RANKS_NOTE = (
    "Ranks on this page are from the two intervals of each pair of rows, not from paired differences, which find more."
)


def write_report_page(
    results: Sequence[Result],
    text: str,
    path: Path,
    *,
    published: bool = False,
    photos: Sequence[PhotoSet] = (),
) -> None:
    """Write the page of a run: its text, the figures with their data, and the board of its encoders.

    The file loads nothing: style, script and data are in it, and its policy allows no others. Equal input gives equal
    bytes.

    Args:
        results: of the run; without any, nothing is written.
        text: from ``benchmark.report.report_text``.
        path: of the file.
        published: whether the study's 47 encoders are on its board and in its figures; such a page is for others.
        photos: scored photo sets; the page shows small copies of some photos that its figures name, where
            ``may_be_shown`` allows it.
    """
    if results:
        write_text_atomically(path, report_page(results, text, published=published, photos=photos))


def report_page(
    results: Sequence[Result], text: str, *, published: bool = False, photos: Sequence[PhotoSet] = ()
) -> str:
    """The page as text. Untrusted text is in it only as JSON, from which the page makes text nodes."""
    site = resources.files("benchmark.leaderboard") / "site"
    page, style, script, licences = (
        (site / name).read_text(encoding="utf-8") for name in ("index.html", "style.css", "board.js", "licences.txt")
    )
    data = script_safe(as_json(_data(results, text, published, photos)))
    policy = (
        f"default-src 'none'; script-src '{_hash(script)}'; style-src '{_hash(style)}'; img-src data:; "
        "base-uri 'none'; form-action 'none'"
    )
    parts = {
        _BOARD_POLICY: policy,
        '<link rel="stylesheet" href="style.css">': f"<style>{style}</style>",
        '<script src="data.js"></script>\n<script src="board.js"></script>': (
            f'<script type="application/json" id="camtrace-board">{data}</script>\n'
            f'<script type="text/plain" id="licences">{licences}</script>\n<script>{script}</script>'
        ),
        "<title>camtrace leaderboard</title>": f"<title>camtrace report: {html.escape(_heading(results))}</title>",
        "The numbers are also in data.json and board.csv.": "Its text is also in report.md.",
        "Skip to the board": "Skip to the report",
    }
    return _replaced(page, parts)


def _replaced(page: str, parts: dict[str, str]) -> str:
    """The page with the first occurrence of each key replaced by its value; inserted values are not searched."""
    positions = sorted((page.index(key), key) for key in parts)
    done, at = [], 0
    for start, key in positions:
        done += [page[at:start], parts[key]]
        at = start + len(key)
    return "".join([*done, page[at:]])


def _hash(text: str) -> str:
    """Hash of an inline style or script in the form of a content policy."""
    return "sha256-" + base64.b64encode(hashlib.sha256(text.encode("utf-8")).digest()).decode("ascii")


def _heading(results: Sequence[Result]) -> str:
    encoders = list(dict.fromkeys(str(r.encoder["id"]) for r in results))
    return encoders[0] if len(encoders) == 1 else f"{len(encoders)} encoders"


def _tagline(results: Sequence[Result]) -> str:
    """What the page answers."""
    questions = all_tasks()
    tasks = {score.task for result in results for score in result.scores}
    taglines = {questions[task].family.tagline if task in questions else "" for task in tasks}
    if len(taglines) == 1 and (tagline := taglines.pop()):
        return tagline
    return TAGLINE.format(_subject(results))


def _subject(results: Sequence[Result]) -> str:
    """What the traces of the results are about: the given groups by name where there are no others."""
    groups, questions = set(), all_tasks()
    for name in {score.task for result in results for score in result.scores}:
        question = questions.get(name)
        if question is not None and question.about_group:
            groups.add(readable(name.partition("/")[2]))
        elif question is None or question.family.name != "plain":
            return "the camera and the codec"
    return " and ".join(sorted(groups)) if 0 < len(groups) <= MOST_GROUPS else "the camera and the codec"


def _simulated_in_layouts(results: Sequence[Result]) -> list[str]:
    """A sentence if data sets were simulated in the layout of a real one, whose name they have; none else."""
    facts = {str(r.data["name"]): r.data.get("evidence") or {} for r in results}
    names = [readable(name) for name, one in facts.items() if one.get("simulated") and one.get(TERMS_OF_USE)]
    return [f"Simulated: no camera took the photos of {' and '.join(names)}."] if names else []


def _data(results: Sequence[Result], text: str, published: bool, photos: Sequence[PhotoSet]) -> dict[str, Any]:
    """The data of the page: those of a board, with the report, the results and the photos."""
    files = [ResultFile(_file_name(result), result) for result in results]
    entries = measured_entries(files)
    first = first_screen(results, entries, published_encoders())
    if published:
        entries = [*published_entries(published_encoders(), study_facts()), *entries]
    board = build_board(entries)
    page = board_json(board, (), _heading(results))
    shown = shown_photos(results, photos, passed_on=published)
    return {
        **page,
        "source": {**page["source"], "interval_note": f"{INTERVAL_NOTE} {RANKS_NOTE}"},
        "photos": shown.photos,
        "views": shown.views,
        "tagline": " ".join([_tagline(results), *_simulated_in_layouts(results)]),
        "first": first,
        "report": blocks_of(text),
        "details": {entry.key: _details(entry) for entry in entries if entry.files},
    }


def _file_name(result: Result) -> str:
    return f"{folder_name(str(result.encoder['id']))}/{folder_name(str(result.data['name']))}/result.json"


def _details(entry: Entry) -> list[dict[str, Any]]:
    """The results of an entry, with shortened histograms."""
    files: list[dict[str, Any]] = [
        {"file": file.file, "result": dataclasses.asdict(file.result)} for file in entry.files
    ]
    for file in files:
        for score in file["result"]["scores"]:
            if histograms := score["details"].get("similarities"):
                score["details"]["similarities"] = [_shortened(histogram) for histogram in histograms]
    return files


def _shortened(histogram: dict[str, Any]) -> dict[str, Any]:
    """A histogram with its first and last edge alone where all bins are equally wide; the page computes the others.

    In 360 histograms (five encoders on three data sets) the other edges take a quarter of a megabyte.
    """
    edges = histogram["edges"]
    width = (edges[-1] - edges[0]) / (len(edges) - 1)
    equal = all(abs(edge - edges[0] - i * width) < 1e-9 for i, edge in enumerate(edges))
    return {**histogram, "edges": [edges[0], edges[-1]]} if equal else histogram


def blocks_of(text: str) -> list[dict[str, Any]]:
    r"""Blocks of a Markdown text, each an object with its ``kind``.

    ``heading`` has ``level`` and ``text``; ``paragraph`` and ``code`` have ``text``; ``table`` has ``head``, ``rows``
    and ``right`` (which columns are right-aligned).

    >>> heading, table, paragraph, code = blocks_of(
    ...     "## one\n\n| a \\| b |  % |\n| :--- | --: |\n| x | 1.0 |\n\nSo.\nIt is.\n\n    run this\n"
    ... )
    >>> table
    {'kind': 'table', 'head': ['a | b', '%'], 'rows': [['x', '1.0']], 'right': [False, True]}
    >>> heading["text"], paragraph["text"], code["text"]
    ('one', 'So. It is.', 'run this')
    """
    return [_block(lines) for part in re.split(r"\n[ \t]*\n", text) if (lines := part.strip("\n").split("\n")) != [""]]


def _block(lines: list[str]) -> dict[str, Any]:
    if lines[0].startswith("#") and len(lines) == 1:
        text = lines[0].lstrip("#")
        return {"kind": "heading", "level": len(lines[0]) - len(text), "text": text.strip()}
    if len(lines) > 1 and all(line.startswith("|") for line in lines) and re.fullmatch(r"[|:\- ]+", lines[1]):
        head, rule, *rows = map(_cells, lines)
        return {"kind": "table", "head": head, "rows": rows, "right": [cell.endswith(":") for cell in rule]}
    if all(line.startswith("    ") for line in lines):
        return {"kind": "code", "text": "\n".join(line[4:] for line in lines)}
    return {"kind": "paragraph", "text": " ".join(line.strip() for line in lines)}


def _cells(line: str) -> list[str]:
    """The cells of one row; a bar within a cell is written as backslash and bar."""
    inner = line.strip().removeprefix("|").removesuffix("|")
    return [cell.strip().replace("\\|", "|") for cell in re.split(r"(?<!\\)\|", inner)]
