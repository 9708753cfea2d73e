"""The encoders that ``list encoders`` prints: bundled ones, controls, the study's 47, and those of 2024-26."""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass

from benchmark.encoders.loaders import (  # noqa: F401  (they fill NAMED)
    bundled,
    controls,
    hashes,
    jpeg_statistics,
    packaged,
    study_weights,
)
from benchmark.encoders.provenance import STUDY, group_and_data
from benchmark.encoders.registry import NAMED, EncoderRow

_TABLE: tuple[tuple[str, str, int, int], ...] = (
    # spec, library, input side in pixels, parameters of the image tower
    ("timm/vit_small_plus_patch16_dinov3.lvd1689m", "timm", 256, 28_683_264),
    ("timm/vit_base_patch16_dinov3.lvd1689m", "timm", 256, 85_641_216),
    ("timm/vit_large_patch16_dinov3.lvd1689m", "timm", 256, 303_079_424),
    ("timm/vit_huge_plus_patch16_dinov3.lvd1689m", "timm", 256, 840_509_440),
    ("timm/convnext_base.dinov3_lvd1689m", "timm", 224, 87_566_464),
    ("facebook/dinov2-small", "transformers", 224, 22_056_576),
    ("facebook/dinov2-base", "transformers", 224, 86_580_480),
    ("facebook/dinov2-large", "transformers", 224, 304_368_640),
    ("facebook/dinov2-giant", "transformers", 224, 1_136_480_768),
    ("timm/vit_pe_core_base_patch16_224.fb", "timm", 224, 92_886_528),
    ("timm/vit_pe_core_large_patch14_336.fb", "timm", 336, 316_102_656),
    ("timm/vit_huge_patch14_clip_224.dfn5b", "timm", 224, 630_766_080),
    ("timm/vit_huge_patch14_clip_224.metaclip2_worldwide", "timm", 224, 630_766_080),
    ("facebook/metaclip-2-worldwide-b16", "transformers", 224, 86_192_640),
    ("timm/vit_so400m_patch16_siglip_256.v2_webli", "timm", 256, 427_888_064),
    ("timm/vit_base_patch14_reg1_tipsv2.webli", "timm", 448, 86_314_752),
    ("timm/vit_large_patch14_reg1_tipsv2.webli", "timm", 448, 304_014_336),
    ("timm/vit_so400m_patch14_reg1_tipsv2.webli", "timm", 448, 413_391_600),
    ("timm/aimv2_large_patch14_224.apple_pt", "timm", 224, 309_197_824),
    ("timm/aimv2_huge_patch14_224.apple_pt", "timm", 224, 680_851_968),
    ("timm/vit_pe_spatial_base_patch16_512.fb", "timm", 512, 86_433_792),
    ("timm/vit_so400m_patch16_radio_v4.c_radio", "timm", 512, 413_543_664),
    ("timm/vit_huge_patch16_radio_v4.c_radio", "timm", 512, 631_985_920),
    ("timm/vit_base_patch16_dinov3_qkvb.eupe_lvd1689m", "timm", 256, 85_659_648),
    ("timm/vit_base_mci_224.apple_mclip2_dfndr2b", "timm", 224, 85_955_328),
)
"""In the order of the groups: SSL, CVL, autoregressive, distilled."""

MODERN: tuple[EncoderRow, ...] = tuple(
    EncoderRow(spec, library, *group_and_data(spec), input_px, parameters)
    for spec, library, input_px, parameters in _TABLE
)
"""One row per encoder. ``InstalledLists.confirming`` names the library whose list has it."""

__all__ = ["MODERN", "NAMED", "EncoderRow", "installed_lists", "list_encoders", "study_row"]


def list_encoders() -> tuple[EncoderRow, ...]:
    """Every encoder with a name in this package, bundled ones and controls first; ``load_encoder`` takes others too.

    >>> [row.spec for row in list_encoders()][:2]
    ['bundled:efficientnet-lite0', 'bundled:imgsim']
    """
    in_study = {row.spec for row in STUDY}
    return (*(named.row for spec, named in NAMED.items() if spec not in in_study), *STUDY, *MODERN)


@dataclass(frozen=True)
class InstalledLists:
    """Names of weights in the lists of installed libraries."""

    timm: frozenset[str] | None
    """``timm.list_pretrained()``; None where timm is not installed."""
    open_clip: Mapping[str, str] | None
    """``ARCH/TAG`` of ``open_clip.list_pretrained()``, by itself and by the Hub's name of the same weights; None where
    open_clip is not installed."""

    def confirming(self, spec: str) -> str:
        """The list that has a name, or that none has it, in words.

        Args:
            spec: as ``--model`` takes it.
        """
        if spec in NAMED:
            return "camtrace"
        name = re.sub(r"^timm[:/]", "", spec)
        lists = {"timm.list_pretrained()": self.timm, "open_clip.list_pretrained()": self.open_clip}
        if name != spec:
            return _confirmation("timm.list_pretrained()", self.timm, name)
        if spec.startswith("open_clip:"):
            return _confirmation("open_clip.list_pretrained()", self.open_clip, spec.removeprefix("open_clip:"))
        if self.open_clip is not None and spec in self.open_clip:
            return f"open_clip.list_pretrained(), as {self.open_clip[spec]}"
        absent = [f"{title.partition('.')[0]} is not installed" for title, names in lists.items() if names is None]
        return "; ".join(["no installed list", *absent])


def installed_lists() -> InstalledLists:
    """The lists of timm and open_clip, which are imported for it; nothing is downloaded."""
    return InstalledLists(_timm_names(), _open_clip_names())


def _timm_names() -> frozenset[str] | None:
    try:
        import timm
    except ImportError:
        return None
    return frozenset(timm.list_pretrained())


def _open_clip_names() -> dict[str, str] | None:
    try:
        import open_clip
    except ImportError:
        return None
    names: dict[str, str] = {}
    for architecture, tag in open_clip.list_pretrained():
        name = f"{architecture}/{tag}"
        on_hub = str((open_clip.get_pretrained_cfg(architecture, tag) or {}).get("hf_hub") or "").strip("/")
        names[name] = name
        if on_hub:
            names.setdefault(on_hub, name)
    return names


def _confirmation(title: str, names: Collection[str] | None, name: str) -> str:
    if names is None:
        return f"not searched: {title.partition('.')[0]} is not installed"
    return title if name in names else f"no: {title} does not know it"


def study_row(spec: str) -> EncoderRow | None:
    """The row of the study's encoder with this specification; None if there is none."""
    return next((row for row in STUDY if row.spec == spec), None)
