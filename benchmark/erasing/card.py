"""Reports about an eraser: tables of scores before and after, learning curve, matrix, and the card of its folder."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from benchmark.erasing.eraser import Eraser
from benchmark.erasing.sides import FitPlan
from benchmark.judgement import STILL_READ, Answer, ErasedReader, erased_text
from benchmark.report import interval, markdown_table, percent
from benchmark.results import Questions, metric_of


@dataclass(frozen=True)
class Row:
    """A score before and after erasing, on the same photos."""

    task: str
    metric: str
    data: str
    """Name of the photo set."""
    kind: str
    """``trace``, ``accuracy`` (of the content) or ``difference``."""
    reader: str
    """Reader of the trace; empty for other kinds."""
    before: float
    before_low: float
    before_high: float
    after: float
    after_low: float
    after_high: float
    difference: float
    """After minus before."""
    low: float | None
    """End of the paired interval of ``difference``; None, as ``high`` and ``p_value``, if answers cannot be paired."""
    high: float | None
    p_value: float | None
    n: int
    """Number of photos."""
    chance: float
    """Score of a guess: one over the number of classes, or the share of the most frequent class if that is more."""
    before_answer: Answer | None = None
    """Whether the trace was read before erasing, judged over all readers of this trace; None for other kinds."""
    after_answer: Answer | None = None
    """Whether it is still read after erasing, judged in the same way."""
    units: str = ""
    """What errs together behind it, in words; empty where photos are independent."""

    def record(self) -> dict[str, Any]:
        """The fields as JSON values."""
        return {
            name: round(value, 6) if isinstance(value, float) else value
            for name, value in dataclasses.asdict(self).items()
        }


@dataclass(frozen=True, eq=False)
class MeasuredEraser:
    """An eraser and its effect on photos that it has not seen."""

    eraser: Eraser
    plan: FitPlan
    rows: tuple[Row, ...]
    """Scores, of the data set of the fit first."""
    curve: tuple[dict[str, Any], ...]
    """Per size of the fit, the score of each reader on unseen photos; empty if no sizes were requested."""


def _trace_rows(rows: Sequence[Row], trace: str) -> list[Row]:
    """The rows about one trace, one per reader and photo set."""
    return [row for row in rows if row.kind == "trace" and row.task.partition("/")[2] == trace]


LABELS_NEEDED = "needs the label of every row that it is applied to, so it hides nothing from a reader without labels"

UNPAIRED = "unpaired, no interval"
"""Written in place of an interval if answers before and after cannot be paired."""


def table(rows: Sequence[Row], eraser: Eraser, questions: Questions) -> str:
    """Markdown table with a row per score: before, after and paired difference, each with its 95 % interval.

    Args:
        rows: the scores.
        eraser: that was applied.
        questions: by name of a task, the meaning of its scores.
    """
    header = ["read", "by", "on", "before %", "after %", "difference (95 %)", "chance %", STILL_READ, "n"]
    cells = []
    for row in rows:
        signed = row.kind == "difference"
        cells.append(
            [
                _named(row, questions),
                row.reader or "-",
                row.data,
                f"{percent(row.before, signed)} ({interval(row.before_low, row.before_high, signed)})",
                f"{percent(row.after, signed)} ({interval(row.after_low, row.after_high, signed)})",
                f"{percent(row.difference, True)} ({_ends(row)})",
                percent(row.chance),
                row.after_answer or "-",
                str(row.n),
            ]
        )
    flag = f"\n\n**{eraser.method} {LABELS_NEEDED}.**" if eraser.needs_labels else ""
    return markdown_table(header, cells) + flag


def verdict(rows: Sequence[Row], trace: str) -> str:
    """Which readers read the trace before erasing, and which still do, on unseen photos of the first photo set."""
    first = [row for row in _trace_rows(rows, trace) if row.data == rows[0].data]
    if not first:
        return "Nothing was read."
    readers = [
        ErasedReader(
            row.reader, row.after, row.chance, row.before_answer or "undecided", row.after_answer or "undecided"
        )
        for row in first
    ]
    return " ".join(filter(None, [erased_text(trace, first[0].n, readers), first[0].units]))


def curve_table(curve: Sequence[Mapping[str, Any]]) -> str:
    """Markdown table of each reader's score by the number of photos of the fit."""
    readers = list(curve[0]["readers"])
    rows = [
        [
            str(point["photos"]) if point["photos"] else "none (before)",
            *(f"{percent(r['value'])} ({interval(r['low'], r['high'])})" for r in point["readers"].values()),
        ]
        for point in curve
    ]
    chance = f"Chance {percent(curve[0]['chance'])} %, {curve[0]['n']} unseen photos."
    return f"{markdown_table(['photos of the fit', *(f'{name} %' for name in readers)], rows)}\n\n{chance}"


def matrix(erased: Mapping[str, MeasuredEraser], questions: Questions) -> str:
    """Markdown tables of several erasers: fitted on a trace (rows), scores of every trace on every photo set (columns).

    There is one table per reader, and one of what erasing cost.

    Args:
        erased: by trace, its eraser.
        questions: by name of a task, the meaning of its scores.
    """
    parts = []
    every = [row for measured in erased.values() for row in measured.rows]
    readers = list(dict.fromkeys(row.reader for row in every if row.kind == "trace"))
    for reader in (*readers, ""):
        columns = dict.fromkeys(
            (row.task, row.metric, row.data)
            for row in every
            if (row.kind == "trace" and row.reader == reader) or (not reader and row.kind != "trace")
        )
        several = len({data for *_, data in columns}) > 1
        header = ["fitted on", *(_column(*column, several, questions) for column in columns)]
        rows = [["nothing", *(_cell(every, column, "before") for column in columns)]]
        for trace, measured in erased.items():
            rows.append([trace, *(_cell(measured.rows, column, "after") for column in columns)])
        if columns:
            title = f"What the {reader} reader reads, %" if reader else "What it costs, %"
            parts.append(f"**{title}**\n\n{markdown_table(header, rows)}")
    return "\n\n".join(parts)


def _cell(rows: Sequence[Row], column: tuple[str, str, str], which: str) -> str:
    row = next((row for row in rows if (row.task, row.metric, row.data) == column), None)
    return "-" if row is None else percent(getattr(row, which), row.kind == "difference")


def _column(task: str, metric: str, data: str, several: bool, questions: Questions) -> str:
    known = metric_of(questions, task, metric)
    name = task.partition("/")[2] if known.kind == "trace" else f"{task} {metric}"
    return f"{name} on {data}" if several else name


def _ends(row: Row) -> str:
    """The paired interval of a difference, or a note that there is none."""
    return UNPAIRED if row.low is None or row.high is None else interval(row.low, row.high, True)


def _named(row: Row, questions: Questions) -> str:
    known = metric_of(questions, row.task, row.metric)
    return row.task if known.kind == "trace" else f"{row.task} {known.title}"


def card_text(erased: MeasuredEraser, questions: Questions, place: str = "") -> str:
    """``README.md`` of the folder: what the eraser is, lines that apply it, its effect and its limits.

    Args:
        erased: the eraser and its scores.
        questions: by name of a task, the meaning of its scores.
        place: ``OWNER/NAME`` on the Hub, if it is published.
    """
    eraser, about = erased.eraser, erased.eraser.provenance
    trace, encoder = str(about["attribute"]), about["encoder"]["id"]
    data, first = about["data"], erased.rows[0].data if erased.rows else ""
    unseen = ", ".join(f"{count} {name}" for name, count in about["unseen"].items() if name in _UNSEEN and count)
    parts = [
        "---\nlibrary_name: camtrace\ntags:\n- camtrace\n- concept-erasure\n- embeddings\n---",
        f"# {eraser.name}",
        f"Takes **{trace}** out of embeddings of `{encoder}`: {eraser.method}, fitted on {about['n_photos']} photos of "
        f"{data}, {eraser.rank} of {eraser.dimension} directions. {verdict(erased.rows, trace)}",
        "## Apply it, without camtrace",
        f"```python\n{numpy_lines(eraser)}\n```",
    ]
    if not eraser.needs_labels:
        where = place or "FOLDER"
        parts += [f'With it: `camtrace.load_eraser("{where}").apply(x)`, or `camtrace score --eraser {where} ...`.']
    parts += [
        "## What it did",
        f"Options were chosen on held-out photos of the fit. Then it was frozen and measured on photos of {first} that "
        f"it has not seen ({unseen}); readers learnt from {_learnt(about)}. Where n is small this is a smoke test.",
        table(erased.rows, eraser, questions),
    ]
    if erased.curve:
        parts += ["## How many photos it needs", curve_table(erased.curve)]
    parts += [
        "## What it does not do",
        "It takes out what it was fitted on, of this encoder, as these readers read it. Another reader, another "
        "encoder, or a codec that the fit has not seen, may still tell the trace.",
    ]
    return "\n\n".join(parts) + "\n"


def _learnt(about: Mapping[str, Any]) -> str:
    apart = about["unseen"].get("readers_learn_apart")
    return "other photos than the fit's" if apart else "the fit's own photos, so that they find less than is there"


_UNSEEN = ("photos", "owner", "scene", "cameras")


def numpy_lines(eraser: Eraser) -> str:
    """Python lines that apply an eraser with only numpy and safetensors."""
    unit = "    x = x / np.maximum(np.linalg.norm(x, axis=1, keepdims=True), 1e-12)\n" if eraser.unit_rows else ""
    given = ", group" if eraser.needs_labels else ""
    deviation = "(x - t['group_means'][group]) / t['group_scales'][group]" if given else "(x - t['mean'])"
    groups = f"  # group: int [n], of {list(eraser.provenance.get('classes', ()))}" if given else ""
    return (
        "import numpy as np\n"
        "from safetensors.numpy import load_file\n\n"
        't = load_file("eraser.safetensors")\n\n\n'
        f"def erase(x{given}):  # [n, {eraser.dimension}] -> [n, {eraser.dimension}]{groups}\n"
        "    x = np.asarray(x, np.float32)\n"
        f"{unit}"
        f"    return t['mean'] + {deviation} @ t['projection'].T"
    ).replace("'", '"')
