"""``camtrace plan | work | status | finish``: big jobs on one machine or many."""

from __future__ import annotations

import argparse
import contextlib
import os
import sys
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from builders.command_line import Parser
from builders.errors import DataError, UsageError

if TYPE_CHECKING:  # --help waits for none of it
    from benchmark.cluster.request import Request
    from builders.ranks import EngineOptions, Plan, Work
    from builders.ranks import Place as RanksPlace

RANK_MINUTES = 10.0
"""That a rank should take: what a kill costs."""

CODE = "the code of camtrace"
"""Name of that fact."""


class PlanParser(Parser):
    """Its own options stand anywhere among the words of the command that is planned."""

    def parse_known_args(self, args: Any = None, namespace: Any = None) -> Any:
        words = list(sys.argv[1:] if args is None else args)
        if not words or words[0] in ("-h", "--help"):
            return super().parse_known_args(words, namespace)
        own = argparse.ArgumentParser(add_help=False, allow_abbrev=False)
        _plan_options(own)
        found, rest = own.parse_known_args(words)
        found.words, found.run = rest, _plan
        return found, []


def plan_parser() -> Parser:
    """Of ``camtrace plan``."""
    p = PlanParser(
        "camtrace plan",
        description="Freeze a big job in one file and cut it into ranks, for 'camtrace work'. Give the command that "
        "does it on one machine: camtrace plan sweep --published --data imagenet:/data/imagenet --output run; "
        "score, sweep, embed (the options of sweep; fills banks, scores nothing), build folder, imagenet, "
        "inat2018, simcams. The plan lies beside the output, in OUTPUT.plan.",
    )
    p.add_argument("words", nargs="*", metavar="COMMAND ...", help="what to do, as on one machine")
    _plan_options(p)
    p.set_defaults(run=_plan)
    return p


def _plan_options(p: argparse.ArgumentParser) -> None:
    p.add_argument("--ranks", type=int, metavar="N", help="into how many ranks (default: by --rank-minutes)")
    p.add_argument(
        "--rank-minutes",
        type=float,
        default=RANK_MINUTES,
        metavar="M",
        help="how long a rank should take on this machine, and what a kill costs (default: %(default)g)",
    )
    p.add_argument("--plan", metavar="ADDRESS", help="where the plan and its markers lie (default: OUTPUT.plan)")


def work_parser() -> Parser:
    """Of ``camtrace work``."""
    p = Parser(
        "camtrace work",
        description="Do the ranks of a plan that are not done. Run it again to go on, with any engine.",
        epilog="Exit status: 0 every rank is done (or, with slurm, submitted), 1 a rank failed and is recorded, 2 the "
        "request was wrong.",
    )
    p.add_argument("plan", metavar="PLAN", help="folder or address of the plan")
    how = p.add_mutually_exclusive_group()
    how.add_argument("--rank", metavar="N", help="this rank here, or several: 3, 0-7, 2,5")
    how.add_argument(
        "--engine",
        default="local",
        choices=("local", "slurm", "ray", "jobs"),
        help="local: processes of this machine (the default); slurm: an array job, comes back at once; ray: a Ray "
        "cluster; jobs: jobs of the Hugging Face Hub. All but local need the extra [cluster], ray also [ray]",
    )
    how.add_argument("--serve", action="store_true", help=argparse.SUPPRESS)
    p.add_argument("--workers", type=int, metavar="N", help="ranks at a time (default: local 1, else as fit)")
    p.add_argument("--tasks", type=int, metavar="N", help="deal missing ranks out over N tasks (default: one a rank)")
    p.add_argument("--cpus", type=int, default=1, metavar="N", help="of a task (default: %(default)s)")
    p.add_argument("--gpus", type=int, default=0, metavar="N", help="of a task: 1, or 0 (default: %(default)s)")
    p.add_argument("--memory-gb", type=int, default=2, metavar="N", help="for each CPU (default: %(default)s)")
    p.add_argument("--time", default="1:00:00", help="of a task, as Slurm writes it (default: %(default)s)")
    p.add_argument("--partition", help="slurm: where")
    p.add_argument("--qos", help="slurm: quality of service")
    p.add_argument("--setup", metavar="COMMAND", help="slurm: before the work, such as 'module load cuda'")
    p.add_argument("--sbatch", action="append", metavar="NAME=VALUE", help="slurm: any option of sbatch; repeatable")
    p.add_argument("--address", default="auto", help="ray: of the cluster; local starts one here (default: auto)")
    p.add_argument("--flavor", default="cpu-basic", help="jobs: hardware (default: %(default)s)")
    p.add_argument("--namespace", help="jobs: who pays")
    p.add_argument("--package", metavar="REQUIREMENT", help="jobs: what to install (default: this version from PyPI)")
    p.set_defaults(run=_work)
    return p


def status_parser() -> Parser:
    """Of ``camtrace status``."""
    p = Parser("camtrace status", description="How far a plan is, which ranks failed and why, what to run next.")
    p.add_argument("plan", metavar="PLAN", help="folder or address of the plan")
    p.set_defaults(run=_status)
    return p


def finish_parser() -> Parser:
    """Of ``camtrace finish``."""
    p = Parser(
        "camtrace finish",
        description="When every rank is done: verify every file that they wrote, merge them, and do what is left of "
        "the command, such as scoring. Can be run again.",
    )
    p.add_argument("plan", metavar="PLAN", help="folder or address of the plan")
    p.set_defaults(run=_finish)
    return p


def _plan(args: argparse.Namespace) -> int:
    from benchmark.cluster.request import read_request
    from builders.ranks import Place, Plan, state_text, write_plan
    from builders.ranks import progress as look

    if args.ranks is not None and args.ranks < 1:
        raise UsageError(f"--ranks {args.ranks}: at least 1 is needed")
    if args.rank_minutes <= 0:
        raise UsageError(f"--rank-minutes {args.rank_minutes:g}: give more than 0")
    request = read_request(args.words)
    place = Place.of(_absolute(args.plan) if args.plan else f"{request.output}.plan")
    fields = _planned(request)(request, 60 * args.rank_minutes, args.ranks)
    fields["facts"] = {CODE: _code(), **fields["facts"]}
    fields["notes"] = {**fields["notes"], "folder": os.getcwd()}
    plan = Plan(request.kind, request.words, request.output, **fields)
    write_plan(plan, place)
    estimate = plan.estimate
    size, hours = estimate["bytes"], estimate["seconds"] / 3600
    print(
        f"{place}/plan.json: {len(plan.ranks)} ranks, {plan.size:,} {estimate['items']}; about {hours:,.2f} hours of "
        f"this machine in all, {size / 1e9:,.2f} GB (measured on a sample: it may be half or twice this)"
    )
    print(state_text(look(plan, place), place).splitlines()[-1])
    return 0


def _planned(request: Request) -> Callable[..., dict[str, Any]]:
    if request.kind == "build":
        from benchmark.cluster import builds

        return builds.planned
    from benchmark.cluster import planning
    from benchmark.compute import prepare_process

    prepare_process()
    return planning.planned


def _work(args: argparse.Namespace) -> int:
    from builders.ranks import read_plan

    plan, place = read_plan(_absolute(args.plan))
    with contextlib.closing(_Opened(plan, place)) as opened:
        return _work_on(plan, place, opened, args)


def _work_on(plan: Plan, place: RanksPlace, opened: _Opened, args: argparse.Namespace) -> int:
    from builders.ranks import (
        Markers,
        Submission,
        end_with_parent,
        progress,
        run_locally,
        serve,
        state_text,
        work_ranks,
    )

    end_with_parent()

    if args.serve:
        answers = os.fdopen(os.dup(1), "w")
        os.dup2(2, 1)  # what libraries print goes with everything else that is said

        def one(rank: int) -> str:
            return work_ranks(plan, place, [rank], opened).get(rank, "")

        serve(one, sys.stdin, answers)
        return 0
    ranks = range(len(plan.ranks)) if args.rank is None else _numbers(args.rank, len(plan.ranks))
    done = Markers(place, plan.name).all().done
    missing = [rank for rank in ranks if rank not in done]
    if args.rank is None:
        print(f"{len(plan.ranks)} ranks, {len(missing)} missing", file=sys.stderr)
    if not missing:
        print(f"done already; next: camtrace finish {place}" if args.rank is None else "done already")
        return 0
    if args.rank is None and args.engine != "local":
        print(_engine(args)(Submission(place, tuple(missing), _engine_options(args))))
        if args.engine == "slurm":
            return 0
        failed = {rank: "" for rank in missing if rank not in Markers(place, plan.name).all().done}
        for line in state_text(progress(plan, place), place).splitlines()[:-1]:
            print(line, file=sys.stderr)
    elif args.rank is not None or args.workers in (None, 1):
        failed = work_ranks(plan, place, missing, opened, told=partial(_tell, len(plan.ranks)))
    else:
        command = [sys.executable, "-m", "camtrace", "work", str(place), "--serve"]
        failed = run_locally(command, missing, args.workers, told=partial(_tell, len(plan.ranks)))
    if args.rank is None:
        next_ = f"camtrace work {place} (does the {len(failed)} again)" if failed else f"camtrace finish {place}"
        print(f"{len(missing) - len(failed)} ranks done, {len(failed)} failed; next: {next_}")
    return 1 if failed else 0


def _engine(args: argparse.Namespace) -> Callable[[Any], str]:
    from builders.ranks import ENGINES

    return ENGINES[args.engine]


def _engine_options(args: argparse.Namespace) -> EngineOptions:
    from builders.ranks import EngineOptions

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


def _tell(of: int, rank: int, reason: str) -> None:
    print(f"rank {rank} of {of}: {f'failed: {reason}' if reason else 'done'}", file=sys.stderr, flush=True)


def _status(args: argparse.Namespace) -> int:
    from builders.ranks import progress, read_plan, state_text

    plan, place = read_plan(_absolute(args.plan))
    print(state_text(progress(plan, place), place))
    return 0


def _finish(args: argparse.Namespace) -> int:
    from builders.ranks import Markers, progress, read_plan

    plan, place = read_plan(_absolute(args.plan))
    now = progress(plan, place)
    if now.missing:
        raise DataError(
            f"{place}: {len(now.missing)} of {len(plan.ranks)} ranks are not done; 'camtrace status {place}' says why"
        )
    if plan.facts.get(CODE) != _code():
        raise DataError(
            f"{CODE} here: {_code()}; of the plan: {plan.facts.get(CODE)}. Finish with the code of the ranks"
        )
    _go_to_folder(plan)
    finish: Callable[[Plan, Mapping[int, Any], RanksPlace], int]
    if plan.kind == "build":
        from benchmark.cluster.builds import finish
    else:
        from benchmark.cluster.embedding import finish
        from benchmark.compute import prepare_process

        prepare_process()
    status = finish(plan, now.states.done, place)
    Markers(place, plan.name).sweep()
    return status


class _Opened:
    """The work of a plan on this machine, opened when it is first asked for, and once."""

    def __init__(self, plan: Plan, place: RanksPlace) -> None:
        self._plan, self._place = plan, place
        self._work: _WithCode | None = None

    def __call__(self) -> _WithCode:
        if self._work is None:
            _go_to_folder(self._plan)
            if self._plan.kind == "build":
                from benchmark.cluster.builds import BuildWork

                self._work = _WithCode(BuildWork(self._plan, self._place))
            else:
                from benchmark.compute import prepare_process

                prepare_process()
                from benchmark.cluster.embedding import EmbeddingWork

                self._work = _WithCode(EmbeddingWork(self._plan, self._place))
        return self._work

    def close(self) -> None:
        """Give back what it took of this machine."""
        if self._work is not None:
            self._work.close()


class _WithCode:
    """Any work, whose machine must have the code of the plan too."""

    def __init__(self, work: Work) -> None:
        self._work, self.run, self.close = work, work.run, work.close

    def facts(self, units: Any) -> dict[str, str]:
        return {CODE: _code(), **self._work.facts(units)}


def _code() -> str:
    from builders.ranks import code_version

    return code_version(("builders", "benchmark", "cards"))


def _go_to_folder(plan: Plan) -> None:
    """Relative paths of the request begin where it was planned."""
    with contextlib.suppress(OSError):
        os.chdir(str(plan.notes.get("folder", ".")))


def _absolute(address: str) -> str:
    return address if "://" in address else str(Path(address).absolute())


def _numbers(text: str, count: int) -> list[int]:
    """Ranks as people write them.

    >>> _numbers("0-2,7", 8)
    [0, 1, 2, 7]
    """
    found: list[int] = []
    for part in text.split(","):
        first, _, last = part.partition("-")
        if not first.isdecimal() or (last and not last.isdecimal()):
            raise UsageError(f"--rank {text}: give numbers, such as 3, 0-7 or 2,5")
        found += range(int(first), int(last or first) + 1)
    if wrong := [rank for rank in found if rank >= count]:
        raise UsageError(f"--rank {wrong[0]}: the plan has ranks 0 to {count - 1}")
    return list(dict.fromkeys(found))
