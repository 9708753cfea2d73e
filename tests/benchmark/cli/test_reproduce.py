"""The study beside our numbers: tables and figures, with whatever encoders can be loaded."""

import csv
import json

import numpy as np
import pytest

from benchmark.__main__ import main
from benchmark.compare import network_findings, published_rows, write_published
from benchmark.results import Result, Score, published_encoders, read_runs
from benchmark.scoring import Row
from benchmark.tasks import all_tasks
from tests.support.images import image_bytes
from tests.support.probe_runs import UNDER_PRESET

SPEC, NAME = "openai/clip-vit-base-patch16", "CLIP (ViT-B/16, WIT)"


def row(data="imagenet", spec=SPEC, shift=0.0, of="imagenet"):
    """A sweep's row whose scores are the published ones of ``NAME``, shifted."""
    reference = [s for s in published_encoders()[0].scores if s.data == of]
    scores = []
    for s in reference:
        value = float(np.clip(s.value + shift, -1 if s.metric == "spd" else 0, 1))
        low, high = max(-1.0, value - 0.01), min(1.0, value + 0.01)
        scores.append(Score(s.task, data, s.metric, value, low, high, s.n, s.chance))
    result = Result({"id": spec, "group": "CVL"}, {"name": data}, UNDER_PRESET, tuple(scores), (), {}, "")
    return Row(spec, data, "scored", "", "x", result)


def test_published_rows__and_their_csv(tmp_path):
    rows = published_rows([row(shift=0.02), Row("b/b", "imagenet", "failed", "no weights", "")])
    assert {r.encoder for r in rows} == {NAME}
    probe = next(r for r in rows if r.task == "probe/jpeg")
    assert probe.difference == pytest.approx(0.02)
    assert probe.inside is False
    write_published(rows, tmp_path / "beside.csv")
    read = list(csv.DictReader((tmp_path / "beside.csv").read_text(encoding="utf-8").splitlines()))
    line = next(r for r in read if r["task"] == "probe/jpeg")
    assert float(line["ours"]) - float(line["published"]) == pytest.approx(0.02)
    assert (line["inside"], line["published_data"]) == ("False", "imagenet")
    assert len(read) == len(rows)


ENCODER = """
import numpy as np
def encode(image):
    gray = np.asarray(image.convert("L"), dtype=np.float32)
    return np.array([gray.mean(), np.abs(np.diff(gray)).mean(), gray.size], dtype=np.float32)
encode.cache_key = "1"
"""


@pytest.mark.slow
def test_reproduce__through_the_command_line(tmp_path, monkeypatch, capsys):
    (tmp_path / "reproduced.py").write_text(ENCODER)
    rng = np.random.default_rng(0)
    for split, count in (("train", 10), ("val", 4)):
        for name in ("a", "b"):
            for i in range(count):
                path = tmp_path / "photos" / split / name / f"{i}.jpg"
                path.parent.mkdir(parents=True, exist_ok=True)
                path.write_bytes(image_bytes(rng.integers(0, 256, (20, 24, 3), dtype=np.uint8), "JPEG", quality=90))
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.chdir(tmp_path)
    models = ("--model", "reproduced:encode", "--model", SPEC)
    where = ("--workers", "0", "--cache", "cache", "--output", "out")
    status = main(["reproduce", "iccv2025", "--data", "folder:photos", *models, "--tasks", "knn/resizing", *where])
    printed = capsys.readouterr()
    assert status == 1, printed.err  # one of the two cannot be loaded
    text = (tmp_path / "out" / "iccv2025.md").read_text()
    assert "reproduced:encode" in text
    assert f"| {SPEC} " in text.partition("## Not measured")[2]
    assert (tmp_path / "out" / "knn-folder-photos.png").is_file()
    # the preset is the default, recorded by every result, and cannot be left here
    run = json.loads(next((tmp_path / "out").glob("*/*/result.json")).read_text())
    assert {n: run["environment"]["options"][n] for n in UNDER_PRESET["options"]} == UNDER_PRESET["options"]
    assert main(["reproduce", "iccv2025", "--data", "folder:photos", "--ties", "nearest"]) == 2
    assert "leave --ties out" in capsys.readouterr().err
    assert main(["reproduce", "iccv2024", "--data", "sample"]) == 2
    assert "'iccv2025'" in capsys.readouterr().err
    assert main(["reproduce", "iccv2025"]) == 2
    assert "which photos?" in capsys.readouterr().err


@pytest.mark.slow
def test_reproduce_packages__judges_the_networks_together(tmp_path, monkeypatch, capsys):
    (tmp_path / "of_packages.py").write_text(ENCODER + ENCODER.replace("encode", "other").replace("gray.size", "1.0"))
    rng = np.random.default_rng(0)
    for split, count in (("train", 10), ("val", 4)):
        for name in ("a", "b"):
            for i in range(count):
                path = tmp_path / "photos" / split / name / f"{i}.jpg"
                path.parent.mkdir(parents=True, exist_ok=True)
                path.write_bytes(image_bytes(rng.integers(0, 256, (20, 24, 3), dtype=np.uint8), "JPEG", quality=90))
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.chdir(tmp_path)
    tasks = ("--tasks", "probe/resizing", "--tasks", "knn/resizing", "--workers", "0", "--cache", "cache")
    ask = ("reproduce", "packages", "--data", "folder:photos", *tasks)
    models = ("--model", "of_packages:encode", "--model", "of_packages:other")
    assert main([*ask, *models, "--output", "two"]) == 0, capsys.readouterr().err
    page = (tmp_path / "two" / "packages.md").read_text()
    assert "resizing can be read" in page
    assert (tmp_path / "two" / "packages.png").is_file()
    runs = read_runs(tmp_path / "two", all_tasks()).runs
    together = {(f.encoder, f.statement): f for f in network_findings(runs)}
    assert {f.decision.family for f in together.values()} == {2}
    for run in runs:
        for alone in network_findings([run]):
            both = together[alone.encoder, alone.statement].decision
            assert both.low <= alone.decision.low
            assert both.p_value >= alone.decision.p_value
    assert main([*ask, "--preset", "iccv2025"]) == 2
    assert main([*ask, "--data", "sample"]) == 2
