"""Opening a state: what cannot be opened is one sentence and stays open nowhere."""

import sqlite3

import pytest

from builders.errors import DataError, DiskError
from builders.flickrexif.state import DATABASE, VERSION, State
from builders.flickrexif.takedown import forget


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


def test_state__only_its_owner_reads_it(tmp_path):
    with State(tmp_path / "state", create=True) as state:
        state.set("a", 1)
        modes = {path.name: path.stat().st_mode & 0o777 for path in (tmp_path / "state").iterdir()}
    assert len(modes) >= 2  # the data base, and its journal
    assert set(modes.values()) == {0o600}
    database = tmp_path / "state" / DATABASE
    database.chmod(0o644)  # as one that was made before
    State(tmp_path / "state").close()
    assert database.stat().st_mode & 0o777 == 0o600


def test_forget__leaves_no_photo_in_the_record_of_calls_and_keeps_their_number(tmp_path):
    with State(tmp_path / "state", create=True) as state:
        with state.transaction() as db:
            columns = "id, owner, source, urls, rank, selected"
            db.execute(f"INSERT INTO photos ({columns}) VALUES (77, '1@N01', 'import', '{{}}', 1, 1)")
        state.record_call("photos.getExif", "77", 1, "ok", 5.0)
        state.record_call("photos.getExif", "78", 1, "ok", 5.0)
        forget(state, owners=["1@N01"])
        assert sorted(row[0] for row in state.rows("SELECT subject FROM calls")) == ["", "78"]


def test_state__a_full_disk_is_one_sentence_and_what_was_recorded_is_kept(tmp_path):
    with State(tmp_path, create=True) as state:
        state.set("before", 1)
        pages = state.value("PRAGMA page_count")
        state.value(f"PRAGMA max_page_count = {pages}")  # as a disk that has no room for one page more
        with pytest.raises(DiskError, match=r"state\.sqlite: the disk is full; what was recorded is kept, free some"):
            state.set("large", "x" * 100_000)
        state.value("PRAGMA max_page_count = 1000000")
        assert (state.setting("before"), state.setting("large")) == (1, None)
        state.set("large", "x" * 100_000)
    with State(tmp_path) as state:
        assert len(state.setting("large")) == 100_000


def test_state__a_damaged_page_is_one_sentence(tmp_path):
    with State(tmp_path, create=True) as state:
        for number in range(2000):
            state.set(f"key {number}", "y" * 50)
    file = tmp_path / "state.sqlite"
    data = file.read_bytes()
    half = len(data) // 2
    file.write_bytes(data[:half] + bytes(len(data) - half))
    with State(tmp_path) as state, pytest.raises(DataError, match=r"state\.sqlite: it is damaged \(.*malformed"):
        state.rows("SELECT * FROM settings")
