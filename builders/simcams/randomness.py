"""Random numbers named by what they are for, so that order, workers and batch sizes cannot change a picture."""

from __future__ import annotations

import hashlib

import numpy as np


def generator(*purpose: object) -> np.random.Generator:
    """A Philox generator whose key is the hash of ``purpose``: equal purposes, equal numbers; others, independent ones.

    Philox: Salmon et al., "Parallel random numbers: as easy as 1, 2, 3", SC 2011.

    >>> float(generator("shot", "scene-0", 7).random()) == float(generator("shot", "scene-0", 7).random())
    True
    """
    text = "\0".join(str(part) for part in purpose)
    digest = hashlib.blake2b(text.encode("utf-8", "surrogateescape"), digest_size=16).digest()
    return np.random.Generator(np.random.Philox(key=int.from_bytes(digest, "big")))
