"""A vision-language model by the commands: scores and record, the estimate, ranks of a plan, and from the Hub."""

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from benchmark.__main__ import camtrace
from tests.support.processes import run_python

pytestmark = pytest.mark.usefixtures("unpainted")

TASK = "answers/sharpening"


@pytest.fixture(scope="module")
def photos(tmp_path_factory) -> Path:
    """Three classes, 70 photos: two blocks."""
    folder = tmp_path_factory.mktemp("photos")
    rng = np.random.default_rng(0)
    for i in range(70):
        name = folder / ("train" if i % 7 else "val") / ("cat", "dog", "cow")[i % 3] / f"{i}.png"
        name.parent.mkdir(parents=True, exist_ok=True)
        pixels = np.add.outer(np.arange(24) * rng.uniform(0, 5), np.arange(32) * rng.uniform(0, 5))[..., None]
        Image.fromarray((pixels + rng.uniform(0, 99, (24, 32, 3))).astype(np.uint8)).save(name)
    return folder


def words(model: Path, photos: Path, folder: Path) -> list[str]:
    data = ["--model", f"vlm:{model}", "--data", f"folder:{photos}", "--tasks", TASK, "--device", "cpu"]
    return [*data, "--workers", "0", "--cache", str(folder / "cache"), "--output", str(folder / "out"), "--quiet"]


def scores_of(folder: Path) -> list[dict]:
    return json.loads((folder / "result.json").read_text())["scores"]


@pytest.mark.slow
def test_score__dry_run_and_ranks(vision_language_model, photos, tmp_path, capsys):
    model = vision_language_model("llava")
    assert camtrace(["score", *words(model, photos, tmp_path / "a"), "--dry-run"]) == 0
    estimate = capsys.readouterr().out
    assert "10 questions about 10 photos: 80 answers with those of the noise floor" in estimate
    assert "not measured" not in estimate
    assert not (tmp_path / "a/out").exists()

    assert camtrace(["score", *words(model, photos, tmp_path / "a")]) == 0
    result = json.loads((tmp_path / "a/out/result.json").read_text())
    assert result["encoder"]["id"] == f"vlm:llava@{result['encoder']['weights_sha256'][:8]}"
    assert f"--model vlm:MODEL --data folder:PATH --tasks {TASK}" in result["environment"]["command"]
    assert str(tmp_path) not in (tmp_path / "a/out/result.json").read_text()
    assert result["failures"] == []
    flips = next(score for score in result["scores"] if score["metric"] == "flips")
    assert flips["n"] == 10
    assert set(flips["details"]["noise"]) == {"png", "other-batch", "other-precision", "other-order"}
    assert flips["details"]["noise"]["png"]["flips"] == 0
    assert {"answering", "of which the model"} <= set(result["cost"]["seconds"])
    capsys.readouterr()

    assert camtrace(["plan", "score", *words(model, photos, tmp_path / "b"), "--ranks", "2"]) == 0
    plan = tmp_path / "b/out.plan"
    for rank in (1, 0):
        assert camtrace(["work", str(plan), "--rank", str(rank)]) == 0
    assert camtrace(["finish", str(plan)]) == 0
    banks = [{p.name: tree(p) for p in (tmp_path / one / "cache/banks").iterdir()} for one in "ab"]
    assert banks[0] == banks[1]
    assert len(banks[0]) == 5  # embeddings, answers, and three of the noise floor
    assert scores_of(tmp_path / "b/out") == result["scores"]


def tree(folder: Path) -> dict[str, bytes]:
    return {p.relative_to(folder).as_posix(): p.read_bytes() for p in folder.rglob("*") if p.is_file()}


CLIENT = """
import json, sys
from benchmark.encoders import load_encoder
encoder = load_encoder(sys.argv[1], device="cpu")
info, model = encoder.info, encoder.answers
print(json.dumps([info.id, info.revision, model.answerer.identity, model.rule.name]))
"""


@pytest.mark.slow
def test_load__from_the_hub(hub, vision_language_model, tmp_path):
    """Pinned to the commit, with its chat template, and without what needs no download."""
    files = {path.name: path.read_bytes() for path in vision_language_model("idefics3").iterdir()}
    commit = hub.create("someone/tiny", "model").commit({**files, "evil.py": b"raise SystemExit"}, "one")
    spec = "vlm:someone/tiny?questions=choice"
    run = run_python("-c", CLIENT, spec, env=hub.environment(tmp_path / "home"))
    assert run.returncode == 0, run.stderr
    name, revision, identity, rule = json.loads(run.stdout)
    assert (name, revision, identity["revision"], rule) == (spec, commit, commit, "choice")
    assert hub.count("GET", r"resolve/.*chat_template.jinja") == 1
    assert hub.count("GET", r"resolve/.*\.py") == 0
