"""A processing as a value: stages, each of which edits the picture and saves it as a file.

A photo's random numbers follow from its id and a seed, whatever the order, batch size or number of workers.
"""

from __future__ import annotations

import hashlib
from dataclasses import asdict, dataclass, fields, replace
from typing import Any, Literal, NamedTuple

from PIL import Image

Subsampling = Literal["4:2:0", "4:2:2", "4:4:4"]

SCALE_RANGE = (0.8, 1.2)
"""``interpolation`` resizes both sides by the same random factor from this half-open range."""

NumberRange = tuple[float, float]
"""(low, high) of a number that is drawn for each photo: uniform, whole if both ends are, then with ``high`` itself."""


@dataclass(frozen=True)
class EditStep:
    """An edit of the picture: ``EditStep("blur", (("radius", 1.5),))``. ``builders/pixels/edits.py`` carries it out."""

    kind: str
    values: tuple[tuple[str, Any], ...] = ()
    """(field, value) pairs, defaults included; a number may be a ``NumberRange``."""

    def __str__(self) -> str:
        return " ".join([self.kind, *(f"{name} {_written(value)}" for name, value in self.values if value is not None)])


class Fit(NamedTuple):
    """A resize to a size in pixels."""

    width: int | None
    height: int | None
    """None: as the other side requires."""
    rule: str = "fit"
    """``fit`` inside (width, height), ``outside`` them, both by one factor; or ``exact``, which may change shape."""
    enlarge: bool = False
    """Whether a picture may become larger."""

    def size(self, before: tuple[int, int]) -> tuple[int, int]:
        """(width, height) after the resize, each at least 1; sides that follow are rounded half up.

        >>> Fit(100, 100).size((300, 200)), Fit(100, 100, "outside").size((300, 200)), Fit(400, None).size((300, 200))
        ((100, 67), (150, 100), (300, 200))
        """
        factors = [wanted / side for wanted, side in zip(self[:2], before, strict=True) if wanted is not None]
        if self.rule == "exact":
            after = (self.width or before[0], self.height or before[1])
            return after if self.enlarge else (min(after[0], before[0]), min(after[1], before[1]))
        factor = max(factors) if self.rule == "outside" else min(factors)
        if factor >= 1 and not self.enlarge:
            return before
        width, height = (max(1, int(side * factor + 0.5)) for side in before)
        return width, height

    def __str__(self) -> str:
        sides = [f"{side} {what}" for side, what in zip(self[:2], ("wide", "high"), strict=True) if side is not None]
        return f"{' and '.join(sides)} ({self.rule}{', may enlarge' if self.enlarge else ''})"


_SAME_PIXELS = frozenset({"progressive", "optimize"})
"""Options of a JPEG file that change its bytes, not its pixels: entropy coding is lossless."""


@dataclass(frozen=True)
class Processing:
    """A named transformation: edits, sharpen, resize, then save as a file. The default is JPEG q95 4:4:4 alone.

    >>> Processing("webp-q50", 50, file_format="WEBP").suffix
    '.webp'
    >>> str(Processing("a", sharpness=2))
    'sharpened by 2; JPEG of quality 95, 4:4:4'
    >>> str(Processing("b", 80, before=(Processing("", 90, edits=(EditStep("greyscale"),)),)))
    'greyscale; JPEG of quality 90, 4:4:4; JPEG of quality 80, 4:4:4'
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
    """Format of the file, by Pillow's name: ``JPEG``, ``WEBP``, ``PNG``, ``AVIF``, ``HEIF``, ``JXL``, ..."""
    options: tuple[tuple[str, Any], ...] = ()
    """Further (option, value) pairs of Pillow's ``save``, such as ``("lossless", True)``."""
    random: tuple[tuple[str, NumberRange], ...] = ()
    """``quality``, ``sharpness`` and ``scale`` that are drawn for each photo."""
    fit: Fit | None = None
    """Size of the resize in pixels, in place of ``scale``."""
    edits: tuple[EditStep, ...] = ()
    """Steps before all of these."""
    before: tuple[Processing, ...] = ()
    """Earlier stages of a chain, without names: the photo is saved and opened that often before."""

    @property
    def suffix(self) -> str:
        """Extension of the file's name, with its dot."""
        return {"JPEG": ".jpg", "HEIF": ".heic"}.get(self.file_format, f".{self.file_format.lower()}")

    @property
    def saving(self) -> dict[str, Any]:
        """The arguments of Pillow's ``save``."""
        chroma = {"subsampling": self.subsampling} if self.file_format == "JPEG" else {}
        return {"format": self.file_format, "quality": self.quality, **chroma, **dict(self.options)}

    @property
    def is_plain_jpeg(self) -> bool:
        """Whether quality and subsampling alone decide the pixels of its file."""
        return self.file_format == "JPEG" and {name for name, _ in self.options} <= _SAME_PIXELS

    @property
    def resizes(self) -> bool:
        """Whether the last stage resizes after its edits."""
        return self.scale != 1 or self.fit is not None or any(name == "scale" for name, _ in self.random)

    @property
    def is_one_stage(self) -> bool:
        """Whether a request to an engine says all of it: no edits, no earlier stages, no numbers but a random scale."""
        return not (self.edits or self.before or self.random or self.fit)

    @property
    def is_random(self) -> bool:
        """Whether a photo's id and the seed decide a number of some stage."""
        of_edits = any(is_range(value) for edit in self.edits for _, value in edit.values)
        return self.scale is None or bool(self.random) or of_edits or any(stage.is_random for stage in self.before)

    @property
    def formats(self) -> frozenset[str]:
        """File formats of all stages, by Pillow's names."""
        return frozenset([self.file_format, *(stage.file_format for stage in self.before)])

    def key(self) -> dict[str, Any]:
        """Every field as JSON values. Later fields are left out at their defaults, so that older keys stay.

        >>> list(Processing("a").key())
        ['name', 'quality', 'subsampling', 'sharpness', 'scale', 'resample', 'file_format', 'options']
        """
        values = asdict(self)
        values["before"] = [stage.key() for stage in self.before]
        later = {f.name for f in fields(self)[8:] if getattr(self, f.name) == f.default}
        return {name: value for name, value in values.items() if name not in later}

    def drawn(self, photo_id: str, seed: int) -> Processing:
        """The processing with the numbers of a photo in the place of ranges.

        >>> random = Processing("a", random=(("quality", (60, 90)), ("scale", (0.5, 1.0))))
        >>> drawn = random.drawn("photo-1", 0)
        >>> 60 <= drawn.quality <= 90 and 0.5 <= drawn.scale < 1.0 and drawn == random.drawn("photo-1", 0)
        True
        """
        if not self.is_random:
            return self

        def number(value: Any, where: str) -> Any:
            return _drawn_number(value, f"range/{where}", photo_id, seed) if is_range(value) else value

        def stage(of: Processing, at: int) -> Processing:
            edits = tuple(
                EditStep(edit.kind, tuple((name, number(value, f"{at}/{i}/{name}")) for name, value in edit.values))
                for i, edit in enumerate(of.edits)
            )
            numbers: dict[str, Any] = {name: number(value, f"{at}/{name}") for name, value in of.random}
            if of.scale is None:
                numbers["scale"] = random_scale(photo_id, seed)
            return replace(of, edits=edits, random=(), **numbers)

        return replace(stage(self, len(self.before)), before=tuple(stage(s, i) for i, s in enumerate(self.before)))

    def __str__(self) -> str:
        """The steps, for people."""
        numbers: dict[str, Any] = {"quality": self.quality, "sharpness": self.sharpness, "scale": self.scale}
        of = {name: _written(value) for name, value in {**numbers, **dict(self.random)}.items()}
        steps = [str(stage) for stage in self.before] + [str(edit) for edit in self.edits]
        if of["sharpness"] != "1":
            steps.append(f"sharpened by {of['sharpness']}")
        if self.resizes:
            to = f"resized to {self.fit}" if self.fit is not None else f"both sides times {of['scale']}"
            steps.append(f"{to} ({self.resample.name.lower()}, antialiased)")
        chroma = f", {self.subsampling}" if self.file_format == "JPEG" else ""
        lossy = "" if self.file_format == "PNG" else f" of quality {of['quality']}"
        options = {name: "given" if isinstance(value, tuple) else value for name, value in self.options}
        further = "".join(f", {option}={value}" for option, value in options.items())
        return "; ".join([*steps, f"{self.file_format}{lossy}{chroma}{further}"])


def is_range(value: Any) -> bool:
    """Whether a number is drawn for each photo."""
    return isinstance(value, tuple) and len(value) == 2 and not isinstance(value[0], tuple)


def _drawn_number(value: NumberRange, purpose: str, photo_id: str, seed: int) -> float:
    """A number of a range for a photo: uniform, whole if both ends are whole numbers (``int``).

    >>> _drawn_number((3, 3), "a", "photo", 0)
    3
    """
    low, high = value
    unit = unit_hash(purpose, photo_id, seed)
    if isinstance(low, int) and isinstance(high, int):
        return low + int(unit * (high - low + 1))
    return low + (high - low) * unit


def _written(value: Any) -> str:
    if value is None:
        return "a random factor"
    if is_range(value):
        return f"{value[0]:g} to {value[1]:g}, random"
    return f"{value:g}" if isinstance(value, int | float) and not isinstance(value, bool) else str(value)


def random_scale(photo_id: str, seed: int = 0) -> float:
    """The random factor of a photo in ``SCALE_RANGE``, uniform over photos, the same for the four classes.

    >>> 0.8 <= random_scale("n01440764_36.JPEG") < 1.2
    True
    """
    low, high = SCALE_RANGE
    return low + (high - low) * unit_hash("scale", photo_id, seed)


def unit_hash(purpose: str, photo_id: str, seed: int) -> float:
    """A number in [0, 1) from the 53 high bits of BLAKE2b of (purpose, seed, photo id)."""
    message = f"{purpose}\0{seed}\0{photo_id}".encode("utf-8", "surrogateescape")
    return (int.from_bytes(hashlib.blake2b(message, digest_size=8).digest(), "big") >> 11) * 2.0**-53
