"""Closed questions: from the classes of photos, or from a table (CSV, JSON lines or Parquet), one row a question.

Columns of a table: ``photo_id``, ``question_id``, ``text``, ``options`` (a list, in a CSV cell separated by ``|``) and
``right``, one of the options. Options are asked for by letter (A, B, ...), only *yes* and *no* by these words.
"""

from __future__ import annotations

import hashlib
import json
import string
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from benchmark.answers.tables import read_rows
from builders.errors import DataError, UsageError
from builders.photos import SPLITS, UNLABELLED, PhotoSet, hash64, rank_within
from builders.untrusted import readable

YES_NO = ("yes", "no")

LETTERS = string.ascii_uppercase

CHOICES = 4
"""Options of a question of ``choice``, A to D."""

_COLUMNS = ("photo_id", "question_id", "text", "options", "right")


@dataclass(frozen=True)
class ClosedQuestion:
    """A question about one photo whose answer is one of a few options."""

    id: str
    """Unique among the questions about the photo."""
    photo: str
    """Id of the photo."""
    text: str
    """Without the options."""
    options: tuple[str, ...]
    """2 to 26 different texts. Logits and answers are always in this order, whatever the order of the prompt."""
    right: int
    """Position of the right option."""

    @property
    def lettered(self) -> bool:
        """Whether the answer is the letter of an option; else it is *yes* or *no*."""
        return sorted(option.lower() for option in self.options) != sorted(YES_NO)

    @property
    def prompt(self) -> str:
        """The question with its options, as ``prompt_of``."""
        return prompt_of(self)


def prompt_of(question: ClosedQuestion, order: Sequence[int] | None = None) -> str:
    """The question with its options, as a model or an annotator gets it.

    Args:
        question: that is asked.
        order: positions of the options as they are listed; by default their own.

    >>> prompt_of(ClosedQuestion("1", "a.jpg", "Is there a cat in the picture?", ("yes", "no"), 0))
    'Is there a cat in the picture? Answer yes or no.'
    >>> print(prompt_of(ClosedQuestion("1", "a.jpg", "What is it?", ("cat", "dog", "cow"), 0), (2, 1, 0)))
    What is it?
    A. cow
    B. dog
    C. cat
    Answer with the letter.
    """
    listed = [question.options[at] for at in (order or range(len(question.options)))]
    if not question.lettered:
        return f"{question.text} Answer {' or '.join(listed)}."
    lines = [f"{letter}. {option}" for letter, option in zip(LETTERS, listed, strict=False)]
    return "\n".join([question.text, *lines, "Answer with the letter."])


def words_of(question: ClosedQuestion, order: Sequence[int] | None = None) -> tuple[str, ...]:
    """What a model says to choose each option, by position in ``options``: letters, or *yes* and *no*.

    >>> words_of(ClosedQuestion("1", "a.jpg", "What is it?", ("cat", "dog", "cow"), 0), (2, 1, 0))
    ('C', 'B', 'A')
    """
    if not question.lettered:
        return question.options
    order = tuple(order or range(len(question.options)))
    return tuple(LETTERS[order.index(at)] for at in range(len(order)))


def reversed_order(question: ClosedQuestion) -> tuple[int, ...]:
    """The options from the last to the first: the other order of the noise floor."""
    return tuple(range(len(question.options)))[::-1]


def presence_questions(photos: PhotoSet, seed: int) -> tuple[ClosedQuestion, ...]:
    """For each photo with a class "Is there a CLASS in the picture?": for half of them the class is another one.

    Photos of a split and class alternate in the order of a hash of their ids, so that halves differ by one at most.
    """
    names, values = photos.labels.names, photos.labels.values
    shown = np.flatnonzero(values != UNLABELLED)
    true = _alternating(photos, shown, f"presence\0{seed}", 2) == 0
    questions = []
    for at, is_true in zip(shown.tolist(), true.tolist(), strict=True):
        name = names[values[at]] if is_true else _others(photos, at, 1, f"presence\0{seed}")[0]
        text = f"Is there {_article(name)} {_spoken(name)} in the picture?"
        questions.append(ClosedQuestion("presence", photos.ids[at], text, YES_NO, 0 if is_true else 1))
    return tuple(questions)


def choice_questions(photos: PhotoSet, seed: int) -> tuple[ClosedQuestion, ...]:
    """For each photo with a class "What is in the picture?" with up to four classes as options, its own among them.

    The right option stands equally often (but for one) at each position, among the photos of a split and class.
    """
    names, values = photos.labels.names, photos.labels.values
    shown = np.flatnonzero(values != UNLABELLED)
    count = min(CHOICES, len(names))
    position = _alternating(photos, shown, f"choice\0{seed}", count)
    questions = []
    for at, right in zip(shown.tolist(), position.tolist(), strict=True):
        options = _others(photos, at, count - 1, f"choice\0{seed}")
        options.insert(right, names[values[at]])
        spoken = tuple(map(_spoken, options))
        questions.append(ClosedQuestion("choice", photos.ids[at], "What is in the picture?", spoken, right))
    return tuple(questions)


RULES = {"presence": presence_questions, "choice": choice_questions}
"""Rules that make questions from classes, by name."""


@dataclass(frozen=True)
class QuestionRule:
    """Which questions are asked: a rule for classes, or a table."""

    name: str
    """``presence``, ``choice``, or the name of the table's file with the start of its SHA-256: a part of cache keys."""
    table: tuple[ClosedQuestion, ...] | None = None

    def unfit(self, photos: PhotoSet) -> str:
        """Why photos cannot be asked about; empty if they can."""
        if self.table is not None:
            known = _test_positions(photos)
            if any(question.photo in known for question in self.table):
                return ""
            return (
                f"{self.name} has no question about a test photo of {photos.name}: its ids are such as "
                f"{readable(self.table[0].photo)!r}, and those of the data {min(known)!r}"
            )
        if len(np.unique(photos.labels.values[photos.labels.values != UNLABELLED])) < 2:
            return f"{photos.name} has fewer than two classes to ask about: give a table of questions"
        return ""

    def questions(self, photos: PhotoSet, seed: int) -> tuple[ClosedQuestion, ...]:
        """The questions about the test photos (``val``; all photos of a set without it), in the order of the photos.

        Raises:
            DataError: ``unfit``.
        """
        if reason := self.unfit(photos):
            raise DataError(reason)
        position = _test_positions(photos)
        every = RULES[self.name](photos, seed) if self.table is None else self.table
        about = [question for question in every if question.photo in position]
        return tuple(sorted(about, key=lambda question: position[question.photo]))


def _test_positions(photos: PhotoSet) -> dict[str, int]:
    """Positions of the test photos (``val``; all photos of a set without it) by their ids."""
    at = photos.indices("val")
    return {photos.ids[i]: i for i in (at if len(at) else range(len(photos)))}


def chosen_rule(what: str) -> QuestionRule:
    """The rule of a name (``presence``, ``choice``), or a table of questions.

    Raises:
        UsageError: neither a rule nor a file.
        DataError: the table is not of the form above; the message names the row.
    """
    if what in RULES:
        return QuestionRule(what)
    path = Path(what).expanduser()
    if not path.is_file():
        raise UsageError(f"questions={readable(what)}: it is {', '.join(RULES)}, or a file of questions that exists")
    table = read_rows(path, _COLUMNS)
    try:
        return QuestionRule(f"{path.name}@{table.sha256[:16]}", questions_of_rows(table.rows))
    except DataError as error:
        raise DataError(f"{path.name}: {error}") from None


def closed_questions(photos: PhotoSet, questions: str = "presence", *, seed: int = 0) -> tuple[ClosedQuestion, ...]:
    """The questions that the tasks ``answers/*`` ask about the test photos of a set.

    Args:
        photos: the photo set.
        questions: ``presence``, ``choice``, or the path of a table of questions.
        seed: of the run.

    Raises:
        UsageError: neither a rule nor a file.
        DataError: the table is not right, or has no question about these photos.

    >>> photos = PhotoSet.of_bytes("two", {"a": b"", "b": b""}, ["cat", "dog"], ["val", "val"])
    >>> [question.prompt for question in closed_questions(photos)][0]
    'Is there a cat in the picture? Answer yes or no.'
    """
    return chosen_rule(questions).questions(photos, seed)


def questions_of_rows(rows: Sequence[Mapping[str, Any]]) -> tuple[ClosedQuestion, ...]:
    """The questions of the rows of a table.

    Raises:
        DataError: there is none, or a row lacks a value, repeats a question or has wrong options.

    >>> row = {"photo_id": "a.jpg", "question_id": "1", "text": "Is it night?", "options": "yes|no", "right": "no"}
    >>> questions_of_rows([row])[0].right
    1
    """
    questions: dict[tuple[str, str], ClosedQuestion] = {}
    for number, row in enumerate(rows, 1):
        for column in _COLUMNS:
            if row.get(column) in (None, "", []):
                raise DataError(f"row {number} has no {column} (columns: {', '.join(_COLUMNS)})")
        options = row["options"].split("|") if isinstance(row["options"], str) else row["options"]
        if not isinstance(options, list | tuple) or not all(isinstance(option, str) for option in options):
            raise DataError(f"row {number}: options are texts, in a CSV cell separated by |")
        options = tuple(readable(option.strip()) for option in options)
        if not 2 <= len(options) <= len(LETTERS) or len(set(options)) < len(options) or "" in options:
            raise DataError(
                f"row {number}: 2 to {len(LETTERS)} different options are needed, not {' | '.join(options)}"
            )
        photo, name, text, right = (readable(str(row[column]).strip()) for column in (*_COLUMNS[:3], "right"))
        if right not in options:
            raise DataError(f"row {number}: the right answer {right} is none of its options ({' | '.join(options)})")
        if (photo, name) in questions:
            raise DataError(f"row {number}: the question {name} about {photo} is there twice")
        questions[photo, name] = ClosedQuestion(name, photo, text, options, options.index(right))
    if not questions:
        raise DataError("it holds no question")
    return tuple(questions.values())


def _alternating(photos: PhotoSet, at: np.ndarray, salt: str, period: int) -> np.ndarray:
    """int64 [n], 0 .. period - 1 in turn among the photos of a split and class, in the order of a hash of their ids."""
    hashes = np.array([hash64(f"{salt}\0{photos.ids[i]}") for i in at], dtype=np.uint64)
    order = np.argsort(hashes)
    groups = photos.labels.values[at].astype(np.int64) * len(SPLITS) + photos.splits[at]
    turn = np.empty(len(at), np.int64)
    turn[order] = rank_within(groups[order])
    # classes begin in turn too, so that one photo a class is balanced as well
    return (turn + photos.labels.values[at]) % period


def _others(photos: PhotoSet, at: int, count: int, salt: str) -> list[str]:
    """Classes other than the photo's, in the order of a hash."""
    shown = int(photos.labels.values[at])
    others = [name for value, name in enumerate(photos.labels.names) if value != shown]
    return sorted(others, key=lambda name: hash64(f"{salt}\0{photos.ids[at]}\0{name}"))[:count]


def _spoken(name: str) -> str:
    """A class as it is said: ``tench_fish`` is ``tench fish``."""
    return name.replace("_", " ").strip()


def _article(name: str) -> str:
    return "an" if name[:1].lower() in "aeiou" else "a"


def questions_hash(questions: Sequence[ClosedQuestion]) -> str:
    """32 hex digits of everything that questions ask, for keys of caches.

    >>> questions_hash([ClosedQuestion("1", "a.jpg", "Night?", ("yes", "no"), 1)])
    '3720d307f4d294d0a53c2a24e62799c3'
    """
    rows = [[q.id, q.photo, q.text, q.options, q.right] for q in questions]
    return hashlib.sha256(json.dumps(rows).encode()).hexdigest()[:32]
