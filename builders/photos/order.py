"""What photos are known and drawn by: hashes of their bytes and names, and places among those that are alike."""

from __future__ import annotations

import hashlib

import numpy as np


def photo_digest(data: bytes) -> bytes:
    """SHA-256 of a photo's bytes: what caches know it by."""
    return hashlib.sha256(data).digest()


def hash64(text: str) -> int:
    """64 bits of BLAKE2b: the order in which photos are drawn, independent of where they stand."""
    return int.from_bytes(hashlib.blake2b(text.encode("utf-8", "surrogateescape"), digest_size=8).digest(), "big")


def rank_within(groups: np.ndarray) -> np.ndarray:
    """For each element, how many equal elements stand before it."""
    order = np.argsort(groups, kind="stable")
    ordered = groups[order]
    starts = np.flatnonzero(np.r_[True, ordered[1:] != ordered[:-1]]) if len(groups) else np.zeros(0, dtype=int)
    lengths = np.diff(np.r_[starts, len(groups)])
    rank = np.empty(len(groups), dtype=np.int64)
    rank[order] = np.arange(len(groups)) - np.repeat(starts, lengths)
    return rank
