"""Networks on GPUs, by what torch is called with; options of ``as_encoder`` that arrive; maps and their channels."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest
import torch
from torch import nn

from benchmark.encoders import Embedder, move_to_host
from benchmark.encoders import network as networks
from benchmark.encoders.network import channel_axis, pooled
from benchmark.encoders.placement import Placement
from tests.support.plain_network import means


class Recorded(nn.Linear):
    """A module whose moves are recorded."""

    def __init__(self, device: str = "cpu") -> None:
        super().__init__(2, 2, device=device)
        self.moves: list[Any] = []

    def to(self, *where: Any, **named: Any) -> Recorded:
        self.moves.append((where, named))
        return self


def test_move_to_host__gives_the_memory_back(monkeypatch: pytest.MonkeyPatch) -> None:
    given: list[int] = []
    monkeypatch.setattr(torch.cuda, "empty_cache", lambda: given.append(1))
    for device, moved in (("cuda:1", True), ("mps", False), ("cpu", False)):
        module = Recorded()
        embed = Embedder("mine", module, means, None, Placement(device, "float32"))
        encoder: Any = SimpleNamespace(embed=embed, info=SimpleNamespace(library="timm"))
        move_to_host(encoder)
        assert (module.moves, given) == ([(("cpu",), {})] if moved else [], [1])


@pytest.mark.parametrize(
    ("shape", "picture", "widths", "axis"),
    [
        ((1, 96, 7, 7), (224, 224), (), 1), ((1, 7, 7, 96), (224, 224), (), 3), ((1, 7, 7, 7), (224, 224), (), None),
        ((1, 7, 7, 8), None, (8,), 3), ((1, 8, 7, 7), None, (8,), 1), ((1, 8, 7, 8), None, (8,), None),
        ((1, 7, 7, 9), None, (), None), ((1, 5, 8, 6), (32, 24), (6,), 1), ((1, 4, 3, 8), (32, 24), (), 3),
        ((1, 3, 4, 8), (32, 24), (3,), 1), ((1, 3, 4, 8), (32, 24), (8,), 3),
        ((1, 6, 4, 5), (16, 16), (), None), ((1, 4, 5, 6), (16, 16), (), None),  # a whole row too many
        ((1, 6, 4, 9), (16, 32), (), 1), ((1, 4, 9, 6), (16, 32), (), 3), ((1, 6, 4, 10), (16, 32), (), None),
        ((1, 9, 4, 6), (32, 16), (), 3), ((1, 12, 9, 4), (32, 16), (), 1), ((1, 12, 10, 4), (32, 16), (), None),
    ],
)  # fmt: skip
def test_channel_axis__by_the_aspect_ratio_or_the_widths(shape: Any, picture: Any, widths: Any, axis: Any) -> None:
    assert channel_axis(shape, picture, frozenset(widths)) == axis


def test_pooled__by_hand() -> None:
    values = torch.arange(2.0 * 3 * 2 * 4).reshape(2, 3, 2, 4)
    torch.testing.assert_close(pooled(values), values.mean((2, 3)))
    torch.testing.assert_close(pooled(values, picture=(16, 32)), values.mean((2, 3)))
    last = values.permute(0, 2, 3, 1)
    torch.testing.assert_close(pooled(last, picture=(16, 32)), values.mean((2, 3)))
    rows = values.flatten(2)
    torch.testing.assert_close(pooled(rows), rows.mean(1))
    assert torch.equal(pooled(rows, True), rows[:, 0])
    assert torch.equal(pooled(rows[:, 0]), rows[:, 0])


def test_hash_state_dict__of_values_however_they_lie_in_memory() -> None:
    rows = torch.arange(24.0).reshape(4, 6)
    for view in (
        rows.T,
        rows[::2],
        rows[:, ::2],
        rows[:, 1],
        rows[0][::3],
        rows[0, 0],
        rows[:1].expand(3, 6),
        rows[:0],
    ):
        copied = torch.tensor(view.tolist()).reshape(view.shape)
        assert networks.hash_state_dict({"a": view}) == networks.hash_state_dict({"a": copied})
    hashes = {
        networks.hash_state_dict(tensors)
        for tensors in (
            {}, {"a": rows}, {"b": rows}, {"a": rows.T}, {"a": rows.reshape(6, 4)}, {"a": rows.double()},
            {"a": rows, "b": rows}, {"a": rows + 1}, {"a": rows.requires_grad_(False)[:0]},
        )
    }  # fmt: skip
    assert len(hashes) == 9
    assert networks.hash_state_dict({"b": rows, "a": rows[0]}) == networks.hash_state_dict({"a": rows[0], "b": rows})
