"""Paths that are taken seldom, each by a direct call."""

import numpy as np
import torch

from benchmark.probe.problem import _no_options
from benchmark.probe.solver.projected import all_rows


def test_probe__no_options_and_no_rows():
    assert _no_options({"l2": 1.0}) == {}
    empty = all_rows(np.zeros((0, 7), np.float32))
    assert (tuple(empty.shape), empty.dtype) == ((0, 7), torch.float64)
