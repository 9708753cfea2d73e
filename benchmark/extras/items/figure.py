"""Paired differences by item as a figure for papers."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from benchmark.extras.items.comparison import ComparedItems, ItemRow
from benchmark.extras.items.text import scale_of, shown_rows, title
from benchmark.judgement import FILLED_MARK
from builders.errors import UsageError
from builders.untrusted import readable

if TYPE_CHECKING:
    from matplotlib.figure import Figure

MOST_ROWS = 120
"""Most differences of one figure."""

_BLUE, _GREY = "#0072B2", "#e3e3e3"


def items_figure(compared: ComparedItems) -> Figure:
    """A row for each difference of ``items_text``, first minus second, with the interval that decides.

    A point is a hundredth of the range of scores. Each task of an unknown range has axes of its own.

    Raises:
        UsageError: there are more rows than a figure shows.
    """
    import matplotlib
    from matplotlib.figure import Figure

    rows = shown_rows(compared)
    if len(rows) > MOST_ROWS:
        raise UsageError(f"--figure shows {MOST_ROWS} differences at most, not {len(rows)}: name some with --tasks")
    panels: dict[str, list[ItemRow]] = {}
    for row in rows:
        panels.setdefault(scale_of(row), []).append(row)
    heights = [len(members) for members in panels.values()]
    with matplotlib.rc_context({"font.size": 7, "axes.spines.top": False, "axes.spines.right": False}):
        figure = Figure(figsize=(5.6, 0.4 + 0.5 * len(panels) + 0.19 * len(rows)), layout="constrained")
        axes = figure.subplots(len(panels), squeeze=False, gridspec_kw={"height_ratios": heights})
        for ax, (scale, members) in zip(axes[:, 0], panels.items(), strict=True):
            _draw(ax, members, scale)
        figure.supxlabel(FILLED_MARK, fontsize=5.5, color="#555555")
    return figure


def _draw(ax: Any, rows: Sequence[ItemRow], scale: str) -> None:
    """The rows of one scale."""
    for at, row in enumerate(rows):
        factor = 1.0 if row.bounds is None else 100 / row.width
        low, high = (factor * end for end in row.judged)
        ax.plot([low, high], [at, at], color=_BLUE, linewidth=0.9, solid_capstyle="butt")
        face = _BLUE if row.answer == "yes" else "white"
        ax.plot([factor * row.difference.value], [at], "o", color=_BLUE, markerfacecolor=face, markersize=3.6, mew=0.8)
    ax.axvline(0, color="#333333", linewidth=0.8, zorder=1)
    ax.set_ylim(len(rows) - 0.5, -0.5)
    ax.set_yticks(range(len(rows)), [_label(row) for row in rows])
    ax.tick_params(axis="y", length=0)
    ax.spines["left"].set_visible(False)
    ax.grid(axis="x", color=_GREY, linewidth=0.5)
    ax.set_axisbelow(True)
    ax.set_xlabel(f"first minus second, {scale}".replace("$", r"\$"))


def _label(row: ItemRow) -> str:
    """Task and the two systems; a long name is cut, and ``$`` starts no formula."""
    parts = [title(row), f"{_short(row.first)} - {_short(row.second)}"]
    return readable(": ".join(filter(None, parts))).replace("$", r"\$")


def _short(name: str, most: int = 28) -> str:
    return name if len(name) <= most else f"...{name[-most + 3 :]}"
