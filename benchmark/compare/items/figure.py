"""Paired differences by item as a figure for papers."""

from __future__ import annotations

from typing import TYPE_CHECKING

from benchmark.compare.items.comparison import ComparedItems, ItemRow
from benchmark.compare.items.text import shown_rows, title
from benchmark.judgement import FILLED_MARK
from builders.errors import UsageError
from builders.untrusted import readable

if TYPE_CHECKING:
    from matplotlib.figure import Figure

MOST_ROWS = 120
"""Most differences of one figure."""

_BLUE, _GREY = "#0072B2", "#e3e3e3"


def items_figure(compared: ComparedItems) -> Figure:
    """A row for each difference of ``items_text``, first minus second, with its 95 % interval.

    A point is a hundredth of the range of scores.

    Raises:
        UsageError: there are more rows than a figure shows.
    """
    import matplotlib
    from matplotlib.figure import Figure

    rows = shown_rows(compared)
    if len(rows) > MOST_ROWS:
        raise UsageError(f"--figure shows {MOST_ROWS} differences at most, not {len(rows)}: name some with --tasks")
    with matplotlib.rc_context({"font.size": 7, "axes.spines.top": False, "axes.spines.right": False}):
        figure = Figure(figsize=(5.6, 0.9 + 0.19 * len(rows)), layout="constrained")
        axes = figure.subplots()
        for at, row in enumerate(rows):
            value, low, high = (100 * part / (row.bounds[1] - row.bounds[0]) for part in _ends(row))
            axes.plot([low, high], [at, at], color=_BLUE, linewidth=0.9, solid_capstyle="butt")
            face = _BLUE if row.answer == "yes" else "white"
            axes.plot([value], [at], "o", color=_BLUE, markerfacecolor=face, markersize=3.6, mew=0.8)
        axes.axvline(0, color="#333333", linewidth=0.8, zorder=1)
        axes.set_ylim(len(rows) - 0.5, -0.5)
        axes.set_yticks(range(len(rows)), [_label(row) for row in rows])
        axes.tick_params(axis="y", length=0)
        axes.spines["left"].set_visible(False)
        axes.grid(axis="x", color=_GREY, linewidth=0.5)
        axes.set_axisbelow(True)
        axes.set_xlabel("first minus second, points")
        figure.supxlabel(FILLED_MARK, fontsize=5.5, color="#555555")
    return figure


def _ends(row: ItemRow) -> tuple[float, float, float]:
    return row.difference.value, row.difference.low, row.difference.high


def _label(row: ItemRow) -> str:
    """Task and the two systems; a long name is cut, and ``$`` starts no formula."""
    parts = [title(row), f"{_short(row.first)} - {_short(row.second)}"]
    return readable(": ".join(filter(None, parts))).replace("$", r"\$")


def _short(name: str, most: int = 28) -> str:
    return name if len(name) <= most else f"...{name[-most + 3 :]}"
