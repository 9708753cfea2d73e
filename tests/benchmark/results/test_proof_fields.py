"""Which fields of a score answers prove, in which order, and what a contradiction says: every case by hand."""

import dataclasses
import itertools

import numpy as np
import pytest

from benchmark.results import AnswerFacts, PhotoValues, proof
from benchmark.results.proof import _fields, _shown, contradicted, miscounted, objection
from benchmark.stats import (
    METHODS,
    against_chance,
    effective_number,
    photo_interval,
    statistic_interval,
    statistic_of,
)

N = 24
VALUES = (np.random.default_rng(3).random(N) < 0.7).astype(float)
CLUSTERS = np.repeat(np.arange(8), 3)
CLUSTERS[:2] = 7
PLAIN = PhotoValues(np.arange(N), VALUES, (0.0, 1.0))
CLUSTERED = dataclasses.replace(PLAIN, clusters=CLUSTERS)
JACKKNIFE = dataclasses.replace(CLUSTERED, freedom=7, limits=(-0.5, 0.9))
NOTHING = AnswerFacts(None, None, {})


@pytest.fixture
def score(make):
    mean = float(VALUES.mean())
    return dataclasses.replace(make.score("probe/jpeg", "accuracy", mean, n=N), chance=0.25)


@pytest.fixture
def result(make):
    return make.result("a", make.probes(0.5))


def with_options(result, options, statistics=METHODS):
    return dataclasses.replace(result, environment={"options": options, "statistics": statistics})


def test_fields__of_photos(score, result):
    ends = photo_interval(VALUES)
    expected = [("low", score.low, ends.low), ("high", score.high, ends.high)]
    assert list(_fields(score, PLAIN, NOTHING, result)) == expected
    by_photo = dataclasses.replace(score, details={"resampled": "photo", "units": 9})
    assert list(_fields(by_photo, PLAIN, NOTHING, result)) == [*expected, ("units", 9, N)]
    by_owner = dataclasses.replace(score, details={"resampled": "owner", "units": 9})
    assert list(_fields(by_owner, PLAIN, NOTHING, result)) == expected
    facts = AnswerFacts(0.2, 0.3, {"classes": 4, "more": [1]})
    stated = dataclasses.replace(score, details={"p_chance": 0.5, "classes": 5})
    assert list(_fields(stated, PLAIN, facts, result)) == [
        *expected,
        ("chance", 0.25, 0.2),
        ("p_chance", 0.5, against_chance(VALUES, 0.3)),
        ("classes", 5, 4),
        ("more", None, [1]),
    ]


def test_fields__of_clusters_and_of_a_jackknife(score, result):
    stated = dataclasses.replace(score, details={"units": 5, "effective_units": 4.5, "p_chance_two_sided": 0.1})
    sizes = np.unique(CLUSTERS, return_counts=True)[1]
    units = [("units", 5, 8), ("effective_units", 4.5, round(effective_number(sizes), 3))]
    ends = photo_interval(VALUES, clusters=CLUSTERS)
    facts = AnswerFacts(None, 0.3, {})
    assert list(_fields(stated, CLUSTERED, facts, result)) == [
        ("low", score.low, ends.low),
        ("high", score.high, ends.high),
        *units,
        ("p_chance", None, against_chance(VALUES, 0.3, clusters=CLUSTERS)),
    ]
    ends = statistic_interval(VALUES, CLUSTERS, 7, (-0.5, 0.9))
    p = statistic_of(VALUES, CLUSTERS, 7).p_value(0.25)
    assert list(_fields(stated, JACKKNIFE, NOTHING, result)) == [
        ("low", score.low, max(ends.low, -0.5)),
        ("high", score.high, min(ends.high, 0.9)),
        ("p_chance_two_sided", 0.1, p),
        *units,
    ]
    narrow = dataclasses.replace(JACKKNIFE, limits=(0.7, 0.72))
    assert [given for _, _, given in _fields(stated, narrow, NOTHING, result)][:2] == [0.7, 0.72]


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ({"resamples": 1}, {"resamples": 1}),
        ({"resamples": 100_000}, {"resamples": 100_000}),
        ({"resamples": 0}, {}),
        ({"resamples": 100_001}, {}),
        ({"resamples": 10.0}, {}),
        ({}, {}),
        (None, {}),
        ([], {}),
    ],
)
def test_fields__the_number_of_draws_that_a_run_states(score, result, monkeypatch, options, expected):
    calls = []
    real = photo_interval

    def recorded(values, **how):
        calls.append(how)
        return real(values, clusters=how["clusters"], bounds=how["bounds"])

    monkeypatch.setattr(proof, "photo_interval", recorded)
    signed = dataclasses.replace(PLAIN, bounds=(-1.0, 1.0))
    list(_fields(score, signed, NOTHING, with_options(result, options)))
    assert calls == [{"clusters": None, "bounds": (-1.0, 1.0), **expected}]


def proven(score):
    """The score with the interval that its answers give."""
    ends = photo_interval(VALUES)
    return dataclasses.replace(score, low=ends.low, high=ends.high)


def test_contradicted__the_first_field_and_what_other_methods_may_state(score, result):
    right = proven(score)
    facts = AnswerFacts(0.25, None, {"rises": True, "list": [1, 2], "classes": 4})
    for version in (METHODS, METHODS - 1, None):
        stated = dataclasses.replace(right, details={"rises": True, "list": [1, 2], "classes": 4})
        assert contradicted(stated, PLAIN, facts, with_options(result, {}, version)) == ""
    now, older = with_options(result, {}), with_options(result, {}, METHODS - 1)
    wrong = dataclasses.replace(right, details={"rises": False, "classes": 5})
    assert contradicted(wrong, PLAIN, facts, now) == (
        "probe/jpeg accuracy: rises is False, but its answers in answers.npz give True"
    )
    assert contradicted(wrong, PLAIN, facts, older) == (
        "probe/jpeg accuracy: classes is 5, but its answers in answers.npz give 4"
    )
    part = dataclasses.replace(right, details={"list": [1, 3]})
    assert contradicted(part, PLAIN, facts, now) == (
        "probe/jpeg accuracy: list[1] is 3, but its answers in answers.npz give 2"
    )
    shorter = dataclasses.replace(right, details={"list": [1]})
    assert contradicted(shorter, PLAIN, facts, now) == (
        "probe/jpeg accuracy: list is a list of 1, but its answers in answers.npz give a list of 2"
    )
    absent = dataclasses.replace(right, details={"rises": None})
    assert contradicted(absent, PLAIN, facts, now) == ""
    low = dataclasses.replace(right, low=right.low + 0.001)
    assert contradicted(low, PLAIN, facts, now) == (
        f"probe/jpeg accuracy: low is {low.low:.6g}, but its answers in answers.npz give {right.low:.6g}"
    )
    other = dataclasses.replace(low, value=0.25)
    assert contradicted(other, PLAIN, facts, now) == objection(other, PLAIN)


def test_objection__value_and_count(score):
    mean = float(VALUES.mean())
    for changed, agrees in (
        ({}, True),
        ({"value": mean + 9e-7}, True),
        ({"value": mean - 9e-7}, True),
        ({"value": mean + 1.1e-6}, False),
        ({"n": N + 1}, False),
    ):
        stated = dataclasses.replace(score, **changed)
        sentence = (
            f"probe/jpeg accuracy is {stated.value:.6g} of {stated.n}, but its answers in answers.npz give {mean:.6g} "
            f"of {N}"
        )
        assert objection(stated, PLAIN) == ("" if agrees else sentence)
    assert [_shown(value) for value in (True, "x" * 200, {"a": 1}, 1.0)] == ["True", "x" * 100, "{'a': 1}", "1"]


@pytest.mark.parametrize(
    ("stated", "splits", "photos", "reason"),
    [
        ({"train": 2, "val": 1, "test": 0}, [0, 0, 1], 3, ""),
        ({"train": 2, "val": 1}, [0, 0, 1], 3, ""),
        ({"train": 2, "val": 1}, [0, 0, 1], 4, "answers.npz has answers of photo 3 of 3"),
        ({"train": 3, "val": 1}, [0, 0, 1], 3, "data.photos.train is 3, but answers.npz gives 2"),
        ({"train": 2}, [0, 0, 1], 3, "data.photos.val is 0, but answers.npz gives 1"),
        ({"train": 2, "val": 1, "test": 5}, [0, 0, 1], 3, "data.photos.test is 5, but answers.npz gives 0"),
        ({"train": 2, "val": 1}, None, 3, ""),
        ({"train": 2, "val": 1}, None, 4, "data.photos has 3 photos, but answers.npz has answers of photo 3"),
        (None, [0], 9, ""),
        ("3", None, 9, ""),
    ],
)
def test_miscounted(result, stated, splits, photos, reason):
    made = dataclasses.replace(result, data={**result.data, "photos": stated})
    assert miscounted(made, None if splits is None else np.array(splits, np.int8), photos) == reason


@pytest.mark.parametrize("methods", [METHODS, METHODS - 1])
@pytest.mark.parametrize("centre", ["value", "accuracy", ""])
def test_contradicted__ends_by_other_methods_lie_around_the_number_of_their_own_part(score, result, centre, methods):
    """Other methods may state an end half its distance from the value further off, and 0.002 more."""
    given = {"low": 0.05, "high": 0.4, **({centre: 0.1} if centre else {})}
    middle = 0.1 if centre else score.value
    exact = methods == METHODS
    for name, end in (("low", 0.05), ("high", 0.4)):
        most = 2e-5 if exact else 0.5 * abs(end - middle) + 0.002
        for sign, share in itertools.product((1, -1), (0.9, 1.1)):
            stated = end + sign * share * most
            made = dataclasses.replace(proven(score), details={"controls": {"whole": {**given, name: stated}}})
            facts = AnswerFacts(None, None, {"controls": {"whole": given}})
            expected = (
                ""
                if share < 1
                else (
                    f"probe/jpeg accuracy: controls.whole.{name} is {stated:.6g}, but its answers in answers.npz give "
                    f"{end:.6g}"
                )
            )
            assert contradicted(made, PLAIN, facts, with_options(result, {}, methods)) == expected


def test_contradicted__units_and_rises_of_other_methods_may_differ_and_nothing_else(score, result):
    ends = photo_interval(VALUES, clusters=CLUSTERS)
    right = {"units": 8, "effective_units": round(effective_number(np.unique(CLUSTERS, return_counts=True)[1]), 3)}
    curve, copies = {"rises": True, "gain": {"value": 0.1}}, 3
    facts = AnswerFacts(None, None, {"learning_curve": curve, "copies": copies})
    details = {**right, "learning_curve": curve, "copies": copies}
    wrong = {
        "units": (7, "units is 7", "8"),
        "effective_units": (2.5, "effective_units is 2.5", f"{right['effective_units']:.6g}"),
        "learning_curve": ({**curve, "rises": False}, "learning_curve.rises is False", "True"),
        "copies": (4, "copies is 4", "3"),
    }
    for name, (stated, what, given) in wrong.items():
        made = dataclasses.replace(score, low=ends.low, high=ends.high, details={**details, name: stated})
        for methods in (METHODS, METHODS - 1):
            may_differ = methods != METHODS and name != "copies"
            assert contradicted(made, CLUSTERED, facts, with_options(result, {}, methods)) == (
                "" if may_differ else f"probe/jpeg accuracy: {what}, but its answers in answers.npz give {given}"
            )
