"""Compiled forward passes: several encoders in one process, batches of several sizes, an error if uncompiled."""

import subprocess
import sys

import pytest
import torch
from torch import nn

from benchmark.encoders.network import compiled_forward


class Graphs:
    """A compiler that compiles nothing and counts what it is given."""

    def __init__(self):
        self.count = 0

    def __call__(self, graph, inputs):
        self.count += 1
        return graph.forward


def pooled(module, pixels):
    """The lines that all encoders of a library share."""
    return module(pixels).mean((2, 3))


@pytest.fixture(autouse=True)
def fresh():
    torch._dynamo.reset()
    yield
    torch._dynamo.reset()


@pytest.mark.slow
@torch.inference_mode()
def test_compiled_forward__several_encoders_and_sizes_of_batch():
    """Six encoders of the same lines, four sizes each: 24 graphs would pass dynamo's limit of 8 for one function."""
    torch.manual_seed(0)
    for channels in (2, 3, 4, 5, 6, 7):
        module, graphs = nn.Conv2d(3, channels, 3).eval(), Graphs()
        forward = compiled_forward(pooled, backend=graphs)
        for size in (64, 10, 1, 7):
            pixels = torch.rand(size, 3, 8, 8)
            torch.testing.assert_close(forward(module, pixels), pooled(module, pixels))
        assert 1 <= graphs.count <= 2  # from the second size on the number of views is open


class Restless(nn.Module):
    """Another program at each call."""

    def __init__(self):
        super().__init__()
        self.calls = 0

    def forward(self, x):
        self.calls += 1
        return x * self.calls if self.calls % 2 else x + self.calls


@pytest.mark.slow
@torch.inference_mode()
def test_compiled_forward__its_compiler_is_imported_when_it_is_needed():
    """It takes as long to import as all the rest."""
    code = "import sys, benchmark.encoders.network; print('torch._dynamo' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True).stdout == "False\n"


@pytest.mark.slow
def test_compiled_forward__a_graph_too_many_is_an_error():
    module = Restless()
    forward = compiled_forward(lambda network, pixels: network(pixels).mean((2, 3)), backend=Graphs())
    pixels = torch.rand(3, 3, 4, 4)
    with pytest.raises(Exception, match="limit"):
        _again_and_again(forward, module, pixels)
    assert module.calls < 40


def _again_and_again(forward, module, pixels):
    for _ in range(40):
        forward(module, pixels)
