"""Design of the experiment: class lists, and settings of each camera for each scene, so that labels are independent."""

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
"""Bodies of each model by split, so that a probe does not profit in test from the fixed pattern of a body."""


@dataclass(frozen=True)
class ClassLists:
    """Classes of the four settings, by their names in the study."""

    exposure: tuple[str, ...]
    """Seconds, ``1/30``."""
    aperture: tuple[str, ...]
    """F-numbers, ``2.8``."""
    iso: tuple[str, ...]
    focal_length: tuple[str, ...]
    """Millimetres, 35 mm *equivalent*: a real length would identify the size of the sensor, and so the camera."""


STOPS = ClassLists(
    exposure=("1/30", "1/60", "1/125", "1/250", "1/500", "1/1000"),
    aperture=("1.8", "2.8", "4.0", "5.6", "8.0", "11.0"),
    iso=("100", "200", "400", "800", "1600", "3200"),
    focal_length=("24.0", "35.0", "50.0", "70.0", "200.0"),
)
"""One class per stop, so that a small set has enough photos per class. All are classes of the study."""

STUDY_CLASSES = ClassLists(
    exposure=EXPOSURES,
    aperture=APERTURES,
    iso=tuple(iso for iso in ISOS if int(iso) >= 100),
    focal_length=tuple(f for f in FOCAL_LENGTHS if float(f) >= 18),
)
"""Classes of the study: all of exposure and aperture; ISO from 100, the highest base ISO of the bundled cameras; focal
lengths from 18 mm, the shortest that is an equivalent."""

CLASS_LISTS = {"stops": STOPS, "study": STUDY_CLASSES}


def settings_for_scene(scene_id: str, n: int, lists: ClassLists, seed: int) -> tuple[Settings, ...]:
    """Settings of ``n`` shots of a scene: each list evenly distributed and shuffled, independently of the others.

    Every class gets floor(n / classes) shots; the classes that get one more are drawn.

    Args:
        scene_id: of the scene.
        n: number of shots.
        lists: classes of each setting.
        seed: of the random numbers.

    >>> shots = settings_for_scene("a", 12, STOPS, seed=0)
    >>> sorted(s.iso for s in shots)
    [100, 100, 200, 200, 400, 400, 800, 800, 1600, 1600, 3200, 3200]
    """
    exposure = _distributed(lists.exposure, n, "exposure", scene_id, seed)
    aperture = _distributed(lists.aperture, n, "aperture", scene_id, seed)
    iso = _distributed(lists.iso, n, "iso", scene_id, seed)
    focal = _distributed(lists.focal_length, n, "focal-length", scene_id, seed)
    return tuple(
        Settings(Fraction(e), float(a), int(i), float(f))
        for e, a, i, f in zip(exposure, aperture, iso, focal, strict=True)
    )


def setting_labels(settings: Sequence[Settings], lists: ClassLists) -> dict[str, Labels]:
    """Labels of the four settings, by attribute."""
    values = {
        "exposure": (lists.exposure, [s.exposure_s for s in settings]),
        "aperture": (lists.aperture, [Fraction(str(s.f_number)) for s in settings]),
        "iso": (lists.iso, [Fraction(s.iso) for s in settings]),
        "focal_length": (lists.focal_length, [Fraction(str(s.focal_length_35mm)) for s in settings]),
    }
    return {name: _labels(names, column) for name, (names, column) in values.items()}


def split_scenes(ids: Sequence[str], seed: int) -> np.ndarray:
    """Split of each scene, int8 [scenes], index into ``SPLITS``.

    A seeded shuffle is cut at ``SPLIT_SHARES``; with three scenes or more, each split has at least one.
    """
    order = generator("splits", len(ids), seed, *ids).permutation(len(ids))
    train, val = (max(1, round(share * len(ids))) for share in SPLIT_SHARES[:2])
    train = max(1, min(train, len(ids) - 2))
    splits = np.full(len(ids), SPLITS.index("test"), dtype=np.int8)
    splits[order[:train]] = SPLITS.index("train")
    splits[order[train : train + val]] = SPLITS.index("val")
    return splits


def balanced(labels: Labels, splits: np.ndarray, purpose: str, seed: int) -> Labels:
    """Labels with surplus photos set to ``UNLABELLED``, so that each split has equally many photos of every class.

    Args:
        labels: of an attribute.
        splits: int8 [photos], index into ``SPLITS``.
        purpose: name of the random numbers.
        seed: of the random numbers.
    """
    values = labels.values.copy()
    for split in range(len(SPLITS)):
        members = np.flatnonzero((splits == split) & (values != UNLABELLED))
        if not len(members):
            continue
        shuffled = generator("balance", purpose, split, seed).permutation(members)
        per_class = np.bincount(values[members], minlength=len(labels.names)).min()
        for c in range(len(labels.names)):
            values[shuffled[values[shuffled] == c][per_class:]] = UNLABELLED
    return Labels(labels.names, values)


def unit_for(split: str, scene_id: str, camera: str, seed: int) -> int:
    """Number of the body of the camera model that takes a scene."""
    units = UNITS[split]
    return units[int(generator("unit", scene_id, camera, seed).integers(len(units)))]


def _distributed(classes: Sequence[str], n: int, attribute: str, scene_id: str, seed: int) -> list[str]:
    rng = generator("settings", attribute, scene_id, seed)
    extra = rng.permutation(len(classes))[: n % len(classes)]
    indices = np.concatenate([np.tile(np.arange(len(classes)), n // len(classes)), extra])
    return [classes[i] for i in rng.permutation(indices)]


def _labels(names: tuple[str, ...], values: Sequence[Fraction]) -> Labels:
    index = {Fraction(name): i for i, name in enumerate(names)}
    return Labels(names, np.array([index[v] for v in values], dtype=np.int32))
