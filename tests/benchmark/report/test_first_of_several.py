"""What a report takes from the first of several scores that differ, and numbers that are 0: shown, and not left out."""

import pytest
from matplotlib.figure import Figure

from benchmark.report import report_text
from benchmark.report.answers import answers_section, draw_flips
from benchmark.results import Result, Score
from benchmark.tasks import all_tasks
from tests.benchmark.report.test_text import result


def with_outputs(outputs, *scores):
    return Result(
        {"id": "toy", "dimension": 8}, {"name": "set", "photos": {}}, {}, scores, (), {}, "", outputs=tuple(outputs)
    )


FLIPS = {
    "flips": 0.25,
    "flips_low": 0.2,
    "flips_high": 0.32,
    "right_to_wrong": 0.15,
    "wrong_to_right": 0.06,
    "accuracy": 0.7,
}
FEW = {**FLIPS, "flips": 0.02, "flips_low": 0.0, "flips_high": 0.03, "right_to_wrong": 0.01, "wrong_to_right": 0.0}


def set_ups(order):
    """Two metrics of a kNN task, of which no number is equal."""
    made = [
        Score("knn/jpeg", "toy", "all-same", 0.5, 0.4, 0.6, 311, 0.07, {"k": 5}),
        Score("knn/jpeg", "toy", "uniform", 0.45, 0.35, 0.55, 322, 0.09, {"k": 8}),
    ]
    return [made[i] for i in order]


@pytest.mark.parametrize(
    ("order", "header", "notes"),
    [((0, 1), "(k = 5)", "Chance 7.0 %, 311 queries. "), ((1, 0), "(k = 8)", "Chance 9.0 %, 322 queries. ")],
)
def test_report__k_chance_and_queries_of_the_first_set_up(order, header, notes):
    text = report_text([result(*set_ups(order))], all_tasks())
    assert f"{all_tasks()['knn/jpeg'].family.header} {header} |" in text
    assert notes in text


@pytest.mark.parametrize("order", [(0, 1), (1, 0)])
def test_answers__questions_guesses_and_photos_of_the_first_task(order):
    both = [
        Score("answers/jpeg", "set", "flips", 0.25, 0.2, 0.3, 1234, 0.0,
              {"by_processing": {"web": FLIPS}, "questions": 3000, "guess_flips": 0.6}),
        Score("answers/resizing", "set", "flips", 0.25, 0.2, 0.3, 777, 0.0,
              {"by_processing": {"web": FEW, "x": FEW}, "questions": 40, "guess_flips": 0.5}),
    ]  # fmt: skip
    scores = [both[i] for i in order]
    parts = answers_section(with_outputs((), *scores)).split("\n\n")
    questions, photos, guess = [(3000, 1234, 60.0), (40, 777, 50.0)][order[0]]
    assert parts[1] == (
        f"{questions} questions about {photos} photos. A model that guesses anew each time flips {guess} %."
    )
    shown = {"web": [FLIPS, FEW][order[0]], "x": FEW}  # of a processing of several tasks the first one's row
    rows = [[cell.strip() for cell in line.strip("|").split("|")] for line in parts[2].splitlines()[2:]]
    assert {row[0]: row[1].split()[0] for row in rows} == {
        name: f"{100 * row['flips']:.1f}" for name, row in shown.items()
    }
    ax = Figure().add_subplot()
    draw_flips(ax, scores)
    assert ax.get_title(loc="left").endswith(f", n = {photos:,}")
