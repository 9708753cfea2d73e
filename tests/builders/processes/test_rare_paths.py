"""Paths that are taken seldom, each by a direct call."""

import errno
import fcntl
import os
import sys

import pytest

from builders.processes import memory


@pytest.mark.parametrize(
    ("taken", "wanted", "expected"), [((), 3, True), ((1,), 1, True), ((0, 2), 2, False), ((0, 1), 1, True)]
)
def test_locked__neighbouring_units_that_are_free(tmp_path, taken, wanted, expected):
    file = tmp_path / "locks"
    file.write_bytes(bytes(8))
    with open(file, "r+b") as first, open(file, "r+b") as second:
        for unit in taken:
            request = memory.struct.pack("hhqqi4x", fcntl.F_WRLCK, os.SEEK_SET, unit, 1, 0)
            fcntl.fcntl(first.fileno(), fcntl.F_OFD_SETLK, request)
        assert memory._locked(second.fileno(), wanted, 3) is expected


def test_locked__where_there_are_no_such_locks(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "fcntl", None)
    assert memory._locked(0, 1, 1) is True
    monkeypatch.undo()

    def refuse(*_):
        raise OSError(errno.ENOLCK, "no locks")

    monkeypatch.setattr(fcntl, "fcntl", refuse)
    assert memory._locked(0, 1, 1) is True
