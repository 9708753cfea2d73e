"""Kernels compiled by a separate process."""

import os
import signal
import subprocess
import sys

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
