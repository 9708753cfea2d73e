"""``report_figure``, read back from its axes."""

import dataclasses
import io

import numpy as np
import pytest
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from benchmark.report import report_figure, write_png
from benchmark.results import Score
from benchmark.tasks import all_tasks
from tests.benchmark.report.test_text import RIGHT_OR_WRONG, curve, probe, result, shares


def neighbours(value, chance=0.05):
    """The set-ups of one kNN task, all of one accuracy, and their difference."""
    names = ("all-same", "all-diff", "pos-same", "neg-same", "uniform", "uniform-test")
    scores = [Score("knn/jpeg", "toy", m, value, value - 0.03, value + 0.03, 300, chance) for m in names]
    return [*scores, Score("knn/jpeg", "toy", "spd", 0.02, -0.01, 0.05, 300, 0.0)]


def panels(*scores):
    return [ax for ax in report_figure([result(*scores)], all_tasks()).axes if ax.get_title(loc="left")]


def test_report_figure__equal_scores_have_a_line_and_an_interval_each():
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
    ("value", "chance", "begins", "note"),
    [
        (0.86, 0.05, 82, "the axis begins at 82, not at 0; chance, 5.0 %, lies outside it"),
        (0.2, 0.19, 16, "the axis begins at 16, not at 0"),
        (0.06, 0.05, 0, ""),
    ],
)
def test_report_figure__a_zoomed_axis_is_noted_and_chance_is_drawn_within(value, chance, begins, note):
    (ax,) = panels(*neighbours(value, chance))
    assert ax.get_xlim()[0] == begins
    assert ax.get_xlabel().partition("\n")[2] == note
    drawn = [line for line in ax.lines if line.get_label() == "chance"]
    assert [line.get_xdata()[0] for line in drawn] == ([] if "outside" in note else [pytest.approx(100 * chance)])
    assert [t.get_text() for t in ax.texts] == (["\u25c2 chance"] if "outside" in note else [])


def test_report_figure__controls_and_parts_of_the_train_photos_have_separate_lanes_and_intervals():
    controls = {name: {"accuracy": 0.6, "low": 0.55, "high": 0.65} for name in ("whole", "complement", "metadata")}
    (ax,) = panels(probe("make", shares(0.6), controls=controls, learning_curve=curve(0.6, 0.6, 0.6, 0.6)))
    points = [c for c in ax.containers if hasattr(c, "lines")]
    heights = [c.lines[0].get_ydata()[0] for c in points]
    assert heights == sorted(set(heights))
    assert len(points) == 1 + 3 + 3
    ends = [c.lines[2][0].get_segments()[0][:, 0] for c in points]
    assert all(np.allclose(e, [55, 65]) for e in ends[1:4])
    assert all(np.allclose(e, [58, 62]) for e in ends[4:])
    texts = [t.get_text() for t in ax.get_legend().get_texts()]
    assert {"whole picture", "border hidden", "other labels only", "1/2, 1/4, 1/8 of the train photos"} <= set(texts)
    assert [t.get_text() for t in ax.texts] == ["60.0"]
    assert [t.get_text() for t in ax.get_yticklabels()] == ["make\n300 photos"]


def test_report_figure__two_data_sets_with_long_names_cut_no_title():
    name = f"hub:some-organisation/a-data-set-with-a-very-long-name{'-of-Many-Photos' * 8}"
    scores = [probe("jpeg", shares(0.6), learning_curve=curve(0.4, 0.6)), *neighbours(0.86)]
    short = result(*scores, assignment_seeds=10, preset="iccv2025")
    long = dataclasses.replace(
        short, data={**short.data, "name": name}, scores=tuple(dataclasses.replace(s, data=name) for s in scores)
    )
    figure = report_figure([long, short], all_tasks())
    canvas = FigureCanvasAgg(figure)
    canvas.draw()
    whole, renderer = figure.bbox, canvas.get_renderer()
    (heading,) = (t for t in figure.texts if "some-organisation" in t.get_text())
    assert "Preset iccv2025; 10 assignments." in heading.get_text()
    titles = [ax.title if ax.title.get_text() else ax._left_title for ax in figure.axes]
    boxes = [t.get_window_extent(renderer) for t in (heading, *titles)]
    assert all(b.x0 >= whole.x0 and b.x1 <= whole.x1 and b.y1 <= whole.y1 for b in boxes)
    assert not boxes[1].overlaps(boxes[2])
    assert not any(boxes[0].overlaps(b) for b in boxes[1:])


def test_report_figure__pairs_show_what_a_guess_gets():
    scores = [Score("retrieval/pairs", "toy", m, 0.6, 0.5, 0.7, 100, 0.01) for m in ("same", "different")]
    (ax,) = panels(*scores)
    lines = [line for line in ax.lines if line.get_color() == "#D55E00"]
    assert [list(line.get_xdata()) for line in lines] == [[1, 1], [0, 1]]
    assert [list(line.get_ydata()) for line in lines] == [[0, 1], [1, 1]]
    assert "chance, 1.0 %" in [t.get_text() for t in ax.get_legend().get_texts()]


def test_report_figure__chance_of_unbalanced_classes_is_the_most_frequent_class():
    (ax,) = panels(probe("flash", shares(0.9), 0.5, most_frequent_class=0.8))
    (chance,) = [line.get_xdata()[0] for line in ax.lines if line.get_label() == "chance"]
    assert chance == pytest.approx(80)


def test_write_png__the_bytes_of_savefig_by_one_drawing(tmp_path, monkeypatch):
    def figure():
        pairs = [dataclasses.replace(s, task="retrieval/pairs", metric=m) for s, m in
                 zip(neighbours(0.5), ("same", "different", "all"), strict=False)]  # fmt: skip
        return report_figure([result(*neighbours(0.86), probe("jpeg", RIGHT_OR_WRONG), *pairs)], all_tasks())

    usual = io.BytesIO()
    figure().savefig(usual, format="png", dpi=130, facecolor="white")
    drawn, draw = [], Figure.draw
    monkeypatch.setattr(Figure, "draw", lambda self, renderer: (drawn.append(self), draw(self, renderer)))
    write_png(figure(), tmp_path / "report.png")
    assert (tmp_path / "report.png").read_bytes() == usual.getvalue()
    assert len(drawn) == 1
