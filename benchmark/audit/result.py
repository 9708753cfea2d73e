"""What an audit says: frozen values, written as ``audit.json`` and read by every page."""

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

if TYPE_CHECKING:
    import pandas

TARGETS: Mapping[str, str] = {"label": "The label", "split": "The split", "source": "The source"}
"""What is asked about, and how a sentence begins with it."""

ALPHA = 0.01
"""A question is flagged only below this p-value, corrected over all questions: of 100 data sets without any
confound, about one or fewer is flagged at all."""

SMALLEST_EFFECT = 0.05
"""And only above this corrected V, eta or advantage: in a million photos everything is significant."""


def page_html(audit: Any) -> str:
    """The whole page of a ``values.Audit``. Its policy allows the style in it, by its hash, and nothing else."""
    style = _style()
    digest = base64.b64encode(hashlib.sha256(style.encode()).digest()).decode()
    return _render("audit.html.jinja", audit, style=style, style_hash=f"sha256-{digest}")


def notebook_html(audit: Any) -> str:
    """The body alone, as a notebook shows it: with the notebook's own style."""
    return _render("audit_body.html.jinja", audit)


def _render(template: str, audit: Any, **context: str) -> str:
    return (
        _environment()
        .get_template(template)
        .render(audit=audit, targets=TARGETS, alpha=ALPHA, smallest=SMALLEST_EFFECT, **context)
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
        autoescape=True,  # ids, labels and comments come from files of strangers
    )


AUDIT_SCHEMA = 1
"""Raised by one with every change of ``audit.json`` that a reader must know of."""


@dataclass(frozen=True)
class Carrier:
    """One value that carries an association: where it is frequent, and where not."""

    value: str
    group: str
    """The class (split, source) in which it is most over-represented."""
    share: float | None = None
    """Of the photos of ``group``, those with the value; ``None`` for a mean of numbers."""
    elsewhere: float | None = None
    """Of all other photos, those with the value."""
    examples: tuple[str, ...] = ()
    """Ids of photos of ``group`` with the value."""


@dataclass(frozen=True)
class Question:
    """Does a feature go with the label (or the split, or the source)?"""

    target: str
    """One of ``TARGETS``."""
    feature: str
    title: str
    layer: str
    measure: str
    """``V`` (Cramer's, of values) or ``eta`` (correlation ratio, of numbers)."""
    value: float
    """Without its bias, 0 to 1."""
    raw: float
    """With it: what other tools print."""
    p_value: float
    """Of no association, by permutation."""
    adjusted: float
    """After Holm's correction over every question of the audit."""
    n: int
    """Photos."""
    distinct: int
    """Different values; 0 for numbers."""
    flagged: bool = False
    content: bool = False
    """Whether what the picture shows moves the feature too: then a flag is a hint, and no verdict rests on it."""
    carriers: tuple[Carrier, ...] = ()


@dataclass(frozen=True)
class LayerScore:
    """How well a small classifier names the label from a layer, on photos that it was not fitted to."""

    target: str
    layer: str
    """A layer, or ``file`` for header, size and Exif together."""
    title: str
    accuracy: float
    """Mean over the classes of the share that is named rightly, so that a frequent class counts no more than a rare."""
    low: float
    high: float
    """95 % interval; owners are resampled where they are known."""
    chance: float
    n: int
    classes: int
    p_value: float
    adjusted: float
    flagged: bool = False
    content: bool = False
    """As of a question."""
    recalls: Mapping[str, float] = field(default_factory=dict)
    """Share named rightly of the classes named best, by class."""

    @property
    def advantage(self) -> float:
        """How much of the way from chance to certainty: 0 to 1."""
        return max(0.0, (self.accuracy - self.chance) / (1 - self.chance)) if self.chance < 1 else 0.0


@dataclass(frozen=True)
class Duplicates:
    """Photos that are there more than once."""

    kind: str
    """``same file`` or ``same picture``."""
    photos: int
    """Photos that have a duplicate."""
    groups: int
    across_classes: int
    """Groups whose photos have different labels."""
    across_splits: int
    """Groups whose photos stand in different splits."""
    searched: int
    """Photos among which was looked."""
    examples: tuple[tuple[str, ...], ...] = ()
    """Ids of a few groups, those across splits or classes first."""


@dataclass(frozen=True)
class Audit:
    """Whether the label of a data set is confounded with codec, size or camera."""

    name: str
    label: str
    """Which column was the label."""
    photos: int
    """Photos whose header could be read and whose label is known."""
    unreadable: int
    unlabelled: int
    classes: Mapping[str, int]
    """Photos by class, the most frequent first (at most ``MAX_CLASSES_LISTED``)."""
    class_count: int
    verdict: str
    """In words; what every page begins with."""
    findings: tuple[str, ...]
    """Further sentences: splits, sources, duplicates, what was not asked."""
    repairs: tuple[str, ...]
    """What would repair it, with the option that does it."""
    questions: tuple[Question, ...]
    """The strongest first, label before split before source."""
    layers: tuple[LayerScore, ...]
    duplicates: tuple[Duplicates, ...]
    failures: tuple[tuple[str, str], ...]
    """(id, reason) of a few files that could not be read."""
    smallest_effect: float
    """The corrected V of two classes and two values that would have been found in 9 of 10 such data sets."""
    settings: Mapping[str, Any]
    evidence: Mapping[str, Any]
    schema: int = AUDIT_SCHEMA

    @property
    def flagged(self) -> bool:
        """Whether anything stands out that says how files were made, whatever they show."""
        return self.worst_effect > 0

    @property
    def worst_effect(self) -> float:
        """The largest flagged association or advantage over chance, 0 to 1; hints by content do not count."""
        effects = [q.value for q in self.questions if q.flagged and not q.content]
        effects += [s.advantage for s in self.layers if s.flagged and not s.content]
        return max(effects, default=0.0)

    def layer(self, layer: str, target: str = "label") -> LayerScore | None:
        """The score of a layer; ``None`` where it was not asked."""
        return next((s for s in self.layers if (s.layer, s.target) == (layer, target)), None)

    def question(self, feature: str, target: str = "label") -> Question | None:
        """The question of a feature; ``None`` where the feature has one value alone."""
        return next((q for q in self.questions if (q.feature, q.target) == (feature, target)), None)

    def to_json(self) -> str:
        """The text of ``audit.json``."""
        return json.dumps(dataclasses.asdict(self), indent=1, ensure_ascii=False, allow_nan=False) + "\n"

    def to_frame(self) -> pandas.DataFrame:
        """One row a question, without carriers."""
        import pandas

        names = [f.name for f in dataclasses.fields(Question) if f.name != "carriers"]
        return pandas.DataFrame([{name: getattr(q, name) for name in names} for q in self.questions], columns=names)

    def _repr_html_(self) -> str:

        return notebook_html(self)

    def __str__(self) -> str:
        return f"{self.name}: {self.verdict}"
