"""An encoder with an eraser in place: which eraser fits which encoder, and which photos it may be measured on."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from tqdm.auto import tqdm

from benchmark.compute import parallel_map
from benchmark.encoders import Encoder
from benchmark.erasing.eraser import Eraser
from benchmark.erasing.folder import FitSet, load_eraser
from builders.errors import DataError, EncoderError, PhotoError
from builders.photos import PhotoSet
from builders.splits import NO_HASH, near_duplicate_groups, near_pairs, photo_hash

NAMED = 3
"""Photos that a refusal names."""


@dataclass(frozen=True, eq=False)
class Erasing:
    """What ``--eraser`` names."""

    place: str
    eraser: Eraser
    fit: FitSet | None
    """The photos that it has seen; None where its maker did not say."""

    @classmethod
    def load(cls, place: str) -> Erasing:
        """From a folder, or from the Hub by name. Raises as ``load_eraser``."""
        return cls(place, *load_eraser(place))


def check_eraser(eraser: Eraser, encoder: Encoder) -> None:
    """Check that an eraser can be applied to what an encoder gives.

    Raises:
        EncoderError: the eraser was fitted on another encoder.
    """
    name, fitted = encoder.info.id, eraser.provenance.get("encoder") or {}
    if eraser.dimension != encoder.info.dimension:
        raise EncoderError(
            f"{name}: gives {encoder.info.dimension} dimensions, the eraser {eraser.name} is for {eraser.dimension}"
        )
    for what in ("id", "weights_sha256"):
        if fitted.get(what) and fitted[what] != getattr(encoder.info, what):
            raise EncoderError(f"{name}: the eraser {eraser.name} was fitted on {fitted.get('id')}: fit one of its own")


def picture_hashes(photos: PhotoSet, indices: np.ndarray, what: str) -> np.ndarray:
    """uint64 [n], the perceptual hash of each photo; 0 for one that cannot be decoded."""
    found = np.zeros(len(indices), dtype=np.uint64)
    bar = tqdm(total=len(indices), desc=what, unit="photo", delay=2, leave=False, disable=None)

    def work(part: np.ndarray) -> None:
        for at in part:
            try:
                found[at] = photo_hash(photos.read(int(indices[at])))
            except PhotoError:
                found[at] = NO_HASH
            bar.update()

    with bar:
        parallel_map(work, np.array_split(np.arange(len(indices)), max(1, min(64, len(indices) // 16))))
    return found


def stored_hashes(photos: PhotoSet, indices: np.ndarray, what: str) -> np.ndarray:
    """The same; of photos that are stored in several views, none: their ids must do."""
    return np.zeros(len(indices), np.uint64) if photos.stored_views else picture_hashes(photos, indices, what)


def leaked(fit: FitSet, tested: FitSet) -> tuple[np.ndarray, np.ndarray]:
    """Which tested photos a fit has seen: bool [n] by id, bool [n] by near-duplicate.

    >>> a, b = (np.array(ids, np.uint64) for ids in ([1, 2], [2, 3]))
    >>> by_id, by_picture = leaked(FitSet(a, a * 0), FitSet(b, b * 0))
    >>> by_id.tolist(), by_picture.tolist()
    ([True, False], [False, False])
    """
    by_id = np.isin(tested.ids, fit.ids)
    return by_id, near_to(tested.pictures, fit.pictures)


def near_to(pictures: np.ndarray, others: np.ndarray) -> np.ndarray:
    """bool [n]: whether a picture's hash is that of, or near, one among others."""
    known, asked = others[others != NO_HASH], pictures != NO_HASH
    found = np.isin(pictures, known) & asked
    every = np.unique(np.concatenate([known, pictures[asked]]))
    if not len(known) or not asked.any() or len(every) < 2:
        return found
    # pairs are many where many are alike: only groups that hold both kinds are looked into
    groups = np.unique(near_duplicate_groups(every), return_inverse=True)[1]
    both = np.zeros((int(groups.max()) + 1, 2), dtype=bool)
    both[groups[np.isin(every, known)], 0] = True
    both[groups[np.isin(every, pictures[asked])], 1] = True
    pairs = near_pairs(every[both[groups].all(axis=1)])
    of_fit = np.isin(pairs.values, known)
    near = np.zeros(len(pairs.values), dtype=bool)
    np.logical_or.at(near, pairs.first, of_fit[pairs.second])
    np.logical_or.at(near, pairs.second, of_fit[pairs.first])
    return found | (np.isin(pictures, pairs.values[near]) & asked)


def refuse_leaks(erasing: Erasing, photos: PhotoSet) -> None:
    """See that an eraser has not seen a photo that it would be measured on: those outside the split ``train``.

    Raises:
        DataError: it has, or does not say which it has seen.
    """
    if erasing.fit is None:
        raise DataError(f"{erasing.place}: does not say which photos it was fitted on, so it cannot be measured")
    test = np.flatnonzero(photos.splits != 0)
    ids = FitSet.id_hashes(photos.name, [photos.ids[i] for i in test])
    pictures = stored_hashes(photos, test, "looking for photos that the eraser has seen")
    for sentence in _said(photos, test, *leaked(erasing.fit, FitSet(ids, pictures))):
        raise DataError(f"{photos.name}: {erasing.eraser.name} was fitted on {sentence}: its scores would be too good")


def _said(photos: PhotoSet, test: np.ndarray, by_id: np.ndarray, by_picture: np.ndarray) -> Iterator[str]:
    for found, how in ((by_id, "by id"), (by_picture, "near-duplicates of the fit's photos")):
        if found.any():
            names = [photos.ids[i] for i in test[found][:NAMED]] + (["..."] if found.sum() > NAMED else [])
            yield f"{int(found.sum())} of its {len(test)} test photos ({how}: {', '.join(names)})"
