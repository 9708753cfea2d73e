"""FlickrExif: from the Flickr API to a data set that load_dataset reads.

Set FLICKR_API_KEY (and FLICKR_API_SECRET, to sign the calls). Every step keeps its work in --state and goes on from
there when it is run again, whatever stopped it.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from typing import TYPE_CHECKING

from builders.command_line import Parser
from builders.errors import UsageError
from builders.flickrexif.asking import refresh_step, search_step, user_agent
from builders.flickrexif.options import Step, steps_parser

if TYPE_CHECKING:
    from builders.flickrexif.fetching import FetchPlan
    from builders.ranks import Ranked


def main(argv: Sequence[str]) -> int:
    """Parse and run one step. Returns the exit status."""
    options = parser().parse_args(argv)
    run: Step = options.run
    return run(options)


def parser() -> Parser:
    """The options of every step."""
    return steps_parser(__doc__, STEPS, _fetch_ranks)


def _fetch(options: argparse.Namespace) -> int:
    from builders.flickrexif.fetch import fetch
    from builders.flickrexif.state import State

    with State(options.state) as state:
        done = fetch(state, _fetch_plan(options))
    print(done.to_text())
    return 0


def _fetch_ranks(options: argparse.Namespace) -> Ranked:
    from builders.flickrexif.ranked import FetchRanks

    return FetchRanks(options, _fetch_plan(options))


def _import(options: argparse.Namespace) -> int:
    from builders.flickrexif.importing import import_rows, open_table
    from builders.flickrexif.state import State

    rows = open_table(options.hub, options.table, options.revision)
    origin = f"{options.hub}@{options.revision or 'main'}" if options.hub else options.table.name
    with State(options.state, create=True) as state:
        done = import_rows(state, rows, seed=options.seed, origin=origin)
    print(
        f"{done.added} photos added, {done.known} known before, {done.buried} taken down, {done.unusable} rows unusable"
        "; 'refresh' looks up their licences, 'fetch' gets the files"
    )
    return 0


def _build(options: argparse.Namespace) -> int:
    from builders.errors import unknown_name
    from builders.exif import ATTRIBUTES, STUDY_ATTRIBUTES
    from builders.flickrexif.build import BuildPlan, build
    from builders.flickrexif.checking import SPLIT_FILE_SUFFIXES
    from builders.flickrexif.state import State
    from builders.outside import list_folder
    from builders.splits import Sizes

    for name in options.extra:
        if name not in ATTRIBUTES:
            raise unknown_name("attribute", name, [a for a in ATTRIBUTES if a not in STUDY_ATTRIBUTES])
    folder = options.split_files
    split_files = [folder / name for name in list_folder(folder).files] if folder else []
    plan = BuildPlan(
        output=options.output,
        pixels=options.pixels,
        label_set=options.label_set,
        attributes=tuple(dict.fromkeys((*STUDY_ATTRIBUTES, *options.extra))),
        seed=options.seed,
        sizes=Sizes(options.train, options.val, options.test, options.least),
        assign=options.assign,
        split_files=tuple(p for p in split_files if p.suffix in SPLIT_FILE_SUFFIXES),
        workers=options.workers,
        fresh=options.fresh,
        contact=options.contact,
    )
    with State(options.state) as state:
        built = build(state, plan)
    for split in built.build.splits:
        failed = f", {len(split.failures)} failed" if split.failures else ""
        print(f"{split.config:<18} {split.split:<11} {split.rows:>9,} rows{failed}")
    for limits in built.limits:
        print(limits.to_text())
    for reason, count in built.left_out.items():
        print(f"left out: {reason}: {count:,}")
    print(f"{options.output}: {len(built.report.problems)} problems found in the splits; 'check' lists them")
    return 0


def _load(options: argparse.Namespace) -> int:
    from builders.flickrexif.own_copy import load_own_copy
    from builders.flickrexif.state import State

    with State(options.state, create=True) as state:
        done = load_own_copy(
            options.source,
            state,
            options.output,
            _fetch_plan(options),
            configs=options.configs,
            revision=options.revision,
        )
    print(
        f"{options.output}: {done.fetched.fetched} photos fetched, {done.loaded} in the data set"
        + f" ({done.unpinned} of them unpinned: their hash was never published)" * bool(done.unpinned)
        + f", {done.buried} taken down, {done.missing} not to be had"
    )
    return 0 if done.loaded else 1


def _check(options: argparse.Namespace) -> int:
    from builders.flickrexif.checking import tables_to_check
    from builders.splits import validate

    report = validate(tables_to_check(options.paths))
    print(report.to_text())
    return 1 if report.problems else 0


def _forget(options: argparse.Namespace) -> int:
    from builders.flickrexif.state import State
    from builders.flickrexif.takedown import forget

    if not options.photo and not options.owner:
        raise UsageError("say whom to forget: --owner NSID or --photo ID")
    with State(options.state, create=True) as state:
        done = forget(state, photos=options.photo, owners=options.owner)
    print(
        f"{done.photos} photos and {done.files} files removed; tombstones keep them out. "
        "Data sets built before still hold them: build again and publish that"
    )
    if not done.overwritten:
        print(f"another process has {options.state} open: run 'forget' again after it, to write the state anew")
    return 0


def _status(options: argparse.Namespace) -> int:
    from builders.flickrexif.state import State
    from builders.flickrexif.status import status_text

    if options.calls_per_hour is not None and options.calls_per_hour < 2:
        raise UsageError(f"--calls-per-hour {options.calls_per_hour}: give at least 2")
    with State(options.state) as state:
        print(status_text(state, options.calls_per_hour))
    return 0


def _fetch_plan(options: argparse.Namespace) -> FetchPlan:
    from builders.flickrexif.fetching import FetchPlan

    return FetchPlan(
        sizes=tuple("o" if size == "original" else size for size in options.size.split(",")),
        user_agent=user_agent(options.contact),
        connections=options.connections,
        per_host=options.per_host,
        max_bytes=options.max_bytes,
        timeout_s=options.timeout,
        attempts=options.attempts,
        first_wait_s=options.first_wait,
        retry_failed=options.retry_failed,
        allow_loopback=options.allow_loopback,
        limit=options.limit,
    )


STEPS: dict[str, Step] = {
    "search": search_step,
    "refresh": refresh_step,
    "fetch": _fetch,
    "import": _import,
    "build": _build,
    "load": _load,
    "check": _check,
    "forget": _forget,
    "status": _status,
}
