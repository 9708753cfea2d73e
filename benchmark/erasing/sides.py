"""Who an eraser is fitted on, who it is chosen on, who it is measured on: photos, owners, scenes and cameras apart."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from benchmark.erasing.folder import FitSet
from benchmark.erasing.leaks import leaked, stored_hashes
from benchmark.stats import error_units
from builders.errors import DataError
from builders.exif import ATTRIBUTES, column_spelling
from builders.photos import UNLABELLED, PhotoSet, hash64

APART = ("owner", "scene")
"""Columns of which no value may stand on both sides."""

HELD_OUT = 0.2
"""Share of the train photos (of their owners or scenes, where these are known) that options are chosen on."""

FIT_SHARE = 0.5
"""Of the train photos that an eraser is fitted on; readers learn from the others."""

CAMERAS_APART = 2
"""One camera in so many is kept for measuring, where cameras are known."""


@dataclass(frozen=True, eq=False)
class FitPlan:
    """The photos of a fit, and those that it is measured on."""

    photos: PhotoSet
    """Those that readers learn from (its train photos) and are asked about (the others)."""
    fitted: PhotoSet
    """Those that the eraser is fitted on, among them perhaps others."""
    rows: np.ndarray
    """int64 [fitted], their places among all photos."""
    fit: np.ndarray
    """int64, indices into ``fitted`` of the photos that the eraser is fitted on; those of ``held`` among them."""
    held: np.ndarray
    """int64, indices into ``fitted`` of those that options are chosen on."""
    seen: FitSet
    """Names and pictures of the fit."""
    apart: Mapping[str, Any] = field(default_factory=dict)
    """What is unseen in the photos that are measured, as JSON values."""


def plan_fit(
    photos: PhotoSet,
    trace: str,
    *,
    seed: int,
    drop_leaks: bool,
    cameras: bool = True,
    apart: bool = True,
    share: float = FIT_SHARE,
) -> FitPlan:
    """Take the sides: a share of ``train`` is fitted on, readers learn from the others and are asked about the rest.

    On the rows of its own fit a closed form leaves nothing to a linear reader, by construction. A reader that learns
    from them learns that there is nothing to learn, and finds nothing on other photos, where much may be left. So
    readers learn from photos that the eraser has not seen, as whoever reads embeddings in earnest would.

    Args:
        photos: with their splits.
        trace: what is to be erased; where it names the camera, the cameras of both sides are the same ones.
        seed: of who is held out.
        drop_leaks: leave the train photos out of the fit that are nearly those of another split, instead of refusing.
        cameras: keep half of the cameras for measuring, where they are known.
        apart: readers learn from photos that are not those of the fit; without it, from the same.
        share: of the train photos that are fitted on where readers learn apart.

    Raises:
        DataError: an owner, a scene, an id or a picture stands on both sides, or one side is empty.
    """
    kept, told = _cameras_apart(photos, trace) if cameras else (np.ones(len(photos), bool), {})
    places = np.flatnonzero(kept)
    photos = photos if kept.all() else photos.select(places)
    fit, rest = photos.indices("train"), np.flatnonzero(photos.splits != 0)
    if not len(fit) or not len(rest):
        raise DataError(f"{photos.name}: {len(fit)} photos to fit on and {len(rest)} to measure on")
    for column in APART:
        if column in photos.columns:
            names = photos.columns[column].astype(str)
            both = (set(names[fit]) & set(names[rest])) - {""}
            if both and len(set(names)) > 1:
                raise DataError(
                    f"{photos.name}: {len(both)} {column}s have photos in train and in another split "
                    f"({', '.join(sorted(both)[:3])}): make splits that share none"
                )
            told[column] = len(set(names[rest]) - {""})
    ids = FitSet.id_hashes(photos.name, photos.ids)
    pictures = stored_hashes(photos, np.arange(len(photos)), "looking for near-duplicates")
    test = FitSet(ids[rest], pictures[rest])
    _, by_picture = leaked(test, FitSet(ids[fit], pictures[fit]))
    if by_picture.any() and not drop_leaks:
        few = ", ".join(photos.ids[i] for i in fit[by_picture][:3])
        raise DataError(
            f"{photos.name}: {int(by_picture.sum())} train photos are near-duplicates of photos that it would be "
            f"measured on ({few}): --drop-leaks leaves them out of the fit"
        )
    fit = fit[~by_picture]
    if apart:
        fit = part_of(photos, fit, share, f"fit\0{seed}")
    if len(fit) < 4 or (apart and len(fit) == len(photos.indices("train"))):
        raise DataError(f"{photos.name}: {len(fit)} photos are left to fit on")
    told |= {"photos": len(rest), "readers_learn_apart": apart, "near_duplicates_left_out": int(by_picture.sum())}
    held, seen = part_of(photos, fit, HELD_OUT, f"held out\0{seed}"), FitSet(ids[fit], pictures[fit])
    if not apart:
        return FitPlan(photos, photos, places, fit, held, seen, told)
    measured = np.setdiff1d(np.arange(len(photos)), fit)
    own = np.flatnonzero(np.isin(fit, held))
    return FitPlan(photos.select(measured), photos.select(fit), places[fit], np.arange(len(fit)), own, seen, told)


def part_of(photos: PhotoSet, fit: np.ndarray, share: float, seed: str) -> np.ndarray:
    """A share of the photos by a hash: of their owners or scenes, where these are many."""
    # Unlike scores, owners come before scenes, and a column counts only if every photo of the fit has a value in it and
    # there are at least ten: a share of fewer would be far from the one that was asked for.
    units = error_units(photos.columns, fit, candidates=APART, fewest=10, all_named=True, repeated=False)
    names = np.array([photos.ids[i] for i in fit]) if units.alone else photos.columns[units.rule][fit].astype(str)
    known = np.unique(names)
    order = np.argsort([hash64(f"{seed}\0{name}") for name in known])
    some = known[order[: max(1, round(share * len(known)))]]
    return fit[np.isin(names, some)]


def _cameras_apart(photos: PhotoSet, trace: str) -> tuple[np.ndarray, dict[str, Any]]:
    """bool [photos] without train photos of the cameras kept for measuring, and without others of the other cameras."""
    everyone = np.ones(len(photos), dtype=bool)
    attribute = ATTRIBUTES.get(column_spelling(trace))
    model = photos.attributes.get("model")
    if model is None or (attribute is not None and attribute.names_camera):
        return everyone, {}
    known = np.unique(model.values[model.values != UNLABELLED])
    if len(known) < 2 * CAMERAS_APART:
        return everyone, {}
    order = known[np.argsort([hash64(f"camera\0{model.names[i]}") for i in known])]
    measured = np.isin(model.values, order[: len(order) // CAMERAS_APART])
    kept = (measured != (photos.splits == 0)) & (model.values != UNLABELLED)
    classes = photos.attributes.get(column_spelling(trace)) if attribute is not None else None
    if classes is not None and len(np.unique(classes.values[kept & (photos.splits == 0)])) < 2:
        return everyone, {}
    return kept, {
        "cameras": int(len(order) // CAMERAS_APART),
        "cameras_of_fit": int(len(order) - len(order) // CAMERAS_APART),
    }
