"""A comparison by item as text, as JSON values, as rows for a table, and as a page."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from benchmark.compare import Gate, gate_text
from benchmark.extras.items.comparison import ComparedItems, ItemRanks, ItemRow
from benchmark.judgement import FILLED_MARK, RANKS_RULE, differing_text
from benchmark.report import interval, markdown_table, p_value, percent
from builders.files import write_text_atomically
from builders.untrusted import csv_text, readable

MOST_PAIRS = 10
"""Pairs of systems that the text shows all; of more systems it shows those with the first."""


def items_text(compared: ComparedItems) -> str:
    """Differences with their meaning, ranks where there are three systems or more, and what was left out."""
    shown = shown_rows(compared)
    header = ["score", "first", "second", "first value", "second value", "difference", "95 % interval", "test", "p"]
    header += ["p (Holm)", "differs", "n", "detectable", "items needed"]
    parts = [markdown_table(header, [row_cells(row) for row in shown])]
    if len(shown) < len(compared.rows):
        parts.append(
            f"The table has the {len(shown)} of {len(compared.rows)} rows with {compared.systems[0]}; "
            "--output and --json have all."
        )
    parts.append("\n".join(notes(compared)))
    if compared.ranks:
        parts.append(
            markdown_table(
                ["score", "system", "value", "rank", "rank interval", "tied with the best"], rank_rows(compared.ranks)
            )
        )
        parts.append(RANKS_RULE)
    return "\n\n".join(parts)


def shown_rows(compared: ComparedItems) -> list[ItemRow]:
    """The rows that a text shows."""
    pairs = {(row.first, row.second) for row in compared.rows}
    return [row for row in compared.rows if len(pairs) <= MOST_PAIRS or row.first == compared.systems[0]]


def row_cells(row: ItemRow) -> list[str]:
    """One row of the table."""
    d = row.difference
    return [
        title(row),
        row.first,
        row.second,
        value_text(row.first_value, row),
        value_text(row.second_value, row),
        value_text(d.value, row, signed=True),
        interval(d.low, d.high, True) if row.is_share else f"{d.low:+.4g} to {d.high:+.4g}",
        d.test,
        p_value(d.p_value),
        p_value(row.holm_p),
        row.answer,
        f"{d.n:,}" + (f" ({d.units:,} clusters)" if d.test == "cluster-robust t" else ""),
        "-" if row.detectable is None else value_text(row.detectable, row),
        "-" if row.needed_items is None else f"{row.needed_items:,}",
    ]


def value_text(value: float, row: ItemRow, *, signed: bool = False) -> str:
    """A score or a difference: shares in percent, others with four digits."""
    return percent(value, signed) if row.is_share else f"{value:+.4g}" if signed else f"{value:.4g}"


def scale_of(row: ItemRow) -> str:
    """The scale on which a row is drawn: points, or the own unit of its task."""
    return "points" if row.bounds is not None else f"in the unit of {readable(title(row)) or 'the score'}"


def title(row: ItemRow | ItemRanks) -> str:
    """Task and metric."""
    return f"{row.task} {row.metric}".strip()


def notes(compared: ComparedItems) -> list[str]:
    """What the numbers mean, what was averaged, and what was dropped."""
    rows = compared.rows
    sizes = Counter((row.first, row.second) for row in rows).values()
    tasks = f"{max(sizes)} task{'s' if max(sizes) > 1 else ''}"
    units = [(row.difference.n, row.difference.units) for row in rows]
    lines = [differing_text([row.answer for row in rows], tasks, units, unit="item")]
    if any(row.is_share for row in rows):
        lines.append("Scores between 0 and 1 are in percent, their differences in points.")
    for row in {title(r): r for r in rows if not r.is_share}.values():
        if row.bounds is None:
            lines.append(f"{title(row)}: the range of scores is not known (--range), so no difference counts as small.")
        else:
            low, high = row.bounds
            lines.append(f"{title(row)}: scores from {low:g} to {high:g}, of which a hundredth is a point.")
    lines.append(
        "Detectable: the smallest true difference that so many items show in 80 % of repeats, at 5 % divided by the "
        f"number of tasks ({tasks}). Items needed: those that would show the observed difference likewise."
    )
    return lines + left_out(compared)


def left_out(compared: ComparedItems) -> list[str]:
    """What was averaged, dropped or not compared; a verdict names it too."""
    lines = []
    for task, least, most in compared.repeats:
        count = f"{most}" if least == most else f"{least} to {most}"
        lines.append(f"{task or 'Each item'}: a score is the mean of {count} rows of an item.")
    lines += [
        f"Left out: {f'{each.task}: ' if each.task and each.count else ''}{each.sentence}." for each in compared.missing
    ]
    if compared.other_metrics:
        lines.append(f"Not compared: {', '.join(compared.other_metrics)} (--score names one).")
    return lines


def rank_rows(ranks: Sequence[ItemRanks]) -> list[list[str]]:
    """Rows of the table of ranks, the best first."""
    cells = []
    for task in ranks:
        order = sorted(range(len(task.systems)), key=lambda i: (task.rank[i], i))
        for i in order:
            ends = f"{task.low[i]} to {task.high[i]}"
            value = percent(task.values[i]) if task.is_share else f"{task.values[i]:.4g}"
            best = "yes" if task.tied_with_best[i] else ""
            cells.append([title(task), task.systems[i], value, str(task.rank[i]), ends, best])
    return cells


def items_record(compared: ComparedItems, gate: Gate | None = None) -> dict[str, Any]:
    """The comparison as JSON values."""
    return {
        "systems": list(compared.systems),
        "differences": flat_rows(compared.rows),
        "ranks": [
            {
                "task": task.task,
                "metric": task.metric,
                "systems": [
                    dict(zip(("system", "value", "rank", "low", "high", "tied_with_best"), values, strict=True))
                    for values in zip(
                        task.systems, task.values, task.rank, task.low, task.high, task.tied_with_best, strict=True
                    )
                ],
            }
            for task in compared.ranks
        ],
        "left_out": [
            {"task": m.task, "system": m.system, "items": m.count, "first": list(m.first)} for m in compared.missing
        ],
        "averaged": [{"task": task, "least": least, "most": most} for task, least, most in compared.repeats],
        **({"gate": gate.to_json()} if gate is not None else {}),
    }


def flat_rows(rows: Sequence[ItemRow]) -> list[dict[str, Any]]:
    """Differences (first minus second) as flat rows."""
    of_row = ("task", "metric", "first", "second", "first_value", "second_value")
    of_difference = ("low", "high", "p_value", "test", "test_p_value", "first_higher", "second_higher", "n", "units")
    return [
        {
            **{name: getattr(row, name) for name in of_row},
            "difference": row.difference.value,
            **{name: getattr(row.difference, name) for name in of_difference},
            "holm_p": row.holm_p,
            "differs": row.answer,
            "detectable": row.detectable,
            "needed_items": row.needed_items,
        }
        for row in rows
    ]


def write_items(compared: ComparedItems, folder: Path, gate: Gate | None = None) -> None:
    """Write ``differences.csv``, ``ranks.csv``, ``comparison.json`` and the page ``comparison.html``.

    Args:
        compared: the comparison.
        folder: made where it is absent.
        gate: the judgement, if there is one.
    """
    from builders.dataset import render  # imports datasets, which takes a second

    write_text_atomically(folder / "differences.csv", _csv(flat_rows(compared.rows)))
    record = items_record(compared, gate)
    ranks = [{"task": t["task"], "metric": t["metric"], **system} for t in record["ranks"] for system in t["systems"]]
    if ranks:
        write_text_atomically(folder / "ranks.csv", _csv(ranks))
    write_text_atomically(folder / "comparison.json", json.dumps(record, indent=2, ensure_ascii=False) + "\n")
    page = render(
        "items.html.jinja",
        title=" and ".join(compared.systems) if len(compared.systems) < 4 else f"{len(compared.systems)} systems",
        bars=_bars(shown_rows(compared)),
        notes=notes(compared),
        ranks=rank_rows(compared.ranks),
        ranks_rule=RANKS_RULE,
        mark=FILLED_MARK,
        gate="" if gate is None else gate_text(gate, unit="item"),
    )
    write_text_atomically(folder / "comparison.html", page)


def _csv(rows: Sequence[dict[str, Any]]) -> str:
    return csv_text([list(rows[0]), *(list(row.values()) for row in rows)])


def _bars(rows: Sequence[ItemRow]) -> list[dict[str, Any]]:
    """Rows with the places of the interval that decides on an axis from 0 to 100, on which no difference is 50.

    Rows of one scale have one axis.
    """
    most: dict[str, float] = {}
    for row in rows:
        farthest = max(abs(end) / row.width for end in row.judged)
        most[scale_of(row)] = max(most.get(scale_of(row), 0.0), farthest)
    bars = []
    for row in rows:
        ends = zip(("low", "value", "high"), (row.judged[0], row.difference.value, row.judged[1]), strict=True)
        full = row.width * (most[scale_of(row)] or 1.0)
        bars.append({"cells": row_cells(row), "answer": row.answer, **{name: 50 + 48 * x / full for name, x in ends}})
    return bars
