"""Small models of any family from its configuration: numbers of layers, widths and pictures by the names of fields."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

import transformers as tf

from tests.encoders_by_hand.case import ByHand, Case
from tests.encoders_by_hand.readings import features

TOWER = "vision tower, not projected: "

TOWER_MEAN = TOWER + "mean over positions of the last hidden state"
"""What the record says of most towers."""

DEPTHS = ("num_hidden_layers", "num_layers", "depth", "encoder_layers", "n_layer")

NUMBERS: tuple[tuple[str, int], ...] = (
    (
        r"(.*_)?(num_(full_)?hidden_layers|num_layers|depth|n_layers?|encoder_layers|decoder_layers|num_blocks)"
        r"|num_(encoder|decoder|fusion|blocks|query_encoder|neck|head|transformer|text|vision|audio|conv)_?layers"
        r"|detector_.*_layers|mask_decoder_.*layers|memory_.*_num_layers|text_encoder_n_layer|layers",
        2,
    ),
    (r".*num_key_value_.*heads|num_kv_heads", 2),
    (r".*num_attention_heads|num_heads|n_heads?|.*attention_heads|resampler_n_heads|.*_num_heads|attn_heads", 4),
    (r"(.*_)?head_dim|kv_channels", 8),
    (r"(.*_)?vocab_size", 300),
    (r"d_ff|(.*_)?ffn_dim|.*intermediate_size|intermediate_dim|.*feed_?forward_(dim|size)|mlp_dim", 64),
    (r"dim_feedforward|ffn_hidden_size", 64),
    (r"(.*_)?(hidden_size|embed_dim|hidden_dim|projection_size|out_dim|embed_size|out_hidden_size)", 32),
    (r"d_model|embedding_size|n_embd|projection_dim|embed_channels|width|dim|output_channels|encoder_dim", 32),
    (r"decoder_dim|query_dim|conv_dim|mask_feature_size|feature_size|hidden_state_size|output_dim", 32),
    (r"num_(local_|routed_)?experts|n_routed_experts|moe_num_experts", 4),
    (r"num_experts_per_tok|moe_topk?|top_k_experts|num_experts_per_token|moe_k", 2),
    (r"max_position_embeddings|n_positions|max_seq_len|max_length|max_text_len", 64),
    (r"num_queries|num_query_tokens|.*n_latents|num_object_queries|num_detections", 10),
    (r".*rank", 8),
)
"""Pattern of a name -> the largest number that it may have."""


def small_config(model_type: str, **overrides: Any) -> Any:
    """The default configuration of a family with small numbers.

    Args:
        model_type: of transformers.
        overrides: values that the numbers must fit; of a part, those that differ.
    """
    default = tf.AutoConfig.for_model(model_type)
    return type(default).from_dict(_shrunk(default.to_dict(), overrides))


def small(model_class: str, model_type: str, **overrides: Any) -> Any:
    """A small model with random weights."""
    return getattr(tf, model_class)(small_config(model_type, **overrides))


def _shrunk(tree: Mapping[str, Any], overrides: Mapping[str, Any] | None = None) -> dict[str, Any]:
    features = tree.get("out_features") or tree.get("out_indices") or ()
    stages = tree.get("stage_names")
    depth = next((tree[name] for name in DEPTHS if isinstance(tree.get(name), int)), None)
    of_layers = bool(stages and depth and len(stages) == depth + 1)
    layers = max(2, len(features)) if of_layers else 2
    patch = tree.get("patch_size")
    patch = patch[0] if isinstance(patch, list | tuple) else patch
    small: dict[str, Any] = {}
    for name, value in tree.items():
        if not isinstance(name, str):
            small[name] = value
        elif name in ("out_features", "stage_names", "_out_features", "_out_indices", "id2label", "label2id"):
            continue
        elif name == "out_indices" and value is not None and of_layers:
            small[name] = list(range(layers - len(features) + 1, layers + 1))
        elif name in DEPTHS and isinstance(value, int):
            small[name] = min(value, layers)
        elif name == "per_layer_config" and isinstance(value, dict):
            small[name] = {key: part for key, part in value.items() if int(key) < layers}
        elif isinstance(value, list | tuple) and depth and depth > 4 and len(value) == depth:
            small[name] = [value[0], *value[-layers + 1 :]]
        elif name in ("num_heads", "num_attention_heads") and isinstance(value, list | tuple):
            small[name] = [2] * len(value)
        elif isinstance(value, dict) and name not in ("rope_parameters", "rope_scaling"):
            small[name] = _shrunk(value)
        elif name == "image_size" and isinstance(patch, int) and isinstance(value, int | list | tuple):
            small[name] = 4 * patch if isinstance(value, int) else [4 * patch] * len(value)
        elif name in ("depths", "layers") and isinstance(value, list | tuple):
            small[name] = [1] * len(value)
        elif isinstance(value, dict):
            small[name] = {key: [2, 1, 1] if key == "mrope_section" else part for key, part in value.items()}
        elif name in ("pad_token_id", "bos_token_id", "eos_token_id", "decoder_start_token_id"):
            small[name] = min(value, 2) if isinstance(value, int) else value
        else:
            small[name] = _smaller(name, value)
    return _merged(small, overrides or {})


def _merged(tree: dict[str, Any], overrides: Mapping[str, Any]) -> dict[str, Any]:
    for name, value in overrides.items():
        part = tree.get(name)
        tree[name] = _merged(part, value) if isinstance(value, dict) and isinstance(part, dict) else value
    return tree


def _smaller(name: str, value: Any) -> Any:
    if isinstance(value, bool) or not isinstance(value, int):
        return value
    most = next((most for pattern, most in NUMBERS if re.fullmatch(pattern, name)), value)
    return min(value, most)


def small_processor(model_type: str, side: int | None = None, **settings: Any) -> Any:
    """The image processor of a family for pictures of its small model.

    Args:
        model_type: of transformers.
        side: of its pictures; by default that of ``small_config``.
        settings: further arguments of the processor.
    """
    from transformers.models.auto.image_processing_auto import IMAGE_PROCESSOR_MAPPING_NAMES

    names = IMAGE_PROCESSOR_MAPPING_NAMES[model_type]
    name = (names.get("pil") or next(iter(names.values()))) if isinstance(names, dict) else names
    processor = getattr(tf, name)(**settings)
    if "size" in settings:
        return processor
    pixels = side or side_of(model_type)
    size = getattr(processor, "size", None)
    size = {key: value for key, value in dict(size).items() if value} if size is not None else {}
    if hasattr(processor, "merge_size") and hasattr(processor, "patch_size") and "longest_edge" in size:
        processor.size = {"shortest_edge": 4 * processor.patch_size**2, "longest_edge": 40 * processor.patch_size**2}
    elif "height" in size:
        processor.size = {"height": pixels, "width": pixels}
    elif "shortest_edge" in size and "longest_edge" not in size:
        processor.size = {"shortest_edge": pixels}
    if getattr(processor, "do_center_crop", False) and getattr(processor, "crop_size", None):
        processor.crop_size = {"height": pixels, "width": pixels}
    return processor


def side_of(model_type: str) -> int:
    """Side of the pictures that the small model of a family takes."""
    config = small_config(model_type)
    for part in (config, getattr(config, "vision_config", None), getattr(config, "backbone_config", None)):
        size = getattr(part, "image_size", None)
        if isinstance(size, int | list | tuple):
            return size if isinstance(size, int) else size[0]
    return 64


def small_case(
    model_type: str,
    model_class: str,
    by_hand: ByHand = features,
    words: str = TOWER_MEAN,
    square: int | None = None,
    before: bool = False,
    side: int | None = None,
    options: dict[str, Any] | None = None,
    settings: dict[str, Any] | None = None,
    **overrides: Any,
) -> Case:
    """The case of a small model and its processor."""
    return Case(
        lambda: small(model_class, model_type, **overrides),
        lambda: small_processor(model_type, side, **(settings or {})),
        by_hand,
        words,
        square=square,
        before=before,
        processor_options=options or {},
    )
