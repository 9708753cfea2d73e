"""Networks that tests of runtimes convert, or fail to."""

import numpy as np
import torch
from PIL import Image
from torch import nn

from benchmark.encoders import Encoder, as_encoder


class Small(nn.Module):
    """Convolution, norm, attention over positions: a little of everything."""

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.layers = nn.Sequential(nn.Conv2d(3, 8, 4, 4), nn.BatchNorm2d(8), nn.GELU())
        self.attention = nn.TransformerEncoderLayer(8, 2, 16, batch_first=True)

    def preprocess(self, image: Image.Image) -> torch.Tensor:
        small = np.asarray(image.resize((16, 16), Image.Resampling.BILINEAR), dtype=np.float32)
        return torch.from_numpy(small / 255).permute(2, 0, 1)

    def forward(self, pixels: torch.Tensor) -> torch.Tensor:
        return self.attention(self.layers(pixels).flatten(2).transpose(1, 2)).flatten(1)


class Counting(Small):
    """Its trace holds the number of views that it was traced with."""

    def forward(self, pixels: torch.Tensor) -> torch.Tensor:
        return super().forward(pixels) * len(pixels)


class Forgetful(Small):
    """Embeds each time otherwise."""

    def forward(self, pixels: torch.Tensor) -> torch.Tensor:
        result = super().forward(pixels)
        return result + 0.01 * torch.rand_like(result)


class Beyond(Small):
    """Computes what OpenVINO has no operator for."""

    def forward(self, pixels: torch.Tensor) -> torch.Tensor:
        return torch.linalg.svdvals(super().forward(pixels).unflatten(1, (8, -1)))


def made(module, cache, runtime="auto", **options) -> Encoder:
    return as_encoder(module, device="cpu", runtime=runtime, cache=cache, **options)
