"""The package as it is imported: cheap, without torch, and with every public name in its place."""

import subprocess
import sys

import pytest

import builders


def test_import__costs_nothing_and_never_brings_torch_or_the_benchmark():
    program = (
        "import sys, builders\n"
        "assert not {'datasets', 'numpy', 'pyarrow'} & set(sys.modules)\n"
        "for name in builders.__all__: getattr(builders, name)\n"
        "assert not {'torch', 'benchmark'} & set(sys.modules)\n"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


def test_getattr__an_unknown_name():
    with pytest.raises(AttributeError, match="no attribute 'with_procesing'"):
        builders.with_procesing  # noqa: B018
    assert "with_processing" in dir(builders)
