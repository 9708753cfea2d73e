"""Questions, their families and metrics: what scores mean, independent of the tasks that compute them.

A task provides its question. Reports, figures, comparisons, boards and summaries take ``Questions`` as an argument: the
family of a score, the meaning of a metric, and how stored answers give values by photo.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, Protocol

import numpy as np

MetricKind = Literal["trace", "accuracy", "difference"]
"""``trace``: a higher value is more trace; ``accuracy``: of the content task, a higher value is better; ``difference``:
signed, 0 means no effect."""

SummaryRole = Literal["", "MP", "SP", "SPD", "all-same"]
"""Which number of the 2026 follow-up study (arXiv 2608.05424) a metric is a part of. ``all-same`` is a further mean of
camtrace: kNN where all photos share one processing, which is in the 2025 study and is not SP."""


@dataclass(frozen=True)
class Metric:
    """One number of a question."""

    name: str
    """Name in results: ``accuracy``, ``all-same``, ``spd``."""
    title: str
    """Title in tables and figures."""
    explain: str
    """Meaning, in one sentence."""
    kind: MetricKind
    chance: str
    """Score of a guess, in words; each score has the number."""
    unit: str = "%"
    """Unit in tables: ``%`` for a share in [0, 1], ``points`` for a difference in [-1, 1]."""
    summary: SummaryRole = ""
    difference_of: tuple[str, str] | None = None
    """The two metrics of a difference, first minus second."""
    main: bool = True
    """Whether it is shown and compared by default."""
    headline: bool = False
    """Whether it stands for its question where only one number is shown."""
    if_positive: str = ""
    """Words of a report where the interval lies above 0."""
    if_negative: str = ""
    """Words where it lies below 0, of a difference that says which of two prevails. Such a difference is no cost."""

    @property
    def signed(self) -> bool:
        """Whether values lie in [-1, 1]."""
        return self.kind == "difference"

    @property
    def bounds(self) -> tuple[float, float]:
        """The range of a value."""
        return (-1.0, 1.0) if self.signed else (0.0, 1.0)


Layout = Literal["scores", "set-ups", "metrics", "section"]
"""Layout of a table. ``scores``: a row for each score with chance and controls; ``set-ups``: a row for each question,
metrics side by side; ``metrics``: a row for each metric; ``section``: a section of the report has its numbers."""

Panel = Literal["intervals", "marks", "plane", "none"]
"""Panel of a figure. ``intervals``: values with intervals against chance; ``marks``: the metrics of a question on one
line; ``plane``: one metric against another with the line on which they are equal; or none."""


@dataclass(frozen=True)
class Family:
    """Questions of one kind, which share a table and a panel."""

    name: str
    """Unique: ``processing``, ``acquisition``, ``knn``, ``retrieval``."""
    title: str
    """Title of the section or panel."""
    explain: str
    """Meaning, in one sentence."""
    about: Literal["processing", "acquisition", "group", "detection"]
    """Which half of the study it belongs to; not in the study are ``group``, a given group, and ``detection``, whether
    photos were generated."""
    header: str
    """Heading of the first column of its table."""
    layout: Layout = "metrics"
    panel: Panel = "intervals"
    panel_title: str = ""
    """Title of its panel; ``title`` where it is empty."""
    axes: tuple[str, ...] = ("value, %",)
    """Labels of the panel's axes, x first."""
    plane: tuple[str, str] = ("", "")
    """Metrics on the axes of a ``plane``, x first."""
    whole: Literal["study", "labelled"] = "study"
    """Which questions a mean over the family needs: all of the published study, or those of them that the data set has
    labels for."""
    counts: str = "photos"
    """What the n of its scores counts."""
    probed: bool = False
    """Whether its scores come from trained probes."""
    grouped: bool = False
    """Whether a board groups the metrics of one question under its title."""
    hub_id: str = "{subject}-{family}"
    """Name of a question in the Hub's lists of evaluation results."""
    tagline: str = ""
    """What a page answers whose scores are all of this family."""
    section: tuple[str, Callable[[Any], str]] | None = None
    """Heading and text, from a ``Result``, of a section of the report; an empty text is left out."""
    short: Callable[[Sequence[Any], Questions], Sequence[Any]] | None = None
    """Three short answers (``judgement.Conclusion``) about the results of one encoder; none where no score says it."""
    lead: tuple[str, str] = ("", "")
    """The metric whose first encoder a page names, and what that encoder does: ``matches most``."""


@dataclass(frozen=True, eq=False)
class PhotoValues:
    """One value for each photo; their mean is the score."""

    photos: np.ndarray
    """[n], indices into the photo set, or ids of pairs."""
    values: np.ndarray
    """float64 [n]."""
    bounds: tuple[float, float]
    """The range of a value: (0, 1) for shares, (-1, 1) for differences."""
    clusters: np.ndarray | None = None
    """[n], error unit of each photo; ``None`` where each photo is a separate unit."""
    freedom: int | None = None
    """Degrees of freedom of the jackknife of a statistic over clusters (``stats.Jackknife.photo_values``): its interval
    is Student's, cut to ``limits``. None for a mean."""
    limits: tuple[float, float] | None = None
    """The range of a statistic that is no mean of photos, whose values lie outside of it too; None for a mean."""
    over: tuple[str, ...] = ()
    """Processings that a value is the mean over, where runs may differ in them: values over others answer another
    question."""

    @property
    def pairing(self) -> dict[str, Any]:
        """What ``benchmark.stats.paired_difference`` has to know of these values."""
        return {
            "clusters": self.clusters,
            "bounds": self.bounds,
            "freedom": self.freedom,
            "limits": self.limits,
        }


AnswersReader = Callable[[Mapping[str, np.ndarray]], Mapping[str, PhotoValues]]
"""Stored arrays of a task by name -> values by photo of each metric that they contain."""


Answers = Mapping[str, np.ndarray]
"""Stored arrays of a task by name."""


@dataclass(frozen=True)
class AnswerFacts:
    """What the stored answers of one metric determine besides its values by photo."""

    chance: float | None
    """Score of a guess; None where the answers do not tell it."""
    guess: float | None
    """What a p-value against chance compares with; None where there is none."""
    details: Mapping[str, Any]
    """The part of ``Score.details`` that follows from the answers."""


FactsReader = Callable[[Answers], Mapping[str, AnswerFacts]]
"""Stored arrays of a task -> facts of each metric."""


def no_facts(_: Answers) -> Mapping[str, AnswerFacts]:
    """The facts of a task whose answers determine only values."""
    return {}


class Question(Protocol):
    """The question that a task scores."""

    @property
    def name(self) -> str:
        """``family/subject``, unique."""

    @property
    def family(self) -> Family: ...

    @property
    def title(self) -> str:
        """Title of its subject: ``JPEG``."""

    @property
    def explain(self) -> str:
        """Meaning, in one sentence."""

    @property
    def metrics(self) -> tuple[Metric, ...]:
        """In the order of tables."""

    @property
    def read_answers(self) -> AnswersReader:
        """Reader of its stored answers."""

    @property
    def read_facts(self) -> FactsReader:
        """Reader of what its stored answers determine besides values."""


Questions = Mapping[str, Question]
"""By name, in the order of reports."""


def metric_of(questions: Questions, task: str, metric: str) -> Metric:
    """The metric of a score. One that no question lists (of another version, or untrusted) gets its name as its title.

    >>> metric_of({}, "probe/new", "accuracy").title
    'probe/new accuracy'
    """
    question = questions.get(task)
    for listed in question.metrics if question else ():
        if listed.name == metric:
            return listed
    explain = f"{metric} of {task}."
    return Metric(metric, f"{task} {metric}", explain, kind="accuracy", chance="as the score says", main=False)


def families(questions: Questions) -> tuple[Family, ...]:
    """Every family once, in the order of reports."""
    return tuple({q.family.name: q.family for q in questions.values()}.values())


def subject_of(task: str) -> str:
    """Subject of a task: its name without the family.

    >>> subject_of("probe/focal-length")
    'focal-length'
    """
    return task.partition("/")[2] or task


def score_label(task: str, metric: Metric, questions: Questions) -> str:
    """Name of a score in a table of several questions: the task alone where it has one main metric.

    >>> score_label("probe/new", metric_of({}, "probe/new", "accuracy"), {})
    'probe/new accuracy'
    """
    mains = [m.name for m in questions[task].metrics if m.main] if task in questions else []
    return task if mains == [metric.name] else f"{task} {metric.name}"


def in_order(tasks: Iterable[str], questions: Questions) -> list[str]:
    """Tasks in the order of reports; unknown ones last, in their given order."""
    order = {name: i for i, name in enumerate(questions)}
    return sorted(dict.fromkeys(tasks), key=lambda task: order.get(task, len(order)))
