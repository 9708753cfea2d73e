"""Every type of the installed libraries stands in the inventory; ``inventory.py`` tries them."""

from __future__ import annotations

import json
import os
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.encoders_by_hand import architectures, inventory, trial
from tests.encoders_by_hand.families import CASES
from tests.encoders_by_hand.inventory import NOT_BUILT, case_of, further_cases, in_child, types, unknown_types
from tests.encoders_by_hand.trial import Row, relative_error

# A library's new release must not redden a change that does not touch it: `.ci/run families` asks for what is new.
WHAT_TO_DO = """
A new release has types that this package has not been tried with. For each: build it small (small_config), look at what
its own code calls the embedding of a picture, write the case with that call by hand, and run
    python -m tests.encoders_by_hand.inventory RESULTS --only TYPE
An embedding that is wrong, or an error that is no sentence, is a fault of benchmark/encoders/loaders/transformers.
Or give the reason why it cannot be built small (NOT_BUILT)."""


@pytest.mark.by_hand
def test_inventory__has_every_type_of_the_installed_transformers() -> None:
    new = unknown_types(types())
    assert not new, f"transformers: {', '.join(new)}{WHAT_TO_DO}"


@pytest.mark.by_hand
def test_inventory__has_every_module_of_the_installed_timm() -> None:
    from timm.models import list_models, list_modules

    known = architectures.timm_modules(architectures.TIMM) | architectures.TIMM_TOO_LARGE.keys()
    new = [module for module in list_modules() if module not in known and list_models(module=module)]
    assert not new, f"timm: {', '.join(new)}{WHAT_TO_DO}"


@pytest.mark.by_hand
def test_inventory__has_every_kind_of_the_installed_open_clip() -> None:
    import open_clip

    tried = (*architectures.OPEN_CLIP, *architectures.OPEN_CLIP_TOO_LARGE)
    known = {architectures.open_clip_kind(name) for name in tried}
    new = [name for name in open_clip.list_models() if architectures.open_clip_kind(name) not in known]
    assert not new, f"open_clip: {', '.join(new)}{WHAT_TO_DO}"


def test_unknown_types__are_neither_tried_nor_excused() -> None:
    assert unknown_types(["clip", "vit_of_tomorrow"]) == ["vit_of_tomorrow"]


def test_inventory__is_of_the_size_that_was_promised() -> None:
    tried = {case_of(name) for name in types()} - {None}
    assert len(tried) >= 215
    assert sorted(tried | set(further_cases())) == sorted(CASES)
    assert not [name for name in NOT_BUILT if case_of(name) is not None]
    assert (len(architectures.TIMM) >= 60, len(architectures.OPEN_CLIP) >= 25) == (True, True)


def _crashes(name: str, below: Path) -> Row:
    os.abort()


def _hangs(name: str, below: Path) -> Row:
    time.sleep(60)
    raise AssertionError


def _fine(name: str, below: Path) -> Row:
    return Row(name, "right", "a class token")


@pytest.mark.slow
@pytest.mark.parametrize(("function", "verdict"), [(_crashes, "WRONG"), (_hangs, "WRONG"), (_fine, "right")])
def test_in_child__a_crash_and_a_hang_are_rows(function, verdict) -> None:
    row = in_child(function, "one", limit_s=2)
    assert (row.name, row.verdict) == ("one", verdict)


def test_main__goes_on_where_it_ended(tmp_path, monkeypatch) -> None:
    monkeypatch.setitem(NOT_BUILT, "clip", "it is too large")
    monkeypatch.delitem(CASES, "clip")
    monkeypatch.setattr(inventory, "names_of", lambda library: ["clip", "trocr"])
    assert inventory.main([str(tmp_path), "--libraries", "transformers", "--only", "clip"]) == 0
    assert inventory.main([str(tmp_path), "--libraries", "transformers"]) == 0
    rows = {file.stem: json.loads(file.read_text()) for file in (tmp_path / "transformers").iterdir()}
    assert {name: row["verdict"] for name, row in rows.items()} == {"clip": "not built", "trocr": "refused"}
    assert "reads text alone" in rows["trocr"]["words"]


def test_main__a_wrong_embedding_is_reported(tmp_path: Path, monkeypatch: Any) -> None:
    embed = trial.embed
    monkeypatch.setattr(trial, "embed", lambda encoder, pictures: embed(encoder, pictures) * 1.001)
    assert inventory.main([str(tmp_path), "--libraries", "transformers", "--only", "vit classifier"]) == 1
    row = json.loads((tmp_path / "transformers" / "vit classifier.json").read_text())
    assert row["verdict"] == "WRONG"


def test_relative_error__is_relative_to_the_differences_between_photos() -> None:
    expected = np.array([[100.0, 1.0], [100.0, 3.0]])
    assert relative_error(expected + np.array([0.0, 0.01]), expected) == pytest.approx(0.01)
    assert relative_error(expected[:, :1], expected) == float("inf")
