"""Models of transformers that are no image encoders, and the sentences that say so."""

from __future__ import annotations

import inspect
from collections.abc import Mapping
from typing import Any

from builders.errors import UsageError

VIDEOS: Mapping[str, str] = {
    "videomae": "facebook/vit-mae-base",
    "vivit": "google/vit-base-patch16-224-in21k",
    "timesformer": "google/vit-base-patch16-224-in21k",
    "xclip": "openai/clip-vit-base-patch32",
    "vjepa2": "facebook/ijepa_vith14_1k",
    "pe_video": "timm/vit_pe_core_base_patch16_224.fb",
    "pe_video_encoder": "timm/vit_pe_core_base_patch16_224.fb",
    "pe_audio_video": "timm/vit_pe_core_base_patch16_224.fb",
    "videoprism": "google/siglip2-base-patch16-256",
    "videoprism_vision_model": "google/siglip2-base-patch16-256",
    "video_llava": "llava-hf/llava-1.5-7b-hf",
    "instructblipvideo": "Salesforce/instructblip-vicuna-7b",
    "tvp": "microsoft/resnet-50",
    "sam3_video": "facebook/sam3",
}
"""``model_type`` of a video model -> nearest image encoder."""

TOKENS: Mapping[str, str] = {
    "imagegpt": "google/vit-base-patch16-224-in21k",
    "perceiver": "google/vit-base-patch16-224-in21k",
    "vilt": "google/vit-base-patch32-224-in21k",
    "layoutlmv2": "microsoft/dit-base",
    "layoutlmv3": "microsoft/dit-base",
    "lxmert": "openai/clip-vit-base-patch32",
    "visual_bert": "openai/clip-vit-base-patch32",
    "bridgetower": "openai/clip-vit-base-patch32",
    "udop": "microsoft/dit-base",
    "layoutxlm": "microsoft/dit-base",
    "fuyu": "google/siglip2-base-patch16-256",
    "chameleon": "google/siglip2-base-patch16-256",
    "emu3": "google/siglip2-base-patch16-256",
    "emu3_vqgan": "google/siglip2-base-patch16-256",
    "apertus1p5": "google/siglip2-base-patch16-256",
    "apertus1p5_vision_tokenizer": "google/siglip2-base-patch16-256",
    "chameleon_vqgan": "google/siglip2-base-patch16-256",
    "janus_vqgan": "google/siglip2-base-patch16-256",
    "mllama": "google/siglip2-base-patch16-256",
    "pix2struct": "google/siglip2-base-patch16-256",
}
"""``model_type`` of a model whose features need other input than pixels -> nearest image encoder."""

MORE: Mapping[str, tuple[str, str]] = {
    "lightglue": ("pairs of photos", "magic-leap-community/superpoint"),
    "superglue": ("pairs of photos", "magic-leap-community/superpoint"),
    "efficientloftr": ("pairs of photos", "microsoft/resnet-50"),
    "vitpose": ("a photo and the boxes of people in it", "facebook/vit-mae-base"),
    "vitmatte": ("a photo and a map of what to cut out", "facebook/vit-mae-base"),
    "llama4": ("tiles of a photo, in bfloat16", "google/siglip2-base-patch16-256"),
    "phi4_multimodal": ("tiles of a photo and their masks", "google/siglip2-base-patch16-256"),
    "depth_pro": ("a photo at three scales, in patches", "facebook/dinov2-large"),
    "minicpm_ocr": ("photos joined in one row of patches", "google/siglip2-base-patch16-naflex"),
    "minicpmv4_6": ("photos joined in one row of patches", "google/siglip2-base-patch16-naflex"),
    "minicpmv4_7": ("photos joined in one row of patches", "google/siglip2-base-patch16-naflex"),
    "seggpt": ("a photo, an example and its mask", "facebook/vit-mae-base"),
    "trocr": ("text alone, as the decoder of TrOCR", "microsoft/dit-base"),
    "deepseek_vl_hybrid": ("a photo at two sizes", "deepseek-community/deepseek-vl-1.3b-base"),
}
"""``model_type`` of a model that reads more than one photo at one size -> what it reads, and the nearest encoder."""

READS: Mapping[str, str] = {
    "input_ids": "text",
    "input_values": "sound",
    "input_features": "sound",
    "pixel_values_videos": "videos",
    "past_values": "numbers over time",
}
"""Name of a model's main input -> what the model reads."""

PARTS = ("vision_config", "vq_config", "image_config", "encoder")
"""Attributes of configurations for the part that reads pictures, in models with another main input."""

NEAREST = "google/siglip2-base-patch16-256"


def refuse_what_reads_no_photo(name: str, config: Any) -> None:
    """Refuse models that are no image encoders, with the nearest image encoder.

    Args:
        name: of the encoder.
        config: of the model.

    Raises:
        UsageError: a model of videos, text or sound, or one whose features are not of a picture alone.
    """
    if config.model_type in VIDEOS:
        nearest = VIDEOS[config.model_type]
        raise UsageError(f"{name} ({config.model_type}) reads videos, not photos; the nearest encoder is {nearest}")
    if config.model_type in TOKENS:
        nearest = TOKENS[config.model_type]
        why = "gives no features of a picture's pixels alone"
        raise UsageError(f"{name} ({config.model_type}) {why}; the nearest encoder is {nearest}")
    if config.model_type in MORE:
        what, nearest = MORE[config.model_type]
        raise UsageError(f"{name} ({config.model_type}) reads {what}; the nearest encoder is {nearest}")
    if reads := _reads_something_else(config):
        what = f"is not an image encoder: it reads {reads}"
        raise UsageError(f"{name} ({config.model_type}) {what}; the nearest encoder is {NEAREST}")


def _reads_something_else(config: Any) -> str:
    """What a model without a part for pictures reads; empty if it has one, or if it is unknown."""
    from transformers.models.auto.modeling_auto import MODEL_MAPPING

    if any(getattr(config, part, None) is not None for part in PARTS):
        return ""
    try:
        model = MODEL_MAPPING[type(config)]
    except (KeyError, ImportError, AttributeError):  # a class from a repository, or one without a base model
        return ""
    if not isinstance(model, type) or hasattr(model, "get_image_features"):
        return ""
    if "image" in getattr(model, "input_modalities", ()) or "pixel" in "".join(_arguments(model)):
        return ""  # a lone tower; it has the main input of its family, which reads text
    if getattr(config, "audio_config", None) is not None:  # CLAP, whose main input is text
        return "sound"
    main = getattr(model, "main_input_name", "")
    return READS.get(main, "") if isinstance(main, str) else ""


def _arguments(model: type) -> list[str]:
    """Names of the arguments of a model's forward pass."""
    return list(inspect.signature(model.forward).parameters)  # type: ignore[attr-defined]


def more_than_a_picture(name: str, model: Any, reason: str) -> UsageError:
    """The error for a model whose features need more than a picture, or a picture of another size.

    Args:
        name: of the encoder.
        model: as the library loaded it.
        reason: what failed.
    """
    if "doesn't match model" in reason:  # of the library's embeddings of patches
        what = "its image processor makes pictures of another size than its network takes"
        side = getattr(getattr(model.config, "vision_config", model.config), "image_size", 224)
        side = side if isinstance(side, int) else side[0]
        return UsageError(f"{name}: {what} ({reason}); ?size={side} behind its name makes them squares of that size")
    kind = f"{type(model).__name__}, which gives no features of a picture alone"
    return UsageError(f"{name} is a {kind} ({reason}); the nearest encoder is {NEAREST}")
