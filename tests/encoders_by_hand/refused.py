"""Families that read no single photo: each must say so in one sentence, with the nearest encoder that does."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
import transformers as tf
from safetensors.torch import save_file

from tests.encoders_by_hand.case import DECODER, TEXT, VIT, Case, clip_processor, vit_processor

VIDEO = {**VIT, "num_frames": 2}


def _refused(build: Callable[[], Any], words: str, processor: Callable[[], Any] | None = vit_processor) -> Case:
    return Case(build, processor, None, words)


CASES: dict[str, Case] = {
    "videomae": _refused(lambda: tf.VideoMAEModel(tf.VideoMAEConfig(**VIDEO)), "reads videos"),
    "vivit": _refused(lambda: tf.VivitModel(tf.VivitConfig(**VIDEO, tubelet_size=[2, 8, 8])), "reads videos"),
    "timesformer": _refused(lambda: tf.TimesformerModel(tf.TimesformerConfig(**VIDEO)), "reads videos"),
    "xclip": _refused(
        lambda: tf.XCLIPModel(
            tf.XCLIPConfig(
                text_config=TEXT,
                vision_config={
                    **VIDEO,
                    "mit_hidden_size": 32,
                    "mit_num_attention_heads": 4,
                    "mit_num_hidden_layers": 1,
                },
                projection_dim=32,
                prompt_layers=1,
                prompt_num_attention_heads=4,
            )
        ),
        "reads videos",
        clip_processor,
    ),
    "imagegpt": _refused(
        lambda: tf.ImageGPTModel(tf.ImageGPTConfig(vocab_size=17, n_positions=64, n_embd=16, n_layer=1, n_head=2)),
        "no features of a picture's pixels alone",
    ),
    "vilt": _refused(
        lambda: tf.ViltModel(tf.ViltConfig(**VIT, vocab_size=99, max_position_embeddings=20)),
        "no features of a picture's pixels alone",
    ),
    "apertus": _refused(lambda: tf.ApertusForCausalLM(tf.ApertusConfig(**DECODER)), "it reads text", None),
    "whisper": _refused(
        lambda: tf.WhisperModel(
            tf.WhisperConfig(
                vocab_size=99,
                d_model=16,
                encoder_layers=1,
                decoder_layers=1,
                encoder_attention_heads=2,
                decoder_attention_heads=2,
                pad_token_id=0,
                bos_token_id=1,
                eos_token_id=2,
                decoder_start_token_id=1,
            )
        ),
        "it reads sound",
        None,
    ),
    "emu3": _refused(
        lambda: tf.Emu3ForConditionalGeneration(
            tf.Emu3Config(
                text_config=DECODER,
                vq_config={
                    "base_channels": 32,
                    "num_res_blocks": 1,
                    "attn_resolutions": [],
                    "hidden_dim": 32,
                    "codebook_size": 20,
                    "embed_dim": 4,
                    "z_channels": 4,
                    "latent_channels": 4,
                    "channel_multiplier": [1, 1],
                },
                vocabulary_map={f"<|visual token {i:06d}|>": i for i in range(20)},
            )
        ),
        "no features of a picture's pixels alone",
        lambda: tf.Emu3ImageProcessor(),
    ),
    "bert": _refused(lambda: tf.BertModel(tf.BertConfig(**TEXT)), "not an image encoder: it reads text"),
}
"""By what the table calls them."""


def _by_type(words: str, *model_types: str) -> dict[str, Case]:
    """Families that are refused by the type in ``config.json``, before a model is made; those that are installed."""
    return {
        model_type: Case(lambda t=model_type: _Configuration(t), None, None, words)  # type: ignore[misc]
        for model_type in model_types
        if model_type in tf.CONFIG_MAPPING
    }


class _Configuration(torch.nn.Module):
    """A checkpoint of which the configuration alone matters."""

    main_input_name = ""

    def __init__(self, model_type: str) -> None:
        super().__init__()
        self.model_type = model_type

    def save_pretrained(self, folder: Path) -> None:
        (Path(folder) / "config.json").write_text(json.dumps({"model_type": self.model_type}))
        save_file({}, Path(folder) / "model.safetensors", {"format": "pt"})


TOKENS = "no features of a picture's pixels alone"

CASES |= {
    **_by_type(TOKENS, "apertus1p5", "bridgetower", "chameleon", "fuyu", "layoutlmv2", "layoutlmv3", "layoutxlm"),
    **_by_type(TOKENS, "mllama", "perceiver", "pix2struct", "udop"),
    **_by_type("reads videos", "tvp", "video_llava", "sam3_video"),
    **_by_type("reads pairs of photos", "lightglue", "superglue", "efficientloftr"),
    **_by_type("reads a photo and", "vitpose", "vitmatte"),
    **_by_type("reads a photo, an example and its mask", "seggpt"),
    **_by_type("reads text alone", "trocr"),
    "dinat": Case(lambda: _Configuration("dinat"), vit_processor, None, "needs the package natten"),
    **_by_type("joined in one row of patches", "minicpm_ocr", "minicpmv4_6", "minicpmv4_7"),
}
