"""Files of embeddings, or of a detector's scores, that another program made: which tasks they can answer."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from benchmark.options import RunOptions
from benchmark.tasks.task import Task
from builders.errors import EncoderError
from builders.photos import PhotoSet
from builders.untrusted import readable

if TYPE_CHECKING:
    from benchmark.encoders import Encoder, StoredEmbeddings

KINDS = ("processing", "stored", "plain")
"""Kinds of recipes whose views a file of embeddings can hold: a photo as it is, or under a processing. Which part of a
photo is masked depends on the crop of its encoder."""


def can_answer(stored: StoredEmbeddings, task: Task, photos: PhotoSet, options: RunOptions) -> bool:
    """Whether a file holds the views that a task needs, of one photo at least."""
    recipe = task.recipe(photos, options)
    held = held_views(stored, task, photos, options)
    if stored.detector is not None:
        return 0 < task.score_views <= len(held)
    return recipe.kind in KINDS and len(held) == len(recipe.names)


def held_views(stored: StoredEmbeddings, task: Task, photos: PhotoSet, options: RunOptions) -> list[str]:
    """The views of a task that a file holds, of one photo at least."""
    return [name for name in task.recipe(photos, options).names if stored.rows.get(name)]


def tasks_without_views(encoder: Encoder, tasks: Sequence[Task], photos: PhotoSet, options: RunOptions) -> str:
    """One sentence on what a file of embeddings or scores cannot answer; empty if there is nothing or no file is read.

    Raises:
        EncoderError: the file can answer no task, or an encoder of pictures would be scored on data without pictures.
    """
    stored = encoder.stored
    if stored is None and not photos.has_pictures:
        raise EncoderError(
            f"{photos.name} names no pictures, and {encoder.info.id} embeds pictures: name their column "
            "(image=COLUMN), or give embeddings that were made elsewhere (--model embeddings:FILE)"
        )
    if stored is None:
        return ""
    without = [task.name for task in tasks if not can_answer(stored, task, photos, options)]
    if stored.detector is not None:
        return _scores_left_out(stored, tasks, without, photos, options)
    held = ", ".join(sorted(stored.rows))
    if len(without) == len(tasks):
        raise EncoderError(f"{stored.name}: it holds {held}, and no task here is about these views of {photos.name}")
    why = "its views are not in the file" if photos.has_pictures else "the data name no pictures to process"
    return f"{stored.name}: left out, {why}: {', '.join(without)}" if without else ""


def _scores_left_out(
    stored: StoredEmbeddings, tasks: Sequence[Task], without: Sequence[str], photos: PhotoSet, options: RunOptions
) -> str:
    """What a file of a detector's scores cannot answer, and what is not read of it; empty if there is nothing."""
    ids = list(dict.fromkeys(photo_id for row_of in stored.rows.values() for photo_id in row_of))
    known = set(photos.ids)
    unknown = [photo_id for photo_id in ids if photo_id not in known]
    if len(unknown) == len(ids):
        raise EncoderError(
            f"{stored.name}: it holds no id of {photos.name}: its ids are such as {readable(ids[0])!r}, and those of "
            f"the data {photos.ids[0]!r} (?id=COLUMN names the column of ids)"
        )
    about = [task.name for task in tasks if task.score_views]
    if len(without) == len(tasks):
        why = f"{', '.join(about)} need more views than it holds" if about else "none is about generated photos"
        raise EncoderError(f"{stored.name}: its scores answer no task that was chosen: {why}")
    parts = [f"left out: {', '.join(without)}"] if without else []
    for task in tasks:
        views, held = task.recipe(photos, options).names, held_views(stored, task, photos, options)
        if task.name not in without and len(held) < len(views):
            missing = ", ".join(name for name in views if name not in held)
            parts.append(f"{task.name} is over {len(held)} of {len(views)} views, without {missing}")
    if unknown:
        parts.append(
            f"{len(unknown)} of its {len(ids)} ids are no photo of {photos.name} and are not read (the first: "
            f"{readable(unknown[0])!r})"
        )
    return f"{stored.name}: {'; '.join(parts)}" if parts else ""
