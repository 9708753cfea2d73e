"""The forward pass that every network shares: normalisation, chunks, checks, and the hash of its weights."""

from __future__ import annotations

import functools
import hashlib
import itertools
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from types import FunctionType
from typing import Any

import numpy as np
import torch
from PIL import Image
from torch import nn
from torch.nn.utils.fusion import fuse_conv_bn_eval

from benchmark.compute import out_of_memory, parallel_map
from benchmark.encoders.encoder import COMPLEX, Encoder, EncoderInfo
from benchmark.encoders.placement import TORCH_DTYPES, Placement, tf32_only_if_requested
from builders.errors import CamtraceError, EncoderError
from builders.untrusted import first_line

Forward = Callable[[nn.Module, torch.Tensor], torch.Tensor]


def compiled_forward(forward: Forward, **options: Any) -> Forward:
    """``forward`` compiled for one encoder.

    Torch keeps what it compiles with the code of a function, eight graphs at most, and then goes on uncompiled without
    a word: several encoders that share the lines of a ``forward`` would take each other's places. So each gets code of
    its own, the number of views is marked as one that changes, and a graph too many is an error.

    Args:
        forward: (module, pixels [n, ...]) -> [n, dimension].
        options: of ``torch.compile``.
    """

    def own(module: nn.Module, pixels: torch.Tensor) -> torch.Tensor:
        return forward(module, pixels)

    compiled = torch.compile(
        FunctionType(own.__code__.replace(), own.__globals__, own.__name__, None, own.__closure__), **options
    )

    def run(module: nn.Module, pixels: torch.Tensor) -> torch.Tensor:
        count = len(pixels)
        if count == 1:  # a size of one is a graph of its own
            pixels = torch.cat([pixels, pixels])
        torch._dynamo.maybe_mark_dynamic(pixels, 0)
        with torch._dynamo.config.patch({_limit(): True}):
            return compiled(module, pixels)[:count]

    return run


@functools.cache
def _limit() -> str:
    """The setting of torch that makes a graph too many an error. Asked for when it is needed: ``torch._dynamo`` takes
    a second to import."""
    new = "fail_on_recompile_limit_hit"
    return new if hasattr(torch._dynamo.config, new) else "fail_on_cache_limit_hit"  # before torch 2.6


CPU_CHUNK = 16
"""Views per forward pass on a CPU: the activations of more fall out of its caches (a factor of two in EfficientNet)."""


@dataclass(frozen=True)
class Normalisation:
    """(pixel / 255 - mean) / std per channel; mean and std in units of [0, 1] pixels."""

    mean: tuple[float, ...]
    std: tuple[float, ...]
    bgr: bool = False
    """Whether the network takes blue first; mean and std are in its order."""

    def __call__(self, pixels: torch.Tensor) -> torch.Tensor:
        """uint8 [n, height, width, 3] -> float32 [n, 3, height, width], channels last in memory."""
        mean, std = _constants(self, int(pixels.shape[2]), pixels.device)
        pixels = pixels.flip(-1) if self.bgr else pixels
        rows = pixels.flatten(2).float().div_(255).sub_(mean).div_(std)  # pixel by pixel it would be loops of three
        return rows.unflatten(2, (-1, len(self.mean))).permute(0, 3, 1, 2)


@functools.lru_cache(maxsize=64)
def _constants(normalisation: Normalisation, width: int, device: torch.device) -> tuple[torch.Tensor, torch.Tensor]:
    """Mean and standard deviation of a row of pixels, [width * channels], on a device, brought there once: an upload
    makes the host wait."""
    with torch.inference_mode(False):
        mean, std = (
            torch.tensor(values, dtype=torch.float32, device=device).repeat(width)
            for values in (normalisation.mean, normalisation.std)
        )
    return mean, std


@dataclass(frozen=True)
class Embedder:
    """``Encoder.embed`` of a network."""

    name: str
    module: nn.Module
    forward: Callable[[nn.Module, torch.Tensor], torch.Tensor]
    """(module, float pixels [n, 3, height, width]) -> embeddings [n, dimension]."""
    normalise: Normalisation | None
    """For uint8 input; None if the input is what the network takes."""
    place: Placement
    cpu_chunk: int = CPU_CHUNK
    parallel: bool = False
    """Chunks side by side on a CPU."""
    at_places: Callable[[nn.Module, torch.Tensor, torch.Tensor], torch.Tensor] | None = None
    """``forward`` of who reads single patches, told int64 [n, 2] beside the pixels: a place in each view."""

    def __call__(self, batch: torch.Tensor) -> torch.Tensor:
        """[n, ...], on the CPU or on the network's device -> float32 [n, dimension] on the CPU."""
        return self.start(batch)()

    def start(self, batch: torch.Tensor, places: torch.Tensor | None = None) -> Callable[[], torch.Tensor]:
        """The same, begun: a GPU computes while the caller does other things; the function returned waits for it.

        ``places`` [n, 2] are for ``at_places``.
        """
        if len(batch) == 0:
            raise EncoderError(f"{self.name}: an empty batch has no embeddings")
        on_cpu = torch.device(self.place.device).type == "cpu"
        if not on_cpu and (first := next(self.module.parameters(), None)) is not None and first.device.type == "cpu":
            self.module.to(self.place.device)  # it was sent to ``move_to_host``
        try:
            with tf32_only_if_requested(self.place):
                size = self.cpu_chunk if on_cpu else len(batch)
                beside = places.split(size) if places is not None else itertools.repeat(None)
                chunks = list(zip(batch.split(size), beside, strict=False))
                found = parallel_map(self._embed, chunks) if self.parallel else [self._embed(c) for c in chunks]
        except CamtraceError:
            raise
        except (Exception, SystemExit) as error:  # whatever forward raises
            if out_of_memory(error):
                raise EncoderError(f"{self.name}: {len(batch)} views at a time do not fit into memory") from error
            hint = "; it may go without --compile" if self.place.compile else ""
            raise EncoderError(f"{self.name}: the forward pass failed ({first_line(error)}){hint}") from error
        return _on_its_way(found[0]) if found[0].is_cuda else _here(torch.cat(found).cpu())

    @torch.inference_mode()
    def _embed(self, chunk: tuple[torch.Tensor, torch.Tensor | None]) -> torch.Tensor:
        batch, places = chunk
        pixels = batch.to(self.place.device)
        # a copy where nothing else makes one: other encoders may share the batch, and forward may write into it
        pixels = self.normalise(pixels) if self.normalise is not None else pixels.to(torch.float32, copy=True)
        if pixels.ndim == 4:
            pixels = pixels.contiguous(memory_format=torch.channels_last)
        pixels = pixels.to(TORCH_DTYPES[self.place.dtype])
        if places is not None and self.at_places is not None:
            output = self.at_places(self.module, pixels, places)
        else:
            output = self.forward(self.module, pixels)
        if not isinstance(output, torch.Tensor) or output.ndim != 2 or len(output) != len(batch):
            shape = tuple(output.shape) if isinstance(output, torch.Tensor) else type(output).__name__
            raise EncoderError(f"{self.name}: expected embeddings [{len(batch)}, dimension], the network gave {shape}")
        if output.is_complex():
            raise EncoderError(f"{self.name}: {COMPLEX}")
        return output.float()


@torch.inference_mode()
def _on_its_way(embeddings: torch.Tensor) -> Callable[[], torch.Tensor]:
    """Embeddings on a GPU, copied to the CPU as soon as they are there."""
    here = torch.empty(embeddings.shape, dtype=embeddings.dtype, pin_memory=True)
    here.copy_(embeddings, non_blocking=True)
    arrived = torch.cuda.current_stream(embeddings.device).record_event()

    def waited_for() -> torch.Tensor:
        arrived.synchronize()
        return here

    return waited_for


def _here(embeddings: torch.Tensor) -> Callable[[], torch.Tensor]:
    return lambda: embeddings


def move_to_host(encoder: Encoder) -> None:
    """Give a GPU's memory to what comes after the forward passes: the network waits in the CPU's.

    ``Encoder.embed`` brings it back when it is asked again. A module that somebody holds in memory stays where it is.
    """
    embedder, ours = encoder.embed, encoder.info.library != "callable"
    if ours and isinstance(embedder, Embedder) and torch.device(embedder.place.device).type == "cuda":
        embedder.module.to("cpu")
        torch.cuda.empty_cache()


OF_STATE_DICT = "of the state dict"
"""Stands for a hash that is still to be computed."""


def _unchanged(module: nn.Module) -> nn.Module:
    return module


@dataclass(frozen=True)
class Network:
    """A loaded network and everything that a result says of it."""

    name: str
    """The canonical spec, ``EncoderInfo.id``."""
    library: str
    module: nn.Module
    preprocess: Callable[[Image.Image], np.ndarray]
    """RGB picture -> array of one view, before ``normalise``."""
    preprocessing: Mapping[str, Any]
    """The same as a result records it."""
    normalise: Normalisation | None
    forward: Callable[[nn.Module, torch.Tensor], torch.Tensor]
    """(module, batch of views) -> [views, dimension]."""
    pooling: str
    """Which output is the embedding, in words."""
    prepare: Callable[[nn.Module], nn.Module] = _unchanged
    """Exact rewriting for speed (folding of batch norms), applied after the weights are hashed."""
    cpu_chunk: int = CPU_CHUNK
    stateless: bool = False
    """A forward pass keeps nothing in the module, so that two may run at once."""
    weights_sha256: str | None = OF_STATE_DICT
    """Left out, the state dict is hashed; None for what cannot be identified."""
    revision: str | None = None
    group: str = "unknown"
    training_data: str = "unknown"
    details: Mapping[str, Any] = field(default_factory=dict)


def network_encoder(network: Network, place: Placement) -> Encoder:
    """Put a loaded network on its device and try it once.

    Raises:
        EncoderError: the network does not map its own preprocessing of a picture to a finite vector.
    """
    name = network.name
    module = network.module.eval().requires_grad_(False)
    weights = network.weights_sha256
    if weights == OF_STATE_DICT:
        weights = hash_state_dict(module.state_dict())
    parameters = sum(p.numel() for p in module.parameters())
    module = _placed(network.prepare(module), name, place)
    parallel = network.stateless and not place.compile
    forward = compiled_forward(network.forward) if place.compile else network.forward
    embed = Embedder(name, module, forward, network.normalise, place, network.cpu_chunk, parallel)
    first = embed(torch.from_numpy(np.array(network.preprocess(probe_image())))[None])
    if not torch.isfinite(first).all():
        raise EncoderError(f"{name}: the embedding of a plain picture is not finite in {place.dtype}")
    info = EncoderInfo(
        id=name,
        library=network.library,
        revision=network.revision,
        weights_sha256=weights,
        dimension=first.shape[1],
        preprocessing=network.preprocessing,
        pooling=network.pooling,
        parameters=parameters,
        group=network.group,
        training_data=network.training_data,
        details=dict(network.details),
    )
    return Encoder(info, network.preprocess, embed, place.device, place.dtype, place.compile)


def _placed(module: nn.Module, name: str, place: Placement) -> nn.Module:
    try:
        module = module.to(device=place.device, dtype=TORCH_DTYPES[place.dtype])
        if any(parameter.ndim == 5 for parameter in module.parameters()):  # of patches in time, without such a format
            return module
        return module.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    except Exception as error:
        if not out_of_memory(error):
            raise
        raise EncoderError(
            f"{name}: its weights do not fit into the memory of {place.device}; use another --device, "
            "fewer encoders at a time (sweep --together) or a smaller encoder"
        ) from error


def probe_image(width: int = 320, height: int = 240) -> Image.Image:
    """A fixed picture with smooth and rough parts, the same on every machine; the caller's own, to draw on.

    >>> probe_image(5, 4).size
    (5, 4)
    """
    return _probe_image(width, height).copy()


@functools.lru_cache(maxsize=8)  # every loading asks for the same few
def _probe_image(width: int, height: int) -> Image.Image:
    noise = np.frombuffer(hashlib.shake_256(b"camtrace probe").digest(width * height * 3), np.uint8)
    y, x = np.mgrid[0:height, 0:width]
    ramp = np.stack([x * 255 // max(1, width - 1), y * 255 // max(1, height - 1), (x + y) % 256], axis=-1)
    rough = (x // 16 + y // 16) % 3 == 0
    return Image.fromarray(np.where(rough[..., None], noise.reshape(height, width, 3), ramp).astype(np.uint8))


def hash_state_dict(tensors: Mapping[str, torch.Tensor]) -> str:
    """SHA-256 over (name, dtype, shape, bytes) of each tensor in name order; where the tensors lie does not matter.

    >>> hash_state_dict({"a": torch.zeros(2)}) == hash_state_dict({"a": torch.zeros(2, 1)})
    False
    """
    digest = hashlib.sha256()
    for name in sorted(tensors):
        tensor = tensors[name].detach().cpu().contiguous()
        digest.update(f"{name}\0{str(tensor.dtype).removeprefix('torch.')}\0{tuple(tensor.shape)}\0".encode())
        if tensor.numel():
            digest.update(tensor.reshape(-1).view(torch.uint8).numpy().data)
    return digest.hexdigest()


def pooled(features: torch.Tensor, has_class_token: bool = False) -> torch.Tensor:
    """Features -> vectors: [n, d] as it is, [n, d, h, w] averaged, [n, tokens, d] the first token or the mean."""
    if features.ndim == 4:
        return features.mean((2, 3))
    if features.ndim == 3:
        return features[:, 0] if has_class_token else features.mean(1)
    return features


def fold_batch_norms(module: nn.Module, pairs: Sequence[tuple[str, str]]) -> None:
    """Fold batch norms into the convolutions before them, in place; in eval mode the function stays the same.

    Args:
        module: holds both.
        pairs: (name of the convolution, name of its batch norm), attributes of ``module``.
    """
    for convolution, norm in pairs:
        fused = fuse_conv_bn_eval(getattr(module, convolution), getattr(module, norm))
        setattr(module, convolution, fused)
        setattr(module, norm, nn.Identity())
