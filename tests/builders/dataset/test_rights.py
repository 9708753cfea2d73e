"""Whether pixels may be published: decided by the name of a set and by its class names."""

import pytest

from builders.dataset.manifest import pixel_rights
from builders.photos import PhotoSet


def photos(name: str, labels: list[str] | None) -> PhotoSet:
    files = {str(i): b"" for i in range(len(labels) if labels else 2)}
    return PhotoSet.of_bytes(name, files, labels)


@pytest.mark.parametrize(
    ("name", "labels", "allowed", "because"),
    [
        ("imagenet", ["cat", "dog"], False, "ImageNet"),
        ("hub:me/Tiny-ImageNet", None, False, "ImageNet"),
        ("folder:pets", ["n02099601", "n02123045"], False, "ImageNet"),
        ("folder:imagenette2-320", ["cat", "dog"], False, "ImageNet"),
        ("folder:pets", ["n02099601", "cat"], True, ""),
        ("folder:pets", ["n02099", "n1"], True, ""),
        ("folder:pets", ["cat", "dog"], True, ""),
        ("folder:loose", None, True, ""),
        ("inat2018", ["0007", "0014"], False, "iNaturalist"),
    ],
)
def test_pixel_rights(name, labels, allowed, because):
    rights = pixel_rights(photos(name, labels))
    assert rights.allowed is allowed
    assert because in rights.reason
    assert bool(rights.reason) is not allowed
