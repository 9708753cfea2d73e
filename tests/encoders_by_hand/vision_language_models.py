"""Tiny models that describe images, their processors, and their embeddings by hand."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
import transformers as tf

from tests.encoders_by_hand.case import DECODER, TINY, VIT, ByHand, Case

CLIP_TOWER = {"model_type": "clip_vision_model", **VIT}
SIGLIP_TOWER = {"model_type": "siglip_vision_model", **VIT, "vision_use_head": False}
LLAMA = {"model_type": "llama", **DECODER}
QWEN = {"model_type": "qwen2", **DECODER}
TILES = {"image_grid_pinpoints": [[32, 64], [64, 32], [64, 64]]}
MROPE = {"rope_type": "default", "mrope_section": [1, 1, 2], "rope_theta": 10000.0}
QWEN_VISION = {"depth": 2, "embed_dim": 32, "hidden_size": 32, "num_heads": 4, "patch_size": 8, "intermediate_size": 37}
QWEN_VISION |= {"spatial_merge_size": 2, "temporal_patch_size": 2, "out_hidden_size": 32}


def llava_tokens(model: Any, x: torch.Tensor) -> torch.Tensor:
    inner = model.model
    hidden = inner.vision_tower(x, output_hidden_states=True).hidden_states[-2][:, 1:]
    return inner.multi_modal_projector(hidden).mean(1)


def tile_tokens(skip: int, layer: int) -> ByHand:
    def by_hand(model: Any, inputs: dict[str, Any]) -> torch.Tensor:
        inner, tile = model.model, inputs["pixel_values"][0, :1]
        hidden = inner.vision_tower(tile, output_hidden_states=True).hidden_states[layer][:, skip:]
        return inner.multi_modal_projector(hidden).mean(1)

    return by_hand


def first_tile(by_hand: Callable[[Any, torch.Tensor], torch.Tensor]) -> ByHand:
    return lambda model, inputs: by_hand(model, inputs["pixel_values"][0, :1])


def tokens(model: Any, inputs: dict[str, Any]) -> torch.Tensor:
    """What the model's own method hands to its language model, of one photo."""
    features = model.model.get_image_features(**inputs).pooler_output
    return torch.cat([of_one.reshape(-1, of_one.shape[-1]) for of_one in features]).mean(0)[None]


def tower_tokens(model: Any, inputs: dict[str, Any]) -> torch.Tensor:
    hidden = model.model.get_image_features(**inputs).last_hidden_state
    return hidden.reshape(-1, hidden.shape[-1]).mean(0)[None]


def pooler(model: Any, x: torch.Tensor) -> torch.Tensor:
    return model.model.vision_tower(x).pooler_output


def mean(model: Any, x: torch.Tensor) -> torch.Tensor:
    return model.model.vision_tower(x).last_hidden_state.mean(1)


def idefics_mean(model: Any, inputs: dict[str, Any]) -> torch.Tensor:
    """The tower on the picture without its padding: what its mask must come to."""
    mask = inputs["pixel_attention_mask"][0, 0]
    height, width = int(mask[:, 0].sum()), int(mask[0].sum())
    return model.model.vision_model(inputs["pixel_values"][0, :, :, :height, :width]).last_hidden_state.mean(1)


def qwen_processor() -> Any:
    return tf.Qwen2VLImageProcessor(
        patch_size=8, merge_size=2, temporal_patch_size=2, size={"shortest_edge": 256, "longest_edge": 64 * 40}
    )


def deepseek_vl() -> Any:
    vision = {"model_type": "siglip_vision_model", **VIT}
    return tf.DeepseekVLForConditionalGeneration(
        tf.DeepseekVLConfig(vision_config=vision, text_config=LLAMA, image_token_id=98)
    )


def square_of_colour() -> Any:
    return tf.DeepseekVLImageProcessorPil(size={"height": 32, "width": 32})


def paddle_ocr() -> Any:
    text = {**DECODER, "head_dim": 8, "rope_parameters": MROPE}
    return tf.PaddleOCRVLForConditionalGeneration(
        tf.PaddleOCRVLConfig(vision_config={**VIT, "spatial_merge_size": 2}, text_config=text)
    )


def paddle_ocr_processor() -> Any:
    return tf.PaddleOCRVLImageProcessor(
        patch_size=8, merge_size=2, size={"shortest_edge": 256, "longest_edge": 64 * 40}
    )


def describing(
    build: Callable[[], Any], processor: Callable[[], Any], tower: ByHand, words: str, projected: ByHand, **options: Any
) -> dict[str, Case]:
    """Both outputs of one family."""
    return {
        "": Case(build, processor, tower, f"vision tower, not projected: {words}", processor_options=options),
        ", projected": Case(
            build,
            processor,
            projected,
            "mean over the projected",
            options="output=projected",
            processor_options=options,
        ),
    }


def llava() -> Any:
    return tf.LlavaForConditionalGeneration(
        tf.LlavaConfig(vision_config=CLIP_TOWER, text_config=LLAMA, image_token_index=98)
    )


def llava_next() -> Any:
    return tf.LlavaNextForConditionalGeneration(
        tf.LlavaNextConfig(vision_config=CLIP_TOWER, text_config=LLAMA, image_token_index=98, **TILES)
    )


def llava_onevision() -> Any:
    return tf.LlavaOnevisionForConditionalGeneration(
        tf.LlavaOnevisionConfig(vision_config=SIGLIP_TOWER, text_config=QWEN, image_token_index=98, **TILES)
    )


def paligemma() -> Any:
    text = {"model_type": "gemma", **DECODER, "head_dim": 8}
    vision = {**SIGLIP_TOWER, "projection_dim": 32}
    return tf.PaliGemmaForConditionalGeneration(
        tf.PaliGemmaConfig(vision_config=vision, text_config=text, image_token_index=98, projection_dim=32)
    )


def gemma3() -> Any:
    return tf.Gemma3ForConditionalGeneration(
        tf.Gemma3Config(
            vision_config={**VIT, "vision_use_head": False},
            text_config={**DECODER, "head_dim": 8},
            mm_tokens_per_image=4,
            image_token_index=98,
        )
    )


def internvl() -> Any:
    vision = {**VIT, "image_size": [32, 32], "patch_size": [8, 8]}
    return tf.InternVLForConditionalGeneration(
        tf.InternVLConfig(vision_config=vision, text_config=QWEN, image_token_id=98)
    )


def aya() -> Any:
    text = {"model_type": "cohere2", **DECODER, "head_dim": 8}
    return tf.AyaVisionForConditionalGeneration(
        tf.AyaVisionConfig(vision_config=SIGLIP_TOWER, text_config=text, image_token_index=98)
    )


def qwen2_vl() -> Any:
    vision = {k: v for k, v in QWEN_VISION.items() if k not in ("intermediate_size", "out_hidden_size")}
    text = {**DECODER, "rope_parameters": {**MROPE, "rope_type": "default"}}
    return tf.Qwen2VLForConditionalGeneration(tf.Qwen2VLConfig(vision_config=vision, text_config=text))


def qwen2_5_vl() -> Any:
    vision = {**QWEN_VISION, "window_size": 32, "fullatt_block_indexes": [1]}
    text = {**DECODER, "rope_parameters": MROPE}
    return tf.Qwen2_5_VLForConditionalGeneration(tf.Qwen2_5_VLConfig(vision_config=vision, text_config=text))


def qwen3_vl() -> Any:
    vision = {**QWEN_VISION, "num_position_embeddings": 16, "deepstack_visual_indexes": [0]}
    text = {**DECODER, "head_dim": 8, "rope_parameters": MROPE}
    return tf.Qwen3VLForConditionalGeneration(tf.Qwen3VLConfig(vision_config=vision, text_config=text))


def mistral3() -> Any:
    vision = {"model_type": "pixtral", **VIT, "head_dim": 8}
    text = {"model_type": "mistral", **DECODER}
    return tf.Mistral3ForConditionalGeneration(
        tf.Mistral3Config(vision_config=vision, text_config=text, image_token_index=98)
    )


def idefics2() -> Any:
    perceiver = {"hidden_size": 32, "resampler_n_latents": 4, "resampler_depth": 1, "resampler_n_heads": 4}
    perceiver |= {"num_key_value_heads": 2, "resampler_head_dim": 8}
    text = {"model_type": "mistral", **DECODER}
    return tf.Idefics2ForConditionalGeneration(
        tf.Idefics2Config(vision_config=VIT, text_config=text, perceiver_config=perceiver, image_token_id=98)
    )


def idefics2_processor() -> Any:
    return tf.Idefics2ImageProcessor(size={"shortest_edge": 24, "longest_edge": 32}, do_image_splitting=False)


def idefics3() -> Any:
    return tf.Idefics3ForConditionalGeneration(
        tf.Idefics3Config(vision_config=VIT, text_config=LLAMA, image_token_id=98, scale_factor=2)
    )


def smolvlm() -> Any:
    return tf.SmolVLMForConditionalGeneration(
        tf.SmolVLMConfig(vision_config=VIT, text_config=LLAMA, image_token_id=98, scale_factor=2)
    )


def idefics3_processor() -> Any:
    return tf.Idefics3ImageProcessor(size={"longest_edge": 64}, max_image_size={"longest_edge": 32})


def smolvlm_processor() -> Any:
    return tf.SmolVLMImageProcessor(size={"longest_edge": 64}, max_image_size={"longest_edge": 32})


def blip2() -> Any:
    qformer = {**TINY, "encoder_hidden_size": 32, "vocab_size": 99}
    text = {"model_type": "opt", "hidden_size": 32, "ffn_dim": 37, "num_hidden_layers": 2, "num_attention_heads": 4}
    text |= {"vocab_size": 99, "word_embed_proj_dim": 32, "max_position_embeddings": 20}
    return tf.Blip2ForConditionalGeneration(
        tf.Blip2Config(vision_config=VIT, qformer_config=qformer, text_config=text, num_query_tokens=3)
    )


def instructblip() -> Any:
    qformer = {**TINY, "encoder_hidden_size": 32, "vocab_size": 99}
    return tf.InstructBlipForConditionalGeneration(
        tf.InstructBlipConfig(vision_config=VIT, qformer_config=qformer, text_config=LLAMA, num_query_tokens=3)
    )


def blip2_tokens(model: Any, x: torch.Tensor) -> torch.Tensor:
    inner = model.model if hasattr(model, "model") else model
    patches = inner.vision_model(x).last_hidden_state
    queries = inner.qformer(query_embeds=inner.query_tokens, encoder_hidden_states=patches).last_hidden_state
    return inner.language_projection(queries).mean(1)


def idefics() -> Any:
    vision = {"embed_dim": 32, "image_size": 32, "intermediate_size": 37, "patch_size": 8, "num_hidden_layers": 2}
    return tf.IdeficsForVisionText2Text(
        tf.IdeficsConfig(
            vision_config={**vision, "num_attention_heads": 4},
            perceiver_config={"use_resampler": False},
            **{k: v for k, v in DECODER.items() if k != "num_key_value_heads"},
        )
    )


def trocr() -> Any:
    decoder = tf.TrOCRConfig(vocab_size=99, d_model=32, decoder_layers=1, decoder_attention_heads=4, decoder_ffn_dim=37)
    config = tf.VisionEncoderDecoderConfig.from_encoder_decoder_configs(tf.ViTConfig(**VIT), decoder)
    return tf.VisionEncoderDecoderModel(config)


def named(name: str, both: dict[str, Case]) -> dict[str, Case]:
    return {name + more: case for more, case in both.items()}
