"""Photos without pictures, and answers about them that follow a rule."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from benchmark.answers import ClosedQuestion, QuestionRule
from benchmark.encoders import Encoder, EncoderInfo, StoredEmbeddings
from builders.photos import SPLITS, Labels, NoPictures, PhotoSet

CLASSES = ("cat", "dog")


def photo_set(n: int, scenes: int | None = None) -> PhotoSet:
    """n test photos of two classes, in scenes of equal size if there are any."""
    columns = {} if scenes is None else {"scene": np.array([f"s{i % scenes}" for i in range(n)])}
    return PhotoSet(
        name="planted",
        ids=tuple(f"{i}.jpg" for i in range(n)),
        splits=np.full(n, SPLITS.index("val"), np.int8),
        labels=Labels(CLASSES, np.arange(n, dtype=np.int32) % 2),
        source=NoPictures(),
        rows=np.arange(n),
        columns=columns,
    )


@dataclass(frozen=True, eq=False)
class PlantedAnswers:
    """An ``AnswerSource`` in memory."""

    name: str
    rule: QuestionRule
    values: np.ndarray
    """float32 [rows, most options], as ``logits`` returns them."""
    rows: Mapping[str, Mapping[tuple[str, str], int]]
    """By view: row of ``values`` by photo and question id."""
    graded: bool = True

    @property
    def views(self) -> tuple[str, ...]:
        """Views that were answered."""
        return tuple(self.rows)

    def logits(self, view: str, questions: Sequence[ClosedQuestion]) -> np.ndarray:
        """As ``AnswerSource.logits``."""
        row_of = self.rows[view]
        rows = np.array([row_of.get((question.photo, question.id), -1) for question in questions], dtype=np.int64)
        return np.where((rows >= 0)[:, None], self.values[rows], np.float32(np.nan))


def answering(photos: PhotoSet, views: dict[str, np.ndarray], *, graded: bool = True, moved=None) -> Encoder:
    """A model that answers one question of two options about each photo.

    Args:
        photos: that are asked about.
        views: float [photos] by view, the logit of the right option less that of the other.
        graded: whether logits are known.
        moved: float [photos] by view, the angle by which an embedding in the plane is turned.
    """
    table = tuple(ClosedQuestion("q", photo, "Is it?", ("yes", "no"), i % 2) for i, photo in enumerate(photos.ids))
    right = np.array([question.right for question in table])
    rows, values = {}, []
    for view, differences in views.items():
        logits = np.zeros((len(photos), 2), np.float32)
        logits[np.arange(len(photos)), right] = differences
        if not graded:
            logits = np.where(logits == logits.max(axis=1, keepdims=True), 0, -np.inf).astype(np.float32)
        rows[view] = {(q.photo, q.id): len(values) * len(photos) + i for i, q in enumerate(table)}
        values.append(logits)
    answers = PlantedAnswers("planted", QuestionRule("own", table), np.concatenate(values), rows, graded)
    vectors, by_view = np.zeros((1, 1), np.float32), {}
    if moved is not None:
        angles = np.concatenate([moved.get(view, np.zeros(len(photos))) for view in views])
        vectors = np.stack([np.cos(angles), np.sin(angles)], axis=1).astype(np.float32)
        by_view = {v: {p: k * len(photos) + i for i, p in enumerate(photos.ids)} for k, v in enumerate(views)}
    stored = StoredEmbeddings("planted", vectors, by_view, answers_only=moved is None)
    info = EncoderInfo("planted", "answers", None, "1" * 64, vectors.shape[1], {}, "none", 0)

    def refuse(_: object) -> np.ndarray:
        raise AssertionError("no view is shown")

    return Encoder(info, refuse, refuse, "cpu", "float32", stored=stored, answers=answers)
