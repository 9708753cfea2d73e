from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import open_clip
import pytest
import torch
from PIL import Image

from benchmark.encoders import load_encoder
from builders.errors import EncoderError, UsageError

MODEL = {
    "embed_dim": 24,
    "vision_cfg": {"image_size": 32, "layers": 2, "width": 64, "head_width": 32, "patch_size": 8},
    "text_cfg": {"context_length": 8, "vocab_size": 99, "width": 32, "heads": 2, "layers": 1},
}
SQUASH = {"mean": [0.5, 0.5, 0.5], "std": [0.5, 0.5, 0.5], "interpolation": "bicubic", "resize_mode": "squash"}


def _save(folder: Path, preprocess: dict[str, Any]) -> None:
    folder.mkdir(exist_ok=True)
    torch.manual_seed(0)
    torch.save(open_clip.CLIP(**MODEL).state_dict(), folder / "open_clip_pytorch_model.bin")
    config = {"model_cfg": MODEL, "preprocess_cfg": preprocess}
    (folder / "open_clip_config.json").write_text(json.dumps(config))


@pytest.mark.parametrize("preprocess", [{}, SQUASH, {"resize_mode": "longest"}])
def test_folder__equals_open_clip(
    preprocess: dict[str, Any], tmp_path: Path, photos: list[Image.Image], embed_photos: Any, keeps_promises: Any
) -> None:
    _save(tmp_path, preprocess)
    encoder = load_encoder(f"local-dir:{tmp_path}", device="cpu")
    model, _, transform = open_clip.create_model_and_transforms(f"local-dir:{tmp_path}")
    with torch.no_grad():
        expected = model.eval().encode_image(torch.stack([transform(photo) for photo in photos])).numpy()
    np.testing.assert_allclose(embed_photos(encoder, photos), expected, atol=1e-5)
    assert encoder.info.library == "open_clip"
    assert encoder.info.group == "CVL"
    assert encoder.info.dimension == 24
    assert encoder.info.parameters == sum(p.numel() for p in model.visual.parameters())
    assert encoder.info.preprocessing["transport"] == "uint8"
    keeps_promises(encoder)


def test_no_weights__not_a_random_network(tmp_path: Path) -> None:
    _save(tmp_path, {})
    (tmp_path / "open_clip_pytorch_model.bin").unlink()
    with pytest.raises(EncoderError, match="open_clip"):
        load_encoder(str(tmp_path), device="cpu")


def test_unknown_names__the_nearest() -> None:
    with pytest.raises(UsageError, match="'RN50'"):
        load_encoder("open_clip:RN5O/openai")
    with pytest.raises(UsageError, match="'openai'"):
        load_encoder("open_clip:RN50/openais")


def test_weights_not_named__lists_them() -> None:
    with pytest.raises(UsageError, match="open_clip:RN50/yfcc15m"):
        load_encoder("open_clip:RN50")


@pytest.mark.parametrize(("tag", "quick"), [("openai", True), ("laion2b_s34b_b79k", False)])
def test_quick_gelu__as_the_weights_were_trained(tag: str, quick: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    arguments: dict[str, Any] = {}

    def stop(source: str, **options: Any) -> None:
        arguments.update(options, source=source)
        raise RuntimeError("no network in tests")

    monkeypatch.setattr(open_clip, "create_model_from_pretrained", stop)
    with pytest.raises(EncoderError, match="network"):
        load_encoder(f"open_clip:ViT-B-32/{tag}", device="cpu")
    assert arguments == {"source": "ViT-B-32", "pretrained": tag, "force_quick_gelu": quick, "weights_only": True}
