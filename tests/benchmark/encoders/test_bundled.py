from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from torch import nn

from benchmark.encoders import Encoder, load_encoder
from benchmark.encoders.loaders.bundled import LITE0_PIXELS, load_lite0_classifier
from builders.errors import UsageError


@pytest.fixture(scope="module")
def lite0() -> Encoder:
    return load_encoder("bundled:efficientnet-lite0", device="cpu")


@pytest.mark.slow
def test_lite0__keeps_the_promises(lite0: Encoder, keeps_promises: Any) -> None:
    keeps_promises(lite0)
    assert lite0.info.dimension == 1280
    assert lite0.info.group == "SUP"
    assert lite0.preprocess(Image.new("RGB", (300, 200))).shape == (224, 224, 3)


def test_lite0__folded_network_equals_the_packages_own(
    lite0: Encoder, photos: list[Image.Image], embed_photos: Any
) -> None:
    classifier = load_lite0_classifier()
    pixels = torch.stack([torch.from_numpy(LITE0_PIXELS(photo)) for photo in photos]).permute(0, 3, 1, 2)
    with torch.no_grad():
        expected = classifier.extract_features((pixels.float() - 127) / 128).mean((2, 3)).numpy()
    np.testing.assert_allclose(embed_photos(lite0, photos), expected, atol=2e-5)


@pytest.mark.parametrize(
    ("photo", "part", "sensible"),
    [
        ("coffee", None, {"espresso", "cup", "coffee mug"}),
        ("chelsea", None, {"tabby", "tiger cat", "Egyptian cat", "lynx"}),
        ("rocket", None, {"missile", "projectile", "crane"}),
    ],
)
def test_lite0__preprocessing_makes_it_recognise_photos(
    lite0: Encoder, photo: str, part: Any, sensible: set[str]
) -> None:
    """The embedding, through the classifier layer of the package, names the content of the picture."""
    data = pytest.importorskip("skimage.data")
    from torchvision.models import MobileNet_V2_Weights

    image = Image.fromarray(getattr(data, photo)())
    logits = load_lite0_classifier()._fc(lite0.embed(torch.from_numpy(lite0.preprocess(image))[None]))
    names = MobileNet_V2_Weights.IMAGENET1K_V1.meta["categories"]
    assert names[int(logits.argmax())] in sensible


@pytest.fixture
def imgsim_package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> nn.Module:
    """A package of that name with a random network in it, which breaks if anyone imports it."""
    from torchvision.models import resnet50

    class Net(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.pre = resnet50(weights=None)
            self.pre.fc = nn.Linear(2048, 768)

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return torch.tanh(self.pre(x))

    torch.manual_seed(0)
    network = Net().eval()
    package = tmp_path / "imgsim"
    package.mkdir()
    (package / "__init__.py").write_text("raise RuntimeError('imported')\n")
    torch.save({f"module.{name}": t for name, t in network.state_dict().items()}, package / "model.pth")
    information = tmp_path / "imgsim-0.1.2.dist-info"
    information.mkdir()
    (information / "METADATA").write_text("Metadata-Version: 2.1\nName: imgsim\nVersion: 0.1.2\n")
    monkeypatch.syspath_prepend(str(tmp_path))
    return network


@pytest.mark.slow
def test_imgsim__weights_are_read_without_importing_it(imgsim_package: nn.Module, photos: list[Image.Image]) -> None:
    before = set(sys.modules)
    encoder = load_encoder("bundled:imgsim", device="cpu")
    assert not {"imgsim", "cv2"} & (set(sys.modules) - before)
    pixels = torch.from_numpy(encoder.preprocess(photos[0]))[None]
    assert pixels.shape == (1, 350, 350, 3)
    mean, std = torch.tensor([0.485, 0.456, 0.406]), torch.tensor([0.229, 0.224, 0.225])
    with torch.no_grad():
        expected = imgsim_package(((pixels / 255 - mean) / std).permute(0, 3, 1, 2))
    torch.testing.assert_close(encoder.embed(pixels), expected, atol=1e-5, rtol=1e-5)
    assert encoder.info.dimension == 768
    assert encoder.info.details == {"imgsim": "0.1.2"}


def test_imgsim__absent(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(UsageError, match="--no-deps"):
        load_encoder("bundled:imgsim", device="cpu")
