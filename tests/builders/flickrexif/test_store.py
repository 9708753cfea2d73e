"""The state: errors at opening are one sentence and leave no open connection; take-down; migration; disk errors."""

import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from builders.errors import DataError, DiskError
from builders.flickrexif.api.licences import PERMISSIVE
from builders.flickrexif.search.status import status_text
from builders.flickrexif.store.store import DATABASE, State
from builders.flickrexif.store.tombstones import Tombstones, forget, read_tombstones
from tests.builders.flickrexif.test_search import MONTH, run
from tests.support.flickr import serving
from tests.support.flickr_world import World


@pytest.fixture
def opened(monkeypatch):
    """Every connection to a file made during the test; the declared tables are read once from one in memory."""
    connections, connect = [], sqlite3.connect

    def recording(database, **options):
        connection = connect(database, **options)
        if database != ":memory:":
            connections.append(connection)
        return connection

    monkeypatch.setattr(sqlite3, "connect", recording)
    return connections


def assert_closed(connection):
    with pytest.raises(sqlite3.ProgrammingError, match="closed"):
        connection.execute("SELECT 1")


def test_state__refuses_a_file_that_is_no_database(tmp_path, opened):
    (tmp_path / DATABASE).write_bytes(b"text, and longer than the header of a database would be" * 20)
    with pytest.raises(DataError):
        State(tmp_path)
    (connection,) = opened
    assert_closed(connection)


def test_state__is_readable_by_its_user_alone(tmp_path):
    with State(tmp_path / "state", create=True) as state:
        state.set("a", 1)
        modes = {path.name: path.stat().st_mode & 0o777 for path in (tmp_path / "state").iterdir()}
    assert len(modes) >= 2  # the data base, and its journal
    assert set(modes.values()) == {0o600}
    database = tmp_path / "state" / DATABASE
    database.chmod(0o644)  # as one that was made before
    State(tmp_path / "state").close()
    assert database.stat().st_mode & 0o777 == 0o600


def insert_photo(db, id, owner):
    columns = "id, owner, source, urls, rank, selected"
    db.execute(f"INSERT INTO photos ({columns}) VALUES (?, ?, 'import', '{{}}', 1, 1)", (id, owner))


@pytest.mark.slow
def test_forget__leaves_no_id_anywhere_in_the_files_of_a_state(tmp_path):
    world, (start, end) = World(), MONTH
    positions = [int(at) for at in world.results(start, end, PERMISSIVE) if not world.deleted(int(at))]
    with serving(world) as flickr, State(tmp_path / "state", create=True) as state:
        run(state, flickr)
        stored = {row[0] for row in state.rows("SELECT id FROM photos")}
        gone = next(at for at in positions if int(world.ids[at]) in stored)
        other = next(at for at in positions if int(world.ids[at]) in stored and world.nsid(at) != world.nsid(gone))
        with state.transaction() as db:
            texts = [row[0] for row in db.execute("SELECT DISTINCT subject FROM calls")]
        assert not any(text.isdigit() for text in texts)
        done = forget(state, photos=[str(world.ids[gone])], owners=[world.nsid(other)])
        assert done.photos >= 2
        assert done.overwritten
        for path in [p for p in (tmp_path / "state").rglob("*") if p.is_file()]:
            data = path.read_bytes()
            for text in (str(world.ids[gone]), str(world.ids[other]), world.nsid(other)):
                assert text.encode() not in data, path
                assert text not in path.name
            for id in (int(world.ids[gone]), int(world.ids[other])):  # as SQLite writes numbers of 33 to 48 bits
                assert id.to_bytes(6, "big") not in data, path
        left = next(row[0] for row in state.rows("SELECT id FROM photos"))
        assert str(left).encode() in (tmp_path / "state" / DATABASE).read_bytes()  # other ids can be found in this way


def test_state__of_version_1_is_brought_up_to_date_and_its_tombstones_are_hashed(tmp_path):
    (tmp_path / "state").mkdir()
    with closing(sqlite3.connect(tmp_path / "state" / DATABASE)) as db:
        db.executescript((Path(__file__).parent / "schema_1.sql").read_text())
        db.execute("PRAGMA user_version = 1")
        db.executemany("INSERT INTO tombstones VALUES (?, ?, 5.0)", [("photo", "4711471147"), ("owner", "8765432@N01")])
        for method in ("photos.getExif", "photos.getInfo"):
            db.execute("INSERT INTO calls VALUES (1.0, ?, '4711471147', 1, 'ok', 0.5)", (method,))
        db.execute("INSERT INTO calls VALUES (1.0, 'photos.search', 'slice 3 page 1', 1, 'ok', 0.5)")
        insert_photo(db, 77, "1@N01")
        names = 'root, month, start, "end", licences, status, estimate'
        db.execute(f"INSERT INTO slices ({names}) VALUES (1, '2012-04', 0, 9, '4', 'pending', 0)")
        db.commit()
    with State(tmp_path / "state") as state:
        tombstones = read_tombstones(state)
        assert tombstones.covers(4711471147, "x")
        assert tombstones.covers(1, "8765432@N01")
        assert not tombstones.covers(77, "1@N01")
        assert tombstones == Tombstones.of([("photo", "4711471147"), ("owner", "8765432@N01")])
        taken_down = [tuple(row) for row in state.rows("SELECT kind, at FROM tombstones ORDER BY kind")]
        assert taken_down == [("owner", 5.0), ("photo", 5.0)]
        assert [row[0] for row in state.rows("SELECT subject FROM calls")] == ["photo", "photo", "slice 3 page 1"]
        assert [tuple(r) for r in state.rows("SELECT id, turn, sought FROM photos")] == [(77, None, None)]
        assert "1 slices to read" in status_text(state)
        fresh = columns_of(tmp_path / "fresh")
        assert columns_of(tmp_path / "state") == fresh
        for path in (tmp_path / "state").iterdir():
            assert b"4711471147" not in path.read_bytes()
            assert b"8765432@N01" not in path.read_bytes()


def columns_of(folder):
    """Names and types of the columns of each table of a state."""
    with State(folder, create=True) as state:
        names = [row[0] for row in state.rows("SELECT name FROM sqlite_master WHERE type = 'table'")]
        return {name: sorted(tuple(r)[1:4] for r in state.rows(f"PRAGMA table_info({name})")) for name in names}


def test_state__a_full_disk_is_one_sentence_and_recorded_data_are_saved(tmp_path):
    with State(tmp_path, create=True) as state:
        state.set("before", 1)
        pages = state.value("PRAGMA page_count")
        state.value(f"PRAGMA max_page_count = {pages}")  # as a disk that has no room for one page more
        with pytest.raises(DiskError, match=r"state\.sqlite"):
            state.set("large", "x" * 100_000)
        state.value("PRAGMA max_page_count = 1000000")
        assert (state.setting("before"), state.setting("large")) == (1, None)
        state.set("large", "x" * 100_000)
    with State(tmp_path) as state:
        assert len(state.setting("large")) == 100_000
