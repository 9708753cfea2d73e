"""Results on disk: ``result.json`` and ``answers.npz`` of each, and reports over them."""

from __future__ import annotations

import dataclasses
import hashlib
import io
from collections.abc import Mapping, Sequence
from functools import partial
from importlib import import_module
from pathlib import Path

import numpy as np

from benchmark.leaderboard import write_report_page
from benchmark.results import (
    ANSWERS_FILE,
    Result,
    courses,
    draw_courses,
    draw_report,
    folder_name,
    report_text,
    write_result,
)
from benchmark.scoring.aside import set_aside, usual_place
from benchmark.scoring.forked import Forked
from benchmark.scoring.run import Scored
from benchmark.tasks import all_tasks
from builders.files import sweep_temporaries, write_bytes_atomically, write_text_atomically
from builders.photos import PhotoSet


def write_scored(scored: Scored, output: Path, *, single: bool) -> Path:
    """Write one result and its per-photo answers.

    Args:
        scored: what a run gave.
        output: the folder of the run.
        single: one encoder on one data set: directly in ``output``; else in ``output/<encoder>/<data>/``.

    What another encoder wrote there, or this one of other weights, is set aside first (``aside.py``).

    Returns:
        The folder written to.
    """
    result = scored.result
    folder = output if single else output / usual_place(result)
    set_aside(folder, output, result)
    buffer = io.BytesIO()
    np.savez_compressed(buffer, **dict(scored.answers))  # type: ignore[arg-type]
    sweep_temporaries(folder)
    answers = buffer.getvalue()
    write_bytes_atomically(folder / ANSWERS_FILE, answers, durable=True)
    recorded = {**result.environment, "answers_sha256": hashlib.sha256(answers).hexdigest()}
    write_result(dataclasses.replace(result, environment=recorded), folder / "result.json")
    return folder


def write_reports(
    results: Sequence[Result],
    unloaded: Mapping[str, str],
    output: Path,
    photos: Sequence[PhotoSet | None] = (),
    drawing: Forked | None = None,
) -> str:
    """Write ``report.md`` and ``report.html`` over all results, and a picture per encoder.

    That is ``report.png`` in ``output`` if there is one encoder, else below it. Where there are checkpoints of a
    training, ``course.png`` draws them by step.

    Args:
        results: of the run.
        unloaded: reason by encoder that could not be loaded.
        output: the folder of the run.
        photos: that were scored on, of which ``report.html`` shows some.
        drawing: ``drawing_beside()``, where a run began it early.

    Returns:
        The text of the report.
    """
    questions = all_tasks()
    text = report_text(results, questions, unloaded)
    write_text_atomically(output / "report.md", text)
    with (drawing or Forked(_draw)).doing(list(results), output):
        write_report_page(results, text, output / "report.html", photos=[p for p in photos if p is not None])
    return text


def drawing_beside() -> Forked:
    """Who will draw the pictures of a run while its page is written; begun when the run begins, where one core is idle,
    it has imported matplotlib by then."""
    return Forked(_draw, partial(import_module, "matplotlib.figure"))


def _draw(results: Sequence[Result], output: Path) -> None:
    questions = all_tasks()
    by_encoder: dict[str, list[Result]] = {}
    for result in results:
        by_encoder.setdefault(str(result.encoder["id"]), []).append(result)
    for encoder, own in by_encoder.items():
        folder = output if len(by_encoder) == 1 else output / folder_name(encoder)
        draw_report(own, questions, folder / "report.png")
    draw_courses(courses(results), questions, output / "course.png")
