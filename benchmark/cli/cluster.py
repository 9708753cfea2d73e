"""``camtrace plan | work | status | finish``: their options, and what ``plan``, ``status`` and ``finish`` do."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from benchmark.cluster import CODE, absolute, code, go_to_folder, ranked, read_request, request_of
from builders.cli import (
    Parser,
    Renamed,
    add_messages,
    real_number,
    repository_name,
    size_in_bytes,
    whole_number,
    write_record,
)
from builders.cluster import (
    LATE_S,
    PACKAGES,
    FinishOptions,
    Markers,
    Plan,
    StorageFolder,
    check_facts,
    count_text,
    progress,
    read_plan,
    refuse_other_versions,
    state_record,
    state_text,
    version_facts,
    versions_here,
    write_plan,
)
from builders.errors import DataError


def plan(args: argparse.Namespace) -> int:
    request = read_request(args.words)
    storage = StorageFolder.of(absolute(args.plan) if args.plan else f"{request.output}.plan")
    fields = ranked(request).planned(storage, 60 * args.rank_minutes, args.ranks)
    fields["facts"] = {CODE: code(), **version_facts(PACKAGES), **fields["facts"]}
    fields["notes"] = {**fields.get("notes", {}), "folder": os.getcwd()}
    files = fields.pop("files", {})
    frozen = Plan(request.kind, request.words, request.output, **fields)
    write_plan(frozen, storage, files)
    print(f"{storage}/plan.json: {_size_text(frozen)}")
    for line in frozen.estimate.get("disk", ()):
        print(f"disk: {line}")
    now = progress(frozen, storage)
    print(state_text(now, storage).splitlines()[-1])
    write_record(args, {**state_record(now, storage), "kind": frozen.kind, "estimate": dict(frozen.estimate)})
    return 0


def _size_text(plan: Plan) -> str:
    """Ranks, items, hours and bytes of a plan, as far as they are known beforehand."""
    seconds, size = plan.estimate["seconds"], plan.estimate["bytes"]
    known = [f"about {seconds / 3600:,.2f} hours of this machine in all"] if seconds is not None else []
    known += (
        [_bytes_text(size) + (" of files of blocks" if "disk" in plan.estimate else "")] if size is not None else []
    )
    measured = f"{', '.join(known)} (measured on a sample: it may be half or twice this)"
    what = f"{count_text(len(plan.ranks), 'rank')}, {plan.size:,} {plan.estimate['items']}"
    return f"{what}; {measured if known else 'hours and bytes are not known beforehand'}"


def _bytes_text(size: int) -> str:
    return f"{size / 1e9:,.2f} GB" if size >= 10_000_000 else f"{size / 1e6:,.2f} MB"


def status(args: argparse.Namespace) -> int:
    plan, storage = read_plan(absolute(args.plan))
    now = progress(plan, storage)
    print(state_text(now, storage))
    write_record(args, state_record(now, storage))
    return 0


def finish(args: argparse.Namespace) -> int:
    plan, storage = read_plan(absolute(args.plan))
    now = progress(plan, storage)
    if now.missing:
        raise DataError(
            f"{storage}: {len(now.missing)} of {len(plan.ranks)} ranks are not done; "
            f"'camtrace status {storage}' says why"
        )
    if plan.facts.get(CODE) != code():
        raise DataError(
            f"{CODE} here: {code()}; of the plan: {plan.facts.get(CODE)}. Finish with the code of the ranks"
        )
    check_facts(plan, versions_here(plan.facts))
    refuse_other_versions(plan, now.states.done, storage)
    how = FinishOptions(
        args.output and args.output.absolute(), args.push_to, args.public, args.wait, args.remove_blocks
    )
    go_to_folder(plan)
    status = ranked(request_of(plan)).finish(plan, now.states.done, storage, how)
    Markers(storage, plan.name).sweep()
    storage.sweep()
    record = {"plan": str(storage), "kind": plan.kind, "ranks": len(plan.ranks), "output": how.output or plan.output}
    write_record(args, {**record, "pushed_to": args.push_to, "exit_status": status})
    return status


RANK_MINUTES = 10.0
"""Minutes that a rank should take, which a kill costs."""


class PlanParser(Parser):
    """A parser whose options may stand anywhere among the words of the planned command."""

    def parse_known_args(self, args: Any = None, namespace: Any = None) -> Any:
        words = list(sys.argv[1:] if args is None else args)
        if not words or words[0] in ("-h", "--help"):
            return super().parse_known_args(words, namespace)
        options = argparse.ArgumentParser(add_help=False, allow_abbrev=False, exit_on_error=False)
        _plan_options(options)
        add_messages(options)
        try:
            args, rest = options.parse_known_args(words)
        except argparse.ArgumentError as error:
            self.error(str(error))
        args.words, args.run = rest, _run("plan")
        return args, []


def plan_parser() -> Parser:
    """The options of ``camtrace plan``."""
    p = PlanParser(
        "camtrace plan",
        most_used=("--ranks", "--rank-minutes", "--plan"),
        examples=(
            "camtrace plan sweep --published --data imagenet:/data/imagenet --output run",
            "camtrace plan build folder --data photos --output set --ranks 8",
        ),
        description="Freeze a big job in one file and cut it into ranks, for 'camtrace work'. Give the command that "
        "does it on one machine: camtrace plan sweep --published --data imagenet:/data/imagenet --output run; "
        "score, sweep, embed (the options of sweep; fills banks, scores nothing), build folder, imagenet, "
        "inat2018, simcams, flickrexif fetch. The plan is next to the output, in OUTPUT.plan.",
    )
    p.add_argument("words", nargs="*", metavar="COMMAND ...", help="what to do, as on one machine")
    _plan_options(p)
    p.set_defaults(run=_run("plan"))
    return p


def _plan_options(p: argparse.ArgumentParser) -> None:
    p.add_argument(
        "--ranks",
        type=whole_number(1),
        metavar="N",
        help="into how many ranks; of a run so many embed, and so many compute tasks (default: by --rank-minutes)",
    )
    p.add_argument(
        "--rank-minutes",
        type=real_number(above=0),
        default=RANK_MINUTES,
        metavar="M",
        help="how long a rank should take on this machine, and what a kill costs (default: %(default)g)",
    )
    p.add_argument("--plan", metavar="ADDRESS", help="where the plan and its markers lie (default: OUTPUT.plan)")


def work_parser() -> Parser:
    """The options of ``camtrace work``."""
    p = Parser(
        "camtrace work",
        most_used=("--engine", "--rank", "--at-once", "--jobs", "--memory"),
        examples=(
            "camtrace work run.plan --at-once 4",
            "camtrace work run.plan --engine slurm --gpus 1 --memory 4G --time 4:00:00",
        ),
        renamed=(
            Renamed("--workers", "--at-once"),
            Renamed("--tasks", "--jobs"),
            Renamed("--memory-gb", "--memory", lambda gb: f"{gb}G"),
        ),
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
    p.add_argument(
        "--at-once",
        dest="workers",
        type=whole_number(1),
        metavar="N",
        help="ranks at a time (default: local 1, else as fit)",
    )
    size = p.add_argument_group("size of a job")
    size.add_argument(
        "--jobs",
        dest="tasks",
        type=whole_number(1),
        metavar="N",
        help="deal missing ranks out over N jobs (default: one a rank)",
    )
    size.add_argument(
        "--cpus",
        type=whole_number(1),
        metavar="N",
        help="cores of a job, and with local or --rank of a rank (default: 1; local an equal share, --rank all)",
    )
    size.add_argument(
        "--gpus", type=whole_number(0), default=0, metavar="N", help="of a job: 1, or 0 (default: %(default)s)"
    )
    size.add_argument(
        "--memory", dest="memory_gb", type=_gigabytes, default=2, metavar="SIZE", help="for each CPU (default: 2G)"
    )
    size.add_argument(
        "--time", default="1:00:00", metavar="H:MM:SS", help="of a job, as Slurm writes it (default: %(default)s)"
    )
    slurm = p.add_argument_group("slurm")
    slurm.add_argument("--partition", metavar="NAME", help="where")
    slurm.add_argument("--qos", metavar="NAME", help="quality of service")
    slurm.add_argument("--setup", metavar="COMMAND", help="before the work, such as 'module load cuda'")
    slurm.add_argument("--sbatch", action="append", metavar="NAME=VALUE", help="any option of sbatch; repeatable")
    ray = p.add_argument_group("ray")
    ray.add_argument(
        "--address", default="auto", metavar="ADDRESS", help="of the cluster; local starts one here (default: auto)"
    )
    jobs = p.add_argument_group("jobs of the Hub")
    jobs.add_argument("--flavor", default="cpu-basic", metavar="NAME", help="hardware (default: %(default)s)")
    jobs.add_argument("--namespace", metavar="NAME", help="who pays")
    jobs.add_argument("--package", metavar="REQUIREMENT", help="what to install (default: this version from PyPI)")
    p.set_defaults(run=_run("work"))
    return p


def _gigabytes(text: str) -> int:
    """Whole gigabytes of an amount of memory, rounded up."""
    gigabytes = -(-size_in_bytes(text) // 2**30)
    if not gigabytes:
        raise argparse.ArgumentTypeError(f"{text}: at least 1 is needed")
    return gigabytes


def status_parser() -> Parser:
    """The options of ``camtrace status``."""
    p = Parser(
        "camtrace status",
        description="How far a plan is, which ranks failed and why, what to run next.",
        examples=("camtrace status run.plan", "camtrace status s3://bucket/run.plan"),
    )
    p.add_argument("plan", metavar="PLAN", help="folder or address of the plan")
    p.set_defaults(run=_run("status"))
    return p


def finish_parser() -> Parser:
    """The options of ``camtrace finish``."""
    p = Parser(
        "camtrace finish",
        most_used=("--output", "--push-to", "--public", "--remove-blocks", "--wait"),
        examples=("camtrace finish run.plan", "camtrace finish run.plan --output results --push-to OWNER/NAME"),
        description="When every rank is done: verify every file that they wrote, merge them, and do what is left of "
        "the command, such as scoring. Can be run again.",
    )
    p.add_argument("plan", metavar="PLAN", help="folder or address of the plan")
    p.add_argument(
        "-o", "--output", type=Path, metavar="DIR", help="a folder of this machine, instead of the planned output"
    )
    p.add_argument(
        "--push-to",
        type=repository_name,
        metavar="OWNER/NAME",
        help="publish to the Hub, as 'camtrace publish' and 'camtrace build publish' do: at most 100 files a commit, "
        "only what differs",
    )
    p.add_argument("--public", action="store_true", help="make a new repository public (default: private)")
    p.add_argument(
        "--remove-blocks",
        action="store_true",
        help="remove the files of blocks in the plan's folder once they are merged into the cache",
    )
    p.add_argument(
        "--wait",
        type=real_number(least=0),
        default=LATE_S,
        metavar="S",
        help="seconds to wait for a file that a shared disk does not show yet (default: %(default)g)",
    )
    p.set_defaults(run=_run("finish"))
    return p


def _run(name: str) -> Callable[[argparse.Namespace], int]:
    """The function of a command, imported when it runs, so that ``--help`` is fast."""

    def run(args: argparse.Namespace) -> int:
        from benchmark.cluster import work_on_plan

        commands = {"plan": plan, "work": work_on_plan, "status": status, "finish": finish}
        return commands[name](args)

    return run
