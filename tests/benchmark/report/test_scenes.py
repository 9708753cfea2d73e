"""Scenes that several groups show, in a report: sentences, recall by what differs, the matrix and its picture."""

from __future__ import annotations

import dataclasses
from typing import Any

import pytest

from benchmark.judgement import cosine_text, pairs_text
from benchmark.report.scenes import draw_matrix, scenes_text
from benchmark.results import Result, Score
from benchmark.results.check import check_forms
from benchmark.tasks import all_tasks

TASK = "retrieval/pairs"


def matrix_of(groups: int, value: float = 0.6, chance: float = 0.02) -> dict[str, Any]:
    """A matrix whose recall rises with the number of the query's group."""

    def table(of: Any) -> list[list[float | None]]:
        return [[None if i == j else of(i, j) for j in range(groups)] for i in range(groups)]

    recall = table(lambda i, j: round(value + 0.01 * i, 4))
    return {
        "groups": [f"scanner {i // 2}, staining {i % 2}" for i in range(groups)],
        "attributes": {
            "scanner": [f"scanner {i // 2}" for i in range(groups)],
            "staining": [f"staining {i % 2}" for i in range(groups)],
        },
        "recall": {"1": recall, "10": table(lambda i, j: 0.9)},
        "low": table(lambda i, j: round(value + 0.01 * i - 0.05, 4)),
        "high": table(lambda i, j: round(value + 0.01 * i + 0.05, 4)),
        "n": [[0 if i == j else 300 for j in range(groups)] for i in range(groups)],
        "chance": table(lambda i, j: chance),
        "cosine": table(lambda i, j: 0.8),
        "cosine_apart": table(lambda i, j: 0.7),
    }


def result_of(count: int = 4, value: float = 0.6, **matrix: Any) -> Result:
    details = {"pairs": 6, "distractors": "both", "photos_left_out": 3, "unit": "scene", "units": 300}
    whole = {**details, "group_matrix": {**matrix_of(count, value), **matrix}}
    ends = (value, max(0.0, value - 0.04), min(1.0, value + 0.04), 300, 0.02)
    scores = (
        Score(TASK, "set", "at-1", *ends, whole),
        Score(TASK, "set", "at-10", 0.9, 0.85, 0.95, 300, 0.2, details),
        Score(TASK, "set", "cosine", 0.8, 0.79, 0.81, 300, 0.7, details),
        Score(TASK, "set", "other-scanner-at-1", 0.7, 0.65, 0.75, 300, 0.02, {**details, "pairs": 2}),
    )
    made = Result({"id": "x"}, {"name": "set"}, {}, scores, (), {}, "2026-01-01T00:00:00+00:00")
    check_forms(made)
    return made


def test_scenes_text__every_number_in_its_place() -> None:
    text = scenes_text(result_of())
    assert "recall@1 is 60.0 % (56.0 to 64.0), chance 2.0 %, median over 6 pairs of groups." in text
    assert "Of 12 directions between two groups, decided together, 12 are above chance, 0 hardly, 0 undecided" in text
    assert "from 60.0 % (scanner 0, staining 0 to scanner 0, staining 1) to 63.0 % (scanner 1, staining 1 to" in text
    rows = [[cell.strip() for cell in line.split("|")[1:-1]] for line in text.splitlines() if line.startswith("|")]
    assert rows[2] == ["all pairs", "6", "60.0 (56.0 to 64.0)", "90.0 (85.0 to 95.0)", "2.0", "0.800 (0.700)"]
    assert rows[3][:3] == ["other scanner", "2", "70.0 (65.0 to 75.0)"]
    assert rows[6] == ["scanner 0, staining 0", "-", *["60.0 (55.0 to 65.0)"] * 3]
    assert "n = 300 scenes a cell" in text
    assert "3 photos have no partner" in text
    assert cosine_text(0.8, 0.7) in text


def test_scenes_text__a_large_matrix_is_a_picture_only() -> None:
    assert "The matrix of 9 groups is in the figure" in scenes_text(result_of(9))
    assert scenes_text(dataclasses.replace(result_of(), scores=())) == ""


@pytest.mark.parametrize(
    ("value", "words"),
    [
        (0.6, "are found in other groups more often"),
        (0.021, "hardly more often"),
        (0.05, "Whether photos of one scene"),
    ],
)
def test_pairs_text__is_the_judges_answer(value: float, words: str) -> None:
    [score] = [s for s in result_of(value=value).scores if s.metric == "at-1"]
    near = dataclasses.replace(score, low=max(0.0, value - 0.015), high=value + 0.015)
    assert words in pairs_text(score if value > 0.04 else near)


@pytest.mark.parametrize(
    ("field", "content"),
    [
        ("groups", ["one"]),
        ("groups", ["a", "b", "c", 4]),
        ("attributes", {}),
        ("attributes", {"scanner": ["a"]}),
        ("recall", {"10": [[0.1] * 4] * 4}),
        ("low", [[0.1] * 4] * 3),
        ("n", [[0.1] * 3] * 4),
        ("cosine", [["x"] * 4] * 4),
        ("chance", None),
    ],
)
def test_check_forms__refuses_a_matrix_of_another_form(field: str, content: object) -> None:
    with pytest.raises(ValueError, match="group_matrix"):
        result_of(**{field: content})


@pytest.mark.parametrize("groups", [4, 20, 40])
def test_draw_matrix__each_cell_and_label(groups: int) -> None:
    from matplotlib.figure import Figure

    matrix = matrix_of(groups)
    ax = Figure().subplots()
    draw_matrix(ax, matrix, "recall")
    values = ax.images[0].get_array()
    assert values[2, 1] == pytest.approx(62.0)
    assert values.mask.sum() == groups
    assert ax.images[0].get_clim() == (0, 100)
    written = [text.get_text() for text in ax.texts]
    assert written == ([f"{60 + i}" for i in range(4) for _ in range(3)] if groups == 4 else [])
    labels = [label.get_text() for label in ax.get_yticklabels()]
    assert len(labels) == (groups if groups <= 30 else 20)
    assert labels[1] == ("scanner 0, stainin\u2026"[:17] + "\u2026" if groups <= 30 else "scanner 1")
    assert "n = 300" in ax.get_title(loc="left")
    assert "chance 2 %" in ax.get_xlabel()


def test_report_figure__has_both_matrices() -> None:
    from benchmark.report import report_figure

    figure = report_figure([result_of()], all_tasks())
    titles = [ax.get_title(loc="left") for ax in figure.axes]
    assert any("Recall@1 of the scene" in title for title in titles)
    assert any("Mean cosine of one scene" in title for title in titles)


@pytest.mark.parametrize(
    ("chances", "words"),
    [
        ([0.01, 0.02, 0.5], "; chance 2 %"),
        ([0.1, 0.2, 0.3, 0.9], "; chance 25 %"),
        ([0.0123], "; chance 1.2 %"),
        ([], ""),
    ],
)
def test_draw_matrix__the_chance_of_a_typical_pair(chances: list[float], words: str) -> None:
    from matplotlib.figure import Figure

    table: list[list[float | None]] = [[None] * 4 for _ in range(4)]
    for at, chance in enumerate(chances):
        table[at][(at + 1) % 4] = chance
    for what in ("recall", "cosine"):
        ax = Figure().subplots()
        draw_matrix(ax, matrix_of(4) | {"chance": table}, what)
        assert ax.get_xlabel() == f"group of the target{words if what == 'recall' else ''}"
