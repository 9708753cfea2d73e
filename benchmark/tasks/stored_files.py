"""Which tasks an encoder can answer, and a sentence about those left out.

Not every encoder gives answers, and a file of embeddings, answers or scores has only some views and photos.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

from benchmark.options import RunOptions
from benchmark.tasks.task import Task
from builders.errors import EncoderError
from builders.photos import PhotoSet
from builders.untrusted import readable

if TYPE_CHECKING:
    from benchmark.encoders import Encoder, StoredEmbeddings

ORIGINAL_VIEW = "original"
"""Name of ``benchmark.views.ORIGINAL``, which imports torch."""

KINDS = ("processing", "stored", "plain")
"""Kinds of recipes whose views a file of embeddings can hold: a photo as it is, or under a processing. Which part of a
photo is masked depends on the crop of its encoder."""


def can_answer(encoder: Encoder, task: Task, photos: PhotoSet, options: RunOptions) -> bool:
    """Whether an encoder gives what a task needs, and its file, if it has one, the views, of one photo at least."""
    stored, held = encoder.stored, held_views(encoder, task, photos, options)
    if task.reads_answers:
        return len(held) > 1 and ORIGINAL_VIEW in held
    if stored is None or stored.answers_only:
        return stored is None
    if stored.detector is not None:
        return 0 < task.score_views <= len(held)
    recipe = task.recipe(photos, options)
    return recipe.kind in KINDS and len(held) == len(recipe.names)


def held_views(encoder: Encoder, task: Task, photos: PhotoSet, options: RunOptions) -> list[str]:
    """The views of a task that an encoder has: all, or those of its file, of one photo at least."""
    stored, names = encoder.stored, list(task.recipe(photos, options).names)
    if task.reads_answers:
        names = [name for name in names if encoder.answers is not None and name in encoder.answers.views]
    if stored is None or stored.answers_only:
        return names
    return [name for name in names if stored.rows.get(name)]


def tasks_without_views(encoder: Encoder, tasks: Sequence[Task], photos: PhotoSet, options: RunOptions) -> str:
    """One sentence on what a file of embeddings or scores cannot answer; empty if there is nothing or no file is read.

    Raises:
        EncoderError: the file can answer no task, or an encoder of pictures would be scored on data without pictures.
    """
    stored = encoder.stored
    without = [task.name for task in tasks if not can_answer(encoder, task, photos, options)]
    if stored is None and not photos.has_pictures:
        raise EncoderError(
            f"{photos.name} names no pictures, and {encoder.info.id} embeds pictures: name their column "
            "(image=COLUMN), or give embeddings that were made elsewhere (--model embeddings:FILE)"
        )
    if encoder.answers is not None or stored is None:
        return _answers_left_out(encoder, tasks, without, photos, options)
    if stored.detector is not None:
        return _scores_left_out(encoder, stored, tasks, without, photos, options)
    held = ", ".join(sorted(stored.rows))
    if len(without) == len(tasks) and not photos.has_pictures:
        raise EncoderError(
            f"{stored.name}: {photos.name} names no pictures to process (image=COLUMN), and what embeddings "
            "alone can answer needs a label of two classes, a group or scenes"
        )
    if len(without) == len(tasks):
        raise EncoderError(f"{stored.name}: it holds {held}, and no task here is about these views of {photos.name}")
    why = "its views are not in the file" if photos.has_pictures else "the data name no pictures to process"
    return f"{stored.name}: left out, {why}: {', '.join(without)}" if without else ""


def _answers_left_out(
    encoder: Encoder, tasks: Sequence[Task], without: Sequence[str], photos: PhotoSet, options: RunOptions
) -> str:
    """Which tasks an encoder that computes, or a file of answers, cannot answer; empty if there is none."""
    name, source, stored, unread = encoder.info.id, encoder.answers, encoder.stored, list[str]()
    if source is None:
        why = "it gives embeddings and no answers, which vlm:ORG/NAME and answers:FILE give"
    else:
        why = "its views are not in the file"
        if stored is not None:
            unread = _ids_not_read(name, stored.answer_ids, photos)
        if stored is not None and stored.answers_only:
            why = "it holds answers and no embeddings (embeddings=FILE adds those of its vision tower)"
        if reason := source.rule.unfit(photos):
            raise EncoderError(f"{name}: {reason}")
    if tasks and len(without) == len(tasks):
        raise EncoderError(f"{name}: it gives no task that was chosen what it needs ({', '.join(without[:4])}): {why}")
    parts = [f"left out: {', '.join(without)}: {why}"] if without else []
    for task in tasks if source is not None else ():
        views, held = task.recipe(photos, options).names, held_views(encoder, task, photos, options)
        if task.reads_answers and task.name not in without and len(held) < len(views):
            missing = ", ".join(view for view in views if view not in held)
            parts.append(f"{task.name} is over {len(held) - 1} of {len(views) - 1} processings, without {missing}")
    parts += unread
    return f"{name}: {'; '.join(parts)}" if parts else ""


def _scores_left_out(
    encoder: Encoder,
    stored: StoredEmbeddings,
    tasks: Sequence[Task],
    without: Sequence[str],
    photos: PhotoSet,
    options: RunOptions,
) -> str:
    """What a file of a detector's scores cannot answer, and what is not read of it; empty if there is nothing."""
    unread = _ids_not_read(stored.name, (photo_id for row_of in stored.rows.values() for photo_id in row_of), photos)
    about = [task.name for task in tasks if task.score_views]
    if len(without) == len(tasks):
        why = f"{', '.join(about)} need more views than it holds" if about else "none is about generated photos"
        raise EncoderError(f"{stored.name}: its scores answer no task that was chosen: {why}")
    parts = [f"left out: {', '.join(without)}"] if without else []
    for task in tasks:
        views, held = task.recipe(photos, options).names, held_views(encoder, task, photos, options)
        if task.name not in without and len(held) < len(views):
            missing = ", ".join(name for name in views if name not in held)
            parts.append(f"{task.name} is over {len(held)} of {len(views)} views, without {missing}")
    parts += unread
    return f"{stored.name}: {'; '.join(parts)}" if parts else ""


def _ids_not_read(file: str, ids: Iterable[str], photos: PhotoSet) -> list[str]:
    """What is said of ids of a file that are no photo; empty if each is one. Raises as ``PhotoSet.ids_of_no_photo``."""
    every = dict.fromkeys(ids)
    if not (unknown := photos.ids_of_no_photo(file, every)):
        return []
    return [
        f"{len(unknown)} of its {len(every)} ids are no photo of {photos.name} and are not read (the first: "
        f"{readable(unknown[0])!r})"
    ]
