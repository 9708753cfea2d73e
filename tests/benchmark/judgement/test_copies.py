"""Sentences about thresholds for copies: whether they hold on photos that did not choose them."""

import pytest

from benchmark.judgement import threshold_holds, threshold_text
from benchmark.report.copies import copies_text
from benchmark.results import Result, Score

DETAILS = {
    **{"threshold": 0.9, "threshold_low": 0.85, "threshold_high": 0.95, "stated_rate": 0.02, "chosen_on": 99},
    **{"matches": 2, "expected_matches": [0, 6]},
}


def score(value=0.02, low=0.0, **details) -> Score:
    return Score("copies/processed", "set", "false-matches", value, low, value + 0.1, 100, 0.02, {**DETAILS, **details})


@pytest.mark.parametrize(
    ("of_copies", "answer", "words"),
    [
        (
            score(),
            "undecided",
            "2 match a photo that they are no copy of (2.0 %, 0.0 to 12.0); 0 to 6 are expected: not",
        ),
        (score(matches=6), "undecided", "nothing speaks against the threshold."),
        (score(matches=7), "no", "0 to 6 are expected: the threshold does not hold on them."),
        # photos err together: the interval over their units decides
        (score(expected_matches=None, low=0.01), "undecided", "(2.0 %, 1.0 to 12.0): nothing speaks against"),
        (score(0.3, expected_matches=None, low=0.1), "no", "(30.0 %, 10.0 to 40.0): the threshold does not hold"),
    ],
)
def test_threshold(of_copies, answer, words):
    assert threshold_holds(of_copies) == answer
    text = threshold_text(of_copies)
    assert text.startswith("A cosine of 0.9000 (0.8500 to 0.9500), chosen on 99 photos, states 2.0 % of false matches.")
    assert words in text


def test_threshold__without_an_interval():
    assert "A cosine of 0.9000, chosen on" in threshold_text(score(threshold_low=None, threshold_high=None))


def test_copies_text__thresholds_and_kinds_of_copies():
    recall = Score("copies/edited", "set", "recall", 0.5, 0.4, 0.6, 9, 0.1, {"by_copy": {"turned": 0.25, "grey": 0.75}})
    matched = Score("copies/edited", "set", "matched", 0.5, 0.4, 0.6, 9, 0.1, {"by_copy": {"turned": 0.5}})
    result = Result({"id": "a"}, {"name": "set"}, {}, (recall, matched, score()), (), {}, "")
    text = copies_text(result)
    assert text.startswith("copies/processed: A cosine of 0.9000")
    assert "| turned        |      25.0 |       50.0 |" in text
    assert "| grey          |      75.0 |          - |" in text
    assert copies_text(Result({"id": "a"}, {"name": "set"}, {}, (), (), {}, "")) == ""
