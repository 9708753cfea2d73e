"""How worker processes are started, what they are sent, and the sentences about those that are lost."""

import os

import pytest

from builders.processes import (
    pool,
)


@pytest.mark.parametrize(("text", "workers"), [("", 3), ("2", 2), ("9", 3), ("0", 1), ("two", 3)])
def test_default_workers__at_most_what_a_scheduler_gave(monkeypatch, text, workers):
    monkeypatch.setattr(os, "sched_getaffinity", lambda pid: {1, 5, 9}, raising=False)
    monkeypatch.setenv("CAMTRACE_CPUS", text)
    assert pool.default_workers() == workers
