"""The script that compares families of encoders with the library by hand."""

import importlib.util
from pathlib import Path

import numpy as np
import pytest

from scripts.families.table import CASES, TIMM
from scripts.families.trial import relative_error

SCRIPT = Path(__file__).resolve().parents[2] / "scripts" / "check_families.py"
spec = importlib.util.spec_from_file_location("check_families", SCRIPT)
script = importlib.util.module_from_spec(spec)
spec.loader.exec_module(script)


def test_table__is_of_the_size_that_was_promised():
    assert len(CASES) >= 60
    assert len(TIMM) >= 20


def test_check_families__counts_and_writes_its_tables(tmp_path, capsys):
    page = tmp_path / "page.md"
    page.write_text(f"before\n\n{script.MARK}\nold\n")
    names = ["vit classifier", "bert", "resnet50.a1_in1k"]
    assert script.main(["--only", *names, "--markdown", str(page)]) == 0
    printed = capsys.readouterr().out
    assert "transformers: 2 tried, of 2 families: 1 right, 1 refused, 0 WRONG; 1 against their own task head" in printed
    assert "timm: 1 tried, of 1 families: 1 right, 0 refused, 0 WRONG" in printed
    written = page.read_text()
    assert written.startswith(f"before\n\n{script.MARK}\n")
    assert "old" not in written
    assert "| vit classifier | what its classifier reads: class token after the last norm | exact engine |" in written


def test_check_families__a_wrong_embedding_is_told(monkeypatch, capsys):
    from scripts.families import trial

    found = trial.embed
    monkeypatch.setattr(trial, "embed", lambda encoder, pictures: found(encoder, pictures) * 1.001)
    assert script.main(["--only", "vit classifier", "--no-timm"]) == 1
    assert "0 right, 0 refused, 1 WRONG" in capsys.readouterr().out


def test_relative_error__is_beside_what_photos_differ_by():
    expected = np.array([[100.0, 1.0], [100.0, 3.0]])
    assert relative_error(expected + np.array([0.0, 0.01]), expected) == pytest.approx(0.01)
    assert relative_error(expected[:, :1], expected) == float("inf")
