"""``Answerer``: answers closed questions about pictures, by the logits of the words that choose an option."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol

import numpy as np

from benchmark.answers import ClosedQuestion, QuestionRule, every_view
from builders.errors import EncoderError

if TYPE_CHECKING:
    from PIL import Image


class Prompt(NamedTuple):
    """One closed question as a model gets it."""

    text: str
    """The question with its options."""
    words: tuple[str, ...]
    """What the model says to choose each option, such as *yes* and *no*, or *A* to *D*."""


class Answerer(Protocol):
    """A model that answers. It may load its weights at the first call, and gives them back with ``release``."""

    @property
    def identity(self) -> Mapping[str, Any]:
        """Everything that decides logits besides picture, prompt, precision and device, as JSON values: ``id``,
        ``library``, ``revision``, ``weights_sha256`` (None if the computation cannot be identified), ``processor``."""
        ...

    @property
    def device(self) -> str:
        """Device of the computation."""
        ...

    @property
    def dtype(self) -> str:
        """Precision of the computation, a value of ``--dtype``."""
        ...

    def check(self, prompts: Sequence[Prompt]) -> None:
        """Raises ``CamtraceError`` if the model cannot answer prompts, such as one whose word is no single token."""
        ...

    def prepare(self, pictures: Sequence[Image.Image], prompts: Sequence[Prompt]) -> Any:
        """The model's input for pictures, with a prompt each; called in several threads at once."""
        ...

    def logits(self, prepared: Any) -> list[np.ndarray]:
        """For each picture float32 [words], the logits of the words as the first that is said; on one thread."""
        ...

    def in_dtype(self, dtype: str) -> Answerer:
        """The same model in another precision."""
        ...

    def release(self) -> None:
        """Give back the memory of the weights; the next call loads them again."""
        ...


@dataclass(frozen=True, eq=False)
class AnsweringModel:
    """A model that answers when a run needs it: an ``AnswerSource`` whose answers a bank holds before a task reads."""

    answerer: Answerer
    rule: QuestionRule
    graded: bool = True

    @property
    def name(self) -> str:
        """Id of the model."""
        return str(self.answerer.identity["id"])

    @property
    def views(self) -> tuple[str, ...]:
        """Every view: it can answer about all of them."""
        return every_view()

    def logits(self, view: str, questions: Sequence[ClosedQuestion]) -> np.ndarray:
        """Refused: answers are read from banks."""
        raise EncoderError(f"{self.name}: its answers are in no bank yet")
