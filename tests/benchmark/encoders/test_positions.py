"""Positions of pictures in hidden states, by hand."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest
import torch
from torch import nn

from benchmark.encoders.loaders.transformers.embeddings import ImageFeatures, plain
from benchmark.encoders.loaders.transformers.positions import positions_of
from builders.errors import EncoderError

GRIDS = torch.tensor([[1, 2, 2], [1, 1, 3]])


class Tower(nn.Module):
    """A module of a width, with or without a class token."""

    def __init__(self, class_token: bool) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.zeros(1, 1))
        if class_token:
            self.class_embedding = nn.Parameter(torch.zeros(1))


@pytest.mark.parametrize(
    ("rows", "class_token", "means"),
    [
        ([0, 1, 2, 3, 10, 20, 30], False, [1.5, 20.0]),
        ([0, 0, 1, 1, 2, 2, 3, 3, 10, 10, 20, 20, 30, 30], False, [1.5, 20.0]),  # the grids count merged patches
        ([99, 0, 1, 2, 3, 99, 10, 20, 30], True, [1.5, 20.0]),
        ([99, *[0] * 4, *[1] * 4, *[2] * 4, *[3] * 4, 99, *[10] * 4, *[20] * 4, *[30] * 4], True, [1.5, 20.0]),
        ([0, 1, 2, 3, 10, 20, 30], True, [1.5, 20.0]),  # the class token was left out
    ],
)
def test_joined__the_means_are_of_the_patches_of_each_picture(
    rows: list[float], class_token: bool, means: list[float]
) -> None:
    hidden, arguments = (
        torch.tensor(rows)[:, None].float(),
        {"pixel_values": torch.zeros(7, 4), "image_grid_thw": GRIDS},
    )
    for form in (hidden, hidden[None]):
        positions = positions_of(form, arguments, Tower(class_token), 2)
        assert positions.mean(form, arguments, 2).flatten().tolist() == means


def test_joined__a_number_of_positions_that_fits_no_grid_is_refused() -> None:
    arguments = {"pixel_values": torch.zeros(7, 4), "image_grid_thw": GRIDS}
    with pytest.raises(EncoderError, match="10"):
        positions_of(torch.zeros(10, 1), arguments, Tower(False), 2)


@pytest.mark.parametrize(
    ("shape", "vector"), [((2, 4), True), ((2, 1, 4), True), ((2, 4, 1, 1), True), ((2, 3, 4), False), ((1, 4), False)]
)
def test_image_features__are_one_vector_for_each_picture(shape: tuple[int, ...], vector: bool) -> None:
    model: Any = SimpleNamespace(get_image_features=lambda pixel_values: torch.ones(shape))
    features = ImageFeatures(plain)
    if vector:
        assert features(model, torch.zeros(2, 3, 8, 8)).shape == (2, 4)
        return
    with pytest.raises(EncoderError, match=r"get_image_features gives (several vectors|no vector) for each picture"):
        features(model, torch.zeros(2, 3, 8, 8))
