"""Photos that are there more than once, and whether their copies stand in another class or another split."""

from __future__ import annotations

import hashlib
from collections import defaultdict

import numpy as np

from benchmark.audit.scan import shown
from benchmark.audit.subjects import PhotoSubject, Subject
from benchmark.audit.tally import Tally
from benchmark.audit.values import Duplicates
from builders.errors import PhotoError
from builders.splits import near_duplicate_groups

EXAMPLES = 5

MAX_CHECKED = 5000
"""Files that are read whole to make sure that they are the same; beyond it, size and first 64 KiB must do."""


def duplicates_of(tally: Tally, subject: Subject) -> tuple[Duplicates, ...]:
    """Same files always; same pictures among the photos that were decoded."""
    same = _groups(tally.content)
    if isinstance(subject, PhotoSubject) and sum(map(len, same)) <= MAX_CHECKED:
        same = [group for members in same for group in _really_same(members, tally, subject)]
    found = [_described("same file", same, len(tally.content), tally, subject)]
    hashed = int((tally.near != 0).sum())
    if hashed:
        found.append(_described("same picture", _groups(near_duplicate_groups(tally.near)), hashed, tally, subject))
    return tuple(found)


def _groups(keys: np.ndarray) -> list[np.ndarray]:
    """Positions of equal keys, of those that occur more than once."""
    order = np.argsort(keys, kind="stable")
    starts = np.flatnonzero(np.r_[True, np.diff(keys[order]) != 0]) if len(keys) else np.zeros(0, dtype=int)
    sizes = np.diff(np.r_[starts, len(keys)])
    return [order[start : start + size] for start, size in zip(starts, sizes, strict=True) if size > 1]


def _really_same(members: np.ndarray, tally: Tally, subject: PhotoSubject) -> list[np.ndarray]:
    """The members in groups of equal bytes."""
    by_hash: dict[bytes, list[int]] = defaultdict(list)
    for i in members:
        try:
            by_hash[hashlib.sha256(subject.read(int(tally.rows[i]))).digest()].append(int(i))
        except PhotoError:  # gone since it was scanned
            continue
    return [np.array(group) for group in by_hash.values() if len(group) > 1]


def _described(kind: str, groups: list[np.ndarray], searched: int, tally: Tally, subject: Subject) -> Duplicates:
    across_classes = [len(_distinct(tally.label_codes[g])) > 1 for g in groups]
    across_splits = [len(_distinct(tally.split_codes[g])) > 1 for g in groups]
    telling = sorted(range(len(groups)), key=lambda k: -(across_classes[k] + across_splits[k]))[:EXAMPLES]
    return Duplicates(
        kind,
        photos=sum(map(len, groups)),
        groups=len(groups),
        across_classes=sum(across_classes),
        across_splits=sum(across_splits),
        searched=searched,
        examples=tuple(tuple(_id(subject, tally, int(i)) for i in groups[k][:4]) for k in telling),
    )


def _distinct(codes: np.ndarray) -> np.ndarray:
    return np.unique(codes[codes >= 0])


def _id(subject: Subject, tally: Tally, index: int) -> str:
    row = int(tally.rows[index])
    return shown(subject.photos.ids[row]) if isinstance(subject, PhotoSubject) else f"row {row}"
