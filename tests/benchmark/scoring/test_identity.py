"""Two trainings of one folder name through the real commands: two encoders everywhere, and neither is written over."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
import timm
import torch

from benchmark.__main__ import main
from benchmark.encoders import encoder_hash, load_encoder
from benchmark.results import Result, Score, read_result, write_result
from benchmark.scoring.output import move_existing
from tests.conftest import write_dark_and_light
from tests.support.scoring import values_of

VIT = {"img_size": 32, "patch_size": 8, "embed_dim": 16, "depth": 1, "num_heads": 2}
ONE, TWO = "run1/checkpoint-1000", "run2/checkpoint-1000"
DATA = ("-d", "folder:photos", "--workers", "0")

pytestmark = pytest.mark.usefixtures("unpainted", "brief")


def save(folder: Path, seed: int, **config: object) -> None:
    torch.manual_seed(seed)
    model = timm.create_model("vit_tiny_patch16_224", pretrained=False, num_classes=3, **VIT)
    model.pretrained_cfg.update({"input_size": (3, 32, 32), **config})
    timm.models.save_for_hf(model, folder, model_args=VIT)


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    root = tmp_path_factory.mktemp("identity")
    save(root / ONE, 1)
    save(root / TWO, 2)
    shutil.copytree(root / ONE, root / "copy/checkpoint-1000")
    save(root / "wider/checkpoint-1000", 1, crop_pct=0.5)
    write_dark_and_light(root / "photos", 8, 4, (48, 40))
    return root


@pytest.fixture
def score(folder, tmp_path, monkeypatch, capfd):
    """Run ``camtrace score`` on checkpoints; gives its standard error."""
    monkeypatch.chdir(folder)

    def run(*models, out, command="score", options=(), task="probe/sharpening"):
        named = [word for model in models for word in ("-m", model)]
        places = ("-o", str(tmp_path / out), "--cache", str(tmp_path / "cache"))
        assert main([command, *named, *DATA, "-t", task, *places, *options]) == 0
        return capfd.readouterr().err

    return run


@pytest.mark.slow
def test_score__two_checkpoints_of_one_folder_name_are_two_and_equal_to_each_alone(score, tmp_path, capfd):
    score(ONE, TWO, out="both")
    ids = [load_encoder(f"./{name}").info.id for name in (ONE, TWO)]
    hashes = [load_encoder(f"./{name}").info.weights_sha256 for name in (ONE, TWO)]
    assert ids == [f"local-dir:checkpoint-1000@{sha[:8]}" for sha in hashes]
    measured = [read_result(tmp_path / "both" / i.replace(":", "-") / "folder-photos/result.json") for i in ids]
    assert [one.encoder["weights_sha256"] for one in measured] == hashes
    report = (tmp_path / "both" / "report.md").read_text()
    assert all(f"## {i} on folder:photos" in report for i in ids)
    for name, one in zip((ONE, TWO), measured, strict=True):
        score(name, out=f"alone/{name}", options=("--cache", str(tmp_path / name)))
        alone = read_result(tmp_path / "alone" / name / "result.json")
        assert values_of(alone) == values_of(one)
        assert alone.encoder == one.encoder
    assert values_of(measured[0]) != values_of(measured[1])
    # the board has a row for each
    assert main(["leaderboard", "--results", str(tmp_path / "both"), "--output", str(tmp_path / "site")]) == 0
    rows = json.loads((tmp_path / "site" / "data.json").read_text())["rows"]
    assert [row["name"] for row in rows if row["origin"] == "measured"] == sorted(ids)


@pytest.mark.slow
def test_score__nothing_is_written_over_a_result_of_other_weights(score, tmp_path):
    out = tmp_path / "out"
    score(ONE, out="out")
    first = {path.name: path.read_bytes() for path in out.iterdir() if path.is_file()}
    assert {"result.json", "answers.npz", "report.html", "report.md", "report.png"} == set(first)
    printed = score(TWO, out="out")
    one = read_result(next(out.glob("local-dir-*/folder-photos/result.json")))
    stored = out / str(one.encoder["id"]).replace(":", "-") / "folder-photos"
    assert f"{stored}" in printed
    assert {path.name: path.read_bytes() for path in stored.iterdir()} == first
    two = read_result(out / "result.json")
    assert two.encoder["weights_sha256"] != one.encoder["weights_sha256"]
    # the same again is written over itself, whatever the tasks
    assert "kept" not in score(TWO, out="out", task="knn/sharpening")
    assert len(list(out.rglob("result.json"))) == 2


def test_score__one_encoder_in_two_folders_is_scored_once(score, tmp_path):
    printed = score(ONE, "copy/checkpoint-1000", TWO, out="out")
    assert "copy/checkpoint-1000" in printed
    assert len(list((tmp_path / "out").rglob("result.json"))) == 2


def result(weights: str, data: str = "pets", scored: bool = True) -> Result:
    one = Score("probe/jpeg", data, "accuracy", 0.5, 0.4, 0.6, 10, 0.2)
    encoder = {"id": "mine:encode", "weights_sha256": weights, "preprocessing": {"size": [8, 8]}}
    return Result(encoder, {"name": data}, {}, (one,) if scored else (), (), {}, "2026-01-01T00:00:00+00:00")


@pytest.mark.parametrize(
    ("new", "place"),
    [
        (result("1"), None),
        (result("2"), "mine-encode.{digest}/pets"),
        (result("1", "cats"), "mine-encode.{digest}/pets"),
        (result("1", scored=False), "mine-encode.{digest}/pets"),
    ],
)
def test_move_existing__unless_it_is_the_same_encoder_on_the_same_photos_again(tmp_path, new, place):
    folder = tmp_path / "mine-encode" / "pets"
    write_result(result("1"), folder / "result.json")
    (folder / "answers.npz").write_bytes(b"answers")
    where = move_existing(folder, tmp_path, new)
    if place is None:
        assert where is None
        assert (folder / "answers.npz").exists()
        return
    assert where == tmp_path / place.format(digest=encoder_hash(result("1").encoder))
    assert read_result(where / "result.json") == result("1")
    assert (where / "answers.npz").read_bytes() == b"answers"
    assert list(folder.iterdir()) == []


def test_move_existing__what_cannot_be_read_and_what_is_there_already_are_moved_too(tmp_path):
    for number, text in enumerate(("no result", "nor this"), 1):
        (tmp_path / "result.json").write_text(text)
        assert move_existing(tmp_path, tmp_path, result("1")) == tmp_path / f"set-aside-{number}"
    assert (tmp_path / "set-aside-1" / "result.json").read_text() == "no result"
    assert (tmp_path / "set-aside-2" / "result.json").read_text() == "nor this"


def test_encoder_hash__is_of_the_computation_not_of_where_it_ran():
    info = {"id": "a", "weights_sha256": "1", "preprocessing": {"size": (8, 8)}, "pooling": "mean"}
    same = {**info, "preprocessing": {"size": [8, 8]}, "group": "SSL", "parameters": 3}
    assert encoder_hash(info) == encoder_hash(same)
    for name in ("id", "weights_sha256", "preprocessing", "pooling", "revision", "dimension", "library"):
        assert encoder_hash({**info, name: "other"}) != encoder_hash(info), name
