"""The picture of a result, read back from its axes."""

import pytest

from benchmark.results.figure import report_figure
from benchmark.results.schema import Score
from benchmark.tasks import all_tasks
from tests.benchmark.results.test_report import RIGHT_OR_WRONG, probe, result, shares


def neighbours(value, chance=0.05):
    """The set-ups of one kNN task, all of one accuracy, and their difference."""
    names = ("all-same", "all-diff", "pos-same", "neg-same", "uniform", "uniform-test")
    scores = [Score("knn/jpeg", "toy", m, value, value - 0.03, value + 0.03, 300, chance) for m in names]
    return [*scores, Score("knn/jpeg", "toy", "spd", 0.02, -0.01, 0.05, 300, 0.0)]


def panels(*scores):
    return [ax for ax in report_figure([result(*scores)], all_tasks()).axes if ax.get_title(loc="left")]


def test_report_figure__points_that_fall_together_have_a_line_and_an_interval_each():
    (ax,) = panels(*neighbours(0.86))
    points = {c.get_label(): c for c in ax.containers}
    assert len(points) == 6
    heights = [c.lines[0].get_ydata()[0] for c in points.values()]
    assert len(set(heights)) == 6
    assert max(abs(y) for y in heights) < 0.5
    for c in points.values():
        (ends,) = c.lines[2][0].get_segments()
        assert ends[:, 0] == pytest.approx([83, 89])
    assert [t.get_text() for t in ax.get_yticklabels()] == ["jpeg\nspd +2.0\n(-1.0 to +5.0)"]


@pytest.mark.parametrize(
    ("value", "chance", "begins", "said"),
    [
        (0.86, 0.05, 82, "the axis begins at 82, not at 0; chance, 5.0 %, lies outside it"),
        (0.2, 0.19, 16, "the axis begins at 16, not at 0"),
        (0.06, 0.05, 0, ""),
    ],
)
def test_report_figure__an_axis_that_is_zoomed_says_so_and_chance_is_drawn_within(value, chance, begins, said):
    (ax,) = panels(*neighbours(value, chance))
    assert ax.get_xlim()[0] == begins
    assert ax.get_xlabel().partition("\n")[2] == said
    drawn = [line for line in ax.lines if line.get_label() == "chance"]
    assert [line.get_xdata()[0] for line in drawn] == ([] if "outside" in said else [pytest.approx(100 * chance)])


def test_report_figure__a_weak_trace_none_and_a_strong_one_look_different():
    (ax,) = panels(
        probe("jpeg", RIGHT_OR_WRONG), probe("sharpening", shares(0.6), 1 / 3), probe("resizing", shares(0.17))
    )
    assert [t.get_text() for t in ax.texts] == ["17.0 (not above chance)", "60.0", "17.0 (weak)"]
    faces = [c.lines[0].get_markerfacecolor() for c in ax.containers if hasattr(c, "lines")]
    assert faces[0] == "white"
    assert "white" not in faces[1:]
    labels = [t.get_text() for t in ax.get_legend().get_texts()]
    assert {"not told from chance, 95 % interval", "above chance", "chance"} <= set(labels)


def test_report_figure__chance_of_unbalanced_classes_is_the_most_frequent_class():
    (ax,) = panels(probe("flash", shares(0.9), 0.5, most_frequent_class=0.8))
    (chance,) = [line.get_xdata()[0] for line in ax.lines if line.get_label() == "chance"]
    assert chance == pytest.approx(80)
