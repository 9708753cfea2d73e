"""The preset's transform of each of the study's 47 encoders, against each library's own transform with its first step's
size replaced, which is what the study's loader did."""

from __future__ import annotations

import copy
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import open_clip
import pytest
import timm
import torch
import transformers as tf
from PIL import Image
from timm.data import create_transform, resolve_data_config
from torchvision import transforms

from benchmark.encoders import STUDY, Pixels, load_encoder
from benchmark.encoders.network import Normalisation
from benchmark.encoders.preprocess.modes import study_transform
from scripts.docs_tables import study_transforms as script
from tests.benchmark.encoders.test_open_clip_models import MODEL

IMAGENET = ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225))
BICUBIC, BILINEAR = transforms.InterpolationMode.BICUBIC, transforms.InterpolationMode.BILINEAR


def compose(resize: int, crop: int, interpolation: Any, mean: Any, std: Any) -> Any:
    return transforms.Compose(
        [
            transforms.Resize(resize, interpolation=interpolation),
            transforms.CenterCrop(crop),
            transforms.ToTensor(),
            transforms.Normalize(mean, std),
        ]
    )


def of_library(spec: str) -> tuple[Any, int]:
    """(the transform of the library that the study loaded an encoder with, side of its crop); no weights needed."""
    row = next(row for row in STUDY if row.spec == spec)
    if row.library == "timm":
        config: Any = timm.get_pretrained_cfg(spec.removeprefix("timm/"))
        data = resolve_data_config({}, pretrained_cfg=config.to_dict())
        return create_transform(**data, is_training=False), data["input_size"][-1]
    if row.library == "open_clip":
        architecture, tag = open_clip_names(spec)
        config = open_clip.get_pretrained_cfg(architecture, tag)
        size = open_clip.get_model_config(architecture)["vision_cfg"]["image_size"]
        made = open_clip.image_transform(
            size,
            is_train=False,
            mean=config["mean"],
            std=config["std"],
            interpolation=config["interpolation"],
            resize_mode=config["resize_mode"],
        )
        return made, size
    if spec.startswith("openai/"):  # OpenAI's package, whose constants transformers has as its defaults
        defaults = tf.CLIPImageProcessor()
        size = 336 if spec.endswith("336") else 224
        return compose(size, size, BICUBIC, defaults.image_mean, defaults.image_std), size
    # The evaluation of facebookresearch/dino and dinov2 (hub code), and of facebookresearch/moco-v3.
    return compose(256, 224, BILINEAR if "mocov3" in spec else BICUBIC, *IMAGENET), 224


def open_clip_names(spec: str) -> tuple[str, str]:
    if spec.startswith("open_clip:"):
        architecture, _, tag = spec.removeprefix("open_clip:").partition("/")
        return architecture, tag
    return next(
        (architecture, tag)
        for architecture, tag in open_clip.list_pretrained()
        if str(open_clip.get_pretrained_cfg(architecture, tag).get("hf_hub", "")).rstrip("/") == spec
    )


def as_the_study_did(transform: Any, crop: int) -> Any:
    changed = copy.deepcopy(transform)
    changed.transforms[0].size = crop
    return changed


@pytest.mark.parametrize("row", STUDY[::4], ids=lambda row: row.spec)
def test_study_transform__is_the_librarys_with_the_short_side_of_its_crop(row: Any, photos: list[Image.Image]) -> None:
    native, crop = of_library(row.spec)
    transform = study_transform(row.spec)
    assert transform is not None
    assert transform.crop_px == crop == row.input_px
    expected = as_the_study_did(native, crop)
    normalise = Normalisation(transform.mean, transform.std)
    for photo in photos:
        normalised = normalise(torch.from_numpy(transform.pixels(photo))[None])[0]
        torch.testing.assert_close(normalised, expected(photo), atol=1e-5, rtol=0)
    same = all(torch.equal(native(photo), expected(photo)) for photo in photos[:2])
    assert same == (transform.unlike_own == "")


def test_study_transform__27_of_the_47_are_not_their_librarys() -> None:
    unlike = [transform.unlike_own for row in STUDY if (transform := study_transform(row.spec))]
    assert (len(unlike), sum(map(bool, unlike))) == (47, 27)


def test_table__has_every_encoder_of_the_study() -> None:
    table = script.table()
    assert all(f"`{row.spec}`" in table for row in STUDY)


VIT = {"hidden_size": 16, "intermediate_size": 16, "num_hidden_layers": 1, "num_attention_heads": 2, "patch_size": 32}


def save_clip(folder: Path) -> None:
    text = {"hidden_size": 16, "intermediate_size": 16, "num_hidden_layers": 1, "num_attention_heads": 2}
    config = tf.CLIPConfig(text_config=text, vision_config={**VIT, "image_size": 224}, projection_dim=8)
    tf.CLIPModel(config).save_pretrained(folder)
    tf.CLIPImageProcessor().save_pretrained(folder)


def save_timm(folder: Path) -> None:
    model = timm.create_model("test_resnet", pretrained=False, num_classes=3)
    model.pretrained_cfg.update({"input_size": (3, 224, 224), "crop_pct": 0.95, "interpolation": "bicubic"})
    model.pretrained_cfg.update({"mean": IMAGENET[0], "std": IMAGENET[1]})
    timm.models.save_for_hf(model, folder)


def save_open_clip(folder: Path) -> None:
    import json

    model = {**MODEL, "vision_cfg": {**MODEL["vision_cfg"], "image_size": 224, "patch_size": 32}}  # type: ignore[dict-item]
    folder.mkdir(exist_ok=True)
    torch.save(open_clip.CLIP(**model).state_dict(), folder / "open_clip_pytorch_model.bin")
    (folder / "open_clip_config.json").write_text(json.dumps({"model_cfg": model, "preprocess_cfg": {}}))


@pytest.mark.parametrize(
    ("spec", "save", "differs"),
    [
        ("openai/clip-vit-base-patch32", save_clip, True),  # transformers cuts an odd margin elsewhere
        ("timm/resnet50.a1_in1k", save_timm, True),
        ("laion/CLIP-ViT-B-32-laion2B-s34B-b79K", save_open_clip, False),
    ],
)
def test_load_encoder__under_the_preset_by_every_library(
    spec: str,
    save: Callable[[Path], None],
    differs: bool,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    photos: list[Image.Image],
) -> None:
    """Tiny networks under the study's names."""
    torch.manual_seed(0)
    save(tmp_path)
    monkeypatch.setattr("benchmark.encoders.loaders.hub.fetch", lambda *_: (tmp_path, "0" * 40))
    plain = load_encoder(spec, device="cpu", runtime="torch")
    encoder = load_encoder(spec, device="cpu", runtime="torch", preprocess="study")
    transform, crop = of_library(spec)
    reference = as_the_study_did(transform, crop)
    embed: Any = encoder.embed
    with torch.no_grad():
        expected = embed.forward(embed.module, torch.stack([reference(photo) for photo in photos])).float()
    embeddings = encoder.embed(torch.stack([torch.from_numpy(encoder.preprocess(photo)) for photo in photos]))
    torch.testing.assert_close(embeddings, expected, atol=1e-5, rtol=1e-4)
    assert isinstance(encoder.preprocess, Pixels)
    # what is applied, and what is not, stand in the record and so in the bank's key
    record = encoder.info.preprocessing
    assert (record != plain.info.preprocessing) == differs
    if differs:
        assert record["preprocess"] == "study"
        assert [step["step"] for step in record["steps"]] == ["ResizeShort", "CenterCrop"]
        assert record["own"] == plain.info.preprocessing
    assert encoder.info.weights_sha256 == plain.info.weights_sha256


def test_load_encoder__checkpoint_under_the_preset(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("benchmark.encoders.loaders.study_weights._download", lambda *_: tmp_path)
    tiny = torch.nn.Sequential(torch.nn.AdaptiveAvgPool2d(2), torch.nn.Flatten())
    monkeypatch.setattr("benchmark.encoders.loaders.study_weights.read_encoder", lambda *_: tiny)
    encoder = load_encoder("checkpoint:mocov3-vit-base", device="cpu", runtime="torch", preprocess="study")
    photo = Image.fromarray(np.random.default_rng(0).integers(0, 256, (60, 91, 3), dtype=np.uint8))
    expected = tiny(compose(224, 224, BILINEAR, *IMAGENET)(photo)[None])
    embeddings = encoder.embed(torch.from_numpy(encoder.preprocess(photo))[None])
    torch.testing.assert_close(embeddings, expected, atol=1e-5, rtol=1e-5)
