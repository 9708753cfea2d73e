"""Families that describe images, of 2024 to 2026: their vision tower, from small configurations."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
import transformers as tf

from tests.encoders_by_hand.case import Case
from tests.encoders_by_hand.readings import (
    channels_first,
    features,
    first,
    first_picture,
    joined,
    part,
    pooler,
    tokens,
)
from tests.encoders_by_hand.small import TOWER, TOWER_MEAN, small, small_case, small_processor

SAM_TOWER = {"hidden_size": 32, "output_channels": 32, "image_size": 1024, "num_hidden_layers": 2}
SAM_TOWER |= {"num_attention_heads": 4, "global_attn_indexes": [1], "mlp_dim": 64}
GEMMA4_TOWER = {"model_type": "gemma4_vision", "hidden_size": 32, "intermediate_size": 64, "num_hidden_layers": 2}
GEMMA4_TOWER |= {"num_attention_heads": 4, "num_key_value_heads": 4, "head_dim": 8}
GEMMA4: dict[str, Any] = {
    "square": 96,
    "before": True,
    "settings": {"max_soft_tokens": 70},
    "vision_config": GEMMA4_TOWER,
}


def _patches_of_joined(model: Any, inputs: dict[str, Any]) -> torch.Tensor:
    """Of one photo, without its class token, as the language model reads them."""
    return model.vision_tower(inputs["pixel_values"], inputs["image_grid_thw"]).last_hidden_state[1:].mean(0)[None]


class _Thinker:
    """The part of a model that speaks which sees and thinks."""

    @staticmethod
    def from_pretrained(folder: Path, **options: Any) -> Any:
        config = tf.AutoConfig.from_pretrained(folder).thinker_config
        return tf.AutoModel.from_pretrained(folder, config=config, **options)


def _speaking(case: Case, sound: str) -> Case:
    """A model that speaks, with a small part that makes sound."""

    def build() -> Any:
        model = case.build()
        setattr(model, sound, torch.nn.Linear(2, 2))
        return model

    return replace(case, build=build, reread=_Thinker)


INKLING: dict[str, Any] = {"square": 80, "before": True, "settings": {"size": {"height": 40, "width": 40}}}
MUSE: dict[str, Any] = {"square": 112, "before": True, "side": 56, "out_hidden_size": 128}
OCR = {"post_conv_in_channels": 32, "post_conv_mid_channels": 16, "post_conv_out_channels": 32}

CASES: dict[str, Case] = {
    "aria": small_case("aria", "AriaModel", part("vision_tower", tokens), square=64, before=True),
    "cohere_compass": small_case(
        "cohere_compass",
        "CohereCompassModel",
        settings={"patch_size": 16},
        text_config={
            "layer_types": ["full_attention"] * 2,
            "rope_parameters": {"full_attention": {"rope_type": "default", "rope_theta": 10000.0}},
        },
    ),
    "cohere2_vision": small_case(
        "cohere2_vision",
        "Cohere2VisionModel",
        first_picture("vision_tower", pooler),
        TOWER + "pooler_output",
        options={"crop_to_patches": False},
    ),
    "colpali": small_case("colpali", "ColPaliForRetrieval", part("vlm.vision_tower", tokens)),
    "colqwen2": small_case(
        "colqwen2", "ColQwen2ForRetrieval", lambda m, x: joined(m.vlm.visual(x["pixel_values"], x["image_grid_thw"]))
    ),
    "cosmos3_edge": small_case("cosmos3_edge", "Cosmos3EdgeModel"),
    "cosmos3_omni": small_case("cosmos3_omni", "Cosmos3OmniModel", settings={"patch_size": 16}),
    "deepseek_ocr2": small_case(
        "deepseek_ocr2",
        "DeepseekOcr2Model",
        part("vision_tower", tokens),
        side=1024,
        options={"crop_to_patches": False},
        text_config={"mlp_layer_types": ["dense", "dense"]},
        vision_config={"sam_config": {**SAM_TOWER, "downsample_channels": [32, 32]}},
    ),
    "deepseek_vl_hybrid": Case(
        lambda: small("DeepseekVLHybridModel", "deepseek_vl_hybrid"),
        lambda: small_processor("deepseek_vl_hybrid"),
        None,
        "reads a photo at two sizes",
    ),
    "dots3_note": small_case(
        "dots3_note",
        "Dots3NoteModel",
        side=56,
        settings={"temporal_patch_size": 1},
        text_config={"num_key_value_heads": 4},
        vision_config={"adapter_in_dim": 32, "adapter_out_dim": 32},
        audio_config={"adapter_input_size": 32, "adapter_out_dim": 32},
    ),
    "embedding_gemma2": small_case("embedding_gemma2", "EmbeddingGemma2Model", **GEMMA4),
    "ernie4_5_vl_moe": small_case(
        "ernie4_5_vl_moe",
        "Ernie4_5_VLMoeModel",
        text_config={
            "hidden_size": 128,
            "num_attention_heads": 1,
            "num_key_value_heads": 1,
            "head_dim": 128,
            "rope_parameters": {"mrope_section": [22, 22, 20], "rope_type": "default", "rope_theta": 10000.0},
        },
    ),
    "exaone4_5": small_case("exaone4_5", "Exaone4_5_Model"),
    "florence2": small_case("florence2", "Florence2Model", part("vision_tower", channels_first)),
    "gemma4": small_case("gemma4", "Gemma4Model", **GEMMA4),
    "gemma4_unified": small_case(
        "gemma4_unified",
        "Gemma4UnifiedModel",
        lambda m, x: joined(m.get_image_features(x["pixel_values"], x["image_position_ids"])),
        square=96,
        before=True,
        vision_config={"model_type": "gemma4_unified_vision", "mm_embed_dim": 32, "output_proj_dims": 32},
    ),
    "gemma3n": small_case(
        "gemma3n",
        "Gemma3nModel",
        part("vision_tower", channels_first),
        side=256,
        text_config={"num_kv_shared_layers": 0, "layer_types": ["sliding_attention", "full_attention"]},
        vision_config={"architecture": "mobilenetv5_base"},
    ),
    "glm46v": small_case("glm46v", "Glm46VModel"),
    "glm4v": small_case("glm4v", "Glm4vModel"),
    "glm4v_moe": Case(
        lambda: small("Glm4vMoeModel", "glm4v_moe"), lambda: small_processor("glm4v"), features, TOWER_MEAN
    ),
    "glm5_next": small_case(
        "glm5_next",
        "Glm5NextModel",
        square=56,
        before=True,
        settings={"size": {"longest_edge": 1}},
        text_config={"num_key_value_heads": 4},
    ),
    "glm_image": small_case(
        "glm_image",
        "GlmImageModel",
        lambda m, x: joined(m.visual(x["pixel_values"], x["image_grid_thw"])),
        settings={
            "patch_size": 16,
            "merge_size": 1,
            "temporal_patch_size": 1,
            "size": {"shortest_edge": 32**2, "longest_edge": 256**2},
        },
    ),
    "glmga": small_case("glmga", "Glm46VModel"),
    "got_ocr2": small_case(
        "got_ocr2", "GotOcr2Model", part("vision_tower", channels_first), options={"crop_to_patches": False}
    ),
    "granite4_vision": small_case(
        "granite4_vision",
        "Granite4VisionModel",
        first_picture("vision_tower", pooler),
        TOWER + "pooler_output",
        deepstack_layer_map=[[1, 0]],
        downsample_rate="1/2",
        vision_config={"hidden_size": 64},
        qformer_config={"hidden_size": 64, "num_attention_heads": 4, "encoder_hidden_size": 64},
    ),
    "granite_docling": small_case(
        "granite_docling",
        "GraniteDoclingModel",
        first_picture("vision_model", pooler),
        TOWER + "pooler_output",
        options={"crop_to_patches": False},
    ),
    "hunyuan_vl": small_case("hunyuan_vl", "HunYuanVLModel", text_config={"head_dim": 8}),
    "hy_v4_vl": small_case("hy_v4_vl", "HYV4VLModel"),
    "hyperclovax_vision_v2": small_case("hyperclovax_vision_v2", "HyperCLOVAXVisionV2Model"),
    "inkling2": small_case("inkling2", "Inkling2Model", _patches_of_joined, **INKLING),
    "inkling2_loop": small_case("inkling2_loop", "Inkling2LoopModel", _patches_of_joined, **INKLING),
    "inkling_mm_model": small_case("inkling_mm_model", "InklingModel", **INKLING),
    "janus": small_case("janus", "JanusModel", part("vision_model", pooler), TOWER + "pooler_output"),
    "kimi_k25": small_case("kimi_k25", "Kimi_K25Model", square=56, before=True),
    "kosmos-2.5": small_case(
        "kosmos-2.5",
        "Kosmos2_5Model",
        square=64,
        before=True,
        settings={"max_patches": 64},
        vision_config={"patch_embed_hidden_size": 768},
    ),
    "lfm2_vl": small_case(
        "lfm2_vl", "Lfm2VlModel", lambda m, x: m.vision_tower(**x).pooler_output, TOWER + "pooler_output"
    ),
    "lfm3_vl": small_case("lfm3_vl", "Lfm3VlModel", settings={"patch_size": 16}),
    "lighton_ocr": small_case("lighton_ocr", "LightOnOcrModel"),
    "llama4": Case(lambda: small("Llama4ForConditionalGeneration", "llama4"), None, None, "reads tiles of a photo"),
    "llava_onevision1_5": small_case(
        "llava_onevision1_5", "LlavaOnevision15Model", settings={"temporal_patch_size": 1}
    ),
    "llava_next_video": small_case(
        "llava_next_video", "LlavaNextVideoModel", first_picture("vision_tower", pooler), TOWER + "pooler_output"
    ),
    "minimax_m3_vl": small_case("minimax_m3_vl", "MiniMaxM3VLModel"),
    "mistral_large4": small_case(
        "mistral_large4",
        "MistralLarge4Model",
        side=56,
        text_config={"kv_source_layers": [0, 1], "indexer_types": ["full", "full"]},
    ),
    "molmo2": small_case(
        "molmo2",
        "Molmo2Model",
        square=140,
        before=True,
        side=140,
        settings={"overlap_margins": [1, 1]},
        vision_config={"image_size": [140, 140], "num_position_embeddings": 100},
        adapter_config={"vision_feature_layer": [1, 0]},
    ),
    "muse_glimmer": small_case("muse_glimmer", "MuseGlimmerModel", **MUSE),
    "muse_spark": small_case(
        "muse_spark",
        "MuseSparkModel",
        **MUSE,
        audio_config={"patch_sizes": [16, 6], "hidden_sizes": [8, 16], "depths": [1, 1], "num_hidden_layers": 2},
    ),
    "nemotron_h_omni": small_case(
        "nemotron_h_omni",
        "NemotronH_Omni_Reasoning_V3",
        lambda m, x: m.vision_model(x["pixel_values"], image_grid_hw=x["image_grid_hw"]).summary,
        TOWER + "summary",
        square=64,
        before=True,
    ),
    "ovis2": small_case("ovis2", "Ovis2Model", part("vision_tower", tokens)),
    "ovis2_5": small_case("ovis2_5", "Ovis2_5Model", settings={"patch_size": 16}),
    "perception_lm": small_case(
        "perception_lm",
        "PerceptionLMModel",
        first_picture("vision_tower", first),
        TOWER + "class token",
        settings={"tile_size": 64},
        options={"vision_input_type": "vanilla"},
        vision_config={
            "architecture": "vit_pe_core_tiny_patch16_384",
            "do_pooling": False,
            "model_args": {
                "embed_dim": 192,
                "depth": 2,
                "global_pool": "",
                "use_post_transformer_norm": False,
                "img_size": [64, 64],
            },
        },
        side=64,
    ),
    "phi4_multimodal": Case(
        lambda: small("Phi4MultimodalModel", "phi4_multimodal"), None, None, "reads tiles of a photo"
    ),
    "pi0": small_case(
        "pi0", "PI0Model", part("vlm.vision_tower", tokens), vlm_config={"vision_config": {"image_size": 224}}
    ),
    "pi05": small_case(
        "pi05", "PI05Model", part("vlm.vision_tower", tokens), vlm_config={"vision_config": {"image_size": 224}}
    ),
    "pixtral": small_case(
        "pixtral",
        "PixtralVisionModel",
        lambda m, x: joined(m(x["pixel_values"], image_sizes=x["image_sizes"])),
        "mean over positions",
    ),
    "pp_chart2table": small_case(
        "pp_chart2table", "GotOcr2ForConditionalGeneration", part("model.vision_tower", channels_first)
    ),
    "pp_formulanet": small_case(
        "pp_formulanet",
        "PPFormulaNetForConditionalGeneration",
        part("model.encoder", channels_first),
        side=64,
        vision_config={**OCR, "output_channels": 32, "decoder_hidden_size": 32},
    ),
    "qianfan_ocr": small_case(
        "qianfan_ocr",
        "QianfanOCRModel",
        part("vision_tower", first),
        TOWER + "class token",
        options={"crop_to_patches": False},
    ),
    "qwen3_5": small_case("qwen3_5", "Qwen3_5Model", settings={"patch_size": 16}),
    "qwen3_5_moe": small_case("qwen3_5_moe", "Qwen3_5MoeModel", settings={"patch_size": 16}),
    "qwen2_5_vl_vision": Case(
        lambda: small("Qwen2_5_VisionTransformerPretrainedModel", "qwen2_5_vl_vision"),
        lambda: small_processor("qwen2_5_vl", 64),
        lambda m, x: joined(m(x["pixel_values"], x["image_grid_thw"])),
        "mean over positions",
    ),
    "qwen3_vl_vision": Case(
        lambda: small("Qwen3VLVisionModel", "qwen3_vl_vision"),
        lambda: small_processor("qwen3_5", 64, patch_size=16),
        lambda m, x: joined(m(x["pixel_values"], x["image_grid_thw"])),
        "mean over positions",
    ),
    "qwen2_5_omni": _speaking(small_case("qwen2_5_omni", "Qwen2_5OmniForConditionalGeneration", features), "token2wav"),
    "qwen3_omni_moe": _speaking(
        small_case(
            "qwen3_omni_moe",
            "Qwen3OmniMoeForConditionalGeneration",
            features,
            settings={"patch_size": 16},
            talker_config={"text_config": {"shared_expert_intermediate_size": 32}, "spatial_merge_size": 2},
        ),
        "code2wav",
    ),
    "qwen4_exp": small_case(
        "qwen4_exp",
        "Qwen4ExpModel",
        settings={"patch_size": 16},
        text_config={"layer_types": ["linear_attention"] * 2},
    ),
    "shieldgemma2": small_case(
        "shieldgemma2",
        "ShieldGemma2ForImageClassification",
        first_picture("model.model.vision_tower", pooler),
        TOWER + "pooler_output",
    ),
    "step3p7": Case(
        lambda: small("Step3p7Model", "step3p7"),
        lambda: small_processor("step3p7"),
        None,
        "pixel_values_local is a second picture of a photo",
    ),
    "t5gemma2": small_case(
        "t5gemma2", "T5Gemma2Model", first_picture("encoder.vision_tower", pooler), TOWER + "pooler_output"
    ),
    "t5gemma2_encoder": small_case(
        "t5gemma2_encoder",
        "T5Gemma2Encoder",
        first_picture("vision_tower", pooler),
        TOWER + "pooler_output",
        text_config={"dropout_rate": 0.0},
        mm_tokens_per_image=4,
    ),
    "ultravbert": small_case(
        "ultravbert",
        "UltraVBertModel",
        features,
        options={"do_image_splitting": False},
        vision_config={"image_size": 512},
    ),
    "unlimited_ocr": small_case(
        "unlimited_ocr",
        "UnlimitedOcrModel",
        part("vision_tower", tokens),
        side=1024,
        options={"crop_to_patches": False},
        vision_config={
            "sam_config": {**SAM_TOWER, "downsample_channels": [32, 32]},
            "encoder_config": {"image_size": 224},
        },
    ),
    "video_llama_3": small_case("video_llama_3", "VideoLlama3Model", settings={"patch_size": 16}),
    "vipllava": small_case("vipllava", "VipLlavaModel", part("vision_tower", pooler), TOWER + "pooler_output"),
}
"""By what the table calls them."""
