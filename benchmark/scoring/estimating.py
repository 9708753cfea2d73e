"""``--dry-run``: what a run will take by stage, measured on a few photos with every encoder that can be loaded."""

from __future__ import annotations

import functools
import gc
import os
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, cast

import numpy as np
import torch

from benchmark.bank import Bank, bank_key, fill_banks, workers_each
from benchmark.compute import named_devices
from benchmark.encoders import Encoder, with_outputs
from benchmark.options import RunOptions
from benchmark.report import markdown_table
from benchmark.scoring.answers.times import MadeUpAnswers, answer_times
from benchmark.scoring.passes import planned_passes
from benchmark.scoring.request import OpenedSet
from benchmark.scoring.store_paths import SPARE_BYTES, free_space, size
from benchmark.tasks import Cost, Seconds, Task, TaskInput
from benchmark.views import choose_views
from builders.files import scratch_prefix
from builders.photos import PhotoSet
from builders.processes import progress_bar
from builders.untrusted import error_text

SMALL, LARGE = 750, 3_000
"""Photos of the two runs whose difference gives the slope; what both have in common is not scaled."""

VIEW_SHIFT = 0.3
"""Distance of views of a photo in made-up embeddings; photos are about 1.4 apart."""


@dataclass(frozen=True)
class MadeUpBank:
    """Made-up embeddings of photos in any view: a direction of the photo plus one of the view."""

    photos: int
    dim: int

    @functools.cached_property
    def directions(self) -> np.ndarray:
        """float32 [photos, dim]."""
        return np.random.default_rng(0).normal(size=(self.photos, self.dim)).astype(np.float32)

    def view(self, name: str, rows: np.ndarray) -> np.ndarray:
        """float32 [photos, dim]."""
        shift = np.random.default_rng([*name.encode()]).normal(size=self.dim).astype(np.float32)
        return self.directions[rows] / np.sqrt(self.dim, dtype=np.float32) + VIEW_SHIFT * shift / np.sqrt(self.dim)


def task_times(
    tasks: Sequence[Task], photos: PhotoSet, dim: int, options: RunOptions, device: str, *, brief: bool = False
) -> dict[str, Cost]:
    """Cost by task.

    Args:
        tasks: that the photos can answer.
        photos: all photos of the set.
        dim: dimension of the embeddings.
        options: of the run.
        device: of the computation.
        brief: values and intervals alone, as of outputs besides the embedding.
    """
    sizes = [size for size in (SMALL, LARGE) if size < len(photos)] or [len(photos)]
    sets = [photos.limited(size, options.seed) for size in sizes]
    times: dict[str, Cost] = {}
    for task in progress_bar(tasks, desc="measuring tasks", unit="task", delay=2, leave=False):
        try:
            clocked = functools.partial(_clocked, task, dim=dim, options=options, device=device, brief=brief)
            if task.cost is not None:
                times[task.name] = task.cost(_made_up(photos, dim, options, device, brief), dim, clocked)
                continue
            clocked(sets[0])  # the first run compiles and loads
            measured = [(_amount(task, some, options), clocked(some).wall) for some in sets]
        except Exception as error:  # a line of the estimate in place of a time
            times[task.name] = Cost(None, f"not measured ({error_text(error)})")
            continue
        times[task.name] = Cost(extrapolated(measured, _amount(task, photos, options)))
    return times


def extrapolated(measured: Sequence[tuple[float, float]], amount: float) -> float:
    """Seconds for an amount of work, on the line through the (amount, seconds) that were measured; never falling.

    >>> extrapolated([(1, 2.0), (3, 3.0)], 11)
    7.0
    >>> extrapolated([(2, 3.0)], 4), extrapolated([(1, 3.0), (2, 2.0)], 4)
    (6.0, 4.0)
    """
    last, seconds = measured[-1]
    if len(measured) == 1 or seconds <= measured[0][1]:
        return seconds * amount / last
    slope = (seconds - measured[0][1]) / (last - measured[0][0])
    return seconds + slope * (amount - last)


def cost_text(name: str, cost: Cost) -> str:
    """What the estimated seconds of a task are of, in one line.

    >>> cost_text("retrieval/pairs", Cost(9000.0, "91 groups", 10_800.0, 900_000_000))
    'retrieval/pairs: 91 groups; 3.0 h of one core, 900.0 MB of memory besides the embeddings'
    """
    if cost.seconds is None:
        return f"{name}: {cost.text}"
    held = f"{size(cost.memory_bytes)} of memory besides the embeddings"
    return f"{name}: {cost.text}; {duration(cost.processor_s)} of one core, {held}"


def by_family(times: Mapping[str, Cost], tasks: Sequence[Task]) -> dict[str, float]:
    """Seconds by title of the family, of the tasks that could be measured."""
    total: dict[str, float] = {}
    for task in tasks:
        cost = times.get(task.name)
        if cost is not None and (seconds := cost.seconds) is not None:
            total[task.family.title] = total.get(task.family.title, 0.0) + seconds
    return total


def _amount(task: Task, photos: PhotoSet, options: RunOptions) -> float:
    """The amount of work, in whatever the task's time grows with."""
    if task.growth == "photos":
        return len(photos)
    train, val = len(photos.indices("train")), len(photos.indices("val"))
    queries = min(val, options.queries or val)
    return float(train * queries) if task.family.about == "processing" else float(len(photos) ** 2)


def _clocked(task: Task, photos: PhotoSet, *, dim: int, options: RunOptions, device: str, brief: bool) -> Seconds:
    """How long a task takes on these photos with made-up embeddings, which are made before."""
    task_input = _made_up(photos, dim, options, device, brief)
    _ = cast("MadeUpBank", task_input.bank).directions
    wall, processor = time.perf_counter(), time.process_time()
    task.run(task_input)
    return Seconds(time.perf_counter() - wall, time.process_time() - processor)


def _made_up(photos: PhotoSet, dim: int, options: RunOptions, device: str, brief: bool) -> TaskInput:
    bank: Any = MadeUpBank(len(photos), dim)
    usable = np.ones(len(photos), dtype=bool)
    return TaskInput(photos, usable, cast("Bank", bank), options, device, brief=brief, answers=MadeUpAnswers())


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
    """Seconds of one core to make the views of all photos."""
    forward_s: float = 0.0
    """Seconds of the encoder over all views."""
    views: int = 0
    bank_bytes: int = 0
    stored: bool = True
    """Whether the bank stays on disk; a bank of an unidentified encoder is temporary."""
    on_gpu: bool = False
    devices: tuple[str, ...] = ()
    """Devices that would embed in parallel, a process each; empty for one."""
    makers: tuple[str, ...] = ()
    """What would make the views, and why: a sentence for each kind of pass."""
    task_s: Mapping[str, float] = field(default_factory=dict)
    """By title of a family of tasks: seconds of one encoder over all its outputs."""
    notes: tuple[str, ...] = ()
    """What the seconds of single tasks are made of, or why there are none: a line each."""
    outputs: int = 0
    """Number of outputs that are scored besides the embedding."""


def estimate(
    groups: Sequence[Sequence[str]],
    sets: Sequence[OpenedSet],
    options: RunOptions,
    load: Callable[[str], Encoder],
) -> list[Measured]:
    """Load every encoder, one at a time, and measure it on a few photos.

    It downloads weights that are not on this machine, and writes no results.

    Args:
        groups: names of encoders that share passes.
        sets: photo sets and their tasks.
        options: of the run.
        load: loads an encoder by its name.

    Returns:
        One row per encoder and photo set.
    """
    measured: list[Measured] = []
    times: Times = {}
    bar = progress_bar([s for group in groups for s in group], desc="measuring", unit="encoder", delay=2)
    for spec in bar:
        try:
            measured += _measured(spec, sets, options, load, times)
        except Exception as error:  # a row of the estimate, as in a sweep
            measured += [Measured(spec, opened.photos.name, reason=error_text(error)) for opened in sets]
        release()
    return measured


def _measured(
    spec: str, sets: Sequence[OpenedSet], options: RunOptions, load: Callable[[str], Encoder], times: Times
) -> list[Measured]:
    """One row per photo set. The encoder is freed with this call, also if it fails."""
    started = time.perf_counter()
    encoder = load(spec)
    load_s = time.perf_counter() - started
    return [_measure(spec, encoder, opened, options, load_s, times) for opened in sets]


def estimate_text(
    measured: Sequence[Measured], groups: Sequence[Sequence[str]], sets: Sequence[OpenedSet], options: RunOptions
) -> str:
    """The estimate as text, with what is not in it."""
    rows = [
        [
            m.spec,
            m.data,
            *(
                ["-"] * 5
                if m.reason
                else [
                    f"{m.load_s:.0f} s",
                    f"{m.views:,}",
                    duration(m.forward_s),
                    duration(sum(m.task_s.values())),
                    size(m.bank_bytes),
                ]
            ),
            m.reason,
        ]
        for m in measured
    ]
    by = {(m.spec, m.data): m for m in measured if not m.reason}
    total = sum(
        pass_s([by[s, opened.photos.name] for s in group if (s, opened.photos.name) in by], options.workers)
        for group in groups
        for opened in sets
    )
    load = sum({m.spec: m.load_s for m in by.values()}.values())
    disk = sum(m.bank_bytes for m in by.values() if m.stored)
    passing = max((sum(m.bank_bytes for m in by.values() if not m.stored and m.spec in g) for g in groups), default=0)
    free = free_space(options.cache)
    tasks: dict[str, float] = {}
    for m in by.values():
        for family, seconds in m.task_s.items():
            tasks[family] = tasks.get(family, 0.0) + seconds
    stages = {
        "loading encoders": load,
        f"views and forward passes, encoders in {len(groups)} group{'s' if len(groups) > 1 else ''}": total,
        **tasks,
    }
    everything = sum(stages.values())
    lines = [
        markdown_table(["encoder", "data", "load", "views", "forward", "tasks", "bank", "cannot"], rows),
        "",
        f"measured on {MEASURED_PHOTOS} photos of each data set; {len(by)} of {len(measured)} rows can be scored",
        "",
        markdown_table(["stage", "about"], [[name, duration(s)] for name, s in [*stages.items(), ("all", everything)]]),
        "",
        f"disk: {size(disk)} of banks in {options.cache} ({size(free)} free), {size(passing)} more for a while"
        + ("" if disk + passing + SPARE_BYTES < free else ": NOT ENOUGH, it would be refused"),
        *dict.fromkeys(
            f"{m.spec}: {m.outputs} outputs besides its embedding, all in its bank" for m in by.values() if m.outputs
        ),
        *dict.fromkeys(_devices_text(m.devices, options.workers) for m in by.values() if m.devices),
        *dict.fromkeys(maker for m in by.values() for maker in m.makers),
        *dict.fromkeys(note for m in by.values() for note in m.notes),
        "tasks were measured on made-up embeddings of at most 3,000 photos, or parts with whole scenes and groups, "
        "with this machine as busy as it is now",
        "not in it: downloading weights; banks, outcomes and results that are there already make it shorter; a few "
        "photos are a small sample: it may be half or twice this",
    ]
    return "\n".join(lines)


def pass_s(members: Sequence[Measured], workers: int) -> float:
    """Seconds of one shared pass. Views are made once for all its encoders; on a CPU both compete for the cores."""
    if not members:
        return 0.0
    several = min(max(1, len(m.devices)) for m in members)
    cores = min(max(workers_each(workers, several), 1) * several, os.cpu_count() or 1)
    making, forward = max(m.making_s for m in members) / cores, sum(m.forward_s for m in members) / several
    return max(making, forward) if all(m.on_gpu for m in members) else making + forward


def _devices_text(several: Sequence[str], workers: int) -> str:
    """How a pass is split over devices, in one line.

    >>> _devices_text(("cuda:0", "cuda:1"), 0)
    '2 cards embed side by side (cuda:0, cuda:1): a process each, with 0 workers'
    """
    each = workers_each(workers, len(several))
    what = "cards" if several[0].startswith("cuda") else "processes"
    count = f"{each} worker{'s' if each != 1 else ''}"
    return f"{len(several)} {what} embed side by side ({', '.join(several)}): a process each, with {count}"


def duration(seconds: float) -> str:
    """Seconds as text, in seconds, minutes or hours.

    >>> duration(42), duration(600), duration(9000)
    ('42 s', '10 min', '2.5 h')
    """
    if seconds < 120:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 7200 else f"{seconds / 3600:.1f} h"


Times = dict[tuple[str, int, str, bool], dict[str, Cost]]
"""By data set, dimension, device and ``brief``: cost of tasks, measured once."""


@dataclass(frozen=True)
class PassTimes:
    """Time and space of all passes of one encoder over a photo set, scaled from a few photos."""

    making_s: float = 0.0
    """Seconds of one core to make the views."""
    forward_s: float = 0.0
    views: int = 0
    bank_bytes: int = 0
    makers: tuple[str, ...] = ()
    devices: tuple[str, ...] = ()
    reason: str = ""
    """Why nothing was measured; empty if it was."""


def pass_times(spec: str, encoder: Encoder, opened: OpenedSet, options: RunOptions) -> PassTimes:
    """Embed a few photos of a set, and scale time and space to all."""
    photos, few = opened.photos, opened.photos.limited(MEASURED_PHOTOS, options.seed)
    if options.outputs:
        encoder = with_outputs(encoder, options.outputs).together
    scale = len(photos) / len(few)
    making = forward = 0.0
    views = bank_bytes = 0
    makers: list[str] = []
    several = named_devices(options.device)
    several = several if len(several) > 1 and encoder.reload is not None else ()
    for planned in planned_passes(opened.tasks, photos, options):
        recipe, cost = planned.recipe, None
        for part in (few.select(np.arange(1)), few):  # the first call of a network is slow
            with tempfile.TemporaryDirectory(prefix=scratch_prefix()) as scratch:
                key = bank_key(encoder.info, encoder.dtype, part, "measured", options.storage)
                bank = Bank.open(Path(scratch), key, recipe.view_keys())
                outcome = fill_banks(
                    part, recipe, [encoder], [bank], batch_size=options.batch_size, workers=0, label=f"measuring {spec}"
                )
                if outcome.failures:
                    return PassTimes(reason=outcome.failures[0])
                cost = outcome.cost
        assert cost is not None
        making += cost.making_s * scale
        forward += cost.forward_s * scale
        views += len(recipe.names) * len(photos)
        home = torch.device(encoder.device)
        hands = workers_each(options.workers, max(1, len(several)))
        makers.append(str(choose_views(options.views, recipe, [encoder.preprocess], [home], hands)))
        bank_bytes += len(recipe.names) * len(photos) * encoder.info.dimension * np.dtype(options.storage).itemsize
        answers = answer_times(encoder, recipe, planned.tasks, photos, options)
        making += answers.making_s
        forward += answers.load_s + answers.forward_s
        views += answers.answers
        bank_bytes += answers.bank_bytes
        makers += [answers.text] if answers.text else []
    return PassTimes(making, forward, views, bank_bytes, tuple(makers), devices=several)


def _measure(
    spec: str, encoder: Encoder, opened: OpenedSet, options: RunOptions, load_s: float, times: Times
) -> Measured:
    photos, measured = opened.photos, pass_times(spec, encoder, opened, options)
    if measured.reason:
        return Measured(spec, photos.name, reason=measured.reason)
    layered = with_outputs(encoder, options.outputs) if options.outputs else None
    tasks_s: dict[str, float] = {}
    notes: list[str] = []
    dimensions = [(encoder.info.dimension, False), *((o.dimension, True) for o in (layered.outputs if layered else ()))]
    for dimension, brief in dimensions:
        known = (photos.name, dimension, encoder.device, brief)
        if known not in times:
            times[known] = task_times(opened.tasks, photos, dimension, options, encoder.device, brief=brief)
        for family, seconds in by_family(times[known], opened.tasks).items():
            tasks_s[family] = tasks_s.get(family, 0.0) + seconds
        notes += [cost_text(name, cost) for name, cost in times[known].items() if cost.text and not brief]
    return Measured(
        spec,
        photos.name,
        load_s=load_s,
        making_s=measured.making_s,
        forward_s=measured.forward_s,
        views=measured.views,
        bank_bytes=measured.bank_bytes,
        stored=encoder.info.weights_sha256 is not None,
        on_gpu=encoder.device != "cpu",
        devices=measured.devices,
        makers=measured.makers,
        task_s=tasks_s,
        notes=tuple(notes),
        outputs=len(layered.outputs) if layered else 0,
    )


def release() -> None:
    """Give back the memory of encoders that are gone."""
    gc.collect()
    if torch.cuda.is_available():
        torch.cuda.empty_cache()
