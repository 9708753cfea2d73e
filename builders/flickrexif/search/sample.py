"""Sample N photos so that months have equally many from the first hour on, whenever the run is stopped.

Each month is counted by one call. Then each round advances every month by one photo, in seeded random order, from the
windows of the month (``strata``), so months differ by one photo at most. The calls depend on the seed and on Flickr's
responses alone: a run that was killed and resumed ends with the same photos as one that was not.
"""

from __future__ import annotations

import math
from collections.abc import Callable

from builders.flickrexif.api.client import FlickrClient, FlickrUnavailable
from builders.flickrexif.api.search_results import SearchResult, rank
from builders.flickrexif.search.exif_calls import EXIF_PENDING, MAX_FAILURES_IN_A_ROW, request_exif
from builders.flickrexif.search.plan import SearchPlan, Slice
from builders.flickrexif.search.read_slice import LONG_S, count_slice, read_whole
from builders.flickrexif.search.strata import (
    Stratum,
    add_strata,
    round_order,
    strata,
    stratum_at,
    turns_of,
    windows_of,
)
from builders.flickrexif.store.photos import insert_photos, within_cap
from builders.flickrexif.store.store import State

MONTHS_AT_ONCE = 8
"""Months that are advanced together, so that the Exif of their photos is requested in parallel."""

COUNT, WINDOW = "count", "window"
"""Names of the two kinds of search calls in the record of calls."""

_SELECTED = "source = 'search' AND selected = 1 AND month = ? AND uploaded >= ? AND uploaded < ?"

_READY = "source = 'search' AND selected = 0 AND month = ? AND uploaded >= ? AND uploaded < ? AND turn <= ?"


class Sample:
    """One run towards ``plan.photos`` photos. ``plan.start_search`` has been called and the state is locked.

    Args:
        state: of the collection.
        client: makes the calls.
        plan: its ``photos`` is the number of photos with Exif (or, without Exif calls, of all photos).
        connections: Exif calls in parallel.
        tick: called after every response.
    """

    def __init__(
        self, state: State, client: FlickrClient, plan: SearchPlan, *, connections: int, tick: Callable[[], None]
    ) -> None:
        self._state, self._client, self._plan = state, client, plan
        self._connections, self._tick = connections, tick
        self._target = plan.photos or 0
        self._photos: dict[int, int] = {}
        """Photos of each open month, by its start."""
        self._open: dict[int, Stratum] = {}
        """Months that may have more photos, by their start."""
        self._steps = 0
        """Responses that advanced the sample."""
        self._failures_in_a_row = 0
        """Photos in a row without a response."""

    def run(self, pilot: int | None = None) -> None:
        """Count the months that are not counted, then run rounds until there are enough photos or no more.

        Args:
            pilot: stop once so many photos of the state are selected.

        Raises:
            FlickrUnavailable: the service is down; the photos so far are stored.
        """
        add_strata(self._state, self._plan)
        self._count()
        self._open = {s.start: s for s in strata(self._state)}
        query = f"SELECT id FROM photos WHERE source = 'search' AND {EXIF_PENDING} ORDER BY id"
        pending = self._state.rows(query)
        if self._plan.with_exif and pending:  # of a run that was killed, or had no response
            self._request_exif([row[0] for row in pending])
        self._photos = {start: self._count_photos(stratum) for start, stratum in self._open.items()}
        step = math.ceil(MONTHS_AT_ONCE / max(1, len(self._open)))
        number = 0
        while self._lacking() and self._open:
            number += 1
            before = self._steps
            order = round_order([*self._open], number, self._plan.seed)
            for at in range(0, len(order), MONTHS_AT_ONCE):
                self._advance(order[at : at + MONTHS_AT_ONCE], number * step)
                if pilot is not None and self._selected() >= pilot:
                    return
            if self._steps == before and self._all_doubted(number * step):
                self._wait()

    def _lacking(self) -> int:
        return max(0, self._target - sum(self._photos.values()))

    def _selected(self) -> int:
        return self._state.value("SELECT count(*) FROM photos WHERE source = 'search' AND selected = 1")

    def _all_doubted(self, level: int) -> bool:
        """Whether no month can be advanced now, because the empty responses of all of them are doubted."""
        return bool(self._open) and all(
            self._photos[start] < stratum.weight * level and self._doubted(start) is not None
            for start, stratum in self._open.items()
        )

    def _advance(self, starts: list[int], level: int) -> None:
        """Advance some months to ``level`` photos (a part of a month in proportion), as far as they have photos."""
        while starts and (lacking := self._lacking()):
            batch: list[int] = []
            advancing = []
            for start in starts:
                if self._photos[start] < (target := self._open[start].weight * level):
                    many = min(lacking - len(batch), max(1, int(target - self._photos[start])))
                    ids = self._next(start, many) if many else []
                    batch += ids
                    advancing += [start] * bool(ids)
            if batch:
                self._select(batch)
            for start in advancing:  # they had photos, so they are open
                self._photos[start] = self._count_photos(self._open[start])
            starts = advancing

    def _next(self, start: int, many: int) -> list[int]:
        """The next ``many`` photos of a month; fewer if there are no more, or an empty response is doubted."""
        while True:
            stratum = self._open[start]
            where = (stratum.month, start, stratum.end, stratum.last_turn)
            rows = self._state.rows(
                f"SELECT id FROM photos WHERE {_READY} ORDER BY turn, rank, id LIMIT ?", *where, many
            )
            if rows:
                return [row[0] for row in rows]
            if stratum.exhausted:
                del self._open[start]
                return []
            if not self._open_window(stratum):
                return []
            self._open[start] = stratum_at(self._state, start)

    def _select(self, ids: list[int]) -> None:
        with self._state.transaction() as db:
            db.executemany("UPDATE photos SET selected = 1 WHERE id = ?", [(id,) for id in ids])
        if self._plan.with_exif:
            self._request_exif(ids)
        self._steps += len(ids)

    def _request_exif(self, ids: list[int]) -> None:
        request_exif(self._state, self._client, ids, self._connections, self._tick)
        last = ids[-MAX_FAILURES_IN_A_ROW:]
        marks = ",".join("?" * len(last))
        responses = self._state.value(
            f"SELECT count(*) FROM photos WHERE exif_status != 'failed' AND id IN ({marks})", *last
        )
        self._failures_in_a_row = 0 if responses else self._failures_in_a_row + len(ids)
        if self._failures_in_a_row >= MAX_FAILURES_IN_A_ROW:
            raise FlickrUnavailable("photos.getExif without an answer", self._failures_in_a_row)

    def _count_photos(self, stratum: Stratum) -> int:
        with_exif = "AND exif_status = 'ok'" if self._plan.with_exif else ""
        where = (stratum.month, stratum.start, stratum.end)
        return self._state.value(f"SELECT count(*) FROM photos WHERE {_SELECTED} {with_exif}", *where)

    def _open_window(self, stratum: Stratum) -> bool:
        """Read the next window and store the photos of its turns; False if its empty response is doubted for now."""
        doubted = self._doubted(stratum.start)
        now = self._state.clock.now()
        if doubted is not None and 0 <= now - doubted < self._plan.empty_again_s:
            return False
        start, end = stratum.next_window(self._plan.seed)
        piece = Slice(stratum.month, start, end, self._plan.licences, stratum.expected)
        reading = read_whole(self._client, piece, f"{WINDOW} {start}")
        self._tick()
        if reading.doubtful and doubted is None:
            with self._state.transaction() as db:
                db.execute("UPDATE strata SET doubted = ? WHERE start = ?", (now, stratum.start))
            return False
        first = stratum.opened // stratum.windows * stratum.turns
        under_cap = _under_cap(reading.photos, self._plan)
        turns = turns_of(len(under_cap), stratum.expected, start, self._plan.seed)
        turn = {p.id: t for p, t in zip(under_cap, turns, strict=True) if first <= t < first + stratum.turns}
        with self._state.transaction() as db:
            photos = within_cap(self._state, [p for p in under_cap if p.id in turn], self._plan.per_user_month)
            insert_photos(self._state, photos, self._plan.seed, turns=[turn[p.id] for p in photos])
            db.execute(
                "UPDATE strata SET opened = opened + 1, doubted = NULL, trusted = trusted + ? WHERE start = ?",
                (int(reading.doubtful), stratum.start),
            )
        self._steps += 1
        return True

    def _doubted(self, start: int) -> float | None:
        at: float | None = self._state.value("SELECT doubted FROM strata WHERE start = ?", start)
        return at

    def _count(self) -> None:
        """Count the photos of each month; a month that seems empty is counted again after the others."""
        state, plan = self._state, self._plan
        while rows := state.rows(
            'SELECT start, "end", month, doubted FROM strata WHERE total IS NULL'
            " ORDER BY doubted IS NOT NULL, start LIMIT 1"
        ):
            start, end, month, doubted = rows[0]
            if doubted is not None:
                self._state.clock.sleep(max(0.0, doubted + plan.empty_again_s - state.clock.now()))
            total = count_slice(self._client, Slice(month, start, end, plan.licences), f"{COUNT} {month}")
            self._tick()
            empty = not total and end - start >= LONG_S
            with state.transaction() as db:
                if empty and doubted is None:
                    db.execute("UPDATE strata SET doubted = ? WHERE start = ?", (state.clock.now(), start))
                else:
                    db.execute(
                        "UPDATE strata SET total = ?, doubted = NULL, trusted = trusted + ? WHERE start = ?",
                        (total, int(empty), start),
                    )
        counted = [(s.start, s.total, s.weight) for s in strata(state, uncut=True)]
        months_in_all = sum(s.weight for s in strata(state)) + sum(weight for *_, weight in counted)
        with state.transaction() as db:
            for start, total, weight in counted:
                windows, each = windows_of(total, self._target * weight / months_in_all)
                db.execute("UPDATE strata SET windows = ?, each = ? WHERE start = ?", (windows, each, start))

    def _wait(self) -> None:
        times = [at for start in self._open if (at := self._doubted(start)) is not None]
        self._state.clock.sleep(max(0.0, min(times) + self._plan.empty_again_s - self._state.clock.now()))


def _under_cap(photos: tuple[SearchResult, ...], plan: SearchPlan) -> list[SearchResult]:
    """Photos of a window by rank, at most as many of an owner as the cap allows."""
    ranked = sorted(photos, key=lambda p: (rank(p.id, plan.seed), p.id))
    photos_of_owner: dict[str, int] = {}
    admitted = []
    for photo in ranked:
        photos_of_owner[photo.owner] = photos_of_owner.get(photo.owner, 0) + 1
        if photos_of_owner[photo.owner] <= plan.per_user_month:
            admitted.append(photo)
    return admitted
