"""Tables of text for people: Markdown whose columns line up, so that it reads the same in a terminal and on the web."""

from __future__ import annotations

from collections.abc import Sequence


def markdown_table(header: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """An aligned Markdown table; the first column is left-aligned, the others right-aligned.

    >>> print(markdown_table(["task", "n"], [["probe/jpeg", "12"]]))
    | task       |  n |
    | :--------- | -: |
    | probe/jpeg | 12 |
    """
    cells = [[cell.replace("|", "\\|").replace("\n", " ") for cell in row] for row in (header, *rows)]
    widths = [max(2, *(len(row[i]) for row in cells)) for i in range(len(header))]

    def line(row: Sequence[str]) -> str:
        padded = [c.ljust(w) if i == 0 else c.rjust(w) for i, (c, w) in enumerate(zip(row, widths, strict=True))]
        return "| " + " | ".join(padded) + " |"

    rule = [":" + "-" * (w - 1) if i == 0 else "-" * (w - 1) + ":" for i, w in enumerate(widths)]
    return "\n".join([line(cells[0]), "| " + " | ".join(rule) + " |", *(line(row) for row in cells[1:])])


def percent(value: float, signed: bool = False) -> str:
    """A share in percent with one decimal.

    >>> percent(0.1234), percent(0.5, signed=True)
    ('12.3', '+50.0')
    """
    return f"{100 * value:+.1f}" if signed else f"{100 * value:.1f}"


def interval(low: float, high: float, signed: bool = False) -> str:
    """A 95 % interval in percent.

    >>> interval(0.1, 0.25)
    '10.0 to 25.0'
    """
    return f"{percent(low, signed)} to {percent(high, signed)}"
