"""How far a search is: calls made, and the calls that it still needs, honestly estimated."""

from __future__ import annotations

import time

from tqdm.auto import tqdm

from builders.flickrexif.annotate import TO_ASK
from builders.flickrexif.slices import PER_PAGE
from builders.flickrexif.state import State


class SearchProgress:
    """A bar over calls: those made, and those to come by the totals that Flickr reported and the share kept so far."""

    def __init__(self, state: State, seconds_per_call: float) -> None:
        self._state, self._seconds_per_call = state, seconds_per_call
        self._bar = tqdm(total=0, desc="search", unit="call", disable=None)
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
        self._bar.set_postfix_str(f"about {left * slowest / 3600:.1f} h left")

    def _calls(self) -> int:
        return self._state.value("SELECT coalesce(max(rowid), 0) FROM calls")


def calls_left(state: State) -> int:
    """Calls that a search still needs, estimated: pages (and cuts) of the slices to come, and one per photo kept."""
    with_exif = state.setting("with_exif") is not False
    asked = state.value(f"SELECT count(*) FROM photos WHERE {TO_ASK}") if with_exif else 0
    slices, results = state.rows("SELECT count(*), coalesce(sum(estimate), 0) FROM slices WHERE status = 'pending'")[0]
    found = state.value("SELECT coalesce(sum(found), 0) FROM slices") or 1
    kept = state.value("SELECT count(*) FROM photos WHERE source = 'search'")
    return round(asked + slices + results * (1.25 / PER_PAGE + with_exif * min(1.0, kept / found)))
