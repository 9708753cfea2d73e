"""What classifiers of transformers read, in words; language models without layers; the record of two equal loads."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest
import torch
from torch import nn

from benchmark.encoders.loaders.transformers.classifiers import classifier_embedding
from benchmark.encoders.loaders.transformers.embeddings import Loaded, plain
from benchmark.encoders.loaders.transformers.towers import TowerTokens, without_language_layers

VIEWS = torch.zeros(2, 3, 16, 32)
"""Two pictures of 2 x 4 patches of 8 pixels."""

HIDDEN = torch.arange(2.0 * 9 * 8).reshape(2, 9, 8).sin()
"""A class token and eight patches."""

READS = "what its classifier reads: "


class Base(nn.Module):
    """The network below a classifier."""

    def __init__(self, output: Any) -> None:
        super().__init__()
        self.output = output

    def forward(self, pixel_values: torch.Tensor) -> Any:
        return self.output


class Classifier(nn.Module):
    """A classifier after its last layer was cut: its logits are the input of that layer."""

    base_model_prefix = "base"

    def __init__(self, vector: torch.Tensor, output: Any = None, *, token: bool = True, name: str = "base") -> None:
        super().__init__()
        self.config, self.vector, self.name = SimpleNamespace(hidden_size=8, patch_size=8), vector, name
        if name:
            setattr(self, name, Base(output))
        if token:
            self.cls_token = nn.Parameter(torch.zeros(1, 1, 8))

    def forward(self, pixel_values: torch.Tensor) -> Any:
        if self.name:
            getattr(self, self.name)(pixel_values)
        return SimpleNamespace(logits=self.vector)


def output(**fields: Any) -> Any:
    return SimpleNamespace(**{"last_hidden_state": HIDDEN, **fields})


def words(model: Any) -> str:
    embedding = classifier_embedding(Loaded(model, frozenset(), VIEWS, plain))
    assert torch.equal(embedding.forward(model, VIEWS), model.vector.flatten(1))
    assert embedding.words.startswith(READS)
    return embedding.words.removeprefix(READS)


PATCHES = HIDDEN[:, 1:].mean(1)


def test_classifier_embedding__registers_are_no_patches_and_a_distillation_token_has_its_own_logits() -> None:
    model = Classifier(HIDDEN[:, 3:].mean(1), output())
    model.config.num_register_tokens = 2
    assert words(model) == "mean over patches"
    both = Classifier(HIDDEN[:, 0], output())
    both.forward = lambda pixel_values: SimpleNamespace(logits=HIDDEN[:, 1], cls_logits=HIDDEN[:, 0])  # type: ignore[method-assign]
    embedding = classifier_embedding(Loaded(both, frozenset(), VIEWS, plain))
    assert torch.equal(embedding.forward(both, VIEWS), HIDDEN[:, 0])
    assert f"{READS}" in embedding.words  # the network below it was not called


@pytest.mark.parametrize(
    "name", ["num_hidden_layers", "num_layers", "decoder_layers", "encoder_layers", "num_decoder_layers"]
)
def test_without_language_layers__whatever_their_number_is_called(name: str) -> None:
    text = SimpleNamespace(**{name: 7}, layer_types=["full"], other=3)
    without_language_layers(SimpleNamespace(get_text_config=lambda: text))
    assert vars(text) == {name: 0, "layer_types": [], "other": 3}
    plain_text = SimpleNamespace(**{name: 7})
    without_language_layers(SimpleNamespace(get_text_config=lambda: plain_text))
    assert vars(plain_text) == {name: 0}
    vision = SimpleNamespace(**{name: 7})  # a model of pictures alone: its text is its vision
    without_language_layers(SimpleNamespace(get_text_config=lambda: vision, vision_config=vision))
    assert vars(vision) == {name: 7}
    none = SimpleNamespace(**{name: None}, layer_types=None)
    without_language_layers(SimpleNamespace(get_text_config=lambda: none))
    assert vars(none) == {name: None, "layer_types": None}


def test_tower_tokens__means_of_what_the_model_gives() -> None:
    from benchmark.encoders.loaders.transformers.positions import Positions

    model = SimpleNamespace(get_image_features=lambda pixel_values: output())
    vectors = TowerTokens(plain, Positions(skip=1))(model, VIEWS)
    torch.testing.assert_close(vectors, PATCHES)
