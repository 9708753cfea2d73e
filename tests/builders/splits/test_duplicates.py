"""The guard of builds: what is planted in different splits is moved, counted, refused or ignored."""

import base64
import gzip
import json
from dataclasses import replace

import numpy as np
import pytest

from builders.errors import DataError, UsageError
from builders.photos import MemorySource, PhotoSet
from builders.splits import guarded_by, with_duplicates_on_one_side
from tests.builders.splits.test_variants import jpeg, scene


def planted(drawn=False):
    """0 and 1 are one file in train and val; 2 and 3 are nearly equal in val and test; 4 and 5 in test; 6 is alone."""
    files = {f"{i}": jpeg(scene(i)) for i in range(7)}
    files["1"], files["3"], files["5"] = files["0"], jpeg(scene(2), 50), files["4"]
    photos = PhotoSet.of_bytes("planted", files, splits=["train", "val", "val", "test", "test", "test", "train"])
    return replace(photos, drawn_splits=drawn)


def test_guard__moves_to_train_or_to_the_first_photo_and_leaves_all_others():
    guarded = with_duplicates_on_one_side(planted(drawn=True))
    assert (guarded.policy, guarded.left) == ("move", 0)
    assert guarded.photos.splits.tolist() == [0, 0, 1, 1, 2, 2, 0]
    assert guarded.photos.evidence["duplicates"] == (
        "4 equal and nearly equal photos in 2 groups were in different splits; 2 were moved to the split of their group"
    )
    again = with_duplicates_on_one_side(guarded.photos, "refuse")
    assert again.photos.splits.tolist() == guarded.photos.splits.tolist()


def test_guard__moves_the_cluster_of_a_photo_with_it():
    photos = planted(drawn=True)
    photos = replace(photos, columns={"cluster": np.array(["a", "b", "c", "d", "d", "d", "a"])})
    guarded = with_duplicates_on_one_side(photos)
    assert guarded.photos.splits.tolist() == [0, 0, 1, 1, 1, 1, 0]
    assert guarded.photos.evidence["duplicates"].startswith("4 equal and nearly equal photos in 2 groups")


def test_guard__given_splits_are_left_and_counted():
    photos = planted()
    guarded = with_duplicates_on_one_side(photos)
    assert (guarded.policy, guarded.left) == ("keep", 2)
    assert guarded.photos.splits.tolist() == photos.splits.tolist()
    assert "were left there" in guarded.photos.evidence["duplicates"]
    assert with_duplicates_on_one_side(photos, "move").photos.splits.tolist() == [0, 0, 1, 1, 2, 2, 0]


def test_guard__refuses_and_names_two():
    with pytest.raises(DataError):
        with_duplicates_on_one_side(planted(), "refuse")
    three = replace(planted(), splits=np.array([0, 1, 2, 2, 0, 0, 0], dtype=np.int8))
    three = replace(three, source=MemorySource((*[three.read(0)] * 3, *(three.read(i) for i in (3, 4, 6, 6)))))
    with pytest.raises(DataError):
        with_duplicates_on_one_side(three, "refuse")
    with pytest.raises(UsageError, match="--duplicates"):
        with_duplicates_on_one_side(planted(), "drop")


def test_guard__a_set_without_duplicates_stays_and_one_that_is_ignored_is_not_read():
    photos = planted().select(np.array([0, 2, 4, 6]))
    guarded = with_duplicates_on_one_side(photos, "move")
    assert (guarded.policy, guarded.left) == ("move", 0)
    assert guarded.photos.splits.tolist() == photos.splits.tolist()
    assert "near_duplicates" not in guarded_by(photos, guarded.record()).photos.columns
    assert guarded.photos.evidence["duplicates"] == "no equal and nearly equal photos in different splits"

    class Unreadable:
        def read(self, row):
            raise AssertionError("read")

    ignored = with_duplicates_on_one_side(replace(planted(), source=Unreadable()), "ignore")
    assert "duplicates" not in ignored.photos.evidence
    assert (ignored.policy, ignored.left) == ("ignore", 0)
    alone = replace(planted(), splits=np.zeros(7, dtype=np.int8), source=Unreadable())
    assert with_duplicates_on_one_side(alone).photos is alone


def test_guarded_by__gives_the_result_of_the_guard_or_refuses_other_photos():
    photos = planted(drawn=True)
    guarded = with_duplicates_on_one_side(photos)
    again = guarded_by(photos, guarded.record())
    assert again.photos.splits.tolist() == guarded.photos.splits.tolist()
    assert again.photos.columns["near_duplicates"].tolist() == guarded.photos.columns["near_duplicates"].tolist()
    assert (again.policy, again.left, again.photos.evidence) == ("move", 0, guarded.photos.evidence)
    for other in (photos.select(np.arange(6)), photos.select(np.array([0, 1, 2, 3, 5, 4, 6]))):
        with pytest.raises(DataError):
            guarded_by(other, guarded.record())


@pytest.mark.parametrize("policy", ["keep", "move", "ignore"])
def test_guarded_by__states_what_each_policy_left(policy):
    photos = planted(drawn=True)
    guarded = with_duplicates_on_one_side(photos, policy)
    stated = json.loads(gzip.decompress(guarded.record()))
    names = guarded.photos.columns["near_duplicates"].tolist() if policy != "ignore" else []
    assert stated == {
        "ids": guarded.photos.ids_hash(),
        "splits": base64.b64encode(bytes(guarded.photos.splits.tolist())).decode(),
        "near_duplicates": {str(i): name for i, name in enumerate(names) if name},
        "evidence": guarded.photos.evidence.get("duplicates"),
        "policy": policy,
        "left": {"keep": 2, "move": 0, "ignore": 0}[policy],
    }
    again = guarded_by(photos, guarded.record())
    assert (again.policy, again.left, again.digests) == (guarded.policy, guarded.left, None)
    assert again.photos.evidence == guarded.photos.evidence
    assert again.photos.splits.tolist() == guarded.photos.splits.tolist()
    assert again.photos.columns.get("near_duplicates", np.array([])).tolist() == names
