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

from benchmark.cluster.request import Request
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
    read_plan,
    run_locally,
    serve,
    state_text,
    work_ranks,
)
from builders.errors import UsageError

CODE = "the code of camtrace"
"""Name of the fact that holds version and hash of the code."""


def ranked(request: Request) -> RankedWork:
    """How a command is cut into ranks, done and finished."""
    if request.kind != "build":
        from benchmark.cluster.plan import EmbeddingRanks
        from benchmark.compute import prepare_process

        prepare_process()
        return EmbeddingRanks(request)
    args = request.parsed(Path(request.output))
    make_ranked = getattr(args, "ranked", None)
    if make_ranked is not None:
        ranked_work: RankedWork = make_ranked(args)
        return ranked_work
    from benchmark.cluster.build import ShardRanks

    return ShardRanks(request)


def request_of(plan: Plan) -> Request:
    """The command that a plan froze."""
    return Request(plan.kind, plan.argv, plan.output)


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
    if args.serve:
        replies = os.fdopen(os.dup(1), "w")
        os.dup2(2, 1)  # what libraries print goes to standard error

        def work_on(rank: int) -> str:
            return work_ranks(plan, storage, [rank], opened).get(rank, "")

        serve(work_on, sys.stdin, replies)
        return 0
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
    if args.rank is None and args.engine != "local":
        submitted = _engine(args)(Submission(storage, tuple(missing), _engine_options(args)))
        if args.engine == "slurm":
            return _end(args, storage, submitted, sorted(done), {}, f"camtrace status {storage}")
        print(submitted)
        failed = {rank: "" for rank in missing if rank not in Markers(storage, plan.name).all().done}
        for line in state_text(progress(plan, storage), storage).splitlines()[:-1]:
            print(line, file=sys.stderr)
    elif args.rank is not None or args.workers in (None, 1):
        failed = work_ranks(plan, storage, missing, opened, on_rank=on_rank)
    else:
        command = [sys.executable, "-m", "camtrace", "work", str(storage), "--serve"]
        failed = run_locally(command, missing, args.workers, on_rank=on_rank)
    after = "status" if args.rank is not None else "work" if failed else "finish"
    next_ = f"camtrace {after} {storage}"
    again = " (does what failed again)" if failed else ""
    text = f"{count_text(len(missing) - len(failed), 'rank')} done, {len(failed)} failed; next: {next_}{again}"
    finished = [rank for rank in ranks if rank not in failed]
    return _end(args, storage, text if args.rank is None else "", finished, failed, next_)


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
    for name in ("tasks", "workers", "cpus", "memory_gb"):
        value = getattr(args, name)
        if value is not None and value < 1:
            raise UsageError(f"--{name.replace('_', '-')} {value}: at least 1 is needed")
    if args.gpus not in (0, 1):
        raise UsageError(f"--gpus {args.gpus}: a rank takes one GPU; more tasks use more of them")
    sbatch = dict(word.lstrip("-").partition("=")[::2] for word in args.sbatch or [])
    return EngineOptions(
        tasks=args.tasks,
        at_once=args.workers,
        cpus=args.cpus,
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
    ranks: list[int] = []
    for part in text.split(","):
        first, _, last = part.partition("-")
        if not first.isdecimal() or (last and not last.isdecimal()):
            raise UsageError(f"--rank {text}: give numbers, such as 3, 0-7 or 2,5")
        ranks += range(int(first), int(last or first) + 1)
    if wrong := [rank for rank in ranks if rank >= count]:
        raise UsageError(f"--rank {wrong[0]}: the plan has ranks 0 to {count - 1}")
    return list(dict.fromkeys(ranks))


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
        self._work, self.run, self.close = work, work.run, work.close

    def facts(self, units: Any) -> dict[str, str]:
        return {CODE: code(), **self._work.facts(units)}
