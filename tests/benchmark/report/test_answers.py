"""Answers in reports: tables, sentences of judgement, the figure, and rows of untrusted results."""

import dataclasses

import numpy as np
import pytest

from benchmark.judgement import answer_moves, answer_texts, conclude
from benchmark.report import report_text
from benchmark.report.answers import answer_panels, answers_section, draw_flips
from benchmark.results import Score
from benchmark.stats import holm
from benchmark.tasks import all_tasks
from tests.support.planted_answers import answering, photo_set
from tests.support.scoring import score_tasks

MARGINS = np.tile([0.05, 0.6, 1.5, 2.5], 50)


@pytest.fixture(scope="module")
def result(tmp_path_factory):
    """Sharpening by 4 turns a quarter of 200 answers wrong, by 2 none; half size turns two right answers."""
    views = {
        "original": MARGINS,
        "jpeg-q95-444": MARGINS,
        "sharpening-x2": MARGINS + 1e-3,
        "sharpening-x4": MARGINS - 0.1,
        "resizing-x0.5": np.where(np.arange(200) < 2, -1, MARGINS),
        "resizing-x2": MARGINS,
        "png": MARGINS,
        "other-precision": MARGINS,
    }
    moved = {name: np.where(MARGINS < 0.1, 0.3, 0.1) + np.arange(200) * 1e-4 for name in list(views)[1:6]}
    folder = tmp_path_factory.mktemp("answers")
    encoder = answering(photo_set(200), views, moved=moved)
    return score_tasks(encoder, photo_set(200), ["answers/sharpening", "answers/resizing"], folder).result


def test_moves__holm_over_the_processings_of_all_tasks_each_once(result):
    judged = answer_moves(result)
    assert list(judged["change"]) == ["jpeg-q95-444", "sharpening-x2", "sharpening-x4", "resizing-x0.5", "resizing-x2"]
    raw = [move.p_value for move in judged["change"].values()]
    assert [move.decision.p_value for move in judged["change"].values()] == pytest.approx(holm(raw).tolist())
    assert [name for name, move in judged["change"].items() if move.decision.answer == "yes"] == ["sharpening-x4"]
    assert judged["beyond"]["sharpening-x4"].decision.answer == "yes"
    assert judged["beyond"]["resizing-x0.5"].decision.answer == "undecided"


def test_texts__name_what_is_shown_and_on_which_side(result):
    texts = answer_texts(result)
    assert texts.flips.startswith("Answers flip more than under the noise floor: sharpening-x4 (+25.0 points)")
    assert "falls: sharpening-x4 (-25.0 points)" in texts.accuracy
    assert "after Holm's correction over 5 processings" in texts.rule
    assert "answers/sharpening: photos whose embedding moves more flip more (rank correlation +" in texts.movement[0]


def test_texts__without_a_noise_floor_flips_are_not_judged(tmp_path):
    views = {"original": MARGINS, "sharpening-x4": MARGINS - 0.1}
    scored = score_tasks(answering(photo_set(200), views), photo_set(200), ["answers/sharpening"], tmp_path).result
    assert answer_texts(scored).flips == "No noise floor was measured, so flips are not judged."
    answers = conclude([scored], all_tasks())
    assert (answers.keeps.title, answers.sure.title) == ("Up to 25.0 % flip", "Not measured")


def test_short_answers__the_noise_floor_is_its_largest_share(result):
    details = next(s.details for s in result.scores if (s.task, s.metric) == ("answers/sharpening", "flips"))
    noisy = dataclasses.replace(
        result,
        scores=tuple(
            dataclasses.replace(
                score,
                details={
                    **score.details,
                    "noise": {**details["noise"], "png": {**details["noise"]["png"], "flips": 0.015}},
                },
            )
            if score.metric == "flips"
            else score
            for score in result.scores
        ),
    )
    sure = conclude([noisy], all_tasks()).sure
    assert (sure.title, sure.text) == (
        "Up to 1.5 % flip without a processing",
        "png 1.5 % and other-precision 0.0 %.",
    )


def test_section__numbers_by_task_processing_noise_and_margin(result):
    text = answers_section(result)
    rows = [[cell.strip() for cell in line.split("|")[1:-1]] for line in text.splitlines() if line.startswith("|")]
    cells = {first: rest for first, *rest in rows}
    assert cells["answers/sharpening"][0].startswith("8.3 (")  # 50 of 600
    assert cells["sharpening-x4"][:4] == [cells["sharpening-x4"][0], "25.0", "0.0", "75.0"]
    assert cells["saved as PNG"][0].startswith("0.0 (0.0 to ")
    assert cells["0 to 10"][0] == "50"
    assert "200 questions about 200 photos. A model that guesses anew each time flips 50.0 %." in text
    assert "### Answers of the model" in report_text([result], all_tasks())


def test_section__columns_of_the_towers_probe_and_spd(result):
    probe = Score("probe/sharpening", "planted", "accuracy", 0.8, 0.7, 0.9, 200, 1 / 3)
    spd = Score("knn/sharpening", "planted", "spd", 0.05, 0.01, 0.09, 200, 0.0)
    text = answers_section(dataclasses.replace(result, scores=(*result.scores, probe, spd)))
    row = next(line for line in text.splitlines() if line.startswith("| answers/sharpening"))
    assert [cell.strip() for cell in row.split("|")[-3:-1]] == ["80.0 (70.0 to 90.0)", "+5.0 (+1.0 to +9.0)"]
    other = next(line for line in text.splitlines() if line.startswith("| answers/resizing"))
    assert [cell.strip() for cell in other.split("|")[-3:-1]] == ["-", "-"]


def test_figure__parts_of_a_bar_add_up_to_its_flips(result):
    from matplotlib.figure import Figure

    axes = Figure().subplots()
    flips = [score for score in result.scores if score.metric == "flips"]
    draw_flips(axes, flips)
    names = [label.get_text() for label in axes.get_yticklabels()]
    widths = dict.fromkeys(range(len(names)), 0.0)
    for bar in axes.patches:
        if bar.get_height() == pytest.approx(0.62):
            widths[round(bar.get_y() + bar.get_height() / 2)] += bar.get_width()
    assert widths[names.index("sharpening-x4")] == pytest.approx(25)
    assert widths[names.index("resizing-x0.5")] == pytest.approx(1)
    assert len(answer_panels(result)) == 1


def test_rows_of_an_untrusted_result_that_lack_numbers_are_left_out(result):
    first = result.scores[0]
    forged = dataclasses.replace(first, details={**first.details, "by_processing": {"x": {"flips": 1.0}}})
    assert answers_section(dataclasses.replace(result, scores=(forged,))) == ""
    assert answer_moves(dataclasses.replace(result, scores=(forged,))) == {}
