"""Every checkpoint of transformers that is tried, and the names of timm with weights."""

from __future__ import annotations

from tests.encoders_by_hand import detecting, flat, language, lone, pyramids, refused, two_towers, vision_language
from tests.encoders_by_hand.case import Case

CASES: dict[str, Case] = {
    **flat.CASES,
    **pyramids.CASES,
    **detecting.CASES,
    **two_towers.CASES,
    **vision_language.CASES,
    **language.CASES,
    **refused.CASES,
    **lone.CASES,
}

TIMM = (
    *(
        "vit_small_plus_patch16_dinov3.lvd1689m",
        "vit_base_patch16_dinov3.lvd1689m",
        "vit_large_patch16_dinov3.lvd1689m",
    ),
    *("vit_huge_plus_patch16_dinov3.lvd1689m", "convnext_base.dinov3_lvd1689m", "vit_pe_core_base_patch16_224.fb"),
    *("vit_pe_core_large_patch14_336.fb", "vit_pe_spatial_base_patch16_512.fb", "aimv2_large_patch14_224.apple_pt"),
    *("aimv2_huge_patch14_224.apple_pt", "vit_base_patch14_reg1_tipsv2.webli", "vit_large_patch14_reg1_tipsv2.webli"),
    *("vit_so400m_patch14_reg1_tipsv2.webli", "vit_so400m_patch16_radio_v4.c_radio"),
    *("vit_huge_patch16_radio_v4.c_radio", "vit_base_patch16_dinov3_qkvb.eupe_lvd1689m"),
    *("vit_huge_patch14_clip_224.dfn5b", "vit_huge_patch14_clip_224.metaclip2_worldwide"),
    *("vit_base_mci_224.apple_mclip2_dfndr2b", "resnet50.a1_in1k", "convnext_tiny.fb_in22k_ft_in1k_384"),
    *("vit_base_patch16_siglip_256.v2_webli", "efficientnet_b0.ra_in1k", "mobilenetv4_conv_small.e2400_r224_in1k"),
    *("swin_tiny_patch4_window7_224.ms_in1k", "naflexvit_base_patch16_siglip.v2_webli", "fastvit_t8.apple_in1k"),
    *("deit_base_distilled_patch16_224.fb_in1k", "eva02_base_patch14_224.mim_in22k", "hiera_tiny_224.mae_in1k_ft_in1k"),
)
"""Names of timm, the ids of 2024-26 first."""
