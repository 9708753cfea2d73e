"""The 47 encoders of the published study (Ramos et al., ICCV 2025) as specs of this package, in the order of its table.

``resnet50`` and ``resnet101`` are pinned to the tags that timm gave by default at the time. OpenAI's ResNets exist in
no transformers format, so open_clip loads them; MoCo v3 and DINO's ResNet-50 come from their authors' own servers
(``checkpoints.py``).
"""

from __future__ import annotations

from benchmark.encoders.registry import EncoderRow

_WIT, _LAION, _DATACOMP, _WEBLI = "WIT-400M", "LAION-2B", "DataComp-1B", "WebLI"
_IN1K, _IN21K, _IN22K_1K, _LVD = "ImageNet-1k", "ImageNet-21k", "ImageNet-22k, fine-tuned on 1k", "LVD-142M"

_TABLE: tuple[tuple[str, str, str, str, str, int], ...] = (
    # published name, spec, library, group, training data, input side in pixels
    ("CLIP (ViT-B/16, WIT)", "openai/clip-vit-base-patch16", "transformers", "CVL", _WIT, 224),
    ("CLIP (ViT-B/32, WIT)", "openai/clip-vit-base-patch32", "transformers", "CVL", _WIT, 224),
    ("CLIP (ViT-L/14, WIT)", "openai/clip-vit-large-patch14", "transformers", "CVL", _WIT, 224),
    ("CLIP (ViT-L/14@336, WIT)", "openai/clip-vit-large-patch14-336", "transformers", "CVL", _WIT, 336),
    ("CLIP (RN50, WIT)", "open_clip:RN50/openai", "open_clip", "CVL", _WIT, 224),
    ("CLIP (RN101, WIT)", "open_clip:RN101/openai", "open_clip", "CVL", _WIT, 224),
    ("CLIP (RN50×4, WIT)", "open_clip:RN50x4/openai", "open_clip", "CVL", _WIT, 288),
    ("CLIP (RN50×16, WIT)", "open_clip:RN50x16/openai", "open_clip", "CVL", _WIT, 384),
    ("CLIP (RN50×64, WIT)", "open_clip:RN50x64/openai", "open_clip", "CVL", _WIT, 448),
    ("OpenCLIP (ViT-B/16, LAION-2B)", "laion/CLIP-ViT-B-16-laion2B-s34B-b88K", "open_clip", "CVL", _LAION, 224),
    ("OpenCLIP (ViT-B/32, LAION-2B)", "laion/CLIP-ViT-B-32-laion2B-s34B-b79K", "open_clip", "CVL", _LAION, 224),
    ("OpenCLIP (ViT-L/14, LAION-2B)", "laion/CLIP-ViT-L-14-laion2B-s32B-b82K", "open_clip", "CVL", _LAION, 224),
    ("OpenCLIP (ViT-H/14, LAION-2B)", "laion/CLIP-ViT-H-14-laion2B-s32B-b79K", "open_clip", "CVL", _LAION, 224),
    ("OpenCLIP (ViT-g/14, LAION-2B)", "laion/CLIP-ViT-g-14-laion2B-s34B-b88K", "open_clip", "CVL", _LAION, 224),
    (
        "OpenCLIP (ViT-B/16, DataComp-1B)",
        "laion/CLIP-ViT-B-16-DataComp.XL-s13B-b90K",
        "open_clip",
        "CVL",
        _DATACOMP,
        224,
    ),
    (
        "OpenCLIP (ViT-B/32, DataComp-1B)",
        "laion/CLIP-ViT-B-32-DataComp.XL-s13B-b90K",
        "open_clip",
        "CVL",
        _DATACOMP,
        224,
    ),
    (
        "OpenCLIP (ViT-L/14, DataComp-1B)",
        "laion/CLIP-ViT-L-14-DataComp.XL-s13B-b90K",
        "open_clip",
        "CVL",
        _DATACOMP,
        224,
    ),
    (
        "OpenCLIP (ConvNeXt-B, LAION-2B)",
        "laion/CLIP-convnext_base_w-laion2B-s13B-b82K-augreg",
        "open_clip",
        "CVL",
        _LAION,
        256,
    ),
    (
        "OpenCLIP (ConvNeXt-L, LAION-2B)",
        "laion/CLIP-convnext_large_d_320.laion2B-s29B-b131K-ft-soup",
        "open_clip",
        "CVL",
        _LAION,
        320,
    ),
    (
        "OpenCLIP (ConvNeXt-XXL, LAION-2B)",
        "laion/CLIP-convnext_xxlarge-laion2B-s34B-b82K-augreg-soup",
        "open_clip",
        "CVL",
        _LAION,
        256,
    ),
    ("SigLIP (ViT-B/16, WebLI)", "timm/vit_base_patch16_siglip_256.webli", "timm", "CVL", _WEBLI, 256),
    ("SigLIP (ViT-L/16, WebLI)", "timm/vit_large_patch16_siglip_256.webli", "timm", "CVL", _WEBLI, 256),
    ("SigLIP2 (ViT-B/16, WebLI)", "timm/vit_base_patch16_siglip_256.v2_webli", "timm", "CVL", _WEBLI, 256),
    ("SigLIP2 (ViT-L/16, WebLI)", "timm/vit_large_patch16_siglip_256.v2_webli", "timm", "CVL", _WEBLI, 256),
    ("ViT (ViT-B/16, ImageNet-21k)", "timm/vit_base_patch16_224.orig_in21k", "timm", "SUP", _IN21K, 224),
    ("ViT (ViT-B/32, ImageNet-21k)", "timm/vit_base_patch32_224.orig_in21k", "timm", "SUP", _IN21K, 224),
    ("ViT (ViT-L/16, ImageNet-21k)", "timm/vit_large_patch16_224.orig_in21k", "timm", "SUP", _IN21K, 224),
    ("ViT (ViT-L/32, ImageNet-21k)", "timm/vit_large_patch32_224.orig_in21k", "timm", "SUP", _IN21K, 224),
    ("ViT (ViT-H/14, ImageNet-21k)", "timm/vit_huge_patch14_224.orig_in21k", "timm", "SUP", _IN21K, 224),
    ("ResNet (RN50, ImageNet-1k)", "timm/resnet50.a1_in1k", "timm", "SUP", _IN1K, 224),
    ("ResNet (RN101, ImageNet-1k)", "timm/resnet101.a1h_in1k", "timm", "SUP", _IN1K, 224),
    ("ConvNeXt (ConvNeXt-T, ImageNet-21k)", "timm/convnext_tiny.fb_in22k_ft_in1k_384", "timm", "SUP", _IN22K_1K, 384),
    ("ConvNeXt (ConvNeXt-B, ImageNet-21k)", "timm/convnext_base.fb_in22k_ft_in1k_384", "timm", "SUP", _IN22K_1K, 384),
    ("ConvNeXt (ConvNeXt-L, ImageNet-21k)", "timm/convnext_large.fb_in22k_ft_in1k_384", "timm", "SUP", _IN22K_1K, 384),
    (
        "ConvNeXt (ConvNeXt-XL, ImageNet-21k)",
        "timm/convnext_xlarge.fb_in22k_ft_in1k_384",
        "timm",
        "SUP",
        _IN22K_1K,
        384,
    ),
    ("DINO (ViT-S/16, ImageNet-1k)", "facebook/dino-vits16", "transformers", "SSL", _IN1K, 224),
    ("DINO (ViT-S/8, ImageNet-1k)", "facebook/dino-vits8", "transformers", "SSL", _IN1K, 224),
    ("DINO (ViT-B/16, ImageNet-1k)", "facebook/dino-vitb16", "transformers", "SSL", _IN1K, 224),
    ("DINO (ViT-B/8, ImageNet-1k)", "facebook/dino-vitb8", "transformers", "SSL", _IN1K, 224),
    ("DINO (RN50, ImageNet-1k)", "checkpoint:dino-resnet50", "checkpoint", "SSL", _IN1K, 224),
    ("DINOv2 (ViT-S/14 reg, LVD-142M)", "facebook/dinov2-with-registers-small", "transformers", "SSL", _LVD, 224),
    ("DINOv2 (ViT-B/14 reg, LVD-142M)", "facebook/dinov2-with-registers-base", "transformers", "SSL", _LVD, 224),
    ("DINOv2 (ViT-L/14 reg, LVD-142M)", "facebook/dinov2-with-registers-large", "transformers", "SSL", _LVD, 224),
    ("DINOv2 (ViT-g/14 reg, LVD-142M)", "facebook/dinov2-with-registers-giant", "transformers", "SSL", _LVD, 224),
    ("MoCo v3 (ViT-S, ImageNet-1k)", "checkpoint:mocov3-vit-small", "checkpoint", "SSL", _IN1K, 224),
    ("MoCo v3 (ViT-B, ImageNet-1k)", "checkpoint:mocov3-vit-base", "checkpoint", "SSL", _IN1K, 224),
    ("MoCo v3 (RN50, ImageNet-1k)", "checkpoint:mocov3-resnet50", "checkpoint", "SSL", _IN1K, 224),
)

STUDY: tuple[EncoderRow, ...] = tuple(
    EncoderRow(spec, library, group, training_data, input_px, published_name)
    for published_name, spec, library, group, training_data, input_px in _TABLE
)
"""One row per encoder; ``published_name`` is the first column of the published table, letter for letter."""
