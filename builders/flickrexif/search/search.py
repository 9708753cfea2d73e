"""Search Flickr by slices of upload time: at most N photos per owner and month, with their Exif.

Months are searched one after another. When a slice has been read to its end, its photos are stored and the cap is
applied in one transaction, so a killed run repeats at most one slice and never the Exif call of a photo. With
``SearchPlan.photos``, ``sample`` draws a sample instead.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from typing import NoReturn

from tqdm.auto import tqdm

from builders.flickrexif.api.call_budget import FLICKR_CALLS_PER_HOUR
from builders.flickrexif.api.client import FlickrClient
from builders.flickrexif.search.exif_calls import EXIF_PENDING, request_exif_of_month
from builders.flickrexif.search.forecast import PILOT_PHOTOS, Forecast, SearchProgress, forecast
from builders.flickrexif.search.plan import SearchPlan, Slice, gaps, months, searchable_end, start_search
from builders.flickrexif.search.read_slice import read_slice
from builders.flickrexif.search.sample import Sample
from builders.flickrexif.store.photos import drop_beyond_cap, insert_photos
from builders.flickrexif.store.store import State
from builders.processes import progress_bar

PILOT_PLAN = 5000
"""Size of the sample by which the dry run of a search without ``photos`` cuts its months into windows."""


def search(
    state: State, client: FlickrClient, plan: SearchPlan, *, connections: int = 4, seconds_per_call: float = 1.0
) -> None:
    """Search until the plan is complete. To resume an interrupted search, call it again.

    Args:
        state: stores the photos.
        client: makes the calls.
        plan: what to search for. A state has one cap, seed and set of licences; its span, and the number of photos of a
            sample, may grow.
        connections: Exif calls in parallel.
        seconds_per_call: by the budget, for the estimate of the time left.

    Raises:
        FlickrUnavailable: the service is down; the photos so far are stored.
        UsageError: the state was made by another plan, or the key is not accepted.
    """
    with state.exclusive("search"):
        start_search(state, client, plan, 3600 / seconds_per_call)
        with SearchProgress(state, seconds_per_call) as progress:
            if plan.photos is not None:
                Sample(state, client, plan, connections=connections, tick=progress.show).run()
                return
            _add_windows(state, plan)
            _read_all(state, client, plan, "root = 1 AND doubted IS NULL", progress)
            while True:
                for month in _open_months(state, plan):
                    _read_all(state, client, plan, "doubted IS NULL AND month = ?", progress, month)
                    if state.value("SELECT count(*) FROM slices WHERE status = 'pending' AND month = ?", month):
                        continue  # its slices with doubted empty responses are read again after the other months
                    _select_month(state, month)
                    if plan.with_exif:
                        request_exif_of_month(state, client, month, connections, progress.show)
                if not _read_doubted(state, client, plan, progress):
                    return


def pilot(state: State, client: FlickrClient, plan: SearchPlan, *, connections: int = 4) -> Forecast:
    """Count the months and read the first photos of a sample, as the basis of a forecast.

    The photos are stored: they are the beginning of the search.

    Args:
        state: stores the photos.
        client: makes the calls.
        plan: what to search for; without ``photos``, the forecast is for the most that the cap may allow.
        connections: Exif calls in parallel.

    Raises:
        FlickrUnavailable: the service is down; the photos so far are stored.
        UsageError: the state was made by another plan, or the key is not accepted.
    """
    with state.exclusive("search"):
        start_search(state, client, plan, state.setting("calls_per_hour") or FLICKR_CALLS_PER_HOUR)
        with progress_bar(desc="dry run", unit="call", bar_format="{desc}: {n_fmt} calls [{elapsed}]") as bar:
            sampled = replace(plan, photos=plan.photos or PILOT_PLAN)
            Sample(state, client, sampled, connections=connections, tick=lambda: _tick(bar)).run(PILOT_PHOTOS)
    return forecast(state, plan.photos)


def _tick(bar: tqdm[NoReturn]) -> None:
    bar.update()


def _add_windows(state: State, plan: SearchPlan) -> None:
    """Add the months of the plan that have not been searched, or their missing parts, as slices to read."""
    covered = [tuple(row) for row in state.rows('SELECT start, "end" FROM slices WHERE root = 1')]
    groups = [(licence,) for licence in plan.licences] if plan.each_licence else [plan.licences]
    with state.transaction():
        for start, stop in gaps(plan.start, searchable_end(state, plan), covered):
            for month, first, last in months(start, stop):
                _add(state, [Slice(month, first, last, licences) for licences in groups], root=True)


def _select_month(state: State, month: str) -> None:
    """Select the photos of a month that has been read completely."""
    with state.transaction() as db:
        db.execute("UPDATE photos SET selected = 1 WHERE month = ? AND source = 'search' AND selected = 0", (month,))


def _read_all(
    state: State, client: FlickrClient, plan: SearchPlan, condition: str, progress: SearchProgress, *parameters: object
) -> None:
    """Read the slices of a condition, whole months first: the estimate of the time left rests on their totals."""
    while rows := _pending(state, f"{condition} ORDER BY root DESC, start, licences LIMIT 1", *parameters):
        _read(state, client, plan, *rows[0])
        progress.show()


def _read_doubted(state: State, client: FlickrClient, plan: SearchPlan, progress: SearchProgress) -> bool:
    """Read slices with doubted empty responses again, after the delay of the plan; False if there are none."""
    slices = [
        row[0]
        for row in state.rows("SELECT id FROM slices WHERE status = 'pending' AND doubted IS NOT NULL ORDER BY id")
    ]
    for number in slices:
        since = state.value("SELECT doubted FROM slices WHERE id = ?", number)
        state.clock.sleep(min(plan.empty_again_s, max(0.0, since + plan.empty_again_s - state.clock.now())))
        _read(state, client, plan, *_pending(state, "id = ?", number)[0])
        progress.show()
    return bool(slices)


def _open_months(state: State, plan: SearchPlan) -> list[str]:
    """Months with pending slices or photos, in order."""
    exif_pending = f"OR {EXIF_PENDING}" if plan.with_exif else ""
    rows = state.rows(
        "SELECT month FROM slices WHERE status = 'pending' UNION "
        f"SELECT month FROM photos WHERE source = 'search' AND (selected = 0 {exif_pending}) ORDER BY month"
    )
    return [row[0] for row in rows]


def _pending(state: State, condition: str, *parameters: object) -> list[tuple[int, Slice, bool]]:
    """(number, slice, whether it was doubted) of pending slices."""
    rows = state.rows(
        'SELECT id, month, start, "end", licences, estimate, doubted FROM slices'
        f" WHERE status = 'pending' AND {condition}",
        *parameters,
    )
    return [
        (r[0], Slice(r[1], r[2], r[3], tuple(map(int, r[4].split(","))), r[5]), r["doubted"] is not None) for r in rows
    ]


def _add(state: State, pieces: Iterable[Slice], root: bool = False) -> None:
    with state.transaction() as db:
        db.executemany(
            'INSERT INTO slices (root, month, start, "end", licences, status, estimate) VALUES (?, ?, ?, ?, ?, ?, ?)',
            [
                (int(root), p.month, p.start, p.end, ",".join(map(str, p.licences)), "pending", p.estimate)
                for p in pieces
            ],
        )


def _read(
    state: State, client: FlickrClient, plan: SearchPlan, number: int, piece: Slice, doubted_before: bool
) -> None:
    """Read one slice and store the result: its photos, its parts, or that its empty response is doubted."""
    reading = read_slice(client, piece, f"slice {number}")
    with state.transaction() as db:
        if reading.doubtful and not doubted_before:
            db.execute("UPDATE slices SET doubted = ? WHERE id = ?", (state.clock.now(), number))
            return
        insert_photos(state, reading.photos, plan.seed)
        drop_beyond_cap(state, reading.photos, plan.per_user_month)
        status = "split" if reading.parts else "done" if reading.complete else "truncated"
        db.execute(
            "UPDATE slices SET status = ?, total = ?, found = ?, trusted = ? WHERE id = ?",
            (status, reading.total, len(reading.photos), int(reading.doubtful), number),
        )
        _add(state, reading.parts)
