"""Opening a state: what cannot be opened is one sentence and stays open nowhere."""

import sqlite3

import pytest

from builders.errors import DataError
from builders.flickrexif.state import DATABASE, VERSION, State


@pytest.fixture
def opened(monkeypatch):
    """Every connection made during the test."""
    connections, connect = [], sqlite3.connect

    def recording(*arguments, **options):
        connections.append(connect(*arguments, **options))
        return connections[-1]

    monkeypatch.setattr(sqlite3, "connect", recording)
    return connections


def assert_closed(connection):
    with pytest.raises(sqlite3.ProgrammingError, match="closed"):
        connection.execute("SELECT 1")


def test_state__a_file_that_is_no_database(tmp_path, opened):
    (tmp_path / DATABASE).write_bytes(b"text, and longer than the header of a database would be" * 20)
    with pytest.raises(DataError, match="cannot be opened as a state"):
        State(tmp_path)
    (connection,) = opened
    assert_closed(connection)


def test_state__of_a_newer_camtrace(tmp_path, opened):
    with State(tmp_path, create=True) as state:
        state._db.execute(f"PRAGMA user_version = {VERSION + 1}")
    with pytest.raises(DataError, match=f"version {VERSION + 1}, this camtrace reads {VERSION}"):
        State(tmp_path)
    assert len(opened) == 2
    for connection in opened:
        assert_closed(connection)
