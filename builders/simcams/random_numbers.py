"""Random generators with a name as their key, so that order, workers and batch sizes cannot change a picture."""

from __future__ import annotations

import hashlib

import numpy as np
from numpy.random.bit_generator import ISeedSequence


class _Key(ISeedSequence):
    """A Philox key as a seed: ``Philox(key=...)`` would request entropy from the operating system and not use it."""

    def __init__(self, digest: bytes) -> None:
        self._words = np.frombuffer(digest[::-1], "<u8").astype(np.uint64)

    def generate_state(self, n_words: int, dtype: object = np.uint32) -> np.ndarray:
        assert (n_words, dtype) == (2, np.uint64)
        return self._words


def generator(*purpose: object) -> np.random.Generator:
    """A Philox generator whose key is the hash of ``purpose``.

    Equal purposes give equal numbers, different purposes independent numbers.

    Philox: Salmon et al., "Parallel random numbers: as easy as 1, 2, 3", SC 2011.

    >>> float(generator("shot", "scene-0", 7).random()) == float(generator("shot", "scene-0", 7).random())
    True
    """
    text = "\0".join(str(part) for part in purpose)
    digest = hashlib.blake2b(text.encode("utf-8", "surrogateescape"), digest_size=16).digest()
    return np.random.Generator(np.random.Philox(_Key(digest)))  # type: ignore[arg-type]
