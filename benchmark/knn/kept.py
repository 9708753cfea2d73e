"""Answers of the test photos that are done, on disk, so that a search that was stopped goes on where it was."""

from __future__ import annotations

import io
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from benchmark.knn.answers import KnnAnswers
from builders.files import write_bytes_atomically
from builders.outside import Refused, read_outside_arrays

BY_PHOTO = ("correct", "tied", "least", "greatest", "random", "worst", "best", "plain", "by_seed", "random_by_seed")
"""Arrays of ``KnnAnswers`` whose last axis is the test photos."""


class KeptParts:
    """A folder with a file for each part of the test photos that is done. Without a folder nothing is kept.

    The folder belongs to one question: whoever names it answers for that its name holds everything that decides the
    answers.
    """

    def __init__(self, folder: Path | None) -> None:
        self.folder = folder

    def restore(self, answers: KnnAnswers) -> np.ndarray:
        """Write what is there into ``answers``; bool [test photos]: done. Files that cannot be read are none."""
        done = np.zeros(answers.correct.shape[1], dtype=bool)
        for path in sorted(self.folder.glob("*.npz")) if self.folder is not None else ():
            try:
                part = read_outside_arrays(path)
                start, stop = (int(border) for border in part.pop("photos"))
                into = {name: getattr(answers, name)[..., start:stop] for name in BY_PHOTO}
                same = all((into[n].shape, into[n].dtype) == (part[n].shape, part[n].dtype) for n in BY_PHOTO)
            except (Refused, ValueError, KeyError, TypeError):
                continue
            if not same:
                continue
            for name in BY_PHOTO:
                into[name][...] = part[name]
            done[start:stop] = True
        return done

    def save(self, answers: KnnAnswers, photos: slice) -> None:
        """Keep the answers of these test photos."""
        if self.folder is None:
            return
        buffer = io.BytesIO()
        columns = {name: getattr(answers, name)[..., photos] for name in BY_PHOTO}
        np.savez_compressed(buffer, photos=np.array([photos.start, photos.stop]), **columns)
        write_bytes_atomically(self.folder / f"{photos.start:09d}-{photos.stop:09d}.npz", buffer.getvalue())


def parts_to_do(done: np.ndarray, most: int) -> Iterator[slice]:
    """The photos that are not done, in parts of consecutive ones, nearly equal and of at most ``most``.

    >>> list(parts_to_do(np.array([False, False, True, False]), 1))
    [slice(0, 1, None), slice(1, 2, None), slice(3, 4, None)]
    """
    edges = np.flatnonzero(np.diff(np.r_[True, done, True].astype(np.int8)))
    for start, stop in zip(edges[::2].tolist(), edges[1::2].tolist(), strict=True):
        count = -(-(stop - start) // most)
        size = -(-(stop - start) // count)
        for first in range(start, stop, size):
            yield slice(first, min(first + size, stop))
