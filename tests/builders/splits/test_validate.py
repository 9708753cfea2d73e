"""The validator of splits on collections with planted faults."""

from __future__ import annotations

import dataclasses
import json
import re

import numpy as np
import pytest

from builders.splits import SplitTable, read_split_file, validate

HASH = np.array([0x0123456789ABCDEF * (i + 1) % 2**64 for i in range(400)], dtype=np.uint64)


def faulty() -> SplitTable:
    """90 rows of three models with planted faults; each fault's count is in the test beside it."""
    splits = np.array([0] * 60 + [1] * 12 + [2] * 18, dtype=np.int8)
    ids = np.array([f"p{i}" for i in range(90)])
    ids[72:76] = ids[0:4]  # 4 test ids also in train
    ids[76:77] = ids[60:61]  # 1 test id also in val
    owners = np.array([f"o{i}" for i in range(90)])
    owners[60:62] = "o5"  # 2 val photos of an owner in train
    owners[72:76] = owners[0:4]
    digests = np.array([f"d{i}" for i in range(90)])
    digests[80:83] = digests[10:13]  # 3 test files also in train
    hashes = HASH[:90].copy()
    hashes[80:83] = hashes[10:13]
    hashes[85] = hashes[20] ^ np.uint64(0b1111)  # a fourth near-duplicate
    hashes[86] = hashes[21] ^ np.uint64(0b111111)  # 6 bits: too far
    labels = np.array(["Canon EOS 600D", "Canon EOS REBEL T3i", "CYBERSHOT"] * 30)
    years = np.array([2012] * 72 + [2009] * 18)  # 600D (2011): the 12 of 18 test photos are 2 years early
    make = np.array(["Canon", "Canon", "SONY"] * 30)
    return SplitTable("model", ids, splits, labels, owners, digests, hashes, years, {"make": make})


def test_validate__counts_every_planted_fault():
    report = validate(faulty())

    def value(check: str, table: str = "model") -> tuple[float, int]:
        result = report.find(table, check)
        return result.value, result.n

    assert value("test ids also in train") == (4, 18)
    assert value("val ids also in train") == (0, 12)
    assert value("test ids also in val") == (1, 18)
    assert value("ids repeated within a split") == (0, 90)
    assert value("val photos of owners in train") == (2, 12)
    assert value("test photos of owners in train") == (4, 18)
    assert value("test files also in train (other id)") == (3, 14)
    assert value("test near-duplicates of train (other id)") == (4, 14)
    assert value("test: rarest over commonest class") == (1.0, 18)
    assert value("classes that are one device or maker") == (1, 3)
    assert value("classes that are no camera body") == (1, 3)
    assert value("photos 2 years or more older than their camera") == (12, 60)
    assert value("years of test against train") == (1.0, 18)
    accuracy = report.find("make -> model", "accuracy of a majority lookup")
    assert (accuracy.value, accuracy.n, accuracy.chance) == (pytest.approx(12 / 18), 18, pytest.approx(1 / 3))
    text = report.to_text()
    assert "Canon EOS 600D = Canon EOS REBEL T3i" in text
    assert text.endswith(f"{len(report.problems)} problems, 1 notes")  # years


def test_validate__the_released_form_with_planted_leaks(tmp_path):
    """The study's JSON, with 36 test ids in train and 9 in val, as its model split has."""
    classes = ["A", "B"]
    train, val, test = list(range(400)), list(range(400, 500)), list(range(500, 700))
    test[:36], test[36:45] = train[10:46], val[5:14]
    data = {"target_attribute": "Model", "label_encoder_classes": classes}
    for word, ids in (("train", train), ("val", val), ("test", test)):
        data |= {f"{word}_ids": ids, f"encoded_{word}_labels": [i % 2 for i in range(len(ids))]}
    (tmp_path / "model.json").write_text(json.dumps(data))
    report = validate(read_split_file(tmp_path / "model.json"))
    assert report.find("model", "test ids also in train").value == 36
    assert report.find("model", "test ids also in val").value == 9
    assert report.find("model", "val ids also in train").value == 0
    assert [f.check for f in report.problems] == ["test ids also in train", "test ids also in val"]
    with pytest.raises(KeyError):
        report.find("model", "test photos of owners in train")  # no owners: not checked, not claimed


def test_validate__photos_that_change_sides_between_attributes():
    one = SplitTable("make", np.array(["a", "b", "c"]), np.array([0, 0, 2], dtype=np.int8), np.array(["x", "y", "x"]))
    two = SplitTable("iso", np.array(["c", "d", "b"]), np.array([0, 0, 2], dtype=np.int8), np.array(["1", "2", "1"]))
    report = validate([one, two])
    assert report.find("iso -> make", "test photos in the other's train").value == 1
    assert report.find("make -> iso", "test photos in the other's train").level == "note"


def test_validate__leaks_come_first_and_photos_that_serve_several_attributes_are_one_note():
    """Three attributes of the same photos, sides changed between them; one of them leaks into its own train split."""
    ids = np.array([f"p{i}" for i in range(90)])
    tables = [
        SplitTable(name, ids, np.roll(np.repeat(np.array([0, 1, 2], dtype=np.int8), 30), 20 * i), np.array(["x"] * 90))
        for i, name in enumerate(("make", "iso", "aperture"))
    ]
    leaky = tables[2].ids.copy()
    leaky[tables[2].rows(2)[:7]] = leaky[tables[2].rows(0)[:7]]
    tables[2] = dataclasses.replace(tables[2], ids=leaky)
    report = validate(tables)
    first = report.findings[0]
    assert (first.table, first.check, first.value, first.level) == ("aperture", "test ids also in train", 7, "problem")
    assert report.problems == (first,)
    assert [f.level for f in report.findings] == sorted(
        (f.level for f in report.findings), key=["problem", "note", "ok"].index
    )
    lines = report.to_text().splitlines()
    assert lines[1].startswith("PROBLEM  aperture")
    several = [line for line in lines if "test photos in the other's train" in line and line.startswith("note")]
    assert len(several) == 1
    assert re.search(r"(20|27) +30 .*the most of \d pairs of attributes$", several[0])
    assert lines[-1].startswith("1 problems, ")


def one_gives_the_other_away(share: float, classes: int) -> SplitTable:
    """40 train and 40 test rows; ``iso`` names the class of this share of the test rows, a wrong one of the rest."""
    labels = np.array([f"c{i % classes}" for i in range(40)] * 2)
    shifted = np.array([f"c{(i + 1) % classes}" for i in range(40)])
    printed = np.where(np.arange(40) < round(40 * share), labels[:40], shifted)
    splits = np.repeat(np.array([0, 2], dtype=np.int8), 40)
    ids = np.array([f"p{i}" for i in range(80)])
    return SplitTable("make", ids, splits, labels, metadata={"iso": np.concatenate([labels[:40], printed])})


@pytest.mark.parametrize(
    ("share", "classes", "level"),
    [(0.7, 2, "ok"), (0.8, 2, "note"), (1.0, 2, "note"), (0.3, 4, "ok"), (0.55, 4, "note"), (0.2, 8, "ok")],
)
def test_validate__a_give_away_is_twice_chance_or_half_the_way_to_certainty(share, classes, level):
    result = validate(one_gives_the_other_away(share, classes)).find("iso -> make", "accuracy of a majority lookup")
    assert (result.value, result.chance, result.level) == (pytest.approx(share), 1 / classes, level)


def test_validate__a_lookup_leaves_out_what_is_not_known_and_guesses_new_values():
    """2 train rows say b, one a; of 4 test rows one has no iso, two a new one: the commonest label of all, b."""
    splits = np.array([0, 0, 0, 0, 2, 2, 2, 2], dtype=np.int8)
    labels = np.array(["a", "b", "b", "", "a", "b", "b", "b"])
    iso = np.array(["1", "2", "2", "3", "1", "", "9", "9"])
    table = SplitTable("make", np.array(list("stuvwxyz")), splits, labels, metadata={"iso": iso})
    result = validate(table).find("iso -> make", "accuracy of a majority lookup")
    assert (result.value, result.n) == (1.0, 3)


def test_validate__near_duplicates_whichever_hash_is_larger():
    """Two of three test photos are two bits from a train photo, one hash above the other's and one below."""
    near = np.uint64(0b11 << 40)
    low, high = HASH[4] & ~near, HASH[5] | near
    hashes = np.array([low, high, HASH[6], low | near, high & ~near, HASH[7]], dtype=np.uint64)
    splits = np.array([0, 0, 0, 2, 2, 2], dtype=np.int8)
    report = validate(SplitTable("make", np.array(list("abcdef")), splits, hashes=hashes))
    result = report.find("make", "test near-duplicates of train (other id)")
    assert (result.value, result.n, result.level) == (2, 3, "problem")
