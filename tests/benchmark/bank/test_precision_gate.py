"""The gate for precisions below float32: its arithmetic by hand, and runs that it refuses."""

import json
from dataclasses import replace

import numpy as np
import pytest

import benchmark.bank.gates as gate
from benchmark.__main__ import main
from benchmark.bank import check_precision
from benchmark.bank.gates import trace_to_noise
from benchmark.encoders import load_encoder
from benchmark.options import DTYPES, RunOptions
from benchmark.results import read_result
from benchmark.views import ProcessingViews
from builders.photos import PhotoSet
from builders.pixels import PROCESSINGS
from tests.conftest import photo_bytes
from tests.support.scoring import toy_encoder


def on_the_circle(degrees) -> np.ndarray:
    """Embeddings [views, photos, 2] with the given directions and unequal lengths."""
    angle = np.deg2rad(np.asarray(degrees, dtype=np.float64))
    lengths = 1 + np.arange(angle.size).reshape(angle.shape)
    return lengths[..., None] * np.stack([np.cos(angle), np.sin(angle)], axis=-1)


def chord(degrees: float) -> float:
    return 2 * np.sin(np.deg2rad(degrees) / 2)


def test_trace_to_noise__by_hand():
    # three views of three photos; medians over photos: 0 and 1 are 20 degrees apart, 1 and 2 are 30, 0 and 2 are 60
    reference = on_the_circle([[0, 0, 0], [10, 20, 90], [60, 50, 70]])
    # rounding turns view 0 by 1 degree, view 1 by 4 in the median, view 2 by 2
    lower = on_the_circle([[1, 1, 1], [10.5, 24, 95], [62, 52, 72]])
    compared = trace_to_noise(reference, lower, [(0, 1), (0, 2), (1, 2)])
    assert compared.pair == (0, 1)
    assert compared.trace == pytest.approx(chord(20))
    assert compared.noise == pytest.approx(chord(4))
    assert compared.ratio == pytest.approx(chord(20) / chord(4))
    # only pairs of one parameter count
    assert trace_to_noise(reference, lower, [(0, 2), (1, 2)]).trace == pytest.approx(chord(30))
    # lengths of embeddings do not
    assert trace_to_noise(reference * 7, lower, [(0, 1)]).ratio == pytest.approx(compared.ratio)


NETWORKS = """
import numpy as np
import torch
from PIL import Image

class Pixels:
    mean, std = (0.0,) * 3, (1.0,) * 3
    cache_key = "1"
    @staticmethod
    def preprocess(image):
        return np.asarray(image.resize((16, 16), Image.Resampling.BILINEAR))

class Coarse(Pixels, torch.nn.Module):
    # embeddings that hardly differ: bfloat16 rounds the difference away
    def forward(self, x):
        return x.flatten(1) + 30

class Fine(Pixels, torch.nn.Module):
    # the detail alone, large: float16 keeps it
    def forward(self, x):
        return (x[:, :, 1:] - x[:, :, :-1]).flatten(1)

def plain(image):
    return np.asarray(image.resize((8, 8)), dtype=np.float32).mean((0, 1))
"""

ALL = ("--data", "folder:photos", "--tasks", "probe/resizing", "--workers", "0")


@pytest.fixture
def work(tmp_path, photo_folder, monkeypatch):
    (tmp_path / "networks_of_gate.py").write_text(NETWORKS)
    (tmp_path / "photos").symlink_to(photo_folder)
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.chdir(tmp_path)
    return tmp_path


def run(*arguments: str) -> int:
    return main([*arguments, *ALL, "--output", "out", "--cache", "cache"])


@pytest.mark.slow
def test_score__is_refused_with_one_sentence_unless_forced(work, capsys, monkeypatch):
    model = ("--model", "networks_of_gate:Coarse", "--dtype", "bfloat16")
    assert run(*model) == 1
    [sentence] = [line for line in capsys.readouterr().err.splitlines() if line.startswith("camtrace:")]
    assert "networks_of_gate:Coarse" in sentence
    assert "--force-dtype" in sentence
    assert not (work / "out").exists()
    # the verdict is cached: a forced run does not embed the sample again
    monkeypatch.setattr(gate, "embedded_by_both", None)
    assert run(*model, "--force-dtype") == 0
    result = read_result(work / "out" / "result.json")
    gate_record = result.environment["precision_gate"]
    assert gate_record["passed"] is False
    assert gate_record["ratio"] == pytest.approx(gate_record["trace"] / gate_record["noise"])
    assert gate_record["ratio"] < 10 == gate_record["threshold"]
    assert gate_record["photos"] == 32
    assert set(gate_record["pair"]) < set(PROCESSINGS)
    assert "--force-dtype" in result.environment["command"]


@pytest.mark.slow
def test_score__float16_storage_is_judged_by_what_it_rounds(work):
    assert run("--model", "networks_of_gate:Fine", "--storage", "float16") == 0
    gate_record = read_result(work / "out" / "result.json").environment["precision_gate"]
    assert gate_record["passed"] is True
    # rounding to 11 bits moves each number by at most 2^-11 of itself, so a vector by at most that of its length
    assert 0 < gate_record["noise"] <= 2**-11
    assert run("--model", "networks_of_gate:Coarse", "--storage", "float16") == 1


def test_score__float32_has_no_gate(work):
    assert run("--model", "networks_of_gate:Coarse") == 0
    environment = read_result(work / "out" / "result.json").environment
    assert "precision_gate" not in environment
    assert environment["compiled"] is False


@pytest.mark.slow
def test_sweep__a_refused_encoder_is_a_row(work):
    models = ("--model", "networks_of_gate:Coarse", "--model", "networks_of_gate:plain")
    assert main(["sweep", *models, *ALL, "--dtype", "bfloat16", "--output", "out", "--cache", "cache"]) == 1
    rows = {row["spec"]: row for row in json.loads((work / "out" / "sweep.json").read_text())["rows"]}
    assert rows["networks_of_gate:Coarse"]["state"] == "failed"
    assert "not precise enough" in rows["networks_of_gate:Coarse"]["reason"]
    assert rows["networks_of_gate:plain"]["state"] == "failed"
    assert "--dtype bfloat16" in rows["networks_of_gate:plain"]["reason"]
    forced = ("--dtype", "bfloat16", "--force-dtype", "--output", "out", "--cache", "cache")
    assert main(["sweep", *models[:2], *ALL, *forced]) == 0
    # a forced sweep accepts a forced result as finished; another sweep does not
    assert main(["sweep", *models[:2], *ALL, *forced]) == 0
    [row] = json.loads((work / "out" / "sweep.json").read_text())["rows"]
    assert row["state"] == "kept"
    assert main(["sweep", *models, *ALL, "--dtype", "bfloat16", "--output", "out", "--cache", "cache"]) == 1
    rows = {row["spec"]: row for row in json.loads((work / "out" / "sweep.json").read_text())["rows"]}
    assert rows["networks_of_gate:Coarse"]["state"] == "failed"


def test_check_precision__is_refused_if_nothing_can_be_compared(work):
    encoder = load_encoder("networks_of_gate:Fine", device="cpu", dtype="bfloat16")
    options = RunOptions(cache=work / "cache", workers=0)
    photos = PhotoSet.of_bytes("few", {"a": (work / "photos/train/cat/00.jpg").read_bytes()})
    assert check_precision(encoder, photos, "0", options).photos == 1
    alone = check_precision(replace(encoder, in_float32=None), photos, "1", options)
    assert not alone.passed
    assert "float32" in alone.reason
    stored = replace(photos, stored_views=("jpeg-q75-420", "resizing-x2"))
    assert "processed already" in check_precision(encoder, stored, "2", options).reason


@pytest.mark.parametrize(
    ("trace", "noise", "ratio", "passed"),
    [
        (1.0, 0.125, 8.0, False),
        (1.25, 0.125, 10.0, True),
        (1.125, 0.125, 9.0, False),
        (2.0, 0.125, 16.0, True),
        (1.0, 0.0, None, True),
    ],
)
def test_check_precision__passes_from_the_threshold_on(work, monkeypatch, trace, noise, ratio, passed):
    encoder = load_encoder("networks_of_gate:Fine", device="cpu", dtype="bfloat16")
    options = RunOptions(cache=work / "cache", workers=0)
    measured = np.zeros((2, 3, 1))
    monkeypatch.setattr(gate, "embedded_by_both", lambda *_: (measured, measured))
    monkeypatch.setattr(gate, "trace_to_noise", lambda *_: gate.TraceToNoise(trace, noise, (0, 1)))
    photos = PhotoSet.of_bytes("few", {"a": (work / "photos/train/cat/00.jpg").read_bytes()})
    verdict = check_precision(encoder, photos, "0", options)
    assert (verdict.passed, verdict.ratio, verdict.photos) == (passed, ratio, 3)
    assert (verdict.reason == "") is passed
    assert check_precision(encoder, photos, "0", options) == verdict  # from the cache


def test_check_precision__embeddings_that_are_not_finite_are_refused(work, monkeypatch):
    lower = np.ones((2, 3, 1))
    lower[1, 2] = np.nan
    monkeypatch.setattr(gate, "embedded_by_both", lambda *_: (np.ones((2, 3, 1)), lower))
    photos = PhotoSet.of_bytes("few", {"a": (work / "photos/train/cat/00.jpg").read_bytes()})
    encoder = load_encoder("networks_of_gate:Fine", device="cpu", dtype="bfloat16")
    verdict = check_precision(encoder, photos, "0", RunOptions(cache=work / "cache", workers=0))
    assert not verdict.passed
    assert "float32" in verdict.reason


def test_dtypes__equal_those_of_the_command_line():
    from benchmark.encoders import placement

    assert tuple(placement.TORCH_DTYPES) == DTYPES


def test_embedded_by_both__uses_the_batches_of_a_pass():
    """14 views per photo, 64 per batch: 32 photos are exactly 7 batches; each row belongs to its photo and view."""
    seen = []

    def embed(views):
        seen.append(len(views))
        return views.flatten(1).float()

    def corner(image):
        return np.asarray(image)[:1, :1]

    photos = PhotoSet.of_bytes("some", {str(i): photo_bytes(i) for i in range(33)} | {"broken": b"no"})
    encoder = toy_encoder(embed, corner, 3)
    recipe = ProcessingViews(tuple(PROCESSINGS)[:14])
    exact, lower = gate.embedded_by_both(encoder, encoder, photos, recipe, RunOptions(workers=0), workers=0)
    assert exact.shape == (14, 33, 3)
    assert seen == [64] * 7 + [64] * 7 + [14] + [14]
    expected = recipe.make(photos.read(20), "20", [corner])[0]
    np.testing.assert_array_equal(exact[:, 20], np.stack(expected).reshape(14, 3))
    np.testing.assert_array_equal(exact, lower)
