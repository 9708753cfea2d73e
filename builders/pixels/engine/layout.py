"""Memory layout of pictures inside the engine, and conversion from and to RGB rows.

Column by column, the three colours of a column one after the other, and in each the rows 8 b + p at [p, b]: eight
phases of ``lanes`` rows. Neighbours in memory are then rows that are 8 apart, which belong to different blocks of the
codec: a vector has the same coefficient of 16 blocks, and only the vertical resize moves values between lanes. Colour c
of column x is "plane" 3 x + c, so that planes in order are an interleaved row.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from builders.kernels import entry_point, jit
from builders.pixels.engine.lanes import LANES, Index, Lanes, Memory, kernel

STRIPE = 16
"""Columns that are processed together: a minimum coded unit of 4:2:0."""

ROW = 3 * STRIPE
"""Bytes of a row of a stripe."""

SLACK = 256
"""Further bytes at the end of a buffer, since vectors reach over the end of short rows."""


class Frame(NamedTuple):
    """A part of a picture: whole stripes and pairs of blocks, except at the edges of the picture."""

    width: int
    """Width of the picture."""
    height: int
    """Height of the picture."""
    left: int
    """First column, a multiple of 16."""
    top: int
    """First row, a multiple of 16."""
    right: int
    """One past the last column, a multiple of 16 or the picture's width."""
    bottom: int
    """One past the last row, a multiple of 16 or the picture's height."""
    lanes: int
    """Blocks of eight rows, rounded up to whole vectors."""


def transposed(rows: Sequence[Lanes]) -> list[Lanes]:
    """16 rows of 16 -> 16 columns, by four rounds of interleaving."""
    lanes = list(rows)
    for _ in range(4):
        lanes = [half for i in range(8) for half in lanes[i].interleaved(lanes[i + 8])]
    return lanes


@kernel
def transpose(source: Memory, row: Index, target: Memory, column: Index) -> None:
    """16 x 16 bytes; ``row`` and ``column`` are the distances between the vectors of source and target."""
    for i, lanes in enumerate(transposed([source.at(row * i).raw() for i in range(LANES)])):
        target.at(column * i).store(lanes)


@jit
def to_planes(rows: np.ndarray, start: int, stride: int, planes: np.ndarray, to: int, lanes: int) -> None:
    """16 rows of 16 RGB pixels, ``stride`` apart -> one vector in each of 48 planes."""
    for part in range(3):
        transpose(rows, start + part * LANES, stride, planes, to + part * LANES * 8 * lanes, 8 * lanes)


@jit
def from_planes(planes: np.ndarray, start: int, lanes: int, rows: np.ndarray, to: int, stride: int) -> None:
    """The inverse of ``to_planes``."""
    for part in range(3):
        transpose(planes, start + part * LANES * 8 * lanes, 8 * lanes, rows, to + part * LANES, stride)


@entry_point
def load_frame(image: np.ndarray, frame: Frame, planes: np.ndarray) -> None:
    """RGB bytes of a whole picture -> a frame; beyond the edge, the last column and row are repeated."""
    width, height, lanes = frame.width, frame.height, frame.lanes
    corner = np.empty(LANES * ROW, np.uint8)
    for x in range(frame.left, frame.right, STRIPE):
        for phase in range(8):
            for lane in range(0, lanes, LANES):
                to = (x - frame.left) * 24 * lanes + phase * lanes + lane
                y = frame.top + 8 * lane + phase
                if x + STRIPE <= width and y + 8 * (LANES - 1) < height:
                    to_planes(image, (y * width + x) * 3, 24 * width, planes, to, lanes)
                    continue
                whole = 3 * min(STRIPE, width - x)
                for i in range(LANES):
                    here = corner[i * ROW : (i + 1) * ROW]
                    row = image[(min(y + 8 * i, height - 1) * width + x) * 3 :]
                    for j in range(whole):
                        here[j] = row[j]
                    for j in range(whole, ROW):
                        here[j] = here[j - 3]
                to_planes(corner, 0, ROW, planes, to, lanes)


@jit
def store_stripe(planes: np.ndarray, start: int, frame: Frame, x: int, image: np.ndarray, to: int) -> None:
    """Write the stripe at column ``x`` into the RGB bytes of the frame, which begin at ``to``."""
    lanes, width = frame.lanes, frame.right - frame.left
    height, left = frame.bottom - frame.top, x - frame.left
    corner = np.empty(LANES * ROW, np.uint8)
    for phase in range(8):
        for lane in range(0, lanes, LANES):
            y = 8 * lane + phase
            source = start + phase * lanes + lane
            if left + STRIPE <= width and y + 8 * (LANES - 1) < height:
                from_planes(planes, source, lanes, image, to + (y * width + left) * 3, 24 * width)
                continue
            from_planes(planes, source, lanes, corner, 0, ROW)
            for i in range(LANES):
                if y + 8 * i < height:
                    for j in range(3 * min(STRIPE, width - left)):
                        image[to + ((y + 8 * i) * width + left) * 3 + j] = corner[i * ROW + j]
