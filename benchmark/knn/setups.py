"""kNN in the six set-ups: how far nearest neighbours follow processing instead of content.

Every set-up follows from C x C similarity blocks: for each class t of the test photos and each class c of the train
photos, the nearest positives (train photos with the query's label) and the nearest negatives are kept, and merged.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import IntEnum
from typing import Literal, NamedTuple

import numpy as np
import torch

from benchmark.knn.lists import KnnQuestion, Lists, neighbour_lists, plan_blocks, read_queries
from benchmark.knn.topk import Embeddings, full_float32, unpack_indices
from benchmark.knn.uniform import uniform_votes
from benchmark.knn.votes import Opposition, Outcomes, Votes, outcomes, tally, vote
from builders.errors import DataError, UsageError


class Setup(IntEnum):
    """Who may be whose neighbour; the value is the row of ``KnnAnswers.correct``.

    >>> [setup.label for setup in Setup][:2], int(Setup.POS_SAME)
    (['all-same', 'all-diff'], 2)
    """

    ALL_SAME = 0
    """Query and all neighbours under one processing."""
    ALL_DIFF = 1
    """All neighbours under one processing, not the query's."""
    POS_SAME = 2
    """Only neighbours of the query's class share its processing."""
    NEG_SAME = 3
    """Only neighbours of other classes share the query's processing."""
    UNIFORM = 4
    """Each train photo under a random processing."""
    UNIFORM_TEST = 5
    """Each query under a random processing, the train photos under one."""

    @property
    def label(self) -> str:
        """Its name in results: ``all-same``."""
        return self.name.lower().replace("_", "-")


SPD = "spd"
"""pos-same minus neg-same, signed; positive: neighbours of the same processing attract."""


TieRule = Literal["nearest", "random", "least", "greatest"]
"""How a tied vote is counted: for the label of the nearest neighbour, by the expectation of a random choice, never, or
whenever the query's label is among the tied ones."""


class Ties(NamedTuple):
    """What ties do to one score."""

    share: float
    """Of votes in which two labels or more had most votes."""
    least: float
    """The score under the rule that is worst for it."""
    greatest: float
    """The score under the rule that is best for it."""
    random: float
    """Its expectation where one of the tied labels is taken at random."""


@dataclass(frozen=True, eq=False)
class KnnAnswers:
    """Per test photo, how many of its votes in each set-up were right: any statistic that resamples photos is free."""

    correct: np.ndarray
    """int32 [6 set-ups, test photos]: correct answers among the set-up's combinations."""
    tied: np.ndarray
    """int32 [6 set-ups, test photos]: votes in which two labels or more had most votes."""
    least: np.ndarray
    """int32 [6 set-ups, test photos]: votes that are right under every tie rule."""
    greatest: np.ndarray
    """int32 [6 set-ups, test photos]: votes that are right under some tie rule."""
    random: np.ndarray
    """float64 [6 set-ups, test photos]: right answers expected where one of the tied labels is taken at random."""
    combinations: np.ndarray
    """int32 [6 set-ups]: queries per photo: C, C(C-1), C(C-1), C(C-1), C x seeds, C x seeds."""
    plain: np.ndarray
    """bool [C of the test photo, C of all train photos, test photos]: right or not (the cases p = n)."""
    by_seed: np.ndarray
    """int16 [2, seeds, test photos]: correct answers of uniform and uniform-test for one seed, out of C."""
    random_by_seed: np.ndarray
    """float64 [2, seeds, test photos]: the same, expected where one of the tied labels is taken at random."""
    chance: float
    """Accuracy expected of a neighbour drawn blindly from the train photos: the sum over labels of its two shares."""
    k: int
    """Neighbours that vote."""

    @property
    def values(self) -> dict[str, float]:
        """Accuracy of each set-up, and ``spd``. What needs two classes is left out if C = 1."""
        return {name: float(row.mean()) for name, row in self.per_photo().items()}

    @property
    def tied_share(self) -> dict[str, float]:
        """Share of votes that the tie rule decided, for the set-ups of ``values``."""
        shares = self.tied.mean(axis=1) / np.maximum(self.combinations, 1)
        return {setup.label: float(shares[setup]) for setup in Setup if self.combinations[setup]}

    @property
    def ties(self) -> dict[str, Ties]:
        """What ties do to each score of ``values``; the share of ``spd`` is of the votes of both its set-ups."""
        rules: tuple[TieRule, ...] = ("least", "greatest", "random")
        means = {rule: {name: float(row.mean()) for name, row in self.per_photo(rule).items()} for rule in rules}
        found = {name: Ties(share, *(means[rule][name] for rule in rules)) for name, share in self.tied_share.items()}
        if SPD in means["random"]:
            more, less = found[Setup.POS_SAME.label], found[Setup.NEG_SAME.label]
            found[SPD] = Ties(
                (more.share + less.share) / 2,
                more.least - less.greatest,
                more.greatest - less.least,
                more.random - less.random,
            )
        return found

    @property
    def seed_values(self) -> dict[str, np.ndarray]:
        """float64 [seeds]: accuracy of ``uniform`` and ``uniform-test`` for each assignment seed."""
        return self._of_seeds(self.by_seed)

    @property
    def random_seed_values(self) -> dict[str, np.ndarray]:
        """The same, expected where one of the tied labels is taken at random."""
        return self._of_seeds(self.random_by_seed)

    def per_photo(self, rule: TieRule = "nearest") -> dict[str, np.ndarray]:
        """float64 [test photos] for each of ``values``: the share of the photo's answers that are right; ``spd``."""
        right = {"nearest": self.correct, "random": self.random, "least": self.least, "greatest": self.greatest}[rule]
        return setup_shares(right, self.combinations)

    def _of_seeds(self, right: np.ndarray) -> dict[str, np.ndarray]:
        accuracy = right.mean(axis=2) / len(self.plain)
        return {"uniform": accuracy[0], "uniform-test": accuracy[1]}


def setup_shares(correct: np.ndarray, combinations: np.ndarray) -> dict[str, np.ndarray]:
    """float64 [test photos] by set-up: the share of a photo's answers that are right; and ``spd``, their difference.

    Args:
        correct: [6 set-ups, test photos], as ``KnnAnswers`` has it.
        combinations: [6 set-ups]; a set-up without any is left out.

    >>> setup_shares(np.array([[1], [0], [2], [1], [0], [0]]), np.array([2, 0, 2, 2, 0, 0]))["spd"].tolist()
    [0.5]
    """
    shares = {s.label: correct[s] / combinations[s] for s in Setup if combinations[s]}
    if combinations[Setup.POS_SAME]:
        shares[SPD] = shares[Setup.POS_SAME.label] - shares[Setup.NEG_SAME.label]
    return shares


def knn_setups(
    train: Sequence[Embeddings],
    test: Sequence[Embeddings],
    train_labels: np.ndarray,
    test_labels: np.ndarray,
    *,
    train_assignments: np.ndarray,
    test_assignments: np.ndarray,
    k: int = 10,
    device: str | torch.device = "cpu",
    memory_bytes: int | None = None,
) -> KnnAnswers:
    """Score the six kNN set-ups of one parameter: cosine similarity, unweighted majority vote of the k nearest.

    Neighbours are ordered by (float32 similarity descending, train index ascending). A tied vote goes to the tied label
    whose nearest neighbour comes first in that order. If there are fewer than k train photos, all of them vote.

    Args:
        train: C embeddings [train photos, dimension] of the same photos in the same order, one per class. They are only
            ever sliced ``[a:b]`` (memory maps and lazy readers are welcome) and normalised here.
        test: the same for the test photos.
        train_labels: int [train photos], what each photo shows, 0 or more.
        test_labels: int [test photos].
        train_assignments: int [seeds, train photos] in [0, C): the class of each train photo in ``uniform``.
        test_assignments: int [seeds, test photos] in [0, C): the class of each test photo in ``uniform-test``.
        k: neighbours that vote.
        device: where similarities are computed, such as ``"cuda"``.
        memory_bytes: how much memory of that device the blocks may take together, whatever the number of photos (below
            some megabytes it is a wish). Default: 2 GiB, or half of what is free on a CUDA device. It changes the
            speed, and the answers only where the float32 rounding of a matrix product depends on its shape.

    Raises:
        DataError: shapes, labels or assignments do not fit together, there are no photos, or a value is not finite.
        UsageError: k is less than 1.

    >>> train, test = [np.eye(4)[:2], np.eye(4)[2:]], [np.eye(4)[:2], np.eye(4)[2:]]
    >>> answers = knn_setups(train, test, np.array([0, 1]), np.array([0, 1]), k=1,
    ...     train_assignments=np.array([[0, 1]]), test_assignments=np.array([[1, 0]]))
    >>> {name: round(answers.values[name], 2) for name in ('all-same', 'all-diff', 'pos-same', 'neg-same', 'spd')}
    {'all-same': 1.0, 'all-diff': 0.5, 'pos-same': 1.0, 'neg-same': 0.5, 'spd': 0.5}
    """
    question = _checked(train, test, train_labels, test_labels, train_assignments, test_assignments, k, device)
    plan = plan_blocks(question, memory_bytes)
    answers = _empty_answers(question)
    with torch.inference_mode(), full_float32():
        for start in range(0, len(question.test_labels), plan.photos):
            photos = slice(start, min(start + plan.photos, len(question.test_labels)))
            queries = read_queries(question, photos)
            lists = neighbour_lists(question, queries, photos, plan)
            _record_fixed(answers, question, photos, lists)
            _record_uniform(answers, photos, uniform_votes(question, queries, photos, lists, plan))
    return answers


def _record_fixed(answers: KnnAnswers, question: KnnQuestion, photos: slice, lists: Lists) -> None:
    """Write what follows from fixed classes p and n into these photos' columns: all set-ups but ``uniform``."""
    k, c = question.k, question.classes
    labels = torch.from_numpy(question.train_labels).to(question.device)
    # [C of the test photo, C of the train photos, photos, k]
    positives, negatives = (torch.stack([torch.stack([x[:, :k] for x in row]) for row in side]) for side in lists)
    opposition = tally(negatives, labels[unpack_indices(negatives).clamp(min=0)])
    own = torch.arange(c, device=question.device)
    same_class = Opposition(*(x[own, own][:, None] for x in opposition))
    plain = vote(positives, negatives, opposition)
    pos_same = vote(positives[own, own][:, None], negatives, opposition)
    neg_same = vote(positives, negatives[own, own][:, None], same_class)
    answers.plain[:, :, photos] = plain.correct.cpu().numpy()
    drawn = question.test_assignments[:, photos]  # [seeds, photos]
    columns = np.arange(drawn.shape[1])
    of_plain = outcomes(plain)
    fixed = (of_plain, outcomes(pos_same), outcomes(neg_same))
    for setup, found in zip((Setup.ALL_DIFF, Setup.POS_SAME, Setup.NEG_SAME), fixed, strict=True):
        for target, counted in zip(_targets(answers), found, strict=True):
            same = counted[own, own].sum(dim=0)
            target[setup, photos] = (counted.sum(dim=(0, 1)) - same).cpu().numpy()
            if setup is Setup.ALL_DIFF:
                target[Setup.ALL_SAME, photos] = same.cpu().numpy()
    for name, target, counted in zip(Outcomes._fields, _targets(answers), of_plain, strict=True):
        by_seed = counted.sum(dim=1).cpu().numpy()[drawn, columns]
        target[Setup.UNIFORM_TEST, photos] = by_seed.sum(axis=0)
        _keep_seeds(answers, name, 1, photos, by_seed)


def _record_uniform(answers: KnnAnswers, photos: slice, votes: Votes) -> None:
    """Write ``uniform`` from votes [C of the test photo, seeds, photos]."""
    for name, target, counted in zip(Outcomes._fields, _targets(answers), outcomes(votes), strict=True):
        by_seed = counted.sum(dim=0).cpu().numpy()
        target[Setup.UNIFORM, photos] = by_seed.sum(axis=0)
        _keep_seeds(answers, name, 0, photos, by_seed)


def _targets(answers: KnnAnswers) -> tuple[np.ndarray, ...]:
    """Where the counts of each of ``Outcomes`` go."""
    return answers.correct, answers.tied, answers.least, answers.greatest, answers.random


def _keep_seeds(answers: KnnAnswers, name: str, row: int, photos: slice, by_seed: np.ndarray) -> None:
    if name == "correct":
        answers.by_seed[row, :, photos] = by_seed
    elif name == "random":
        answers.random_by_seed[row, :, photos] = by_seed


def _empty_answers(question: KnnQuestion) -> KnnAnswers:
    c, n_test, seeds = question.classes, len(question.test_labels), len(question.train_assignments)
    labels = 1 + max(question.train_labels.max(), question.test_labels.max())
    shares = [np.bincount(x, minlength=labels) / len(x) for x in (question.train_labels, question.test_labels)]
    return KnnAnswers(
        correct=np.zeros((len(Setup), n_test), np.int32),
        tied=np.zeros((len(Setup), n_test), np.int32),
        least=np.zeros((len(Setup), n_test), np.int32),
        greatest=np.zeros((len(Setup), n_test), np.int32),
        random=np.zeros((len(Setup), n_test)),
        combinations=np.array([c, *[c * (c - 1)] * 3, c * seeds, c * seeds], np.int32),
        plain=np.zeros((c, c, n_test), bool),
        by_seed=np.zeros((2, seeds, n_test), np.int16),
        random_by_seed=np.zeros((2, seeds, n_test)),
        chance=float(shares[0] @ shares[1]),
        k=question.k,
    )


def _checked(
    train: Sequence[Embeddings],
    test: Sequence[Embeddings],
    train_labels: np.ndarray,
    test_labels: np.ndarray,
    train_assignments: np.ndarray,
    test_assignments: np.ndarray,
    k: int,
    device: str | torch.device,
) -> KnnQuestion:
    if k < 1:
        raise UsageError(f"kNN needs at least one neighbour, k is {k}")
    if not len(train) or len(train) != len(test):
        raise DataError(f"kNN needs the same classes for train and test photos, got {len(train)} and {len(test)}")
    dimension = tuple(train[0].shape)[-1]
    labels = {}
    for split, banks, values in (("train", train, train_labels), ("test", test, test_labels)):
        labels[split] = _integers(f"{split} labels", values, ndim=1)
        n = len(labels[split])
        if not n:
            raise DataError(f"kNN needs {split} photos, there are none")
        if labels[split].min() < 0:
            raise DataError(f"kNN needs a label for every {split} photo: leave the unlabelled ones out")
        for c, bank in enumerate(banks):
            if tuple(bank.shape) != (n, dimension):
                raise DataError(
                    f"kNN: {split} embeddings of class {c} have shape {tuple(bank.shape)}, expected {(n, dimension)}"
                )
    assignments = {}
    for split, values in (("train", train_assignments), ("test", test_assignments)):
        drawn = assignments[split] = _integers(f"{split} assignments", values, ndim=2)
        if drawn.shape[1] != len(labels[split]) or (drawn.size and not 0 <= drawn.min() <= drawn.max() < len(train)):
            raise DataError(
                f"kNN: {split} assignments must give each photo and seed a class from 0 to {len(train) - 1}"
            )
    if len(assignments["train"]) != len(assignments["test"]):
        raise DataError("kNN needs as many train assignments as test assignments, one of each per seed")
    _, dense = np.unique(np.concatenate([labels["train"], labels["test"]]), return_inverse=True)
    n_train = len(labels["train"])
    return KnnQuestion(
        train,
        test,
        dense[:n_train],
        dense[n_train:],
        assignments["train"],
        assignments["test"],
        k,
        torch.device(device),
    )


def _integers(name: str, values: np.ndarray, *, ndim: int) -> np.ndarray:
    array = np.asarray(values)
    if array.ndim != ndim or array.dtype.kind not in "iu":
        raise DataError(f"kNN: {name} must be integers of {ndim} dimension(s), got {array.dtype} {array.shape}")
    return array.astype(np.int64)
