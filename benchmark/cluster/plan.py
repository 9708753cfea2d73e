"""Plans a run: measures and freezes every encoder, and cuts blocks of photos and tasks into ranks of equal time."""

from __future__ import annotations

import heapq
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from benchmark.bank import Blocks, PhotoHashes, blocks_bytes, check_precision, key_hash, key_of, resolve_runtime
from benchmark.cluster.answers import answer_facts, answer_key, planned_answers
from benchmark.cluster.finish import finish
from benchmark.cluster.planned_run import PlannedRun, encoder_facts, packages_of, photo_facts
from benchmark.cluster.request import Request
from benchmark.cluster.run_work import RunWork
from benchmark.cluster.task_ranks import planned_tasks, with_task_ranks
from benchmark.compute import free_cached
from benchmark.encoders import Encoder, load_encoder
from benchmark.scoring import (
    OpenedSet,
    PassTimes,
    cached_trials,
    input_size,
    pass_times,
    planned_passes,
    size,
)
from builders.cluster import Finished, FinishOptions, Plan, RankPlan, StorageFolder, cut, version_facts
from builders.errors import EncoderError, UsageError
from builders.photos import print_cells
from builders.pixels import codec_canary
from builders.processes import memory_budget, notice, progress_bar
from builders.untrusted import error_text, readable


@dataclass(frozen=True)
class Frozen:
    """One encoder on one photo set, as the plan freezes it."""

    key: dict[str, Any]
    """Key of its bank."""
    runtime: str
    times: PassTimes
    input_size: tuple[int, int] | None
    """Height and width of its input in pixels, which tasks may ask for."""
    answers: list[dict[str, Any]]
    """``key`` and ``views`` of its banks of answers, in the order of ``planned_answers``; empty for most encoders."""


class RunRanks:
    """How ``score``, ``sweep`` and ``embed`` are cut into ranks."""

    def __init__(self, request: Request) -> None:
        self._request = request

    def planned(self, storage: StorageFolder, rank_seconds: float, count: int | None) -> dict[str, Any]:
        """Fields of the plan. Every encoder is loaded once, one at a time, and measured."""
        return _planned_fields(self._request, rank_seconds, count)

    def open(self, plan: Plan, storage: StorageFolder) -> RunWork:
        return RunWork(plan, storage)

    def finish(self, plan: Plan, done: Mapping[int, Finished], storage: StorageFolder, how: FinishOptions) -> int:
        """Merge and verify, then score."""
        return finish(plan, done, storage, how)


def _planned_fields(request: Request, rank_seconds: float, count: int | None) -> dict[str, Any]:
    """Fields of the plan. Every encoder is loaded once, one at a time, and measured; so are tasks, by dimension.

    Args:
        request: the command.
        rank_seconds: that a rank should take.
        count: of ranks that embed, and of those that compute tasks; None for as many as ``rank_seconds`` gives.

    Raises:
        EncoderError: no encoder can be planned.
    """
    device, measuring_device = _devices(request)
    run = PlannedRun.of(request, Path("unused"), device=measuring_device)
    if measuring_device != device:
        run = replace(run, loading={**run.loading, "runtime": "torch"})
    for job in run.sets:
        print_cells(job.photos)
    hashes = [PhotoHashes(job.photos, run.options.cache, verify=run.options.verify_bytes) for job in run.sets]
    frozen: dict[str, Frozen] = {}
    left_out: dict[str, str] = {}
    with memory_budget(run.options.memory):
        bytes_hashes = [hashes_of_set.bytes_hash() for hashes_of_set in hashes]
        for spec in progress_bar(run.specs, desc="measuring", unit="encoder", delay=2):
            try:
                encoder = load_encoder(spec, isolated=True, **run.loading)
                for number, job in enumerate(run.sets):
                    frozen[f"{number}/{spec}"] = _freeze(spec, encoder, job, bytes_hashes[number], run, device)
            except Exception as error:  # whatever a library raises on the weights of others: left out of the ranks
                left_out[spec] = error_text(error)
                for number in range(len(run.sets)):
                    frozen.pop(f"{number}/{spec}", None)
            encoder = None  # type: ignore[assignment]
            free_cached()
    for spec, reason in left_out.items():
        print(readable(f"camtrace: {spec}: left out of the ranks: {reason}"), file=sys.stderr)
    if not frozen:
        raise EncoderError(
            "no encoder is left to be planned" + (f" ({next(iter(left_out.values()))})" if left_out else "")
        )
    groups = [[s for s in group if s not in left_out] for group in run.groups()]
    groups = [group for group in groups if group]
    keys = {name: frozen_encoder.key for name, frozen_encoder in frozen.items()}
    tasks = []
    if request.kind != "embed":
        with memory_budget(run.options.memory):
            tasks = planned_tasks(run, [spec for group in groups for spec in group], keys, measuring_device)
    facts = {**version_facts(packages_of(keys.values())), "the codec canary": codec_canary()}
    for job in run.sets:
        facts |= photo_facts(job.photos)
    for name, frozen_encoder in frozen.items():
        of_set, _, spec = name.partition("/")
        facts |= encoder_facts(spec, run.sets[int(of_set)].photos, frozen_encoder.key)
        facts |= answer_facts(
            spec, run.sets[int(of_set)].photos, [of_bank["key"] for of_bank in frozen_encoder.answers]
        )
    return {
        "ranks": with_task_ranks(_ranks(run, groups, frozen, rank_seconds, count), tasks, groups, rank_seconds, count),
        "facts": facts,
        "notes": {
            "device": device,
            "groups": groups,
            "runtimes": {name.partition("/")[2]: frozen_encoder.runtime for name, frozen_encoder in frozen.items()},
            "keys": keys,
            "inputs": {name: frozen_encoder.input_size for name, frozen_encoder in frozen.items()},
            "answers": {name: of_set.answers for name, of_set in frozen.items() if of_set.answers},
            "bytes": [
                of_set.block_hashes(Blocks(len(job.photos)).size) for of_set, job in zip(hashes, run.sets, strict=True)
            ],
            "left_out": left_out,
        },
        "estimate": {
            "seconds": round(
                sum(_seconds(run, groups, frozen, n, g) for n, g in _pairs(run, groups))
                + sum(task.seconds for task in tasks),
                1,
            ),
            "bytes": sum(_block_bytes(run, name, frozen_encoder) for name, frozen_encoder in frozen.items()),
            "items": f"items: photos x groups of encoders{', and tasks' if tasks else ''}",
            "disk": _disk(run, frozen, tasks=bool(tasks)),
        },
    }


def _views(run: PlannedRun, name: str) -> int:
    """Views of one encoder on one photo set, over all passes; views of equal keys are stored once."""
    job = run.sets[int(name.partition("/")[0])]
    passes = planned_passes(job.tasks, job.photos, run.options)
    return len({key_hash(dict(view)) for p in passes for view in p.recipe.view_keys().values()})


def _block_bytes(run: PlannedRun, name: str, frozen: Frozen) -> int:
    """Bytes of the block files of one encoder on one photo set."""
    return blocks_bytes(frozen.key, _views(run, name))


def _disk(run: PlannedRun, frozen: Mapping[str, Frozen], *, tasks: bool) -> list[str]:
    """What takes space where, besides the block files of ranks."""
    banks = {name: one.times.bank_bytes for name, one in frozen.items()}
    merged = size(sum(banks.values()))
    lines = [f"{merged} more of banks in the cache of 'finish'; its --remove-blocks then removes the files of blocks"]
    if tasks:
        lines.append(f"up to {size(max(banks.values()))} of a bank in TMPDIR for each rank of tasks, for a while")
    return lines


def _devices(request: Request) -> tuple[str, str]:
    """The device of the ranks, and the one on which this machine measures: its CPU if it has no GPU."""
    import torch

    args = request.parsed(Path("unused"))
    device = str(args.device)
    if device == "auto":
        device = "cuda" if torch.cuda.is_available() else "cpu"
        notice(f"ranks compute on {device}, as this machine does; --device says otherwise")
    if device.startswith("cuda:"):
        raise UsageError(f"--device {device}: a rank takes the one GPU that it is given; plan for cuda")
    if device == "cuda" and not torch.cuda.is_available():
        notice("planned for GPUs; this machine has none, so times are those of its CPU")
        if args.compile or args.dtype != "float32":
            option = "--compile" if args.dtype == "float32" else f"--dtype {args.dtype}"
            raise UsageError(f"{option}: its gate needs a GPU: plan on a machine that has one")
        return device, "cpu"
    return device, device


def _freeze(spec: str, encoder: Encoder, job: OpenedSet, bytes_hash: str, run: PlannedRun, device: str) -> Frozen:
    """Measure an encoder. Raises ``EncoderError`` for one that ranks cannot share or that fails its trial."""
    options = run.options
    if encoder.stored is not None:
        raise EncoderError("its embeddings are in a file, there is nothing to embed; 'finish' reads them")
    if not encoder.cacheable:
        raise EncoderError("its weights cannot be identified, so ranks could not tell whether theirs are the same")
    recipe = planned_passes(job.tasks, job.photos, options)[0].recipe
    trial = cached_trials([encoder], job.photos, bytes_hash, recipe, options)[0]
    if trial.reason or trial.random:
        raise EncoderError(trial.reason or trial.random)
    encoder, _ = resolve_runtime(encoder, job.photos, bytes_hash, options)
    verdict = check_precision(encoder, job.photos, bytes_hash, options)
    if verdict is not None and not verdict.passed and not options.force_dtype:
        raise EncoderError(verdict.reason)
    times = pass_times(spec, encoder, job, options)
    if times.reason:
        raise EncoderError(times.reason)
    key = key_of(encoder, job.photos, bytes_hash, options.storage, device=device)
    answers = [
        {"key": answer_key(bank, job.photos, bytes_hash, device), "views": bank.recipe.view_keys()}
        for bank in planned_answers(encoder, job, options)
    ]
    return Frozen(key, encoder.runtime.name if encoder.runtime else "torch", times, input_size(encoder), answers)


def _pairs(run: PlannedRun, groups: Sequence[Sequence[str]]) -> list[tuple[int, int]]:
    """(set, group), ordered by group."""
    return [(number, group) for group in range(len(groups)) for number in range(len(run.sets))]


def _seconds(
    run: PlannedRun, groups: Sequence[Sequence[str]], frozen: Mapping[str, Frozen], number: int, group: int
) -> float:
    """Seconds of all blocks of a set for one group, whose encoders share views."""
    times = [frozen[f"{number}/{spec}"].times for spec in groups[group]]
    return max(t.making_s for t in times) / max(1, run.options.workers) + sum(t.forward_s for t in times)


def _ranks(
    run: PlannedRun,
    groups: Sequence[Sequence[str]],
    frozen: Mapping[str, Frozen],
    rank_seconds: float,
    count: int | None,
) -> tuple[RankPlan, ...]:
    """Blocks x groups of encoders. Ranks of the largest encoders have the fewest photos."""
    pairs = _pairs(run, groups)
    seconds = [_seconds(run, groups, frozen, number, group) for number, group in pairs]
    blocks = [Blocks(len(run.sets[number].photos)) for number, _ in pairs]
    shares = None if count is None else _apportioned(seconds, [len(of_set) for of_set in blocks], count)
    ranks: list[RankPlan] = []
    for at, (number, group) in enumerate(pairs):
        units = []
        for block in range(len(blocks[at])):
            photos = len(blocks[at].photos_of(block))
            units.append((f"{number}/{group}/{block}", photos, seconds[at] * photos / blocks[at].photos))
        ranks += cut(units, rank_seconds, None if shares is None else shares[at])
    return tuple(ranks)


def _apportioned(seconds: Sequence[float], most: Sequence[int], count: int) -> list[int]:
    """How many ranks each part of the work gets, so that the longest rank is as short as possible.

    Args:
        seconds: of each part.
        most: ranks into which each part can be cut.
        count: of all ranks; each part gets at least one.

    >>> _apportioned([75.0, 25.0], [10, 10], 4), _apportioned([9.0, 1.0], [2, 5], 5)
    ([3, 1], [2, 3])
    """
    shares = [1] * len(seconds)
    longest = [(-cost, at) for at, cost in enumerate(seconds) if most[at] > 1]
    heapq.heapify(longest)
    for _ in range(count - len(shares)):
        if not longest:
            break
        _, at = heapq.heappop(longest)
        shares[at] += 1
        if shares[at] < most[at]:
            heapq.heappush(longest, (-seconds[at] / shares[at], at))
    return shares
