"""Sentences that only rare results have, each as a whole."""

import dataclasses
from collections import namedtuple
from types import SimpleNamespace

import pytest

from benchmark.judgement import PathMoves, conclude, conclusions, judge_paths, paths_rule
from benchmark.judgement.confounds import audit_units_text, power_text, untestable_text
from benchmark.judgement.differences import answer_texts
from benchmark.judgement.units import plural_of, unit_of_column
from benchmark.results import Result, Score
from benchmark.stats import Difference
from benchmark.tasks import all_tasks


def result(*scores, data="toy"):
    return Result({"id": "e"}, {"name": data}, {}, scores, (), {}, "")


def score(task, metric, value, half=0.02, n=900, chance=0.5, **details):
    return Score(task, "toy", metric, value, value - half, value + half, n, chance, details)


def claims(beyond=None, change=None):
    """A row of answers under a processing; a claim is (value, p-value)."""
    row = {"flips": 0.25, "flips_low": 0.2, "flips_high": 0.3}
    for name, claim in (("beyond", beyond), ("change", change)):
        if claim is not None:
            value, p = claim
            ends = {f"{name}_low": value - 0.004, f"{name}_high": value + 0.004}
            row |= {name: value, **ends, f"{name}_p": p}
    return row


def test_answer_texts__of_the_claims_that_were_measured():
    rows = {"a": claims((0.1, 1e-6)), "b": claims((-0.1, 1e-6)), "c": claims((0.001, 0.9)), "d": claims((0.03, 0.3))}
    rows["d"] |= {"beyond_low": -0.01, "beyond_high": 0.07}
    texts = answer_texts(result(score("answers/jpeg", "flips", 0.25, by_processing=rows)))
    assert texts.flips == (
        "Answers flip more than under the noise floor: a (+10.0 points); less: b (-10.0 points); shown to change by "
        "less than a point: c; undecided: d."
    )
    assert texts.accuracy == "No change of accuracy was recorded, so accuracy is not judged."
    assert (texts.rule, texts.movement) == ("Shown: p < 0.05 after Holm's correction over 4 processings.", ())
    rows = {"x\x1b": claims(change=(-0.1, 1e-6)), "y": claims(change=(-0.2, 1e-9))}
    texts = answer_texts(result(score("answers/jpeg", "flips", 0.25, by_processing=rows)))
    assert texts.flips == "No noise floor was measured, so flips are not judged."
    assert texts.accuracy == (
        "Accuracy rises: under none that was shown; falls: x\\x1b (-10.0 points), y (-20.0 points)."
    )
    assert texts.rule == "Shown: p < 0.05 after Holm's correction over 2 processings."
    assert answer_texts(result(score("probe/jpeg", "accuracy", 0.5))) is None


def test_conclude__of_detectors_with_few_scores():
    bare = conclude([result(score("forensics/crossing", "bias", 0.0, chance=0.0))], all_tasks())
    assert (bare.keeps.head, bare.keeps.title, bare.keeps.text) == ("Measured", "No detector was scored", "")
    assert (bare.costs.head, bare.costs.title, bare.costs.text) == ("Rests on", "Nothing was shown", "")
    assert bare.sure.text == "Nothing here says whether one picture is real or generated."
    floor = conclude([result(score("forensics/floor", "auc", 0.55))], all_tasks())
    assert floor.keeps.title == "AUC 55.0 %, chance 50 %"
    assert floor.keeps.text == (
        "AUC is how often a generated photo gets a higher score than a real one. Real photos of one source against "
        "another: 55.0 % (53.0 to 57.0)."
    )
    whole = conclude(
        [result(*(score(f"forensics/{n}", "auc", v) for n, v in (("floor", 0.5), ("detect", 0.9))))], all_tasks()
    )
    assert whole.keeps.title == "AUC 90.0 %, chance 50 %"
    assert "Generated against real photos: 90.0 % (88.0 to 92.0)." in whole.keeps.text


def test_conclude__of_a_threshold_without_copies():
    chosen = {"threshold": 0.9, "stated_rate": 0.02, "chosen_on": 99, "matches": 3, "expected_matches": [0, 6]}
    made = conclude([result(score("copies/edited", "false-matches", 0.03, n=100, chance=0.0, **chosen))], all_tasks())
    assert (made.keeps.head, made.keeps.title, made.keeps.text) == ("Finds copies", "No copy was scored", "")
    assert (made.costs.head, made.costs.title) == ("Threshold", "Cosine of 0.9000")
    assert made.costs.text == "A cosine of 0.9000, chosen on 99 photos, states 2.0 % of false matches."
    assert (made.sure.head, made.sure.title) == ("False matches", "3 of 100 other photos match falsely")
    assert made.sure.text == (
        "Of 100 photos that did not choose it 3 match a photo that they are no copy of (3.0 %, 1.0 to 5.0); 0 to 6 are "
        "expected: nothing speaks against the threshold."
    )


def moves(**more):
    beyond = Difference(0.01, 0.008, 0.012, 1e-9, 500, 0.001, 500)
    accuracy = Difference(0.04, 0.02, 0.06, 1e-4, 500, 0.01, 500)
    return dataclasses.replace(PathMoves("b", False, beyond, (0.5, 0.4, 0.6), (30, 10), 1e-4, accuracy), **more)


LIMIT = "b moves embeddings 0.5 times as far as the weakest trace, web (0.4 to 0.6): not more than the limit of 2.5."
COUNTS = "30 right answers of kNN become wrong and 10 wrong ones right"


@pytest.mark.parametrize(
    ("changed", "text"),
    [
        (
            {},
            f"{LIMIT} That is more than another batch size does. {COUNTS}: the accuracy differs (-4.0 points, p = "
            "0.0001).",
        ),
        (
            {"beyond_noise": Difference(1e-12, 9e-13, 2e-12, 1e-9, 500, 1e-13, 500), "accuracy": None},
            f"{LIMIT} That is no more than rounding and another batch size do.",
        ),
        (
            {"beyond_noise": None, "accuracy": Difference(0.0, -0.004, 0.004, 0.9, 500, 0.002, 500), "flip_p": 0.9},
            f"{LIMIT} {COUNTS}: the accuracy is shown to differ by less than 1 point (+0.0 points).",
        ),
        (
            {"accuracy": Difference(0.01, -0.01, 0.03, 0.2, 500, 0.01, 500), "flip_p": 0.2, "traces": None}
            | {"beyond_noise": Difference(1e-3, -1e-3, 3e-3, 0.3, 500, 1e-3, 500)},
            "b: there is no trace to measure it by. Whether that is more than another batch size does is undecided. "
            f"{COUNTS}: whether the accuracy differs is undecided (-1.0 points, p = 0.2).",
        ),
    ],
)
def test_judge_paths__whole_texts(changed, text):
    [judged] = judge_paths([moves(**changed)], "web", 2.5)
    assert judged.text == text


def test_paths_rule__of_one_way_and_of_several():
    assert [paths_rule(count) for count in (0, 1, 2)] == [
        "Shown: p < 0.05.",
        "Shown: p < 0.05.",
        "Shown: p < 0.05 after Holm's correction over 2 ways; limits hold for all of them together.",
    ]


@pytest.mark.parametrize(
    ("effects", "text"),
    [
        ([], "With so few scenes no association could have been found, however strong."),
        ([(2, 1.0)], "With so few scenes no association could have been found, however strong."),
        ([(2, 0.111), (9, 0.114)], "An association of V = 0.11 or more would most likely have been found."),
        (
            [(9, 0.21), (2, 0.116), (3, 0.15), (4, 1.0)],
            "An association of V = 0.12 or more with a feature of 2 values, and of V = 0.21 or more with one of 9, "
            "would most likely have been found.",
        ),
    ],
)
def test_power_text(effects, text):
    assert power_text(effects, "scene") == text


def test_untestable_and_units():
    assert untestable_text(["width", "height"], "owner") == (
        "With so few owners no association with these could have been found, however strong: width, height."
    )
    over = (
        "Intervals and p-values are over groups of near-duplicates, because photos of one group of near-duplicates err "
    )
    assert audit_units_text("near_duplicates", 1234, 1200.4) == (
        f"{over}together: the sample has 1,234 groups of near-duplicates (as many as 1,200 of equal size)."
    )
    assert audit_units_text("slide", 9, 8.6) == (
        "Intervals and p-values are over slides, because photos of one slide err together: the sample has 9 slides. "
        "Intervals over so few or unequal slides are less sure than they say."
    )
    plurals = [plural_of(rule) for rule in ("cluster", "scene", "owner", "pair", "near_duplicates", "biopsy", "day")]
    assert plurals == ["clusters", "scenes", "owners", "pairs", "groups of near-duplicates", "biopsies", "days"]
    names = (
        "Slide_ID",
        "patient-code",
        "scan name",
        "lab.key",
        "owner_name",
        "id",
        "split_id",
        "label",
        "a" * 21,
        "ab",
    )
    assert [unit_of_column(name) for name in names] == [
        *("slide", "patient", "scan", "cluster", "owner", "cluster", "cluster", "cluster", "cluster", "cluster")
    ]


Statement = namedtuple("Statement", "kind subject metric answer words")


@pytest.mark.parametrize("controlled", [False, True])
def test_rests_on__controls_then_what_was_shown_and_nothing_else(monkeypatch, controlled):
    """Left out are statements of other kinds, subjects and metrics, and those that were not shown."""
    made = [
        Statement("detection", subject, metric, answer, f"{subject} {metric}: {words}")
        for subject, metric, answer, words in (
            ("detect", "margin", "yes", "real is apart"), ("detect", "margin", "no", "not this"),
            ("leave-one-out", "loss", "undecided", "nor this"), ("leave-one-out", "loss", "yes", "a: b"),
            ("detect", "loss", "yes", "other metric"), ("floor", "margin", "yes", "other subject"),
            ("leave-one-out", "loss", "yes", "a: b"),
        )
    ]  # fmt: skip
    made.append(Statement("trace", "detect", "margin", "yes", "x: another kind"))
    controls = SimpleNamespace(title="On the file", reasons=("One.", "Two.")) if controlled else None
    monkeypatch.setattr(conclusions, "statements", lambda result, questions: made)
    monkeypatch.setattr(conclusions, "reliance", lambda result, questions: controls)
    made_of = conclusions._rests_on(None, None)
    shown = "Real is apart A: b"
    expected = ("On the file", f"One. Two. {shown}") if controlled else ("Nothing was shown", shown)
    assert (made_of.head, made_of.title, made_of.text) == ("Rests on", *expected)
