"""Who should make the views: workers with the engine or with Pillow, or the device; and what a pass waits for."""

from __future__ import annotations

import contextlib
import os
import time
import warnings
from collections.abc import Iterator, Sequence

import torch

from benchmark.encoders import Encoder
from benchmark.views import view_stream
from benchmark.views.choose import ENOUGH_WORKERS, PILLOW_FACTOR
from benchmark.views.recipe import ProcessingViews
from builders.kernels import VARIABLE
from builders.photos import PhotoSet
from builders.pixels import chosen_engine
from scripts.checks.gpu.networks import TINY, VIT, filled, mixed_files, random_network
from scripts.checks.gpu.pixels import NAMES
from scripts.speed.measure import Row, environment

PHOTOS = 192
"""Of mixed sizes about 500 x 375."""


def makers(device: torch.device, quick: bool) -> Iterator[Row]:
    """Views per second by 1 to 16 workers and by the device, and from how many workers on they are the faster."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    encoder = random_network(TINY[0] if quick else VIT, device, "float32")
    photos = photo_set(6 if quick else PHOTOS, quick)
    hands = [1] if quick else [n for n in (1, 2, 4, 6, 8, 12, 16) if n <= cores]
    decoders = 1 if quick else min(4, cores)
    _rate(photos.limited(2), encoder, device, 0, mode="device")  # whatever happens once
    on_device = _rate(photos, encoder, device, decoders, mode="device")
    note = f"{len(photos)} photos of as many sizes, {len(NAMES)} views each; {decoders} workers decode"
    yield Row("on the device, mixed sizes", on_device, "views/s", note=note)
    for engine in ("numba", "pillow"):
        if engine == "numba" and chosen_engine() is None:
            yield Row("the exact engine is not here", float("nan"), "", note="pip install numba")
            continue
        some = photos if engine == "numba" else photos.limited(max(2, len(photos) // 6))
        rates: dict[int, float] = {}
        for n in hands:
            with environment(**{VARIABLE: engine}):
                rates[n] = _rate(some, encoder, device, n, mode="cpu")
            name = "the exact engine" if engine == "numba" else "Pillow"
            yield Row(f"by {n} workers with {name}", rates[n], "views/s", note=f"{len(some)} photos")
        faster = next((n for n, rate in rates.items() if rate >= on_device), None)
        expected = ENOUGH_WORKERS * (1 if engine == "numba" else PILLOW_FACTOR)
        note = f"--views auto takes workers from {expected} on{'' if faster else '; none of these'}"
        yield Row(f"workers with {name} that are as fast as the device", float(faster or "nan"), "workers", note=note)


def waits(device: torch.device, quick: bool) -> Iterator[Row]:
    """Share of a pass in which the encoders had nothing to do, and how often the host waited for the device."""
    encoder = random_network(TINY[0] if quick else VIT, device, "float32")
    photos = photo_set(2 if quick else PHOTOS, quick)
    workers = 0 if quick else min(8, os.cpu_count() or 1)
    for way in ("cpu", "device"):
        filled(photos.limited(1), encoder, way, 0)  # whatever happens once
        with _counted(device) as counted:
            cost = filled(photos, encoder, way, workers).cost
        who = f"views by {workers} workers" if way == "cpu" else "views on the device"
        idle = cost.waiting_s / cost.wall_s
        yield Row(f"encoders without views, {who}", idle, "of the pass", note=f"{cost.views} views")
        if device.type == "cuda":
            per = 1000 * counted[0] / cost.views
            yield Row(f"the host waited, {who}", per, "times per 1,000 views", note="torch's sync debug mode")


def photo_set(count: int, quick: bool) -> PhotoSet:
    """Photos of mixed sizes in memory."""
    return PhotoSet.of_bytes("scenes", {f"scene {i}": file for i, file in enumerate(mixed_files(count, quick))})


def _rate(photos: PhotoSet, encoder: Encoder, device: torch.device, workers: int, *, mode: str) -> float:
    """Views per second, start of the workers included."""
    recipe = ProcessingViews(NAMES)
    begun, count = time.perf_counter(), 0
    stream = view_stream(
        photos, range(len(photos)), recipe, [encoder.preprocess], workers=workers, mode=mode, targets=[device]
    )
    with contextlib.closing(stream):
        for _ in stream:
            count += 1
    if device.type == "cuda":
        torch.cuda.synchronize(device)
    return count * len(NAMES) / (time.perf_counter() - begun)


@contextlib.contextmanager
def _counted(device: torch.device) -> Iterator[Sequence[int]]:
    """[how often the host waited for the device within], by torch's own warnings."""
    counted = [0]
    if device.type != "cuda":
        yield counted
        return
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        torch.cuda.set_sync_debug_mode("warn")
        try:
            yield counted
        finally:
            torch.cuda.set_sync_debug_mode("default")
    counted[0] = sum("synchroniz" in str(one.message).lower() for one in caught)
