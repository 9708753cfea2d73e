"""Batches that do not fit are halved, on whatever torch says when memory runs out, and nothing else changes."""

import pytest
import torch

from benchmark.compute import FittingBatch, out_of_memory
from benchmark.encoders import load_encoder
from builders.errors import EncoderError

pytestmark = pytest.mark.usefixtures("short_projection")

CUDA = torch.cuda.OutOfMemoryError("CUDA out of memory. Tried to allocate 20.00 GiB")
MPS = RuntimeError("MPS backend out of memory (MPS allocated: 8.00 GB, max allowed: 9.07 GB)")


def memory_for(views: int, error: Exception, tried: list[int]):
    """An ``embed`` that holds at most ``views`` views."""

    def embed(batch: torch.Tensor) -> torch.Tensor:
        tried.append(len(batch))
        if len(batch) > views:
            try:
                raise error
            except type(error) as cause:
                raise EncoderError("toy: views do not fit") from cause
        return batch.flatten(1).float() * 2

    return embed


@pytest.mark.parametrize("error", [CUDA, MPS, MemoryError()], ids=["cuda", "mps", "python"])
def test_fitting_batch__halves_and_remembers(error, capsys):
    tried: list[int] = []
    embed = FittingBatch("toy", memory_for(3, error, tried), 16)
    batch = torch.arange(20).reshape(10, 2)
    assert torch.equal(embed(batch), batch.float() * 2)
    assert tried == [10, 5, 2, 2, 2, 2, 2]
    assert embed.views == 2
    tried.clear()
    assert torch.equal(embed(batch[:5]), batch[:5].float() * 2)
    assert tried == [2, 2, 1]  # what worked is tried first
    assert "views" in capsys.readouterr().err


def test_fitting_batch__a_batch_is_larger_than_its_size():
    tried: list[int] = []
    FittingBatch("toy", memory_for(9, CUDA, tried), 3)(torch.zeros(7, 2))
    assert tried == [3, 3, 1]


def test_fitting_batch__a_remainder_that_fails_once_does_not_halve_the_pass(capsys):
    """Eight views fitted; then memory is short for one moment, in which two are left over."""
    tried: list[int] = []
    room = iter([8, 1, 1, 1, 8])

    def embed(batch: torch.Tensor) -> torch.Tensor:
        return memory_for(next(room), CUDA, tried)(batch)

    fitting = FittingBatch("toy", embed, 8)
    batch = torch.arange(20).reshape(10, 2)
    assert torch.equal(fitting(batch), batch.float() * 2)
    assert tried == [8, 2, 1, 1]
    assert fitting.views == 8
    assert capsys.readouterr().err == ""
    fitting(batch[:8])
    assert tried[4:] == [8]


def test_fitting_batch__a_size_that_fitted_and_does_not_any_more_is_given_up_in_the_end():
    tried: list[int] = []
    room = iter([8] + [4] * 100)

    def embed(batch: torch.Tensor) -> torch.Tensor:
        return memory_for(next(room), CUDA, tried)(batch)

    fitting = FittingBatch("toy", embed, 8)
    for _ in range(5):
        fitting(torch.zeros(8, 2))
    assert tried == [8, *[8, 4, 4] * 3, 4, 4]
    assert fitting.views == 4


def test_fitting_batch__begins_what_can_be_begun_and_waits_when_called():
    order: list[str] = []

    class Network:
        def start(self, batch: torch.Tensor):
            order.append(f"begin {len(batch)}")
            return lambda: order.append(f"wait {len(batch)}") or batch.float()

    waited = FittingBatch("toy", Network(), 4).start(torch.zeros(6, 2))
    assert order == ["begin 4", "begin 2"]
    assert waited().shape == (6, 2)
    assert order[2:] == ["wait 4", "wait 2"]


def test_fitting_batch__not_even_one_view():
    tried: list[int] = []
    with pytest.raises(EncoderError, match="forward"):
        FittingBatch("toy", memory_for(0, CUDA, tried), 4)(torch.zeros(4, 2))
    assert tried == [4, 2, 1]


def test_fitting_batch__another_error_is_no_reason_to_try_again():
    def broken(batch: torch.Tensor) -> torch.Tensor:
        raise ValueError("broken")

    with pytest.raises(ValueError, match="broken"):
        FittingBatch("toy", broken, 4)(torch.zeros(4, 2))


def test_out_of_memory__of_this_machines_own_allocator():
    with pytest.raises(RuntimeError) as caught:
        torch.empty(1 << 60, dtype=torch.uint8)
    assert out_of_memory(caught.value)
    assert not out_of_memory(RuntimeError("mat1 and mat2 shapes cannot be multiplied"))
    assert not out_of_memory(ValueError("out of memory"))


def test_embedder__memory_that_runs_out_inside_a_network_is_recognised(monkeypatch):
    """A real network on a CPU whose allocator refuses more than four views."""
    encoder = load_encoder("control:random-projection", device="cpu")
    views = torch.randint(0, 256, (10, 224, 224, 3), dtype=torch.uint8)
    expected = encoder.embed(views)
    forward = encoder.embed.forward

    def greedy(module, pixels):
        if len(pixels) > 4:
            torch.empty(1 << 60, dtype=torch.uint8)
        return forward(module, pixels)

    object.__setattr__(encoder.embed, "forward", greedy)
    with pytest.raises(EncoderError, match="10"):
        encoder.embed(views)
    embed = FittingBatch("projection", encoder.embed, 64)
    assert (embed(views) - expected).abs().max() <= 1e-5
    assert embed.views == 2


def test_fitting_batch__a_companion_is_cut_like_the_views_and_only_passed_to_what_starts_a_pass():
    given: list[tuple[int, list[int] | None]] = []

    class Network:
        def start(self, batch: torch.Tensor, companion: torch.Tensor | None = None):
            given.append((len(batch), None if companion is None else companion.tolist()))
            return lambda: batch

    FittingBatch("toy", Network(), 4).start(torch.zeros(6, 2), torch.arange(6))
    FittingBatch("toy", Network(), 4).start(torch.zeros(3, 2))
    assert given == [(4, [0, 1, 2, 3]), (2, [4, 5]), (3, None)]
    without_start = FittingBatch("toy", lambda batch: batch + 1, 4)
    assert without_start.start(torch.zeros(2, 2), torch.arange(2))().tolist() == [[1, 1]] * 2


def test_fitting_batch__a_small_batch_after_a_large_one_does_not_make_the_large_one_unknown(capsys):
    """Eight views fitted, then two; then memory is short for one moment: the size is not reduced for good."""
    tried: list[int] = []
    room = iter([8, 8, 4, 4, 4, 8])

    def embed(batch: torch.Tensor) -> torch.Tensor:
        return memory_for(next(room), CUDA, tried)(batch)

    fitting = FittingBatch("toy", embed, 8)
    for count in (8, 2, 8, 8):
        fitting(torch.zeros(count, 2))
    assert tried == [8, 2, 8, 4, 4, 8]
    assert (fitting.views, capsys.readouterr().err) == (8, "")


def test_fitting_batch__waits_for_the_passes_that_run_before_it_tries_again() -> None:
    order: list[str] = []
    room = iter([4, 1, 4, 4])

    class Network:
        def start(self, batch: torch.Tensor):
            if len(batch) > next(room):
                order.append(f"no room for {len(batch)}")
                raise CUDA
            order.append(f"begin {len(batch)}")
            return lambda: order.append(f"wait {len(batch)}") or batch.float()

    batch = torch.arange(10).reshape(5, 2)
    waited = FittingBatch("toy", Network(), 3).start(batch)
    assert order == ["begin 3", "no room for 2", "wait 3", "begin 1", "begin 1"]
    assert torch.equal(waited(), batch.float())
    assert order[5:] == ["wait 1", "wait 1"]
