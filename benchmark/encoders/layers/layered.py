"""An encoder with named outputs: one forward pass gives its embedding and every requested layer."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial

import numpy as np
import torch
from torch import nn

from benchmark.encoders.encoder import Encoder, Runtime
from benchmark.encoders.isolated import RemoteEmbed
from benchmark.encoders.layers.outputs import Output, OutputSpecification, is_single, output_name, parse_outputs
from benchmark.encoders.layers.pooling import ONE_PATCH, Layer, pool
from benchmark.encoders.layers.taps import Tap, TappedLayers, find_tap
from benchmark.encoders.network import Embedder, Forward, probe_image
from builders.errors import EncoderError, UsageError


@dataclass(frozen=True)
class Layered:
    """An encoder with further outputs."""

    encoder: Encoder
    """The encoder alone, by torch: ``embed`` gives ``final``."""
    outputs: tuple[Output, ...]
    """Outputs other than ``final``, by layer, then in the order of the request."""
    together: Encoder
    """``embed`` gives all outputs in one forward pass, [n, sum of dimensions]: ``final`` first, then ``outputs``."""

    def columns(self) -> dict[str, slice]:
        """Columns of each output but ``final`` in what ``together`` gives, by name."""
        start, columns = self.encoder.info.dimension, {}
        for output in self.outputs:
            columns[output.name] = slice(start, start + output.dimension)
            start += output.dimension
        return columns


def with_outputs(encoder: Encoder, outputs: Sequence[str]) -> Layered:
    """An encoder with the requested layers as further outputs.

    The forward pass is torch's, whatever runtime the encoder has, since layers are read there.

    Args:
        encoder: as loaded.
        outputs: as ``--outputs`` takes them: ``layers``, ``layers[::4]:mean,cls``, ...

    Raises:
        UsageError: it is no torch network, its layers cannot be read, or it lacks one of the requested layers.

    >>> from benchmark.encoders import load_encoder
    >>> layered = with_outputs(load_encoder("bundled:efficientnet-lite0", device="cpu"), ["layers[-1]"])
    >>> layered.outputs[0].title, layered.together.info.dimension
    ('stage 4, mean of patches', 2560)
    """
    specifications = parse_outputs(outputs)
    if isinstance(encoder.embed, RemoteEmbed):
        return _of_remote(encoder, encoder.embed, outputs)
    base = encoder.in_torch() if encoder.in_torch is not None else encoder
    runtime = Runtime("torch", torch.__version__, reason="layers are read there") if encoder.in_torch else base.runtime
    base = replace(base, reload=encoder.reload, info=encoder.info, runtime=runtime)
    name = encoder.info.id
    if not isinstance(base.embed, Embedder):
        raise UsageError(f"{name}: --outputs reads layers of networks that torch computes, and it is none")
    if base.compiled:
        raise UsageError(f"{name}: --outputs reads layers in a forward pass as it is written: leave out --compile")
    tapped = _tapped_layers(base, base.embed)
    chosen = _chosen(name, tapped, specifications)
    forward = AllOutputs(tapped.tap, base.embed.forward, chosen)
    reads_patches = any(output.single for output in chosen)
    together = replace(
        base,
        info=replace(base.info, dimension=base.info.dimension + sum(output.dimension for output in chosen)),
        embed=replace(base.embed, forward=forward, at_places=forward.at_places if reads_patches else None),
        in_torch=None,
        reload=partial(_reload_with_outputs, base.reload, tuple(outputs)) if base.reload else None,
    )
    return Layered(base, chosen, together)


def _of_remote(encoder: Encoder, embed: RemoteEmbed, outputs: Sequence[str]) -> Layered:
    """The outputs of an encoder whose code runs in a process of its own."""
    alone, together, chosen = embed.remote.outputs(embed.number, outputs)
    again = partial(_reload_with_outputs, encoder.reload, tuple(outputs)) if encoder.reload else None
    return Layered(
        replace(alone, info=encoder.info, reload=encoder.reload),
        tuple(Output(**output) for output in chosen),
        replace(together, info=replace(together.info, id=encoder.info.id), reload=again),
    )


@dataclass(frozen=True)
class AllOutputs:
    """Forward pass of a network that gives ``final``, then each output: [n, sum of dimensions]."""

    tap: Tap
    forward: Forward
    outputs: tuple[Output, ...]

    def __call__(self, module: nn.Module, pixels: torch.Tensor) -> torch.Tensor:
        return self.at_places(module, pixels, None)

    def at_places(self, module: nn.Module, pixels: torch.Tensor, places: torch.Tensor | None) -> torch.Tensor:
        """The same, with single patches read at positions int64 [n, 2] of each view (``photo_places``)."""
        poolings: dict[int, list[str]] = {}
        for output in self.outputs:
            poolings.setdefault(output.layer, []).append(output.pooling)
        vectors: dict[str, torch.Tensor] = {}

        def pool_layer(number: int, layer: Layer) -> None:
            for pooling in poolings.get(number, ()):
                vectors[output_name(number, pooling)] = pool(layer, pooling, places)

        final = self.tap(module, pixels, self.forward, pool_layer)
        return torch.cat([final.float(), *(vectors[output.name] for output in self.outputs)], 1)


def _tapped_layers(encoder: Encoder, embed: Embedder) -> TappedLayers:
    """The encoder's layers of two pictures; its own forward pass, which normalises them first, looks for the tap."""
    taps: list[TappedLayers | None] = []

    def forward(module: nn.Module, pixels: torch.Tensor) -> torch.Tensor:
        taps.append(find_tap(module, encoder.info.library, pixels, embed.forward))
        return embed.forward(module, pixels)

    pictures = [encoder.preprocess(probe_image(*size)) for size in ((320, 240), (200, 300))]
    replace(embed, forward=forward, parallel=False)(torch.from_numpy(np.stack(pictures)))
    if not taps or taps[0] is None:
        kind = type(embed.module).__name__
        raise UsageError(f"{encoder.info.id}: no layers were found in {kind} that give its embedding bit for bit")
    return taps[0]


def _chosen(name: str, tapped: TappedLayers, specifications: Sequence[OutputSpecification]) -> tuple[Output, ...]:
    layers = tapped.layers
    same = len({(layer.count, layer.patches.shape[2 if layer.patches.ndim == 3 else 1]) for layer in layers}) == 1
    chosen: dict[str, Output] = {}
    for specification in specifications:
        try:
            for number in specification.layer_numbers(len(layers)):
                layer = layers[number]
                default = ("cls", "mean") if layer.tokens is not None else ("mean",)
                for pooling in specification.poolings or default:
                    vectors = pool(layer, pooling)
                    if not torch.isfinite(vectors).all():
                        raise EncoderError(f"{name}: layer {number} gives numbers that are not finite")
                    output = Output(
                        output_name(number, pooling),
                        number,
                        len(layers),
                        "block" if same else "stage",
                        pooling,
                        vectors.shape[1],
                        tapped.tap.read + (ONE_PATCH if is_single(pooling) else ""),
                    )
                    chosen.setdefault(output.name, output)
        except UsageError as error:
            raise UsageError(f"{name}: --outputs {specification.text}: {error}") from None
    return tuple(sorted(chosen.values(), key=lambda output: output.layer))


def _reload_with_outputs(load: Callable[..., Encoder], outputs: Sequence[str], *, device: str) -> Encoder:
    """``Encoder.reload`` of ``Layered.together``."""
    return with_outputs(load(device=device), outputs).together
