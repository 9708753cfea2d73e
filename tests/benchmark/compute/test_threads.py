"""Chunks side by side give what one after the other gives, and leave torch's threads as they were."""

import threading

import pytest
import torch

from benchmark.compute.threads import side_by_side
from benchmark.encoders import load_encoder


@pytest.fixture
def three_threads():
    before = torch.get_num_threads()
    torch.set_num_threads(3)
    yield
    torch.set_num_threads(before)


def test_side_by_side__in_order_each_on_one_thread(three_threads):
    together = threading.Barrier(3, timeout=20)

    def work(chunk: torch.Tensor) -> torch.Tensor:
        together.wait()  # passes only if three run at once
        return chunk * 10 + torch.get_num_threads()

    found = side_by_side(work, torch.arange(6).split(1))
    assert [int(value) for value in found] == [1, 11, 21, 31, 41, 51]
    assert torch.get_num_threads() == 3


def test_side_by_side__an_error_is_told_and_the_threads_set_back(three_threads):
    def work(chunk: torch.Tensor) -> torch.Tensor:
        raise ValueError(f"chunk {int(chunk)}")

    with pytest.raises(ValueError, match="chunk 0"):
        side_by_side(work, torch.arange(3).split(1))
    assert torch.get_num_threads() == 3


def test_embedder__side_by_side_equals_one_after_the_other(three_threads):
    encoder = load_encoder("bundled:efficientnet-lite0", device="cpu")
    assert encoder.embed.parallel
    views = torch.randint(0, 256, (37, 224, 224, 3), dtype=torch.uint8)
    together = encoder.embed(views)
    torch.set_num_threads(1)
    assert (together - encoder.embed(views)).abs().max() <= 1e-5
    assert not together.requires_grad
