"""The course of a training: the results of its checkpoints in the order of their steps, as a table and a figure."""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from benchmark.report.tables import markdown_table, score_cell, write_png
from benchmark.results import Metric, Questions, Result, Score, in_order, score_label

if TYPE_CHECKING:
    from matplotlib.figure import Figure

_STEP = re.compile(
    r"(.*?(?:checkpoint|step|epoch|iter|iteration))[-_=]?(\d+)(?:\.[a-z.]+)?(?:@[0-9a-f]+)?(?:\?.*)?", re.IGNORECASE
)
MAX_DIGITS = 15
"""Digits of a step. A longer number is a hash or a date."""


def step_of(name: str) -> tuple[str, int] | None:
    """(common name of the training's checkpoints, step) of a checkpoint; None where its name has no step.

    >>> step_of("local-dir:checkpoint-1500@625ab1dc"), step_of("runs/a/step_20"), step_of("timm:resnet50.a1_in1k")
    (('local-dir:checkpoint', 1500), ('runs/a/step', 20), None)
    >>> step_of("weights:epoch_10.pt@625ab1dc?arch=open_clip:ViT-B-32")
    ('weights:epoch', 10)
    """
    match = _STEP.fullmatch(name.rstrip("/"))
    return (match[1], int(match[2])) if match and len(match[2]) <= MAX_DIGITS else None


def in_step_order(names: Sequence[str]) -> list[str]:
    """Names, with the checkpoints of each training in the order of their steps; other names keep their positions.

    >>> in_step_order(["runs/checkpoint-1000", "openai/clip", "runs/checkpoint-500"])
    ['runs/checkpoint-500', 'openai/clip', 'runs/checkpoint-1000']
    """
    ordered = list(names)
    trainings: dict[str, list[int]] = {}
    for i, name in enumerate(names):
        if (checkpoint := step_of(name)) is not None:
            trainings.setdefault(checkpoint[0], []).append(i)
    for positions in trainings.values():
        by_step = sorted((names[i] for i in positions), key=lambda name: (step_of(name) or ("", 0))[1])
        for i, name in zip(positions, by_step, strict=True):
            ordered[i] = name
    return ordered


@dataclass(frozen=True)
class Course:
    """Results of the checkpoints of one training on one photo set."""

    name: str
    data: str
    results: tuple[tuple[int, Result], ...]
    """(step, result) in the order of steps, two or more."""

    def scores(self, task: str, metric: str) -> list[tuple[int, Score]]:
        """(step, score) of the checkpoints that have the score."""
        return [(n, s) for n, result in self.results for s in result.scores if (s.task, s.metric) == (task, metric)]


def courses(results: Sequence[Result]) -> list[Course]:
    """The trainings among results.

    Checkpoints of which two have the same step belong to two trainings with the same name; they form no course.
    """
    groups: dict[tuple[str, str], list[tuple[int, Result]]] = {}
    for result in results:
        if (checkpoint := step_of(str(result.encoder["id"]))) is not None:
            groups.setdefault((checkpoint[0], str(result.data["name"])), []).append((checkpoint[1], result))
    trainings = []
    for (name, data), members in groups.items():
        members.sort(key=lambda member: member[0])
        steps = [step for step, _ in members]
        if len(steps) > 1 and len(set(steps)) == len(steps):
            trainings.append(Course(name, data, tuple(members)))
    return trainings


def course_text(course: Course, questions: Questions) -> str:
    """Table with a row for each step: traces and plain kNN, with their intervals."""
    metrics = _metrics(course, questions)
    header = ["step", *(f"{score_label(task, metric, questions)}, %" for task, metric in metrics)]
    rows = []
    for step, result in course.results:
        scores = {(s.task, s.metric): s for s in result.scores}
        cells = [score_cell(scores.get((task, metric.name)), metric.signed) for task, metric in metrics]
        rows.append([str(step), *cells])
    return f"## {course.name} on {course.data}, by step\n\n{markdown_table(header, rows)}"


def draw_courses(trainings: Sequence[Course], questions: Questions, path: Path) -> None:
    """Write ``course_figure`` to a PNG file, atomically; no file where there is nothing to draw."""
    figure = course_figure(trainings, questions)
    if figure is not None:
        write_png(figure, path)


def course_figure(trainings: Sequence[Course], questions: Questions) -> Figure | None:
    """A panel for each trace of each training, with plain kNN in it; ``None`` where there is nothing to draw."""
    import matplotlib
    from matplotlib.figure import Figure

    panels = [(course, task, metric) for course in trainings for task, metric in _metrics(course, questions)]
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
    for other, content in _metrics(course, questions):
        if content.summary == "SP" and metric.summary != "SP":
            points = course.scores(other, content.name)
            ax.plot(
                [n for n, _ in points], [100 * s.value for _, s in points], color="#6b6b6b", linestyle=":", marker="."
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


def _metrics(course: Course, questions: Questions) -> list[tuple[str, Metric]]:
    """Tasks and metrics of the traces and of plain kNN that two steps or more have, in the order of reports."""
    tasks = in_order((s.task for _, result in course.results for s in result.scores), questions)
    return [
        (task, metric)
        for task in tasks
        if task in questions
        for metric in questions[task].metrics
        if ((metric.kind != "accuracy" and metric.main) or metric.summary == "SP")
        and len(course.scores(task, metric.name)) > 1
    ]
