"""The course of a training: results of checkpoints in the order of their steps, as a table and a picture."""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from benchmark.report.tables import interval, markdown_table, percent, write_png
from benchmark.results import Metric, Questions, Result, Score, score_label

if TYPE_CHECKING:
    from matplotlib.figure import Figure

_STEP = re.compile(r"(.*?(?:checkpoint|step|epoch|iter|iteration))[-_=]?(\d+)(?:@[0-9a-f]+)?", re.IGNORECASE)
MAX_DIGITS = 15
"""Of a step: more is a hash, or a date."""


def step_of(name: str) -> tuple[str, int] | None:
    """(what its checkpoints have in common, step) of a checkpoint's name; None where it has no step.

    >>> step_of("local-dir:checkpoint-1500@625ab1dc"), step_of("runs/a/step_20"), step_of("timm:resnet50.a1_in1k")
    (('local-dir:checkpoint', 1500), ('runs/a/step', 20), None)
    """
    match = _STEP.fullmatch(name.rstrip("/"))
    return (match[1], int(match[2])) if match and len(match[2]) <= MAX_DIGITS else None


def in_step_order(names: Sequence[str]) -> list[str]:
    """Names, those that are checkpoints of one training by step; the others stay where they are.

    >>> in_step_order(["runs/checkpoint-1000", "openai/clip", "runs/checkpoint-500"])
    ['runs/checkpoint-500', 'openai/clip', 'runs/checkpoint-1000']
    """
    found = list(names)
    places: dict[str, list[int]] = {}
    for place, name in enumerate(found):
        if (known := step_of(name)) is not None:
            places.setdefault(known[0], []).append(place)
    for own in places.values():
        ordered = sorted((names[place] for place in own), key=lambda name: (step_of(name) or ("", 0))[1])
        for place, name in zip(own, ordered, strict=True):
            found[place] = name
    return found


@dataclass(frozen=True)
class Course:
    """Results of the checkpoints of one training on one photo set."""

    name: str
    data: str
    results: tuple[tuple[int, Result], ...]
    """By step, two or more."""

    def scores(self, task: str, metric: str) -> list[tuple[int, Score]]:
        """(step, score) of those that have it."""
        return [(n, s) for n, result in self.results for s in result.scores if (s.task, s.metric) == (task, metric)]


def courses(results: Sequence[Result]) -> list[Course]:
    """The trainings among results; two checkpoints of one step are of two trainings, of which nobody knows which."""
    by: dict[tuple[str, str], list[tuple[int, Result]]] = {}
    for result in results:
        if (known := step_of(str(result.encoder["id"]))) is not None:
            by.setdefault((known[0], str(result.data["name"])), []).append((known[1], result))
    found = []
    for (name, data), own in by.items():
        own.sort(key=lambda one: one[0])
        steps = [step for step, _ in own]
        if len(steps) > 1 and len(set(steps)) == len(steps):
            found.append(Course(name, data, tuple(own)))
    return found


def course_text(course: Course, questions: Questions) -> str:
    """A row for each step: traces and plain kNN, with their intervals."""
    asked = _asked(course, questions)
    header = ["step", *(f"{score_label(task, metric, questions)}, %" for task, metric in asked)]
    rows = []
    for step, result in course.results:
        by = {(s.task, s.metric): s for s in result.scores}
        cells = [_cell(by.get((task, metric.name)), metric) for task, metric in asked]
        rows.append([str(step), *cells])
    return f"## {course.name} on {course.data}, by step\n\n{markdown_table(header, rows)}"


def draw_courses(found: Sequence[Course], questions: Questions, path: Path) -> None:
    """Write ``course_figure`` to a PNG file, atomically; no file where there is none."""
    figure = course_figure(found, questions)
    if figure is not None:
        write_png(figure, path)


def course_figure(found: Sequence[Course], questions: Questions) -> Figure | None:
    """A panel for each trace of each training, plain kNN beside it; ``None`` where there is nothing to draw."""
    import matplotlib
    from matplotlib.figure import Figure

    panels = [(course, task, metric) for course in found for task, metric in _asked(course, questions)]
    panels = [panel for panel in panels if panel[2].summary != "SP"] or panels
    if not panels:
        return None
    columns = min(2, len(panels))
    rows = math.ceil(len(panels) / columns)
    with matplotlib.rc_context({"font.size": 9, "axes.spines.top": False, "axes.spines.right": False}):
        figure = Figure(figsize=(5.6 * columns, 3.2 * rows), layout="constrained")
        axes = figure.subplots(rows, columns, squeeze=False).flat
        for ax, (course, task, metric) in zip(axes, panels, strict=False):
            _draw(ax, course, task, metric, questions)
        for ax in list(figure.axes)[len(panels) :]:
            ax.set_axis_off()
    return figure


def _draw(ax: Any, course: Course, task: str, metric: Metric, questions: Questions) -> None:
    for other, content in _asked(course, questions):
        if content.summary == "SP" and metric.summary != "SP":
            known = course.scores(other, content.name)
            ax.plot(
                [n for n, _ in known], [100 * s.value for _, s in known], color="#6b6b6b", linestyle=":", marker="."
            )
            ax.plot([], [], color="#6b6b6b", linestyle=":", label="plain kNN accuracy, %")
    scores = course.scores(task, metric.name)
    steps = [step for step, _ in scores]
    value, low, high = (np.array([100 * getattr(s, name) for _, s in scores]) for name in ("value", "low", "high"))
    ax.fill_between(steps, low, high, color="#D55E00", alpha=0.18, linewidth=0)
    label = score_label(task, metric, questions)
    ax.plot(steps, value, color="#D55E00", marker="o", markersize=4, label=label)
    chance = 100 * scores[0][1].chance
    ax.axhline(chance, color="#a33", linewidth=0.8, linestyle="--", label=f"chance {chance:.1f}")
    ax.set_xlabel("step (bands: 95 % intervals)")
    ax.set_ylabel("points" if metric.signed else "%")
    counts = " or ".join(f"{n:,}" for n in sorted({s.n for _, s in scores}))
    ax.set_title(f"{course.name} on {course.data}, n = {counts}", fontsize=9, loc="left")
    ax.grid(axis="y", color="#eeeeee")
    ax.legend(fontsize=7.5, frameon=False)


def _asked(course: Course, questions: Questions) -> list[tuple[str, Metric]]:
    """Traces and plain kNN that at least two steps have, in the order of reports."""
    return [
        (task, metric)
        for task, question in questions.items()
        for metric in question.metrics
        if ((metric.kind != "accuracy" and metric.main) or metric.summary == "SP")
        and len(course.scores(task, metric.name)) > 1
    ]


def _cell(score: Score | None, metric: Metric) -> str:
    if score is None:
        return ""
    return f"{percent(score.value, metric.signed)} ({interval(score.low, score.high, metric.signed)})"
