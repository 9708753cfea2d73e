"""Views of a photo, stripe by stripe: transform, encode once, decode for each quality, preprocess.

A stripe of 16 columns passes all steps before the next one starts, so that the data stay in the processor's cache for
photos of any size.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from builders.kernels import entry_point, jit
from builders.pixels.engine import colour, dct
from builders.pixels.engine.colour import rgb_to_ycc, ycc_to_rgb
from builders.pixels.engine.columns import Columns, Output, emit, place
from builders.pixels.engine.dct import Tables
from builders.pixels.engine.filters import Weights, across, sharpen_stripe, weighted_48
from builders.pixels.engine.lanes import LANES
from builders.pixels.engine.layout import ROW, SLACK, STRIPE, Frame, from_planes, to_planes

AS_IT_IS, SHARPENED, RESIZED = 0, 1, 2
"""Kinds of ``Transformation``."""


class Transformation(NamedTuple):
    """Change of the photo before the JPEG encode."""

    kind: int
    factor: int
    """If it is sharpened."""
    horizontal: Weights
    """If it is resized."""
    vertical: Weights


@entry_point
def render_views(
    transformation: Transformation,
    photo: np.ndarray,
    loaded: Frame,
    frame: Frame,
    tables: Tables,
    wanted: np.ndarray,
    columns: Columns,
    output: Output,
) -> None:
    """JPEG round trips of a transformed photo.

    Args:
        transformation: applied once for all views.
        photo, loaded: planes of a part of the photo (``layout.load_frame``), and that part.
        frame: the part of the transformed picture to make.
        tables: of the qualities.
        wanted: uint8 [qualities, 2]: 1 where 4:4:4 and 4:2:0 are to be made. Each 1 is a view.
        columns: of the preprocessings.
        output: memory for the views.
    """
    lanes = frame.lanes
    plane, column = 8 * lanes, 24 * lanes
    full, half = wanted[:, 0].any(), wanted[:, 1].any()
    qualities = len(wanted)
    kind = transformation.kind
    tile = np.empty(STRIPE * column + SLACK, np.uint8)
    rows = _scratch(kind == RESIZED, 8 * (lanes + loaded.lanes) * ROW)
    narrow = _scratch(kind == RESIZED, STRIPE * 24 * loaded.lanes)
    ycc = np.empty(3 * STRIPE * plane + SLACK, np.uint8)
    coefficients = np.empty(3 * STRIPE * plane, np.int16)
    decoded = np.empty(2 * STRIPE * plane + SLACK, np.uint8)
    luma = np.empty(qualities * 2 * STRIPE * plane + SLACK, np.uint8)  # of this stripe and the one before
    work = np.empty(64 * LANES, np.int32)
    stripes = (frame.right - frame.left + STRIPE - 1) // STRIPE
    c = _half_geometry(frame, half)
    small = np.empty(2 * 8 * c.plane, np.uint8)
    small_coefficients = np.empty(2 * 8 * c.plane, np.int16)
    chromas = np.empty(qualities * 2 * stripes * 8 * c.plane + SLACK, np.uint8)
    triangle = np.empty(2 * STRIPE * 8 * c.full_lanes + SLACK, np.uint8)
    made = np.zeros(2 * qualities, np.int64)
    for stripe in range(stripes + (1 if half else 0)):
        if stripe < stripes:
            x = frame.left + stripe * STRIPE
            source, at = tile, 0
            if kind == SHARPENED:
                sharpen_stripe(photo, loaded, x, transformation.factor, tile)
            elif kind == RESIZED:
                _resize_stripe(photo, loaded, frame, transformation, x, narrow, rows, tile)
            else:
                source, at = photo, (x - loaded.left) * column
            for i in range(STRIPE):
                for y in range(0, plane, LANES):
                    rgb_to_ycc(source, at + i * column + y, plane, ycc, i * plane + y, STRIPE * plane)
            for k in range(3 if full else 1):
                dct.forward(ycc, k * STRIPE * plane, STRIPE, lanes, coefficients, k * STRIPE * plane, work)
            if half:
                for k in range(2):
                    to = k * 8 * c.plane
                    colour.downsample(ycc, (k + 1) * STRIPE * plane, lanes, small, to, c.lanes, c.rows)
                    dct.forward(small, to, 8, c.lanes, small_coefficients, to, work)
        view = 0
        for q in range(qualities):
            table = q * 128
            bright = (q * 2 + stripe % 2) * STRIPE * plane
            if stripe < stripes:
                dct.inverse(coefficients, 0, STRIPE, lanes, tables, table, luma, bright, work)
            if wanted[q, 0]:
                if stripe < stripes:
                    for k in range(2):
                        start, to = (k + 1) * STRIPE * plane, k * STRIPE * plane
                        dct.inverse(coefficients, start, STRIPE, lanes, tables, table + 64, decoded, to, work)
                    _to_rgb(luma, bright, decoded, lanes, output.windows, place(output, view, stripe, column), lanes)
                    emit(output, view, stripe, made, frame, columns)
                view += 1
            if wanted[q, 1]:
                base = q * 2 * stripes * 8 * c.plane
                if stripe < stripes:
                    for k in range(2):
                        start, to = k * 8 * c.plane, base + (k * stripes + stripe) * 8 * c.plane
                        dct.inverse(small_coefficients, start, 8, c.lanes, tables, table + 64, chromas, to, work)
                        for j in range(8):
                            colour.extend(chromas, to + j * c.plane, c.lanes, c.rows)
                if stripe > 0:  # the triangle filter reads the next stripe
                    before = stripe - 1
                    for k in range(2):
                        start, to = base + k * stripes * 8 * c.plane, k * STRIPE * 8 * c.full_lanes
                        _upsample(chromas, start, before * 8, c, triangle, to)
                    bright = (q * 2 + before % 2) * STRIPE * plane
                    to = place(output, view, before, column)
                    _to_rgb(luma, bright, triangle, c.full_lanes, output.windows, to, lanes)
                    emit(output, view, before, made, frame, columns)
                view += 1


class _Half(NamedTuple):
    """Chroma at half size."""

    rows: int
    columns: int
    lanes: int
    plane: int
    full_lanes: int
    """Lanes after upsampling: whole pairs of vectors."""
    fancy: bool
    """True if the triangle filter is used: not for pictures of at most two chroma columns (jdsample.c)."""


@jit
def _half_geometry(frame: Frame, wanted: bool) -> _Half:
    rows = (frame.bottom - frame.top + 1) // 2
    columns = (frame.right - frame.left + 1) // 2
    lanes = (rows + 7) // 8 + 1  # a lane that no picture fills: colour.extend
    lanes = (lanes + LANES - 1) // LANES * LANES if wanted else 0
    full_lanes = (frame.lanes + 2 * LANES - 1) // (2 * LANES) * 2 * LANES if wanted else 0
    return _Half(rows, columns, lanes, 8 * lanes, full_lanes, (frame.width + 1) // 2 > 2)


@jit
def _scratch(needed: bool, size: int) -> np.ndarray:
    return np.empty(size + SLACK if needed else 0, np.uint8)


@jit
def _upsample(chromas: np.ndarray, start: int, first: int, c: _Half, full: np.ndarray, to: int) -> None:
    """Upsample eight chroma columns from ``first`` on."""
    for j in range(first, min(first + 8, c.columns)):
        near = start + j * c.plane
        target = to + (j - first) * 2 * 8 * c.full_lanes
        if c.fancy:
            left = start + max(j - 1, 0) * c.plane
            right = start + min(j + 1, c.columns - 1) * c.plane
            colour.upsample(chromas, left, near, right, c.lanes, full, target, c.full_lanes)
        else:
            colour.replicate(chromas, near, c.lanes, full, target, c.full_lanes)


@jit
def _to_rgb(
    luma: np.ndarray, start: int, chromas: np.ndarray, lanes: int, rgb: np.ndarray, to: int, luma_lanes: int
) -> None:
    """Convert a stripe; chroma [2, 16, 8, lanes] may have longer rows of lanes than luma."""
    plane = 8 * luma_lanes
    for i in range(STRIPE):
        for phase in range(8):
            for lane in range(0, luma_lanes, LANES):
                y = start + i * plane + phase * luma_lanes + lane
                cb = (i * 8 + phase) * lanes + lane
                cr = cb + STRIPE * 8 * lanes
                a = to + i * 3 * plane + phase * luma_lanes + lane
                ycc_to_rgb(luma, y, chromas, cb, chromas, cr, rgb, a, plane)


@jit
def _resize_stripe(
    photo: np.ndarray,
    loaded: Frame,
    frame: Frame,
    transformation: Transformation,
    x: int,
    narrow: np.ndarray,
    rows: np.ndarray,
    tile: np.ndarray,
) -> None:
    """Make the stripe at column ``x`` of the resized picture: horizontal pass, then vertical pass."""
    horizontal, vertical = transformation.horizontal, transformation.vertical
    start = -loaded.left * 24 * loaded.lanes
    for i in range(STRIPE):
        across(photo, start, loaded.lanes, horizontal, min(x + i, frame.width - 1), narrow, i * 24 * loaded.lanes)
    for phase in range(8):
        for lane in range(0, loaded.lanes, LANES):
            from_planes(narrow, phase * loaded.lanes + lane, loaded.lanes, rows, (8 * lane + phase) * ROW, 8 * ROW)
    down = 8 * loaded.lanes * ROW
    for y in range(frame.top, min((frame.bottom + 15) & ~15, frame.top + 8 * frame.lanes)):
        row = min(y, frame.height - 1)
        source = (vertical.first[row] - loaded.top) * ROW
        to = down + (y - frame.top) * ROW
        weighted_48(rows, source, ROW, vertical.values, row * vertical.taps, vertical.number[row], rows, to)
    for phase in range(8):
        for lane in range(0, frame.lanes, LANES):
            to_planes(rows, down + (8 * lane + phase) * ROW, 8 * ROW, tile, phase * frame.lanes + lane, frame.lanes)
