"""Figures of published and measured numbers: accuracy by task and training type, kNN set-ups, recall, and agreement."""

from __future__ import annotations

import io
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from benchmark.compare.published import PublishedRow
from benchmark.results import STUDY_GROUPS, Family, families, metric_of, published_encoders
from benchmark.tasks import all_tasks
from builders.files import write_bytes_atomically

# Okabe & Ito's colour-blind-safe palette, one colour and marker per training type
STYLE = {"CVL": ("#0072B2", "o"), "SUP": ("#D55E00", "s"), "SSL": ("#009E73", "^")}
_OTHER = ("#6b6b6b", "D")


def draw_figures(rows: Sequence[PublishedRow], folder: Path) -> list[str]:
    """Write the figures that have something to show into a folder; returns the names of their files."""
    figures: dict[str, Callable[[Any], None]] = {}
    both = [r for r in rows if r.published is not None]
    for family in families(all_tasks()):
        if family.panel == "plane":
            if pairs := _pairs(rows, family):
                name = f"{family.name}.png"
                figures[name] = lambda ax, pairs=pairs, family=family: _plane(ax, pairs, family)  # type: ignore[misc]
            continue
        for data in dict.fromkeys(r.data for r in rows):
            part = [r for r in rows if r.data == data and _is_mean_part(r, family)]
            if part:
                name, title = f"{family.name}-{_slug(data)}.png", f"{family.title}: {part[0].metric}, {data}"
                figures[name] = lambda ax, part=part, title=title: _strips(ax, part, title)  # type: ignore[misc]
    if both:
        figures["agreement.png"] = lambda ax: _agreement(ax, both)
    for name, draw in figures.items():
        write_bytes_atomically(folder / name, _png(draw))
    return list(figures)


def _strips(ax: Any, rows: Sequence[PublishedRow], title: str) -> None:
    """A column for each task: published encoders hollow, measured ones filled with intervals, chance as a line."""
    tasks = list(dict.fromkeys(r.task for r in rows))
    data_sets = {r.published_data for r in rows}
    for x, task in enumerate(tasks):
        column = [r for r in rows if r.task == task]
        metric = column[0].metric
        for i, group in enumerate(STUDY_GROUPS):
            colour, marker = STYLE[group]
            at = x + 0.22 * (i - 1)
            published = [
                s.value
                for e in published_encoders()
                if e.group == group
                for s in e.scores
                if (s.task, s.metric) == (task, metric) and s.data in data_sets
            ]
            style = {"facecolors": "none", "edgecolors": colour, "marker": marker, "alpha": 0.35, "s": 18}
            ax.scatter([at - 0.05] * len(published), published, **style)
        for r in {(r.encoder, r.data): r for r in column}.values():
            colour, marker = STYLE.get(r.group, _OTHER)
            offset = list(STUDY_GROUPS).index(r.group) - 1 if r.group in STUDY_GROUPS else 1.6
            error = [[r.measured.value - r.measured.low], [r.measured.high - r.measured.value]]
            ax.errorbar(x + 0.22 * offset + 0.05, r.measured.value, yerr=error, color=colour, marker=marker, ms=5, lw=1)
        chance = column[0].measured.chance
        ax.plot([x - 0.4, x + 0.45], [chance, chance], color="black", lw=1, ls=":")
    ax.set_xticks(range(len(tasks)), [t.partition("/")[2] for t in tasks], rotation=20, ha="right")
    ax.set_ylim(0, 1.02)
    ax.set_ylabel("accuracy")
    ax.set_title(f"{title}\nfilled: measured, hollow: published, dotted: chance", fontsize=9)
    _legend(ax)


def _plane(ax: Any, pairs: Sequence[tuple[PublishedRow, PublishedRow]], family: Family) -> None:
    """One metric of a family (x) against another (y) with the line y = x."""
    tasks = {row.task for row, _ in pairs}
    for encoder in published_encoders():
        colour, marker = STYLE[encoder.group]
        values = {(s.task, s.data, s.metric): s.value for s in encoder.scores if s.task in tasks}
        for task, data in dict.fromkeys((t, d) for t, d, _ in values):
            ends = [values[task, data, metric] for metric in family.plane]
            ax.scatter(*ends, facecolors="none", edgecolors=colour, marker=marker, alpha=0.4, s=22)
    for same, different in pairs:
        colour, marker = STYLE.get(same.group, _OTHER)
        ax.scatter([same.measured.value], [different.measured.value], color=colour, marker=marker)
    low = min(ax.get_xlim()[0], ax.get_ylim()[0])
    ax.plot([low, 1], [low, 1], color="black", lw=1, ls=":")
    ax.set_xlabel(family.axes[0].removesuffix(", %"))
    ax.set_ylabel(family.axes[1].removesuffix(", %"))
    ax.set_title(f"{family.title}; filled: measured, hollow: published", fontsize=9)
    _legend(ax)


def _agreement(ax: Any, rows: Sequence[PublishedRow]) -> None:
    """Published (x) against measured values (y) with the line y = x."""
    for group, (colour, marker) in STYLE.items():
        members = [r for r in rows if r.group == group]
        if members:
            x, y = [r.published for r in members], [r.measured.value for r in members]
            ax.scatter(x, y, color=colour, marker=marker, s=12, alpha=0.6)
    ax.axline((0, 0), slope=1, color="black", lw=1, ls=":")
    ax.set_xlabel("published")
    ax.set_ylabel("measured")
    note = " (partly on other photos than the study's)" if any(r.not_comparable for r in rows) else ""
    ax.set_title(f"every score that both have{note}", fontsize=9)
    _legend(ax)


def _pairs(rows: Sequence[PublishedRow], family: Family) -> list[tuple[PublishedRow, PublishedRow]]:
    """The two rows of each encoder, task and data set that has both metrics of the plane."""
    x, y = family.plane
    members = {(r.encoder, r.data, r.task, r.metric): r for r in rows if _family(r) == family}
    return [(r, members[e, d, t, y]) for (e, d, t, m), r in members.items() if m == x and (e, d, t, y) in members]


def _family(row: PublishedRow) -> Family | None:
    task = all_tasks().get(row.task)
    return task.family if task else None


def _is_mean_part(row: PublishedRow, family: Family) -> bool:
    """Whether a row is of the family's accuracy that enters the summary's means."""
    return _family(row) == family and metric_of(all_tasks(), row.task, row.metric).summary in ("MP", "SP", "all-same")


def _legend(ax: Any) -> None:
    from matplotlib.lines import Line2D

    marks = [
        Line2D([], [], color=colour, marker=marker, ls="", label=STUDY_GROUPS[group])
        for group, (colour, marker) in STYLE.items()
    ]
    ax.legend(handles=marks, fontsize=7, frameon=False, loc="upper left", bbox_to_anchor=(1, 1))


def _png(draw: Callable[[Any], None]) -> bytes:
    import matplotlib

    matplotlib.use("Agg")
    import matplotlib.pyplot as plt

    with plt.rc_context({"font.size": 9, "axes.spines.top": False, "axes.spines.right": False}):
        figure, ax = plt.subplots(figsize=(7, 4.6))
        draw(ax)
        buffer = io.BytesIO()
        figure.savefig(buffer, format="png", dpi=150, bbox_inches="tight")
        plt.close(figure)
    return buffer.getvalue()


def _slug(name: str) -> str:
    return "".join(c if c.isalnum() else "-" for c in name)
