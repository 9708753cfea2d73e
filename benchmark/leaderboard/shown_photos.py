"""Small copies of photos in a run's own report: which may be shown, which are, and how large they get."""

from __future__ import annotations

import base64
import io
from collections.abc import Iterator, Sequence
from typing import Any

from benchmark.results import Result
from builders.errors import CamtraceError
from builders.photos import PhotoSet
from builders.pixels import decode_rgb

SIDE = 160
"""Longer side of a copy in pixels."""
MOST_BYTES = 1 << 20
"""Of all copies of one page, as they stand in it; what does not fit is named instead of shown."""


def may_be_shown(photos: PhotoSet, *, passed_on: bool) -> bool:
    """The rule for every page: whose photos may stand in it.

    The bundled photos may stand anywhere. Others belong to somebody, and a licence to measure them is none to show
    them: they stand in the report that a run writes for the person who has them, never in a page made to be passed on.

    Args:
        photos: the photo set.
        passed_on: the page is made for others: a leaderboard, the study's page.
    """
    return photos.smoke_test or not passed_on


def thumbnails(results: Sequence[Result], sets: Sequence[PhotoSet], *, passed_on: bool) -> dict[str, dict[str, str]]:
    """By data set and id, small JPEG copies as ``data:`` addresses of the photos that results name as examples.

    A photo that cannot be read, and what exceeds ``MOST_BYTES``, is left out.
    """
    known = {photos.name: photos for photos in sets if may_be_shown(photos, passed_on=passed_on)}
    wanted: dict[str, dict[str, None]] = {name: {} for name in known}
    for result in results:
        name = str(result.data["name"])
        if name in wanted:
            wanted[name].update(dict.fromkeys(_named(result)))
    made: dict[str, dict[str, str]] = {}
    room = MOST_BYTES
    for name, ids in wanted.items():
        places = {photo_id: i for i, photo_id in enumerate(known[name].ids)} if ids else {}
        for photo_id in ids:
            address = _address(known[name], places[photo_id]) if photo_id in places else ""
            if address and len(address) <= room:
                made.setdefault(name, {})[photo_id] = address
                room -= len(address)
    return made


def _named(result: Result) -> Iterator[str]:
    """Ids of the photos that a result shows as examples."""
    for score in result.scores:
        lost: Any = score.details.get("lost")
        for one in lost.get("shown", ()) if isinstance(lost, dict) else ():
            yield from (str(one[what]) for what in ("query", "target", "distractor") if what in one)


def _address(photos: PhotoSet, index: int) -> str:
    try:
        picture = decode_rgb(photos.read(index))
    except (CamtraceError, OSError):
        return ""
    picture.thumbnail((SIDE, SIDE))
    buffer = io.BytesIO()
    picture.save(buffer, "JPEG", quality=75)
    return "data:image/jpeg;base64," + base64.b64encode(buffer.getvalue()).decode("ascii")
