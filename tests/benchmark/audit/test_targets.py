"""Which targets an audit predicts from which layers."""

from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest

from benchmark.audit import accuracy
from benchmark.audit.features import FEATURES
from benchmark.audit.tally import MAX_SOURCES


def scored(monkeypatch, target, values, *, pixels=False):
    """(layer, title) of every score of a target with so many values."""
    monkeypatch.setattr(accuracy, "_score", lambda sample, columns, target, groups, layer, title, seed: (layer, title))
    monkeypatch.setattr(accuracy, "_one_hot", lambda sample, names: np.zeros((1, len(names))))
    monkeypatch.setattr(accuracy, "_standardised", lambda vectors: vectors)
    arrays = {"frame": pd.DataFrame(), "whole": np.zeros((1, 1)), "border": np.zeros((1, 1))} if pixels else {}
    names = {target: {f"value {i}": i for i in range(values)}}
    return accuracy.layer_scores(SimpleNamespace(names=names, sample=pd.DataFrame(), pixels=arrays), target)


@pytest.mark.parametrize(
    ("target", "values", "some"),
    [
        ("label", 1, False),
        ("label", 2, True),
        ("label", MAX_SOURCES + 1, True),
        ("source", MAX_SOURCES, True),
        ("source", MAX_SOURCES + 1, False),
    ],
)
def test_layer_scores__of_two_values_or_more_and_not_of_very_many_sources(monkeypatch, target, values, some):
    assert bool(scored(monkeypatch, target, values)) == some


def test_layer_scores__one_for_each_layer(monkeypatch):
    layers = [layer for layer, _ in scored(monkeypatch, "label", 2, pixels=True)]
    of_files = {feature.layer for feature in FEATURES.values()}
    assert set(layers) == of_files | {"file", "weight", "pixels", "hidden"}
    assert len(layers) == len(set(layers))
    titles = dict(scored(monkeypatch, "label", 2, pixels=True))
    assert titles["file"] == "header, size and Exif together"
    assert titles["exif"].startswith("the ")
    assert titles["exif"].endswith(" alone")
    assert titles["hidden"].endswith(" alone")
    assert not titles["pixels"].endswith(" alone")
