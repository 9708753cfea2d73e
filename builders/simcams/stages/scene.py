"""Procedural scenes: no traces of a camera or codec, any size, one seed.

Dead leaves (opaque shapes that hide each other, radius density r^-3: Lee, Mumford & Huang, "Occlusion models for
natural images", IJCV 2001) have the edges, flats and 1/f spectrum of photos; colours follow those of natural scenes.
"""

from __future__ import annotations

import functools
import math
from dataclasses import dataclass

import numpy as np

SCENE_KINDS = ("leaves", "blocks", "fields", "weave")
"""Kinds of procedural scenes, which are their semantic labels."""

SUPERSAMPLING = 2
"""Shapes are drawn at this multiple of the resolution and averaged over pixel areas."""

COLOUR_SPREAD = (0.353, 0.0732, 0.0213)
"""Standard deviations of log10 l, alpha, beta over natural scenes (Ruderman, Cronin & Chiao, "Statistics of cone
responses to natural images", JOSA A 1998)."""

# Linear RGB -> LMS of Reinhard et al., "Color transfer between images", IEEE CG&A 2001, equation 4.
_LMS_FROM_RGB = np.array([[0.3811, 0.5783, 0.0402], [0.1967, 0.7244, 0.0782], [0.0241, 0.1288, 0.8444]])
_RGB_FROM_LMS = np.linalg.inv(_LMS_FROM_RGB)
_LMS_FROM_LAB = np.array([[1, 1, 1], [1, 1, -1], [1, -2, 0]]) / np.sqrt([3, 6, 2])

_SMALLEST_RADIUS = 2.0
_COVERAGE = 3.0


def paint(kind: str, height: int, width: int, rng: np.random.Generator) -> np.ndarray:
    """Paint a scene: linear light float32 [height, width, 3] in arbitrary units.

    Args:
        kind: one of ``SCENE_KINDS``.
        height: pixels.
        width: pixels.
        rng: of everything that is random.
    """
    s = SUPERSAMPLING
    drawing = draw(kind, height, width, rng)
    canvas = drawing.background.repeat(s, axis=0).repeat(s, axis=1)
    if drawing.pattern is not None:
        canvas *= drawing.pattern.factor(*canvas.shape[:2])[..., None]
    grain = drawing.grain.repeat(s, axis=0).repeat(s, axis=1)
    windows = drawing.shapes.windows(*canvas.shape[:2])
    for i in range(len(windows)):
        _paint_shape(canvas, grain, drawing.shapes, i, *(int(edge) for edge in windows[i]))
    return canvas.reshape(height, s, width, s, 3).mean(axis=(1, 3))


@dataclass(frozen=True)
class Shapes:
    """Opaque shapes in the order in which they are painted, lengths in samples (``SUPERSAMPLING`` per pixel)."""

    boxes: bool
    """Whether they are rectangles, not ellipses."""
    radius: np.ndarray
    """float64 [n]"""
    centre: np.ndarray
    """float64 [n, 2], y and x."""
    aspect: np.ndarray
    """float64 [n], factor of the width and divisor of the height."""
    angle: np.ndarray
    """float64 [n]"""
    colour: np.ndarray
    """float32 [n, 3]"""
    shade: np.ndarray
    """float64 [n, 2], logarithm of the light across and down."""
    stripes: np.ndarray
    """float64 [n], depth of the stripes; 0 for none."""
    offset: np.ndarray
    """int64 [n, 2], position in the grain at which a shape begins."""

    @property
    def flat(self) -> np.ndarray:
        """bool [n], shapes too small for a texture."""
        return self.radius < 8 * SUPERSAMPLING

    def windows(self, height: int, width: int) -> np.ndarray:
        """Bounds of each shape within a frame of that many samples, int64 [n, 4]: top, bottom, left, right."""
        reach = self.radius * np.maximum(self.aspect, 1 / self.aspect) * (1.42 if self.boxes else 1) + 1
        bounds = []
        for axis, length in enumerate((height, width)):
            first = np.maximum((self.centre[:, axis] - reach).astype(np.int64), 0)
            bounds += [first, np.minimum((self.centre[:, axis] + reach).astype(np.int64) + 1, length)]
        return np.stack(bounds, axis=1)


@dataclass(frozen=True)
class Weave:
    """Two crossed gratings whose period drifts over the frame: cloth, fences, facades."""

    angle: float
    bend: float
    period: np.ndarray
    """float64 [2], samples."""
    depth: np.ndarray
    """float64 [2]"""

    def factor(self, height: int, width: int) -> np.ndarray:
        """Factor on the background, around 1, float64 [height, width]."""
        y, x = np.mgrid[0:height, 0:width].astype(np.float32)
        u = x * math.cos(self.angle) + y * math.sin(self.angle)
        v = y * math.cos(self.angle) - x * math.sin(self.angle)
        phases = [
            (2 * np.pi * (w + self.bend * w * w)).astype(np.float64) / period
            for w, period in zip((u, v), self.period, strict=True)
        ]
        return 1 + self.depth[0] * np.sin(phases[0]) + self.depth[1] * np.sin(phases[1])


@dataclass(frozen=True)
class Drawing:
    """Everything random of a scene."""

    background: np.ndarray
    """float32 [height, width, 3]"""
    pattern: Weave | None
    """A factor on the background, per sample (``SUPERSAMPLING`` per pixel)."""
    grain: np.ndarray
    """Texture of the shapes, float32 [height, width]."""
    shapes: Shapes


def draw(kind: str, height: int, width: int, rng: np.random.Generator) -> Drawing:
    """Draw everything random that ``paint`` needs. Arguments as there."""
    s = SUPERSAMPLING
    background = _background(height, width, rng, slope=1.6 if kind == "fields" else 1.2)
    grain = np.exp(0.25 * one_over_f(height, width, rng, 0.9))
    pattern = _weave(max(height, width) * s, rng) if kind == "weave" else None
    largest = min(height, width) * s * {"leaves": 0.3, "blocks": 0.35, "fields": 0.2, "weave": 0.2}[kind]
    coverage = {"leaves": 1.0, "blocks": 1.0, "fields": 0.25, "weave": 0.15}[kind] * _COVERAGE
    return Drawing(
        background, pattern, grain, _shapes(height * s, width * s, rng, largest, coverage, boxes=kind == "blocks")
    )


def draw_illuminant(rng: np.random.Generator) -> tuple[float, float]:
    """Red and blue gains along the daylight locus: when one rises, the other falls, by about 8 % either way."""
    warmth = 0.08 * rng.standard_normal()
    return float(np.exp(-warmth)), float(np.exp(warmth))


def natural_colours(n: int, rng: np.random.Generator) -> np.ndarray:
    """``n`` positive linear RGB colours, float32 [n, 3], with the correlation of natural scenes."""
    lms = 10 ** ((rng.standard_normal((n, 3)) * COLOUR_SPREAD) @ _LMS_FROM_LAB.T)
    return np.maximum(lms @ _RGB_FROM_LMS.T, 0.01).astype(np.float32)


def one_over_f(height: int, width: int, rng: np.random.Generator, slope: float) -> np.ndarray:
    """A Gaussian field with amplitude spectrum 1/f^slope, mean 0, deviation 1, float32 [height, width]."""
    amplitude = _amplitude(height, width, slope)
    noise = rng.standard_normal((*amplitude.shape, 2))
    field = np.fft.irfft2((noise[..., 0] + 1j * noise[..., 1]) * amplitude, s=(height, width))
    return ((field - field.mean()) / field.std()).astype(np.float32)


@functools.lru_cache(maxsize=8)
def _amplitude(height: int, width: int, slope: float) -> np.ndarray:
    """1 / f^slope on the half plane of ``rfft2``, 0 at frequency 0."""
    radius = np.hypot(np.fft.fftfreq(height)[:, None], np.fft.rfftfreq(width)[None, :])
    radius[0, 0] = np.inf
    return radius**-slope


def radii(n: int, smallest: float, largest: float, rng: np.random.Generator) -> np.ndarray:
    """``n`` radii with a density proportional to r^-3 between two bounds, by inversion."""
    u = rng.random(n)
    return (smallest**-2 - u * (smallest**-2 - largest**-2)) ** -0.5


def _background(height: int, width: int, rng: np.random.Generator, slope: float) -> np.ndarray:
    """A cloudy field of two colours under a gradient from top to bottom."""
    light, dark = natural_colours(2, rng)
    mix = 1 / (1 + np.exp(-1.5 * one_over_f(height, width, rng, slope)))
    sky = np.linspace(rng.uniform(-0.8, 0.8), rng.uniform(-0.8, 0.8), height, dtype=np.float32)[:, None]
    rest, brightness = 1 - mix, np.exp(sky)
    return np.stack([(mix * light[c] + rest * dark[c]) * brightness for c in range(3)], axis=2)


def _weave(longer_side: int, rng: np.random.Generator) -> Weave:
    angle, bend = rng.uniform(0, math.pi), rng.uniform(-1, 1) / longer_side
    return Weave(angle, bend, SUPERSAMPLING * rng.uniform(5, 18, 2), rng.uniform(0.2, 0.45, 2))


def _shapes(height: int, width: int, rng: np.random.Generator, largest: float, coverage: float, boxes: bool) -> Shapes:
    """Shapes whose areas sum to ``coverage`` times the area of the frame."""
    smallest = _SMALLEST_RADIUS * SUPERSAMPLING
    mean_square = 2 * math.log(largest / smallest) / (smallest**-2 - largest**-2)
    n = round(coverage * height * width / (math.pi * mean_square))
    radius = radii(n, smallest, largest, rng)
    centre = rng.uniform(0, 1, (n, 2)) * [height, width]
    aspect = np.exp(rng.uniform(-0.7, 0.7, n)) if boxes else np.exp(rng.uniform(-0.35, 0.35, n))
    angle = rng.normal(0, 0.05, n) + rng.integers(0, 2, n) * math.pi / 2 if boxes else rng.uniform(0, math.pi, n)
    colour = natural_colours(n, rng)
    shade = rng.normal(0, 0.35, (n, 2))
    stripes = np.where(rng.random(n) < 0.25, rng.uniform(0.15, 0.5, n), 0)
    offset = rng.integers(0, [height, width], (n, 2))
    return Shapes(boxes, radius, centre, aspect, angle, colour, shade, stripes, offset)


def _paint_shape(
    canvas: np.ndarray, grain: np.ndarray, shapes: Shapes, i: int, top: int, bottom: int, left: int, right: int
) -> None:
    """Paint shape ``i`` over the canvas."""
    radius, centre, aspect, angle = shapes.radius[i], shapes.centre[i], shapes.aspect[i], shapes.angle[i]
    colour, shade, stripes, offset = shapes.colour[i], shapes.shade[i], shapes.stripes[i], shapes.offset[i]
    if top >= bottom or left >= right:
        return
    y = (np.arange(top, bottom, dtype=np.float32) - np.float32(centre[0]))[:, None] / np.float32(radius)
    x = (np.arange(left, right, dtype=np.float32) - np.float32(centre[1]))[None, :] / np.float32(radius)
    cos, sin = np.float32(math.cos(angle)), np.float32(math.sin(angle))
    u, v = (cos * x + sin * y) / np.float32(aspect), (cos * y - sin * x) * np.float32(aspect)
    inside = (np.maximum(abs(u), abs(v)) < 0.9) if shapes.boxes else (u * u + v * v < 1)
    window = canvas[top:bottom, left:right]
    if shapes.flat[i]:
        window[inside] = colour
        return
    texture = np.exp(np.float32(shade[0]) * u + np.float32(shade[1]) * v)
    if stripes:
        texture *= 1 + np.float32(stripes) * np.sign(np.sin(u * np.float32(radius / (2.5 * SUPERSAMPLING))))
    rows = (np.arange(bottom - top) + offset[0]) % grain.shape[0]
    columns = (np.arange(right - left) + offset[1]) % grain.shape[1]
    texture = texture * grain[rows[:, None], columns[None, :]]
    window[inside] = (texture[..., None] * colour)[inside]
