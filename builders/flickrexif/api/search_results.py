"""Parse entries of ``flickr.photos.search``, which are untrusted, into ``SearchResult``."""

from __future__ import annotations

import datetime
import hashlib
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit


def month_of(uploaded: int) -> str:
    """YYYY-MM (UTC) of a time in seconds since 1970."""
    at = datetime.datetime.fromtimestamp(uploaded, datetime.timezone.utc)
    return f"{at.year}-{at.month:02}"


FLICKR_SIZES = ("o", "6k", "5k", "4k", "3k", "k", "h", "l", "c", "z", "w", "m", "n", "s", "t", "q", "sq")
"""Flickr's names of sizes, from the original down; ``url_<name>`` are extras of a search."""

REQUESTED_SIZES = ("o", "k", "h", "l", "c", "z", "m")
"""Sizes whose addresses a search requests."""

SEARCH_EXTRAS = ",".join(
    (
        "license",
        "date_upload",
        "date_taken",
        "owner_name",
        "original_format",
        "media",
        *(f"url_{s}" for s in REQUESTED_SIZES),
    )
)

_SUFFIXES = {"": "m", "m": "s", "b": "l", "s": "sq", **{s: s for s in FLICKR_SIZES if s not in ("l", "m", "s", "sq")}}
"""Name of the size by the letter at the end of a file's name (https://www.flickr.com/services/api/misc.urls.html)."""

_NSID = re.compile(r"\d{1,15}@N\d{2}", re.ASCII)

_MAX_ID = 2**62

_MAX_SIDE = 2**31


@dataclass(frozen=True)
class SearchResult:
    """One photo of a search."""

    id: int
    owner: str
    owner_name: str
    title: str
    uploaded: int
    """Seconds since 1970."""
    taken: str
    licence: int
    original_format: str
    urls: Mapping[str, tuple[str, int, int]]
    """(address, width, height) by size."""


def search_result(entry: Any) -> SearchResult | None:
    """Parse one entry of a search; None if it is no photo (a video) or has another form."""
    try:
        if entry.get("media", "photo") != "photo":
            return None
        id, owner = photo_id(entry["id"]), str(entry["owner"])
        if not is_nsid(owner):
            return None
        return SearchResult(
            id=id,
            owner=owner,
            owner_name=text_of(entry.get("ownername")),
            title=text_of(entry.get("title")),
            uploaded=int(entry["dateupload"]),
            taken=text_of(entry.get("datetaken"))[:40] if str(entry.get("datetakenunknown", "0")) != "1" else "",
            licence=int(entry["license"]),
            original_format=text_of(entry.get("originalformat"))[:10],
            urls=_urls(entry),
        )
    except (KeyError, TypeError, ValueError, OverflowError, AttributeError):  # OverflowError: JSON has 1e999
        return None


def photo_id(value: Any) -> int:
    """Parse a Flickr photo id. Raises ``ValueError``."""
    try:
        number = int(value)
    except (TypeError, OverflowError):  # none, or infinite
        raise ValueError(f"{value!r} is no photo id") from None
    if not 0 < number < _MAX_ID:
        raise ValueError(f"{value!r} is no photo id")
    return number


def is_nsid(text: str) -> bool:
    """Whether a text is an owner's id on Flickr, such as 12345678@N00."""
    return _NSID.fullmatch(text) is not None


def photo_page(owner: str, id: int) -> str:
    """Address of the page of a photo, to which every credit links."""
    return f"https://www.flickr.com/photos/{owner}/{id}/"


def text_of(value: Any, longest: int = 500) -> str:
    """A text of a response, which may be inside ``{"_content": ...}``, cut to ``longest`` characters."""
    if isinstance(value, Mapping):
        value = value.get("_content")
    return "" if value is None else storable(str(value))[:longest]


def storable(text: str) -> str:
    """A text without what SQLite cannot store: NUL, and halves of UTF-16 pairs, which JSON may contain."""
    return text.replace("\0", "").encode("utf-8", "replace").decode()


def size_of_url(url: str) -> str:
    """Name of the size of a Flickr file, by its address; ``unknown`` if the address has another form.

    >>> size_of_url("https://live.staticflickr.com/65535/5130_0a1b_o.jpg"), size_of_url("https://a.net/1_0a1b.jpg")
    ('o', 'm')
    """
    match = re.search(r"/\d+_[0-9a-f]+(?:_([a-z0-9]{1,2}))?(?:_d)?\.[a-z]{3,4}$", urlsplit(url).path)
    return _SUFFIXES.get(match[1] or "", "unknown") if match else "unknown"


def rank(id: int, seed: int) -> int:
    """Seeded hash of an id, 63 bits. The cap admits the lowest ranks, so it does not depend on the order of results."""
    digest = hashlib.blake2b(f"flickrexif cap\0{seed}\0{id}".encode(), digest_size=8).digest()
    return int.from_bytes(digest, "big") >> 1


def _urls(entry: Mapping[str, Any]) -> dict[str, tuple[str, int, int]]:
    urls = {}
    for size in FLICKR_SIZES:
        url = entry.get(f"url_{size}")
        if (
            isinstance(url, str)
            and url.startswith(("https://", "http://"))
            and len(url) < 2000
            and url == storable(url)
        ):
            urls[size] = (url, side_of(entry.get(f"width_{size}")), side_of(entry.get(f"height_{size}")))
    return urls


def side_of(value: Any) -> int:
    """Width or height in pixels; 0 where it is not known or no number of 31 bits, as data sets store it."""
    try:
        side = int(value)
    except (TypeError, ValueError, OverflowError):
        return 0
    return side if 0 <= side < _MAX_SIDE else 0
