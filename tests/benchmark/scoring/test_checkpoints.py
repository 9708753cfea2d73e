"""Checkpoints of a training: one command scores them by step and draws the course."""

from __future__ import annotations

from pathlib import Path

import pytest
import timm
import torch

from benchmark.cli.score import main
from benchmark.report import in_step_order, step_of
from benchmark.results import read_result

pytestmark = pytest.mark.usefixtures("unpainted", "brief")

SMALL = {"img_size": 32, "patch_size": 8, "embed_dim": 32, "depth": 1, "num_heads": 4}


@pytest.mark.slow
def test_checkpoints__are_scored_by_step(photo_folder: Path, tmp_path: Path) -> None:
    folders = []
    for step in (1000, 500):
        torch.manual_seed(step)
        model = timm.create_model("vit_tiny_patch16_224", pretrained=False, num_classes=7, **SMALL)
        model.pretrained_cfg.update({"input_size": (3, 32, 32)})
        folders.append(str(tmp_path / f"checkpoint-{step}"))
        timm.models.save_for_hf(model, folders[-1], model_args=SMALL)
    common = ["-d", f"folder:{photo_folder}", "--device", "cpu", "--workers", "0", "--tasks", "probe/sharpening"]
    out = tmp_path / "out"
    assert main(["--model", *folders, *common, "--cache", str(tmp_path / "cache"), "-o", str(out)]) == 0
    printed = (out / "report.md").read_text()
    assert "local-dir:checkpoint" in printed
    rows = [line.split("|")[1:3] for line in printed.splitlines() if line[:2] == "| " and line[2].isdigit()]
    assert [step.strip() for step, _ in rows] == ["500", "1000"]
    read = [read_result(path) for path in out.rglob("result.json")]
    by_step = {step_of(str(r.encoder["id"])): r.score("probe/sharpening", "accuracy").value for r in read}
    assert [cell.split()[0] for _, cell in rows] == [
        f"{100 * by_step['local-dir:checkpoint', step]:.1f}" for step in (500, 1000)
    ]
    assert (out / "course.png").stat().st_size > 10_000


def test_step_order__of_one_training_only() -> None:
    names = ["b/checkpoint-20", "a/checkpoint-100", "b/checkpoint-3", "a/checkpoint-20", "x"]
    assert in_step_order(names) == ["b/checkpoint-3", "a/checkpoint-20", "b/checkpoint-20", "a/checkpoint-100", "x"]
    assert step_of("checkpoint-" + "1" * 40) is None
