"""Both sides of every number at which a figure is drawn in another way."""

import pytest
from matplotlib.figure import Figure

from benchmark.judgement import components_text
from benchmark.report.scenes import draw_matrix
from benchmark.results import Score
from tests.benchmark.report.test_scenes import matrix_of


def axes_of(count, **changed):
    ax = Figure().subplots()
    draw_matrix(ax, {**matrix_of(count), **changed}, "recall")
    return ax


@pytest.mark.parametrize(("groups", "written", "labels"), [(14, 182, 14), (15, 0, 15), (30, 0, 30), (31, 0, 16)])
def test_draw_matrix__of_few_and_of_many_groups(groups, written, labels):
    ax = axes_of(groups)
    assert (len(ax.texts), len(ax.get_xticklabels()), len(ax.get_yticklabels())) == (written, labels, labels)
    assert len(ax.lines) == (2 * 15 if groups == 31 else 0)
    if groups == 31:
        assert list(ax.get_xticks()) == [*range(0, 30, 2), 30]
        assert [label.get_text() for label in ax.get_xticklabels()][-2:] == ["scanner 14", "scanner 15"]
        assert sorted({float(line.get_ydata()[0]) for line in ax.lines[::2]}) == [i + 0.5 for i in range(1, 30, 2)]


def test_draw_matrix__names_of_eighteen_letters_are_whole():
    ax = axes_of(2, groups=["a" * 18, "b" * 19])
    assert [label.get_text() for label in ax.get_xticklabels()] == ["a" * 18, "b" * 17 + "\u2026"]


def test_draw_matrix__counts_chance_and_colours():
    sizes = [[0, 1200], [900, 0]]
    chance = [[None, 0.01], [0.03, None]]
    ax = axes_of(2, n=sizes, chance=chance, recall={"1": [[None, 0.9], [0.1, None]]})
    assert ax.get_title(loc="left") == "Recall@1 of the scene in another group, %, n = 900 to 1,200"
    assert ax.get_xlabel() == "group of the target; chance 2 %"
    assert [(text.get_text(), text.get_color()) for text in ax.texts] == [("90", "black"), ("10", "white")]
    ax = axes_of(2, n=[[0, 0], [0, 0]], chance=[[None] * 2] * 2)
    assert ax.get_title(loc="left").endswith("n = 0")
    assert ax.get_xlabel() == "group of the target"
    cosine = Figure().subplots()
    draw_matrix(cosine, matrix_of(2), "cosine")
    assert [text.get_text() for text in cosine.texts] == ["0.80", "0.80"]
    assert cosine.get_title(loc="left") == "Mean cosine of one scene in two groups, n = 300"
    assert (cosine.get_xlabel(), cosine.get_ylabel()) == ("group of the target", "group of the query")


def test_components_text__estimates_of_0_are_not_below_it():
    def row(effect, estimate):
        return {
            "effect": effect,
            "share": max(0.0, estimate),
            "low": 0.0,
            "high": 0.001,
            "estimate": estimate,
            "p_value": 1,
        }

    def text(*rows):
        return components_text(Score("v/c", "s", "scene", 0.5, 0.4, 0.6, 900, 0.0, {"components": list(rows)}))

    assert "below 0" not in text(row("scene", 0.0), row("rest", -0.5))
    assert text(row("scene", 0.0), row("a x b", -0.004)).endswith(
        "Estimates below 0, which chance gives where a share is small, are shown as 0: a x b (-0.4 %)."
    )
    assert text() == ""
