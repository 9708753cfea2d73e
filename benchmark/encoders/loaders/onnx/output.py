"""The embedding of an ONNX network: its forward pass, and whether a tensor of it is an embedding."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from benchmark.compute import parallel_map
from benchmark.encoders.loaders.onnx import graph
from benchmark.encoders.network import Normalisation
from builders.errors import EncoderError, UsageError
from builders.untrusted import readable

if TYPE_CHECKING:
    from benchmark.encoders.runtime.onnxruntime import OnnxNetwork

SMALLEST = 16
"""Smallest dimension of an embedding; shorter outputs are scores, boxes or angles."""

NEAREST = 64
"""Number of inner tensors before a refused one of which a message names those that may be the embedding."""

TOLERANCE = 1e-3
"""Largest difference of a photo alone and in a batch, of the embedding's largest number."""


@dataclass(frozen=True)
class OnnxInput:
    """Input of a network."""

    dtype: Any
    channels_last: bool
    batch: int | None
    """Number of views that it takes at a time; None for any number."""
    height: int | None
    width: int | None


class OnnxForward:
    """uint8 views [n, height, width, 3] -> embeddings; a ``RuntimeNetwork`` of ``runtime/choose.py``.

    Args:
        label: of the encoder, for messages.
        network: computes the only output of ``model``.
        model: the part of the file's graph that computes the embedding.
        network_input: of the network.
        normalise: of the views; None for a network that takes 8-bit pixels.
        first_token: the embedding is the first token, not the mean.
    """

    def __init__(
        self,
        label: str,
        network: OnnxNetwork,
        model: Any,
        network_input: OnnxInput,
        normalise: Normalisation | None,
        first_token: bool,
    ) -> None:
        self.label, self.network, self.model, self.input = label, network, model, network_input
        self.version, self.output, self.axis = network.version, str(model.graph.output[0].name), 1
        self.batch_sizes: tuple[int, ...] = (network_input.batch,) if network_input.batch else ()
        self._normalise, self._first_token, self._dimensions = normalise, first_token, 2

    def __call__(self, chunks: Sequence[np.ndarray]) -> list[np.ndarray]:
        return parallel_map(lambda views: self.pooled(self.raw(views)), chunks)

    def described(self) -> str:
        """Which vector is the embedding, in words."""
        what = {2: "as it is", 3: f"{'first' if self._first_token else 'mean'} of its tokens"}
        return f"output {self.output}, {what.get(self._dimensions, 'mean over its positions')}"

    def pixels(self, views: np.ndarray) -> np.ndarray:
        """Views as the network takes them."""
        batch = torch.from_numpy(views)
        if self.input.batch and len(batch) < self.input.batch:
            batch = torch.cat([batch, batch[-1:].expand(self.input.batch - len(batch), -1, -1, -1)])
        pixels = self._normalise(batch) if self._normalise else batch.permute(0, 3, 1, 2)
        if self.input.channels_last:
            pixels = pixels.permute(0, 2, 3, 1)
        return np.ascontiguousarray(pixels.numpy().astype(self.input.dtype, copy=False))

    def raw(self, views: np.ndarray) -> np.ndarray:
        """The output for views, before pooling."""
        pixels = self.pixels(views)
        output = self.network.run(pixels)
        if not _is_of(output, len(pixels)):
            shape = getattr(output, "shape", type(output).__name__)
            kind = f" of {output.dtype}" if isinstance(output, np.ndarray) else ""
            what = f"its output {self.output} is {shape}{kind}"
            raise RuntimeError(f"{what}, no embedding of each of {len(pixels)} views")
        self._dimensions = output.ndim
        return output[: len(views)]

    def pooled(self, output: np.ndarray) -> np.ndarray:
        """Output -> float32 [n, dimension]."""
        rows = np.moveaxis(output.astype(np.float32), self.axis, -1).reshape(len(output), -1, output.shape[self.axis])
        return rows[:, 0] if self._first_token and output.ndim == 3 else rows.mean(1, dtype=np.float32)


def _is_of(output: object, count: int) -> bool:
    """True for an array of floating-point numbers [count, ...]."""
    return (
        isinstance(output, np.ndarray)
        and output.dtype.kind == "f"
        and output.ndim in (2, 3, 4)
        and len(output) == count
        and output.size > 0
    )


def admit(
    forward: OnnxForward,
    views: np.ndarray,
    options: Mapping[str, str],
    outputs: Mapping[str, Sequence[int]],
    session: Callable[[Any], OnnxNetwork],
) -> str:
    """Set the axis of the channels, and refuse an output that is no embedding of each photo.

    Args:
        forward: of the output.
        views: uint8 [2, height, width, 3], two different pictures.
        options: of the specification.
        outputs: name -> shape of all outputs of the file, 0 for a side that it does not declare.
        session: model -> a network that computes all of its outputs.

    Returns:
        What was chosen, for a notice; empty where there was no choice.

    Raises:
        EncoderError: it is no embedding; the sentence lists inner tensors that may be.
        UsageError: which axis has the channels is not known.
    """
    label, stated = forward.label, "output" in options
    alone = [_first(forward, view[None]) for view in views]
    axes, how = _channels(forward, alone[0], views, options, session)
    embeddings = None
    if axes is not None:
        forward.axis = axes
        embeddings = np.concatenate([forward.pooled(each) for each in alone])
        if not np.isfinite(embeddings).all():
            raise EncoderError(f"{label}: the embedding of a plain picture is not finite")
    if reason := _no_embedding(forward, alone, embeddings, outputs, views.shape[1:3], stated):
        raise EncoderError(f"{label}: {reason}; {_remedy(forward, views, session)}")
    if embeddings is None:
        shape = list(alone[0].shape)
        raise UsageError(
            f"{label}: which axis of its output {forward.output} {shape} has the channels is not known: add "
            f"&channels=first (axis 1) or &channels=last (axis {len(shape) - 1})"
        )
    _require_alone_as_together(forward, views, embeddings)
    if len(outputs) == 1 and alone[0].ndim == 2 and not stated:
        return ""
    others = [name for name in outputs if name != forward.output]
    more = f" (others: {', '.join(map(readable, others[:5]))})" if others and not stated else ""
    sides = " x ".join(map(str, alone[0].shape[1:]))
    return f"the embedding is {forward.described()}, {sides}{f', {how}' if how else ''}{more}"


def _first(forward: OnnxForward, views: np.ndarray) -> np.ndarray:
    try:
        return forward.raw(views)
    except RuntimeError as error:
        raise EncoderError(f"{forward.label}: the forward pass failed ({error})") from None


def _channels(
    forward: OnnxForward,
    output: np.ndarray,
    views: np.ndarray,
    options: Mapping[str, str],
    session: Callable[[Any], OnnxNetwork],
) -> tuple[int | None, str]:
    """Axis of the channels and how it is known; None where it is not."""
    last = output.ndim - 1
    longer = [axis for axis in range(1, output.ndim) if output.shape[axis] > 1]
    if output.ndim == 2 or len(longer) == 1:
        return (longer or [1])[0], ""
    if "channels" in options:
        return 1 if options["channels"] == "first" else last, "channels as stated"
    if not forward.input.height and not forward.input.width:
        larger = np.repeat(np.repeat(views[:1], 2, axis=1), 2, axis=2)
        try:
            changed = forward.raw(larger).shape
        except (RuntimeError, MemoryError):
            changed = output.shape  # of a network that takes one size, whatever its file says
        same = [axis for axis in range(1, output.ndim) if changed[axis] == output.shape[axis]]
        if len(same) == 1:
            return same[0], f"channels are axis {same[0]} by a picture of another size"
    axis = _proved_axes(forward, views, session).get(forward.output)
    return (None, "") if axis is None else (axis, f"channels are axis {axis} by its graph")


def _proved_axes(forward: OnnxForward, views: np.ndarray, session: Callable[[Any], OnnxNetwork]) -> Mapping[str, int]:
    """Axis of the channels of each tensor of which the graph proves it."""
    pixels = forward.pixels(views[:1])
    model, names = graph.with_shapes(forward.model)
    try:
        shapes = dict(zip(names, (tuple(map(int, each)) for each in session(model).run_all(pixels)), strict=True))
    except (EncoderError, RuntimeError):  # of a tensor without a shape
        return {}
    shapes[forward.model.graph.input[0].name] = pixels.shape
    return graph.channel_axes(forward.model, shapes, forward.input.channels_last)


def _no_embedding(
    forward: OnnxForward,
    alone: Sequence[np.ndarray],
    embeddings: np.ndarray | None,
    outputs: Mapping[str, Sequence[int]],
    pixels: tuple[int, ...],
    stated: bool,
) -> str:
    """Why an output is no embedding; empty where nothing shows it."""
    name, shape = forward.output, list(alone[0].shape)
    nodes = graph.sources(forward.model, name)
    if kinds := sorted({node.op_type for node in nodes} & graph.PROBABILITIES):
        return f"its output {name} {shape} comes out of {kinds[0]}: scores, no embedding"
    if embeddings is not None and embeddings.shape[1] < SMALLEST:
        return f"its output {name} {shape} has {embeddings.shape[1]} numbers for a picture, too few for an embedding"
    sums = [np.exp(each).sum(-1) if each.max() <= 0 else each.sum(-1) * (each.min() >= 0) for each in alone]
    if np.allclose(sums, 1, atol=1e-3):
        return f"its output {name} {shape} sums to 1: probabilities, no embedding"
    if stated:
        return ""
    vectors = [other for other, sides in outputs.items() if len(sides) > 1 and all(side == 1 for side in sides[2:])]
    others = [other for other in outputs if other not in (name, *vectors)]
    if others and len(shape) > 2:
        return f"its output {name} {shape} stands beside {others[0]}, as in a detector or a pyramid of maps"
    if len(shape) > 2 and (
        _is_of_each_pixel(shape, pixels) or any(graph.is_prediction_layer(forward.model, node) for node in nodes)
    ):
        return f"its output {name} {shape} is a prediction for each position, as of a detector or segmenter"
    return ""


def _is_of_each_pixel(shape: Sequence[int], sides: tuple[int, ...]) -> bool:
    """True if two axes of an output that follow each other are the sides of the picture."""
    return any(tuple(each) == sides for each in pairwise(shape[1:]))


def _require_alone_as_together(forward: OnnxForward, views: np.ndarray, embeddings: np.ndarray) -> None:
    """Refuse a graph whose embedding of a photo depends on the batch, or is random; one that fails in a batch takes one
    photo at a time."""
    try:
        together = forward.pooled(forward.raw(views)) if forward.input.batch != 1 else None
    except RuntimeError:
        if forward.input.batch:
            raise
        forward.input, forward.batch_sizes, together = replace(forward.input, batch=1), (1,), None
    if together is None:
        together = np.concatenate([forward.pooled(forward.raw(view[None])) for view in views])
    if np.abs(together - embeddings).max() > TOLERANCE * np.abs(embeddings).max():
        what = "a photo has another embedding alone than in a batch, or than a moment before"
        raise EncoderError(f"{forward.label}: {what}; export the network in evaluation mode (model.eval())")


def _remedy(forward: OnnxForward, views: np.ndarray, session: Callable[[Any], OnnxNetwork]) -> str:
    """What to run instead of a refused output: inner tensors near it that may be the embedding."""
    axes = _proved_axes(forward, views, session)
    part = graph.cut(forward.model, forward.output)
    names = [name for name in graph.tensor_names(part) if name != forward.output][:NEAREST]
    part.graph.output.extend(type(part.graph.output[0])(name=name) for name in names)
    arrays = dict(zip(names, session(part).run_all(forward.pixels(views[:1]))[1:], strict=True)) if names else {}
    found: dict[tuple[int, ...], str] = {}
    for name, array in arrays.items():
        count = forward.input.batch or 1
        axis = 1 if getattr(array, "ndim", 0) == 2 else axes.get(name)
        if axis is None or not _is_of(array, count) or array.shape[axis] < SMALLEST or not np.isfinite(array).all():
            continue
        if not {node.op_type for node in graph.sources(forward.model, name)} & graph.PROBABILITIES:
            found.setdefault(tuple(array.shape), name)
    vectors = {shape: name for shape, name in found.items() if shape[1] == int(np.prod(shape[1:]))}
    listed = [f"{readable(name)} {list(shape)}" for shape, name in (vectors or found).items()][:5]
    if not listed:
        return "name its embedding, any tensor of the graph: ?output=TENSOR"
    return f"name its embedding by ?output=TENSOR: {', '.join(listed)}"
