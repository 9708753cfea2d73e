"""Plugin of pytest: coverage under the name of the test that runs, and the seconds of each test.

Processes that a test starts write under its name too: the context in ``coverage.ini`` is ``PYTEST_CURRENT_TEST``.
"""

from __future__ import annotations

import json
import os
import time
from collections.abc import Generator
from pathlib import Path

import coverage
import pytest

from scripts.checks.mutants.tests_of_lines import FOLDER


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_runtest_protocol(item: pytest.Item) -> Generator[None, object, object]:
    measured, started = coverage.Coverage.current(), time.monotonic()
    if measured is not None:
        measured.switch_context(item.nodeid)
    try:
        return (yield)
    finally:
        line = json.dumps([item.nodeid, round(time.monotonic() - started, 3)])
        with Path(os.environ[FOLDER], f"seconds.{os.getpid()}").open("a") as stream:
            stream.write(f"{line}\n")
        if measured is not None:
            measured.switch_context("")
