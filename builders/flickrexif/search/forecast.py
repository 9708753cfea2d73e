"""What a sample still takes: calls, hours and bytes, reckoned from what has come so far, and nothing assumed unsaid."""

from __future__ import annotations

import json
import math
import time
from dataclasses import dataclass

from tqdm.auto import tqdm

from builders.flickrexif.api.call_budget import seconds_for
from builders.flickrexif.search.exif_calls import EXIF_PENDING
from builders.flickrexif.search.plan import PER_PAGE
from builders.flickrexif.search.sample import PER_TURN, WINDOW, Stratum, strata
from builders.flickrexif.store.store import State

PILOT_PHOTOS = 100
"""Photos that a dry run asks about: the share that tells its Exif is then known to within 10 points."""

FILE_BYTES_PER_PIXEL = 0.4
"""Of a camera's JPEG file, assumed until files have been fetched."""

_LOOKED_AT = 2000


@dataclass(frozen=True)
class Forecast:
    """Of a sample, from where it stands."""

    wanted: int
    everything: bool
    """All that the cap allows was asked for: then ``wanted`` is the most that it may be."""
    had: int
    months: int
    available: int
    """Photos that Flickr reports in all months."""
    counts: int
    """Calls to come that count months,"""
    reads: int
    """that read windows,"""
    asks: int
    """that ask for Exif,"""
    again: int
    """and that try one of these again."""
    known: bool
    """Whether photos have been asked about, so that the shares are measured."""
    megapixels: float
    """Of an average file to be fetched."""
    bytes_per_pixel: float
    bytes_measured: bool
    files: int
    """Photos to fetch, in all."""

    @property
    def calls(self) -> int:
        """All that are still to be made."""
        return self.counts + self.reads + self.asks + self.again

    @property
    def bytes(self) -> float:
        """Of all files, those here already too."""
        return self.files * self.megapixels * 1e6 * self.bytes_per_pixel

    def seconds(self, calls_per_hour: float) -> float:
        """How long the calls take at a budget."""
        return seconds_for(self.calls, calls_per_hour)

    def to_text(self, calls_per_hour: float) -> str:
        """A few lines for people."""
        share = "measured on what was fetched" if self.bytes_measured else "assumed until files are fetched"
        hours = self.seconds(calls_per_hour) / 3600
        lines = [
            f"photos      {self.wanted:>11,}  {'at most; ' * self.everything}{self.had:,} are here; Flickr reports"
            f" {self.available:,} in {self.months} months",
            f"calls       {self.calls:>11,}  {self.counts:,} count months, {self.reads:,} search, {self.asks:,} ask for"
            f" Exif, {self.again:,} try again",
            f"hours       {hours:>11.1f}  at {calls_per_hour:,.0f} calls an hour",
            f"gigabytes   {self.bytes / 1e9:>11.1f}  {self.files:,} originals of {self.megapixels:.1f} megapixels,"
            f" {self.bytes_per_pixel:.2f} bytes a pixel ({share})",
        ]
        if self.everything:
            lines.append(
                "these are the most: the cap per owner and month leaves out what is known when months are read whole"
            )
        elif self.known and self.wanted > self.had + self.asks:
            lines.append(f"Flickr has too few photos under these licences: about {self.had + self.asks:,} can be had")
        return "\n".join(lines)


def forecast(state: State, wanted: int | None) -> Forecast:
    """What a sample of ``wanted`` photos still takes.

    Args:
        state: of a search with ``photos``, or of a dry run; the more it has asked, the better.
        wanted: photos that tell their Exif; None: all that the cap may allow, whose months are all read whole.
    """
    with_exif = state.setting("with_exif") is not False
    told = "AND exif_status = 'ok'" if with_exif else ""
    of_sample = "FROM photos WHERE source = 'search' AND selected = 1"
    had = state.value(f"SELECT count(*) {of_sample} {told}")
    asked = (
        state.value(f"SELECT count(*) {of_sample} AND coalesce(exif_status, 'failed') != 'failed'")
        if with_exif
        else had
    )
    months, uncounted, available = state.rows(
        "SELECT count(*), coalesce(sum(total IS NULL), 0), coalesce(sum(total), 0) FROM strata"
    )[0]
    telling = (had or 1) / (asked or 1) if with_exif else 1.0
    most = round(available * _per_window(state)[0] / PER_TURN)
    everything = wanted is None
    wanted = round(most * telling) if wanted is None else wanted
    needed = max(0, most - asked) if everything else math.ceil(max(0, wanted - had) / telling)
    reads, possible = (
        (math.ceil(1.25 * available / PER_PAGE), needed) if everything else _reads(state, asked + needed, needed)
    )
    asks = min(needed, possible) if with_exif else 0
    first, repeats = state.rows("SELECT coalesce(sum(attempt = 1), 0), coalesce(sum(attempt > 1), 0) FROM calls")[0]
    again = round((uncounted + reads + asks) * repeats / first) if first else 0
    megapixels, per_pixel, measured, originals = _bytes(state)
    files = round((asked + needed if with_exif else wanted) * originals)
    return Forecast(
        *(wanted, everything, had, months, available, uncounted, reads, asks, again, asked > 0),
        *(megapixels, per_pixel, measured, files),
    )


def _reads(state: State, photos: int, more: int) -> tuple[int, int]:
    """Calls that read windows until the sample has ``photos``, and how many of ``more`` can be asked about."""
    there = strata(state)
    per_window, opened = _per_window(state)
    kept_share = min(1.0, per_window / PER_TURN)
    calls = state.value(
        "SELECT count(*) FROM calls WHERE attempt = 1 AND method = 'photos.search' AND subject LIKE ?", f"{WINDOW} %"
    )
    calls_per_window = calls / sum(s.opened for s in there) if calls and opened else 1.0
    each = _shares(there, photos, kept_share)
    windows = sum(max(0.0, _windows(s, n, per_window) - s.opened) for s, n in zip(there, each, strict=True))
    had = state.value("SELECT count(*) FROM photos WHERE source = 'search' AND selected = 1")
    possible = max(0, round(sum(each)) - had) if there else more
    return math.ceil(windows * calls_per_window), min(more, possible) if there else more


def _per_window(state: State) -> tuple[float, int]:
    """Photos that a window gives at its first turn, and windows opened."""
    opened = sum(min(s.opened, s.windows) for s in strata(state))
    first_turn = state.value("SELECT count(*) FROM photos WHERE source = 'search' AND turn = 0")
    return (first_turn / opened if opened and first_turn else float(PER_TURN)), opened


def _shares(there: list[Stratum], photos: int, kept_share: float) -> list[float]:
    """Photos of each month: even, as far as the months have so many; the others make up for those that have not."""
    most = [s.total * kept_share for s in there]
    each = [0.0] * len(there)
    open_ones = set(range(len(there)))
    left = float(photos)
    while open_ones and left > 1e-6:
        level = left / sum(there[i].weight for i in open_ones)
        for i in sorted(open_ones):
            share = min(most[i] - each[i], level * there[i].weight)
            each[i] += share
            left -= share
        full = {i for i in open_ones if each[i] >= most[i] - 1e-6}
        if not full and left > 1e-6:
            break
        open_ones -= full
    return each


def _windows(stratum: Stratum, photos: float, per_window: float) -> float:
    """Windows to open for so many photos of a month: each once for a first turn, from which later turns are kept."""
    if photos <= stratum.windows * per_window:
        return photos / per_window
    return stratum.windows * math.ceil(photos / (stratum.windows * per_window * stratum.turns))


def _bytes(state: State) -> tuple[float, float, bool, float]:
    """Megapixels of an average original, bytes per pixel, whether these are measured, and the share that has one."""
    rows = state.rows(
        "SELECT p.urls, f.size, f.bytes FROM photos p LEFT JOIN files f ON f.photo_id = p.id AND f.status = 'ok'"
        f" WHERE p.source = 'search' AND p.selected = 1 ORDER BY f.bytes IS NULL, p.rank LIMIT {_LOOKED_AT}"
    )
    pixels, originals, got_bytes, got_pixels = 0.0, 0, 0, 0
    for text, size, size_bytes in rows:
        urls = json.loads(text)
        if "o" in urls:
            originals += 1
            pixels += urls["o"][1] * urls["o"][2]
        if size_bytes and size in urls and urls[size][1] * urls[size][2]:
            got_bytes += size_bytes
            got_pixels += urls[size][1] * urls[size][2]
    per_pixel = got_bytes / got_pixels if got_pixels else FILE_BYTES_PER_PIXEL
    return (
        pixels / originals / 1e6 if originals else 0.0,
        per_pixel,
        bool(got_pixels),
        originals / len(rows) if rows else 1.0,
    )


_BAR = "{desc}: {percentage:3.0f}%|{bar}| {n_fmt}/{total_fmt} calls [{elapsed}{postfix}]"
"""Without tqdm's own forecast, which knows nothing of the budget: one clock is enough."""


class SearchProgress:
    """A bar over calls: those made, and those to come by the totals that Flickr reported and the share kept so far."""

    def __init__(self, state: State, seconds_per_call: float) -> None:
        self._state, self._seconds_per_call = state, seconds_per_call
        self._bar = tqdm(total=0, desc="search", unit="call", disable=None, bar_format=_BAR)
        self._made = self._calls()
        self._shown = 0.0

    def __enter__(self) -> SearchProgress:
        self.show()
        return self

    def __exit__(self, *_: object) -> None:
        self._bar.close()

    def show(self) -> None:
        if self._bar.disable or time.monotonic() - self._shown < 1:
            return
        self._shown = time.monotonic()
        self._bar.n = self._calls() - self._made
        left = calls_left(self._state)
        self._bar.total = self._bar.n + left
        slowest = max(self._seconds_per_call, 1 / (self._bar.format_dict["rate"] or 1e9))
        months = months_to_count(self._state)
        self._bar.set_postfix_str(f"{months} months to count first" if months else time_left(left * slowest))

    def _calls(self) -> int:
        return self._state.value("SELECT coalesce(max(rowid), 0) FROM calls")


def time_left(seconds: float) -> str:
    """A forecast in words.

    >>> time_left(0), time_left(20), time_left(180), time_left(356_459)
    ('nothing left', 'under a minute left', 'about 3 min left', 'about 99.0 h left')
    """
    if seconds <= 0:
        return "nothing left"
    if seconds < 60:
        return "under a minute left"
    return f"about {seconds / 60:.0f} min left" if seconds < 5400 else f"about {seconds / 3600:.1f} h left"


def months_to_count(state: State) -> int:
    """Months of which Flickr has not yet said how many photos there are: until then no forecast is one."""
    if state.setting("photos_wanted"):
        return state.value("SELECT count(*) FROM strata WHERE total IS NULL")
    return state.value("SELECT count(DISTINCT month) FROM slices WHERE status = 'pending' AND root = 1")


def calls_left(state: State) -> int:
    """Calls that a search still needs, estimated: pages (and cuts) of the slices to come, and one per photo kept."""
    if wanted := state.setting("photos_wanted"):
        return forecast(state, wanted).calls
    with_exif = state.setting("with_exif") is not False
    asked = state.value(f"SELECT count(*) FROM photos WHERE {EXIF_PENDING}") if with_exif else 0
    slices, results = state.rows("SELECT count(*), coalesce(sum(estimate), 0) FROM slices WHERE status = 'pending'")[0]
    found = state.value("SELECT coalesce(sum(found), 0) FROM slices") or 1
    kept = state.value("SELECT count(*) FROM photos WHERE source = 'search'")
    return round(asked + slices + results * (1.25 / PER_PAGE + with_exif * min(1.0, kept / found)))
