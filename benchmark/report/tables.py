"""Markdown tables with aligned columns, numbers as text, PNG files, and scores as JSON rows."""

from __future__ import annotations

import dataclasses
import io
import re
from collections.abc import Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

from benchmark.results import interval as interval
from benchmark.results import percent as percent
from builders.errors import missing_package
from builders.files import write_bytes_atomically
from builders.processes import notice
from builders.untrusted import readable

if TYPE_CHECKING:  # commands print before torch and matplotlib are imported
    from matplotlib.figure import Figure

    from benchmark.results import Questions, Result, Score


def markdown_table(header: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """An aligned Markdown table: columns of numbers are right-aligned, the first and those of text left-aligned.

    >>> print(markdown_table(["task", "interval", "why"], [["probe", "1.0 to 2.0", "-"], ["knn", "-", "no k"]]))
    | task  |   interval | why  |
    | :---- | ---------: | :--- |
    | probe | 1.0 to 2.0 | -    |
    | knn   |          - | no k |
    """
    cells = [[readable(cell.replace("\n", " ")).replace("|", "\\|") for cell in row] for row in (header, *rows)]
    left = [i == 0 or not all(_is_number(row[i]) for row in cells[1:]) for i in range(len(header))]
    widths = [max(2, *(len(row[i]) for row in cells)) for i in range(len(header))]

    def line(row: Sequence[str]) -> str:
        padded = [c.ljust(w) if text else c.rjust(w) for c, w, text in zip(row, widths, left, strict=True)]
        return "| " + " | ".join(padded) + " |"

    rule = [":" + "-" * (w - 1) if text else "-" * (w - 1) + ":" for w, text in zip(widths, left, strict=True)]
    return "\n".join([line(cells[0]), "| " + " | ".join(rule) + " |", *(line(row) for row in cells[1:])])


_NUMBER = re.compile(r"(?:[<>] |at least |\u00b1 )?[+-]?\d[\d.,]*(?: ?(?:%|s|min|h|d|[kMG]?B))?")

_CELL = re.compile(rf"{_NUMBER.pattern}(?: to {_NUMBER.pattern})?(?: \({_NUMBER.pattern}(?: to {_NUMBER.pattern})?\))?")


def _is_number(cell: str) -> bool:
    """Whether a cell is empty, or a number, with a unit, as an interval, or with an interval in brackets."""
    return cell in ("", "-") or _CELL.fullmatch(cell) is not None


def score_cell(score: Score | None, signed: bool = False) -> str:
    """Value and interval of a score in percent; empty where there is none.

    >>> from benchmark.results import Score
    >>> score_cell(Score("knn/x", "toy", "spd", 0.1, 0.05, 0.2, 100, 0.0), signed=True)
    '+10.0 (+5.0 to +20.0)'
    """
    return f"{percent(score.value, signed)} ({interval(score.low, score.high, signed)})" if score is not None else ""


def p_value(value: float) -> str:
    """A p-value with four decimals.

    >>> p_value(0.04567), p_value(1e-9)
    ('0.0457', '< 0.0001')
    """
    return "< 0.0001" if value < 1e-4 else f"{value:.4f}"


DPI = 130
"""Dots per inch of a picture in a file."""


def can_draw(file: str) -> bool:
    """True if matplotlib is installed; else False, with a notice that ``file`` is left out."""
    if find_spec("matplotlib") is not None:
        return True
    notice(missing_package("matplotlib", f"{file}, which is left out,"))
    return False


def write_png(figure: Figure, path: Path) -> None:
    """Write a figure to a PNG file, atomically.

    The bytes are those of ``figure.savefig``, which would draw everything twice to lay it out (a sixth of the time that
    a report takes).
    """
    from matplotlib.backends.backend_agg import FigureCanvasAgg

    buffer = io.BytesIO()
    figure.set_dpi(DPI)
    figure.set_facecolor("white")
    FigureCanvasAgg(figure).print_png(buffer)  # type: ignore[no-untyped-call]
    write_bytes_atomically(path, buffer.getvalue())


def as_json(results: Sequence[Result], missing: dict[str, str], questions: Questions) -> dict[str, Any]:
    """Scores and statements of judgement as flat rows, and every failure with its reason.

    Args:
        results: of one run.
        missing: reason by encoder that has no result.
        questions: what the scores mean.
    """
    from benchmark.judgement import statements  # statistics take a while to import

    failures: list[dict[str, Any]] = [
        {**_names(result), "kind": failure.kind, "name": failure.name, "reason": failure.reason}
        for result in results
        for failure in result.failures
    ]
    failures += [
        {"encoder": None, "data": None, "kind": "not scored", "name": name, "reason": reason}
        for name, reason in missing.items()
    ]
    judged = [{**_names(r), **dataclasses.asdict(s)} for r in results for s in statements(r, questions)]
    return {"scores": score_rows(results), "statements": judged, "failures": failures}


def score_rows(results: Sequence[Result]) -> list[dict[str, Any]]:
    """One flat row for each score: encoder, data, task, metric, value, low, high, n, chance."""
    names = ("task", "metric", "value", "low", "high", "n", "chance")
    return [
        {**_names(result), **{name: getattr(score, name) for name in names}}
        for result in results
        for score in result.scores
    ]


def _names(result: Result) -> dict[str, str]:
    return {"encoder": str(result.encoder["id"]), "data": str(result.data["name"])}
