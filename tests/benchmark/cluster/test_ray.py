"""Ranks on a real Ray of this machine, where it is installed. Ray runs in processes of its own command."""

import contextlib
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from importlib.util import find_spec
from pathlib import Path

import pytest

from tests.benchmark.cluster.conftest import SWEEP, leftovers, same_banks, scores, tree
from tests.benchmark.cluster.test_builds import BUILD

pytestmark = [
    pytest.mark.skipif(find_spec("ray") is None, reason="ray is not installed: pip install 'camtrace[ray]'"),
    pytest.mark.slow,
]

ON_RAY = ("--engine", "ray", "--address", "local", "--memory-gb", "1")


@pytest.fixture
def on_ray(elsewhere, root, tmp_path):
    """Start ``work --engine ray`` on a plan: a running process."""
    started, short = [], tempfile.mkdtemp(prefix="ray-", dir="/tmp")  # its sockets' names must be short

    def start(plan, *more):
        words = [sys.executable, "-m", "camtrace", "work", str(plan), *ON_RAY, *map(str, more)]
        environment = {**elsewhere, "FUSE": str(tmp_path / "fuse"), "RAY_TMPDIR": short}
        process = subprocess.Popen(
            words, cwd=root, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
        )
        started.append(process)
        return process

    yield start
    for process in started:
        process.kill()
        process.communicate()
    for path in Path("/proc").glob("[0-9]*/cmdline"):  # what a killed driver leaves of its own small cluster
        with contextlib.suppress(OSError):
            if f"RAY_TMPDIR={short}".encode() in path.with_name("environ").read_bytes():
                os.kill(int(path.parent.name), signal.SIGKILL)
    shutil.rmtree(short, ignore_errors=True)


def test_ray__gives_the_bytes_of_the_plain_command(on_ray, run, tmp_path):
    assert run(*BUILD, "--output", tmp_path / "plain", "--workers", 1)[0] == 0
    assert run("plan", *BUILD, "--output", tmp_path / "out", "--ranks", 3)[0] == 0
    process = on_ray(tmp_path / "out.plan", "--tasks", 2)
    out, error = process.communicate(timeout=600)
    assert process.returncode == 0, error
    assert "3 ranks done, 0 failed" in out
    assert run("finish", tmp_path / "out.plan")[0] == 0
    assert tree(tmp_path / "out") == tree(tmp_path / "plain")


def test_ray__a_killed_worker_and_a_killed_driver(on_ray, run, plain, tmp_path, equal_costs):
    """The worker's ranks are given to another; the driver's are done by the same command again."""
    words = [word.replace(":large", ":waiting") for word in SWEEP]
    plan, fuse = tmp_path / "out.plan", tmp_path / "fuse"
    where = ("--cache", tmp_path / "cache", "--output", tmp_path / "out")
    assert run("plan", "sweep", *words, "--together", 1, "--ranks", 2, *where)[0] == 0
    fuse.touch()
    driver = on_ray(plan)
    first = wait_for_new(tmp_path, set())
    os.kill(actor_of(first), signal.SIGKILL)
    second = wait_for_new(tmp_path, {first})
    assert not alive(first)
    driver.send_signal(signal.SIGKILL)
    driver.communicate()
    wait_until(lambda: not alive(second))
    fuse.unlink()
    again = on_ray(plan)
    out, error = again.communicate(timeout=600)
    assert again.returncode == 0, error
    assert "3 ranks done, 0 failed" in out
    assert run("finish", plan)[0] == 0
    name = "cluster_encoders-small/folder-photos"
    assert scores(tmp_path / "out")[name] == scores(plain[0])[name]
    assert same_banks(tmp_path / "cache", plain[1]) == 1
    assert not leftovers(tmp_path / "out.plan")


def test_ray__what_no_node_has_is_reported_beforehand(on_ray, run, tmp_path):
    assert run("plan", *BUILD, "--output", tmp_path / "out", "--ranks", 2)[0] == 0
    process = on_ray(tmp_path / "out.plan", "--gpus", 1)
    _, error = process.communicate(timeout=600)
    assert process.returncode == 2
    assert "1 GPUs" in error


def wait_until(true, seconds=600):
    end = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < end
        time.sleep(0.2)


def wait_for_new(folder, known):
    """The process that says that it is at work, and is none of these."""

    def new():
        return {int(path.name[5:]) for path in folder.glob("here-*")} - known

    wait_until(new)
    return new().pop()


def alive(process):
    try:
        with open(f"/proc/{process}/stat") as stream:
            return stream.read().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False


def actor_of(process):
    """The Ray worker above a rank: its command begins with ``ray::``."""
    while process > 1:
        with open(f"/proc/{process}/cmdline", "rb") as stream:
            if stream.read().startswith(b"ray::"):
                parent = parent_of(process)
                with open(f"/proc/{parent}/cmdline", "rb") as above:
                    return parent if above.read().startswith(b"ray::") else process
        process = parent_of(process)
    raise AssertionError("no Ray worker is above it")


def parent_of(process):
    with open(f"/proc/{process}/stat") as stream:
        return int(stream.read().rpartition(")")[2].split()[1])
