"""Families of an image and a text tower."""

from __future__ import annotations

from typing import Any

import torch
import transformers as tf

from tests.encoders_by_hand.case import (
    CLASSES,
    NAFLEX,
    TEXT,
    TINY,
    VIT,
    Case,
    siglip_processor,
    square_processor,
    tower,
)


def _projected(model: Any, x: torch.Tensor) -> torch.Tensor:
    return model.visual_projection(model.vision_model(x).pooler_output)


def naflex_processor() -> Any:
    return tf.Siglip2ImageProcessor(patch_size=8, max_num_patches=24)


def _siglip2_classifier(model: Any, inputs: dict[str, Any]) -> torch.Tensor:
    hidden = model.vision_model(**inputs).last_hidden_state
    mask = inputs["pixel_attention_mask"][..., None].to(hidden.dtype)
    return (hidden * mask).sum(1) / mask.sum(1)


def _align() -> Any:
    vision = {"width_coefficient": 0.25, "depth_coefficient": 0.3, "hidden_dim": 320, "image_size": 64}
    return tf.AlignModel(tf.AlignConfig(text_config=TEXT, vision_config=vision, projection_dim=32))


def _groupvit() -> Any:
    vision = {"hidden_size": 32, "intermediate_size": 37, "depths": [1, 1, 1], "num_attention_heads": 4}
    vision |= {"num_group_tokens": [8, 4, 0], "num_output_groups": [8, 4, 4], "image_size": 32, "patch_size": 8}
    return tf.GroupViTModel(tf.GroupViTConfig(text_config=TEXT, vision_config=vision, projection_dim=24))


def _flava() -> Any:
    return tf.FlavaModel(
        tf.FlavaConfig(
            text_config=TEXT, image_config=VIT, multimodal_config=TINY, image_codebook_config={}, projection_dim=24
        )
    )


def _dual() -> Any:
    config = tf.VisionTextDualEncoderConfig.from_vision_text_configs(
        tf.ViTConfig(**VIT), tf.BertConfig(**TEXT), projection_dim=24
    )
    return tf.VisionTextDualEncoderModel(config)


BLIP_TEXT = {**TEXT, "bos_token_id": 1, "encoder_hidden_size": 32}


def _blip_config() -> Any:
    return tf.BlipConfig(text_config=BLIP_TEXT, vision_config=VIT, projection_dim=24, image_text_hidden_size=24)


CASES: dict[str, Case] = {
    "clip": tower(
        lambda: tf.CLIPModel(tf.CLIPConfig(text_config=TEXT, vision_config=VIT, projection_dim=24)),
        _projected,
        "projected",
    ),
    "clip vision tower with projection": tower(
        lambda: tf.CLIPVisionModelWithProjection(tf.CLIPVisionConfig(**VIT, projection_dim=24)),
        _projected,
        "image_embeds",
    ),
    "siglip": tower(
        lambda: tf.SiglipModel(tf.SiglipConfig(text_config={**TEXT, "projection_size": 32}, vision_config=VIT)),
        lambda m, x: m.vision_model(x).pooler_output,
        "projected",
        processor=siglip_processor,
    ),
    "siglip2 NaFlex": Case(
        lambda: tf.Siglip2Model(tf.Siglip2Config(text_config={**TEXT, "projection_size": 32}, vision_config=NAFLEX)),
        naflex_processor,
        lambda m, inputs: m.vision_model(**inputs).pooler_output,
        "projected",
    ),
    "siglip2 NaFlex at 9 patches": Case(
        lambda: tf.Siglip2Model(tf.Siglip2Config(text_config={**TEXT, "projection_size": 32}, vision_config=NAFLEX)),
        naflex_processor,
        lambda m, inputs: m.vision_model(**inputs).pooler_output,
        "projected",
        options="patches=9",
        processor_options={"max_num_patches": 9},
    ),
    "siglip2 vision tower": Case(
        lambda: tf.Siglip2VisionModel(tf.Siglip2VisionConfig(**NAFLEX)),
        naflex_processor,
        lambda m, inputs: m(**inputs).pooler_output,
        "pooler_output",
    ),
    "siglip2 classifier": Case(
        lambda: tf.Siglip2ForImageClassification(
            tf.Siglip2Config(text_config={**TEXT, "projection_size": 32}, vision_config=NAFLEX, **CLASSES)
        ),
        naflex_processor,
        _siglip2_classifier,
        "what its classifier reads",
        head=lambda m, e: m.classifier(e),
    ),
    "align": tower(
        _align,
        lambda m, x: m.vision_model(x).pooler_output,
        "projected",
        processor=lambda: tf.EfficientNetImageProcessor(size={"height": 64, "width": 64}),
    ),
    "altclip": tower(
        lambda: tf.AltCLIPModel(
            tf.AltCLIPConfig(text_config={**TEXT, "project_dim": 24}, vision_config=VIT, projection_dim=24)
        ),
        _projected,
        "projected",
    ),
    "chinese_clip": tower(
        lambda: tf.ChineseCLIPModel(tf.ChineseCLIPConfig(text_config=TEXT, vision_config=VIT, projection_dim=24)),
        _projected,
        "projected",
    ),
    "metaclip_2": tower(
        lambda: tf.MetaClip2Model(tf.MetaClip2Config(text_config=TEXT, vision_config=VIT, projection_dim=24)),
        _projected,
        "projected",
    ),
    "aimv2": tower(
        lambda: tf.Aimv2Model(
            tf.Aimv2Config(text_config=TEXT, vision_config={**VIT, "is_native": False}, projection_dim=24)
        ),
        _projected,
        "projected",
    ),
    "tipsv2": tower(
        lambda: tf.Tipsv2Model(
            tf.Tipsv2Config(text_config=TEXT, vision_config={k: v for k, v in VIT.items() if k != "intermediate_size"})
        ),
        lambda m, x: m.vision_model(x).pooler_output,
        "projected",
        processor=square_processor(32),
    ),
    "groupvit": tower(_groupvit, _projected, "projected"),
    "clipseg": tower(
        lambda: tf.CLIPSegModel(tf.CLIPSegConfig(text_config=TEXT, vision_config=VIT, projection_dim=24)),
        _projected,
        "projected",
    ),
    "owlvit": tower(
        lambda: tf.OwlViTModel(tf.OwlViTConfig(text_config=TEXT, vision_config=VIT, projection_dim=24)),
        _projected,
        "projected",
        processor=lambda: tf.OwlViTImageProcessor(
            size={"height": 32, "width": 32}, crop_size={"height": 32, "width": 32}
        ),
    ),
    "owlv2": tower(
        lambda: tf.Owlv2Model(tf.Owlv2Config(text_config=TEXT, vision_config=VIT, projection_dim=24)),
        _projected,
        "projected",
        processor=lambda: tf.Owlv2ImageProcessor(size={"height": 32, "width": 32}),
    ),
    "flava": tower(
        _flava, lambda m, x: m.image_projection(m.image_model(x).last_hidden_state[:, 0]), "projected class token"
    ),
    "vision-text-dual-encoder": tower(_dual, _projected, "projected", processor=square_processor(32)),
    "blip": tower(
        lambda: tf.BlipModel(_blip_config()),
        _projected,
        "projected",
        processor=lambda: tf.BlipImageProcessor(size={"height": 32, "width": 32}),
    ),
    "blip captions": tower(
        lambda: tf.BlipForConditionalGeneration(_blip_config()),
        lambda m, x: m.vision_model(x).pooler_output,
        "vision tower, not projected: pooler_output",
        processor=lambda: tf.BlipImageProcessor(size={"height": 32, "width": 32}),
    ),
    "blip image-text matching": tower(
        lambda: tf.BlipForImageTextRetrieval(_blip_config()),
        lambda m, x: m.vision_model(x).pooler_output,
        "vision tower, not projected: pooler_output",
        processor=lambda: tf.BlipImageProcessor(size={"height": 32, "width": 32}),
    ),
}
