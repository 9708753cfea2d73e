"""Which stored files of an earlier run count: markers of their own block, and hashes under stamps that had settled."""

import json
import shutil

import numpy as np
import pytest

from benchmark.bank import PhotoHashes
from benchmark.bank.view_file import ViewFile, view_key
from builders.data_specs import open_photos
from builders.files import JUST_CHANGED_NS


def marked(folder, count=3):
    """A view of ``count`` blocks of zeros, all finished."""
    view = ViewFile.open(folder, view_key({"kind": "plain"}), (64 * count, 2), "float32")
    view.ensure_rows()
    for block in range(count):
        view.finish_block(block, {}, {"a": 64})
    return view


@pytest.mark.parametrize("sealed", [True, False])
def test_marker__of_another_block_is_none(tmp_path, sealed):
    """Rows of zeros have equal checksums, so that nothing else tells a marker that was copied."""
    view = marked(tmp_path)
    blocks = tmp_path / "blocks"
    if not sealed:  # as older versions wrote them
        raw = json.loads((blocks / "000000.json").read_text())
        (blocks / "000000.json").write_text(json.dumps({k: v for k, v in raw.items() if k != "own_crc32"}))
    shutil.copy(blocks / "000000.json", blocks / "000002.json")
    assert [marker.index for marker in view.markers()] == [0, 1]
    assert view.damaged() == [2]
    assert view.finished() == {0, 1, 2}


def test_finished__only_files_with_the_name_of_a_marker(tmp_path):
    view = marked(tmp_path, 2)
    for name in ("000005.json.tmp", "x.json", "-1.json", "7.txt", "8"):
        (tmp_path / "blocks" / name).write_text("{}")
    assert (view.finished(), view.missing(), view.complete) == ({0, 1}, set(), True)
    view.forget([1, 1, 9])
    assert (view.finished(), view.missing(), view.complete) == ({0}, {1}, False)
    assert (view.is_finished(0), view.is_finished(1)) == (True, False)


@pytest.fixture
def hashes(tmp_path):
    """Hashes of four photos, all read, whose files changed long ago."""
    for i in range(4):
        (tmp_path / "photos" / "x").mkdir(parents=True, exist_ok=True)
        (tmp_path / "photos" / "x" / f"{i}.jpg").write_bytes(b"photo %d" % i)
    made = PhotoHashes(open_photos(f"folder:{tmp_path / 'photos'}"), tmp_path / "cache")
    made._changed = np.full(4, 10**9, np.int64)
    return made


def stored_in(hashes):
    """Positions of the photos whose hashes a file has."""
    if not hashes._file.exists():
        return []
    keys = np.load(hashes._file)["keys"].tolist()
    return [i for i, key in enumerate(hashes._keys.tolist()) if key in keys]


def test_save__not_of_files_that_changed_just_now_or_at_a_time_that_is_not_known(hashes):
    now = hashes._looked_ns
    hashes._changed = np.array([now - JUST_CHANGED_NS - 1, now - JUST_CHANGED_NS, 0, 1], np.int64)
    assert hashes._settled().tolist() == [True, False, False, True]
    assert hashes.earlier_name is None
    hashes.bytes_hash()
    assert stored_in(hashes) == [0, 3]
    hashes._changed[:] = 1
    assert hashes.earlier_name == hashes.stand_in()


def test_save__only_what_is_new_and_of_a_cache_that_is_written(hashes, tmp_path):
    hashes.save()
    assert stored_in(hashes) == []
    hashes.learn(2, b"")  # a photo that a pass could not read
    assert (hashes.unknown, hashes.read_now, hashes._unsaved) == (4, 0, False)
    hashes.learn(2, b"\1" * 32)
    hashes.learn(2, b"\2" * 32)  # it is known
    assert (hashes.unknown, hashes.read_now, hashes._unsaved) == (3, 1, True)
    hashes._store = False
    hashes.save()
    assert stored_in(hashes) == []
    hashes._store = True
    hashes.close()
    assert (stored_in(hashes), hashes._unsaved) == ([2], False)
    assert np.load(hashes._file)["digests"].tolist() == [[1] * 32]
    again = PhotoHashes(hashes.photos, tmp_path / "cache")
    assert (again.unknown, again.read_now) == (3, 0)
    again._changed[:] = 1
    again.bytes_hash()
    assert (again.unknown, again.read_now, stored_in(again)) == (0, 3, [0, 1, 2, 3])
    digests = dict(zip(map(tuple, np.load(again._file)["keys"].tolist()), np.load(again._file)["digests"], strict=True))
    assert digests[tuple(again._keys[2].tolist())].tolist() == [1] * 32
