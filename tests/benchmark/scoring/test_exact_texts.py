"""Texts of runs and of views, whole: tables of sweeps and estimates, kinds of the cache, refusals, warnings, keys."""

from types import SimpleNamespace

import numpy as np
import pytest
import torch
from torch import nn

from benchmark.api.fixed_views import FixedViews, untouched
from benchmark.cli import erase, sweep
from benchmark.options import CHOICES, PRESETS, RunOptions
from benchmark.report import markdown_table
from benchmark.scoring import chosen_specs
from benchmark.scoring.cache import KINDS
from benchmark.scoring.estimating import text as estimates
from benchmark.scoring.estimating.measuring import Measured
from benchmark.scoring.estimating.pass_costs import PassTimes
from benchmark.scoring.output import Row, sweep_text
from benchmark.tasks import Seconds
from benchmark.views import MaskedViews, ProcessingViews, choose, choose_views
from benchmark.views.device.jpeg import round_trips
from benchmark.views.workers import pool
from builders.errors import DataError, UsageError
from builders.pixels.parameters import PROCESSINGS


def test_sweep_text__table_counts_and_files(tmp_path):
    rows = [
        Row("a", "set", "scored", "", "a/set"), Row("b", "set", "partial", "no memory", "b/set"),
        Row("c", "set", "failed", "no weights", ""), Row("d", "set", "kept", "", "d/set"),
    ]  # fmt: skip
    cells = [["a", "set", "scored", "a/set"], ["b", "set", "partial", "b/set: no memory"]]
    cells += [["c", "set", "failed", "no weights"], ["d", "set", "kept", "d/set"]]
    table = markdown_table(["encoder", "data", "state", "where or why"], cells)
    assert sweep_text(rows, tmp_path) == (
        f"{table}\n\n1 scored, 1 partial, 1 kept, 1 failed. Written to {tmp_path}: report.html, report.md, sweep.json, "
        "<encoder>/<data>/result.json"
    )


def test_estimate_text__whole(monkeypatch, tmp_path):
    monkeypatch.setattr(estimates, "free_space", lambda folder: 10**12)
    monkeypatch.setattr(estimates, "pass_seconds", lambda members, workers: Seconds(30.0, 40.0))
    times = PassTimes(forward_s=5.0, views=1200, bank_bytes=3_000_000, makers=("by the workers",))
    row = Measured("a", "set", load=Seconds(1.0, 2.0), times=times, tasks={"kNN": Seconds(4.0, 5.0)}, notes=("a note",))
    sets = [SimpleNamespace(photos=SimpleNamespace(name="set"))]
    text = estimates.estimate_text([row], [["a"]], sets, RunOptions(cache=tmp_path), Seconds(2.0, 2.0))
    lines = [" ".join(line.replace("|", " ").split()) for line in text.splitlines() if not line.startswith("| :-")]
    assert lines == [
        "encoder data load views forward tasks bank there already cannot",
        "a set 1.0 s 1,200 5.0 s 4.0 s 3.0 MB nothing",
        "",
        "1 of 1 rows can be scored",
        "",
        "stage by the clock of one processor",
        "starting 2.0 s 2.0 s",
        "loading encoders 1.0 s 2.0 s",
        "trying encoders 0.0 s 0.0 s",
        "views and forward passes, encoders in 1 group 30 s 40 s",
        "kNN 4.0 s 5.0 s",
        "reports 1.0 s 1.2 s",
        "all 38 s 50 s",
        "",
        f"disk: 3.0 MB of banks in {tmp_path} (1000.0 GB free), 0.0 MB more for a while",
        "by the workers",
        "a note",
        "views were measured on 6 to 96 photos, tasks on at most 5,000 photos or on whole scenes and groups, by "
        "made-up embeddings where there are none yet (harder ones take longer)",
        "the clock is that of this machine as busy as it is now; processor seconds are of all cores",
        "not in it: downloading weights, kernels that are compiled once per machine",
    ]


def test_kinds__what_it_costs_to_make_each_again():
    assert dict(KINDS) == {
        "banks": "embeddings: hours of forward passes",
        "outcomes": "what tasks found: probes and kNN, minutes to hours",
        "gates": "verdicts on encoders, precisions and runtimes",
        "compiled": "networks converted for other runtimes",
        "photo-hashes": "hashes of photos: a reading of every file",
        "tar-index": "where photos stand in archives",
        "exif": "what the Exif of photo folders says",
        "perceptual-hashes": "of photo folders: a decoding of every file",
        "audit": "what audits read of files",
        "proofs": "whether answers give the scores of a result: 0.2 s each",
    }


def test_presets__their_choices():
    made = {name: tuple(getattr(preset, choice) for choice in CHOICES) for name, preset in PRESETS.items()}
    assert made == {
        "camtrace": ("converged", "own", "nearest", "upright"), "iccv2025": ("iccv2025", "study", "random", "stored"),
    }  # fmt: skip
    assert PRESETS["camtrace"].summary == (
        "the default: each encoder's own preprocessing, probes solved to their optimum, ties to the nearest label"
    )
    assert PRESETS["iccv2025"].summary == (
        "as the ICCV 2025 study's released code: short side = crop, its SGD, random ties, no Exif orientation"
    )


@pytest.mark.parametrize(
    ("run", "sentence"),
    [
        (lambda: chosen_specs(sweep.parser().parse_args([])),
         "which encoders? give --models FILE, --published, --modern, or --model ID (repeatable)"),
        (lambda: chosen_specs(sweep.parser().parse_args(["-m", "a", "--eraser", "e"])),
         "--eraser goes with one encoder, which it was fitted on: use camtrace score"),
        (lambda: chosen_specs(sweep.parser().parse_args(["-m", "a", "--revision", "r"])),
         "--revision goes with one encoder; write each as NAME@REVISION"),
        (lambda: erase.run(erase.parser().parse_args([])), "which trace? give --trace jpeg, --trace make, ..."),
        (lambda: erase.run(erase.parser().parse_args(["--trace", "jpeg", "-m", "a", "-m", "b"])),
         "an eraser is fitted on one encoder and one data set: give one --model and one --data"),
        (lambda: erase.run(erase.parser().parse_args(["--trace", "jpeg", "--dry-run"])),
         "--tasks, --eraser, --dry-run and --figure go with camtrace score"),
        (lambda: erase.run(erase.parser().parse_args(["--trace", "jpeg", "--shared-train", "--fit-share", "0.5"])),
         "--shared-train fits on all train photos: leave out --fit-share"),
    ],
)  # fmt: skip
def test_refusals__whole(run, sentence):
    with pytest.raises(UsageError) as refused:
        run()
    assert str(refused.value) == sentence


def test_choose_views__a_device_that_differs(monkeypatch, capsys):
    monkeypatch.setattr(choose, "equals_pillow", lambda device: False)
    chosen = choose_views("device", ProcessingViews((next(iter(PROCESSINGS)),)), [], [torch.device("cpu")])
    assert (chosen.device, str(chosen)) == (
        None,
        "views are made by the workers: those made on cpu differ from Pillow's",
    )
    line = "camtrace: views made on cpu differ from Pillow's; workers make them instead\n"
    assert capsys.readouterr().err == line


def test_round_trips__another_subsampling():
    with pytest.raises(ValueError, match=r"^subsampling '4:2:2': choose 4:4:4 or 4:2:0$"):
        round_trips(torch.zeros(1, 3, 8, 8, dtype=torch.uint8), [(95, "4:2:2")])


def test_pool__workers_that_have_stopped(monkeypatch):
    """The thread of a pool whose workers do nothing while a photo is waited for."""
    made = pool._Pool.__new__(pool._Pool)
    errors = []
    made._workers, made._closing, made._wake_read = [], False, -1
    made._give_out = made._starved = made._give_without_slot = lambda: False
    made._wanted_is_given = lambda: True
    made._fail = errors.append
    monkeypatch.setattr(pool, "Watch", lambda processes: SimpleNamespace(stalled=lambda patience: patience == 60.0))
    monkeypatch.setattr(pool, "wait", lambda sources, timeout: [])
    made._serve()
    [error] = errors
    assert isinstance(error, DataError)
    assert str(error) == (
        "the workers that make views have done nothing for 60 seconds; is the disk with the photos there? "
        "--workers 0 makes views without them"
    )


def test_masked_views__their_keys():
    saved = {"kind": "masked", "reencode": "JPEG q95 4:4:4"}
    assert MaskedViews(0.5).view_keys() == {
        "whole": {**saved, "name": "whole"},
        "masked": {**saved, "name": "masked", "ratio": 0.5},
        "complement": {**saved, "name": "complement", "ratio": 0.5},
    }
    assert list(MaskedViews(0.0).view_keys()) == ["whole"]


class Counting(nn.Module):
    """Counts its calls in a buffer, in evaluation too."""

    def __init__(self):
        super().__init__()
        self.register_buffer("calls", torch.zeros(1))

    def forward(self, batch):
        self.calls += 1
        return batch


def test_fixed_views__sentences():
    network = Counting()
    with (
        pytest.warns(UserWarning, match=r"^the buffer calls changes in evaluation; it was put back$"),
        untouched(network),
    ):
        network(torch.zeros(1))
    assert network.calls.item() == 0
    views = FixedViews(None, np.ones(2, bool), {}, (), RunOptions(), 2)
    for made, sentence in (
        (torch.zeros(2, 3, 4), "the network gives (2, 3, 4) for 2 pictures, not vectors: give embed=..."),
        ([1], "the network gives list for 2 pictures, not vectors: give embed=..."),
    ):
        with pytest.raises(UsageError) as refused:
            views._embedded(network, lambda network, batch, made=made: made, np.zeros((2, 3), np.float32))
        assert str(refused.value) == sentence
