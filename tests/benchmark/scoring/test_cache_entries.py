"""A cache made by hand: every entry, every word that is printed of it, and what each way to name entries means."""

import json
import os
import time

import numpy as np
import pytest

from benchmark.scoring import chosen, clear, entries
from builders.errors import DataError

DAY = 86_400

BANK_KEY = {
    "encoder": {"id": "org/a", "dimension": 8},
    "photos": {"count": 1234, "bytes": "0a"},
}
OUTCOME_KEY = {"task": "probe/jpeg", "bank": BANK_KEY}


def put(path, content=b"x", days=1.0):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content if isinstance(content, bytes) else json.dumps(content).encode())
    at = time.time() - days * DAY
    for changed in (path, path.parent):
        os.utime(changed, (at, at))


@pytest.fixture
def cache(tmp_path, monkeypatch):
    """Two banks, four outcomes, verdicts, a folder of a later version; all free space is 3 GB."""
    monkeypatch.setattr("benchmark.scoring.free_space", lambda folder: 3_000_000_000)
    folder = tmp_path / "c"
    for name, key in (("b1", BANK_KEY), ("b2", {**BANK_KEY, "photos": {"count": 5, "bytes": "unread 0a"}})):
        for view in ("v1", "v2") if name == "b1" else ("v1",):
            put(folder / "banks" / name / "views" / view / "rows.npy", b"r" * (70_000 if name == "b1" else 1_000), 3)
        put(folder / "banks" / name / "key.json", key, 3)
    put(folder / "outcomes" / "o1" / "key.json", OUTCOME_KEY)
    np.savez(folder / "outcomes" / "o1" / "outcome.npz", a=np.zeros(9000))
    put(folder / "outcomes" / "o2" / "key.json", OUTCOME_KEY)
    put(folder / "outcomes" / "o3" / "key.json", [1])
    put(folder / "outcomes" / "o4" / "parts" / "p.npz")
    put(folder / "gates" / "g1.json", {"passed": True}, 40)
    put(folder / "gates" / "g2.json", b"x" * 20_000, 0)
    put(folder / "later" / "l1", b"?", 50)
    return folder


def names(listed):
    return [entry.name for entry in listed]


def on_disk(*paths):
    return sum(os.lstat(path).st_blocks * 512 for path in paths)


def test_entries__of_every_kind_in_order_the_largest_first(cache):
    listed = entries(cache)
    outcomes = [entry for entry in listed if entry.kind == "outcomes"]
    assert [e.size for e in outcomes] == sorted((e.size for e in outcomes), reverse=True)
    assert names(listed)[:3] == ["banks/b1", "banks/b2", "outcomes/o1"]
    assert names(listed)[-3:] == ["gates/g2.json", "gates/g1.json", "later/l1"]
    assert len(listed) == 9
    rows = [cache / "banks" / "b1" / "views" / view / "rows.npy" for view in ("v1", "v2")]
    assert listed[0].size == on_disk(*rows, cache / "banks" / "b1" / "key.json") > 140_000
    about = {entry.name: entry.about for entry in listed if entry.about}
    assert about == {
        "banks/b1": "org/a, 1,234 photos x 2 views x 8",
        "banks/b2": "org/a, 5 photos x 1 views x 8, not finished",
        "outcomes/o1": "probe/jpeg of org/a, 1,234 photos",
        "outcomes/o2": "probe/jpeg of org/a, 1,234 photos, not finished",
        "outcomes/o3": "no key that can be read",
        "outcomes/o4": "not finished",
    }
    ages = {entry.name: round((time.time() - entry.changed) / DAY) for entry in listed}
    assert [ages[name] for name in ("gates/g1.json", "later/l1", "gates/g2.json")] == [40, 50, 0]
    (cache / "banks" / "b1" / "key.json").write_text("{")
    (cache / "banks" / "b2" / "key.json").unlink()
    assert [entry.about for entry in entries(cache)[:2]] == ["no key that can be read"] * 2
    assert entries(cache / "none") == []


def test_entries__of_a_link_are_the_link(cache, tmp_path):
    put(tmp_path / "elsewhere" / "big", b"b" * 50_000)
    (cache / "audit").mkdir()
    (cache / "audit" / "link").symlink_to(tmp_path / "elsewhere")
    [entry] = [entry for entry in entries(cache) if entry.kind == "audit"]
    assert entry.size == on_disk(cache / "audit" / "link") < 50_000
    assert clear([entry]) == entry.size
    assert (tmp_path / "elsewhere" / "big").exists()
    assert not os.path.lexists(cache / "audit" / "link")


def test_clear__what_cannot_be_removed(cache, monkeypatch):
    def refuse(path):
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr("shutil.rmtree", refuse)
    with pytest.raises(DataError, match="banks/b1"):
        clear(entries(cache)[:1])


@pytest.mark.parametrize("damaged_part", [None, "x", 1.5, [], {}, {"count": "many"}, {"count": None}, {"count": [1]}])
def test_entries__whose_keys_hold_other_kinds_of_values_are_listed(cache, damaged_part):
    for name, key in (("b1", BANK_KEY), ("b2", {**BANK_KEY, "photos": damaged_part})):
        put(cache / "banks" / name / "key.json", key)
    put(cache / "outcomes" / "o1" / "key.json", {**OUTCOME_KEY, "bank": {**BANK_KEY, "photos": damaged_part}})
    put(cache / "outcomes" / "o2" / "key.json", {**OUTCOME_KEY, "bank": damaged_part})
    put(cache / "outcomes" / "o4" / "key.json", b"")
    about = {entry.name: entry.about for entry in entries(cache)}
    unknown = "no key that can be read"
    assert about["banks/b1"] == "org/a, 1,234 photos x 2 views x 8"
    assert [about[name] for name in ("banks/b2", "outcomes/o1", "outcomes/o2")] == [unknown] * 3
    assert about["outcomes/o4"] == "not finished"  # parts are there, and a key that a crash has left empty


@pytest.mark.parametrize(("of_folder", "of_file", "of_part", "changed"), [(2, 9, 9, 2), (9, 2, 9, 2), (9, 9, 2, 2)])
def test_entries__were_used_when_the_folder_or_any_of_its_files_changed(tmp_path, of_folder, of_file, of_part, changed):
    """Opening a bank or an outcome changes the time of its folder alone."""
    folder = tmp_path / "banks" / "b"
    put(folder / "views" / "v" / "rows.npy", b"r")
    put(folder / "key.json", BANK_KEY)
    now = time.time()
    for path, days in (
        (folder / "views" / "v" / "rows.npy", of_part), (folder / "key.json", of_file), (folder, of_folder)
    ):  # fmt: skip
        os.utime(path, (now - days * DAY,) * 2)
    [entry] = entries(tmp_path)
    assert entry.changed == pytest.approx(now - changed * DAY, abs=1)
    assert [bool(chosen(tmp_path, ["banks"], days)) for days in (changed - 0.1, changed + 0.1)] == [True, False]
