"""Flickr's licences: ids, names and permissions, and the attribution line of a photo.

Ids are those of ``flickr.photos.licenses.getInfo``. They are compared with the response of Flickr when a search begins,
because whether a photo may be published depends on them.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from builders.errors import RemoteError, UsageError, unknown_name


@dataclass(frozen=True)
class Licence:
    """One licence that a photo on Flickr can carry."""

    id: int
    slug: str
    """Short name for options, columns and cards (SPDX where there is one)."""
    name: str
    """In a credit line."""
    url: str
    non_commercial: bool = False
    no_derivatives: bool = False
    redistributable: bool = True
    """Whether unchanged bytes may be redistributed (with attribution where the licence requires it)."""

    @property
    def attribution(self) -> bool:
        """Whether its terms require to name the author."""
        return self.slug.startswith("cc-by")

    @property
    def share_alike(self) -> bool:
        """Whether changed copies must have the same licence."""
        return "-sa" in self.slug

    @property
    def permissive(self) -> bool:
        """Whether a search includes it by default: free to use, change and share."""
        return self.redistributable and not self.non_commercial and not self.no_derivatives


def _cc(id: int, terms: str, version: str) -> Licence:
    return Licence(
        id,
        f"cc-{terms}-{version}",
        f"CC {terms.upper()} {version}",
        f"https://creativecommons.org/licenses/{terms}/{version}/",
        non_commercial="nc" in terms,
        no_derivatives="nd" in terms,
    )


LICENCES: dict[int, Licence] = {
    licence.id: licence
    for licence in (
        Licence(0, "all-rights-reserved", "All rights reserved", "", redistributable=False),
        _cc(1, "by-nc-sa", "2.0"),
        _cc(2, "by-nc", "2.0"),
        _cc(3, "by-nc-nd", "2.0"),
        _cc(4, "by", "2.0"),
        _cc(5, "by-sa", "2.0"),
        _cc(6, "by-nd", "2.0"),
        Licence(7, "no-known-restrictions", "No known copyright restrictions", "https://www.flickr.com/commons/usage/"),
        Licence(8, "us-government", "United States Government work", "https://www.usa.gov/government-copyright"),
        Licence(9, "cc0-1.0", "CC0 1.0", "https://creativecommons.org/publicdomain/zero/1.0/"),
        Licence(10, "pdm-1.0", "Public Domain Mark 1.0", "https://creativecommons.org/publicdomain/mark/1.0/"),
        _cc(11, "by", "4.0"),
        _cc(12, "by-sa", "4.0"),
        _cc(13, "by-nd", "4.0"),
        _cc(14, "by-nc", "4.0"),
        _cc(15, "by-nc-sa", "4.0"),
        _cc(16, "by-nc-nd", "4.0"),
    )
}
"""Every licence by its Flickr id."""

PERMISSIVE: tuple[int, ...] = tuple(licence.id for licence in LICENCES.values() if licence.permissive)
"""4, 5, 7, 8, 9, 10, 11, 12: the licences of a search by default."""


def chosen_licences(
    names: Iterable[str] = (), *, non_commercial: bool = False, no_derivatives: bool = False
) -> tuple[int, ...]:
    """Ids to search for.

    Args:
        names: ids or slugs; the permissive ones if empty.
        non_commercial, no_derivatives: also those with these terms.

    Raises:
        UsageError: a name is unknown, forbids redistribution, or has terms that no flag allows.

    >>> chosen_licences(["cc-by-4.0", "9"])
    (9, 11)
    """
    by_name = {**{str(i): i for i in LICENCES}, **{licence.slug: i for i, licence in LICENCES.items()}}
    requested = [name.strip().lower() for name in names]
    for name in requested:
        if name not in by_name:
            raise unknown_name("licence", name, [licence.slug for licence in LICENCES.values()])

    def allowed(licence: Licence) -> bool:
        return (
            licence.redistributable
            and (non_commercial or not licence.non_commercial)
            and (no_derivatives or not licence.no_derivatives)
        )

    ids = sorted({by_name[name] for name in requested} or {i for i, licence in LICENCES.items() if allowed(licence)})
    for licence in (LICENCES[i] for i in ids if not allowed(LICENCES[i])):
        if not licence.redistributable:
            raise UsageError(f"licence {licence.slug}: such photos may not be handed on, so they are not searched for")
        raise UsageError(f"licence {licence.slug}: add --non-commercial or --no-derivatives to take such photos")
    return tuple(ids)


def check_with_flickr(response: Mapping[str, Any], ids: Iterable[int]) -> None:
    """Compare this table with the response of ``flickr.photos.licenses.getInfo``.

    Args:
        response: as JSON.
        ids: of the licences to compare.

    Raises:
        RemoteError: one of ``ids`` is another licence on Flickr, or the response cannot be parsed.
    """
    try:
        urls = {int(entry["id"]): str(entry.get("url") or "") for entry in response["licenses"]["license"]}
    except (KeyError, TypeError, ValueError, AttributeError):
        raise RemoteError("flickr.photos.licenses.getInfo: the answer cannot be understood, try again later") from None
    for id in ids:
        expected, reported = _terms(LICENCES[id].url), _terms(urls.get(id, ""))
        if id not in urls:
            raise RemoteError(f"Flickr no longer knows licence {id} ({LICENCES[id].slug}): leave it out of --license")
        if expected and reported != expected:
            raise RemoteError(
                f"Flickr means {urls[id]} by licence {id}, not {LICENCES[id].slug}: leave it out of --license"
            )


def attribution_line(title: str | None, author: str | None, page: str, licence: int | None) -> str:
    """Title, author, source and licence: the credit that a Creative Commons licence requires.

    Args:
        title: of the photo.
        author: name of its owner.
        page: address of its page.
        licence: id; None: not known.

    >>> attribution_line("Fog", "Ana", "https://www.flickr.com/photos/1@N02/3/", 11)
    '"Fog" by Ana, https://www.flickr.com/photos/1@N02/3/, CC BY 4.0 (https://creativecommons.org/licenses/by/4.0/)'
    """
    entry = LICENCES.get(licence) if licence is not None else None
    terms = "licence unknown" if entry is None else f"{entry.name} ({entry.url})" if entry.url else entry.name
    return f'"{_one_line(title) or "Untitled"}" by {_one_line(author) or "an unnamed author"}, {page}, {terms}'


def redistributable(licence: int | None) -> bool:
    """Whether the bytes of a photo may be published; False for an unknown licence."""
    return licence is not None and licence in LICENCES and LICENCES[licence].redistributable


def _terms(url: str) -> str:
    """The part of a Creative Commons address that identifies the licence; empty for other addresses."""
    match = re.search(r"creativecommons\.org/((?:licenses|publicdomain)/[a-z-]+/\d\.\d)", url)
    return match[1] if match else ""


def _one_line(text: str | None) -> str:
    return " ".join((text or "").split())
