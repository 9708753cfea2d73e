"""Small copies of photos in a run's own report: which may be shown, which are, and how large they get."""

from __future__ import annotations

import base64
import io
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from PIL import Image

from benchmark.results import Result
from builders.errors import CamtraceError
from builders.photos import PhotoSet
from builders.pixels import ALL_PROCESSINGS, decode_rgb, process_all

SIDE, SMALL_SIDE = 160, 96
"""Longer side in pixels of a copy, and of one that stands in a row of neighbours."""
DETAIL = 80
"""Side in pixels of what is cut from the middle of a photo, to show what a processing does to it."""
WINDOW, GRID = 512, 32
"""A detail is processed within so large a window, which begins at a multiple of ``GRID``: JPEG's blocks, sharpening
and resizing by 2 give the pixels there that they give in the whole photo."""
MOST_BYTES = 1 << 20
"""Of all copies of one page, as they stand in it; what does not fit is named instead of shown."""

_ORIGINAL = "original"


@dataclass
class Shown:
    """Pictures as ``data:`` addresses."""

    photos: dict[str, dict[str, str]] = field(default_factory=dict)
    """By data set and id: small copies."""
    views: dict[str, dict[str, dict[str, str]]] = field(default_factory=dict)
    """By data set, id and processing: a detail of the middle of the photo."""


def may_be_shown(photos: PhotoSet, *, passed_on: bool) -> bool:
    """The rule for every page: whose photos may stand in it.

    The bundled photos may stand anywhere. Others belong to somebody, and a licence to measure them is none to show
    them: they stand in the report that a run writes for the person who has them, never in a page made to be passed on.

    Args:
        photos: the photo set.
        passed_on: the page is made for others: a leaderboard, the study's page.
    """
    return photos.smoke_test or not passed_on


def shown_photos(results: Sequence[Result], sets: Sequence[PhotoSet], *, passed_on: bool) -> Shown:
    """Small JPEG copies of the photos that results name as examples: of lost pairs, then of strips and what is nearest
    to them, those that several encoders name first.

    A photo that cannot be read, and what exceeds ``MOST_BYTES``, is left out.
    """
    known = {photos.name: photos for photos in sets if may_be_shown(photos, passed_on=passed_on)}
    made = _Making(known)
    for result in results:
        for photo_id in _of_pairs(result):
            made.copy(str(result.data["name"]), photo_id, SIDE)
    strips = [(result, strip) for result in results for strip in _strips(result)]
    for result, strip in sorted(strips, key=lambda one: "random" not in str(one[1].get("why"))):
        name, query = str(result.data["name"]), str(strip["query"])
        made.details(name, query, [str(view["processing"]) for view in strip["views"]], result)
        made.copy(name, query, SIDE)
        for neighbour in strip["photos"]:
            made.copy(name, str(neighbour["id"]), SMALL_SIDE)
    return made.shown


class _Making:
    """Copies that are made as long as there is room."""

    def __init__(self, sets: Mapping[str, PhotoSet]) -> None:
        self.shown = Shown()
        self._sets = sets
        self._places: dict[str, dict[str, int]] = {}
        self._room = MOST_BYTES

    def copy(self, data: str, photo_id: str, side: int) -> None:
        known = self.shown.photos.get(data, {})
        if photo_id not in known and (picture := self._picture(data, photo_id)) is not None:
            picture.thumbnail((side, side))
            address = self._address(picture, 75)
            if address:
                self.shown.photos.setdefault(data, {})[photo_id] = address

    def details(self, data: str, photo_id: str, names: Sequence[str], result: Result) -> None:
        """All of a photo, or none."""
        options = result.environment.get("options") or {}
        upright = options.get("orientation") != "stored"
        known = self.shown.views.get(data, {})
        picture = None if photo_id in known else self._picture(data, photo_id, upright=upright)
        if picture is None:
            return
        before = self._room
        try:
            cut = details_of(picture, names, photo_id, int(options.get("seed") or 0))
        except CamtraceError:
            return
        addresses = {name: self._address(detail, 92) for name, detail in cut.items()}
        if all(addresses.values()):
            self.shown.views.setdefault(data, {})[photo_id] = addresses
        else:
            self._room = before

    def _picture(self, data: str, photo_id: str, *, upright: bool = True) -> Image.Image | None:
        photos = self._sets.get(data)
        if photos is None or self._room <= 0:
            return None
        if data not in self._places:
            self._places[data] = {own: i for i, own in enumerate(photos.ids)}
        index = self._places[data].get(photo_id)
        try:
            return None if index is None else decode_rgb(photos.read(index), upright=upright)
        except (CamtraceError, OSError):
            return None

    def _address(self, picture: Image.Image, quality: int) -> str:
        """Empty where there is no room left for it."""
        buffer = io.BytesIO()
        picture.save(buffer, "JPEG", quality=quality, subsampling="4:4:4" if quality > 90 else "4:2:0")
        address = "data:image/jpeg;base64," + base64.b64encode(buffer.getvalue()).decode("ascii")
        if len(address) > self._room:
            return ""
        self._room -= len(address)
        return address


def details_of(photo: Image.Image, names: Sequence[str], photo_id: str, seed: int = 0) -> dict[str, Image.Image]:
    """By processing, the same part of the middle of a photo after it, ``DETAIL`` pixels wide.

    Args:
        photo: RGB.
        names: of processings, or ``original``; an unknown one is left out.
        photo_id, seed: decide the photo's random scale.

    >>> found = details_of(Image.new("RGB", (300, 200), (9, 99, 199)), ["original", "resizing-x2"], "a")
    >>> {name: detail.size for name, detail in found.items()}
    {'original': (80, 80), 'resizing-x2': (80, 80)}
    """
    width, height = (min(side, WINDOW) for side in photo.size)
    left, top = ((whole - part) // 2 // GRID * GRID for whole, part in zip(photo.size, (width, height), strict=True))
    window = photo.crop((left, top, left + width, top + height))
    known = [name for name in names if name in ALL_PROCESSINGS]
    views = dict(zip(known, process_all(window, [ALL_PROCESSINGS[n] for n in known], photo_id, seed), strict=True))
    views |= {_ORIGINAL: window} if _ORIGINAL in names else {}
    side = min(DETAIL, width, height)
    found = {}
    for name in (name for name in names if name in views):
        view = views[name]
        across, down = view.width / width, view.height / height
        middle = (
            (width - side) / 2 * across,
            (height - side) / 2 * down,
            (width + side) / 2 * across,
            (height + side) / 2 * down,
        )
        # Nearest pixels of an enlarged or reduced copy would show the screen's resize, not the processing's.
        how = Image.Resampling.BILINEAR if view.size != window.size else Image.Resampling.NEAREST
        found[name] = view.resize((side, side), how, box=middle)
    return found


def _of_pairs(result: Result) -> Iterator[str]:
    """Ids of the photos of a result's lost pairs."""
    for score in result.scores:
        lost: Any = score.details.get("lost")
        for one in lost.get("shown", ()) if isinstance(lost, dict) else ():
            yield from (str(one[what]) for what in ("query", "target", "distractor") if what in one)


def _strips(result: Result) -> Iterator[Mapping[str, Any]]:
    for score in result.scores:
        yield from score.details.get("strips") or ()
