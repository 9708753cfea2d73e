"""What the numbers of a question mean: the reader's side of a task.

A task owns its question. Report, picture, comparison, board and summary know no task by its name; they are given the
questions, and ask them: which family, which metrics, what more of a metric says, and what the kept answers hold.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Literal, Protocol

import numpy as np

MetricKind = Literal["trace", "accuracy", "difference"]
"""``trace``: more of it is more trace; ``accuracy``: of the content task, more of it is better; ``difference``: signed,
0 says that nothing moves."""

SummaryRole = Literal["", "MP", "SP", "SPD", "all-same"]
"""Which number of the 2026 follow-up study (arXiv 2608.05424) a metric is a part of; ``all-same`` is a mean of ours:
kNN where all photos share one processing, which the 2025 study has and which is not SP."""


@dataclass(frozen=True)
class Metric:
    """One number of a question."""

    name: str
    """As results have it: ``accuracy``, ``all-same``, ``spd``."""
    title: str
    """As people read it."""
    explain: str
    """What it is, in one sentence."""
    kind: MetricKind
    chance: str
    """What a guess scores, in words; each score carries the number."""
    unit: str = "%"
    """How a person reads the value: ``%`` of a share in [0, 1], ``points`` of a difference in [-1, 1]."""
    summary: SummaryRole = ""
    difference_of: tuple[str, str] | None = None
    """Of a difference: the metrics that it subtracts, first minus second."""
    main: bool = True
    """Shown and compared unless every metric is asked for."""
    headline: bool = False
    """The one number of its question where there is room for one."""
    if_positive: str = ""
    """What a report says where the interval lies above 0."""

    @property
    def signed(self) -> bool:
        """Whether values lie in [-1, 1]."""
        return self.kind == "difference"

    @property
    def bounds(self) -> tuple[float, float]:
        """The range of a value."""
        return (-1.0, 1.0) if self.signed else (0.0, 1.0)


Layout = Literal["scores", "set-ups", "metrics"]
"""Of a table: a row for each score with chance and controls; a row for each question, metrics side by side; or a row
for each metric."""

Panel = Literal["intervals", "marks", "plane", "none"]
"""Of a picture: values with intervals against chance; the metrics of a question as marks on one line; one metric
against another with the line on which they are equal; or no panel."""


@dataclass(frozen=True)
class Family:
    """Questions of one kind, which people read together."""

    name: str
    """Unique: ``processing``, ``acquisition``, ``knn``, ``retrieval``."""
    title: str
    """Of a section or panel."""
    explain: str
    """One sentence."""
    about: Literal["processing", "acquisition"]
    """Which half of the study it belongs to."""
    header: str
    """First heading of its table."""
    layout: Layout = "metrics"
    panel: Panel = "intervals"
    panel_title: str = ""
    """What its panel shows, in a few words; the title where it is empty."""
    axes: tuple[str, ...] = ("value, %",)
    """Labels of the panel's axes, x first."""
    plane: tuple[str, str] = ("", "")
    """Metrics on the axes of a ``plane``, x first."""
    whole: Literal["study", "asked"] = "study"
    """What a mean over it must hold to be whole: every question of the published study, or those of the study that the
    data set has labels for."""
    counts: str = "photos"
    """What the n of its scores counts."""
    probed: bool = False
    """Whether probes that learn answer its questions."""
    grouped: bool = False
    """Whether the metrics of one question stand together under its title on a board."""
    hub_id: str = "{subject}-{family}"
    """How a question is called in the Hub's lists of evaluation results."""


@dataclass(frozen=True, eq=False)
class PhotoValues:
    """One score by photo; the mean over photos is the score."""

    photos: np.ndarray
    """[n], what the values belong to: indices into the photo set, or pair ids."""
    values: np.ndarray
    """float64 [n]."""
    bounds: tuple[float, float]
    """The range of a value: (0, 1) for shares, (-1, 1) for differences."""
    clusters: np.ndarray | None = None
    """[n], what each photo belongs to where such photos err together; ``None`` where photos stand alone."""


AnswersReader = Callable[[Mapping[str, np.ndarray]], Mapping[str, PhotoValues]]
"""A task's kept arrays by name -> the values by photo of each metric that follows from them."""


class Question(Protocol):
    """What readers ask of a task."""

    @property
    def name(self) -> str:
        """``family/subject``, unique."""

    @property
    def family(self) -> Family: ...

    @property
    def title(self) -> str:
        """Of its subject, as people read it: ``JPEG``."""

    @property
    def explain(self) -> str:
        """What is asked, in one sentence."""

    @property
    def metrics(self) -> tuple[Metric, ...]:
        """In the order of tables."""

    @property
    def read_answers(self) -> AnswersReader:
        """What its kept answers hold."""


Questions = Mapping[str, Question]
"""By name, in the order of reports."""


def metric_of(questions: Questions, task: str, metric: str) -> Metric:
    """What a number means; one that no question here knows (another version's, a stranger's) is told as it is named.

    >>> metric_of({}, "probe/new", "accuracy").title
    'probe/new accuracy'
    """
    question = questions.get(task)
    for known in question.metrics if question else ():
        if known.name == metric:
            return known
    explain = f"{metric} of {task}."
    return Metric(metric, f"{task} {metric}", explain, kind="accuracy", chance="as the score says", main=False)


def families(questions: Questions) -> tuple[Family, ...]:
    """Every family once, in the order of reports."""
    return tuple({q.family.name: q.family for q in questions.values()}.values())


def subject_of(task: str) -> str:
    """What a task is about, without its family.

    >>> subject_of("probe/focal-length")
    'focal-length'
    """
    return task.partition("/")[2] or task


def score_label(task: str, metric: Metric, questions: Questions) -> str:
    """A score's name in a table of many questions: the task alone for its headline.

    >>> score_label("probe/new", metric_of({}, "probe/new", "accuracy"), {})
    'probe/new accuracy'
    """
    mains = [m.name for m in questions[task].metrics if m.main] if task in questions else []
    return task if mains == [metric.name] else f"{task} {metric.name}"


def in_order(tasks: Iterable[str], questions: Questions) -> list[str]:
    """Tasks in the order of reports; those that nobody knows come last, as they came."""
    order = {name: i for i, name in enumerate(questions)}
    return sorted(dict.fromkeys(tasks), key=lambda task: order.get(task, len(order)))
