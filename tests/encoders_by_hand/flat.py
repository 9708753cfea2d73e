"""Families that see pictures at one size throughout: transformers, their classifiers, dense predictors."""

from __future__ import annotations

from typing import Any

import torch
import transformers as tf

from tests.encoders_by_hand.case import (
    CLASSES,
    CNN,
    TINY,
    VIT,
    Case,
    bit_processor,
    class_token,
    classifier,
    clip_processor,
    mean_position,
    mean_token,
    of_pixels,
    plain,
    siglip_processor,
    square_processor,
    vit_processor,
)


def _mae(model: Any, x: torch.Tensor) -> torch.Tensor:
    """The class token of all patches in their natural order, layer by layer."""
    patches = model.embeddings.patch_embeddings(x) + model.embeddings.position_embeddings[:, 1:]
    first = model.embeddings.cls_token + model.embeddings.position_embeddings[:, :1]
    hidden = torch.cat([first.expand(len(x), -1, -1), patches], 1)
    for layer in model.layers if hasattr(model, "layers") else model.encoder.layer:
        output = layer(hidden)
        hidden = output[0] if isinstance(output, tuple) else output
    return model.layernorm(hidden)[:, 0]


def _both(hidden: torch.Tensor, registers: int = 0) -> torch.Tensor:
    return torch.cat([hidden[:, 0], hidden[:, 1 + registers :].mean(1)], 1)


SAM = {"hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 4, "image_size": 64, "patch_size": 16}
SAM |= {"output_channels": 16, "window_size": 2, "global_attn_indexes": [1], "mlp_ratio": 2.0}
DEPTH = {**VIT, "image_size": 28, "patch_size": 14, "out_indices": [1, 2], "reshape_hidden_states": False}


def sam_processor() -> Any:
    return tf.SamImageProcessor(
        size={"longest_edge": 64}, pad_size={"height": 64, "width": 64}, mask_size={"longest_edge": 16}
    )


def _sam() -> Any:
    prompt = {"hidden_size": 16, "image_size": 64, "patch_size": 16, "mask_input_channels": 4}
    masks = {"hidden_size": 16, "num_hidden_layers": 1, "num_attention_heads": 2, "mlp_dim": 16}
    masks |= {"iou_head_hidden_dim": 16, "iou_head_depth": 2}
    return tf.SamModel(
        tf.SamConfig(vision_config={**SAM, "num_pos_feats": 8}, prompt_encoder_config=prompt, mask_decoder_config=masks)
    )


def _depth_anything() -> Any:
    backbone = tf.Dinov2Config(**DEPTH)
    return tf.DepthAnythingForDepthEstimation(
        tf.DepthAnythingConfig(
            backbone_config=backbone,
            patch_size=14,
            reassemble_hidden_size=32,
            reassemble_factors=[2, 1],
            neck_hidden_sizes=[8, 16],
            fusion_hidden_size=8,
            head_hidden_size=8,
        )
    )


def _depth_processor() -> Any:
    return tf.DPTImageProcessor(size={"height": 28, "width": 28}, keep_aspect_ratio=True, ensure_multiple_of=14)


def _depth_patches(model: Any, x: torch.Tensor) -> torch.Tensor:
    return model.backbone(x).feature_maps[-1][:, 1:].mean(1)


def _deit_head(model: Any, e: torch.Tensor) -> torch.Tensor:
    return model.cls_classifier(e)


CASES: dict[str, Case] = {
    "vit": plain(
        lambda: tf.ViTModel(tf.ViTConfig(**VIT)),
        lambda m, x: torch.tanh(m.pooler.dense(class_token(m, x))),
        "pooler_output",
    ),
    "vit classifier": classifier(
        lambda: tf.ViTForImageClassification(tf.ViTConfig(**VIT, **CLASSES)),
        lambda m, x: class_token(m.vit, x),
        "class token",
    ),
    "vit without pooler": Case(
        lambda: tf.ViTForMaskedImageModeling(tf.ViTConfig(**VIT, encoder_stride=8)),
        vit_processor,
        of_pixels(lambda m, x: class_token(m.vit, x)),
        "class token",
    ),
    "vit_msn": plain(lambda: tf.ViTMSNModel(tf.ViTMSNConfig(**VIT)), class_token, "class token"),
    "vit_msn classifier": classifier(
        lambda: tf.ViTMSNForImageClassification(tf.ViTMSNConfig(**VIT, **CLASSES)),
        lambda m, x: class_token(m.vit, x),
        "class token",
    ),
    "vit_mae": plain(lambda: tf.ViTMAEModel(tf.ViTMAEConfig(**VIT)), _mae, "no patch masked"),
    "deit": plain(lambda: tf.DeiTModel(tf.DeiTConfig(**VIT)), lambda m, x: m(x).pooler_output, "pooler_output"),
    "deit classifier": classifier(
        lambda: tf.DeiTForImageClassification(tf.DeiTConfig(**VIT, **CLASSES)),
        lambda m, x: class_token(m.deit, x),
        "class token",
    ),
    "deit with teacher": classifier(
        lambda: tf.DeiTForImageClassificationWithTeacher(tf.DeiTConfig(**VIT, **CLASSES)),
        lambda m, x: class_token(m.deit, x),
        "class token",
        _deit_head,
        logits=lambda m, x: m(**x).cls_logits,
    ),
    "beit": plain(
        lambda: tf.BeitModel(tf.BeitConfig(**VIT)),
        lambda m, x: m.pooler.layernorm(m(x).last_hidden_state[:, 1:].mean(1)),
        "pooler_output",
    ),
    "beit classifier": classifier(
        lambda: tf.BeitForImageClassification(tf.BeitConfig(**VIT, **CLASSES)),
        lambda m, x: m.beit(x).pooler_output,
        "pooler_output",
    ),
    "data2vec-vision": plain(
        lambda: tf.Data2VecVisionModel(tf.Data2VecVisionConfig(**VIT), add_pooling_layer=True),
        lambda m, x: m.data2vec_vision(x).pooler_output,
        "pooler_output",
        reread=tf.Data2VecVisionForImageClassification,
    ),
    "data2vec-vision classifier": classifier(
        lambda: tf.Data2VecVisionForImageClassification(tf.Data2VecVisionConfig(**VIT, **CLASSES)),
        lambda m, x: m.data2vec_vision.pooler.layernorm(m.data2vec_vision(x).last_hidden_state[:, 1:].mean(1)),
        "pooler_output",
    ),
    "dinov2": plain(lambda: tf.Dinov2Model(tf.Dinov2Config(**VIT)), class_token, "pooler_output", bit_processor),
    "dinov2 classifier": classifier(
        lambda: tf.Dinov2ForImageClassification(tf.Dinov2Config(**VIT, **CLASSES)),
        lambda m, x: _both(m.dinov2(x).last_hidden_state),
        "one after the other",
        processor=bit_processor,
    ),
    "dinov2_with_registers": plain(
        lambda: tf.Dinov2WithRegistersModel(tf.Dinov2WithRegistersConfig(**VIT)),
        class_token,
        "pooler_output",
        bit_processor,
    ),
    "dinov2_with_registers classifier": classifier(
        lambda: tf.Dinov2WithRegistersForImageClassification(tf.Dinov2WithRegistersConfig(**VIT, **CLASSES)),
        lambda m, x: _both(m.dinov2_with_registers(x).last_hidden_state, 4),
        "one after the other",
        processor=bit_processor,
    ),
    "dinov3_vit": plain(
        lambda: tf.DINOv3ViTModel(tf.DINOv3ViTConfig(**VIT, num_register_tokens=2)),
        class_token,
        "pooler_output",
        lambda: tf.DINOv3ViTImageProcessor(size={"height": 32, "width": 32}),
    ),
    "dinov3_convnext": plain(
        lambda: tf.DINOv3ConvNextModel(tf.DINOv3ConvNextConfig(**CNN)),
        class_token,
        "pooler_output",
        lambda: tf.DINOv3ViTImageProcessor(size={"height": 64, "width": 64}),
    ),
    "ijepa": plain(
        lambda: tf.IJepaModel(tf.IJepaConfig(**VIT), add_pooling_layer=False), mean_token, "mean over positions"
    ),
    "ijepa classifier": classifier(
        lambda: tf.IJepaForImageClassification(tf.IJepaConfig(**VIT, **CLASSES)),
        lambda m, x: mean_token(m.ijepa, x),
        "mean over positions",
    ),
    "aimv2_vision_model": plain(
        lambda: tf.Aimv2VisionModel(tf.Aimv2VisionConfig(**VIT)),
        lambda m, x: m(x).pooler_output,
        "pooler_output",
        clip_processor,
    ),
    "clip_vision_model": plain(
        lambda: tf.CLIPVisionModel(tf.CLIPVisionConfig(**VIT)),
        lambda m, x: m(x).pooler_output,
        "pooler_output",
        clip_processor,
    ),
    "siglip_vision_model": plain(
        lambda: tf.SiglipVisionModel(tf.SiglipVisionConfig(**VIT)),
        lambda m, x: m(x).pooler_output,
        "pooler_output",
        siglip_processor,
    ),
    "dpt": plain(
        lambda: tf.DPTModel(tf.DPTConfig(**VIT, backbone_out_indices=[0, 0, 1, 1]), add_pooling_layer=False),
        class_token,
        "class token",
        lambda: tf.DPTImageProcessor(size={"height": 32, "width": 32}),
    ),
    "pixio": plain(
        lambda: tf.PixioModel(tf.PixioConfig(**{k: v for k, v in VIT.items() if k != "intermediate_size"})),
        lambda m, x: m(x).pooler_output,
        "pooler_output",
        square_processor(32),
    ),
    "mlcd_vision_model": plain(
        lambda: tf.MLCDVisionModel(tf.MLCDVisionConfig(**VIT)),
        lambda m, x: m(x).pooler_output,
        "pooler_output",
        clip_processor,
    ),
    "internvl_vision": plain(
        lambda: tf.InternVLVisionModel(
            tf.InternVLVisionConfig(**{**VIT, "image_size": [32, 32], "patch_size": [8, 8]})
        ),
        class_token,
        "class token",
        clip_processor,
    ),
    "tipsv2_vision_model": plain(
        lambda: tf.Tipsv2VisionModel(
            tf.Tipsv2VisionConfig(**{k: v for k, v in VIT.items() if k != "intermediate_size"})
        ),
        lambda m, x: m(x).pooler_output,
        "pooler_output",
        square_processor(32),
    ),
    "sapiens2": plain(
        lambda: tf.Sapiens2Model(tf.Sapiens2Config(**VIT, num_key_value_attention_heads=2, num_register_tokens=2)),
        lambda m, x: m(x).pooler_output,
        "pooler_output",
        square_processor(32),
    ),
    "clip classifier": classifier(
        lambda: tf.CLIPForImageClassification(
            tf.CLIPConfig(vision_config=VIT, text_config={"hidden_size": 32, "projection_dim": 24}, num_labels=7)
        ),
        lambda m, x: m.vision_model(x).last_hidden_state[:, 1:].mean(1),
        "mean over patches",
        processor=clip_processor,
    ),
    "siglip classifier": classifier(
        lambda: tf.SiglipForImageClassification(
            tf.SiglipConfig(vision_config=VIT, text_config={**TINY, "vocab_size": 99}, num_labels=7)
        ),
        lambda m, x: m.vision_model(x).last_hidden_state.mean(1),
        "mean over positions",
        processor=siglip_processor,
    ),
    "sam": plain(
        _sam, lambda m, x: m.get_image_embeddings(x).mean((2, 3)), "vision tower, not projected: mean", sam_processor
    ),
    "sam_vision_model": plain(
        lambda: tf.SamVisionModel(tf.SamVisionConfig(**SAM)), mean_position, "mean over positions", sam_processor
    ),
    "depth_anything": Case(
        _depth_anything,
        _depth_processor,
        of_pixels(_depth_patches),
        "mean over the patches of the last feature map",
        processor_options={"keep_aspect_ratio": False},
    ),
    "vitdet": plain(
        lambda: tf.VitDetModel(
            tf.VitDetConfig(hidden_size=32, num_hidden_layers=2, num_attention_heads=4, image_size=32, patch_size=8)
        ),
        mean_position,
        "mean over positions",
        square_processor(32),
    ),
}
"""By what the table calls them."""
