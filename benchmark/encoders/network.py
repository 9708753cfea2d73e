"""``network_encoder`` makes an encoder of any torch network: it moves, tries and describes it.

``Embedder`` runs its forward passes; normalisation, compilation and the hash of the weights are here too.
"""

from __future__ import annotations

import contextlib
import functools
import hashlib
import itertools
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from types import FunctionType
from typing import Any

import numpy as np
import torch
from PIL import Image
from torch import nn
from torch.nn.utils.fusion import fuse_conv_bn_eval

from benchmark.compute import first_forward, foreign_code, out_of_memory, parallel_map
from benchmark.encoders.definition import hash_definition
from benchmark.encoders.encoder import COMPLEX, Encoder, EncoderInfo
from benchmark.encoders.placement import TORCH_DTYPES, Placement, tf32_only_if_requested
from builders.errors import CamtraceError, EncoderError
from builders.untrusted import first_line

Forward = Callable[[nn.Module, torch.Tensor], torch.Tensor]
"""(module, float batch of views [n, ...]) -> embeddings [n, dimension]."""


def compiled_forward(forward: Forward, **options: Any) -> Forward:
    """``forward`` compiled for one encoder.

    Torch caches compiled graphs by the code object of a function, at most eight, and then continues uncompiled without
    a warning: several encoders with one ``forward`` would displace each other's graphs. So each encoder gets its own
    code object, the number of views is marked as dynamic, and one graph too many is an error.

    Args:
        forward: (module, pixels [n, ...]) -> [n, dimension].
        options: keywords of ``torch.compile``.
    """

    def call(module: nn.Module, pixels: torch.Tensor) -> torch.Tensor:
        return forward(module, pixels)

    copied = FunctionType(call.__code__.replace(), call.__globals__, call.__name__, None, call.__closure__)
    compiled = torch.compile(copied, **options)

    def run(module: nn.Module, pixels: torch.Tensor) -> torch.Tensor:
        count = len(pixels)
        if count == 1:  # torch compiles a separate graph for a size of one
            pixels = torch.cat([pixels, pixels])
        torch._dynamo.maybe_mark_dynamic(pixels, 0)
        with torch._dynamo.config.patch({_limit_setting(): True}):
            return compiled(module, pixels)[:count]

    return run


@functools.cache
def _limit_setting() -> str:
    """Name of torch's setting that makes one graph too many an error; a function, since ``torch._dynamo`` takes a
    second to import."""
    new = "fail_on_recompile_limit_hit"
    return new if hasattr(torch._dynamo.config, new) else "fail_on_cache_limit_hit"  # before torch 2.6


CPU_CHUNK = 16
"""Views per forward pass on a CPU. Activations of more do not fit its caches (a factor of two in EfficientNet)."""


@dataclass(frozen=True)
class Normalisation:
    """(pixel / 255 - mean) / std per channel; mean and std in units of [0, 1] pixels."""

    mean: tuple[float, ...]
    std: tuple[float, ...]
    bgr: bool = False
    """True if the network takes channels as blue, green, red; mean and std are in this order."""

    def __call__(self, pixels: torch.Tensor) -> torch.Tensor:
        """uint8 [n, height, width, 3] -> float32 [n, 3, height, width], channels last in memory."""
        mean, std = _constants(self, int(pixels.shape[2]), pixels.device)
        pixels = pixels.flip(-1) if self.bgr else pixels
        rows = (
            pixels.flatten(2).float().div_(255).sub_(mean).div_(std)
        )  # by row: by pixel, inner loops have three steps
        return rows.unflatten(2, (-1, len(self.mean))).permute(0, 3, 1, 2)


@functools.lru_cache(maxsize=64)
def _constants(normalisation: Normalisation, width: int, device: torch.device) -> tuple[torch.Tensor, torch.Tensor]:
    """Mean and standard deviation of a row of pixels, [width * channels], on a device; cached, since an upload blocks
    the host."""
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
    forward: Forward
    normalise: Normalisation | None
    """For uint8 views; None where views are the network's input already."""
    place: Placement
    cpu_chunk: int = CPU_CHUNK
    parallel: bool = False
    """True if chunks may run in parallel on a CPU."""
    at_places: Callable[[nn.Module, torch.Tensor, torch.Tensor], torch.Tensor] | None = None
    """``forward`` with a third argument int64 [n, 2], a position in each view, for outputs that read single patches."""
    memory_format: torch.memory_format = torch.channels_last
    """Of pictures and weights; ``torch.contiguous_format`` for a network that cannot read channels last."""

    def __call__(self, batch: torch.Tensor | np.ndarray) -> torch.Tensor:
        """[n, ...], on the CPU or on the network's device -> float32 [n, dimension] on the CPU."""
        return self.start(batch)()

    def start(self, batch: torch.Tensor | np.ndarray, places: torch.Tensor | None = None) -> Callable[[], torch.Tensor]:
        """Begin to embed a batch; a GPU computes while the caller continues.

        Args:
            batch: [n, ...], on the CPU or on the network's device.
            places: int64 [n, 2] for ``at_places``.

        Returns:
            A function that waits for the embeddings and returns them: float32 [n, dimension] on the CPU.

        Raises:
            EncoderError: the batch is empty or too large for the memory, or the forward pass fails.
        """
        batch = torch.as_tensor(batch)
        if len(batch) == 0:
            raise EncoderError(f"{self.name}: an empty batch has no embeddings")
        on_cpu = torch.device(self.place.device).type == "cpu"
        if not on_cpu and (first := next(self.module.parameters(), None)) is not None and first.device.type == "cpu":
            self.module.to(self.place.device)  # ``move_to_host`` has moved it
        try:
            with tf32_only_if_requested(self.place), foreign_code():
                size = self.cpu_chunk if on_cpu else len(batch)
                places_by_chunk = places.split(size) if places is not None else itertools.repeat(None)
                chunks = list(zip(batch.split(size), places_by_chunk, strict=False))
                embeddings = parallel_map(self._embed, chunks) if self.parallel else [self._embed(c) for c in chunks]
        except CamtraceError:
            raise
        except Exception as error:  # forward may raise anything
            if out_of_memory(error):
                raise EncoderError(f"{self.name}: {len(batch)} views at a time do not fit into memory") from error
            hint = "; it may go without --compile" if self.place.compile else ""
            raise EncoderError(f"{self.name}: the forward pass failed ({first_line(error)}){hint}") from error
        return _copy_to_host(embeddings[0]) if embeddings[0].is_cuda else _already(torch.cat(embeddings).cpu())

    @torch.inference_mode()
    def _embed(self, chunk: tuple[torch.Tensor, torch.Tensor | None]) -> torch.Tensor:
        batch, places = chunk
        pixels = batch.to(self.place.device)
        # a copy in every case: other encoders may share the batch, and forward may write into it
        pixels = self.normalise(pixels) if self.normalise is not None else pixels.to(torch.float32, copy=True)
        if pixels.ndim == 4:
            pixels = pixels.contiguous(memory_format=self.memory_format)
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
def _copy_to_host(embeddings: torch.Tensor) -> Callable[[], torch.Tensor]:
    """Begins to copy embeddings from a GPU to the CPU; the function returned waits for the copy."""
    on_host = torch.empty(embeddings.shape, dtype=embeddings.dtype, pin_memory=True)
    on_host.copy_(embeddings, non_blocking=True)
    copied = torch.cuda.current_stream(embeddings.device).record_event()

    def wait() -> torch.Tensor:
        copied.synchronize()
        return on_host

    return wait


def _already(embeddings: torch.Tensor) -> Callable[[], torch.Tensor]:
    return lambda: embeddings


def move_to_host(encoder: Encoder) -> None:
    """Move a network from its GPU to the CPU's memory, so that the work after the forward passes has the GPU's memory.

    ``Encoder.embed`` moves it back when it is called again. A module that the caller passed stays where it is.
    """
    embedder, passed_by_caller = encoder.embed, encoder.info.library == "callable"
    if not passed_by_caller and isinstance(embedder, Embedder) and torch.device(embedder.place.device).type == "cuda":
        embedder.module.to("cpu")
        torch.cuda.empty_cache()


OF_STATE_DICT = "of the state dict"
"""Default of ``Network.weights_sha256``: ``network_encoder`` computes the hash of the state dict."""


def _unchanged(module: nn.Module) -> nn.Module:
    return module


@dataclass(frozen=True)
class Network:
    """A loaded network and everything that a result records of it."""

    name: str
    """Canonical specification, ``EncoderInfo.id``."""
    library: str
    module: nn.Module
    preprocess: Callable[[Image.Image], np.ndarray]
    """RGB picture -> array of one view, the input of ``normalise``."""
    preprocessing: Mapping[str, Any]
    """``preprocess`` as a result records it."""
    normalise: Normalisation | None
    forward: Forward
    pooling: str
    """Which output is the embedding, in words."""
    prepare: Callable[[nn.Module], nn.Module] = _unchanged
    """Exact rewriting for speed (folding of batch norms), applied after the weights are hashed."""
    cpu_chunk: int = CPU_CHUNK
    stateless: bool = False
    """True if a forward pass stores nothing in the module, so that two may run in parallel."""
    prove: Callable[[nn.Module, Callable[[], torch.Tensor]], torch.Tensor] = lambda _, embed: embed()
    """(module, gives an embedding) -> the embedding, proved to read only tensors that came from a checkpoint."""
    weights_sha256: str | None = OF_STATE_DICT
    """By default the hash of the state dict; None for a computation that cannot be identified."""
    revision: str | None = None
    group: str = "unknown"
    training_data: str = "unknown"
    details: Mapping[str, Any] = field(default_factory=dict)


def network_encoder(network: Network, place: Placement) -> Encoder:
    """Move a loaded network to its device, embed one picture, and describe it.

    Args:
        network: in any mode, on any device; its module is changed in place.
        place: device and precision.

    Raises:
        EncoderError: the network does not map a preprocessed picture to a finite vector, or does not fit into memory.
    """
    name = network.name
    module = network.module.eval().requires_grad_(False)
    weights = network.weights_sha256
    if weights == OF_STATE_DICT:
        weights = hash_state_dict(module.state_dict())
    parameters = sum(p.numel() for p in module.parameters())
    definition = "" if network.library == "callable" else hash_definition(module)
    module = _placed(network.prepare(module), name, place)
    parallel = network.stateless and not place.compile
    forward = compiled_forward(network.forward) if place.compile else network.forward
    embed = Embedder(name, module, forward, network.normalise, place, network.cpu_chunk, parallel)
    view = torch.from_numpy(np.array(network.preprocess(probe_image())))[None]
    with first_forward():
        embed, first = _in_its_memory_format(embed, lambda tried: network.prove(module, lambda: tried(view)))
        if network.library == "callable":  # a network may fail from two pictures on, where it views them as one
            with contextlib.suppress(EncoderError):
                embed, _ = _in_its_memory_format(embed, lambda tried: tried(torch.cat([view, view])))
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
        definition=definition,
    )
    return Encoder(info, network.preprocess, embed, place.device, place.dtype, place.compile)


def _in_its_memory_format(
    embed: Embedder, compute: Callable[[Embedder], torch.Tensor]
) -> tuple[Embedder, torch.Tensor]:
    """What an embedder computes, and the embedder: with contiguous pictures and weights where only they work.

    ``view`` of a feature map, for one, fails where its channels are last in memory.
    """
    try:
        return embed, compute(embed)
    except EncoderError as error:
        if embed.memory_format == torch.contiguous_format or out_of_memory(error):
            raise
        forward = functools.partial(_of_contiguous, embed.forward)
        contiguous = replace(embed, memory_format=torch.contiguous_format, forward=forward)
        _arranged(embed.module, contiguous.memory_format)
        try:
            return contiguous, compute(contiguous)
        except EncoderError:  # it fails for another reason
            _arranged(embed.module, embed.memory_format)
        raise


def _of_contiguous(forward: Forward, module: nn.Module, pixels: torch.Tensor) -> torch.Tensor:
    """``forward`` of contiguous pixels, also where another runtime traces it on what ``Normalisation`` gives."""
    return forward(module, pixels.contiguous())


def _arranged(module: nn.Module, memory_format: torch.memory_format) -> nn.Module:
    """A module with its weights in a memory format."""
    if any(parameter.ndim == 5 for parameter in module.parameters()):  # 3-d convolutions have no channels last
        return module
    return module.to(memory_format=memory_format)  # type: ignore[call-overload]


def _placed(module: nn.Module, name: str, place: Placement) -> nn.Module:
    try:
        module = module.to(device=place.device, dtype=TORCH_DTYPES[place.dtype])
        return _arranged(module, torch.channels_last)
    except Exception as error:
        if not out_of_memory(error):
            raise
        raise EncoderError(
            f"{name}: its weights do not fit into the memory of {place.device}; use another --device, "
            "fewer encoders at a time (sweep --together) or a smaller encoder"
        ) from error


def probe_image(width: int = 320, height: int = 240) -> Image.Image:
    """A fixed RGB picture with smooth and rough parts, the same on every machine; a copy, which the caller may change.

    >>> probe_image(5, 4).size
    (5, 4)
    """
    return _probe_image(width, height).copy()


@functools.lru_cache(maxsize=8)  # every load needs the same few
def _probe_image(width: int, height: int) -> Image.Image:
    noise = np.frombuffer(hashlib.shake_256(b"camtrace probe").digest(width * height * 3), np.uint8)
    y, x = np.mgrid[0:height, 0:width]
    ramp = np.stack([x * 255 // max(1, width - 1), y * 255 // max(1, height - 1), (x + y) % 256], axis=-1)
    rough = (x // 16 + y // 16) % 3 == 0
    return Image.fromarray(np.where(rough[..., None], noise.reshape(height, width, 3), ramp).astype(np.uint8))


def hash_state_dict(tensors: Mapping[str, torch.Tensor]) -> str:
    """SHA-256 over (name, dtype, shape, bytes) of each tensor in name order; their device does not matter.

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


def pooled(features: torch.Tensor, has_class_token: bool = False, picture: Sequence[int] | None = None) -> torch.Tensor:
    """Features -> vectors [n, d]: [n, d] unchanged, a map averaged, [n, tokens, d] the first token or the mean.

    Args:
        features: a map has its channels first, as torch has them, unless its sides show that they are last.
        has_class_token: the first token is taken.
        picture: height and width of the network's input, where known.
    """
    if features.ndim == 4:
        axis = channel_axis(features.shape, picture) if picture is not None else 1
        return features.mean((1, 2) if axis == 3 else (2, 3))
    if features.ndim == 3:
        return features[:, 0] if has_class_token else features.mean(1)
    return features


def channel_axis(
    shape: Sequence[int], picture: Sequence[int] | None, widths: Collection[int] = frozenset()
) -> int | None:
    """Axis of the channels in a map of features, 1 or 3; None where that cannot be known.

    The two other sides are rows and columns, so they have the aspect ratio of the picture. Where both readings have it,
    or neither, since strides differ, the channels are those of which the network has a width.

    Args:
        shape: [n, a, b, c].
        picture: height and width of the network's input; None where the input is no picture.
        widths: of the network, as its configuration and its weights name them.

    >>> channel_axis((1, 96, 7, 7), (224, 224)), channel_axis((1, 7, 7, 96), (224, 224))
    (1, 3)
    >>> print(channel_axis((1, 7, 7, 7), (224, 224)))
    None
    """
    _, a, b, c = shape
    first, last = (True, True) if picture is None else (_covers(b, c, picture), _covers(a, b, picture))
    if first == last and (a in widths) != (c in widths):
        first, last = a in widths, c in widths
    if first == last:
        return None
    return 1 if first else 3


def _covers(rows: int, columns: int, picture: Sequence[int]) -> bool:
    """True if rows and columns have the aspect ratio of a picture, up to rounding by less than one of them."""
    height, width = picture
    return abs(rows * width - columns * height) < max(height, width)


def call_module(module: nn.Module, pixels: torch.Tensor) -> torch.Tensor:
    """Forward pass of a module that returns embeddings itself."""
    return module(pixels)


def fold_batch_norms(module: nn.Module, pairs: Sequence[tuple[str, str]]) -> None:
    """Fold batch norms into the convolutions before them, in place; in eval mode the function stays the same.

    Args:
        module: has them as attributes.
        pairs: (name of the convolution, name of its batch norm).
    """
    for convolution, norm in pairs:
        fused = fuse_conv_bn_eval(getattr(module, convolution), getattr(module, norm))
        setattr(module, convolution, fused)
        setattr(module, norm, nn.Identity())
