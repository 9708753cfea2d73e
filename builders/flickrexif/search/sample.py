"""A sample of N photos that is fair to every month from the first hour on, whenever it is stopped.

First each month is counted, one call each. Then come rounds: each takes every month, in seeded random order, one photo
further, from windows of the month in seeded random order (``sampling``). So months differ by one photo at most.
What is asked depends on the seed and on Flickr's answers alone: a killed run ends with the photos of one that was not.
"""

from __future__ import annotations

import functools
import hashlib
import math
import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from builders.flickrexif.api.client import FlickrClient, FlickrUnavailable
from builders.flickrexif.api.search_results import SearchResult, rank
from builders.flickrexif.search.exif_calls import EXIF_PENDING, MAX_FAILURES_IN_A_ROW, request_exif
from builders.flickrexif.search.plan import SearchPlan, Slice, gaps, months, searchable_end
from builders.flickrexif.search.read_slice import LONG_S, count_slice, read_whole
from builders.flickrexif.store.photos import insert_photos, within_cap
from builders.flickrexif.store.store import State

WINDOW_RESULTS = 250
"""Photos of an average window: half a page, so that one call reads it."""

PER_TURN = 5
"""Photos that an average window gives at its turn: one call of a search for five of Exif, and five moments of a month
for each 25 photos."""

MONTH_S = 28 * 86400
"""What is as long as the shortest month counts as one; a part of a month counts as much less as it is shorter."""


@dataclass(frozen=True)
class Stratum:
    """A month of the sample, or the part of one that lies in the search: [start, end) in seconds since 1970."""

    month: str
    start: int
    end: int
    total: int
    """Results that Flickr reported."""
    windows: int
    each: int
    """Photos to keep of an average window for later turns, ``PER_TURN`` or more."""
    opened: int
    """Windows opened so far; a second pass over them counts on."""

    @property
    def weight(self) -> float:
        """Its share of the photos, in months."""
        return min(1.0, (self.end - self.start) / MONTH_S)

    @property
    def expected(self) -> float:
        """Photos of an average window."""
        return self.total / self.windows if self.windows else 0.0

    @property
    def turns(self) -> int:
        """Turns whose photos are kept when a window is opened."""
        return max(1, math.ceil(self.each / PER_TURN))

    @property
    def exhausted(self) -> bool:
        """Whether all that the windows hold has been kept."""
        if not self.windows:
            return True
        return self.opened // self.windows * self.turns * PER_TURN >= self.expected

    @property
    def last_turn(self) -> int:
        """Photos of later turns wait until the next window has been opened; -1: none is ready."""
        if not self.windows:
            return -1
        passes, within = divmod(self.opened, self.windows)
        return passes * self.turns if within else passes * self.turns - 1

    def next_window(self, seed: int) -> tuple[int, int]:
        """[start, end) of the window to open next."""
        at = _order(self.start, self.windows, seed)[self.opened % self.windows]
        length = self.end - self.start
        return self.start + length * at // self.windows, self.start + length * (at + 1) // self.windows


def windows_of(total: int, wanted: float) -> tuple[int, int]:
    """How a month is cut: number of windows, and photos to keep of an average one.

    Args:
        total: photos of the month.
        wanted: photos wanted of it.

    >>> windows_of(500_000, 20), windows_of(3700, 208), windows_of(40, 20)
    ((2000, 5), (15, 18), (1, 25))
    """
    if total <= 0:
        return 0, 0
    windows = max(1, round(total / WINDOW_RESULTS))
    return windows, max(PER_TURN, math.ceil(1.25 * wanted / windows))


def turns_of(count: int, expected: float, window: int, seed: int) -> list[int]:
    """The turn of each of ``count`` photos of a window, the lowest rank first.

    Of a window with the ``expected`` number of photos, ``PER_TURN`` come at each turn; of one with more photos more, in
    proportion, on average over windows exactly.

    >>> turns_of(7, 12.0, window=0, seed=0)
    [0, 0, 0, 1, 1, 1, 2]
    """
    if not count:
        return []
    per_turn = PER_TURN * count / max(expected, PER_TURN)
    shift = unit("turn", window, seed)
    return [int((i + shift) / per_turn) for i in range(count)]


def round_order(starts: Sequence[int], number: int, seed: int) -> list[int]:
    """Months, by their start, in the order of one round."""
    return sorted(starts, key=lambda start: (unit(f"round {number}", start, seed), start))


def unit(what: str, number: int, seed: int) -> float:
    """Seeded hash, uniform in [0, 1)."""
    digest = hashlib.blake2b(f"flickrexif sample\0{what}\0{seed}\0{number}".encode(), digest_size=8).digest()
    return (int.from_bytes(digest, "big") >> 11) / 2**53


@functools.lru_cache(maxsize=1024)
def _order(start: int, windows: int, seed: int) -> tuple[int, ...]:
    """Seeded permutation of a month's windows."""
    order = list(range(windows))
    random.Random(f"flickrexif windows {seed} {start}").shuffle(order)
    return tuple(order)


TOGETHER = 8
"""Months that are taken on together, so that their photos can be asked for at once."""

COUNT, WINDOW = "count", "window"
"""How the record of calls names the two kinds of a sample's searches."""

_HAD = "source = 'search' AND selected = 1 AND month = ? AND uploaded >= ? AND uploaded < ?"

_WAITING = "source = 'search' AND selected = 0 AND month = ? AND uploaded >= ? AND uploaded < ? AND turn <= ?"


class Sample:
    """One run towards ``plan.photos`` photos. The state must have been begun (``plan.begin``) and be locked.

    Args:
        state: of the run.
        client: makes the calls.
        plan: its ``photos`` is the number of photos that tell their Exif (without Exif: that were found).
        connections: photos asked for at once.
        tick: called after every answer.
    """

    def __init__(
        self, state: State, client: FlickrClient, plan: SearchPlan, *, connections: int, tick: Callable[[], None]
    ) -> None:
        self._state, self._client, self._plan = state, client, plan
        self._connections, self._tick = connections, tick
        self._wanted = plan.photos or 0
        self._had: dict[int, int] = {}
        self._open: dict[int, Stratum] = {}
        self._moved = 0
        """Answers that brought the sample on."""
        self._silent = 0
        """Photos in a row without any answer."""

    def run(self, pilot: int | None = None) -> None:
        """Count what is uncounted and go through rounds until there are enough photos, or no more to be had.

        Args:
            pilot: stop once so many photos of the state have been asked about.

        Raises:
            FlickrUnavailable: the service is down; what was found is kept.
        """
        add_strata(self._state, self._plan)
        self._count()
        self._open = {s.start: s for s in strata(self._state)}
        left = self._state.rows(f"SELECT id FROM photos WHERE source = 'search' AND {EXIF_PENDING} ORDER BY id")
        if self._plan.with_exif and left:  # of a run that was killed, or had no answer
            self._ask([row[0] for row in left])
        self._had = {start: self._had_of(stratum) for start, stratum in self._open.items()}
        step = max(1, math.ceil(TOGETHER / max(1, len(self._open))))
        number = 0
        while self._short() and self._open:
            number += 1
            before = self._moved
            order = round_order(sorted(self._open), number, self._plan.seed)
            for at in range(0, len(order), TOGETHER):
                self._bring(order[at : at + TOGETHER], number * step)
                if pilot is not None and self._asked() >= pilot:
                    return
            if self._moved == before and self._all_wait(number * step):
                self._wait()

    def _short(self) -> int:
        return max(0, self._wanted - sum(self._had.values()))

    def _asked(self) -> int:
        return self._state.value("SELECT count(*) FROM photos WHERE source = 'search' AND selected = 1")

    def _all_wait(self, level: int) -> bool:
        """Whether no month can be brought on now: all that are left are doubted."""
        return bool(self._open) and all(
            self._had[start] < s.weight * level and self._doubted(start) is not None for start, s in self._open.items()
        )

    def _bring(self, starts: list[int], level: int) -> None:
        """Take some months on until they have ``level`` photos (a part of a month its part), as far as they go."""
        while starts and (short := self._short()):
            batch: list[int] = []
            going = []
            for start in starts:
                if start in self._open and self._had[start] < (target := self._open[start].weight * level):
                    many = min(short - len(batch), max(1, int(target - self._had[start])))
                    ids = self._next(start, many) if many else []
                    batch += ids
                    going += [start] * bool(ids)
            if batch:
                self._take(batch)
            for start in going:
                if start in self._open:
                    self._had[start] = self._had_of(self._open[start])
            starts = going

    def _next(self, start: int, many: int) -> list[int]:
        """The next ``many`` photos of a month; fewer where there are no more, or an empty answer is doubted."""
        while True:
            stratum = self._open[start]
            where = (stratum.month, start, stratum.end, stratum.last_turn)
            rows = self._state.rows(
                f"SELECT id FROM photos WHERE {_WAITING} ORDER BY turn, rank, id LIMIT ?", *where, many
            )
            if rows:
                return [row[0] for row in rows]
            if stratum.exhausted:
                del self._open[start]
                return []
            if not self._open_window(stratum):
                return []
            self._open[start] = _stratum(self._state, start)

    def _take(self, ids: list[int]) -> None:
        with self._state.transaction() as db:
            db.executemany("UPDATE photos SET selected = 1 WHERE id = ?", [(id,) for id in ids])
        if self._plan.with_exif:
            self._ask(ids)
        self._moved += len(ids)

    def _ask(self, ids: list[int]) -> None:
        request_exif(self._state, self._client, ids, self._connections, self._tick)
        marks = ",".join("?" * len(ids[-MAX_FAILURES_IN_A_ROW:]))
        some = self._state.value(
            f"SELECT count(*) FROM photos WHERE exif_status != 'failed' AND id IN ({marks})",
            *ids[-MAX_FAILURES_IN_A_ROW:],
        )
        self._silent = 0 if some else self._silent + len(ids)
        if self._silent >= MAX_FAILURES_IN_A_ROW:
            raise FlickrUnavailable("photos.getExif without an answer", self._silent)

    def _had_of(self, stratum: Stratum) -> int:
        told = "AND exif_status = 'ok'" if self._plan.with_exif else ""
        where = (stratum.month, stratum.start, stratum.end)
        return self._state.value(f"SELECT count(*) FROM photos WHERE {_HAD} {told}", *where)

    def _open_window(self, stratum: Stratum) -> bool:
        """Open the next window and keep what its turns give; False if its empty answer is doubted for now."""
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
            kept = within_cap(self._state, [p for p in under_cap if p.id in turn], self._plan.per_user_month)
            insert_photos(self._state, kept, self._plan.seed, turns=[turn[p.id] for p in kept])
            db.execute(
                "UPDATE strata SET opened = opened + 1, doubted = NULL, trusted = trusted + ? WHERE start = ?",
                (int(reading.doubtful), stratum.start),
            )
        self._moved += 1
        return True

    def _doubted(self, start: int) -> float | None:
        at: float | None = self._state.value("SELECT doubted FROM strata WHERE start = ?", start)
        return at

    def _count(self) -> None:
        """Ask how many photos each month has; an empty month is asked about again after the others."""
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
                cut_into = windows_of(total, self._wanted * weight / months_in_all)
                db.execute("UPDATE strata SET windows = ?, each = ? WHERE start = ?", (*cut_into, start))

    def _wait(self) -> None:
        times = [at for start in self._open if (at := self._doubted(start)) is not None]
        self._state.clock.sleep(max(0.0, min(times) + self._plan.empty_again_s - self._state.clock.now()))


def add_strata(state: State, plan: SearchPlan) -> None:
    """Add the months of the plan that the sample does not cover yet."""
    covered = [tuple(row) for row in state.rows('SELECT start, "end" FROM strata')]
    with state.transaction() as db:
        for start, stop in gaps(plan.start, searchable_end(state, plan), covered):
            for month, first, last in months(start, stop):
                db.execute('INSERT INTO strata (month, start, "end") VALUES (?, ?, ?)', (month, first, last))


def strata(state: State, uncut: bool = False) -> list[Stratum]:
    """The months of the sample that have been counted; only those not cut into windows yet, or only those that are."""
    where = "windows = 0 AND total > 0" if uncut else "windows > 0"
    return [
        Stratum(*row)
        for row in state.rows(
            f'SELECT month, start, "end", total, windows, each, opened FROM strata WHERE {where} ORDER BY start'
        )
    ]


def _stratum(state: State, start: int) -> Stratum:
    query = 'SELECT month, start, "end", total, windows, each, opened FROM strata WHERE start = ?'
    return Stratum(*state.rows(query, start)[0])


def _under_cap(photos: tuple[SearchResult, ...], plan: SearchPlan) -> list[SearchResult]:
    """Photos of a window by rank, at most as many of an owner as the cap allows."""
    ranked = sorted(photos, key=lambda p: (rank(p.id, plan.seed), p.id))
    seen: dict[str, int] = {}
    kept = []
    for photo in ranked:
        seen[photo.owner] = seen.get(photo.owner, 0) + 1
        if seen[photo.owner] <= plan.per_user_month:
            kept.append(photo)
    return kept
