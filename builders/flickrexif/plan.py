"""What a search is to find, and how every kind of search begins."""

from __future__ import annotations

from dataclasses import dataclass

from builders.errors import UsageError
from builders.flickrexif.api import FlickrClient
from builders.flickrexif.licences import check_with_flickr
from builders.flickrexif.state import State

INDEX_LAG_S = 86400
"""Photos younger than a day are left for a later search: Flickr's index is still taking them in."""

EMPTY_AGAIN_S = 600.0


@dataclass(frozen=True)
class SearchPlan:
    """What to search for."""

    start: int
    """Upload time, seconds since 1970, inclusive."""
    end: int
    """Exclusive."""
    per_user_month: int
    licences: tuple[int, ...]
    seed: int = 0
    each_licence: bool = False
    """Ask for one licence at a time from the beginning, not only where a slice is too large."""
    with_exif: bool = True
    """Also ask for each photo's Exif; without, only originals will have any."""
    photos: int | None = None
    """So many photos as a fair sample of the span; None: all that the cap allows."""
    empty_again_s: float = EMPTY_AGAIN_S
    """An empty answer that is doubted is asked for again after so long."""


def begin(state: State, client: FlickrClient, plan: SearchPlan, calls_per_hour: float) -> None:
    """Hold the state to one cap, seed and set of licences, and see that the licences are what we take them for.

    Raises:
        UsageError: the state was made by another plan.
    """
    if plan.photos is not None and state.value("SELECT count(*) FROM slices WHERE status != 'pending'"):
        raise UsageError(
            f"{state.folder}: its search was begun without --photos: go on without, or sample into a new --state"
        )
    state.pin("per_user_month", plan.per_user_month, "--per-user-month")
    state.pin("seed", plan.seed, "--seed")
    state.pin("licences", list(plan.licences), "--licences")
    if state.setting("licences_checked") is None:
        check_with_flickr(client.call("photos.licenses.getInfo", "licences", expect="licenses"), plan.licences)
        state.set("licences_checked", state.clock.now())
    state.set("with_exif", plan.with_exif)
    state.set("calls_per_hour", calls_per_hour)
    state.set("photos_wanted", plan.photos)


def searchable_end(state: State, plan: SearchPlan) -> int:
    """The end of the plan's span, or of what Flickr's index has taken in."""
    return min(plan.end, int(state.clock.now()) - INDEX_LAG_S)
