"""Months of a sample (strata), and the windows of equal length that each is cut into.

Windows are opened in seeded random order. An average window gives ``PER_TURN`` photos at each turn; photos of later
turns wait until every window of the month has been opened. Everything here depends on the seed and on counts alone.
"""

from __future__ import annotations

import functools
import hashlib
import math
import random
from collections.abc import Sequence
from dataclasses import dataclass

from builders.flickrexif.search.plan import SearchPlan, gaps, months, searchable_end
from builders.flickrexif.store.store import State

WINDOW_RESULTS = 250
"""Photos of an average window: half a page, so that one call reads it."""

PER_TURN = 5
"""Photos that an average window gives at its turn: one search call for five Exif calls, and five moments of a month for
each 25 photos."""

MONTH_S = 28 * 86400
"""The shortest month. A span of this length counts as one month; a shorter span counts in proportion."""


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
    """Photos to store of an average window for all its turns, ``PER_TURN`` or more."""
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
        """Turns whose photos are stored when a window is opened."""
        return max(1, math.ceil(self.each / PER_TURN))

    @property
    def exhausted(self) -> bool:
        """Whether all photos of the windows have been stored."""
        if not self.windows:
            return True
        return self.opened // self.windows * self.turns * PER_TURN >= self.expected

    @property
    def last_turn(self) -> int:
        """The last turn whose photos are ready, before the next window is opened; -1: none."""
        if not self.windows:
            return -1
        passes, rest = divmod(self.opened, self.windows)
        return passes * self.turns if rest else passes * self.turns - 1

    def next_window(self, seed: int) -> tuple[int, int]:
        """[start, end) of the window to open next, in seconds since 1970."""
        position = _order(self.start, self.windows, seed)[self.opened % self.windows]
        length = self.end - self.start
        return self.start + length * position // self.windows, self.start + length * (position + 1) // self.windows


def windows_of(total: int, target: float) -> tuple[int, int]:
    """Number of windows of a month, and photos to store of an average window.

    Args:
        total: photos of the month.
        target: photos that the sample needs of it.

    >>> windows_of(500_000, 20), windows_of(3700, 208), windows_of(40, 20)
    ((2000, 5), (15, 18), (1, 25))
    """
    if total <= 0:
        return 0, 0
    windows = max(1, round(total / WINDOW_RESULTS))
    return windows, max(PER_TURN, math.ceil(1.25 * target / windows))


def turns_of(count: int, expected: float, window: int, seed: int) -> list[int]:
    """The turn of each of ``count`` photos of a window, the lowest rank first.

    A window with the ``expected`` number of photos gives ``PER_TURN`` at each turn. A window with more photos gives
    more, in proportion; the proportion is exact on average over windows.

    Args:
        count: photos of the window.
        expected: photos of an average window.
        window: start of the window, for the seed.
        seed: of the sample.

    >>> turns_of(7, 12.0, window=0, seed=0)
    [0, 0, 0, 1, 1, 1, 2]
    """
    if not count:
        return []
    per_turn = PER_TURN * count / max(expected, PER_TURN)
    shift = unit("turn", window, seed)
    return [int((i + shift) / per_turn) for i in range(count)]


def round_order(starts: Sequence[int], number: int, seed: int) -> list[int]:
    """Starts of months in the seeded order of one round."""
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


def add_strata(state: State, plan: SearchPlan) -> None:
    """Add the months of a plan that the sample of a state does not cover yet."""
    covered = [tuple(row) for row in state.rows('SELECT start, "end" FROM strata')]
    with state.transaction() as db:
        for start, stop in gaps(plan.start, searchable_end(state, plan), covered):
            for month, first, last in months(start, stop):
                db.execute('INSERT INTO strata (month, start, "end") VALUES (?, ?, ?)', (month, first, last))


def strata(state: State, uncut: bool = False) -> list[Stratum]:
    """The counted months of a sample that are cut into windows, or (``uncut``) those that are not yet."""
    where = "windows = 0 AND total > 0" if uncut else "windows > 0"
    return [
        Stratum(*row)
        for row in state.rows(
            f'SELECT month, start, "end", total, windows, each, opened FROM strata WHERE {where} ORDER BY start'
        )
    ]


def stratum_at(state: State, start: int) -> Stratum:
    """The month, or part of one, that begins at ``start``."""
    query = 'SELECT month, start, "end", total, windows, each, opened FROM strata WHERE start = ?'
    return Stratum(*state.rows(query, start)[0])
