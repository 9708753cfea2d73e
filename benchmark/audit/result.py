"""The result of an audit: values that are written as ``audit.json``, and the HTML page made of them."""

from __future__ import annotations

import base64
import dataclasses
import functools
import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from importlib import resources
from typing import TYPE_CHECKING, Any

import jinja2

from benchmark.judgement import CONFOUND_LIMITS, ConfoundMark, ConfoundVerdict, confound_mark
from benchmark.report import p_value
from benchmark.stats import effect_size

if TYPE_CHECKING:
    import pandas

TARGETS: Mapping[str, str] = {"label": "The label", "split": "The split", "source": "The source"}
"""Columns that features are tested against, with the beginning of sentences about them."""

ALPHA = 0.01
"""A question is flagged only below this p-value, corrected over all questions: of 100 data sets without a confound, at
most about one has any flag."""

SMALLEST_EFFECT = 0.05
"""Least corrected V, eta or advantage of a flag: in a million photos every association is significant."""


AUDIT_SCHEMA = 2
"""Version of ``audit.json``, raised by one with every change that breaks a reader."""


@dataclass(frozen=True)
class Carrier:
    """One value that carries an association: the class in which it is frequent, and its shares there and elsewhere."""

    value: str
    group: str
    """The class (split, source) in which it is most over-represented."""
    share: float | None = None
    """Share of the photos of ``group`` with the value; ``None`` for a mean of numbers."""
    elsewhere: float | None = None
    """Share of all other photos with the value."""
    examples: tuple[str, ...] = ()
    """Ids of photos of ``group`` with the value."""


@dataclass(frozen=True)
class Question:
    """The association of a feature with the label (or the split, or the source)."""

    target: str
    """One of ``TARGETS``."""
    feature: str
    title: str
    layer: str
    measure: str
    """``V`` (Cramer's, of values) or ``eta`` (correlation ratio, of numbers)."""
    value: float
    """Measure without its bias, 0 to 1."""
    raw: float
    """Measure with its bias, as other tools print it."""
    p_value: float
    """Of no association, by permutation."""
    adjusted: float
    """P-value after Holm's correction over all questions and layers of the audit."""
    n: int
    """Number of photos."""
    distinct: int
    """Number of different values; 0 for numbers."""
    tested: int = 0
    """Number of independent photos of the p-value: one of each owner, where owners are known."""
    flagged: bool = False
    content: bool = False
    """Whether the content of the picture affects the feature too: a flag is then a hint, which alone confounds nothing.
    """
    carriers: tuple[Carrier, ...] = ()

    @property
    def mark(self) -> ConfoundMark:
        """How it is marked wherever it is shown."""
        return confound_mark(self.flagged, self.content)


@dataclass(frozen=True)
class LayerScore:
    """Accuracy of a small classifier that predicts the label from a layer, on photos that it was not fitted to."""

    target: str
    layer: str
    """A layer, or ``file`` for header, size and Exif together."""
    title: str
    accuracy: float
    """Mean of the recalls of all classes, so that a frequent class counts no more than a rare one."""
    low: float
    high: float
    """Ends of the 95 % interval, over owners where they are known, with the variance that the p-value has."""
    chance: float
    n: int
    classes: int
    p_value: float
    adjusted: float
    flagged: bool = False
    content: bool = False
    """As ``Question.content``."""
    recalls: Mapping[str, float] = field(default_factory=dict)
    """Recall by class, of the classes with the highest ones."""

    @property
    def mark(self) -> ConfoundMark:
        """As ``Question.mark``."""
        return confound_mark(self.flagged, self.content)

    @property
    def advantage(self) -> float:
        """Share of the way from chance to always right: 0 to 1."""
        return max(0.0, effect_size(self.accuracy, self.low, self.high, self.chance).value)


@dataclass(frozen=True)
class Duplicates:
    """Photos that occur more than once."""

    kind: str
    """``same file`` or ``same picture``."""
    photos: int
    """Number of photos with a duplicate."""
    groups: int
    across_classes: int
    """Number of groups whose photos have different labels."""
    across_splits: int
    """Number of groups whose photos are in different splits."""
    searched: int
    """Number of photos that were searched."""
    examples: tuple[tuple[str, ...], ...] = ()
    """Ids of a few groups, those across splits or classes first."""


@dataclass(frozen=True, repr=False)
class Audit:
    """Whether the label of a data set is confounded with codec, size or camera."""

    name: str
    label: str
    """Name of the label column."""
    photos: int
    """Number of photos with a readable header and a known label."""
    unreadable: int
    unlabelled: int
    classes: Mapping[str, int]
    """Photos by class, the most frequent first (at most ``MAX_CLASSES_LISTED``)."""
    class_count: int
    verdict: ConfoundVerdict
    """Heading, text, colour and exit status of every page and command."""
    findings: tuple[str, ...]
    """Further sentences: splits, sources, duplicates, questions that were left out."""
    repairs: tuple[str, ...]
    """Possible repairs, with their options."""
    questions: tuple[Question, ...]
    """Label before split before source, the strongest first."""
    layers: tuple[LayerScore, ...]
    duplicates: tuple[Duplicates, ...]
    failures: tuple[tuple[str, str], ...]
    """(id, reason) of a few files that could not be read."""
    smallest_effect: float
    """V that would most likely be flagged in such a data set, in the feature where it is least; 1 if none would."""
    settings: Mapping[str, Any]
    evidence: Mapping[str, Any]
    schema: int = AUDIT_SCHEMA

    def layer(self, layer: str, target: str = "label") -> LayerScore | None:
        """The score of a layer; ``None`` where there is none."""
        return next((s for s in self.layers if (s.layer, s.target) == (layer, target)), None)

    def question(self, feature: str, target: str = "label") -> Question | None:
        """The question of a feature; ``None`` where the feature has one value alone."""
        return next((q for q in self.questions if (q.feature, q.target) == (feature, target)), None)

    def to_json(self) -> str:
        """The text of ``audit.json``."""
        return json.dumps(dataclasses.asdict(self), indent=1, ensure_ascii=False, allow_nan=False) + "\n"

    def to_frame(self) -> pandas.DataFrame:
        """One row for each question, without carriers."""
        import pandas

        names = [f.name for f in dataclasses.fields(Question) if f.name != "carriers"]
        return pandas.DataFrame([{name: getattr(q, name) for name in names} for q in self.questions], columns=names)

    def _repr_html_(self) -> str:
        return notebook_html(self)

    def __repr__(self) -> str:
        return f"{self.name}: {self.verdict.title}. {self.verdict.text}"


def page_html(audit: Audit) -> str:
    """The page of an audit. Its policy allows its style, by the hash, and nothing else."""
    style = _style()
    digest = base64.b64encode(hashlib.sha256(style.encode()).digest()).decode()
    return _render("audit.html.jinja", audit, style=style, style_hash=f"sha256-{digest}")


def notebook_html(audit: Audit) -> str:
    """The body of the page, which a notebook shows in the style of the notebook."""
    return _render("audit_body.html.jinja", audit)


def _render(template: str, audit: Audit, **context: Any) -> str:
    return (
        _environment()
        .get_template(template)
        .render(
            audit=audit,
            targets=TARGETS,
            alpha=ALPHA,
            smallest=SMALLEST_EFFECT,
            p_value=p_value,
            limits=CONFOUND_LIMITS,
            **context,
        )
    )


@functools.cache
def _style() -> str:
    return (resources.files("benchmark.audit") / "page.css").read_text(encoding="utf-8")


@functools.cache
def _environment() -> jinja2.Environment:
    def text(name: str) -> str | None:
        path = resources.files("cards") / name
        return path.read_text(encoding="utf-8") if path.is_file() else None

    return jinja2.Environment(
        loader=jinja2.FunctionLoader(text),
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        autoescape=True,  # ids, labels and comments are untrusted
    )
