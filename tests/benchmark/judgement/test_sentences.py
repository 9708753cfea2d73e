"""Sentences of judgement, one by one: the answer and its numbers, for every answer."""

import pytest

from benchmark.judgement.deciding import Decision
from benchmark.judgement.outputs import Candidate, OutputChoice
from benchmark.judgement.traces import Verdict
from benchmark.judgement.words import (
    ErasedReader,
    differing_text,
    erased_text,
    extreme_text,
    extremes_text,
    moves_text,
    output_text,
    outputs_text,
    readers_text,
    traces_text,
)
from benchmark.results import OutputScores, Score, metric_of
from benchmark.tasks import all_tasks

QUESTIONS = all_tasks()


def decision(answer, reason="") -> Decision:
    return Decision(answer, 0.01, 0.5, False, 0.05, 100.0, 3, 0.4, 0.7, reason)


def verdict(trace, reason="", chance=0.25, p_value=0.01, most_frequent=False) -> Verdict:
    answer = {"readable": "yes", "weak": "yes", "none": "no"}.get(trace, "undecided")
    return Verdict(trace, chance, None, p_value, most_frequent, decision(answer, reason))


def score(task="probe/jpeg", metric="accuracy", value=0.5, **details) -> Score:
    return Score(task, "set", metric, value, value - 0.1, value + 0.2, 400, 0.25, details)


def judged(**verdicts) -> dict:
    return {(f"probe/{name}", "accuracy"): v for name, v in verdicts.items()}


@pytest.mark.parametrize(
    ("known", "details", "words"),
    [
        (judged(jpeg=verdict("none")), {}, "over the 1 probe of this result"),
        (judged(jpeg=verdict("none"), iso=verdict("none", p_value=None)), {}, "(from the interval where an older"),
        (judged(jpeg=verdict("none")), {"controls": {"shuffled": 1}}, "also needs at most 5 % of the probes that"),
        (judged(jpeg=verdict("undecided", "bound")), {}, "Where one photo weighs more than that bound, the absence"),
        (judged(jpeg=verdict("none", most_frequent=True)), {}, "Chance is the share of the most frequent class"),
    ],
)
def test_traces_text__further_conditions(known, details, words):
    plain = traces_text([score()], judged(jpeg=verdict("none"), iso=verdict("none")))
    assert words in traces_text([score(**details)], known)
    assert words not in plain


def test_readers_text__answers_by_reader():
    known = {
        ("probe/jpeg", "accuracy"): verdict("weak"),
        ("probe/jpeg", "accuracy-knn"): verdict("none"),
        ("probe/jpeg", "accuracy-mlp"): verdict("readable"),
        ("probe/iso", "accuracy"): verdict("undecided"),
    }
    scores = [score(metric=f"accuracy{reader}") for reader in ("", "-knn", "-mlp")]
    scores += [score("probe/iso"), score("probe/make")]
    assert readers_text(scores, known, QUESTIONS) == (
        "jpeg: read by linear, MLP; no trace for kNN. iso: undecided for linear."
    )
    assert readers_text(scores[4:], known, QUESTIONS) == ""


SPD = metric_of(QUESTIONS, "knn/jpeg", "spd")


def test_moves_text__the_judged_and_the_rule():
    decisions = {("knn/jpeg", "spd"): decision("no"), ("knn/iso", "spd"): decision("no")}
    text = moves_text([score("knn/jpeg", "spd"), score("knn/make", "spd")], decisions, QUESTIONS)
    assert text.count("is shown to be smaller") == 1
    assert text.endswith("Shown: p < 0.05 after Holm's correction over 2 differences.")
    one = moves_text([score("knn/jpeg", "spd")], {("knn/jpeg", "spd"): decision("no")}, QUESTIONS)
    assert one.endswith(" Shown: p < 0.05.")
    assert moves_text([score("knn/make", "spd")], decisions, QUESTIONS) == ""


WORST = metric_of(QUESTIONS, "knn/adversary", "worst")
JITTER = {"value": 0.7, "beyond": {"value": 0.2, "low": 0.15, "high": 0.25, "p_value": 0.001}, "jitters": 14}


@pytest.mark.parametrize(
    ("answer", "words"),
    [
        ("yes", "processing goes further than jitter of equal size without any trace"),
        ("no", "processing goes less than 1 point further than jitter of equal size"),
        ("undecided", "whether processing goes further than jitter of equal size is undecided"),
    ],
)
def test_extreme_text__answer_and_numbers(answer, words):
    worst = score("knn/adversary", "worst", jitter=JITTER)
    assert extreme_text(worst, WORST, decision(answer)) == (
        f"knn/adversary {WORST.title}: {words} (50.0 % against 70.0 %, +20.0 points further, +15.0 to +25.0)."
    )
    decisions = {("knn/adversary", "worst"): decision(answer), ("knn/adversary", "flipped"): decision(answer)}
    text = extremes_text([worst], decisions, QUESTIONS)
    assert text.endswith(" Shown: p < 0.05 after Holm's correction over 2 extremes.")
    assert words in text
    assert extremes_text([score()], decisions, QUESTIONS) == ""


def choice(answer, *, metric=SPD, less=0, better=True, family=8) -> OutputChoice:
    semantics = score("knn/original", value=0.8)
    output = OutputScores("layers[1]:mean", "block 1, mean of patches", 1, 3, "mean", 8, "hooks", ())
    best = Candidate(output, score("knn/jpeg", "spd", 0.1), score("knn/original", value=0.78))
    final = score("knn/jpeg", "spd", 0.3)
    return OutputChoice(
        "knn/jpeg", metric, answer, final, semantics, best if better else None, less, 4, family, 0.03, 0.5
    )


ACCURACY = metric_of(QUESTIONS, "probe/jpeg", "accuracy")


@pytest.mark.parametrize(
    ("made", "text"),
    [
        (
            choice("yes"),
            "**spd is less at equal semantics in block 1, mean of patches: +10.0 % (+0.0 to +30.0) instead of +30.0 % "
            "(+20.0 to +50.0), at -2.0 points of kNN accuracy (n = 400 and 400).**",
        ),
        (choice("no"), "spd: no output has less of it by 3.0 points or more at equal semantics; this is shown of "
            "each of the 4."),
        (choice("no", metric=ACCURACY), "spd: no output has less of it by 3.0 points of accuracy or more at equal "
            "semantics; this is shown of each of the 4."),
        (choice("undecided", less=1), "spd: 1 of 4 outputs has less of it, but none of them is shown to have the "
            "semantics of the embedding."),
        (choice("undecided", less=2), "spd: 2 of 4 outputs have less of it, but none of them is shown to have the "
            "semantics of the embedding."),
        (choice("yes", less=2, better=False), "spd: 2 of 4 outputs have less of it, but none of them is shown to have "
            "the semantics of the embedding."),
        (choice("undecided"), "spd: whether any of the 4 outputs has less of it at equal semantics is undecided."),
    ],
)  # fmt: skip
def test_output_text__answer_and_numbers(made, text):
    assert output_text(made, "spd") == text


def test_outputs_text__a_paragraph_each_and_the_rule():
    parts = outputs_text([choice("no"), choice("undecided")], ["a", "b"]).split("\n\n")
    assert [part[:2] for part in parts] == ["a:", "b:", "Eq"]
    assert "less than 1 point below the embedding's" in parts[2]
    assert "over 8 comparisons. " in parts[2]
    assert outputs_text([], []) == ""


def reader(name, before, after) -> ErasedReader:
    return ErasedReader(name, 0.4, 0.25, before, after)


def test_erased_text__after_and_before():
    readers = [reader("linear", "yes", "no"), reader("kNN", "yes", "yes"), reader("MLP", "no", "undecided")]
    assert erased_text("jpeg", 90, readers) == (
        "On 90 unseen photos jpeg is still read by kNN (40.0 %, chance 25.0 %). Jpeg is not read by linear (40.0 %, "
        "chance 25.0 %): shown to be less than 5 % of the way above chance. Whether jpeg is still read by MLP (40.0 %, "
        "chance 25.0 %) is undecided. Before erasing it was not shown to be read by MLP either. Shown: p < 0.05 after "
        "Holm's correction over 3 readers."
    )
    assert erased_text("jpeg", 90, readers[:1]) == (
        "On 90 unseen photos jpeg is not read by linear (40.0 %, chance 25.0 %): shown to be less than 5 % of the way "
        "above chance."
    )
    two = erased_text("jpeg", 90, [reader("linear", "undecided", "yes"), reader("kNN", "yes", "yes")])
    assert "by linear (40.0 %, chance 25.0 %), kNN (40.0 %, chance 25.0 %). Before erasing" in two
    assert "read by linear either. Shown: p < 0.05 after Holm's correction over 2 readers." in two


def test_differing_text__counts_of_each_answer():
    text = differing_text(["yes", "no", "yes", "undecided", "yes"], "5 scores")
    assert text.startswith(
        "3 of 5 differences are significant at 5 % (paired by photo, Holm's correction over the 5 scores"
    )
    assert "; 1 are shown to be smaller than 1 point; 1 are undecided." in text
    assert "one unit" not in differing_text(["yes"], "1 score", [(40, 40)])
    clustered = differing_text(["yes"] * 3, "3 scores", [(270, 10), (40, 40), (270, 10)])
    assert clustered.endswith("Photos that err together are one unit: intervals are over 10 units of 270 photos.")
