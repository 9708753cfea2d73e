"""The target of a run that stores files in a state: files, rows, counts, and placeholders of this run and before."""

import asyncio
from types import SimpleNamespace

import pytest

from builders.flickrexif.fetch.fetch import _StateTarget
from builders.flickrexif.fetch.transfer import FetchPlan, FileRow

STARTED = 100.0


@pytest.fixture
def target(state):
    """Of a run that began 100 seconds after 1970; ``save(row)`` stores the row, and its file if it has a path."""
    for id, owner in enumerate("abcabc", start=1):
        with state.transaction() as db:
            db.execute(
                "INSERT INTO photos (id, owner, source, urls, rank, selected) VALUES (?, ?, 's', '{}', 0, 1)",
                (id, owner),
            )
    incoming = state.path_of("files/.incoming")
    incoming.mkdir(parents=True)
    state.clock = SimpleNamespace(now=lambda: STARTED)
    made = _StateTarget(state, FetchPlan(), {}, incoming)

    def save(row):
        file = None
        if row.path is not None:
            file = made.temporary(f"{row.photo_id}.part")
            file.write_bytes(f"bytes of {row.sha256}".encode())
        asyncio.run(made.save(row, file))

    return SimpleNamespace(save=save, counts=made.counts, incoming=incoming)


def row(id, sha256="same", at=STARTED, size=100, path=None):
    path = path or f"files/{id}/{id}_o.jpg"
    return FileRow(id, "o", f"https://a.net/{id}", "ok", path, sha256, size, "image/jpeg", 2, None, None, at)


def failure(id, error_class="gone", at=STARTED):
    return FileRow(id, None, None, "gone", None, None, None, None, 1, error_class, "it is gone", at)


def rows_of(state):
    return [tuple(each) for each in state.rows("SELECT * FROM files ORDER BY photo_id")]


def test_save__moves_the_file_and_stores_every_field_of_its_row(target, state):
    target.save(row(1, "one", size=7))
    target.save(failure(2))
    target.save(failure(3, "short"))
    assert rows_of(state) == [tuple(row(1, "one", size=7)), tuple(failure(2)), tuple(failure(3, "short"))]
    assert state.path_of("files/1/1_o.jpg").read_bytes() == b"bytes of one"
    assert list(target.incoming.iterdir()) == []
    assert (target.counts.fetched, target.counts.bytes) == (1, 7)
    assert target.counts.failures == {"gone": 1, "short": 1}
    target.save(row(2, "two", size=5))  # another try replaces the failure
    assert rows_of(state)[1] == tuple(row(2, "two", size=5))
    assert (target.counts.fetched, target.counts.bytes) == (2, 12)


def test_save__bytes_of_three_owners_are_a_placeholder_and_no_longer_counted(target, state):
    for id in (1, 4, 2):  # two photos of one owner, and one of another
        target.save(row(id))
    target.save(row(5, "other"))
    assert (target.counts.fetched, target.counts.bytes, target.counts.failures) == (4, 400, {})
    target.save(row(3))
    assert (target.counts.fetched, target.counts.bytes) == (1, 100)
    assert target.counts.failures == {"unavailable": 4}
    assert [(each[0], each[3], each[4], each[9]) for each in rows_of(state)] == [
        *((id, "gone", None, "unavailable") for id in (1, 2, 3, 4)), (5, "ok", "files/5/5_o.jpg", None),
    ]  # fmt: skip
    files = sorted(path.name for path in (state.folder / "files").rglob("*.jpg"))
    assert files == ["5_o.jpg"]
    target.save(row(6))  # the same bytes once more
    assert (target.counts.fetched, target.counts.bytes) == (1, 100)
    assert target.counts.failures == {"unavailable": 5}


@pytest.mark.parametrize(("before", "now"), [((1, 2), ()), ((1,), (2,)), ((1, 2), (4, 5)), ((1, 4, 5), (2,))])
def test_save__files_of_earlier_runs_were_not_counted_in_this_one(target, state, before, now):
    for id in before:
        target.save(row(id, at=STARTED - 0.5))
    target.counts.fetched = target.counts.bytes = 0
    for id in now:
        target.save(row(id))
    target.save(row(6, "other"))
    target.save(row(3, at=STARTED + 5))
    assert (target.counts.fetched, target.counts.bytes) == (1, 100)
    assert target.counts.failures == {"unavailable": len(before) + len(now) + 1}
