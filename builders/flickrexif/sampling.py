"""A fair sample of a span of upload time, as arithmetic: windows of each month in random order, a few photos of each.

A month is cut into windows of equal length, about ``WINDOW_RESULTS`` photos each, opened in seeded random order. A
window gives photos in proportion to what it holds, so every photo of the month is as likely as any other.
"""

from __future__ import annotations

import functools
import hashlib
import math
import random
from collections.abc import Sequence
from dataclasses import dataclass

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
