"""Controls without training, scored like encoders: a random projection of pixels, and an untrained network.

Scores have to be compared with theirs: a linear probe reads much from random projections of pixels.
"""

from __future__ import annotations

import functools
import hashlib
from typing import TYPE_CHECKING, Any

import numpy as np

from benchmark.encoders.encoder import Encoder
from benchmark.encoders.preprocess.pixels import IMAGENET_MEAN, IMAGENET_PIXELS, IMAGENET_STD, describe
from benchmark.encoders.registry import NAMED, EncoderRow, LoadRequest, Named

if TYPE_CHECKING:
    import torch
    from torch import nn

PROJECTION_DIMENSION = 512
"""Length of the random projection; its squared distances have a standard deviation of sqrt(2 / 512) = 6 %."""


_SLICE = 224 * 16
"""Number of pixel values in one sum."""


def random_signs(rows: int, columns: int, seed: int = 0) -> np.ndarray:
    """Fair, independent +1 and -1, int8 [rows, columns], the same on every machine (bits of SHAKE-256).

    A projection by signs preserves distances as well as a Gaussian one (Achlioptas, "Database-friendly random
    projections", 2003), and can be reproduced exactly.

    >>> random_signs(2, 5).tolist()
    [[1, 1, -1, -1, 1], [-1, 1, -1, 1, 1]]
    """
    count = rows * columns
    drawn = np.frombuffer(hashlib.shake_256(f"camtrace signs {seed}".encode()).digest((count + 7) // 8), np.uint8)
    of_byte = np.unpackbits(np.arange(256, dtype=np.uint8)[:, None], axis=1).astype(np.int8) * 2 - 1
    eight = of_byte.view(np.int64).ravel()  # the eight signs of a byte as one number: ten times faster
    return eight[drawn].view(np.int8)[:count].reshape(rows, columns)


@functools.cache
def _projection_sha256(rows: int, columns: int) -> str:
    """SHA-256 of the signs, which are constant; computed once per process."""
    return hashlib.sha256(random_signs(rows, columns).data).hexdigest()


def _load_random_projection(request: LoadRequest) -> Encoder:
    import torch
    from torch import nn

    from benchmark.encoders.network import Network, Normalisation, network_encoder
    from benchmark.encoders.placement import placement

    place = placement(request.device, request.dtype, request.compile)
    pixels = 224 * 224 * 3
    signs = random_signs(PROJECTION_DIMENSION, pixels)
    module = nn.Linear(pixels, PROJECTION_DIMENSION, bias=False, device="meta")
    module.weight = nn.Parameter(torch.from_numpy(signs).float().div_(pixels**0.5), requires_grad=False)
    return network_encoder(
        Network(
            name=request.spec,
            library="control",
            module=module,
            preprocess=IMAGENET_PIXELS,
            preprocessing=describe(IMAGENET_PIXELS, IMAGENET_MEAN, IMAGENET_STD, "pil"),
            normalise=Normalisation(IMAGENET_MEAN, IMAGENET_STD),
            forward=_project,
            pooling=f"{PROJECTION_DIMENSION} random sign projections of the preprocessed pixels",
            stateless=True,
            cpu_chunk=64,
            weights_sha256=_projection_sha256(PROJECTION_DIMENSION, pixels),
            group="control",
            training_data="none",
        ),
        place,
    )


def _project(module: Any, pixels: torch.Tensor) -> torch.Tensor:
    """[n, 3, 224, 224] -> [n, 512], summed in slices: one sum of 150,528 terms would depend on the batch size."""
    flat = pixels.flatten(1)
    slices = zip(flat.split(_SLICE, 1), module.weight.split(_SLICE, 1), strict=True)
    return sum((values @ weights.T for values, weights in slices), start=flat.new_zeros(()))


def _load_untrained_resnet50(request: LoadRequest) -> Encoder:
    import torch
    from torch import nn
    from torchvision.models import resnet50

    from benchmark.encoders.network import Network, Normalisation, network_encoder
    from benchmark.encoders.placement import placement

    place = placement(request.device, request.dtype, request.compile)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        module = resnet50(weights=None)
    module.fc = nn.Identity()
    return network_encoder(
        Network(
            name=request.spec,
            library="control",
            module=module,
            preprocess=IMAGENET_PIXELS,
            preprocessing=describe(IMAGENET_PIXELS, IMAGENET_MEAN, IMAGENET_STD, "pil"),
            normalise=Normalisation(IMAGENET_MEAN, IMAGENET_STD),
            forward=_scaled_features,
            pooling="global average pooling of the last stage, divided by 32",
            stateless=True,
            group="control",
            training_data="none (initialisation with seed 0)",
            details={"architecture": "torchvision resnet50"},
        ),
        place,
    )


def _scaled_features(module: nn.Module, pixels: torch.Tensor) -> torch.Tensor:
    """[n, 3, 224, 224] -> [n, 2048], about 1: every residual block of an untrained network doubles the variance."""
    return module(pixels) / 32


for _row, _load in (
    (EncoderRow("control:random-projection", "control", "control", "none", 224, 77_070_336), _load_random_projection),
    (EncoderRow("control:untrained-resnet50", "control", "control", "none", 224, 23_508_032), _load_untrained_resnet50),
):
    NAMED[_row.spec] = Named(_row, _load)
