from __future__ import annotations

import hashlib
from typing import Any

import numpy as np
import pytest
import torch
import torchvision
from PIL import Image

from benchmark.encoders import load_encoder
from benchmark.encoders.loaders.controls import random_signs
from benchmark.encoders.network import hash_state_dict
from benchmark.encoders.preprocess.pixels import IMAGENET_MEAN, IMAGENET_STD

SIGNS_SHA256 = "c462145cb1cef60f5b76dabcc716e2a1fd9907d45bc0d87e2c96374905ab2f0a"
"""Of 512 x 150,528 signs, which names banks: bits unpacked singly, as in the first version."""


@pytest.mark.slow
@pytest.mark.parametrize(("spec", "views"), [("control:random-projection", 64), ("control:untrained-resnet50", 18)])
def test_control__keeps_the_promises(spec: str, views: int, keeps_promises: Any) -> None:
    encoder = load_encoder(spec, device="cpu")
    keeps_promises(encoder, views)
    assert encoder.info.group == encoder.info.library == "control"
    assert encoder.info.cacheable


def test_random_signs__are_the_bits_of_shake_256() -> None:
    digest = hashlib.shake_256(b"camtrace signs 3").digest(2)
    bits = [(byte >> (7 - i)) & 1 for byte in digest for i in range(8)]
    assert random_signs(3, 4, seed=3).ravel().tolist() == [2 * bit - 1 for bit in bits[:12]]
    assert abs(float(random_signs(100, 1000).mean())) < 0.01


@pytest.mark.slow
def test_random_projection__is_the_projection_of_the_normalised_pixels(
    photos: list[Image.Image], embed_photos: Any
) -> None:
    encoder = load_encoder("control:random-projection", device="cpu")
    transform = torchvision.transforms.Compose(
        [
            torchvision.transforms.Resize(256),
            torchvision.transforms.CenterCrop(224),
            torchvision.transforms.ToTensor(),
            torchvision.transforms.Normalize(IMAGENET_MEAN, IMAGENET_STD),
        ]
    )
    pixels = np.stack([transform(photo).numpy().ravel() for photo in photos]).astype(np.float64)
    signs = random_signs(32, pixels.shape[1]).T  # the first rows are the same however many follow
    expected = pixels @ signs.astype(np.float64) / np.sqrt(pixels.shape[1])
    assert encoder.info.weights_sha256 == SIGNS_SHA256
    np.testing.assert_allclose(embed_photos(encoder, photos)[:, :32], expected, atol=1e-5)


@pytest.mark.slow
def test_untrained_resnet50__has_the_weights_that_torchvision_draws_from_seed_0() -> None:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        network = torchvision.models.resnet50(weights=None)
    network.fc = torch.nn.Identity()
    encoder = load_encoder("control:untrained-resnet50", device="cpu")
    assert encoder.info.weights_sha256 == hash_state_dict(network.state_dict())


@pytest.mark.slow
def test_untrained_resnet50__the_same_whatever_was_drawn_before() -> None:
    torch.manual_seed(5)
    first = load_encoder("control:untrained-resnet50", device="cpu").info.weights_sha256
    before = torch.get_rng_state()
    assert load_encoder("control:untrained-resnet50", device="cpu").info.weights_sha256 == first
    assert torch.equal(torch.get_rng_state(), before)
