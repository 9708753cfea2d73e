"""Sentences about thresholds for copies: whether they hold on photos that did not choose them."""

from dataclasses import replace

import pytest

from benchmark.extras.copies.judged import threshold_holds, threshold_text
from benchmark.extras.copies.report import copies_text
from benchmark.judgement import Finder, conclude, most_text
from benchmark.leaderboard.entries import ResultFile, measured_entries
from benchmark.leaderboard.first_screen import first_screen
from benchmark.results import Result, Score
from benchmark.tasks import all_tasks

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


def test_conclude__which_copies_are_found_at_which_threshold_and_how_many_match_falsely():
    short = conclude([of_copies()], all_tasks())
    assert [part.head for part in (short.keeps, short.costs, short.sure)] == [
        *("Finds copies", "Threshold", "False matches")
    ]
    assert short.keeps.title == "Matches 63.6 % of processed copies and 31.8 % of near-copies"
    assert short.keeps.text == (
        "Processed copies: 63.6 % (58.6 to 68.6) reach the threshold, of 100 photos. For 98.0 % (40.0 to 99.0) of "
        "processed copies the original is the nearest of 1,221 photos. Near-copies: 31.8 % (26.8 to 36.8) reach the "
        "threshold, of 100 photos. For 49.0 % (40.0 to 99.0) of near-copies the original is the nearest of 1,221 "
        "photos."
    )
    assert short.costs.title == "Cosine of 0.9000"  # both kinds of copies share it
    assert (
        short.costs.text == "A cosine of 0.9000 (0.8500 to 0.9500), chosen on 99 photos, states 2.0 % of false matches."
    )
    assert short.sure.title == "2 of 100 other photos match falsely"
    assert short.sure.text.endswith("0 to 6 are expected: nothing speaks against the threshold.")
    assert "does not hold" in conclude([of_copies(matches=7)], all_tasks()).sure.text
    two = conclude([of_copies(), of_copies(threshold=0.8)], all_tasks())
    assert two.costs.title == "Cosine of 0.9000 and 0.8000"
    assert two.keeps.title.startswith("Matches set: 63.6 % of processed copies, ")


def test_conclude__traces_and_copies_in_one_result():
    trace = Score("probe/jpeg", "set", "accuracy", 0.9, 0.88, 0.92, 200, 0.25, {"classes": 4, "p_chance": 1e-6})
    both = of_copies()
    short = conclude([replace(both, scores=(trace, *both.scores))], all_tasks())
    assert short.keeps.title == "1 of 1 trace can be read"
    assert short.sure.text == (
        "Finds copies: Matches 63.6 % of processed copies and 31.8 % of near-copies. Threshold: Cosine of 0.9000. "
        "False matches: 2 of 100 other photos match falsely."
    )


def test_conclude__a_result_of_others_may_lack_details():
    partial = of_copies()
    bare = [replace(s, details={}) for s in partial.scores]
    assert conclude([replace(partial, scores=tuple(bare))], all_tasks()).sure.title == "Nothing was judged"
    known = {name: DETAILS[name] for name in ("threshold", "stated_rate", "chosen_on", "matches")}
    least = [replace(s, details=known) if s.metric == "false-matches" else s for s in bare]
    text = conclude([replace(partial, scores=tuple(least))], all_tasks()).sure.text
    assert "(2.0 %, 0.0 to 10.0): nothing speaks" in text


def test_most_text():
    finders = [
        Finder(name, value, value - 0.1, value + 0.1, first)
        for name, value, first in (
            ("b", 0.5, True),
            ("c", 0.3, False),
            ("a", 0.6, True),
            ("d", 0.2, False),
            ("e", 0.1, False),
            ("f", 0.1, False),
        )
    ]
    assert most_text("Near-copies", finders, "matches most") == (
        "Near-copies: which matches most is undecided between a, 60.0 % (50.0 to 70.0) and b, 50.0 % (40.0 to 60.0), "
        "then c, 30.0 % (20.0 to 40.0); d, 20.0 % (10.0 to 30.0); e, 10.0 % (0.0 to 20.0) and 1 more."
    )


def test_first_screen__names_the_encoder_that_matches_most():
    results = [of_copies("network", 0.4), of_copies("phash", 0.9), of_copies("dhash", 0.42)]
    entries = measured_entries([ResultFile(f"{at}.json", result) for at, result in enumerate(results)])
    lead = first_screen(results, entries, [])["lead"]
    assert lead[0] == (
        "Processed copies: phash matches most, 90.0 % (85.0 to 95.0), then dhash, 42.0 % (37.0 to 47.0) and network, "
        "40.0 % (35.0 to 45.0)."
    )
    assert lead[1].startswith("Near-copies: phash matches most, 45.0 %")
    others = [entry for entry in entries if entry.name != "phash"]
    tied = first_screen(results[::2], others, [])["lead"]
    assert tied[0].startswith("Processed copies: which matches most is undecided between dhash, 42.0 %")
    assert first_screen(results[:1], entries[:1], [])["lead"] == []


def test_copies_text__thresholds_and_kinds_of_copies():
    recall = Score("copies/edited", "set", "recall", 0.5, 0.4, 0.6, 9, 0.1, {"by_copy": {"turned": 0.25, "grey": 0.75}})
    matched = Score("copies/edited", "set", "matched", 0.5, 0.4, 0.6, 9, 0.1, {"by_copy": {"turned": 0.5}})
    result = Result({"id": "a"}, {"name": "set"}, {}, (recall, matched, score()), (), {}, "")
    text = copies_text(result)
    assert text.startswith("copies/processed: A cosine of 0.9000")
    assert "| turned        |      25.0 |       50.0 |" in text
    assert "| grey          |      75.0 |          - |" in text
    assert copies_text(Result({"id": "a"}, {"name": "set"}, {}, (), (), {}, "")) == ""
