"""A plan of embedding: what every encoder is, measured and frozen, and blocks of photos cut into ranks by it."""

from __future__ import annotations

import heapq
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from tqdm.auto import tqdm

from benchmark.bank import Blocks, PhotoHashes, check_precision, key_of, resolve_runtime
from benchmark.cluster.embed import EmbeddingWork, finish
from benchmark.cluster.planned_run import PlannedRun, encoder_facts, photo_facts
from benchmark.cluster.request import Request
from benchmark.encoders import Encoder, load_encoder
from benchmark.scoring import OpenedSet, PassTimes, cached_trials, pass_times, planned_passes, release
from builders.cluster import Finished, FinishOptions, Plan, RankPlan, StorageFolder, cut
from builders.errors import EncoderError, UsageError
from builders.pixels import codec_canary
from builders.processes import memory_budget
from builders.untrusted import error_text, readable


@dataclass(frozen=True)
class Frozen:
    """One encoder on one photo set."""

    key: dict[str, Any]
    """Of its bank."""
    runtime: str
    times: PassTimes


class EmbeddingRanks:
    """Of ``score``, ``sweep`` and ``embed``."""

    def __init__(self, request: Request) -> None:
        self._request = request

    def planned(self, place: StorageFolder, rank_seconds: float, count: int | None) -> dict[str, Any]:
        """Every encoder is loaded once, one at a time, and measured."""
        return planned(self._request, rank_seconds, count)

    def open(self, plan: Plan, place: StorageFolder) -> EmbeddingWork:
        return EmbeddingWork(plan, place)

    def finish(self, plan: Plan, done: Mapping[int, Finished], place: StorageFolder, how: FinishOptions) -> int:
        """Merge and verify, then score."""
        return finish(plan, done, place, how)


def planned(request: Request, rank_seconds: float, count: int | None) -> dict[str, Any]:
    """Fields of the plan that this kind decides. Every encoder is loaded once, one at a time.

    Raises:
        EncoderError: not one can be planned.
    """
    device, here = _devices(request)
    asked = PlannedRun.of(request, Path("unused"), device=here)
    if here != device:
        asked = replace(asked, loading={**asked.loading, "runtime": "torch"})
    hashes = [PhotoHashes(job.photos, asked.options.cache) for job in asked.sets]
    frozen: dict[str, Frozen] = {}
    lost: dict[str, str] = {}
    with memory_budget(asked.options.memory):
        bytes_hashes = [known.bytes_hash() for known in hashes]
        for spec in tqdm(asked.specs, desc="measuring", unit="encoder", delay=2, disable=None):
            try:
                encoder = load_encoder(spec, **asked.loading)
                for number, job in enumerate(asked.sets):
                    frozen[f"{number}/{spec}"] = _freeze(spec, encoder, job, bytes_hashes[number], asked, device)
            except Exception as error:  # whatever a library raises on somebody's weights: left out of the ranks
                lost[spec] = error_text(error)
                for number in range(len(asked.sets)):
                    frozen.pop(f"{number}/{spec}", None)
            encoder = None  # type: ignore[assignment]
            release()
    for spec, reason in lost.items():
        print(readable(f"camtrace: {spec}: left out of the ranks: {reason}"), file=sys.stderr)
    if not frozen:
        raise EncoderError("no encoder is left to be planned" + (f" ({next(iter(lost.values()))})" if lost else ""))
    groups = [[s for s in group if s not in lost] for group in asked.groups()]
    groups = [group for group in groups if group]
    facts = {"the codec canary": codec_canary()}
    for job in asked.sets:
        facts |= photo_facts(job.photos)
    for name, one in frozen.items():
        of_set, _, spec = name.partition("/")
        facts |= encoder_facts(spec, asked.sets[int(of_set)].photos, one.key)
    return {
        "ranks": _ranks(asked, groups, frozen, rank_seconds, count),
        "facts": facts,
        "notes": {
            "device": device,
            "groups": groups,
            "runtimes": {name.partition("/")[2]: one.runtime for name, one in frozen.items()},
            "keys": {name: one.key for name, one in frozen.items()},
            "bytes": [
                known.block_hashes(Blocks(len(job.photos)).size) for known, job in zip(hashes, asked.sets, strict=True)
            ],
            "left_out": lost,
        },
        "estimate": {
            "seconds": round(sum(_seconds(asked, groups, frozen, n, g) for n, g in _pairs(asked, groups)), 1),
            "bytes": sum(one.times.bank_bytes for one in frozen.values()),
            "items": "photos x groups of encoders",
        },
    }


def _devices(request: Request) -> tuple[str, str]:
    """Where ranks compute, and where this machine measures: its CPU, if the plan is for GPUs and it has none."""
    import torch

    args = request.parsed(Path("unused"))
    device = str(args.device)
    if device == "auto":
        device = "cuda" if torch.cuda.is_available() else "cpu"
        print(f"ranks compute on {device}, as this machine does; --device says otherwise", file=sys.stderr)
    if device.startswith("cuda:"):
        raise UsageError(f"--device {device}: a rank takes the one GPU that it is given; plan for cuda")
    if device == "cuda" and not torch.cuda.is_available():
        print("planned for GPUs; this machine has none, so times are those of its CPU", file=sys.stderr)
        if args.compile or args.dtype != "float32":
            raise UsageError(f"--dtype {args.dtype}: its gate needs a GPU: plan on a machine that has one")
        return device, "cpu"
    return device, device


def _freeze(spec: str, encoder: Encoder, job: OpenedSet, bytes_hash: str, asked: PlannedRun, device: str) -> Frozen:
    """Raises ``EncoderError`` for an encoder that ranks cannot share, or that is none."""
    options = asked.options
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
    return Frozen(key, encoder.runtime.name if encoder.runtime else "torch", times)


def _pairs(asked: PlannedRun, groups: Sequence[Sequence[str]]) -> list[tuple[int, int]]:
    """(set, group), groups together."""
    return [(number, group) for group in range(len(groups)) for number in range(len(asked.sets))]


def _seconds(
    asked: PlannedRun, groups: Sequence[Sequence[str]], frozen: Mapping[str, Frozen], number: int, group: int
) -> float:
    """Of all blocks of a set for one group: its views are made once for all its encoders."""
    times = [frozen[f"{number}/{spec}"].times for spec in groups[group]]
    return max(t.making_s for t in times) / max(1, asked.options.workers) + sum(t.forward_s for t in times)


def _ranks(
    asked: PlannedRun,
    groups: Sequence[Sequence[str]],
    frozen: Mapping[str, Frozen],
    rank_seconds: float,
    count: int | None,
) -> tuple[RankPlan, ...]:
    """Blocks x groups of encoders: ranks of the largest encoders have the fewest photos."""
    pairs = _pairs(asked, groups)
    seconds = [_seconds(asked, groups, frozen, number, group) for number, group in pairs]
    blocks = [Blocks(len(asked.sets[number].photos)) for number, _ in pairs]
    shares = None if count is None else apportioned(seconds, [len(of_set) for of_set in blocks], count)
    ranks: list[RankPlan] = []
    for at, (number, group) in enumerate(pairs):
        units = []
        for block in range(len(blocks[at])):
            photos = len(blocks[at].photos_of(block))
            units.append((f"{number}/{group}/{block}", photos, seconds[at] * photos / blocks[at].photos))
        ranks += cut(units, rank_seconds, None if shares is None else shares[at])
    return tuple(ranks)


def apportioned(seconds: Sequence[float], most: Sequence[int], count: int) -> list[int]:
    """How many ranks each part of the work gets, so that the longest is as short as can be.

    Args:
        seconds: of each part.
        most: ranks that it can be cut into.
        count: of all ranks; at least one for each part, whatever it says.

    >>> apportioned([75.0, 25.0], [10, 10], 4), apportioned([3.1, 0.9], [4, 4], 2), apportioned([9.0, 1.0], [2, 5], 5)
    ([3, 1], [1, 1], [2, 3])
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
