"""Which class keeps a balanced attribute small, and what another least number of photos would give."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from builders.photos import SPLITS, UNLABELLED, Labels
from builders.splits.make import Sizes


@dataclass(frozen=True)
class Choice:
    """What one value of ``Sizes.least`` gives."""

    least: int
    classes: int
    each: tuple[int, int, int]
    """Photos per class in train, val and test."""

    @property
    def photos(self) -> int:
        """In all splits and classes."""
        return self.classes * sum(self.each)


@dataclass(frozen=True)
class Limits:
    """Of one attribute: what there is, what limits it, and what else could be asked for."""

    attribute: str
    now: Choice
    fewest: tuple[str, str, str]
    """The class with the fewest photos in train, val and test; "" if fewer than two classes are left."""
    others: tuple[Choice, ...]
    """The next class let in, the scarcest left out, and the most photos of all, where these differ from ``now``."""

    def to_text(self) -> str:
        """One line for people."""
        if self.now.classes < 2:
            text = (
                f"{self.attribute}: no data set, {self.now.classes} classes have {self.now.least} photos in each split"
            )
        else:
            text = f"{self.attribute}: {_said(self.now)}; fewest photos: {self.scarce}"
        return text + "".join(f"; --least {other.least}: {_said(other)}" for other in self.others)

    @property
    def scarce(self) -> str:
        """The limiting classes, each with the splits in which it is: "Kodak (train, val), samsung (test)"."""
        where: dict[str, list[str]] = {}
        for split, name in zip(SPLITS, self.fewest, strict=True):
            where.setdefault(name, []).append(split)
        return ", ".join(f"{name} ({', '.join(splits)})" for name, splits in where.items() if name)


def class_limits(attribute: str, column: Labels, splits: np.ndarray, sizes: Sizes) -> Limits:
    """What limits an attribute whose photos are balanced by ``make_splits``.

    Args:
        attribute: its name.
        column: labels of all photos.
        splits: int8 [photos], index into ``photos.SPLITS``, as ``Splits.splits``.
        sizes: most photos per class and split, and the least.

    >>> column = Labels(("a", "b"), np.array([0] * 40 + [1] * 12, dtype=np.int32))
    >>> found = class_limits("make", column, np.arange(52) % 3, Sizes(least=5))
    >>> found.to_text()
    'make: no data set, 1 classes have 5 photos in each split; --least 4: 2 classes of 4 + 4 + 4 photos'
    """
    labelled = column.values != UNLABELLED
    counts = np.zeros((len(SPLITS), len(column.names)), dtype=np.int64)
    np.add.at(counts, (splits[labelled], column.values[labelled]), 1)
    worst = counts.min(axis=0)
    least = max(1, sizes.least)
    now = _choice(counts, worst, least, sizes)
    kept = np.flatnonzero(worst >= least)
    others = {}
    for value in _candidates(worst, kept, least, counts, sizes):
        other = _choice(counts, worst, value, sizes)
        if other.classes >= 2 and other.classes != now.classes:
            others[value] = other
    fewest = ("", "", "")
    if len(kept) >= 2:
        train, val, test = (column.names[int(kept[counts[split, kept].argmin()])] for split in range(len(SPLITS)))
        fewest = (train, val, test)
    return Limits(attribute, now, fewest, tuple(others[value] for value in sorted(others)))


def _candidates(worst: np.ndarray, kept: np.ndarray, least: int, counts: np.ndarray, sizes: Sizes) -> list[int]:
    """Values of ``least`` at which the classes change: the next below, the next above, and the one of most photos."""
    values = np.unique(worst[worst > 0])
    usable = [v for v in values.tolist() if int((worst >= v).sum()) >= 2]
    below = [v for v in usable if v < least][-1:]
    above = values[values > worst[kept].min()][:1].tolist() if len(kept) else []
    most = [max(usable, key=lambda v: _choice(counts, worst, v, sizes).photos)] if usable else []
    return [int(v) for v in (*below, *above, *most)]


def _choice(counts: np.ndarray, worst: np.ndarray, least: int, sizes: Sizes) -> Choice:
    kept = np.flatnonzero(worst >= least)
    if not len(kept):
        return Choice(least, 0, (0, 0, 0))
    wanted = (sizes.train, sizes.val, sizes.test)
    smallest = counts[:, kept].min(axis=1).tolist()
    train, val, test = (n if most is None else min(n, most) for n, most in zip(smallest, wanted, strict=True))
    return Choice(least, len(kept), (train, val, test))


def _said(choice: Choice) -> str:
    return f"{choice.classes} classes of {' + '.join(f'{n:,}' for n in choice.each)} photos"
