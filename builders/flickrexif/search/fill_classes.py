"""The second pass: ask for more photos of the classes that have the fewest, by the names of their cameras.

Flickr cannot be asked for a camera, but for words in titles, descriptions and tags. So a photo found here has an owner
who names the camera; what its class is, its Exif says, as everywhere. Photos come from windows of the whole span in
seeded random order, under the same cap. Where a run stopped, the next goes on.
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
from builders.flickrexif.search.plan import SearchPlan, Slice, begin, searchable_end
from builders.flickrexif.search.read_slice import count_slice, read_whole
from builders.flickrexif.search.sample import Stratum, windows_of
from builders.flickrexif.store.photos import insert_photos, within_cap
from builders.flickrexif.store.store import State

FILLED = ("make", "model", "smartphone_model")
"""Attributes whose classes are words that people write under their photos."""

PER_CLASS = 200
"""Photos of a class of which a tenth, the smallest split, are 20, the least that ``build`` asks for."""

ASKED_PER_PHOTO = 10
"""A class is given up when so many photos were asked about for each that it lacked."""


@dataclass(frozen=True)
class FilledClass:
    """What the second pass did for one class."""

    attribute: str
    name: str
    before: int
    after: int
    asked: int
    """Photos asked about in this run."""
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
    """Ask for what the rarest classes lack, the rarest first.

    Args:
        state: of a search that has asked for Exif.
        client: makes the calls.
        plan: of that search; its span is cut to what the state covers.
        attributes: of ``FILLED``.
        per_class: photos that each class is to have.
        connections: photos asked for at once.
        calls_per_hour: for the record.
        dry_run: only count what Flickr has, one call per class that lacks photos.
        tick: called after every answer.

    Raises:
        FlickrUnavailable: the service is down; what was found is kept.
        UsageError: no such attribute, or nothing has been searched yet.
    """
    for name in attributes:
        if name not in FILLED:
            raise unknown_name("attribute to fill", name, FILLED)
    with state.exclusive("search"):
        both = 'SELECT start, "end" FROM strata UNION ALL SELECT start, "end" FROM slices'
        span = state.rows(f'SELECT min(start), max("end") FROM ({both})')[0]
        if span[0] is None or not plan.with_exif:
            raise UsageError(f"{state.folder}: --fill comes after a search that asked for Exif")
        begin(state, client, SearchPlan(**{**vars(plan), "photos": state.setting("photos_wanted")}), calls_per_hour)
        left = [
            row[0] for row in state.rows(f"SELECT id FROM photos WHERE source = 'fill' AND {EXIF_PENDING} ORDER BY id")
        ]
        request_exif(state, client, left, connections, tick)
        start, end = max(plan.start, span[0]), min(searchable_end(state, plan), span[1])
        done = []
        for attribute in attributes:
            had = photos_of_classes(state, attribute)
            counted = dict(had)
            for name in sorted(ATTRIBUTES[attribute].classes["clean"], key=lambda n: (counted.get(n, 0), n)):
                if had[name] >= per_class:
                    continue
                one = _Class(state, client, plan, attribute, name, (start, end), connections, tick)
                done.append(one.fill(had[name], per_class, dry_run=dry_run))
                had += one.labels  # what was asked for one class may have been of another
        return done


def photos_of_classes(state: State, attribute: str) -> Counter[str]:
    """Photos of the data set by class, after the Exif that Flickr tells."""
    rows = state.rows("SELECT entries FROM exif JOIN photos ON id = photo_id WHERE selected = 1")
    return Counter(label(acquisition_from_tags(loads(row[0])), attribute, "clean") for row in rows)


class _Class:
    """The search for one class. Its place in the windows is kept in the state."""

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
        """Classes of the photos asked about in this run."""
        self._key = f"fill {self._sought} {span[0]} {span[1]}"

    def fill(self, had: int, wanted: int, *, dry_run: bool) -> FilledClass:
        state, lacking = self._state, wanted - had
        start, end = self._span
        total, windows, each, opened = state.setting(self._key) or (None, 0, 0, 0)
        if total is None:
            total = count_slice(self._client, self._slice(start, end, 0.0), f"fill {self._name}", self._name)
            self._tick()
            # half of those who name a camera may name it for another reason
            windows, each = windows_of(total, 2 * lacking)
        before, asked = had, 0
        while not dry_run and had < wanted and opened < windows and asked < ASKED_PER_PHOTO * lacking:
            stratum = Stratum("", start, end, total, windows, each, opened)
            ids = self._open(stratum)
            opened += 1
            state.set(self._key, (total, windows, each, opened))
            request_exif(state, self._client, ids, self._connections, self._tick)
            asked += len(ids)
            self.labels += self._classes(ids)
            had = before + self.labels[self._name]
        return FilledClass(self._attribute, self._name, before, had, asked, total)

    def _open(self, stratum: Stratum) -> list[int]:
        """Open the next window; its photos of the lowest ranks are taken, in proportion to what it holds."""
        piece = self._slice(*stratum.next_window(self._plan.seed), stratum.expected)
        photos = read_whole(self._client, piece, f"fill {self._name}", self._name).photos
        self._tick()
        ranked = sorted(photos, key=lambda p: (rank(p.id, self._plan.seed), p.id))
        many = math.ceil(stratum.each * len(ranked) / max(stratum.expected, stratum.each))
        with self._state.transaction() as db:
            kept = within_cap(self._state, ranked, self._plan.per_user_month)[:many]
            insert_photos(self._state, kept, self._plan.seed, source="fill", sought=self._sought)
            db.executemany("UPDATE photos SET selected = 1 WHERE id = ?", [(p.id,) for p in kept])
        marks = ",".join("?" * len(kept))
        rows = self._state.rows(f"SELECT id FROM photos WHERE id IN ({marks})", *[p.id for p in kept])
        return [row[0] for row in rows]  # without those that were taken down

    def _classes(self, ids: Sequence[int]) -> Counter[str]:
        marks = ",".join("?" * len(ids))
        rows = self._state.rows(f"SELECT entries FROM exif WHERE photo_id IN ({marks})", *ids)
        return Counter(label(acquisition_from_tags(loads(row[0])), self._attribute, "clean") for row in rows)

    def _slice(self, start: int, end: int, estimate: float) -> Slice:
        return Slice("", start, end, self._plan.licences, estimate)
