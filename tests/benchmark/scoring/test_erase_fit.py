"""Fits of an eraser on a bank by hand: which photos and options each takes, and everything that is recorded of it."""

from __future__ import annotations

from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest

from benchmark.erasing import Eraser, Source, method_named
from benchmark.options import RunOptions
from benchmark.scoring import LabelledRows, choose_options
from benchmark.scoring import erase_fit as module
from benchmark.scoring.erase_fit import fit_on_bank
from benchmark.tasks import TaskInput, Trace, all_tasks
from builders.errors import DataError
from builders.photos import Labels, PhotoSet, hash64

N = 12
PHOTOS = PhotoSet.of_bytes("set", dict.fromkeys([f"{i}" for i in range(N)], b"x"), ["c0", "c1"] * 6)
PLAIN = PhotoSet.of_bytes("plain", dict.fromkeys(PHOTOS.ids, b"x"))
ROWS = {name: np.random.default_rng(i).normal(size=(N, 3)).astype(np.float32) for i, name in enumerate("ab")}
CHOSEN_BY = "least accuracy of the better of linear and knn on held-out train photos"


def given(photos=PHOTOS, unusable=(), **options):
    bank = SimpleNamespace(view=lambda name, rows: ROWS[name][rows])
    usable = np.isin(np.arange(N), unusable, invert=True)
    return TaskInput(photos, usable, bank, RunOptions(seed=4, **options), "cpu")


def trace(unknown=(), column="", views=("a", "b"), labels=None):
    labels = np.arange(N) % 2 if labels is None else np.array(labels)
    labels = np.where(np.isin(np.arange(N), unknown), -1, labels)
    rows = np.stack([labels if column else np.where(labels < 0, -1, i) for i in range(len(views))])
    return Trace(all_tasks()["probe/jpeg"], tuple(views), ("one", "two"), rows, column)


def sides(fit=range(N), held_out=()):
    return SimpleNamespace(fit=np.array(list(fit)), held_out=np.array(list(held_out), np.int64))


@pytest.fixture
def fits(monkeypatch):
    """(method, photos of the fit, labels, classes, options) of each fit."""
    notes = []

    def fit(method, source, moments, **options):
        first = np.asarray(source.views[0])
        rows = [next(i for i in range(N) if (ROWS["a"][i] == row).all()) for row in first]
        notes.append((method, rows, source, moments.n, options))
        return Eraser(method, np.zeros(3, np.float32), np.eye(3, dtype=np.float32), 1, provenance={"rank": 1})

    monkeypatch.setattr(module, "fit_method", fit)
    return notes


def fitted_photos(fits):
    return [rows for _, rows, *_ in fits]


def test_fit__usable_photos_with_a_label_in_every_view(fits):
    made = fit_on_bank("mean", trace(unknown=[3]), given(unusable=[0]), sides(range(8)), (), {"fact": 1})
    assert list(made) == [6]
    [(method, rows, source, n, options)] = fits
    assert (method, rows, n, options) == ("mean", [1, 2, 4, 5, 6, 7], 12, {})
    assert [np.asarray(view).tolist() for view in source.views] == [ROWS[name][rows].tolist() for name in "ab"]
    assert source.labels.tolist() == [[0] * 6, [1] * 6]
    assert (source.n_classes, source.n_preserved, source.unit_rows) == (2, 2, True)
    assert source.preserved.tolist() == [1, 0, 0, 1, 0, 1]
    assert made[6].provenance == {
        "rank": 1, "fact": 1, "classes": ["one", "two"], "views": ["a", "b"], "column": "", "n_photos": 6,
        "n_rows": 12, "n_held_out": 0, "chosen": {}, "search": [], "chosen_by": CHOSEN_BY,
    }  # fmt: skip
    partly = trace()
    partly.labels[1, 5] = -1
    fit_on_bank("mean", partly, given(), sides(range(8)), (), {})
    assert fitted_photos(fits)[1] == [0, 1, 2, 3, 4, 6, 7]


def test_fit__classes_to_keep_are_known_or_none(fits):
    fit_on_bank("mean", trace(), given(PLAIN), sides(), (), {})
    source = fits[0][2]
    assert (source.preserved, source.n_preserved) == (None, 0)
    some = replace(PHOTOS, labels=Labels(("c0", "c1"), np.where(np.arange(N) == 5, -1, 0).astype(np.int32)))
    fit_on_bank("mean", trace(), given(some), sides(), (), {})
    assert fits[1][2].preserved is None
    for photos in (PLAIN, some, replace(PHOTOS, labels=Labels(("c0",), np.zeros(N, np.int32)))):
        with pytest.raises(DataError) as refused:
            fit_on_bank("splince", trace(), given(photos), sides(), (), {})
        assert str(refused.value) == f"{photos.name}: the class of every photo must be known to keep it readable"


def test_fit__of_a_column_names_it_and_needs_two_classes(fits):
    column = trace(column="make", views=("a",))
    made = fit_on_bank("mean", column, given(), sides(), (), {})
    assert (made[N].provenance["views"], made[N].provenance["column"]) == ([], "make")
    with pytest.raises(DataError, match=r"^set: 1 class of the trace among 6 photos to fit on$"):
        fit_on_bank("mean", column, given(unusable=range(1, N, 2)), sides(), (), {})


def test_fit__smaller_sets_are_parts_of_larger_ones_by_a_hash(fits):
    made = fit_on_bank("mean", trace(), given(), sides(range(10)), (4, 7, 99, 4), {})
    order = sorted(range(10), key=lambda i: hash64(f"size\0004\0{i}"))
    assert list(made) == [4, 7, 10]
    assert fitted_photos(fits) == [sorted(order[:size]) for size in (4, 7, 10)]
    assert [(one.provenance["n_photos"], one.provenance["n_rows"]) for one in made.values()] == [
        (4, 8),
        (7, 14),
        (10, 20),
    ]
    one_class = [0] * 12
    one_class[order[-1]] = 1  # of a small part there is no fit
    made = fit_on_bank(
        "mean", trace(column="make", views=("a",), labels=one_class), given(), sides(range(10)), (4,), {}
    )
    assert list(made) == [10]


def test_choose_options__the_least_move_among_those_that_leave_readers_least():
    """Every candidate is read on held-out rows; the choice follows from what was read by one rule."""
    rng = np.random.default_rng(0)
    labels = np.arange(120) % 2
    rows = (rng.normal(size=(120, 6)) + labels[:, None] * np.eye(6)[0] * 4).astype(np.float32)
    source = Source([rows[:80]], labels[None, :80], 2, unit_rows=True)
    sides = (LabelledRows(rows[:80], labels[:80]), LabelledRows(rows[80:], labels[80:]))
    chosen, search = choose_options("leace", source, *sides, 40)
    read = [max(tried["linear"], tried["knn"]) for tried in search]
    within = [r <= min(read) + (min(read) * (1 - min(read)) / 40) ** 0.5 for r in read]
    least = min((tried["moved"], i) for i, tried in enumerate(search) if within[i])[1]
    assert [{"shrinkage": tried["shrinkage"]} for tried in search] == method_named("leace").candidates()
    assert chosen == method_named("leace").candidates()[least]
    assert max(tried["linear"] for tried in search) < 0.8  # before: 1.0


def test_best__of_those_within_a_standard_error_the_one_that_moves_least():
    def best(*measured, n):
        search = [dict(zip(("linear", "knn", "moved"), one, strict=True)) for one in measured]
        return module._best(search, [{"number": i} for i in range(len(search))], n)["number"]

    # the better reader counts: 0.5, 0.55 and 0.7; the standard error of 0.5 is 0.05 of 100 rows
    reads = ((0.5, 0.2, 3.0), (0.2, 0.55, 2.0), (0.7, 0.1, 1.0))
    assert [best(*reads, n=n) for n in (99, 101, 6, 7)] == [1, 0, 2, 1]
    assert best((0.0, 0.0, 2.0), (0.0, 1e-5, 1.0), n=1) == 0
    assert best((0.0, 0.0, 2.0), (0.0, 1e-7, 1.0), n=1) == 1  # a standard error is never 0
    assert best((0.5, 0.5, 1.0), (0.5, 0.5, 1.0), n=4) == 0


def test_at_most__a_seeded_sample_in_order():
    rows = np.arange(10, 30)
    assert module._at_most(20, rows) is rows
    some = module._at_most(19, rows)
    assert some.tolist() == sorted(np.random.default_rng(0).choice(rows, 19, replace=False).tolist())
