"""What happens at a card's limits: little memory, blocks of more than 2^31 numbers, a million rows, many graphs."""

from __future__ import annotations

import contextlib
import tempfile
import time
from collections.abc import Iterator
from dataclasses import replace
from functools import partial
from pathlib import Path
from unittest import mock

import numpy as np
import torch

from benchmark.bank import fill_banks_on
from benchmark.bank.bank import Bank
from benchmark.bank.keys import bank_key
from benchmark.compute import budget
from benchmark.encoders import Encoder
from benchmark.knn.answers import KnnAnswers
from benchmark.knn.keys import top_keys, unpack_indices
from benchmark.knn.setups import knn_setups
from benchmark.probe.solver.rows import Gathered, gather
from benchmark.views.recipe import ProcessingViews
from scripts.checks.gpu.networks import BATCH, RESNET, TINY, VIT, fill, random_network, views_of
from scripts.checks.gpu.pixels import NAMES
from scripts.checks.gpu.view_makers import photo_set
from scripts.speed.measure import Row, medians_on

COMPILED = (VIT, RESNET, "convnext_tiny", "efficientnet_b0")
NEAR = 1e-4
"""Relative distance that a compiled network may have from the eager one: it fuses, and so rounds, in another order."""


def memory(device: torch.device, quick: bool) -> Iterator[Row]:
    """A pass, kNN and a probe with so little memory that the first tries do not fit: the same answers."""
    if device.type != "cuda":
        yield Row("only a card can have less memory", float("nan"), "")
        return
    encoder = random_network(TINY[0] if quick else VIT, device, "float32")
    photos = photo_set(6 if quick else 32, quick)
    rows = np.arange(len(photos))
    with tempfile.TemporaryDirectory(prefix="camtrace-") as folder:
        _, bank = fill(Path(folder) / "all", photos, encoder, "cpu", 0)
        side = views_of(encoder, device, photos=1).shape[1]
        for share in (8, 3):  # batches of float pixels that fit with the weights
            with _only(device, share * BATCH * 3 * side**2 * 4):
                _, less = fill(Path(folder) / str(share), photos, encoder, "cpu", 0)
            worst = max(_apart(less.view(n, rows)[:], bank.view(n, rows)[:]) for n in NAMES)
            note = f"{share} batches of float pixels free; farthest from the bank with all memory"
            yield Row(f"pass with little memory ({share})", worst, "of the length", note=note, wrong=worst > NEAR)
    yield from _tasks_with_less(device, quick)


def _tasks_with_less(device: torch.device, quick: bool) -> Iterator[Row]:
    n_train, n_test, dimension = (300, 20, 32) if quick else (20_000, 1_000, 768)
    random = np.random.default_rng(0)
    train = [random.normal(size=(n_train, dimension)).astype(np.float32) for _ in range(2)]
    test = [random.normal(size=(n_test, dimension)).astype(np.float32) for _ in range(2)]
    labels = [np.arange(n) % 10 for n in (n_train, n_test)]
    drawn = [random.integers(0, 2, (2, n)) for n in (n_train, n_test)]

    def suite(memory_bytes: int) -> KnnAnswers:
        options = {"train_assignments": drawn[0], "test_assignments": drawn[1], "k": 10, "device": device}
        return knn_setups(train, test, *labels, **options, memory_bytes=memory_bytes)

    planned = budget(device)
    expected = suite(planned)
    with _only(device, 48 << 20):
        result = suite(planned)
    note = f"{n_train} photos x 2 classes; planned with {planned >> 20} MiB"
    yield Row("kNN with 48 MiB: answers that differ", float((result.correct != expected.correct).sum()), "", note=note)


@contextlib.contextmanager
def _only(device: torch.device, free: int) -> Iterator[None]:
    """Within, torch's allocator gives so many bytes more than it has given."""
    torch.cuda.empty_cache()
    total = torch.cuda.mem_get_info(device)[1]
    torch.cuda.set_per_process_memory_fraction(min(1.0, (torch.cuda.memory_allocated(device) + free) / total), device)
    try:
        yield
    finally:
        torch.cuda.set_per_process_memory_fraction(1.0, device)
        torch.cuda.empty_cache()


def _apart(result: np.ndarray, expected: np.ndarray) -> float:
    return float((np.linalg.norm(result - expected, axis=-1) / np.linalg.norm(expected, axis=-1)).max())


def compiled(device: torch.device, quick: bool) -> Iterator[Row]:
    """Four networks compiled in one process, each embedding batches of several sizes: right, and how much faster?"""
    names = TINY if quick else COMPILED
    # tiny networks are traced, not compiled: a compiler takes half a minute for each
    traced = mock.patch("torch.compile", partial(torch.compile, backend="eager")) if quick else contextlib.nullcontext()
    for name in names:
        eager = random_network(name, device, "float32")
        views = views_of(eager, device, photos=2 if quick else 5)[:BATCH]
        begun = time.perf_counter()
        with traced:
            fast = random_network(name, device, "float32", compile=True)
            result = [fast.embed(views[:size]) for size in (len(views), 10, 1, 7)]
        took = time.perf_counter() - begun
        expected = eager.embed(views).numpy()
        worst = max(_apart(one.numpy(), expected[: len(one)]) for one in result)
        work = (partial(fast.embed, views), partial(eager.embed, views))
        compiled_s, eager_s = medians_on(device, *work, rounds=1 if quick else 3)
        note = f"compiled in {took:.0f} s, batches of {len(views)}, 10, 1 and 7; {worst:.1e} of the length from eager"
        yield Row(f"{name}: compiled", eager_s / compiled_s, "times as fast", note=note, wrong=worst > NEAR)


def blocks(device: torch.device, quick: bool) -> Iterator[Row]:
    """kNN's search in one block of more than 2^31 similarities, against the same rows alone; and so many pixels."""
    rows, columns = (64, 4096) if quick else (50_000, 43_008)
    if device.type == "cuda" and not quick and torch.cuda.mem_get_info(device)[0] < 5 * rows * columns:
        rows = int(torch.cuda.mem_get_info(device)[0] // (6 * columns))
    generator = torch.Generator(device="cpu").manual_seed(0)
    left, right = (torch.randn((n, 64), generator=generator).to(device) for n in (rows, columns))
    block = left @ right.T
    checked = torch.cat([torch.arange(8), torch.arange(rows - 8, rows)]).to(device)
    result = top_keys(block[-rows:], 10)
    alone = top_keys(block[checked].contiguous(), 10)
    wrong = int((unpack_indices(result[checked]) != unpack_indices(alone)).sum())
    size = f"{rows * columns / 2**31:.2f} x 2^31 similarities"
    yield Row("neighbours of the last rows that differ", wrong, "", note=size, wrong=wrong > 0)


def rows_of_banks(device: torch.device, quick: bool) -> Iterator[Row]:
    """A probe's training rows out of three banks of a million rows: gathered once on the device, against each time."""
    n, dimension, step = (2_000, 16, 500) if quick else (1_000_000, 768, 8192)
    if device.type == "cuda" and not quick:
        n = min(n, int(torch.cuda.mem_get_info(device)[0] * 0.7) // (3 * 4 * dimension))
    random = np.random.default_rng(0)
    banks = [np.tile(random.normal(size=(1_000, dimension)).astype(np.float32), (n // 1_000, 1)) for _ in range(3)]
    which, rows = random.integers(0, 3, (1, n)), np.arange(n)
    begun = time.perf_counter()
    held = Gathered(banks, device)
    if device.type == "cuda":
        torch.cuda.synchronize(device)
    once = time.perf_counter() - begun
    size = 3 * 4 * n * dimension / 1e9
    yield Row("three banks brought to the device", once, "s", note=f"3 x {n:,} x {dimension}, {size / once:.2f} GB/s")
    there, here = held.source(which, rows), gather(banks, which, rows)
    sample = range(0, min(n, 20 * step), step)

    def read(source: object) -> None:
        for start in sample:
            source(start, start + step).to(device)  # type: ignore[operator]

    fast, slow = medians_on(device, partial(read, there), partial(read, here), rounds=1 if quick else 3)
    equal = torch.equal(there(n - 100, n).cpu(), here(n - 100, n))
    yield Row("an epoch's rows from there", n / len(sample) / step * fast, "s", note="scaled from 20 blocks")
    yield Row("the same from the host's memory", slow / fast, "times as long", wrong=not equal)


def several(device: torch.device, quick: bool) -> Iterator[Row]:
    """One pass on all cards, a process each, against one: the same bank, and how much sooner?"""
    count = torch.cuda.device_count() if device.type == "cuda" else 1
    devices = [f"cuda:{i}" for i in range(count)] if count > 1 else [str(device)] * (2 if device.type == "cpu" else 1)
    if len(devices) < 2:
        yield Row("there is one card alone", float("nan"), "", note="--device cuda:all is not measured")
        return
    name, photos = (TINY[0], photo_set(130, quick)) if quick else (VIT, photo_set(64 * 4 * count, quick))
    encoder = random_network(name, device, "float32")
    encoder = replace(encoder, reload=partial(_again, name))
    recipe, key = ProcessingViews(NAMES), bank_key(encoder.info, "float32", photos, "", "float32")
    rows, took, result = np.arange(len(photos)), [], []
    with tempfile.TemporaryDirectory(prefix="camtrace-") as folder:
        for used in (devices[:1], devices):
            bank = Bank.open(Path(folder) / str(len(used)), key, recipe.view_keys())
            begun = time.perf_counter()
            fill_banks_on(used, photos, recipe, [encoder], [bank], workers=0 if quick else 8)
            took.append(time.perf_counter() - begun)
            result.append(np.stack([np.asarray(bank.view(n, rows)[:]) for n in NAMES]))
    note = f"{len(photos)} photos x 14 views, {took[1]:.1f} s with start and loading"
    worst = _apart(result[1], result[0])
    yield Row(f"{len(devices)} devices", took[0] / took[1], "times as fast as one", note=note, wrong=worst > NEAR)


def _again(name: str, device: str) -> Encoder:
    return random_network(name, torch.device(device), "float32")
