"""``camtrace work``: do the ranks that are not done, on this machine or by an engine."""

from __future__ import annotations

import argparse
import contextlib
import os
import sys
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Any

from benchmark.cluster.request import Request, request_of
from builders.cli import write_record
from builders.cluster import (
    ENGINES,
    EngineOptions,
    Markers,
    Plan,
    RankedWork,
    StorageFolder,
    Submission,
    Work,
    code_version,
    count_text,
    end_with_parent,
    progress,
    rank_numbers,
    read_plan,
    run_locally,
    serve,
    state_text,
    use_cpus,
    work_ranks,
)
from builders.errors import UsageError

CODE = "the code of camtrace"
"""Name of the fact that holds version and hash of the code."""


def ranked(request: Request) -> RankedWork:
    """How a command is cut into ranks, done and finished."""
    if request.kind != "build":
        from benchmark.cluster.plan import RunRanks
        from benchmark.compute import prepare_process

        prepare_process()
        return RunRanks(request)
    args = request.parsed(Path(request.output))
    make_ranked = getattr(args, "ranked", None)
    if make_ranked is not None:
        ranked_work: RankedWork = make_ranked(args)
        return ranked_work
    from benchmark.cluster.build import ShardRanks

    return ShardRanks(request)


def code() -> str:
    """Version and hash of all code that ranks run."""
    return code_version(("builders", "benchmark", "cards"))


def go_to_folder(plan: Plan) -> None:
    """Change to the folder in which the request was planned, from which its relative paths begin."""
    with contextlib.suppress(OSError):
        os.chdir(str(plan.notes.get("folder", ".")))


def absolute(address: str) -> str:
    """The address as it is from every folder."""
    return address if "://" in address else str(Path(address).absolute())


def work_on_plan(args: argparse.Namespace) -> int:
    """Do ranks of a plan; the exit status."""
    plan, storage = read_plan(absolute(args.plan))
    with contextlib.closing(_Opened(plan, storage)) as opened:
        return _work_on(plan, storage, opened, args)


def _work_on(plan: Plan, storage: StorageFolder, opened: _Opened, args: argparse.Namespace) -> int:
    end_with_parent()
    if args.cpus is not None and (args.rank is not None or args.engine == "local"):
        use_cpus(args.cpus, os.environ)  # before libraries that read it are imported
    if args.serve:
        replies = os.fdopen(os.dup(1), "w")
        os.dup2(2, 1)  # what libraries print goes to standard error

        def work_on(rank: int) -> str:
            return work_ranks(plan, storage, [rank], opened).get(rank, "")

        serve(work_on, sys.stdin, replies)
        return 0
    options = _engine_options(args)
    ranks = range(len(plan.ranks)) if args.rank is None else _numbers(args.rank, len(plan.ranks))
    done = Markers(storage, plan.name).all().done
    missing = [rank for rank in ranks if rank not in done]
    if args.rank is None and not args.quiet:
        print(f"{count_text(len(plan.ranks), 'rank')}, {len(missing)} missing", file=sys.stderr)
    if not missing:
        next_ = f"camtrace {'finish' if args.rank is None else 'status'} {storage}"
        text = f"done already; next: {next_}" if args.rank is None else "done already"
        return _end(args, storage, text, ranks, {}, next_)
    on_rank = _print_nothing if args.quiet else partial(_print_rank, len(plan.ranks))
    if args.rank is not None:
        failed = work_ranks(plan, storage, missing, opened, on_rank=on_rank)
        finished = [rank for rank in ranks if rank not in failed]
        return _end(args, storage, "", finished, failed, f"camtrace status {storage}")
    stages = plan.stages(missing)
    if args.engine == "slurm":
        lines = [
            _engine(args)(Submission(storage, tuple(stage), options, first=number == 0))
            for number, stage in enumerate(stages)
        ]
        return _end(args, storage, "\n".join(lines), sorted(done), {}, f"camtrace status {storage}")
    failed, waiting = {}, []
    for stage in stages:
        known = Markers(storage, plan.name).all().done
        ready = [rank for rank in stage if not plan.lacking(rank, known)]
        waiting += [rank for rank in stage if rank not in ready]
        if not ready:
            continue
        if args.engine != "local":
            print(_engine(args)(Submission(storage, tuple(ready), options)))
            known = Markers(storage, plan.name).all().done
            failed |= {rank: "" for rank in ready if rank not in known}
        elif args.workers in (None, 1):
            failed |= work_ranks(plan, storage, ready, opened, on_rank=on_rank)
        else:
            command = [sys.executable, "-m", "camtrace", "work", str(storage), "--serve"]
            failed |= run_locally(command, ready, args.workers, cpus=args.cpus, on_rank=on_rank)
    if args.engine != "local":
        for line in state_text(progress(plan, storage), storage).splitlines()[:-1]:
            print(line, file=sys.stderr)
    next_ = f"camtrace {'work' if failed or waiting else 'finish'} {storage}"
    again = " (does what failed again)" if failed or waiting else ""
    wait = f", {count_text(len(waiting), 'rank')} waiting for them" if waiting else ""
    done_now = count_text(len(missing) - len(failed) - len(waiting), "rank")
    text = f"{done_now} done, {len(failed)} failed{wait}; next: {next_}{again}"
    finished = [rank for rank in ranks if rank not in failed and rank not in waiting]
    return _end(args, storage, text, finished, failed, next_)


def _end(
    args: argparse.Namespace, storage: StorageFolder, text: str, done: Sequence[int], failed: dict[int, str], next_: str
) -> int:
    """Print how the work ended, as text or for programs; the exit status."""
    if text:
        print(text)
    failures = [{"rank": rank, "reason": reason} for rank, reason in sorted(failed.items())]
    write_record(args, {"plan": str(storage), "done": list(done), "failed": failures, "next": next_})
    return 1 if failed else 0


def _engine(args: argparse.Namespace) -> Callable[[Any], str]:
    return ENGINES[args.engine]


def _engine_options(args: argparse.Namespace) -> EngineOptions:
    if args.gpus not in (0, 1):
        raise UsageError(f"--gpus {args.gpus}: a rank takes one GPU; more tasks use more of them")
    sbatch = dict(word.lstrip("-").partition("=")[::2] for word in args.sbatch or [])
    return EngineOptions(
        tasks=args.tasks,
        at_once=args.workers,
        cpus=args.cpus or 1,
        gpus=args.gpus,
        memory_gb=args.memory_gb,
        time=args.time,
        partition=args.partition,
        qos=args.qos,
        setup=args.setup,
        sbatch=sbatch,
        address=args.address,
        flavor=args.flavor,
        namespace=args.namespace,
        package=args.package,
    )


def _print_rank(of: int, rank: int, reason: str) -> None:
    print(f"rank {rank} of {of}: {f'failed: {reason}' if reason else 'done'}", file=sys.stderr, flush=True)


def _print_nothing(rank: int, reason: str) -> None: ...


def _numbers(text: str, count: int) -> list[int]:
    """Numbers of ranks from text.

    >>> _numbers("0-2,7", 8)
    [0, 1, 2, 7]
    """
    try:
        ranks = rank_numbers(text or "-")
    except ValueError:
        raise UsageError(f"--rank {text}: give numbers, such as 3, 0-7 or 2,5") from None
    if wrong := [rank for rank in ranks if rank >= count]:
        raise UsageError(f"--rank {wrong[0]}: the plan has ranks 0 to {count - 1}")
    return ranks


class _Opened:
    """The work of a plan on this machine, opened once, when it is first needed."""

    def __init__(self, plan: Plan, storage: StorageFolder) -> None:
        self._plan, self._storage = plan, storage
        self._work: _WithCode | None = None

    def __call__(self) -> _WithCode:
        if self._work is None:
            go_to_folder(self._plan)
            self._work = _WithCode(ranked(request_of(self._plan)).open(self._plan, self._storage))
        return self._work

    def close(self) -> None:
        """Release memory and files of the work."""
        if self._work is not None:
            self._work.close()


class _WithCode:
    """Work whose facts include the code, which must be that of the plan."""

    def __init__(self, work: Work) -> None:
        self._work, self.run, self.close, self.device = work, work.run, work.close, work.device

    def facts(self, units: Any) -> dict[str, str]:
        return {CODE: code(), **self._work.facts(units)}
