from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pytest
import torch
import transformers as tf
from PIL import Image

from benchmark.encoders import load_encoder
from builders.errors import EncoderError, UsageError

TINY = {"hidden_size": 32, "intermediate_size": 37, "num_hidden_layers": 2, "num_attention_heads": 4}
VIT = {**TINY, "image_size": 32, "patch_size": 8}
TEXT = {**TINY, "vocab_size": 99, "max_position_embeddings": 20}


class Family(NamedTuple):
    """A tiny checkpoint of one family, and its embedding by hand."""

    build: Callable[[], Any]
    processor: Callable[[], Any]
    by_hand: Callable[[Any, torch.Tensor], torch.Tensor]
    pooling: str
    reread: Any = None
    """Class that the reference is read with, where it is not the class that was saved."""


def _clip_processor() -> Any:
    return tf.CLIPImageProcessor(size={"shortest_edge": 32}, crop_size={"height": 32, "width": 32})


def _vit_processor() -> Any:
    return tf.ViTImageProcessor(size={"height": 32, "width": 32})


def _bit_processor() -> Any:
    return tf.BitImageProcessor(size={"shortest_edge": 40}, crop_size={"height": 32, "width": 32})


def _convnext_processor() -> Any:
    return tf.ConvNextImageProcessor(size={"shortest_edge": 64}, crop_pct=0.875)


def _siglip_processor() -> Any:
    return tf.SiglipImageProcessor(size={"height": 32, "width": 32})


def _class_token(model: Any, x: torch.Tensor) -> torch.Tensor:
    return model(x).last_hidden_state[:, 0]


def _projected(model: Any, x: torch.Tensor) -> torch.Tensor:
    return model.visual_projection(model.vision_model(x).pooler_output)


def _mean_position(model: Any, x: torch.Tensor) -> torch.Tensor:
    return model(x).last_hidden_state.mean((2, 3))


def _mae(model: Any, x: torch.Tensor) -> torch.Tensor:
    """The class token of all patches in their natural order, layer by layer."""
    patches = model.embeddings.patch_embeddings(x) + model.embeddings.position_embeddings[:, 1:]
    first = model.embeddings.cls_token + model.embeddings.position_embeddings[:, :1]
    hidden = torch.cat([first.expand(len(x), -1, -1), patches], 1)
    for layer in model.layers if hasattr(model, "layers") else model.encoder.layer:
        output = layer(hidden)
        hidden = output[0] if isinstance(output, tuple) else output
    return model.layernorm(hidden)[:, 0]


CNN = {"hidden_sizes": [8, 16, 16, 24], "depths": [1, 1, 1, 1]}
FAMILIES: dict[str, Family] = {
    "clip": Family(
        lambda: tf.CLIPModel(tf.CLIPConfig(text_config=TEXT, vision_config=VIT, projection_dim=24)),
        _clip_processor,
        _projected,
        "projected",
    ),
    "clip vision tower with projection": Family(
        lambda: tf.CLIPVisionModelWithProjection(tf.CLIPVisionConfig(**VIT, projection_dim=24)),
        _clip_processor,
        _projected,
        "image_embeds",
    ),
    "siglip": Family(
        lambda: tf.SiglipModel(tf.SiglipConfig(text_config=TEXT, vision_config=VIT)),
        _siglip_processor,
        lambda model, x: model.vision_model(x).pooler_output,
        "projected",
    ),
    "dinov2": Family(lambda: tf.Dinov2Model(tf.Dinov2Config(**VIT)), _bit_processor, _class_token, "pooler_output"),
    "dinov2 with registers": Family(
        lambda: tf.Dinov2WithRegistersModel(tf.Dinov2WithRegistersConfig(**VIT)),
        _bit_processor,
        _class_token,
        "pooler_output",
    ),
    "dinov3": Family(
        lambda: tf.DINOv3ViTModel(tf.DINOv3ViTConfig(**VIT, num_register_tokens=2)),
        lambda: tf.DINOv3ViTImageProcessor(size={"height": 32, "width": 32}),
        _class_token,
        "pooler_output",
    ),
    "vit classifier": Family(
        lambda: tf.ViTForImageClassification(tf.ViTConfig(**VIT)),
        _vit_processor,
        lambda model, x: model.vit(x).last_hidden_state[:, 0],
        "class token",
        tf.ViTForImageClassification,
    ),
    "vit with its pooler": Family(
        lambda: tf.ViTModel(tf.ViTConfig(**VIT)),
        _vit_processor,
        lambda model, x: torch.tanh(model.pooler.dense(model(x).last_hidden_state[:, 0])),
        "pooler_output",
    ),
    "deit classifier": Family(
        lambda: tf.DeiTForImageClassification(tf.DeiTConfig(**VIT)),
        lambda: tf.DeiTImageProcessor(size={"height": 40, "width": 40}, crop_size={"height": 32, "width": 32}),
        lambda model, x: model.deit(x).last_hidden_state[:, 0],
        "class token",
        tf.DeiTForImageClassification,
    ),
    "beit": Family(
        lambda: tf.BeitModel(tf.BeitConfig(**VIT)),
        lambda: tf.BeitImageProcessor(size={"height": 32, "width": 32}, do_center_crop=False),
        lambda model, x: model.pooler.layernorm(model(x).last_hidden_state[:, 1:].mean(1)),
        "pooler_output",
    ),
    "mae": Family(lambda: tf.ViTMAEModel(tf.ViTMAEConfig(**VIT)), _vit_processor, _mae, "no patch masked"),
    "ijepa": Family(
        lambda: tf.IJepaModel(tf.IJepaConfig(**VIT), add_pooling_layer=False),
        _vit_processor,
        lambda model, x: model(x).last_hidden_state.mean(1),
        "mean over positions",
    ),
    "convnext": Family(
        lambda: tf.ConvNextModel(tf.ConvNextConfig(**CNN)),
        _convnext_processor,
        lambda model, x: model.layernorm(_mean_position(model, x)),
        "pooler_output",
    ),
    "convnext classifier": Family(
        lambda: tf.ConvNextV2ForImageClassification(tf.ConvNextV2Config(**CNN)),
        _convnext_processor,
        lambda model, x: model.convnextv2.layernorm(_mean_position(model.convnextv2, x)),
        "pooler_output",
        tf.ConvNextV2ForImageClassification,
    ),
    "resnet": Family(
        lambda: tf.ResNetModel(tf.ResNetConfig(embedding_size=8, **CNN)),
        _convnext_processor,
        _mean_position,
        "pooler_output",
    ),
    "swin": Family(
        lambda: tf.SwinModel(
            tf.SwinConfig(image_size=32, patch_size=2, embed_dim=8, depths=[1, 1], num_heads=[2, 2], window_size=4)
        ),
        _vit_processor,
        lambda model, x: model(x).last_hidden_state.mean(1),
        "pooler_output",
    ),
}


def _save(family: Family, folder: Path) -> None:
    torch.manual_seed(1)
    model = family.build()
    for parameter in model.parameters():
        torch.nn.init.normal_(parameter, std=0.2)
    model.save_pretrained(folder)
    family.processor().save_pretrained(folder)


@pytest.mark.parametrize("name", FAMILIES)
def test_family__embedding_equals_the_library_by_hand(
    name: str, tmp_path: Path, photos: list[Image.Image], embed_photos: Any, keeps_promises: Any
) -> None:
    family = FAMILIES[name]
    _save(family, tmp_path)
    encoder = load_encoder(str(tmp_path), device="cpu")

    reader = family.reread or type(family.build())
    reference = reader.from_pretrained(tmp_path, dtype=torch.float32).eval()
    try:
        processor = tf.AutoImageProcessor.from_pretrained(tmp_path, backend="pil")
    except ValueError:
        processor = tf.AutoImageProcessor.from_pretrained(tmp_path)
    with torch.no_grad():
        pixels = torch.stack([processor(images=p, return_tensors="pt")["pixel_values"][0] for p in photos])
        expected = family.by_hand(reference, pixels).numpy()

    assert family.pooling in encoder.info.pooling
    assert encoder.info.library == "transformers"
    assert encoder.info.dimension == expected.shape[1]
    np.testing.assert_allclose(embed_photos(encoder, photos), expected, atol=2e-5, rtol=1e-5)
    keeps_promises(encoder)


@pytest.mark.parametrize("name", ["clip", "siglip", "dinov2", "dinov3", "vit classifier"])
def test_attention__is_torchs_fused_one(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    _save(FAMILIES[name], tmp_path)
    encoder = load_encoder(str(tmp_path), device="cpu")
    assert encoder.info.details["attention"] == "sdpa"
    calls: list[int] = []
    fused = torch.nn.functional.scaled_dot_product_attention
    monkeypatch.setattr(
        torch.nn.functional, "scaled_dot_product_attention", lambda *a, **k: calls.append(1) or fused(*a, **k)
    )
    encoder.embed(torch.from_numpy(np.array(encoder.preprocess(Image.new("RGB", (40, 40)))))[None])
    assert len(calls) >= VIT["num_hidden_layers"]


@pytest.mark.parametrize("name", [name for name in FAMILIES if name != "dinov3"])
def test_preprocessing__travels_as_bytes_and_equals_the_pil_processor(
    name: str, tmp_path: Path, photos: list[Image.Image]
) -> None:
    _save(FAMILIES[name], tmp_path)
    encoder = load_encoder(f"local-dir:{tmp_path}", device="cpu")
    processor = tf.AutoImageProcessor.from_pretrained(tmp_path, backend="pil")
    assert encoder.info.preprocessing["transport"] == "uint8"
    assert encoder.info.preprocessing["backend"] == "pil"
    for photo in photos:
        array = encoder.preprocess(photo)
        mean, std = (np.array(encoder.info.preprocessing[k]) for k in ("mean", "std"))
        ours = ((array / 255 - mean) / std).transpose(2, 0, 1)
        library = processor(images=photo, return_tensors="np")["pixel_values"][0]
        np.testing.assert_allclose(ours, library, atol=1e-5)


def test_preprocessing__an_unusual_processor_is_used_itself(tmp_path: Path, photos: list[Image.Image]) -> None:
    _save(FAMILIES["vit classifier"], tmp_path)
    file = tmp_path / "preprocessor_config.json"
    config = json.loads(file.read_text())
    config |= {"do_rescale": False}
    file.write_text(json.dumps(config))
    encoder = load_encoder(str(tmp_path), device="cpu")
    assert encoder.info.preprocessing["transport"] == "float32"
    processor = tf.AutoImageProcessor.from_pretrained(tmp_path, backend="pil")
    expected = processor(images=photos[0], return_tensors="np")["pixel_values"][0]
    assert np.array_equal(encoder.preprocess(photos[0]), expected.astype(np.float32))


def test_weights_sha256__follows_the_weights_not_the_file_format(tmp_path: Path) -> None:
    folders = [tmp_path / name for name in ("a", "b", "c")]
    for folder in folders:
        _save(FAMILIES["dinov2"], folder)
    state = tf.Dinov2Model.from_pretrained(folders[1]).state_dict()
    (folders[1] / "model.safetensors").unlink()
    torch.save(state, folders[1] / "pytorch_model.bin")
    model = tf.Dinov2Model.from_pretrained(folders[2])
    with torch.no_grad():
        model.layernorm.bias[3] += 1e-3
    model.save_pretrained(folders[2])
    one, same, other = (load_encoder(str(folder), device="cpu").info.weights_sha256 for folder in folders)
    assert one == same
    assert one != other


def test_text_tower__takes_no_part(tmp_path: Path) -> None:
    _save(FAMILIES["clip"], tmp_path)
    encoder = load_encoder(str(tmp_path), device="cpu")
    model = tf.CLIPModel.from_pretrained(tmp_path)
    vision = sum(p.numel() for part in (model.vision_model, model.visual_projection) for p in part.parameters())
    assert encoder.info.parameters == vision
    assert encoder.info.group == "CVL"


def test_missing_weights__are_refused(tmp_path: Path) -> None:
    from safetensors.torch import load_file, save_file

    _save(FAMILIES["dinov2"], tmp_path)
    tensors = load_file(tmp_path / "model.safetensors")
    gone = next(name for name in tensors if name.endswith("weight") and "norm1" in name)
    del tensors[gone]
    save_file(tensors, tmp_path / "model.safetensors", {"format": "pt"})
    with pytest.raises(EncoderError, match="lacks 1 of its weights"):
        load_encoder(str(tmp_path), device="cpu")


def test_naflex__is_refused_with_the_alternative(tmp_path: Path) -> None:
    tf.Siglip2Config(text_config=TEXT).save_pretrained(tmp_path)
    with pytest.raises(UsageError, match="google/siglip2-base-patch16-256"):
        load_encoder(str(tmp_path), device="cpu")


def test_text_model__is_refused(tmp_path: Path) -> None:
    tf.BertModel(tf.BertConfig(**TEXT)).save_pretrained(tmp_path)
    _vit_processor().save_pretrained(tmp_path)
    with pytest.raises(UsageError, match="not an image encoder"):
        load_encoder(str(tmp_path), device="cpu")


def test_no_preprocessor__is_refused(tmp_path: Path) -> None:
    tf.Dinov2Model(tf.Dinov2Config(**VIT)).save_pretrained(tmp_path)
    with pytest.raises(EncoderError, match=r"no preprocessor_config\.json"):
        load_encoder(str(tmp_path), device="cpu")


def test_damaged_weights__one_sentence(tmp_path: Path) -> None:
    _save(FAMILIES["resnet"], tmp_path)
    (tmp_path / "model.safetensors").write_bytes(b"\x10\0\0\0\0\0\0\0not a header....")
    with pytest.raises(EncoderError, match="transformers cannot load it") as caught:
        load_encoder(str(tmp_path), device="cpu")
    assert "\n" not in str(caught.value)


def test_remote_code__needs_the_flag(tmp_path: Path) -> None:
    marker = tmp_path / "ran"
    config = {"model_type": "own", "auto_map": {"AutoConfig": "own.OwnConfig", "AutoModel": "own.OwnModel"}}
    (tmp_path / "config.json").write_text(json.dumps(config))
    (tmp_path / "own.py").write_text(f"open({str(marker)!r}, 'w')\n")
    with pytest.raises(UsageError, match="--trust-remote-code"):
        load_encoder(str(tmp_path), device="cpu")
    assert not marker.exists()


def test_hostile_pickle__is_not_run(tmp_path: Path) -> None:
    _save(FAMILIES["dinov2"], tmp_path)
    (tmp_path / "model.safetensors").unlink()
    marker = tmp_path / "ran"

    class Hostile:
        def __reduce__(self) -> tuple[Any, tuple[str, str]]:
            return (open, (str(marker), "w"))

    torch.save({"layernorm.bias": Hostile()}, tmp_path / "pytorch_model.bin")
    with pytest.raises(EncoderError):
        load_encoder(str(tmp_path), device="cpu")
    assert not marker.exists()
