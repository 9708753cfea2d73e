"""Sentences about thresholds for copies: whether they hold on photos that did not choose them."""

import pytest

from benchmark.extras.copies.judged import threshold_holds, threshold_text
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
        (score(0.03, expected_matches=None, low=0.02), "undecided", "(3.0 %, 2.0 to 13.0): nothing speaks against"),
        (score(0.03, expected_matches=None, low=0.0201), "no", "(3.0 %, 2.0 to 13.0): the threshold does not hold"),
    ],
)
def test_threshold(of_copies, answer, words):
    assert threshold_holds(of_copies) == answer
    text = threshold_text(of_copies)
    assert text.startswith("A cosine of 0.9000 (0.8500 to 0.9500), chosen on 99 photos, states 2.0 % of false matches.")
    assert words in text


def test_threshold__without_an_interval():
    assert "A cosine of 0.9000, chosen on" in threshold_text(score(threshold_low=None, threshold_high=None))


def of_copies(name="a", matched=0.636, **details) -> Result:
    """Two kinds of copies with one threshold."""
    scores = []
    for task, half in (("copies/processed", 1.0), ("copies/edited", 0.5)):
        recall = Score(task, "set", "recall", 0.98 * half, 0.4, 0.99, 200, 0.1, {"collection": 1220})
        shares = half * matched, half * matched - 0.05, half * matched + 0.05
        false = Score(task, "set", "false-matches", 0.02, 0.0, 0.1, 100, 0.02, {**DETAILS, **details})
        scores += [recall, Score(task, "set", "matched", *shares, 100, 0.02, {"by_copy": {"x": matched}}), false]
    environment = {"device": "cpu", "dtype": "float32", "codec_canary": "c", "codec": {"pillow": "13"}, "options": {}}
    data = {"name": "set", "photos": {"train": 1220, "val": 200}, "classes": 2}
    return Result({"id": name}, data, environment, tuple(scores), (), {"seconds": {}, "views": 0}, "")
