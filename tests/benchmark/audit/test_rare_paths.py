"""Paths that are taken seldom, each by a direct call."""

from types import SimpleNamespace

import numpy as np

from benchmark.audit import accuracy
from benchmark.audit.features import _number
from benchmark.audit.questions import _values


def test_cross_validated__a_fold_of_one_class_predicts_nothing(monkeypatch):
    """Owners of one class each: where all photos of a class are held back, no model is fitted."""
    x = np.arange(8.0)[:, None]
    y = np.array([0, 0, 0, 0, 1, 1, 1, 1])
    owners = np.array([0, 0, 0, 0, 1, 1, 1, 1])
    assert accuracy._cross_validated(x, y, owners, 0).tolist() == [-1] * 8
    owners = np.array([0, 0, 1, 1, 2, 2, 3, 3])
    assert accuracy._cross_validated(x - 3.5, y, owners, 0).tolist() == y.tolist()


def test_number__a_feature_that_is_compared_by_size():
    feature = _number("title", "header", float)
    assert (feature.title, feature.layer, feature.of, feature.kind) == ("title", "header", float, "number")


def test_values__no_question_where_nothing_was_counted():
    assert _values(SimpleNamespace(tables={}), "label", "iso", "ISO", "header", ["a", "b"], 0) == []
