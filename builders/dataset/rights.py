"""May the pixels of a source be published by us? Where its terms say no, a recipe is published instead."""

from __future__ import annotations

import re

from builders.dataset.build_file import PixelRights
from builders.photos import PhotoSet

_WORDNET_ID = re.compile(r"n\d{8}")

_IMAGENET = PixelRights(
    False,
    "ImageNet's terms of access forbid passing its images on, so only a recipe (ids, labels, parameters; no pixels) "
    "may be published: everyone rebuilds it bit for bit from their own copy.",
)
_INATURALIST = PixelRights(
    False,
    "The photos of iNaturalist 2018 belong to their observers and most licences do not allow us to pass them on, so "
    "only a recipe (ids, labels, parameters; no pixels) may be published: everyone rebuilds it from their own copy.",
)


def pixel_rights(photos: PhotoSet) -> PixelRights:
    """What is known of the source, by its name and by its class names; when in doubt, that it is ImageNet.

    A folder whose classes are WordNet ids *is* ImageNet (or a part of it, as Imagenette), whatever it is called.

    >>> pixel_rights(PhotoSet.of_bytes("folder:pets", {"a": b""}, ["n02099601"])).allowed
    False
    """
    name, classes = photos.name.lower(), photos.labels.names
    if "imagenet" in name or (classes and all(_WORDNET_ID.match(c) for c in classes)):
        return _IMAGENET
    if "inat" in name:
        return _INATURALIST
    return PixelRights(True)
