"""Whether pixels may be published: decided by the name of a set and by its class names."""

from dataclasses import replace

import pytest

from builders.dataset import PixelRights, pixel_rights
from builders.photos import TERMS_OF_USE, PhotoSet


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


@pytest.mark.parametrize(
    ("file", "allowed"),
    [
        ("D01_img_orig_0001.jpg", False), ("D34_I_nat_0007.jpg", False), ("a/b/D05_I_flat_0001.JPG", False),
        ("x/D27_img_facebook_0143.png", False), ("d01_IMG_orig_0001.jpeg", False), ("xD01_img_orig_0001.jpg", True),
        ("D1_img_orig_0001.jpg", True), ("D001_img_orig_0001.jpg", True), ("D01_V_flat_0001.jpg", True),
        ("D01_img_orig_001.jpg", True), ("D01_img_0001.jpg", True), ("D01_img_orig_0001.jpg/1", True),
        ("D01_img_orig_0001", True), ("D01_img_or1g_0001.jpg", True),
    ],
)  # fmt: skip
def test_pixel_rights__of_files_named_as_those_of_fodb_or_vision(file, allowed):
    rights = pixel_rights(PhotoSet.of_bytes("folder:mine", {"other.jpg": b"", file: b""}, ["a", "b"]))
    assert rights.allowed is allowed
    assert ("FODB or VISION" in rights.reason) is not allowed


def test_pixel_rights__stated_terms_count_first_and_names_in_capitals_like_others():
    mine = replace(photos("ImageNet", ["cat"]), evidence={TERMS_OF_USE: "Ask us."})
    assert pixel_rights(mine) == PixelRights(False, "Ask us.")
    for name, word in (("hub:A/IMAGENET", "ImageNet"), ("folder:iNat-mini", "iNaturalist")):
        assert word in pixel_rights(photos(name, ["cat"])).reason
    assert pixel_rights(replace(mine, name="folder:a", evidence={TERMS_OF_USE: ""})) == PixelRights(True, "")
