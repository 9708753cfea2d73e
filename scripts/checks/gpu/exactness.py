"""Do a card's embeddings depend on what they should not: the batch, the layout in memory, the run?"""

from __future__ import annotations

import contextlib
import tempfile
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import numpy as np
import torch
from torch.nn import functional

from benchmark.compute import float32_rounding
from builders.untrusted import first_line
from scripts.checks.gpu.networks import BATCH, RESNET, TINY, VIT, fill, random_network, seeded, views_of
from scripts.checks.gpu.pixels import NAMES
from scripts.checks.gpu.view_makers import photo_set
from scripts.speed.measure import Row, medians_on

STEADY = 1e-5
"""Relative distance up to which two float32 embeddings of one view count as the same; tests ask for no more."""


def batches(device: torch.device, quick: bool) -> Iterator[Row]:
    """Embeddings in batches of 1, 10 and 14 against one of 64; in float32 they must be those of rounding."""
    for name in TINY if quick else (VIT, RESNET):
        for dtype in ("float32",) if quick else ("float32", "bfloat16"):
            encoder = random_network(name, device, dtype)
            views = views_of(encoder, device, photos=2 if quick else 5)[:BATCH]
            together = encoder.embed(views)
            for size in (1, 10, 14):
                apart = torch.cat([encoder.embed(part) for part in views.split(size)])
                worst = float(((together - apart).norm(dim=1) / together.norm(dim=1)).max())
                note = f"{len(views)} views; up to {STEADY:.0e} is rounding in float32"
                wrong = dtype == "float32" and worst > STEADY
                what = f"{name}, {dtype}: batch of {size} against {len(views)}"
                yield Row(what, worst, "of the length", note=note, wrong=wrong)


def attention(device: torch.device, quick: bool) -> Iterator[Row]:
    """Torch's attention in float32 against the formula in float64 on the CPU."""
    shape = (2, 2, 17, 16) if quick else (16, 12, 197, 64)
    generator = torch.Generator().manual_seed(0)
    query, key, value = (torch.randn(shape, generator=generator, dtype=torch.float64) for _ in range(3))
    scores = (query @ key.mT / shape[-1] ** 0.5).softmax(-1)
    expected = scores @ value
    there = [one.float().to(device) for one in (query, key, value)]
    for name in ("as torch chooses", "MATH", "EFFICIENT_ATTENTION"):
        try:
            with float32_rounding(), torch.inference_mode(), _kernel(name):
                result = functional.scaled_dot_product_attention(*there).cpu().double()
        except RuntimeError as error:
            note = first_line(error, 80)
            yield Row(f"float32, {name.lower()}: not available", float("nan"), "", note=note)
            continue
        worst = float(((result - expected).norm(dim=-1) / expected.norm(dim=-1)).max())
        note = f"{' x '.join(map(str, shape))}; TF32 would give 1e-3"
        yield Row(f"float32, {name.lower()}", worst, "of the length", note=note, wrong=worst > STEADY)


def _kernel(name: str) -> contextlib.AbstractContextManager[object]:
    if name == "as torch chooses":
        return contextlib.nullcontext()
    from torch.nn.attention import SDPBackend, sdpa_kernel

    return sdpa_kernel(getattr(SDPBackend, name))


def _forward(module: torch.nn.Module, batch: torch.Tensor) -> torch.Tensor:
    with torch.inference_mode(), float32_rounding():
        return module(batch)


def layouts(device: torch.device, quick: bool) -> Iterator[Row]:
    """Convolutions on channels-last memory, which the package uses, against contiguous."""
    name = TINY[1] if quick else RESNET
    for dtype in ("float32",) if quick else ("float32", "bfloat16"):
        encoder = random_network(name, device, dtype)
        kind = torch.bfloat16 if dtype == "bfloat16" else torch.float32
        last = encoder.embed.module  # type: ignore[attr-defined]
        plain = seeded(name).eval().requires_grad_(False).to(device, kind)
        side = last.default_cfg["input_size"][-1]
        pixels = torch.rand((8 if quick else BATCH, 3, side, side)).to(device, kind)
        channels_last = pixels.contiguous(memory_format=torch.channels_last)

        last_s, plain_s = medians_on(
            device, partial(_forward, last, channels_last), partial(_forward, plain, pixels), rounds=1 if quick else 5
        )
        apart = (_forward(last, channels_last) - _forward(plain, pixels)).float().norm(dim=1)
        worst = float((apart / _forward(plain, pixels).float().norm(dim=1)).max())
        note = f"{len(pixels)} views, {len(pixels) / last_s:.0f} views/s; they differ by {worst:.1e} of the length"
        wrong = dtype == "float32" and worst > STEADY
        yield Row(f"{name}, {dtype}: channels last", plain_s / last_s, "times as fast", note=note, wrong=wrong)


def repeats(device: torch.device, quick: bool) -> Iterator[Row]:
    """Two whole passes, by workers and by the device, with the remainder of another batch size: are the banks equal?"""
    encoder = random_network(TINY[0] if quick else VIT, device, "float32")
    photos, workers = photo_set(6 if quick else 64, quick), 0 if quick else 4
    with tempfile.TemporaryDirectory(prefix="camtrace-") as folder:
        banks = {}
        for run, way, size in (
            ("first", "cpu", BATCH),
            ("again", "cpu", BATCH),
            ("device", "device", BATCH),
            ("10", "cpu", 10),
        ):
            _, bank = fill(Path(folder) / run, photos, encoder, way, workers, size)
            rows = np.arange(len(photos))
            banks[run] = np.stack([np.asarray(bank.view(name, rows)[:]) for name in NAMES])
    for run, what in (
        ("again", "the same again"),
        ("device", "views on the device"),
        ("10", "batches of 10 instead of 64"),
    ):
        differing = float((banks[run] != banks["first"]).mean())
        lengths = np.linalg.norm(banks["first"], axis=-1)
        worst = float((np.linalg.norm(banks[run] - banks["first"], axis=-1) / lengths).max())
        note = f"{banks[run].size:,} numbers; at most {worst:.1e} of the length"
        yield Row(f"numbers that differ, {what}", differing, "of all", note=note, wrong=worst > STEADY)
