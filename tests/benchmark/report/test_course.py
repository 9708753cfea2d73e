"""The course of a training: which results form one, its table and its panels."""

import dataclasses

import numpy as np
import pytest

from benchmark.report import courses, draw_courses, in_step_order, step_of
from benchmark.report.course import course_figure, course_text
from benchmark.results import Result, Score
from benchmark.tasks import all_tasks


def score(task: str, metric: str, value: float, chance: float, n: int = 500) -> Score:
    return Score(task, "set", metric, value, value - 0.02, value + 0.03, n, chance)


def result(id: str, value: float, data: str = "set", content: float | None = 0.9, n: int = 500) -> Result:
    scores = [score("probe/jpeg", "accuracy", value, 0.25, n), score("knn/jpeg", "spd", -value, 0.0)]
    scores += [score("knn/jpeg", "all-same", value, 0.1)]
    scores += [] if content is None else [score("knn/original", "accuracy", content, 0.1)]
    return Result({"id": id}, {"name": data}, {}, tuple(scores), (), {}, "2026-11-20T10:00:00+00:00")


TRAINING = [result("runs/step_20", 0.5), result("runs/step_3", 0.4), result("runs/step_100", 0.75, n=490)]


@pytest.mark.parametrize(
    ("name", "step"),
    [
        ("a/Checkpoint-7", ("a/Checkpoint", 7)),
        ("iter=5/", ("iter", 5)),
        ("iteration5", ("iteration", 5)),
        ("epoch_10.pt", ("epoch", 10)),
        ("step3@0a1b", ("step", 3)),
        ("step-" + "1" * 15, ("step", int("1" * 15))),
        ("step-" + "1" * 16, None),
        ("steps-3", None),
        ("3", None),
        ("step-3-final", None),
    ],
)
def test_step_of(name, step):
    assert step_of(name) == step


def test_in_step_order__names_without_a_step_keep_their_positions():
    assert in_step_order(["x", "step_10", "step_9", "y", "epoch_2", "step_1"]) == [
        *("x", "step_1", "step_9", "y", "epoch_2", "step_10"),
    ]


def test_courses__two_steps_of_one_training_on_one_set():
    (course,) = courses([*TRAINING, result("runs/step_3", 0.4, data="other"), result("timm:resnet50", 0.1)])
    assert (course.name, course.data, [step for step, _ in course.results]) == ("runs/step", "set", [3, 20, 100])
    assert [(step, s.value) for step, s in course.scores("probe/jpeg", "accuracy")] == [
        (3, 0.4),
        (20, 0.5),
        (100, 0.75),
    ]
    assert course.scores("probe/jpeg", "spd") == []
    assert courses(TRAINING[:1]) == []
    assert courses([*TRAINING, result("runs/step_20", 0.6)]) == []  # two trainings under one name


def test_course_text__a_row_for_each_step():
    training = [*TRAINING, result("runs/step_7", 0.6, content=None)]
    (course,) = courses(training)
    lines = course_text(course, all_tasks()).splitlines()
    assert lines[0] == "## runs/step on set, by step"
    table = [[cell.strip() for cell in line.split("|")[1:-1]] for line in lines if line.startswith("|")]
    header, rows = table[0], table[2:]
    assert header[0] == "step"
    assert [title.rpartition(", ")[2] for title in header[1:]] == ["%"] * 3
    assert [row[0] for row in rows] == ["3", "7", "20", "100"]
    columns = dict(zip(header, zip(*rows, strict=True), strict=True))
    spd, probe, plain = (next(c for c in header if word in c) for word in ("knn/jpeg", "probe/jpeg", "knn/original"))
    assert columns[probe][3] == "75.0 (73.0 to 78.0)"
    assert columns[spd][3] == "-75.0 (-77.0 to -72.0)"
    assert columns[plain] == ("90.0 (88.0 to 93.0)", "", *["90.0 (88.0 to 93.0)"] * 2)


def panels(trainings):
    return [ax for ax in course_figure(trainings, all_tasks()).axes if ax.axison]


def test_course_figure__a_panel_for_each_trace_with_content_in_it(tmp_path):
    (course,) = courses(TRAINING)
    first, second = panels([course])
    probe = first if first.get_ylabel() == "%" else second
    spd = second if probe is first else first
    for ax, values, chance in ((probe, [40, 50, 75], 25.0), (spd, [-40, -50, -75], 0.0)):
        labels = {line.get_label(): line for line in ax.lines}
        (curve,) = [line for label, line in labels.items() if label.startswith(("knn/jpeg", "probe/jpeg"))]
        np.testing.assert_allclose(curve.get_xydata(), np.c_[[3, 20, 100], values])
        assert set(labels[f"chance {chance:.1f}"].get_ydata()) == {chance}
        assert "plain kNN accuracy, %" in labels
        (content,) = [line for line in ax.lines if line.get_linestyle() == ":" and len(line.get_xdata())]
        np.testing.assert_allclose(content.get_xydata(), np.c_[[3, 20, 100], [90, 90, 90]])
        (band,) = ax.collections
        heights = band.get_paths()[0].vertices[:, 1]
        assert (round(heights.min()), round(heights.max())) == (min(values) - 2, max(values) + 3)
    assert probe.get_title(loc="left") == "runs/step on set, n = 490 or 500"
    assert spd.get_ylabel() == "points"
    draw_courses([course], all_tasks(), tmp_path / "course.png")
    assert (tmp_path / "course.png").read_bytes()[:4] == b"\x89PNG"


def test_course_figure__content_alone_has_a_panel_and_nothing_has_none(tmp_path):
    plain = [
        Result({"id": f"step_{i}"}, {"name": "set"}, {}, (score("knn/original", "accuracy", 0.5, 0.1),), (), {}, "")
        for i in (1, 2)
    ]
    (panel,) = panels(courses(plain))
    assert panel.get_ylabel() == "%"
    assert [line.get_linestyle() for line in panel.lines if len(line.get_xdata())] == ["-", "--"]
    assert course_figure([], all_tasks()) is None
    draw_courses([], all_tasks(), tmp_path / "course.png")
    assert not (tmp_path / "course.png").exists()
    three = [*courses(TRAINING), *courses(plain)]
    assert len(panels(three)) == 2  # content has a panel only where there is nothing else
    odd = courses([result(f"a/step_{i}", 0.5, content=None) for i in (1, 2)]) + courses(TRAINING)
    assert len(panels(odd)) == 4


def test_course__metrics_that_two_steps_have():
    """A metric of one step is no course: it has neither a column nor a panel; nor has one that is not main."""
    more = [
        ("probe/sharpening", "accuracy", (0,)),
        ("probe/resizing", "accuracy", (0, 2)),
        ("probe/jpeg", "accuracy-knn", (0, 1, 2)),
        ("mine/unknown", "accuracy", (0, 1, 2)),
    ]
    made = [
        dataclasses.replace(
            one, scores=(*one.scores, *(score(task, metric, 0.6, 0.2) for task, metric, steps in more if at in steps))
        )
        for at, one in enumerate(TRAINING)
    ]
    (course,) = courses(made)
    header = course_text(course, all_tasks()).splitlines()[2]
    columns = ["step", "probe/jpeg, %", "probe/resizing, %", "knn/original, %", "knn/jpeg spd, %"]
    assert sorted(cell.strip() for cell in header.strip("|").split("|")) == sorted(columns)
    labels = [ax.get_legend_handles_labels()[1][-2] for ax in panels([course])]
    assert sorted(labels) == ["knn/jpeg spd", "probe/jpeg", "probe/resizing"]
