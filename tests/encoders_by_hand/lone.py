"""Vision towers that were saved alone, and base models of families whose classifiers stand in ``pyramids.py``."""

from __future__ import annotations

import timm
import transformers as tf

from tests.encoders_by_hand.case import CNN, DECODER, VIT, Case, square_processor
from tests.encoders_by_hand.pyramids import CVT, EFFICIENT, POOL, PYRAMID, SWIFT, SWIN
from tests.encoders_by_hand.readings import Read, channels_first, first, pooler, tokens, whole
from tests.encoders_by_hand.small import TOWER, side_of, small, small_processor

VIT_TIMM = timm.get_pretrained_cfg("vit_tiny_patch16_224").to_dict()
SIXTY_FOUR = square_processor(64)


def _tower(model_type: str, model_class: str, read: Read = pooler, words: str = "pooler_output") -> Case:
    return Case(
        lambda: small(model_class, model_type), lambda: small_processor("vit", side_of(model_type)), whole(read), words
    )


def _timm_tower() -> tf.LlavaForConditionalGeneration:
    tower = tf.TimmWrapperConfig(
        architecture="vit_tiny_patch16_224",
        model_args={"depth": 2, "global_pool": ""},
        pretrained_cfg=VIT_TIMM,
        hidden_size=192,
        num_hidden_layers=2,
    )
    text = {"model_type": "llama", **DECODER}
    return tf.LlavaForConditionalGeneration(tf.LlavaConfig(vision_config=tower, text_config=text, image_token_index=98))


CASES: dict[str, Case] = {
    "align_vision_model": Case(
        lambda: tf.AlignVisionModel(tf.AlignVisionConfig(**EFFICIENT)), SIXTY_FOUR, whole(pooler), "pooler_output"
    ),
    "altclip_vision_model": _tower("altclip_vision_model", "AltCLIPVisionModel"),
    "blip_2_vision_model": _tower("blip_2_vision_model", "Blip2VisionModel"),
    "blip_vision_model": _tower("blip_vision_model", "BlipVisionModel"),
    "chinese_clip_vision_model": _tower("chinese_clip_vision_model", "ChineseCLIPVisionModel"),
    "clipseg_vision_model": _tower("clipseg_vision_model", "CLIPSegVisionModel"),
    "flava_image_model": _tower("flava_image_model", "FlavaImageModel"),
    "git_vision_model": _tower("git_vision_model", "GitVisionModel", first, "class token"),
    "groupvit_vision_model": _tower("groupvit_vision_model", "GroupViTVisionModel"),
    "instructblip_vision_model": _tower("instructblip_vision_model", "InstructBlipVisionModel"),
    "janus_vision_model": _tower("janus_vision_model", "JanusVisionModel"),
    "metaclip_2_vision_model": _tower("metaclip_2_vision_model", "MetaClip2VisionModel"),
    "owlv2_vision_model": _tower("owlv2_vision_model", "Owlv2VisionModel"),
    "owlvit_vision_model": _tower("owlvit_vision_model", "OwlViTVisionModel"),
    "sam3_vit_model": _tower("sam3_vit_model", "Sam3ViTModel", tokens, "mean over positions"),
    "convnextv2": Case(
        lambda: tf.ConvNextV2Model(tf.ConvNextV2Config(**CNN)), SIXTY_FOUR, whole(pooler), "pooler_output"
    ),
    "cvt": Case(
        lambda: tf.CvtModel(tf.CvtConfig(**CVT)),
        SIXTY_FOUR,
        whole(lambda output: output.cls_token_value.flatten(1)),
        "class token",
    ),
    "mobilenet_v1": Case(
        lambda: tf.MobileNetV1Model(tf.MobileNetV1Config(depth_multiplier=0.25)),
        square_processor(96),
        whole(pooler),
        "pooler_output",
    ),
    "mobilevitv2": Case(
        lambda: tf.MobileViTV2Model(tf.MobileViTV2Config(width_multiplier=0.25, image_size=64)),
        SIXTY_FOUR,
        whole(pooler),
        "pooler_output",
    ),
    "poolformer": Case(
        lambda: tf.PoolFormerModel(tf.PoolFormerConfig(**POOL)),
        SIXTY_FOUR,
        whole(channels_first),
        "mean over positions",
    ),
    "pvt": Case(lambda: tf.PvtModel(tf.PvtConfig(**PYRAMID, image_size=64)), SIXTY_FOUR, whole(first), "class token"),
    "swiftformer": Case(
        lambda: tf.SwiftFormerModel(tf.SwiftFormerConfig(**SWIFT, image_size=64)),
        SIXTY_FOUR,
        whole(channels_first),
        "mean over positions",
    ),
    "swin of rectangles": Case(
        lambda: tf.SwinModel(tf.SwinConfig(**SWIN)),
        lambda: tf.ViTImageProcessor(size={"height": 40, "width": 56}),
        whole(pooler),
        "pooler_output",
    ),
    "vit of rectangles": Case(
        lambda: tf.ViTModel(tf.ViTConfig(**{**VIT, "image_size": [32, 64]})),
        lambda: tf.ViTImageProcessor(size={"height": 32, "width": 64}),
        whole(pooler),
        "pooler_output",
    ),
    "vit of 3 x 5 patches": Case(  # with its class token 16 positions
        lambda: tf.ViTModel(tf.ViTConfig(**{**VIT, "image_size": [24, 40]})),
        lambda: tf.ViTImageProcessor(size={"height": 24, "width": 40}),
        whole(pooler),
        "pooler_output",
    ),
    "vit of pixels up to 255": Case(
        lambda: tf.ViTModel(tf.ViTConfig(**VIT)),
        lambda: tf.ViTImageProcessor(size={"height": 32, "width": 32}, do_rescale=False),
        whole(pooler),
        "pooler_output",
    ),
    "beit without mean": Case(
        lambda: tf.BeitModel(tf.BeitConfig(**VIT, use_mean_pooling=False)),
        square_processor(32),
        whole(first),
        "pooler_output",
    ),
    "dpt hybrid": Case(
        lambda: tf.DPTModel(
            tf.DPTConfig(
                **{**VIT, "image_size": 64, "patch_size": 16},
                is_hybrid=True,
                backbone_out_indices=[0, 0, 1, 1],
                neck_hidden_sizes=[8, 8, 16, 16],
                backbone_featmap_shape=[1, 1024, 4, 4],
            )
        ),
        SIXTY_FOUR,
        whole(pooler),
        "pooler_output",
    ),
    "timm_wrapper": Case(
        lambda: tf.TimmWrapperModel(
            tf.TimmWrapperConfig(architecture="vit_tiny_patch16_224", model_args={"depth": 2}, pretrained_cfg=VIT_TIMM)
        ),
        lambda: tf.TimmWrapperImageProcessor(VIT_TIMM),
        lambda m, x: m.timm_model.forward_head(m.timm_model.forward_features(x["pixel_values"]), pre_logits=True),
        "features before the classifier",
    ),
    "llava with a tower of timm": Case(
        _timm_tower,
        square_processor(224),
        lambda m, x: m.model.vision_tower(x["pixel_values"]).last_hidden_state[:, 0],
        TOWER + "class token",
    ),
    "vit of another size": Case(
        lambda: tf.ViTModel(tf.ViTConfig(**VIT)), square_processor(48), None, "another size than its network takes"
    ),
    "vit of another size, squared": Case(
        lambda: tf.ViTModel(tf.ViTConfig(**VIT)), square_processor(48), whole(pooler), "pooler_output", square=32
    ),
    "mllama_vision_model": Case(
        lambda: small("MllamaVisionModel", "mllama_vision_model"), square_processor(56), None, "aspect_ratio_ids"
    ),
    "clap": Case(lambda: small("ClapModel", "clap"), None, None, "it reads sound"),
    "dac": Case(lambda: small("DacModel", "dac"), None, None, "it reads sound"),
    "patchtst": Case(
        lambda: tf.PatchTSTModel(tf.PatchTSTConfig(d_model=16, num_hidden_layers=1, num_attention_heads=2)),
        None,
        None,
        "it reads numbers over time",
    ),
}
"""By what the table calls them."""
