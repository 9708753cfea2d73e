"""Which engine is used: by itself, forced, and when something is wrong with it."""

import builtins
import os
import signal
import subprocess
import sys
import warnings

import numpy as np
import pytest
from PIL import Image

from builders.errors import PhotoError, UsageError
from builders.kernels import background
from builders.pixels.engine import selection
from builders.pixels.parameters import PROCESSINGS, Processing
from builders.pixels.process import preprocess_all, process, process_all, reencode_jpeg
from builders.pixels.reference import process_by_pillow

pytest.importorskip("numba")


@pytest.fixture(autouse=True)
def _fresh(monkeypatch):
    monkeypatch.delenv(selection.VARIABLE, raising=False)
    selection._tested.cache_clear()
    yield
    selection._tested.cache_clear()


def noise(width: int = 40, height: int = 30) -> Image.Image:
    return Image.fromarray(np.random.default_rng(0).integers(0, 256, (height, width, 3), dtype=np.uint8))


def test_engine__is_numba_where_installed(recwarn):
    from builders.pixels.engine import photo

    assert selection.chosen_engine() is photo
    assert not recwarn.list


def test_engine__forced(monkeypatch):
    from builders.pixels.engine import photo

    monkeypatch.setenv(selection.VARIABLE, "pillow")
    assert selection.chosen_engine() is None
    monkeypatch.setenv(selection.VARIABLE, "numba")
    assert selection.chosen_engine() is photo
    monkeypatch.setenv(selection.VARIABLE, "gpu")
    with pytest.raises(UsageError, match="set it to 'numba' or 'pillow'"):
        selection.chosen_engine()


def test_engine__absent_is_pillow_without_a_word_and_an_error_if_forced(monkeypatch, recwarn):
    monkeypatch.setattr(selection.importlib.util, "find_spec", lambda name: None)
    selection._tested.cache_clear()
    assert selection.chosen_engine() is None
    assert not recwarn.list
    monkeypatch.setenv(selection.VARIABLE, "numba")
    with pytest.raises(UsageError, match=r"pip install 'camtrace\[fast\]'"):
        selection.chosen_engine()


def test_engine__that_differs_is_left_with_one_warning(monkeypatch):
    from builders.pixels.engine import photo

    exact = photo.preprocessed

    def off_by_one(pixels, requests, planners):
        views = exact(pixels, requests, planners)
        views[-1][0][0, 0, 0] ^= 1
        return views

    monkeypatch.setattr(photo, "preprocessed", off_by_one)
    with pytest.warns(RuntimeWarning, match="differs from this Pillow .*jpeg-q75-420.*using Pillow"):
        assert selection.chosen_engine() is None
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert selection.chosen_engine() is None
        image = noise()
        expected = process_by_pillow(image, PROCESSINGS["jpeg-q75-420"], "a")
        np.testing.assert_array_equal(
            np.asarray(process(image, PROCESSINGS["jpeg-q75-420"], "a")), np.asarray(expected)
        )
    monkeypatch.setenv(selection.VARIABLE, "numba")
    with pytest.raises(UsageError, match="differs from this Pillow"):
        selection.chosen_engine()


def test_engine__that_does_not_compile_is_left_with_one_warning(monkeypatch):
    original = builtins.__import__

    def broken(name, *args, **kwargs):
        if name == "builders.pixels.engine" and "photo" in (args[2] or ()):
            raise RuntimeError("LLVM says no\nat length")
        return original(name, *args, **kwargs)

    monkeypatch.setattr(builtins, "__import__", broken)
    with pytest.warns(RuntimeWarning, match=r"cannot be compiled \(RuntimeError: LLVM says no\); using Pillow"):
        assert selection.chosen_engine() is None


def test_compiled_beside__what_still_compiles_ends_with_the_process_that_began_it():
    with subprocess.Popen([sys.executable, "-c", "import time; time.sleep(100)"]) as process:
        background._end(process, os.getpid() + 1)  # a fork of it
        assert process.poll() is None
        background._end(process, os.getpid())
        assert process.returncode == -signal.SIGTERM


def test_engine_being_compiled__while_the_process_that_compiles_is_at_it(monkeypatch):
    kernels = selection.ENGINE_KERNELS
    monkeypatch.setattr(kernels, "_process", None)
    assert not selection.engine_being_compiled()  # none was needed
    with subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE) as process:
        monkeypatch.setattr(kernels, "_process", process)
        assert selection.engine_being_compiled()
        process.communicate(b"\n")
        assert not selection.engine_being_compiled()


def test_compiled_beside__what_a_machine_lacks_counts_as_compiling(monkeypatch, tmp_path):
    times = iter([0.0, 3.0, 10.0, 17.0, 20.0, 21.0])
    monkeypatch.setattr(background, "kernel_folder", lambda: tmp_path)
    monkeypatch.setattr(background.time, "perf_counter", lambda: next(times))
    kernels, before = background.BackgroundKernels("os:getpid", "some"), background.compiling_s()
    with kernels.first_call():
        pass
    assert background.compiling_s() - before == 3
    with pytest.raises(RuntimeError), kernels.first_call():
        raise RuntimeError("of a compiler")
    assert background.compiling_s() - before == 3 + 7
    kernels.note()
    with kernels.first_call():
        pass
    assert background.compiling_s() - before == 3 + 7


def test_tested__waits_for_who_compiles_and_notes_that_the_kernels_are_there(monkeypatch):
    done = []
    monkeypatch.setattr(selection.ENGINE_KERNELS, "wait", lambda: done.append("waited"))
    monkeypatch.setattr(selection.ENGINE_KERNELS, "note", lambda: done.append("noted"))
    for objection in ("", "the fast engine differs"):
        selection._tested.cache_clear()
        monkeypatch.setattr(selection, "self_test", lambda photo, said=objection: done.append("tested") or said)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", RuntimeWarning)
            assert selection._tested()[1] == objection
    selection._tested.cache_clear()
    assert done == ["waited", "tested", "noted", "waited", "tested"]


def test_entry_point__compiles_where_nothing_can_be_written(monkeypatch, tmp_path):
    from builders.kernels import compile

    def double(x):
        return 2 * x

    def refuse(self):
        raise OSError("read-only")

    monkeypatch.setattr("numba.core.caching._CacheLocator.ensure_cache_path", refuse)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    assert compile.entry_point(double)(21) == 42
    assert not list(tmp_path.iterdir())


def test_entry_point__is_kept_in_a_folder_named_by_the_sources(monkeypatch, tmp_path):
    from numba import config

    from builders.kernels import cache, compile

    def treble(x):
        return 3 * x

    stale = tmp_path / "camtrace" / f"engine-{'0' * 16}"
    stale.mkdir(parents=True)
    os.utime(stale, (0, 0))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.setattr(config, "CACHE_DIR", str(tmp_path / "numba"))
    assert compile.entry_point(treble)(2) == 6
    assert list((tmp_path / "numba").rglob("*.nbi"))
    assert [p.name for p in (tmp_path / "camtrace").iterdir()] == [stale.name]
    monkeypatch.setattr(config, "CACHE_DIR", "")
    assert compile.entry_point(treble)(2) == 6
    assert [p.name for p in (tmp_path / "camtrace").iterdir()] == [f"engine-{cache.sources_hash()}"]
    assert list((tmp_path / "camtrace").rglob("*.nbi"))
    assert config.CACHE_DIR == ""


def test_kernel_folder__changes_with_a_part_of_another_package(tmp_path):
    from builders.kernels.cache import kernel_folder

    part, other = tmp_path / "part.py", tmp_path / "other.py"
    part.write_text("FACTOR = 2\n")
    other.write_text("FACTOR = 3\n")
    folders = {kernel_folder(), kernel_folder((str(part),)), kernel_folder((str(other),))}
    assert len(folders) == 3
    other.write_text("FACTOR = 2\n")
    # named by what is in them
    kernel_folder.__globals__["sources_hash"].cache_clear()
    assert kernel_folder((str(other),)) == kernel_folder((str(part),))


def test_process__is_the_same_by_every_engine(monkeypatch):
    image = noise()
    fast = [np.asarray(view) for view in process_all(image, list(PROCESSINGS.values()), "a")]
    monkeypatch.setenv(selection.VARIABLE, "pillow")
    slow = [np.asarray(process(image, processing, "a")) for processing in PROCESSINGS.values()]
    for a, b in zip(fast, slow, strict=True):
        np.testing.assert_array_equal(a, b)


def test_preprocess_all__mixes_both_engines_in_the_order_asked():
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
    monkeypatch.setenv(selection.VARIABLE, forced)
    with pytest.raises(PhotoError, match=r"^1 x 9 resized by 0\.5 leaves no pixel$"):
        process(Image.new("RGB", (1, 9)), PROCESSINGS["resizing-x0.5"], "id")
    with pytest.raises(PhotoError, match=r"^66000 x 4 cannot be saved as JPEG"):
        process(Image.new("RGB", (33_000, 2)), PROCESSINGS["resizing-x2"], "id")


def test_reencode_jpeg__of_grey_is_left_to_pillow():
    grey = Image.new("L", (9, 9), 100)
    assert reencode_jpeg(grey, 95, "4:4:4").mode == "L"


def test_the_engine_knows_neither_torch_nor_the_benchmark():
    import subprocess

    code = (
        "import sys; from builders.pixels.engine.selection import chosen_engine; assert chosen_engine();"
        "sys.exit(any(m == 'torch' or m.startswith('benchmark') for m in sys.modules))"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
