"""The figure for papers: one column, every encoder in every row, values on one scale, vector formats."""

import re
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from matplotlib.backends.backend_agg import FigureCanvasAgg

from benchmark.report import checked_format, summary_figure, write_figure
from benchmark.results import Result, Score
from benchmark.tasks import all_tasks
from builders.errors import UsageError


def result(encoder, *scores, data="toy"):
    made = tuple(Score(task, data, metric, *numbers, 100, chance) for task, metric, numbers, chance in scores)
    return Result({"id": encoder}, {"name": data}, {}, made, (), {}, "2026-11-20T10:00:00+00:00")


TRACE = ("probe/jpeg", "accuracy", (0.6, 0.5, 0.7), 0.2)
MOVED = ("knn/jpeg", "spd", (0.02, 0.01, 0.03), 0.0)
PLAIN = ("knn/original", "accuracy", (0.55, 0.4, 0.7), 0.1)


def drawn(axes):
    """Values and ends of the marks of a panel."""
    values = [float(line.get_xdata()[0]) for line in axes.lines if len(line.get_xdata()) == 1]
    ends = [tuple(map(float, line.get_xdata())) for line in axes.lines if line.get_linewidth() == 0.9]
    return values, ends


def test_figure__scale_is_the_way_from_chance_to_always_right():
    figure = summary_figure([result("a", TRACE, MOVED, PLAIN)], all_tasks())
    share, points = figure.axes
    values, ends = drawn(share)
    assert values == pytest.approx([0.5])  # (0.6 - 0.2) / 0.8
    assert 0.37 < ends[0][0] < 0.5 < ends[0][1] < 0.63
    values, ends = drawn(points)
    assert values == pytest.approx([2.0])
    assert ends[0] == pytest.approx((1.0, 3.0))
    named = summary_figure([result("a", TRACE, MOVED, PLAIN)], all_tasks(), ["knn/original"])
    assert drawn(named.axes[0])[0] == pytest.approx([0.5])
    alone = summary_figure([result("a", PLAIN)], all_tasks())  # no trace, no difference: what there is
    assert drawn(alone.axes[0])[0] == pytest.approx([0.5])
    assert summary_figure([result("a")], all_tasks()) is None


def test_figure__encoders_and_data_sets_have_marks_and_rows_of_their_own():
    results = [result(f"encoder-{i}", TRACE) for i in range(9)] + [result("encoder-0", TRACE, data="other")]
    figure = summary_figure(results, all_tasks())
    (axes,) = figure.axes
    assert [label.get_text() for label in axes.get_yticklabels()] == ["JPEG\ntoy", "JPEG\nother"]
    marks = {(line.get_marker(), line.get_color()) for line in figure.legends[0].get_lines()[:9]}
    assert len(marks) == 9
    heights = [float(line.get_ydata()[0]) for line in axes.lines if len(line.get_xdata()) == 1]
    assert len(set(heights)) == len(heights) == 10
    assert min(np.diff(sorted(heights))) > 0.05


@pytest.mark.parametrize(("count", "heights"), [(1, [0.0]), (2, [-0.155, 0.155]), (3, [-0.62 / 3, 0.0, 0.62 / 3])])
def test_figure__marks_of_a_row_share_62_hundredths_of_its_height(count, heights):
    (axes,) = summary_figure([result(f"encoder-{i}", TRACE) for i in range(count)], all_tasks()).axes
    drawn_at = [float(line.get_ydata()[0]) for line in axes.lines if len(line.get_xdata()) == 1]
    assert drawn_at == pytest.approx(heights)


LONG = "probe/scanner of the second hospital, WWWWWWWWWWWWWWWWWWWWWW"
LONG_TITLES = [(LONG, *TRACE[1:]), (f"{LONG}2", *TRACE[1:])]
CASES = {
    "two encoders": [result("timm/vit_base_patch16_siglip_256.webli" * 3, TRACE, MOVED), result("b", TRACE, MOVED)],
    "long titles": [result("a", *LONG_TITLES, data=data) for data in ("toy" * 20, "W" * 30)],
}


@pytest.mark.parametrize("case", CASES)
def test_figure__nothing_is_cut_off_in_one_column(case):
    figure = summary_figure(CASES[case], all_tasks(), ["probe/*", "knn/*"])
    FigureCanvasAgg(figure).draw()
    width, height = figure.get_size_inches() * figure.dpi
    texts = [t for axes in figure.axes for t in (*axes.get_yticklabels(), axes.xaxis.label)]
    for axes in figure.axes:  # ticks beyond the ends of an axis are not drawn
        low, high = axes.get_xlim()
        texts += [label for label in axes.get_xticklabels() if low <= label.get_position()[0] <= high]
    for text in (*texts, *figure.legends[0].get_texts()):
        box = text.get_window_extent()
        if text.get_text() and text.get_visible():
            assert -1 <= box.x0 < box.x1 <= width + 1, text
            assert -1 <= box.y0 < box.y1 <= height + 1, text
    for axes in figure.axes:
        boxes = [label.get_window_extent() for label in axes.get_yticklabels()]
        assert all(above.y0 >= below.y1 - 1 for above, below in pairwise(boxes))
    legend, lowest = figure.legends[0].get_window_extent(), figure.axes[-1].xaxis.label.get_window_extent()
    assert legend.y1 <= lowest.y0 + 1


@pytest.mark.parametrize(("ending", "begin"), [("pdf", b"%PDF"), ("svg", b"<?xml")])
def test_write_figure__formats_are_repeatable(tmp_path, ending, begin):
    for name in ("first", "second"):
        write_figure(summary_figure([result("a", TRACE, MOVED)], all_tasks()), tmp_path / f"{name}.{ending}")
    first, second = ((tmp_path / f"{name}.{ending}").read_bytes() for name in ("first", "second"))
    assert first.startswith(begin)
    assert first == second
    if ending == "svg":
        assert not re.search(rb"<image", first)  # vector


@pytest.mark.parametrize("name", ["a.tiff", "a.pdfx", "a", "pdf", "a.jpg"])
def test_checked_format__other_endings_are_refused(name):
    with pytest.raises(UsageError, match=f"{re.escape(name)}"):
        checked_format(Path(name))
    assert [checked_format(Path(f"a.b.{ending}")) for ending in ("PDF", "svg", "png")] == ["pdf", "svg", "png"]
