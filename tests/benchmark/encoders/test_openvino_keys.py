"""When a network in OpenVINO is read, tried, compiled and stored; its key, settings and sentences."""

from __future__ import annotations

import numpy as np
import pytest

from benchmark.encoders.runtime import openvino_graph
from benchmark.encoders.runtime.openvino_graph import fixed_size_models


@pytest.mark.parametrize(("width", "sizes"), [(16, [4, 1]), (17, [-1])])
def test_fixed_size_models__the_ratio_of_weights_is_exact(width: int, sizes: list[int]) -> None:
    """16 numbers a view and a matrix of 16 x width: its bytes are at most 8 times those written up to a width of 16."""
    opset = openvino_graph.openvino.opset13
    views = opset.parameter([-1, 16], np.float32)
    product = opset.matmul(views, opset.constant(np.ones((16, width), np.float32)), False, False)
    models = fixed_size_models(openvino_graph.openvino.Model([product], [views]))
    lengths = [model.input(0).get_partial_shape()[0] for model in models]
    assert [-1 if length.is_dynamic else length.get_length() for length in lengths] == sizes
