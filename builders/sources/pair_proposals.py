"""Proposed pairs of photos straight off two cards, by the time of their Exif. A person reviews them before use."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from builders.errors import DataError
from builders.exif import Acquisition, read_many
from builders.sources.pairs import CAMERA_TYPES
from builders.untrusted import csv_text, list_folder

CLOCK_BIN_S = 30.0
"""Width in seconds of the bins in which differences between the two clocks are counted."""

OFFSET_PHOTOS = 2000
"""Photos by the phone, evenly drawn, that decide the difference of the clocks."""

APART_S = 120.0
"""Seconds between the two photos of a pair, at most, after the difference of the clocks is removed."""


@dataclass(frozen=True)
class ProposedPair:
    """A photo by a phone and the photo by a camera that was taken next to it."""

    phone: str
    camera: str
    devices: tuple[str, str]
    """Models of Exif; the folder's name where Exif has none."""
    apart_s: float
    """Seconds from the phone's photo to the camera's, after the difference of the clocks is removed."""


@dataclass(frozen=True)
class Proposal:
    """Pairs proposed for a folder with ``phone/`` and ``camera/``."""

    pairs: tuple[ProposedPair, ...]
    offset_s: float
    """Seconds by which the camera's clock is ahead of the phone's."""
    unpaired: int
    """Photos with a time and without a partner."""
    without_time: int
    """Photos without a time in their Exif."""

    def csv(self) -> str:
        """The table to review, in the form of ``pairs.csv`` with one more column."""
        rows: list[list[object]] = [["file", "pair_id", "camera", "camera_type", "seconds_apart"]]
        for number, pair in enumerate(self.pairs):
            for file, device, kind in zip((pair.phone, pair.camera), pair.devices, CAMERA_TYPES, strict=True):
                rows.append([file, f"p{number:04d}", device, kind, round(pair.apart_s)])
        return csv_text(rows)


def propose_pairs(root: Path) -> Proposal:
    """Pair the photos of ``root/phone`` and ``root/camera`` by the time of their Exif.

    The difference of the clocks is the one at which most photos have a partner. Then two photos are a pair if each is
    the nearest to the other in time, within ``APART_S``.

    Raises:
        DataError: a folder is absent, or no two photos have times that fit.
    """
    files, times, devices, without_time = [], [], [], 0
    for kind in CAMERA_TYPES:
        if not (root / kind).is_dir():
            raise DataError(f"{root}: --propose expects the folders phone/ and camera/, one for each card")
        names = [f"{kind}/{name}" for name in list_folder(root / kind).files if not name.startswith(".")]
        acquisitions = [reading.acquisition for reading in read_many(root / name for name in names)]
        timed = [(a.taken.timestamp(), name, a) for name, a in zip(names, acquisitions, strict=True) if a.taken]
        timed.sort(key=lambda item: item[:2])
        without_time += len(names) - len(timed)
        files.append([name for _, name, _ in timed])
        times.append(np.array([seconds for seconds, _, _ in timed]))
        devices.append([_device(a, kind) for _, _, a in timed])
    offset = clock_offset(*times)
    matches = nearest_pairs(times[0], times[1] - offset)
    if not matches:
        raise DataError(f"{root}: no photo by the phone and photo by the camera have times in their Exif that fit")
    pairs = [
        ProposedPair(
            files[0][i], files[1][j], (devices[0][i], devices[1][j]), float(times[1][j] - offset - times[0][i])
        )
        for i, j in matches
    ]
    return Proposal(tuple(pairs), offset, sum(map(len, files)) - 2 * len(pairs), without_time)


def clock_offset(phone: np.ndarray, camera: np.ndarray) -> float:
    """Seconds by which the camera's clock is ahead: the difference that most pairs of photos share.

    Differences between all photos of the two are counted in bins of ``CLOCK_BIN_S``, two neighbouring bins together; of
    equally common differences the one nearest to 0 is taken. The result is the median difference in these bins.

    Args:
        phone, camera: float64 [photos], seconds.

    Returns:
        0 if one of them is empty.

    >>> clock_offset(np.array([0.0, 600.0, 1500.0]), np.array([3605.0, 4208.0, 5101.0]))
    3605.0
    """
    drawn = phone[:: -(-len(phone) // OFFSET_PHOTOS) or 1]
    differences = (camera[None, :] - drawn[:, None]).ravel()
    if not len(differences):
        return 0.0
    bins = np.floor(differences / CLOCK_BIN_S).astype(np.int64)
    values, counts = np.unique(bins, return_counts=True)
    following = dict(zip(values.tolist(), counts.tolist(), strict=True))
    both = [following[value] + following.get(value + 1, 0) for value in values.tolist()]
    best = max(range(len(values)), key=lambda i: (both[i], -abs(int(values[i]))))
    in_bins = (bins == values[best]) | (bins == values[best] + 1)
    return float(np.median(differences[in_bins]))


def nearest_pairs(phone: np.ndarray, camera: np.ndarray) -> list[tuple[int, int]]:
    """Indices of photos that are each other's nearest in time, at most ``APART_S`` apart, in the phone's order.

    Args:
        phone, camera: float64 [photos], seconds, in ascending order.

    >>> nearest_pairs(np.array([0.0, 100.0]), np.array([90.0, 95.0, 5000.0]))
    [(1, 1)]
    """
    if not len(phone) or not len(camera):
        return []
    to_camera, to_phone = _nearest(phone, camera), _nearest(camera, phone)
    near = np.abs(camera[to_camera] - phone) <= APART_S
    mutual = to_phone[to_camera] == np.arange(len(phone))
    return [(int(i), int(to_camera[i])) for i in np.flatnonzero(near & mutual)]


def _nearest(times: np.ndarray, others: np.ndarray) -> np.ndarray:
    """Index of the nearest of ``others`` for each time; both ascending."""
    after = np.clip(np.searchsorted(others, times), 1, max(len(others) - 1, 1))
    before = after - 1
    after = np.minimum(after, len(others) - 1)
    return np.where(np.abs(times - others[before]) <= np.abs(others[after] - times), before, after)


def _device(acquisition: Acquisition, kind: str) -> str:
    return acquisition.model or kind
