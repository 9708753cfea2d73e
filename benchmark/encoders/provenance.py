"""What is known about how an encoder was trained: the study's table, then the families of ``encoder_families.yaml``.

Group is the study's main axis, so the statement is data with a source, and what nobody states stays ``unknown``.
"""

from __future__ import annotations

import functools
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

from benchmark.encoders.registry import EncoderRow
from builders.files import read_package_yaml

_WIT, _LAION, _DATACOMP, _WEBLI = "WIT-400M", "LAION-2B", "DataComp-1B", "WebLI"

_IN1K, _IN21K, _IN22K_1K, _LVD = "ImageNet-1k", "ImageNet-21k", "ImageNet-22k, fine-tuned on 1k", "LVD-142M"

_TABLE: tuple[tuple[str, str, str, str, str, int, int], ...] = (
    # published name, spec, library, group, training data, input side in pixels, parameters of the image tower
    ("CLIP (ViT-B/16, WIT)", "openai/clip-vit-base-patch16", "transformers", "CVL", _WIT, 224, 86_192_640),
    ("CLIP (ViT-B/32, WIT)", "openai/clip-vit-base-patch32", "transformers", "CVL", _WIT, 224, 87_849_216),
    ("CLIP (ViT-L/14, WIT)", "openai/clip-vit-large-patch14", "transformers", "CVL", _WIT, 224, 303_966_208),
    ("CLIP (ViT-L/14@336, WIT)", "openai/clip-vit-large-patch14-336", "transformers", "CVL", _WIT, 336, 304_293_888),
    ("CLIP (RN50, WIT)", "open_clip:RN50/openai", "open_clip", "CVL", _WIT, 224, 38_316_896),
    ("CLIP (RN101, WIT)", "open_clip:RN101/openai", "open_clip", "CVL", _WIT, 224, 56_259_936),
    ("CLIP (RN50×4, WIT)", "open_clip:RN50x4/openai", "open_clip", "CVL", _WIT, 288, 87_137_080),
    ("CLIP (RN50×16, WIT)", "open_clip:RN50x16/openai", "open_clip", "CVL", _WIT, 384, 167_328_912),
    ("CLIP (RN50×64, WIT)", "open_clip:RN50x64/openai", "open_clip", "CVL", _WIT, 448, 420_380_352),
    (
        "OpenCLIP (ViT-B/16, LAION-2B)",
        "laion/CLIP-ViT-B-16-laion2B-s34B-b88K",
        "open_clip",
        "CVL",
        _LAION,
        224,
        86_192_640,
    ),
    (
        "OpenCLIP (ViT-B/32, LAION-2B)",
        "laion/CLIP-ViT-B-32-laion2B-s34B-b79K",
        "open_clip",
        "CVL",
        _LAION,
        224,
        87_849_216,
    ),
    (
        "OpenCLIP (ViT-L/14, LAION-2B)",
        "laion/CLIP-ViT-L-14-laion2B-s32B-b82K",
        "open_clip",
        "CVL",
        _LAION,
        224,
        303_966_208,
    ),
    (
        "OpenCLIP (ViT-H/14, LAION-2B)",
        "laion/CLIP-ViT-H-14-laion2B-s32B-b79K",
        "open_clip",
        "CVL",
        _LAION,
        224,
        632_076_800,
    ),
    (
        "OpenCLIP (ViT-g/14, LAION-2B)",
        "laion/CLIP-ViT-g-14-laion2B-s34B-b88K",
        "open_clip",
        "CVL",
        _LAION,
        224,
        1_012_645_632,
    ),
    (
        "OpenCLIP (ViT-B/16, DataComp-1B)",
        "laion/CLIP-ViT-B-16-DataComp.XL-s13B-b90K",
        "open_clip",
        "CVL",
        _DATACOMP,
        224,
        86_192_640,
    ),
    (
        "OpenCLIP (ViT-B/32, DataComp-1B)",
        "laion/CLIP-ViT-B-32-DataComp.XL-s13B-b90K",
        "open_clip",
        "CVL",
        _DATACOMP,
        224,
        87_849_216,
    ),
    (
        "OpenCLIP (ViT-L/14, DataComp-1B)",
        "laion/CLIP-ViT-L-14-DataComp.XL-s13B-b90K",
        "open_clip",
        "CVL",
        _DATACOMP,
        224,
        303_966_208,
    ),
    (
        "OpenCLIP (ConvNeXt-B, LAION-2B)",
        "laion/CLIP-convnext_base_w-laion2B-s13B-b82K-augreg",
        "open_clip",
        "CVL",
        _LAION,
        256,
        88_221_824,
    ),
    (
        "OpenCLIP (ConvNeXt-L, LAION-2B)",
        "laion/CLIP-convnext_large_d_320.laion2B-s29B-b131K-ft-soup",
        "open_clip",
        "CVL",
        _LAION,
        320,
        199_770_816,
    ),
    (
        "OpenCLIP (ConvNeXt-XXL, LAION-2B)",
        "laion/CLIP-convnext_xxlarge-laion2B-s34B-b82K-augreg-soup",
        "open_clip",
        "CVL",
        _LAION,
        256,
        846_543_744,
    ),
    ("SigLIP (ViT-B/16, WebLI)", "timm/vit_base_patch16_siglip_256.webli", "timm", "CVL", _WEBLI, 256, 92_930_304),
    ("SigLIP (ViT-L/16, WebLI)", "timm/vit_large_patch16_siglip_256.webli", "timm", "CVL", _WEBLI, 256, 315_956_224),
    ("SigLIP2 (ViT-B/16, WebLI)", "timm/vit_base_patch16_siglip_256.v2_webli", "timm", "CVL", _WEBLI, 256, 92_930_304),
    (
        "SigLIP2 (ViT-L/16, WebLI)",
        "timm/vit_large_patch16_siglip_256.v2_webli",
        "timm",
        "CVL",
        _WEBLI,
        256,
        315_956_224,
    ),
    ("ViT (ViT-B/16, ImageNet-21k)", "timm/vit_base_patch16_224.orig_in21k", "timm", "SUP", _IN21K, 224, 85_798_656),
    ("ViT (ViT-B/32, ImageNet-21k)", "timm/vit_base_patch32_224.orig_in21k", "timm", "SUP", _IN21K, 224, 87_455_232),
    ("ViT (ViT-L/16, ImageNet-21k)", "timm/vit_large_patch16_224.orig_in21k", "timm", "SUP", _IN21K, 224, 303_301_632),
    ("ViT (ViT-L/32, ImageNet-21k)", "timm/vit_large_patch32_224.orig_in21k", "timm", "SUP", _IN21K, 224, 305_510_400),
    ("ViT (ViT-H/14, ImageNet-21k)", "timm/vit_huge_patch14_224.orig_in21k", "timm", "SUP", _IN21K, 224, 630_764_800),
    ("ResNet (RN50, ImageNet-1k)", "timm/resnet50.a1_in1k", "timm", "SUP", _IN1K, 224, 23_508_032),
    ("ResNet (RN101, ImageNet-1k)", "timm/resnet101.a1h_in1k", "timm", "SUP", _IN1K, 224, 42_500_160),
    (
        "ConvNeXt (ConvNeXt-T, ImageNet-21k)",
        "timm/convnext_tiny.fb_in22k_ft_in1k_384",
        "timm",
        "SUP",
        _IN22K_1K,
        384,
        27_820_128,
    ),
    (
        "ConvNeXt (ConvNeXt-B, ImageNet-21k)",
        "timm/convnext_base.fb_in22k_ft_in1k_384",
        "timm",
        "SUP",
        _IN22K_1K,
        384,
        87_566_464,
    ),
    (
        "ConvNeXt (ConvNeXt-L, ImageNet-21k)",
        "timm/convnext_large.fb_in22k_ft_in1k_384",
        "timm",
        "SUP",
        _IN22K_1K,
        384,
        196_230_336,
    ),
    (
        "ConvNeXt (ConvNeXt-XL, ImageNet-21k)",
        "timm/convnext_xlarge.fb_in22k_ft_in1k_384",
        "timm",
        "SUP",
        _IN22K_1K,
        384,
        348_147_968,
    ),
    ("DINO (ViT-S/16, ImageNet-1k)", "facebook/dino-vits16", "transformers", "SSL", _IN1K, 224, 21_665_664),
    ("DINO (ViT-S/8, ImageNet-1k)", "facebook/dino-vits8", "transformers", "SSL", _IN1K, 224, 21_670_272),
    ("DINO (ViT-B/16, ImageNet-1k)", "facebook/dino-vitb16", "transformers", "SSL", _IN1K, 224, 85_798_656),
    ("DINO (ViT-B/8, ImageNet-1k)", "facebook/dino-vitb8", "transformers", "SSL", _IN1K, 224, 85_807_872),
    ("DINO (RN50, ImageNet-1k)", "checkpoint:dino-resnet50", "checkpoint", "SSL", _IN1K, 224, 23_508_032),
    (
        "DINOv2 (ViT-S/14 reg, LVD-142M)",
        "facebook/dinov2-with-registers-small",
        "transformers",
        "SSL",
        _LVD,
        224,
        22_058_112,
    ),
    (
        "DINOv2 (ViT-B/14 reg, LVD-142M)",
        "facebook/dinov2-with-registers-base",
        "transformers",
        "SSL",
        _LVD,
        224,
        86_583_552,
    ),
    (
        "DINOv2 (ViT-L/14 reg, LVD-142M)",
        "facebook/dinov2-with-registers-large",
        "transformers",
        "SSL",
        _LVD,
        224,
        304_372_736,
    ),
    (
        "DINOv2 (ViT-g/14 reg, LVD-142M)",
        "facebook/dinov2-with-registers-giant",
        "transformers",
        "SSL",
        _LVD,
        224,
        1_136_486_912,
    ),
    ("MoCo v3 (ViT-S, ImageNet-1k)", "checkpoint:mocov3-vit-small", "checkpoint", "SSL", _IN1K, 224, 21_665_664),
    ("MoCo v3 (ViT-B, ImageNet-1k)", "checkpoint:mocov3-vit-base", "checkpoint", "SSL", _IN1K, 224, 85_798_656),
    ("MoCo v3 (RN50, ImageNet-1k)", "checkpoint:mocov3-resnet50", "checkpoint", "SSL", _IN1K, 224, 23_508_032),
)

STUDY: tuple[EncoderRow, ...] = tuple(
    EncoderRow(spec, library, group, training_data, input_px, parameters, published_name)
    for published_name, spec, library, group, training_data, input_px, parameters in _TABLE
)
"""One row per encoder; ``published_name`` is the first column of the published table, letter for letter."""

FAMILIES_FILE = Path(__file__).parents[1] / "data" / "encoder_families.yaml"
"""Patterns of ids with group, training data, year and the source of the statement; the first that matches counts."""

STUDY_SOURCE = "Ramos et al., ICCV 2025"
"""Who says how the study's 47 encoders were trained."""

_CONTRASTIVE = re.compile(r"clip|siglip|align|coca", re.IGNORECASE)


@dataclass(frozen=True)
class EncoderFamily:
    """How encoders of one family of ids were trained."""

    family: str
    pattern: re.Pattern[str]
    """Of a whole id, without revision and options; ``timm/NAME`` for both spellings of it."""
    group: str
    """One of ``encoder.GROUPS``."""
    training_data: str
    year: int | None
    """In which it was published; None where the source does not date single encoders."""
    source: str
    """Who states it."""


@functools.cache
def families() -> tuple[EncoderFamily, ...]:
    """The families of ``FAMILIES_FILE``, in its order."""
    rows = read_package_yaml(FAMILIES_FILE)
    return tuple(EncoderFamily(**{**row, "pattern": re.compile(row["pattern"], re.IGNORECASE)}) for row in rows)


def family_of(name: str) -> EncoderFamily | None:
    """The family of an encoder's id, its training data written out; None if no pattern knows it.

    >>> found = family_of("facebook/dinov2-base@main")
    >>> found.group, found.training_data, found.year, found.source
    ('SSL', 'LVD-142M', 2023, 'Oquab et al., arXiv:2304.07193')
    """
    plain = _plain(name)
    for family in families():
        if match := family.pattern.fullmatch(plain):
            data = family.training_data.format_map(_Named(match.groupdict()))
            return EncoderFamily(**{**vars(family), "training_data": data})
    return None


class Training(NamedTuple):
    """How an encoder was trained."""

    group: str
    """One of ``encoder.GROUPS``."""
    data: str


def group_and_data(name: str, *, contrastive: bool = False, architecture: str = "", classes: int = 0) -> Training:
    """The group and training data of an encoder; ``unknown`` rather than a guess.

    Args:
        name: its id; a revision after ``@`` and options after ``?`` are not looked at.
        contrastive: it has a text tower beside its image tower.
        architecture: its architecture's name, for towers that were saved alone.
        classes: number of classes of its classifier; with one it was trained, or at last fine-tuned, with labels.

    >>> group_and_data("facebook/dino-vits16")
    Training(group='SSL', data='ImageNet-1k')
    >>> group_and_data("timm:vit_huge_patch16_radio_v4.c_radio").group
    'distilled'
    """
    plain = _plain(name)
    for row in STUDY:
        if row.spec == plain:
            return Training(row.group, row.training_data)
    if family := family_of(name):
        return Training(family.group, family.training_data)
    if contrastive or _CONTRASTIVE.search(architecture):
        return Training("CVL", "unknown")
    return Training("SUP" if classes else "unknown", "unknown")


def statement(name: str) -> Mapping[str, str | int]:
    """Who says how it was trained, and when it was published, for a result's details; empty if nobody here does.

    >>> statement("timm/aimv2_large_patch14_224.apple_pt")
    {'training_source': 'Fini et al., arXiv:2411.14402', 'year': 2024}
    """
    family = family_of(name)
    studied = any(row.spec == _plain(name) for row in STUDY)
    if family is None:
        return {"training_source": STUDY_SOURCE} if studied else {}
    said: dict[str, str | int] = {"training_source": STUDY_SOURCE if studied else family.source}
    return said | ({"year": family.year} if family.year else {})


def _plain(name: str) -> str:
    """An id as patterns have it."""
    plain = re.split(r"[@?]", name.removeprefix("hf-hub:"), maxsplit=1)[0]
    return f"timm/{plain.removeprefix('timm:')}" if plain.startswith("timm:") else plain


class _Named(dict[str, str | None]):
    """What a pattern found by name; what it did not find is left out."""

    def __missing__(self, name: str) -> str:
        return ""
