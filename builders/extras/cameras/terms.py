"""Kinds of camera sets: what each is, its options, and its licence and terms, as far as they were seen.

Their pixels are never published from here.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import NamedTuple

_NOT_FOUND = "no licence was found in its public repository: ask its authors"


class CameraSetKind(NamedTuple):
    """A kind of camera set."""

    summary: str
    """One line for ``camtrace list data``."""
    options: tuple[str, ...]
    """Of its data specification, beside the share for val."""
    terms: str
    """One phrase, in which the pixels of the set may be used."""


CAMERA_SETS: Mapping[str, CameraSetKind] = MappingProxyType(
    {
        "fodb": CameraSetKind(
            "FODB: each scene by 27 phones and through 5 social networks; folders or zips",
            ("scenes",),
            "FODB: for research, not to be passed on, as a third party reports; the terms come with the download",
        ),
        "imagenet-es": CameraSetKind(
            "ImageNet-ES and ImageNet-ES Diverse: each scene by aperture, exposure, ISO and light",
            ("part", "scenes"),
            f"ImageNet-ES: {_NOT_FOUND}; the scenes are photos of ImageNet, under its terms of access",
        ),
        "vision": CameraSetKind(
            "VISION: photos by 35 devices and through two social networks",
            ("scenes",),
            "VISION: under an agreement of its own, which comes with the download",
        ),
        "dresden": CameraSetKind(
            "the Dresden Image Database: each scene by many cameras, as its CSV file says",
            ("root", "scenes"),
            "the Dresden Image Database: no licence was found: ask its authors",
        ),
        "raise": CameraSetKind(
            "RAISE: photos by the cameras that its CSV file names",
            ("root",),
            "RAISE: for research and teaching, under terms that are accepted before the download",
        ),
        "plism": CameraSetKind(
            "PLISM: each tile by 7 scanners in 13 stainings; folders, archives, or a table",
            ("image", "id", "root", "scenes"),
            "PLISM: CC BY 4.0, as owkin/plism-dataset states: name its authors",
        ),
        "scorpion": CameraSetKind(
            "SCORPION: each tissue by 5 scanners; folders, archives, or a table",
            ("image", "id", "root", "scenes"),
            "SCORPION: CC BY 4.0, as its record on Zenodo states: name its authors",
        ),
    }
)
"""Every kind of camera set by its name in data specifications."""


def terms_of(kind: str, simulated: bool = False) -> str:
    """The sentence about a kind's terms that results, reports and refusals of publishing show.

    Args:
        kind: a key of ``CAMERA_SETS``.
        simulated: whether camtrace made the photos, in the layout of that set.
    """
    if simulated:
        return (
            f"Photos that camtrace simulated in the layout of {kind}. Pixels of a set in such a layout are not "
            "published: publish a simcams that was built without --layout."
        )
    terms = CAMERA_SETS[kind].terms
    return f"{terms}. Pixels of such a set are not published by camtrace, only scores, ids and recipes."
