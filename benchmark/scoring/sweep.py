"""Rows of a run: what became of each encoder on each photo set, as values, as text and as ``sweep.json``."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from benchmark.report import markdown_table
from benchmark.results import Result
from builders.files import write_text_atomically

SWEEP_FILE = "sweep.json"


@dataclass(frozen=True)
class Row:
    """What became of one encoder on one photo set."""

    spec: str
    """The encoder by the name that the user gave."""
    data: str
    """Name of the photo set."""
    state: str
    """``scored``, ``partial`` (there is a result, but a task or many photos failed), ``kept`` (a finished result of
    exactly this question was there) or ``failed``."""
    reason: str
    """What failed, one sentence each; else empty."""
    folder: str
    """Below the output; empty without a result."""
    result: Result | None = None


def what_failed(result: Result) -> str:
    """Reasons of a result's failures, without single photos."""
    return "; ".join(f.reason for f in result.failures if f.kind != "photo")


def failures_by_pair(rows: Sequence[Row]) -> dict[str, str]:
    """Reason by encoder and photo set, of the rows without result."""
    return {f"{row.spec} on {row.data}": row.reason for row in rows if row.state == "failed"}


def sweep_text(rows: Sequence[Row], output: Path) -> str:
    """A table of rows, and how many are of each state."""
    table = [[row.spec, row.data, row.state, ": ".join(filter(None, (row.folder, row.reason)))] for row in rows]
    counts = {state: sum(row.state == state for row in rows) for state in ("scored", "partial", "kept", "failed")}
    summary = ", ".join(f"{count} {state}" for state, count in counts.items() if count or state != "partial")
    return (
        f"{markdown_table(['encoder', 'data', 'state', 'where or why'], table)}\n\n{summary}. "
        f"Written to {output}: report.html, report.md, {SWEEP_FILE}, <encoder>/<data>/result.json"
    )


def write_state(rows: Sequence[Row], output: Path) -> None:
    """Write ``sweep.json``."""
    plain = [{name: value for name, value in vars(row).items() if name != "result"} for row in rows]
    text = json.dumps({"rows": plain}, indent=2, ensure_ascii=False) + "\n"
    write_text_atomically(output / SWEEP_FILE, text)
