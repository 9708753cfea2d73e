"""Forecasts of a search: calls, hours and bytes that are still needed, estimated from the results so far.

``forecast`` is for a sample, or for a whole search of which only a dry run has been made. ``calls_left`` is for any
search that is running.
"""

from __future__ import annotations

import math
import time
from dataclasses import dataclass

from builders.flickrexif.api.call_budget import seconds_for
from builders.flickrexif.api.stored_json import stored_addresses
from builders.flickrexif.search.exif_calls import EXIF_PENDING
from builders.flickrexif.search.plan import PER_PAGE
from builders.flickrexif.search.sample import WINDOW
from builders.flickrexif.search.strata import PER_TURN, Stratum, strata
from builders.flickrexif.store.store import State
from builders.processes import progress_bar

PILOT_PHOTOS = 100
"""Photos whose Exif a dry run requests: the share with Exif is then known to within 10 percentage points."""

FILE_BYTES_PER_PIXEL = 0.4
"""Of a camera's JPEG file, assumed until files have been fetched."""

_FILES_SAMPLED = 2000
"""Photos from which the bytes are estimated."""


@dataclass(frozen=True)
class Forecast:
    """What a search still needs, in its present state."""

    target: int
    """Photos of the complete search; with ``everything``, the most that the cap may allow."""
    everything: bool
    """Whether the search is for all photos that the cap allows, not for a sample."""
    photos: int
    """Photos so far."""
    months: int
    available: int
    """Photos that Flickr reports in all months."""
    count_calls: int
    """Calls that count months."""
    search_calls: int
    """Calls that read windows."""
    exif_calls: int
    """Calls that request Exif."""
    retries: int
    """Calls that try one of these again."""
    measured: bool
    """Whether Exif has been requested, so that the share of photos with Exif is measured."""
    megapixels: float
    """Of an average file to fetch."""
    bytes_per_pixel: float
    bytes_measured: bool
    """Whether ``bytes_per_pixel`` is measured on fetched files."""
    files: int
    """Photos to fetch, including those that have been fetched."""

    @property
    def calls(self) -> int:
        """All calls that are still needed."""
        return self.count_calls + self.search_calls + self.exif_calls + self.retries

    @property
    def bytes(self) -> float:
        """Of all files, including those that have been fetched."""
        return self.files * self.megapixels * 1e6 * self.bytes_per_pixel

    def seconds(self, calls_per_hour: float) -> float:
        """Seconds that the calls take at a budget."""
        return seconds_for(self.calls, calls_per_hour)

    def to_text(self, calls_per_hour: float) -> str:
        """A few lines for people."""
        share = "measured on what was fetched" if self.bytes_measured else "assumed until files are fetched"
        hours = self.seconds(calls_per_hour) / 3600
        lines = [
            f"photos      {self.target:>11,}  {'at most; ' * self.everything}{self.photos:,} are here; Flickr reports"
            f" {self.available:,} in {self.months} months",
            f"calls       {self.calls:>11,}  {self.count_calls:,} count months, {self.search_calls:,} search,"
            f" {self.exif_calls:,} ask for Exif, {self.retries:,} try again",
            f"hours       {hours:>11.1f}  at {calls_per_hour:,.0f} calls an hour",
            f"gigabytes   {self.bytes / 1e9:>11.1f}  {self.files:,} originals of {self.megapixels:.1f} megapixels,"
            f" {self.bytes_per_pixel:.2f} bytes a pixel ({share})",
        ]
        if self.everything:
            lines.append(
                "these are the most: the cap per owner and month leaves out what is known when months are read whole"
            )
        elif self.measured and self.target > self.photos + self.exif_calls:
            possible = self.photos + self.exif_calls
            lines.append(f"Flickr has too few photos under these licences: about {possible:,} can be had")
        return "\n".join(lines)


def forecast(state: State, target: int | None) -> Forecast:
    """Estimate what a sample of ``target`` photos still needs.

    Args:
        state: of a search with ``photos``, or of a dry run; the more responses it has, the better.
        target: photos with Exif; None: all that the cap may allow, where all months are read completely.
    """
    with_exif = state.setting("with_exif") is not False
    of_sample = "FROM photos WHERE source = 'search' AND selected = 1"
    photos = state.value(f"SELECT count(*) {of_sample}" + " AND exif_status = 'ok'" * with_exif)
    checked = (
        state.value(f"SELECT count(*) {of_sample} AND coalesce(exif_status, 'failed') != 'failed'")
        if with_exif
        else photos
    )
    months, uncounted, available = state.rows(
        "SELECT count(*), coalesce(sum(total IS NULL), 0), coalesce(sum(total), 0) FROM strata"
    )[0]
    exif_share = (photos or 1) / (checked or 1) if with_exif else 1.0
    most = round(available * _per_window(state)[0] / PER_TURN)
    everything = target is None
    target = round(most * exif_share) if target is None else target
    if everything:
        needed = possible = max(0, most - checked)
        search_calls = math.ceil(_page_calls(available))
    else:
        needed = math.ceil(max(0, target - photos) / exif_share)
        search_calls, possible = _window_calls(state, checked + needed, needed)
    exif_calls = min(needed, possible) if with_exif else 0
    first, repeats = state.rows("SELECT coalesce(sum(attempt = 1), 0), coalesce(sum(attempt > 1), 0) FROM calls")[0]
    retries = round((uncounted + search_calls + exif_calls) * repeats / first) if first else 0
    megapixels, bytes_per_pixel, bytes_measured, originals = _file_sizes(state)
    return Forecast(
        target=target,
        everything=everything,
        photos=photos,
        months=months,
        available=available,
        count_calls=uncounted,
        search_calls=search_calls,
        exif_calls=exif_calls,
        retries=retries,
        measured=checked > 0,
        megapixels=megapixels,
        bytes_per_pixel=bytes_per_pixel,
        bytes_measured=bytes_measured,
        files=round((checked + needed if with_exif else target) * originals),
    )


def calls_left(state: State) -> int:
    """Estimated calls that a search still needs: for its pages (or windows), and one Exif call per photo."""
    if target := state.setting("photos_wanted"):
        return forecast(state, target).calls
    with_exif = state.setting("with_exif") is not False
    exif_calls = state.value(f"SELECT count(*) FROM photos WHERE {EXIF_PENDING}") if with_exif else 0
    slices, results = state.rows("SELECT count(*), coalesce(sum(estimate), 0) FROM slices WHERE status = 'pending'")[0]
    listed = state.value("SELECT coalesce(sum(found), 0) FROM slices") or 1
    stored = state.value("SELECT count(*) FROM photos WHERE source = 'search'")
    exif_of_slices = with_exif * results * min(1.0, stored / listed)
    return round(exif_calls + slices + _page_calls(results) + exif_of_slices)


def months_to_count(state: State) -> int:
    """Months whose number of photos Flickr has not reported yet; without it, there is no forecast of the whole."""
    if state.setting("photos_wanted"):
        return state.value("SELECT count(*) FROM strata WHERE total IS NULL")
    return state.value("SELECT count(DISTINCT month) FROM slices WHERE status = 'pending' AND root = 1")


def _page_calls(results: float) -> float:
    """Calls that read all pages of so many results; a quarter more, because pages are short and slices are split."""
    return 1.25 * results / PER_PAGE


def _window_calls(state: State, photos: int, more: int) -> tuple[int, int]:
    """Calls that read windows until the sample has ``photos``, and how many of ``more`` photos the windows have."""
    months = strata(state)
    per_window, opened = _per_window(state)
    admitted_share = min(1.0, per_window / PER_TURN)
    calls = state.value(
        "SELECT count(*) FROM calls WHERE attempt = 1 AND method = 'photos.search' AND subject LIKE ?", f"{WINDOW} %"
    )
    calls_per_window = calls / sum(month.opened for month in months) if calls and opened else 1.0
    shares = _shares(months, photos, admitted_share)
    windows = sum(
        max(0.0, _windows(month, share, per_window) - month.opened) for month, share in zip(months, shares, strict=True)
    )
    selected = state.value("SELECT count(*) FROM photos WHERE source = 'search' AND selected = 1")
    possible = max(0, round(sum(shares)) - selected) if months else more
    return math.ceil(windows * calls_per_window), min(more, possible) if months else more


def _per_window(state: State) -> tuple[float, int]:
    """Photos that a window gives at its first turn, and windows opened."""
    opened = sum(min(s.opened, s.windows) for s in strata(state))
    first_turn = state.value("SELECT count(*) FROM photos WHERE source = 'search' AND turn = 0")
    return (first_turn / opened if opened and first_turn else float(PER_TURN)), opened


def _shares(months: list[Stratum], photos: int, admitted_share: float) -> list[float]:
    """Photos of each month: even as far as each month has so many; the other months supply what is missing."""
    shares = [0.0] * len(months)
    left, weight = float(photos), sum(month.weight for month in months)
    for i in sorted(range(len(months)), key=lambda i: months[i].total / months[i].weight):
        shares[i] = min(months[i].total * admitted_share, left * months[i].weight / weight)
        left -= shares[i]
        weight -= months[i].weight
    return shares


def _windows(stratum: Stratum, photos: float, per_window: float) -> float:
    """Windows to open for so many photos of a month: each window once, then again for later turns."""
    if photos <= stratum.windows * per_window:
        return photos / per_window
    return stratum.windows * math.ceil(photos / (stratum.windows * per_window * stratum.turns))


def _file_sizes(state: State) -> tuple[float, float, bool, float]:
    """Megapixels of an average original, bytes per pixel, whether these are measured, and the share with originals."""
    rows = state.rows(
        "SELECT p.urls, f.size, f.bytes FROM photos p LEFT JOIN files f ON f.photo_id = p.id AND f.status = 'ok'"
        f" WHERE p.source = 'search' AND p.selected = 1 ORDER BY f.bytes IS NULL, p.rank LIMIT {_FILES_SAMPLED}"
    )
    pixels, originals, fetched_bytes, fetched_pixels = 0.0, 0, 0, 0
    for text, size, size_bytes in rows:
        urls = stored_addresses(text)
        if "o" in urls:
            originals += 1
            pixels += urls["o"][1] * urls["o"][2]
        if size_bytes and size in urls and urls[size][1] * urls[size][2]:
            fetched_bytes += size_bytes
            fetched_pixels += urls[size][1] * urls[size][2]
    megapixels = pixels / originals / 1e6 if originals else 0.0
    bytes_per_pixel = fetched_bytes / fetched_pixels if fetched_pixels else FILE_BYTES_PER_PIXEL
    return megapixels, bytes_per_pixel, bool(fetched_pixels), originals / len(rows) if rows else 1.0


_BAR = "{desc}: {percentage:3.0f}%|{bar}| {n_fmt}/{total_fmt} calls [{elapsed}{postfix}]"
"""Without the forecast of tqdm, which does not take the budget into account."""


class SearchProgress:
    """Progress bar over calls: those that have been made, and the estimate of those that are left.

    Args:
        state: of the search.
        seconds_per_call: by the budget.
    """

    def __init__(self, state: State, seconds_per_call: float) -> None:
        self._state, self._seconds_per_call = state, seconds_per_call
        self._bar = progress_bar(total=0, desc="search", unit="call", bar_format=_BAR)
        self._made = self._calls()
        self._shown = 0.0

    def __enter__(self) -> SearchProgress:
        self.show()
        return self

    def __exit__(self, *_: object) -> None:
        self._bar.close()

    def show(self) -> None:
        """Redraw the bar, at most once a second."""
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
    """Seconds left, in words.

    >>> time_left(0), time_left(20), time_left(180), time_left(356_459)
    ('nothing left', 'under a minute left', 'about 3 min left', 'about 99.0 h left')
    """
    if seconds <= 0:
        return "nothing left"
    if seconds < 60:
        return "under a minute left"
    return f"about {seconds / 60:.0f} min left" if seconds < 5400 else f"about {seconds / 3600:.1f} h left"
