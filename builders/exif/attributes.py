"""Acquisition -> class label: the attributes, their classes, and the class of a value.

Two label sets. ``reference``: classes and strings of the published study, with its known defects. ``clean``: a single
name for each maker and body, no scanners, no generic names, numbers snapped to the nearest class within a tolerance.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from fractions import Fraction
from functools import lru_cache
from types import MappingProxyType
from typing import Literal

from builders.errors import unknown_name
from builders.exif import devices
from builders.exif.acquisition import Acquisition
from builders.exif.devices import OTHER, UNKNOWN, device_type

MAKES = (
    "Apple",
    "Canon",
    "EASTMAN KODAK COMPANY",
    "FUJIFILM",
    "NIKON",
    "OLYMPUS OPTICAL CO.,LTD",
    "Panasonic",
    "SONY",
    "samsung",
)

IPHONES = tuple(
    f"iPhone {name}"
    for name in ("11", "11 Pro Max", "12 Pro", "12 Pro Max", "13 Pro", "6", "6s", "7", "7 Plus", "X", "XR", "XS")
)

_CANON = (
    "10D|20D|300D DIGITAL|30D|350D DIGITAL|40D|450D|50D|5D|5D Mark II|5D Mark III|5D Mark IV|600D|60D|6D|6D Mark II|"
    "70D|7D|7D Mark II|80D|90D|DIGITAL REBEL|DIGITAL REBEL XT|R|R5|R6|REBEL T3i|Rebel T6"
)

_NIKON = (
    "D100|D200|D300|D3100|D3200|D40|D5|D50|D500|D5000|D5100|D5200|D5300|D5500|D5600|D600|D610|D70|D700|D7000|D7100|"
    "D7200|D750|D7500|D80|D800|D810|D850|D90|Z 6|Z 6_2|Z 9"
)

MODELS = (
    "CYBERSHOT",
    *(f"Canon EOS {name}" for name in _CANON.split("|")),
    "Canon EOS-1D X",
    "Canon EOS-1D X Mark II",
    "E-M1MarkII",
    "E5700",
    "E990",
    "ILCE-6000",
    "ILCE-6400",
    "ILCE-7",
    "ILCE-7M3",
    "ILCE-7RM2",
    "ILCE-7RM3",
    "Kodak CLAS Digital Film Scanner / HR200",
    *(f"NIKON {name}" for name in _NIKON.split("|")),
    "X-T2",
    "X-T3",
    "X-T4",
    *IPHONES,
)

EXPOSURES = tuple(f"1/{n}" for n in (30, 40, 50, 60, 80, 100, 125, 160, 200, 250, 320, 400, 500, 640, 800, 1000))
"""Seconds."""

APERTURES = tuple(f"{n:.1f}" for n in (1.8, 2, 2.2, 2.4, 2.8, 3.2, 3.5, 4, 4.5, 5, 5.6, 6.3, 7.1, 8, 9, 10, 11))
"""F-numbers."""

ISOS = tuple(f"{n}" for n in (50, 64, 80, 100, 125, 160, 200, 250, 320, 400, 500, 640, 800, 1000, 1600, 3200))

FOCAL_LENGTHS = tuple(f"{n:.1f}" for n in (4, 4.2, 4.3, 5.8, 6, 18, 24, 28, 35, 50, 55, 70, 200))
"""Millimetres."""

YEARS = tuple(f"{year}" for year in range(2000, 2025))

LabelSet = Literal["clean", "reference"]

LABEL_SETS: tuple[LabelSet, ...] = ("clean", "reference")


@dataclass(frozen=True)
class Attribute:
    """An acquisition attribute."""

    name: str
    """Name in columns and configs of data sets: ``focal_length``."""
    classes: Mapping[LabelSet, tuple[str, ...]]
    """Class names by label set, in order."""
    find: Callable[[Acquisition, LabelSet], str]
    """Value of an acquisition, before it is looked up among the classes; ``UNKNOWN`` if there is none."""
    title: str
    """Name for people."""
    explain: str
    """The question in one sentence for people."""
    tolerance: float = 0.0
    """Numbers in ``clean``: a value belongs to the nearest class if ``abs(log2(value / class)) <= tolerance``."""
    names_camera: bool = False
    """True if it names the camera: such attributes follow from one another, so none is used to predict another."""
    find_any: Callable[[Acquisition], str] | None = None
    """For attributes whose classes are names of makers or bodies: the clean name of any, even if it is no class."""

    @property
    def task(self) -> str:
        """Name in tasks: ``focal-length``."""
        return task_spelling(self.name)

    def chance(self, label_set: LabelSet = "clean") -> float:
        """Expected accuracy of a guess."""
        return 1 / len(self.classes[label_set])


def task_spelling(attribute: str) -> str:
    """The name of an attribute in tasks, from either spelling.

    >>> task_spelling("focal_length"), column_spelling("focal-length")
    ('focal-length', 'focal_length')
    """
    return attribute.replace("_", "-")


def column_spelling(attribute: str) -> str:
    """The name of an attribute in columns and configs of data sets, from either spelling."""
    return attribute.replace("-", "_")


def label(acquisition: Acquisition, attribute: str, label_set: LabelSet = "clean") -> str:
    """The class of an acquisition: one of ``ATTRIBUTES[attribute].classes[label_set]``, ``OTHER`` or ``UNKNOWN``.

    Raises:
        UsageError: no such attribute or label set.

    >>> label(Acquisition(exposure_s=Fraction(1, 391)), "exposure"), label(Acquisition(), "exposure")
    ('1/400', 'unknown')
    >>> label(Acquisition(exposure_s=Fraction(512, 8809)), "exposure")
    'other'
    """
    if attribute not in ATTRIBUTES:
        raise unknown_name("attribute", attribute, ATTRIBUTES)
    if label_set not in LABEL_SETS:
        raise unknown_name("label set", label_set, LABEL_SETS)
    definition = ATTRIBUTES[attribute]
    name = definition.find(acquisition, label_set)
    if name == UNKNOWN:
        return UNKNOWN
    if label_set == "clean" and device_type(acquisition) in ("scanner", "software"):
        return OTHER  # the settings of a scanner are not those of the photo
    return name if name in definition.classes[label_set] else OTHER


STOP_TWELFTH = 1 / 12
"""A twelfth of a stop, a quarter of the third stops of camera settings: 6 % of an exposure time or ISO speed.
Phones expose continuously (1/391 s); a value further from a standard one than this is ``OTHER``."""

FOCAL_TOLERANCE = 1 / 64
"""1.1 %: less than half of the distance between 4.2 and 4.3, the two nearest classes."""


def printed(value: Fraction, attribute: str) -> str:
    """A value as ExifTool (and so Flickr) prints it, as in the study's class strings.

    Times up to 0.25 s as 1/n; others with one decimal. File and Flickr agree only after this rounding.

    >>> printed(Fraction(512, 8809), "exposure"), printed(Fraction(17, 4), "focal_length")
    ('1/17', '4.2')
    """
    if attribute == "exposure" and value < Fraction(25001, 100000):
        return f"1/{math.floor(1 / value + Fraction(1, 2))}"
    return f"{float(value):.1f}"


def _number(field: str, name: str) -> Callable[[Acquisition, LabelSet], str]:
    def find(acquisition: Acquisition, label_set: LabelSet) -> str:
        value = getattr(acquisition, field)
        if value is None:
            return UNKNOWN
        text = str(value) if field == "iso" else printed(value, name)
        return text if label_set == "reference" else snapped(text, name)

    return find


@lru_cache(maxsize=65536)
def snapped(text: str, attribute: str) -> str:
    """The class nearest to a printed number in log2, or ``OTHER`` beyond the attribute's tolerance."""
    definition = ATTRIBUTES[attribute]
    value = float(Fraction(text))
    if value <= 0:
        return OTHER
    distances = {name: abs(math.log2(value / float(Fraction(name)))) for name in definition.classes["clean"]}
    nearest = min(distances, key=distances.__getitem__)
    return nearest if distances[nearest] <= definition.tolerance else OTHER


def _make(acquisition: Acquisition, label_set: LabelSet) -> str:
    if label_set == "clean":
        return devices.canonical_make(acquisition)
    # The study merged the two spellings of Nikon and of no other maker.
    return "NIKON" if acquisition.make == "NIKON CORPORATION" else acquisition.make or UNKNOWN


def _model(acquisition: Acquisition, label_set: LabelSet) -> str:
    return devices.canonical_model(acquisition) if label_set == "clean" else acquisition.model or UNKNOWN


def _is_smartphone(acquisition: Acquisition, label_set: LabelSet) -> str:
    if label_set == "clean":
        device = device_type(acquisition)
        return {"phone": SMARTPHONE, "camera": NO_SMARTPHONE, UNKNOWN: UNKNOWN}.get(device, OTHER)
    # The study's positives are all Apple, its negatives these five.
    make = _make(acquisition, "reference")
    if make == "Apple":
        return SMARTPHONE
    negatives = ("Canon", "FUJIFILM", "NIKON", "OLYMPUS OPTICAL CO.,LTD", "Panasonic")
    return NO_SMARTPHONE if make in negatives else UNKNOWN if make == UNKNOWN else OTHER


def _flash(acquisition: Acquisition, label_set: LabelSet) -> str:
    fired = acquisition.flash_fired
    return UNKNOWN if fired is None else FLASH_CLASSES[fired]


def _year(acquisition: Acquisition, label_set: LabelSet) -> str:
    if acquisition.taken is None:
        return UNKNOWN
    released = devices.release_year(devices.canonical_model(acquisition))
    before = released is not None and acquisition.taken.year < released
    return OTHER if before and label_set == "clean" else str(acquisition.taken.year)


SMARTPHONE, NO_SMARTPHONE = "smartphone", "not a smartphone"

FLASH_CLASSES = ("without flash", "with flash")

_CLEAN_MAKES = ("Apple", "Canon", "FUJIFILM", "Kodak", "NIKON", "OLYMPUS", "Panasonic", "SONY", "samsung")

_CLEAN_MODELS = tuple(
    sorted({devices.canonical_model(Acquisition(model=m)) for m in MODELS if not devices.questionable_names((m,))})
)


def _same(classes: tuple[str, ...]) -> dict[LabelSet, tuple[str, ...]]:
    return {"clean": classes, "reference": classes}


def _any_phone_model(acquisition: Acquisition) -> str:
    return devices.canonical_model(acquisition) if device_type(acquisition) == "phone" else OTHER


_ATTRIBUTES = (
    Attribute(
        "make",
        {"clean": _CLEAN_MAKES, "reference": MAKES},
        _make,
        title="Make",
        explain="Which maker's camera.",
        names_camera=True,
        find_any=devices.canonical_make,
    ),
    Attribute(
        "model",
        {"clean": _CLEAN_MODELS, "reference": MODELS},
        _model,
        title="Model",
        explain="Which camera model.",
        names_camera=True,
        find_any=devices.canonical_model,
    ),
    Attribute(
        "smartphone_model",
        _same(IPHONES),
        _model,
        title="Phone model",
        explain="Which smartphone model.",
        names_camera=True,
        find_any=_any_phone_model,
    ),
    Attribute(
        "is_smartphone",
        _same((NO_SMARTPHONE, SMARTPHONE)),
        _is_smartphone,
        title="Phone or not",
        explain="Smartphone or another camera.",
        names_camera=True,
    ),
    Attribute(
        "exposure",
        _same(EXPOSURES),
        _number("exposure_s", "exposure"),
        title="Exposure",
        explain="Which exposure time.",
        tolerance=STOP_TWELFTH,
    ),
    Attribute(
        "aperture",
        _same(APERTURES),
        _number("f_number", "aperture"),
        title="Aperture",
        explain="Which f-number.",
        tolerance=STOP_TWELFTH / 2,  # a stop is half an octave of the f-number
    ),
    Attribute(
        "iso",
        _same(ISOS),
        _number("iso", "iso"),
        title="ISO",
        explain="Which ISO speed.",
        tolerance=STOP_TWELFTH,
    ),
    Attribute(
        "focal_length",
        _same(FOCAL_LENGTHS),
        _number("focal_length_mm", "focal_length"),
        title="Focal length",
        explain="Which focal length.",
        tolerance=FOCAL_TOLERANCE,
    ),
    Attribute("flash", _same(FLASH_CLASSES), _flash, title="Flash", explain="Whether the flash fired."),
    Attribute("year", _same(YEARS), _year, title="Year", explain="Which year the photo was taken in."),
)
"""All attributes. Add yours at the end; the tags that it reads must be on the allow-list (``parser``)."""

ATTRIBUTES: Mapping[str, Attribute] = MappingProxyType({attribute.name: attribute for attribute in _ATTRIBUTES})
"""Every attribute by name."""

STUDY_ATTRIBUTES = (
    *("make", "model", "smartphone_model", "is_smartphone"),
    *("exposure", "aperture", "iso", "focal_length"),
)
"""The eight attributes of the study, whatever else is defined here: FlickrExif is built of them, since splits balanced
for further attributes would be other splits, and simulated cameras have these settings."""
