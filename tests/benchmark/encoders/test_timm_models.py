from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import timm
import torch
from PIL import Image
from timm.data import create_transform, resolve_model_data_config

from benchmark.encoders import load_encoder
from builders.errors import EncoderError, UsageError

VIT = {"img_size": 32, "patch_size": 8, "embed_dim": 32, "depth": 2, "num_heads": 4}


def _save(folder: Path, name: str, config: dict[str, Any], **arguments: Any) -> None:
    """A tiny checkpoint in timm's Hub layout, its architecture changed by ``model_args`` of its config."""
    torch.manual_seed(0)
    model = timm.create_model(name, pretrained=False, num_classes=7, **arguments)
    model.pretrained_cfg.update(config)
    timm.models.save_for_hf(model, folder, model_args=arguments)


def _reference(folder: Path, photos: list[Image.Image]) -> np.ndarray:
    model = timm.create_model(f"local-dir:{folder}", pretrained=True, num_classes=0).eval()
    transform = create_transform(**resolve_model_data_config(model), is_training=False)
    with torch.no_grad():
        return model(torch.stack([transform(photo) for photo in photos])).numpy()


def test_pictures_of_one_channel__are_refused(tmp_path: Path) -> None:
    _save(tmp_path, "test_resnet", {}, in_chans=1)
    with pytest.raises(UsageError, match="pictures"):
        load_encoder(str(tmp_path), device="cpu")


@pytest.mark.parametrize("crop", [{"crop_pct": 0.875}, {"crop_pct": 0.9, "interpolation": "bicubic"}])
def test_vit__equals_timm(
    crop: dict[str, Any], tmp_path: Path, photos: list[Image.Image], embed_photos: Any, keeps_promises: Any
) -> None:
    _save(tmp_path, "vit_tiny_patch16_224", {"input_size": (3, 32, 32), **crop}, **VIT)
    encoder = load_encoder(f"local-dir:{tmp_path}", device="cpu")
    np.testing.assert_allclose(embed_photos(encoder, photos), _reference(tmp_path, photos), atol=1e-5)
    assert encoder.info.library == "timm"
    assert encoder.info.dimension == 32
    keeps_promises(encoder)


def test_convolutional__equals_timm(tmp_path: Path, photos: list[Image.Image], embed_photos: Any) -> None:
    _save(tmp_path, "test_resnet", {})
    encoder = load_encoder(str(tmp_path), device="cpu")
    np.testing.assert_allclose(embed_photos(encoder, photos), _reference(tmp_path, photos), atol=1e-5)


def test_head_of_the_distillation_token__is_a_classifier_whether_or_not_the_configuration_names_it(
    tmp_path: Path, photos: list[Image.Image], embed_photos: Any
) -> None:
    _save(tmp_path, "deit_tiny_distilled_patch16_224", {"input_size": (3, 32, 32), "classifier": "head"}, **VIT)
    encoder = load_encoder(str(tmp_path), device="cpu")
    np.testing.assert_allclose(embed_photos(encoder, photos), _reference(tmp_path, photos), atol=1e-5)
    assert "head_dist.bias" in encoder.info.details["ignored_weights"][0]


def test_local_folder__id_has_no_path_of_this_machine(tmp_path: Path) -> None:
    _save(tmp_path / "mine", "test_resnet", {})
    encoder = load_encoder(str(tmp_path / "mine"), device="cpu")
    assert encoder.info.id == f"local-dir:mine@{encoder.info.weights_sha256[:8]}"
    assert encoder.info.revision is None
    assert len(str(encoder.info.weights_sha256)) == 64
    assert str(tmp_path) not in repr(encoder.info)


def test_no_weights__one_sentence(tmp_path: Path) -> None:
    _save(tmp_path, "test_resnet", {})
    for file in (*tmp_path.glob("*.safetensors"), *tmp_path.glob("*.bin")):
        file.unlink()
    with pytest.raises(EncoderError, match="cannot"):
        load_encoder(str(tmp_path), device="cpu")


def test_unknown_name__the_nearest() -> None:
    with pytest.raises(UsageError, match="timm:resnet50"):
        load_encoder("timm:resnett50.a1_in1k")
