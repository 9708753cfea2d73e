"""Real and generated photos of a set: which is which, by which generator, from which source, and their splits."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from benchmark.tasks.scores import units_of
from benchmark.tasks.task import TaskInput
from builders.errors import DataError
from builders.photos import SPLITS, UNLABELLED, Labels, PhotoSet, column_of, origin_of

if TYPE_CHECKING:
    from benchmark.stats import ErrorUnits

GENERATOR_GROUPS = ("generator", "model")
"""Groups that name the generator of a photo; the first that a photo set has is used."""

SOURCE = "source"
"""Column that says where a real photo comes from."""

LEAST = 10
"""Photos of a generator, or of a source of real photos, that training and test need each."""


@dataclass(frozen=True, eq=False)
class DetectionData:
    """The usable photos of a set of real and generated photos."""

    train: np.ndarray
    """int64, indices into the photo set."""
    test: np.ndarray
    generated: np.ndarray
    """bool [photos of the set]."""
    generators: Labels | None
    """Of all photos of the set; those of real photos mean nothing."""
    sources: Labels | None
    """Of all photos of the set; those of generated photos mean nothing."""
    units: ErrorUnits
    """Which test photos err together."""

    @property
    def of_test(self) -> np.ndarray:
        """bool [test photos], whether each was generated."""
        flags: np.ndarray = self.generated[self.test]
        return flags

    def details(self) -> dict[str, Any]:
        """Counts of photos, for every score."""
        counts = {
            part: {"real": int((~self.generated[at]).sum()), "generated": int(self.generated[at].sum())}
            for part, at in (("train", self.train), ("test", self.test))
        }
        return {"real_and_generated": counts}


def _is_generated(photos: PhotoSet) -> np.ndarray | None:
    """bool [classes], which of two classes holds the generated photos; None if the names of classes do not say it."""
    origins = [origin_of(name) for name in photos.labels.names]
    return np.array([o == "generated" for o in origins]) if sorted(map(str, origins)) == ["generated", "real"] else None


def _generators_of(photos: PhotoSet) -> Labels | None:
    """The generator of each photo; None if no group names it."""
    return next((photos.groups[name] for name in GENERATOR_GROUPS if name in photos.groups), None)


def sources_of(photos: PhotoSet) -> Labels | None:
    """The source of each photo; None if there is no such column."""
    return column_of(photos, SOURCE) if SOURCE in photos.columns else None


def unfit_for_detection(photos: PhotoSet) -> str:
    """Why no detector can be scored on these photos; empty if one can."""
    if photos.stored_views:
        return "it stores photos that are processed already"
    if _is_generated(photos) is None:
        return "its labels are not two classes such as real and fake, or nature and ai (label=SOURCE names them)"
    generated, values = _flags(photos), photos.labels.values
    for split in ("train", _test_split(photos)):
        at = (photos.splits == SPLITS.index(split)) & (values != UNLABELLED)
        for kind, members in (("real", at & ~generated), ("generated", at & generated)):
            if not members.any():
                return f"it has no {kind} photo in {split}"
    return ""


def unfit_for_floor(photos: PhotoSet) -> str:
    """Why real photos of several sources cannot be distinguished in a test; empty if they can."""
    if reason := unfit_for_detection(photos):
        return reason
    sources = sources_of(photos)
    if sources is None:
        return "it does not say where its real photos come from (source=SOURCE)"
    real = ~_flags(photos) & (photos.labels.values != UNLABELLED)
    return _too_few(sources, photos, real, "real photos have fewer than two sources")


def unfit_for_leaving_out(photos: PhotoSet) -> str:
    """Why no generator can be held out; empty if one can."""
    if reason := unfit_for_detection(photos):
        return reason
    generators = _generators_of(photos)
    if generators is None:
        return "it does not say which generator made a photo (group=generator=SOURCE)"
    return _too_few(generators, photos, _flags(photos), "photos have fewer than two generators")


def against_real(generated: np.ndarray, generators: np.ndarray, value: int) -> np.ndarray:
    """Positions of the real photos and of those of one generator.

    Args:
        generated: bool [n].
        generators: int [n], which mean nothing for real photos.
        value: the generator.
    """
    return np.flatnonzero(~generated | (generators == value))


def detection_data(inputs: TaskInput) -> DetectionData:
    """The usable photos with a class, and their splits: ``test`` is tested where there is one, else ``val``.

    Raises:
        DataError: a class is missing among the usable photos of a part.
    """
    photos = inputs.photos
    known = photos.labels.values != UNLABELLED
    split = _test_split(photos)
    train = np.sort(np.concatenate([inputs.indices(part) for part in _train_splits(photos)]))
    train, test = (at[known[at]] for at in (train, inputs.indices(split)))
    generated = _flags(photos)
    for part, at in (("train", train), (split, test)):
        if len(np.unique(generated[at])) < 2:
            raise DataError(f"{photos.name}: the usable photos of {part} are all of one class, real or generated")
    return DetectionData(train, test, generated, _generators_of(photos), sources_of(photos), units_of(inputs, test))


def frequent_values(labels: Labels, data: DetectionData, among: np.ndarray) -> list[int]:
    """The values that have ``LEAST`` photos in training and in the test, most frequent first.

    Args:
        labels: of all photos of the set.
        data: of the task.
        among: bool [photos of the set], the photos that count.
    """
    return _values(labels, [data.train[among[data.train]], data.test[among[data.test]]])


def _too_few(labels: Labels, photos: PhotoSet, among: np.ndarray, what: str) -> str:
    """Why fewer than two values of some photos can be trained and tested on; empty if two can."""
    in_test = photos.splits == SPLITS.index(_test_split(photos))
    in_train = np.isin(photos.splits, [SPLITS.index(split) for split in _train_splits(photos)])
    if len(_values(labels, [np.flatnonzero(among & in_train), np.flatnonzero(among & in_test)])) < 2:
        return f"its {what} with {LEAST} photos in training and test"
    return ""


def _values(labels: Labels, parts: list[np.ndarray]) -> list[int]:
    counts = [np.bincount(labels.values[at][labels.values[at] >= 0], minlength=len(labels.names)) for at in parts]
    enough = np.flatnonzero(np.min(counts, axis=0) >= LEAST)
    return sorted(enough.tolist(), key=lambda value: (-int(counts[0][value]), value))


def _flags(photos: PhotoSet) -> np.ndarray:
    """bool [photos], whether each was generated; False without a class."""
    of_class = _is_generated(photos)
    values = photos.labels.values
    if of_class is None:
        return np.zeros(len(values), bool)
    flags: np.ndarray = np.where(values == UNLABELLED, False, of_class[np.maximum(values, 0)])
    return flags


def _test_split(photos: PhotoSet) -> str:
    return "test" if (photos.splits == SPLITS.index("test")).any() else "val"


def _train_splits(photos: PhotoSet) -> tuple[str, ...]:
    return ("train",) if _test_split(photos) == "val" else ("train", "val")
