"""FlickrExif: from the Flickr API to a data set that load_dataset reads.

Set FLICKR_API_KEY (and FLICKR_API_SECRET, to sign the calls). Every step stores its work in --state; run it again to
resume it, whatever stopped it.
"""

from __future__ import annotations

import argparse
import datetime
from collections.abc import Callable, Sequence
from dataclasses import asdict
from importlib import metadata
from typing import TYPE_CHECKING

from builders.cli import Parser, run_command, write_record
from builders.errors import UsageError
from builders.flickrexif.cli.options import Step, steps_parser

if TYPE_CHECKING:
    from builders.cluster import RankedWork
    from builders.flickrexif.api.client import FlickrClient
    from builders.flickrexif.fetch.transfer import FetchPlan
    from builders.flickrexif.search.plan import SearchPlan
    from builders.flickrexif.store.store import State


def main(argv: Sequence[str]) -> int:
    """Parse the arguments and run one step. Returns the exit status."""
    return run_command(parser().parse_args(argv))


def parser() -> Parser:
    """The options of every step."""
    return steps_parser(__doc__, STEPS, _fetch_ranks)


def _search(options: argparse.Namespace) -> int:
    from builders.flickrexif.api.licences import chosen_licences
    from builders.flickrexif.search.plan import SearchPlan
    from builders.flickrexif.search.search import pilot, search
    from builders.flickrexif.search.status import status_record, status_text
    from builders.flickrexif.store.store import State

    start, end = _day(options.start, "--from"), _day(options.end, "--to") + 86400
    if start >= end:
        raise UsageError(f"--from {options.start} lies after --to {options.end}")
    plan = SearchPlan(
        start=start,
        end=end,
        per_user_month=options.per_user_month,
        licences=chosen_licences(
            options.licences, non_commercial=options.non_commercial, no_derivatives=options.no_derivatives
        ),
        seed=options.seed,
        each_licence=options.each_licence,
        with_exif=not options.no_exif,
        photos=options.photos,
        empty_again_s=options.empty_again_after,
    )
    make_client = _client_maker(options)
    if options.fill:
        with State(options.state) as state:
            return _fill(options, state, make_client(state), plan)
    with State(options.state, create=True) as state:
        if options.dry_run:
            forecast = pilot(state, make_client(state), plan, connections=options.connections)
            calls = state.value("SELECT count(*) FROM calls")
            print(forecast.to_text(options.calls_per_hour))
            print(
                f"{calls:,} calls made so far; their results are in {options.state}, and the search goes on from there"
            )
            needed = {"calls": forecast.calls, "hours": forecast.seconds(options.calls_per_hour) / 3600}
            write_record(options, {**asdict(forecast), **needed, "bytes": forecast.bytes})
            return 0
        if options.photos is None:
            print(SEARCH_TAKES_ALL.format(cap=options.per_user_month))
        search(
            state,
            make_client(state),
            plan,
            connections=options.connections,
            seconds_per_call=3600 / options.calls_per_hour,
        )
        print(status_text(state))
        write_record(options, status_record(state))
    return 0


SEARCH_TAKES_ALL = (
    "searching for every photo that the cap of {cap} per owner and month allows, as the study did; its 356,459 photos"
    " are 99 hours of calls for Exif alone at 3,600 an hour. --dry-run says what it takes, --limit N takes a sample"
)


def _fill(options: argparse.Namespace, state: State, client: FlickrClient, plan: SearchPlan) -> int:
    from builders.flickrexif.search.fill_classes import fill
    from builders.processes import progress_bar

    with progress_bar(desc="fill", unit="answer", bar_format="{desc}: {n_fmt} answers [{elapsed}]") as bar:
        results = fill(
            state,
            client,
            plan,
            options.fill.split(","),
            per_class=options.per_class,
            connections=options.connections,
            calls_per_hour=options.calls_per_hour,
            dry_run=options.dry_run,
            tick=lambda: (bar.update(), None)[1],
        )
    for result in results:
        print(
            f"{result.attribute:<16} {result.name:<24} {result.before:>5} -> {result.after:>5} of {options.per_class},"
            f" {result.checked:,} photos checked; Flickr reports {result.reported:,} for these words"
        )
    if not results:
        print(f"every class has {options.per_class} photos")
    write_record(options, results)
    return 0


def _refresh(options: argparse.Namespace) -> int:
    from builders.flickrexif.search.refresh import refresh
    from builders.flickrexif.store.store import State

    make_client = _client_maker(options)
    with State(options.state) as state:
        counts = refresh(state, make_client(state), older_than_days=options.older_than_days)
    print(
        f"{counts.checked} looked up: {counts.gone} gone, {counts.hidden} whose owner hides Exif now, "
        f"{counts.changed} with another licence; "
        f"{counts.failed} unanswered"
    )
    write_record(options, counts)
    return 0


def user_agent(contact: str | None) -> str:
    """The header ``User-Agent``, with an address to write to.

    >>> user_agent("me@example.org").endswith("(FlickrExif data set builder; contact: me@example.org)")
    True
    """
    try:
        version = metadata.version("camtrace")
    except metadata.PackageNotFoundError:
        version = "dev"
    if contact and not (contact.isprintable() and contact.isascii() and len(contact) < 200):
        raise UsageError("--contact: give a plain e-mail address or web address")
    return f"camtrace/{version} (FlickrExif data set builder{f'; contact: {contact}' if contact else ''})"


def _client_maker(options: argparse.Namespace) -> Callable[[State], FlickrClient]:
    """A function that makes the client of a state. All options are checked here, before a state is created."""
    from builders.flickrexif.api.call_budget import FLICKR_CALLS_PER_HOUR, CallBudget, budget_file
    from builders.flickrexif.api.client import Credentials, FlickrClient, checked_endpoint, is_this_machine
    from builders.flickrexif.api.clock import SystemClock

    credentials = Credentials.from_environment()
    url = checked_endpoint(options.api_url) if options.api_url else None
    if options.calls_per_hour > FLICKR_CALLS_PER_HOUR and not (url and is_this_machine(url)):
        raise UsageError(f"--calls-per-hour {options.calls_per_hour}: Flickr allows {FLICKR_CALLS_PER_HOUR}")
    clock = SystemClock()
    budget = CallBudget(budget_file(credentials.key), clock, options.calls_per_hour)

    def make(state: State) -> FlickrClient:
        return FlickrClient(
            credentials,
            state.record_call,
            clock,
            budget,
            user_agent=user_agent(options.contact),
            url=url,
            attempts=options.attempts,
            first_wait_s=options.first_wait,
            timeout_s=options.timeout,
        )

    return make


def _day(text: str, option: str) -> int:
    """Midnight UTC of an ISO date, in seconds since 1970."""
    try:
        day = datetime.datetime.strptime(text, "%Y-%m-%d").replace(tzinfo=datetime.timezone.utc)
    except ValueError:
        raise UsageError(f"{option} {text}: write a date as 2004-01-31") from None
    return int(day.timestamp())


def _fetch(options: argparse.Namespace) -> int:
    from builders.flickrexif.fetch.fetch import fetch
    from builders.flickrexif.store.store import State

    with State(options.state) as state:
        counts = fetch(state, _fetch_plan(options))
    print(counts.to_text())
    write_record(options, counts)
    return 0


def _fetch_ranks(options: argparse.Namespace) -> RankedWork:
    from builders.flickrexif.fetch.cluster import FetchRanks

    return FetchRanks(options, _fetch_plan(options))


def _import(options: argparse.Namespace) -> int:
    from builders.flickrexif.search.import_ids import import_rows, import_table
    from builders.flickrexif.store.store import State

    rows = import_table(options.hub, options.table, options.revision)
    origin = f"{options.hub}@{options.revision or 'main'}" if options.hub else options.table.name
    with State(options.state, create=True) as state:
        counts = import_rows(state, rows, seed=options.seed, origin=origin)
    print(
        f"{counts.added} photos added, {counts.known} known before, {counts.taken_down} taken down, "
        f"{counts.unusable} rows unusable; 'refresh' looks up their licences, 'fetch' gets the files"
    )
    write_record(options, counts)
    return 0


def _build(options: argparse.Namespace) -> int:
    from builders.dataset import build_record
    from builders.errors import unknown_name
    from builders.exif import ATTRIBUTES, STUDY_ATTRIBUTES
    from builders.flickrexif.assemble.build import BuildPlan, build
    from builders.flickrexif.assemble.check_splits import SPLIT_FILE_SUFFIXES
    from builders.flickrexif.store.store import State
    from builders.splits import Sizes
    from builders.untrusted import list_folder

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
    record = build_record(built.build, options.output)
    by_attribute = {of.attribute: of for of in built.limits}
    write_record(
        options, {**record, "limits": by_attribute, "left_out": built.left_out, "problems": len(built.report.problems)}
    )
    return 0


def _load(options: argparse.Namespace) -> int:
    from builders.dataset import build_record
    from builders.flickrexif.assemble.local_copy import load_local_copy
    from builders.flickrexif.store.store import State

    with State(options.state, create=True) as state:
        copy = load_local_copy(
            options.source,
            state,
            options.output,
            _fetch_plan(options),
            configs=[name.replace("-", "_") for name in options.configs],
            revision=options.revision,
        )
    print(
        f"{options.output}: {copy.fetched.fetched} photos fetched, {copy.loaded} in the data set"
        + f" ({copy.unpinned} of them unpinned: their hash was never published)" * bool(copy.unpinned)
        + f", {copy.taken_down} taken down, {copy.missing} not to be had"
    )
    record = build_record(copy.build, options.output)
    counts = {name: getattr(copy, name) for name in ("loaded", "unpinned", "taken_down", "missing")}
    write_record(options, {**record, "fetched": copy.fetched, **counts})
    return 0 if copy.loaded else 1


def _check(options: argparse.Namespace) -> int:
    from builders.flickrexif.assemble.check_splits import tables_to_check
    from builders.splits import validate

    report = validate(tables_to_check(options.paths))
    print(report.to_text())
    write_record(options, report)
    return 1 if report.problems else 0


def _forget(options: argparse.Namespace) -> int:
    from builders.flickrexif.store.store import State
    from builders.flickrexif.store.tombstones import forget

    if not options.photo and not options.owner:
        raise UsageError("say whom to forget: --owner NSID or --photo ID")
    with State(options.state, create=True) as state:
        removed = forget(state, photos=options.photo, owners=options.owner)
    print(
        f"{removed.photos} photos and {removed.files} files removed; tombstones keep them out. "
        "Data sets built before still hold them: build again and publish that"
    )
    if not removed.overwritten:
        print(f"another process has {options.state} open: run 'forget' again after it, to write the state anew")
    write_record(options, removed)
    return 0


def _status(options: argparse.Namespace) -> int:
    from builders.flickrexif.search.status import status_record, status_text
    from builders.flickrexif.store.store import State

    with State(options.state) as state:
        print(status_text(state, options.calls_per_hour))
        write_record(options, status_record(state, options.calls_per_hour))
    return 0


def _fetch_plan(options: argparse.Namespace) -> FetchPlan:
    from builders.flickrexif.fetch.transfer import FetchPlan

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
    "search": _search,
    "refresh": _refresh,
    "fetch": _fetch,
    "import": _import,
    "build": _build,
    "load": _load,
    "check": _check,
    "forget": _forget,
    "status": _status,
}
