"""The state: locks, transactions, rows of photos, take-downs, Exif and licences."""

import os

import pytest

from builders.errors import UsageError
from builders.flickrexif.api.client import FlickrUnavailable
from builders.flickrexif.api.exif_answers import loads
from builders.flickrexif.api.search_results import SearchResult, rank
from builders.flickrexif.search.exif_calls import request_exif
from builders.flickrexif.store.photos import (
    ImportCounts,
    ImportedPhoto,
    drop_beyond_cap,
    import_photos,
    insert_photos,
    within_cap,
)
from builders.flickrexif.store.store import State
from builders.flickrexif.store.tombstones import (
    Tombstones,
    folder_tombstones,
    forget,
    read_tombstones,
    remove_taken_down,
)
from tests.builders.flickrexif.test_refresh import Client
from tests.support.clocks import SimulatedClock

MARCH = 1_330_560_000
"""2012-03-01, midnight UTC."""


def photo(id, owner="1@N01", uploaded=MARCH, title="T", licence=4):
    return SearchResult(id, owner, f"name of {owner}", title, uploaded, "2012-02-28 10:00:00", licence, "jpg",
                        {"o": (f"https://a.net/{id}.jpg", 4, 3)})  # fmt: skip


def rows(state, columns, table="photos"):
    return [tuple(row) for row in state.rows(f"SELECT {columns} FROM {table} ORDER BY 1")]


def test_state__one_process_for_each_step(tmp_path):
    with State(tmp_path, create=True) as one, State(tmp_path) as other, one.exclusive("fetch"):
        assert (tmp_path / ".fetch.lock").read_text() == str(os.getpid())
        with other.exclusive("search"):
            pass
        with pytest.raises(UsageError) as error, other.exclusive("fetch"):
            pass
        assert str(tmp_path) in str(error.value)
    (tmp_path / ".fetch.lock").write_text("1234567890")  # of a process that ended
    with State(tmp_path) as again, again.exclusive("fetch"):
        assert (tmp_path / ".fetch.lock").read_text() == str(os.getpid())


def test_state__transactions_are_whole_or_nothing(state):
    def fail():
        with state.transaction():
            state.set("a", 1)
            with state.transaction():
                state.set("b", 2)
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        fail()
    assert (state.setting("a"), state.setting("b")) == (None, None)
    with state.transaction():
        state.set("a", 1)
    assert state.setting("a") == 1


def test_import__rows_exif_and_counts(state):
    state.clock = SimulatedClock(50.0)
    forget(state, photos=["4"])
    urls = {"o": ("https://a.net/1.jpg", 0, 0)}
    entries = {("IFD0", "Make"): "Canon"}
    photos = [
        ImportedPhoto(1, "1@N01", urls, entries), ImportedPhoto(2, "1@N01", urls, {}),
        ImportedPhoto(3, "1@N01", urls, None, licence=5, expected_sha256="aa"), ImportedPhoto(4, "1@N01", urls),
        ImportedPhoto(1, "9@N09", urls),
    ]  # fmt: skip
    assert import_photos(state, photos, 6) == ImportCounts(added=3, known=1, taken_down=1)
    columns = "id, owner, source, licence, selected, exif_status, exif_checked, expected_sha256, rank, month"
    assert rows(state, columns) == [
        (1, "1@N01", "import", None, 1, "ok", 50.0, None, rank(1, 6), None),
        (2, "1@N01", "import", None, 1, "empty", 50.0, None, rank(2, 6), None),
        (3, "1@N01", "import", 5, 1, None, None, "aa", rank(3, 6), None),
    ]
    assert [(id, loads(text)) for id, text in rows(state, "*", "exif")] == [(1, entries)]
    assert ImportCounts(1, 2, 3, 4) + ImportCounts(10, 20, 30, 40) == ImportCounts(11, 22, 33, 44)


def test_drop_beyond_cap__the_lowest_ranks_of_each_owner_and_month_stay(state):
    ids = range(1, 9)
    april = MARCH + 31 * 86400
    photos = [*(photo(id) for id in ids), photo(20, "2@N02"), photo(21, uploaded=april), photo(22, uploaded=april)]
    insert_photos(state, photos, 5)
    by_rank = sorted(ids, key=lambda id: rank(id, 5))  # photos that were imported, or found for a class, do not count
    with state.transaction() as db:
        db.execute(f"UPDATE photos SET source = 'fill' WHERE id IN ({by_rank[0]}, {by_rank[-1]})")
        db.execute("UPDATE photos SET source = 'import' WHERE id = ?", (by_rank[1],))
    drop_beyond_cap(state, [photo(1), photo(20, "2@N02")], 2)
    assert [id for (id,) in rows(state, "id")] == sorted([*by_rank[:4], by_rank[-1], 20, 21, 22])


def test_within_cap__photos_of_every_source_count_and_those_that_are_there_stay(state):
    april = MARCH + 31 * 86400
    insert_photos(state, [photo(1)], 0)
    insert_photos(state, [photo(2), photo(3, uploaded=april)], 0, source="fill")
    new = [photo(id) for id in (14, 1, 12, 13)] + [photo(20, uploaded=april), photo(21, "2@N02"), photo(22, "2@N02")]
    for cap, ids in ((1, [21]), (2, [20, 21, 22]), (3, [14, 20, 21, 22]), (4, [14, 12, 20, 21, 22])):
        assert [each.id for each in within_cap(state, new, cap)] == ids
    assert len(rows(state, "id")) == 3  # nothing is stored


def test_tombstones__cover_photos_and_owners():
    stones = Tombstones.of([("photo", "7"), ("owner", "1@N01")])
    assert [stones.covers(7, "x"), stones.covers("7", None), stones.covers(8, "1@N01")] == [True] * 3
    assert [stones.covers(8, "x"), stones.covers(8, None), Tombstones().covers(7, "1@N01")] == [False] * 3
    assert Tombstones.of([("owner", "None")]).covers(8, None) is False  # of no owner, which no name is
    text = stones.to_text()
    assert text.splitlines() == sorted(stones.hashes)
    assert Tombstones.from_text(f"x\n{text}\n{'A' * 64}\n{'a' * 63}\n") == stones
    assert (stones | Tombstones.of([("photo", "9")])).covers(9, "") is True


def test_forget__files_rows_and_folders_that_were_built(state, tmp_path):
    for name in ("here", "also"):
        (tmp_path / name).mkdir()
    state.set("built", [str(tmp_path / "here"), str(tmp_path / "gone"), str(tmp_path / "also")])
    insert_photos(state, [photo(12), photo(112), photo(1), photo(212, "2@N02")], 0)
    for name in ("12_o.jpg", "12_l.jpg", "112_o.jpg"):
        at = state.path_of(f"files/12/0{int(name.split('_')[0]) // 100}/{name}")
        at.parent.mkdir(parents=True, exist_ok=True)
        at.write_bytes(b"x")
    lone = state.path_of("files/55/00/55_o.jpg")
    lone.parent.mkdir(parents=True)
    lone.write_bytes(b"x")
    state.clock = SimulatedClock(70.0)
    done = forget(state, photos=[" 0012 ", "55"], owners=["2@N02 "])
    assert (done.photos, done.files, done.overwritten) == (2, 3, True)
    assert rows(state, "id") == [(1,), (112,)]
    assert state.path_of("files/12/01/112_o.jpg").is_file()
    assert read_tombstones(state) == Tombstones.of([("photo", "12"), ("photo", "55"), ("owner", "2@N02")])
    assert folder_tombstones(tmp_path / "here") == folder_tombstones(tmp_path / "also") == read_tombstones(state)
    assert not (tmp_path / "gone").exists()
    state.clock.at = 80.0
    forget(state, photos=["12", "13"])  # what was taken down before keeps its time
    times = [("owner", 70.0), ("photo", 70.0), ("photo", 70.0), ("photo", 80.0)]
    assert sorted(rows(state, "kind, at", "tombstones")) == times
    for bad in ("12a", "-1", "\u0661", ""):
        with pytest.raises(UsageError):
            forget(state, photos=[bad])


def test_remove_taken_down__finishes_what_was_killed(state):
    """Files of photos that have no row any more are removed too."""
    insert_photos(state, [photo(1), photo(2)], 0)
    with state.transaction() as db:
        for id in (1, 2, 3):
            db.execute("INSERT INTO files (photo_id, status, attempts, at) VALUES (?, 'failed', 1, 0)", (id,))
            path = state.path_of(f"files/0{id}/00/{id}_o.jpg")
            path.parent.mkdir(parents=True)
            path.write_bytes(b"x")
    assert (remove_taken_down(state).photos, rows(state, "photo_id", "files")) == (0, [(1,), (2,)])
    assert not state.path_of("files/03/00/3_o.jpg").exists()
    assert state.path_of("files/01/00/1_o.jpg").exists()


def test_exif__ends_after_five_photos_in_a_row_without_a_response(state):
    silent, ticks, stopped = FlickrUnavailable("timeout", 3), [], []
    insert_photos(state, [photo(id) for id in range(1, 20)], 0)

    def client(*failing):
        of_photos = {id: {"photos.getExif": silent} if id in failing else {} for id in range(1, 20)}
        made = Client(of_photos)
        made.stop = lambda: stopped.append(True)
        return made

    request_exif(state, client(1, 2, 3, 4, 6, 7, 8, 9), range(1, 11), 1, lambda: ticks.append(1))
    assert (len(ticks), stopped) == (10, [])
    with pytest.raises(FlickrUnavailable, match="in 5 attempts"):
        request_exif(state, client(*range(12, 17)), range(11, 20), 1, lambda: ticks.append(1))
    assert stopped == [True]
    assert len(state.rows("SELECT 1 FROM photos WHERE id BETWEEN 17 AND 19 AND exif_attempts > 0")) <= 1
