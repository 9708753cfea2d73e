"""A kNN search that was stopped goes on: finished parts are not computed again, and the answers are the same."""

import dataclasses

import numpy as np
import pytest

from benchmark.knn import knn_setups, lists, setups
from benchmark.knn.setups import parts_to_do

RNG = np.random.default_rng(11)
TRAIN, TEST = (RNG.normal(size=(2, n, 5)).astype(np.float32) for n in (40, 23))
LABELS = [RNG.integers(0, 3, n) for n in (40, 23)]
DRAWN = {f"{s}_assignments": RNG.integers(0, 2, (2, n)) for s, n in (("train", 40), ("test", 23))}


def search(keep=None):
    return knn_setups(list(TRAIN), list(TEST), *LABELS, **DRAWN, k=3, keep=keep)


@pytest.fixture
def small_parts(monkeypatch):
    """Five test photos a part."""
    monkeypatch.setattr(lists, "LEAST_QUERIES", 10)
    monkeypatch.setattr(lists, "PART_WORK", {True: 1, False: 1})


def equal(one, other):
    for field in dataclasses.fields(one):
        np.testing.assert_array_equal(getattr(one, field.name), getattr(other, field.name), err_msg=field.name)


def test_knn_setups__stopped_in_the_middle__goes_on_where_it_was(tmp_path, monkeypatch, small_parts):
    whole, real, seen = search(), setups.neighbour_lists, []

    def stops(question, queries, photos, *rest):
        if len(seen) == 3:
            raise KeyboardInterrupt
        seen.append(photos)
        return real(question, queries, photos, *rest)

    monkeypatch.setattr(setups, "neighbour_lists", stops)
    with pytest.raises(KeyboardInterrupt):
        search(tmp_path)
    assert len(list(tmp_path.glob("*.npz"))) == 3
    later = []
    monkeypatch.setattr(
        setups, "neighbour_lists", lambda q, x, photos, *r: later.append(photos) or real(q, x, photos, *r)
    )
    equal(search(tmp_path), whole)
    assert [(p.start, p.stop) for p in later] == [(15, 19), (19, 23)]
    later.clear()
    equal(search(tmp_path), whole)
    assert later == []


def test_knn_setups__a_damaged_part_is_done_again(tmp_path, small_parts):
    whole = search(tmp_path)
    first, second, *_ = sorted(tmp_path.glob("*.npz"))
    first.write_bytes(first.read_bytes()[:100])
    second.write_bytes(b"")
    equal(search(tmp_path), whole)


def test_parts_to_do__cover_what_is_missing_once():
    done = RNG.random(100) < 0.4
    parts = list(parts_to_do(done, 3))
    assert max(p.stop - p.start for p in parts) <= 3
    covered = np.concatenate([np.arange(p.start, p.stop) for p in parts])
    np.testing.assert_array_equal(covered, np.flatnonzero(~done))
    assert list(parts_to_do(np.ones(4, bool), 3)) == []
