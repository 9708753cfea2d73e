"""The five figures of the published article with its 47 encoders and the measured ones, as PNG and SVG.

Similarity distributions, two figures of probes whose bars carry their names, kNN set-ups, and pair retrieval. The
article printed no numbers for the first, which shows measured encoders alone.
"""

from __future__ import annotations

import io
import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmark.compare.published import PublishedRow
from benchmark.results import STUDY_GROUPS, Family, Result, Score, families, published_encoders
from benchmark.tasks import all_tasks
from builders.files import write_bytes_atomically

COLOURS = {"CVL": "#0072B2", "SUP": "#D55E00", "SSL": "#009E73"}
"""Okabe & Ito's colour-blind-safe palette, one colour per training type."""

OTHER_COLOUR = "#6b6b6b"


FORMATS: dict[str, dict[str, Any]] = {"png": {"dpi": 150}, "svg": {"metadata": {"Date": None}}}


def draw_article(rows: Sequence[PublishedRow], results: Sequence[Result], folder: Path) -> list[str]:
    """Write the figures that have something to show, each as PNG and SVG; returns their names.

    Args:
        rows: measured scores with the published ones.
        results: measured results, for the similarities that kNN tasks store.
        folder: folder of the files.
    """
    drawn: dict[str, Callable[[Any], None]] = {}
    if shown := _similarities(results):
        drawn["article-1-similarities"] = lambda figure: _draw_similarities(figure, shown)
    for family in families(all_tasks()):
        number = {"processing": 2, "acquisition": 3, "knn": 4, "retrieval": 5}.get(family.name)
        if number is None:
            continue
        name = f"article-{number}-{family.name}"
        if family.panel == "intervals" and (panels := _bars(rows, family)):
            drawn[name] = lambda figure, panels=panels: _draw_bars(figure, panels)  # type: ignore[misc]
        elif family.panel == "marks" and (lines := _lines(rows, family)):
            drawn[name] = lambda figure, lines=lines: _draw_lines(figure, lines)  # type: ignore[misc]
        elif family.panel == "plane" and (points := _points(rows, family)):
            drawn[name] = lambda figure, p=points, f=family: _draw_plane(figure, p, f)  # type: ignore[misc]
    names = []
    for name, draw in drawn.items():
        for kind, data in _rendered(draw).items():
            write_bytes_atomically(folder / f"{name}.{kind}", data)
            names.append(f"{name}.{kind}")
    return names


@dataclass(frozen=True)
class Bar:
    """One encoder in a panel of bars. Measured encoders have an interval, published ones none."""

    encoder: str
    group: str
    value: float
    measured: bool
    low: float | None = None
    high: float | None = None


def _draw_bars(figure: Any, panels: Mapping[str, tuple[list[Bar], float]]) -> None:
    """Draw a bar for each encoder, a panel for each question and data set, with a line at chance."""
    most = max(len(bars) for bars, _ in panels.values())
    figure.set_size_inches(max(7.0, 0.19 * most + 1.5), 4.0 * len(panels))
    for ax, (title, (bars, chance)) in zip(_axes(figure, len(panels)), panels.items(), strict=True):
        for x, bar in enumerate(bars):
            colour = COLOURS.get(bar.group, OTHER_COLOUR)
            style: dict[str, Any] = {"color": colour, "alpha": 0.55}
            if bar.measured:
                style = {"color": colour, "edgecolor": "black", "linewidth": 1.2, "hatch": "///"}
            ax.bar(x, 100 * bar.value, width=0.8, **style)
            if bar.low is not None and bar.high is not None:
                ax.plot([x, x], [100 * bar.low, 100 * bar.high], color="black", lw=1)
        ax.axhline(100 * chance, color="black", lw=1, ls=":")
        ax.set_xticks(range(len(bars)), [b.encoder for b in bars], rotation=90, fontsize=6)
        for label, bar in zip(ax.get_xticklabels(), bars, strict=True):
            label.set_fontweight("bold" if bar.measured else "normal")
        ax.set_xlim(-0.7, len(bars) - 0.3)
        # The axis of the page's bars: from 0 to the next ten, at most 100.
        ends = [bar.value if bar.high is None else bar.high for bar in bars]
        ax.set_ylim(0, min(100, 10 * math.ceil(10 * max(*ends, chance) + 0.1)))
        ax.set_ylabel("accuracy, %")
        ax.set_title(f"{title}: hatched and bold measured, plain published, dotted chance", fontsize=8)
        _legend(ax)


def _draw_lines(figure: Any, panels: Mapping[str, list[tuple[str, str, bool, dict[str, float]]]]) -> None:
    """Draw a line over the kNN set-ups for each encoder, a panel for each question and data set."""
    figure.set_size_inches(7.5, 2.8 * len(panels))
    order = [m.name for m in next(t for t in all_tasks().values() if t.family.panel == "marks").metrics]
    for ax, (title, lines) in zip(_axes(figure, len(panels)), panels.items(), strict=True):
        present = [name for name in order if any(name in values for *_, values in lines)]
        for name, group, measured, values in lines:
            at = [present.index(m) for m in present if m in values]
            heights = [100 * values[m] for m in present if m in values]
            colour = COLOURS.get(group, OTHER_COLOUR)
            if measured:
                ax.plot(at, heights, color=colour, lw=2, marker="D", ms=4, zorder=3)
                ax.annotate(name, (at[-1], heights[-1]), xytext=(6, 0), textcoords="offset points", fontsize=6)
            else:
                ax.plot(at, heights, color=colour, lw=0.8, alpha=0.45, marker="o", ms=2)
        ax.set_xticks(range(len(present)), present)
        low, high = ax.get_ylim()
        ax.set_ylim(low, high + 0.12 * (high - low))  # space for the legend above the lines
        ax.set_ylabel("kNN accuracy, %")
        ax.set_title(f"{title}: thick with diamonds measured, thin published", fontsize=8)
        _legend(ax)


def _draw_plane(figure: Any, points: Sequence[tuple[str, str, bool, float, float]], family: Family) -> None:
    """Draw one metric against another, over the whole range and enlarged; names where they cover nothing."""
    figure.set_size_inches(12, 5.6)
    whole, near = figure.subplots(1, 2)
    low = min(min(x, y) for *_, x, y in points)
    for ax, start, title in ((whole, 0.0, "whole range"), (near, max(0.0, low - 0.02), "where the encoders are")):
        ax.plot([100 * start, 100], [100 * start, 100], color="black", lw=1, ls=":")
        span = 1.005 - start
        spots = [(x, y) for *_, x, y in points]
        taken: list[Box] = []
        for name, group, measured, x, y in sorted(points, key=lambda p: not p[2]):
            colour = COLOURS.get(group, OTHER_COLOUR)
            style: dict[str, Any] = {"color": colour, "marker": "D", "s": 45, "edgecolors": "black", "zorder": 3}
            if not measured:
                style = {"color": colour, "marker": "o", "s": 16, "alpha": 0.6}
            ax.scatter([100 * x], [100 * y], **style, clip_on=False)
            if not (measured or ax is near):
                continue
            sides = [_label_box(x, y, len(name), span, side) for side in (1, -1)]
            free = [i for i, box in enumerate(sides) if _is_free(box, taken, spots)]
            if not (measured or free):
                continue
            side = free[0] if free else 0
            taken.append(sides[side])
            weight, align = "bold" if measured else "normal", ("left", "right")[side]
            offset = ((5, 2), (-5, 2))[side]
            ax.annotate(
                name, (100 * x, 100 * y), xytext=offset, textcoords="offset points", fontsize=5,
                fontweight=weight, ha=align,
            )  # fmt: skip
        ax.set_xlim(100 * start, 100.5)
        ax.set_ylim(100 * start, 100.5)
        ax.set_xlabel(family.axes[0])
        ax.set_ylabel(family.axes[1])
        ax.set_title(f"{family.title}, {title}: diamonds measured, discs published", fontsize=8)
        _legend(ax, "upper left", 1)


Box = tuple[float, float, float, float]
"""Left, right, bottom, top."""


def _label_box(x: float, y: float, letters: int, span: float, side: int) -> Box:
    """The box of a name of ``letters`` letters, right (1) or left (-1) of a point; ``span``: length of both axes."""
    near, far = x + side * 0.009 * span, x + side * (0.012 + 0.0078 * letters) * span
    return min(near, far), max(near, far), y - 0.004 * span, y + 0.021 * span


def _is_free(box: Box, names: Sequence[Box], spots: Sequence[tuple[float, float]]) -> bool:
    """Whether a name covers neither another name nor a point.

    >>> _is_free((0, 2, 0, 1), [(3, 5, 0, 1)], [(2.5, 0.5)]), _is_free((0, 2, 0, 1), [(1, 5, 0.5, 2)], [])
    (True, False)
    """
    left, right, bottom, top = box
    covers = any(left < b and a < right and bottom < d and c < top for a, b, c, d in names)
    return not covers and not any(left < x < right and bottom < y < top for x, y in spots)


def _draw_similarities(figure: Any, shown: Sequence[tuple[str, Mapping[str, Any], Score]]) -> None:
    """Draw the histogram of the similarities of one query, a panel for each result."""
    figure.set_size_inches(7, 2.6 * len(shown))
    for ax, (encoder, histogram, score) in zip(_axes(figure, len(shown)), shown, strict=True):
        edges = [float(edge) for edge in histogram["edges"]]
        for kind, counts in histogram["counts"].items():
            total = sum(counts) or 1
            colour = "#0072B2" if kind.startswith("same-class") else "#D55E00"
            line = "-" if kind.endswith("same-processing") else "--"
            ax.stairs([100 * n / total for n in counts], edges, color=colour, ls=line, label=kind, lw=1.3)
        ax.set_xlabel("cosine similarity to the query")
        ax.set_ylabel("share of the photos, %")
        ax.set_title(
            f"{encoder}, {score.task}, {score.data}: {histogram['query']} as {histogram['processing']}", fontsize=7
        )
        ax.legend(fontsize=6, frameon=False)


def _axes(figure: Any, count: int) -> list[Any]:
    return list(figure.subplots(count, 1, squeeze=False)[:, 0])


def _legend(ax: Any, where: str = "upper right", columns: int = 3) -> None:
    from matplotlib.patches import Patch

    marks = [Patch(color=colour, label=STUDY_GROUPS[group]) for group, colour in COLOURS.items()]
    ax.legend(handles=marks, fontsize=6, frameon=False, loc=where, ncols=columns)


def _rendered(draw: Callable[[Any], None]) -> dict[str, bytes]:
    """Bytes of a figure by file format; equal input gives equal bytes."""
    import matplotlib

    matplotlib.use("Agg")
    import matplotlib.pyplot as plt

    look: Any = {"font.size": 8, "axes.spines.top": False, "axes.spines.right": False, "svg.hashsalt": "camtrace"}
    with plt.rc_context(look):
        figure = plt.figure(layout="constrained")
        draw(figure)
        files = {}
        for kind, more in FORMATS.items():
            buffer = io.BytesIO()
            figure.savefig(buffer, format=kind, **more)
            files[kind] = buffer.getvalue()
        plt.close(figure)
    return files


def _bars(rows: Sequence[PublishedRow], family: Family) -> dict[str, tuple[list[Bar], float]]:
    """By title of the panel (question and data set): published and measured bars, highest first, and chance."""
    panels: dict[str, tuple[list[Bar], float]] = {}
    accuracies = [r for r in rows if _is_of(r, family) and r.metric == "accuracy"]
    for task, data in dict.fromkeys((r.task, r.published_data) for r in accuracies):
        here = {(r.encoder, r.data): r for r in accuracies if (r.task, r.published_data) == (task, data)}
        bars = [
            Bar(e.name, e.group, s.value, False)
            for e in published_encoders()
            for s in e.scores
            if (s.task, s.data, s.metric) == (task, data, "accuracy")
        ]
        bars += [Bar(_name(r), r.group, m.value, True, m.low, m.high) for r in here.values() for m in [r.measured]]
        chance = next(iter(here.values())).measured.chance
        panels[_title(here.values(), task)] = (
            sorted(bars, key=lambda b: (-b.value, b.encoder)),
            chance,
        )
    return panels


def _lines(rows: Sequence[PublishedRow], family: Family) -> dict[str, list[tuple[str, str, bool, dict[str, float]]]]:
    """By title of the panel: (encoder, group, whether it was measured, accuracy by set-up)."""
    scored = [r for r in rows if _is_of(r, family)]
    panels: dict[str, list[tuple[str, str, bool, dict[str, float]]]] = {}
    for task, data in dict.fromkeys((r.task, r.published_data) for r in scored):
        set_ups = [m.name for m in all_tasks()[task].metrics if m.kind == "accuracy" and m.name != "worst"]
        lines = []
        for e in published_encoders():
            values = {s.metric: s.value for s in e.scores if (s.task, s.data) == (task, data) and s.metric in set_ups}
            if values:
                lines.append((e.name, e.group, False, values))
        here = [r for r in scored if (r.task, r.published_data) == (task, data) and r.metric in set_ups]
        by_encoder: dict[tuple[str, str], list[PublishedRow]] = {}
        for r in here:
            by_encoder.setdefault((r.encoder, r.data), []).append(r)
        lines += [
            (_name(members[0]), members[0].group, True, {r.metric: r.measured.value for r in members})
            for members in by_encoder.values()
        ]
        if here:
            panels[_title(here, task)] = lines
    return panels


def _points(rows: Sequence[PublishedRow], family: Family) -> list[tuple[str, str, bool, float, float]]:
    """(encoder, group, whether it was measured, x, y) in the plane of a family; empty where nothing was measured."""
    x, y = family.plane
    points = []
    for e in published_encoders():
        values = {(s.task, s.data, s.metric): s.value for s in e.scores if all_tasks()[s.task].family == family}
        for task, data in dict.fromkeys((t, d) for t, d, _ in values):
            if (task, data, x) in values and (task, data, y) in values:
                points.append((e.name, e.group, False, values[task, data, x], values[task, data, y]))
    scored = {(r.encoder, r.data, r.task, r.metric): r for r in rows if _is_of(r, family)}
    for (encoder, data, task, metric), row in scored.items():
        other = scored.get((encoder, data, task, y))
        if metric == x and other is not None:
            points.append((_name(row), row.group, True, row.measured.value, other.measured.value))
    return points if any(measured for _, _, measured, _, _ in points) else []


def _similarities(results: Sequence[Result]) -> list[tuple[str, Mapping[str, Any], Score]]:
    """(encoder, histogram, score) of the first random query of the first kNN task of each result that stores one."""
    shown = []
    for result in results:
        for score in result.scores:
            histograms = score.details.get("similarities")
            if isinstance(histograms, list) and histograms:
                drawn = next((h for h in histograms if str(h.get("why", "")).startswith("drawn")), histograms[0])
                shown.append((str(result.encoder["id"]), drawn, score))
                break
    return shown


def _is_of(row: PublishedRow, family: Family) -> bool:
    task = all_tasks().get(row.task)
    return task is not None and task.family == family


def _title(rows: Iterable[PublishedRow], task: str) -> str:
    """Question and data sets, and whether a measured score is not comparable with the published ones."""
    rows = list(rows)
    data = ", ".join(dict.fromkeys(r.data for r in rows))
    note = " (measured value not comparable: other photos or choices)" if any(r.not_comparable for r in rows) else ""
    return f"{all_tasks()[task].title}, {data}{note}"


def _name(row: PublishedRow) -> str:
    return f"{row.encoder} (measured)"
