"""Files of results and reports, by hand: which are written, moved, drawn and printed, and with what."""

from __future__ import annotations

import hashlib
import io
from dataclasses import replace

import numpy as np
import pytest

from benchmark.encoders import encoder_hash
from benchmark.results import Result, Score, read_result, write_result
from benchmark.scoring import Scored, write_scored
from benchmark.scoring.output import move_existing, result_folder


def result(name="org/a:x", data="folder:pets", weights="1", scores=True):
    score = Score("probe/jpeg", data, "accuracy", 0.5, 0.4, 0.6, 10, 0.2)
    encoder = {"id": name, "weights_sha256": weights, "preprocessing": {"size": [8, 8]}}
    made = "2026-01-01T00:00:00+00:00"
    return Result(encoder, {"name": data}, {"device": "cpu"}, (score,) if scores else (), (), {}, made)


@pytest.mark.parametrize("single", [True, False])
def test_write_scored__result_and_answers(tmp_path, single):
    answers = {"probe/jpeg/photos": np.arange(3), "photo-set/splits": np.zeros(3, np.int8)}
    folder = write_scored(Scored(result(), answers), tmp_path, single=single)
    assert folder == (tmp_path if single else tmp_path / "org--a-x" / "folder-pets")
    assert sorted(path.name for path in folder.iterdir()) == ["answers.npz", "result.json"]
    data = (folder / "answers.npz").read_bytes()
    with np.load(io.BytesIO(data)) as read:
        assert {name: read[name].tolist() for name in read.files} == {n: a.tolist() for n, a in answers.items()}
    written = read_result(folder / "result.json")
    environment = {"device": "cpu", "answers_sha256": hashlib.sha256(data).hexdigest()}
    assert written == replace(result(), environment=environment)


def test_move_existing__to_the_first_place_that_is_free(tmp_path, capsys):
    """Its own folder, one with the hash of its encoder, then numbers."""
    old = result()
    plain, hashed = result_folder(old), f"org--a-x.{encoder_hash(old.encoder)}"
    places = [tmp_path / plain, tmp_path / hashed / "folder-pets", tmp_path / "set-aside-1", tmp_path / "set-aside-2"]
    for place in places:
        write_result(old, tmp_path / "result.json")
        assert move_existing(tmp_path, tmp_path, result("other")) == place
        assert not (tmp_path / "result.json").exists()
    assert move_existing(tmp_path, tmp_path, result("other")) is None
    (tmp_path / "result.json").write_text("{}")
    assert move_existing(tmp_path, tmp_path, result("other")) == tmp_path / "set-aside-3"
    last = capsys.readouterr().err.splitlines()[-1]
    assert last == (
        f"camtrace: a result.json that cannot be read was in {tmp_path}; it is now in {tmp_path / 'set-aside-3'}"
    )
