"""A run in a child process goes on without an encoder whose compiled code ends it."""

from __future__ import annotations

import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from benchmark.compute import EncoderCrash, blamed, blamed_in, refuse_crashed

ROOT = Path(__file__).resolve().parents[3]

_CODE = """
import ctypes, os, signal, sys, time
from benchmark.compute import EncoderCrash, blamed, refuse_crashed, run_supervised
def encode(name, harm):
    try:
        with blamed(name):
            refuse_crashed(name)
            exec(harm)
    except EncoderCrash as error:
        print(error, flush=True)
def run():
    {body}
    return 5
sys.exit(run_supervised(run))
"""


def _ran(body: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-c", _CODE.format(body=body)]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=60)


@pytest.mark.parametrize(
    ("harm", "how"),
    [
        ("ctypes.string_at(0)", "SIGSEGV"),
        ("os.abort()", "SIGABRT"),
        ("ctypes.CDLL(None).exit(0)", "status 0"),
        ("ctypes.CDLL(None)._exit(3)", "status 3"),
    ],
)
def test_run_supervised__goes_on_without_what_ended_the_process(harm, how):
    done = _ran(f"encode('first', 'pass'); encode('bad', {harm!r}); print('done')")
    assert done.stdout.splitlines() == [f"bad: its code ended the process ({how})", "done"]
    assert (done.returncode, done.stderr) == (5, "")


def test_run_supervised__leaves_out_one_after_the_other():
    done = _ran("[encode(name, 'os.abort()') for name in 'abc']; print('done')")
    assert done.stdout.splitlines()[-4:] == [
        *(f"{name}: its code ended the process (SIGABRT)" for name in "abc"),
        "done",
    ]
    assert done.returncode == 5


@pytest.mark.parametrize(
    ("body", "status", "why"),
    [
        ("os.abort()", 134, "SIGABRT"),
        ("encode('a', 'pass'); os.abort()", 134, "SIGABRT"),
        ("encode('a', 'os.kill(os.getpid(), signal.SIGKILL)')", 137, "SIGKILL: out of memory?"),
        ("encode('a', 'os.kill(os.getpid(), signal.SIGALRM)')", 142, "SIGALRM"),
        ("ctypes.CDLL(None).exit(0)", 1, "status 0"),
    ],
)
def test_run_supervised__what_no_encoder_caused_is_one_sentence(body, status, why):
    done = _ran(body)
    assert f"{why}" in done.stderr
    assert (done.returncode, done.stdout) == (status, "")


@pytest.mark.parametrize(
    ("body", "status"),
    [("sys.exit(7)", 7), ("return 0", 0), ("os.kill(os.getppid(), signal.SIGTERM); time.sleep(60)", 143)],
)
def test_run_supervised__gives_the_status_of_the_run(body, status):
    assert _ran(body).returncode == status


@pytest.mark.parametrize("end", ["os.kill(os.getpid(), signal.SIGALRM)", "os.abort()"])
def test_run_supervised__what_the_run_left_behind_ends_with_it(end):
    """A fork that holds the output open: without its end the command has no end for a minute."""
    done = _ran(f"left = os.fork() or time.sleep(300); print(left, flush=True); {end}")
    assert done.returncode in (134, 142)
    assert not Path(f"/proc/{int(done.stdout)}").exists()


@pytest.mark.slow
def test_run_supervised__what_an_encoder_started_ends_after_the_run_too(tmp_path):
    """What ends by itself is not killed."""
    code = _CODE.replace("sys.exit(", "import benchmark.compute.supervised as s; s._LAST_S = 2.0\nsys.exit(")
    by_itself = f"open({str(tmp_path / 'tidied')!r}, 'w').close()"
    body = (
        f"import subprocess; subprocess.Popen([sys.executable, '-S', '-c', {by_itself!r}]); "
        "print(subprocess.Popen(['sleep', '300']).pid, flush=True)"
    )
    command = [sys.executable, "-c", code.format(body=body)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=60)
    assert (done.returncode, done.stderr) == (5, "")
    assert not Path(f"/proc/{int(done.stdout)}").exists()
    assert (tmp_path / "tidied").exists()


def test_run_supervised__a_signal_of_another_process_goes_on_to_the_run_once():
    body = "signal.signal(signal.SIGINT, lambda *_: print('once', flush=True)); print(flush=True); time.sleep(0.5)"
    command = [sys.executable, "-c", _CODE.format(body=body)]
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "\n"
        process.send_signal(signal.SIGINT)
        assert process.stdout.read() == "once\n"
    assert process.returncode == 5


def test_run_supervised__the_run_ends_with_its_process():
    body = "print(os.getpid(), flush=True); time.sleep(60)"
    command = [sys.executable, "-c", _CODE.format(body=body)]
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        run = int(process.stdout.readline())
        process.kill()
    end = time.monotonic() + 30
    while Path(f"/proc/{run}").exists() and "Z" not in Path(f"/proc/{run}/stat").read_text().split()[2]:
        assert time.monotonic() < end
        time.sleep(0.01)


def test_blamed__is_the_encoder_that_began_last_in_any_thread():
    import os

    process = os.getpid()
    assert blamed_in(process) == ""
    begun, end = threading.Event(), threading.Event()

    def other() -> None:
        with blamed("other"):
            begun.set()
            end.wait(30)

    thread = threading.Thread(target=other)
    with blamed("outer"):
        with blamed("inner " + "x" * 1000), blamed(""):
            assert blamed_in(process).startswith("inner xxx")
        assert blamed_in(process) == "outer"
        thread.start()
        begun.wait(30)
        assert blamed_in(process) == "other"
        end.set()
        thread.join()
        assert blamed_in(process) == "outer"
    assert blamed_in(process) == ""


def test_refuse_crashed__an_encoder_that_ended_nothing_is_not_refused():
    refuse_crashed("honest")
    assert str(EncoderCrash("a", -11)) == "a: its code ended the process (SIGSEGV)"
