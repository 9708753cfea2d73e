"""Parts of figures that few results have: an odd number of panels, metrics of one task, maps of some questions."""

import dataclasses

import pytest

from benchmark.judgement import choose_outputs
from benchmark.report import figure, summary_figure
from benchmark.report.course import course_figure, courses
from benchmark.report.layers import region_maps
from benchmark.report.paper import _label, _short
from benchmark.results import Result, Score, interval, percent
from benchmark.tasks import all_tasks
from tests.benchmark.report.test_course import TRAINING
from tests.benchmark.report.test_recorded_figures import FINAL, layered, regions, with_outputs


@pytest.mark.parametrize(
    ("value", "signed", "text"),
    [
        (0.12345, False, "12.3"),
        (0.0, True, "+0.0"),
        (-0.5, False, "-50.0"),
        (-0.0004, True, "-0.0"),
        (1, True, "+100.0"),
    ],
)
def test_percent_and_interval(value, signed, text):
    assert percent(value, signed) == text
    assert interval(value, 0.25, signed) == f"{text} to {'+' if signed else ''}25.0"
    assert (percent(0.5), interval(0.5, 1)) == ("50.0", "50.0 to 100.0")


def test_draw_report__a_file_only_where_there_is_something_to_show(monkeypatch, tmp_path):
    calls = []
    made = [None, "FIGURE"]
    monkeypatch.setattr(figure, "report_figure", lambda *given: calls.append(given) or made[len(calls) - 1])
    monkeypatch.setattr(figure, "write_png", lambda *given: calls.append(given))
    figure.draw_report(["result"], "questions", tmp_path / "a.png")
    assert calls == [(["result"], "questions")]
    figure.draw_report(["result"], "questions", tmp_path / "a.png")
    assert calls[1:] == [(["result"], "questions"), ("FIGURE", tmp_path / "a.png")]


def test_course_figure__an_odd_number_of_panels_leaves_one_empty():
    more = [
        dataclasses.replace(
            result, scores=(*result.scores, dataclasses.replace(result.scores[0], task="probe/sharpening"))
        )
        for result in TRAINING
    ]
    drawn = course_figure(courses(more), all_tasks())
    assert [axes.axison for axes in drawn.axes] == [True, True, True, False]
    assert list(drawn.get_size_inches()) == pytest.approx([11.2, 6.4])
    plain = [dataclasses.replace(result, scores=result.scores[3:]) for result in TRAINING]
    [alone] = course_figure(courses(plain), all_tasks()).axes
    assert alone.get_legend_handles_labels()[1] == ["knn/original", "chance 10.0"]
    assert list(course_figure(courses(plain), all_tasks()).get_size_inches()) == pytest.approx([5.6, 3.2])
    assert course_figure([], all_tasks()) is None


def test_region_maps__of_the_questions_that_regions_were_scored_on():
    others = dataclasses.replace(layered(1, ["mean"], 0.2, "probe/sharpening")[0])
    made = with_outputs([*regions(2), others], *FINAL)
    assert [(m.task, m.metric.name, m.layer, m.kind, m.single) for m in region_maps(made, all_tasks())] == [
        ("probe/jpeg", "accuracy", 0, "block", False),
        ("knn/original", "accuracy", 0, "block", False),
    ]


def test_choose_outputs__a_trace_that_no_output_was_scored_on_is_no_choice():
    outputs = layered(2, ["mean"], 0.2, "probe/sharpening")
    only_plain = [dataclasses.replace(o, scores=o.scores[1:]) for o in outputs[:1]]
    jpeg, plain = FINAL
    sharpening = dataclasses.replace(jpeg, task="probe/sharpening")
    of_both = with_outputs(
        [*only_plain, dataclasses.replace(outputs[1], scores=outputs[1].scores[:1])], sharpening, plain
    )
    assert choose_outputs(of_both, all_tasks()) == []
    [choice] = choose_outputs(with_outputs(outputs, jpeg, sharpening, plain), all_tasks())
    assert (choice.task, choice.outputs, choice.family) == ("probe/sharpening", 2, 2)
    assert choose_outputs(with_outputs(outputs, jpeg, sharpening), all_tasks()) == []


def test_summary_figure__labels_of_metrics_and_data_sets():
    questions = all_tasks()
    keys = [
        ("knn/adversary", "worst", "a"),
        ("knn/adversary", "average", "a"),
        ("probe/jpeg", "accuracy", "a"),
        ("probe/jpeg", "accuracy", "b" * 30),
        ("zzz/new", "rate", "a"),
    ]
    labels = [_label(key, keys, questions) for key in keys]
    titles = {m.name: m.title for m in questions["knn/adversary"].metrics}
    joined = [label.replace("\n", " ") for label in labels]
    assert joined[0] == f"{questions['knn/adversary'].title}, {titles['worst']}"
    assert joined[1] == f"{questions['knn/adversary'].title}, {titles['average']}"
    assert labels[2:] == ["JPEG\na", f"JPEG\n...{'b' * 18}", "zzz/new"]
    assert max(len(line) for label in labels for line in label.splitlines()) <= 24
    assert [_short("a" * n, 22) for n in (22, 23)] == ["a" * 22, f"...{'a' * 18}"]


def test_summary_figure__of_named_tasks_has_all_their_main_metrics():
    numbers = {"all-same": 0.7, "uniform": 0.6, "spd": 0.02}
    scores = tuple(Score("knn/jpeg", "toy", m, v, v - 0.01, v + 0.01, 100, 0.1) for m, v in numbers.items())
    made = Result({"id": "a"}, {"name": "toy"}, {}, scores, (), {}, "")
    drawn = summary_figure([made], all_tasks(), ["knn/*"])
    labels = [[label.get_text() for label in axes.get_yticklabels()] for axes in drawn.axes]
    mains = [m for m in all_tasks()["knn/jpeg"].metrics if m.main and m.name in numbers]
    assert sum(map(len, labels)) == len(mains)
    assert summary_figure([made], all_tasks(), ["probe/*"]) is None
