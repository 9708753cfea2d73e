"""Layouts of real camera sets whose files say what they are: from the path of a file to scene, device and settings.

The layouts are those that public code and papers show. No archive of these sets was opened for this module.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType

_NONE: Mapping[str, str] = MappingProxyType({})

PHOTO_ENDINGS = (".jpg", ".jpeg", ".png", ".tif", ".tiff", ".webp", ".bmp", ".heic", ".heif", ".avif")

RAW_ENDINGS = (".nef", ".dng", ".cr2", ".cr3", ".arw", ".orf", ".raf", ".rw2", ".pef")

SLIDE = "slide"
"""Name under which ``Capture.groups`` has the glass slide of a tissue."""

ORIGINAL_PLATFORM = "original"
"""Platform of a photo as the device saved it."""


@dataclass(frozen=True)
class Capture:
    """What a file says of itself: one photo of one scene by one device."""

    id: str
    """The path from the first folder on that belongs to the layout: the same unpacked and in an archive."""
    scene: str
    """What was photographed: equal for all photos of it. Empty where the set names no scenes."""
    device: str = ""
    """One body, or one scanner."""
    name: str = ""
    """The device's name as its folder spells it."""
    unit: str = ""
    """Which body of its model the device is."""
    make: str = ""
    model: str = ""
    platform: str = ""
    """What the file went through: ``ORIGINAL_PLATFORM``, or a social network."""
    label: str = ""
    """Class of the scene."""
    settings: Mapping[str, str] = field(default_factory=lambda: _NONE)
    """Exposure in seconds, f-number and ISO speed by the name of the attribute."""
    groups: Mapping[str, str] = field(default_factory=lambda: _NONE)
    """Further groups by name: light, setting, staining, slide."""
    part: str = ""
    """Part of the set with settings of its own."""
    further: bool = False
    """Whether the name says that it is a copy or a further shot: ``..._0001 (1).jpg``."""

    @property
    def cell(self) -> tuple[str, ...]:
        """What only one photo of the set is."""
        return self.scene, self.device, self.platform, self.part, *(f"{k}={v}" for k, v in sorted(self.groups.items()))


Parsed = Capture | str
"""A photo, or why a file is none of the set: a phrase after a number of files, such as "reference pictures"."""

NOT_OF_LAYOUT = "files whose path names no scene or device of the set"


@dataclass(frozen=True)
class PathLayout:
    """A layout in which every path says what the file is."""

    title: str
    form: str
    """How paths look, for messages."""
    parse: Callable[[tuple[str, ...]], Parsed]
    """From the parts of a path, those of the set's own folder first."""
    devices: int = 0
    """Published numbers; 0 where there is none."""
    scenes: int = 0
    numbered: str = ""
    """Prefix of devices that are numbered from 1 without a gap: ``D``."""
    crossed: tuple[str, ...] = ("device", "platform")
    """What every scene was photographed with: ``device``, ``platform`` or names of groups."""
    cluster: str = ""
    """The group that errs together, where it is more than a scene."""
    part_of_settings: bool = False
    """Whether ``Capture.part`` decides what settings mean, so that only one part is read."""


_COPY = r"(?P<more>[ _.(-].*|)"
"""What follows a complete name: `` (1)``, ``_2``, ``-copy``."""

_FODB_NAME = re.compile(rf"D(?P<device>\d+)_img_(?P<kind>[a-z]+)_(?P<scene>\d+){_COPY}", re.I)

_FODB_PLATFORMS = {
    **{name: name for name in ("facebook", "instagram", "telegram", "twitter", "whatsapp")},
    **dict.fromkeys(("orig", "original"), ORIGINAL_PLATFORM),
}

_VISION_NAME = re.compile(rf"D(?P<device>\d+)_(?:I_)?(?P<kind>[a-z]+)_(?P<scene>\d+){_COPY}", re.I)

_VISION_PLATFORMS = {
    "nat": ORIGINAL_PLATFORM,
    "natfbh": "facebook-high",
    "natfbl": "facebook-low",
    "natwa": "whatsapp",
    "flat": "flat",
}

_DEVICE_FOLDER = re.compile(r"D(?P<device>\d+)(?:_(?P<name>.+))?", re.I)


def parse_fodb(parts: tuple[str, ...]) -> Parsed:
    """A file of FODB: ``D01_Motorola_E3_1/orig/D01_img_orig_0001.jpg``.

    >>> parsed = parse_fodb(("D01_Motorola_E3_1", "orig", "D01_img_orig_0001.jpg"))
    >>> parsed.scene, parsed.device, parsed.name, parsed.platform
    ('0001', 'D01', 'Motorola_E3_1', 'original')
    """
    match = _FODB_NAME.fullmatch(_stem(parts[-1]))
    if not match or match["kind"].lower() not in _FODB_PLATFORMS:
        return NOT_OF_LAYOUT
    return _by_device(parts, match, _FODB_PLATFORMS, scene=match["scene"].zfill(4))


def parse_vision(parts: tuple[str, ...]) -> Parsed:
    """A photo of VISION: ``D05_Apple_iPhone5c/images/nat/D05_I_nat_0001.jpg``. Each device has scenes of its own."""
    match = _VISION_NAME.fullmatch(_stem(parts[-1]))
    if not match or match["kind"].lower() not in _VISION_PLATFORMS:
        return NOT_OF_LAYOUT
    if match["kind"].lower() == "flat":
        return "pictures of flat fields, which show no scene"
    device = f"D{int(match['device']):02}"
    return _by_device(parts, match, _VISION_PLATFORMS, scene=f"{device}/{match['scene'].zfill(4)}")


def _by_device(parts: tuple[str, ...], match: re.Match[str], platforms: Mapping[str, str], *, scene: str) -> Parsed:
    """A photo whose folders name the device and the platform, which its own name repeats."""
    number, platform = int(match["device"]), platforms[match["kind"].lower()]
    folders = [(i, named) for i, part in enumerate(parts[:-1]) if (named := _DEVICE_FOLDER.fullmatch(part))]
    start, name = len(parts) - 1, ""
    if folders:
        start, folder = folders[-1]
        if int(folder["device"]) != number:
            return "photos in the folder of another device than their name says"
        name = folder["name"] or ""
    stated = [part.lower() for part in parts[start:-1] if part.lower() in platforms]
    if any(platforms[part] != platform for part in stated):
        return "photos in the folder of another platform than their name says"
    return Capture(
        "/".join(parts[start:]),
        scene,
        f"D{number:02}",
        name,
        platform=platform,
        further=bool(match["more"]),
    )


@dataclass(frozen=True)
class Grid:
    """Settings of ImageNet-ES: setting number - 1 has aperture, shutter and ISO as its digits, ISO last."""

    aperture: tuple[str, ...]
    exposure: tuple[str, ...]
    iso: tuple[str, ...]

    def settings(self, number: int) -> dict[str, str] | None:
        """By attribute; None if there is no such setting.

        >>> ES_GRIDS["es-test"].settings(2)
        {'aperture': '5.0', 'exposure': '1/4', 'iso': '2000'}
        """
        level = len(self.iso)
        if not 1 <= number <= level**3:
            return None
        a, s, i = (number - 1) // level**2, (number - 1) // level % level, (number - 1) % level
        return {"aperture": self.aperture[a], "exposure": self.exposure[s], "iso": self.iso[i]}


_LEVELS = ("1", "2", "3")

ES_GRIDS: Mapping[str, Grid] = MappingProxyType(
    {
        "es-val": Grid(
            ("5.0", "8.0", "13.0", "20.0"), ("0.4", "1/20", "1/160", "1/1250"), ("200", "800", "3200", "12800")
        ),
        "es-test": Grid(("5.0", "9.0", "16.0"), ("1/4", "1/60", "1/1000"), ("250", "2000", "16000")),
        "es-diverse-test": Grid(_LEVELS, _LEVELS, _LEVELS),
    }
)
"""Settings by part, from ``settings/grid-options-*.csv`` of the authors' code. Those of ImageNet-ES Diverse are levels:
their values are in no public file that was seen."""

_REFERENCE = re.compile(r"(?:sampled_)?tin_no_resize\w*", re.I)
_WORDNET = re.compile(r"n\d{8}")


def parse_imagenet_es(parts: tuple[str, ...]) -> Parsed:
    """A file of ImageNet-ES: ``es-test/param_control/l1/param_2/n02099601/name.JPEG``, or of ``auto_exposure``.

    >>> parsed = parse_imagenet_es(("es-test", "param_control", "l1", "param_2", "n02099601", "a.JPEG"))
    >>> parsed.scene, parsed.settings["iso"], dict(parsed.groups)
    ('n02099601/a', '2000', {'light': 'l1', 'setting': 'param 2'})
    """
    if any(map(_REFERENCE.fullmatch, parts)):
        return "reference pictures, which no camera took"
    lower = [part.lower() for part in parts]
    at = next((i for i, part in enumerate(lower) if part in ("param_control", "auto_exposure")), -1)
    if at < 0 or len(parts) != at + 5:
        return NOT_OF_LAYOUT
    light, setting, label, name = lower[at + 1], lower[at + 2], lower[at + 3], parts[-1]
    number = re.fullmatch(r"param_(\d{1,3})", setting)
    if not re.fullmatch(r"l\d{1,2}", light) or not number or not _WORDNET.fullmatch(label):
        return NOT_OF_LAYOUT
    part = next((part for part in reversed(lower[:at]) if part in ES_GRIDS), "")
    controlled = lower[at] == "param_control"
    settings = ES_GRIDS[part].settings(int(number[1])) if part and controlled else {}
    if settings is None:
        return "photos with the number of a setting that there is not"
    return Capture(
        "/".join((*([part] if part else []), *lower[at : at + 4], name)),
        f"{label}/{_stem(name)}",
        label=label,
        settings=settings,
        groups={"light": light, "setting": f"{'param' if controlled else 'auto'} {int(number[1])}"},
        part=part,
    )


SCORPION_SCANNERS = {name.lower(): name for name in ("AT2", "DP200", "GT450", "P1000", "Philips")}

_SCORPION_TILE = re.compile(r"(slide_\d+)-(sample_\d+)-(tile_\d+_\d+)-(\w+)", re.I)


def parse_scorpion(parts: tuple[str, ...]) -> Parsed:
    """A file of SCORPION: ``slide_1/sample_2/AT2.jpg``, or a tile ``slide_1-sample_2-tile_0_1-AT2.jpg`` of it."""
    if match := _SCORPION_TILE.fullmatch(_stem(parts[-1])):
        slide, sample, tile, scanner = match[1].lower(), match[2].lower(), f"/{match[3].lower()}", match[4]
        start = len(parts) - 1
    else:
        start = max(len(parts) - 3, 0)
        slide, sample, tile, scanner = *map(str.lower, (*parts[start:-1], "", "")[:2]), "", _stem(parts[-1])
    if not re.fullmatch(r"slide_\d+", slide) or not re.fullmatch(r"sample_\d+", sample):
        return NOT_OF_LAYOUT
    name = SCORPION_SCANNERS.get(scanner.lower())
    if name is None:
        return "files whose name is no scanner of SCORPION"
    return Capture("/".join(parts[start:]), f"{slide}/{sample}{tile}", name, name, groups={SLIDE: slide})


_PLISM_SLIDE = re.compile(r"(?P<staining>[A-Z0-9]+)_(?P<scanner>[A-Z0-9]+)_to_[A-Z0-9]+_[A-Z0-9]+", re.I)


def parse_plism(parts: tuple[str, ...]) -> Parsed:
    """A tile of PLISM: ``GIVH_AT2_to_GMH_S60/tile_16_100_127.png``."""
    if len(parts) < 2:
        return NOT_OF_LAYOUT
    slide, tile = re.sub(r"\.tiff?$", "", parts[-2], flags=re.I), _stem(parts[-1]).lower()
    match = _PLISM_SLIDE.fullmatch(slide)
    if not match or not re.fullmatch(r"tile_\d+_\d+_\d+", tile):
        return NOT_OF_LAYOUT
    scanner = match["scanner"].upper()
    groups = {"staining": match["staining"].upper(), SLIDE: slide}
    return Capture(f"{slide}/{parts[-1]}", tile, scanner, scanner, groups=groups)


def _stem(name: str) -> str:
    return name.rpartition(".")[0] or name


PATH_LAYOUTS: Mapping[str, PathLayout] = MappingProxyType(
    {
        "fodb": PathLayout(
            "FODB",
            "Dnn_NAME/{orig,facebook,instagram,telegram,twitter,whatsapp}/Dnn_img_KIND_NNNN.jpg",
            parse_fodb,
            27,
            143,
            "D",
        ),
        "vision": PathLayout(
            "VISION",
            "Dnn_MAKE_MODEL/images/{nat,natFBH,natFBL,natWA}/Dnn_I_KIND_NNNN.jpg",
            parse_vision,
            35,
            numbered="D",
            crossed=("platform",),
        ),
        "imagenet-es": PathLayout(
            "ImageNet-ES",
            "es-PART/{param_control,auto_exposure}/lN/param_N/nNNNNNNNN/NAME",
            parse_imagenet_es,
            crossed=("light", "setting"),
            part_of_settings=True,
        ),
        "scorpion": PathLayout(
            "SCORPION", "slide_N/sample_N/SCANNER.jpg", parse_scorpion, 5, 480, crossed=("device",), cluster=SLIDE
        ),
        "plism": PathLayout(
            "PLISM", "STAINING_SCANNER_to_GMH_S60/tile_L_X_Y.png", parse_plism, 7, 16_278, crossed=(SLIDE,)
        ),
    }
)
"""Every layout whose paths say all, by the kind of its data specification."""
