"""The gate for another runtime: it is compared with torch on the photos, and torch is used if they differ too much."""

import json
import shutil
from dataclasses import replace

import numpy as np
import pytest
import torch
from PIL import Image

import benchmark.bank.gates as gate
from benchmark.bank import resolve_runtime
from benchmark.bank.gates import neighbouring
from benchmark.cli.score import main
from benchmark.encoders import Encoder, Runtime
from benchmark.options import RunOptions
from benchmark.results import read_result
from benchmark.scoring import score_encoders
from benchmark.tasks import all_tasks, select_tasks
from benchmark.views import ProcessingViews
from builders.data_specs import open_photos
from builders.errors import EncoderError
from builders.pixels import PROCESSINGS, decode_rgb, process_by_pillow
from tests.support.scoring import toy_encoder

pytestmark = pytest.mark.usefixtures("unpainted", "brief")


def detail(image: Image.Image) -> np.ndarray:
    grey = np.asarray(image.convert("L"), dtype=np.float32)
    return np.array([100, np.abs(np.diff(grey, axis=0)).mean(), np.abs(np.diff(grey, axis=1)).mean()], np.float32)


def by_torch(batch: torch.Tensor) -> torch.Tensor:
    return batch.float()


def by_another(factor: float, seen: list[int]):
    """Embeddings whose third number is wrong by a factor; records the number of views of each call."""

    def embed(batch: torch.Tensor) -> torch.Tensor:
        seen.append(len(batch))
        return batch * torch.tensor([1, 1, factor])

    return embed


def toy(factor: float, seen: list[int]) -> Encoder:
    exact = toy_encoder(by_torch, detail, 3, runtime=Runtime("torch", "9"))
    runtime = Runtime("openvino", "2026.1", 1e-7)
    return replace(exact, embed=by_another(factor, seen), runtime=runtime, in_torch=lambda: exact)


@pytest.fixture
def photos(photo_folder):
    return open_photos(f"folder:{photo_folder}")


def options(tmp_path, **more) -> RunOptions:
    return RunOptions(cache=tmp_path / "cache", workers=0, runtime="auto", **more)


@pytest.mark.parametrize(("by_far", "samples"), [(10.0, [1]), (100.0, [1, 4])])
def test_resolve_runtime__a_runtime_that_passes_is_cached(by_far, samples, tmp_path, photos, monkeypatch):
    """One photo decides if it passes by far, else four do."""
    monkeypatch.setattr(gate, "BY_FAR", by_far)
    seen: list[int] = []
    encoder, verdict = resolve_runtime(toy(1 + 2e-6, seen), photos, "bytes", options(tmp_path))
    assert encoder.runtime.name == "openvino"
    assert verdict.passed
    assert verdict.photos == samples[-1]
    assert sum(seen) == sum(samples) * len(PROCESSINGS)
    # by hand, over the same photos
    sample = photos.limited(samples[-1])
    views = {name: [] for name in PROCESSINGS}
    for i in range(samples[-1]):
        for name, processing in PROCESSINGS.items():
            image = process_by_pillow(decode_rgb(sample.read(i)), processing, sample.ids[i], 0)
            views[name].append(detail(image).astype(np.float64))
    unit = {name: np.array(v) / np.linalg.norm(v, axis=-1, keepdims=True) for name, v in views.items()}
    names = list(PROCESSINGS)
    traces = {
        (names[a], names[b]): np.median(np.linalg.norm(unit[names[a]] - unit[names[b]], axis=-1))
        for a, b in neighbouring(names)
    }
    pair = min(traces, key=traces.get)
    assert verdict.pair == pair
    assert verdict.trace == pytest.approx(traces[pair], rel=1e-4)
    assert verdict.relative_error == pytest.approx(2e-6 * max(u[:, 2].max() for u in unit.values()), rel=0.1)
    assert verdict.ratio == pytest.approx(verdict.trace / verdict.noise)
    again: list[int] = []
    _, known = resolve_runtime(toy(1 + 2e-6, again), photos, "bytes", options(tmp_path))
    assert known == verdict
    assert again == []
    resolve_runtime(toy(1 + 2e-6, again), photos, "other bytes", options(tmp_path))
    assert sum(again) == sum(samples) * len(PROCESSINGS)


def test_resolve_runtime__four_photos_decide_if_no_two_views_are_alike(tmp_path, photos, monkeypatch):
    """One photo cannot pass by far if there is no trace to compare the error with."""
    monkeypatch.setattr(gate, "all_views", lambda *_: ProcessingViews(("jpeg-q95-444",)))
    seen: list[int] = []
    _, verdict = resolve_runtime(toy(1 + 2e-6, seen), photos, "bytes", options(tmp_path))
    assert seen == [4]
    assert (verdict.passed, verdict.photos, verdict.trace, verdict.ratio, verdict.pair) == (True, 4, None, None, ())
    processing = PROCESSINGS["jpeg-q95-444"]
    views = [process_by_pillow(decode_rgb(photos.read(i)), processing, photos.ids[i], 0) for i in range(4)]
    unit = [v / np.linalg.norm(v) for v in (detail(view).astype(np.float64) for view in views)]
    assert verdict.relative_error == pytest.approx(2e-6 * max(u[2] for u in unit), rel=0.1)


def test_resolve_runtime__torch_is_used_if_the_error_is_larger_than_that_of_float32(tmp_path, photos):
    encoder, verdict = resolve_runtime(toy(1.01, []), photos, "bytes", options(tmp_path))
    assert encoder.runtime.name == "torch"
    assert encoder.embed is by_torch
    assert not verdict.passed
    assert encoder.runtime.reason == verdict.reason
    assert "relative error" in verdict.reason
    with pytest.raises(EncoderError, match="folder:photos"):
        resolve_runtime(toy(1.01, []), photos, "bytes", replace(options(tmp_path), runtime="openvino"))


def test_resolve_runtime__torch_is_used_if_the_error_is_as_large_as_a_trace(tmp_path, photos, monkeypatch):
    monkeypatch.setattr(gate, "LARGEST_ERROR", 1.0)
    encoder, verdict = resolve_runtime(toy(1.3, []), photos, "bytes", options(tmp_path))
    assert encoder.runtime.name == "torch"
    assert verdict.ratio < gate.THRESHOLD
    assert "precise" in verdict.reason


def test_resolve_runtime__nothing_happens_without_another_runtime(tmp_path, photos):
    exact = toy(1, []).in_torch()
    assert resolve_runtime(exact, photos, "bytes", options(tmp_path)) == (exact, None)
    assert not (tmp_path / "cache").exists()


def test_score__an_encoder_whose_runtime_is_refused_fails_and_others_do_not(tmp_path, photos):
    bad = replace(toy(1.01, []), info=replace(toy(1, []).info, id="bad"))
    tasks = select_tasks(["probe/sharpening"], all_tasks())
    chosen = replace(options(tmp_path, resamples=100), runtime="openvino")
    good, failed = score_encoders([toy(1 + 1e-6, []), bad], photos, tasks, chosen)
    assert len(good.result.scores) == 1
    assert good.result.environment["runtime"]["on_photos"]["passed"]
    assert not failed.result.scores
    assert [f.kind for f in failed.result.failures] == ["encoder"]
    with pytest.raises(EncoderError, match="computes"):
        score_encoders([bad], photos, tasks, chosen)


NETWORK = """
import numpy as np
import torch
from PIL import Image

class Network(torch.nn.Module):
    mean, std = (0.5,) * 3, (0.25,) * 3
    cache_key = "1"

    def __init__(self):
        super().__init__()
        torch.manual_seed(0)
        self.layers = torch.nn.Sequential(torch.nn.Conv2d(3, 16, 3, 2), torch.nn.GELU(), torch.nn.Conv2d(16, 8, 3, 2))

    @staticmethod
    def preprocess(image):
        return np.asarray(image.resize((24, 24), Image.Resampling.BILINEAR))

    def forward(self, x):
        return self.layers(x).flatten(1)
"""


@pytest.mark.slow
def test_command__scores_equal_those_of_torch_and_bits_those_of_a_second_run(tmp_path, photo_folder, monkeypatch):
    (tmp_path / "gate_network.py").write_text(NETWORK)
    monkeypatch.chdir(tmp_path)

    def scored(name: str, *more: str):
        arguments = ["-m", "gate_network:Network", "-d", f"folder:{photo_folder}", "-t", "probe/jpeg", "-t", "knn/jpeg"]
        more_arguments = ["-o", name, "--cache", "cache", "--workers", "0", "-q", *more]
        assert main([*arguments, *more_arguments]) == 0
        result = read_result(tmp_path / name / "result.json")
        return result, {k: v.tobytes() for k, v in np.load(tmp_path / name / "answers.npz").items()}

    by_torch, _ = scored("torch", "--runtime", "torch")
    first, answers = scored("first", "--runtime", "openvino")
    shutil.rmtree(tmp_path / "cache")
    second, again = scored("second", "--runtime", "openvino")
    runtime = first.environment["runtime"]
    assert (runtime["name"], runtime["on_photos"]["passed"]) == ("openvino", True)
    assert 0 < runtime["relative_error"] <= 1e-5
    assert 0 < runtime["on_photos"]["relative_error"] <= 1e-5
    assert runtime["on_photos"]["ratio"] > 1000
    assert by_torch.environment["runtime"] == {"name": "torch", "version": torch.__version__}
    assert "--runtime openvino" in first.environment["command"]
    assert answers == again
    assert [s.value for s in first.scores] == [s.value for s in second.scores]
    assert len(first.scores) > 5
    for score, expected in zip(first.scores, by_torch.scores, strict=True):
        assert (score.task, score.metric) == (expected.task, expected.metric)
        assert score.value == pytest.approx(expected.value, abs=1e-3)
    keys = [json.loads(path.read_text()) for path in (tmp_path / "cache" / "banks").glob("*/key.json")]
    assert [key["encoder"]["runtime"]["name"] for key in keys] == ["openvino"]
