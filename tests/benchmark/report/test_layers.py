"""Over depth: which output has the least trace at equal semantics, what is drawn, what a stranger's file may hold."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from benchmark.report import depth_figure, report_figure
from benchmark.report.layers import depth_curves, layers_text, least_trace, maps_text, region_maps, semantics, traces
from benchmark.results import OutputScores, Result, Score
from benchmark.results.forms import check_forms
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
        _output(0, "cls", 0.2, 0.3),  # least trace of all, but it knows little
        _output(0, "mean", 0.95, 0.5),
        _output(1, "mean", 0.61, 0.896),
        _output(2, "mean", 0.7, 0.92),
    ),
)


def test_least__among_those_that_know_as_much() -> None:
    curves = depth_curves(RESULT, all_tasks())
    [jpeg] = traces(curves)
    assert {pooling: [p.score.value for p in points] for pooling, points in jpeg.by_pooling.items()} == {
        "cls": [0.2],
        "mean": [0.95, 0.61, 0.7],
    }
    least = least_trace(jpeg, semantics(curves))
    assert least is not None
    assert (least.output.name, least.candidates, least.outputs) == ("layers[1]:mean", 2, 4)
    text = layers_text(RESULT, all_tasks())
    assert (
        "**probe/jpeg is least at equal semantics in block 1, mean of patches: 61.0 % (58.0 to 64.0) instead of "
        "84.0 % (81.0 to 87.0), at -0.4 points of kNN accuracy (n = 500 and 500).**" in text
    )
    assert "final, the embedding" in text


@pytest.mark.parametrize(("trace", "content"), [(0.61, 0.889), (0.85, 0.9)])
def test_least__is_nowhere_where_content_or_trace_says_so(trace: float, content: float) -> None:
    result = dataclasses.replace(RESULT, outputs=(_output(1, "mean", trace, content),))
    curves = depth_curves(result, all_tasks())
    assert least_trace(traces(curves)[0], semantics(curves)) is None
    assert "no output has less of it than the embedding at equal semantics" in layers_text(result, all_tasks())


def test_regions__are_a_map_and_no_curve() -> None:
    cells = [
        _output(2, f"grid-{row}-{column}", 0.5 + 0.02 * (4 * row + column), 0.5)
        for row in range(4)
        for column in range(4)
    ]
    result = dataclasses.replace(RESULT, outputs=(*cells, _output(2, "border", 0.6, 0.5)))
    [one] = [found for found in region_maps(result, all_tasks()) if found.task == "probe/jpeg"]
    assert (one.layer, one.kind, one.single) == (2, "block", False)
    np.testing.assert_allclose(one.values, 0.5 + 0.02 * np.arange(16).reshape(4, 4))
    assert not depth_curves(result, all_tasks())
    figure = depth_figure([result], all_tasks(), "probe/jpeg")
    assert figure is not None
    [ax] = [ax for ax in figure.axes if ax.get_title(loc="left")]
    assert ax.get_title(loc="left") == "probe/jpeg from the mean of each part, block 2, n = 500"
    assert [t.get_text() for t in ax.texts][:2] == ["50\n47 to 53", "52\n49 to 55"]
    assert ax.get_xlabel() == "%, with 95 % intervals; chance 16.7\nborder 60 (57 to 63); the embedding 84 (81 to 87)"
    text = maps_text(result, all_tasks())
    assert "| 1   | 58.0 (55.0 to 61.0) | 60.0 (57.0 to 63.0) |" in text
    assert "Chance is 16.7. Beside it: border 60.0 (57.0 to 63.0); the embedding 84.0 (81.0 to 87.0)." in text
    assert "grid-0-0" not in layers_text(result, all_tasks())


def test_regions__of_two_ways_and_sizes_are_maps_of_their_own() -> None:
    outputs = (
        _output(1, "patch-0-3", 0.7, 0.5),
        _output(1, "grid-0-3", 0.8, 0.5),
        _output(1, "patch[2]-1-0", 0.6, 0.5),
        _output(1, "patch[99]-0-0", 0.9, 0.5),  # a stranger's
    )
    result = dataclasses.replace(RESULT, outputs=outputs)
    found = [one for one in region_maps(result, all_tasks()) if one.task == "probe/jpeg"]
    assert [(one.single, len(one.scores)) for one in found] == [(True, 4), (False, 4), (True, 2)]
    assert found[0].values[0, 3] == 0.7
    assert np.isnan(found[0].values).sum() == 15


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
def test_forms__of_a_strangers_outputs(changes: dict[str, object], reason: str) -> None:
    check_forms(RESULT)
    bad = dataclasses.replace(RESULT.outputs[0], **changes)  # type: ignore[arg-type]
    with pytest.raises(ValueError, match=reason):
        check_forms(dataclasses.replace(RESULT, outputs=(bad,)))
    with pytest.raises(ValueError, match="twice"):
        check_forms(dataclasses.replace(RESULT, outputs=(RESULT.outputs[0],) * 2))
