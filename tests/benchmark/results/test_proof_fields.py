"""Which fields of a score answers prove, in which order, and what a contradiction says: every case by hand."""

import dataclasses
import itertools

import numpy as np
import pytest

from benchmark.results import AnswerFacts, PhotoValues
from benchmark.results.proof import contradicted
from benchmark.stats import (
    METHODS,
    photo_interval,
)

N = 24
VALUES = (np.random.default_rng(3).random(N) < 0.7).astype(float)
CLUSTERS = np.repeat(np.arange(8), 3)
CLUSTERS[:2] = 7
PLAIN = PhotoValues(np.arange(N), VALUES, (0.0, 1.0))


@pytest.fixture
def score(make):
    mean = float(VALUES.mean())
    return dataclasses.replace(make.score("probe/jpeg", "accuracy", mean, n=N), chance=0.25)


@pytest.fixture
def result(make):
    return make.result("a", make.probes(0.5))


def with_options(result, options, statistics=METHODS):
    return dataclasses.replace(result, environment={"options": options, "statistics": statistics})


def proven(score):
    """The score with the interval that its answers give."""
    ends = photo_interval(VALUES)
    return dataclasses.replace(score, low=ends.low, high=ends.high)


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
