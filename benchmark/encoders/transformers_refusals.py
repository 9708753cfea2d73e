"""Models of transformers that read no single photo, or make tokens of it that have no order and no distance: one
sentence each, with the nearest encoder that gives features of a photo."""

from __future__ import annotations

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
}
"""Nearest encoder of images, by ``model_type`` of a model of videos."""

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
"""Nearest encoder of images, by ``model_type`` of a model whose features need more, or other things, than pixels."""


READS: Mapping[str, str] = {
    "input_ids": "text",
    "input_values": "sound",
    "input_features": "sound",
    "pixel_values_videos": "videos",
}
"""What a model reads, by the name that its class gives its main input."""

PARTS = ("vision_config", "vq_config", "image_config", "encoder")
"""Where configurations have what reads a picture in a model whose main input is another."""

NEAREST = "google/siglip2-base-patch16-256"


def refuse_what_reads_no_photo(name: str, config: Any) -> None:
    """Say so, and what is nearest.

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
    if reads := _reads_something_else(config):
        what = f"is not an image encoder: it reads {reads}"
        raise UsageError(f"{name} ({config.model_type}) {what}; the nearest encoder is {NEAREST}")


def _reads_something_else(config: Any) -> str:
    """What a model reads that has no part for pictures; empty if it has one, or if nobody knows."""
    from transformers.models.auto.modeling_auto import MODEL_MAPPING

    if any(getattr(config, part, None) is not None for part in PARTS):
        return ""
    try:
        model = MODEL_MAPPING[type(config)]
    except (KeyError, ImportError, AttributeError):  # a class of somebody's repository, or one without a base model
        return ""
    if not isinstance(model, type) or hasattr(model, "get_image_features"):
        return ""
    return READS.get(getattr(model, "main_input_name", ""), "")
