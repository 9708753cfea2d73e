"""Threads follow from work; chunks side by side give what one after the other gives; torch's threads stay as set."""

import dataclasses
import threading
import time

import pytest
import torch
from threadpoolctl import threadpool_info

from benchmark.compute import chunks, parallel_map, threads_for, threads_of_work
from benchmark.compute.threads import LITTLE_WORK, PIECES
from benchmark.encoders import load_encoder


def test_parallel_map__in_order_each_on_one_thread(three_threads):
    together = threading.Barrier(3, timeout=20)

    def work(chunk: torch.Tensor) -> torch.Tensor:
        together.wait()  # passes only if three run at once
        return chunk * 10 + torch.get_num_threads()

    result = parallel_map(work, torch.arange(6).split(1))
    assert [int(value) for value in result] == [1, 11, 21, 31, 41, 51]
    assert torch.get_num_threads() == 3


def test_parallel_map__an_error_is_raised_and_the_threads_set_back(three_threads):
    def work(chunk: torch.Tensor) -> torch.Tensor:
        raise ValueError(f"chunk {int(chunk)}")

    with pytest.raises(ValueError, match="chunk 0"):
        parallel_map(work, torch.arange(3).split(1))
    assert torch.get_num_threads() == 3


def test_parallel_map__is_in_inference_mode_where_its_caller_is(three_threads):
    assert parallel_map(lambda _: torch.is_inference_mode_enabled(), range(4)) == [False] * 4
    with torch.inference_mode():
        assert parallel_map(lambda _: torch.is_inference_mode_enabled(), range(4)) == [True] * 4


@pytest.mark.parametrize(
    ("total", "least", "pieces"),
    [(0, 5, 1), (9, 5, 1), (10, 5, 2), (59, 5, 11), (60, 5, 3 * PIECES), (6000, 5, 3 * PIECES)],
)
def test_chunks__several_for_each_thread_and_none_too_small(three_threads, total: int, least: int, pieces: int):
    result = chunks(total, least)
    assert [row for piece in result for row in range(piece.start, piece.stop)] == list(range(total))
    sizes = [piece.stop - piece.start for piece in result]
    assert len(sizes) == pieces
    assert max(sizes) - min(sizes) <= 1
    torch.set_num_threads(1)
    assert chunks(total, least) == [slice(0, total)]


def blas_threads() -> list[int]:
    return [pool["num_threads"] for pool in threadpool_info() if pool["user_api"] == "blas"]


@pytest.mark.parametrize("available", [1, 2, 64])
def test_threads_for__one_below_the_bound_and_all_from_it_on(available: int) -> None:
    assert threads_for(0, available) == 1
    assert threads_for(LITTLE_WORK - 1, available) == 1
    assert threads_for(LITTLE_WORK, available) == available


def test_threads_of_work__little_has_one_of_both_libraries_and_much_has_all(three_threads):
    before = blas_threads()
    with threads_of_work(LITTLE_WORK - 1) as threads:
        assert (threads, torch.get_num_threads()) == (1, 1)
        assert set(blas_threads()) == {1}
        with threads_of_work(LITTLE_WORK):  # within one thread there are no more
            assert torch.get_num_threads() == 1
    assert torch.get_num_threads() == 3
    assert blas_threads() == before
    with threads_of_work(LITTLE_WORK) as threads:
        assert (threads, torch.get_num_threads()) == (3, 3)
        assert blas_threads() == before


def test_threads_of_work__an_error_sets_the_threads_back(three_threads):
    before = blas_threads()
    with pytest.raises(ValueError, match="inside"), threads_of_work(0):
        raise ValueError("inside")
    assert torch.get_num_threads() == 3
    assert blas_threads() == before


def test_threads_of_work__side_by_side_within_and_around(three_threads):
    """Pieces that limit themselves do not wait for the limit around them, nor does a limit for pieces within it."""
    before = blas_threads()

    def work(chunk: int) -> tuple[int, int]:
        with threads_of_work(0):
            inside = torch.get_num_threads()
        return inside, torch.get_num_threads()

    assert parallel_map(work, range(4)) == [(1, 1)] * 4
    with threads_of_work(0):
        assert parallel_map(work, range(4)) == [(1, 1)] * 4
    assert torch.get_num_threads() == 3
    assert blas_threads() == before


def test_threads_of_work__of_two_threads_at_once_each_finds_its_own_back(three_threads):
    before, result, errors = blas_threads(), [], []
    inside = threading.Semaphore(1)

    def caller() -> None:
        torch.set_num_threads(3)  # OpenMP has a number for each thread
        for _ in range(50):
            with threads_of_work(0):
                result.append(torch.get_num_threads())
                if not inside.acquire(blocking=False):  # the number that BLAS has would be set back too early
                    errors.append("two at once")
                    continue
                time.sleep(1e-3)
                inside.release()
            errors.extend([] if torch.get_num_threads() == 3 else [torch.get_num_threads()])

    callers = [threading.Thread(target=caller) for _ in range(2)]
    for one in callers:
        one.start()
    for one in callers:
        one.join(timeout=20)
    assert result == [1] * 100
    assert not errors
    assert torch.get_num_threads() == 3
    assert blas_threads() == before


def test_embedder__side_by_side_equals_one_after_the_other(three_threads):
    encoder = load_encoder("bundled:efficientnet-lite0", device="cpu")
    assert encoder.embed.parallel
    views = torch.randint(0, 256, (10, 224, 224, 3), dtype=torch.uint8)
    in_three_chunks = dataclasses.replace(encoder.embed, cpu_chunk=4)
    together = in_three_chunks(views)
    torch.set_num_threads(1)
    assert (together - in_three_chunks(views)).abs().max() <= 1e-5
    assert not together.requires_grad
