"""Families that see pictures at sizes that shrink: convolutional networks, pyramids of transformers."""

from __future__ import annotations

from typing import Any

import torch
import transformers as tf

from tests.encoders_by_hand.case import (
    CLASSES,
    CNN,
    Case,
    bit_processor,
    class_token,
    classifier,
    convnext_processor,
    mean_position,
    mean_token,
    plain,
    square_processor,
)

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


def _poolformer(model: Any, x: torch.Tensor) -> torch.Tensor:
    return model.norm(model.poolformer(x).last_hidden_state).mean((2, 3))


def _levit(model: Any, x: torch.Tensor) -> torch.Tensor:
    return model.classifier.batch_norm(model.levit(x).last_hidden_state.mean(1))


def _last(model: Any, e: torch.Tensor) -> torch.Tensor:
    return model.classifier[-1](e)


CASES: dict[str, Case] = {
    "swin": plain(lambda: tf.SwinModel(tf.SwinConfig(**SWIN)), mean_token, "pooler_output"),
    "swin classifier": classifier(
        lambda: tf.SwinForImageClassification(tf.SwinConfig(**SWIN, **CLASSES)),
        lambda m, x: mean_token(m.swin, x),
        "pooler_output",
    ),
    "swinv2": plain(lambda: tf.Swinv2Model(tf.Swinv2Config(**SWIN)), mean_token, "pooler_output"),
    "swinv2 classifier": classifier(
        lambda: tf.Swinv2ForImageClassification(tf.Swinv2Config(**SWIN, **CLASSES)),
        lambda m, x: mean_token(m.swinv2, x),
        "pooler_output",
    ),
    "donut-swin": plain(lambda: tf.DonutSwinModel(tf.DonutSwinConfig(**SWIN)), mean_token, "pooler_output"),
    "convnext": plain(
        lambda: tf.ConvNextModel(tf.ConvNextConfig(**CNN)),
        lambda m, x: m.layernorm(mean_position(m, x)),
        "pooler_output",
        convnext_processor,
    ),
    "convnext classifier": classifier(
        lambda: tf.ConvNextForImageClassification(tf.ConvNextConfig(**CNN, **CLASSES)),
        lambda m, x: m.convnext(x).pooler_output,
        "pooler_output",
        processor=convnext_processor,
    ),
    "convnextv2 classifier": classifier(
        lambda: tf.ConvNextV2ForImageClassification(tf.ConvNextV2Config(**CNN, **CLASSES)),
        lambda m, x: m.convnextv2.layernorm(mean_position(m.convnextv2, x)),
        "pooler_output",
        processor=convnext_processor,
    ),
    "resnet": plain(
        lambda: tf.ResNetModel(tf.ResNetConfig(embedding_size=8, **CNN)),
        mean_position,
        "pooler_output",
        convnext_processor,
    ),
    "resnet classifier": classifier(
        lambda: tf.ResNetForImageClassification(tf.ResNetConfig(embedding_size=8, **CNN, **CLASSES)),
        lambda m, x: mean_position(m.resnet, x),
        "pooler_output",
        processor=convnext_processor,
    ),
    "regnet": plain(
        lambda: tf.RegNetModel(tf.RegNetConfig(embedding_size=8, groups_width=4, **CNN)),
        mean_position,
        "pooler_output",
        convnext_processor,
    ),
    "regnet classifier": classifier(
        lambda: tf.RegNetForImageClassification(tf.RegNetConfig(embedding_size=8, groups_width=4, **CNN, **CLASSES)),
        lambda m, x: mean_position(m.regnet, x),
        "pooler_output",
        processor=convnext_processor,
    ),
    "efficientnet": plain(
        lambda: tf.EfficientNetModel(tf.EfficientNetConfig(**EFFICIENT)),
        lambda m, x: m(x).pooler_output,
        "pooler_output",
        lambda: tf.EfficientNetImageProcessor(size={"height": 64, "width": 64}),
    ),
    "efficientnet classifier": classifier(
        lambda: tf.EfficientNetForImageClassification(tf.EfficientNetConfig(**EFFICIENT, **CLASSES)),
        lambda m, x: m.efficientnet(x).pooler_output,
        "pooler_output",
        processor=lambda: tf.EfficientNetImageProcessor(size={"height": 64, "width": 64}),
    ),
    "mobilenet_v1 classifier": classifier(
        lambda: tf.MobileNetV1ForImageClassification(tf.MobileNetV1Config(depth_multiplier=0.25, **CLASSES)),
        lambda m, x: m.mobilenet_v1(x).pooler_output,
        "pooler_output",
        processor=square_processor(96),
    ),
    "mobilenet_v2": plain(
        lambda: tf.MobileNetV2Model(tf.MobileNetV2Config(depth_multiplier=0.25)),
        lambda m, x: m(x).pooler_output,
        "pooler_output",
        square_processor(96),
    ),
    "mobilenet_v2 classifier": classifier(
        lambda: tf.MobileNetV2ForImageClassification(tf.MobileNetV2Config(depth_multiplier=0.25, **CLASSES)),
        lambda m, x: m.mobilenet_v2(x).pooler_output,
        "pooler_output",
        processor=square_processor(96),
    ),
    "mobilevit": plain(
        lambda: tf.MobileViTModel(tf.MobileViTConfig(**MOBILE, image_size=64)),
        lambda m, x: m(x).pooler_output,
        "pooler_output",
        lambda: tf.MobileViTImageProcessor(size={"shortest_edge": 72}, crop_size={"height": 64, "width": 64}),
    ),
    "mobilevit classifier": classifier(
        lambda: tf.MobileViTForImageClassification(tf.MobileViTConfig(**MOBILE, image_size=64, **CLASSES)),
        lambda m, x: m.mobilevit(x).pooler_output,
        "pooler_output",
        processor=lambda: tf.MobileViTImageProcessor(size={"shortest_edge": 72}, crop_size={"height": 64, "width": 64}),
    ),
    "mobilevitv2 classifier": classifier(
        lambda: tf.MobileViTV2ForImageClassification(
            tf.MobileViTV2Config(width_multiplier=0.25, image_size=64, **CLASSES)
        ),
        lambda m, x: m.mobilevitv2(x).pooler_output,
        "pooler_output",
        processor=square_processor(64),
    ),
    "hiera": plain(lambda: tf.HieraModel(tf.HieraConfig(**HIERA)), lambda m, x: m(x).pooler_output, "pooler_output"),
    "hiera classifier": classifier(
        lambda: tf.HieraForImageClassification(tf.HieraConfig(**HIERA, **CLASSES)),
        lambda m, x: m.hiera(x).pooler_output,
        "pooler_output",
    ),
    "pvt classifier": classifier(
        lambda: tf.PvtForImageClassification(tf.PvtConfig(**PYRAMID, image_size=64, **CLASSES)),
        lambda m, x: class_token(m.pvt, x),
        "class token",
        processor=square_processor(64),
    ),
    "pvt_v2": plain(
        lambda: tf.PvtV2Model(tf.PvtV2Config(**PYRAMID, image_size=64)),
        mean_position,
        "mean over positions",
        square_processor(64),
    ),
    "pvt_v2 classifier": classifier(
        lambda: tf.PvtV2ForImageClassification(tf.PvtV2Config(**PYRAMID, image_size=64, **CLASSES)),
        lambda m, x: mean_position(m.pvt_v2, x),
        "mean over positions",
        processor=square_processor(64),
    ),
    "focalnet": plain(
        lambda: tf.FocalNetModel(
            tf.FocalNetConfig(image_size=32, embed_dim=8, hidden_sizes=[8, 16, 16, 16], depths=[1, 1, 1, 1])
        ),
        lambda m, x: m(x).pooler_output,
        "pooler_output",
        convnext_processor,
    ),
    "focalnet classifier": classifier(
        lambda: tf.FocalNetForImageClassification(
            tf.FocalNetConfig(image_size=32, embed_dim=8, hidden_sizes=[8, 16, 16, 16], depths=[1, 1, 1, 1], **CLASSES)
        ),
        lambda m, x: m.focalnet(x).pooler_output,
        "pooler_output",
    ),
    "levit": plain(
        lambda: tf.LevitModel(tf.LevitConfig(**LEVIT, image_size=64)),
        lambda m, x: m(x).pooler_output,
        "pooler_output",
        square_processor(64),
    ),
    "levit classifier": classifier(
        lambda: tf.LevitForImageClassification(tf.LevitConfig(**LEVIT, image_size=64, **CLASSES)),
        _levit,
        "what its classifier reads",
        lambda m, e: m.classifier.linear(e),
        square_processor(64),
    ),
    "bit": plain(
        lambda: tf.BitModel(tf.BitConfig(embedding_size=8, num_groups=4, **CNN)),
        lambda m, x: m(x).pooler_output.flatten(1),
        "pooler_output",
        bit_processor,
    ),
    "bit classifier": classifier(
        lambda: tf.BitForImageClassification(tf.BitConfig(embedding_size=8, num_groups=4, **CNN, **CLASSES)),
        lambda m, x: m.bit(x).pooler_output.flatten(1),
        "pooler_output",
        _last,
        bit_processor,
    ),
    "poolformer classifier": classifier(
        lambda: tf.PoolFormerForImageClassification(tf.PoolFormerConfig(**POOL, **CLASSES)),
        _poolformer,
        "what its classifier reads",
        processor=lambda: tf.PoolFormerImageProcessor(
            size={"shortest_edge": 64}, crop_size={"height": 64, "width": 64}, crop_pct=0.9
        ),
    ),
    "segformer": plain(
        lambda: tf.SegformerModel(tf.SegformerConfig(**PYRAMID)),
        mean_position,
        "mean over positions",
        lambda: tf.SegformerImageProcessor(size={"height": 64, "width": 64}),
    ),
    "segformer classifier": classifier(
        lambda: tf.SegformerForImageClassification(tf.SegformerConfig(**PYRAMID, **CLASSES)),
        lambda m, x: mean_position(m.segformer, x),
        "mean over positions",
        processor=lambda: tf.SegformerImageProcessor(size={"height": 64, "width": 64}),
    ),
    "swiftformer classifier": classifier(
        lambda: tf.SwiftFormerForImageClassification(tf.SwiftFormerConfig(**SWIFT, image_size=64, **CLASSES)),
        lambda m, x: m.norm(m.swiftformer(x).last_hidden_state).flatten(2).mean(-1),
        "what its classifier reads",
        lambda m, e: (m.head(e) + m.dist_head(e)) / 2,
        square_processor(64),
    ),
    "cvt classifier": classifier(
        lambda: tf.CvtForImageClassification(tf.CvtConfig(**CVT, **CLASSES)),
        lambda m, x: m.layernorm(m.cvt(x).cls_token_value).mean(1),
        "what its classifier reads",
        processor=square_processor(64),
    ),
}
"""By what the table calls them."""
