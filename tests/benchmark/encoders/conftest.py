"""Photos for tests of encoders, and the properties that every encoder has."""

from __future__ import annotations

import pickle
from collections.abc import Callable

import numpy as np
import pytest
import torch
from PIL import Image

from benchmark.encoders import Encoder


@pytest.fixture(scope="session")
def photos() -> list[Image.Image]:
    """Three smooth, coloured photos of different shapes."""
    generator = np.random.default_rng(0)
    sizes = [(500, 375), (333, 481), (260, 260)]
    coarse = [generator.integers(0, 256, (9, 9, 3), dtype=np.uint8) for _ in sizes]
    return [Image.fromarray(c).resize(s, Image.Resampling.BICUBIC) for c, s in zip(coarse, sizes, strict=True)]


@pytest.fixture(scope="session")
def embed_photos() -> Callable[[Encoder, list[Image.Image]], np.ndarray]:
    """Photos -> embeddings, through the encoder's preprocessing."""

    def embed(encoder: Encoder, photos: list[Image.Image]) -> np.ndarray:
        return encoder.embed(torch.stack([torch.from_numpy(encoder.preprocess(p)) for p in photos])).numpy()

    return embed


@pytest.fixture(scope="session")
def keeps_promises(photos: list[Image.Image]) -> Callable[..., None]:
    """Asserts the documented properties of ``Encoder``; ``views`` is the size of the large batch."""

    def check(encoder: Encoder, views: int = 64) -> None:
        worker_copy = pickle.loads(pickle.dumps(encoder.preprocess))
        arrays = [worker_copy(photo) for photo in photos]
        assert len({(array.shape, array.dtype) for array in arrays}) == 1
        assert arrays[0].dtype in (np.uint8, np.float32)
        for array, photo in zip(arrays, photos, strict=True):
            assert np.array_equal(array, encoder.preprocess(photo))
        batch = torch.stack([torch.from_numpy(a) for a in arrays])
        many = torch.cat([batch, batch.flip(0)] * (views // 6 + 1))[:views]
        assert len(many) == views
        together = encoder.embed(many)
        alone = torch.cat([encoder.embed(view[None]) for view in batch])
        assert together.dtype == torch.float32
        assert together.device.type == "cpu"
        assert together.shape == (views, encoder.info.dimension)
        assert torch.isfinite(together).all()
        assert (together[:3] - alone).abs().max() <= 1e-5
        assert not together.requires_grad
        assert not any(
            weights.requires_grad for weights in getattr(encoder.embed, "module", torch.nn.Module()).parameters()
        )

    return check


@pytest.fixture
def views() -> torch.Tensor:
    """37 views of ``Small`` and its kind."""
    return torch.from_numpy(np.random.default_rng(1).random((37, 3, 16, 16), dtype=np.float32))


@pytest.fixture
def as_for_users(monkeypatch: pytest.MonkeyPatch) -> None:
    """Runtimes are chosen as for users, but every other library counts as twice as fast as torch, independent of the
    machine's load."""
    monkeypatch.delenv("CAMTRACE_RUNTIME")
    monkeypatch.setattr("benchmark.encoders.runtime.choose.times_as_fast", lambda *_: 2.0)
