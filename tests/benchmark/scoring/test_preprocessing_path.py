"""Who carried out an encoder's preprocessing stands in the result and in the report, through the real command."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest

from benchmark.__main__ import main
from builders.pixels import chosen_engine

pytestmark = pytest.mark.usefixtures("unpainted", "brief")

CODE = """
import numpy as np
import torch
from PIL import Image
from benchmark.encoders import Pixels
from benchmark.encoders.preprocess.pixels import CenterCrop, ResizeShort, ResizeTo

def network(preprocess):
    module = torch.nn.Sequential(torch.nn.AdaptiveAvgPool2d(2), torch.nn.Flatten())
    module.preprocess, module.mean, module.std = preprocess, (0.5,) * 3, (0.5,) * 3
    return module

def engine():
    return network(Pixels((ResizeShort(20, Image.Resampling.BICUBIC), CenterCrop(16, 16))))

def pillow():
    return network(Pixels((ResizeTo(16, 16, Image.Resampling.NEAREST),)))

def own():
    return network(lambda image: np.asarray(image.resize((16, 16))))
"""


@pytest.mark.parametrize(("name", "path"), [("engine", "exact engine"), ("own", "its own code")])
def test_score__says_who_preprocessed(
    name: str, path: str, tmp_path: Path, photo_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    if chosen_engine() is None:  # without numba there is none
        path = "Pillow" if path == "exact engine" else path
    (tmp_path / "path_encoders.py").write_text(CODE)
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(str(tmp_path))
    sys.modules.pop("path_encoders", None)
    given = ["-d", f"folder:{photo_folder}", "-t", "probe/jpeg", "--limit", "20", "--workers", "0", "--cache", "cache"]
    assert main(["score", "-m", f"path_encoders:{name}", *given, "-o", "out", "-q"]) == 0
    assert json.loads(Path("out/result.json").read_text())["environment"]["preprocessing_by"] == path
    report = Path("out/report.md").read_text()
    assert f"preprocessed by {'the ' if path == 'exact engine' else ''}{path}; " in report
