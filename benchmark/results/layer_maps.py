"""Which part of the picture carries a trace: scores of its parts, each a probe of its own, as tables and maps."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from benchmark.encoders import grid_cell
from benchmark.results.layers import asked_of_outputs, score_of
from benchmark.results.questions import Metric, Questions, score_label
from benchmark.results.schema import Result, Score
from benchmark.results.tables import interval, markdown_table, percent


@dataclass(frozen=True)
class RegionMap:
    """One metric of one question by part of the picture, at one layer."""

    task: str
    metric: Metric
    layer: int
    kind: str
    """``block`` or ``stage``."""
    single: bool
    """Each part is read from one patch, not from the mean of its patches."""
    scores: tuple[tuple[Score | None, ...], ...]
    """By row and column; None where a part was not asked."""
    beside: tuple[tuple[str, Score], ...]
    """Of ``border`` and ``centre``, where they were scored, the ``mean`` of all patches, and the embedding."""

    @property
    def known(self) -> list[Score]:
        """Of all parts that were asked."""
        return [score for row in self.scores for score in row if score is not None]

    @property
    def values(self) -> np.ndarray:
        """[rows, columns]; NaN where a part was not asked."""
        return np.array([[score.value if score is not None else np.nan for score in row] for row in self.scores])

    def title(self, questions: Questions) -> str:
        """As people read it."""
        read = "one patch of each part" if self.single else "the mean of each part"
        counts = " or ".join(f"{n:,}" for n in sorted({score.n for score in self.known}))
        label = score_label(self.task, self.metric, questions)
        return f"{label} from {read}, {self.kind} {self.layer}, n = {counts}"


def region_maps(result: Result, questions: Questions) -> list[RegionMap]:
    """The maps of every question that parts of the picture were scored on: its traces, and plain kNN."""
    found = []
    cells = {output.pooling: cell for output in result.outputs if (cell := grid_cell(output.pooling)) is not None}
    asked = (output for output in result.outputs if output.pooling in cells)
    places = dict.fromkeys((o.layer, cells[o.pooling].single, cells[o.pooling].parts) for o in asked)
    for layer, single, parts in places:
        own = {o.pooling: o for o in result.outputs if o.layer == layer}
        for task, metric in asked_of_outputs(result, questions):
            table: list[list[Score | None]] = [[None] * parts for _ in range(parts)]
            for pooling, output in own.items():
                cell = cells.get(pooling)
                if cell is not None and (cell.single, cell.parts) == (single, parts):
                    table[cell.row][cell.column] = score_of(output.scores, task, metric.name)
            regions = [p for p in ("border", "centre", "mean") if p in own]
            beside: list[tuple[str, Score | None]] = [(p, score_of(own[p].scores, task, metric.name)) for p in regions]
            beside.append(("the embedding", score_of(result.scores, task, metric.name)))
            if any(score is not None for row in table for score in row):
                kind = next(iter(own.values())).title.partition(" ")[0]
                scores, told = tuple(map(tuple, table)), tuple((name, s) for name, s in beside if s is not None)
                found.append(RegionMap(task, metric, layer, kind, single, scores, told))
    return found


def maps_text(result: Result, questions: Questions) -> str:
    """A table for each map, from the top left of the picture; empty where no parts were scored."""
    parts = []
    for one in region_maps(result, questions):
        signed = one.metric.signed
        header = ["row", *(f"column {i}" for i in range(len(one.scores)))]
        rows = [[str(i), *(_told(score, signed) for score in row)] for i, row in enumerate(one.scores)]
        chance = "" if signed else f" Chance is {percent(one.known[0].chance)}."
        others = "; ".join(f"{name} {_told(score, signed)}" for name, score in one.beside)
        told = f"Each part is read alone, with its 95 % interval.{chance}" + (
            f" Beside it: {others}." if others else ""
        )
        parts.append(f"**{one.title(questions)}, %**\n\n{markdown_table(header, rows)}\n\n{told}")
    return "\n\n".join(parts)


def _told(score: Score | None, signed: bool) -> str:
    if score is None:
        return ""
    return f"{percent(score.value, signed)} ({interval(score.low, score.high, signed)})"


def draw_map(ax: Any, one: RegionMap, title: str) -> None:
    """A map over the picture: each part with its score and, where there is room, its 95 % interval.

    Colours run from chance, or the least score, to the highest end of an interval, over ``LEAST_SPAN`` at least: noise
    does not look like more.
    """
    values = 100 * one.values
    known = one.known
    chance = 100 * known[0].chance
    most = max(100 * score.high for score in known)
    least = min(chance, min(100 * score.value for score in known))
    image = ax.imshow(values, cmap="cividis", interpolation="nearest", vmin=least, vmax=max(most, least + LEAST_SPAN))
    parts = len(values)
    for (row, column), value in np.ndenumerate(values):
        score = one.scores[row][column]
        if score is not None and parts <= 8:
            colour = "white" if image.norm(value) < 0.55 else "black"
            text = f"{value:.0f}" + (f"\n{100 * score.low:.0f} to {100 * score.high:.0f}" if parts <= GRID_TOLD else "")
            ax.text(column, row, text, ha="center", va="center", color=colour, fontsize=8 if parts <= GRID_TOLD else 7)
    bar = ax.figure.colorbar(image, ax=ax, shrink=0.9)
    if not one.metric.signed:
        bar.ax.axhline(chance, color="#d55e00", linewidth=2)
    ax.set_xticks([])
    ax.set_yticks([])
    for spine in ax.spines.values():
        spine.set_visible(False)
    ax.set_title(title, fontsize=9, loc="left")
    ax.set_xlabel("\n".join(_beside_lines(one, chance)), fontsize=8)


LEAST_SPAN = 10
"""Points that the colours of a map span at least."""

GRID_TOLD = 5
"""Parts of a side up to which intervals are written into them."""


def _beside_lines(one: RegionMap, chance: float) -> list[str]:
    told = [f"{name} {100 * s.value:.0f} ({100 * s.low:.0f} to {100 * s.high:.0f})" for name, s in one.beside]
    ends = "with 95 % intervals" if len(one.scores) <= GRID_TOLD else "95 % intervals are in the report's tables"
    first = f"points, {ends}" if one.metric.signed else f"%, {ends}; chance {chance:.1f}"
    return [first, "; ".join(told)] if told else [first]


def map_panels(result: Result, questions: Questions) -> list[tuple[float, Any]]:
    """(inches, function that draws into axes) of every map."""
    return [
        (4.2, lambda ax, _, one=one: draw_map(ax, one, one.title(questions)))
        for one in _drawn(region_maps(result, questions))
    ]


def _drawn(maps: Sequence[RegionMap]) -> list[RegionMap]:
    """Traces; plain kNN where nothing else was asked."""
    return [one for one in maps if one.metric.summary != "SP"] or list(maps)
