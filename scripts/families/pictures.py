"""Families that see pictures alone: transformers, convolutional networks, their classifiers, dense predictors."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
import transformers as tf

from scripts.families.case import (
    CLASSES,
    CNN,
    TINY,
    VIT,
    Case,
    bit_processor,
    class_token,
    clip_processor,
    convnext_processor,
    mean_position,
    mean_token,
    of_pixels,
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


def _plain(
    build: Callable[[], Any],
    by_hand: Callable[[Any, torch.Tensor], torch.Tensor],
    words: str,
    processor: Callable[[], Any] = vit_processor,
    **more: Any,
) -> Case:
    return Case(build, processor, of_pixels(by_hand), words, **more)


def _classifier(
    build: Callable[[], Any],
    by_hand: Callable[[Any, torch.Tensor], torch.Tensor],
    words: str,
    head: Callable[[Any, torch.Tensor], torch.Tensor] = lambda model, e: model.classifier(e),
    processor: Callable[[], Any] = vit_processor,
    **more: Any,
) -> Case:
    return Case(build, processor, of_pixels(by_hand), words, head=head, **more)


SWIN = {"image_size": 32, "patch_size": 2, "embed_dim": 8, "depths": [1, 1], "num_heads": [2, 2], "window_size": 4}
PYRAMID = {"depths": [1, 1, 1, 1], "hidden_sizes": [8, 8, 16, 16], "num_attention_heads": [1, 2, 2, 4]}
LEVIT = {"hidden_sizes": [16, 32, 48], "num_attention_heads": [2, 2, 3], "depths": [1, 1, 1], "key_dim": [8, 8, 8]}
POOL = {"depths": [1, 1, 1, 1], "hidden_sizes": [8, 8, 16, 16]}
SWIFT = {"depths": [1, 1, 1, 1], "embed_dims": [8, 8, 16, 16]}
CVT = {"embed_dim": [8, 16, 32], "num_heads": [1, 2, 4], "depth": [1, 2, 3]}
MOBILE = {"hidden_sizes": [16, 24, 32], "neck_hidden_sizes": [8, 8, 16, 16, 24, 24, 32], "num_attention_heads": 2}
EFFICIENT = {"width_coefficient": 0.25, "depth_coefficient": 0.3, "hidden_dim": 320}
HIERA = {"embed_dim": 16, "image_size": [32, 32], "depths": [1, 1, 1], "num_heads": [1, 2, 4], "num_query_pool": 2}
HIERA |= {"masked_unit_size": [4, 4], "masked_unit_attention": [True, True, False]}
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


def _poolformer(model: Any, x: torch.Tensor) -> torch.Tensor:
    return model.norm(model.poolformer(x).last_hidden_state).mean((2, 3))


def _levit(model: Any, x: torch.Tensor) -> torch.Tensor:
    return model.classifier.batch_norm(model.levit(x).last_hidden_state.mean(1))


def _last(model: Any, e: torch.Tensor) -> torch.Tensor:
    return model.classifier[-1](e)


CASES: dict[str, Case] = {
    "vit": _plain(
        lambda: tf.ViTModel(tf.ViTConfig(**VIT)),
        lambda m, x: torch.tanh(m.pooler.dense(class_token(m, x))),
        "pooler_output",
    ),
    "vit classifier": _classifier(
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
    "vit_msn": _plain(lambda: tf.ViTMSNModel(tf.ViTMSNConfig(**VIT)), class_token, "class token"),
    "vit_msn classifier": _classifier(
        lambda: tf.ViTMSNForImageClassification(tf.ViTMSNConfig(**VIT, **CLASSES)),
        lambda m, x: class_token(m.vit, x),
        "class token",
    ),
    "vit_mae": _plain(lambda: tf.ViTMAEModel(tf.ViTMAEConfig(**VIT)), _mae, "no patch masked"),
    "deit": _plain(lambda: tf.DeiTModel(tf.DeiTConfig(**VIT)), lambda m, x: m(x).pooler_output, "pooler_output"),
    "deit classifier": _classifier(
        lambda: tf.DeiTForImageClassification(tf.DeiTConfig(**VIT, **CLASSES)),
        lambda m, x: class_token(m.deit, x),
        "class token",
    ),
    "deit with teacher": _classifier(
        lambda: tf.DeiTForImageClassificationWithTeacher(tf.DeiTConfig(**VIT, **CLASSES)),
        lambda m, x: class_token(m.deit, x),
        "class token",
        _deit_head,
        logits=lambda m, x: m(**x).cls_logits,
    ),
    "beit": _plain(
        lambda: tf.BeitModel(tf.BeitConfig(**VIT)),
        lambda m, x: m.pooler.layernorm(m(x).last_hidden_state[:, 1:].mean(1)),
        "pooler_output",
    ),
    "beit classifier": _classifier(
        lambda: tf.BeitForImageClassification(tf.BeitConfig(**VIT, **CLASSES)),
        lambda m, x: m.beit(x).pooler_output,
        "pooler_output",
    ),
    "data2vec-vision": _plain(
        lambda: tf.Data2VecVisionModel(tf.Data2VecVisionConfig(**VIT), add_pooling_layer=True),
        lambda m, x: m.data2vec_vision(x).pooler_output,
        "pooler_output",
        reread=tf.Data2VecVisionForImageClassification,
    ),
    "data2vec-vision classifier": _classifier(
        lambda: tf.Data2VecVisionForImageClassification(tf.Data2VecVisionConfig(**VIT, **CLASSES)),
        lambda m, x: m.data2vec_vision.pooler.layernorm(m.data2vec_vision(x).last_hidden_state[:, 1:].mean(1)),
        "pooler_output",
    ),
    "dinov2": _plain(lambda: tf.Dinov2Model(tf.Dinov2Config(**VIT)), class_token, "pooler_output", bit_processor),
    "dinov2 classifier": _classifier(
        lambda: tf.Dinov2ForImageClassification(tf.Dinov2Config(**VIT, **CLASSES)),
        lambda m, x: _both(m.dinov2(x).last_hidden_state),
        "one after the other",
        processor=bit_processor,
    ),
    "dinov2_with_registers": _plain(
        lambda: tf.Dinov2WithRegistersModel(tf.Dinov2WithRegistersConfig(**VIT)),
        class_token,
        "pooler_output",
        bit_processor,
    ),
    "dinov2_with_registers classifier": _classifier(
        lambda: tf.Dinov2WithRegistersForImageClassification(tf.Dinov2WithRegistersConfig(**VIT, **CLASSES)),
        lambda m, x: _both(m.dinov2_with_registers(x).last_hidden_state, 4),
        "one after the other",
        processor=bit_processor,
    ),
    "dinov3_vit": _plain(
        lambda: tf.DINOv3ViTModel(tf.DINOv3ViTConfig(**VIT, num_register_tokens=2)),
        class_token,
        "pooler_output",
        lambda: tf.DINOv3ViTImageProcessor(size={"height": 32, "width": 32}),
    ),
    "dinov3_convnext": _plain(
        lambda: tf.DINOv3ConvNextModel(tf.DINOv3ConvNextConfig(**CNN)),
        class_token,
        "pooler_output",
        lambda: tf.DINOv3ViTImageProcessor(size={"height": 64, "width": 64}),
    ),
    "ijepa": _plain(
        lambda: tf.IJepaModel(tf.IJepaConfig(**VIT), add_pooling_layer=False), mean_token, "mean over positions"
    ),
    "ijepa classifier": _classifier(
        lambda: tf.IJepaForImageClassification(tf.IJepaConfig(**VIT, **CLASSES)),
        lambda m, x: mean_token(m.ijepa, x),
        "mean over positions",
    ),
    "aimv2_vision_model": _plain(
        lambda: tf.Aimv2VisionModel(tf.Aimv2VisionConfig(**VIT)),
        lambda m, x: m(x).pooler_output,
        "pooler_output",
        clip_processor,
    ),
    "clip_vision_model": _plain(
        lambda: tf.CLIPVisionModel(tf.CLIPVisionConfig(**VIT)),
        lambda m, x: m(x).pooler_output,
        "pooler_output",
        clip_processor,
    ),
    "siglip_vision_model": _plain(
        lambda: tf.SiglipVisionModel(tf.SiglipVisionConfig(**VIT)),
        lambda m, x: m(x).pooler_output,
        "pooler_output",
        siglip_processor,
    ),
    "dpt": _plain(
        lambda: tf.DPTModel(tf.DPTConfig(**VIT, backbone_out_indices=[0, 0, 1, 1]), add_pooling_layer=False),
        class_token,
        "class token",
        lambda: tf.DPTImageProcessor(size={"height": 32, "width": 32}),
    ),
    "pixio": _plain(
        lambda: tf.PixioModel(tf.PixioConfig(**{k: v for k, v in VIT.items() if k != "intermediate_size"})),
        lambda m, x: m(x).pooler_output,
        "pooler_output",
        square_processor(32),
    ),
    "mlcd_vision_model": _plain(
        lambda: tf.MLCDVisionModel(tf.MLCDVisionConfig(**VIT)),
        lambda m, x: m(x).pooler_output,
        "pooler_output",
        clip_processor,
    ),
    "internvl_vision": _plain(
        lambda: tf.InternVLVisionModel(
            tf.InternVLVisionConfig(**{**VIT, "image_size": [32, 32], "patch_size": [8, 8]})
        ),
        class_token,
        "class token",
        clip_processor,
    ),
    "tipsv2_vision_model": _plain(
        lambda: tf.Tipsv2VisionModel(
            tf.Tipsv2VisionConfig(**{k: v for k, v in VIT.items() if k != "intermediate_size"})
        ),
        lambda m, x: m(x).pooler_output,
        "pooler_output",
        square_processor(32),
    ),
    "sapiens2": _plain(
        lambda: tf.Sapiens2Model(tf.Sapiens2Config(**VIT, num_key_value_attention_heads=2, num_register_tokens=2)),
        lambda m, x: m(x).pooler_output,
        "pooler_output",
        square_processor(32),
    ),
    "swin": _plain(lambda: tf.SwinModel(tf.SwinConfig(**SWIN)), mean_token, "pooler_output"),
    "swin classifier": _classifier(
        lambda: tf.SwinForImageClassification(tf.SwinConfig(**SWIN, **CLASSES)),
        lambda m, x: mean_token(m.swin, x),
        "pooler_output",
    ),
    "swinv2": _plain(lambda: tf.Swinv2Model(tf.Swinv2Config(**SWIN)), mean_token, "pooler_output"),
    "swinv2 classifier": _classifier(
        lambda: tf.Swinv2ForImageClassification(tf.Swinv2Config(**SWIN, **CLASSES)),
        lambda m, x: mean_token(m.swinv2, x),
        "pooler_output",
    ),
    "donut-swin": _plain(lambda: tf.DonutSwinModel(tf.DonutSwinConfig(**SWIN)), mean_token, "pooler_output"),
    "convnext": _plain(
        lambda: tf.ConvNextModel(tf.ConvNextConfig(**CNN)),
        lambda m, x: m.layernorm(mean_position(m, x)),
        "pooler_output",
        convnext_processor,
    ),
    "convnext classifier": _classifier(
        lambda: tf.ConvNextForImageClassification(tf.ConvNextConfig(**CNN, **CLASSES)),
        lambda m, x: m.convnext(x).pooler_output,
        "pooler_output",
        processor=convnext_processor,
    ),
    "convnextv2 classifier": _classifier(
        lambda: tf.ConvNextV2ForImageClassification(tf.ConvNextV2Config(**CNN, **CLASSES)),
        lambda m, x: m.convnextv2.layernorm(mean_position(m.convnextv2, x)),
        "pooler_output",
        processor=convnext_processor,
    ),
    "resnet": _plain(
        lambda: tf.ResNetModel(tf.ResNetConfig(embedding_size=8, **CNN)),
        mean_position,
        "pooler_output",
        convnext_processor,
    ),
    "resnet classifier": _classifier(
        lambda: tf.ResNetForImageClassification(tf.ResNetConfig(embedding_size=8, **CNN, **CLASSES)),
        lambda m, x: mean_position(m.resnet, x),
        "pooler_output",
        processor=convnext_processor,
    ),
    "regnet": _plain(
        lambda: tf.RegNetModel(tf.RegNetConfig(embedding_size=8, groups_width=4, **CNN)),
        mean_position,
        "pooler_output",
        convnext_processor,
    ),
    "regnet classifier": _classifier(
        lambda: tf.RegNetForImageClassification(tf.RegNetConfig(embedding_size=8, groups_width=4, **CNN, **CLASSES)),
        lambda m, x: mean_position(m.regnet, x),
        "pooler_output",
        processor=convnext_processor,
    ),
    "efficientnet": _plain(
        lambda: tf.EfficientNetModel(tf.EfficientNetConfig(**EFFICIENT)),
        lambda m, x: m(x).pooler_output,
        "pooler_output",
        lambda: tf.EfficientNetImageProcessor(size={"height": 64, "width": 64}),
    ),
    "efficientnet classifier": _classifier(
        lambda: tf.EfficientNetForImageClassification(tf.EfficientNetConfig(**EFFICIENT, **CLASSES)),
        lambda m, x: m.efficientnet(x).pooler_output,
        "pooler_output",
        processor=lambda: tf.EfficientNetImageProcessor(size={"height": 64, "width": 64}),
    ),
    "mobilenet_v1 classifier": _classifier(
        lambda: tf.MobileNetV1ForImageClassification(tf.MobileNetV1Config(depth_multiplier=0.25, **CLASSES)),
        lambda m, x: m.mobilenet_v1(x).pooler_output,
        "pooler_output",
        processor=square_processor(96),
    ),
    "mobilenet_v2": _plain(
        lambda: tf.MobileNetV2Model(tf.MobileNetV2Config(depth_multiplier=0.25)),
        lambda m, x: m(x).pooler_output,
        "pooler_output",
        square_processor(96),
    ),
    "mobilenet_v2 classifier": _classifier(
        lambda: tf.MobileNetV2ForImageClassification(tf.MobileNetV2Config(depth_multiplier=0.25, **CLASSES)),
        lambda m, x: m.mobilenet_v2(x).pooler_output,
        "pooler_output",
        processor=square_processor(96),
    ),
    "mobilevit": _plain(
        lambda: tf.MobileViTModel(tf.MobileViTConfig(**MOBILE, image_size=64)),
        lambda m, x: m(x).pooler_output,
        "pooler_output",
        lambda: tf.MobileViTImageProcessor(size={"shortest_edge": 72}, crop_size={"height": 64, "width": 64}),
    ),
    "mobilevit classifier": _classifier(
        lambda: tf.MobileViTForImageClassification(tf.MobileViTConfig(**MOBILE, image_size=64, **CLASSES)),
        lambda m, x: m.mobilevit(x).pooler_output,
        "pooler_output",
        processor=lambda: tf.MobileViTImageProcessor(size={"shortest_edge": 72}, crop_size={"height": 64, "width": 64}),
    ),
    "mobilevitv2 classifier": _classifier(
        lambda: tf.MobileViTV2ForImageClassification(
            tf.MobileViTV2Config(width_multiplier=0.25, image_size=64, **CLASSES)
        ),
        lambda m, x: m.mobilevitv2(x).pooler_output,
        "pooler_output",
        processor=square_processor(64),
    ),
    "hiera": _plain(lambda: tf.HieraModel(tf.HieraConfig(**HIERA)), lambda m, x: m(x).pooler_output, "pooler_output"),
    "hiera classifier": _classifier(
        lambda: tf.HieraForImageClassification(tf.HieraConfig(**HIERA, **CLASSES)),
        lambda m, x: m.hiera(x).pooler_output,
        "pooler_output",
    ),
    "pvt classifier": _classifier(
        lambda: tf.PvtForImageClassification(tf.PvtConfig(**PYRAMID, image_size=64, **CLASSES)),
        lambda m, x: class_token(m.pvt, x),
        "class token",
        processor=square_processor(64),
    ),
    "pvt_v2": _plain(
        lambda: tf.PvtV2Model(tf.PvtV2Config(**PYRAMID, image_size=64)),
        mean_position,
        "mean over positions",
        square_processor(64),
    ),
    "pvt_v2 classifier": _classifier(
        lambda: tf.PvtV2ForImageClassification(tf.PvtV2Config(**PYRAMID, image_size=64, **CLASSES)),
        lambda m, x: mean_position(m.pvt_v2, x),
        "mean over positions",
        processor=square_processor(64),
    ),
    "focalnet": _plain(
        lambda: tf.FocalNetModel(
            tf.FocalNetConfig(image_size=32, embed_dim=8, hidden_sizes=[8, 16, 16, 16], depths=[1, 1, 1, 1])
        ),
        lambda m, x: m(x).pooler_output,
        "pooler_output",
        convnext_processor,
    ),
    "focalnet classifier": _classifier(
        lambda: tf.FocalNetForImageClassification(
            tf.FocalNetConfig(image_size=32, embed_dim=8, hidden_sizes=[8, 16, 16, 16], depths=[1, 1, 1, 1], **CLASSES)
        ),
        lambda m, x: m.focalnet(x).pooler_output,
        "pooler_output",
    ),
    "levit": _plain(
        lambda: tf.LevitModel(tf.LevitConfig(**LEVIT, image_size=64)),
        lambda m, x: m(x).pooler_output,
        "pooler_output",
        square_processor(64),
    ),
    "levit classifier": _classifier(
        lambda: tf.LevitForImageClassification(tf.LevitConfig(**LEVIT, image_size=64, **CLASSES)),
        _levit,
        "what its classifier reads",
        lambda m, e: m.classifier.linear(e),
        square_processor(64),
    ),
    "bit": _plain(
        lambda: tf.BitModel(tf.BitConfig(embedding_size=8, num_groups=4, **CNN)),
        lambda m, x: m(x).pooler_output.flatten(1),
        "pooler_output",
        bit_processor,
    ),
    "bit classifier": _classifier(
        lambda: tf.BitForImageClassification(tf.BitConfig(embedding_size=8, num_groups=4, **CNN, **CLASSES)),
        lambda m, x: m.bit(x).pooler_output.flatten(1),
        "pooler_output",
        _last,
        bit_processor,
    ),
    "poolformer classifier": _classifier(
        lambda: tf.PoolFormerForImageClassification(tf.PoolFormerConfig(**POOL, **CLASSES)),
        _poolformer,
        "what its classifier reads",
        processor=lambda: tf.PoolFormerImageProcessor(
            size={"shortest_edge": 64}, crop_size={"height": 64, "width": 64}, crop_pct=0.9
        ),
    ),
    "segformer": _plain(
        lambda: tf.SegformerModel(tf.SegformerConfig(**PYRAMID)),
        mean_position,
        "mean over positions",
        lambda: tf.SegformerImageProcessor(size={"height": 64, "width": 64}),
    ),
    "segformer classifier": _classifier(
        lambda: tf.SegformerForImageClassification(tf.SegformerConfig(**PYRAMID, **CLASSES)),
        lambda m, x: mean_position(m.segformer, x),
        "mean over positions",
        processor=lambda: tf.SegformerImageProcessor(size={"height": 64, "width": 64}),
    ),
    "swiftformer classifier": _classifier(
        lambda: tf.SwiftFormerForImageClassification(tf.SwiftFormerConfig(**SWIFT, image_size=64, **CLASSES)),
        lambda m, x: m.norm(m.swiftformer(x).last_hidden_state).flatten(2).mean(-1),
        "what its classifier reads",
        lambda m, e: (m.head(e) + m.dist_head(e)) / 2,
        square_processor(64),
    ),
    "cvt classifier": _classifier(
        lambda: tf.CvtForImageClassification(tf.CvtConfig(**CVT, **CLASSES)),
        lambda m, x: m.layernorm(m.cvt(x).cls_token_value).mean(1),
        "what its classifier reads",
        processor=square_processor(64),
    ),
    "clip classifier": _classifier(
        lambda: tf.CLIPForImageClassification(
            tf.CLIPConfig(vision_config=VIT, text_config={"hidden_size": 32, "projection_dim": 24}, num_labels=7)
        ),
        lambda m, x: m.vision_model(x).last_hidden_state[:, 1:].mean(1),
        "mean over patches",
        processor=clip_processor,
    ),
    "siglip classifier": _classifier(
        lambda: tf.SiglipForImageClassification(
            tf.SiglipConfig(vision_config=VIT, text_config={**TINY, "vocab_size": 99}, num_labels=7)
        ),
        lambda m, x: m.vision_model(x).last_hidden_state.mean(1),
        "mean over positions",
        processor=siglip_processor,
    ),
    "sam": _plain(
        _sam, lambda m, x: m.get_image_embeddings(x).mean((2, 3)), "vision tower, not projected: mean", sam_processor
    ),
    "sam_vision_model": _plain(
        lambda: tf.SamVisionModel(tf.SamVisionConfig(**SAM)), mean_position, "mean over positions", sam_processor
    ),
    "depth_anything": Case(
        _depth_anything,
        _depth_processor,
        of_pixels(_depth_patches),
        "mean over the patches of the last feature map",
        told={"keep_aspect_ratio": False},
    ),
    "vitdet": _plain(
        lambda: tf.VitDetModel(
            tf.VitDetConfig(hidden_size=32, num_hidden_layers=2, num_attention_heads=4, image_size=32, patch_size=8)
        ),
        mean_position,
        "mean over positions",
        square_processor(32),
    ),
}
"""By what the table calls them."""
