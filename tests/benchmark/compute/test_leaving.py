"""A process that has done its one command ends at once, with everything written and everybody called who asked."""

import os
import subprocess
import sys

import pytest

ENDS = """
import atexit, ctypes, os, sys
{before}
from benchmark.compute import run_and_exit

class Taken:
    def __del__(self):
        os.write(1, b"taken apart ")

def run():
    global kept
    kept = Taken()
    atexit.register(lambda: print("called", end=" "))
    atexit.register(lambda: ctypes.CDLL(None).printf(b"printed "))
    print("said", end=" ")
    print("told", end="", file=sys.stderr)
    {what}

sys.exit(run_and_exit(run))
"""


def python(code: str) -> subprocess.CompletedProcess[str]:
    env = {name: value for name, value in os.environ.items() if name != "PYTHONUNBUFFERED"}
    return subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False, env=env)


def end(before: str = "", what: str = "return 3") -> tuple[int, list[str], str]:
    """Exit status, words on standard output in the alphabet's order, standard error."""
    done = python(ENDS.format(before=before, what=what))
    return done.returncode, sorted(done.stdout.split()), done.stderr


@pytest.mark.skipif(sys.platform != "linux", reason="where C prints")
def test_run_and_exit__everything_is_written_and_nothing_taken_apart():
    assert end() == (3, ["called", "printed", "said"], "told")


@pytest.mark.skipif(sys.platform != "linux", reason="where C prints")
def test_run_and_exit__handlers_set_before_are_called_too_and_errors_are_printed():
    everything = ["apart", "called", "printed", "said", "taken"]
    status, words, printed = end(before="atexit.register(lambda: print('earlier', end=' '))")
    assert (status, words, printed) == (3, sorted([*everything, "earlier"]), "told")
    status, words, printed = end(what="raise RuntimeError('broken')")
    assert (status, words) == (1, everything)
    assert "RuntimeError: broken" in printed
    assert "atexit" not in printed


def test_run_and_exit__output_that_cannot_be_written_is_reported_as_by_python():
    code = (
        "import os, sys\nfrom benchmark.compute import run_and_exit\n"
        "sys.exit(run_and_exit(lambda: print('x') or os.close(1) or 0))"
    )
    done = python(code)
    assert done.returncode == 120  # Python's own
    assert "Bad file descriptor" in done.stderr


def test_run_and_exit__a_thread_that_does_not_end_is_not_waited_for():
    code = (
        "import threading, time\nfrom benchmark.compute import run_and_exit\n"
        "import benchmark.compute.process as p, sys\np.THREADS_S = 0.1\n"
        "def run():\n    threading.Thread(target=time.sleep, args=(1000,)).start()\n    print('done')\n    return 4\n"
        "sys.exit(run_and_exit(run))"
    )
    done = python(code)
    assert (done.returncode, done.stdout) == (4, "done\n")
    assert done.stderr.count("camtrace: threads") == 1


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="no device that is full")
def test_guarded__an_output_that_is_full_is_one_sentence():
    code = "import sys\nfrom builders.cli import guarded\nsys.exit(guarded(lambda: print('x') or 0))"
    with open("/dev/full", "w") as full:
        done = subprocess.run([sys.executable, "-c", code], stdout=full, stderr=subprocess.PIPE, text=True, check=False)
    assert done.returncode == 1
    assert "standard" in done.stderr
