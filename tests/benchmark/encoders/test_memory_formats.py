"""Networks that cannot read channels last in memory get contiguous pictures and weights, and all others do not."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from benchmark.encoders import as_encoder, load_encoder, with_outputs
from benchmark.encoders.network import network_encoder
from builders.errors import EncoderError
from tests.support.plain_network import CPU, network

CODE = """
import numpy as np
import torch
from torch import nn

class Flat(nn.Module):
    mean, std = (0.0,) * 3, (1.0,) * 3
    def __init__(self):
        super().__init__()
        torch.manual_seed(0)
        self.layers = nn.Sequential(nn.Conv2d(3, 4, 3), nn.Conv2d(4, 4, 3))
    def preprocess(self, image):
        return np.array(image.resize((8, 8)))
    def forward(self, x):
        return self.flat(self.layers(x))
    def flat(self, x):
        return x.view(x.size(0), -1)

class ByChannel(Flat):  # of one picture, this view has channels last too
    def flat(self, x):
        n, channels, height, width = x.shape
        return x.view(n * channels, 1, height, width).amax((1, 2, 3)).view(n, channels)

class One(Flat):  # takes one picture at a time
    def flat(self, x):
        return x.reshape(1, -1)
"""

VIEWS = torch.from_numpy(np.random.default_rng(0).integers(0, 256, (3, 8, 8, 3), dtype=np.uint8))


@pytest.fixture
def mine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    """A module of the user in the working folder, imported here."""
    (tmp_path / "views_of_mine.py").write_text(CODE)
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(str(tmp_path))
    yield importlib.import_module("views_of_mine")
    sys.modules.pop("views_of_mine", None)


WAYS: dict[str, Callable[[Any, str], Any]] = {
    "in memory": lambda mine, name: as_encoder(getattr(mine, name)(), device="cpu", runtime="torch"),
    "in a process of its own": lambda mine, name: load_encoder(f"views_of_mine:{name}", device="cpu"),
}


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("name", ["Flat", "ByChannel"])
def test_view_of_a_map__as_by_hand(mine: Any, name: str, way: str) -> None:
    encoder = WAYS[way](mine, name)
    pixels = VIEWS.permute(0, 3, 1, 2).float().div(255).contiguous()
    expected = getattr(mine, name)().eval()(pixels).detach()
    for count in (1, 3):
        torch.testing.assert_close(encoder.embed(VIEWS[:count]), expected[:count])


def test_view_of_a_map__layers_and_other_runtimes_get_contiguous_pixels(mine: Any) -> None:
    encoder = WAYS["in memory"](mine, "Flat")
    embed: Any = encoder.embed
    assert embed.memory_format == torch.contiguous_format
    assert all(weights.is_contiguous() for weights in embed.module.parameters())
    with torch.inference_mode():  # what is traced for another runtime
        assert torch.equal(embed.forward(embed.module, embed.normalise(VIEWS)), embed(VIEWS))
    layered = with_outputs(encoder, ["layers"])
    assert torch.equal(layered.together.embed(VIEWS)[:, : encoder.info.dimension], encoder.embed(VIEWS))


def test_one_picture_at_a_time__is_taken_as_before(mine: Any) -> None:
    encoder = WAYS["in a process of its own"](mine, "One")
    assert encoder.embed(VIEWS[:1]).shape == (1, encoder.info.dimension)
    with pytest.raises(EncoderError):
        encoder.embed(VIEWS)


class Noting(nn.Module):
    """Notes whether pictures and weights have their channels last."""

    def __init__(self, error: Exception | None = None) -> None:
        super().__init__()
        self.layer, self.seen, self.error = nn.Conv2d(3, 4, 3), list[tuple[bool, bool]](), error

    def forward(self, pixels: torch.Tensor) -> torch.Tensor:
        last = [t.is_contiguous(memory_format=torch.channels_last) for t in (pixels, self.layer.weight)]
        self.seen.append((last[0], last[1]))
        if self.error is not None:
            raise self.error
        return self.layer(pixels).mean((2, 3))


def forward(module: nn.Module, pixels: torch.Tensor) -> torch.Tensor:
    return module(pixels)


def test_other_networks__keep_channels_last() -> None:
    module = Noting()
    encoder = network_encoder(network(module, forward), CPU)
    for count in (1, 3):
        encoder.embed(VIEWS[:count])
    assert set(module.seen) == {(True, True)}


def test_what_fails_in_both_formats__is_refused_for_its_first_reason() -> None:
    module = Noting(ValueError("no luck"))
    with pytest.raises(EncoderError, match="no luck"):
        network_encoder(network(module, forward), CPU)
    assert module.seen == [(True, True), (False, False)]
    module = Noting(MemoryError())
    with pytest.raises(EncoderError, match="memory"):
        network_encoder(network(module, forward), CPU)
    assert module.seen == [(True, True)]  # another format takes as much memory
