"""What limits the size of a balanced attribute, and what another least number of photos would give."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from builders.photos import SPLITS, UNLABELLED, Labels
from builders.splits.make import Sizes


@dataclass(frozen=True)
class Choice:
    """The balanced set that one value of ``Sizes.least`` gives."""

    least: int
    """Photos that every class must have in each split."""
    classes: int
    """Classes that have so many."""
    each: tuple[int, int, int]
    """Photos per class in train, val and test."""

    @property
    def photos(self) -> int:
        """Photos in all splits and classes."""
        return self.classes * sum(self.each)


@dataclass(frozen=True)
class Limits:
    """Limits of one attribute: its balanced set, the classes that limit it, and other choices."""

    attribute: str
    now: Choice
    """With the present value of ``Sizes.least``."""
    fewest: tuple[str, str, str]
    """The class with the fewest photos in train, in val and in test; "" if fewer than two classes are left."""
    others: tuple[Choice, ...]
    """With one more class, without the scarcest class, and with the most photos in all, if they differ from ``now``."""

    def to_text(self) -> str:
        """One line of text."""
        if self.now.classes < 2:
            text = (
                f"{self.attribute}: no data set, {self.now.classes} classes have {self.now.least} photos in each split"
            )
        else:
            text = f"{self.attribute}: {_choice_text(self.now)}; fewest photos: {self.scarce}"
        return text + "".join(f"; --least {other.least}: {_choice_text(other)}" for other in self.others)

    @property
    def scarce(self) -> str:
        """The limiting classes with the splits that they limit: "Kodak (train, val), samsung (test)"."""
        splits_of: dict[str, list[str]] = {}
        for split, name in zip(SPLITS, self.fewest, strict=True):
            splits_of.setdefault(name, []).append(split)
        return ", ".join(f"{name} ({', '.join(splits)})" for name, splits in splits_of.items() if name)


def class_limits(attribute: str, column: Labels, splits: np.ndarray, sizes: Sizes) -> Limits:
    """The limits of an attribute whose photos ``make_splits`` balances.

    Args:
        attribute: name of the attribute.
        column: labels of all photos.
        splits: int8 [photos], index into ``photos.SPLITS``, as ``Splits.splits``.
        sizes: most photos per class and split, and the least number.

    >>> column = Labels(("a", "b"), np.array([0] * 40 + [1] * 12, dtype=np.int32))
    >>> limits = class_limits("make", column, np.arange(52) % 3, Sizes(least=5))
    >>> limits.to_text()
    'make: no data set, 1 classes have 5 photos in each split; --least 4: 2 classes of 4 + 4 + 4 photos'
    """
    labelled = column.values != UNLABELLED
    counts = np.zeros((len(SPLITS), len(column.names)), dtype=np.int64)
    np.add.at(counts, (splits[labelled], column.values[labelled]), 1)
    worst = counts.min(axis=0)
    least = max(1, sizes.least)
    now = _choice(counts, worst, least, sizes)
    enough = np.flatnonzero(worst >= least)
    others = {}
    for value in _candidates(worst, enough, least, counts, sizes):
        other = _choice(counts, worst, value, sizes)
        if other.classes >= 2 and other.classes != now.classes:
            others[value] = other
    fewest = ("", "", "")
    if len(enough) >= 2:
        train, val, test = (column.names[int(enough[counts[split, enough].argmin()])] for split in range(len(SPLITS)))
        fewest = (train, val, test)
    return Limits(attribute, now, fewest, tuple(others[value] for value in sorted(others)))


def _candidates(worst: np.ndarray, enough: np.ndarray, least: int, counts: np.ndarray, sizes: Sizes) -> list[int]:
    """Values of ``least`` that change the classes: the next below, the next above, and that with the most photos."""
    values = np.unique(worst[worst > 0])
    usable = [v for v in values.tolist() if int((worst >= v).sum()) >= 2]
    below = [v for v in usable if v < least][-1:]
    above = values[values > worst[enough].min()][:1].tolist() if len(enough) else []
    most = [max(usable, key=lambda v: _choice(counts, worst, v, sizes).photos)] if usable else []
    return [int(v) for v in (*below, *above, *most)]


def _choice(counts: np.ndarray, worst: np.ndarray, least: int, sizes: Sizes) -> Choice:
    enough = np.flatnonzero(worst >= least)
    if not len(enough):
        return Choice(least, 0, (0, 0, 0))
    most_per_class = (sizes.train, sizes.val, sizes.test)
    smallest = counts[:, enough].min(axis=1).tolist()
    train, val, test = (n if most is None else min(n, most) for n, most in zip(smallest, most_per_class, strict=True))
    return Choice(least, len(enough), (train, val, test))


def _choice_text(choice: Choice) -> str:
    return f"{choice.classes} classes of {' + '.join(f'{n:,}' for n in choice.each)} photos"
