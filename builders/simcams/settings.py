"""The experiment: class lists, and the settings of each camera for each scene, so that no label tells another."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction

import numpy as np

from builders.exif import APERTURES, EXPOSURES, FOCAL_LENGTHS, ISOS
from builders.photos import SPLITS, UNLABELLED, Labels
from builders.simcams.camera import Settings
from builders.simcams.random_numbers import generator

SPLIT_SHARES = (0.64, 0.13, 0.23)
"""Shares of the scenes that go to train, val and test."""

UNITS = {"train": (1, 2, 3), "val": (4,), "test": (5, 6)}
"""Bodies of each model by split: a probe that learned the fixed pattern of a body does not profit from it in test."""


@dataclass(frozen=True)
class ClassLists:
    """The classes of the four settings, by the names that the study gives them."""

    exposure: tuple[str, ...]
    """Seconds, ``1/30``."""
    aperture: tuple[str, ...]
    """F-numbers, ``2.8``."""
    iso: tuple[str, ...]
    focal_length: tuple[str, ...]
    """Millimetres, 35 mm *equivalent*: a real length would name the size of the sensor and so the camera."""


STOPS = ClassLists(
    exposure=("1/30", "1/60", "1/125", "1/250", "1/500", "1/1000"),
    aperture=("1.8", "2.8", "4.0", "5.6", "8.0", "11.0"),
    iso=("100", "200", "400", "800", "1600", "3200"),
    focal_length=("24.0", "35.0", "50.0", "70.0", "200.0"),
)
"""A class a stop: enough photos per class in a small set. All are classes of the study."""

STUDY_CLASSES = ClassLists(
    exposure=EXPOSURES,
    aperture=APERTURES,
    iso=tuple(iso for iso in ISOS if int(iso) >= 100),
    focal_length=tuple(f for f in FOCAL_LENGTHS if float(f) >= 18),
)
"""The study's classes: all of exposure and aperture; ISO from 100, the highest base ISO of our cameras; focal lengths
from 18 mm, the widest that is an equivalent."""

CLASS_LISTS = {"stops": STOPS, "study": STUDY_CLASSES}


def settings_for_scene(scene_id: str, n: int, lists: ClassLists, seed: int) -> tuple[Settings, ...]:
    """Settings of ``n`` shots of a scene: each list dealt out evenly and shuffled, independently of the other lists.

    Every class gets floor(n / classes) shots; which classes get one more is drawn.

    >>> shots = settings_for_scene("a", 12, STOPS, seed=0)
    >>> sorted(s.iso for s in shots)
    [100, 100, 200, 200, 400, 400, 800, 800, 1600, 1600, 3200, 3200]
    """
    exposure = _dealt(lists.exposure, n, "exposure", scene_id, seed)
    aperture = _dealt(lists.aperture, n, "aperture", scene_id, seed)
    iso = _dealt(lists.iso, n, "iso", scene_id, seed)
    focal = _dealt(lists.focal_length, n, "focal-length", scene_id, seed)
    return tuple(
        Settings(Fraction(e), float(a), int(i), float(f))
        for e, a, i, f in zip(exposure, aperture, iso, focal, strict=True)
    )


def setting_labels(settings: Sequence[Settings], lists: ClassLists) -> dict[str, Labels]:
    """The four settings as label columns, by attribute name."""
    values = {
        "exposure": (lists.exposure, [s.exposure_s for s in settings]),
        "aperture": (lists.aperture, [Fraction(str(s.f_number)) for s in settings]),
        "iso": (lists.iso, [Fraction(s.iso) for s in settings]),
        "focal_length": (lists.focal_length, [Fraction(str(s.focal_length_35mm)) for s in settings]),
    }
    return {name: _labels(names, column) for name, (names, column) in values.items()}


def split_scenes(ids: Sequence[str], seed: int) -> np.ndarray:
    """int8 [scenes] index into ``SPLITS``: a seeded shuffle cut at ``SPLIT_SHARES``, one scene each at least if
    there are three."""
    order = generator("splits", len(ids), seed, *ids).permutation(len(ids))
    train, val = (max(1, round(share * len(ids))) for share in SPLIT_SHARES[:2])
    train = max(1, min(train, len(ids) - 2))
    splits = np.full(len(ids), SPLITS.index("test"), dtype=np.int8)
    splits[order[:train]] = SPLITS.index("train")
    splits[order[train : train + val]] = SPLITS.index("val")
    return splits


def balanced(labels: Labels, splits: np.ndarray, purpose: str, seed: int) -> Labels:
    """The same labels with surplus photos ``UNLABELLED``, so that each split has equally many of every class."""
    values = labels.values.copy()
    for split in range(len(SPLITS)):
        members = np.flatnonzero((splits == split) & (values != UNLABELLED))
        if not len(members):
            continue
        shuffled = generator("balance", purpose, split, seed).permutation(members)
        keep = np.bincount(values[members], minlength=len(labels.names)).min()
        for c in range(len(labels.names)):
            values[shuffled[values[shuffled] == c][keep:]] = UNLABELLED
    return Labels(labels.names, values)


def unit_for(split: str, scene_id: str, camera: str, seed: int) -> int:
    """Which body of the model takes this scene."""
    units = UNITS[split]
    return units[int(generator("unit", scene_id, camera, seed).integers(len(units)))]


def _dealt(classes: Sequence[str], n: int, attribute: str, scene_id: str, seed: int) -> list[str]:
    rng = generator("settings", attribute, scene_id, seed)
    extra = rng.permutation(len(classes))[: n % len(classes)]
    indices = np.concatenate([np.tile(np.arange(len(classes)), n // len(classes)), extra])
    return [classes[i] for i in rng.permutation(indices)]


def _labels(names: tuple[str, ...], values: Sequence[Fraction]) -> Labels:
    index = {Fraction(name): i for i, name in enumerate(names)}
    return Labels(names, np.array([index[v] for v in values], dtype=np.int32))
