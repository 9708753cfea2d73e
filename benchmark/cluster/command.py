"""``camtrace plan | status | finish``: big jobs on one machine or many. ``work`` is in ``working.py``."""

from __future__ import annotations

import argparse
import os
import re

from benchmark.cluster.kinds import CODE, absolute, code, go_to_folder, ranked, request_of
from benchmark.cluster.request import read_request
from builders.errors import DataError, UsageError
from builders.ranks import Finishing, Markers, Place, Plan, count_text, progress, read_plan, state_text, write_plan

_REPO = re.compile(r"\w[\w.-]*/\w[\w.-]*")


def plan(args: argparse.Namespace) -> int:
    if args.ranks is not None and args.ranks < 1:
        raise UsageError(f"--ranks {args.ranks}: at least 1 is needed")
    if args.rank_minutes <= 0:
        raise UsageError(f"--rank-minutes {args.rank_minutes:g}: give more than 0")
    request = read_request(args.words)
    place = Place.of(absolute(args.plan) if args.plan else f"{request.output}.plan")
    fields = ranked(request).planned(place, 60 * args.rank_minutes, args.ranks)
    fields["facts"] = {CODE: code(), **fields["facts"]}
    fields["notes"] = {**fields.get("notes", {}), "folder": os.getcwd()}
    files = fields.pop("files", {})
    frozen = Plan(request.kind, request.words, request.output, **fields)
    write_plan(frozen, place, files)
    print(f"{place}/plan.json: {_size_text(frozen)}")
    print(state_text(progress(frozen, place), place).splitlines()[-1])
    return 0


def _size_text(plan: Plan) -> str:
    """Ranks, items, hours and bytes, as far as they are known beforehand."""
    seconds, size = plan.estimate["seconds"], plan.estimate["bytes"]
    known = [f"about {seconds / 3600:,.2f} hours of this machine in all"] if seconds is not None else []
    known += [f"{size / 1e9:,.2f} GB"] if size is not None else []
    measured = f"{', '.join(known)} (measured on a sample: it may be half or twice this)"
    what = f"{count_text(len(plan.ranks), 'rank')}, {plan.size:,} {plan.estimate['items']}"
    return f"{what}; {measured if known else 'hours and bytes are not known beforehand'}"


def status(args: argparse.Namespace) -> int:
    plan, place = read_plan(absolute(args.plan))
    print(state_text(progress(plan, place), place))
    return 0


def finish(args: argparse.Namespace) -> int:
    if args.push_to is not None and not _REPO.fullmatch(args.push_to):
        raise UsageError(f"--push-to {args.push_to}: write OWNER/NAME")
    plan, place = read_plan(absolute(args.plan))
    now = progress(plan, place)
    if now.missing:
        raise DataError(
            f"{place}: {len(now.missing)} of {len(plan.ranks)} ranks are not done; 'camtrace status {place}' says why"
        )
    if plan.facts.get(CODE) != code():
        raise DataError(
            f"{CODE} here: {code()}; of the plan: {plan.facts.get(CODE)}. Finish with the code of the ranks"
        )
    how = Finishing(args.output and args.output.absolute(), args.push_to, args.public)
    go_to_folder(plan)
    status = ranked(request_of(plan)).finish(plan, now.states.done, place, how)
    Markers(place, plan.name).sweep()
    place.sweep()
    return status
