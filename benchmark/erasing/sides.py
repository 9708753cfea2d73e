"""The plan of a fit: which photos an eraser is fitted on, which options are chosen on, and which it is measured on.

The photos of the fit and of the measurement share no owner, scene, camera or near-duplicate, as far as these are known.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from benchmark.erasing.eraser import FitSet
from benchmark.erasing.leaks import leaked, stored_hashes
from benchmark.stats import error_units
from builders.errors import DataError
from builders.exif import ATTRIBUTES, column_spelling
from builders.photos import CLUSTER, UNLABELLED, PhotoSet, hash64
from builders.splits import near_duplicate_column

APART = (CLUSTER, "owner", "scene")
"""Columns whose values may not occur both in the fit and in the measurement."""

HELD_OUT = 0.2
"""Share of the photos of the fit (of their owners or scenes, if these are known) that options are chosen on."""

FIT_SHARE = 0.5
"""Share of the train photos that an eraser is fitted on; readers are trained on the others."""

CAMERAS_APART = 2
"""One camera in this many is used only for the measurement, if cameras are known."""


@dataclass(frozen=True, eq=False)
class FitPlan:
    """The photos that an eraser is fitted on, and those that it is measured on."""

    photos: PhotoSet
    """The measurement: readers are trained on its train photos and tested on the others."""
    fitted: PhotoSet
    """Photos that are embedded for the fit; equal to ``photos`` if readers are trained on the photos of the fit."""
    rows: np.ndarray
    """int64 [fitted], the indices of ``fitted`` among the photos of the data set."""
    fit: np.ndarray
    """int64, indices into ``fitted`` of the photos of the fit, ``held_out`` included."""
    held_out: np.ndarray
    """int64, indices into ``fitted`` of the photos of the fit that options are chosen on."""
    fit_set: FitSet
    """Hashes of the photos of the fit."""
    unseen: Mapping[str, Any]
    """What the fit has not seen of the measured photos: numbers of photos, owners, scenes, cameras; JSON values."""


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
    """Plan a fit: on a share of ``train``; readers are trained on the rest of ``train`` and tested on the other splits.

    On the rows of the fit, a closed form leaves nothing to a linear reader, by construction. A reader that is trained
    on them finds nothing on other photos either, although much of the trace may be left there. Therefore readers are
    trained on photos that the eraser has not seen, as a real adversary would be.

    Args:
        photos: with their splits.
        trace: what is erased. If it names the camera, fit and measurement use the same cameras.
        seed: of the choice of photos.
        drop_leaks: leave train photos that are near-duplicates of photos in other splits out of the fit; otherwise
            they are an error.
        cameras: use half of the cameras only for the measurement, if they are known.
        apart: train readers on photos outside the fit; otherwise, on the photos of the fit.
        share: of the train photos that are fitted on, if ``apart``.

    Raises:
        DataError: fit and measurement share an owner, a scene or a picture, or one of them is empty.
    """
    used, unseen = _separate_cameras(photos, trace) if cameras else (np.ones(len(photos), bool), {})
    rows = np.flatnonzero(used)
    photos = photos if used.all() else photos.select(rows)
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
            unseen[column] = len(set(names[rest]) - {""})
    ids = FitSet.id_hashes(photos.name, photos.ids)
    pictures = stored_hashes(photos, np.arange(len(photos)), "looking for near-duplicates")
    if same_pictures := near_duplicate_column(photos.ids, pictures):
        photos = replace(photos, columns={**photos.columns, **same_pictures})
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
    unseen |= {"photos": len(rest), "readers_learn_apart": apart, "near_duplicates_left_out": int(by_picture.sum())}
    held_out, fit_set = part_of(photos, fit, HELD_OUT, f"held out\0{seed}"), FitSet(ids[fit], pictures[fit])
    if not apart:
        return FitPlan(photos, photos, rows, fit, held_out, fit_set, unseen)
    return FitPlan(
        photos=photos.select(np.setdiff1d(np.arange(len(photos)), fit)),
        fitted=photos.select(fit),
        rows=rows[fit],
        fit=np.arange(len(fit)),
        held_out=np.flatnonzero(np.isin(fit, held_out)),
        fit_set=fit_set,
        unseen=unseen,
    )


def part_of(photos: PhotoSet, fit: np.ndarray, share: float, seed: str) -> np.ndarray:
    """A share of the photos in ``fit``, chosen by a hash: a share of the units whose photos err together."""
    units = error_units(photos.columns, fit)
    names = np.array([photos.ids[i] for i in fit])
    if not units.alone:
        named = photos.columns[units.rule][fit].astype(str)
        first = np.unique(units.index, return_index=True, return_inverse=True)
        names = np.where(named == "", names[first[1]][first[2]], named)
    known = np.unique(names)
    order = np.argsort([hash64(f"{seed}\0{name}") for name in known])
    chosen = known[order[: max(1, round(share * len(known)))]]
    return fit[np.isin(names, chosen)]


def _separate_cameras(photos: PhotoSet, trace: str) -> tuple[np.ndarray, dict[str, Any]]:
    """bool [photos] with train photos of some cameras and other photos of the other cameras; and their numbers."""
    every = np.ones(len(photos), dtype=bool)
    attribute = ATTRIBUTES.get(column_spelling(trace))
    model = photos.attributes.get("model")
    if model is None or (attribute is not None and attribute.names_camera):
        return every, {}
    known = np.unique(model.values[model.values != UNLABELLED])
    if len(known) < 2 * CAMERAS_APART:
        return every, {}
    order = known[np.argsort([hash64(f"camera\0{model.names[i]}") for i in known])]
    measured = np.isin(model.values, order[: len(order) // CAMERAS_APART])
    used = (measured != (photos.splits == 0)) & (model.values != UNLABELLED)
    classes = photos.attributes.get(column_spelling(trace)) if attribute is not None else None
    if classes is not None and len(np.unique(classes.values[used & (photos.splits == 0)])) < 2:
        return every, {}
    return used, {
        "cameras": int(len(order) // CAMERAS_APART),
        "cameras_of_fit": int(len(order) - len(order) // CAMERAS_APART),
    }
