"""How far a search is: calls made, and the calls that it still needs, honestly estimated."""

from __future__ import annotations

import time

from tqdm.auto import tqdm

from builders.flickrexif.annotate import TO_ASK
from builders.flickrexif.forecast import forecast
from builders.flickrexif.slices import PER_PAGE
from builders.flickrexif.state import State

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
    asked = state.value(f"SELECT count(*) FROM photos WHERE {TO_ASK}") if with_exif else 0
    slices, results = state.rows("SELECT count(*), coalesce(sum(estimate), 0) FROM slices WHERE status = 'pending'")[0]
    found = state.value("SELECT coalesce(sum(found), 0) FROM slices") or 1
    kept = state.value("SELECT count(*) FROM photos WHERE source = 'search'")
    return round(asked + slices + results * (1.25 / PER_PAGE + with_exif * min(1.0, kept / found)))
