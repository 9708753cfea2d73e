"""An encoder with named outputs: one forward pass gives its embedding and every layer that was asked for."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial

import numpy as np
import torch
from torch import nn

from benchmark.encoders.encoder import Encoder, Runtime
from benchmark.encoders.layers.outputs import Output, Wanted, is_single, output_name, parse_outputs
from benchmark.encoders.layers.pooling import ONE_PATCH, Layer, pool
from benchmark.encoders.layers.taps import Forward, Tap, TappedLayers, find_tap
from benchmark.encoders.network import Embedder, probe_image
from builders.errors import EncoderError, UsageError


@dataclass(frozen=True)
class Layered:
    """An encoder, and what else it can be asked for."""

    encoder: Encoder
    """It alone, by torch: ``embed`` gives ``final``."""
    outputs: tuple[Output, ...]
    """Beside ``final``, by layer and then as asked for."""
    together: Encoder
    """``embed`` gives [n, all numbers]: ``final`` first, then each output, from one forward pass."""

    def columns(self) -> dict[str, slice]:
        """By output, where its numbers stand in what ``together`` gives; ``final`` is not among them."""
        start, found = self.encoder.info.dimension, {}
        for output in self.outputs:
            found[output.name] = slice(start, start + output.dimension)
            start += output.dimension
        return found


def with_outputs(encoder: Encoder, outputs: Sequence[str]) -> Layered:
    """Read layers of an encoder beside its embedding.

    The forward pass is torch's, whatever runtime the encoder has: its layers are read there.

    Args:
        encoder: a network, loaded.
        outputs: as ``--outputs`` takes them: ``layers``, ``layers[::4]:mean,cls``, ...

    Raises:
        UsageError: it is no network of torch, has no layers that can be read, or lacks one that was asked for.

    >>> from benchmark.encoders import load_encoder
    >>> found = with_outputs(load_encoder("bundled:efficientnet-lite0", device="cpu"), ["layers[-1]"])
    >>> found.outputs[0].title, found.together.info.dimension
    ('stage 4, mean of patches', 2560)
    """
    wanted = parse_outputs(outputs)
    base = encoder.in_torch() if encoder.in_torch is not None else encoder
    by = Runtime("torch", torch.__version__, reason="layers are read there") if encoder.in_torch else base.runtime
    base = replace(base, reload=encoder.reload, info=encoder.info, runtime=by)
    name = encoder.info.id
    if not isinstance(base.embed, Embedder):
        raise UsageError(f"{name}: --outputs reads layers of networks that torch computes, and it is none")
    if base.compiled:
        raise UsageError(f"{name}: --outputs reads layers in a forward pass as it is written: leave out --compile")
    found = _found(base, base.embed)
    chosen = _chosen(name, found, wanted)
    forward = AllOutputs(found.tap, base.embed.forward, chosen)
    sampled = any(output.single for output in chosen)
    together = replace(
        base,
        info=replace(base.info, dimension=base.info.dimension + sum(output.dimension for output in chosen)),
        embed=replace(base.embed, forward=forward, at_places=forward.at_places if sampled else None),
        in_torch=None,
        reload=partial(_reload_with_outputs, base.reload, tuple(outputs)) if base.reload else None,
    )
    return Layered(base, chosen, together)


@dataclass(frozen=True)
class AllOutputs:
    """``forward`` of a network with its outputs: [n, final, then each output]."""

    tap: Tap
    forward: Forward
    outputs: tuple[Output, ...]

    def __call__(self, module: nn.Module, pixels: torch.Tensor) -> torch.Tensor:
        return self.at_places(module, pixels, None)

    def at_places(self, module: nn.Module, pixels: torch.Tensor, places: torch.Tensor | None) -> torch.Tensor:
        """The same, where single patches are read at places [n, 2] of each view (``photo_places``)."""
        poolings: dict[int, list[str]] = {}
        for output in self.outputs:
            poolings.setdefault(output.layer, []).append(output.pooling)
        made: dict[str, torch.Tensor] = {}

        def see(number: int, layer: Layer) -> None:
            for pooling in poolings.get(number, ()):
                made[output_name(number, pooling)] = pool(layer, pooling, places)

        final = self.tap(module, pixels, self.forward, see)
        return torch.cat([final.float(), *(made[output.name] for output in self.outputs)], 1)


def _found(encoder: Encoder, embed: Embedder) -> TappedLayers:
    found: list[TappedLayers | None] = []

    def look(module: nn.Module, pixels: torch.Tensor) -> torch.Tensor:
        found.append(find_tap(module, encoder.info.library, pixels, embed.forward))
        return embed.forward(module, pixels)

    pictures = [encoder.preprocess(probe_image(*size)) for size in ((320, 240), (200, 300))]
    replace(embed, forward=look, parallel=False)(torch.from_numpy(np.stack(pictures)))
    if not found or found[0] is None:
        kind = type(embed.module).__name__
        raise UsageError(f"{encoder.info.id}: no layers were found in {kind} that give its embedding bit for bit")
    return found[0]


def _chosen(name: str, found: TappedLayers, wanted: Sequence[Wanted]) -> tuple[Output, ...]:
    layers = found.layers
    same = len({(layer.count, layer.patches.shape[2 if layer.patches.ndim == 3 else 1]) for layer in layers}) == 1
    chosen: dict[str, Output] = {}
    for one in wanted:
        try:
            for number in one.of(len(layers)):
                layer = layers[number]
                usual = ("cls", "mean") if layer.tokens is not None else ("mean",)
                for pooling in one.poolings or usual:
                    made = pool(layer, pooling)
                    if not torch.isfinite(made).all():
                        raise EncoderError(f"layer {number} gives numbers that are not finite")
                    output = Output(
                        output_name(number, pooling),
                        number,
                        len(layers),
                        "block" if same else "stage",
                        pooling,
                        made.shape[1],
                        found.tap.read + (ONE_PATCH if is_single(pooling) else ""),
                    )
                    chosen.setdefault(output.name, output)
        except UsageError as error:
            raise UsageError(f"{name}: --outputs {one.text}: {error}") from None
    return tuple(sorted(chosen.values(), key=lambda output: output.layer))


def _reload_with_outputs(load: Callable[..., Encoder], outputs: Sequence[str], *, device: str) -> Encoder:
    """The same in another process, or on another device."""
    return with_outputs(load(device=device), outputs).together
