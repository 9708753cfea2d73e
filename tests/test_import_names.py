"""``import camtrace`` beside modules that have the names of its packages."""

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]

USE = """
import multiprocessing
import numpy as np
import camtrace

def main():
    picture = np.ones((8, 8, 3), dtype=np.uint8)
    context = multiprocessing.get_context("spawn")
    with context.Pool(1) as pool:
        masked = pool.apply(camtrace.CenterMask(0.5), (picture,))
    print(int(masked.sum()), len(camtrace.list_encoders()) > 40, camtrace.__version__ != "")

if __name__ == "__main__":
    main()
"""
"""A mask in a spawned worker hides 6 x 6 of 8 x 8 pixels."""


def in_folder(folder, *words, text=""):
    environment = {"PATH": "/usr/bin:/bin", "PYTHONPATH": str(ROOT)}
    command = [sys.executable, *words]
    return subprocess.run(
        command, cwd=folder, env=environment, input=text, capture_output=True, text=True, timeout=600, check=False
    )


@pytest.fixture
def folder(tmp_path):
    """A user's folder with modules of both names, which end a program that imports them."""
    (tmp_path / "benchmark").mkdir()
    (tmp_path / "benchmark" / "__init__.py").write_text("raise SystemExit('the wrong benchmark')\n")
    (tmp_path / "builders.py").write_text("raise SystemExit('the wrong builders')\n")
    return tmp_path


def test_script__called_as_one_of_our_packages(tmp_path):
    (tmp_path / "benchmark.py").write_text(USE)
    done = in_folder(tmp_path, "benchmark.py")
    assert (done.returncode, done.stdout) == (0, f"{3 * (64 - 36)} True True\n"), done.stderr


def test_script__with_packages_of_these_names_present(folder):
    (folder / "run.py").write_text(USE)
    done = in_folder(folder, "run.py")
    assert (done.returncode, done.stdout) == (0, f"{3 * (64 - 36)} True True\n"), done.stderr


def test_worker__of_a_program_without_a_file(folder):
    """As in a notebook: the spawned process runs no script that would import camtrace."""
    done = in_folder(folder, "-c", "import sys; exec(sys.stdin.read())", text=USE)
    assert (done.returncode, done.stdout) == (0, f"{3 * (64 - 36)} True True\n"), done.stderr


def test_command__with_packages_of_these_names_present(folder):
    done = in_folder(folder, "-m", "camtrace", "list", "parameters")
    assert done.returncode == 0, done.stderr
    assert "jpeg" in done.stdout


def test_sandbox__with_packages_of_these_names_present(folder):
    code = (
        "import camtrace\n"
        "from builders.processes import Sandbox\n"
        "print(Sandbox('builtins:len', timeout_s=60, memory_bytes=2**30).call(b'abc', parse=int))"
    )
    done = in_folder(folder, "-c", code)
    assert (done.returncode, done.stdout) == (0, "3\n"), done.stderr


@pytest.mark.parametrize("changed", ["benchmark.py", "builders/__init__.py"])
def test_foreign_module__that_is_imported_already_gets_one_sentence(tmp_path, changed):
    (tmp_path / changed).parent.mkdir(exist_ok=True)
    (tmp_path / changed).write_text("value = 1\n")
    name = changed.partition("/")[0].removesuffix(".py")
    done = in_folder(
        tmp_path, "-c", f"import {name}, camtrace\ntry: camtrace.CenterMask\nexcept ImportError as e: print(e)"
    )
    assert done.returncode == 0, done.stderr
    assert f"'{name}'" in done.stdout
    assert str(tmp_path) in done.stdout
    assert done.stdout.count("\n") == 1


def test_path__is_untouched_where_nothing_is_in_the_way(tmp_path):
    done = in_folder(
        tmp_path, "-c", "import sys, camtrace\nwas = list(sys.path)\ncamtrace.CenterMask\nprint(sys.path == was)"
    )
    assert (done.returncode, done.stdout) == (0, "True\n"), done.stderr
