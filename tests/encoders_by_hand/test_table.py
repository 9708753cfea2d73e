"""The table of families in the documentation, on three of them; ``test_families.py`` tries all."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.encoders_by_hand import table, trial
from tests.encoders_by_hand.table import CASES, TIMM
from tests.encoders_by_hand.trial import relative_error


def test_table__is_of_the_size_that_was_promised() -> None:
    assert len(CASES) >= 60
    assert len(TIMM) >= 20


def test_main__counts_and_writes_its_tables(tmp_path: Path, capsys: Any) -> None:
    page = tmp_path / "page.md"
    mark = "<!-- by tests/encoders_by_hand/table.py -->"
    page.write_text(f"before\n\n{mark}\nold\n")
    names = ["vit classifier", "bert", "resnet50.a1_in1k"]
    assert table.main(["--only", *names, "--markdown", str(page)]) == 0
    printed = capsys.readouterr().out
    assert "transformers: 2 tried, of 2 families: 1 right, 1 refused, 0 WRONG; 1 against their own task head" in printed
    assert "timm: 1 tried, of 1 families: 1 right, 0 refused, 0 WRONG" in printed
    written = page.read_text()
    assert written.startswith(f"before\n\n{mark}\n")
    assert "old" not in written
    assert "| vit classifier | what its classifier reads: class token after the last norm | exact engine |" in written


def test_main__a_new_file_has_the_tables_alone(tmp_path: Path) -> None:
    assert table.main(["--only", "bert", "--no-timm", "--markdown", str(tmp_path / "new.md")]) == 0
    assert (tmp_path / "new.md").read_text().startswith("transformers: 1 tried, of 1 families: 0 right, 1 refused")


def test_main__a_wrong_embedding_is_reported(monkeypatch: Any, capsys: Any) -> None:
    embed = trial.embed
    monkeypatch.setattr(trial, "embed", lambda encoder, pictures: embed(encoder, pictures) * 1.001)
    assert table.main(["--only", "vit classifier", "--no-timm"]) == 1
    assert "0 right, 0 refused, 1 WRONG" in capsys.readouterr().out


def test_relative_error__is_relative_to_the_differences_between_photos() -> None:
    expected = np.array([[100.0, 1.0], [100.0, 3.0]])
    assert relative_error(expected + np.array([0.0, 0.01]), expected) == pytest.approx(0.01)
    assert relative_error(expected[:, :1], expected) == float("inf")
