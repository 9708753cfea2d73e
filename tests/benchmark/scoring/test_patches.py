"""Single patches: a trace in one corner of the picture is found there and not elsewhere, at the place of each photo."""

from __future__ import annotations

import io
import json
import zlib
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from torch import nn

from benchmark.encoders import as_encoder, photo_places
from benchmark.report import report_figure, report_text
from benchmark.report.layers import region_maps
from benchmark.results import Result
from benchmark.tasks import all_tasks
from builders.photos import PhotoSet
from builders.sources import labelled_folder
from tests.support.scoring import score_tasks

pytestmark = pytest.mark.usefixtures("unpainted", "brief")

SIDE, PATCH = 64, 8
"""Pixels of a picture and of a patch: 8 x 8 patches."""


class Square(nn.Module):
    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x**2


class Energy(nn.Module):
    """Its first layer: energy of what is rough in each patch, and a 1 beside it; its second: of four patches."""

    def __init__(self) -> None:
        super().__init__()
        high, rough = nn.Conv2d(3, 4, 3, padding=1), torch.tensor([[0.0, -1, 0], [-1, 4, -1], [0, -1, 0]])
        with torch.no_grad():
            high.weight.zero_()
            high.bias.copy_(torch.tensor([0.0, 0, 0, 1]))  # type: ignore[union-attr]
            for colour in range(3):
                high.weight[colour, colour] = rough
        self.one = nn.Sequential(high, Square(), nn.AvgPool2d(PATCH))
        self.two = nn.AvgPool2d(2)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.two(self.one(x)).mean((2, 3))


def planted(image: Any) -> torch.Tensor:
    """The top left quarter of a picture; elsewhere noise that knows nothing of how it was processed."""
    pixels = np.array(image, dtype=np.float32)[:SIDE, :SIDE]
    noise = np.random.default_rng(zlib.crc32(pixels.tobytes())).normal(128, 20, pixels.shape)
    noise[: SIDE // 2, : SIDE // 2] = pixels[: SIDE // 2, : SIDE // 2]
    return torch.from_numpy(noise.astype(np.float32) / 128 - 1).permute(2, 0, 1)


@pytest.fixture(scope="module")
def photos(tmp_path_factory: pytest.TempPathFactory) -> PhotoSet:
    """Noise of one roughness, 2 classes: 40 photos to learn from, 24 to be tested on."""
    root = tmp_path_factory.mktemp("rough")
    generator = np.random.default_rng(0)
    for split, count in (("train", 20), ("val", 12)):
        for label, name in enumerate(("dark", "light")):
            (root / split / name).mkdir(parents=True)
            for i in range(count):
                pixels = generator.normal(100 + 40 * label, 25, (SIDE, SIDE, 3)).clip(0, 255).astype(np.uint8)
                Image.fromarray(pixels).save(root / split / name / f"{i}.png")
    return labelled_folder(str(root))


@pytest.fixture(scope="module")
def scored(photos: PhotoSet, tmp_path_factory: pytest.TempPathFactory) -> tuple[Result, Path]:
    cache = tmp_path_factory.mktemp("patches")
    encoder = as_encoder(Energy(), name="energy", preprocess=planted, device="cpu", runtime="torch")
    scored = score_tasks(
        encoder,
        photos,
        ["probe/sharpening", "knn/original"],
        cache,
        resamples=200,
        assignment_seeds=2,
        device="cpu",
        batch_size=5,
        outputs=("layers[0]:patch[2]",),
    )
    return scored.result, cache


@pytest.mark.slow
def test_trace__is_found_in_the_corner_where_it_is_and_not_elsewhere(scored: tuple[Result, Path]) -> None:
    [one] = [m for m in region_maps(scored[0], all_tasks()) if m.task == "probe/sharpening"]
    assert (one.single, one.layer, one.values.shape) == (True, 0, (2, 2))
    assert one.values[0, 0] > 0.9
    elsewhere = [score for i, row in enumerate(one.scores) for j, score in enumerate(row) if i or j]
    for score in elsewhere:
        assert score is not None
        assert score.value < 0.5
        assert (score.n, score.chance) == (24, 1 / 3)


def test_bank__holds_the_patch_at_the_place_of_each_photo(scored: tuple[Result, Path], photos: PhotoSet) -> None:
    [bank] = (scored[1] / "banks").iterdir()
    keys = {folder: json.loads((folder / "key.json").read_text()) for folder in (bank / "views").iterdir()}
    [folder] = [
        folder
        for folder, key in keys.items()
        if key["view"]["name"] == "original"
        and isinstance(key["output"], dict)
        and key["output"]["name"] == "layers[0]:patch[2]-0-1"
    ]
    rows = np.load(folder / "rows.npy")
    assert rows.shape == (64, 4)
    network, places = Energy(), photo_places(photos.ids)
    seen = set()
    for number in range(0, 64, 7):
        with Image.open(io.BytesIO(photos.read(number))) as image:
            patches = network.one(planted(image.convert("RGB"))[None])[0].detach().numpy()
        down, right = places[number] * 4 // 65536  # the part has 4 x 4 patches
        seen.add((int(down), int(right)))
        np.testing.assert_allclose(rows[number], patches[:, down, 4 + right], rtol=1e-4)
    assert len(seen) > 4


def test_report__has_a_map_in_words_and_as_a_picture(scored: tuple[Result, Path]) -> None:
    text = report_text([scored[0]], all_tasks())
    [one] = [m for m in region_maps(scored[0], all_tasks()) if m.task == "probe/sharpening"]
    first = one.scores[0][0]
    assert first is not None
    assert "probe/sharpening from one patch of each part, stage 0, n = 24, %" in text
    assert f"| 0   | {100 * first.value:.1f} ({100 * first.low:.1f} to {100 * first.high:.1f}) |" in text
    assert "one patch of each view, at a place drawn by the photo's id" in text
    figure = report_figure([scored[0]], all_tasks())
    assert figure is not None
    [ax] = [ax for ax in figure.axes if "one patch of each part" in ax.get_title(loc="left")]
    assert ax.texts[0].get_text().splitlines()[0] == f"{100 * first.value:.0f}"
