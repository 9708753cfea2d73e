"""Text of libraries and untrusted files is passed on as one printable line of bounded length everywhere."""

import errno
import subprocess
import sys
from typing import Any

import pytest
from PIL import Image

from builders.cli import guarded
from builders.errors import DataError
from tests.support.images import image_bytes
from tests.support.untrusted_text import raising


def photo(format: str = "JPEG", **options: Any) -> bytes:
    return image_bytes(Image.new("RGB", (8, 8)), format, **options)


def with_exif() -> bytes:
    exif = Image.Exif()
    exif[0x010F] = "Canon"
    return photo(exif=exif)


JPEG = with_exif()


def test_guarded__names_with_line_breaks_and_commands_to_the_terminal_stay_on_one_line(capsys):
    assert guarded(raising(DataError("folder:a\nb\x1b[2J: no photo there"))) == 2
    assert guarded(raising(OSError(errno.ENOSPC, "No space left", "a\nb"))) == 1
    lines = capsys.readouterr().err.splitlines()
    assert lines == [
        r"camtrace: folder:a\x0ab\x1b[2J: no photo there",
        r"camtrace: a\x0ab: the disk is full; finished work is saved, free some space and run the same command again",
    ]


def test_guarded__finalizers_after_a_signal_print_no_traceback():
    code = (
        "import sys\n"
        "from builders.cli.commands import guarded\nfrom builders.errors import Terminated\n"
        "class Odd:\n"
        "    def __del__(self):\n"
        "        raise ValueError('late')\n"
        "held = []\n"
        "def run():\n"
        "    held.append(Odd())\n"
        "    raise Terminated\n"
        "status = guarded(run)\n"
        "held.clear()\n"
        "sys.exit(status)\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60)
    assert done.returncode == 143
    assert done.stderr == "camtrace: terminated; finished work is saved, run the same command again to go on\n"


@pytest.mark.parametrize(
    ("number", "times", "status", "word"),
    [("SIGTERM", 1, 143, "terminated"), ("SIGTERM", 3, 143, "terminated"), ("SIGINT", 1, 130, "interrupted")],
)
def test_guarded__a_signal_within_a_finalizer_is_not_lost(number, times, status, word):
    code = (
        "import os, signal, sys, time\n"
        "from builders.cli.commands import guarded\n"
        f"left = [signal.{number}] * {times}\n"
        "class Interrupted:\n"
        "    def __del__(self):\n"
        "        if left:\n"
        "            os.kill(os.getpid(), left.pop())\n"
        "            time.sleep(5)\n"
        "def run():\n"
        "    for _ in range(500):\n"
        "        Interrupted()\n"
        "        time.sleep(0.01)\n"
        "    return 0\n"
        "sys.exit(guarded(run))\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60)
    assert done.stderr == f"camtrace: {word}; finished work is saved, run the same command again to go on\n"
    assert done.returncode == status


def test_guarded__other_errors_of_finalizers_are_printed_as_before():
    code = (
        "import sys\n"
        "from builders.cli.commands import guarded\n"
        "class Odd:\n"
        "    def __del__(self):\n"
        "        raise ValueError('late')\n"
        "def run():\n"
        "    Odd()\n"
        "    return 0\n"
        "hook = sys.unraisablehook\n"
        "status = guarded(run)\n"
        "assert sys.unraisablehook is hook\n"
        "sys.exit(status)\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60)
    assert done.returncode == 0
    assert done.stderr.splitlines()[-1] == "ValueError: late"
