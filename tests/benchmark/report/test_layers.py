"""Scores of layers: tables, maps and panels, and untrusted outputs."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from benchmark.judgement import choose_outputs, depth_curves, outputs_text
from benchmark.report import depth_figure, report_figure
from benchmark.report.layers import layers_text, maps_text, region_maps
from benchmark.results import OutputScores, Result, Score
from benchmark.results.check import check_forms
from benchmark.tasks import all_tasks


def _score(task: str, value: float, n: int = 500, chance: float = 1 / 6) -> Score:
    return Score(task, "set", "accuracy", value, value - 0.03, value + 0.03, n, chance)


def _output(layer: int, pooling: str, trace: float, content: float) -> OutputScores:
    scores = (_score("probe/jpeg", trace), _score("knn/original", content, chance=0.1))
    title = f"block {layer}, {'mean of patches' if pooling == 'mean' else pooling}"
    return OutputScores(f"layers[{layer}]:{pooling}", title, layer, 3, pooling, 8, "hooks", scores)


RESULT = Result(
    encoder={"id": "toy", "dimension": 8},
    data={"name": "set", "photos": {}},
    environment={},
    scores=(_score("probe/jpeg", 0.84), _score("knn/original", 0.9, chance=0.1)),
    failures=(),
    cost={},
    created="2026-01-01T00:00:00+00:00",
    outputs=(
        _output(0, "cls", 0.2, 0.3),  # least trace of all, but poor semantics
        _output(0, "mean", 0.95, 0.5),
        _output(1, "mean", 0.61, 0.896),
        _output(2, "mean", 0.7, 0.92),
    ),
)


def test_layers_text__curves_and_the_sentence_of_the_judge() -> None:
    jpeg, semantics = depth_curves(RESULT, all_tasks())
    assert (jpeg.of_semantics, semantics.of_semantics) == (False, True)
    assert {pooling: [p.score.value for p in points] for pooling, points in jpeg.by_pooling.items()} == {
        "cls": [0.2],
        "mean": [0.95, 0.61, 0.7],
    }
    text = layers_text(RESULT, all_tasks())
    [choice] = choose_outputs(RESULT, all_tasks())
    assert outputs_text([choice], ["probe/jpeg"]) in text
    assert "final, the embedding" in text


def test_regions__are_a_map_and_no_curve() -> None:
    cells = [
        _output(2, f"grid-{row}-{column}", 0.5 + 0.02 * (4 * row + column), 0.5)
        for row in range(4)
        for column in range(4)
    ]
    result = dataclasses.replace(RESULT, outputs=(*cells, _output(2, "border", 0.6, 0.5)))
    [jpeg] = [m for m in region_maps(result, all_tasks()) if m.task == "probe/jpeg"]
    assert (jpeg.layer, jpeg.kind, jpeg.single) == (2, "block", False)
    np.testing.assert_allclose(jpeg.values, 0.5 + 0.02 * np.arange(16).reshape(4, 4))
    assert not depth_curves(result, all_tasks())
    figure = depth_figure([result], all_tasks(), "probe/jpeg")
    assert figure is not None
    [ax] = [ax for ax in figure.axes if ax.get_title(loc="left")]
    assert ax.get_title(loc="left") == "probe/jpeg from the mean of each part, block 2, n = 500"
    assert [t.get_text() for t in ax.texts][:2] == ["50\n47 to 53", "52\n49 to 55"]
    assert ax.get_xlabel() == "%, with 95 % intervals; chance 16.7\nborder 60 (57 to 63); the embedding 84 (81 to 87)"
    text = maps_text(result, all_tasks())
    assert "| 1   | 58.0 (55.0 to 61.0) | 60.0 (57.0 to 63.0) |" in text
    assert "Chance is 16.7. For comparison: border 60.0 (57.0 to 63.0); the embedding 84.0 (81.0 to 87.0)." in text
    assert "grid-0-0" not in layers_text(result, all_tasks())


def test_regions__of_each_pooling_and_grid_are_a_separate_map() -> None:
    outputs = (
        _output(1, "patch-0-3", 0.7, 0.5),
        _output(1, "grid-0-3", 0.8, 0.5),
        _output(1, "patch[2]-1-0", 0.6, 0.5),
        _output(1, "patch[99]-0-0", 0.9, 0.5),  # finer than any grid that camtrace makes
    )
    result = dataclasses.replace(RESULT, outputs=outputs)
    maps = [m for m in region_maps(result, all_tasks()) if m.task == "probe/jpeg"]
    assert [(m.single, len(m.scores)) for m in maps] == [(True, 4), (False, 4), (True, 2)]
    assert maps[0].values[0, 3] == 0.7
    assert np.isnan(maps[0].values).sum() == 15


def test_picture__has_a_panel_over_depth() -> None:
    figure = report_figure([RESULT], all_tasks())
    assert figure is not None
    [ax] = [ax for ax in figure.axes if "over depth" in ax.get_title(loc="left")]
    assert [label.get_text() for label in ax.get_xticklabels()] == ["0", "1", "2", "final"]
    assert {"class token", "mean of patches", "final", "plain kNN accuracy, %"} <= {
        text.get_text() for text in ax.get_legend().get_texts()
    }


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"name": "<script>"}, "markup"),
        ({"layer": 3}, "no such layer"),
        ({"dimension": -1}, "count"),
        ({"read": "x" * 300}, "read"),
    ],
)
def test_forms__of_untrusted_outputs(changes: dict[str, object], reason: str) -> None:
    check_forms(RESULT)
    bad = dataclasses.replace(RESULT.outputs[0], **changes)  # type: ignore[arg-type]
    with pytest.raises(ValueError, match=reason):
        check_forms(dataclasses.replace(RESULT, outputs=(bad,)))
    with pytest.raises(ValueError, match="twice"):
        check_forms(dataclasses.replace(RESULT, outputs=(RESULT.outputs[0],) * 2))
