"""Layers scored beside the embedding: one pass, a file per view and output, the embedding's scores as without them."""

from __future__ import annotations

import dataclasses
import json
import pickle
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import timm
import torch
from torch import nn

from benchmark.api import score
from benchmark.bank import Bank, OutputsBank, key_of
from benchmark.bank.fill.device_process import check_same_encoder
from benchmark.cli.score import main
from benchmark.encoders import Encoder, as_encoder, load_encoder, with_outputs
from benchmark.report import depth_figure, report_figure, report_text
from benchmark.results import Result, read_answers
from benchmark.scoring import tasks_run
from benchmark.scoring.run import Scored
from benchmark.stats import paired_difference
from benchmark.tasks import all_tasks
from builders.errors import UsageError
from builders.photos import PhotoSet
from builders.sources import labelled_folder
from tests.support.scoring import score_tasks


class Net(nn.Module):
    """Three stages; ``stop`` makes the mean of one of them its embedding."""

    def __init__(self, stop: int | None = None) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.one, self.two, self.three = nn.Conv2d(3, 6, 3, 2), nn.Conv2d(6, 8, 3, 2), nn.Conv2d(8, 12, 3, 2)
        self.stop = stop

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        for number, stage in enumerate((self.one, self.two, self.three)):
            x = stage(x).relu() if number < 2 else stage(x)
            if number == self.stop:
                return x.mean((2, 3))
        return x.amax((2, 3))


class Stages(nn.Module):
    """The same with modules that give what is read."""

    def __init__(self) -> None:
        super().__init__()
        net = Net()
        self.one = nn.Sequential(net.one, nn.ReLU())
        self.two = nn.Sequential(net.two, nn.ReLU())
        self.three = net.three

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.three(self.two(self.one(x))).amax((2, 3))


def _small(image: Any) -> torch.Tensor:
    array = np.asarray(image.resize((24, 24)), dtype=np.float32)
    return torch.from_numpy(array / 255 - 0.5).permute(2, 0, 1)


def _encoder(module: nn.Module, name: str) -> Encoder:
    return as_encoder(module, name=name, preprocess=_small, device="cpu", runtime="torch")


@pytest.fixture(scope="module")
def photos(photo_folder: Path) -> PhotoSet:
    return labelled_folder(str(photo_folder))


@pytest.fixture
def ran(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Names of the tasks that are computed."""
    names: list[str] = []
    real = tasks_run._run
    monkeypatch.setattr(tasks_run, "_run", lambda job: names.append(job.task.name) or real(job))
    return names


def _score(encoder: Encoder, photos: PhotoSet, cache: Path, *outputs: str, **changes: Any) -> Scored:
    options = {"resamples": 200, "assignment_seeds": 2, "device": "cpu", "outputs": outputs, **changes}
    return score_tasks(encoder, photos, ["probe/sharpening", "knn/original"], cache, **options)


def _numbers(scores: Any) -> list[tuple[Any, ...]]:
    return [(s.task, s.metric, s.value, s.low, s.high, s.n) for s in scores]


@pytest.fixture(scope="module")
def layered(photos: PhotoSet, tmp_path_factory: pytest.TempPathFactory) -> tuple[Scored, Path]:
    cache = tmp_path_factory.mktemp("layered")
    return _score(_encoder(Stages(), "net"), photos, cache, "layers"), cache


def test_final__is_scored_as_without_layers(layered: tuple[Scored, Path], photos: PhotoSet, tmp_path: Path) -> None:
    alone = _score(_encoder(Stages(), "net"), photos, tmp_path)
    assert _numbers(layered[0].result.scores) == _numbers(alone.result.scores)
    assert not alone.result.outputs
    assert "outputs" not in json.loads(alone.result.to_json())
    assert layered[0].answers.keys() == alone.answers.keys()
    banks = [next((cache / "banks").iterdir()) for cache in (layered[1], tmp_path)]
    assert banks[0].name == banks[1].name
    for view in (banks[1] / "views").iterdir():
        one, other = (np.load(bank / "views" / view.name / "rows.npy") for bank in banks)
        assert np.array_equal(one, other)  # to the bit


def test_layer__is_scored_as_the_encoder_that_ends_there(
    layered: tuple[Scored, Path], photos: PhotoSet, tmp_path: Path
) -> None:
    result = layered[0].result
    outputs = result.outputs
    assert [(o.name, o.dimension, o.layers) for o in outputs] == [
        ("layers[0]:mean", 6, 3),
        ("layers[1]:mean", 8, 3),
        ("layers[2]:mean", 12, 3),
    ]
    for number in (0, 2):
        ends = _score(_encoder(Net(number), f"ends at {number}"), photos, tmp_path / str(number))
        assert _numbers(outputs[number].scores) == _numbers(ends.result.scores)
        of_output, of_final = (read_answers(run.answers, all_tasks()).values for run in (ends, layered[0]))
        for output_score in outputs[number].scores:
            key = output_score.task, output_score.metric
            pair = paired_difference(of_output[key].values, of_final[key].values, bounds=of_final[key].bounds)
            paired = output_score.details["against_final"]
            assert (paired["value"], paired["low"]) == pytest.approx((pair.value, pair.low), abs=1e-5)
    assert len({o.scores[0].value for o in outputs}) > 1
    probes = [result.scores[0], outputs[0].scores[0]]
    assert [("learning_curve" in p.details, "training_spread" in p.details) for p in probes] == [
        (True,) * 2,
        (False,) * 2,
    ]


def test_second_run__computes_and_embeds_nothing(
    layered: tuple[Scored, Path], photos: PhotoSet, ran: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("benchmark.scoring.passes.fill_banks_on", lambda *_, **__: pytest.fail("embedded"))
    again = _score(_encoder(Stages(), "net"), photos, layered[1], "layers")
    assert not ran
    for o, first in zip(again.result.outputs, layered[0].result.outputs, strict=True):
        assert _numbers(o.scores) == _numbers(first.scores)
        assert [s.details["against_final"] for s in o.scores] == [s.details["against_final"] for s in first.scores]


def test_result__round_trip_report_and_pictures(layered: tuple[Scored, Path]) -> None:
    result = layered[0].result
    assert Result.from_json(result.to_json()) == Result.from_json(Result.from_json(result.to_json()).to_json())
    assert Result.from_json(result.to_json()).outputs[1].scores[0].value == result.outputs[1].scores[0].value
    text = report_text([result], all_tasks())
    assert "Over the depth of the network, on the same photos:" in text
    assert "| stage 1, mean of patches" in text
    assert "Read by hooks on one ... three." in text
    figure, alone = (
        report_figure([result], all_tasks()),
        report_figure([dataclasses.replace(result, outputs=())], all_tasks()),
    )
    assert figure is not None
    assert alone is not None
    titles = [ax.get_title(loc="left") for ax in figure.axes]
    assert sum("over depth" in title for title in titles) == 1
    assert not any("over depth" in ax.get_title(loc="left") for ax in alone.axes)
    one = depth_figure([result], all_tasks(), "probe/sharpening")
    assert one is not None
    [curve] = [line for line in one.axes[0].lines if line.get_label() == "mean of patches"]
    wanted = [100 * o.scores[0].value for o in result.outputs if o.scores[0].task == "probe/sharpening"]
    assert list(curve.get_ydata()) == wanted


@pytest.mark.slow
def test_command__scores_layers_and_says_what_they_take(
    photo_folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    torch.manual_seed(0)
    small = {"img_size": 32, "patch_size": 8, "embed_dim": 32, "depth": 2, "num_heads": 4}
    model = timm.create_model("vit_tiny_patch16_224", pretrained=False, num_classes=7, **small)
    model.pretrained_cfg.update({"input_size": (3, 32, 32)})
    timm.models.save_for_hf(model, tmp_path / "vit", model_args=small)
    common = ["-m", str(tmp_path / "vit"), "-d", f"folder:{photo_folder}", "--device", "cpu", "--workers", "0"]
    common += ["--tasks", "probe/sharpening", "--cache", str(tmp_path / "cache"), "-o", str(tmp_path / "out")]
    assert main([*common, "--outputs", "layers", "--dry-run"]) == 0
    printed = capsys.readouterr().out
    assert "embedding" in printed
    assert main([*common, "--outputs", "layers:cls", "--outputs", "layers[-1]:grid[2],centre"]) == 0
    result = Result.from_json((tmp_path / "out" / "result.json").read_text())
    names = [o.name for o in result.outputs]
    assert names[:2] == ["layers[0]:cls", "layers[1]:cls"]
    assert len(names) == 2 + 4 + 1
    assert {s.task for s in result.outputs[0].scores} == {"probe/sharpening", "knn/original"}  # semantics beside
    assert "--outputs layers:cls --outputs 'layers[-1]:grid[2],centre'" in result.environment["command"]
    assert (tmp_path / "out" / "report.png").stat().st_size > 10_000


def test_wrong_outputs__one_sentence(photos: PhotoSet, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="there are 3 layers"):
        _score(_encoder(Stages(), "net"), photos, tmp_path, "layers[7]")
    with pytest.raises(UsageError, match="unknown pooling 'mena'"):
        score(Stages(), preprocess=_small, data=photos, outputs="layers:mena", cache=tmp_path)


@pytest.mark.slow
def test_openvino__final_with_layers_is_torchs_and_shares_no_bank_with_openvinos(
    photos: PhotoSet, tmp_path: Path
) -> None:
    encoder = as_encoder(Stages(), name="net", preprocess=_small, device="cpu", runtime="openvino", cache=tmp_path)
    measured = {}
    for outputs in ((), ("layers[0]",)):
        before = set((tmp_path / "banks").glob("*"))
        measured[outputs] = _score(encoder, photos, tmp_path, *outputs).result.environment["runtime"]
        [folder] = set((tmp_path / "banks").glob("*")) - before  # each run has a bank of its own
        key = json.loads((folder / "key.json").read_text())
        assert key["encoder"].get("runtime", {"name": "torch"})["name"] == measured[outputs]["name"]
    assert measured[()]["name"] == "openvino"
    assert measured["layers[0]",]["name"] == "torch"
    assert "layers" in measured["layers[0]",]["reason"]
    before = set((tmp_path / "banks").glob("*"))
    _score(_encoder(Stages(), "net"), photos, tmp_path)
    assert set((tmp_path / "banks").glob("*")) == before  # its rows are those of a run by torch


def test_other_processes__load_the_same_outputs(photos: PhotoSet, tmp_path: Path) -> None:
    encoder = load_encoder("bundled:efficientnet-lite0", device="cpu", runtime="torch")
    layered = with_outputs(encoder, ["layers"])
    key = key_of(layered.encoder, photos, "bytes", "float32")
    banks = [Bank.open(tmp_path, key, {"v": {"name": "v"}}, output=output) for output in (None, *layered.outputs)]
    columns = (slice(0, 1280), *layered.columns().values())
    bank = pickle.loads(pickle.dumps(OutputsBank(banks, columns, layered.together.info.dimension)))
    assert layered.together.reload is not None
    again = check_same_encoder(layered.together.reload(device="cpu"), bank, "cpu")
    assert again.info.dimension == bank.dim == 1280 + sum(output.dimension for output in layered.outputs)
