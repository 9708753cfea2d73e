"""Families of an image and a text tower, and those that describe images: their tower and their projected tokens."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
import transformers as tf

from scripts.families.case import (
    CLASSES,
    DECODER,
    TEXT,
    TINY,
    VIT,
    ByHand,
    Case,
    clip_processor,
    of_pixels,
    siglip_processor,
    square_processor,
)


def _projected(model: Any, x: torch.Tensor) -> torch.Tensor:
    return model.visual_projection(model.vision_model(x).pooler_output)


def _two(
    build: Callable[[], Any], by_hand: Callable[[Any, torch.Tensor], torch.Tensor], words: str, **more: Any
) -> Case:
    return Case(build, more.pop("processor", clip_processor), of_pixels(by_hand), words, **more)


NAFLEX = {**TINY, "patch_size": 8, "num_patches": 16}


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


TWO_TOWERS: dict[str, Case] = {
    "clip": _two(
        lambda: tf.CLIPModel(tf.CLIPConfig(text_config=TEXT, vision_config=VIT, projection_dim=24)),
        _projected,
        "projected",
    ),
    "clip vision tower with projection": _two(
        lambda: tf.CLIPVisionModelWithProjection(tf.CLIPVisionConfig(**VIT, projection_dim=24)),
        _projected,
        "image_embeds",
    ),
    "siglip": _two(
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
        told={"max_num_patches": 9},
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
    "align": _two(
        _align,
        lambda m, x: m.vision_model(x).pooler_output,
        "projected",
        processor=lambda: tf.EfficientNetImageProcessor(size={"height": 64, "width": 64}),
    ),
    "altclip": _two(
        lambda: tf.AltCLIPModel(
            tf.AltCLIPConfig(text_config={**TEXT, "project_dim": 24}, vision_config=VIT, projection_dim=24)
        ),
        _projected,
        "projected",
    ),
    "chinese_clip": _two(
        lambda: tf.ChineseCLIPModel(tf.ChineseCLIPConfig(text_config=TEXT, vision_config=VIT, projection_dim=24)),
        _projected,
        "projected",
    ),
    "metaclip_2": _two(
        lambda: tf.MetaClip2Model(tf.MetaClip2Config(text_config=TEXT, vision_config=VIT, projection_dim=24)),
        _projected,
        "projected",
    ),
    "aimv2": _two(
        lambda: tf.Aimv2Model(
            tf.Aimv2Config(text_config=TEXT, vision_config={**VIT, "is_native": False}, projection_dim=24)
        ),
        _projected,
        "projected",
    ),
    "tipsv2": _two(
        lambda: tf.Tipsv2Model(
            tf.Tipsv2Config(text_config=TEXT, vision_config={k: v for k, v in VIT.items() if k != "intermediate_size"})
        ),
        lambda m, x: m.vision_model(x).pooler_output,
        "projected",
        processor=square_processor(32),
    ),
    "groupvit": _two(_groupvit, _projected, "projected"),
    "clipseg": _two(
        lambda: tf.CLIPSegModel(tf.CLIPSegConfig(text_config=TEXT, vision_config=VIT, projection_dim=24)),
        _projected,
        "projected",
    ),
    "owlvit": _two(
        lambda: tf.OwlViTModel(tf.OwlViTConfig(text_config=TEXT, vision_config=VIT, projection_dim=24)),
        _projected,
        "projected",
        processor=lambda: tf.OwlViTImageProcessor(
            size={"height": 32, "width": 32}, crop_size={"height": 32, "width": 32}
        ),
    ),
    "owlv2": _two(
        lambda: tf.Owlv2Model(tf.Owlv2Config(text_config=TEXT, vision_config=VIT, projection_dim=24)),
        _projected,
        "projected",
        processor=lambda: tf.Owlv2ImageProcessor(size={"height": 32, "width": 32}),
    ),
    "flava": _two(
        _flava, lambda m, x: m.image_projection(m.image_model(x).last_hidden_state[:, 0]), "projected class token"
    ),
    "vision-text-dual-encoder": _two(_dual, _projected, "projected", processor=square_processor(32)),
    "blip": _two(
        lambda: tf.BlipModel(_blip_config()),
        _projected,
        "projected",
        processor=lambda: tf.BlipImageProcessor(size={"height": 32, "width": 32}),
    ),
    "blip captions": _two(
        lambda: tf.BlipForConditionalGeneration(_blip_config()),
        lambda m, x: m.vision_model(x).pooler_output,
        "vision tower, not projected: pooler_output",
        processor=lambda: tf.BlipImageProcessor(size={"height": 32, "width": 32}),
    ),
    "blip image-text matching": _two(
        lambda: tf.BlipForImageTextRetrieval(_blip_config()),
        lambda m, x: m.vision_model(x).pooler_output,
        "vision tower, not projected: pooler_output",
        processor=lambda: tf.BlipImageProcessor(size={"height": 32, "width": 32}),
    ),
}

CLIP_TOWER = {"model_type": "clip_vision_model", **VIT}
SIGLIP_TOWER = {"model_type": "siglip_vision_model", **VIT, "vision_use_head": False}
LLAMA = {"model_type": "llama", **DECODER}
QWEN = {"model_type": "qwen2", **DECODER}
TILES = {"image_grid_pinpoints": [[32, 64], [64, 32], [64, 64]]}
MROPE = {"rope_type": "default", "mrope_section": [1, 1, 2], "rope_theta": 10000.0}
QWEN_VISION = {"depth": 2, "embed_dim": 32, "hidden_size": 32, "num_heads": 4, "patch_size": 8, "intermediate_size": 37}
QWEN_VISION |= {"spatial_merge_size": 2, "temporal_patch_size": 2, "out_hidden_size": 32}


def _llava_tokens(model: Any, x: torch.Tensor) -> torch.Tensor:
    inner = model.model
    hidden = inner.vision_tower(x, output_hidden_states=True).hidden_states[-2][:, 1:]
    return inner.multi_modal_projector(hidden).mean(1)


def _tile_tokens(skip: int, layer: int) -> ByHand:
    def by_hand(model: Any, inputs: dict[str, Any]) -> torch.Tensor:
        inner, tile = model.model, inputs["pixel_values"][0, :1]
        hidden = inner.vision_tower(tile, output_hidden_states=True).hidden_states[layer][:, skip:]
        return inner.multi_modal_projector(hidden).mean(1)

    return by_hand


def _first_tile(by_hand: Callable[[Any, torch.Tensor], torch.Tensor]) -> ByHand:
    return lambda model, inputs: by_hand(model, inputs["pixel_values"][0, :1])


def _tokens(model: Any, inputs: dict[str, Any]) -> torch.Tensor:
    """What the model's own method hands to its language model, of one photo."""
    features = model.model.get_image_features(**inputs).pooler_output
    return torch.cat([of_one.reshape(-1, of_one.shape[-1]) for of_one in features]).mean(0)[None]


def _tower_tokens(model: Any, inputs: dict[str, Any]) -> torch.Tensor:
    hidden = model.model.get_image_features(**inputs).last_hidden_state
    return hidden.reshape(-1, hidden.shape[-1]).mean(0)[None]


def _pooler(model: Any, x: torch.Tensor) -> torch.Tensor:
    return model.model.vision_tower(x).pooler_output


def _mean(model: Any, x: torch.Tensor) -> torch.Tensor:
    return model.model.vision_tower(x).last_hidden_state.mean(1)


def _idefics_mean(model: Any, inputs: dict[str, Any]) -> torch.Tensor:
    """The tower on the picture without its padding: what its mask must come to."""
    mask = inputs["pixel_attention_mask"][0, 0]
    height, width = int(mask[:, 0].sum()), int(mask[0].sum())
    return model.model.vision_model(inputs["pixel_values"][0, :, :, :height, :width]).last_hidden_state.mean(1)


def _qwen_processor() -> Any:
    return tf.Qwen2VLImageProcessor(
        patch_size=8, merge_size=2, temporal_patch_size=2, size={"shortest_edge": 256, "longest_edge": 64 * 40}
    )


def _deepseek_vl() -> Any:
    vision = {"model_type": "siglip_vision_model", **VIT}
    return tf.DeepseekVLForConditionalGeneration(
        tf.DeepseekVLConfig(vision_config=vision, text_config=LLAMA, image_token_id=98)
    )


def _square_of_colour() -> Any:
    return tf.DeepseekVLImageProcessorPil(size={"height": 32, "width": 32})


def _paddle_ocr() -> Any:
    text = {**DECODER, "head_dim": 8, "rope_parameters": MROPE}
    return tf.PaddleOCRVLForConditionalGeneration(
        tf.PaddleOCRVLConfig(vision_config={**VIT, "spatial_merge_size": 2}, text_config=text)
    )


def _paddle_ocr_processor() -> Any:
    return tf.PaddleOCRVLImageProcessor(
        patch_size=8, merge_size=2, size={"shortest_edge": 256, "longest_edge": 64 * 40}
    )


def _describing(
    build: Callable[[], Any], processor: Callable[[], Any], tower: ByHand, words: str, projected: ByHand, **told: Any
) -> dict[str, Case]:
    """Both outputs of one family."""
    return {
        "": Case(build, processor, tower, f"vision tower, not projected: {words}", told=told),
        ", projected": Case(
            build, processor, projected, "mean over the projected", options="output=projected", told=told
        ),
    }


def _llava() -> Any:
    return tf.LlavaForConditionalGeneration(
        tf.LlavaConfig(vision_config=CLIP_TOWER, text_config=LLAMA, image_token_index=98)
    )


def _llava_next() -> Any:
    return tf.LlavaNextForConditionalGeneration(
        tf.LlavaNextConfig(vision_config=CLIP_TOWER, text_config=LLAMA, image_token_index=98, **TILES)
    )


def _llava_onevision() -> Any:
    return tf.LlavaOnevisionForConditionalGeneration(
        tf.LlavaOnevisionConfig(vision_config=SIGLIP_TOWER, text_config=QWEN, image_token_index=98, **TILES)
    )


def _paligemma() -> Any:
    text = {"model_type": "gemma", **DECODER, "head_dim": 8}
    vision = {**SIGLIP_TOWER, "projection_dim": 32}
    return tf.PaliGemmaForConditionalGeneration(
        tf.PaliGemmaConfig(vision_config=vision, text_config=text, image_token_index=98, projection_dim=32)
    )


def _gemma3() -> Any:
    return tf.Gemma3ForConditionalGeneration(
        tf.Gemma3Config(
            vision_config={**VIT, "vision_use_head": False},
            text_config={**DECODER, "head_dim": 8},
            mm_tokens_per_image=4,
            image_token_index=98,
        )
    )


def _internvl() -> Any:
    vision = {**VIT, "image_size": [32, 32], "patch_size": [8, 8]}
    return tf.InternVLForConditionalGeneration(
        tf.InternVLConfig(vision_config=vision, text_config=QWEN, image_token_id=98)
    )


def _aya() -> Any:
    text = {"model_type": "cohere2", **DECODER, "head_dim": 8}
    return tf.AyaVisionForConditionalGeneration(
        tf.AyaVisionConfig(vision_config=SIGLIP_TOWER, text_config=text, image_token_index=98)
    )


def _qwen2_vl() -> Any:
    vision = {k: v for k, v in QWEN_VISION.items() if k not in ("intermediate_size", "out_hidden_size")}
    text = {**DECODER, "rope_parameters": {**MROPE, "rope_type": "default"}}
    return tf.Qwen2VLForConditionalGeneration(tf.Qwen2VLConfig(vision_config=vision, text_config=text))


def _qwen2_5_vl() -> Any:
    vision = {**QWEN_VISION, "window_size": 32, "fullatt_block_indexes": [1]}
    text = {**DECODER, "rope_parameters": MROPE}
    return tf.Qwen2_5_VLForConditionalGeneration(tf.Qwen2_5_VLConfig(vision_config=vision, text_config=text))


def _qwen3_vl() -> Any:
    vision = {**QWEN_VISION, "num_position_embeddings": 16, "deepstack_visual_indexes": [0]}
    text = {**DECODER, "head_dim": 8, "rope_parameters": MROPE}
    return tf.Qwen3VLForConditionalGeneration(tf.Qwen3VLConfig(vision_config=vision, text_config=text))


def _mistral3() -> Any:
    vision = {"model_type": "pixtral", **VIT, "head_dim": 8}
    text = {"model_type": "mistral", **DECODER}
    return tf.Mistral3ForConditionalGeneration(
        tf.Mistral3Config(vision_config=vision, text_config=text, image_token_index=98)
    )


def _idefics2() -> Any:
    perceiver = {"hidden_size": 32, "resampler_n_latents": 4, "resampler_depth": 1, "resampler_n_heads": 4}
    perceiver |= {"num_key_value_heads": 2, "resampler_head_dim": 8}
    text = {"model_type": "mistral", **DECODER}
    return tf.Idefics2ForConditionalGeneration(
        tf.Idefics2Config(vision_config=VIT, text_config=text, perceiver_config=perceiver, image_token_id=98)
    )


def _idefics2_processor() -> Any:
    return tf.Idefics2ImageProcessor(size={"shortest_edge": 24, "longest_edge": 32}, do_image_splitting=False)


def _idefics3() -> Any:
    return tf.Idefics3ForConditionalGeneration(
        tf.Idefics3Config(vision_config=VIT, text_config=LLAMA, image_token_id=98, scale_factor=2)
    )


def _smolvlm() -> Any:
    return tf.SmolVLMForConditionalGeneration(
        tf.SmolVLMConfig(vision_config=VIT, text_config=LLAMA, image_token_id=98, scale_factor=2)
    )


def _idefics3_processor() -> Any:
    return tf.Idefics3ImageProcessor(size={"longest_edge": 64}, max_image_size={"longest_edge": 32})


def _smolvlm_processor() -> Any:
    return tf.SmolVLMImageProcessor(size={"longest_edge": 64}, max_image_size={"longest_edge": 32})


def _blip2() -> Any:
    qformer = {**TINY, "encoder_hidden_size": 32, "vocab_size": 99}
    text = {"model_type": "opt", "hidden_size": 32, "ffn_dim": 37, "num_hidden_layers": 2, "num_attention_heads": 4}
    text |= {"vocab_size": 99, "word_embed_proj_dim": 32, "max_position_embeddings": 20}
    return tf.Blip2ForConditionalGeneration(
        tf.Blip2Config(vision_config=VIT, qformer_config=qformer, text_config=text, num_query_tokens=3)
    )


def _instructblip() -> Any:
    qformer = {**TINY, "encoder_hidden_size": 32, "vocab_size": 99}
    return tf.InstructBlipForConditionalGeneration(
        tf.InstructBlipConfig(vision_config=VIT, qformer_config=qformer, text_config=LLAMA, num_query_tokens=3)
    )


def _blip2_tokens(model: Any, x: torch.Tensor) -> torch.Tensor:
    inner = model.model if hasattr(model, "model") else model
    patches = inner.vision_model(x).last_hidden_state
    queries = inner.qformer(query_embeds=inner.query_tokens, encoder_hidden_states=patches).last_hidden_state
    return inner.language_projection(queries).mean(1)


def _idefics() -> Any:
    vision = {"embed_dim": 32, "image_size": 32, "intermediate_size": 37, "patch_size": 8, "num_hidden_layers": 2}
    return tf.IdeficsForVisionText2Text(
        tf.IdeficsConfig(
            vision_config={**vision, "num_attention_heads": 4},
            perceiver_config={"use_resampler": False},
            **{k: v for k, v in DECODER.items() if k != "num_key_value_heads"},
        )
    )


def _lfm2() -> Any:
    vision = {"model_type": "siglip2_vision_model", **NAFLEX, "vision_use_head": False}
    text = {"model_type": "lfm2", **DECODER, "layer_types": ["conv", "full_attention"]}
    return tf.Lfm2VlForConditionalGeneration(tf.Lfm2VlConfig(vision_config=vision, text_config=text, image_token_id=98))


def _trocr() -> Any:
    decoder = tf.TrOCRConfig(vocab_size=99, d_model=32, decoder_layers=1, decoder_attention_heads=4, decoder_ffn_dim=37)
    config = tf.VisionEncoderDecoderConfig.from_encoder_decoder_configs(tf.ViTConfig(**VIT), decoder)
    return tf.VisionEncoderDecoderModel(config)


def _named(name: str, both: dict[str, Case]) -> dict[str, Case]:
    return {name + more: case for more, case in both.items()}


CLIP_WORDS, MEAN_WORDS = "pooler_output", "mean over positions of the last hidden state"

DESCRIBING: dict[str, Case] = {
    **_named("llava", _describing(_llava, clip_processor, of_pixels(_pooler), CLIP_WORDS, of_pixels(_llava_tokens))),
    **_named(
        "llava_next",
        _describing(
            _llava_next,
            lambda: tf.LlavaNextImageProcessor(
                size={"shortest_edge": 32}, crop_size={"height": 32, "width": 32}, **TILES
            ),
            _first_tile(_pooler),
            CLIP_WORDS,
            _tile_tokens(1, -2),
        ),
    ),
    **_named(
        "llava_onevision",
        _describing(
            _llava_onevision,
            lambda: tf.LlavaOnevisionImageProcessor(size={"height": 32, "width": 32}, **TILES),
            _first_tile(_mean),
            MEAN_WORDS,
            _tile_tokens(0, -1),
        ),
    ),
    **_named("paligemma", _describing(_paligemma, siglip_processor, of_pixels(_mean), MEAN_WORDS, _tokens)),
    **_named(
        "gemma3",
        _describing(
            _gemma3,
            lambda: tf.Gemma3ImageProcessor(size={"height": 32, "width": 32}),
            of_pixels(_mean),
            MEAN_WORDS,
            lambda m, inputs: _tokens(m, {"pixel_values": inputs["pixel_values"]}),
        ),
    ),
    **_named(
        "internvl",
        _describing(
            _internvl,
            lambda: tf.GotOcr2ImageProcessor(size={"height": 32, "width": 32}, crop_to_patches=True, max_patches=4),
            of_pixels(lambda m, x: m.model.vision_tower(x).last_hidden_state[:, 0]),
            "class token",
            lambda m, inputs: _tokens(m, {"pixel_values": inputs["pixel_values"]}),
            crop_to_patches=False,
        ),
    ),
    **_named(
        "aya_vision",
        _describing(
            _aya,
            lambda: tf.GotOcr2ImageProcessor(size={"height": 32, "width": 32}),
            of_pixels(_mean),
            MEAN_WORDS,
            lambda m, inputs: _tokens(m, {"pixel_values": inputs["pixel_values"]}),
        ),
    ),
    **_named("qwen2_vl", _describing(_qwen2_vl, _qwen_processor, _tower_tokens, MEAN_WORDS, _tokens)),
    **_named("qwen2_5_vl", _describing(_qwen2_5_vl, _qwen_processor, _tower_tokens, MEAN_WORDS, _tokens)),
    **_named("qwen3_vl", _describing(_qwen3_vl, _qwen_processor, _tower_tokens, MEAN_WORDS, _tokens)),
    **_named(
        "deepseek_vl",
        _describing(
            _deepseek_vl,
            _square_of_colour,
            of_pixels(lambda m, x: m.model.vision_model(x).pooler_output),
            CLIP_WORDS,
            _tokens,
        ),
    ),
    **_named("paddleocr_vl", _describing(_paddle_ocr, _paddle_ocr_processor, _tower_tokens, MEAN_WORDS, _tokens)),
    **_named(
        "mistral3",
        _describing(
            _mistral3,
            lambda: tf.PixtralImageProcessor(size={"longest_edge": 48}, patch_size={"height": 8, "width": 8}),
            _tower_tokens,
            MEAN_WORDS,
            _tokens,
        ),
    ),
    **_named("idefics2", _describing(_idefics2, _idefics2_processor, _idefics_mean, MEAN_WORDS, _tokens)),
    **_named(
        "idefics3",
        _describing(_idefics3, _idefics3_processor, _idefics_mean, MEAN_WORDS, _tokens, do_image_splitting=False),
    ),
    **_named(
        "smolvlm",
        _describing(_smolvlm, _smolvlm_processor, _idefics_mean, MEAN_WORDS, _tokens, do_image_splitting=False),
    ),
    **_named(
        "blip-2",
        _describing(
            _blip2,
            lambda: tf.BlipImageProcessor(size={"height": 32, "width": 32}),
            of_pixels(lambda m, x: m.vision_model(x).pooler_output),
            CLIP_WORDS,
            of_pixels(_blip2_tokens),
        ),
    ),
    "instructblip": _two(
        _instructblip,
        lambda m, x: m.vision_model(x).pooler_output,
        "vision tower, not projected: pooler_output",
        processor=lambda: tf.BlipImageProcessor(size={"height": 32, "width": 32}),
    ),
    "idefics": _two(
        _idefics,
        lambda m, x: m.model.vision_model(x).pooler_output,
        "vision tower, not projected: pooler_output",
        processor=lambda: tf.IdeficsImageProcessor(image_size=32),
    ),
    "vision-encoder-decoder": _two(
        _trocr,
        lambda m, x: torch.tanh(m.encoder.pooler.dense(m.encoder(x).last_hidden_state[:, 0])),
        "vision tower, not projected: pooler_output",
        processor=square_processor(32),
    ),
}
