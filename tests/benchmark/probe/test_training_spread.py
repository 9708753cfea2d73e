"""Training spread: the estimate from parts of one train set against the spread of accuracies over fresh ones."""

from __future__ import annotations

import math
from dataclasses import replace
from types import SimpleNamespace
from typing import NamedTuple

import numpy as np
import pytest

from benchmark.probe import LabelledSplits, labelled_probe, labelled_spread, processing_probe, processing_spread
from benchmark.probe import parts as parts_module
from benchmark.probe.parts import PROBE_SHARE, labelled_parts, processing_parts

CLASSES, DIMENSION, ASSIGNMENTS = 3, 12, 3
SHIFTS = 0.7 * np.random.default_rng(5).normal(size=(CLASSES, DIMENSION)).astype(np.float32)
FIXED = {"strengths": [1e-3]}


def photos(rng: np.random.Generator, n: int) -> list[np.ndarray]:
    """Photos in every class: what a photo shows is the same in all of them."""
    changed = rng.normal(size=(n, DIMENSION)).astype(np.float32)
    return [changed + shift for shift in SHIFTS]


TEST = photos(np.random.default_rng(6), 400)


def processing(rng: np.random.Generator) -> tuple:
    return photos(rng, 60), TEST, rng.integers(0, CLASSES, (ASSIGNMENTS, 60))


class Scenes(NamedTuple):
    splits: LabelledSplits
    scenes: np.ndarray


def scenes(rng: np.random.Generator, alike: float) -> Scenes:
    """16 scenes of 12 photos, each of a random class; ``alike``: what photos of a scene share."""
    changed = np.sqrt(alike) * rng.normal(size=(16, CLASSES, DIMENSION))
    scene, y = np.repeat(np.arange(16), 12), np.tile(np.arange(12) % CLASSES, 16)
    x = changed[scene, y] + np.sqrt(1 - alike) * rng.normal(size=(192, DIMENSION)) + SHIFTS[y]
    test_y = np.repeat(np.arange(CLASSES), 400)
    return Scenes(LabelledSplits(x, y, None, None, np.concatenate(TEST), test_y, CLASSES), scene)


def agrees(of_fresh: list[float], estimates: list[float]) -> bool:
    """A jackknife errs upwards; both are uncertain too, by 9 % (60 fresh sets) and about 8 % (12 means of squares)."""
    return 0.9 < np.sqrt(np.mean(np.square(estimates))) / np.std(of_fresh, ddof=1) < 1.5


@pytest.mark.slow
def test_processing_spread__is_that_of_fresh_train_photos_and_assignments():
    rng = np.random.default_rng(0)
    fresh = [processing(rng) for _ in range(60)]
    whole = [processing_probe(*given, **FIXED) for given in fresh]
    result = [processing_spread(*given, whole=w) for given, w in zip(fresh[:12], whole, strict=False)]
    assert agrees([w.accuracy for w in whole], [f.deviation for f in result])
    assert {(f.probes, f.assignments) for f in result} == {(8, ASSIGNMENTS)}


@pytest.mark.slow
def test_labelled_spread__is_that_of_fresh_scenes_only_where_they_are_passed():
    rng = np.random.default_rng(1)
    fresh = [scenes(rng, 0.8) for _ in range(60)]
    whole = [labelled_probe(given.splits, **FIXED) for given in fresh]
    spread = [w.accuracy for w in whole]
    printed = [
        labelled_spread(replace(g.splits, train_clusters=g.scenes), whole=w).deviation
        for g, w in zip(fresh[:12], whole, strict=False)
    ]
    assert agrees(spread, printed)
    unreported = [labelled_spread(g.splits, whole=w).deviation for g, w in zip(fresh[:12], whole, strict=False)]
    assert not agrees(spread, unreported)
    assert np.mean(unreported) < np.mean(printed)


def test_labelled_parts__hold_whole_clusters():
    given = scenes(np.random.default_rng(2), 0.5)
    requested = labelled_parts(replace(given.splits, train_clusters=given.scenes))
    assert requested(0, 0.5, FIXED).n_train == 96
    assert requested(0, 0.25, FIXED).n_train == 48


def test_processing_spread__where_photos_are_many_fewer_assignments_are_made_up_for(monkeypatch):
    rng = np.random.default_rng(3)
    given = processing(rng)
    whole = processing_probe(*given, **FIXED)
    monkeypatch.setattr("benchmark.probe.parts.PART_ROWS", 60)
    result = processing_spread(*given, whole=whole)
    probe, used = processing_parts(*given)
    assert (result.assignments, used) == (1, 1)
    alone = [probe(100 + i, 0.75, FIXED).accuracy for i in range(8)]
    expected = 3 * np.var(alone, ddof=1) - whole.statistics.spread**2 * (1 - 1 / ASSIGNMENTS)
    assert result.deviation**2 == pytest.approx(max(expected, whole.statistics.spread**2 / ASSIGNMENTS))


@pytest.mark.parametrize("protocol", ["converged", "iccv2025"])
def test_spread__searches_nothing(protocol, monkeypatch):
    given = processing(np.random.default_rng(4))
    options = {"rounds": (2,), "epochs": 2} if protocol == "iccv2025" else {}
    whole = processing_probe(*given, protocol=protocol, **options)
    probe, _ = processing_parts(*given, protocol=protocol)
    from benchmark.probe.protocols.registry import protocol_named

    again = probe(0, 0.5, protocol_named(protocol).at(whole.chosen))
    assert again.search == ()
    assert dict(again.chosen) == dict(whole.chosen)


@pytest.mark.parametrize(("used", "more"), [(4, None), (3, 1 / 3 - 1 / 4), (1, 1 - 1 / 4)])
def test_spread__less_the_noise_of_fewer_fits_and_at_least_that_of_all(monkeypatch, used, more):
    """Four fits of spread .2: with all of them used, what the parts show is left as it is."""
    monkeypatch.setattr(parts_module, "protocol_named", lambda name: SimpleNamespace(at=lambda chosen: None))
    whole = SimpleNamespace(protocol="p", chosen=None, predicted=[None] * 4, statistics=SimpleNamespace(spread=0.2))
    for accuracies in ((0.5, 0.501, 0.499), (0.2, 0.9, 0.4)):
        given = iter(accuracies)
        probe = lambda seed, share, at, given=given: SimpleNamespace(accuracy=next(given))  # noqa: E731
        variance = PROBE_SHARE / (1 - PROBE_SHARE) * np.var(accuracies, ddof=1)
        expected = variance if more is None else max(variance - 0.04 * more, 0.04 / 4)
        made = parts_module._spread(probe, whole, used, 3)
        assert made.deviation == pytest.approx(math.sqrt(expected))
        assert (made.probes, made.assignments) == (3, used)
