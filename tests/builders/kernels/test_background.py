"""Kernels compiled by a separate process."""

import importlib.util
import os
import signal
import subprocess
import sys
import time

import pytest

from builders.kernels import background


def test_background_kernels__the_process_ends_with_the_one_that_started_it():
    with subprocess.Popen([sys.executable, "-c", "import time; time.sleep(100)"]) as process:
        background._end(process, os.getpid() + 1)  # a fork of it
        assert process.poll() is None
        background._end(process, os.getpid())
        assert process.returncode == -signal.SIGTERM


def test_background_kernels__count_as_compiling_where_this_machine_lacks_them(monkeypatch, tmp_path):
    times = iter([0.0, 3.0, 10.0, 17.0, 20.0, 21.0])
    monkeypatch.setattr(background, "kernel_folder", lambda files: tmp_path)
    monkeypatch.setattr(background.time, "perf_counter", lambda: next(times))
    kernels, before = background.BackgroundKernels("os:getpid", "some", tmp_path), background.compiling_s()
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


@pytest.fixture
def kernels(monkeypatch, tmp_path):
    """Kernels of a module whose function writes a file; their cache is below the folder."""
    (tmp_path / "a_compiler.py").write_text(
        "import pathlib\ndef compile_all():\n    pathlib.Path(__file__).with_name('ran').write_text(__name__)\n"
    )
    monkeypatch.setattr(background, "kernel_folder", lambda files: tmp_path / "cache" / str(len(files)))
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: object())
    monkeypatch.setattr(sys, "path", [str(tmp_path), *sys.path])
    monkeypatch.delenv("CAMTRACE_ENGINE", raising=False)
    return background.BackgroundKernels("a_compiler:compile_all", "some", tmp_path, "*.py", "*.yaml")


def test_begin__runs_the_function_in_a_process_with_the_paths_of_this_one(kernels, tmp_path):
    assert not kernels.running
    kernels.wait()
    process = kernels.begin()
    assert kernels.begin() is process
    kernels.wait()
    assert (process.returncode, kernels.running) == (0, False)
    assert (tmp_path / "ran").read_text() == "a_compiler"
    assert (tmp_path / "cache" / "1").is_dir()  # its one source file
    kernels.note()
    [marker] = (tmp_path / "cache" / "1").iterdir()
    assert marker.name.startswith("some-")
    assert kernels.begin() is process
    assert background.BackgroundKernels("a_compiler:none", "some", tmp_path, "*.py").begin() is None
    other = background.BackgroundKernels("a_compiler:compile_all", "other", tmp_path, "*.py")
    assert other._marker().name.startswith("other-")
    assert other._marker() != background.BackgroundKernels("a:b", "other", tmp_path)._marker()


@pytest.mark.parametrize("why", ["forced", "no numba", "read-only", "no process", "no folder", "forced numba"])
def test_begin__where_kernels_are_unwanted_or_cannot_be_cached(kernels, why, monkeypatch, tmp_path):
    started = []
    monkeypatch.setattr(background.subprocess, "Popen", lambda *a, **k: started.append(a) or failing(why))
    monkeypatch.setattr(background.atexit, "register", lambda *a: None)
    if why.startswith("forced"):
        monkeypatch.setenv("CAMTRACE_ENGINE", "numba" if why == "forced numba" else "pillow")
    if why == "no numba":
        monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    if why == "read-only":
        monkeypatch.setattr(os, "access", lambda path, mode: mode != os.W_OK)
    if why == "no folder":
        (tmp_path / "cache").write_text("a file")
    assert (kernels.begin() is not None) is (why == "forced numba")
    assert len(started) == (why in ("no process", "forced numba"))
    kernels.note()  # where nothing can be written, nothing happens


def failing(why):
    if why == "no process":
        raise OSError("no more processes")
    return object()


def test_wait__no_longer_than_its_limit(kernels, monkeypatch):
    monkeypatch.setattr(background, "WAIT_S", 0.01)
    with subprocess.Popen([sys.executable, "-c", "import time; time.sleep(100)"]) as process:
        kernels._process = process
        assert kernels.running
        began = time.monotonic()
        kernels.wait()
        assert time.monotonic() - began < 50
        assert kernels.running
        process.kill()
