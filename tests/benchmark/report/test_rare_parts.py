"""Parts of a report that only rare results have: their titles, notes and tables."""

import dataclasses

import pytest

from benchmark.judgement import verdicts
from benchmark.report import report_text
from benchmark.report.answers import NOISE_TITLES, answers_section
from benchmark.report.detection import detection_text
from benchmark.report.groups import groups_text
from benchmark.results import Score
from benchmark.tasks import all_tasks
from tests.benchmark.report.test_recorded_figures import FINAL, layered, regions, with_outputs
from tests.benchmark.report.test_scenes import result_of
from tests.benchmark.report.test_text import neighbours, probe, result, shares
from tests.benchmark.report.test_variance import variance_result


def titles(text):
    return [line for line in text.splitlines() if line.startswith("#")]


def test_report__a_title_for_every_part():
    of_scenes = result_of(3)
    every = (*of_scenes.scores, *variance_result().scores, Score("mine/x", "set", "y", 0.6, 0.5, 0.7, 100, 0.1))
    outputs = [*layered(3, ["mean"], 0.2), *regions(2)]
    whole = dataclasses.replace(with_outputs(outputs, *FINAL), scores=(*FINAL, *every))
    parts = titles(report_text([whole], all_tasks()))
    assert parts[-6:] == [
        *("### Further scores", "### Scenes in several groups", "### What the variance is"),
        *("### Layers", "### Parts of the picture", "### How it was measured"),
    ]
    assert parts[0] == "## toy on set"


def test_report__the_note_about_ties():
    def ties_of(rule):
        tied = neighbours("all-same", 0.6, 0.5, 0.7, 0.6)
        scores = (dataclasses.replace(tied, details={**tied.details, "tie_rule": rule}),)
        return report_text([result(*scores)], all_tasks()).partition("### Tied votes\n\n")[2].split("\n\n")[1]

    start = (
        "The least and the greatest that any rule for ties would give, in brackets what is expected when a random tied "
        "label is taken, and the share of the votes that tied, all in %; "
    )
    end = ". Shown where they differ by more than 0.5 points."
    assert ties_of("random") == f"{start}the scores above are these expectations{end}"
    assert ties_of("nearest") == ties_of("another") == f"{start}the nearest label is taken{end}"


def test_noise__titles_of_views():
    assert NOISE_TITLES == {
        "png": "saved as PNG",
        "other-batch": "another batch",
        "other-precision": "another precision",
        "other-order": "other order of options",
    }


def test_report__controls_seen_and_masked_are_two_tables():
    shuffled = {"accuracy": 0.16, "low": 0.12, "high": 0.21, "permutations": 20, "p_value": 0.04}
    plain = {"whole": {"accuracy": 0.61}, "complement": {"accuracy": 0.42}, "metadata": {"accuracy": 0.33}}
    scores = (
        probe("make", shares(0.6), controls={**plain, "shuffled": shuffled}),
        probe("iso", shares(0.5), controls={"whole": {"accuracy": 0.4}}, mask_ratio=0.9),
        probe("aperture", shares(0.5)),
    )
    text = report_text([result(*scores)], all_tasks()).partition("### Controls of the probes\n\n")[2]
    rows = [[cell.strip() for cell in line.strip("|").split("|")] for line in text.split("\n\n###")[0].splitlines()]
    columns = ["whole picture", "border hidden", "other labels only", "shuffled labels (95 % of them)"]
    assert [row for row in rows if row != [""] and not row[0].startswith(":")] == [
        ["accuracy % of", "seen", *columns],
        ["probe/make", "60.0", "61.0", "42.0", "33.0", "16.0 (12.0 to 21.0)"],
        ["accuracy % of", "masked", *columns],
        ["probe/iso", "50.0", "40.0", "-", "-", "-"],
    ]
    assert len(verdicts(result(*scores), all_tasks())) == 3


def test_detection__forty_rows_of_a_table_at_most():
    def rows(count):
        pairs = [{"sources": [f"s{i}", "other"], "auc": 0.5 + i / 1000, "test_photos": i} for i in range(count)]
        score = Score("forensics/floor", "set", "auc", 0.5, 0.4, 0.6, 100, 0.5, {"pairs": ["no row", *pairs]})
        return [
            line for line in detection_text(with_outputs((), score), all_tasks()).splitlines() if line.startswith("| s")
        ]

    assert [len(rows(count)) for count in (39, 40, 41)] == [39, 40, 40]
    cells = [[cell.strip() for cell in row.strip("|").split("|")] for row in rows(41)]
    assert (cells[0], cells[-1]) == (["s0 and other", "50.0", "0"], ["s39 and other", "53.9", "39"])


def test_detection__generators_recalls_and_calibration():
    seen = [{"generator": "A", "auc": 0.9, "photos": 5}, {"generator": "B", "auc": 0.8, "photos": 6}]
    unseen = [{**row, "auc_if_trained": row["auc"] + 0.05} for row in seen]
    counts = {"real_photos": 100, "generated_photos": 200}
    recalls = [
        {"false_alarms": 0.01, "recall": 0.5, "low": 0.4, "high": 0.6, **counts},
        {"false_alarms": 0.001, "recall": 0.25, **counts},
    ]

    def of(**details):
        return detection_text(
            with_outputs((), Score("forensics/detect", "s", "auc", 0.9, 0.8, 1.0, 7, 0.5, details)), all_tasks()
        )

    def table(text):
        return [[cell.strip() for cell in line.strip("|").split("|")] for line in text.splitlines() if line[:1] == "|"]

    head, _, *rows = table(of(by_generator=seen))
    assert (head, rows) == (["generator", "AUC %", "generated photos"], [["A", "90.0", "5"], ["B", "80.0", "6"]])
    head, _, *rows = table(of(by_generator=unseen))
    assert head == ["generator", "AUC %, not in training", "in training", "generated photos"]
    assert rows == [["A", "90.0", "95.0", "5"], ["B", "80.0", "85.0", "6"]]
    head, _, *rows = table(of(recall=recalls))
    assert head == ["false alarms %", "generated photos found %", "95 % interval", "real / generated"]
    assert rows == [["1", "50.0", "40.0 to 60.0", "100 / 200"], ["0.1", "25.0", "-", "100 / 200"]]
    assert of(recall=recalls).startswith("forensics/detect:\n\n| false")
    assert of(calibration_error=0.125, notes=["One.", "\x1b"]) == (
        "forensics/detect: stated probabilities lie 12.5 points from the shares they promise (expected calibration "
        "error, 15 bins, n = 7).\n\nforensics/detect: One.\n\nforensics/detect: \\x1b"
    )
    assert of(recall=[], pairs="none", notes="none", calibration_error="x") == ""


def test_groups__sixty_cells_as_a_table_and_the_index_over_k():
    def of(labels, groups, **more):
        cells = [[10 * i + j for j in range(groups)] for i in range(labels)]
        names = {"labels": [f"l{i}" for i in range(labels)], "groups": [f"g{i}" for i in range(groups)]}
        details = {"cells": cells, "group": "scanner", "observational": "It is so.", **names, **more}
        return groups_text(with_outputs((), Score("probe/scanner", "s", "index", 0.5, 0.4, 0.6, 10, 0.3, details)))

    assert of(6, 10).startswith("**scanner**: It is so.\n\n| photos (clusters) by label and scanner |")
    assert of(6, 11) == "**scanner**: It is so.\n\n6 labels x 11 groups: 0 to 60 photos a cell."
    curve = [{"k": k, "index": k / 100} for k in (61, 46, 31, 21, 11, 5, 3, 2, 1)]
    of_all = "1.0 (k = 1), 3.0 (k = 3), 5.0 (k = 5), 11.0 (k = 11), 21.0 (k = 21), 31.0 (k = 31), 46.0 (k = 46), "
    assert of(1, 1, curve=curve).endswith(f"\n\nIndex over k, in %: {of_all}61.0 (k = 61); chance 30.0.")
    assert "Index" not in of(1, 1, curve=[{"k": 2, "index": 0.5}, {"k": 3, "index": None}])
    pairs = of(1, 2, clusters=[[3, 4]], resampled="slide", notes=["One.", "Two.", "One."])
    assert pairs.endswith(f"| l0{34 * ' '} | 0 (3) | 1 (4) |\n\nOne. Two.")
    assert "| photos (slides) by label and scanner |" in pairs


def test_answers__what_no_option_is_and_groups_of_margins_in_their_order():
    row = {"flips": 0.25, "flips_low": 0.2, "flips_high": 0.3, "right_to_wrong": 0.1, "wrong_to_right": 0.05}
    margins = {
        name: {"questions": n, "flips": 0.5, "low": 0.4, "high": 0.6} for name, n in (("10 to 20", 7), ("5 to 10", 3))
    }
    details = {
        "by_processing": {"web": {**row, "accuracy": 0.7, "margin": -0.125}, "lacking": row},
        **{"questions": 30, "guess_flips": 0.6, "no_option": 0.07, "by_margin": margins},
    }
    score = Score("answers/jpeg", "s", "flips", 0.25, 0.2, 0.3, 900, 0.0, details)
    parts = answers_section(with_outputs((), score)).split("\n\n")
    assert parts[1] == (
        "30 questions about 900 photos. A model that guesses anew each time flips 60.0 %. 7.0 % of the answers are "
        "none of the options, and count as wrong."
    )
    tables = [[[c.strip() for c in line.strip("|").split("|")] for line in part.splitlines()] for part in parts]
    assert [tables[2][0], *tables[2][2:]] == [
        [
            *("processing", "flips %", "right to wrong %", "wrong to right %", "accuracy %", "change, points"),
            *("p (Holm)", "margin shift, points"),
        ],
        ["web", "25.0 (20.0 to 30.0)", "10.0", "5.0", "70.0", "-", "-", "-12.5"],
    ]
    assert parts[3] == "Flips by margin, the lead of the first option over the second on the unprocessed photo:"
    assert [tables[4][0], *tables[4][2:]] == [
        ["margin, points", "questions", "answers/jpeg flips %"],
        ["5 to 10", "3", "50.0 (40.0 to 60.0)"],
        ["10 to 20", "7", "50.0 (40.0 to 60.0)"],
    ]
    assert len(parts) == 5
    one = {
        "by_processing": {"web": {**row, "accuracy": 0.7}},
        "questions": 30,
        "guess_flips": 0.6,
        "noise": {"png": row},
    }
    plain = answers_section(with_outputs((), Score("answers/jpeg", "s", "flips", 0.25, 0.2, 0.3, 900, 0.0, one)))
    assert "none of the options" not in plain
    assert "noise floor" not in plain  # its row lacks the accuracy
    assert "margin" not in plain.split("\n\n")[2]


@pytest.mark.parametrize("tied_first", [False, True])
def test_report__the_rule_for_ties_is_that_of_a_score_with_ties(tied_first):
    tied = neighbours("all-same", 0.6, 0.5, 0.7, 0.6)
    tied = dataclasses.replace(tied, details={**tied.details, "tie_rule": "random"})
    plain = probe("jpeg", shares(0.6))
    other = dataclasses.replace(plain, task="probe/sharpening", details={**plain.details, "tie_rule": "nearest"})
    scores = (tied, plain, other) if tied_first else (plain, other, tied)
    note = report_text([result(*scores)], all_tasks()).partition("### Tied votes\n\n")[2].split("\n\n")[1]
    assert "; the scores above are these expectations. Shown where" in note
