"""kNN in the six set-ups: how far nearest neighbours follow processing instead of content.

Every set-up follows from C x C similarity blocks: for each class t of the test photos and each class c of the train
photos, the nearest positives (train photos with the query's label) and the nearest negatives are stored, and merged.
"""

from __future__ import annotations

import io
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from tqdm.auto import tqdm

from benchmark.compute import budget, exact_device, float32_rounding, with_less_memory
from benchmark.knn.answers import TIE_RULES, KnnAnswers, Setup
from benchmark.knn.keys import unpack_indices
from benchmark.knn.lists import BlockPlan, KnnQuestion, Lists, by_photos, neighbour_lists, plan_blocks, read_queries
from benchmark.knn.search import Embeddings
from benchmark.knn.uniform import uniform_nearest, uniform_votes
from benchmark.knn.votes import Opposition, Outcomes, Votes, outcomes, tally, vote
from builders.errors import DataError, UsageError
from builders.files import write_bytes_atomically
from builders.processes import step_bar
from builders.untrusted import UntrustedInputError, read_untrusted_arrays

BY_PHOTO = ("correct", "tied", "least", "greatest", "random", "worst", "best", "plain", "by_seed", "random_by_seed")
"""Arrays of ``KnnAnswers`` whose last axis is the test photos."""


class CachedParts:
    """A folder with a file for each finished part of the test photos; without a folder nothing is stored.

    The folder belongs to one kNN suite: its name, which the caller chooses, must contain everything that
    affects the results.
    """

    def __init__(self, folder: Path | None) -> None:
        self.folder = folder

    def restore(self, answers: KnnAnswers) -> np.ndarray:
        """Write stored parts into ``answers``; bool [test photos]: finished. Files that cannot be read are ignored."""
        done = np.zeros(answers.correct.shape[1], dtype=bool)
        for path in sorted(self.folder.glob("*.npz")) if self.folder is not None else ():
            try:
                part = read_untrusted_arrays(path)
                start, stop = (int(border) for border in part.pop("photos"))
                targets = {name: getattr(answers, name)[..., start:stop] for name in BY_PHOTO}
                matches = all((targets[n].shape, targets[n].dtype) == (part[n].shape, part[n].dtype) for n in BY_PHOTO)
            except (UntrustedInputError, ValueError, KeyError, TypeError):
                continue
            if not matches:
                continue
            for name in BY_PHOTO:
                targets[name][...] = part[name]
            done[start:stop] = True
        return done

    def save(self, answers: KnnAnswers, photos: slice) -> None:
        """Store the results of these test photos."""
        if self.folder is None:
            return
        buffer = io.BytesIO()
        columns = {name: getattr(answers, name)[..., photos] for name in BY_PHOTO}
        np.savez_compressed(buffer, photos=np.array([photos.start, photos.stop]), **columns)
        write_bytes_atomically(self.folder / f"{photos.start:09d}-{photos.stop:09d}.npz", buffer.getvalue())


def part_of(total: int, number: int, count: int) -> slice:
    """Part ``number`` of ``count`` nearly equal parts of ``total`` test photos.

    >>> [part_of(5, number, 2) for number in (0, 1)]
    [slice(0, 2, None), slice(2, 5, None)]
    """
    return slice(total * number // count, total * (number + 1) // count)


def parts_to_do(done: np.ndarray, most: int) -> Iterator[slice]:
    """Unfinished photos in parts of consecutive ones, nearly equal and of at most ``most`` photos.

    >>> list(parts_to_do(np.array([False, False, True, False]), 1))
    [slice(0, 1, None), slice(1, 2, None), slice(3, 4, None)]
    """
    edges = np.flatnonzero(np.diff(np.r_[True, done, True].astype(np.int8)))
    for start, stop in zip(edges[::2].tolist(), edges[1::2].tolist(), strict=True):
        count = -(-(stop - start) // most)
        size = -(-(stop - start) // count)
        for first in range(start, stop, size):
            yield slice(first, min(first + size, stop))


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
    keep: Path | None = None,
    only: slice | None = None,
) -> KnnAnswers:
    """Score the six kNN set-ups of one parameter: cosine similarity, unweighted majority vote of the k nearest.

    Neighbours are ordered by (float32 similarity descending, train index ascending). A tied vote goes to the tied label
    whose nearest neighbour comes first in that order. If there are fewer than k train photos, all of them vote.

    Args:
        train: C embeddings [train photos, dimension] of the same photos in the same order, one per class. They are only
            sliced ``[a:b]`` (so memory maps and lazy readers work) and normalised here.
        test: the same for the test photos.
        train_labels: int [train photos], the content of each photo, 0 or more.
        test_labels: int [test photos].
        train_assignments: int [seeds, train photos] in [0, C): the class of each train photo in ``uniform``.
        test_assignments: int [seeds, test photos] in [0, C): the class of each test photo in ``uniform-test``.
        k: number of neighbours that vote.
        device: where similarities are computed, such as ``"cuda"``; for Apple's ``mps``, which has no reliable int64,
            on the CPU.
        memory_bytes: bound of the memory of all blocks on that device, for any number of photos (approximate below some
            megabytes). Default: half of what is free there (``benchmark.compute.budget``). It changes the speed, and
            the results only if the float32 rounding of a matrix product depends on its shape.
        keep: a folder for this kNN suite alone. Each part of the test photos is stored there when it is finished, and
            is not computed again. By default nothing is stored.
        only: these test photos alone; the answers of all others are zeros. For parts that ``keep`` collects.

    Returns:
        Correct and tied votes of each test photo in each set-up.

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
    answers, cache = _empty_answers(question), CachedParts(keep)
    done = cache.restore(answers)
    if only is not None:
        others = np.ones(len(done), dtype=bool)
        others[only] = False
        done |= others
    budgeted = budget(question.device) if memory_bytes is None else memory_bytes
    with_less_memory("kNN", lambda available: _search(question, available, answers, done, cache), budgeted)
    return answers


def _search(
    question: KnnQuestion, memory_bytes: int, answers: KnnAnswers, done: np.ndarray, cache: CachedParts
) -> None:
    """Compute the test photos that are not ``done``, part by part, and mark each part as done."""
    plan = plan_blocks(question, memory_bytes)
    pairs = (len(done) - int(done.sum())) * len(question.train_labels) * question.classes
    with torch.inference_mode(), float32_rounding(), _bar(pairs) as bar:
        for photos in parts_to_do(done, plan.photos):
            queries = read_queries(question, photos)
            lists = neighbour_lists(question, queries, photos, plan, bar.update)
            _record(answers, question, queries, photos, lists, plan)
            cache.save(answers, photos)
            done[photos] = True


def _record(
    answers: KnnAnswers, question: KnnQuestion, queries: torch.Tensor, photos: slice, lists: Lists, plan: BlockPlan
) -> None:
    nearest = uniform_nearest(question, queries, lists, plan)

    def record(rows: slice) -> None:
        these = slice(photos.start + rows.start, photos.start + rows.stop)
        _record_fixed(answers, question, these, lists.of(rows))
        _record_uniform(answers, these, uniform_votes(question, nearest[:, :, rows], these))

    by_photos(record, question, queries.shape[1])


def _bar(pairs: int) -> tqdm[Any]:
    """Progress over pairs of photos, each compared in every class of the query at once."""
    return step_bar(total=pairs, desc="kNN", unit="pair", unit_scale=True)


def _record_fixed(answers: KnnAnswers, question: KnnQuestion, photos: slice, lists: Lists) -> None:
    """Write the set-ups with fixed classes p and n, all but ``uniform``, into the columns of these photos."""
    k, c = question.k, question.classes
    labels = torch.from_numpy(question.train_labels).to(question.device)
    # [C of the test photo, C of the train photos, photos, k]
    positives, negatives = (torch.stack([torch.stack([x[:, :k] for x in row]) for row in side]) for side in lists)
    opposition = tally(negatives, labels[unpack_indices(negatives).clamp(min=0)])
    diagonal = torch.arange(c, device=question.device)
    same_class = Opposition(*(x[diagonal, diagonal][:, None] for x in opposition))
    plain = vote(positives, negatives, opposition)
    pos_same = vote(positives[diagonal, diagonal][:, None], negatives, opposition)
    neg_same = vote(positives, negatives[diagonal, diagonal][:, None], same_class)
    answers.plain[:, :, photos] = plain.correct.cpu().numpy()
    drawn = question.test_assignments[:, photos]  # [seeds, photos]
    columns = np.arange(drawn.shape[1])
    plain_outcomes = outcomes(plain)
    for row, rule in enumerate(TIE_RULES):  # over the processings of the query, then summed over collections
        counts = plain_outcomes.correct if rule == "nearest" else getattr(plain_outcomes, rule)
        answers.worst[row, photos] = counts.amin(dim=0).sum(dim=0).cpu().numpy()
        answers.best[row, photos] = counts.amax(dim=0).sum(dim=0).cpu().numpy()
    fixed = (plain_outcomes, outcomes(pos_same), outcomes(neg_same))
    for setup, setup_outcomes in zip((Setup.ALL_DIFF, Setup.POS_SAME, Setup.NEG_SAME), fixed, strict=True):
        for target, counts in zip(_targets(answers), setup_outcomes, strict=True):
            same = counts[diagonal, diagonal].sum(dim=0)
            target[setup, photos] = (counts.sum(dim=(0, 1)) - same).cpu().numpy()
            if setup is Setup.ALL_DIFF:
                target[Setup.ALL_SAME, photos] = same.cpu().numpy()
    for name, target, counts in zip(Outcomes._fields, _targets(answers), plain_outcomes, strict=True):
        by_seed = counts.sum(dim=1).cpu().numpy()[drawn, columns]
        target[Setup.UNIFORM_TEST, photos] = by_seed.sum(axis=0)
        _record_seeds(answers, name, 1, photos, by_seed)


def _record_uniform(answers: KnnAnswers, photos: slice, votes: Votes) -> None:
    """Write ``uniform`` from votes [C of the test photo, seeds, photos]."""
    for name, target, counts in zip(Outcomes._fields, _targets(answers), outcomes(votes), strict=True):
        by_seed = counts.sum(dim=0).cpu().numpy()
        target[Setup.UNIFORM, photos] = by_seed.sum(axis=0)
        _record_seeds(answers, name, 0, photos, by_seed)


def _targets(answers: KnnAnswers) -> tuple[np.ndarray, ...]:
    """Arrays for the counts of each field of ``Outcomes``."""
    return answers.correct, answers.tied, answers.least, answers.greatest, answers.random


def _record_seeds(answers: KnnAnswers, name: str, row: int, photos: slice, by_seed: np.ndarray) -> None:
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
        worst=np.zeros((len(TIE_RULES), n_test)),
        best=np.zeros((len(TIE_RULES), n_test)),
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
        exact_device(device),
    )


def _integers(name: str, values: np.ndarray, *, ndim: int) -> np.ndarray:
    array = np.asarray(values)
    if array.ndim != ndim or array.dtype.kind not in "iu":
        raise DataError(f"kNN: {name} must be integers of {ndim} dimension(s), got {array.dtype} {array.shape}")
    return array.astype(np.int64)
