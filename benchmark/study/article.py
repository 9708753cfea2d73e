"""The five figures of the published article, its 47 encoders beside ours: PNG and SVG.

Similarity distributions, two figures of probes whose bars carry their names, kNN set-ups, and pair retrieval. The
article printed no numbers for the first, so that one shows ours alone.
"""

from __future__ import annotations

import io
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from benchmark.results import Family, Result, Score, families, published_encoders
from benchmark.study.article_drawing import Bar, draw_bars, draw_lines, draw_plane, draw_similarities
from benchmark.study.tables import BesideRow
from benchmark.tasks import all_tasks
from builders.files import write_bytes_atomically

FORMATS: dict[str, dict[str, Any]] = {"png": {"dpi": 150}, "svg": {"metadata": {"Date": None}}}


def draw_article(rows: Sequence[BesideRow], results: Sequence[Result], folder: Path) -> list[str]:
    """Write the figures that have something to show, each as PNG and SVG; returns their names.

    Args:
        rows: our scores beside the published ones.
        results: ours, for the similarities that kNN tasks keep.
        folder: where the files go.
    """
    drawn: dict[str, Callable[[Any], None]] = {}
    if shown := _similarities(results):
        drawn["article-1-similarities"] = lambda figure: draw_similarities(figure, shown)
    for family in families(all_tasks()):
        number = {"processing": 2, "acquisition": 3, "knn": 4, "retrieval": 5}.get(family.name)
        if number is None:
            continue
        name = f"article-{number}-{family.name}"
        if family.panel == "intervals" and (panels := _bars(rows, family)):
            drawn[name] = lambda figure, panels=panels: draw_bars(figure, panels)  # type: ignore[misc]
        elif family.panel == "marks" and (lines := _lines(rows, family)):
            drawn[name] = lambda figure, lines=lines: draw_lines(figure, lines)  # type: ignore[misc]
        elif family.panel == "plane" and (points := _points(rows, family)):
            drawn[name] = lambda figure, p=points, f=family: draw_plane(figure, p, f)  # type: ignore[misc]
    names = []
    for name, draw in drawn.items():
        for kind, data in _rendered(draw).items():
            write_bytes_atomically(folder / f"{name}.{kind}", data)
            names.append(f"{name}.{kind}")
    return names


def _rendered(draw: Callable[[Any], None]) -> dict[str, bytes]:
    """A figure as files, by their format; equal input gives equal bytes."""
    import matplotlib

    matplotlib.use("Agg")
    import matplotlib.pyplot as plt

    look: Any = {"font.size": 8, "axes.spines.top": False, "axes.spines.right": False, "svg.hashsalt": "camtrace"}
    with plt.rc_context(look):
        figure = plt.figure(layout="constrained")
        draw(figure)
        files = {}
        for kind, more in FORMATS.items():
            buffer = io.BytesIO()
            figure.savefig(buffer, format=kind, **more)
            files[kind] = buffer.getvalue()
        plt.close(figure)
    return files


def _bars(rows: Sequence[BesideRow], family: Family) -> dict[str, tuple[list[Bar], float]]:
    """By panel (question and data set): published and ours, highest first, and chance."""
    panels: dict[str, tuple[list[Bar], float]] = {}
    own = [r for r in rows if _of(r, family) and r.ours is not None and r.metric == "accuracy"]
    for task, data in dict.fromkeys((r.task, r.published_data) for r in own):
        here = {(r.encoder, r.data): r for r in own if (r.task, r.published_data) == (task, data)}
        bars = [
            Bar(e.name, e.group, s.value, False)
            for e in published_encoders()
            for s in e.scores
            if (s.task, s.data, s.metric) == (task, data, "accuracy")
        ]
        for r in here.values():
            assert r.ours is not None
            bars.append(Bar(_name(r), r.group, r.ours.value, True, r.ours.low, r.ours.high))
        chance = next(r.ours.chance for r in here.values() if r.ours)
        panels[_title(here.values(), task)] = (
            sorted(bars, key=lambda b: (-b.value, b.encoder)),
            chance,
        )
    return panels


def _lines(rows: Sequence[BesideRow], family: Family) -> dict[str, list[tuple[str, str, bool, dict[str, float]]]]:
    """By panel: (encoder, group, ours, accuracy by set-up)."""
    own = [r for r in rows if _of(r, family) and r.ours is not None]
    panels: dict[str, list[tuple[str, str, bool, dict[str, float]]]] = {}
    for task, data in dict.fromkeys((r.task, r.published_data) for r in own):
        set_ups = [m.name for m in all_tasks()[task].metrics if m.kind == "accuracy" and m.name != "worst"]
        lines = []
        for e in published_encoders():
            values = {s.metric: s.value for s in e.scores if (s.task, s.data) == (task, data) and s.metric in set_ups}
            if values:
                lines.append((e.name, e.group, False, values))
        mine: dict[tuple[str, str], list[BesideRow]] = {}
        for r in own:
            if (r.task, r.published_data) == (task, data) and r.metric in set_ups:
                mine.setdefault((r.encoder, r.data), []).append(r)
        lines += [
            (_name(found[0]), found[0].group, True, {r.metric: r.ours.value for r in found if r.ours})
            for found in mine.values()
        ]
        if mine:
            panels[_title([r for found in mine.values() for r in found], task)] = lines
    return panels


def _points(rows: Sequence[BesideRow], family: Family) -> list[tuple[str, str, bool, float, float]]:
    """(encoder, group, ours, x, y) of the family's plane."""
    x, y = family.plane
    points = []
    for e in published_encoders():
        values = {(s.task, s.data, s.metric): s.value for s in e.scores if all_tasks()[s.task].family == family}
        for task, data in dict.fromkeys((t, d) for t, d, _ in values):
            if (task, data, x) in values and (task, data, y) in values:
                points.append((e.name, e.group, False, values[task, data, x], values[task, data, y]))
    own = {(r.encoder, r.data, r.task, r.metric): r for r in rows if _of(r, family) and r.ours is not None}
    for (encoder, data, task, metric), row in own.items():
        other = own.get((encoder, data, task, y))
        if metric == x and other is not None and row.ours and other.ours:
            points.append((_name(row), row.group, True, row.ours.value, other.ours.value))
    return points if any(ours for _, _, ours, _, _ in points) else []


def _similarities(results: Sequence[Result]) -> list[tuple[str, Mapping[str, Any], Score]]:
    """(encoder, histogram, score) of a first random query of each result's first kNN task that kept one."""
    found = []
    for result in results:
        for score in result.scores:
            kept = score.details.get("similarities")
            if isinstance(kept, list) and kept:
                drawn = next((one for one in kept if str(one.get("why", "")).startswith("drawn")), kept[0])
                found.append((str(result.encoder["id"]), drawn, score))
                break
    return found


def _of(row: BesideRow, family: Family) -> bool:
    task = all_tasks().get(row.task)
    return task is not None and task.family == family


def _title(rows: Iterable[BesideRow], task: str) -> str:
    """Question and data sets; whether ours can stand beside the published ones."""
    found = list(rows)
    data = ", ".join(dict.fromkeys(r.data for r in found))
    unlike = " (ours not comparable: other photos or choices)" if any(r.unlike for r in found) else ""
    return f"{all_tasks()[task].title}, {data}{unlike}"


def _name(row: BesideRow) -> str:
    return f"{row.encoder} (ours)"
