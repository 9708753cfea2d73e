"""The view of a board about detectors of generated photos: what the controls say, apart from traces and invariance."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import Any

from benchmark.judgement import find_score, reliance
from benchmark.leaderboard.entries import Entry
from benchmark.results import READ_NOTE, Result, published_detectors
from benchmark.tasks import all_tasks
from builders.untrusted import readable

ORDER = ("yes", "limited", "unknown", "no")
"""Answers of ``reliance``, the best first."""

_NUMBERS = {
    "auc": ("forensics/detect", "auc"),
    "floor": ("forensics/floor", "auc"),
    "margin": ("forensics/detect", "margin"),
    "worst": ("forensics/leave-one-out", "worst"),
    "bias": ("forensics/crossing", "bias-jpeg"),
}
"""Scores of the view by name."""


def detector_view(entries: Sequence[Entry]) -> dict[str, Any] | None:
    """The detectors of a board by photo set, and published numbers; None where no detector was scored.

    Detectors of one photo set stand together: the same ids, labels, splits and bytes. Those that no control speaks
    against come first, then by margin over the floor. There are no ranks.
    """
    sets: dict[tuple[str, ...], list[dict[str, Any]]] = {}
    for entry in entries:
        seen = set()
        for file in entry.files:  # newest first
            key = _photos_of(file.result)
            if key not in seen and (row := _row(entry, file.result)) is not None:
                seen.add(key)
                sets.setdefault(key, []).append(row)
    if not sets:
        return None
    for rows in sets.values():
        rows.sort(key=lambda row: (ORDER.index(row["answer"]), -(row["margin"] or row["auc"])[0], row["name"]))
    return {
        "sets": [{"data": key[0], "rows": rows} for key, rows in sorted(sets.items())],
        "published": [dataclasses.asdict(row) for row in published_detectors()],
        "published_note": READ_NOTE,
    }


def _photos_of(result: Result) -> tuple[str, ...]:
    hashes = (result.data.get("question_hash") or result.data.get("ids_hash"), result.data.get("bytes_hash"))
    return str(result.data["name"]), *map(str, hashes)


def _row(entry: Entry, result: Result) -> dict[str, Any] | None:
    controls = reliance(result, all_tasks())
    if controls is None:
        return None
    scores = {name: find_score(result.scores, *key) for name, key in _NUMBERS.items()}
    worst = scores["worst"]
    return {
        "key": entry.key,
        "name": entry.name,
        "answer": controls.answer,
        "title": controls.title,
        "reasons": list(controls.reasons),
        "generator": readable(str(worst.details.get("generator", ""))[:100]) if worst else "",
        "n": score.n if (score := scores["auc"]) else 0,
        **{name: [s.value, s.low, s.high] if s else None for name, s in scores.items()},
    }
