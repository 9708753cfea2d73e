"""Means over the positions of pictures against loops over them, in every layout of a hidden state."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest
import torch
from torch import nn

from benchmark.encoders.loaders.transformers.positions import (
    Positions,
    patch_side,
    positions_of,
)
from benchmark.encoders.network import channel_axis, pooled
from builders.errors import EncoderError

GENERATOR = torch.Generator().manual_seed(0)


def drawn(*shape: int) -> torch.Tensor:
    return torch.rand(*shape, generator=GENERATOR)


def average(vectors: list[torch.Tensor]) -> torch.Tensor:
    total = torch.zeros_like(vectors[0])
    for vector in vectors:
        total = total + vector
    return total / len(vectors)


class Network(nn.Module):
    """A network of width 6 with class tokens, tokens of registers and tokens at the end of its sequences."""

    def __init__(self, classes: int = 0, others: int = 0, last: int = 0, **config: Any) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.zeros(6, 5))
        for name, count in (("cls_token", classes), ("register_tokens", others), ("detection_tokens", last)):
            if count:
                self.register_parameter(name, nn.Parameter(torch.zeros(1, count, 6)))
        self.config = SimpleNamespace(**{"hidden_size": 6, "patch_size": 4, **config})


@pytest.mark.parametrize(("classes", "others", "last"), [(0, 0, 0), (1, 0, 0), (1, 4, 0), (0, 2, 0), (1, 0, 3)])
@pytest.mark.parametrize("picture", [(16, 16), (8, 24)])
def test_sequence__tokens_that_are_no_patches_do_not_count(
    classes: int, others: int, last: int, picture: tuple[int, int]
) -> None:
    patches = picture[0] * picture[1] // 16
    pixels, network = {"pixel_values": torch.zeros(3, 3, *picture)}, Network(classes, others, last)
    before = classes + others
    hidden = drawn(3, before + patches + last, 6)
    positions = positions_of(hidden, pixels, network, 3)
    assert positions == Positions(skip=before, after=last, patch=4, prefixed=before > 0)
    expected = [average([hidden[i, before + j] for j in range(patches)]) for i in range(3)]
    torch.testing.assert_close(positions.mean(hidden, pixels, 3), torch.stack(expected))
    if picture == (16, 16):
        left_out = positions_of(hidden[:, before : before + patches], pixels, network, 3)
        assert left_out == Positions(patch=4, prefixed=False)
        count = 47 + before + last
        with pytest.raises(EncoderError) as refused:
            positions_of(drawn(3, count, 6), pixels, network, 3)
        assert f"{count}" in str(refused.value)


@pytest.mark.parametrize("of_pixels", [False, True])
def test_sequence__masked_positions_do_not_count(of_pixels: bool) -> None:
    """Pictures of 2 x 3 and 1 x 2 patches on a square of 3 x 3 patches of 4 pixels."""
    grid = torch.zeros(2, 3, 3)
    grid[0, :2, :3] = grid[1, :1, :2] = 1
    mask = grid.repeat_interleave(4, 1).repeat_interleave(4, 2)[:, None] if of_pixels else grid.flatten(1)
    arguments = {"pixel_values": torch.zeros(2, 3, 12, 12), "pixel_attention_mask": mask.int()}
    hidden = drawn(2, 9, 6)
    positions = positions_of(hidden, arguments, Network(1), 2)
    expected = [average([hidden[i, j] for j in range(9) if grid[i].flatten()[j]]) for i in range(2)]
    torch.testing.assert_close(positions.mean(hidden, arguments, 2), torch.stack(expected))
    another = drawn(2, 4, 6)  # positions that the mask does not count
    torch.testing.assert_close(positions.mean(another, arguments, 2), another.mean(1))


@pytest.mark.parametrize(("skip", "after"), [(0, 0), (1, 0), (1, 2)])
@pytest.mark.parametrize(("merged", "counted"), [(1, 1), (4, 1), (1, 4)])
@pytest.mark.parametrize("name", ["grid_thw", "image_grid_hw"])
def test_joined__of_pictures_of_several_sizes(skip: int, after: int, merged: int, counted: int, name: str) -> None:
    """``merged`` patches of the grid make one position, or one of the grid stands for ``counted`` positions."""
    sides = [(2, 4), (6, 2), (2, 2)]
    grids = torch.tensor([[1, *side] if name.endswith("thw") else side for side in sides])
    arguments = {"pixel_values": torch.zeros(24, 9), name: grids * 4 if name == "image_sizes" else grids}
    lengths = [rows * columns // merged * counted for rows, columns in sides]
    parts = [drawn(skip + length + after, 6) for length in lengths]
    joined, network = torch.cat(parts), Network(skip, 0, after)
    expected = [average([part[skip + j] for j in range(length)]) for part, length in zip(parts, lengths, strict=True)]
    for hidden in (joined, joined[None]):
        positions = positions_of(hidden, arguments, network, 3)
        assert positions == Positions(skip=skip, after=after, patch=4)
        torch.testing.assert_close(positions.mean(hidden, arguments, 3), torch.stack(expected))


def test_map__channels_where_the_sides_are_not_those_of_the_picture() -> None:
    pixels = {"pixel_values": torch.zeros(2, 3, 16, 32)}
    for axis, hidden in ((1, drawn(2, 6, 4, 8)), (3, drawn(2, 4, 8, 6))):
        positions = positions_of(hidden, pixels, Network(), 2)
        assert positions == Positions(axis=axis)
        cells = [hidden[:, :, i, j] if axis == 1 else hidden[:, i, j] for i in range(4) for j in range(8)]
        torch.testing.assert_close(positions.mean(hidden, pixels, 2), average(cells))
    with pytest.raises(EncoderError, match="channels"):
        positions_of(drawn(2, 8, 8, 8), {"pixel_values": torch.zeros(2, 3, 32, 32)}, Network(), 2)
    with pytest.raises(EncoderError, match="hidden"):
        positions_of(drawn(2, 1, 2, 2, 6), pixels, Network(), 2)


@pytest.mark.parametrize(
    ("shape", "picture", "widths", "axis"),
    [
        ((2, 6, 4, 8), (16, 32), (), 1),
        ((2, 4, 8, 6), (16, 32), (), 3),
        ((2, 4, 8, 6), None, (), None),
        ((2, 4, 8, 6), None, (4,), 1),
        ((2, 4, 8, 6), None, (6,), 3),
        ((2, 4, 8, 6), None, (4, 6), None),
        ((2, 8, 8, 8), (32, 32), (8,), None),
        ((2, 7, 7, 7), (32, 32), (5,), None),
        ((2, 9, 9, 3), (16, 32), (3,), 3),  # neither reading has the shape of the picture
        ((2, 9, 9, 3), (16, 32), (9,), 1),
        ((2, 4, 4, 4), (16, 16), (4,), None),
        ((2, 16, 4, 4), (16, 16), (), 1),
    ],
)
def test_channel_axis__by_the_sides_of_the_picture_then_by_widths(
    shape: tuple[int, ...], picture: tuple[int, int] | None, widths: tuple[int, ...], axis: int | None
) -> None:
    assert channel_axis(shape, picture, frozenset(widths)) == axis


def test_pooled__by_hand() -> None:
    vectors, tokens, features = drawn(2, 5), drawn(2, 4, 5), drawn(2, 6, 4, 8)
    assert torch.equal(pooled(vectors), vectors)
    assert torch.equal(pooled(tokens, True), tokens[:, 0])
    torch.testing.assert_close(pooled(tokens), torch.stack([average(list(one)) for one in tokens]))
    cells = [features[:, :, i, j] for i in range(4) for j in range(8)]
    for picture in (None, (16, 32), (999, 7)):
        torch.testing.assert_close(pooled(features, picture=picture), average(cells))
    turned = features.permute(0, 2, 3, 1)
    torch.testing.assert_close(pooled(turned, picture=(16, 32)), average(cells))
    torch.testing.assert_close(pooled(turned), turned.mean((2, 3)))


@pytest.mark.parametrize(
    ("config", "side"),
    [
        (None, 1),
        (SimpleNamespace(), 1),
        (SimpleNamespace(patch_size=14), 14),
        (SimpleNamespace(patch_size=None), 1),
        (SimpleNamespace(patch_size=[16, 8]), 16),
        (SimpleNamespace(patch_size={"height": 12, "width": 8}), 12),
        (SimpleNamespace(patch_size={"width": 8}), 1),
        (SimpleNamespace(patch_size=2, vision_config=SimpleNamespace(patch_size=32)), 32),
    ],
)
def test_patch_side__of_each_form(config: Any, side: int) -> None:
    assert patch_side(config) == side
