"""``answers:FILE``: answers of a vision-language model that ran elsewhere (a closed API, another framework).

FILE is CSV, JSON lines or Parquet, one row for each photo, view and question, with the columns

- ``photo_id``: ids of the photos as the data set has them; ``?id=COLUMN`` names another column;
- ``view``: ``original``, the name of a processing (``jpeg-q75-420``), or a view of the noise floor (``png``,
  ``other-batch``, ``other-precision``, ``other-order``); without the column, photos are as they are;
- ``question_id``: without the column, the only question about the photo;
- ``logits`` (or log-probabilities): a number for each option, in the order of the question's options, whatever the
  order of the prompt; a list, in a CSV cell separated by ``|``; or ``answer``: the text of the answer. An option, its
  letter, or *yes* or *no* as its first word is read; any other text is the answer of no option.

``?questions=choice``, or a table of questions, says which questions were asked (by default ``presence``);
``?embeddings=FILE`` adds the embeddings of the vision tower; ``?model=...`` and ``?training_data=...`` state what the
model is.
"""

from __future__ import annotations

import hashlib
import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from benchmark.answers import ClosedQuestion, QuestionRule, chosen_rule, every_view, read_rows, words_of
from benchmark.encoders.encoder import Encoder, EncoderInfo, StoredEmbeddings
from benchmark.encoders.loaders.stored import UNPROCESSED, file_and_options, load_embeddings, made_elsewhere, no_pixels
from benchmark.encoders.registry import LoadRequest
from builders.errors import CamtraceError, EncoderError, unknown_name
from builders.untrusted import readable

if TYPE_CHECKING:
    import torch

OPTIONS = ("id", "questions", "embeddings", "model", "training_data")

Cell = tuple[float, ...] | str
"""Logits of the options, or the text of an answer."""


def load_answers(request: LoadRequest) -> Encoder:
    """Read ``answers:FILE?...``.

    Raises:
        UsageError: an option is wrong or cannot apply, or there is no such file.
        EncoderError: the file is not of the form above; the message names the place.
    """
    file, options = file_and_options(request.spec, OPTIONS)
    path, label = made_elsewhere(request, file, "answers:FILE.jsonl")
    id_column = options.get("id", "photo_id")
    rule = chosen_rule(options.get("questions", "presence"))
    try:
        table = read_rows(path, (id_column, "view", "question_id", "logits", "answer"))
        cells, rows = _cells(table.rows, id_column)
    except CamtraceError as error:
        raise EncoderError(f"{label}: {str(error).removeprefix(f'{path.name}: ')}") from None
    name = f"{label}@{table.sha256[:8]}"
    tower = _tower(request, options.get("embeddings"))
    sha256 = table.sha256
    if tower is not None:  # other embeddings are another encoder
        sha256 = hashlib.sha256(f"{sha256} {tower.info.weights_sha256}".encode()).hexdigest()
    stored = StoredEmbeddings(name, np.zeros((1, 1), np.float32), {}, answers_only=True)
    stated = {key: value for key, value in options.items() if key in ("model", "training_data")}
    info = EncoderInfo(
        id=name,
        library="answers",
        revision=None,
        weights_sha256=sha256,
        dimension=tower.info.dimension if tower else 1,
        preprocessing={"size": "unknown", "backend": "unknown, computed elsewhere", "questions": rule.name},
        pooling=tower.info.pooling if tower else "no embedding",
        parameters=0,
        training_data=stated.get("training_data", "unknown"),
        details={"file": path.name, "rows": len(cells), "sha256_is": "of the file of answers", "told": stated},
    )
    answers = FileAnswers(name, rule, cells, rows, all(not isinstance(cell, str) for cell in cells))
    stored = replace(tower.stored, name=name) if tower is not None and tower.stored is not None else stored
    stored = replace(stored, answer_ids=tuple(dict.fromkeys(photo for row_of in rows.values() for photo, _ in row_of)))
    return Encoder(info, no_pixels, _refuse, "cpu", "float32", stored=stored, answers=answers)


def _tower(request: LoadRequest, file: str | None) -> Encoder | None:
    """The embeddings of the vision tower; None without a file of them."""
    return load_embeddings(replace(request, spec=f"embeddings:{file}")) if file else None


@dataclass(frozen=True, eq=False)
class FileAnswers:
    """Answers of a file: an ``AnswerSource``."""

    name: str
    rule: QuestionRule
    cells: Sequence[Cell]
    rows: Mapping[str, Mapping[tuple[str, str], int]]
    """By view: row by photo and question id; the id of the only question about a photo may be empty."""
    graded: bool

    @property
    def views(self) -> tuple[str, ...]:
        """Views that were answered."""
        return tuple(self.rows)

    def logits(self, view: str, questions: Sequence[ClosedQuestion]) -> np.ndarray:
        """As ``AnswerSource.logits``.

        Raises:
            EncoderError: there is another number of logits than of options.
        """
        values = np.full((len(questions), max(len(q.options) for q in questions)), np.nan, np.float32)
        single = len({question.photo for question in questions}) == len(questions)
        row_of = self.rows[view]
        for at, question in enumerate(questions):
            row = row_of.get((question.photo, question.id))
            if row is None and single:
                row = row_of.get((question.photo, ""))
            if row is not None:
                values[at, : len(question.options)] = self._of_options(self.cells[row], question, view)
        return values

    def _of_options(self, cell: Cell, question: ClosedQuestion, view: str) -> Sequence[float]:
        if not isinstance(cell, str):
            if len(cell) != len(question.options):
                what = f"{readable(question.id)} about {readable(question.photo)} under {view}"
                raise EncoderError(
                    f"{self.name}: {what} has {len(cell)} logits, and the question {len(question.options)} options"
                )
            return cell if self.graded else [0.0 if value == max(cell) else -math.inf for value in cell]
        chosen = option_of(cell, question)
        return [0.0 if at == chosen else -math.inf for at in range(len(question.options))]


def option_of(text: str, question: ClosedQuestion) -> int | None:
    """The option that an answer in words chooses; None if it is none of them.

    >>> question = ClosedQuestion("1", "a.jpg", "What is it?", ("a cat", "dog", "cow"), 0)
    >>> [option_of(text, question) for text in ("B", "(c) cow", "A cat.", "A", "Dog", "I cannot say", "A bird")]
    [1, 2, 0, 0, 1, None, None]
    """
    plain = text.strip().strip("\"'*.").strip()
    options = [option.lower() for option in question.options]
    if plain.lower() in options:
        return options.index(plain.lower())
    words = [word.lower() for word in words_of(question)]
    if not question.lettered:
        first = re.match(r"[a-z]+", plain.lower())
        return words.index(first[0]) if first and first[0] in words else None
    letter = re.fullmatch(r"\(?([a-z])(?:[).:]\s*(.*)|$)", plain.lower(), re.DOTALL)
    if letter is None or letter[1] not in words:
        return None
    chosen = words.index(letter[1])
    return chosen if letter[2] in (None, "", options[chosen]) else None


def _cells(
    rows: Sequence[Mapping[str, Any]], id_column: str
) -> tuple[list[Cell], dict[str, dict[tuple[str, str], int]]]:
    """The cell of each row, and rows by view and question."""
    cells: list[Cell] = []
    by_view: dict[str, dict[tuple[str, str], int]] = {UNPROCESSED: {}}
    if not rows:
        raise EncoderError("it holds no row")
    columns = {name for row in rows[:100] for name in row}
    if id_column not in columns or not columns & {"logits", "answer"}:
        lacking = id_column if id_column not in columns else "logits or answer"
        hint = "; ?id=COLUMN names the column of the ids" if lacking == "photo_id" else ""
        raise EncoderError(f"it has no column {readable(lacking)}{hint}")
    for number, row in enumerate(rows, 1):
        photo, question = row.get(id_column), row.get("question_id")
        view = str(row.get("view") or UNPROCESSED)
        if photo in (None, ""):
            raise EncoderError(f"row {number} has no photo id")
        if view not in by_view:
            if view not in every_view():
                raise unknown_name("view", view, every_view())
            by_view[view] = {}
        key = readable(str(photo)), "" if question is None else readable(str(question))
        what = f"{key[1]} about {key[0]} under {view}".removeprefix(" ")
        cells.append(_cell(row.get("logits"), row.get("answer"), what))
        if by_view[view].setdefault(key, number - 1) != number - 1:
            raise EncoderError(f"{what} has two answers")
    if not by_view[UNPROCESSED]:
        raise EncoderError(f"it has no answer about a photo as it is (view {UNPROCESSED})")
    return cells, by_view


def _cell(logits: Any, answer: Any, what: str) -> Cell:
    if isinstance(logits, str):
        logits = logits.split("|")
    if isinstance(logits, list | tuple) and logits:
        try:
            numbers = tuple(float(value) for value in logits)
        except (TypeError, ValueError):
            raise EncoderError(f"the logits of {what} are no numbers") from None
        if not all(map(math.isfinite, numbers)):
            raise EncoderError(f"a logit of {what} is not finite")
        return numbers
    if answer is None:
        raise EncoderError(f"{what} has neither logits nor an answer")
    return str(answer)


def _refuse(batch: torch.Tensor) -> torch.Tensor:
    raise EncoderError("a file of answers cannot answer about other views")
