"""``audit.png``: how well the label is told from each layer, and the strongest associations, in one picture."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from benchmark.audit.values import Audit
from benchmark.results import write_png

_FOUND, _HINT, _CALM, _GREY = "#D55E00", "#E69F00", "#0072B2", "#6b6b6b"
"""Of Okabe and Ito's colour-blind-safe palette."""

SHOWN = 12


def draw_audit(audit: Audit, path: Path) -> None:
    """Draw the picture to a PNG file, atomically."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    layers = list(audit.layers)
    questions = list(audit.questions[:SHOWN])
    rows = max(len(layers), len(questions), 3)
    figure = Figure(figsize=(11.2, 1.6 + 0.34 * rows), layout="constrained")
    FigureCanvasAgg(figure)
    left, right = figure.subplots(1, 2)
    for y, score in enumerate(layers):
        colour = (_HINT if score.content else _FOUND) if score.flagged else _CALM
        left.plot([100 * score.chance, 100 * score.accuracy], [y, y], color="#d5d5d5", linewidth=5, zorder=1)
        left.plot([100 * score.low, 100 * score.high], [y, y], color=colour, linewidth=1.5, zorder=2)
        left.plot(100 * score.accuracy, y, "o", color=colour, zorder=3)
        left.plot(100 * score.chance, y, "|", color=_GREY, markersize=13, markeredgewidth=2, zorder=2)
    _named(left, [f"{s.target}: {s.title}" for s in layers])
    left.set_xlim(0, 102)
    left.set_xlabel("told from it, % (upright mark: chance)")
    for y, question in enumerate(questions):
        colour = (_HINT if question.content else _FOUND) if question.flagged else _CALM
        right.barh(y, question.value, color=colour, height=0.6)
        right.plot(question.raw, y, "|", color=_GREY, markersize=11)
    _named(right, [f"{q.target}: {q.title}" for q in questions])
    right.set_xlim(0, 1.02)
    right.set_xlabel("corrected V or eta (mark: uncorrected)")
    state = "confounded" if audit.flagged else "no confound found"
    figure.suptitle(_drawable(f"{audit.name}: {state}, {audit.photos:,} photos"), fontsize=10, ha="left", x=0.01)
    write_png(figure, path)


def _named(ax: Any, names: list[str]) -> None:
    ax.set_yticks(range(len(names)), [_drawable(name) for name in names], fontsize=8)
    ax.set_ylim(max(len(names), 1) - 0.4, -0.6)
    ax.grid(axis="x", color="#eeeeee", zorder=0)
    ax.set_axisbelow(True)
    for side in ("top", "right"):
        ax.spines[side].set_visible(False)


def _drawable(text: str) -> str:
    """A dollar sign would begin a formula."""
    return text.replace("$", r"\$")[:90]
