"""Sweeps through the real command line: shared passes, rows for failures, resuming, estimates."""

import json
import re
import shutil
from pathlib import Path

import pytest

import benchmark.views.recipe
from benchmark.__main__ import main
from benchmark.results import read_result
from benchmark.results.schema import SEAL
from builders.errors import PhotoError
from builders.sources import FolderSource
from tests.conftest import write_dark_and_light

ENCODERS = """
import numpy as np

def small(image):
    pixels = np.asarray(image.resize((8, 8)), dtype=np.float32)
    detail = np.abs(np.diff(np.asarray(image.convert("L"), dtype=np.float32), axis=0)).mean()
    return np.append(pixels.mean((0, 1)) / 64, detail)

small.cache_key = "small, 1"

def large(image):
    return np.append(small(image), image.size)

large.cache_key = "large, 1"

def nameless(image):
    return small(image)

def network():
    import torch
    torch.manual_seed(0)
    module = torch.nn.Sequential(torch.nn.Conv2d(3, 4, 8, 8), torch.nn.GELU(), torch.nn.Flatten())
    module.preprocess = lambda image: np.asarray(image.resize((16, 16)), dtype=np.float32).transpose(2, 0, 1) / 255
    module.cache_key = "network, 1"
    return module

def stages():
    import torch
    from torch import nn
    torch.manual_seed(0)

    class Stages(nn.Module):
        def __init__(self):
            super().__init__()
            self.one = nn.Sequential(nn.Conv2d(3, 4, 3, 2), nn.ReLU())
            self.two = nn.Conv2d(4, 6, 3, 2)

        def forward(self, x):
            return self.two(self.one(x)).amax((2, 3))

    module = Stages()
    module.preprocess = lambda image: np.asarray(image.resize((16, 16)), dtype=np.float32).transpose(2, 0, 1) / 255
    module.cache_key = "stages, 1"
    return module

def broken(image):
    raise RuntimeError("this encoder is broken")

def ending(image):
    import os
    os._exit(0)

def fragile(image):
    if np.asarray(image).mean() > 150:
        raise RuntimeError("too light for me")
    return small(image)
"""

DATA = ("--data", "folder:photos", "--workers", "0")

pytestmark = pytest.mark.usefixtures("unpainted", "brief")


@pytest.fixture(scope="module")
def photos(tmp_path_factory) -> Path:
    root = tmp_path_factory.mktemp("sweep")
    (root / "sweep_encoders.py").write_text(ENCODERS)
    write_dark_and_light(root / "photos", 8, 4, (24, 32))
    return root


@pytest.fixture
def sweep(photos, tmp_path, monkeypatch, capsys):
    """Run a sweep over encoders named in a file; gives its output. Counts decoded photos in ``sweep.decoded``."""
    monkeypatch.syspath_prepend(str(photos))
    monkeypatch.chdir(photos)
    decode = benchmark.views.recipe.decode_rgb

    def counted(*args, **kwargs):
        run.decoded += 1
        return decode(*args, **kwargs)

    monkeypatch.setattr(benchmark.views.recipe, "decode_rgb", counted)

    def run(*names, options=(), expect=0, task="knn/sharpening"):
        models = tmp_path / "models.txt"
        models.write_text("# encoders\n" + "\n".join(f"sweep_encoders:{n}  # mine" for n in names))
        run.decoded = 0
        output = ("--output", str(tmp_path / "out"), "--cache", str(tmp_path / "cache"))
        assert main(["sweep", "--models", str(models), *DATA, "-t", task, *output, *options]) == expect
        return capsys.readouterr()

    run.out = tmp_path / "out"
    return run


def rows(sweep):
    return {row["spec"].partition(":")[2]: row for row in json.loads((sweep.out / "sweep.json").read_text())["rows"]}


@pytest.mark.slow
def test_sweep__one_pass_for_all_and_failures_are_rows(sweep):
    printed = sweep("small", "broken", "fragile", "large", "absent", expect=1, task="probe/sharpening")
    # every photo once for all, but for the 12 that an encoder's own preprocessing cannot take: there by each of three
    # preprocessings alone, and for the one that fails by each of three views
    # and before that, alone: 3 photos by two encoders, by the fragile one 3 and, twice, 2 that it cannot take;
    # together: 3, and those 2 once, by each alone, and for the fragile one by its view
    assert sweep.decoded == 12 + 12 * (1 + 3 + 3) + (3 + 3 + 3 + 2 * 2) + (3 + 2 * (1 + 3 + 1))
    measured = rows(sweep)
    assert {name: row["state"] for name, row in measured.items()} == {
        "small": "scored", "broken": "failed", "fragile": "failed", "large": "scored", "absent": "failed",
    }  # fmt: skip
    assert "encoder" in measured["broken"]["reason"]
    assert "absent" in measured["absent"]["reason"]
    assert "2 scored, 0 kept, 3 failed" in printed.out
    assert measured["fragile"]["reason"][:40] in printed.out
    result = read_result(sweep.out / measured["large"]["folder"] / "result.json")
    assert [s.task for s in result.scores] == ["probe/sharpening"]
    assert result.environment["command"] == (
        "camtrace score --model sweep_encoders:large --data folder:PATH --tasks probe/sharpening"
    )
    assert sorted(result.environment["local"]) == ["data", "model"]
    assert "your folder of 24 photos (folder:photos)" in result.environment["local"]["data"]
    # photos that one encoder's own preprocessing cannot take are lost for it alone, and it has no score on the others
    assert result.failures == ()
    assert result.score("probe/sharpening", "accuracy").n == 8
    assert "12" in measured["fragile"]["reason"]
    assert "light" in measured["fragile"]["reason"]
    assert not list(sweep.out.glob("*fragile*"))
    report = (sweep.out / "report.md").read_text()
    assert "this encoder is broken" in report


def test_sweep__an_encoder_that_ends_the_process_is_a_row_like_any_other(sweep):
    sweep("ending", "small", expect=1)
    measured = rows(sweep)
    assert {name: row["state"] for name, row in measured.items()} == {"ending": "failed", "small": "scored"}
    assert "process" in measured["ending"]["reason"]


@pytest.mark.slow
def test_sweep__a_result_without_photos_that_a_disk_did_not_give_is_made_again(sweep, monkeypatch):
    real, reads = FolderSource.read, []

    def losing(self, row):
        """The first read is for the hash of the bytes, which is then known."""
        reads.append(row)
        if row == 1 and reads.count(1) > 1:
            raise PhotoError("the file cannot be read (Input/output error)")
        return real(self, row)

    with monkeypatch.context() as patch:
        patch.setattr(FolderSource, "read", losing)
        sweep("small", options=("--min-usable", "0.5"))
    stored = read_result(sweep.out / rows(sweep)["small"]["folder"] / "result.json")
    assert [failure.kind for failure in stored.failures] == ["photo"]
    sweep("small", options=("--min-usable", "0.5"))
    assert rows(sweep)["small"]["state"] == "scored"
    assert read_result(sweep.out / rows(sweep)["small"]["folder"] / "result.json").failures == ()
    sweep("small", options=("--min-usable", "0.5"))
    assert rows(sweep)["small"]["state"] == "kept"


@pytest.mark.slow
def test_sweep__resumes_and_does_the_rest(sweep):
    sweep("small")
    before = (sweep.out / rows(sweep)["small"]["folder"] / "result.json").read_bytes()
    printed = sweep("small", "large")
    assert {name: row["state"] for name, row in rows(sweep).items()} == {"small": "kept", "large": "scored"}
    assert "sweep_encoders:small" in printed.err
    assert (sweep.out / rows(sweep)["small"]["folder"] / "result.json").read_bytes() == before
    again = sweep("small", "large", options=("--json",))
    assert "0 scored, 2 kept" in again.err
    reported = [(row["encoder"], row["metric"]) for row in json.loads(again.out)["scores"]]
    assert [encoder for encoder, metric in reported if metric == "spd"] == [
        "sweep_encoders:small",
        "sweep_encoders:large",
    ]
    assert {row["state"] for row in rows(sweep).values()} == {"kept"}
    assert sweep.decoded == 0


@pytest.mark.slow
def test_sweep__another_question_is_scored_anew(sweep):
    """Each run asks what the one before it asked, but for one option."""
    sweep("small")
    options = ()
    for change in (("--seed", "1"), ("--mask-ratio", "0.5"), ("--limit", "20"), ("--fresh",)):
        options += change
        sweep("small", options=options)
        assert rows(sweep)["small"]["state"] == "scored", change


@pytest.mark.slow
def test_sweep__a_result_by_another_runtime_is_not_reused(sweep):
    """Nor one of another version of it; one that its own check sent back to torch is what ``auto`` gives."""
    sweep("network", options=("--runtime", "openvino"))
    file = sweep.out / rows(sweep)["network"]["folder"] / "result.json"
    first = unsealed(file)
    assert first["environment"]["runtime"]["name"] == "openvino"
    sweep("network", options=("--runtime", "torch"))
    assert rows(sweep)["network"]["state"] == "scored"
    assert json.loads(file.read_text())["environment"]["runtime"]["name"] == "torch"
    sweep("network", options=("--runtime", "torch"))
    assert rows(sweep)["network"]["state"] == "kept"
    sweep("network", options=("--runtime", "openvino"))
    assert rows(sweep)["network"]["state"] == "scored"

    def state_where(runtime, requested):
        file.write_text(json.dumps({**first, "environment": {**first["environment"], "runtime": runtime}}))
        sweep("network", options=("--runtime", requested))
        return rows(sweep)["network"]["state"]

    changed = first["environment"]["runtime"]
    assert state_where(changed, "openvino") == "kept"
    assert state_where({**changed, "version": "2020.1"}, "openvino") == "scored"
    refused = {"name": "torch", "version": "2", "on_photos": {"passed": False}}
    assert state_where(refused, "torch") == "kept"
    assert state_where(refused, "openvino") == "scored"


@pytest.mark.slow
def test_sweep__layers_are_scored_where_a_finished_result_lacks_them(sweep):
    def scored(*options):
        sweep("stages", options=options)
        row = rows(sweep)["stages"]
        result = read_result(sweep.out / row["folder"] / "result.json")
        return row["state"], [output.name for output in result.outputs]

    assert scored() == ("scored", [])
    assert scored("--outputs", "layers[-1]:mean") == ("scored", ["layers[1]:mean"])
    assert scored("--outputs", "layers[-1]:mean") == ("kept", ["layers[1]:mean"])
    assert scored("--outputs", "layers:mean") == ("scored", ["layers[0]:mean", "layers[1]:mean"])
    assert scored() == ("scored", [])


@pytest.mark.slow
def test_sweep__a_result_of_another_environment_is_not_reused(sweep):
    sweep("small")
    file = sweep.out / rows(sweep)["small"]["folder"] / "result.json"
    result = unsealed(file)
    for change, options, state in (
        ({}, (), "kept"),
        ({"device": "NVIDIA H100 80GB HBM3"}, (), "scored"),
        ({"dtype": "bfloat16"}, (), "scored"),
        ({"storage": "float16"}, (), "scored"),
        ({"compiled": True}, (), "scored"),
        ({"codec_canary": "another"}, (), "scored"),
        ({"options": {}}, (), "scored"),
        ({"precision_gate": {"passed": True}}, (), "kept"),
        ({"precision_gate": {"passed": False}}, (), "scored"),
        ({"precision_gate": {}}, (), "kept"),
        ({"precision_gate": {"passed": False}}, ("--force-dtype",), "kept"),
    ):
        file.write_text(json.dumps({**result, "environment": {**result["environment"], **change}}))
        sweep("small", options=options)
        assert rows(sweep)["small"]["state"] == state, (change, options)


@pytest.mark.slow
def test_sweep__quiet_says_nothing_of_what_goes_well(sweep):
    assert "group 1 of 1" in sweep("small").err
    assert "kept: " in sweep("small").err
    assert sweep("small", options=("-q",)).err == ""


def unsealed(path: Path) -> dict:
    """A result's values without their checksum, so that a test can change them."""
    raw = json.loads(path.read_text())
    raw["environment"].pop(SEAL, None)
    return raw


@pytest.mark.slow
def test_sweep__a_result_of_other_photos_is_not_reused(sweep):
    """The finished result on disk says something else of its photos."""
    sweep("small")
    path = sweep.out / rows(sweep)["small"]["folder"] / "result.json"
    stored = unsealed(path)
    none = None  # as read from a file of schema version 1
    for data in ({}, {"bytes_hash": "0" * 32}, {"question_hash": "0" * 32}, {"question_hash": none}):
        path.write_text(json.dumps({**stored, "data": {**stored["data"], **data}}))
        sweep("small")
        assert rows(sweep)["small"]["state"] == ("scored" if data else "kept"), data


def other_bytes(folder: Path) -> None:
    """One photo is replaced by another, under its name."""
    (folder / "train/dark/0.jpg").write_bytes((folder / "train/light/0.jpg").read_bytes())


def other_label(folder: Path) -> None:
    """Two photos change places between the classes."""
    one, two = folder / "train/dark/0.jpg", folder / "train/light/0.jpg"
    data = one.read_bytes()
    one.write_bytes(two.read_bytes())
    two.write_bytes(data)


def one_more(folder: Path) -> None:
    (folder / "val/dark/9.jpg").write_bytes((folder / "val/dark/0.jpg").read_bytes() + b"\0")


def one_less(folder: Path) -> None:
    (folder / "val/dark/0.jpg").unlink()


def other_names(folder: Path) -> None:
    """The same bytes under other ids and another name of the class."""
    for split in ("train", "val"):
        (folder / split / "light").rename(folder / split / "pale")


@pytest.mark.slow
def test_sweep__other_photos_under_one_name_are_scored_anew(sweep, photos, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    shutil.copytree(photos / "photos", "photos")
    sweep("small")
    path = sweep.out / rows(sweep)["small"]["folder"] / "result.json"
    before = read_result(path).data["bytes_hash"]
    for change, n in ((other_label, 8), (other_bytes, 8), (one_more, 9), (one_less, 8), (other_names, 8)):
        change(Path("photos"))
        printed = sweep("small")
        again = read_result(path)
        assert rows(sweep)["small"]["state"] == "scored", change
        assert "1 scored, 0 kept" in printed.out
        assert (again.data["bytes_hash"] == before) == (change is other_names)
        assert again.score("knn/sharpening", "all-same").n == n
        before = again.data["bytes_hash"]
    assert "0 scored, 1 kept" in sweep("small").out


@pytest.mark.slow
def test_sweep__what_cannot_be_identified_is_never_reused(sweep):
    sweep("nameless")
    sweep("nameless")
    assert rows(sweep)["nameless"]["state"] == "scored"


@pytest.mark.slow
def test_sweep__one_at_a_time_gives_the_same_scores(sweep):
    sweep("small", "large", task="probe/sharpening")
    together = read_result(sweep.out / rows(sweep)["small"]["folder"] / "result.json")
    sweep("small", "large", options=("--one-at-a-time", "--fresh"), task="probe/sharpening")
    assert sweep.decoded == 2 * 24 + 2 * (3 + 3)  # those that it is asked for alone and in company
    alone = read_result(sweep.out / rows(sweep)["small"]["folder"] / "result.json")
    assert alone.scores[0].value == together.scores[0].value


def test_sweep__all_failed_is_status_1(sweep):
    sweep("broken", expect=1)
    assert not (sweep.out / "sweep_encoders-broken").exists()


@pytest.mark.slow
def test_sweep__dry_run_measures_and_scores_nothing(sweep):
    printed = sweep("small", "nameless", "absent", options=("--dry-run",), task="probe/sharpening")
    assert not sweep.out.exists()
    line = next(line for line in printed.out.splitlines() if "sweep_encoders:small" in line)
    assert re.search(r"\| +72 \|", line)  # 24 photos under 3 processings
    assert re.search(r"2 of 3 rows can be scored", printed.out)
    # small: 72 views of 4 numbers of 4 bytes
    assert "0.0" in printed.out
    stages = re.findall(r"^\| (.+?) +\| +[\d.]+ (?:s|min) \| +[\d.]+ (?:s|min) \|$", printed.out, re.M)
    assert stages[:2] == ["starting", "loading encoders"]
    assert {"Processing probes", "all"} < set(stages)
    assert "absent" in printed.out
