"""Encoders named as code run in a process of their own: what they do stays there, and its end is their failure."""

from __future__ import annotations

import json
import os
import resource
import sys
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image, ImageFile

import camtrace
from benchmark.__main__ import main
from benchmark.encoders import load_encoder
from builders.errors import EncoderError
from builders.untrusted import ForeignCodeError
from tests.conftest import write_dark_and_light
from tests.support.processes import run_python

VECTOR = """
import os, signal, time
import numpy as np
from PIL import Image, ImageFile

def encode(image):
    pixels = np.asarray(image.resize((16, 16)), dtype=np.float32)
    return pixels.reshape(4, 4, 4, 4, 3).mean((1, 3)).ravel()
"""

PICTURE = Image.new("RGB", (40, 30), (200, 30, 90))


@pytest.fixture
def write(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[str, str], str]:
    """Writes a module of a user that ends with some code; returns the name of its encoder."""
    monkeypatch.chdir(tmp_path)

    def module(name: str, code: str = "") -> str:
        (tmp_path / f"{name}.py").write_text(VECTOR + code)
        return f"{name}:encode"

    return module


def test_load_encoder__a_module_is_not_imported_here(write: Callable[..., str]) -> None:
    spec = write("flags_of_mine", "ImageFile.LOAD_TRUNCATED_IMAGES = True\nnp.argsort = None\n")
    encoder = load_encoder(spec, device="cpu")
    array = encoder.preprocess(PICTURE)
    assert encoder.embed(torch.from_numpy(array)[None]).shape == (1, 48)
    assert torch.equal(encoder.embed(array[None]), encoder.embed(torch.from_numpy(array)[None]))
    assert "flags_of_mine" not in sys.modules
    assert not ImageFile.LOAD_TRUNCATED_IMAGES
    assert callable(np.argsort)


def results(out: Path) -> dict[str, Any]:
    files = {path.parts[-3]: json.loads(path.read_text()) for path in out.glob("*/*/result.json")}
    return {name: (result["scores"], result["failures"]) for name, result in files.items()}


def sweep(out: str, models: Sequence[str]) -> int:
    named = [word for model in models for word in ("--model", model)]
    data = ["--data", "folder:photos", "--tasks", "knn/jpeg", "--workers", "0", "--quiet"]
    return main(["sweep", *named, *data, "--output", out, "--cache", f"{out}-cache"])


@pytest.mark.slow
def test_sweep__cut_photos_stay_failures_of_all_encoders(write: Callable[..., str], tmp_path: Path) -> None:
    write_dark_and_light(tmp_path / "photos", 8, 4, (48, 64))
    cut = sorted((tmp_path / "photos").rglob("*.jpg"))[::6]
    for photo in cut:
        photo.write_bytes(photo.read_bytes()[: photo.stat().st_size // 2])
    honest, flags = write("honest_of_mine"), write("cut_of_mine", "ImageFile.LOAD_TRUNCATED_IMAGES = True\n")
    assert sweep("alone", [honest]) == 0
    assert sweep("beside", [flags, honest]) == 0
    alone, beside = results(tmp_path / "alone"), results(tmp_path / "beside")
    assert beside["honest_of_mine-encode"] == alone["honest_of_mine-encode"]
    failures = beside["cut_of_mine-encode"][1]
    assert {failure["name"] for failure in failures} == {
        photo.relative_to(tmp_path / "photos").as_posix() for photo in cut
    }


@pytest.mark.parametrize(
    ("code", "word"),
    [
        ("os.kill(os.getpid(), signal.SIGSEGV)", "SIGSEGV"),
        ("import resource; np.ones(resource.getrlimit(resource.RLIMIT_DATA)[0] // 8 + 1)", "Memory"),
    ],
)
def test_load_encoder__an_end_at_import_is_one_sentence(write: Callable[..., str], code: str, word: str) -> None:
    with pytest.raises(EncoderError, match=word) as caught:
        load_encoder(write("ends_of_mine", code), device="cpu")
    assert "ends_of_mine" in str(caught.value)


@pytest.mark.parametrize(
    "code",
    ["sys.excepthook = threading.excepthook = None", "sys.stdout.close(); sys.stderr.close()", "sys.stdout = None"],
)
def test_load_encoder__without_hooks_or_outputs_it_embeds(write: Callable[..., str], code: str) -> None:
    spec = write("hooks_of_mine", f"import sys, threading\n{code}\n")
    encoder = load_encoder(spec, device="cpu")
    expected = load_encoder(write("hooked_of_mine"), device="cpu").preprocess(PICTURE)
    assert np.array_equal(encoder.preprocess(PICTURE), expected)


@pytest.mark.skipif(not hasattr(resource, "prlimit"), reason="no limits of other processes")
def test_preprocess__without_descriptors_it_has_failed(write: Callable[..., str], tmp_path: Path) -> None:
    encoder = load_encoder(write("few_of_mine", "open('process', 'w').write(str(os.getpid()))\n"), device="cpu")
    encoder.preprocess(PICTURE)
    resource.prlimit(int((tmp_path / "process").read_text()), resource.RLIMIT_NOFILE, (3, 3))
    with ThreadPoolExecutor(1) as second, ThreadPoolExecutor(1) as third:  # each thread has a connection of its own
        second.submit(encoder.preprocess, PICTURE).exception()  # was waited for before there was a limit
        with pytest.raises(ForeignCodeError):
            third.submit(encoder.preprocess, PICTURE).result()


@pytest.mark.slow
def test_sweep__a_killed_process_is_the_failure_of_its_encoder(write: Callable[..., str], tmp_path: Path) -> None:
    write_dark_and_light(tmp_path / "photos", 8, 4, (48, 64))
    code = "SERVER, whole = os.getpid(), encode\ndef encode(image):\n"
    code += "    if os.path.exists('kill'): os.kill(SERVER, signal.SIGKILL)\n    return whole(image)\n"
    honest, killed = write("honest_of_mine"), write("killed_of_mine", code)
    assert sweep("alone", [killed, honest]) == 0
    (tmp_path / "kill").touch()
    assert sweep("beside", [killed, honest]) == 1
    alone, beside = results(tmp_path / "alone"), results(tmp_path / "beside")
    assert beside == {"honest_of_mine-encode": alone["honest_of_mine-encode"]}
    rows = json.loads((tmp_path / "beside" / "sweep.json").read_text())["rows"]
    assert {row["spec"]: row["state"] for row in rows} == {honest: "scored", killed: "failed"}


@pytest.mark.slow
def test_load_encoder__a_first_forward_without_end(write: Callable[..., str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CAMTRACE_FORWARD_S", "1")
    spec = write("waits_of_mine", "def encode(image):\n    while True: time.sleep(.1)\n")
    started = time.monotonic()
    with pytest.raises(EncoderError, match="waits_of_mine"):
        load_encoder(spec, device="cpu")
    assert time.monotonic() - started < 60


def test_load_encoder__the_process_ends_with_the_encoder(write: Callable[..., str], tmp_path: Path) -> None:
    code = "open(f'at-work-{os.getpid()}', 'w').close()\n"
    encoder = load_encoder(write("gone_of_mine", code), device="cpu")
    [process] = [int(path.name[8:]) for path in tmp_path.glob("at-work-*")]
    os.kill(process, 0)
    del encoder
    with pytest.raises(ProcessLookupError):
        os.kill(process, 0)


def test_score__an_object_that_replaces_functions_of_the_run_has_failed(tmp_path: Path) -> None:
    write_dark_and_light(tmp_path / "photos", 8, 4, (48, 64))
    before = np.argsort

    def replaces(image: Image.Image) -> np.ndarray:
        np.argsort = lambda *_, **__: None  # type: ignore[assignment]
        return np.asarray(image.resize((4, 4)), dtype=np.float32).ravel()

    with pytest.raises(EncoderError, match=r"numpy\.argsort"):
        camtrace.score(
            replaces, data=f"folder:{tmp_path / 'photos'}", tasks="knn/jpeg", workers=0, cache=tmp_path / "c"
        )
    assert np.argsort is before


TOGETHER = """
import gc, sys, threading, time, types
sys.modules["openvino"] = types.ModuleType("openvino")  # with its threads a process cannot fork
from PIL import Image
from benchmark.encoders import load_encoder
loaded = [None, None]
def load(i):
    loaded[i] = load_encoder("mine:encode", device="cpu")
threads = [threading.Thread(target=load, args=(i,)) for i in range(2)]
for thread in threads:
    thread.start()
for thread in threads:
    thread.join()
gc.collect()
time.sleep(2)
print([len(encoder.preprocess(Image.new("RGB", (40, 30)))) for encoder in loaded])
"""


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="others start an interpreter for each")
def test_load_encoder__two_at_once_where_the_run_cannot_fork(tmp_path: Path) -> None:
    (tmp_path / "mine.py").write_text(VECTOR)
    (tmp_path / "together.py").write_text(TOGETHER)
    done = run_python("together.py", cwd=tmp_path, env={**os.environ, "PYTHONPATH": str(tmp_path)})
    assert done.stdout == "[48, 48]\n", done.stderr
