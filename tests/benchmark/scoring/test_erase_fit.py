"""Fits of an eraser on a bank by hand: which photos and options each takes, and everything that is recorded of it."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np

from benchmark.erasing import Source, method_named
from benchmark.scoring import LabelledRows, choose_options

N = 12


def sides(fit=range(N), held_out=()):
    return SimpleNamespace(fit=np.array(list(fit)), held_out=np.array(list(held_out), np.int64))


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
