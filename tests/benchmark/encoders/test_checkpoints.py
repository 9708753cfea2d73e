from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import torchvision
from PIL import Image

from benchmark.encoders import load_encoder
from benchmark.encoders.loaders import study_weights
from benchmark.encoders.loaders.study_weights import SOURCES, read_encoder
from builders.errors import EncoderError
from builders.untrusted import Pace, weight_downloads
from tests.support.hub import HubDouble


def _save(spec: str, file: Path) -> Any:
    """A file as the authors' training code writes it, with random weights and with its heads."""
    torch.manual_seed(0)
    if "resnet50" in spec:
        encoder = torchvision.models.resnet50(weights=None)
        encoder.fc = torch.nn.Identity()
    else:
        import timm

        encoder = timm.create_model("vit_base_patch16_224", embed_dim=384, num_heads=12, num_classes=0)
    tensors = encoder.state_dict()
    if spec.startswith("checkpoint:mocov3"):
        head = "fc" if "resnet50" in spec else "head"
        tensors = {f"module.base_encoder.{name}": t for name, t in tensors.items()}
        tensors |= {f"module.base_encoder.{head}.0.weight": torch.zeros(2), "module.predictor.0.weight": torch.zeros(2)}
        tensors |= {f"module.momentum_encoder.{name}": torch.zeros(1) for name in ("conv1.weight", "cls_token")}
        torch.save({"epoch": 300, "state_dict": tensors, "arch": "x"}, file)
    else:
        torch.save(tensors, file)
    return encoder.eval()


@pytest.mark.slow
@pytest.mark.parametrize("spec", [spec for spec in SOURCES if spec != "checkpoint:mocov3-vit-base"])
def test_read_encoder__leaves_the_training_heads_behind(spec: str, tmp_path: Path) -> None:
    reference = _save(spec, tmp_path / "weights.pth")
    encoder = read_encoder(spec, tmp_path / "weights.pth").eval()
    pixels = torch.randn(1, 3, 224, 224)
    with torch.no_grad():
        torch.testing.assert_close(encoder(pixels), reference(pixels))


@pytest.mark.slow
def test_load__from_torchs_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, photos: list[Image.Image]) -> None:
    monkeypatch.setattr(torch.hub, "get_dir", lambda: str(tmp_path))
    (tmp_path / "checkpoints").mkdir()
    reference = _save("checkpoint:mocov3-vit-small", tmp_path / "checkpoints" / "vit-s-300ep.pth.tar")
    encoder = load_encoder("checkpoint:mocov3-vit-small", device="cpu")
    transform = torchvision.transforms.Compose(
        [
            torchvision.transforms.Resize(256),
            torchvision.transforms.CenterCrop(224),
            torchvision.transforms.ToTensor(),
            torchvision.transforms.Normalize([0.485, 0.456, 0.406], [0.229, 0.224, 0.225]),
        ]
    )
    with torch.no_grad():
        expected = reference(transform(photos[0])[None]).numpy()
    embeddings = encoder.embed(torch.from_numpy(encoder.preprocess(photos[0]))[None]).numpy()
    np.testing.assert_allclose(embeddings, expected, atol=1e-5)
    assert encoder.info.group == "SSL"
    assert encoder.info.dimension == 384
    assert encoder.info.details["url"].startswith("https://")


def test_read_encoder__another_network_is_refused(tmp_path: Path) -> None:
    torch.save({"state_dict": {"module.base_encoder.conv1.weight": torch.zeros(2)}}, tmp_path / "x.pth")
    with pytest.raises(EncoderError, match="lacks") as caught:
        read_encoder("checkpoint:mocov3-resnet50", tmp_path / "x.pth")
    assert "\n" not in str(caught.value)


def test_read_encoder__damaged_file(tmp_path: Path) -> None:
    (tmp_path / "x.pth").write_bytes(b"damaged")
    with pytest.raises(EncoderError, match="cannot be read"):
        read_encoder("checkpoint:dino-resnet50", tmp_path / "x.pth")


def test_download__no_network_is_one_sentence(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: Any, **__: Any) -> None:
        raise OSError("no route to host")

    monkeypatch.setattr(torch.hub, "get_dir", lambda: str(tmp_path))
    monkeypatch.setattr(torch.hub, "download_url_to_file", fail)
    with pytest.raises(EncoderError, match="cannot be fetched"):
        load_encoder("checkpoint:dino-resnet50", device="cpu")


def test_download__a_server_that_is_too_slow_is_one_sentence(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.hub, "get_dir", lambda: str(tmp_path))
    monkeypatch.setattr(weight_downloads, "AUTHORS_PACE", Pace(headers_s=0.3, grace_s=0.3, least_bytes_per_s=1000.0))
    with HubDouble() as double:
        monkeypatch.setattr(study_weights, "HOST", double.url)
        double.fail("GET", "dino", 9, hostile="slow body")
        with pytest.raises(EncoderError, match="fetched") as caught:
            load_encoder("checkpoint:dino-resnet50", device="cpu")
    assert "\n" not in str(caught.value)
    assert list((tmp_path / "checkpoints").iterdir()) == []
