"""``estimate``: what a run would take, a ``Measured`` row for each encoder and photo set.

Loading, trial, passes (``pass_costs.py``) and tasks (``task_costs.py``) are measured on a few photos and scaled to all,
without what the cache has already.
"""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path

import torch

from benchmark.bank import Bank, OutputsBank, PhotoHashes, check_precision, resolve_runtime
from benchmark.compute import free_cached
from benchmark.encoders import NO_FILE, CompiledFile, Encoder, Layered, Output, compiled_file
from benchmark.options import RunOptions
from benchmark.scoring.collect import EncoderRun
from benchmark.scoring.estimating.clocks import NOTHING, Stopwatch
from benchmark.scoring.estimating.pass_costs import PassTimes, pass_times
from benchmark.scoring.estimating.task_costs import by_family, cost_text, task_times
from benchmark.scoring.passes import layers_of, output_runs_of, planned_passes, tasks_to_run
from benchmark.scoring.request import OpenedSet
from benchmark.scoring.store_paths import BankPaths
from benchmark.scoring.tasks_run import run_side_by_side
from benchmark.scoring.trial import FOLDER as VERDICTS
from benchmark.scoring.trial import cached_trials
from benchmark.tasks import Cost, Seconds, Task
from benchmark.views import ViewRecipe
from builders.errors import EncoderError
from builders.files import scratch_prefix
from builders.photos import PhotoSet
from builders.processes import progress_bar
from builders.untrusted import error_text


@dataclass(frozen=True)
class Measured:
    """One encoder on one photo set, measured on a few photos and scaled to all."""

    spec: str
    data: str
    reason: str = ""
    """Why it was not measured; empty if it was."""
    load: Seconds = NOTHING
    trial: Seconds = NOTHING
    """What is found out before a pass: is it deterministic, does another runtime or a precision compute the same?"""
    times: PassTimes = field(default_factory=PassTimes)
    stored: bool = True
    """Whether the bank stays on disk; a bank of an unidentified encoder is temporary."""
    on_gpu: bool = False
    compiled: CompiledFile = NO_FILE
    """The network as another runtime has compiled it, which the cache holds too."""
    tasks: Mapping[str, Seconds] = field(default_factory=dict)
    """By title of a family of tasks: seconds of one encoder over all its outputs."""
    cached_tasks: int = 0
    """Outcomes of tasks that the cache has."""
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

    It downloads weights that are not on this machine, stores compiled networks, and writes no results.

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
    with tempfile.TemporaryDirectory(prefix=scratch_prefix()) as folder:
        if (options.cache / VERDICTS).is_dir():
            shutil.copytree(options.cache / VERDICTS, Path(folder) / VERDICTS)
        measuring = _Measuring(options, Path(folder), times)
        bar = progress_bar([s for group in groups for s in group], desc="measuring", unit="encoder", delay=2)
        for spec in bar:
            try:
                measured += measuring.rows(spec, sets, load)
            except Exception as error:  # a row of the estimate, as in a sweep
                measured += [Measured(spec, opened.photos.name, reason=error_text(error)) for opened in sets]
            free_cached()
    return measured


Times = dict[tuple[object, ...], dict[str, Cost]]
"""By everything that decides it, the cost of tasks, measured once."""


@dataclass(frozen=True)
class _Measuring:
    options: RunOptions
    scratch: Path
    """A cache of its own, so that nothing is written into the user's."""
    times: Times
    hashes: dict[str, PhotoHashes] = field(default_factory=dict)

    def rows(self, spec: str, sets: Sequence[OpenedSet], load: Callable[[str], Encoder]) -> list[Measured]:
        """One row per photo set. The encoder is freed with this call, also if it fails."""
        stopwatch = Stopwatch()
        encoder = load(spec)
        loaded = stopwatch.seconds()
        if compiled_file(encoder).new:  # the run will find it
            del encoder
            free_cached()
            stopwatch = Stopwatch()
            encoder = load(spec)
            loaded = stopwatch.seconds()
        return [self._row(spec, encoder, opened, loaded) for opened in sets]

    def _row(self, spec: str, encoder: Encoder, opened: OpenedSet, loaded: Seconds) -> Measured:
        photos, options = opened.photos, self.options
        if photos.name not in self.hashes:
            self.hashes[photos.name] = PhotoHashes(photos, options.cache, store=False, verify=options.verify_bytes)
        paths = BankPaths(self.hashes[photos.name], options, self.scratch)
        stopwatch = Stopwatch()
        encoder = self._tried(encoder, opened, paths.bytes_hash)
        trial = stopwatch.seconds()
        state = EncoderRun({})
        [layered] = layers_of([encoder], options, [state], None)
        encoder = layered.encoder if layered else encoder
        times = PassTimes()
        if encoder.stored is None:
            look = partial(_bank, paths, encoder, layered, options)
            times = pass_times(spec, encoder, opened, options, look)
        if times.reason:
            return Measured(spec, photos.name, reason=times.reason)
        left = {
            output_run.output.name if output_run.output else "": [
                task
                for planned in planned_passes(opened.tasks, photos, options)
                for task in tasks_to_run(output_run, paths, photos, planned, options)
            ]
            for output_run in output_runs_of(encoder, state, layered, None)
        }
        seconds: dict[str, Seconds] = {}
        notes: list[str] = []
        outputs = {output.name: output for output in (layered.outputs if layered else ())}
        dimensions = {"": encoder.info.dimension, **{name: output.dimension for name, output in outputs.items()}}
        for output, tasks in left.items():
            banks = _complete_banks(paths, encoder, outputs.get(output), photos, options, tasks)
            costs = self._costs(opened, tasks, dimensions[output], encoder, bool(output), banks)
            of_output = by_family(costs, tasks)
            if run_side_by_side(photos, len(opened.tasks), dimensions[output], encoder.device):
                of_output = _side_by_side(of_output, costs)
            for family, (wall, processor) in of_output.items():
                before = seconds.get(family, NOTHING)
                seconds[family] = Seconds(before.wall + wall, before.processor + processor)
            notes += [cost_text(name, cost) for name, cost in costs.items() if cost.text and not output]
        return Measured(
            spec,
            photos.name,
            load=loaded,
            trial=trial,
            times=times,
            stored=encoder.info.weights_sha256 is not None,
            on_gpu=encoder.device != "cpu",
            compiled=compiled_file(encoder),
            tasks=seconds,
            cached_tasks=len(opened.tasks) * len(left) - sum(map(len, left.values())),
            notes=tuple(notes),
            outputs=len(layered.outputs) if layered else 0,
        )

    def _tried(self, encoder: Encoder, opened: OpenedSet, bytes_hash: str) -> Encoder:
        """The encoder with the runtime that these photos allow, after the checks of a run. Raises ``EncoderError``."""
        photos, options = opened.photos, replace(self.options, cache=self.scratch)
        if encoder.stored is not None or not photos.has_pictures:
            return encoder
        recipe = planned_passes(opened.tasks, photos, options)[0].recipe
        trial = cached_trials([encoder], photos, bytes_hash, recipe, options)[0]
        if trial.reason or (trial.random and not options.allow_random):
            raise EncoderError(trial.reason or trial.random)
        encoder, _ = resolve_runtime(encoder, photos, bytes_hash, options)
        verdict = check_precision(encoder, photos, bytes_hash, options)
        if verdict is not None and not verdict.passed and not options.force_dtype:
            raise EncoderError(verdict.reason)
        return encoder

    def _costs(
        self,
        opened: OpenedSet,
        tasks: Sequence[Task],
        dimension: int,
        encoder: Encoder,
        brief: bool,
        banks: Mapping[str, Bank],
    ) -> dict[str, Cost]:
        """Made-up embeddings serve all encoders of a dimension, those of a bank its encoder."""
        of_bank = encoder.info.id if banks else ""
        known = (opened.photos.name, dimension, encoder.device, brief, of_bank, *(task.name for task in tasks))
        if known not in self.times:
            self.times[known] = task_times(
                tasks, opened.photos, dimension, self.options, encoder.device, brief=brief, banks=banks
            )
        return self.times[known]


def _complete_banks(
    paths: BankPaths,
    encoder: Encoder,
    output: Output | None,
    photos: PhotoSet,
    options: RunOptions,
    tasks: Sequence[Task],
) -> dict[str, Bank]:
    """By task, the bank of its views; without tasks some of whose views are missing, or are made again."""
    if options.fresh or not encoder.cacheable or encoder.stored is not None:
        return {}
    banks = {task.name: paths.look(encoder, task.recipe(photos, options).view_keys(), output) for task in tasks}
    return {name: bank for name, bank in banks.items() if bank.complete}


def _bank(
    paths: BankPaths, encoder: Encoder, layered: Layered | None, options: RunOptions, recipe: ViewRecipe
) -> Bank | OutputsBank | None:
    """The bank of a pass as it is; None if the run makes all of it."""
    if options.fresh or not encoder.cacheable:
        return None
    views = recipe.view_keys()
    banks = [paths.look(encoder, views, output) for output in (None, *(layered.outputs if layered else ()))]
    return OutputsBank(tuple(banks), (), layered.together.info.dimension) if layered else banks[0]


def _side_by_side(seconds: Mapping[str, Seconds], costs: Mapping[str, Cost]) -> dict[str, Seconds]:
    """The clock of tasks that run in parallel, with one thread each."""
    total = sum(one.wall for one in seconds.values())
    longest = max((cost.seconds or 0.0 for cost in costs.values()), default=0.0)
    share = max(longest, total / torch.get_num_threads()) / total if total else 1.0
    return {family: Seconds(one.wall * share, one.processor) for family, one in seconds.items()}
