"""Views of one photo, stripe by stripe: transform, encode once, decode for each quality, resize as columns get ready.

A stripe of 16 columns goes through everything before the next one starts, so that what is being worked on stays in the
processor's cache whatever the size of the photo.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from builders.engine import chroma, dct
from builders.engine.colour import rgb_to_ycc, ycc_to_rgb
from builders.engine.compiled import entry_point, jit
from builders.engine.lanes import LANES
from builders.engine.layout import SLACK, STRIPE, Frame, from_planes, store_stripe, to_planes
from builders.engine.quantise import Tables
from builders.engine.resample import Weights, across, weighted_48, weighted_64
from builders.engine.sharpen import sharpen_stripe

AS_IT_IS, SHARPENED, RESIZED = 0, 1, 2
"""What happens to the photo before the JPEG encode."""

ROW = 3 * STRIPE
"""Bytes of one row of a stripe."""


class Columns(NamedTuple):
    """Columns of the horizontal pass of all preprocessings of a view, in the order in which they can be made."""

    first: np.ndarray
    """int64 [columns]: first input column."""
    number: np.ndarray
    """int64 [columns]: number of inputs."""
    start: np.ndarray
    """int64 [columns]: its first weight in ``values``."""
    place: np.ndarray
    """int64 [columns]: its column in the result."""
    values: np.ndarray
    """int32: weights times 2**22."""
    reach: int
    """Largest ``number``."""


@entry_point
def render(
    kind: int,
    photo: np.ndarray,
    loaded: Frame,
    frame: Frame,
    horizontal: Weights,
    vertical: Weights,
    factor: int,
    tables: Tables,
    wanted: np.ndarray,
    columns: Columns,
    windows: np.ndarray,
    capacity: int,
    results: np.ndarray,
    result_size: int,
    images: np.ndarray,
    image_size: int,
) -> None:
    """JPEG round trips of one transformed photo.

    Args:
        kind: the transformation.
        photo, loaded: planes of the photo (``layout.load``), and which part of it they hold.
        frame: the part of the transformed picture that is made.
        horizontal, vertical: weights if it is resized.
        factor: if it is sharpened.
        tables: of the qualities.
        wanted: uint8 [qualities, 2]: whether 4:4:4 and 4:2:0 are made. Each one is a view.
        columns: of the preprocessings.
        windows: uint8 [views, capacity, 3, 8, lanes]: the latest columns of each view.
        results: uint8 [views, result_size]: columns after the horizontal pass.
        images: uint8 [views, image_size]: RGB bytes of the frame; not made if ``image_size`` is 0.
    """
    lanes = frame.lanes
    plane, column = 8 * lanes, 24 * lanes
    full, half = wanted[::2].any(), wanted[1::2].any()
    qualities = len(wanted) // 2
    tile = np.empty(STRIPE * column + SLACK, np.uint8)
    resized = _scratch(kind == RESIZED, 8 * (lanes + loaded.lanes) * ROW)
    narrow = _scratch(kind == RESIZED, STRIPE * 24 * loaded.lanes)
    ycc = np.empty(3 * STRIPE * plane + SLACK, np.uint8)
    coefficients = np.empty(3 * STRIPE * plane, np.int16)
    decoded = np.empty(2 * STRIPE * plane + SLACK, np.uint8)
    luma = np.empty(qualities * 2 * STRIPE * plane + SLACK, np.uint8)
    work = np.empty(64 * LANES, np.int32)
    stripes = (frame.right - frame.left + STRIPE - 1) // STRIPE
    c = _half_geometry(frame, half)
    small = np.empty(2 * 8 * c.plane, np.uint8)
    small_coefficients = np.empty(2 * 8 * c.plane, np.int16)
    chromas = np.empty(qualities * 2 * stripes * 8 * c.plane + SLACK, np.uint8)
    triangle = np.empty(2 * STRIPE * 8 * c.full_lanes + SLACK, np.uint8)
    state = np.zeros(
        (2 * qualities, 3), np.int64
    )  # of each view: first column in its window, columns in it, next result
    state[:, 0] = frame.left
    for stripe in range(stripes + (1 if half else 0)):
        x = frame.left + stripe * STRIPE
        if stripe < stripes:
            source, at = photo, (x - loaded.left) * column
            if kind == SHARPENED:
                sharpen_stripe(photo, loaded, x, factor, tile)
                source, at = tile, 0
            elif kind == RESIZED:
                _resize_stripe(photo, loaded, frame, horizontal, vertical, x, narrow, resized, tile)
                source, at = tile, 0
            for i in range(STRIPE):
                for y in range(0, plane, LANES):
                    rgb_to_ycc(source, at + i * column + y, plane, ycc, i * plane + y, STRIPE * plane)
            for k in range(3 if full else 1):
                dct.forward(ycc, k * STRIPE * plane, STRIPE, lanes, coefficients, k * STRIPE * plane, work)
            if half:
                for k in range(2):
                    to = k * 8 * c.plane
                    chroma.downsample(ycc, (k + 1) * STRIPE * plane, lanes, small, to, c.lanes, c.rows)
                    dct.forward(small, to, 8, c.lanes, small_coefficients, to, work)
        view = 0
        for q in range(qualities):
            bright = (q * 2 + stripe % 2) * STRIPE * plane
            table = q * 128
            if stripe < stripes:
                dct.inverse(coefficients, 0, STRIPE, lanes, tables, table, luma, bright, work)
            if wanted[2 * q]:
                if stripe < stripes:
                    for k in range(2):
                        start, to = (k + 1) * STRIPE * plane, k * STRIPE * plane
                        dct.inverse(coefficients, start, STRIPE, lanes, tables, table + 64, decoded, to, work)
                    to = _place(state, view, windows, capacity, column, columns.reach)
                    _to_rgb(luma, bright, decoded, 0, lanes, windows, to, lanes)
                    _emit(windows, view, capacity, state, frame, x, columns, results, result_size, images, image_size)
                view += 1
            if wanted[2 * q + 1]:
                base = q * 2 * stripes * 8 * c.plane
                if stripe < stripes:
                    for k in range(2):
                        to = base + (k * stripes + stripe) * 8 * c.plane
                        dct.inverse(
                            small_coefficients, k * 8 * c.plane, 8, c.lanes, tables, table + 64, chromas, to, work
                        )
                        for j in range(8):
                            chroma.extend(chromas, to + j * c.plane, c.lanes, c.rows)
                if stripe > 0:  # the triangle filter looks into the next stripe
                    for k in range(2):
                        start = base + k * stripes * 8 * c.plane
                        _upsample(chromas, start, (stripe - 1) * 8, c, triangle, k * STRIPE * 8 * c.full_lanes)
                    before = (q * 2 + (stripe - 1) % 2) * STRIPE * plane
                    to = _place(state, view, windows, capacity, column, columns.reach)
                    _to_rgb(luma, before, triangle, 0, c.full_lanes, windows, to, lanes)
                    _emit(
                        windows,
                        view,
                        capacity,
                        state,
                        frame,
                        x - STRIPE,
                        columns,
                        results,
                        result_size,
                        images,
                        image_size,
                    )
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
    """Whether the triangle filter is used: not for pictures of at most two chroma columns (jdsample.c)."""


@jit
def _half_geometry(frame: Frame, wanted: bool) -> _Half:
    rows = (frame.bottom - frame.top + 1) // 2
    columns = (frame.right - frame.left + 1) // 2
    lanes = (rows + 7) // 8 + 1  # one that no picture fills: chroma.extend
    lanes = (lanes + LANES - 1) // LANES * LANES if wanted else 0
    full_lanes = (frame.lanes + 2 * LANES - 1) // (2 * LANES) * 2 * LANES if wanted else 0
    return _Half(rows, columns, lanes, 8 * lanes, full_lanes, (frame.width + 1) // 2 > 2)


@jit
def _scratch(needed: bool, size: int) -> np.ndarray:
    return np.empty(size + SLACK if needed else 0, np.uint8)


@jit
def _upsample(chromas: np.ndarray, start: int, first: int, c: _Half, full: np.ndarray, to: int) -> None:
    """The eight chroma columns from ``first`` on."""
    for j in range(first, min(first + 8, c.columns)):
        near = start + j * c.plane
        target = to + (j - first) * 2 * 8 * c.full_lanes
        if c.fancy:
            left = start + max(j - 1, 0) * c.plane
            right = start + min(j + 1, c.columns - 1) * c.plane
            chroma.upsample(chromas, left, near, right, c.lanes, full, target, c.full_lanes)
        else:
            chroma.replicate(chromas, near, c.lanes, full, target, c.full_lanes)


@jit
def _to_rgb(
    luma: np.ndarray, start: int, chromas: np.ndarray, at: int, lanes: int, rgb: np.ndarray, to: int, luma_lanes: int
) -> None:
    """One stripe; chroma [2, 16, 8, lanes] may have longer rows of lanes than luma."""
    plane = 8 * luma_lanes
    for i in range(STRIPE):
        for phase in range(8):
            for lane in range(0, luma_lanes, LANES):
                y = start + i * plane + phase * luma_lanes + lane
                cb = at + (i * 8 + phase) * lanes + lane
                cr = cb + STRIPE * 8 * lanes
                a = to + i * 3 * plane + phase * luma_lanes + lane
                ycc_to_rgb(luma, y, chromas, cb, chromas, cr, rgb, a, plane)


@jit
def _place(state: np.ndarray, view: int, windows: np.ndarray, capacity: int, column: int, reach: int) -> int:
    """Where the next stripe goes; columns that no result needs any more make room."""
    base = view * capacity * column
    filled = state[view, 1]
    if filled + STRIPE > capacity:
        keep = min(filled, reach)
        begin = base + (filled - keep) * column
        for i in range(keep * column):  # towards the front, so overlap does no harm
            windows[base + i] = windows[begin + i]
        state[view, 0] += filled - keep
        state[view, 1] = filled = keep
    return base + filled * column


@jit
def _emit(
    windows: np.ndarray,
    view: int,
    capacity: int,
    state: np.ndarray,
    frame: Frame,
    x: int,
    columns: Columns,
    results: np.ndarray,
    result_size: int,
    images: np.ndarray,
    image_size: int,
) -> None:
    """Hand on the stripe at column ``x``, which lies at the end of its window."""
    lanes = frame.lanes
    column = 24 * lanes
    base = view * capacity * column
    if image_size:
        store_stripe(windows, base + state[view, 1] * column, frame, x, images, view * image_size)
    state[view, 1] += min(STRIPE, frame.right - x)
    ready = state[view, 0] + state[view, 1]
    i = state[view, 2]
    while i < len(columns.first) and columns.first[i] + columns.number[i] <= ready:
        source = base + (columns.first[i] - state[view, 0]) * column
        target = view * result_size + columns.place[i] * column
        for at in range(0, column, 4 * LANES):
            weighted_64(
                windows, source + at, column, columns.values, columns.start[i], columns.number[i], results, target + at
            )
        i += 1
    state[view, 2] = i


@jit
def _resize_stripe(
    photo: np.ndarray,
    loaded: Frame,
    frame: Frame,
    horizontal: Weights,
    vertical: Weights,
    x: int,
    narrow: np.ndarray,
    rows: np.ndarray,
    tile: np.ndarray,
) -> None:
    """The stripe at column ``x`` of the resized picture: across, then down."""
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


@entry_point
def finish(
    results: np.ndarray,
    start: int,
    frame: Frame,
    width: int,
    vertical: Weights,
    first: int,
    after: int,
    image: np.ndarray,
    to: int,
    stride: int,
) -> None:
    """The vertical pass of a preprocessing: columns -> rows ``first`` to ``after`` of RGB bytes.

    Args:
        results, start: the columns, as many as whole stripes hold.
        frame: what they were made of; ``vertical`` counts its rows from 0.
        width: columns wanted.
        image, to, stride: where the rows go, and the distance between them.
    """
    lanes = frame.lanes
    rows = np.empty(8 * lanes * ROW, np.uint8)
    result = np.empty(ROW, np.uint8)
    for x in range(0, width, STRIPE):
        for phase in range(8):
            for lane in range(0, lanes, LANES):
                planes = start + x * 24 * lanes + phase * lanes + lane
                from_planes(results, planes, lanes, rows, (8 * lane + phase) * ROW, 8 * ROW)
        for y in range(first, after):
            source, taps = (vertical.first[y] - frame.top) * ROW, vertical.taps
            target = to + (y - first) * stride + 3 * x
            if x + STRIPE <= width:
                weighted_48(rows, source, ROW, vertical.values, y * taps, vertical.number[y], image, target)
            else:
                weighted_48(rows, source, ROW, vertical.values, y * taps, vertical.number[y], result, 0)
                image[target : target + 3 * (width - x)] = result[: 3 * (width - x)]
