"""Small copies of photos in the report page of a run: which may be shown, which are, and their sizes."""

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
"""Longer side in pixels of a copy, and of a copy in a row of neighbours."""
DETAIL = 80
"""Side in pixels of the detail from the middle of a photo that shows the effect of a processing."""
WINDOW, GRID = 512, 32
"""Side in pixels of the window in which a detail is processed, and a divisor of its position: in such a window JPEG
blocks, sharpening and resizing by 2 give the same pixels as in the whole photo."""
MOST_BYTES = 1 << 20
"""Limit of the encoded copies of one page; photos beyond it are named instead of shown."""

_ORIGINAL = "original"


@dataclass
class Shown:
    """Small copies of photos as ``data:`` addresses."""

    photos: dict[str, dict[str, str]] = field(default_factory=dict)
    """By data set and id: small copies."""
    views: dict[str, dict[str, dict[str, str]]] = field(default_factory=dict)
    """By data set, id and processing: a detail from the middle of the photo."""


def may_be_shown(photos: PhotoSet, *, passed_on: bool) -> bool:
    """Whether copies of a photo set may stand in a page.

    The bundled photos may stand in any page. For others, a licence to measure does not include one to show: they may
    stand in the report that a run writes for its user, not in a page that is made for others.

    Args:
        photos: the photo set.
        passed_on: whether the page is made for others: a leaderboard, the study's page.
    """
    return photos.smoke_test or not passed_on


def shown_photos(results: Sequence[Result], sets: Sequence[PhotoSet], *, passed_on: bool) -> Shown:
    """Small JPEG copies of the photos that results name as examples.

    They are the photos of lost pairs, then photos under all processings with their nearest neighbours, those that were
    drawn at random (the same for all encoders) first. A photo that cannot be read, or does not fit ``MOST_BYTES``, is
    left out.
    """
    allowed = {photos.name: photos for photos in sets if may_be_shown(photos, passed_on=passed_on)}
    copies = _Copies(allowed)
    for result in results:
        for photo_id in _of_pairs(result):
            copies.add_photo(str(result.data["name"]), photo_id, SIDE)
    strips = [(result, strip) for result in results for strip in _strips(result)]
    for result, strip in sorted(strips, key=lambda pair: "random" not in str(pair[1].get("why"))):
        name, query = str(result.data["name"]), str(strip["query"])
        copies.add_details(name, query, [str(view["processing"]) for view in strip["views"]], result)
        copies.add_photo(name, query, SIDE)
        for neighbour in strip["photos"]:
            copies.add_photo(name, str(neighbour["id"]), SMALL_SIDE)
    return copies.shown


class _Copies:
    """Copies of photos, added until ``MOST_BYTES`` are used."""

    def __init__(self, sets: Mapping[str, PhotoSet]) -> None:
        self.shown = Shown()
        self._sets = sets
        self._indices: dict[str, dict[str, int]] = {}
        self._bytes_left = MOST_BYTES

    def add_photo(self, data: str, photo_id: str, side: int) -> None:
        """Add a copy of a photo, unless it is there or does not fit."""
        if photo_id not in self.shown.photos.get(data, {}) and (picture := self._picture(data, photo_id)) is not None:
            picture.thumbnail((side, side))
            address = self._address(picture, 75)
            if address:
                self.shown.photos.setdefault(data, {})[photo_id] = address

    def add_details(self, data: str, photo_id: str, names: Sequence[str], result: Result) -> None:
        """Add the details of a photo under all processings, or none of them."""
        options = result.environment.get("options") or {}
        upright = options.get("orientation") != "stored"
        is_shown = photo_id in self.shown.views.get(data, {})
        picture = None if is_shown else self._picture(data, photo_id, upright=upright)
        if picture is None:
            return
        before = self._bytes_left
        try:
            cut = details_of(picture, names, photo_id, int(options.get("seed") or 0))
        except CamtraceError:
            return
        addresses = {name: self._address(detail, 92) for name, detail in cut.items()}
        if all(addresses.values()):
            self.shown.views.setdefault(data, {})[photo_id] = addresses
        else:
            self._bytes_left = before

    def _picture(self, data: str, photo_id: str, *, upright: bool = True) -> Image.Image | None:
        photos = self._sets.get(data)
        if photos is None or self._bytes_left <= 0:
            return None
        if data not in self._indices:
            self._indices[data] = {known_id: i for i, known_id in enumerate(photos.ids)}
        index = self._indices[data].get(photo_id)
        try:
            return None if index is None else decode_rgb(photos.read(index), upright=upright)
        except (CamtraceError, OSError):
            return None

    def _address(self, picture: Image.Image, quality: int) -> str:
        """``data:`` address of a picture; empty where it does not fit."""
        address = jpeg_address(picture, quality)
        if len(address) > self._bytes_left:
            return ""
        self._bytes_left -= len(address)
        return address


def jpeg_address(picture: Image.Image, quality: int) -> str:
    """The ``data:`` address of a picture as a JPEG file of a quality."""
    buffer = io.BytesIO()
    picture.save(buffer, "JPEG", quality=quality, subsampling="4:4:4" if quality > 90 else "4:2:0")
    return "data:image/jpeg;base64," + base64.b64encode(buffer.getvalue()).decode("ascii")


def details_of(photo: Image.Image, names: Sequence[str], photo_id: str, seed: int = 0) -> dict[str, Image.Image]:
    """The same part from the middle of a photo, ``DETAIL`` pixels wide, by processing.

    Args:
        photo: RGB.
        names: of processings, or ``original``; unknown names are left out.
        photo_id, seed: determine the random scale of the photo.

    >>> details = details_of(Image.new("RGB", (300, 200), (9, 99, 199)), ["original", "resizing-x2"], "a")
    >>> {name: detail.size for name, detail in details.items()}
    {'original': (80, 80), 'resizing-x2': (80, 80)}
    """
    width, height = (min(side, WINDOW) for side in photo.size)
    left, top = ((whole - part) // 2 // GRID * GRID for whole, part in zip(photo.size, (width, height), strict=True))
    window = photo.crop((left, top, left + width, top + height))
    known = [name for name in names if name in ALL_PROCESSINGS]
    views = dict(zip(known, process_all(window, [ALL_PROCESSINGS[n] for n in known], photo_id, seed), strict=True))
    views |= {_ORIGINAL: window} if _ORIGINAL in names else {}
    side = min(DETAIL, width, height)
    details = {}
    for name in (name for name in names if name in views):
        view = views[name]
        across, down = view.width / width, view.height / height
        middle = (
            (width - side) / 2 * across,
            (height - side) / 2 * down,
            (width + side) / 2 * across,
            (height + side) / 2 * down,
        )
        # Nearest pixels of an enlarged or reduced copy would show this resize, not the processing.
        method = Image.Resampling.BILINEAR if view.size != window.size else Image.Resampling.NEAREST
        details[name] = view.resize((side, side), method, box=middle)
    return details


def _of_pairs(result: Result) -> Iterator[str]:
    """Ids of the photos of a result's lost pairs."""
    for score in result.scores:
        lost: Any = score.details.get("lost")
        for pair in lost.get("shown", ()) if isinstance(lost, dict) else ():
            yield from (str(pair[role]) for role in ("query", "target", "distractor") if role in pair)


def _strips(result: Result) -> Iterator[Mapping[str, Any]]:
    """Photos under all processings, of the scores that have some."""
    for score in result.scores:
        yield from score.details.get("strips") or ()
