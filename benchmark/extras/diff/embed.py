"""Embeddings of the same photos in several ways: each photo is read once, and each way decodes and embeds it."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
from PIL import Image

from benchmark.compute import blamed, foreign_code, parallel_map
from benchmark.encoders import Embedder, Encoder, load_encoder, with_library, with_preprocessing
from benchmark.extras.diff.decoders import decoded
from benchmark.extras.diff.paths import PathSpec
from benchmark.views import on_a_copy
from builders.errors import CamtraceError, EncoderError, PhotoError, UsageError
from builders.photos import PhotoSet
from builders.pixels import ALL_PROCESSINGS, process_all
from builders.untrusted import describe_error

TOGETHER = 32
"""Photos that are decoded at a time."""


@dataclass(frozen=True, eq=False)
class Lane:
    """One way for all photos."""

    name: str
    path: PathSpec
    encoder: Encoder
    batch: int
    """Views of a forward pass."""
    processing: str = ""
    """Name of a processing that is applied to the decoded photo; empty for none."""


@dataclass(frozen=True, eq=False)
class Embedded:
    """The embeddings of one lane, and how its input differs from that of the first lane."""

    rows: np.ndarray
    """float32 [photos, dimension]."""
    largest: np.ndarray | None
    """float64 [photos], largest difference of the network's input in 8-bit levels; None where that is not known."""
    mean: np.ndarray | None
    """float64 [photos], mean absolute difference."""


@dataclass(frozen=True, eq=False)
class Pass:
    """What a pass over photos gave. Photos that failed in one lane are left out of all."""

    photos: np.ndarray
    """int64, indices of the photos that every lane embedded, in order."""
    lanes: Mapping[str, Embedded]
    failures: Mapping[int, str]
    """By index, why a photo is left out."""


class Encoders:
    """Encoders of paths; paths that share a network and a preprocessing share the encoder."""

    def __init__(self, model: str | Encoder, *, torch_only: bool, **loading: Any) -> None:
        self._model, self._loading, self._torch_only = model, loading, torch_only
        self._loaded: dict[tuple[str, ...], Encoder] = {}

    def of(self, path: PathSpec) -> Encoder:
        """The encoder of a path. Raises as ``load_encoder`` and ``with_library`` do."""
        key = (path.model, path.resize, path.runtime, path.dtype)
        if key not in self._loaded:
            self._loaded[key] = self._load(path)
        encoder = self._loaded[key]
        if encoder.stored is not None:
            return encoder
        encoder = with_library(encoder, path.library, path.filter, path.antialias)
        return encoder if path.transform is None else _transformed(encoder, path.transform)

    def _load(self, path: PathSpec) -> Encoder:
        model = path.model or self._model
        if not isinstance(model, str):
            if (path.runtime, path.dtype) != ("auto", "float32"):
                raise UsageError("runtime and dtype of a path need an encoder that is named, not one in memory")
            return with_preprocessing(model, path.resize)
        if model.startswith("embeddings:"):
            return load_encoder(model)
        runtime = "torch" if self._torch_only and path.runtime == "auto" else path.runtime
        return load_encoder(model, dtype=path.dtype, runtime=runtime, preprocess=path.resize, **self._loading)


def _transformed(encoder: Encoder, transform: Callable[[Any], Any]) -> Encoder:
    preprocess = on_a_copy(transform)
    record = {**encoder.info.preprocessing, "backend": "your own"}
    changed = replace(encoder, preprocess=preprocess, info=replace(encoder.info, preprocessing=record), reload=None)
    try:
        sample = preprocess(Image.new("RGB", (320, 240)))
    except Exception as error:  # the user's code may raise anything
        raise EncoderError(f"the transform fails ({describe_error(error)})") from error
    if sample.dtype == np.uint8:
        return changed
    if not isinstance(encoder.embed, Embedder):
        raise EncoderError("a transform that gives floats needs a network in torch")
    return replace(changed, embed=replace(encoder.embed, normalise=None))


def embed_photos(
    photos: PhotoSet,
    indices: np.ndarray,
    lanes: Sequence[Lane],
    progress: Callable[[int], object] = lambda photos: None,
) -> Pass:
    """The embeddings of photos in every lane.

    Args:
        photos: the photo set.
        indices: int64, of the photos.
        lanes: the first is the one that inputs are compared with.
        progress: called with the number of photos done since the last call.

    Raises:
        EncoderError: a forward pass fails.
    """
    waiting: list[list[np.ndarray]] = [[] for _ in lanes]
    rows: list[list[np.ndarray]] = [[] for _ in lanes]
    apart: list[list[tuple[float, float] | None]] = [[] for _ in lanes]
    usable: list[int] = []
    failures: dict[int, str] = {}

    def flush(which: int, least: int) -> None:
        lane, views = lanes[which], waiting[which]
        while len(views) >= least and views:
            batch = torch.from_numpy(np.stack(views[: lane.batch]))
            with blamed(lane.encoder.info.id), foreign_code():
                rows[which].append(lane.encoder.embed(batch).numpy())
            del views[: lane.batch]

    for start in range(0, len(indices), TOGETHER):
        block = [int(i) for i in indices[start : start + TOGETHER]]
        for index, made in zip(block, parallel_map(lambda i: _inputs(photos, i, lanes), block), strict=True):
            if isinstance(made, str):
                failures[index] = made
                continue
            usable.append(index)
            first = _levels(made[0], lanes[0].encoder)
            for which, view in enumerate(made):
                waiting[which].append(view)
                apart[which].append(_apart(first, _levels(view, lanes[which].encoder)))
        for which, lane in enumerate(lanes):
            flush(which, lane.batch)
        progress(len(block))
    for which in range(len(lanes)):
        flush(which, 1)
    embedded = {}
    for lane, of_lane, differences in zip(lanes, rows, apart, strict=True):
        measured = [pair for pair in differences if pair is not None]
        table = np.array(measured, np.float64).reshape(-1, 2) if len(measured) == len(differences) else None
        joined = np.concatenate(of_lane) if of_lane else np.zeros((0, lane.encoder.info.dimension), np.float32)
        largest, mean = (None, None) if table is None else table.T
        embedded[lane.name] = Embedded(joined, largest, mean)
    return Pass(np.array(usable, np.int64), embedded, failures)


def _inputs(photos: PhotoSet, index: int, lanes: Sequence[Lane]) -> list[np.ndarray] | str:
    """The network's input of one photo in each lane, or why there is none."""
    pictures: dict[tuple[str, str, str], Image.Image] = {}
    made: list[np.ndarray] = []
    lane = lanes[0]
    try:
        data = photos.read(index)
        for lane in lanes:
            how = (lane.path.decoder, lane.path.orientation, lane.path.colour)
            if how not in pictures:
                pictures[how] = decoded(data, *how)
            picture = pictures[how]
            if lane.processing:
                [picture] = process_all(picture, (ALL_PROCESSINGS[lane.processing],), photos.ids[index])
            made.append(np.asarray(on_a_copy(lane.encoder.preprocess)(picture)))
    except PhotoError as error:
        return str(error)
    except CamtraceError:
        raise
    except Exception as error:  # of a user's transform, or of a library
        return f"{lane.name} fails ({describe_error(error)})"
    return made


def _levels(view: np.ndarray, encoder: Encoder) -> np.ndarray | None:
    """The network's input in 8-bit levels, [height, width, 3]; None where it is not known to be a picture."""
    if view.ndim != 3:
        return None
    if view.dtype == np.uint8:
        return view.astype(np.float64)
    record = encoder.info.preprocessing
    if view.shape[0] != 3 or not all(isinstance(record.get(name), list | tuple) for name in ("mean", "std")):
        return None
    mean, std = (np.array(record[name], np.float64) for name in ("mean", "std"))
    levels: np.ndarray = 255 * (view.transpose(1, 2, 0) * std + mean)
    return levels


def _apart(first: np.ndarray | None, second: np.ndarray | None) -> tuple[float, float] | None:
    """Largest and mean absolute difference of two inputs; None where they have no common pixels."""
    if first is None or second is None or first.shape != second.shape:
        return None
    difference = np.abs(first - second)
    return float(difference.max()), float(difference.mean())
