"""Which output of a transformers model is its embedding, and its positions: small networks with outputs by hand."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest
import torch
from torch import nn

from benchmark.encoders.loaders.transformers.embeddings import (
    Loaded,
    OneSize,
    fitted,
    general_embedding,
    last_hidden,
    plain,
)
from benchmark.encoders.loaders.transformers.positions import (
    Positions,
    is_named_width,
    patch_side,
    picture_sides,
    positions_of,
    widths_of,
)
from benchmark.encoders.loaders.transformers.towers import (
    LlavaTokens,
    ProjectedTokens,
    describes_images,
    image_text_embeddings,
    tower_names,
)
from builders.errors import EncoderError

VIEWS = torch.zeros(2, 3, 16, 32)
"""Two pictures of 2 x 4 patches of 8 pixels."""


class Output(dict):  # type: ignore[type-arg]
    """An output with fields, as the library's."""

    def __getattr__(self, name: str) -> Any:
        if name not in self:
            raise AttributeError(name)
        return self[name]


class Network(nn.Module):
    """Returns an output; with or without a class token."""

    def __init__(self, output: Any = None, class_token: bool = False, width: int = 8, **config: Any) -> None:
        super().__init__()
        self.output, self.calls = output, []  # type: ignore[var-annotated]
        self.weight = nn.Parameter(torch.zeros(width, 1))
        self.config = SimpleNamespace(patch_size=8, **config)
        if class_token:
            self.cls_token = nn.Parameter(torch.zeros(1, 1, width))

    def forward(self, pixel_values: torch.Tensor) -> Any:
        self.calls.append(pixel_values.shape)
        return self.output


def values(*shape: int) -> torch.Tensor:
    return torch.arange(torch.tensor(shape).prod()).reshape(shape).float()


HIDDEN = values(2, 8, 8)
WITH_CLASS = values(2, 9, 8)
VECTORS, LAST, MEAN = values(2, 8), {"last_hidden_state": HIDDEN}, HIDDEN.mean(1)
OF_HIDDEN = "mean over positions of the last hidden state"
GENERAL = [
    # fields of the output, has a class token, missing weights -> words, vector
    ({"image_embeds": VECTORS, "pooler_output": MEAN}, False, (), "image features (image_embeds)", VECTORS),
    ({"image_embeds": values(2, 1, 8)}, False, (), "projected image features (image_embeds)", VECTORS),
    ({"summary": VECTORS}, False, (), "summary, as the library calls", VECTORS),
    ({"cls_token_value": values(2, 1, 8)}, False, (), "class token after the last stage", VECTORS),
    ({"image_embeds": VECTORS.long(), **LAST}, False, (), OF_HIDDEN, MEAN),
    ({"image_embeds": values(1, 8), **LAST}, False, (), OF_HIDDEN, MEAN),
    ({"image_embeds": values(2, 2, 8), **LAST}, False, (), OF_HIDDEN, MEAN),
    ({"pooler_output": VECTORS, **LAST}, False, (), "pooler_output", VECTORS),
    ({"pooler_output": values(2, 8, 1, 1)}, False, ("my_head.x",), "pooler_output", VECTORS),
    ({"pooler_output": VECTORS, **LAST}, False, ("a.pooler.b",), OF_HIDDEN, MEAN),
    ({"pooler_output": VECTORS, **LAST}, False, ("head.b",), OF_HIDDEN, MEAN),
    ({"pooler_output": values(2, 1, 8), **LAST}, False, (), OF_HIDDEN, MEAN),
    ({"pooler_output": values(1, 8), **LAST}, False, (), OF_HIDDEN, MEAN),
    ({"logits": VECTORS, **LAST}, False, (), OF_HIDDEN, MEAN),
    ({"image_embeds": None, "decoder_x": None, **LAST}, False, (), OF_HIDDEN, MEAN),
    ({"feature_maps": (values(2, 8, 1, 2), values(2, 8, 2, 4))}, False, (), OF_HIDDEN, values(2, 8, 8).mean(2)),
    ({"last_hidden_state": WITH_CLASS}, True, (), "class token after the last norm (the", WITH_CLASS[:, 0]),
    (LAST, True, (), OF_HIDDEN, MEAN),
    ({"feature_maps": [HIDDEN, WITH_CLASS]}, True, (), "mean over the patches of the last", WITH_CLASS[:, 1:].mean(1)),
    ({"last_hidden_state": values(2, 8, 2, 4)}, True, (), OF_HIDDEN, values(2, 8, 8).mean(2)),
    ({"last_hidden_state": values(2, 2, 4, 8)}, False, (), OF_HIDDEN, values(2, 8, 8).mean(1)),
]


@pytest.mark.parametrize("case", GENERAL, ids=range(len(GENERAL)))
def test_general_embedding__by_the_first_line_that_applies(case: Any) -> None:
    fields, class_token, missing, words, vector = case
    network = Network(Output(fields), class_token)
    embedding = general_embedding(Loaded(network, frozenset(missing), VIEWS, plain))
    assert words in embedding.words
    assert embedding.part == ""
    torch.testing.assert_close(embedding.forward(network, VIEWS), vector)


def test_last_hidden__maps_of_timm_below_a_model() -> None:
    maps = [values(2, 8, 4, 8), values(2, 8, 2, 4)]
    assert last_hidden(maps) is maps[1]
    assert last_hidden(Output(last_hidden_state=HIDDEN, feature_maps=maps)) is HIDDEN
    with pytest.raises(EncoderError, match="hidden"):
        last_hidden([HIDDEN, None])
    with pytest.raises(EncoderError, match="hidden"):
        last_hidden([])


def test_fitted__under_the_names_of_a_function() -> None:
    one, two = torch.ones(1), torch.ones(2)

    def names(function: Any, arguments: Any) -> dict[str, int]:
        return {name: len(value) for name, value in fitted(function, arguments).items()}

    given = {"pixel_values": one, "image_grid_thw": two}
    for first in ("hidden_states", "input", "inputs", "images", "image", "x", "pixel_patches", "flattened_patches"):
        scope: dict[str, Any] = {}
        exec(f"def f({first}): ...", scope)
        assert names(scope["f"], given) == {first: 1, "image_grid_thw": 2}
        assert names(scope["f"], OneSize(given)) == {first: 1}
    assert names(lambda x, pixel_values, grid_thw: 0, given) == {"pixel_values": 1, "grid_thw": 2}
    others = {"pixel_values": one, "image_grid_hw": two, "image_position_ids": two, "x": two}
    assert names(lambda y, grid_hw, pixel_position_ids: 0, OneSize(others)) == {
        "pixel_values": 1, "grid_hw": 2, "pixel_position_ids": 2,
    }  # fmt: skip


class Described(nn.Module):
    """A model that describes images: a tower, and projected tokens."""

    def __init__(self, tower: nn.Module | None, features: Any, name: str = "vision_tower") -> None:
        super().__init__()
        self.config, self.features = SimpleNamespace(hidden_size=8), features
        if tower is not None:
            setattr(self, name, tower)

    def get_image_features(self, pixel_values: torch.Tensor) -> Any:
        if self.features is None:
            raise TypeError
        return self.features


def test_image_text_embeddings__the_tower_first_then_what_the_language_model_reads() -> None:
    tower = Network(Output(last_hidden_state=HIDDEN))
    tokens = values(2, 4, 6)

    def embeddings(model: nn.Module) -> Any:
        return image_text_embeddings(Loaded(model, frozenset(), VIEWS, plain))

    model = Described(tower, Output(pooler_output=tokens))
    both = embeddings(model)
    assert list(both) == ["tower", "projected"]
    assert (both["tower"].part, both["projected"].part) == ("vision_tower", "")
    assert "projected" in both["tower"].words
    assert "projected" in both["projected"].words
    torch.testing.assert_close(both["projected"].forward(model, VIEWS), tokens.mean(1))
    assert list(embeddings(Described(tower, None))) == ["tower"]
    assert embeddings(Described(None, None)) == {}
    alone = Described(None, Output(pooler_output=tokens, last_hidden_state=HIDDEN))
    both = embeddings(alone)
    assert "projected" in both["tower"].words
    torch.testing.assert_close(both["tower"].forward(alone, VIEWS), HIDDEN.mean(1))
    several = [values(3, 6), values(5, 6)]  # of pictures with other numbers of tokens
    expected = torch.stack([part.mean(0) for part in several])
    torch.testing.assert_close(ProjectedTokens(plain)(Described(None, Output(pooler_output=several)), VIEWS), expected)
    joined = ProjectedTokens(plain)(Described(None, Output(pooler_output=tokens.reshape(1, 8, 6))), VIEWS)
    torch.testing.assert_close(joined, tokens.mean(1))


@pytest.mark.parametrize(
    ("layer", "strategy", "expected"),
    [
        (-1, "full", lambda s: s[2].mean(1)),
        (0, "default", lambda s: s[0][:, 1:].mean(1)),
        ([0, 2], "default", lambda s: torch.cat([s[0], s[2]], -1)[:, 1:].mean(1)),
    ],
)
def test_llava_tokens__of_the_layers_that_its_configuration_names(layer: Any, strategy: str, expected: Any) -> None:
    states = [HIDDEN, HIDDEN + 100, HIDDEN * 2]
    model = SimpleNamespace(
        config=SimpleNamespace(vision_feature_layer=layer, vision_feature_select_strategy=strategy),
        vision_tower=lambda pixel_values, output_hidden_states: SimpleNamespace(hidden_states=states),
        multi_modal_projector=lambda tokens: 3 * tokens,
    )
    torch.testing.assert_close(LlavaTokens()(model, VIEWS), 3 * expected(states))


def test_tower_names__the_likeliest_first() -> None:
    class Model(nn.Module):
        base_model_prefix, main_input_name = "core", "pixel_values"

    model = Model()
    model.visual, model.core, model.encoder = nn.Identity(), nn.Module(), nn.Identity()
    model.model, model.vision_tower = nn.Module(), nn.Module()
    model.model.vision_tower, model.vision_tower.backbone = nn.Identity(), nn.Identity()
    model.encoder.visual = nn.Identity()
    expected = [
        "vision_tower",
        "visual",
        "encoder",
        "model.vision_tower",
        "encoder.visual",
        "vision_tower.backbone",
        "core",
    ]
    assert tower_names(model) == expected
    Model.main_input_name = "input_ids"
    assert tower_names(model) == [name for name in expected if name not in ("encoder", "core")]


def test_describes_images__by_its_kind() -> None:
    kinds = {"llava": True, "qwen2_vl": True, "blip": False, "vision-encoder-decoder": False, "vit": False}
    assert {kind: describes_images(SimpleNamespace(model_type=kind)) for kind in kinds} == kinds


def test_positions__means_by_hand() -> None:
    rows = values(2, 6, 4)
    torch.testing.assert_close(Positions(skip=1, after=2).mean(rows, {}, 2), rows[:, 1:4].mean(1))
    mask = torch.tensor([[1, 1, 0, 0, 0, 0], [0, 1, 1, 1, 0, 0]])
    expected = torch.stack([rows[0, :2].mean(0), rows[1, 1:4].mean(0)])
    torch.testing.assert_close(Positions().mean(rows, {"pixel_attention_mask": mask}, 2), expected)
    other = {"pixel_attention_mask": mask[:, :5]}  # of something else than these positions
    torch.testing.assert_close(Positions().mean(rows, other, 2), rows.mean(1))
    pixels = torch.zeros(2, 1, 16, 24)
    pixels[0, :, :8, :9], pixels[1, :, 8:, :] = 1, 1
    expected = torch.stack([rows[0, :2].mean(0), rows[1, 3:].mean(0)])
    torch.testing.assert_close(Positions(patch=8).mean(rows, {"pixel_attention_mask": pixels}, 2), expected)
    maps = values(2, 3, 4, 5)
    torch.testing.assert_close(Positions(axis=1).mean(maps, {}, 2), maps.flatten(2).mean(2))
    torch.testing.assert_close(Positions(axis=3).mean(maps, {}, 2), maps.flatten(1, 2).mean(1))
    sizes = {"image_sizes": torch.tensor([[16, 17], [8, 24]])}
    joined = values(7, 4)
    expected = torch.stack([joined[:4].mean(0), joined[4:].mean(0)])
    torch.testing.assert_close(Positions(patch=8).mean(joined[None], sizes, 2), expected)
    torch.testing.assert_close(Positions().mean(values(6, 4), {}, 2), values(2, 3, 4).mean(1))
    marked = values(11, 4)  # one position before and one behind the patches of each picture
    expected = torch.stack([marked[1:5].mean(0), marked[7:10].mean(0)])
    torch.testing.assert_close(Positions(patch=8, skip=1, after=1).mean(marked, sizes, 2), expected)


def test_positions_of__skips_what_is_no_patch_where_the_rest_is_a_grid() -> None:
    network = Network(class_token=True)
    network.register_tokens = nn.Parameter(torch.zeros(1, 2, 8))
    network.detection_tokens = nn.Parameter(torch.zeros(1, 5, 8))
    arguments = {"pixel_values": VIEWS}
    assert positions_of(values(2, 16, 8), arguments, network, 2) == Positions(2, 3, 5, 8, True)
    assert positions_of(values(2, 8, 8), arguments, network, 2) == Positions(2, 0, 0, 8, False)
    both = positions_of(values(2, 3, 8), arguments, Network(class_token=True), 2)  # 1 x 2 patches, or 1 x 3
    assert both == Positions(2, 1, 0, 8, True)
    masked = {**arguments, "pixel_attention_mask": torch.ones(2, 7)}
    assert positions_of(values(2, 7, 8), masked, network, 2) == Positions(2, 0, 0, 8, True)
    assert positions_of(values(2, 7, 8), {"pixel_values": values(2, 7, 8)}, network, 2) == Positions(2, 0, 0, 8, True)
    assert positions_of(values(5, 8), arguments, network, 2) == Positions(2, 0, 0, 8, True)


def test_sides_and_widths__of_configurations() -> None:
    for config, side in (
        (SimpleNamespace(patch_size=14), 14), (SimpleNamespace(patch_size=[16, 8]), 16), (SimpleNamespace(), 1),
        (SimpleNamespace(patch_size=None), 1), (SimpleNamespace(patch_size={"height": 7, "width": 9}), 7),
        (SimpleNamespace(patch_size={"width": 9}), 1), (None, 1),
        (SimpleNamespace(patch_size=2, vision_config=SimpleNamespace(patch_size=28)), 28),
    ):  # fmt: skip
        assert patch_side(config) == side
    for arguments, sides in (
        ({"pixel_values": torch.zeros(1, 3, 4, 6)}, (4, 6)), ({"flattened_patches": torch.zeros(1, 9, 9)}, None),
        ({"image_pixel_values": torch.zeros(1, 1, 4, 6)}, (4, 6)), ({"pixel_values": torch.zeros(1, 4, 4, 6)}, (4, 6)),
        ({"pixel_values": torch.zeros(1, 2, 4, 6)}, None), ({"x": torch.zeros(1, 3, 4, 6)}, None),
    ):  # fmt: skip
        assert picture_sides(arguments) == sides
    config = SimpleNamespace(
        hidden_size=2, embed_dim=[3, 4], width=5, out_channels=6, projection_dim=7, d_model=8, vocab_size=9,
        num_hidden_layers=20, image_size=21, patch_size=22, hidden_layers=23, hidden=True, hidden_act="x", other=24,
        vision_config=SimpleNamespace(hidden_sizes=(10, 11)), embed_class=SimpleNamespace,
    )  # fmt: skip
    assert sorted(widths_of(config)) == [2, 3, 4, 5, 6, 7, 8, 9, 10, 11]
    network = Network(width=6, hidden_size=50)
    wide = {number: is_named_width(number, network) for number in (1, 6, 12, 24, 30, 50, 150, 200, 250)}
    assert wide == {1: False, 6: True, 12: True, 24: True, 30: False, 50: True, 150: True, 200: True, 250: False}
