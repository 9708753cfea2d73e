"""Licences and terms of the camera sets, as far as they were seen; their pixels are never published from here."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

_NOT_FOUND = "no licence was found in its public repository: ask its authors"

TERMS: Mapping[str, str] = MappingProxyType(
    {
        "fodb": "FODB: for research, not to be passed on, as a third party reports; the terms come with the download",
        "imagenet-es": f"ImageNet-ES: {_NOT_FOUND}; the scenes are photos of ImageNet, under its terms of access",
        "vision": "VISION: under an agreement of its own, which comes with the download",
        "dresden": "the Dresden Image Database: no licence was found: ask its authors",
        "raise": "RAISE: for research and teaching, under terms that are accepted before the download",
        "plism": "PLISM: CC BY 4.0, as owkin/plism-dataset states: name its authors",
        "scorpion": "SCORPION: CC BY 4.0, as its record on Zenodo states: name its authors",
    }
)
"""One phrase a kind, in which the pixels of the set may be used."""


def terms_of(kind: str, simulated: bool = False) -> str:
    """The sentence about a kind's terms that results, reports and refusals of publishing show.

    Args:
        kind: a key of ``TERMS``.
        simulated: whether camtrace made the photos, in the layout of that set.
    """
    if simulated:
        return (
            f"Photos that camtrace simulated in the layout of {kind}. Pixels of a set in such a layout are not "
            "published: publish a simcams that was built without --layout."
        )
    return f"{TERMS[kind]}. Pixels of such a set are not published by camtrace, only scores, ids and recipes."
