"""The page and the figure of a ``Diff``."""

from __future__ import annotations

import base64
import json
from pathlib import Path

from benchmark.extras.diff.result import HEADER, Diff, Measured, PathRow, diff_table, diff_text
from benchmark.report import write_png
from builders.dataset import render
from builders.errors import disk_error
from builders.files import write_text_atomically

_BLUE, _VERMILION, _GREY = "#0072B2", "#D55E00", "#6b6b6b"
"""Of Okabe and Ito's colour-blind-safe palette."""


def write_diff(diff: Diff, folder: str | Path) -> None:
    """Write ``diff.json``, ``diff.md``, ``diff.png`` and the page ``diff.html``.

    Args:
        diff: the result.
        folder: is made if it does not exist.

    Raises:
        DiskError: the folder cannot be written to.
    """
    folder = Path(folder)
    try:
        write_text_atomically(folder / "diff.json", json.dumps(diff.to_json(), indent=2, ensure_ascii=False) + "\n")
        write_text_atomically(folder / "diff.md", diff_text(diff) + "\n")
        draw_diff(diff, folder / "diff.png")
        write_text_atomically(folder / "diff.html", diff_page(diff, (folder / "diff.png").read_bytes()))
    except OSError as error:
        raise disk_error(error, f"--output {folder}", saved="nothing else is changed") from None


def diff_page(diff: Diff, figure: bytes) -> str:
    """The page, which loads nothing.

    Args:
        diff: the result.
        figure: PNG file.
    """
    uri = f"data:image/png;base64,{base64.b64encode(figure).decode()}"
    return render("diff.html.jinja", diff=diff, header=HEADER, table=diff_table(diff), figure=uri)


def draw_diff(diff: Diff, path: Path) -> None:
    """Draw ``diff.png``, atomically: how far each way moves embeddings, and the neighbours that change.

    Args:
        diff: the result.
        path: of the file.
    """
    from matplotlib.figure import Figure

    rows = list(diff.rows)
    figure = Figure(figsize=(11.2, 1.5 + 0.36 * len(rows)), layout="constrained")
    left, right = figure.subplots(1, 2, sharey=True)
    shown = [_distance(row) for row in rows]
    positive = [m[0] for m in shown if m is not None and m[0] > 0]
    least = min(positive, default=1e-3) / 3
    for y, (row, measured) in enumerate(zip(rows, shown, strict=True)):
        colour = _GREY if row.kind in ("noise", "trace") else _VERMILION if row.over_limit == "yes" else _BLUE
        if measured is not None:
            value, low, high = measured
            left.plot([max(low, least), max(high, least)], [y, y], color=colour, linewidth=2)
            left.plot(max(value, least), y, "o" if value > 0 else "<", color=colour)
            if value <= 0:
                left.annotate("0", (least, y), (8, -3), textcoords="offset points", fontsize=8, color=colour)
        share = row.neighbours
        right.plot([100 * share.low, 100 * share.high], [y, y], color=colour, linewidth=2)
        right.plot(100 * share.value, y, "o", color=colour)
    left.set_xscale("log")
    if diff.trace:
        left.axvline(1.0, color=_GREY, linewidth=1, linestyle="--")
        if diff.at_most != 1:
            left.axvline(diff.at_most, color=_VERMILION, linewidth=1, linestyle=":")
        left.set_xlabel("cosine distance, in weakest traces (dashed: 1)" + _limit(diff))
    else:
        left.set_xlabel("cosine distance")
    right.set_xlabel(f"neighbours changed, % of {diff.neighbours}")
    right.set_xlim(left=-1)
    left.set_yticks(range(len(rows)), [_label(row) for row in rows], fontsize=8)
    left.set_ylim(len(rows) - 0.4, -0.6)
    for axes in (left, right):
        axes.grid(axis="x", color="#eeeeee", zorder=0)
        axes.set_axisbelow(True)
        for side in ("top", "right"):
            axes.spines[side].set_visible(False)
    title = f"{diff.encoder} on {diff.n:,} photos of {diff.data}; A: {diff.a}"
    figure.suptitle(title.replace("$", r"\$")[:130], fontsize=10, ha="left", x=0.01)
    write_png(figure, path)


def _limit(diff: Diff) -> str:
    return "" if diff.at_most == 1 else f"; dotted: the limit, {diff.at_most:g}"


def _distance(row: PathRow) -> tuple[float, float, float] | None:
    """What the left panel shows of a row."""
    cosine: Measured | None = row.cosine
    if cosine is None:
        return None
    if cosine.traces is None:
        return cosine.value, cosine.low, cosine.high
    low = cosine.traces if cosine.traces_low is None else cosine.traces_low
    high = cosine.traces if cosine.traces_high is None else cosine.traces_high
    return cosine.traces, low, high


def _label(row: PathRow) -> str:
    name = f"{row.name}, alone" if row.kind == "step" else row.name
    return name.replace("$", r"\$")[:60]
