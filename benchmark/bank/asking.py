"""``Asking``: questions about the photos of a set as a model gets them, and the key under which a bank holds answers.

A bank holds answers as it holds embeddings: for each view and photo one row of float32, the logits of the words that
choose an option, question after question, option after option; rows are padded by zeros to the longest.
"""

from __future__ import annotations

import functools
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from benchmark.answers import ClosedQuestion, prompt_of, questions_hash, reversed_order, words_of
from benchmark.bank.bank import Bank
from benchmark.encoders import Answerer, Encoder, EncoderInfo, Prompt
from builders.errors import EncoderError
from builders.photos import PhotoSet

if TYPE_CHECKING:
    import torch
    from PIL import Image

ANSWER_STORAGE = "float32"
"""Dtype of stored logits: float16 would flip close answers."""

POOLING = "logits of the words that choose an option, as the first that is said"


class Put(NamedTuple):
    """A question about a photo as it is put to a model."""

    prompt: Prompt
    columns: slice
    """Of its options in the photo's row."""


@dataclass(frozen=True)
class Asking:
    """Questions about the photos of a set, and how they are put."""

    questions: tuple[ClosedQuestion, ...]
    reverse: bool = False
    """List the options from the last to the first; logits stay in the order of the question."""
    batch: int | None = None
    """Pictures per forward pass, where the number is a part of the question; None for what the run and memory give."""

    @functools.cached_property
    def by_photo(self) -> Mapping[str, tuple[Put, ...]]:
        """The questions about each photo, by its id."""
        of_photo: dict[str, list[Put]] = {}
        for question in self.questions:
            order = reversed_order(question) if self.reverse else None
            before = of_photo.setdefault(question.photo, [])
            start = before[-1].columns.stop if before else 0
            prompt = Prompt(prompt_of(question, order), words_of(question, order))
            before.append(Put(prompt, slice(start, start + len(question.options))))
        return {photo: tuple(puts) for photo, puts in of_photo.items()}

    @property
    def width(self) -> int:
        """Length of a row."""
        return max(puts[-1].columns.stop for puts in self.by_photo.values())

    def prompts(self) -> list[Prompt]:
        """Every question as it is put."""
        return [put.prompt for puts in self.by_photo.values() for put in puts]

    def key(self) -> dict[str, Any]:
        """Everything of it that decides logits, as JSON values."""
        how = {name: value for name, value in vars(self).items() if name in ("reverse", "batch") and value}
        return {"questions": questions_hash(self.questions), **how}


def answering(answerer: Answerer, asking: Asking) -> Encoder:
    """What gives the rows of a bank of answers, for keys and paths; its views are made by ``fill_answers``."""
    identity = answerer.identity
    info = EncoderInfo(
        id=identity["id"],
        library=identity["library"],
        revision=identity["revision"],
        weights_sha256=identity["weights_sha256"],
        dimension=asking.width,
        preprocessing={"processor": identity["processor"], **asking.key()},
        pooling=POOLING,
        parameters=0,
    )
    return Encoder(info, _no_pixels, _refuse, answerer.device, answerer.dtype)


def read_answers_of(bank: Bank, asking: Asking, photos: PhotoSet, view: str) -> np.ndarray:
    """float32 [questions, most options]: logits under one view; NaN beyond the options, and for photos without one.

    Args:
        bank: of ``answering``, complete.
        asking: as it was filled.
        photos: all photos of the bank, in order.
        view: one of its views.
    """
    failed, most = bank.failures(), max(len(question.options) for question in asking.questions)
    logits = np.full((len(asking.questions), most), np.nan, np.float32)
    rows = bank.view(view, np.arange(len(photos)))[0 : len(photos)]
    position = {photo_id: at for at, photo_id in enumerate(photos.ids)}
    of_photos = {photo: iter(of_photo) for photo, of_photo in asking.by_photo.items()}
    for at, question in enumerate(asking.questions):
        columns = next(of_photos[question.photo]).columns
        if question.photo not in failed:
            logits[at, : len(question.options)] = rows[position[question.photo], columns]
    return logits


def _no_pixels(image: Image.Image) -> np.ndarray:
    raise EncoderError("a model that answers gets pictures, not arrays")


def _refuse(batch: torch.Tensor) -> torch.Tensor:
    raise EncoderError("a model that answers gets pictures and questions")
