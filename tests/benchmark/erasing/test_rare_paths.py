"""Paths that are taken seldom, each by a direct call."""

import numpy as np
import pytest

from benchmark.erasing.card import _learnt
from benchmark.erasing.folder import _eraser


def test_eraser__of_other_arrays(monkeypatch):
    arrays = {"mean": np.zeros(2, np.float32), "more": np.zeros(2, np.float32)}
    for more, text in (({}, "mean, more"), ({"projection": np.eye(2, dtype=np.float32)}, "mean, more, projection")):
        monkeypatch.setattr("benchmark.erasing.folder._read", lambda data, more=more: arrays | more)
        with pytest.raises(ValueError, match=rf"^it holds {text}$"):
            _eraser(b"", {"dimension": 2})


def test_learnt__an_eraser_that_does_not_say_has_readers_on_the_photos_of_its_fit():
    texts = [_learnt({"unseen": unseen}) for unseen in ({}, {"readers_learn_apart": False})]
    assert texts == ["the fit's own photos, so that they find less than is there"] * 2
    assert _learnt({"unseen": {"readers_learn_apart": True}}) == "other photos than the fit's"
