"""The figure of several networks: what probes read, and what moves search, a panel for each processing."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from benchmark.compare.networks import BEYOND, READ, NetworkFinding, is_control, short_name
from benchmark.judgement import INTERVAL_RULE
from benchmark.report import write_figure
from benchmark.results import Result

if TYPE_CHECKING:
    from matplotlib.figure import Figure

NETWORK, CONTROL = "#0072B2", "#6b6b6b"
"""Colours of Okabe & Ito's palette."""

_ROW, _AROUND = 0.17, 0.72
"""Inches of a row of a panel, and around a panel."""


def draw_networks(results: Sequence[Result], findings: Sequence[NetworkFinding], path: Path) -> None:
    """Write the figure: networks by what probes read, the most at the top, controls below.

    Args:
        results: of networks and controls.
        findings: from ``network_findings``.
        path: PNG, SVG or PDF.
    """
    drawn = [f for f in findings if f.statement != BEYOND]
    if not drawn:
        return
    write_figure(_figure(_ordered(results, drawn), drawn), path)


def _ordered(results: Sequence[Result], findings: Sequence[NetworkFinding]) -> list[Result]:
    read: dict[str, float] = {}
    for f in findings:
        if f.statement == READ:
            read[f.encoder] = read.get(f.encoder, 0.0) + f.value
    return sorted(results, key=lambda r: (is_control(r), -read.get(str(r.encoder["id"]), 0.0)))


def _figure(results: Sequence[Result], findings: Sequence[NetworkFinding]) -> Figure:
    import matplotlib
    from matplotlib.figure import Figure
    from matplotlib.lines import Line2D

    rows = {statement: list(dict.fromkeys(f.task for f in findings if f.statement == statement)) for statement in
            dict.fromkeys(f.statement for f in findings)}  # fmt: skip
    height = len(rows) * (len(results) * _ROW + _AROUND) + 0.3
    look: Any = {"font.size": 7, "axes.titlesize": 8, "axes.spines.top": False, "axes.spines.right": False}
    with matplotlib.rc_context(look):
        figure = Figure(figsize=(8.5, height), layout="constrained")
        grid = figure.subplots(len(rows), max(map(len, rows.values())), squeeze=False)
        for line, (statement, tasks) in zip(grid, rows.items(), strict=True):
            for column, axes in enumerate(line):
                axes.set_visible(column < len(tasks))
                if column < len(tasks):
                    members = {f.encoder: f for f in findings if (f.statement, f.task) == (statement, tasks[column])}
                    _panel(axes, results, members, column == 0)
        marks = [
            Line2D([], [], marker="o", ls="", ms=4, color=NETWORK, label="network: shown to be there"),
            Line2D([], [], marker="o", ls="", ms=4, mfc="white", color=NETWORK, label="not shown"),
            Line2D([], [], marker="D", ls="", ms=4, color=CONTROL, label="control"),
            Line2D([], [], color=NETWORK, lw=1, label=f"{INTERVAL_RULE} and over the networks"),
            Line2D([], [], color="black", lw=0.8, ls=":", label="chance, or no difference"),
        ]
        figure.legend(handles=marks, loc="outside lower center", ncols=len(marks), frameon=False, fontsize=6.5)
    return figure


def _panel(axes: Any, results: Sequence[Result], findings: dict[str, NetworkFinding], named: bool) -> None:
    first = next(iter(findings.values()))
    for y, result in enumerate(results):
        finding = findings.get(str(result.encoder["id"]))
        if finding is None:
            continue
        control, decision = is_control(result), finding.decision
        colour = CONTROL if control else NETWORK
        axes.plot([100 * decision.low, 100 * decision.high], [y, y], color=colour, lw=1)
        face = colour if decision.answer == "yes" else "white"
        axes.plot(100 * finding.value, y, marker="D" if control else "o", ms=4, color=colour, mfc=face)
    axes.axvline(100 * first.reference, color="black", lw=0.8, ls=":")
    axes.set_yticks(range(len(results)), [short_name(r) for r in results] if named else [])
    axes.set_ylim(len(results) - 0.5, -0.5)
    read = first.statement == READ
    axes.set_title(first.subject, loc="left")
    axes.set_xlabel("a probe names it, %" if read else "search by content moves, points")
