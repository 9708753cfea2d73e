"""Which photos err together: by hand, with columns that group them, that do not, and that lack values."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from benchmark.stats import NO_COLUMNS, error_units, joint_units, single_units

OWNERS = np.array(["b", "", "a", "b", "", "a"])


def test_error_units__codes_are_those_of_the_whole_set_and_photos_without_an_owner_are_units_alone() -> None:
    units = error_units({"owner": OWNERS}, np.array([0, 1, 3, 4]))
    assert (units.rule, units.count, units.alone) == ("owner", 3, False)
    assert units.index[0] == units.index[2]
    assert len(set(units.index.tolist())) == 3
    assert units.clusters is units.index
    assert units.effective == pytest.approx(4**2 / (2**2 + 1 + 1))
    others = error_units({"owner": OWNERS}, np.array([2, 3, 4, 5, 0])).index
    assert (others[1], others[4], others[2]) == (units.index[0], units.index[0], units.index[3])
    assert others[0] == others[3] != units.index[0]


@pytest.mark.parametrize(
    "columns",
    [{}, {"owner": np.array(["me"] * 6)}, {"owner": np.array(list("abcdef"))}, {"owner": np.array([""] * 6)}],
)
def test_error_units__photos_where_no_column_groups_them(columns: dict[str, np.ndarray]) -> None:
    units = error_units(columns, np.arange(6))
    assert (units.rule, units.count, units.effective, units.clusters) == ("photo", 6, 6.0, None)


def test_error_units__the_first_candidate_that_groups_the_photos_counts() -> None:
    columns = {"scene": np.array(["s", "s", "t", "t", "u", "u"]), "owner": OWNERS}
    assert error_units(columns, np.arange(6)).rule == "scene"
    assert error_units(columns, np.array([0, 2, 3])).rule == "scene"
    assert error_units(columns, np.array([0, 3, 5])).rule == "owner"  # of three scenes
    assert error_units(columns, np.arange(6), candidates=("owner", "scene")).rule == "owner"
    assert error_units(columns, np.arange(6), candidates=NO_COLUMNS).clusters is None


def test_error_units__of_a_column_that_must_name_every_photo_often_enough() -> None:
    strict: dict[str, Any] = {"all_named": True, "repeated": False}
    assert error_units({"owner": OWNERS}, np.arange(6), **strict).alone
    named = np.array([0, 2, 3, 5])
    assert error_units({"owner": OWNERS}, named, **strict).rule == "owner"
    assert error_units({"owner": OWNERS}, named, fewest=3, **strict).alone
    assert error_units({"owner": OWNERS}, np.array([0, 2]), **strict).count == 2  # an owner each
    assert error_units({"owner": OWNERS}, np.array([0, 2])).alone


def test_error_units__names_for_photos_without_an_owner_keep_the_order_of_names() -> None:
    owners, ids = np.array(["?", "m", "?", "m"], object), np.array(["z", "y", "a", "x"], object)
    units = error_units({"owner": owners}, np.arange(4), unnamed="?", ids=ids)
    assert units.index.tolist() == [2, 1, 0, 1]  # a, m, z


def test_joint_units__none_where_two_questions_disagree() -> None:
    photos = np.array([3, 4])
    assert joint_units([photos, photos], [np.array([1, 1]), np.array([1, 2])]) is None
    both = joint_units([photos, photos], [np.array([1, 2]), np.array([1, 2])])
    assert both is not None
    assert both.tolist() == [0, 1, 0, 1]


def test_single_units__each_by_itself() -> None:
    assert (single_units(3, "pair").rule, single_units(3).count, single_units(3).clusters) == ("pair", 3, None)
