"""An own copy of a published set: what was published is fetched, nothing that was taken down, and who is told what."""

import hashlib
import shutil
from collections import Counter

import pytest

from builders.errors import DataError, UsageError
from builders.flickrexif.api.exif_answers import dumps, entries_from_response
from builders.flickrexif.assemble.build import BuildPlan, build
from builders.flickrexif.assemble.local_copy import load_local_copy
from builders.flickrexif.cli.steps import main
from builders.flickrexif.store.store import State
from builders.flickrexif.store.tombstones import forget
from builders.publish.cli import plan_publication
from tests.support.flickr import PLAN
from tests.support.flickr_builds import SPLIT_NAMES, WORLD, rows_of

pytestmark = pytest.mark.slow


def test_load__fetches_what_was_published_and_nothing_that_was_taken_down(flickr, without_pixels, tmp_path):
    folder = tmp_path / "published"
    shutil.copytree(without_pixels, folder)
    victim = rows_of(folder, "make", "train")[0]
    with State(tmp_path / "state", create=True) as state:
        forget(state, photos=[victim["photo_id"]])
        flickr.files.clear()
        done = load_local_copy(str(folder), state, tmp_path / "copy", PLAN, configs=["make"])
    assert done.taken_down == 1
    assert not [path for path in flickr.files if victim["photo_id"] in path]
    for split in ("train", "validation", "test"):
        published = {row["photo_id"]: row for row in rows_of(folder, "make", split)}
        copied = {row["photo_id"]: row for row in rows_of(tmp_path / "copy", "make", split)}
        assert set(published) - {victim["photo_id"]} == set(copied)
        for id, row in copied.items():
            assert hashlib.sha256(row["image"]["bytes"]).hexdigest() == published[id]["sha256"]
            assert row["make"] == published[id]["make"]
    with pytest.raises(DataError, match="own use"):
        plan_publication(tmp_path / "copy", "a/b")
    with State(tmp_path / "state") as state, pytest.raises(UsageError, match="'make'"):
        load_local_copy(str(folder), state, tmp_path / "other", PLAN, configs=["mak"])
    with State(tmp_path / "state") as state, pytest.raises(DataError, match="no build"):
        load_local_copy(str(tmp_path), state, tmp_path / "other", PLAN)


def test_load__a_photo_that_is_gone_is_a_failure_of_its_own(flickr, without_pixels, tmp_path):
    row = rows_of(without_pixels, "is_smartphone", "test")[0]
    at = WORLD.index(int(row["photo_id"]))
    before = WORLD.kind[at]
    WORLD.kind[at] = 0.16  # deleted
    try:
        with State(tmp_path / "state", create=True) as state:
            done = load_local_copy(str(without_pixels), state, tmp_path / "copy", PLAN, configs=["is_smartphone"])
    finally:
        WORLD.kind[at] = before
    failures = {failure for split in done.build.splits for failure in split.failures}
    assert [(f.id, "photo unavailable" in f.reason) for f in failures] == [(row["photo_id"], True)]


def test_load__without_a_published_hash_a_photo_is_unpinned(flickr, fetched, tmp_path):
    shutil.copytree(fetched, tmp_path / "state")
    with State(tmp_path / "state") as state:
        with state.transaction() as db:  # as search leaves it where nothing was fetched: Exif of Flickr, no hash
            db.execute("DELETE FROM files")
            for at in range(WORLD.count):
                entries = dumps(entries_from_response({"photo": WORLD.exif_answer(at)}))
                db.execute("INSERT OR REPLACE INTO exif VALUES (?, ?)", (int(WORLD.ids[at]), entries))
        build(state, BuildPlan(tmp_path / "out"))
    published = [row for split in SPLIT_NAMES for row in rows_of(tmp_path / "out", "is_smartphone", split)]
    assert {row["sha256"] for row in published} == {""}
    with State(tmp_path / "own", create=True) as state:
        source = str(tmp_path / "out")
        done = load_local_copy(source, state, tmp_path / "copy", PLAN, configs=["is_smartphone"])
    positions = {row["photo_id"]: WORLD.index(int(row["photo_id"])) for row in published}
    gone = {id for id, at in positions.items() if WORLD.deleted(at) or WORLD.silent_placeholder(at)}
    assert gone
    assert (done.loaded, done.unpinned, done.missing) == (len(published) - len(gone),) * 2 + (len(gone),)
    rows = [row for split in SPLIT_NAMES for row in rows_of(tmp_path / "copy", "is_smartphone", split)]
    assert {row["photo_id"] for row in rows} == {row["photo_id"] for row in published} - gone
    for row in rows:
        true = WORLD.file(WORLD.index(int(row["photo_id"])), row["size"])
        assert row["image"]["bytes"] == true
        assert row["sha256"] == f"unpinned:{hashlib.sha256(true).hexdigest()}"
    card = (tmp_path / "copy" / "README.md").read_text()
    assert f"{len(rows)} photos of {len({row['owner'] for row in rows})} people" in card
    licences = Counter(row["licence"] for row in rows)
    for name, count in licences.items():
        assert f"| {name} | {count} |" in card


def test_load__nothing_loaded_is_exit_status_1(flickr, without_pixels, tmp_path, capsys):
    folder = tmp_path / "published"
    shutil.copytree(without_pixels, folder)
    kinds = WORLD.kind.copy()
    WORLD.kind[:] = 0.16  # everybody has deleted everything
    options = ["--state", tmp_path / "s", "--output", tmp_path / "c", "--configs", "is_smartphone", "--allow-loopback"]
    try:
        assert main(["load", str(folder), *map(str, options)]) == 1
    finally:
        WORLD.kind[:] = kinds
    count = sum(len(rows_of(folder, "is_smartphone", split)) for split in SPLIT_NAMES)
    assert f"{count}" in capsys.readouterr().out
    assert main(["load", str(folder), *map(str, options), "--retry-failed"]) == 1
