"""Second pass of a search: more photos of the rarest classes, found by the names of their cameras.

Flickr cannot search for a camera, but for words in titles, descriptions and tags. A photo found here has an owner who
names the camera; its class is still read from its Exif, as everywhere. Photos come from windows of the whole span in
seeded random order, under the same cap. An interrupted run can be resumed.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from builders.errors import UsageError, unknown_name
from builders.exif import ATTRIBUTES, acquisition_from_tags, label
from builders.flickrexif.api.client import FlickrClient
from builders.flickrexif.api.exif_answers import loads
from builders.flickrexif.api.search_results import rank
from builders.flickrexif.search.exif_calls import EXIF_PENDING, request_exif
from builders.flickrexif.search.plan import SearchPlan, Slice, searchable_end, start_search
from builders.flickrexif.search.read_slice import count_slice, read_whole
from builders.flickrexif.search.strata import Stratum, windows_of
from builders.flickrexif.store.photos import insert_photos, within_cap
from builders.flickrexif.store.store import State

FILLED = ("make", "model", "smartphone_model")
"""Attributes whose class names are words that people write about their photos."""

PER_CLASS = 200
"""A tenth of them, the smallest split, are 20 photos, the least that ``build`` requires."""

CHECKED_PER_PHOTO = 10
"""The search for a class ends when the Exif of so many photos has been requested for each photo that it lacked."""


@dataclass(frozen=True)
class FilledClass:
    """Result of the second pass for one class."""

    attribute: str
    name: str
    before: int
    """Photos before."""
    after: int
    """Photos after."""
    checked: int
    """Photos whose Exif was requested in this run."""
    reported: int
    """Photos that Flickr reports for the words."""


def fill(
    state: State,
    client: FlickrClient,
    plan: SearchPlan,
    attributes: Sequence[str],
    *,
    per_class: int = PER_CLASS,
    connections: int = 4,
    calls_per_hour: float = 3600,
    dry_run: bool = False,
    tick: Callable[[], None] = lambda: None,
) -> list[FilledClass]:
    """Search for the photos that classes lack, the rarest class first.

    Args:
        state: of a search with Exif.
        client: makes the calls.
        plan: of that search; its span is limited to the span of the state.
        attributes: of ``FILLED``.
        per_class: photos that each class should have.
        connections: Exif calls in parallel.
        calls_per_hour: for the record.
        dry_run: only count what Flickr has, one call per class that lacks photos.
        tick: called after every response.

    Raises:
        FlickrUnavailable: the service is down; the photos so far are stored.
        UsageError: no such attribute, or nothing has been searched yet.
    """
    for name in attributes:
        if name not in FILLED:
            raise unknown_name("attribute to fill", name, FILLED)
    with state.exclusive("search"):
        both = 'SELECT start, "end" FROM strata UNION ALL SELECT start, "end" FROM slices'
        span = state.rows(f'SELECT min(start), max("end") FROM ({both})')[0]
        if span[0] is None or not plan.with_exif:
            raise UsageError(f"{state.folder}: --fill comes after a search with Exif")
        start_search(
            state, client, SearchPlan(**{**vars(plan), "photos": state.setting("photos_wanted")}), calls_per_hour
        )
        pending = state.rows(f"SELECT id FROM photos WHERE source = 'fill' AND {EXIF_PENDING} ORDER BY id")
        request_exif(state, client, [row[0] for row in pending], connections, tick)
        start, end = max(plan.start, span[0]), min(searchable_end(state, plan), span[1])
        results = []
        for attribute in attributes:
            counts = photos_of_classes(state, attribute)
            before = dict(counts)
            for name in sorted(ATTRIBUTES[attribute].classes["clean"], key=lambda n: (before.get(n, 0), n)):
                if counts[name] >= per_class:
                    continue
                search = _ClassSearch(state, client, plan, attribute, name, (start, end), connections, tick)
                results.append(search.fill(counts[name], per_class, dry_run=dry_run))
                counts += search.labels  # photos found for one class may belong to another
        return results


def photos_of_classes(state: State, attribute: str) -> Counter[str]:
    """Number of selected photos by class, by the Exif of Flickr."""
    rows = state.rows("SELECT entries FROM exif JOIN photos ON id = photo_id WHERE selected = 1")
    return Counter(label(acquisition_from_tags(loads(row[0])), attribute, "clean") for row in rows)


class _ClassSearch:
    """The search for one class. Its position in the windows is stored in the state."""

    def __init__(
        self,
        state: State,
        client: FlickrClient,
        plan: SearchPlan,
        attribute: str,
        name: str,
        span: tuple[int, int],
        connections: int,
        tick: Callable[[], None],
    ) -> None:
        self._state, self._client, self._plan = state, client, plan
        self._attribute, self._name, self._span = attribute, name, span
        self._connections, self._tick = connections, tick
        self._sought = f"{attribute}: {name}"
        self.labels: Counter[str] = Counter()
        """Classes of the photos whose Exif was requested in this run."""
        self._key = f"fill {self._sought} {span[0]} {span[1]}"

    def fill(self, before: int, target: int, *, dry_run: bool) -> FilledClass:
        """Open windows until the class has ``target`` photos, there are no more windows, or too few have the class."""
        state, lacking = self._state, target - before
        start, end = self._span
        total, windows, each, opened = state.setting(self._key) or (None, 0, 0, 0)
        if total is None:
            total = count_slice(self._client, self._slice(start, end, 0.0), f"fill {self._name}", self._name)
            self._tick()
            # half of the owners who name a camera may do so for another reason
            windows, each = windows_of(total, 2 * lacking)
        photos, checked = before, 0
        while not dry_run and photos < target and opened < windows and checked < CHECKED_PER_PHOTO * lacking:
            stratum = Stratum("", start, end, total, windows, each, opened)
            ids = self._open(stratum)
            opened += 1
            state.set(self._key, (total, windows, each, opened))
            request_exif(state, self._client, ids, self._connections, self._tick)
            checked += len(ids)
            self.labels += self._classes(ids)
            photos = before + self.labels[self._name]
        return FilledClass(self._attribute, self._name, before, photos, checked, total)

    def _open(self, stratum: Stratum) -> list[int]:
        """Select the photos with the lowest ranks of the next window, in proportion to its size. Returns their ids."""
        piece = self._slice(*stratum.next_window(self._plan.seed), stratum.expected)
        photos = read_whole(self._client, piece, f"fill {self._name}", self._name).photos
        self._tick()
        ranked = sorted(photos, key=lambda p: (rank(p.id, self._plan.seed), p.id))
        many = math.ceil(stratum.each * len(ranked) / max(stratum.expected, stratum.each))
        with self._state.transaction() as db:
            admitted = within_cap(self._state, ranked, self._plan.per_user_month)[:many]
            insert_photos(self._state, admitted, self._plan.seed, source="fill", sought=self._sought)
            db.executemany("UPDATE photos SET selected = 1 WHERE id = ?", [(p.id,) for p in admitted])
        marks = ",".join("?" * len(admitted))
        rows = self._state.rows(f"SELECT id FROM photos WHERE id IN ({marks})", *[p.id for p in admitted])
        return [row[0] for row in rows]  # without those that were taken down

    def _classes(self, ids: Sequence[int]) -> Counter[str]:
        marks = ",".join("?" * len(ids))
        rows = self._state.rows(f"SELECT entries FROM exif WHERE photo_id IN ({marks})", *ids)
        return Counter(label(acquisition_from_tags(loads(row[0])), self._attribute, "clean") for row in rows)

    def _slice(self, start: int, end: int, estimate: float) -> Slice:
        return Slice("", start, end, self._plan.licences, estimate)
