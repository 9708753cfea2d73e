"""``conclude``: short answers that say no more than the statements behind them."""

from __future__ import annotations

import re
from typing import Any

import pytest

from benchmark.judgement import conclude, reliance
from benchmark.results import Result, Score
from benchmark.tasks import all_tasks


def trace(task: str, value: float, half: float = 0.02, chance: float = 0.25, **details: Any) -> Score:
    p_chance = {"p_chance": 1e-6 if value - half > chance else 0.5}
    ends = (value, value - half, value + half)
    return Score(f"probe/{task}", "toy", "accuracy", *ends, 2000, chance, {"classes": 4, **p_chance, **details})


def move(value: float, half: float = 0.004, task: str = "knn/jpeg") -> Score:
    return Score(task, "toy", "spd", value, value - half, value + half, 2000, 0.0, {"k": 10})


def result(*scores: Score, data: str = "toy") -> Result:
    environment = {"device": "cpu", "dtype": "float32", "codec_canary": "c", "codec": {"pillow": "13"}, "options": {}}
    described = {"name": data, "photos": {"train": 300, "val": 2000}, "classes": 20}
    cost = {"seconds": {}, "views": 0, "views_per_second": 0.0}
    return Result({"id": "mine"}, described, environment, scores, (), cost, "")


def test_keeps__counts_those_that_are_there_and_names_the_best_by_their_way_from_chance() -> None:
    scores = trace("jpeg", 0.5, chance=1 / 6), trace("is-smartphone", 0.6, chance=0.5), trace("make", 0.9, chance=0.1)
    short = conclude([result(*scores, trace("iso", 0.251, 0.004), trace("flash", 0.3, 0.2))], all_tasks())
    assert short.keeps.title == "3 of 5 traces can be read"
    assert short.keeps.text.startswith(
        "Best read: make (90.0 % right, chance 10.0 %) and JPEG (50.0 % right, chance 16.7 %)."
    )
    assert "Shown to be less than 5 % of the way above chance: ISO." in short.keeps.text
    assert "Undecided: whether flash can be read." in short.sure.text
    assert short.sure.title == "Yes or no to 4 of 5 questions"


def test_keeps__of_one_trace_is_singular() -> None:
    assert conclude([result(trace("jpeg", 0.9))], all_tasks()).keeps.title == "1 of 1 trace can be read"


def test_costs__the_largest_first_by_size() -> None:
    scores = move(0.02), move(0.1, task="knn/resizing"), move(-0.03, task="knn/sharpening")
    costs = conclude([result(*scores)], all_tasks()).costs
    assert costs.title == "Search moves by up to 10.0 percentage points"
    first, _, rest = costs.text.partition("Sharpening: ")
    second, _, others = rest.partition(").")
    assert first.startswith("Resizing: ")
    assert re.findall(r"[+-]\d+\.\d", first) == ["+10.0", "+9.5", "+10.5"]
    assert re.findall(r"[+-]\d+\.\d", second) == ["-3.0", "-3.5", "-2.5"]
    assert "JPEG" in others


@pytest.mark.parametrize(
    ("scores", "title", "text"),
    [
        ([move(0.001)], "Search moves by less than 1 point", "Shown for JPEG."),
        ([move(0.01, 0.05)], "No cost is shown", "Of 1 difference, none is shown to differ from 0."),
        ([move(0.001), move(0.01, 0.05, "knn/resizing")], "No cost is shown", "Shown to be less than 1 point: JPEG."),
        ([trace("jpeg", 0.9)], "Costs were not scored", "This run has no search task that says what the traces cost."),
    ],
)
def test_costs__without_a_move(scores: list[Score], title: str, text: str) -> None:
    costs = conclude([result(*scores)], all_tasks()).costs
    assert (costs.title, costs.text) == (title, text)


def test_run_without_probes__says_so() -> None:
    short = conclude([result(move(0.1))], all_tasks())
    assert short.keeps.title == "Traces were not scored"
    nothing = conclude([result(Score("knn/original", "toy", "accuracy", 0.9, 0.8, 1.0, 50, 0.1))], all_tasks())
    assert nothing.sure.title == "Nothing was judged"
    assert nothing.findings == ()


def test_names__tell_data_sets_apart_where_both_have_the_trace() -> None:
    results = [result(trace("jpeg", 0.9), trace("make", 0.8)), result(trace("jpeg", 0.7), data="other")]
    assert [f.name for f in conclude(results, all_tasks()).findings] == ["JPEG (toy)", "make", "JPEG (other)"]


def test_sure__counts_units_and_rising_accuracies() -> None:
    gain = {"value": 0.1, "low": 0.05, "high": 0.15, "p_value": 1e-6}
    curve = {"share": [0.5, 1.0], "n_train": [5, 10], "accuracy": [0.8, 0.9], "gain": gain, "rises": True}
    scenes = {"resampled": "scene", "units": 12}
    short = conclude([result(trace("jpeg", 0.9, learning_curve=curve, **scenes))], all_tasks())
    assert short.photos == "Test photos: 2,000 of toy (12 scenes)."
    assert short.sure.text == "1 accuracy still rises with more training photos."


def detection(task: str, metric: str, value: float, half: float, **details: Any) -> Score:
    signed = metric in ("margin", "loss", "bias")
    return Score(
        f"forensics/{task}", "toy", metric, value, value - half, value + half, 900, 0.0 if signed else 0.5, details
    )


FAIR = {"flagged": False, "verdict": "", "photos": 900}
STILL = {"jpeg-q75-420": {"bias": 0.005, "low": 0.004, "high": 0.006, "p_value": 1e-9}}
GOOD = (
    detection("detect", "auc", 0.9, 0.02, audit=FAIR),
    detection("detect", "margin", 0.2, 0.05),
    detection("leave-one-out", "worst", 0.8, 0.03, generator="BigGAN"),
    detection("crossing", "bias", 0.005, 0.001, by_processing=STILL),
)


@pytest.mark.parametrize(
    ("bias", "decided"),
    [((0.005, 0.004, 0.006), 2), ((0.2, 0.15, 0.25), 2), ((0.0, -0.1, 0.1), 0)],
    ids=["no", "yes", "undecided"],
)
def test_sure_of_a_detector__a_no_is_an_answer_too(bias, decided) -> None:
    """Whether the bias differs from 0, and whether the processing moves the detector by a point."""
    value, low, high = bias
    rows = {"jpeg-q75-420": {"bias": value, "low": low, "high": high, "p_value": 1e-9 if decided else 1.0}}
    short = conclude([result(detection("crossing", "bias", value, value - low, by_processing=rows))], all_tasks())
    assert short.sure.title == f"Yes or no to {decided} of 2 questions"


@pytest.mark.parametrize(
    ("changed", "answer", "reason"),
    [
        ((), "yes", ""),
        ((detection("detect", "auc", 0.9, 0.02, audit={**FAIR, "flagged": True}),), "no", "The files alone give"),
        ((detection("detect", "margin", 0.02, 0.05),), "no", "better than two sources of real photos (margin +2.0"),
        ((detection("detect", "margin", -0.2, 0.05),), "no", "better than two sources of real photos (margin -20.0"),
        ((detection("leave-one-out", "worst", 0.52, 0.05, generator="BigGAN"),), "limited", "BigGAN is not shown"),
        (
            (detection("crossing", "bias", -0.1, 0.01, by_processing={"a": {**STILL["jpeg-q75-420"], "bias": -0.1}}),),
            "limited",
            "most a (processing generated instead of real photos moves the AUC by -10.0 points)",
        ),
        ((detection("detect", "auc", 0.9, 0.02),), "unknown", "The files were not audited."),
    ],
)
def test_reliance__is_denied_by_the_gravest_control(changed, answer, reason) -> None:
    keys = {(s.task, s.metric) for s in changed}
    scores = (*changed, *(s for s in GOOD if (s.task, s.metric) not in keys))
    controls = reliance(result(*scores), all_tasks())
    assert controls is not None
    assert controls.answer == answer
    assert reason in " ".join(controls.reasons)
    assert bool(controls.reasons) == bool(reason)


@pytest.mark.parametrize("task", ["margin", "worst", "bias"])
def test_reliance__names_a_control_that_was_not_run(task) -> None:
    controls = reliance(result(*(s for s in GOOD if s.metric != task)), all_tasks())
    assert controls is not None
    assert (controls.answer, len(controls.reasons)) == ("unknown", 1)
    assert reliance(result(move(0.1)), all_tasks()) is None
