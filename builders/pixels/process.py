"""Applies processings: Pillow's pixels, by the fastest engine.

A processing takes a decoded RGB photo and ends in a file, JPEG or another format. ``reference.processed_file`` returns
its bytes (as a built data set stores them); ``process`` returns its pixels (the input of an encoder), which always
equal the decoded bytes. Pixels come from Pillow, or from an engine that makes the same ones faster
(``engine/selection.py``) and leaves other processings to Pillow.
"""

from __future__ import annotations

import contextlib
from collections.abc import Sequence
from dataclasses import replace
from types import ModuleType
from typing import Any, cast

import numpy as np
from PIL import Image

from builders.errors import PhotoError
from builders.pixels.edits import edited
from builders.pixels.engine.selection import chosen_engine
from builders.pixels.processing import EditStep, Processing, Subsampling
from builders.pixels.reference import file_of_stage, open_processed, request
from builders.pixels.requests import Planner, ViewArrays


def process(image: Image.Image, processing: Processing, photo_id: str, seed: int = 0) -> Image.Image:
    """The pixels of ``image`` after ``processing``: uint8 RGB, as Pillow opens the saved file.

    The result depends on the arguments only, not on order, batch size or number of workers.

    Args:
        image: decoded RGB photo, both sides at least 2 pixels.
        processing: of ``PROCESSINGS``, or any other.
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
    """``process`` for several processings of a photo; shared work is done once.

    >>> from builders.pixels import PROCESSINGS
    >>> photo = Image.new("RGB", (30, 20), (200, 30, 90))
    >>> halved_and_doubled = [Processing("half", scale=0.5), Processing("double", scale=2)]
    >>> [view.size for view in process_all(photo, halved_and_doubled, "a")]
    [(15, 10), (60, 40)]
    """
    views = preprocess_all(image, processings, photo_id, [lambda width, height: _unchanged], seed)
    return cast(list[Image.Image], views[0])


def _unchanged(view: Image.Image) -> Any:
    return view


def preprocess_all(
    image: Image.Image, processings: Sequence[Processing], photo_id: str, planners: Sequence[Planner], seed: int = 0
) -> list[ViewArrays]:
    """A photo after several processings, each followed by several preprocessings: [preprocessing][processing].

    The views of a preprocessing are an array [processings, height, width, 3] if an engine made all of them in the same
    size, else a list.

    Args:
        image, photo_id, seed: as in ``process``.
        processings: in the order of the result.
        planners: (width, height) of a processed photo -> its preprocessing: a ``ResizeCrop``, which is fast, or any
            other function of a picture.

    Raises:
        PhotoError: a result cannot be a file of its format.
    """
    fast = chosen_engine() if image.mode == "RGB" else None
    drawn = [processing.drawn(photo_id, seed) for processing in processings]
    sources: dict[_Source, list[int]] = {}
    for i, processing in enumerate(drawn):
        sources.setdefault((processing.before, processing.edits), []).append(i)
    if list(sources) == [_WHOLE]:
        return _finished(image, drawn, planners, fast)
    made: dict[_Source, Image.Image] = {_WHOLE: image}
    merged: list[list[np.ndarray]] = [[np.empty(0)] * len(processings) for _ in planners]
    for source, members in sources.items():
        views = _finished(_picture(source, made, fast), [drawn[i] for i in members], planners, fast)
        for k, of_planner in enumerate(views):
            for i, view in zip(members, of_planner, strict=True):
                merged[k][i] = view
    return list(merged)


_Source = tuple[tuple[Processing, ...], tuple[EditStep, ...]]
"""Earlier stages and edits, after which the last stage of a processing begins."""

_WHOLE: _Source = ((), ())


def _picture(source: _Source, made: dict[_Source, Image.Image], fast: ModuleType | None) -> Image.Image:
    """The picture of a source; ``made`` holds those that processings share."""
    if source not in made:
        before, edits = source
        picture = _picture((before, ()), made, fast) if edits else _stage(before, made, fast)
        for edit in edits:
            picture = edited(picture, edit)
        made[source] = picture
    return made[source]


def _stage(before: tuple[Processing, ...], made: dict[_Source, Image.Image], fast: ModuleType | None) -> Image.Image:
    """The picture after some stages, of which the last one is made here."""
    stage = before[-1]
    picture = _picture((before[:-1], stage.edits), made, fast)
    wanted = request(stage, picture.size, "", 0)
    if fast is not None and fast.takes(wanted, picture.size):
        return Image.fromarray(fast.pictures(np.asarray(picture), [wanted])[0])
    return open_processed(file_of_stage(picture, replace(stage, edits=())))


def _finished(
    image: Image.Image, processings: Sequence[Processing], planners: Sequence[Planner], fast: ModuleType | None
) -> list[ViewArrays]:
    """The last stages, without their edits, of processings whose numbers are drawn: as ``preprocess_all``."""
    requests = [request(processing, image.size, "", 0) for processing in processings]
    by_engine = [i for i, wanted in enumerate(requests) if fast is not None and fast.takes(wanted, image.size)]
    views: list[ViewArrays] = [[] for _ in planners]
    if fast is not None and by_engine:
        views = fast.preprocessed(np.asarray(image), [requests[i] for i in by_engine], planners)
    if len(by_engine) == len(processings):
        return views
    merged: list[list[np.ndarray]] = [[] for _ in planners]
    for i, processing in enumerate(processings):
        view = None
        if i not in by_engine:
            view = open_processed(file_of_stage(image, replace(processing, edits=())))
        for k, planner in enumerate(planners):
            merged[k].append(views[k][by_engine.index(i)] if view is None else planner(*view.size)(view))
    return list(merged)


def engine_of(processing: Processing, size: tuple[int, int] = (640, 480)) -> str:
    """What makes a processing of a photo of this (width, height): ``exact engine``, ``Pillow`` or both.

    >>> engine_of(Processing("a", file_format="WEBP"))
    'Pillow'
    """
    fast = chosen_engine()
    by = set()
    for stage in (*processing.before, processing):
        drawn = stage.drawn("", 0)
        for edit in drawn.edits:
            by.add("Pillow")
            with contextlib.suppress(PhotoError):  # a crop that leaves nothing of a photo of this size
                size = edited(Image.new("RGB", size), edit).size
        wanted = request(drawn, size, "", 0)
        by.add("exact engine" if fast is not None and fast.takes(wanted, size) else "Pillow")
        size = wanted.size
    return " and ".join(sorted(by, reverse=True))


def reencode_jpeg(image: Image.Image, quality: int, subsampling: Subsampling) -> Image.Image:
    """The pixels of an RGB image saved as JPEG and opened again.

    Raises:
        PhotoError: it cannot be a JPEG file.

    >>> reencode_jpeg(Image.new("RGB", (30, 20), (255, 0, 0)), 95, "4:4:4").getpixel((0, 0))
    (254, 0, 0)
    """
    return process(image, Processing("reencode", quality, subsampling), "")
