"""``PathSpec``: one way from a photo's bytes to its embedding, as ``--a decoder=opencv,resize=squash`` states it."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, fields, replace
from typing import Any

from benchmark.encoders import ANTIALIAS, FILTERS, LIBRARIES
from benchmark.extras.diff.decoders import COLOURS, DECODERS, ORIENTATIONS, require_decoder
from benchmark.options import DTYPES, PREPROCESS, RUNTIMES
from builders.errors import UsageError, unknown_name
from builders.pixels import ALL_PROCESSINGS

Transform = Callable[[Any], Any]
"""RGB ``PIL.Image`` -> the network's input, as the user's own code makes it."""


def _key(default: str, choices: tuple[str, ...] = ()) -> Any:
    return field(default=default, metadata={"choices": choices})


@dataclass(frozen=True)
class PathSpec:
    """A way to an embedding; each field is a step, and its default is what camtrace does."""

    decoder: str = _key("pillow", DECODERS)
    orientation: str = _key("upright", ORIENTATIONS)
    colour: str = _key("rgb", COLOURS)
    resize: str = _key("own", PREPROCESS)
    """The rule: as ``--preprocess`` of ``camtrace score``."""
    library: str = _key("own", LIBRARIES)
    """What carries out resize and crop."""
    filter: str = _key("own", FILTERS)
    antialias: str = _key("own", ANTIALIAS)
    runtime: str = _key("auto", RUNTIMES)
    dtype: str = _key("float32", DTYPES)
    model: str = _key("")
    """Another specification of the encoder, such as another library's, or ``embeddings:FILE``; empty: the request's."""
    processing: str = _key("")
    """A processing of the decoded photo, such as ``jpeg-75-420``; empty for none."""
    transform: Transform | None = None
    """The user's own preprocessing, instead of resize, library, filter and antialias (Python only)."""

    def text(self, base: PathSpec | None = None) -> str:
        """The steps in which it differs from ``base`` (camtrace's own way by default), as on the command line."""
        before = PathSpec() if base is None else base
        changed = [name for name in _DEFAULTS if getattr(self, name) != getattr(before, name)]
        parts = [f"{name}={getattr(self, name)}" for name in changed]
        if self.transform != before.transform:
            parts.append(f"transform={getattr(self.transform, '__name__', type(self.transform).__name__)}")
        return ",".join(parts) or ("as camtrace does it" if base is None else "the same as A")

    def record(self) -> dict[str, str]:
        """Its fields as JSON values."""
        more = {} if self.transform is None else {"transform": self.text().rpartition("transform=")[2]}
        return {name: getattr(self, name) for name in _DEFAULTS} | more


_DEFAULTS: dict[str, str] = {f.name: str(f.default) for f in fields(PathSpec) if "choices" in f.metadata}
_CHOICES: dict[str, tuple[str, ...]] = {f.name: f.metadata["choices"] for f in fields(PathSpec) if f.name in _DEFAULTS}
_OTHER_NAMES = {
    "decoder": {"cv2": "opencv", "pil": "pillow", "PIL": "pillow", "torch": "torchvision", "turbojpeg": "simplejpeg"}
}
"""By step, what people call some of its values."""
_NEXT = re.compile(rf",(?=(?:{'|'.join(_DEFAULTS)}|\w+)=)")


def parse_path(given: str | Mapping[str, str] | Transform | PathSpec, base: PathSpec = PathSpec()) -> PathSpec:
    """A path from a text, a mapping of the same names, or a function from a picture to the network's input.

    Args:
        given: what differs from ``base``.
        base: the steps that are not given.

    Raises:
        UsageError: an unknown name or value, with the nearest one, or a decoder that is not installed.

    >>> parse_path("decoder=opencv,model=weights:a.pt?mean=0.5,0.4,0.3").model
    'weights:a.pt?mean=0.5,0.4,0.3'
    >>> parse_path({"resize": "squash"}).text()
    'resize=squash'
    """
    if isinstance(given, PathSpec):
        return given
    if isinstance(given, str):
        values = {}
        for part in _NEXT.split(given.strip()) if given.strip() else ():
            name, equals, value = part.partition("=")
            if not equals:
                raise UsageError(
                    f"{given!r}: write steps as NAME=VALUE with commas, such as decoder=opencv,resize=squash"
                )
            values[name.strip()] = value.strip()
    elif isinstance(given, Mapping):
        values = {str(name): str(value) for name, value in given.items()}
    elif callable(given):
        return replace(base, transform=given)
    else:
        raise UsageError(f"{type(given).__name__} is no path: give a text, a mapping, or a function of a picture")
    for name, value in values.items():
        if name not in _DEFAULTS:
            raise unknown_name("step of a path", name, _DEFAULTS)
        if _CHOICES[name] and value not in _CHOICES[name]:
            raise unknown_name(f"value of {name}=", value, _CHOICES[name], other_names=_OTHER_NAMES.get(name, {}))
    if (processing := values.get("processing")) and processing not in ALL_PROCESSINGS:
        raise unknown_name("value of processing=", processing, ALL_PROCESSINGS)
    named: dict[str, Any] = values
    path = replace(base, **named)
    if path.colour == "srgb" and path.decoder != "pillow":
        raise UsageError(f"colour=srgb goes with decoder=pillow, not with {path.decoder}")
    require_decoder(path.decoder)
    return path


def steps_between(a: PathSpec, b: PathSpec) -> dict[str, PathSpec]:
    """By its text, each step in which ``b`` differs from ``a``, taken alone; empty if it differs in one at most.

    >>> list(steps_between(PathSpec(), parse_path("decoder=opencv,colour=bgr")))
    ['decoder=opencv', 'colour=bgr']
    """
    names = [f.name for f in fields(PathSpec) if getattr(a, f.name) != getattr(b, f.name)]
    alone = [replace(a, **{name: getattr(b, name)}) for name in names] if len(names) > 1 else []
    return {path.text(a): path for path in alone}
