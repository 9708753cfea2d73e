"""Names and types of devices: makers, models and device types by ``aliases.yaml``."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache, lru_cache
from pathlib import Path

from builders.exif.acquisition import Acquisition
from builders.files import read_package_yaml

UNKNOWN = "unknown"
"""Label of a photo without a value."""

OTHER = "other"
"""Label of a photo whose value is none of the classes."""

DEVICE_TYPES = ("phone", "camera", "scanner", "drone", "software")


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
    """One of ``DEVICE_TYPES``, ``OTHER`` (a tablet) or ``UNKNOWN``.

    >>> device_type(Acquisition(make="Kodak", model="Kodak CLAS Digital Film Scanner / HR200"))
    'scanner'
    """
    return _device_type(acquisition.make or "", acquisition.model or "")


def study_phones() -> frozenset[str]:
    """Device names, in lower case, that stand for the phone of a pair in the study's PairCams.

    >>> "pixel 4" in study_phones(), "xt1032" in study_phones()
    (True, False)
    """
    return _tables().study_phones


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
        brands=tuple(_Brand(b["make"], re.compile(b["model"], re.I), b["is"]) for b in table["brands"]),
    )


@lru_cache(maxsize=65536)
def _make(name: str) -> str:
    key = _key(name)
    for beginning, make in _tables().makes:
        if key.startswith(beginning) and not key[len(beginning) : len(beginning) + 1].isalnum():
            return make
    return " ".join(name.split())


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
