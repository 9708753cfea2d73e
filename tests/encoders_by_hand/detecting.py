"""Families that detect, segment or estimate depth: their vision tower, from small configurations."""

from __future__ import annotations

from typing import Any

import timm
import torch
import transformers as tf

from tests.encoders_by_hand.case import Case
from tests.encoders_by_hand.readings import (
    channels_first,
    channels_last,
    feature_map,
    feature_tokens,
    first,
    last_of_list,
    part,
    pooler,
    tokens,
    whole,
)
from tests.encoders_by_hand.small import TOWER, small, small_case, small_processor

MEAN = "mean over positions of the last hidden state"
RESNET = {"model_type": "resnet", "embedding_size": 8, "hidden_sizes": [8, 16, 16, 24], "depths": [1, 1, 1, 1]}
RESNET |= {"out_features": ["stage2", "stage3", "stage4"]}


def _refused(
    model_type: str, model_class: str, words: str, square: int | None = None, side: int | None = None, **overrides: Any
) -> Case:
    build = lambda: small(model_class, model_type, **overrides)  # noqa: E731
    return Case(build, lambda: small_processor(model_type, side), None, words, square=square)


def _patches_of_tips(model: Any, inputs: dict[str, Any]) -> torch.Tensor:
    """As its heads read them: without the class token and the register."""
    skip = 1 + model.config.backbone_config.num_register_tokens
    return model.backbone(inputs["pixel_values"]).feature_maps[-1][:, skip:].mean(1)


SAM2: dict[str, Any] = {
    "vision_config": {
        "backbone_config": {"hidden_size": 8, "embed_dim_per_stage": [8, 16, 32, 64], "blocks_per_stage": [1, 1, 1, 1]},
        "backbone_channel_list": [64, 32, 16, 8],
    }
}
SAM_SIZES = {"size": {"longest_edge": 64}, "pad_size": {"height": 64, "width": 64}, "mask_size": {"longest_edge": 16}}
RESNET18 = {**timm.get_pretrained_cfg("resnet18").to_dict(), "num_classes": 7}
RT = {"model_type": "rt_detr_resnet", "embedding_size": 8, "hidden_sizes": [8, 8, 16, 24], "depths": [1, 1, 1, 1]}
RT |= {"out_indices": [2, 3, 4]}
SWIN = {"model_type": "swin", "image_size": 64, "embed_dim": 16, "depths": [1] * 4, "num_heads": [2] * 4}
SWIN |= {"window_size": 2, "out_indices": [2, 3, 4]}
DONUT: dict[str, Any] = {"image_size": 64, "embed_dim": 16, "num_heads": [2, 2], "depths": [1, 1], "window_size": 4}
SIDES = (("long", 7), ("mid", 5), ("short", 3))


def _convolution(height: int, width: int) -> list[Any]:
    """Kernel, stride and padding."""
    return [[height, width], [1, 1], [height // 2, width // 2]]


BLOCK = {
    "reduce_channel": [1, 1, 0],
    "return_channel": [1, 1, 0],
    **{f"vertical_long_to_small_conv_{kind}ratio": _convolution(side, 1) for kind, side in SIDES},
    **{f"horizontal_small_to_long_conv_{kind}ratio": _convolution(1, side) for kind, side in SIDES},
    **{f"symmetric_conv_long_{kind}ratio": _convolution(side, side) for kind, side in SIDES},
}
DETECTOR: dict[str, Any] = {
    "intraclass_block_config": BLOCK,
    "scale_factor_list": [1, 2, 4, 8],
    "neck_out_channels": 32,
}
DETECTOR |= {"kernel_list": [3, 2, 2]}


def _nougat() -> tf.VisionEncoderDecoderModel:
    """As its checkpoints are: Donut's Swin and a decoder of text."""
    tower = small("DonutSwinModel", "donut-swin", **DONUT)
    text = {"d_model": 32, "decoder_layers": 1, "decoder_attention_heads": 2, "decoder_ffn_dim": 32, "vocab_size": 99}
    decoder = tf.MBartForCausalLM(tf.MBartConfig(**text, is_decoder=True, add_cross_attention=True))
    return tf.VisionEncoderDecoderModel(encoder=tower, decoder=decoder)


CASES: dict[str, Case] = {
    "rt_detr": small_case(
        "rt_detr",
        "RTDetrModel",
        part("backbone.model", feature_map),
        side=64,
        backbone_config=RT,
        encoder_in_channels=[8, 16, 24],
    ),
    "detr": small_case("detr", "DetrModel", part("backbone.model", last_of_list), square=64),
    "conditional_detr": small_case(
        "conditional_detr", "ConditionalDetrModel", part("backbone.model", last_of_list), square=64
    ),
    "deformable_detr": small_case(
        "deformable_detr", "DeformableDetrModel", part("backbone.model", last_of_list), square=64
    ),
    "table-transformer": small_case(
        "table-transformer", "TableTransformerModel", part("backbone.conv_encoder.model", last_of_list), square=64
    ),
    "yolos": small_case("yolos", "YolosModel", whole(pooler), "pooler_output", square=64),
    "mask2former": small_case(
        "mask2former", "Mask2FormerModel", part("pixel_level_module.encoder", feature_map), square=64
    ),
    "maskformer": small_case(
        "maskformer", "MaskFormerModel", part("pixel_level_module.encoder", feature_map), square=64
    ),
    "oneformer": small_case("oneformer", "OneFormerModel", part("pixel_level_module.encoder", feature_map), square=64),
    "grounding-dino": small_case(
        "grounding-dino", "GroundingDinoModel", part("backbone.conv_encoder.model", feature_map), square=64
    ),
    "mm-grounding-dino": small_case(
        "mm-grounding-dino", "MMGroundingDinoModel", part("backbone.conv_encoder.model", feature_map), square=64
    ),
    "rf_detr": small_case("rf_detr", "RfDetrModel", part("backbone.backbone", feature_map), square=64),
    "pp_doclayout_v2": small_case(
        "pp_doclayout_v2", "PPDocLayoutV2ForObjectDetection", part("model.backbone.model", feature_map), side=64
    ),
    "pp_doclayout_v3": small_case(
        "pp_doclayout_v3", "PPDocLayoutV3Model", part("backbone.model", feature_map), side=64
    ),
    "pp_doclayout_v4": small_case(
        "pp_doclayout_v4", "PPDocLayoutV4Model", part("backbone.model", feature_map), side=64
    ),
    "glpn": small_case("glpn", "GLPNModel", whole(channels_first), MEAN, square=64, before=True),
    "swin2sr": small_case(
        "swin2sr",
        "Swin2SRModel",
        whole(channels_first),
        MEAN,
        square=64,
        before=True,
        num_heads=[2, 2],
        depths=[1, 1],
        embed_dim=32,
        image_size=64,
        window_size=4,
    ),
    "chmv2": small_case(
        "chmv2",
        "CHMv2ForDepthEstimation",
        part("backbone", feature_map),
        TOWER + MEAN,
        square=64,
        before=True,
        options={"keep_aspect_ratio": False},
    ),
    "zoedepth": small_case(
        "zoedepth",
        "ZoeDepthForDepthEstimation",
        part("backbone", feature_tokens),
        TOWER + "mean over the patches of the last feature map",
        options={"keep_aspect_ratio": False},
    ),
    "prompt_depth_anything": small_case(
        "prompt_depth_anything",
        "PromptDepthAnythingForDepthEstimation",
        part("backbone", feature_tokens),
        TOWER + "mean over the patches of the last feature map",
    ),
    "tipsv2_dpt": small_case(
        "tipsv2_dpt",
        "Tipsv2DptForDepthEstimation",
        _patches_of_tips,
        TOWER + "mean over the patches of the last feature map",
    ),
    "depth_pro": Case(lambda: small("DepthProModel", "depth_pro", patch_size=16), None, None, "three scales"),
    "eomt": _refused("eomt", "EomtForUniversalSegmentation", "no grid of patches", square=64),
    "eomt_dinov3": _refused("eomt_dinov3", "EomtDinov3ForUniversalSegmentation", "no grid of patches", square=64),
    "upernet": small_case("upernet", "UperNetForSemanticSegmentation", part("backbone", feature_map), side=64),
    "sam3": small_case("sam3", "Sam3Model", part("vision_encoder", tokens)),
    "sam3_lite_text": small_case("sam3_lite_text", "Sam3LiteTextModel", part("vision_encoder", tokens)),
    "sam3_tracker": small_case("sam3_tracker", "Sam3TrackerModel", part("vision_encoder", tokens)),
    "sam3_tracker_video": small_case("sam3_tracker_video", "Sam3TrackerVideoModel", part("vision_encoder", tokens)),
    "sam_hq": small_case("sam_hq", "SamHQModel", part("vision_encoder", channels_first), settings=SAM_SIZES),
    "textnet": small_case("textnet", "TextNetModel", whole(pooler), "pooler_output", square=64, before=True),
    "uvdoc": small_case("uvdoc", "UVDocModel", part("backbone", feature_map)),
    "superpoint": _refused("superpoint", "SuperPointForKeypointDetection", "no features of a picture alone"),
    "mgp-str": small_case(
        "mgp-str",
        "MgpstrForSceneTextRecognition",
        part("mgp_str", first),
        TOWER + "class token",
        settings={"size": {"height": 32, "width": 128}},
        image_size=[32, 128],
    ),
    "pp_lcnet": small_case("pp_lcnet", "PPLCNetBackbone", whole(feature_map), MEAN),
    "pp_ocrv5_server_rec": small_case(
        "pp_ocrv5_server_rec",
        "PPOCRV5ServerRecModel",
        whole(channels_first),
        MEAN,
        settings={"size": {"height": 48, "width": 320}},
    ),
    "pp_ocrv5_mobile_rec": small_case(
        "pp_ocrv5_mobile_rec",
        "PPOCRV5MobileRecModel",
        part("backbone", feature_map),
        settings={"size": {"height": 48, "width": 320}},
    ),
    "pp_ocrv6_small_rec": small_case(
        "pp_ocrv6_small_rec",
        "PPOCRV6SmallRecModel",
        whole(channels_first),
        MEAN,
        settings={"size": {"height": 48, "width": 320}},
    ),
    "pp_ocrv6_tiny_rec": small_case(
        "pp_ocrv6_tiny_rec",
        "PPOCRV6TinyRecModel",
        whole(channels_first),
        MEAN,
        settings={"size": {"height": 48, "width": 320}},
    ),
    "pp_ocrv5_mobile_det": small_case(
        "pp_ocrv5_mobile_det",
        "PPOCRV5MobileDetForObjectDetection",
        part("model.backbone", feature_map),
        square=64,
        before=True,
    ),
    "pp_ocrv6_small_det": small_case(
        "pp_ocrv6_small_det", "PPOCRV6SmallDetModel", part("backbone", feature_map), square=64, before=True
    ),
    "lw_detr": small_case("lw_detr", "LwDetrModel", part("backbone.backbone", feature_map), square=64),
    "omdet-turbo": small_case(
        "omdet-turbo",
        "OmDetTurboForObjectDetection",
        part("vision_backbone.vision_backbone", feature_map),
        square=64,
        side=64,
        backbone_config=SWIN,
        encoder_in_channels=[32, 64, 128],
        image_size=64,
    ),
    "pp_ocrv5_server_det": small_case(
        "pp_ocrv5_server_det",
        "PPOCRV5ServerDetForObjectDetection",
        part("model.backbone", feature_map),
        square=64,
        before=True,
        **DETECTOR,
    ),
    "pp_ocrv6_medium_det": small_case(
        "pp_ocrv6_medium_det",
        "PPOCRV6MediumDetForObjectDetection",
        part("model.backbone", feature_map),
        square=64,
        before=True,
        **DETECTOR,
    ),
    "slanet": small_case("slanet", "SLANetForTableRecognition", part("backbone", tokens)),
    "donut-swin": small_case(
        "donut-swin",
        "DonutSwinModel",
        whole(pooler),
        "pooler_output",
        side=64,
        **DONUT,
    ),
    "nougat": Case(
        _nougat,
        lambda: tf.NougatImageProcessor(size={"height": 64, "width": 64}),
        part("encoder", pooler),
        TOWER + "pooler_output",
    ),
    "swinv2 small": small_case(
        "swinv2",
        "Swinv2Model",
        whole(pooler),
        "pooler_output",
        side=64,
        image_size=64,
        embed_dim=16,
        num_heads=[2, 2],
        depths=[1, 1],
        window_size=4,
    ),
    "sam2_hiera_det_model": Case(
        lambda: small(
            "Sam2HieraDetModel",
            "sam2_hiera_det_model",
            embed_dim_per_stage=[8, 16, 32, 64],
            hidden_size=8,
            embed_dims=[8, 16, 32, 64],
        ),
        lambda: small_processor("sam2", 64),
        whole(channels_last),
        MEAN,
    ),
    "sam2": small_case(
        "sam2", "Sam2Model", part("vision_encoder", channels_last), "mean over positions", side=64, **SAM2
    ),
    "sam2_video": small_case(
        "sam2_video", "Sam2VideoModel", part("vision_encoder", channels_last), "mean over positions", side=64, **SAM2
    ),
    "timm_wrapper classifier": Case(
        lambda: tf.TimmWrapperForImageClassification(
            tf.TimmWrapperConfig(architecture="resnet18", num_labels=7, pretrained_cfg=RESNET18)
        ),
        lambda: tf.TimmWrapperImageProcessor(RESNET18),
        lambda m, x: m.timm_model.forward_head(m.timm_model.forward_features(x["pixel_values"]), pre_logits=True),
        "features before the classifier",
    ),
    "radio": Case(
        lambda: small("RadioModel", "radio"),
        lambda: small_processor("vit", 64),
        lambda m, x: m(x["pixel_values"]).summary,
        "summary",
    ),
    "deimv2": small_case(
        "deimv2",
        "Deimv2Model",
        part("conv_encoder.model", feature_map),
        MEAN,
        side=64,
        encoder_in_channels=[32, 32],
    ),
    "edgetam": small_case(
        "edgetam",
        "EdgeTamModel",
        part("vision_encoder", channels_last),
        "mean over positions of the vision tower's last stage",
        side=64,
        vision_config={
            "backbone_config": {
                "model_type": "timm_wrapper",
                "architecture": "repvit_m1",
                "model_args": {"in_chans": 3, "features_only": True, "out_indices": [0, 1, 2, 3]},
            }
        },
    ),
    "neomme": _refused(
        "neomme", "NeoMMEModel", "gives no features of a picture alone", square=64, side=64, head_dim=16
    ),
    "slanext": small_case(
        "slanext",
        "SLANeXtForTableRecognition",
        part("backbone", tokens),
        vision_config={"image_size": 512},
        post_conv_in_channels=32,
    ),
    "d_fine": Case(
        lambda: small("DFineModel", "d_fine"),
        lambda: small_processor("rt_detr", 64),
        part("backbone.model", feature_map),
        TOWER + MEAN,
    ),
    "git": small_case("git", "GitModel", part("image_encoder", first), TOWER + "class token"),
    "mlcd": small_case("mlcd", "MLCDVisionModel", whole(pooler), "pooler_output"),
    "kosmos-2": small_case("kosmos-2", "Kosmos2Model", part("vision_model", pooler), TOWER + "pooler_output"),
}
"""By what the table calls them."""
