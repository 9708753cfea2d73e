"""Parameters of processing, their classes and processings, and the random choices for each photo.

The study's four parameters and 14 processings: Ramos et al., "Processing and acquisition traces in visual encoders",
ICCV 2025, section 3. A photo's random scale and random class follow from its id, whatever the order, batch size or
number of workers.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Literal

import numpy as np
from PIL import Image

Subsampling = Literal["4:2:0", "4:4:4"]

SCALE_RANGE = (0.8, 1.2)
"""``interpolation`` resizes both sides by the same random factor from this half-open range."""


@dataclass(frozen=True)
class Processing:
    """A named transformation: sharpen, resize, then save as a file. The default is JPEG q95 4:4:4 alone.

    >>> Processing("webp-q50", 50, file_format="WEBP").suffix
    '.webp'
    >>> str(Processing("a", sharpness=2))
    'sharpened by 2; JPEG of quality 95, 4:4:4'
    """

    name: str
    quality: int = 95
    """Quality of the file: 1..100 on the scale of the format's encoder (libjpeg's for JPEG)."""
    subsampling: Subsampling = "4:4:4"
    """Chroma of a JPEG file; other formats ignore it."""
    sharpness: float = 1.0
    """Factor of Pillow's ``ImageEnhance.Sharpness``; 1 applies nothing."""
    scale: float | None = 1.0
    """Factor on both sides; 1 applies nothing, ``None`` is the random factor of the photo from ``SCALE_RANGE``."""
    resample: Image.Resampling = Image.Resampling.BILINEAR
    """Filter of the resize, antialiased as Pillow does it."""
    file_format: str = "JPEG"
    """Format of the file, by Pillow's name: ``JPEG``, ``WEBP``, ``PNG``, ``AVIF``, ..."""
    options: tuple[tuple[str, str | int | bool], ...] = ()
    """Further (option, value) pairs of Pillow's ``save``, such as ``("lossless", True)``."""

    @property
    def suffix(self) -> str:
        """Extension of the file's name, with its dot."""
        return ".jpg" if self.file_format == "JPEG" else f".{self.file_format.lower()}"

    @property
    def saving(self) -> dict[str, str | int | bool]:
        """The arguments of Pillow's ``save``."""
        chroma = {"subsampling": self.subsampling} if self.file_format == "JPEG" else {}
        return {"format": self.file_format, "quality": self.quality, **chroma, **dict(self.options)}

    def __str__(self) -> str:
        """The steps, for people."""
        steps = [f"sharpened by {self.sharpness:g}"] if self.sharpness != 1 else []
        if self.scale != 1:
            factor = "a random factor" if self.scale is None else f"{self.scale:g}"
            steps.append(f"both sides times {factor} ({self.resample.name.lower()}, antialiased)")
        chroma = f", {self.subsampling}" if self.file_format == "JPEG" else ""
        further = "".join(f", {option}={value}" for option, value in self.options)
        return "; ".join([*steps, f"{self.file_format} of quality {self.quality}{chroma}{further}"])


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
"""All parameters; everything else about parameters and processings is derived from them. Add yours at the end."""


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


ALL_PARAMETERS: Mapping[str, Parameter] = MappingProxyType({parameter.name: parameter for parameter in _PARAMETERS})
"""Every parameter by name."""

PARAMETERS: Mapping[str, Parameter] = MappingProxyType({n: p for n, p in ALL_PARAMETERS.items() if not p.by_name})
"""Those of ``all`` and of a plain run."""

ALL_PROCESSINGS: Mapping[str, Processing] = MappingProxyType(processings_of(_PARAMETERS))
"""Every processing by name, in the order that banks store them."""

PROCESSINGS: Mapping[str, Processing] = MappingProxyType(processings_of(PARAMETERS.values()))
"""Those of ``PARAMETERS``."""

STUDY_PARAMETERS = ("jpeg", "sharpening", "resizing", "interpolation")
"""The four of the published study, whatever else is defined here."""

STUDY_PROCESSINGS = (
    *("jpeg-q75-420", "jpeg-q75-444", "jpeg-q85-420", "jpeg-q85-444", "jpeg-q95-420", "jpeg-q95-444"),
    *("sharpening-x2", "sharpening-x4", "resizing-x0.5", "resizing-x2"),
    *("interpolation-bilinear", "interpolation-bicubic", "interpolation-lanczos", "interpolation-box"),
)
"""Its 14 processings, written out because the codec canary depends on them and must not change with the registry."""


def random_scale(photo_id: str, seed: int = 0) -> float:
    """The random factor of a photo in ``SCALE_RANGE``, uniform over photos, the same for the four classes.

    >>> 0.8 <= random_scale("n01440764_36.JPEG") < 1.2
    True
    """
    low, high = SCALE_RANGE
    return low + (high - low) * _unit_hash("scale", photo_id, seed)


def assigned_class(photo_id: str, parameter: Parameter, seed: int = 0) -> int:
    """The class index of a photo in assignment ``seed``: uniform and independent of everything else.

    Builders and benchmark share it: a data set built with ``assignment="uniform"`` and seed s contains exactly the
    views on which assignment seed s of the probe trains.
    """
    return int(_unit_hash(f"class/{parameter.name}", photo_id, seed) * len(parameter.classes))


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
    return _unit_hash(f"share/{parameter.name}", photo_id, seed) < share


def hash_order(names: Sequence[str], parameter: Parameter, seed: int = 0) -> np.ndarray:
    """A random order by a hash of each name: int64 [names], positions in ``names``.

    >>> hash_order(["a", "b", "c"], PARAMETERS["jpeg"]).tolist()
    [1, 0, 2]
    """
    return np.argsort([_unit_hash(f"order/{parameter.name}", name, seed) for name in names], kind="stable")


def _unit_hash(purpose: str, photo_id: str, seed: int) -> float:
    """A number in [0, 1) from the 53 high bits of BLAKE2b of (purpose, seed, photo id)."""
    message = f"{purpose}\0{seed}\0{photo_id}".encode("utf-8", "surrogateescape")
    return (int.from_bytes(hashlib.blake2b(message, digest_size=8).digest(), "big") >> 11) * 2.0**-53
