"""Three networks whose weights NumPy draws, the same on every machine: convolutions, attention, depthwise layers."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator

import numpy as np
import torch
from torch import nn
from torch.nn import functional

from benchmark.encoders import Encoder
from benchmark.encoders.network import Network, Normalisation, network_encoder
from benchmark.encoders.placement import placement
from benchmark.encoders.preprocess.pixels import IMAGENET_MEAN, IMAGENET_STD, CenterCrop, Pixels, describe

PATCH = 16


class Attention(nn.Module):
    """A transformer of patches: layer normalisation, attention, perceptron."""

    def __init__(self, side: int, width: int, heads: int, layers: int) -> None:
        super().__init__()
        self.heads = heads
        self.patches = nn.Conv2d(3, width, PATCH, PATCH)
        self.places = nn.Parameter(torch.empty(1, (side // PATCH) ** 2, width))
        self.layers = nn.ModuleList(
            nn.ModuleDict(
                {
                    "before": nn.LayerNorm(width),
                    "all": nn.Linear(width, 3 * width),
                    "out": nn.Linear(width, width),
                    "between": nn.LayerNorm(width),
                    "up": nn.Linear(width, 2 * width),
                    "down": nn.Linear(2 * width, width),
                }
            )
            for _ in range(layers)
        )

    def forward(self, pixels: torch.Tensor) -> torch.Tensor:
        x = self.patches(pixels).flatten(2).transpose(1, 2) + self.places
        for layer in self.layers:
            parts = layer["all"](layer["before"](x)).unflatten(2, (3, self.heads, -1)).permute(2, 0, 3, 1, 4)
            read = functional.scaled_dot_product_attention(*parts.unbind(0))
            x = x + layer["out"](read.transpose(1, 2).flatten(2))
            x = x + layer["down"](functional.gelu(layer["up"](layer["between"](x))))
        return x.mean(1)


def convolutions(widths: tuple[int, ...]) -> nn.Module:
    """Convolutions with batch normalisation, half as large at each."""
    steps: list[nn.Module] = []
    for before, after in itertools.pairwise((3, *widths)):
        steps += [nn.Conv2d(before, after, 3, 2, 1, bias=False), nn.BatchNorm2d(after), nn.ReLU()]
    return nn.Sequential(*steps, nn.AdaptiveAvgPool2d(1), nn.Flatten())


def depthwise(width: int, layers: int) -> nn.Module:
    """Wide depthwise convolutions between layers of one pixel."""
    steps: list[nn.Module] = [nn.Conv2d(3, width, 4, 4)]
    for _ in range(layers):
        steps += [nn.Conv2d(width, width, 7, padding=3, groups=width), nn.GroupNorm(1, width)]
        steps += [nn.Conv2d(width, 2 * width, 1), nn.GELU(), nn.Conv2d(2 * width, width, 1)]
    return nn.Sequential(*steps, nn.AdaptiveAvgPool2d(1), nn.Flatten())


Makes = Callable[[int, bool], nn.Module]

NETWORKS: dict[str, Makes] = {
    "convolutions": lambda side, quick: convolutions((8, 16) if quick else (64, 128, 256, 512)),
    "attention": lambda side, quick: Attention(side, *(32, 2, 2) if quick else (192, 3, 4)),
    "depthwise": lambda side, quick: depthwise(*(8, 1) if quick else (96, 3)),
}
"""Network by name, from the side of its input and whether it should be tiny."""


def reference_encoder(name: str, device: torch.device, quick: bool) -> Encoder:
    """One of ``NETWORKS`` as every library's networks are embedded."""
    side = side_of(quick)
    pixels = Pixels((CenterCrop(side, side, "round"),))
    module = _drawn(NETWORKS[name](side, quick)).eval().requires_grad_(False)
    return network_encoder(
        Network(
            name=f"reference:{name}",
            library="control",
            module=module,
            preprocess=pixels,
            preprocessing=describe(pixels, IMAGENET_MEAN, IMAGENET_STD, "pil"),
            normalise=Normalisation(IMAGENET_MEAN, IMAGENET_STD),
            forward=lambda network, batch: network(batch),
            pooling="mean",
        ),
        placement(str(device), "float32"),
    )


def side_of(quick: bool) -> int:
    """Side of the networks' input in pixels."""
    return 32 if quick else 224


def reference_views(count: int, side: int, seed: int = 0) -> torch.Tensor:
    """uint8 [count, side, side, 3]: smooth squares with noise."""
    draw = np.random.default_rng(seed)
    coarse = draw.integers(0, 224, (count, side // 8, side // 8, 3))
    fine = np.kron(coarse, np.ones((1, 8, 8, 1), np.int64)) + draw.integers(0, 32, (count, side, side, 3))
    return torch.from_numpy(fine.astype(np.uint8))


def _drawn(module: nn.Module) -> nn.Module:
    """The module with weights of NumPy, scaled so that every layer keeps the size of what it is given."""
    draw = np.random.default_rng(0)
    for name, tensor in _tensors(module):
        values = draw.normal(size=tuple(tensor.shape))
        if name.endswith("running_var"):
            values = 1 + 0.1 * np.abs(values)
        elif tensor.ndim > 1:
            values = values * (2 / np.prod(tensor.shape[1:])) ** 0.5
        else:
            values = (1.0 if name.endswith("weight") else 0.0) + 0.1 * values
        with torch.no_grad():
            tensor.copy_(torch.from_numpy(np.asarray(values, np.float32)))
    return module


def _tensors(module: nn.Module) -> Iterator[tuple[str, torch.Tensor]]:
    yield from module.named_parameters()
    yield from ((name, tensor) for name, tensor in module.named_buffers() if tensor.is_floating_point())
