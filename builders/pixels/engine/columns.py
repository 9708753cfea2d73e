"""Decoded columns -> preprocessed views, stripe by stripe, and whole pictures.

The horizontal pass of a resize takes whole columns, so it starts with the first columns, and only its results are
stored; the vertical pass follows at the end.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from builders.kernels import entry_point, jit
from builders.pixels.engine.filters import Weights, weighted_48, weighted_64
from builders.pixels.engine.lanes import LANES
from builders.pixels.engine.layout import ROW, STRIPE, Frame, from_planes, store_stripe


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
    """Number of columns that must be stored until the last result that needs them is made."""


class Output(NamedTuple):
    """Memory for the views of an encode."""

    windows: np.ndarray
    """uint8 [views, capacity, 3, 8, lanes]: rings of the latest columns of each view."""
    capacity: int
    results: np.ndarray
    """uint8 [views, result_size]: columns after the horizontal pass."""
    result_size: int
    images: np.ndarray
    """uint8 [views, image_size]: RGB bytes of the frame."""
    image_size: int
    """0 if whole pictures are not needed."""


@jit
def place(output: Output, view: int, stripe: int, column: int) -> int:
    """Offset of a stripe in the ring of its view."""
    return (view * output.capacity + stripe * STRIPE % output.capacity) * column


@jit
def emit(output: Output, view: int, stripe: int, made: np.ndarray, frame: Frame, columns: Columns) -> None:
    """Use a stripe that is in its ring, for the picture and for the results that it completes.

    ``made``: number of finished results of each view.
    """
    column = 24 * frame.lanes
    x = frame.left + stripe * STRIPE
    windows, results = output.windows, output.results
    if output.image_size:
        store_stripe(windows, place(output, view, stripe, column), frame, x, output.images, view * output.image_size)
    base = view * output.capacity * column
    ready = min(x + STRIPE, frame.right)
    i = made[view]
    while i < len(columns.first) and columns.first[i] + columns.number[i] <= ready:
        slot = (columns.first[i] - frame.left) % output.capacity
        number = min(columns.number[i], output.capacity - slot)
        rest = columns.number[i] - number
        source, start = base + slot * column, columns.start[i]
        target = view * output.result_size + columns.place[i] * column
        for at in range(0, column, 4 * LANES):
            here, go_on, to = source + at, base + at, target + at
            weighted_64(windows, here, number, windows, go_on, rest, column, columns.values, start, results, to)
        i += 1
    made[view] = i


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
        results, start: the columns, in whole stripes.
        frame: their rows; ``vertical`` counts rows from 0.
        width: number of columns.
        image, to, stride: memory of the rows, and the distance between them.
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
                for k in range(3 * (width - x)):
                    image[target + k] = result[k]
