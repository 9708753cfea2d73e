"""Where a network is cut so that its rest takes several views at a time; the bits of embeddings stay the same."""

from collections import Counter

import numpy as np
import pytest
import torch
from torch import nn

from benchmark.encoders import Embedder
from benchmark.encoders.placement import Placement
from benchmark.encoders.runtime.openvino import _traced
from benchmark.encoders.runtime.openvino_graph import (
    VIEWS_TOGETHER,
    OpenVinoNetwork,
    core,
    fixed_size_models,
    openvino,
    settings,
)

SIDE = 24


class Narrowing(nn.Module):
    """Three convolutions, maps of 24 x 24, 8 x 8 and 8 x 8, and a sum: 8 x 4 bytes a position."""

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.first, self.second = nn.Conv2d(3, 8, 3, padding=1), nn.Conv2d(8, 8, 3, stride=3)
        self.third = nn.Conv2d(8, 8, 1)

    def forward(self, pixels: torch.Tensor) -> torch.Tensor:
        small = torch.relu(self.second(torch.relu(self.first(pixels))))
        return (small + torch.relu(self.third(small))).flatten(1)

    def preprocess(self, image) -> torch.Tensor:
        return torch.from_numpy(np.asarray(image.resize((SIDE, SIDE)), dtype=np.float32) / 255).permute(2, 0, 1)


FIRST_MAP, SMALL_MAP = 24 * 24 * 8 * 4, 8 * 8 * 8 * 4


@pytest.fixture
def views() -> np.ndarray:
    return np.random.default_rng(2).random((9, 3, SIDE, SIDE), dtype=np.float32)


def traced(module: nn.Module, views: np.ndarray):
    embed = Embedder("e", module.eval().requires_grad_(False), lambda m, x: m(x), None, Placement("cpu", "float32"))
    return _traced(embed, torch.from_numpy(views[:3]))


def kinds(model) -> Counter:
    return Counter(single.get_type_name() for single in model.get_ordered_ops())


def embedded(model, views: np.ndarray) -> np.ndarray:
    network = OpenVinoNetwork([core().compile_model(model, "CPU", settings(1))], 1)
    batch_sizes = model.input(0).get_partial_shape()[0].get_length()
    return np.concatenate(network(np.split(views, len(views) // batch_sizes)))


@pytest.mark.parametrize(
    ("fits", "convolutions"),
    [
        (2 * FIRST_MAP, 3),  # everything fits: all views go through everything together
        (FIRST_MAP + SMALL_MAP, VIEWS_TOGETHER + 2),  # but not the first ReLU, which reads and makes a large map
        (FIRST_MAP + SMALL_MAP - 1, 2 * VIEWS_TOGETHER + 1),  # nor the second convolution, which reads one
        (3 * SMALL_MAP, 2 * VIEWS_TOGETHER + 1),  # the sum reads two small maps and makes one
    ],
)
def test_fixed_size_models__the_rest_is_all_that_fits(fits, convolutions, views, monkeypatch):
    monkeypatch.setattr("benchmark.encoders.runtime.openvino_graph.MAX_VIEW_BYTES", fits)
    several, single = fixed_size_models(traced(Narrowing(), views))
    assert [model.input(0).get_partial_shape().to_shape()[0] for model in (several, single)] == [VIEWS_TOGETHER, 1]
    assert (kinds(several)["Convolution"], kinds(single)["Convolution"]) == (convolutions, 3)
    together, alone = embedded(several, views[:8]), embedded(single, views[:8])
    np.testing.assert_array_equal(together, alone)
    assert len(np.unique(alone, axis=0)) == 8  # each view has its own


@pytest.mark.parametrize("fits", [3 * SMALL_MAP - 1, SMALL_MAP, 0])
def test_fixed_size_models__one_by_one_where_nothing_of_the_rest_fits_or_begins_anew(fits, views, monkeypatch):
    """What follows the sum begins nothing; before it two maps cross."""
    monkeypatch.setattr("benchmark.encoders.runtime.openvino_graph.MAX_VIEW_BYTES", fits)
    [single] = fixed_size_models(traced(Narrowing(), views))
    assert single.input(0).get_partial_shape().to_shape()[0] == 1


def test_fixed_size_models__heavy_weights_leave_the_number_open():
    given = openvino.opset13.parameter([-1, 3, SIDE, SIDE], np.float32)
    matrix = openvino.opset13.constant(np.ones((3 * SIDE * SIDE, 64), np.float32))
    product = openvino.opset13.matmul(
        openvino.opset13.reshape(given, np.array([0, 3 * SIDE * SIDE]), special_zero=True), matrix, False, False
    )
    model = openvino.Model([product], [given])
    assert fixed_size_models(model) == [model]
