"""From light on the pixels to digital numbers: photons, fixed patterns, read-out, gain, clipping.

The noise model is EMVA 1288's (variance = K^2 sigma_dark^2 + quantisation + K (mean - dark)) with row noise added
(Wei et al., "A physics-based noise formation model for extreme low-light raw denoising", CVPR 2020).
"""

from __future__ import annotations

import collections
import threading
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from builders.simcams.camera import Body, Camera, Settings
from builders.simcams.random_numbers import generator


@dataclass(frozen=True)
class Raw:
    """A raw file: the mosaic and the values that its development needs."""

    dn: np.ndarray
    """uint16 [height, width], black pedestal included."""
    white_balance: np.ndarray
    """As-shot gains of red, green and blue."""
    white_e: float
    """Electrons at white, which determine the noise of the shot."""


@dataclass(frozen=True)
class FixedPattern:
    """Constant errors of each pixel of one unit."""

    sensitivity: np.ndarray
    """1 + PRNU, float32 [height, width]."""
    dark_e_per_s: np.ndarray
    """Dark signal rate, float32 [height, width]."""


def read_out(
    exposure: np.ndarray,
    camera: Camera,
    settings: Settings,
    unit: int,
    rng: np.random.Generator,
    white_balance: np.ndarray | None = None,
) -> Raw:
    """Convert the exposure of a shot to digital numbers.

    Order: photo response of each pixel, dark signal, Poisson, full well, read and row noise, gain, pedestal, rounding,
    clipping.

    Args:
        exposure: relative exposure, float32 [height, width]; 1 is white at this ISO.
        camera: with the sensor.
        settings: of the shot.
        unit: number of the body.
        rng: of the noise.
        white_balance: gains of red, green and blue; those of the camera if absent.
    """
    body = camera.body
    height, width = exposure.shape
    pattern = fixed_pattern(camera, unit, height, width)
    white_e = body.white_e(settings.iso)
    expected = exposure * pattern.sensitivity * np.float32(white_e)
    expected += pattern.dark_e_per_s * np.float32(settings.exposure_s)
    electrons = np.minimum(rng.poisson(expected), body.full_well_e).astype(np.float32)
    read_noise = body.total_read_noise_e(settings.iso)
    electrons += np.float32(read_noise) * rng.standard_normal((height, width), dtype=np.float32)
    electrons += np.float32(read_noise * body.row_noise_share) * rng.standard_normal((height, 1), dtype=np.float32)
    dn = np.rint(electrons * np.float32(body.gain_dn_per_e(settings.iso)) + np.float32(body.black_level))
    np.clip(dn, 0, body.white_level, out=dn)
    gains = np.array([body.white_balance[0], 1.0, body.white_balance[1]]) if white_balance is None else white_balance
    return Raw(dn.astype(np.uint16), gains, white_e)


PATTERN_BYTES = 3 << 25
"""Fixed patterns cached in a process: of 192 units at 256 x 256 pixels; the bundled cameras have 162, six each."""

Normals = Callable[[int, np.random.Generator], np.ndarray]
"""``rng.standard_normal(count, dtype=float32)``, or a faster function with the same results."""


def _numpy_normals(count: int, rng: np.random.Generator) -> np.ndarray:
    return rng.standard_normal(count, dtype=np.float32)


_patterns: collections.OrderedDict[tuple[Camera, int, int, int], FixedPattern] = collections.OrderedDict()
_patterns_lock = threading.Lock()


def fixed_pattern(
    camera: Camera, unit: int, height: int, width: int, normals: Normals = _numpy_normals
) -> FixedPattern:
    """The fixed pattern of one unit of a camera: the same for every shot, different for every unit and sensor size.

    The most recently used patterns are cached, up to ``PATTERN_BYTES``.

    Args:
        camera: with the sensor.
        unit: number of the body.
        height: of the frame, pixels.
        width: of the frame, pixels.
        normals: generates normal numbers for a pattern that is not cached.
    """
    key = (camera, unit, height, width)
    with _patterns_lock:  # threads of a build share it
        if key not in _patterns:
            _patterns[key] = _new_pattern(*key, normals)
            while len(_patterns) > max(1, PATTERN_BYTES // (8 * height * width)):
                _patterns.popitem(last=False)
        _patterns.move_to_end(key)
        return _patterns[key]


def _new_pattern(camera: Camera, unit: int, height: int, width: int, normals: Normals) -> FixedPattern:
    body: Body = camera.body
    rng = generator("fixed pattern", camera.name, unit, height, width)
    sensitivity = 1 + np.float32(body.prnu) * normals(height * width, rng).reshape(height, width)
    dark = np.float32(body.dark_e_per_s) * rng.standard_exponential((height, width), dtype=np.float32)
    return FixedPattern(np.maximum(sensitivity, 0), dark)
