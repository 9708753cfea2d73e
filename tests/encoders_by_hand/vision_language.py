"""Families that describe images: their vision tower, and the projected tokens that their language model reads."""

from __future__ import annotations

import torch
import transformers as tf

from tests.encoders_by_hand import vision_language_models as made
from tests.encoders_by_hand.case import Case, clip_processor, of_pixels, siglip_processor, square_processor, tower

CLIP_WORDS, MEAN_WORDS = "pooler_output", "mean over positions of the last hidden state"

CASES: dict[str, Case] = {
    **made.named(
        "llava",
        made.describing(made.llava, clip_processor, of_pixels(made.pooler), CLIP_WORDS, of_pixels(made.llava_tokens)),
    ),
    **made.named(
        "llava_next",
        made.describing(
            made.llava_next,
            lambda: tf.LlavaNextImageProcessor(
                size={"shortest_edge": 32}, crop_size={"height": 32, "width": 32}, **made.TILES
            ),
            made.first_tile(made.pooler),
            CLIP_WORDS,
            made.tile_tokens(1, -2),
        ),
    ),
    **made.named(
        "llava_onevision",
        made.describing(
            made.llava_onevision,
            lambda: tf.LlavaOnevisionImageProcessor(size={"height": 32, "width": 32}, **made.TILES),
            made.first_tile(made.mean),
            MEAN_WORDS,
            made.tile_tokens(0, -1),
        ),
    ),
    **made.named(
        "paligemma", made.describing(made.paligemma, siglip_processor, of_pixels(made.mean), MEAN_WORDS, made.tokens)
    ),
    **made.named(
        "gemma3",
        made.describing(
            made.gemma3,
            lambda: tf.Gemma3ImageProcessor(size={"height": 32, "width": 32}),
            of_pixels(made.mean),
            MEAN_WORDS,
            lambda m, inputs: made.tokens(m, {"pixel_values": inputs["pixel_values"]}),
        ),
    ),
    **made.named(
        "internvl",
        made.describing(
            made.internvl,
            lambda: tf.GotOcr2ImageProcessor(size={"height": 32, "width": 32}, crop_to_patches=True, max_patches=4),
            of_pixels(lambda m, x: m.model.vision_tower(x).last_hidden_state[:, 0]),
            "class token",
            lambda m, inputs: made.tokens(m, {"pixel_values": inputs["pixel_values"]}),
            crop_to_patches=False,
        ),
    ),
    **made.named(
        "aya_vision",
        made.describing(
            made.aya,
            lambda: tf.GotOcr2ImageProcessor(size={"height": 32, "width": 32}),
            of_pixels(made.mean),
            MEAN_WORDS,
            lambda m, inputs: made.tokens(m, {"pixel_values": inputs["pixel_values"]}),
        ),
    ),
    **made.named(
        "qwen2_vl", made.describing(made.qwen2_vl, made.qwen_processor, made.tower_tokens, MEAN_WORDS, made.tokens)
    ),
    **made.named(
        "qwen2_5_vl", made.describing(made.qwen2_5_vl, made.qwen_processor, made.tower_tokens, MEAN_WORDS, made.tokens)
    ),
    **made.named(
        "qwen3_vl", made.describing(made.qwen3_vl, made.qwen_processor, made.tower_tokens, MEAN_WORDS, made.tokens)
    ),
    **made.named(
        "deepseek_vl",
        made.describing(
            made.deepseek_vl,
            made.square_of_colour,
            of_pixels(lambda m, x: m.model.vision_model(x).pooler_output),
            CLIP_WORDS,
            made.tokens,
        ),
    ),
    **made.named(
        "paddleocr_vl",
        made.describing(made.paddle_ocr, made.paddle_ocr_processor, made.tower_tokens, MEAN_WORDS, made.tokens),
    ),
    **made.named(
        "mistral3",
        made.describing(
            made.mistral3,
            lambda: tf.PixtralImageProcessor(size={"longest_edge": 48}, patch_size={"height": 8, "width": 8}),
            made.tower_tokens,
            MEAN_WORDS,
            made.tokens,
        ),
    ),
    **made.named(
        "idefics2", made.describing(made.idefics2, made.idefics2_processor, made.idefics_mean, MEAN_WORDS, made.tokens)
    ),
    **made.named(
        "idefics3",
        made.describing(
            made.idefics3, made.idefics3_processor, made.idefics_mean, MEAN_WORDS, made.tokens, do_image_splitting=False
        ),
    ),
    **made.named(
        "smolvlm",
        made.describing(
            made.smolvlm, made.smolvlm_processor, made.idefics_mean, MEAN_WORDS, made.tokens, do_image_splitting=False
        ),
    ),
    **made.named(
        "blip-2",
        made.describing(
            made.blip2,
            lambda: tf.BlipImageProcessor(size={"height": 32, "width": 32}),
            of_pixels(lambda m, x: m.vision_model(x).pooler_output),
            CLIP_WORDS,
            of_pixels(made.blip2_tokens),
        ),
    ),
    "instructblip": tower(
        made.instructblip,
        lambda m, x: m.vision_model(x).pooler_output,
        "vision tower, not projected: pooler_output",
        processor=lambda: tf.BlipImageProcessor(size={"height": 32, "width": 32}),
    ),
    "idefics": tower(
        made.idefics,
        lambda m, x: m.model.vision_model(x).pooler_output,
        "vision tower, not projected: pooler_output",
        processor=lambda: tf.IdeficsImageProcessor(image_size=32),
    ),
    "vision-encoder-decoder": tower(
        made.trocr,
        lambda m, x: torch.tanh(m.encoder.pooler.dense(m.encoder(x).last_hidden_state[:, 0])),
        "vision tower, not projected: pooler_output",
        processor=square_processor(32),
    ),
}
