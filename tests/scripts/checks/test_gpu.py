"""``scripts.checks.gpu`` as far as a machine without a GPU can try it: it runs, alone, and says what it left out."""

import json
import os
import sys
from pathlib import Path

import pytest
import torch

from scripts.checks.gpu import __main__ as gpu_check
from scripts.checks.gpu import answers, networks
from scripts.checks.gpu.answers import CHECKS
from scripts.checks.gpu.self_test import FAULTS, rows_with
from tests.support import card as fake_card
from tests.support.processes import run_python

ROOT = Path(__file__).resolve().parents[3]
ABSENT = ("datasets", "pyarrow", "pandas", "transformers", "open_clip", "sklearn", "scipy", "skimage", "matplotlib")
ABSENT += ("evaluate", "piexif", "pi_heif", "pillow_heif", "flickrapi", "numba", "faiss", "efficientnet_lite_pytorch")
"""Packages that a bare checkout with torch, timm, pillow, numpy and tqdm does not bring."""


def run(*options):
    code = (
        f"import runpy, sys\nabsent = {ABSENT!r}\n"
        "there = [name for name in sys.modules if name.partition('.')[0] in absent]\n"  # of the one that was forked
        "for name in (*there, *absent): sys.modules[name] = None\n"
        f"sys.argv = ['gpu', *{options!r}]\nrunpy.run_module('scripts.checks.gpu', run_name='__main__')"
    )
    environment = {**os.environ, "CUDA_VISIBLE_DEVICES": "", "OMP_NUM_THREADS": "1"}
    return run_python("-c", code, cwd=ROOT, env=environment, timeout=240)


def requested(monkeypatch, *options):
    """The script in this process, which has every package."""
    monkeypatch.setattr(sys, "argv", ["gpu", *options])
    monkeypatch.setattr(gpu_check, "TABLE", None)
    return gpu_check.main()


def test_gpu_check__refuses_without_cuda_in_one_sentence(monkeypatch, capsys):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    for options in ((), ("--device", "cpu")):
        assert requested(monkeypatch, *options) == 2
        printed = capsys.readouterr()
        assert printed.out == ""
        assert "--device" in printed.err.strip()


ANSWERS = ["embeddings", "copies", "views", "neighbours", "probes", "retrieval"]
PARTS = [
    *ANSWERS,
    "pixels",
    "batches",
    "precision",
    "attention",
    "layouts",
    "repeats",
    "stages",
    "makers",
    "waits",
    "pipeline",
]
PARTS += ["memory", "compiled", "blocks", "rows", "knn", "probe"]


@pytest.mark.slow
def test_gpu_check__quick_on_a_bare_checkout(tmp_path, photo_folder):
    """Everything but ``several``, whose processes have a test of their own."""
    file = tmp_path / "figures.json"
    requested = ("--device", "cpu", "--quick", "--only", ",".join(PARTS), "--json", str(file))
    requested += ("--table", str(tmp_path / "table.md"))
    done = run(*requested, "--photos", str(photo_folder / "val" / "cat"))
    assert done.returncode == 0, done.stderr
    record = json.loads(file.read_text())
    assert not [row for row in record["rows"] if row["wrong"]]
    by_part = {}
    for row in record["rows"]:
        by_part.setdefault(row["part"], {})[row["what"]] = row
    assert list(by_part) == PARTS
    table = (tmp_path / "table.md").read_text()
    assert all(
        word in table for word in ("CPU alone", "numpy ", "Pillow ".lower(), "Python 3.", "commit ", "| embeddings: ")
    )
    compared = [row["what"] for part in ANSWERS for row in by_part[part].values()]
    assert len(compared) == 3 * (3 + 2 + 1 + 1 + 1 + 1)  # against the CPU, and each of the two against stored values
    assert record["limits_s"]["pixels"] == 900  # ten times as long where parts are chosen
    assert [row["value"] for row in by_part["pixels"].values()] == [1, 0, 0, 0]
    assert by_part["pixels"]["odd pictures"]["unit"] == f"of {5 * 4 * (14 * 5 + 12):,} wrong"
    assert by_part["pixels"]["photos of cat"]["unit"] == f"of {6 * 14} wrong"
    assert not [what for what in by_part["probe"] if "iccv2025" in what]  # its search needs scipy; converged does not
    [skipped] = record["skipped"]
    assert skipped == "probe skipped from here on: it needs scipy (pip install scipy)"
    assert skipped in done.stdout
    assert "| pixels: odd pictures " in done.stdout
    sizes = [f"test_vit, float32: batch of {n} against 28" for n in (1, 10, 14)]
    assert all(by_part["batches"][what]["value"] <= 1e-5 for what in sizes)
    assert 0 < by_part["attention"]["float32, math"]["value"] < 1e-6
    assert by_part["repeats"]["numbers that differ, the same again"]["value"] == 0
    assert {what for what in by_part["makers"] if "engine" in what} == {"the exact engine is not here"}
    assert by_part["makers"]["by 1 workers with Pillow"]["value"] > 0
    assert 0 <= by_part["waits"]["encoders without views, views by 0 workers"]["value"] <= 1
    assert list(by_part["memory"]) == ["only a card can have less memory"]
    assert set(by_part["compiled"]) == {"test_vit: compiled", "test_resnet: compiled"}
    assert by_part["rows"]["the same from the host's memory"]["value"] > 0


@pytest.mark.slow
def test_gpu_check__on_a_fake_card(monkeypatch, tmp_path, capsys):
    """What only a card has: its memory, its streams, torch's count of waits."""
    card = fake_card.card(monkeypatch)
    parts = ("attention", "layouts", "waits", "memory", "blocks", "rows")
    requested = ["gpu", "--quick", "--only", ",".join(parts), "--json", str(tmp_path / "figures.json")]
    monkeypatch.setattr(sys, "argv", requested)
    monkeypatch.setattr(gpu_check, "TABLE", None)
    try:
        assert gpu_check.main() == 0, capsys.readouterr().out
    finally:
        networks.random_network.cache_clear()
    record = json.loads((tmp_path / "figures.json").read_text())
    assert record["machine"].startswith("fake card, ")
    by = {row["what"]: row["value"] for row in record["rows"]}
    assert {row["part"] for row in record["rows"]} == set(parts)
    assert by["the host waited, views by 0 workers"] == 0
    assert by["the host waited, views on the device"] == 0
    assert by["pass with little memory (3)"] == by["kNN with 48 MiB: answers that differ"] == 0
    assert card.total == 8 << 30
    assert card.clashes == []


@pytest.mark.slow
def test_gpu_check__a_part_that_fails_is_a_row_and_status_1(monkeypatch, tmp_path):
    file = tmp_path / "figures.json"
    options = ("--device", "cpu", "--quick", "--only", "pixels,knn", "--photos", "/nowhere", "--json", str(file))
    assert requested(monkeypatch, *options) == 1
    rows = json.loads(file.read_text())["rows"]
    [failed] = [row for row in rows if row["wrong"]]
    assert failed["what"] == "failed: FileNotFoundError: no folder /nowhere"
    assert rows[-1]["part"] == "knn"


@pytest.mark.parametrize("fault", FAULTS[1:], ids=lambda fault: fault.name)
def test_self_test__finds_a_planted_fault(fault):
    """In the first of the parts that must find it: as rows, never as an error that ends the part."""
    [part, *_] = fault.parts
    rows = rows_with(fault, [part])
    wrong = [row.what for _, row in rows if row.wrong]
    assert wrong
    assert len(wrong) < len(rows) or part != "embeddings"


def test_answers__an_error_costs_its_own_row(monkeypatch):
    """The CPU's answer is still compared with the stored one, and the other checks of the part are made."""

    def broken(device):
        raise AssertionError("odd")

    right = CHECKS["embeddings"](True)
    monkeypatch.setitem(answers.CHECKS, "embeddings", lambda quick: {**right, "attention": broken})
    rows = list(answers.answers("embeddings", torch.device("cpu"), True))
    assert [row.what for row in rows if row.wrong] == [
        f"attention, on {where}: failed: AssertionError: odd" for where in ("the CPU", "the device")
    ]
    assert len(rows) == 3 + 2 + 3
