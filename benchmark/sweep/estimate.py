"""``sweep --dry-run``: what a sweep will take, measured on a few photos with every encoder that can be loaded."""

from __future__ import annotations

import os
import shutil
import tempfile
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from tqdm.auto import tqdm

from benchmark.bank import Bank, bank_key, fill_banks
from benchmark.encoders import Encoder, load_encoder
from benchmark.options import RunOptions
from benchmark.results import markdown_table
from benchmark.scoring import planned_passes
from benchmark.sweep.run import SweepJob, release, sentence

MEASURED_PHOTOS = 6


@dataclass(frozen=True)
class Measured:
    """One encoder on one photo set, measured on a few photos and scaled to all."""

    spec: str
    data: str
    reason: str = ""
    """Why it was not measured; empty if it was."""
    load_s: float = 0.0
    making_s: float = 0.0
    """One core's time to make the views of all photos."""
    forward_s: float = 0.0
    """The encoder's time over all views."""
    views: int = 0
    bank_bytes: int = 0
    kept: bool = True
    """Whether the bank stays on disk; a bank of an unidentified encoder is temporary."""
    on_gpu: bool = False


def estimate(
    groups: Sequence[Sequence[str]], jobs: Sequence[SweepJob], options: RunOptions, loading: Mapping[str, Any]
) -> list[Measured]:
    """Load every encoder, one at a time, and measure it. Downloads weights that are not here yet; writes no results."""
    found = []
    bar = tqdm([s for group in groups for s in group], desc="measuring", unit="encoder", delay=2, disable=None)
    for spec in bar:
        started = time.perf_counter()
        try:
            encoder = load_encoder(spec, **loading)
            load_s = time.perf_counter() - started
            found += [_measure(spec, encoder, job, options, load_s) for job in jobs]
            del encoder
        except Exception as error:  # a row of the estimate, as it will be one of the sweep
            found += [Measured(spec, job.photos.name, reason=sentence(error)) for job in jobs]
        release()
    return found


def estimate_text(
    measured: Sequence[Measured], groups: Sequence[Sequence[str]], jobs: Sequence[SweepJob], options: RunOptions
) -> str:
    """The estimate for people, with what is not in it."""
    rows = [
        [
            m.spec,
            m.data,
            *(
                ["-"] * 4
                if m.reason
                else [f"{m.load_s:.0f} s", f"{m.views:,}", duration(m.forward_s), size(m.bank_bytes)]
            ),
            m.reason,
        ]
        for m in measured
    ]
    by = {(m.spec, m.data): m for m in measured if not m.reason}
    total = sum(
        pass_s([by[s, job.photos.name] for s in group if (s, job.photos.name) in by], options.workers)
        for group in groups
        for job in jobs
    )
    load = sum({m.spec: m.load_s for m in by.values()}.values())
    disk = sum(m.bank_bytes for m in by.values() if m.kept)
    passing = max((sum(m.bank_bytes for m in by.values() if not m.kept and m.spec in g) for g in groups), default=0)
    folder = next(p for p in (options.cache, *options.cache.parents) if p.exists())
    free = shutil.disk_usage(folder).free
    lines = [
        markdown_table(["encoder", "data", "load", "views", "forward", "bank", "cannot"], rows),
        "",
        f"measured on {MEASURED_PHOTOS} photos of each data set; {len(by)} of {len(measured)} rows can be scored",
        f"embedding: about {duration(total)} in {len(groups)} groups, plus {duration(load)} loading",
        f"disk: {size(disk)} of banks in the cache ({size(free)} free), {size(passing)} more for a while"
        + ("" if disk + passing < free else ": NOT ENOUGH"),
        "not in it: downloading weights, reading all photos once for their hash, fitting probes, kNN; banks and "
        "results that are there already make it shorter; a few photos are a small sample: it may be half or twice this",
    ]
    return "\n".join(lines)


def pass_s(members: Sequence[Measured], workers: int) -> float:
    """Seconds of one shared pass: views are made once for all its encoders; on a CPU both compete for the cores."""
    if not members:
        return 0.0
    cores = min(max(workers, 1), os.cpu_count() or 1)
    making, forward = max(m.making_s for m in members) / cores, sum(m.forward_s for m in members)
    return max(making, forward) if all(m.on_gpu for m in members) else making + forward


def duration(seconds: float) -> str:
    """Seconds in the unit that people use.

    >>> duration(42), duration(600), duration(9000)
    ('42 s', '10 min', '2.5 h')
    """
    if seconds < 120:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 7200 else f"{seconds / 3600:.1f} h"


def size(count: int) -> str:
    """Bytes in the unit that people use.

    >>> size(52_000), size(3_100_000_000)
    ('0.1 MB', '3.1 GB')
    """
    return f"{count / 1e6:.1f} MB" if count < 1e9 else f"{count / 1e9:.1f} GB"


def _measure(spec: str, encoder: Encoder, job: SweepJob, options: RunOptions, load_s: float) -> Measured:
    photos, few = job.photos, job.photos.limited(MEASURED_PHOTOS, options.seed)
    scale = len(photos) / len(few)
    making = forward = 0.0
    views = bank_bytes = 0
    for recipe in [one.recipe for one in planned_passes(job.tasks, photos, options)]:
        cost = None
        for part in (few.select(np.arange(1)), few):  # the first call of a network is slow
            with tempfile.TemporaryDirectory(prefix="camtrace-") as scratch:
                key = bank_key(encoder.info, encoder.dtype, part, "measured", options.storage)
                bank = Bank.open(Path(scratch), key, recipe.view_keys())
                outcome = fill_banks(
                    part, recipe, [encoder], [bank], batch_size=options.batch_size, workers=0, label=f"measuring {spec}"
                )
                if outcome.failures:
                    return Measured(spec, photos.name, reason=outcome.failures[0])
                cost = outcome.cost
        assert cost is not None
        making += cost.making_s * scale
        forward += cost.forward_s * scale
        views += len(recipe.names) * len(photos)
        bank_bytes += len(recipe.names) * len(photos) * encoder.info.dimension * np.dtype(options.storage).itemsize
    return Measured(
        spec,
        photos.name,
        load_s=load_s,
        making_s=making,
        forward_s=forward,
        views=views,
        bank_bytes=bank_bytes,
        kept=encoder.info.weights_sha256 is not None,
        on_gpu=encoder.device != "cpu",
    )
