"""Views that stay the same during a training: which photos they are of, and what networks are given and may return."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from torch import nn

from benchmark.api.fixed_views import FixedViews, default_embedding, fixed_views
from benchmark.encoders import load_encoder
from benchmark.options import RunOptions
from benchmark.views import PlainViews
from builders.errors import DataError, UsageError
from builders.photos import PhotoSet
from tests.support.images import image_bytes

VIT = {
    **{"hidden_size": 32, "intermediate_size": 37, "num_hidden_layers": 2, "num_attention_heads": 4},
    **{"image_size": 32, "patch_size": 8},
}
SHADES = [10, None, 30, 40, 50]


def photos() -> PhotoSet:
    """Grey pictures, of which the second cannot be read."""
    pictures = [b"no picture" if s is None else image_bytes(np.full((4, 4, 3), s, np.uint8)) for s in SHADES]
    files = {f"{i}": picture for i, picture in enumerate(pictures)}
    return PhotoSet.of_bytes("toy", files, list("ababa"))


class Reading:
    """A task that notes its input."""

    def __init__(self) -> None:
        self.inputs: list[Any] = []

    def run(self, task_input: Any) -> Any:
        self.inputs.append(task_input)
        return SimpleNamespace(scores=[f"score {len(self.inputs)}"])


def shade(image: Any) -> torch.Tensor:
    return torch.tensor([np.asarray(image)[0, 0, 0], 1.0], requires_grad=True)


def made(preprocess: Any = shade, batch_size: int = 2, of: PhotoSet | None = None) -> tuple[FixedViews, Reading]:
    task = Reading()
    views = FixedViews.of(of or photos(), PlainViews(), [task], RunOptions(seed=3), preprocess, batch_size)  # type: ignore[list-item]
    return views, task


@pytest.mark.slow
def test_of__views_of_the_photos_that_can_be_used() -> None:
    for preprocess in (shade, lambda image: [float(np.asarray(image)[0, 0, 0]), 1.0]):
        views, _ = made(preprocess)
        assert views.usable.tolist() == [True, False, True, True, True]
        assert {name: array.tolist() for name, array in views.views.items()} == {
            "original": [[10, 1], [30, 1], [40, 1], [50, 1]]
        }
    with pytest.raises(DataError, match="photos"):
        made(of=PhotoSet.of_bytes("bad", {"a": b"?", "b": b"?"}, ["x", "y"]))


@pytest.mark.parametrize(
    ("returned", "message"),
    [
        (lambda batch: torch.ones(2, 2, 1), "pictures"),
        (lambda batch: torch.ones(3, 2), r"gives \(3, 2\) for 2 pictures"),
        (lambda batch: [1, 2], "pictures"),
        (lambda batch: batch * float("nan"), "training"),
        (lambda batch: batch * float("inf"), "are not finite"),
    ],
)
def test_scores__what_is_no_embedding_is_refused(returned: Any, message: str) -> None:
    views, _ = made()
    with pytest.raises((UsageError, DataError), match=message):
        views.scores(nn.Identity(), lambda network, batch: returned(batch))


def test_fixed_views__plain_knn_is_added_for_classes_and_tasks_without_labels_are_refused() -> None:
    noise = np.random.default_rng(0)
    files = {f"{i}": image_bytes(noise.integers(0, 256, (24, 24, 3), dtype=np.uint8)) for i in range(12)}
    splits = ["train", "val"] * 6
    of_classes = PhotoSet.of_bytes("toy", files, list("aabbaabbaabb"), splits)
    passes = fixed_views(of_classes, ["probe/sharpening"], lambda image: np.zeros(3), seed=5, batch_size=7)
    tasks = [task.name for views in passes for task in views.tasks]
    assert tasks == ["probe/sharpening", "knn/original"]
    for views in passes:
        assert (views.batch_size, views.options.seed, views.options.workers) == (7, 5, 0)
        assert (views.options.assignment_seeds, views.options.resamples, views.options.device) == (3, 2000, "cpu")
    unlabelled = PhotoSet.of_bytes("toy", files, None, splits)
    plain = fixed_views(unlabelled, ["probe/sharpening"], lambda image: np.zeros(3), seed=5, batch_size=7)
    assert [task.name for views in plain for task in views.tasks] == ["probe/sharpening"]
    with pytest.raises(DataError, match="probe/make"):
        fixed_views(of_classes, ["probe/make"], lambda image: np.zeros(3), seed=5, batch_size=7)


class Returning(nn.Module):
    """Returns what is made of its linear layer's input and output."""

    def __init__(self, make: Any) -> None:
        super().__init__()
        self.layer, self._make = nn.Linear(3, 2), make

    def forward(self, batch: torch.Tensor) -> Any:
        return self._make(batch, self.layer(batch))


def test_default_embedding__by_what_a_network_returns() -> None:
    batch, wide = torch.randn(4, 3), torch.randn(4, 5, 6)
    four = torch.randn(4, 5, 2, 2)
    for make, expected in (
        (lambda x, y: y, batch),
        (lambda x, y: SimpleNamespace(logits=y), batch),
        (lambda x, y: (y, wide), batch),
        (lambda x, y: [y], batch),
        (lambda x, y: SimpleNamespace(logits=(y,)), batch),
        (lambda x, y: y * 1, None),  # another tensor than the layer's output
        (lambda x, y: SimpleNamespace(image_embeds=four, pooler_output=wide), four.flatten(1)),
        (lambda x, y: SimpleNamespace(image_embeds=None, pooler_output=wide, last_hidden_state=four), wide.flatten(1)),
        (lambda x, y: SimpleNamespace(last_hidden_state=wide), wide.mean(1)),
        (lambda x, y: SimpleNamespace(last_hidden_state=four), four.mean((2, 3))),
        (lambda x, y: wide, wide.mean(1)),
        (lambda x, y: (four,), four.mean((2, 3))),
        (lambda x, y: "no tensor", "no tensor"),
    ):
        network = Returning(make)
        embedding = default_embedding(network, batch)
        wanted = network.layer(batch) if expected is None else expected
        assert embedding == wanted if isinstance(wanted, str) else torch.equal(embedding, wanted)
    tokens = torch.randn(4, 7, 3)  # a linear layer of tokens is no classifier
    network = Returning(lambda x, y: y)
    assert torch.equal(default_embedding(network, tokens), network.layer(tokens).mean(1))
    last = nn.Sequential(nn.Linear(3, 3), nn.Linear(3, 2))
    assert torch.equal(default_embedding(last, batch), last[0](batch))


@pytest.mark.slow
def test_default_embedding__of_two_heads_and_of_none() -> None:
    """timm's distilled classifiers return the mean of two heads; a model without heads returns its features."""
    timm = pytest.importorskip("timm")
    pictures = torch.randn(2, 3, 32, 32)
    small = {"img_size": 32, "patch_size": 16, "embed_dim": 12, "depth": 1, "num_heads": 2}
    of_name = {"deit_tiny_distilled_patch16_224": small, "levit_128s": {"embed_dim": (16, 16, 16), "img_size": 32}}
    for name, options in of_name.items():
        torch.manual_seed(0)
        network = timm.create_model(name, num_classes=7, **options).eval()
        with pytest.raises(UsageError, match="embed="):
            default_embedding(network, pictures)
        network.reset_classifier(0)
        assert torch.equal(default_embedding(network, pictures), network(pictures))


class OfTokens(nn.Module):
    """Returns tokens, of which the first is a class token under some names."""

    def __init__(self, name: str) -> None:
        super().__init__()
        self.embeddings = nn.Module()
        self.embeddings.register_parameter(name, nn.Parameter(torch.zeros(1)))

    def forward(self, batch: torch.Tensor) -> Any:
        return SimpleNamespace(last_hidden_state=batch)


@pytest.mark.parametrize(("name", "is_class"), [("cls_token", True), ("class_embedding", True), ("tokens", False)])
def test_default_embedding__a_class_token_where_there_is_one(name: str, is_class: bool) -> None:
    tokens = torch.randn(4, 5, 6)
    expected = tokens[:, 0] if is_class else tokens.mean(1)
    assert torch.equal(default_embedding(OfTokens(name), tokens), expected)


@pytest.mark.slow
def test_default_embedding__is_that_of_the_checkpoint_once_saved(tmp_path: Path) -> None:
    tf = pytest.importorskip("transformers")
    torch.manual_seed(0)
    model = tf.ViTModel(tf.ViTConfig(**VIT), add_pooling_layer=False).eval()
    model.save_pretrained(tmp_path)
    tf.ViTImageProcessor(size={"height": 32, "width": 32}).save_pretrained(tmp_path)
    encoder = load_encoder(f"local-dir:{tmp_path}", device="cpu", runtime="torch")
    picture = Image.fromarray(np.random.default_rng(0).integers(0, 256, (32, 32, 3), dtype=np.uint8))
    pixels = tf.AutoImageProcessor.from_pretrained(tmp_path)(picture, return_tensors="pt")["pixel_values"]
    with torch.no_grad():
        embedding = default_embedding(model, pixels)
    view = torch.from_numpy(np.asarray(encoder.preprocess(picture)))[None]
    torch.testing.assert_close(embedding, encoder.embed(view), rtol=1e-4, atol=1e-5)
