"""Names and types of devices: makers, models and device types by ``aliases.yaml``."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache, lru_cache
from pathlib import Path
from typing import Literal

from builders.exif.acquisition import Acquisition
from builders.files import read_package_yaml

UNKNOWN = "unknown"
"""Label of a photo without a value."""

OTHER = "other"
"""Label of a photo whose value is none of the classes."""

DEVICE_TYPES = ("phone", "camera", "tablet", "scanner", "drone", "software")


def canonical_make(acquisition: Acquisition) -> str:
    """The canonical name of the maker, the spelling of the file if the table lacks it, or ``UNKNOWN``.

    Samsung made cameras (later under the plain name) and makes phones: the device decides which maker is meant.

    >>> canonical_make(Acquisition(make="NIKON CORPORATION"))
    'NIKON'
    >>> canonical_make(Acquisition(make="SAMSUNG", model="NX300"))
    'SAMSUNG TECHWIN'
    >>> canonical_make(Acquisition(make="RICOH IMAGING COMPANY, LTD.", model="PENTAX K-1"))
    'PENTAX'
    """
    if acquisition.make is None:
        return UNKNOWN
    make = _make(acquisition.make)
    if make == "samsung" and device_type(acquisition) == "camera":
        return "SAMSUNG TECHWIN"
    model = " ".join((acquisition.model or "").split())
    return next((b.is_make for b in _tables().brands if b.make == make and b.model.search(model)), make)


def canonical_model(acquisition: Acquisition) -> str:
    """The canonical name of the body, the spelling of the file if the table lacks it, ``OTHER`` if it is generic.

    >>> canonical_model(Acquisition(model="Canon EOS REBEL T3i"))
    'Canon EOS 600D'
    >>> canonical_model(Acquisition(model="SAMSUNG-SM-N900A"))
    'SM-N900'
    """
    if acquisition.model is None:
        return UNKNOWN
    model = _tables().models.get(_key(acquisition.model)) or _without_variant(acquisition.model)
    return OTHER if _key(model) in _tables().generic else model


def known_make(make: str) -> bool:
    """True if the table has a maker by this name.

    >>> known_make("NIKON CORPORATION"), known_make("Acme")
    (True, False)
    """
    return _make(make) in _tables().devices


def device_type(acquisition: Acquisition) -> str:
    """One of ``DEVICE_TYPES``, ``OTHER`` (a music player, a watch) or ``UNKNOWN``.

    >>> device_type(Acquisition(make="Kodak", model="Kodak CLAS Digital Film Scanner / HR200"))
    'scanner'
    """
    return _device_type(acquisition.make or "", acquisition.model or "")


def device_type_of_name(name: str) -> str:
    """The device type of a device that is named by one text, with or without its maker, as in a list of pairs.

    Args:
        name: such as ``Canon EOS 5D``, ``Pixel 4`` or ``SM-S928B``.

    Returns:
        As ``device_type``; ``UNKNOWN`` where the table finds no maker for the name.

    >>> device_type_of_name("NIKON D90"), device_type_of_name("SM-S928B"), device_type_of_name("Model T")
    ('camera', 'phone', 'unknown')
    """
    model = " ".join(name.split())
    beginning = _beginning(model)
    maker = beginning[1] if beginning else ""
    if not maker:
        maker = next((make for make, pattern in _tables().makers_of_models if pattern.search(model)), "")
    # the rules are written for models with and without the maker's name before them
    types = [_device_type(maker, m) for m in (model, model[len(beginning[0]) :] if beginning else "") if m]
    return next((t for t in types if t != _tables().devices.get(maker)), types[0] if types else UNKNOWN)


def study_pair_type(name: str) -> Literal["phone", "camera"] | None:
    """What a device stands for in the pairs of the study's PairCams; None for a name that the table does not list.

    >>> study_pair_type("Pixel 4"), study_pair_type("XT1032"), study_pair_type("NIKON D90")
    ('phone', 'camera', None)
    """
    key = _key(name)
    return "phone" if key in _tables().study_phones else "camera" if key in _tables().study_cameras else None


def release_year(model: str) -> int | None:
    """The year in which a canonical model was released; None if the table lacks it."""
    return _tables().released.get(model)


def aliases_version() -> str:
    """Version of the tables, recorded in results and data sets."""
    return _tables().version


def alias_groups(names: tuple[str, ...]) -> tuple[tuple[str, ...], ...]:
    """Groups of ``names`` (of makes or models) that are several names of a single maker or device.

    >>> alias_groups(("Canon EOS 600D", "Canon EOS REBEL T3i", "NIKON D90"))
    (('Canon EOS 600D', 'Canon EOS REBEL T3i'),)
    """
    groups: dict[str, list[str]] = {}
    for name in names:
        model = _tables().models.get(_key(name))
        groups.setdefault(model if model is not None else _make(name), []).append(name)
    return tuple(tuple(group) for group in groups.values() if len(group) > 1)


def questionable_names(names: tuple[str, ...]) -> tuple[str, ...]:
    """Those of ``names`` that are no camera body or phone: scanners, generic names.

    >>> questionable_names(("CYBERSHOT", "iPhone X"))
    ('CYBERSHOT',)
    """
    wrong = ("scanner", "software")
    return tuple(n for n in names if _key(n) in _tables().generic or _device_type("", n) in wrong)


@dataclass(frozen=True)
class _Rule:
    type: str
    make: re.Pattern[str]
    model: re.Pattern[str]


@dataclass(frozen=True)
class _Brand:
    make: str
    model: re.Pattern[str]
    is_make: str


@dataclass(frozen=True)
class _Tables:
    version: str
    makes: tuple[tuple[str, str], ...]
    """(beginning of the name, canonical maker), longest first."""
    devices: Mapping[str, str]
    rules: tuple[_Rule, ...]
    models: Mapping[str, str]
    released: Mapping[str, int]
    generic: frozenset[str]
    variants: tuple[re.Pattern[str], ...]
    brands: tuple[_Brand, ...]
    study_phones: frozenset[str]
    study_cameras: frozenset[str]
    makers_of_models: tuple[tuple[str, re.Pattern[str]], ...]


@cache
def _tables() -> _Tables:
    table = read_package_yaml(Path(__file__).with_name("aliases.yaml"))
    makes = [(_key(name), make) for make, entry in table["makes"].items() for name in entry["names"]]
    models = {_key(n): model for model, entry in table["models"].items() for n in (model, *entry.get("names", ()))}
    return _Tables(
        version=table["version"],
        makes=tuple(sorted(makes, key=lambda pair: -len(pair[0]))),
        devices={make: entry["device"] for make, entry in table["makes"].items()},
        rules=tuple(
            _Rule(r["type"], re.compile(r.get("make", ""), re.I), re.compile(r.get("model", ""), re.I))
            for r in table["devices"]
        ),
        models=models,
        released={model: entry["released"] for model, entry in table["models"].items() if "released" in entry},
        generic=frozenset(_key(str(name)) for name in table["generic_models"]),
        variants=tuple(re.compile(pattern, re.I | re.A) for pattern in table["variants"]),
        study_phones=frozenset(_key(str(name)) for name in table["study_phones"]),
        study_cameras=frozenset(_key(str(name)) for name in table["study_cameras"]),
        makers_of_models=tuple((m["make"], re.compile(m["model"], re.I)) for m in table["makers_of_models"]),
        brands=tuple(_Brand(b["make"], re.compile(b["model"], re.I), b["is"]) for b in table["brands"]),
    )


@lru_cache(maxsize=65536)
def _make(name: str) -> str:
    beginning = _beginning(name)
    return beginning[1] if beginning else " ".join(name.split())


def _beginning(name: str) -> tuple[str, str] | None:
    """The longest beginning of a name that is a maker's, in lower case, and the canonical maker."""
    key = _key(name)
    for beginning, make in _tables().makes:
        if key.startswith(beginning) and not key[len(beginning) : len(beginning) + 1].isalnum():
            return beginning, make
    return None


@lru_cache(maxsize=65536)
def _without_variant(model: str) -> str:
    plain = " ".join(model.split())
    match = next(filter(None, (pattern.fullmatch(plain) for pattern in _tables().variants)), None)
    return match[1].upper() if match else plain


@lru_cache(maxsize=65536)
def _device_type(make: str, model: str) -> str:
    maker = _make(make) if make else ""
    model = " ".join(model.split())
    for rule in _tables().rules:
        if rule.make.search(maker) and rule.model.search(model):
            return rule.type
    return _tables().devices.get(maker, UNKNOWN)


def _key(name: str) -> str:
    return " ".join(name.casefold().split())
