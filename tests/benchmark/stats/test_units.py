"""Which photos err together: by hand, with columns that group them, that do not, and that lack values."""

from __future__ import annotations

import numpy as np
import pytest

from benchmark.stats import effective_number, error_units, joint_units, single_units, units_of_pairs

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
    assert error_units({**columns, "cluster": np.array(list("aabbbb"))}, np.arange(6)).rule == "cluster"
    assert error_units({**columns, "cluster": np.array(["one"] * 6)}, np.arange(6)).rule == "scene"


def test_error_units__near_duplicates_are_the_last_rule_and_fill_what_has_no_owner() -> None:
    pictures = np.array(["", "1", "", "", "1", ""])
    alone = error_units({"near_duplicates": pictures}, np.arange(6))
    assert (alone.rule, alone.count) == ("near_duplicates", 5)
    both = error_units({"owner": OWNERS, "near_duplicates": pictures}, np.arange(6))
    assert (both.rule, both.count) == ("owner", 3)  # a, b, and the two photos of nobody, which show one picture
    assert both.index[1] == both.index[4]


def test_units_of_pairs__err_together_where_any_photo_of_theirs_does() -> None:
    """Pairs (0, 1), (2, 3), (4, 5), (6, 7): ann is in the first two, bob in the second and third."""
    columns = {"owner": np.array(["ann", "", "ann", "bob", "bob", "", "cid", "cid"])}
    units = units_of_pairs(columns, np.array([0, 2, 4, 6]), np.array([1, 3, 5, 7]))
    assert (units.rule, units.count, units.index.tolist()) == ("owner", 2, [0, 0, 0, 1])
    assert units_of_pairs({}, np.array([0]), np.array([1])).rule == "pair"
    whole = {"owner": np.array(["ann", "ann", "bob", "bob"])}
    assert units_of_pairs(whole, np.array([0, 2]), np.array([1, 3])).rule == "pair"  # an owner each


@pytest.mark.parametrize("sizes", [[1, 1, 1], [5, 5], [7, 2, 1]])
def test_effective_number__is_that_of_equal_units(sizes: list[int]) -> None:
    """A photo drawn at random has sum n^2 / sum n photos in its unit; so many of n are as many units."""
    sizes_of_units = np.array(sizes)
    of_a_photo = np.repeat(sizes_of_units, sizes_of_units).mean()
    assert effective_number(sizes_of_units) == pytest.approx(sizes_of_units.sum() / of_a_photo)


def test_joint_units__none_where_two_questions_disagree() -> None:
    photos = np.array([3, 4])
    assert joint_units([photos, photos], [np.array([1, 1]), np.array([1, 2])]) is None
    both = joint_units([photos, photos], [np.array([1, 2]), np.array([1, 2])])
    assert both is not None
    assert both.tolist() == [0, 1, 0, 1]


@pytest.mark.parametrize("seed", range(8))
def test_joint_units__photos_of_a_cluster_that_a_task_names_are_one_unit_in_order_of_appearance(seed: int) -> None:
    rng = np.random.default_rng(seed)
    cluster = rng.integers(0, 6, 20)
    photos = [rng.permutation(20)[:n] for n in (5, 9, 12)]
    named = [None if seed % 2 and i == 1 else cluster[at] for i, at in enumerate(photos)]
    known = {int(photo) for at, names in zip(photos, named, strict=True) if names is not None for photo in at}
    numbers: dict[str, int] = {}
    expected = []
    for photo in np.concatenate(photos):
        name = f"cluster {cluster[photo]}" if photo in known else f"photo {photo}"
        expected.append(numbers.setdefault(name, len(numbers)))
    made = joint_units(photos, named)
    assert made is not None
    assert made.tolist() == expected
    assert joint_units(photos, [None, None, None]).tolist() == [  # type: ignore[union-attr]
        list(dict.fromkeys(np.concatenate(photos).tolist())).index(photo) for photo in np.concatenate(photos)
    ]


def test_joint_units__none_for_names_and_numbers_of_clusters() -> None:
    photos = np.arange(2)
    assert joint_units([photos, photos], [np.array([1, 1]), np.array(["1", "1"])]) is None


def test_single_units__each_by_itself() -> None:
    assert (single_units(3, "pair").rule, single_units(3).count, single_units(3).clusters) == ("pair", 3, None)
