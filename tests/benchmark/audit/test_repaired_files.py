"""Repaired data sets on disk: names, formats and folders of files, what is refused, and what is carried over."""

import json
import unicodedata
from dataclasses import replace

import numpy as np
import pytest

from benchmark.audit import parse_repair
from benchmark.audit.repair_plan import Repair, RepairPlan
from benchmark.audit.repairs import (
    carried_columns,
    class_folders,
    remaining,
    repaired_bytes,
    repaired_spec,
    write_repaired,
)
from benchmark.audit.result import Carrier
from benchmark.audit.subjects import photo_subject
from builders.data_specs import open_photos
from builders.errors import DataError, PhotoError, UsageError
from builders.photos import Labels, PhotoSet
from builders.pixels import read_image_header
from tests.benchmark.audit.planted import jpeg, picture
from tests.benchmark.audit.test_report import AUDIT
from tests.benchmark.audit.test_verdict import layer, question
from tests.support.images import image_bytes

IMAGES = [picture(np.random.default_rng(i), 16) for i in range(4)]
UNCHANGED = Repair("match")
FILES = {
    ".hidden/a b.jpg": jpeg(IMAGES[0]),
    "x/../c.png": image_bytes(IMAGES[1]),
    "d.webp": image_bytes(IMAGES[2], "WEBP"),
    "e.gif": image_bytes(IMAGES[3], "GIF"),
    "f.bmp": image_bytes(IMAGES[3], "BMP"),
    "cut": b"\xff\xd8 cut",
}


def subject_of(files, labels, splits=None):
    return photo_subject(PhotoSet.of_bytes("toy", files, labels, splits))


def plan_of(repair, count, at=None):
    retained = np.arange(count) if at is None else np.array(at)
    return RepairPlan(repair, retained, count, {"a": (4, 3)}, ("format",), ("One.", "Two."))


def written_names(folder):
    return sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file())


def test_files__names_are_safe_and_end_by_format(tmp_path):
    subject = subject_of(FILES, ["..", "a/b", "a/b", "..", "..", ".."], ["train"] * 6)
    folder = tmp_path / "out"
    photos = write_repaired(plan_of(UNCHANGED, 5, range(5)), subject, folder, form="files")
    names = written_names(folder)
    stems = [name.rpartition("-")[0] for name in names if name != ".repair.json"]
    hidden, slashed = class_folders(["..", "a/b"])
    in_folders = [f"{hidden}/a_b", f"{hidden}/e", f"{hidden}/f", f"{slashed}/c", f"{slashed}/d"]
    assert sorted(stems) == sorted(in_folders)
    assert (hidden[:2], slashed[:4]) == ("_-", "a_b-")
    assert sorted(name.rpartition(".")[2] for name in names) == ["gif", "img", "jpg", "json", "png", "webp"]
    contents = {(folder / name).read_bytes() for name in names if name != ".repair.json"}
    assert contents == set(list(FILES.values())[:5])
    assert len(photos) == 5


def test_files__each_class_has_a_folder_of_its_own_in_any_script(tmp_path):
    classes = ["猫", "犬", "a b", "a_b", "a/b", "हिन्दी", "猫" * 100, "猫" * 101, "Cat", "cat", "é", "e\u0301", "\udcff"]
    subject = subject_of({f"{i}.jpg": jpeg(IMAGES[0]) for i in range(len(classes))}, classes, ["val"] * len(classes))
    photos = write_repaired(plan_of(UNCHANGED, len(classes)), subject, tmp_path / "out", form="files")
    folders = {name.rpartition("/")[0] for name in written_names(tmp_path / "out")} - {""}
    assert len(folders) == len(photos.labels.names) == len(classes)
    as_seen = {unicodedata.normalize("NFC", folder).casefold() for folder in folders}
    assert len(as_seen) == len(classes)  # also on a disk that knows neither case nor forms of an accent
    assert folders >= {"猫", "犬", "a_b", "हिन्दी"}


@pytest.mark.parametrize(
    ("splits", "drawn", "folders"),
    [
        (["train", "train", "val", "test"], False, {"train/a", "train/b", "val/a", "test/b"}),
        (["val"] * 4, False, {"a", "b"}),
        (["train", "train", "val", "test"], True, {"a", "b"}),
    ],
)
def test_files__lie_in_folders_of_splits_that_are_given(tmp_path, splits, drawn, folders):
    files = {f"{i}.jpg": jpeg(IMAGES[i]) for i in range(4)}
    photos = PhotoSet.of_bytes("toy", files, ["a", "b", "a", "b"], splits)
    photos = replace(photos, evidence={"splits": "seeded: none was given" if drawn else "as given"})
    write_repaired(plan_of(UNCHANGED, 4), photo_subject(photos), tmp_path / "out", form="files")
    assert {name.rpartition("/")[0] for name in written_names(tmp_path / "out")} - {""} == folders


def test_files__what_could_not_be_read_is_listed_until_it_can_be(tmp_path):
    folder, files = tmp_path / "out", {**FILES, "also\udcff": b""}
    labels = ["a", "b", "a", "b", "a", "b", "a"]
    subject, plan = subject_of(files, labels), plan_of(Repair("reencode", 80, "4:2:0"), 7, [0, 1, 5, 6])
    write_repaired(plan, subject, folder, form="files")
    failures = [json.loads(line) for line in (folder / ".failures.jsonl").read_text().splitlines()]
    assert [failure["id"] for failure in failures] == ["cut", "also\\xff"]
    assert all(failure["reason"] for failure in failures)
    made = {path: path.stat().st_mtime_ns for path in folder.rglob("*.jpg")}
    assert len(made) == 2
    whole = subject_of({name: data if len(data) > 9 else FILES["e.gif"] for name, data in files.items()}, labels)
    write_repaired(plan, whole, folder, form="files")
    assert not (folder / ".failures.jsonl").exists()
    assert {path: path.stat().st_mtime_ns for path in made} == made  # they were not written again
    assert len(list(folder.rglob("*.jpg"))) == 4
    with pytest.raises(UsageError, match=f"{folder}"):
        write_repaired(plan_of(Repair("reencode", 81, "4:2:0"), 7, [0, 1, 5, 6]), whole, folder, form="files")
    with pytest.raises(UsageError, match="another repair"):  # of other photos
        write_repaired(plan_of(plan.repair, 7, [0, 1, 5]), whole, folder, form="files")
    (folder / ".repair.json").unlink()
    with pytest.raises(UsageError, match="holds something else"):
        write_repaired(plan, whole, folder, form="files")


@pytest.mark.parametrize("form", ["files", "shards"])
def test_write_repaired__goes_on_with_the_same_photos_and_labels_alone(tmp_path, form):
    for i in range(4):
        path = tmp_path / "photos" / "ab"[i % 2] / f"{i}.jpg"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(jpeg(IMAGES[i]))
    plan, out = plan_of(Repair("reencode", 80, "4:2:0"), 4), tmp_path / "out"

    def repaired(label=None, **changes):
        photos = replace(open_photos(f"folder:{tmp_path / 'photos'}"), **changes)
        subject = photo_subject(photos)
        subject = subject if label is None else replace(subject, label=label)
        return write_repaired(plan, subject, out, form=form)

    repaired()
    made = {path: path.stat().st_mtime_ns for path in out.rglob("*") if path.suffix in (".jpg", ".parquet")}
    assert made
    assert len(repaired()) == 4  # nothing has changed
    others = [
        Labels(("a", "b"), np.array([0, 1, 0, 1], np.int32)),
        Labels(("b", "a"), np.array([0, 0, 1, 1], np.int32)),
    ]
    for label in others:
        with pytest.raises(UsageError, match=f"{out}"):
            repaired(label)
    if form == "shards":
        with pytest.raises(UsageError, match=f"{out}"):
            repaired(columns={"source": np.array(list("stst"), dtype=object)})
    (tmp_path / "photos" / "a" / "0.jpg").write_bytes(jpeg(IMAGES[3]))
    with pytest.raises(UsageError, match=f"{out}"):
        repaired()
    assert {path: path.stat().st_mtime_ns for path in made} == made


@pytest.mark.parametrize("form", ["files", "shards"])
def test_write_repaired__of_no_photo_that_can_be_read_is_an_error(tmp_path, form):
    subject = subject_of({"x": b"1", "y": b"22"}, ["a", "b"])
    with pytest.raises(DataError, match="repaired"):
        write_repaired(plan_of(Repair("reencode", 80, "4:4:4"), 2), subject, tmp_path / "out", form=form)


def test_repaired_bytes__of_a_class_that_keeps_its_files_and_of_others():
    data = image_bytes(IMAGES[0])
    repair = Repair("match", 77, "4:4:4", ("fake",))
    assert repaired_bytes(data, repair, "x", "real") is data
    header = read_image_header(repaired_bytes(data, repair, "x", "fake"))
    assert (header.format, header.quality, header.subsampling) == ("JPEG", "77", "4:4:4")
    for other in (Repair("match"), Repair("match", 77), Repair("match", None, "4:4:4")):
        assert repaired_bytes(data, other, "x", "fake") is data
    assert read_image_header(repaired_bytes(data, Repair("reencode", 60, "4:2:0"), "x", "real")).quality == "60"
    with pytest.raises(PhotoError):
        repaired_bytes(b"cut", repair, "x", "fake")


@pytest.mark.parametrize(
    ("text", "repair"),
    [
        ("jpeg:1-420", Repair("reencode", 1, "4:2:0")),
        ("jpeg:95-444", Repair("reencode", 95, "4:4:4")),
        *((kind, Repair(kind)) for kind in ("reencode", "match", "drop")),
        *((text, "a JPEG quality is 1 to 95") for text in ("jpeg:0-420", "jpeg:96-444")),
        *((text, "unknown repair") for text in ("jpeg:80", "jpeg:80-422", "xjpeg:80-420", "jpeg:80-4200")),
        *((text, "unknown repair") for text in ("", "reencode:", "study", "jpeg:1000-420")),
    ],
)  # fmt: skip
def test_parse_repair__edges(text, repair):
    if isinstance(repair, Repair):
        assert parse_repair(text) == repair
    else:
        with pytest.raises(UsageError, match=repair):
            parse_repair(text)


def with_columns(**more):
    photos = PhotoSet.of_bytes("toy", {f"{i}/p.jpg": jpeg(IMAGES[i]) for i in range(4)}, ["a", "b", "a", "b"])
    columns = {"source": np.array(["s", "t", "s", ""], dtype=object), "cluster": np.array(list("wxyz"), dtype=object)}
    groups = {"maker": Labels(("m", "n"), np.array([0, 1, -1, 0], np.int32))}
    return replace(photos, columns={**columns, **more}, groups=groups)


def test_carried_columns__groups_and_columns_but_those_of_every_repaired_set():
    photos = with_columns(label=np.array(list("abcd"), dtype=object), place=np.array([1, 2, 3, 4]))
    carried = carried_columns(photos)
    assert {name: column.tolist() for name, column in carried.items()} == {
        "source": ["s", "t", "s", ""],
        "cluster": ["w", "x", "y", "z"],
        "place": [1, 2, 3, 4],
        "maker": ["m", "n", "", "m"],
    }
    assert repaired_spec(photos, "out") == "hub:out?label=label&group=maker&source=source&cluster=cluster"
    assert repaired_spec(PhotoSet.of_bytes("toy", {"a": b""}), "out") == "hub:out?label=label"


def test_shards__carry_columns_and_open_with_sources_and_owners(tmp_path):
    photos = with_columns()
    subject = photo_subject(photos, owner="cluster")
    plan = plan_of(UNCHANGED, 4, [0, 2, 3])
    again = write_repaired(plan, subject, tmp_path / "out", form="shards")
    ids = [photo_id.partition("/")[2] for photo_id in again.ids]
    assert sorted(ids) == ["0/p.jpg", "2/p.jpg", "3/p.jpg"]
    by_id = {i: (again.columns["source"][k], again.columns["owner"][k]) for k, i in enumerate(ids)}
    assert by_id == {"0/p.jpg": ("s", "w"), "2/p.jpg": ("s", "y"), "3/p.jpg": ("", "z")}
    assert [again.read(k) for k in range(3)] == [photos.read(int(i[0])) for i in ids]
    labels = {i: again.labels.names[again.labels.values[k]] for k, i in enumerate(ids)}
    assert labels == {"0/p.jpg": "a", "2/p.jpg": "a", "3/p.jpg": "b"}
    record = json.loads((tmp_path / "out" / "build.json").read_text())
    assert record["recipe"]["matched"] == ["format"]


def test_remaining__accuracies_before_and_after_and_what_is_still_flagged():
    before = replace(AUDIT, layers=(layer("exif", 0.9), layer("header", 0.8), layer("size", 0.7, target="split")))
    after = replace(
        AUDIT,
        layers=(layer("exif", 0.506), layer("pixels", 0.6, chance=0.25)),
        questions=(
            question("make", value=0.256, carriers=(Carrier("x", "y"),)),
            question("bytes", content=True),
            question("software", flagged=False),
            question("model", target="split"),
        ),
    )
    assert remaining(before, after) == [
        "label from the exif: 51 % (chance 50 %, 90 % before)",
        "label from the pixels: 60 % (chance 25 %)",
        "label from the header: nothing is left to read (80 % before)",
        "still there: make (V = 0.26)",
    ]


def test_remaining__each_layer_after_and_before_of_one_target():
    before = (layer("exif", 0.9), layer("header", 0.8, target="split"), layer("exif", 0.6, target="split"))
    after = (layer("exif", 0.55), layer("exif", 0.52, target="split"), layer("header", 0.7))
    flagged = (question("make", target="source"), question("iso", measure="eta", value=0.3), question("os", layer="x"))
    assert remaining(replace(AUDIT, layers=before), replace(AUDIT, layers=after, questions=flagged)) == [
        "label from the exif: 55 % (chance 50 %, 90 % before)",
        "split from the exif: 52 % (chance 50 %, 60 % before)",
        "label from the header: 70 % (chance 50 %)",
        "still there: iso (eta = 0.30)",
        "still there: os (V = 0.50)",
    ]


def test_shards__of_given_splits_by_their_names_on_the_hub(tmp_path):
    files = {f"{i}.jpg": jpeg(IMAGES[i]) for i in range(4)}
    photos = PhotoSet.of_bytes("toy", files, ["a", "b", "a", "b"], ["val", "train", "test", "train"])
    photos = replace(photos, evidence={"splits": "as given"})
    again = write_repaired(plan_of(UNCHANGED, 4), photo_subject(photos), tmp_path / "out", form="shards")
    folder = tmp_path / "out" / "data" / "repaired"
    assert {path.name.partition("-")[0] for path in folder.glob("*.parquet")} == {"train", "validation", "test"}
    splits = {photo_id.rpartition("/")[2]: int(split) for photo_id, split in zip(again.ids, again.splits, strict=True)}
    assert splits == {"0.jpg": 1, "1.jpg": 0, "2.jpg": 2, "3.jpg": 0}
