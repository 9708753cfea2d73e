"""The table of cameras: ``cameras.yaml``, or another file of its form."""

from __future__ import annotations

import dataclasses
import functools
import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from builders.errors import DataError, UsageError, unknown_name
from builders.files import read_package_yaml
from builders.simcams.camera import BAYER_PATTERNS, Body, Camera, JpegSettings, Lens, Pipeline
from builders.simcams.stages.develop import METHODS
from builders.simcams.stages.jpeg_file import quantisation_tables
from builders.untrusted import describe_error, parse_yaml, read_untrusted_text

Catalogue = tuple[Camera, ...]
Fields = Mapping[str, Any]

_PARTS = {"body": Body, "lens": Lens, "pipeline": Pipeline, "jpeg": JpegSettings}


@functools.cache
def bundled_catalogue() -> Catalogue:
    """The bundled cameras, 9 makes with 3 models each, in the order of the file."""
    path = Path(__file__).with_name("cameras.yaml")
    return _cameras(read_package_yaml(path), path.name)


def read_catalogue(path: Path) -> Catalogue:
    """Read a table of cameras.

    Args:
        path: of a YAML file in the form of ``cameras.yaml``.

    Raises:
        DataError: the file has another form, or a field is missing, unknown or out of range. The message names the
            camera.
    """
    return _cameras(parse_yaml(read_untrusted_text(path), path.name), path.name)


def _cameras(table: Any, name: str) -> Catalogue:
    """The cameras of a parsed file of that name."""
    try:
        kinds, makes = table["kinds"], table["makes"]
        cameras = tuple(
            _camera(make, str(model), kinds, make_fields, model_fields)
            for make, make_fields in makes.items()
            for model, model_fields in make_fields["models"].items()
        )
    except (KeyError, TypeError, AttributeError) as error:
        raise DataError(f"{name}: not a table of cameras ({describe_error(error)})") from None
    if len({camera.name for camera in cameras}) < len(cameras) or not cameras:
        raise DataError(f"{name}: no camera, or two of one make and model")
    return cameras


def camera_named(name: str, catalogue: Catalogue | None = None) -> Camera:
    """The camera with the name ``MAKE MODEL``.

    Args:
        name: of the camera.
        catalogue: to search in; the bundled one if absent.

    Raises:
        UsageError: there is no such camera; the message has the nearest name.

    >>> camera_named("Alderin A6").kind
    'phone'
    """
    by_name = {camera.name: camera for camera in (bundled_catalogue() if catalogue is None else catalogue)}
    if name not in by_name:
        raise unknown_name("camera", name, by_name)
    return by_name[name]


def _camera(make: str, model: str, kinds: Fields, make_fields: Fields, model_fields: Fields) -> Camera:
    """Fields of the model take precedence over those of the make, and those over the fields of the kind."""
    where = f"camera {make} {model}"
    kind = model_fields.get("kind")
    if kind not in kinds or kind not in ("phone", "compact", "dslr"):
        raise DataError(f"{where}: kind {kind!r} is not one of {', '.join(kinds)}")
    parts = {}
    for part, cls in _PARTS.items():
        values = {**kinds[kind].get(part, {}), **make_fields.get(part, {}), **model_fields.get(part, {})}
        parts[part] = _part(cls, values, f"{where}: {part}")
    camera = Camera(make, model, kind, **parts)
    _check(camera, where)
    return camera


def _part(cls: Any, values: Mapping[str, Any], where: str) -> Any:
    fields = {field.name: field for field in dataclasses.fields(cls)}
    required = {name for name, field in fields.items() if field.default is dataclasses.MISSING}
    for name in values:
        if name not in fields:
            raise DataError(f"{where}: {unknown_name('field', name, fields)}")
    if missing := required - set(values):
        raise DataError(f"{where}: no {', '.join(sorted(missing))}")
    return cls(**{name: _frozen(value) for name, value in values.items()})


def _frozen(value: Any) -> Any:
    return tuple(_frozen(v) for v in value) if isinstance(value, list) else value


def _is_finite(value: Any) -> bool:
    """Whether a value is a finite number, or a tuple of such values."""
    if isinstance(value, tuple):
        return all(map(_is_finite, value))
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)


def _check(camera: Camera, where: str) -> None:
    """Refuse values that cannot be rendered, or would be rendered wrongly without an error."""
    body, lens, pipeline, jpeg = camera.body, camera.lens, camera.pipeline, camera.jpeg
    parts: tuple[Any, ...] = (body, lens, pipeline, jpeg)
    for part in parts:
        for field in dataclasses.fields(part):
            if field.type != "str" and not _is_finite(getattr(part, field.name)):
                raise DataError(f"{where}: {field.name} is no finite number")
    if type(body.adc_bits) is not int or not 1 <= body.adc_bits <= 16:  # white_level is made of it
        raise DataError(f"{where}: adc_bits is not a whole number from 1 to 16")
    matrix = np.array(body.colour_matrix, dtype=float)
    problems = {
        "colour_matrix is not 3 x 3": matrix.shape != (3, 3),
        "the rows of colour_matrix do not sum to 1": matrix.shape == (3, 3) and not np.allclose(matrix.sum(1), 1),
        f"bayer is not one of {', '.join(BAYER_PATTERNS)}": body.bayer not in BAYER_PATTERNS,
        "full_well_e, pitch_um, base_iso must be above 0": min(body.full_well_e, body.pitch_um, body.base_iso) <= 0,
        "white_balance or lateral_ca does not have two values": {len(body.white_balance), len(lens.lateral_ca)} != {2},
        "crop_factor must be above 0": lens.crop_factor <= 0,
        "blur_px, luma_threshold or row_noise_share is below 0": min(
            lens.blur_px, pipeline.luma_threshold, body.row_noise_share
        )
        < 0,
        "black_level does not lie in the range of adc_bits": not 0 <= body.black_level < body.white_level,
        "a noise is below 0": min(body.read_noise_e, body.downstream_noise_e, body.prnu, body.dark_e_per_s) < 0,
        "shading_correction is not in [0, 1]": not 0 <= lens.shading_correction <= 1,
        "distortion is beyond 5 %": max(abs(lens.distortion_wide), abs(lens.distortion_tele)) > 0.05,
        f"demosaic is not one of {', '.join(METHODS)}": pipeline.demosaic not in METHODS,
        "chroma_levels is not 0 to 3": pipeline.chroma_levels not in (0, 1, 2, 3),
        "contrast is not in [0, 1]": not 0 <= pipeline.contrast <= 1,
        "sharpen_radius_px must be above 0": pipeline.sharpen_radius_px <= 0,
        "subsampling is not 4:4:4, 4:2:2 or 4:2:0": jpeg.subsampling not in ("4:4:4", "4:2:2", "4:2:0"),
        "scales are not whole per cents above 0": not jpeg.scales
        or any(scale <= 0 or scale != int(scale) for scale in jpeg.scales),
    }
    for problem, present in problems.items():
        if present:
            raise DataError(f"{where}: {problem}")
    try:
        quantisation_tables(jpeg.table)
    except UsageError as error:
        raise DataError(f"{where}: {error}") from None
