"""The choice of the engine: by default, forced, and if it is not usable."""

import builtins
import subprocess
import sys

import numpy as np
import pytest
from PIL import Image

from builders.errors import PhotoError, UsageError
from builders.kernels import VARIABLE
from builders.pixels import PROCESSINGS, Processing, preprocess_all, process_all, process_by_pillow, reencode_jpeg
from builders.pixels.engine import selection
from builders.pixels.process import process

pytest.importorskip("numba")


@pytest.fixture(autouse=True)
def _fresh(monkeypatch):
    monkeypatch.delenv(VARIABLE, raising=False)
    selection._trial.cache_clear()
    yield
    selection._trial.cache_clear()


def noise(width: int = 40, height: int = 30) -> Image.Image:
    return Image.fromarray(np.random.default_rng(0).integers(0, 256, (height, width, 3), dtype=np.uint8))


def test_engine__is_numba_where_installed(recwarn):
    from builders.pixels.engine import photo

    assert selection.chosen_engine() is photo
    assert not recwarn.list


def test_engine__forced(monkeypatch):
    from builders.pixels.engine import photo

    monkeypatch.setenv(VARIABLE, "pillow")
    assert selection.chosen_engine() is None
    monkeypatch.setenv(VARIABLE, "numba")
    assert selection.chosen_engine() is photo
    monkeypatch.setenv(VARIABLE, "gpu")
    with pytest.raises(UsageError, match="'pillow'"):
        selection.chosen_engine()


def test_engine__that_does_not_compile_is_not_used_and_warns_once(monkeypatch):
    original = builtins.__import__

    def broken(name, *args, **kwargs):
        if name == "builders.pixels.engine" and "photo" in (args[2] or ()):
            raise RuntimeError("LLVM says no\nat length")
        return original(name, *args, **kwargs)

    monkeypatch.setattr(builtins, "__import__", broken)
    with pytest.warns(RuntimeWarning, match="RuntimeError"):
        assert selection.chosen_engine() is None


def test_process__is_the_same_by_every_engine(monkeypatch):
    image = noise()
    fast = [np.asarray(view) for view in process_all(image, list(PROCESSINGS.values()), "a")]
    monkeypatch.setenv(VARIABLE, "pillow")
    slow = [np.asarray(process(image, processing, "a")) for processing in PROCESSINGS.values()]
    for a, b in zip(fast, slow, strict=True):
        np.testing.assert_array_equal(a, b)


def test_preprocess_all__mixes_both_engines_in_the_order_of_the_request():
    image = noise()
    processings = [
        Processing("own", sharpness=1.5),
        PROCESSINGS["jpeg-q75-420"],
        Processing("both", 80, sharpness=2, scale=2),
    ]
    (made,) = preprocess_all(image, processings, "a", [lambda *size: np.asarray])
    for view, processing in zip(made, processings, strict=True):
        np.testing.assert_array_equal(view, np.asarray(process_by_pillow(image, processing, "a")))


@pytest.mark.parametrize("forced", ["numba", "pillow"])
def test_process__fails_in_the_same_words(forced, monkeypatch):
    monkeypatch.setenv(VARIABLE, forced)
    with pytest.raises(PhotoError, match=r"0\.5"):
        process(Image.new("RGB", (1, 9)), PROCESSINGS["resizing-x0.5"], "id")
    with pytest.raises(PhotoError, match="66000"):
        process(Image.new("RGB", (33_000, 2)), PROCESSINGS["resizing-x2"], "id")


def test_reencode_jpeg__of_grey_is_left_to_pillow():
    grey = Image.new("L", (9, 9), 100)
    assert reencode_jpeg(grey, 95, "4:4:4").mode == "L"


@pytest.mark.slow
def test_the_engine_imports_neither_torch_nor_the_benchmark():

    code = (
        "import sys; from builders.pixels.engine.selection import chosen_engine; assert chosen_engine();"
        "sys.exit(any(m == 'torch' or m.startswith('benchmark') for m in sys.modules))"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
