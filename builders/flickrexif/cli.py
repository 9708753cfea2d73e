"""``python -m builders flickrexif``: from the Flickr API to a data set that load_dataset reads.

Set FLICKR_API_KEY (and FLICKR_API_SECRET, to sign the calls). Every step keeps its work in --state and goes on from
there when it is run again, whatever stopped it.
"""

from __future__ import annotations

import argparse
import datetime
import os
from collections.abc import Callable, Sequence
from importlib import metadata
from pathlib import Path

from builders.errors import UsageError


def main(argv: Sequence[str]) -> int:
    """Parse and run one step. Returns the exit status."""
    options = _parser().parse_args(argv)
    run: Callable[[argparse.Namespace], int] = options.run
    return run(options)


def _search(options: argparse.Namespace) -> int:
    from builders.flickrexif.licences import chosen_licences
    from builders.flickrexif.search import SearchPlan, search
    from builders.flickrexif.state import State
    from builders.flickrexif.status import status_text

    start, end = _day(options.start, "--from"), _day(options.end, "--to") + 86400
    if start >= end:
        raise UsageError(f"--from {options.start} lies after --to {options.end}")
    if options.per_user_month < 1:
        raise UsageError(f"--per-user-month {options.per_user_month}: give at least 1")
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
    )
    make_client = _client_maker(options)
    with State(options.state, create=True) as state:
        search(
            state,
            make_client(state),
            plan,
            connections=options.connections,
            seconds_per_call=3600 / options.calls_per_hour,
        )
        print(status_text(state))
    return 0


def _refresh(options: argparse.Namespace) -> int:
    from builders.flickrexif.refresh import refresh
    from builders.flickrexif.state import State

    make_client = _client_maker(options)
    with State(options.state) as state:
        done = refresh(state, make_client(state), older_than_days=options.older_than_days)
    print(f"{done.asked} looked up: {done.gone} gone, {done.changed} with another licence; {done.failed} unanswered")
    return 0


def _fetch(options: argparse.Namespace) -> int:
    from builders.flickrexif.fetch import FetchPlan, fetch
    from builders.flickrexif.state import State

    plan = FetchPlan(
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
    with State(options.state) as state:
        done = fetch(state, plan)
    why = ", ".join(f"{name} {count}" for name, count in done.failures.most_common())
    print(
        f"{done.fetched} photos fetched ({done.bytes / 1e6:.1f} MB), {sum(done.failures.values())} failed"
        + f" ({why})" * bool(why)
    )
    return 0


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
    return 0


def _status(options: argparse.Namespace) -> int:
    from builders.flickrexif.state import State
    from builders.flickrexif.status import status_text

    with State(options.state) as state:
        print(status_text(state))
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


def _client_maker(options: argparse.Namespace) -> Callable:
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


def _parser() -> argparse.ArgumentParser:
    description, _, epilog = __doc__.partition("\n\n")
    parser = argparse.ArgumentParser("python -m builders flickrexif", description=description, epilog=epilog)
    steps = parser.add_subparsers(required=True, metavar="STEP")

    step = _step(steps, "search", _search, "find photos and ask for their Exif")
    step.add_argument("--from", dest="start", default="2004-01-01", metavar="DAY", help="first day of upload, UTC")
    step.add_argument("--to", dest="end", default=f"{datetime.date.today()}", metavar="DAY", help="last day, inclusive")
    step.add_argument(
        "--per-user-month", type=int, default=5, metavar="N", help="photos per owner and month (default 5)"
    )
    step.add_argument(
        "--licences", nargs="+", default=(), metavar="NAME", help="ids or names; default: the permissive ones"
    )
    step.add_argument("--non-commercial", action="store_true", help="also licences with NC")
    step.add_argument("--no-derivatives", action="store_true", help="also licences with ND")
    step.add_argument("--each-licence", action="store_true", help="always ask for one licence at a time")
    step.add_argument("--no-exif", action="store_true", help="do not ask for Exif: only originals will have any")
    step.add_argument("--seed", type=int, default=0, help="of the choice that the cap makes (default 0)")
    step.add_argument("--connections", type=int, default=4, metavar="N", help="calls at once (default 4)")
    _add_api_options(step)

    step = _step(steps, "refresh", _refresh, "look up licence, author and title again (needed after import)")
    step.add_argument("--older-than-days", type=float, metavar="D", help="also photos last checked so long ago")
    _add_api_options(step)

    step = _step(steps, "fetch", _fetch, "fetch the files, byte-exact")
    step.add_argument(
        "--size",
        default="original",
        help="original, or sizes in order of preference as in o,l; 'any' takes what there is (default original)",
    )
    step.add_argument("--connections", type=int, default=16, metavar="N", help="files at once (default 16)")
    step.add_argument("--per-host", type=int, default=8, metavar="N", help="files at once from one host (default 8)")
    step.add_argument("--max-bytes", type=int, default=200 * 2**20, metavar="N", help="largest file (default 200 MiB)")
    step.add_argument("--attempts", type=int, default=4, metavar="N", help="tries per file (default 4)")
    step.add_argument("--retry-failed", action="store_true", help="try files again that failed for a passing reason")
    step.add_argument("--limit", type=int, metavar="N", help="at most so many files in this run")
    step.add_argument("--allow-loopback", action="store_true", help="for tests: this machine may be the server")
    _add_shared_options(step)

    step = _step(steps, "import", _import, "start from the released ids instead of a search")
    step.add_argument("--hub", metavar="REPO", help="a data set on the Hub, for example CTU-OU/FlickrExif")
    step.add_argument("--revision", help="commit, tag or branch of --hub")
    step.add_argument("--table", type=Path, metavar="FILE", help="the same as a local Parquet, CSV or JSON file")
    step.add_argument("--seed", type=int, default=0, help="of the order of new photos (default 0)")

    step = _step(steps, "forget", _forget, "take photos or owners down")
    step.add_argument("--photo", action="append", default=[], metavar="ID", help="a photo's id; may be repeated")
    step.add_argument("--owner", action="append", default=[], metavar="NSID", help="an owner's id; may be repeated")

    _step(steps, "status", _status, "show the funnel, the files and the calls")
    return parser


def _step(steps: argparse._SubParsersAction, name: str, run: Callable, summary: str) -> argparse.ArgumentParser:
    step = steps.add_parser(name, help=summary, description=summary)
    step.set_defaults(run=run)
    step.add_argument("--state", type=Path, required=True, metavar="DIR", help="folder that keeps everything")
    return step


def _add_api_options(step: argparse.ArgumentParser) -> None:
    step.add_argument("--calls-per-hour", type=int, default=3600, metavar="N", help="budget of this key (default 3600)")
    step.add_argument("--attempts", type=int, default=8, metavar="N", help="tries per call (default 8)")
    step.add_argument(
        "--api-url",
        default=os.environ.get("FLICKR_API_URL"),
        metavar="URL",
        help="another REST endpoint (a double in tests)",
    )
    _add_shared_options(step)


def _add_shared_options(step: argparse.ArgumentParser) -> None:
    step.add_argument("--timeout", type=float, default=60.0, metavar="S", help="seconds without an answer (default 60)")
    step.add_argument(
        "--first-wait", type=float, default=1.0, metavar="S", help="first wait before another try (default 1)"
    )
    step.add_argument(
        "--contact",
        default=os.environ.get("CAMTRACE_CONTACT"),
        metavar="ADDRESS",
        help="e-mail or web address to put into the User-Agent (or set CAMTRACE_CONTACT)",
    )
