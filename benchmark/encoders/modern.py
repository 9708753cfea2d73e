"""Encoders of 2024 to 2026 that a board must hold beside the study's 47; their families say how they were trained."""

from __future__ import annotations

from benchmark.encoders.provenance import group_and_data
from benchmark.encoders.registry import EncoderRow

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
"""One row per encoder. ``catalogue.confirmed_by`` says which installed library's list knows its name."""
