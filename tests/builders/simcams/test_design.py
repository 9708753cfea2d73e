"""Design of the experiment: balance, independence, and disjoint splits."""

from __future__ import annotations

import itertools
from collections import Counter

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from builders.photos import SPLITS, UNLABELLED, Labels
from builders.simcams import bundled_catalogue
from builders.simcams.settings import STOPS, STUDY_CLASSES, UNITS, balanced, settings_for_scene, split_scenes, unit_for


@given(st.integers(1, 60), st.integers(0, 5))
def test_settings__evenly_distributed_in_every_scene(n: int, seed: int) -> None:
    counts = Counter(s.iso for s in settings_for_scene("scene", n, STOPS, seed))
    assert max(counts.values()) - min([*counts.values(), 0 if len(counts) < len(STOPS.iso) else n]) <= 1


def test_settings__are_independent_of_each_other_and_of_the_camera() -> None:
    """Chi-square of every pair of columns stays under its 99.9 % point (Wilson-Hilferty)."""
    cameras = [camera.make for camera in bundled_catalogue()]
    columns: dict[str, list[object]] = {"make": [], "exposure": [], "aperture": [], "iso": [], "focal": []}
    for i in range(60):
        for make, s in zip(cameras, settings_for_scene(f"s{i}", len(cameras), STOPS, 0), strict=True):
            for name, value in zip(columns, (make, s.exposure_s, s.f_number, s.iso, s.focal_length_35mm), strict=True):
                columns[name].append(value)
    for a, b in itertools.combinations(columns.values(), 2):
        x, y = np.unique(a, return_inverse=True)[1], np.unique(b, return_inverse=True)[1]
        table = np.zeros((x.max() + 1, y.max() + 1))
        np.add.at(table, (x, y), 1)
        expected = np.outer(table.sum(1), table.sum(0)) / table.sum()
        chi2, freedom = ((table - expected) ** 2 / expected).sum(), (table.shape[0] - 1) * (table.shape[1] - 1)
        limit = freedom * (1 - 2 / (9 * freedom) + 3.1 * np.sqrt(2 / (9 * freedom))) ** 3
        assert chi2 < limit


def test_class_lists__are_classes_of_the_study() -> None:
    assert len(STUDY_CLASSES.exposure) == 16
    assert len(STUDY_CLASSES.aperture) == 17
    for stops, study in zip(
        (STOPS.exposure, STOPS.aperture, STOPS.iso, STOPS.focal_length),
        (STUDY_CLASSES.exposure, STUDY_CLASSES.aperture, STUDY_CLASSES.iso, STUDY_CLASSES.focal_length),
        strict=True,
    ):
        assert set(stops) <= set(study)


@given(st.integers(3, 200), st.integers(0, 3))
def test_split_scenes__every_split_has_scenes(n: int, seed: int) -> None:
    splits = split_scenes([f"s{i}" for i in range(n)], seed)
    assert set(splits) == {0, 1, 2}


def test_split_scenes__shares() -> None:
    counts = np.bincount(split_scenes([f"s{i}" for i in range(100)], 0))
    assert counts.tolist() == [64, 13, 23]


def test_units__of_the_splits_are_other_bodies() -> None:
    used = {s: {unit_for(s, f"scene {i}", "camera", 0) for i in range(40)} for s in SPLITS}
    assert used == {s: set(UNITS[s]) for s in SPLITS}
    assert not any(used[a] & used[b] for a, b in itertools.combinations(SPLITS, 2))


@pytest.mark.parametrize("seed", [0, 1])
def test_balanced__each_split_keeps_as_many_of_each_class_as_the_rarest(seed: int) -> None:
    values = np.array([0] * 7 + [1] * 3 + [UNLABELLED] * 2 + [0] * 2 + [1] * 4, dtype=np.int32)
    splits = np.array([0] * 12 + [2] * 6, dtype=np.int8)
    balanced_labels = balanced(Labels(("a", "b"), values), splits, "test", seed)
    for split, each in ((0, 3), (2, 2)):
        chosen = balanced_labels.values[splits == split]
        assert np.bincount(chosen[chosen >= 0]).tolist() == [each, each]
    assert ((balanced_labels.values == values) | (balanced_labels.values == UNLABELLED)).all()
