"""Which probes learning curves and training spreads ask for, with planted answers, and what follows from these."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from benchmark.probe import (
    AsGiven,
    LabelledSplits,
    ProbeAnswers,
    labelled_curve,
    labelled_spread,
    parts,
    processing_curve,
    processing_spread,
)
from benchmark.probe.parts import LearningCurve, TrainingSpread, order_of, part, part_rows
from benchmark.stats import Difference, Interval, paired_difference, photo_interval
from builders.errors import DataError

RNG = np.random.default_rng(2)
N, TESTED, FITS = 32, 12, 3
TRAIN, TEST = ([RNG.normal(size=(n, 4)).astype(np.float32) for _ in range(2)] for n in (N, TESTED))
ASSIGNED = RNG.integers(0, 2, (FITS, N))
CLUSTERS, TEST_CLUSTERS = np.arange(N) // 2, np.arange(TESTED) // 3
CHOSEN = {"strength": 0.25}


@pytest.fixture(autouse=True)
def drawn_anew() -> None:
    """Draws do not depend on the tests before."""
    RNG.bit_generator.state = np.random.default_rng(0).bit_generator.state


def answers_of(n_train: int, fits: int, views: int, seed: int, **more: Any) -> ProbeAnswers:
    """Random answers, of which more are right where more photos were learnt from."""
    rng = np.random.default_rng(seed)
    expected = np.zeros((views, TESTED), np.uint8)
    wrong = rng.random((fits, views, TESTED)) > 0.4 + n_train / 100
    return ProbeAnswers(
        "converged", wrong.astype(np.uint8), expected, 2, n_train, 1, CHOSEN, (), np.zeros(fits), np.zeros(fits),
        np.zeros(fits, int), np.ones(fits, bool), {}, 0.0, 0.0, **more,
    )  # fmt: skip


class Recorded:
    """A probe that records its calls and gives planted answers."""

    def __init__(self) -> None:
        self.calls: list[tuple[tuple[Any, ...], dict[str, Any]]] = []
        self.answers: list[ProbeAnswers] = []

    def __call__(self, *given: Any, **options: Any) -> ProbeAnswers:
        self.calls.append((given, options))
        if isinstance(given[0], LabelledSplits):
            splits = given[0]
            count = splits.train_x.shape[0] + (0 if splits.val_x is None else splits.val_x.shape[0])
            made = answers_of(count, 1, 1, len(self.calls))
        else:
            made = answers_of(given[0][0].shape[0], len(given[2]), 2, len(self.calls))
        self.answers.append(made)
        return made


@pytest.fixture
def probe(monkeypatch: pytest.MonkeyPatch) -> Recorded:
    recorded = Recorded()
    monkeypatch.setattr(parts, "processing_probe", recorded)
    monkeypatch.setattr(parts, "labelled_probe", recorded)
    return recorded


def expected_details(answers: list[ProbeAnswers], used: int, shares: list[float], clusters: Any, level: float) -> Any:
    by_photo = [a.correct[:used].mean(axis=(0, 1)) for a in answers]
    intervals = [photo_interval(values, clusters=clusters, level=level) for values in by_photo]
    gain = paired_difference(by_photo[-1], by_photo[-2], clusters=clusters, level=level)
    return {
        "share": shares,
        "n_train": [a.n_train for a in answers],
        "accuracy": [round(i.value, 6) for i in intervals],
        "low": [round(i.low, 6) for i in intervals],
        "high": [round(i.high, 6) for i in intervals],
        "assignments": used,
        "gain": {"value": gain.value, "low": gain.low, "high": gain.high, "p_value": gain.p_value},
        "rises": gain.low > 0 and gain.value >= 0.005,
    }


@pytest.mark.parametrize("clusters", [None, CLUSTERS])
@pytest.mark.parametrize("given", [True, False])
def test_processing_curve__asks_for_each_part(
    given: bool, clusters: np.ndarray | None, probe: Recorded, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(parts, "PART_ROWS", 2 * N + 1)
    whole = answers_of(N, FITS, 2, 99) if given else None
    options = {"clusters": clusters, "seed": 6, "memory_bytes": 1000}
    curve = processing_curve(
        TRAIN, TEST, ASSIGNED, whole=whole, shares=(0.5, 0.125), test_clusters=TEST_CLUSTERS, level=0.9, **options
    )
    calls, answers = probe.calls, probe.answers
    if whole is None:
        assert calls[0] == ((TRAIN, TEST, ASSIGNED), options)
        calls, answers, whole = calls[1:], answers[1:], answers[0]
    near = {"strengths": [0.25, 2.5, 25.0], "extend": False}
    assert len(calls) == 2
    for (positional, named), share in zip(calls, (0.125, 0.5), strict=True):
        rows = part_rows(np.zeros(N, int), clusters, 8, share)
        banks, test, assigned = positional
        assert test is TEST
        np.testing.assert_array_equal(assigned, ASSIGNED[:2, rows])
        for bank, of_part in zip(TRAIN, banks, strict=True):
            np.testing.assert_array_equal(of_part[0 : len(rows)], bank[rows])
        part_clusters = named.pop("clusters")
        assert (part_clusters is None) == (clusters is None)
        if clusters is not None:
            np.testing.assert_array_equal(part_clusters, clusters[rows])
        assert named == {"seed": 6, "memory_bytes": 1000, "features": None, **near}
    assert curve.details() == expected_details([*answers, whole], 2, [0.125, 0.5, 1.0], TEST_CLUSTERS, 0.9)
    assert curve.assignments == 2
    assert {name: array.shape for name, array in curve.arrays().items()} == {"curve": (2, TESTED), "curve_fits": ()}
    assert (curve.arrays()["curve"].dtype, int(curve.arrays()["curve_fits"])) == (np.float32, 2)
    np.testing.assert_allclose(curve.by_photo, [a.correct[:2].mean(axis=(0, 1)) for a in answers])
    assert curve.accuracies == tuple(interval.value for interval in curve.intervals)


@pytest.mark.parametrize("val", [True, False])
def test_labelled_curve__asks_for_each_part_of_train_and_val(val: bool, probe: Recorded) -> None:
    x, y = np.concatenate(TRAIN), np.arange(2 * N) % 4
    held = (x[40:], y[40:]) if val else (None, None)
    splits = LabelledSplits(
        x[:40], y[:40], *held, TEST[0], np.zeros(TESTED, int), 4,
        train_clusters=np.arange(40) // 4, val_clusters=np.arange(24) // 3 if val else None,
        test_clusters=TEST_CLUSTERS,
    )  # fmt: skip
    curve = labelled_curve(splits, shares=(0.5,), level=0.8, seed=3)
    (_, whole_options), ((of_part,), part_options) = probe.calls
    assert probe.calls[0][0] == (splits,)
    assert whole_options == {"seed": 3}
    assert part_options == {"seed": 3, "strengths": [0.25, 2.5, 25.0], "extend": False}
    rows = part_rows(y[:40], splits.train_clusters, 8, 0.5)
    assert of_part.is_subset
    np.testing.assert_array_equal(of_part.train_x[0 : len(rows)], x[rows])
    np.testing.assert_array_equal(of_part.train_y, y[rows])
    np.testing.assert_array_equal(of_part.train_clusters, (np.arange(40) // 4)[rows])
    for name in ("test_x", "test_y", "n_classes", "test_clusters", "frame"):
        assert getattr(of_part, name) is getattr(splits, name)
    if val:
        some = part_rows(y[40:], splits.val_clusters, 8, 0.5)
        np.testing.assert_array_equal(of_part.val_x[0 : len(some)], x[40:][some])
        np.testing.assert_array_equal(of_part.val_y, y[40:][some])
        np.testing.assert_array_equal(of_part.val_clusters, (np.arange(24) // 3)[some])
    else:
        assert (of_part.val_x, of_part.val_y) == (None, None)
    whole, small = probe.answers
    assert curve.details() == expected_details([small, whole], 1, [0.5, 1.0], TEST_CLUSTERS, 0.8)


def test_curve__parts_of_equal_size_appear_once_and_alone_there_is_no_gain(probe: Recorded) -> None:
    four = [bank[:4] for bank in TRAIN]
    curve = processing_curve(four, TEST, ASSIGNED[:, :4], shares=(0.2, 0.1, 0.24))
    assert (curve.n_train, curve.shares) == ((1, 4), (0.24, 1.0))
    alone = processing_curve(TRAIN, TEST, ASSIGNED, shares=(), whole=answers_of(N, FITS, 2, 5))
    assert (alone.n_train, alone.shares, alone.gain, alone.rises) == ((N,), (1.0,), None, False)
    assert alone.by_photo.shape == (0, TESTED)
    assert alone.details()["gain"] is None


def test_curve__refuses_shares_that_are_no_parts() -> None:
    with pytest.raises(DataError) as error:
        processing_curve(TRAIN, TEST, ASSIGNED, shares=(0.5, 1.0), whole=answers_of(N, FITS, 2, 5))
    assert str(error.value) == "shares of a learning curve lie between 0 and 1: 0.5, 1"


@pytest.mark.parametrize(("rows", "used"), [(N - 1, 1), (2 * N - 1, 1), (2 * N, 2), (3 * N, 3), (9 * N, 3)])
def test_processing_spread__probes_of_three_quarters(
    rows: int, used: int, probe: Recorded, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(parts, "PART_ROWS", rows)
    whole = answers_of(N, FITS, 2, 7)
    made = processing_spread(TRAIN, TEST, ASSIGNED, whole=whole, probes=4, clusters=CLUSTERS, seed=1)
    assert (made.probes, made.assignments, len(probe.calls)) == (4, used, 4)
    for i, ((_, _, assigned), named) in enumerate(probe.calls):
        some = part_rows(np.zeros(N, int), CLUSTERS, 100 + i, 0.75)
        np.testing.assert_array_equal(assigned, ASSIGNED[:used, some])
        np.testing.assert_array_equal(named.pop("clusters"), CLUSTERS[some])
        assert named == {"seed": 1, "features": None, "strengths": [0.25]}
    variance = 3 * np.var([a.accuracy for a in probe.answers], ddof=1)
    if used < FITS:
        spread = whole.accuracies.std(ddof=1) ** 2
        variance = max(variance - spread * (1 / used - 1 / FITS), spread / FITS)
    assert made.deviation == pytest.approx(math.sqrt(variance))


def test_processing_spread__is_at_least_the_error_of_the_assignments(
    probe: Recorded, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Fits that differ by far more than probes of parts do."""
    monkeypatch.setattr(parts, "PART_ROWS", N)
    whole = answers_of(N, 2, 1, 7)
    whole = replace(whole, predicted=np.array([[[0] * TESTED], [[1] * TESTED]], np.uint8))
    made = processing_spread(TRAIN, TEST, ASSIGNED[:2], whole=whole, probes=2)
    assert made.deviation == pytest.approx(math.sqrt(0.5 / 2))


def test_labelled_spread__probes_of_parts_without_a_search(probe: Recorded) -> None:
    x, y = np.concatenate(TRAIN), np.arange(2 * N) % 4
    splits = LabelledSplits(x, y, None, None, TEST[0], np.zeros(TESTED, int), 4)
    whole = answers_of(2 * N, 1, 1, 7)
    made = labelled_spread(splits, whole=whole, probes=3, seed=5)
    assert [named for _, named in probe.calls] == [{"seed": 5, "strengths": [0.25]}] * 3
    for i, ((of_part,), _) in enumerate(probe.calls):
        np.testing.assert_array_equal(of_part.train_y, y[part(order_of(y, 100 + i), 0.75)])
        assert of_part.train_clusters is None
    assert made == TrainingSpread(
        pytest.approx(math.sqrt(3 * np.var([a.accuracy for a in probe.answers], ddof=1))), 3, 1
    )


def test_details__of_a_curve_and_of_a_spread() -> None:
    assert TrainingSpread(0.01234567, 8, 3).details() == {
        "deviation": 0.012346,
        "probes": 8,
        "kept": 0.75,
        "assignments": 3,
        "method": "delete-d jackknife at the chosen hyper-parameters",
    }
    intervals = tuple(Interval(v, v - 0.1234567, v + 0.1, 9, 0.1, 9) for v in (0.4, 0.6000006))
    gain = Difference(0.2, 0.1, 0.3, 0.04, 9, 0.05, 9)
    curve = LearningCurve((0.5, 1.0), (4, 9), intervals, gain, 2)
    assert curve.details() == {
        "share": [0.5, 1.0],
        "n_train": [4, 9],
        "accuracy": [0.4, 0.600001],
        "low": [0.276543, 0.476544],
        "high": [0.5, 0.700001],
        "assignments": 2,
        "gain": {"value": 0.2, "low": 0.1, "high": 0.3, "p_value": 0.04},
        "rises": True,
    }
    assert curve.by_photo.shape == (0, 0)


def test_part_rows__whole_clusters_of_the_class_of_their_first_photo() -> None:
    labels = np.array([0, 0, 1, 1, 0, 0, 1, 1, 0, 1])
    clusters = np.array([7, 7, 3, 3, 5, 5, 9, 9, 7, 3])
    for seed in range(6):
        rows = part_rows(labels, clusters, seed, 0.5)
        # classes of clusters 3, 5, 7, 9: 1, 0, 0, 1; half of either class is one cluster
        names = set(clusters[rows])
        assert len(names & {5, 7}) == len(names & {3, 9}) == 1
        assert rows.tolist() == [i for i in range(10) if clusters[i] in names]
        order = np.random.default_rng(seed).permutation(4)
        first = {c: next(int(k) for k in order if [1, 0, 0, 1][k] == c) for c in (0, 1)}
        assert names == {[3, 5, 7, 9][k] for k in first.values()}


def test_order_of__shares_within_each_class_by_one_permutation() -> None:
    labels = np.array([2, 0, 2, 2, 0, 2])
    order = order_of(labels, 5)
    shuffled = np.random.default_rng(5).permutation(6).tolist()
    for c in (0, 2):
        members = [i for i in shuffled if labels[i] == c]
        assert [order[i] for i in members] == [k / len(members) for k in range(len(members))]
    assert part(np.array([0.0, 1 / 3, 2 / 3]), 1 / 3).tolist() == [0]
    assert part(np.array([0.0, 1 / 3, 2 / 3]), 1 / 3 + 1e-9).tolist() == [0, 1]


def test_labelled_parts__rows_that_stay_as_given_are_so_in_parts() -> None:
    x = 3 * RNG.normal(size=(20, 4)).astype(np.float32)
    splits = LabelledSplits(AsGiven(x), np.arange(20) % 2, None, None, AsGiven(x), np.arange(20) % 2, 2)
    of_part = parts.labelled_parts(splits)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(parts, "labelled_probe", lambda given, **_: given)
        some = of_part(0, 0.5, {}).train_x  # type: ignore[attr-defined]
    assert some.as_given
    assert some.shape == (10, 4)
