"""Answers by ranks: each rank asks about the photos of its blocks, as it embeds them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from benchmark.bank import ANSWER_STORAGE, BlockBank, fill_answers, key_hash, key_of
from benchmark.encoders import Encoder
from benchmark.options import RunOptions
from benchmark.scoring import AnswerBank, OpenedSet, answer_banks, planned_passes
from builders.photos import PhotoSet


def planned_answers(encoder: Encoder, job: OpenedSet, options: RunOptions) -> list[AnswerBank]:
    """The banks of answers of an encoder on a photo set, over all passes; none for most encoders."""
    passes = planned_passes(job.tasks, job.photos, options)
    return [bank for p in passes for bank in answer_banks(encoder, p.recipe, p.tasks, job.photos, options)]


def answer_key(bank: AnswerBank, photos: PhotoSet, bytes_hash: str, device: str = "") -> dict[str, Any]:
    """Key of a bank of answers; the device as of ``key_of``."""
    return key_of(bank.encoder, photos, bytes_hash, ANSWER_STORAGE, device=device)


def answer_facts(spec: str, photos: PhotoSet, keys: Sequence[Mapping[str, Any]]) -> dict[str, str]:
    """The fact of a model's answers that must be equal on every machine; none without answers."""
    if not keys:
        return {}
    what = f"everything that decides the answers of {spec} on {photos.name}"
    return {what: key_hash({str(number): key for number, key in enumerate(keys)})}


def fill_rank(
    bank: AnswerBank, store: BlockBank, photos: PhotoSet, blocks: Sequence[int], options: RunOptions, digests: Any
) -> None:
    """Fill the blocks of one bank that a rank makes.

    Args:
        bank: of ``planned_answers``.
        store: the rank's blocks.
        photos: all photos of the set.
        blocks: indices of the blocks.
        options: of the run.
        digests: receives the digest of each photo that is read, by index.

    Raises:
        EncoderError: the model cannot answer.
    """
    fill_answers(
        photos,
        bank.recipe,
        bank.answerer,
        bank.asking,
        store,
        batch_size=options.batch_size,
        workers=options.workers,
        label=f"{bank.answerer.identity['id']} {bank.view or 'answers'}",
        learn=digests.__setitem__,
        blocks=blocks,
    )
    bank.answerer.release()
