"""Checkpoint files and folders as trainers write them: scored as the model in memory, or refused with what to run."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from benchmark.encoders import load_encoder
from builders.errors import CamtraceError
from tests.encoders_by_hand.trainers import TRAINERS
from tests.encoders_by_hand.trial import embed, photos, relative_error
from tests.encoders_by_hand.unusual import UNUSUAL

pytestmark = [pytest.mark.by_hand, pytest.mark.slow, pytest.mark.filterwarnings("ignore")]


WRITE = {**TRAINERS, **UNUSUAL}


@pytest.mark.parametrize("name", WRITE)
def test_trainer__equals_the_model_in_memory_or_is_refused(name: str, tmp_path: Path) -> None:
    trained = WRITE[name](tmp_path)
    if trained.embed is None:
        with pytest.raises(CamtraceError) as caught:
            load_encoder(
                trained.spec,
                device="cpu",
                runtime="torch" if not trained.spec.partition("?")[0].endswith(".onnx") else "auto",
            )
        assert trained.words in str(caught.value)
        assert "\n" not in str(caught.value)
        return
    expected = trained.embed(photos())
    encoder = load_encoder(
        trained.spec, device="cpu", runtime="torch" if not trained.spec.partition("?")[0].endswith(".onnx") else "auto"
    )
    assert relative_error(embed(encoder, photos()), expected) < 1e-5
    assert np.abs(expected - expected.mean(0)).max() > 1e-3
    assert trained.words in " ".join(encoder.notices)
    assert str(tmp_path) not in encoder.info.id
