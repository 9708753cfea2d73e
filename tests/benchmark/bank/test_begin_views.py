"""The views that are begun before a pass are exactly those that it requests first."""

import numpy as np
import pytest

import benchmark.views.prefetch
from benchmark.bank import begin_views, fill_banks
from benchmark.views import MaskedViews, PlainViews, Prefetch, ProcessingViews
from tests.benchmark.bank.test_bank import opened, some_photos, thumbnail, toy_encoder


def other(image) -> np.ndarray:
    return 255 - thumbnail(image)


@pytest.mark.parametrize(
    "recipe", [ProcessingViews(("jpeg-q75-420", "resizing-x2")), MaskedViews(0.5), MaskedViews(0.0), PlainViews()]
)
def test_begin_views__a_pass_over_empty_banks_uses_them(recipe, tmp_path, monkeypatch):
    """Two blocks of photos, three encoders, two of which share their preprocessing."""
    streams, stream = [], benchmark.views.prefetch.view_stream
    monkeypatch.setattr(
        benchmark.views.prefetch, "view_stream", lambda *given, **how: streams.append(given) or stream(*given, **how)
    )
    photos, how = some_photos(70), {"batch_size": 5, "workers": 0, "views": "auto"}
    encoders = [toy_encoder(), toy_encoder(id="other", preprocess=other), toy_encoder(id="third")]
    ahead = Prefetch()
    begin_views(ahead, photos, recipe, encoders, **how)
    [(of, indices, requested, preprocesses)] = streams
    assert (of, indices, requested.names) == (photos, tuple(range(70)), recipe.names)
    assert preprocesses == (thumbnail, other)
    banks = [opened(tmp_path, photos, recipe, encoder) for encoder in encoders]
    outcome = fill_banks(photos, recipe, encoders, banks, **how, ahead=ahead)
    assert outcome.cost.views == 3 * 70 * len(recipe.names)
    assert len(streams) == 1
