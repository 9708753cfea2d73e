"""Photos that are a part of another one: crops anywhere, squares, pictures under a caption; mirrored and inverted too.

Each photo keeps a small grey picture (``thumb``). The perceptual hashes of many windows of it are compared with those
of every other whole picture; a pair whose hashes are near counts if the window and the picture agree in their pixels.
The transform of a window is linear in the picture, so no window is cut out.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import combinations, pairwise

import numpy as np
from PIL import Image

from builders.splits.near_duplicates import MAX_DISTANCE, distances, hashes_of_coefficients
from builders.splits.variants import orientations

THUMB = 32
"""Pixels of each side of a thumb."""

WINDOW_SHARES = (1.0, 0.95, 0.9, 0.85, 0.8, 0.75, 0.7)
"""Shares of a side that windows keep."""

WINDOW_STEP = 0.025
"""Between two windows of one share, in shares of the side."""

EDGE_STEP = 0.0125
"""Between the shares of windows at an end of one side, with the whole of the other: a caption was added."""

COMPARED_SIDE = 16
"""Pixels of each side of the windows that are compared at last."""

LEAST_AGREEMENT = 0.95
"""Correlation of a whole picture and a window of another one, from which on it may be that window."""

LEAST_STRUCTURE = 6.0
"""Standard deviation of grey values (0 to 255) of a thumb that is compared: parts of flat pictures are alike."""

_BATCH = 64
"""Photos whose windows are hashed at once."""


def thumb(grey: Image.Image) -> np.ndarray:
    """A grey picture in small, of any shape: uint8 [THUMB, THUMB]."""
    return np.asarray(grey.resize((THUMB, THUMB), Image.Resampling.BOX), dtype=np.uint8)


def _places() -> list[list[tuple[float, float]]]:
    """Start and end of windows along one side: a list for each share, and one of the further shares at an end.

    The places of every second list lie between those of the first: windows of each list in both directions are a
    grid and the centres of its cells.
    """
    grids = []
    for share in WINDOW_SHARES:
        starts = np.linspace(0, 1 - share, round((1 - share) / WINDOW_STEP) + 1)
        grids += [(share, row) for row in (starts, (starts[1:] + starts[:-1]) / 2) if len(row)]
    further = np.arange(WINDOW_SHARES[-1], 1, EDGE_STEP).round(4)
    at_ends = [(share, (0.0, 1 - share)) for share in further[~np.isin(further, WINDOW_SHARES)].tolist()]
    places = [[(float(start), float(start + share)) for start in row] for share, row in grids]
    return [*places, [(start, start + share) for share, row in at_ends for start in row]]


def _cosines(start: float, end: float) -> np.ndarray:
    """The lowest cosines of an interval, integrated over each pixel of a thumb: float32 [8, THUMB]."""
    edges = np.clip(np.arange(THUMB + 1) / THUMB, start, end)
    length = end - start
    waves = [(edges - start) / length / 2**0.5]
    waves += [np.sin(np.pi * u * (edges - start) / length) / (np.pi * u) for u in range(1, 8)]
    return np.diff(np.stack(waves), axis=1).astype(np.float32)


def _means(start: float, end: float) -> np.ndarray:
    """Weights of the pixels of a thumb in the pixels of a compared window: float32 [COMPARED_SIDE, THUMB]."""
    cells = start + (end - start) * np.arange(COMPARED_SIDE + 1) / COMPARED_SIDE
    edges = np.arange(THUMB + 1) / THUMB
    shared = np.minimum(cells[1:, None], edges[None, 1:]) - np.maximum(cells[:-1, None], edges[None, :-1])
    return (np.maximum(shared, 0) * COMPARED_SIDE / (end - start)).astype(np.float32)


_PLACES = _places()
_INTERVALS = [interval for places in _PLACES for interval in places]
_COSINES = np.concatenate([_cosines(*interval) for interval in _INTERVALS])
_MEANS = np.stack([_means(*interval) for interval in _INTERVALS])


def _blocks() -> list[tuple[range, range]]:
    """Intervals (vertical, horizontal) whose windows are hashed together: of one list, or over a whole side."""
    ends = np.cumsum([len(places) for places in _PLACES]).tolist()
    grids = [range(end - len(places), end) for end, places in zip(ends[:-1], _PLACES[:-1], strict=True)]
    parts = range(1, ends[-1])
    return [*((one, one) for one in grids), (parts, range(1)), (range(1), parts)]


_BLOCKS = _blocks()
_WINDOWS = np.array([(y, x) for rows, columns in _BLOCKS for y in rows for x in columns])
"""int64 [windows, 2], intervals (vertical, horizontal) of each."""


def part_pairs(thumbs: np.ndarray) -> np.ndarray:
    """Pairs of photos of which the first is, mirrored or inverted or as it is, a part of the second.

    Args:
        thumbs: uint8 [photos, THUMB, THUMB]; all 0 where a photo cannot be decoded.

    Returns:
        int64 [pairs, 2], each pair once.
    """
    with_structure = np.flatnonzero(thumbs.reshape(len(thumbs), -1).std(axis=1) >= LEAST_STRUCTURE)
    thumbs = thumbs[with_structure]
    tables = _Tables(_whole_hashes(thumbs))
    found = [np.zeros((0, 2), dtype=np.int64)]
    for start in range(0, len(thumbs), _BATCH):
        batch = thumbs[start : start + _BATCH]
        for whole, code in tables.near(_window_hashes(batch)):
            photo, window = code // len(_WINDOWS), code % len(_WINDOWS)
            part, form = whole // _FORMS, whole % _FORMS
            other = part != photo + start
            part, form, photo, window = part[other], form[other], photo[other], window[other]
            agrees = _agreement(thumbs[part], form, batch[photo], window) >= LEAST_AGREEMENT
            found.append(np.stack([part[agrees], photo[agrees] + start], axis=1))
    return with_structure[np.unique(np.concatenate(found), axis=0)]


_FORMS = 4
"""Of a whole picture: upright, mirrored, inverted, inverted and mirrored."""


def _whole_hashes(thumbs: np.ndarray) -> np.ndarray:
    """uint64 [photos * _FORMS]."""
    if not len(thumbs):
        return np.zeros(0, dtype=np.uint64)
    whole = _COSINES[:8]
    low = orientations(whole @ thumbs.astype(np.float32) @ whole.T)[:, :2]
    return hashes_of_coefficients(np.concatenate([low, -low], axis=1)).ravel()


def _window_hashes(thumbs: np.ndarray) -> np.ndarray:
    """uint64 [photos * windows]."""
    hashes = []
    pixels = thumbs.astype(np.float32)
    for rows, columns in _BLOCKS:
        down, across = (_COSINES[8 * part.start : 8 * part.stop] for part in (rows, columns))
        low = (down @ pixels @ across.T).reshape(len(thumbs), len(rows), 8, len(columns), 8).swapaxes(2, 3)
        hashes.append(_hashes(low.reshape(-1, 64)).reshape(len(thumbs), -1))
    return np.concatenate(hashes, axis=1).ravel()


def _hashes(low: np.ndarray) -> np.ndarray:
    """As ``hashes_of_coefficients``, in less time: float32 [n, 64], and no rounding."""
    bits = low > np.sort(low[:, 1:], axis=1)[:, 31:32]
    bits[:, 0] = False
    return np.packbits(bits, axis=1).view(">u8")[:, 0].astype(np.uint64)


class _Tables:
    """Hashes by pairs of blocks of their bits, as in ``near_pairs``: a near hash agrees in at least one pair."""

    def __init__(self, hashes: np.ndarray) -> None:
        edges = np.linspace(0, 64, MAX_DISTANCE + 3).astype(int)
        self.blocks = list(combinations(pairwise(edges.tolist()), 2))
        self.hashes = hashes
        self.tables = []
        size = self.size = 1 << min(21, max(8, 8 * len(hashes)).bit_length())  # fewer bits than a key has: few photos
        for blocks in self.blocks:
            keys = _keys(hashes, blocks) % size
            starts = np.zeros(size + 1, dtype=np.int32)
            np.cumsum(np.bincount(keys, minlength=size), out=starts[1:])
            self.tables.append((np.argsort(keys, kind="stable").astype(np.int32), starts))

    def near(self, hashes: np.ndarray) -> Iterator[tuple[np.ndarray, np.ndarray]]:
        """Positions of table hashes and of given ones that are near each other; pairs may come twice."""
        for blocks, (order, starts) in zip(self.blocks, self.tables, strict=True):
            keys = _keys(hashes, blocks) % self.size
            begin = starts[keys]
            left = starts[keys + 1] - begin
            at = np.flatnonzero(left)
            begin, left = begin[at], left[at]
            while len(at):
                whole = order[begin]
                near = distances(self.hashes[whole], hashes[at]) <= MAX_DISTANCE
                if near.any():
                    yield whole[near].astype(np.int64), at[near]
                begin, left = begin + 1, left - 1
                more = left > 0
                at, begin, left = at[more], begin[more], left[more]


def _keys(hashes: np.ndarray, blocks: tuple[tuple[int, int], tuple[int, int]]) -> np.ndarray:
    """The bits of two blocks as one number: int64."""
    (start, stop), (second, end) = blocks
    low = (hashes >> np.uint64(start)) & np.uint64((1 << (stop - start)) - 1)
    high = (hashes >> np.uint64(second)) & np.uint64((1 << (end - second)) - 1)
    return (low | (high << np.uint64(stop - start))).astype(np.int64)


def _agreement(parts: np.ndarray, forms: np.ndarray, photos: np.ndarray, windows: np.ndarray) -> np.ndarray:
    """Correlations of whole pictures in their form with windows of others: float32 [pairs].

    Args:
        parts, photos: uint8 [pairs, THUMB, THUMB].
        forms, windows: int64 [pairs].
    """
    wholes = _MEANS[0] @ parts.astype(np.float32) @ _MEANS[0].T
    wholes = np.where((forms >= 2)[:, None, None], -wholes, wholes)
    wholes = np.where((forms % 2 == 1)[:, None, None], wholes[:, :, ::-1], wholes)
    y, x = _WINDOWS[windows].T
    others = _MEANS[y] @ photos.astype(np.float32) @ _MEANS[x].swapaxes(1, 2)
    a, b = (pixels.reshape(len(pixels), COMPARED_SIDE**2) for pixels in (wholes, others))
    a, b = a - a.mean(axis=1, keepdims=True), b - b.mean(axis=1, keepdims=True)
    return (a * b).sum(axis=1) / np.maximum(np.sqrt((a * a).sum(axis=1) * (b * b).sum(axis=1)), 1e-6)
