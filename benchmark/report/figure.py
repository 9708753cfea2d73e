"""``report.png``: the scores of one encoder as a figure of panels, one for each family of questions."""

from __future__ import annotations

import math
import textwrap
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from benchmark.judgement import Decision, Verdict, moves, verdicts
from benchmark.report.answers import answer_panels
from benchmark.report.layers import layer_panels
from benchmark.report.probe_panel import draw_intervals, height_of
from benchmark.report.scenes import scene_panels
from benchmark.report.tables import interval, percent, write_png
from benchmark.report.text import settings_line
from benchmark.report.variance import variance_panels
from benchmark.results import Family, Questions, Result, Score, families, metric_of, subject_of

if TYPE_CHECKING:
    from matplotlib.figure import Figure

# Okabe & Ito's colour-blind-safe palette
_BLUE, _ORANGE, _GREEN, _VERMILION, _GREY = "#0072B2", "#E69F00", "#009E73", "#D55E00", "#6b6b6b"

_MARKS = (
    ("o", _BLUE),
    ("s", _ORANGE),
    ("^", _GREEN),
    ("v", _VERMILION),
    ("D", "#56B4E9"),
    ("P", "#CC79A7"),
    ("X", "#555555"),
)
"""Marker and colour of each metric on a line, in the order of the metrics; from the start again after the last."""

WIDE = 74
"""Characters of a heading line over one panel."""

AROUND = 1.2
"""Inches that the title, the axis and the legend of a panel take."""


def draw_report(results: Sequence[Result], questions: Questions, path: Path) -> None:
    """Write ``report_figure`` to a PNG file, atomically; no file where there is nothing to show."""
    figure = report_figure(results, questions)
    if figure is not None:
        write_png(figure, path)


def report_figure(results: Sequence[Result], questions: Questions) -> Figure | None:
    """Figure of the results of one encoder (one per data set); ``None`` where there is nothing to show.

    The figure belongs to no window and changes no setting of matplotlib, so that a notebook can show it.

    Each family of questions with scores has one panel of the kind ``Family.panel``: values with intervals against
    chance, metrics side by side on a line, or one metric against another with the line y = x. Where layers were
    scored, each question has a panel over depth.
    """
    panels = [panel for family in families(questions) if (panel := _panel(results, family, questions))]
    more = (scene_panels, variance_panels, answer_panels)
    panels += [_Panel(*panel) for result in results for panels_of in more for panel in panels_of(result)]
    panels += [_Panel(*panel) for result in results for panel in layer_panels(result, questions)]
    return _lay_out(panels, [_title(results), settings_line(results, questions)]) if panels else None


def depth_figure(results: Sequence[Result], questions: Questions, task: str) -> Figure | None:
    """Figure of one question over depth, a panel for each metric and data set; ``None`` where no layer has scores."""
    question = {task: questions[task]} if task in questions else {}
    semantics = {name: q for name, q in questions.items() if any(m.summary == "SP" for m in q.metrics)}
    panels = [_Panel(*panel) for result in results for panel in layer_panels(result, {**question, **semantics})]
    return _lay_out(panels, [_title(results)]) if panels else None


def _lay_out(panels: Sequence[_Panel], heading: Sequence[str]) -> Figure:
    """Panels in two columns under a heading."""
    import matplotlib
    from matplotlib.figure import Figure

    columns = min(2, len(panels))
    rows = -(-len(panels) // columns)
    heights = [max(p.height for p in panels[r * columns : (r + 1) * columns]) for r in range(rows)]
    with matplotlib.rc_context({"font.size": 9, "axes.spines.top": False, "axes.spines.right": False}):
        size = (5.6 * columns, sum(max(h, 2.6) for h in heights) + 1.1)
        figure = Figure(figsize=size, layout="constrained")
        axes = figure.subplots(rows, columns, gridspec_kw={"height_ratios": heights}, squeeze=False)
        for i, (ax, panel) in enumerate(zip(axes.flat, panels, strict=False)):
            panel.draw(ax, heights[i // columns] - AROUND)
        for ax in list(axes.flat)[len(panels) :]:
            ax.set_axis_off()
        title = "\n".join(textwrap.fill(line, WIDE * columns) for line in heading if line)
        figure.suptitle(title, fontsize=9.5, ha="left", x=0.01)
    return figure


@dataclass(frozen=True)
class _Panel:
    height: float
    """Inches."""
    draw: Callable[[Any, float], None]
    """Draws into axes whose height in inches is the second argument."""


def _panel(results: Sequence[Result], family: Family, questions: Questions) -> _Panel | None:
    """The panel of a family; None where it has no scores."""
    scores = [s for r in results for s in r.scores if s.task in questions and questions[s.task].family == family]
    if not scores or family.panel == "none":
        return None
    if family.panel == "plane":
        return _Panel(AROUND + 2.6, lambda ax, _: _draw_plane(ax, scores, family))
    if family.panel == "marks":
        lines = {(s.task, s.data) for s in scores}
        moved = {(r.data["name"], *key): d for r in results for key, d in moves(r, questions).items()}
        return _Panel(AROUND + 0.85 * len(lines), lambda ax, _: _draw_marks(ax, scores, moved, family, questions))
    mains = [s for s in scores if any(m.name == s.metric and m.main for m in questions[s.task].metrics)]
    by_score = {(r.data["name"], *key): v for r in results for key, v in verdicts(r, questions).items()}
    judged = [by_score.get((s.data, s.task, s.metric)) for s in mains]
    return _Panel(AROUND + height_of(mains), lambda ax, height: _draw_intervals(ax, mains, judged, family, height))


def _title(results: Sequence[Result]) -> str:
    names = ", ".join(dict.fromkeys(str(r.data["name"]) for r in results))
    title = f"{results[0].encoder['id']} on {names}"
    if any(r.data.get("smoke_test") for r in results):
        title += "   (bundled photos: a smoke test, not evidence)"
    return title


def _draw_intervals(
    ax: Any, scores: Sequence[Score], judged: Sequence[Verdict | None], family: Family, height: float
) -> None:
    """Probes against chance, named by question and, where there are several, data set."""
    several = len({s.data for s in scores}) > 1
    labels = draw_intervals(ax, scores, judged, family, height)
    labels = [label + (f"\n{_short(s.data)}" if several else "") for label, s in zip(labels, scores, strict=True)]
    _label_rows(ax, labels)
    hidden = scores[0].details.get("mask_ratio")
    seen = f" ({100 * hidden:g} % hidden)" if hidden else ""
    _name_panel(ax, f"{family.panel_title or family.title}{seen}")
    _legend_below(ax)


def _draw_marks(
    ax: Any,
    scores: Sequence[Score],
    moved: Mapping[tuple[str, str, str], Decision],
    family: Family,
    questions: Questions,
) -> None:
    """A band for each question, in it a line for each metric that is no difference, with its interval.

    Differences stand in its label, with the interval that decides.
    """
    several = len({s.data for s in scores}) > 1
    lines = list(dict.fromkeys((s.task, s.data) for s in scores))
    by = {(s.task, s.data, s.metric): s for s in scores}
    named: set[str] = set()
    for y, (task, data) in enumerate(lines):
        metrics = [m for m in questions[task].metrics if not m.signed]
        here = [(m, by[task, data, m.name]) for m in metrics if (task, data, m.name) in by]
        if y % 2 == 0:
            ax.axhspan(y - 0.5, y + 0.5, color="#f6f6f6", zorder=0)
        for i, (metric, score) in enumerate(here):
            marker, colour = _MARKS[metrics.index(metric) % len(_MARKS)]
            ax.errorbar(
                100 * score.value,
                y + 0.8 * ((i + 0.5) / len(here) - 0.5),
                xerr=[[max(0, 100 * (score.value - score.low))], [max(0, 100 * (score.high - score.value))]],
                fmt=marker,
                color=colour,
                markersize=5,
                elinewidth=1,
                capsize=2,
                label=None if metric.title in named else metric.title,
            )
            named.add(metric.title)
    labels = []
    for task, data in lines:
        differences = [s for m in questions[task].metrics if m.signed and (s := by.get((task, data, m.name)))]
        ends = [moved.get((s.data, s.task, s.metric), s) for s in differences]
        values = [
            f"{s.metric} {percent(s.value, True)}\n({interval(e.low, e.high, True)})"
            for s, e in zip(differences, ends, strict=True)
        ]
        labels.append("\n".join([subject_of(task), *([_short(data)] if several else []), *values]))
    _label_rows(ax, labels)
    _zoom(ax, [s for s in scores if not metric_of(questions, s.task, s.metric).signed], family)
    counts = " or ".join(f"{n:,}" for n in sorted({s.n for s in scores}))
    _name_panel(ax, f"{family.panel_title or family.title}, n\u00a0=\u00a0{counts}")
    _legend_below(ax)


def _zoom(ax: Any, scores: Sequence[Score], family: Family) -> None:
    """Limit the axis to whole percents around the intervals; note where it does not begin at 0 or leaves chance out."""
    low = max(0, math.floor(100 * min(s.low for s in scores)) - 1)
    high = min(101, math.ceil(100 * max(s.high for s in scores)) + 1)
    low = 0 if low < 0.3 * high else low  # the axis begins at 0 where that costs little width
    ax.set_xlim(low, high)
    notes = [f"the axis begins at {low}, not at 0"] if low else []
    chances = sorted({round(100 * s.chance, 6) for s in scores})
    within = [c for c in chances if low <= c <= high]
    for i, chance in enumerate(within):
        ax.axvline(chance, color=_VERMILION, linewidth=1.5, zorder=1, label="chance" if i == 0 else None)
    if outside := [f"{c:.1f} %" for c in chances if c not in within]:
        notes.append(f"chance, {' and '.join(outside[:3])}, lies outside it")
        ax.annotate("\u25c2 chance", (0, 0), (3, 3), "axes fraction", "offset points", color=_VERMILION, fontsize=8)
    more = f"\n{'; '.join(notes)}" if notes else ""
    ax.set_xlabel(f"{family.axes[0]}; bars: 95 % intervals{more}")


def _draw_plane(ax: Any, scores: Sequence[Score], family: Family) -> None:
    """One metric against another, both with intervals, one point for each question and data set."""
    ax.plot([0, 100], [0, 100], color=_GREY, linewidth=1, linestyle="--", zorder=1, label="y = x: equal recall")
    by = {(s.task, s.data, s.metric): s for s in scores}
    several = len({s.task for s in scores}) > 1
    points = [
        key for key in dict.fromkeys((s.task, s.data) for s in scores) if all((*key, m) in by for m in family.plane)
    ]
    chances = sorted({100 * by[task, data, metric].chance for task, data in points for metric in family.plane})
    for i, chance in enumerate(chances):
        style = {"color": _VERMILION, "linewidth": 1, "zorder": 1}
        ax.axvline(chance, label=f"chance, {' and '.join(f'{c:.1f}' for c in chances)} %" if i == 0 else None, **style)
        ax.axhline(chance, **style)
    for i, (task, data) in enumerate(points):
        x, y = (by[task, data, metric] for metric in family.plane)
        ax.errorbar(
            100 * x.value,
            100 * y.value,
            xerr=[[max(0, 100 * (x.value - x.low))], [max(0, 100 * (x.high - x.value))]],
            yerr=[[max(0, 100 * (y.value - y.low))], [max(0, 100 * (y.high - y.value))]],
            fmt="o",
            color=_MARKS[i % len(_MARKS)][1],
            capsize=3,
            label=(f"{subject_of(task)}, " if several else "") + f"{data}, {x.n} {family.counts}",
        )
    ax.set_xlim(-2, 102)
    ax.set_ylim(-2, 102)
    ax.set_aspect("equal")
    ax.set_xlabel(family.axes[0])
    ax.set_ylabel(family.axes[1])
    _name_panel(ax, family.panel_title or family.title)
    ax.legend(loc="upper left", fontsize=7.5, frameon=False)


def _name_panel(ax: Any, title: str) -> None:
    """Title in lines that are short enough not to reach into the next panel."""
    ax.set_title(textwrap.fill(title, 56), fontsize=9, loc="left")


def _legend_below(ax: Any) -> None:
    """Legend below the label of the axis, whatever the height of the panel."""
    from matplotlib.transforms import ScaledTranslation

    lines = 1 + ax.get_xlabel().count("\n")
    below = ax.transAxes + ScaledTranslation(0, -0.35 - 0.15 * lines, ax.figure.dpi_scale_trans)
    columns = 3 if len(ax.get_legend_handles_labels()[1]) <= 3 else 2  # a wider legend would leave the picture
    style = {"fontsize": 7.5, "frameon": False, "ncols": columns, "columnspacing": 1.2}
    ax.legend(loc="upper center", bbox_to_anchor=(0.5, 0), bbox_transform=below, borderaxespad=0, **style)


def _short(data: str) -> str:
    """The end of a long data set name, which tells data sets apart better than its start."""
    return data if len(data) <= 24 else f"...{data[-21:]}"


def _label_rows(ax: Any, labels: Sequence[str]) -> None:
    ax.set_yticks(range(len(labels)), labels)
    ax.set_ylim(len(labels) - 0.4, -0.6)
    ax.grid(axis="x", color="#eeeeee", zorder=0)
    ax.set_axisbelow(True)
