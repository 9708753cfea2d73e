"""Parts of loading a transformers model: heads, text, weights of 8 bits, and errors in one sentence."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace

import torch
import transformers as tf
from safetensors.torch import save_file
from torch import nn

from benchmark.encoders.loaders.transformers.classifiers import classifier_class, cut_classifier, last_linears
from benchmark.encoders.loaders.transformers.models import drop_text, integer_weights, of_text
from benchmark.encoders.loaders.transformers.refusals import more_than_a_picture


def test_classifiers__the_layers_that_give_the_logits() -> None:
    model = nn.ModuleDict(
        {"a": nn.Linear(4, 5), "cls": nn.Linear(4, 5), "dist_one": nn.Linear(4, 5), "b": nn.Linear(4, 3)}
    )
    model["dist_two"] = nn.Linear(4, 5)
    assert last_linears(model, 5) == ["cls", "dist_two"]
    assert last_linears(model, 9) == []
    assert cut_classifier(model, 5)
    assert [name for name, part in model.items() if isinstance(part, nn.Identity)] == ["cls", "dist_two"]
    assert not cut_classifier(model, 9)
    for kind, names, expected in (
        ("vit", ["ViTForImageClassification"], tf.ViTForImageClassification), ("vit", ["ViTModel"], None),
        ("deit", ["DeiTForImageClassificationWithTeacher"], tf.DeiTForImageClassificationWithTeacher),
        ("imagegpt", ["ImageGPTForImageClassification"], None), ("new", ["NewForImageClassification"], None),
        ("shieldgemma2", ["ShieldGemma2ForImageClassification"], None), ("vit", [], None), ("vit", None, None),
        ("perceiver", ["ViTForImageClassification"], None), ("imagegpt", ["ViTForImageClassification"], None),
    ):  # fmt: skip
        assert classifier_class(SimpleNamespace(model_type=kind, architectures=names)) is expected


def test_integer_weights__of_every_file(tmp_path: Path) -> None:
    save_file({"a": torch.ones(1, dtype=torch.int8), "b": torch.ones(1)}, tmp_path / "m-1.safetensors")
    save_file(
        {"c": torch.ones(1, dtype=torch.uint8), "d": torch.ones(1, dtype=torch.int64)}, tmp_path / "m-2.safetensors"
    )
    (tmp_path / "notes.txt").write_text("x")
    assert sorted(integer_weights(tmp_path)) == ["a", "c"]


def test_text__parts_of_a_model_that_no_picture_reads() -> None:
    names = "text_model text_projection logit_scale logit_bias token_embedding temperature language_model lm_head"
    for name in (*names.split(), "embed_tokens", "audio_tower", "embed_audio"):
        assert of_text(f"model.{name}.weight") == "a task head or another tower"
    assert of_text("vision_model.text_models.weight") == ""
    model = nn.ModuleDict({"text_model": nn.Identity(), "vision_model": nn.Identity(), "lm_head": nn.Identity()})
    drop_text(model)
    assert [name for name, _ in model.named_children()] == ["vision_model"]


def test_more_than_a_picture__or_a_picture_of_another_size() -> None:
    for config, side in (
        (SimpleNamespace(image_size=32), 32), (SimpleNamespace(image_size=(48, 64)), 48), (SimpleNamespace(), 224),
        (SimpleNamespace(image_size=1, vision_config=SimpleNamespace(image_size=56)), 56),
    ):  # fmt: skip
        error = more_than_a_picture("mine", SimpleNamespace(config=config), "Input size doesn't match model (1)")
        assert f"{side}" in str(error)
    assert str(more_than_a_picture("mine", nn.Identity(), "KeyError")) == (
        "mine is a Identity, which gives no features of a picture alone (KeyError); the nearest encoder is "
        "google/siglip2-base-patch16-256"
    )
