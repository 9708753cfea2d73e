"""``scripts/gpu_check.py`` as far as a machine without a GPU can try it: it runs, alone, and says what it left out."""

import json
import os
import subprocess
import sys
from pathlib import Path

import torch

SCRIPTS = Path(__file__).resolve().parents[2] / "scripts"
ABSENT = ("datasets", "pyarrow", "pandas", "transformers", "open_clip", "sklearn", "scipy", "skimage", "matplotlib")
ABSENT += ("evaluate", "piexif", "pillow_heif", "flickrapi", "numba", "faiss", "efficientnet_lite_pytorch")
"""Packages that a bare checkout with torch, timm, pillow, numpy and tqdm does not bring."""


def run(*options):
    script = str(SCRIPTS / "gpu_check.py")
    code = (
        f"import runpy, sys\nfor name in {ABSENT!r}: sys.modules[name] = None\n"
        f"sys.argv = ['gpu_check.py', *{options!r}]\nrunpy.run_path({script!r}, run_name='__main__')"
    )
    environment = {**os.environ, "CUDA_VISIBLE_DEVICES": "", "OMP_NUM_THREADS": "1"}
    return subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, env=environment, timeout=120)


def test_gpu_check__refuses_without_cuda_in_one_sentence():
    for options in ((), ("--device", "cpu")):
        done = run(*options)
        assert done.returncode == 2
        assert done.stdout == ""
        assert done.stderr.strip() == "no CUDA device is here; --device cpu --quick only tries whether this script runs"


def test_gpu_check__quick_on_a_bare_checkout(tmp_path, photo_folder):
    file = tmp_path / "figures.json"
    done = run("--device", "cpu", "--quick", "--json", str(file), "--photos", str(photo_folder / "val" / "cat"))
    assert done.returncode == 0, done.stderr
    record = json.loads(file.read_text())
    assert not [row for row in record["rows"] if row["wrong"]]
    by_part = {}
    for row in record["rows"]:
        by_part.setdefault(row["part"], {})[row["what"]] = row
    assert list(by_part) == ["pixels", "embeddings", "precision", "stages", "pipeline", "knn", "probe"]
    assert [row["value"] for row in by_part["pixels"].values()] == [1, 0, 0, 0]
    assert by_part["pixels"]["odd pictures"]["unit"] == f"of {5 * 4 * (14 * 5 + 12):,} wrong"
    assert by_part["pixels"]["photos of cat"]["unit"] == f"of {6 * 14} wrong"
    assert not [what for what in by_part["probe"] if "iccv2025" in what]  # its search needs scipy; converged does not
    [skipped] = record["skipped"]
    assert skipped == "probe skipped from here on: it needs scipy (pip install scipy)"
    assert skipped in done.stdout
    assert "| pixels: odd pictures " in done.stdout


def test_gpu_check__a_part_that_fails_is_a_row_and_status_1(tmp_path):
    file = tmp_path / "figures.json"
    done = run("--device", "cpu", "--quick", "--only", "pixels,knn", "--photos", "/nowhere", "--json", str(file))
    assert done.returncode == 1
    rows = json.loads(file.read_text())["rows"]
    [failed] = [row for row in rows if row["wrong"]]
    assert failed["what"] == "failed: FileNotFoundError: no folder /nowhere"
    assert rows[-1]["part"] == "knn"


def test_recorder__replays_the_same_products(monkeypatch):
    monkeypatch.syspath_prepend(str(SCRIPTS))
    from gpu_parts.products import Recorder

    a, b = torch.rand(2, 3, 4), torch.rand(6, 4)
    with Recorder() as recorder:
        for _ in range(3):
            torch.nn.functional.linear(a, b, torch.rand(6))  # an addmm of [6, 4] and [4, 6]
        torch.bmm(a, a.mT)
        a + a
    shapes = {(left.shape, right.shape): count for (left, right), count in recorder.products.items()}
    assert shapes == {((6, 4), (4, 6)): 3, ((2, 3, 4), (2, 4, 3)): 1}
    replay = recorder.replay()
    with Recorder() as replayed:
        replay()
    assert replayed.products == recorder.products


def test_gpu_check__an_unknown_part():
    done = run("--device", "cpu", "--quick", "--only", "pixel")
    assert done.returncode == 2
    assert "unknown part 'pixel'" in done.stderr
