"""Applies processings: Pillow's pixels, by the fastest engine.

A processing takes a decoded RGB photo and ends in a file, JPEG or another format. ``reference.processed_file`` returns
its bytes (as a built data set stores them); ``process`` returns its pixels (the input of an encoder), which always
equal the decoded bytes. Pixels come from Pillow, or from an engine that makes the same ones faster
(``engine/selection.py``) and leaves other processings to Pillow.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterable, Sequence
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
    pictures = _Pictures(image, sources, fast)
    merged: list[list[np.ndarray]] = [[np.empty(0)] * len(processings) for _ in planners]
    for source, members in sources.items():
        views = _finished(pictures.of(source), [drawn[i] for i in members], planners, fast)
        for k, of_planner in enumerate(views):
            for i, view in zip(members, of_planner, strict=True):
                merged[k][i] = view
    return list(merged)


_Source = tuple[tuple[Processing, ...], tuple[EditStep, ...]]
"""Earlier stages and edits, after which the last stage of a processing begins."""

_WHOLE: _Source = ((), ())

MAX_SHARED_BYTES = 256 * 2**20
"""Pictures that one call of the engine makes of a photo at most; a larger photo's stages are made one by one."""


class _Pictures:
    """Pictures of the stages of a photo's processings; those that several of them begin with are made once.

    The engine's pictures stay arrays between its stages, and all stages that begin with the same picture are one call.
    """

    def __init__(self, image: Image.Image, sources: Iterable[_Source], fast: ModuleType | None) -> None:
        self.fast = fast
        self.made: dict[_Source, _Pixels] = {_WHOLE: image}
        self.stages: dict[_Source, list[tuple[Processing, ...]]] = {}
        """The chains that end with a stage which begins with that source."""
        for before, _ in sources:
            for n in range(1, len(before) + 1):
                chains = self.stages.setdefault((before[: n - 1], before[n - 1].edits), [])
                if before[:n] not in chains:
                    chains.append(before[:n])

    def of(self, source: _Source) -> _Pixels:
        """The picture of a source."""
        if source not in self.made:
            before, edits = source
            if edits:
                picture = _image(self.of((before, ())))
                for edit in edits:
                    picture = edited(picture, edit)
                self.made[source] = picture
            else:
                self._make(before)
        return self.made[source]

    def _make(self, chain: tuple[Processing, ...]) -> None:
        """The picture after the last stage of a chain, and of the chains that begin with the same picture."""
        begin = (chain[:-1], chain[-1].edits)
        pixels = self.of(begin)
        size = _size(pixels)
        wanted = {other: request(other[-1], size, "", 0) for other in self.stages[begin]}
        by_engine = [other for other in wanted if self.fast is not None and self.fast.takes(wanted[other], size)]
        if self.fast is None or chain not in by_engine:
            self.made[(chain, ())] = open_processed(file_of_stage(_image(pixels), replace(chain[-1], edits=())))
            return
        if sum(3 * wanted[other].size[0] * wanted[other].size[1] for other in by_engine) > MAX_SHARED_BYTES:
            by_engine = [chain]
        made = self.fast.pictures(np.asarray(pixels), [wanted[other] for other in by_engine])
        self.made |= {(other, ()): picture for other, picture in zip(by_engine, made, strict=True)}


_Pixels = Image.Image | np.ndarray
"""An RGB picture: of Pillow, or uint8 [height, width, 3] as the engine made it."""


def _image(pixels: _Pixels) -> Image.Image:
    return Image.fromarray(pixels) if isinstance(pixels, np.ndarray) else pixels


def _size(pixels: _Pixels) -> tuple[int, int]:
    """(width, height)."""
    return (pixels.shape[1], pixels.shape[0]) if isinstance(pixels, np.ndarray) else pixels.size


def _finished(
    pixels: _Pixels, processings: Sequence[Processing], planners: Sequence[Planner], fast: ModuleType | None
) -> list[ViewArrays]:
    """The last stages, without their edits, of processings whose numbers are drawn: as ``preprocess_all``."""
    size = _size(pixels)
    requests = [request(processing, size, "", 0) for processing in processings]
    by_engine = [i for i, wanted in enumerate(requests) if fast is not None and fast.takes(wanted, size)]
    views: list[ViewArrays] = [[] for _ in planners]
    if fast is not None and by_engine:
        views = fast.preprocessed(np.asarray(pixels), [requests[i] for i in by_engine], planners)
    if len(by_engine) == len(processings):
        return views
    merged: list[list[np.ndarray]] = [[] for _ in planners]
    for i, processing in enumerate(processings):
        view = None
        if i not in by_engine:
            view = open_processed(file_of_stage(_image(pixels), replace(processing, edits=())))
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
