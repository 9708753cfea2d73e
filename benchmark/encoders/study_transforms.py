"""What the study's released loader did to a photo before each of its 47 encoders: the preset ``iccv2025``.

Whatever the library's own transform was, the loader replaced its first step by ``Resize(short side = side of the
crop)`` and kept the rest: ``CenterCrop``, the library's filter, its mean and standard deviation. No margin, no squash.
For 20 of the 47 that is their own transform (OpenAI CLIP, open_clip); for 27 it is another one.

Filter, mean and standard deviation are those of the library that the study loaded the encoder with: OpenAI's ``clip``
package and open_clip, timm's ``pretrained_cfg``, torchvision transforms of the hub code of DINO and DINOv2 (bicubic)
and of MoCo v3 (bilinear). The processors of DINO and DINOv2 on the Hub, which ``--preprocess own`` follows, differ.
"""

from __future__ import annotations

from dataclasses import dataclass

from PIL import Image

from benchmark.encoders.pixels import IMAGENET_MEAN, IMAGENET_STD, CenterCrop, Pixels, ResizeShort
from benchmark.encoders.registry import EncoderRow
from benchmark.encoders.study import STUDY

_CLIP_MEAN, _CLIP_STD = (0.48145466, 0.4578275, 0.40821073), (0.26862954, 0.26130258, 0.27577711)
_HALF = (0.5, 0.5, 0.5)

_HALF_NORMALISED = ("siglip", ".orig_in21k", "CLIP-ViT-L-14-laion2B")
"""Parts of the specs whose library subtracts 0.5 and divides by 0.5: SigLIP, ViTs of ImageNet-21k, LAION's ViT-L/14."""


@dataclass(frozen=True)
class StudyTransform:
    """One encoder's: resize the short side to the side of the crop, cut the centre, normalise."""

    crop_px: int
    """Side of the crop, and the short side before it."""
    resample: Image.Resampling
    """Antialiased, as Pillow does it."""
    mean: tuple[float, float, float]
    """Of pixels in [0, 1]."""
    std: tuple[float, float, float]
    unlike_own: str
    """What the encoder's library or its authors' code does instead, in words; empty where it is the same."""

    @property
    def pixels(self) -> Pixels:
        """Photo -> uint8 [crop, crop, 3]; margins are rounded as torchvision does."""
        resize = ResizeShort(self.crop_px, int(self.resample))
        return Pixels((resize, CenterCrop(self.crop_px, self.crop_px, "round")))


def study_transform(encoder_id: str) -> StudyTransform | None:
    """The transform of the study's encoder that an id names, with or without a revision; None if it is none of the 47.

    >>> study_transform("timm/resnet50.a1_in1k@main").crop_px, study_transform("timm/resnet50.a1_in1k").unlike_own
    (224, '235 -> 224')
    >>> study_transform("bundled:imgsim") is None
    True
    """
    # "@" stands in a revision, and in names of no other kind here.
    return _TRANSFORMS.get(encoder_id.removeprefix("hf-hub:").partition("@")[0])


def _transform(row: EncoderRow) -> StudyTransform:
    assert row.input_px is not None
    bicubic = not row.spec.startswith("checkpoint:mocov3")
    resample = Image.Resampling.BICUBIC if bicubic else Image.Resampling.BILINEAR
    mean, std = IMAGENET_MEAN, IMAGENET_STD
    if any(part in row.spec for part in _HALF_NORMALISED):
        mean, std = _HALF, _HALF
    elif row.published_name and row.published_name.startswith(("CLIP", "OpenCLIP")):
        mean, std = _CLIP_MEAN, _CLIP_STD
    return StudyTransform(row.input_px, resample, mean, std, _unlike_own(row))


def _unlike_own(row: EncoderRow) -> str:
    if "siglip" in row.spec:
        return "284 -> 256"
    if row.spec.endswith(".orig_in21k"):
        return "248 -> 224"
    if row.spec.startswith("timm/resnet"):
        return "235 -> 224"
    if row.spec.startswith("timm/convnext"):
        return "squash to 384 x 384"
    if row.group == "SSL":
        return "256 -> 224"
    return ""


_TRANSFORMS = {row.spec: _transform(row) for row in STUDY}
