"""``Diff``: ways to an embedding compared, in units of the encoder's weakest trace; as JSON, table and text."""

from __future__ import annotations

import dataclasses
import html
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from benchmark.report import markdown_table, p_value, percent

if TYPE_CHECKING:
    import pandas


@dataclass(frozen=True)
class Measured:
    """A mean over photos with its 95 % interval, and the same in units of the weakest trace."""

    value: float
    low: float
    high: float
    traces: float | None = None
    """In units of what the weakest trace does; None where that is 0 or not known."""
    traces_low: float | None = None
    traces_high: float | None = None


@dataclass(frozen=True)
class PathRow:
    """One way to the embedding, compared with the first way on the same photos."""

    name: str
    kind: str
    """``path``: as requested; ``step``: one step of it alone; ``noise``: the first way again, in another batch size;
    ``trace``: the first way after the processing that moves embeddings least."""
    path: Mapping[str, str]
    n: int
    pixels_largest: float | None
    """Largest difference of the network's input over all photos, in 8-bit levels; None where inputs have no common
    pixels."""
    pixels: Measured | None
    """Mean absolute difference in 8-bit levels."""
    cosine: Measured | None
    """Cosine distance; None where dimensions differ."""
    neighbours: Measured
    """Share of each photo's nearest neighbours that changes."""
    answers: Measured | None
    """Share of photos whose answer of kNN changes; None without labels."""
    lost: Measured | None
    """Share of photos that do not find themselves first in an index of the first way; None where dimensions differ."""
    only_first: int | None
    """Number of photos that kNN classifies correctly only in the first way."""
    only_second: int | None
    accuracy_first: float | None
    accuracy_second: float | None
    mcnemar_p: float | None
    """Exact p-value of McNemar's test, in which photos are independent."""
    identical: bool
    """Whether every input and every embedding is equal, bit for bit."""
    beyond_noise: str = ""
    """yes, no or undecided: whether it moves embeddings more than noise does; "" for noise and the trace."""
    over_limit: str = ""
    """yes, no or undecided: whether it moves embeddings more than ``at_most`` weakest traces."""
    text: str = ""
    """The judgement in words."""


@dataclass(frozen=True, repr=False)
class Diff:
    """Ways to the embedding of the same photos, compared with the first one."""

    encoder: str
    data: str
    a: str
    """The first way."""
    rows: tuple[PathRow, ...]
    """Ways and their steps, the one that moves embeddings most first; then noise and the weakest trace."""
    n: int
    """Number of photos."""
    units: int
    """Number of independent units: photos, or clusters of photos that err together."""
    neighbours: int
    """Nearest neighbours that are compared, and that vote."""
    trace: str
    """Name of the processing that moves embeddings least; "" if none is known."""
    distances: Mapping[str, float]
    """By processing, its mean cosine distance on a sample of the photos."""
    at_most: float
    moved_most: tuple[tuple[str, float], ...]
    """Ids of the photos that the first row moves most, with their cosine distances."""
    left_out: Mapping[str, str]
    """By id, why a photo was left out."""
    rule: str
    """The rule of the judgement, in words."""
    versions: Mapping[str, str]

    def passed(self, *, fail_undecided: bool = False) -> bool:
        """Whether no requested way moves embeddings by more than ``at_most`` weakest traces."""
        bad = ("yes", "undecided") if fail_undecided else ("yes",)
        return not any(row.kind == "path" and row.over_limit in bad for row in self.rows)

    def to_json(self) -> dict[str, Any]:
        """All values, for programs."""
        return dataclasses.asdict(self)

    def to_frame(self) -> pandas.DataFrame:
        """One row per way, with the fields of ``Measured`` as ``cosine_low`` and the like."""
        import pandas

        return pandas.DataFrame([_flat(row) for row in self.rows])

    def __repr__(self) -> str:
        return diff_text(self)

    def _repr_html_(self) -> str:
        return f"<pre>{html.escape(repr(self))}</pre>"


HEADER = (
    "way",
    "pixels, largest",
    "pixels, mean",
    "cosine distance",
    "in weakest traces",
    "neighbours changed, %",
    "answers changed, %",
    "answers lost / won",
    "p (McNemar)",
    "lost in the index, %",
)


def diff_table(diff: Diff) -> list[list[str]]:
    """The rows as texts, parallel to ``HEADER``."""
    return [
        [
            {"path": row.name, "step": f"  {row.name}, alone"}.get(row.kind, row.name),
            "-" if row.pixels_largest is None else f"{row.pixels_largest:.4g}",
            "-" if row.pixels is None else f"{row.pixels.value:.3g}",
            "-" if row.cosine is None else f"{row.cosine.value:.3g}",
            "-" if row.cosine is None else traces_text(row.cosine),
            _share(row.neighbours, row.kind),
            "-" if row.answers is None else _share(row.answers, row.kind),
            "-" if row.only_first is None else f"{row.only_first} / {row.only_second}",
            "-" if row.mcnemar_p is None else p_value(row.mcnemar_p),
            "-" if row.lost is None else _share(row.lost, row.kind),
        ]
        for row in diff.rows
    ]


def diff_text(diff: Diff) -> str:
    """``diff.md``: the judgement first, then the table."""
    together = "" if diff.units == diff.n else f" in {diff.units:,} units that err together"
    about = (
        f"{diff.encoder} on {diff.n:,} photos of {diff.data}{together}. First way (A): {diff.a}. Intervals are "
        f"95 %, over photos{' or units' * bool(together)}. kNN: {diff.neighbours} neighbours."
    )
    first = next((f"{name}: {reason}" for name, reason in diff.left_out.items()), "")
    left_out = [f"{len(diff.left_out)} photos are left out, such as {first}."] if first else []
    judged = [row.text for row in diff.rows if row.text]
    return "\n\n".join(
        [
            about,
            *left_out,
            "\n".join(f"- {text}" for text in judged),
            diff.rule,
            markdown_table(HEADER, diff_table(diff)),
        ]
    )


def traces_text(measured: Measured) -> str:
    """In units of the weakest trace, with the interval."""
    if measured.traces is None:
        return "-"
    if measured.traces_low is None or measured.traces_high is None or measured.traces_low == measured.traces_high:
        return f"{measured.traces:.3g}"
    return f"{measured.traces:.3g} ({measured.traces_low:.3g} to {measured.traces_high:.3g})"


def _share(measured: Measured, kind: str) -> str:
    """In percent and in units of the weakest trace, which is 1 in the trace's own row."""
    traces = "" if not measured.traces or kind == "trace" else f" ({measured.traces:.2g} traces)"
    return f"{percent(measured.value)}{traces}"


def _flat(row: PathRow) -> dict[str, Any]:
    flat: dict[str, Any] = {}
    for field in dataclasses.fields(row):
        value = getattr(row, field.name)
        if isinstance(value, Measured):
            flat[field.name] = value.value
            flat |= {f"{field.name}_{f.name}": getattr(value, f.name) for f in dataclasses.fields(value)[1:]}
        elif field.name != "path":
            flat[field.name] = value
    return flat
