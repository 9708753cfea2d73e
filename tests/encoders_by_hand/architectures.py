"""Architectures of timm, one for each module of its models, and of open_clip, one for each kind of image tower."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

TIMM = (
    *("halonet26t", "mobileone_s0", "cait_xxs24_224", "coat_tiny", "convit_tiny", "convnext_atto"),
    *("cpubone_nano", "crossvit_tiny_240", "csatv2", "cs3darknet_s", "cspnext_tiny", "deit_tiny_patch16_224"),
    *("densenet121", "dla34", "dpn68", "edgenext_xx_small", "efficientformer_l1", "efficientformerv2_s0", "tinynet_a"),
    *("efficientvim_m1", "efficientvit_b0", "efficientvit_m0", "eva02_tiny_patch14_224", "fasternet_t0", "fastvit_t8"),
    *("gcvit_xxtiny", "ghostnet_050", "hardcorenas_a", "hgnetv2_b0", "hiera_tiny_224", "sam2_hiera_tiny"),
    *("hrnet_w18_ssld", "iformer_t", "inception_next_atto", "inception_v3", "lcnetv2_small", "lowformer_b0"),
    *("mambaout_femto", "maxvit_pico_rw_256", "gmlp_ti16_224", "tf_mobilenetv3_large_minimal_100", "mobilevit_xxs"),
    *("mvitv2_tiny", "nest_tiny", "nf_regnet_b0", "pit_xs_224", "pvt_v2_b0", "regnetx_004_tv", "repghostnet_050"),
    *("repvit_m0_9", "resnest26d", "resnet18", "resnetv2_18", "rexnet_100", "legacy_seresnet18", "shvit_s1"),
    *("skresnet18", "starnet_s050", "swiftformer_xs", "swin_tiny_patch4_window7_224", "swinv2_tiny_window8_256"),
    *("swinv2_cr_tiny_224", "tiny_vit_5m_224", "twins_svt_small", "visformer_tiny", "vit_tiny_patch16_224"),
    *("vit_tiny_r_s16_p8_224", "vit_srelpos_small_patch16_224", "vitamin_small_224", "ese_vovnet19b_slim"),
    *("beit_base_patch16_224", "convmixer_768_32", "deepseek_vit_412m", "gemma4_vit_167m", "inception_resnet_v2"),
    *("inception_v4", "mobilenetv5_base", "naflexvit_base_patch16_siglip"),
    *("legacy_xception", "xception41", "xcit_nano_12_p8_224", "davit_tiny", "focalnet_tiny_srf", "caformer_s18"),
)
"""Names of timm."""

TIMM_TOO_LARGE = {
    "levit": "levit_384_s8",
    "nasnet": "nasnetalarge",
    "nextvit": "nextvit_small",
    "pnasnet": "pnasnet5large",
    "qwen3_vit": "qwen3_vit_88m",
    "rdnet": "rdnet_tiny",
    "res2net": "res2net50_26w_4s",
    "selecsls": "selecsls42",
    "sequencer": "sequencer2d_s",
    "tnt": "tnt_s_legacy_patch16_224",
    "tresnet": "tresnet_m",
    "vgg": "vgg11",
    "vision_transformer_sam": "samvit_base_patch16",
    "volo": "volo_d1_224",
}
"""Modules of timm whose smallest model, named here, has more than 23 million weights; some of them are in ``TIMM`` of
``table.py``, with fewer layers."""

OPEN_CLIP = (
    *("coca_base", "coca_roberta-ViT-B-32", "coca_ViT-B-32", "convnext_tiny", "convnext_base", "convnext_large_d"),
    *("EVA02-B-16", "MobileCLIP-B", "MobileCLIP2-S0", "MobileCLIP-S1", "ViT-B-32", "ViT-S-16", "ViT-L-14"),
    *("ViT-B-16-SigLIP", "ViT-B-32-SigLIP2-256", "PE-Core-T-16-384", "PE-Core-S-16-384", "RN50", "RN101"),
    *("RN50-quickgelu", "ViT-B-32-quickgelu", "swin_base_patch4_window7_224", "ViT-H-14-CLIPA", "ViT-M-16-alt"),
    *("vit_medium_patch16_gap_256", "vit_relpos_medium_patch16_cls_224", "ViTamin-S"),
)
"""Architectures of open_clip."""

OPEN_CLIP_TOO_LARGE = ("EVA01-g-14", "MobileCLIP2-L-14")
"""Architectures of a kind that no smaller one has."""

_SIZES = {"image_size", "layers", "width", "patch_size", "head_width", "mlp_ratio", "timm_model_pretrained"}


def timm_modules(names: Iterable[str]) -> set[str]:
    """Modules of timm that define these models."""
    from timm.models import model_entrypoint

    return {model_entrypoint(name).__module__.rpartition(".")[2] for name in names}


def open_clip_kind(name: str) -> str:
    """Kind of an architecture's image tower: how it is built and read, without its sizes."""
    import open_clip

    config: dict[str, Any] = open_clip.get_model_config(name)
    vision = config["vision_cfg"]
    model = vision.get("timm_model_name")
    if model:
        module = next(iter(timm_modules([model.partition(".")[0]])))
        tower = f"timm {module}, {vision.get('timm_pool')}, {vision.get('timm_proj')}"
    elif isinstance(vision.get("layers"), list):
        tower = "resnet"
    else:
        tower = " ".join(["vit", *sorted(set(vision) - _SIZES)])
    return f"{'coca ' * ('multimodal_cfg' in config)}{tower}{' quickgelu' * bool(config.get('quick_gelu'))}"
