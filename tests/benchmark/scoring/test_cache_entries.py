"""A cache made by hand: every entry, every word that is printed of it, and what each way to name entries means."""

import json
import os
import time

import numpy as np
import pytest

from benchmark.__main__ import camtrace
from benchmark.scoring import store_paths
from benchmark.scoring.cache import KINDS, chosen, clear, damaged, entries
from builders.errors import DataError, UsageError, unknown_name

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


@pytest.mark.parametrize(
    ("words", "days", "sentences"),
    [
        (["all"], 0, "b1 b2 o1 o4 o2 o3 g2.json g1.json"),
        (["later"], 0, "l1"),
        (["gates", "banks/b2"], 0, "b2 g2.json g1.json"),
        (["later/l1", "all"], 39, "g1.json l1"),
        (["gates"], 41, ""),
        ([], 0, ""),
    ],
)
def test_chosen__by_kind_name_and_age(cache, words, days, sentences):
    assert sorted(n.partition("/")[2] for n in names(chosen(cache, words, days))) == sorted(sentences.split())


def test_chosen__a_name_that_nothing_has(cache):
    with pytest.raises(UsageError) as refused:
        chosen(cache, ["banks", "zzz"])
    known = ["all", *sorted({*KINDS, "later"}), *sorted(names(entries(cache)))]
    assert str(refused.value) == str(unknown_name("part of the cache", "zzz", known))


def test_clear__frees_what_it_removes(cache):
    bank, file = (next(e for e in entries(cache) if e.name == name) for name in ("banks/b1", "gates/g2.json"))
    assert clear([bank, file]) == bank.size + file.size > 140_000
    assert not bank.path.exists()
    assert not file.path.exists()
    assert clear([file]) == file.size  # another process has removed it


def test_clear__what_cannot_be_removed(cache, monkeypatch):
    def refuse(path):
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr("shutil.rmtree", refuse)
    with pytest.raises(DataError, match="banks/b1"):
        clear(entries(cache)[:1])


def test_damaged__one_sentence_of_each_kind(cache):
    sentences = {entry.name: damaged(entry) for entry in entries(cache) if entry.kind not in ("banks", "later")}
    assert {name for name, why in sentences.items() if why} == {"gates/g2.json"}
    put(cache / "outcomes" / "o1" / "outcome.npz", b"no archive")
    put(cache / "photo-hashes" / "h.npz", b"no archive")
    (cache / "outcomes" / "o5.npz").mkdir()
    sentences = {entry.name: damaged(entry) for entry in entries(cache) if entry.kind not in ("banks", "later")}
    wrong = {name: why for name, why in sentences.items() if why}
    assert set(wrong) == {"gates/g2.json", "outcomes/o1", "outcomes/o5.npz", "photo-hashes/h.npz"}
    assert not any(str(cache) in why for name, why in wrong.items() if name != "outcomes/o1")


def shown(capsys, *words):
    status = camtrace(["cache", *words])
    return status, capsys.readouterr().out


def test_commands__print_what_is_there(cache, capsys):
    listed = {entry.name: entry for entry in entries(cache)}
    size = store_paths.size
    total = size(sum(entry.size for entry in listed.values()))
    status, out = shown(capsys, "list", "--cache", str(cache))
    lines = out.splitlines()
    assert (status, lines[0]) == (0, f"{cache}: {total} in 9 entries, 3.0 GB free on the disk")
    table = [[cell.strip() for cell in line.strip("|").split("|")] for line in lines if line.startswith("|")]
    kinds = {row[0]: row[1:] for row in table if len(row) == 4 and "/" not in row[0]}
    for kind, count in (("banks", 2), ("outcomes", 4), ("gates", 2), ("later", 1)):
        of_kind = size(sum(entry.size for entry in listed.values() if entry.kind == kind))
        assert kinds[kind] == [str(count), of_kind, KINDS.get(kind, "not of this version")]
    big = {row[0]: row[1:] for row in table if len(row) == 4 and "/" in row[0]}
    assert set(big) == {name for name in listed if name.startswith(("banks/", "outcomes/"))}
    assert big["banks/b1"] == [size(listed["banks/b1"].size), "3 days ago", "org/a, 1,234 photos x 2 views x 8"]
    assert big["outcomes/o2"] == [
        size(listed["outcomes/o2"].size),
        "24 h ago",
        "probe/jpeg of org/a, 1,234 photos, not finished",
    ]
    assert shown(capsys, "list", "--cache", str(cache / "none")) == (
        0,
        f"{cache / 'none'}: 0.0 MB in 0 entries, 3.0 GB free on the disk\n",
    )


def test_commands__records(cache, capsys):
    listed = entries(cache)
    status, out = shown(capsys, "list", "--json", "--cache", str(cache))
    record = json.loads(out)
    assert (status, record["cache"]) == (0, str(cache))
    assert record["entries"] == [
        {"name": e.name, "bytes": e.size, "changed": round(e.changed), "about": e.about} for e in listed
    ]
    status, out = shown(capsys, "check", "gates", "--cache", str(cache), "--quiet")
    both = store_paths.size(sum(entry.size for entry in listed if entry.kind == "gates"))
    why = damaged(next(entry for entry in listed if entry.name == "gates/g2.json"))
    assert (status, out.splitlines()) == (
        1,
        [
            f"gates/g2.json: {why}",
            f"2 entries, {both}, were read: 1 are not as they were written",
            "they are made again when they are needed; camtrace cache clear gates/g2.json makes space at once",
        ],
    )
    assert shown(capsys, "check", "gates/g1.json", "--cache", str(cache)) == (
        0,
        "1 entries, 0.0 MB, were read: 0 are not as they were written\n",
    )
    both = sum(entry.size for entry in listed if entry.kind == "gates")
    for words, verb in ((("--dry-run",), "would remove"), ((), "removed")):
        status, out = shown(capsys, "clear", "gates", *words, "--cache", str(cache))
        assert (status, out) == (0, f"{verb} 2 entries, {store_paths.size(both)}, of {cache}\n")
    status, out = shown(capsys, "clear", "later", "--dry-run", "--json", "--cache", str(cache))
    [later] = [entry for entry in listed if entry.kind == "later"]
    facts = {"cache": str(cache), "removed": ["later/l1"], "bytes": later.size, "dry_run": True}
    assert (status, {name: json.loads(out)[name] for name in facts}) == (0, facts)
    assert later.path.exists()
    assert shown(capsys, "clear", "all", "--older-than", "-0.1", "--cache", str(cache))[0] == 2


def test_space__what_is_logged_and_what_does_not_fit(tmp_path, monkeypatch):
    """0.1 GB is logged; embeddings must leave 256 MiB."""

    class Lacking:
        def __init__(self, lacks):
            self.lacks = lacks

        def missing_bytes(self):
            return self.lacks

    spare, log = 256 * 2**20, []
    free = 10_000_000_000
    monkeypatch.setattr(store_paths, "free_space", lambda folder: free)
    for banks, logged in (([99_999_999], []), ([99_999_999, 1], ["embeddings: 100.0 MB more in F (10.0 GB free)"])):
        store_paths.require_space([Lacking(n) for n in banks], "F", log.append)
        assert log == logged
    store_paths.require_space([Lacking(free - spare)], "F", log.append)
    with pytest.raises(DataError, match=r"10\.0"):
        store_paths.require_space([Lacking(free - spare), Lacking(1)], "F", log.append)
    free = 5
    store_paths.require_space([Lacking(0)], "F", log.append)
    monkeypatch.undo()
    assert store_paths.free_space(tmp_path / "a" / "b") == pytest.approx(store_paths.free_space(tmp_path), rel=0.01)


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
