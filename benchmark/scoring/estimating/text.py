"""An estimate as text: a row per encoder and photo set, stages by clock and processor, disk, and what is not in it."""

from __future__ import annotations

import os
from collections.abc import Sequence

from benchmark.bank import workers_each
from benchmark.options import RunOptions
from benchmark.report import markdown_table
from benchmark.scoring.estimating.clocks import NOTHING, duration, summed
from benchmark.scoring.estimating.measuring import Measured
from benchmark.scoring.request import OpenedSet
from benchmark.scoring.store_paths import SPARE_BYTES, free_space, size
from benchmark.tasks import Seconds

REPORTS = Seconds(1.0, 1.2)
"""Writing results and reports, as measured for one result on two cores of an AMD EPYC; large only beside nothing."""

HEADER = ("encoder", "data", "load", "views", "forward", "tasks", "bank", "there already", "cannot")


def estimate_text(
    measured: Sequence[Measured],
    groups: Sequence[Sequence[str]],
    sets: Sequence[OpenedSet],
    options: RunOptions,
    started: Seconds,
) -> str:
    """The estimate as text, with what is not in it.

    Args:
        measured: from ``estimate``, with the same groups, sets and options.
        groups: names of encoders that share passes.
        sets: photo sets and their tasks.
        options: of the run.
        started: what the process has taken until it could measure.
    """
    by = {(m.spec, m.data): m for m in measured if not m.reason}
    stages = _stages(by, groups, sets, options, started)
    rows = [[name, duration(one.wall), duration(one.processor)] for name, one in stages.items()]
    lines = [
        markdown_table(list(HEADER), [_row(m) for m in measured]),
        "",
        f"{len(by)} of {len(measured)} rows can be scored",
        "",
        markdown_table(["stage", "by the clock", "of one processor"], rows),
        "",
        _disk_text(by, groups, options),
        *dict.fromkeys(
            f"{m.spec}: {m.outputs} outputs besides its embedding, all in its bank" for m in by.values() if m.outputs
        ),
        *dict.fromkeys(_devices_text(m.times.devices, options.workers) for m in by.values() if m.times.devices),
        *dict.fromkeys(maker for m in by.values() for maker in m.times.makers),
        *dict.fromkeys(note for m in by.values() for note in m.notes),
        "views were measured on 6 to 96 photos, tasks on at most 5,000 photos or on whole scenes and groups, by "
        "made-up embeddings where there are none yet (harder ones take longer)",
        "the clock is that of this machine as busy as it is now; processor seconds are of all cores",
        "not in it: downloading weights, kernels that are compiled once per machine",
    ]
    return "\n".join(lines)


def _row(m: Measured) -> list[str]:
    if m.reason:
        return [m.spec, m.data, *["-"] * 6, m.reason]
    times, tasks = m.times, summed(m.tasks.values())
    there = [f"{times.stored_views:,} views"] if times.stored_views else []
    there += [f"{m.cached_tasks} tasks"] if m.cached_tasks else []
    forward = duration(times.forward_s)
    return [
        m.spec, m.data, duration(m.load.wall), f"{times.views:,}", forward, duration(tasks.wall),
        size(times.bank_bytes), ", ".join(there) or "nothing", "",
    ]  # fmt: skip


def _stages(
    by: dict[tuple[str, str], Measured],
    groups: Sequence[Sequence[str]],
    sets: Sequence[OpenedSet],
    options: RunOptions,
    started: Seconds,
) -> dict[str, Seconds]:
    passes = [
        pass_seconds([by[s, opened.photos.name] for s in group if (s, opened.photos.name) in by], options.workers)
        for group in groups
        for opened in sets
    ]
    tasks: dict[str, Seconds] = {}
    for m in by.values():
        for family, seconds in m.tasks.items():
            tasks[family] = summed([tasks.get(family, NOTHING), seconds])
    stages = {
        "starting": started,
        "loading encoders": summed({m.spec: m.load for m in by.values()}.values()),
        "trying encoders": summed(m.trial for m in by.values()),
        f"views and forward passes, encoders in {len(groups)} group{'s' if len(groups) > 1 else ''}": summed(passes),
        **tasks,
        "reports": REPORTS,
    }
    return {**stages, "all": summed(stages.values())}


def _disk_text(by: dict[tuple[str, str], Measured], groups: Sequence[Sequence[str]], options: RunOptions) -> str:
    """What the run adds to the disk, compiled networks included; those of an encoder are there once."""
    banks = sum(m.times.bank_bytes for m in by.values() if m.stored)
    temporary = [sum(m.times.bank_bytes for m in by.values() if not m.stored and m.spec in group) for group in groups]
    compiled = {m.spec: m.compiled for m in by.values()}.values()
    whole, lacking = sum(c.bytes for c in compiled), sum(c.bytes for c in compiled if not c.on_disk)
    free, passing = free_space(options.cache), max(temporary, default=0)
    there = "there already" if not lacking else f"{size(lacking)} of it still to be written"
    networks = f" and {size(whole)} of compiled networks ({there})" if whole else ""
    full = "" if banks + lacking + passing + SPARE_BYTES < free else ": NOT ENOUGH, it would be refused"
    return (
        f"disk: {size(banks)} of banks{networks} in {options.cache} ({size(free)} free), "
        f"{size(passing)} more for a while{full}"
    )


def pass_seconds(members: Sequence[Measured], workers: int) -> Seconds:
    """Seconds of one shared pass. Views are made once for all its encoders. On a CPU making and embedding compete for
    the cores; a GPU embeds while workers make views, but not while it makes them itself.

    Args:
        members: encoders of the pass on one photo set.
        workers: of the run.
    """
    if not members:
        return NOTHING
    times = [m.times for m in members]
    several = min(max(1, len(one.devices)) for one in times)
    cores = min(max(workers_each(workers, several), 1) * several, os.cpu_count() or 1)
    by_device = any(one.by_device for one in times)
    making = max(one.making_s for one in times) / (several if by_device else cores)
    forward = sum(one.forward_s for one in times) / several
    overlap = all(m.on_gpu for m in members) and not by_device
    processor = max(one.making_processor_s for one in times) + sum(one.forward_processor_s for one in times)
    return Seconds(max(making, forward) if overlap else making + forward, processor)


def _devices_text(several: Sequence[str], workers: int) -> str:
    """How a pass is split over devices, in one line.

    >>> _devices_text(("cuda:0", "cuda:1"), 0)
    '2 cards embed side by side (cuda:0, cuda:1): a process each, with 0 workers'
    """
    each = workers_each(workers, len(several))
    what = "cards" if several[0].startswith("cuda") else "processes"
    count = f"{each} worker{'s' if each != 1 else ''}"
    return f"{len(several)} {what} embed side by side ({', '.join(several)}): a process each, with {count}"
