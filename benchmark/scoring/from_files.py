"""Encoders whose embeddings were made elsewhere: what their files can answer, and banks filled from them."""

from __future__ import annotations

import time
from collections.abc import Sequence

from benchmark.bank import Bank, PassCost, fill_from_file
from benchmark.encoders import Encoder, StoredEmbeddings
from benchmark.options import RunOptions
from benchmark.scoring.collected import Collected, record_pass
from benchmark.scoring.passes import Pass
from benchmark.tasks import Task
from builders.errors import EncoderError
from builders.photos import PhotoSet

KINDS = ("processing", "stored", "plain")
"""Kinds of recipes whose views somebody else can have: a photo as it is, or under a processing. What is hidden of a
photo depends on an encoder's own crop."""


def can_answer(stored: StoredEmbeddings, task: Task, photos: PhotoSet, options: RunOptions) -> bool:
    """Whether a file holds the views that a task needs, of one photo at least."""
    recipe = task.recipe(photos, options)
    return recipe.kind in KINDS and all(stored.rows.get(name) for name in recipe.names)


def left_out(encoder: Encoder, tasks: Sequence[Task], photos: PhotoSet, options: RunOptions) -> str:
    """The sentence on tasks that a file cannot answer; empty if it can answer all, or nothing is read from a file.

    Raises:
        EncoderError: it can answer none.
    """
    stored = encoder.stored
    if stored is None:
        return ""
    without = [task.name for task in tasks if not can_answer(stored, task, photos, options)]
    held = ", ".join(sorted(stored.rows))
    if len(without) == len(tasks):
        raise EncoderError(f"{stored.name}: it holds {held}, and no task here is about these views of {photos.name}")
    return f"{stored.name}: left out, its views are not in the file: {', '.join(without)}" if without else ""


def narrowed(one: Pass, stored: StoredEmbeddings, photos: PhotoSet, options: RunOptions) -> Pass | None:
    """What of a pass a file can answer; None if nothing."""
    tasks = tuple(task for task in one.tasks if can_answer(stored, task, photos, options))
    names = [name for task in tasks for name in task.recipe(photos, options).names]
    return Pass(one.recipe.only(names), tasks) if tasks else None


def filled(encoder: Encoder, got: Collected, bank: Bank, photos: PhotoSet) -> bool:
    """Whether its bank is complete now; else the reason is noted."""
    assert encoder.stored is not None
    started = time.perf_counter()
    try:
        written = fill_from_file(encoder.stored, photos, bank)
    except EncoderError as error:
        got.failures["encoder", encoder.info.id] = str(error)
        return False
    cost = PassCost(len(photos) if written else 0, written, time.perf_counter() - started, 0.0, 0.0, 0.0)
    record_pass(cost, written, got)
    return True
