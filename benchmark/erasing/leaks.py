"""Checks before an eraser is used: whether it fits the encoder, and whether it has seen photos of the test."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from benchmark.compute import parallel_map
from benchmark.encoders import Encoder
from benchmark.erasing.eraser import Eraser, FitSet
from benchmark.erasing.folder import load_eraser
from builders.errors import DataError, EncoderError, PhotoError
from builders.photos import PhotoSet
from builders.processes import step_bar
from builders.splits import NO_HASH, near_duplicate_groups, near_pairs, photo_hash

NAMED = 3
"""Photos that an error message names."""


@dataclass(frozen=True, eq=False)
class Erasing:
    """The eraser that a run applies (``--eraser``)."""

    place: str
    """Folder or Hub name that it was loaded from."""
    eraser: Eraser
    fit: FitSet | None
    """The photos that it was fitted on; None if its folder does not name them."""

    @classmethod
    def load(cls, place: str) -> Erasing:
        """Load from a folder, or from the Hub by name. Raises as ``load_eraser``."""
        eraser = load_eraser(place)
        return cls(place, eraser, eraser.fit)


def check_eraser(eraser: Eraser, encoder: Encoder) -> None:
    """Check that an eraser was fitted on an encoder.

    Raises:
        EncoderError: it was fitted on another encoder, or for another dimension.
    """
    name, fitted = encoder.info.id, eraser.provenance.get("encoder") or {}
    if eraser.dimension != encoder.info.dimension:
        raise EncoderError(
            f"{name}: gives {encoder.info.dimension} dimensions, the eraser {eraser.name} is for {eraser.dimension}"
        )
    for field in ("id", "weights_sha256"):
        if fitted.get(field) and fitted[field] != getattr(encoder.info, field):
            raise EncoderError(f"{name}: the eraser {eraser.name} was fitted on {fitted.get('id')}: fit one of its own")


def _picture_hashes(photos: PhotoSet, indices: np.ndarray, label: str) -> np.ndarray:
    """uint64 [n], the perceptual hash of each photo, 0 if it cannot be decoded; ``label`` names the progress bar."""
    hashes = np.zeros(len(indices), dtype=np.uint64)
    bar = step_bar(total=len(indices), desc=label, unit="photo")

    def work(part: np.ndarray) -> None:
        for at in part:
            try:
                hashes[at] = photo_hash(photos.read(int(indices[at])))
            except PhotoError:
                hashes[at] = NO_HASH
            bar.update()

    with bar:
        parallel_map(work, np.array_split(np.arange(len(indices)), max(1, min(64, len(indices) // 16))))
    return hashes


def stored_hashes(photos: PhotoSet, indices: np.ndarray, label: str) -> np.ndarray:
    """``_picture_hashes``, but 0 for sets that store several views of a photo; these are compared by id only."""
    return np.zeros(len(indices), np.uint64) if photos.stored_views else _picture_hashes(photos, indices, label)


def leaked(fit: FitSet, tested: FitSet) -> tuple[np.ndarray, np.ndarray]:
    """Which tested photos are among those of a fit: bool [n] by id, and bool [n] as near-duplicates.

    >>> a, b = (np.array(ids, np.uint64) for ids in ([1, 2], [2, 3]))
    >>> by_id, by_picture = leaked(FitSet(a, a * 0), FitSet(b, b * 0))
    >>> by_id.tolist(), by_picture.tolist()
    ([True, False], [False, False])
    """
    by_id = np.isin(tested.ids, fit.ids)
    return by_id, near_to(tested.pictures, fit.pictures)


def near_to(pictures: np.ndarray, others: np.ndarray) -> np.ndarray:
    """bool [n]: whether the hash of a picture is equal to, or near, one of the others. Hash 0 is near nothing."""
    known, hashed = others[others != NO_HASH], pictures != NO_HASH
    equal = np.isin(pictures, known) & hashed
    every = np.unique(np.concatenate([known, pictures[hashed]]))
    if not len(known) or not hashed.any() or len(every) < 2:
        return equal
    # Many similar pictures form many pairs: only groups with pictures of both kinds are compared.
    groups = np.unique(near_duplicate_groups(every), return_inverse=True)[1]
    both = np.zeros((int(groups.max()) + 1, 2), dtype=bool)
    both[groups[np.isin(every, known)], 0] = True
    both[groups[np.isin(every, pictures[hashed])], 1] = True
    pairs = near_pairs(every[both[groups].all(axis=1)])
    of_fit = np.isin(pairs.values, known)
    near = np.zeros(len(pairs.values), dtype=bool)
    np.logical_or.at(near, pairs.first, of_fit[pairs.second])
    np.logical_or.at(near, pairs.second, of_fit[pairs.first])
    return equal | (np.isin(pictures, pairs.values[near]) & hashed)


def refuse_leaks(erasing: Erasing, photos: PhotoSet) -> None:
    """Check that an eraser was not fitted on photos that it is measured on: those outside the split ``train``.

    Raises:
        DataError: it was, or the photos of its fit are unknown.
    """
    if erasing.fit is None:
        raise DataError(f"{erasing.place}: does not say which photos it was fitted on, so it cannot be measured")
    test = np.flatnonzero(photos.splits != 0)
    ids = FitSet.id_hashes(photos.name, [photos.ids[i] for i in test])
    pictures = stored_hashes(photos, test, "looking for photos that the eraser has seen")
    for leak in _leaks(photos, test, *leaked(erasing.fit, FitSet(ids, pictures))):
        raise DataError(f"{photos.name}: {erasing.eraser.name} was fitted on {leak}: its scores would be too good")


def _leaks(photos: PhotoSet, test: np.ndarray, by_id: np.ndarray, by_picture: np.ndarray) -> Iterator[str]:
    for known, how in ((by_id, "by id"), (by_picture, "near-duplicates of the fit's photos")):
        if known.any():
            names = [photos.ids[i] for i in test[known][:NAMED]] + (["..."] if known.sum() > NAMED else [])
            yield f"{int(known.sum())} of its {len(test)} test photos ({how}: {', '.join(names)})"
