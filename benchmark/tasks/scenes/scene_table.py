"""Scenes that several groups show: which photo each group has of each scene, and which scenes err together."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from benchmark.tasks.task import TaskInput
from builders.errors import DataError
from builders.photos import UNLABELLED, PhotoSet, labels_of

if TYPE_CHECKING:
    from benchmark.stats import ErrorUnits

SCENE_COLUMNS = ("scene", "pair_id")
"""Columns that say which photos show one scene; the first that a photo set has is used."""

MOST_GROUPS = 400
"""Most combinations of groups: a matrix of 400 has 159,600 cells."""

MOST_BLOCKS = 400
"""Most parts of the scenes that a jackknife leaves out one at a time; more scenes are left out some together."""

BLOCK_SEED = 11


@dataclass(frozen=True, eq=False)
class SceneTable:
    """The photo of each of S scenes by each of G groups: a group is a combination of values of the given groups."""

    photos: np.ndarray
    """int64 [G, S], indices into the photo set; -1 where a group has no photo of a scene."""
    scenes: tuple[str, ...]
    groups: tuple[str, ...]
    """Names, such as ``AT2, HE``."""
    attributes: Mapping[str, tuple[str, ...]]
    """The value of each group, by the name of each given group that is used (``KnownScenes.groups``)."""
    left_out: int
    """Usable photos without a scene, without a value of some group, or of a scene that no other group shows."""

    @property
    def used(self) -> np.ndarray:
        """int64 [photos of the table], ascending."""
        return np.sort(self.photos[self.photos >= 0])

    @property
    def rows(self) -> np.ndarray:
        """int64 [G, S], positions in ``used``; -1 where there is no photo."""
        return np.where(self.photos >= 0, np.searchsorted(self.used, self.photos), -1)

    def units(self, photos: PhotoSet) -> ErrorUnits:
        """Which scenes err together."""
        from benchmark.stats import units_of_sets

        scene, group = np.nonzero(self.photos.T >= 0)
        return units_of_sets(photos.columns, self.photos[group, scene], scene, "scene")


def scene_table(photos: PhotoSet, usable: np.ndarray) -> SceneTable:
    """The table of the usable photos whose scene and groups are known.

    Raises:
        DataError: a group has two photos of a scene, there are too many groups, or no two groups share a scene.
    """
    known = known_scenes(photos, usable)
    at, scene = known.photos, known.scene
    codes = np.stack([photos.groups[name].values[at] for name in known.groups])
    combinations, group = np.unique(codes, axis=1, return_inverse=True)
    group = group.reshape(-1)
    if combinations.shape[1] > MOST_GROUPS:
        raise DataError(
            f"{photos.name}: {' x '.join(known.groups)} has {combinations.shape[1]:,} combinations with photos, and "
            f"at most {MOST_GROUPS} are compared: name fewer groups"
        )
    attributes = {
        name: tuple(photos.groups[name].names[value] for value in values)
        for name, values in zip(known.groups, combinations, strict=True)
    }
    names = tuple(", ".join(values) for values in zip(*attributes.values(), strict=True))
    cell = group * len(known.names) + scene
    (_, first, counts) = np.unique(cell, return_index=True, return_counts=True)
    if (counts > 1).any():
        most = first[np.argmax(counts)]
        raise DataError(
            f"{photos.name}: {int((counts > 1).sum()):,} times one group has several photos of a scene (scene "
            f"{known.names[scene[most]]} has {counts.max()} of {names[group[most]]}): name a further group "
            "that tells them apart, or leave all but one out"
        )
    table = np.full((len(names), len(known.names)), -1, np.int64)
    table[group, scene] = at
    shared = np.flatnonzero((table >= 0).sum(axis=0) > 1)
    if not len(shared):
        raise DataError(f"{photos.name}: no scene has photos of two of the {len(names)} groups")
    table = table[:, shared]
    present = np.flatnonzero((table >= 0).any(axis=1)).tolist()
    return SceneTable(
        table[present],
        tuple(known.names[i] for i in shared),
        tuple(names[i] for i in present),
        {name: tuple(values[i] for i in present) for name, values in attributes.items()},
        int(usable.sum()) - int((table >= 0).sum()),
    )


@dataclass(frozen=True, eq=False)
class KnownScenes:
    """The photos whose scene and groups are known, and the given groups that describe who took them."""

    photos: np.ndarray
    """int64 [n], indices into the photo set, ascending."""
    scene: np.ndarray
    """int64 [n], the scene of each, an index of ``names``."""
    names: tuple[str, ...]
    groups: tuple[str, ...]
    """Given groups without those that no scene has two values of (the tissue of a tile), and without one that names
    each combination by itself where the others do too (the slide of a scanner and a staining)."""

    def factors(self, photos: PhotoSet) -> dict[str, np.ndarray]:
        """int64 [n] each: the scene and the value of each group, by name."""
        return {"scene": self.scene, **{name: photos.groups[name].values[self.photos] for name in self.groups}}


def known_scenes(photos: PhotoSet, usable: np.ndarray) -> KnownScenes:
    """The usable photos whose scene and groups are known.

    Raises:
        DataError: there are no scenes or groups, or no scene has two values of any group.
    """
    column = _scene_column(photos)
    if not column or not photos.groups:
        raise DataError(f"{photos.name}: {unfit_for_scenes(photos)}")
    scene = labels_of(str(value) or None for value in photos.columns[column])
    known = usable & (scene.values != UNLABELLED)
    used = [name for name, group in photos.groups.items() if _varies(group.values, scene.values, known)]
    if not used:
        raise DataError(f"{photos.name}: no scene has two values of {' or '.join(photos.groups)} ({column})")
    for name in used:
        known &= photos.groups[name].values != UNLABELLED
    at = np.flatnonzero(known)
    for name in reversed(used):
        others = [other for other in used if other != name]
        count = _combinations(photos, used, at)
        if others and _combinations(photos, [name], at) == count == _combinations(photos, others, at):
            used = others
    return KnownScenes(at, scene.values[at].astype(np.int64), scene.names, tuple(used))


def _combinations(photos: PhotoSet, groups: Sequence[str], at: np.ndarray) -> int:
    """Number of combinations of values of some groups among the photos at these indices."""
    return len(np.unique(np.stack([photos.groups[name].values[at] for name in groups]), axis=1).T)


def _varies(codes: np.ndarray, scenes: np.ndarray, known: np.ndarray) -> bool:
    """Whether a scene has photos of two values."""
    there = known & (codes != UNLABELLED)
    return len(np.unique(np.stack([codes[there], scenes[there]]), axis=1).T) > len(np.unique(scenes[there]))


def _scene_column(photos: PhotoSet) -> str:
    """The column that says which photos show one scene; empty if there is none."""
    return next((name for name in SCENE_COLUMNS if name in photos.columns), "")


def scene_units(photos: PhotoSet, at: np.ndarray) -> ErrorUnits:
    """Which of the photos at these indices err together; those of one scene do, also where pairs are the scenes."""
    from benchmark.stats import error_units

    return error_units({**photos.columns, "scene": photos.columns[_scene_column(photos)]}, at)


def unfit_for_scenes(photos: PhotoSet) -> str:
    """Why a photo set has no scenes that several groups show; empty if it may have."""
    if not _scene_column(photos):
        return "nothing says which of its photos show one scene (scene=COLUMN)"
    if not photos.groups:
        return "it has no groups (group=NAME=SOURCE gives one)"
    if photos.stored_views:
        return "it stores photos that are processed already"
    combinations = np.unique(np.stack([labels.values for labels in photos.groups.values()]), axis=1)
    if combinations.shape[1] < 2:
        return f"its photos have one value of {' x '.join(photos.groups)}, two are needed"
    values = photos.columns[_scene_column(photos)]
    return "no two of its photos show one scene" if len(np.unique(values)) == len(values) else ""


def blocks_of(units: ErrorUnits, most: int = MOST_BLOCKS) -> np.ndarray:
    """int64 [n]: units of scenes or photos, or some of them together, that a jackknife leaves out one at a time.

    Args:
        units: of the n scenes or photos.
        most: number of parts.

    Raises:
        DataError: all scenes are one unit.
    """
    code = np.unique(units.index, return_inverse=True)[1].reshape(-1)
    count = int(code.max(initial=-1)) + 1
    if count < 2:
        raise DataError("all scenes err together, so nothing is known of the spread between scenes")
    if count > most:
        code = (np.random.default_rng(BLOCK_SEED).permutation(count) % most)[code]
    return code.astype(np.int64)


def scene_inputs(inputs: TaskInput) -> SceneTable:
    """The table of a task's usable photos, shared by the tasks about scenes."""
    return inputs.shared.get("scene table", lambda: scene_table(inputs.photos, inputs.usable))
