"""A vision tower is loaded without the language model beside it: which fields of a configuration say so."""

from types import SimpleNamespace

import pytest

from benchmark.encoders.loaders.transformers.towers import LAYERS, without_language_layers


def config(text, **fields):
    return SimpleNamespace(get_text_config=lambda: text, **fields)


@pytest.mark.parametrize("name", LAYERS)
def test_without_language_layers__every_name_of_their_number_becomes_0(name):
    text = SimpleNamespace(**{name: 24}, hidden_size=32)
    without_language_layers(config(text, vision_config=SimpleNamespace()))
    assert vars(text) == {name: 0, "hidden_size": 32}


@pytest.mark.parametrize(("kinds", "left"), [(["full", "sliding"], []), ([], []), (None, None)])
def test_without_language_layers__kinds_of_layers_become_none_where_there_are_any(kinds, left):
    text = SimpleNamespace(**{LAYERS[0]: None}, layer_types=kinds)
    without_language_layers(config(text))
    assert vars(text) == {LAYERS[0]: None, "layer_types": left}


def test_without_language_layers__a_model_of_pictures_alone_keeps_its_layers():
    vision = SimpleNamespace(**{LAYERS[0]: 12}, layer_types=["full"])
    without_language_layers(config(vision, vision_config=vision))
    assert vars(vision) == {LAYERS[0]: 12, "layer_types": ["full"]}
