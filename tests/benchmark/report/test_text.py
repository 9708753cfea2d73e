"""``report_text``: which traces it calls readable, and what the tables and sentences contain."""

import dataclasses
import json

import numpy as np
import pytest

from benchmark.judgement import verdicts
from benchmark.report import report_text
from benchmark.results import Failure, Result, Score
from benchmark.results.files import parse_result
from benchmark.stats import against_chance, photo_interval
from benchmark.tasks import all_tasks
from builders.errors import DataError


def probe(task, values, chance=1 / 6, **details):
    """The score of a probe, as a task makes it from the accuracy of each photo."""
    ends = photo_interval(values)
    guess = max(chance, details.get("most_frequent_class", 0.0))
    details = {"classes": round(1 / chance), "p_chance": against_chance(values, guess), **details}
    value = float(np.mean(values))
    return Score(f"probe/{task}", "toy", "accuracy", value, ends.low, ends.high, len(values), chance, details)


def result(*scores, **options):
    cost = {"seconds": {}, "views": 0, "views_per_second": 0.0}
    environment = {"device": "cpu", "dtype": "float32", "codec_canary": "c", "codec": {"pillow": "13"}}
    data = {"name": "toy", "photos": {"train": 300, "val": 300}, "classes": 20}
    return Result({"id": "mine"}, data, {**environment, "options": options}, scores, (), cost, "")


def traces_of(*scores):
    return {task: v.trace for (task, _), v in verdicts(result(*scores), all_tasks()).items()}


def shares(mean, n=300, spread=0.02):
    """Accuracies of n photos with many views each: close together around a mean."""
    return mean + spread * np.linspace(-1, 1, n)


RIGHT_OR_WRONG = np.repeat([1.0, 0.0], [51, 249])
"""17.0 % of 300 photos."""


def test_verdicts__holm_over_the_probes_of_the_encoder():
    nearly = np.repeat([1.0, 0.0], [68, 232])  # 22.7 %: p = 0.008 by itself
    alone = probe("jpeg", nearly)
    assert 0.05 / 8 < alone.details["p_chance"] < 0.05
    assert traces_of(alone)["probe/jpeg"] == "readable"
    others = [probe(t, RIGHT_OR_WRONG) for t in ("sharpening", "resizing", "interpolation", "make", "iso", "exposure")]
    judged = verdicts(result(alone, *others, probe("aperture", RIGHT_OR_WRONG)), all_tasks())
    assert judged["probe/jpeg", "accuracy"].p_value == pytest.approx(8 * alone.details["p_chance"])
    assert {v.trace for v in judged.values()} == {"undecided"}
    assert "Readable" not in report_text([result(alone, *others, others[0])], all_tasks())


def test_verdicts__chance_of_unbalanced_classes_is_the_most_frequent_class():
    most = np.repeat([1.0, 0.0], [240, 60])  # a probe that always predicts the class of 80 % of the photos
    balanced, lopsided = probe("flash", most, 0.5), probe("flash", most, 0.5, most_frequent_class=0.8)
    assert traces_of(balanced) == {"probe/flash": "readable"}
    assert traces_of(lopsided) == {"probe/flash": "undecided"}
    text = report_text([result(lopsided)], all_tasks())
    assert "| 80.0 | 0.0 (" in " ".join(text.split())
    assert "Chance is the share of the most frequent class" in text


def test_verdicts__shuffled_labels_are_a_second_condition_outside_holm():
    controls = {"shuffled": {"p_value": 0.06, "accuracy": 0.1}}
    good = probe("make", shares(0.6), 1 / 9)
    doubted = dataclasses.replace(good, details={**good.details, "controls": controls})
    assert traces_of(good) == {"probe/make": "readable"}
    assert traces_of(doubted) == {"probe/make": "undecided"}
    verdict = verdicts(result(doubted), all_tasks())["probe/make", "accuracy"]
    assert verdict.p_value == pytest.approx(good.details["p_chance"])


def test_verdicts__older_results_have_their_interval():
    old = [
        dataclasses.replace(s, details={"classes": 6})
        for s in (probe("jpeg", shares(0.4)), probe("iso", RIGHT_OR_WRONG))
    ]
    assert traces_of(*old) == {"probe/jpeg": "readable", "probe/iso": "undecided"}
    text = report_text([result(*old)], all_tasks())
    assert "(from the interval where an older result has no p-value)" in text


def test_report__names_protocol_k_mask_and_assignments():
    scores = (
        probe("jpeg", RIGHT_OR_WRONG, protocol="converged"),
        probe("make", RIGHT_OR_WRONG, mask_ratio=0.9, protocol="converged"),
        Score("knn/jpeg", "toy", "all-same", 0.5, 0.4, 0.6, 300, 0.05, {"k": 10}),
    )
    text = report_text([result(*scores, assignment_seeds=10, preset="iccv2025")], all_tasks())
    assert "\nPreset iccv2025; probes: converged; k = 10; 90 % hidden; 10 assignments.\n" in text
    assert "\nProbes: converged; 90 % hidden.\n" in report_text([result(scores[1])], all_tasks())


def neighbours(metric, value, least, greatest, random, task="knn/jpeg"):
    ties = {"share": 0.1, "least": least, "greatest": greatest, "random": random}
    return Score(task, "toy", metric, value, value - 0.01, value + 0.01, 300, 0.05, {"k": 10, "ties": ties})


def test_report__ties_where_they_matter():
    some = neighbours("all-same", 0.86, 0.851, 0.869, 0.86), neighbours("spd", 0.02, -0.01, 0.05, 0.019)
    text = report_text([result(*some, neighbours("uniform", 0.8, 0.798, 0.802, 0.8))], all_tasks())
    assert "| all-same  | 85.1 to 86.9 (86.0), 10.0 |" in text
    assert "-1.0 to +5.0 (+1.9)" in text
    assert "79.8" not in text
    assert "the nearest label is taken" in text
    assert "Tied votes" not in report_text([result(neighbours("all-same", 0.86, 0.858, 0.862, 0.86))], all_tasks())


def test_report__ties_keep_the_order_of_metrics_where_the_first_task_has_none():
    """No rule matters to pos-same of knn/jpeg: its row keeps the position of the metric, not the end."""
    scores = [
        neighbours(metric, 0.5, 0.5 - apart, 0.5 + apart, 0.5, task)
        for task, of_pos_same in (("knn/jpeg", 0.0), ("knn/resizing", 0.1))
        for metric, apart in (("all-same", 0.1), ("pos-same", of_pos_same), ("uniform", 0.1))
    ]
    table = report_text([result(*scores)], all_tasks()).partition("| with ties")[2].splitlines()[2:5]
    assert [line.split("|")[1].strip() for line in table] == ["all-same", "pos-same", "uniform"]
    assert [line.split("|")[2].strip() for line in table][1] == "-"


def curve(*accuracies, rises=True):
    """A learning curve in the form of ``LearningCurve.details``."""
    shares = [1 / 8, 1 / 4, 1 / 2, 1][-len(accuracies) :]
    gain = {"value": accuracies[-1] - accuracies[-2], "low": 0.01, "high": 0.05, "p_value": 0.001}
    ends = {"low": [a - 0.02 for a in accuracies], "high": [a + 0.02 for a in accuracies]}
    n_train = [round(240 * share) for share in shares]
    return {"share": shares, "n_train": n_train, "accuracy": list(accuracies), **ends, "gain": gain, "rises": rises}


def test_report__says_at_least_where_the_accuracy_still_rises():
    rising = probe("jpeg", shares(0.6), learning_curve=curve(0.3, 0.4, 0.5, 0.6))
    flat = probe("resizing", shares(0.7), learning_curve=curve(0.7, 0.7, rises=False))
    text = report_text([result(rising, flat)], all_tasks())
    lines = [" ".join(line.replace("|", " ").split()) for line in text.splitlines()]
    assert any(line.startswith("probe/jpeg at least 60.0 ") for line in lines)
    assert any(line.startswith("probe/resizing 70.0 ") for line in lines)
    assert "accuracy % after part of the train photos 1/8 1/4 1/2 all gain of the last step train photos" in lines
    assert "probe/jpeg 30.0 40.0 50.0 60.0 +10.0 (+1.0 to +5.0) 240" in lines
    assert "probe/resizing - - 70.0 70.0 +0.0 (+1.0 to +5.0) 240" in lines
    assert "At least: it still rose" in text
    no_trace = probe("jpeg", RIGHT_OR_WRONG, learning_curve=curve(0.15, 0.16, 0.165, 0.17))
    for score in (flat, no_trace):
        assert "least" not in report_text([result(score)], all_tasks())
    assert "accuracy % after" not in report_text([result(probe("jpeg", shares(0.6)))], all_tasks())


def test_report__states_the_spread_over_train_photos_where_it_is_more_than_a_third_of_the_interval():
    values = shares(0.6, spread=0.3)
    half = (photo_interval(values).high - photo_interval(values).low) / 2
    much, little = ({"deviation": share * half / 2.3646, "probes": 8} for share in (0.34, 0.32))
    text = report_text(
        [result(probe("jpeg", values, training_spread=much), probe("resizing", values, training_spread=little))],
        all_tasks(),
    )
    lines = [line for line in text.splitlines() if line.startswith("| probe/")]
    assert [line.split("|")[4].strip() for line in lines] == [f"\u00b1 {100 * 0.34 * half:.1f}", "-"]
    assert "8 probes of random three quarters" in text
    assert "train photos |" not in report_text([result(probe("jpeg", values, training_spread=little))], all_tasks())


def test_report__shows_how_to_repeat_the_run():
    bare = result(probe("jpeg", RIGHT_OR_WRONG))
    local = {"model": "MODEL is a folder on the author's machine.", "data": "PATH holds the photos."}
    command = "camtrace score --model local-dir:MODEL --data folder:PATH"
    environment = {**bare.environment, "command": command, "local": local}
    text = report_text([dataclasses.replace(bare, environment=environment)], all_tasks())
    assert text.endswith(f"To repeat this result:\n\n    {command}\n\n{local['model']} {local['data']}\n")
    assert "To repeat" not in report_text([bare], all_tasks())


def test_report__names_the_runtime_and_how_far_it_is_from_torch():
    bare = result(probe("jpeg", RIGHT_OR_WRONG))

    def text_with(**runtime) -> str:
        environment = {**bare.environment, "runtime": runtime}
        return report_text([dataclasses.replace(bare, environment=environment)], all_tasks())

    openvino = text_with(name="openvino", version="2026.4.1", relative_error=1.2e-7)
    assert "on cpu in float32 by openvino 2026.4.1, relative error 1e-07 against torch; codec" in openvino
    assert "on cpu in float32 by torch 2.13.0; codec" in text_with(name="torch", version="2.13.0", reason="no aten::x")
    assert "on cpu in float32; codec" in report_text([bare], all_tasks())


COSTS = [
    ({}, {}, "on cpu in float32; codec c (Pillow 13)"),
    ({"views": 0}, {}, "bank reused; on cpu in float32; codec c (Pillow 13)"),
    ({"views": 9}, {"codec": {}}, "9 views; on cpu in float32; codec c"),
    ({"views": 9, "views_per_second": 2.6}, {"device": "", "codec_canary": ""}, "9 views at 3 a second"),
    ({"seconds": {"a": 1.26, "b": 3}}, {"devices": 4}, "a 1.3 s, b 3.0 s; on 4 x cpu in float32; codec c (Pillow 13)"),
    ({"encoders_in_pass": 1}, {"dtype": ""}, "on cpu; codec c (Pillow 13)"),
    ({}, {"preprocessing_by": "exact engine", "device": ""}, "preprocessed by the exact engine; codec c (Pillow 13)"),
    ({}, {"preprocessing_by": "Pillow", "codec_canary": ""}, "preprocessed by Pillow; on cpu in float32"),
    (
        {},
        {"processings_by": {"b": "exact engine", "a": "Pillow", "c": "exact engine"}, "codec_canary": ""},
        "processed: a by Pillow; b, c by the exact engine; on cpu in float32",
    ),
]  # fmt: skip


@pytest.mark.parametrize(("cost", "environment", "line"), COSTS)
def test_report__how_it_was_measured(cost, environment, line):
    bare = result(probe("jpeg", RIGHT_OR_WRONG))
    made = dataclasses.replace(bare, cost=cost, environment={**bare.environment, **environment})
    assert f"\n\n{line}." in report_text([made], all_tasks())


@pytest.mark.parametrize("encoders", [2, 3])
def test_report__says_what_several_encoders_shared(encoders):
    bare = result(probe("jpeg", RIGHT_OR_WRONG))
    text = report_text([dataclasses.replace(bare, cost={"encoders_in_pass": encoders})], all_tasks())
    assert f"(Pillow 13). {encoders} encoders shared the pass: the forward time is this one's own" in text


@pytest.mark.parametrize(("failures", "more"), [(20, ""), (21, "... and 1 more, all in result.json.")])
def test_report__names_twenty_failures(failures, more):
    lost = tuple(Failure("photo", f"{i}\x1b.jpg", "it is\x1b broken") for i in range(failures))
    text = report_text([dataclasses.replace(result(probe("jpeg", RIGHT_OR_WRONG)), failures=lost)], all_tasks())
    rows = [line for line in text.splitlines() if line.startswith("| photo")]
    assert len(rows) == 20
    assert rows[3].replace(" ", "") == r"|photo3\x1b.jpg|itis\x1bbroken|"
    assert ("more, all in result.json" in text) is bool(more)
    assert more in text


def test_report__ties_that_matter_by_task_and_metric():
    def tied(task, metric, least, greatest, value=0.6):
        ties = {"least": least, "greatest": greatest, "random": 0.55, "share": 0.1}
        return Score(f"knn/{task}", "toy", metric, value, 0.5, 0.7, 300, 0.05, {"ties": ties, "tie_rule": "random"})

    scores = [
        tied("jpeg", "all-same", 0.5, 0.75),
        tied("jpeg", "pos-same", 0.0, 0.005),  # as far apart as does not matter
        tied("resizing", "pos-same", 0.0, 0.00501),
        tied("resizing", "spd", -0.1, 0.2, 0.01),
        tied("original", "accuracy", 0.5, 0.504),
    ]
    text = report_text([result(*scores)], all_tasks())
    part = text.partition("### Tied votes\n\n")[2].split("\n\n")
    rows = [[cell.strip() for cell in line.strip("|").split("|")] for line in part[0].splitlines()]
    assert [rows[0], *rows[2:]] == [
        ["with ties", "knn/jpeg", "knn/resizing"],
        ["all-same", "50.0 to 75.0 (55.0), 10.0", "-"],
        ["pos-same", "-", "0.0 to 0.5 (55.0), 10.0"],
        ["spd", "-", "-10.0 to +20.0 (+55.0), 10.0"],
    ]
    assert "the scores above are these expectations. Shown where they differ by more than 0.5 points." in part[1]
    assert "Tied votes" not in report_text([result(scores[1], scores[-1])], all_tasks())


def test_report_text__a_column_for_each_further_reader():
    linear = probe("jpeg", shares(0.6))
    others = [
        dataclasses.replace(probe("jpeg", shares(v)), metric=f"accuracy-{n}") for n, v in (("knn", 0.5), ("mlp", 0.7))
    ]
    text = report_text([result(linear, *others)], all_tasks())
    [header] = [line for line in text.splitlines() if "accuracy % of" in line]
    assert [cell.strip() for cell in header.strip("|").split("|")] == ["accuracy % of", "linear", "kNN", "MLP"]


def test_report__ties_controls_and_settings_have_parts_of_their_own():
    controls = {"whole": {"accuracy": 0.4}, "complement": {"accuracy": 0.3}}
    scores = probe("make", shares(0.6), controls=controls, mask_ratio=0.9), neighbours("all-same", 0.8, 0.7, 0.9, 0.8)
    text = report_text([result(*scores, preset="camtrace")], all_tasks())
    parts = dict(part.split("\n\n", 1) for part in text.split("\n### ")[1:])
    assert list(parts) == [
        *("Acquisition probes", "kNN set-ups", "Controls of the probes", "Tied votes", "How it was measured")
    ]
    assert "whole picture" in parts["Controls of the probes"]
    assert "70.0 to 90.0 (80.0), 10.0" in parts["Tied votes"]
    assert parts["How it was measured"].startswith("Preset camtrace; ")
    assert "with ties" not in parts["kNN set-ups"]


def test_report__a_result_with_any_field_absent_or_null_is_refused_or_has_a_report():
    """Untrusted results lie in output folders, too, and their reports are written again."""
    plain = result(
        probe("jpeg", shares(0.7), controls={"shuffled": {"accuracy": 0.2}}, classes=6),
        neighbours("all-same", 0.4, 0.3, 0.5, 0.41),
    )
    whole = dataclasses.replace(
        plain,
        created="2026-11-20T10:00:00+00:00",
        cost={"seconds": {"probes": 1.5}, "views": 9, "views_per_second": 3.0, "encoders_in_pass": 2},
        environment={
            **plain.environment,
            "processings_by": {"jpeg": "exact engine"},
            "preprocessing_by": "exact engine",
            "runtime": {"name": "openvino", "version": "1", "relative_error": 1e-6},
            "command": "camtrace score",
            "local": {"model": "It is a file."},
        },
    )
    raw, texts = json.loads(whole.to_json()), []
    for place in ("data", "environment", "cost"):
        for name in raw[place]:
            for value in ({}, {name: None}):
                part = {key: given for key, given in raw[place].items() if key != name} | value
                try:
                    read = parse_result(json.dumps({**raw, place: part}), "a.json")
                except DataError:
                    continue
                texts.append(report_text([read], all_tasks()))
    bare = {place: {"name": "toy"} if place == "data" else {} for place in ("data", "environment", "cost")}
    texts.append(report_text([parse_result(json.dumps({**raw, **bare}), "a.json")], all_tasks()))
    assert len(texts) > 30
    assert not any("None" in text or ";;" in text or "; ;" in text for text in texts)


@pytest.mark.parametrize("name", ["least", "greatest", "random", "share"])
def test_forms__ties_without_one_of_their_numbers_are_refused(name):
    made = dataclasses.replace(result(neighbours("all-same", 0.4, 0.3, 0.5, 0.41)), created="2026-11-20T10:00:00+00:00")
    raw = json.loads(made.to_json())
    parse_result(json.dumps(raw), "a.json")
    del raw["scores"][0]["details"]["ties"][name]
    with pytest.raises(DataError, match=r"details\.ties is not an object of the numbers"):
        parse_result(json.dumps(raw), "a.json")
