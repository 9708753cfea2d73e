"""The 14 processings and the 4 parameters whose classes they are, and what of them belongs to each photo.

Definitions: Ramos et al., "Processing and acquisition traces in visual encoders", ICCV 2025, section 3. A photo's
random scale and random class follow from its id, whatever the order, batch size or number of workers.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Literal

from PIL import Image

Subsampling = Literal["4:2:0", "4:4:4"]


SCALE_RANGE = (0.8, 1.2)
"""``interpolation`` resizes both sides by one random factor from this half-open range."""


@dataclass(frozen=True)
class Processing:
    """One transformation with a name: (sharpen or resize), then JPEG. The default is JPEG q95 4:4:4 alone."""

    name: str
    quality: int = 95
    """JPEG quality, 1..95 in the study, libjpeg's scale."""
    subsampling: Subsampling = "4:4:4"
    sharpness: float = 1.0
    """Factor of Pillow's ``ImageEnhance.Sharpness``; 1 applies nothing."""
    scale: float | None = 1.0
    """Factor on both sides; 1 applies nothing, ``None`` means the photo's own random factor from ``SCALE_RANGE``."""
    resample: Image.Resampling = Image.Resampling.BILINEAR
    """Filter of the resize, antialiased as Pillow does it."""


@dataclass(frozen=True)
class Parameter:
    """One question about processing: its classes, and the processing that makes each."""

    name: str
    classes: tuple[str, ...]
    processings: tuple[str, ...]
    """Names in ``PROCESSINGS``, parallel to ``classes``."""

    @property
    def chance(self) -> float:
        """Expected accuracy of a guess."""
        return 1 / len(self.classes)


def _processings() -> dict[str, Processing]:
    jpeg = [
        Processing(f"jpeg-q{quality}-{subsampling.replace(':', '')}", quality, subsampling)
        for quality in (75, 85, 95)
        for subsampling in ("4:2:0", "4:4:4")
    ]
    sharpening = [Processing(f"sharpening-x{factor}", sharpness=factor) for factor in (2, 4)]
    resizing = [Processing(f"resizing-x{factor}", scale=factor) for factor in (0.5, 2)]
    interpolation = [
        Processing(f"interpolation-{name}", scale=None, resample=Image.Resampling[name.upper()])
        for name in ("bilinear", "bicubic", "lanczos", "box")
    ]
    return {p.name: p for p in (*jpeg, *sharpening, *resizing, *interpolation)}


PROCESSINGS: Mapping[str, Processing] = MappingProxyType(_processings())
"""The 14 distinct processings by name, in the order that banks store them."""


BASELINE = "jpeg-q95-444"
"""The processing that is also the class "none" of sharpening and of resizing."""


PARAMETERS: Mapping[str, Parameter] = MappingProxyType(
    {
        p.name: p
        for p in (
            Parameter(
                "jpeg", ("q75-420", "q75-444", "q85-420", "q85-444", "q95-420", "q95-444"), tuple(PROCESSINGS)[:6]
            ),
            Parameter("sharpening", ("none", "x2", "x4"), (BASELINE, "sharpening-x2", "sharpening-x4")),
            Parameter("resizing", ("none", "x0.5", "x2"), (BASELINE, "resizing-x0.5", "resizing-x2")),
            Parameter("interpolation", ("bilinear", "bicubic", "lanczos", "box"), tuple(PROCESSINGS)[10:]),
        )
    }
)
"""The 4 parameters by name."""


def random_scale(photo_id: str, seed: int = 0) -> float:
    """The photo's own factor in ``SCALE_RANGE``, uniform over photos, the same for the four classes.

    >>> 0.8 <= random_scale("n01440764_36.JPEG") < 1.2
    True
    """
    low, high = SCALE_RANGE
    return low + (high - low) * _unit_hash("scale", photo_id, seed)


def assigned_class(photo_id: str, parameter: Parameter, seed: int = 0) -> int:
    """The class index that assignment ``seed`` gives to a photo: uniform and independent of everything else.

    Builders and benchmark share it: a data set built with ``assignment="uniform"`` and seed s holds exactly the views
    that assignment seed s of the probe trains on.
    """
    return int(_unit_hash(f"class/{parameter.name}", photo_id, seed) * len(parameter.classes))


def _unit_hash(purpose: str, photo_id: str, seed: int) -> float:
    """A number in [0, 1) from the 53 high bits of BLAKE2b of (purpose, seed, photo id)."""
    message = f"{purpose}\0{seed}\0{photo_id}".encode("utf-8", "surrogateescape")
    return (int.from_bytes(hashlib.blake2b(message, digest_size=8).digest(), "big") >> 11) * 2.0**-53
