"""Toy copies of real layouts: each is read right, with a notice or without, or refused with what was probably meant.

What is right is stated here from the paths, independently of the readers.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import pytest

from builders.data_specs import open_photos
from builders.errors import DataError
from builders.photos import SPLITS, UNLABELLED, Labels
from tests.support.layouts import write_layout

Path_ = Sequence[str]


@dataclass(frozen=True)
class Layout:
    """A layout and what is right about it."""

    patterns: tuple[str, ...]
    label: Callable[[Path_], str | None] | None = None
    """From the parts of a path to the label that is right; None for a layout that cannot be read as a folder."""
    split: Callable[[Path_], str] | None = None
    """From the parts of a path to the given split; None if one is drawn."""
    group: Callable[[Path_], str] | None = None
    """From the parts of a path to the group ``generator``."""
    refused: str = ""
    """Pattern of the refusal, or of the notice; "" if the folder is read as it stands."""
    meant: bool = True
    """Whether the refusal has a specification that opens."""
    taken: bool = False
    """Whether that specification is the only sensible reading, which is taken with a notice."""


def at(level: int) -> Callable[[Path_], str]:
    return lambda parts: parts[level - 1]


def split_at(level: int) -> Callable[[Path_], str]:
    words = {"training": "train", "valid": "val", "validation": "val", "testing": "test"}
    return lambda parts: words.get(parts[level - 1].lower(), parts[level - 1].lower())


def test_as_val(parts: Path_) -> str:
    return {"test": "val"}.get(split_at(1)(parts), split_at(1)(parts))


test_as_val.__test__ = False  # type: ignore[attr-defined]

LAYOUTS = {
    "class folders": Layout(("{cat,dog,owl}/{0..4}.png",), at(1)),
    "ImageNet, torchvision": Layout(("{train,val}/{n01440764,n01443537}/{0..2}.JPEG",), at(2), split_at(1)),
    "ImageNet, flat val": Layout(
        ("train/{n01440764,n01443537}/{0..2}.JPEG", "val/ILSVRC2012_val_{0..4}.JPEG"),
        refused="val has no class folders",
        meant=False,
    ),
    "Tiny ImageNet": Layout(
        ("train/{n01,n02}/images/{0..2}.JPEG", "val/images/{0..4}.JPEG"),
        refused="val has none of the class folders of train",
        meant=False,
    ),
    "train, valid and test": Layout(("{train,valid,test}/{cat,dog}/{0..2}.jpg",), at(2), split_at(1)),
    "train and test": Layout(("{train,test}/{cat,dog}/{0..2}.jpg",), at(2), test_as_val),
    "Train and Validation": Layout(("{Train,Validation}/{cat,dog}/{0..2}.jpg",), at(2), split_at(1)),
    "Training and Testing": Layout(
        ("{Training,Testing}/{glioma,notumor}/{0..2}.jpg",), at(2), lambda p: {"Training": "train"}.get(p[0], "val")
    ),
    "train alone": Layout(("train/{cat,dog}/{0..4}.jpg",), lambda p: p[1], refused="names a split", taken=True),
    "splits in class folders": Layout(
        ("{cat,dog}/{train,val}/{0..2}.jpg",), at(1), split_at(2), refused="splits or origins", taken=True
    ),
    "splits in class folders, with a stray file": Layout(
        ("{cat,dog}/{train,val}/{0..9}.jpg", "notes.txt"), at(1), split_at(2), refused="splits or origins", taken=True
    ),
    "GenImage": Layout(
        ("{BigGAN,SDv14}/imagenet_ai/{train,val}/{ai,nature}/{0..2}.png",),
        at(4),
        split_at(3),
        at(1),
        refused="splits or origins",
    ),
    "GenImage, names as published": Layout(
        (
            "stable_diffusion_v_1_4/imagenet_ai_0419_sdv4/{train,val}/{ai,nature}/{0..2}.png",
            "ADM/imagenet_ai_0508_adm/{train,val}/{ai,nature}/{0..2}.png",
        ),
        at(4),
        split_at(3),
        at(1),
        refused="splits or origins",
    ),
    "GenImage, one generator": Layout(("{train,val}/{ai,nature}/{0..2}.png",), at(2), split_at(1)),
    "GenImage, one generator's folder": Layout(
        ("imagenet_ai_0419_sdv4/{train,val}/{ai,nature}/{0..2}.png",),
        at(3),
        split_at(2),
        refused="its only class would be",
        taken=True,
    ),
    "ForenSynths test": Layout(
        ("{progan,stylegan}/{cat,horse}/{0_real,1_fake}/{0..2}.png", "{biggan,gaugan}/{0_real,1_fake}/{0..2}.png"),
        lambda p: p[-2],
        None,
        at(1),
        refused="splits or origins",
    ),
    "ForenSynths, one generator": Layout(("{0_real,1_fake}/{0..4}.png",), at(1)),
    "ForenSynths train": Layout(
        ("{train,val}/{airplane,cat}/{0_real,1_fake}/{0..2}.png",),
        at(3),
        split_at(1),
        at(2),
        refused="splits or origins",
    ),
    "ForenSynths as unpacked": Layout(
        ("{progan_train,progan_val}/{airplane,cat}/{0_real,1_fake}/{0..2}.png",),
        at(3),
        lambda p: p[0].removeprefix("progan_"),
        refused="splits or origins",
    ),
    "UnivFD diffusion": Layout(
        ("{laion,imagenet}/0_real/{0..4}.png", "{ldm_200,glide_50_27}/1_fake/{0..4}.png"),
        at(2),
        None,
        at(1),
        refused="splits or origins",
    ),
    "real and fake, with generators": Layout(("real/{0..4}.png", "fake/{midjourney,dalle}/{0..4}.png"), at(1)),
    "real and fake images": Layout(("{Real_Images,AI_images}/{0..4}.png",), at(1)),
    "Fake and real by split": Layout(("{Train,Test}/{Fake,Real}/{0..2}.jpg",), at(2), test_as_val),
    "CUB": Layout(
        ("images/{001.Albatross,002.Auklet}/{0..4}.jpg",),
        lambda p: p[1],
        refused="its only class would be images",
        taken=True,
    ),
    "Caltech-101": Layout(
        ("101_ObjectCategories/{ant,crab}/{0..4}.jpg",), at(2), refused="its only class would be", taken=True
    ),
    "YOLO": Layout(
        ("{train,val}/{images,labels}/{0..4}.jpg",), refused="say nothing of the pictures: write a table", meant=False
    ),
    "flat": Layout(("{0..9}.png",), lambda p: None),
    "two levels of classes": Layout(("cat/{siam,persian}/{0..4}.png", "dog/{collie,pug}/{0..4}.png"), at(1)),
    "a class named like an origin": Layout(("{cat,dog}/original/{0..4}.png",), at(1)),
    "hidden files": Layout(("{cat,dog}/{0..4}.png", ".cache/{0..4}.png"), at(1)),
}


def of(labels: Labels) -> list[str | None]:
    return [None if value == UNLABELLED else labels.names[value] for value in labels.values]


@pytest.mark.parametrize("name", LAYOUTS)
def test_layout__is_read_right_or_refused_with_what_was_meant(name, tmp_path, capsys):
    layout, root = LAYOUTS[name], tmp_path / "set"
    write_layout(root, *layout.patterns)
    spec = f"folder:{root}"
    if layout.taken:
        open_photos(spec)
        notice = re.search(rf"{layout.refused}.*: read as '([^']+)'\n$", capsys.readouterr().err)
        spec = notice[1]
    elif layout.refused:
        with pytest.raises(DataError, match=layout.refused) as refusal:
            open_photos(spec)
        assert "\n" not in str(refusal.value)
        meant = re.search(r"did you mean '([^']+)'", str(refusal.value))
        assert bool(meant) == layout.meant
        if not layout.meant:
            return
        spec = meant[1]
    photos = open_photos(spec)
    base = spec.partition("?")[0].partition(":")[2].removeprefix(str(root)).strip("/")
    paths = [[*filter(None, base.split("/")), *photo_id.split("/")] for photo_id in photos.ids]
    is_picture = [not path[-1].endswith(".txt") for path in paths]
    expected = [layout.label(path) if ok else None for path, ok in zip(paths, is_picture, strict=True)]
    assert [label for label, ok in zip(of(photos.labels), is_picture, strict=True) if ok] == [
        label for label, ok in zip(expected, is_picture, strict=True) if ok
    ]
    if layout.split:
        given = [SPLITS[split] for split in photos.splits]
        assert [s for s, ok in zip(given, is_picture, strict=True) if ok] == [
            layout.split(path) for path, ok in zip(paths, is_picture, strict=True) if ok
        ]
    else:
        assert photos.evidence["splits"].startswith("seeded split of each class")
    if layout.group:
        assert of(photos.groups["generator"]) == [layout.group(path) for path in paths]
    else:
        assert not photos.groups
