"""Parameters of processing, their classes and processings, and the random choices for each photo.

The study's four parameters and 14 processings: Ramos et al., "Processing and acquisition traces in visual encoders",
ICCV 2025, section 3. A photo's random scale and random class follow from its id, whatever the order, batch size or
number of workers.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType

import numpy as np
from PIL import Image

from builders.pixels.processing import Processing as Processing
from builders.pixels.processing import Subsampling, unit_hash
from builders.pixels.processing import random_scale as random_scale


@dataclass(frozen=True)
class Parameter:
    """A question about processing: its classes, and the processing of each."""

    name: str
    classes: tuple[str, ...]
    made_by: tuple[Processing, ...]
    """The processing of each class, parallel to ``classes``. Two parameters may share one, as "none" is shared."""
    title: str = ""
    """Name for people."""
    explain: str = ""
    """The question in one sentence for people."""
    by_name: bool = False
    """True if it is used only where it is named: ``all`` and the tasks of a plain run leave it out."""

    @property
    def processings(self) -> tuple[str, ...]:
        """Names in ``PROCESSINGS``, parallel to ``classes``."""
        return tuple(processing.name for processing in self.made_by)

    def items(self) -> Iterator[tuple[str, Processing]]:
        """Each class with its processing."""
        return zip(self.classes, self.made_by, strict=True)

    @property
    def chance(self) -> float:
        """Expected accuracy of a guess."""
        return 1 / len(self.classes)

    @property
    def has_random_scale(self) -> bool:
        """True if a processing uses the random factor of a photo; data sets store it as ``scale``."""
        return any(processing.scale is None for processing in self.made_by)


BASELINE = Processing("jpeg-q95-444")
"""The processing that is also the class "none" of sharpening and of resizing."""

_CHROMA: tuple[Subsampling, ...] = ("4:2:0", "4:4:4")
_CODINGS = tuple((quality, chroma) for quality in (75, 85, 95) for chroma in _CHROMA)
_FINE_CODINGS = tuple((quality, chroma) for quality in range(75, 96, 2) for chroma in _CHROMA)
_FILTERS = ("bilinear", "bicubic", "lanczos", "box")


def _jpeg(quality: int, chroma: Subsampling) -> Processing:
    return Processing(f"jpeg-q{quality}-{chroma.replace(':', '')}", quality, chroma)


_PARAMETERS = (
    Parameter(
        "jpeg",
        tuple(f"q{quality}-{chroma.replace(':', '')}" for quality, chroma in _CODINGS),
        tuple(_jpeg(quality, chroma) for quality, chroma in _CODINGS),
        title="JPEG",
        explain="Which of 6 JPEG settings: quality 75, 85, 95 with and without chroma subsampling.",
    ),
    Parameter(
        "sharpening",
        ("none", "x2", "x4"),
        (BASELINE, *(Processing(f"sharpening-x{factor}", sharpness=factor) for factor in (2, 4))),
        title="Sharpening",
        explain="None, factor 2 or factor 4.",
    ),
    Parameter(
        "resizing",
        ("none", "x0.5", "x2"),
        (BASELINE, *(Processing(f"resizing-x{factor}", scale=factor) for factor in (0.5, 2))),
        title="Resizing",
        explain="None, half size or double size.",
    ),
    Parameter(
        "interpolation",
        _FILTERS,
        tuple(
            Processing(f"interpolation-{name}", scale=None, resample=Image.Resampling[name.upper()])
            for name in _FILTERS
        ),
        title="Interpolation",
        explain="Which filter resized the photo: bilinear, bicubic, Lanczos or box.",
    ),
    Parameter(
        "jpeg-fine",
        tuple(f"q{quality}-{chroma.replace(':', '')}" for quality, chroma in _FINE_CODINGS),
        tuple(_jpeg(quality, chroma) for quality, chroma in _FINE_CODINGS),
        title="JPEG, fine",
        explain="Which of 22 JPEG settings: quality 75 to 95 in steps of 2, with and without chroma subsampling.",
        by_name=True,
    ),
)
"""All parameters that are built in; everything else is derived from them. Add yours at the end."""


def processings_of(parameters: Iterable[Parameter]) -> dict[str, Processing]:
    """The different processings of some parameters by name, in their order.

    Raises:
        ValueError: two different processings of one name, or classes without a processing each.

    >>> list(processings_of([PARAMETERS["sharpening"], PARAMETERS["resizing"]]))
    ['jpeg-q95-444', 'sharpening-x2', 'sharpening-x4', 'resizing-x0.5', 'resizing-x2']
    """
    by_name: dict[str, Processing] = {}
    for parameter in parameters:
        if len(parameter.classes) != len(parameter.made_by):
            raise ValueError(f"{parameter.name}: as many processings as classes are needed")
        for processing in parameter.made_by:
            if by_name.setdefault(processing.name, processing) != processing:
                raise ValueError(f"{parameter.name}: there is another processing called {processing.name}")
    return by_name


BUILT_IN: Mapping[str, Parameter] = MappingProxyType({parameter.name: parameter for parameter in _PARAMETERS})
"""The parameters of this file, by name."""

_plain = {name: parameter for name, parameter in BUILT_IN.items() if not parameter.by_name}
_all_parameters, _parameters = dict(BUILT_IN), dict(_plain)
_all_processings, _processings = processings_of(_PARAMETERS), processings_of(_plain.values())

ALL_PARAMETERS: Mapping[str, Parameter] = MappingProxyType(_all_parameters)
"""Every parameter by name: ``BUILT_IN``, and those of the file in use."""

PARAMETERS: Mapping[str, Parameter] = MappingProxyType(_parameters)
"""Those of ``all`` and of a plain run: of the file in use, else those of ``BUILT_IN``."""

ALL_PROCESSINGS: Mapping[str, Processing] = MappingProxyType(_all_processings)
"""Every processing by name, in the order that banks store them."""

PROCESSINGS: Mapping[str, Processing] = MappingProxyType(_processings)
"""Those of the file in use, else those of ``PARAMETERS``."""

BUILT_IN_PROCESSINGS: Mapping[str, Processing] = MappingProxyType(dict(_processings))
"""Those of a plain run without a file, which self-tests of engines make."""


def put_in_use(parameters: Mapping[str, Parameter] | None, processings: Mapping[str, Processing] | None) -> None:
    """Change the four mappings above; None restores the built-in ones. ``use_processings`` calls it."""
    built_in = processings_of(BUILT_IN.values())
    for target, values in (
        (_all_parameters, {**BUILT_IN, **(parameters or {})}),
        (_parameters, _plain if parameters is None else parameters),
        (_all_processings, {**built_in, **(processings or {})}),
        (_processings, BUILT_IN_PROCESSINGS if processings is None else processings),
    ):
        target.clear()
        target.update(values)  # type: ignore[arg-type]


STUDY_PARAMETERS = ("jpeg", "sharpening", "resizing", "interpolation")
"""The four of the published study, whatever else is defined here."""

STUDY_PROCESSINGS = (
    *("jpeg-q75-420", "jpeg-q75-444", "jpeg-q85-420", "jpeg-q85-444", "jpeg-q95-420", "jpeg-q95-444"),
    *("sharpening-x2", "sharpening-x4", "resizing-x0.5", "resizing-x2"),
    *("interpolation-bilinear", "interpolation-bicubic", "interpolation-lanczos", "interpolation-box"),
)
"""Its 14 processings, written out because the codec canary depends on them and must not change with the registry."""


def assigned_class(photo_id: str, parameter: Parameter, seed: int = 0) -> int:
    """The class index of a photo in assignment ``seed``: uniform and independent of everything else.

    Builders and benchmark share it: a data set built with ``assignment="uniform"`` and seed s contains exactly the
    views on which assignment seed s of the probe trains.
    """
    return int(unit_hash(f"class/{parameter.name}", photo_id, seed) * len(parameter.classes))


def assigned_classes(photo_ids: Sequence[str], parameter: Parameter, seed: int = 0) -> np.ndarray:
    """``assigned_class`` of many photos: int64 [photos], ten times as fast as a call for each.

    >>> assigned_classes(["a", "b"], PARAMETERS["jpeg"]).tolist() == [
    ...     assigned_class(photo_id, PARAMETERS["jpeg"]) for photo_id in ("a", "b")]
    True
    """
    start = hashlib.blake2b(f"class/{parameter.name}\0{seed}\0".encode(), digest_size=8)
    digests = bytearray()
    for photo_id in photo_ids:
        digest = start.copy()
        digest.update(photo_id.encode("utf-8", "surrogateescape"))
        digests += digest.digest()
    units = (np.frombuffer(digests, dtype=">u8").astype(np.uint64) >> np.uint64(11)).astype(np.float64) * 2.0**-53
    return (units * len(parameter.classes)).astype(np.int64)


def in_share(photo_id: str, parameter: Parameter, share: float, seed: int = 0) -> bool:
    """True if a photo is in a random share of all photos, independent of its class. Smaller shares are subsets.

    >>> sum(in_share(str(i), PARAMETERS["jpeg"], 0.25) for i in range(1000))
    218
    """
    return unit_hash(f"share/{parameter.name}", photo_id, seed) < share


def hash_order(names: Sequence[str], parameter: Parameter, seed: int = 0) -> np.ndarray:
    """A random order by a hash of each name: int64 [names], positions in ``names``.

    >>> hash_order(["a", "b", "c"], PARAMETERS["jpeg"]).tolist()
    [1, 0, 2]
    """
    return np.argsort([unit_hash(f"order/{parameter.name}", name, seed) for name in names], kind="stable")
