"""The steps that ask Flickr: options become a client and a plan, checked before anything is asked."""

from __future__ import annotations

import argparse
import datetime
from collections.abc import Callable
from importlib import metadata
from typing import TYPE_CHECKING

from builders.errors import UsageError

if TYPE_CHECKING:
    from builders.flickrexif.api import FlickrClient
    from builders.flickrexif.plan import SearchPlan
    from builders.flickrexif.state import State


def search_step(options: argparse.Namespace) -> int:
    from builders.flickrexif.licences import chosen_licences
    from builders.flickrexif.plan import SearchPlan
    from builders.flickrexif.search import pilot, search
    from builders.flickrexif.state import State
    from builders.flickrexif.status import status_text

    start, end = _day(options.start, "--from"), _day(options.end, "--to") + 86400
    if start >= end:
        raise UsageError(f"--from {options.start} lies after --to {options.end}")
    if options.per_user_month < 1:
        raise UsageError(f"--per-user-month {options.per_user_month}: give at least 1")
    if options.photos is not None and options.photos < 1:
        raise UsageError(f"--photos {options.photos}: give at least 1")
    if not options.empty_again_after >= 0:
        raise UsageError(f"--empty-again-after {options.empty_again_after}: give 0 seconds or more")
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
            print(
                pilot(state, make_client(state), plan, connections=options.connections).to_text(options.calls_per_hour)
            )
            print(
                f"{_calls(state):,} calls made so far; what they brought is in {options.state}, and the search goes on"
                " from there"
            )
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
    return 0


SEARCH_TAKES_ALL = (
    "searching for every photo that the cap of {cap} per owner and month allows, as the study did; its 356,459 photos"
    " are 99 hours of calls for Exif alone at 3,600 an hour. --dry-run says what it takes, --photos N takes a sample"
)


def _fill(options: argparse.Namespace, state: State, client: FlickrClient, plan: SearchPlan) -> int:
    from tqdm.auto import tqdm

    from builders.flickrexif.fill import fill

    if options.per_class < 1:
        raise UsageError(f"--per-class {options.per_class}: give at least 1")
    with tqdm(desc="fill", unit="answer", disable=None, bar_format="{desc}: {n_fmt} answers [{elapsed}]") as bar:
        done = fill(
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
    for one in done:
        print(
            f"{one.attribute:<16} {one.name:<24} {one.before:>5} -> {one.after:>5} of {options.per_class},"
            f" {one.asked:,} photos asked about; Flickr reports {one.reported:,} for these words"
        )
    if not done:
        print(f"every class has {options.per_class} photos")
    return 0


def _calls(state: State) -> int:
    return state.value("SELECT count(*) FROM calls")


def refresh_step(options: argparse.Namespace) -> int:
    from builders.flickrexif.refresh import refresh
    from builders.flickrexif.state import State

    make_client = _client_maker(options)
    with State(options.state) as state:
        done = refresh(state, make_client(state), older_than_days=options.older_than_days)
    print(f"{done.asked} looked up: {done.gone} gone, {done.changed} with another licence; {done.failed} unanswered")
    return 0


def user_agent(contact: str | None) -> str:
    """Who asks, and whom to write to.

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


def _client_maker(options: argparse.Namespace) -> Callable[[object], FlickrClient]:
    """Checks everything that can be wrong before a state is made."""
    from builders.flickrexif.api import Credentials, FlickrClient, checked_endpoint, is_this_machine
    from builders.flickrexif.budget import FLICKR_CALLS_PER_HOUR, CallBudget
    from builders.flickrexif.clock import SystemClock

    credentials = Credentials.from_environment()
    url = checked_endpoint(options.api_url) if options.api_url else None
    if not options.calls_per_hour >= 2:
        raise UsageError(f"--calls-per-hour {options.calls_per_hour}: give at least 2")
    if options.calls_per_hour > FLICKR_CALLS_PER_HOUR and not (url and is_this_machine(url)):
        raise UsageError(f"--calls-per-hour {options.calls_per_hour}: Flickr allows {FLICKR_CALLS_PER_HOUR}")
    clock = SystemClock()

    def make(state: object) -> FlickrClient:
        return FlickrClient(
            credentials,
            state,  # type: ignore[arg-type]
            clock,
            CallBudget(state, clock, options.calls_per_hour),  # type: ignore[arg-type]
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
