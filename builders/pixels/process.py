"""A processing applied: pixels by the fastest engine that makes Pillow's.

A processing takes a decoded RGB photo and ends in a file, JPEG or another format: ``by_pillow.processed_file`` gives
the bytes (what a built data set stores), ``process`` the pixels (what an encoder sees), and the second is always the
decoded first. Pixels come from Pillow, or from an engine that makes the same ones faster (``engine/selection.py``) and
leaves to Pillow what it does not know.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, cast

import numpy as np
from PIL import Image

from builders.pixels.engine.selection import chosen_engine
from builders.pixels.parameters import Processing, Subsampling
from builders.pixels.reference import process_by_pillow, request
from builders.pixels.requests import Planner, ViewArrays


def process(image: Image.Image, processing: Processing, photo_id: str, seed: int = 0) -> Image.Image:
    """The pixels of ``image`` after ``processing``: uint8 RGB, as Pillow opens the saved file.

    Depends on nothing but its arguments, whatever the order, batch size or number of workers.

    Args:
        image: decoded RGB photo, both sides at least 2 pixels.
        processing: one of ``PROCESSINGS``, or your own.
        photo_id: identity of the photo; decides its random scale.
        seed: of the random scale.

    Raises:
        PhotoError: the result cannot be a file of that format (a JPEG side over 65,500 pixels, or of 0).

    >>> from builders.pixels import PROCESSINGS
    >>> photo = Image.new("RGB", (30, 20), (200, 30, 90))
    >>> process(photo, Processing("half", scale=0.5), "a").size
    (15, 10)
    """
    return process_all(image, (processing,), photo_id, seed)[0]


def process_all(
    image: Image.Image, processings: Sequence[Processing], photo_id: str, seed: int = 0
) -> list[Image.Image]:
    """``process`` for several processings of one photo, with the work that they share done once.

    >>> from builders.pixels import PROCESSINGS
    >>> photo = Image.new("RGB", (30, 20), (200, 30, 90))
    >>> halved_and_doubled = [Processing("half", scale=0.5), Processing("double", scale=2)]
    >>> [view.size for view in process_all(photo, halved_and_doubled, "a")]
    [(15, 10), (60, 40)]
    """
    made = preprocess_all(image, processings, photo_id, [lambda width, height: _as_it_is], seed)
    return cast(list[Image.Image], made[0])


def _as_it_is(view: Image.Image) -> Any:
    return view


def preprocess_all(
    image: Image.Image, processings: Sequence[Processing], photo_id: str, planners: Sequence[Planner], seed: int = 0
) -> list[ViewArrays]:
    """One photo under several processings, each after several preprocessings: [preprocessing][processing].

    The views of a preprocessing are one array [processings, height, width, 3] where an engine made all of them in one
    size, else a list.

    Args:
        image, photo_id, seed: as in ``process``.
        processings: in the order wanted.
        planners: (width, height) of a processed photo -> what is done to it: a ``resize_crop.ResizeCrop``, which
            is the fast way, or any other function of a picture.

    Raises:
        PhotoError: a result cannot be a file of its format.
    """
    requests = [request(processing, image.size, photo_id, seed) for processing in processings]
    fast = chosen_engine() if image.mode == "RGB" else None
    taken = [i for i, wanted in enumerate(requests) if fast is not None and fast.takes(wanted, image.size)]
    views: list[ViewArrays] = [[] for _ in planners]
    if fast is not None and taken:
        views = fast.preprocessed(np.asarray(image), [requests[i] for i in taken], planners)
    if len(taken) == len(processings):
        return views
    merged: list[list[np.ndarray]] = [[] for _ in planners]
    for i, processing in enumerate(processings):
        view = None if i in taken else process_by_pillow(image, processing, photo_id, seed)
        for k, planner in enumerate(planners):
            merged[k].append(views[k][taken.index(i)] if view is None else planner(*view.size)(view))
    return list(merged)


def reencode_jpeg(image: Image.Image, quality: int, subsampling: Subsampling) -> Image.Image:
    """The pixels of an RGB image saved as JPEG and opened again.

    Raises:
        PhotoError: it cannot be a JPEG file.

    >>> reencode_jpeg(Image.new("RGB", (30, 20), (255, 0, 0)), 95, "4:4:4").getpixel((0, 0))
    (254, 0, 0)
    """
    return process(image, Processing("reencode", quality, subsampling), "")
