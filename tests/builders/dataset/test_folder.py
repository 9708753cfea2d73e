"""Folders of builds: which are refused, what ``fresh`` removes, what an update sets aside and reads again."""

import json
import shutil
from dataclasses import dataclass, field

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from datasets import ClassLabel, Features, Value

from builders.dataset import SplitShards, claim_folder, prepare_folder, update, write_shards
from builders.dataset.folder import ClassCounts, class_counts
from builders.dataset.shards import Shard
from builders.dataset.update import previous_items, remove_previous, set_aside, with_previous_rows
from builders.dataset.write import building, remove_split, write_failures
from builders.errors import DiskError, UsageError
from tests.builders.dataset.test_shards import IDS, job, noise


def names(folder) -> set[str]:
    return {path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()}


def built(folder, *configs, previous=False):
    """The files of a build, without their content."""
    for config in configs:
        for file in (f"data/{config}/train-00000-of-00001.parquet", f".build/{config}/train-00000-of-00001.json"):
            (folder / file).parent.mkdir(parents=True, exist_ok=True)
            (folder / file).write_text("x")
    for file in ("README.md", "build.json", "croissant.json", "failures.jsonl", "notes.txt"):
        (folder / file).write_text("x")
    if previous:
        (folder / ".build" / "previous" / "0001").mkdir(parents=True)
        (folder / ".build" / "previous" / "0001" / "x").write_text("x")


def test_prepare__folders_without_a_build(tmp_path):
    prepare_folder(tmp_path / "new", ["jpeg"])
    assert not (tmp_path / "new").exists()
    (tmp_path / "empty").mkdir()
    prepare_folder(tmp_path / "empty", ["jpeg"], fresh=True)
    (tmp_path / "file").write_text("x")
    with pytest.raises(UsageError, match="--output"):
        prepare_folder(tmp_path / "file", ["jpeg"])
    for name, make in (("with-file", lambda p: p.write_text("x")), ("with-folder", lambda p: p.mkdir())):
        (tmp_path / name).mkdir()
        make(tmp_path / name / "a")
        for fresh in (False, True):
            with pytest.raises(UsageError):
                prepare_folder(tmp_path / name, ["jpeg"], fresh=fresh)
        assert (tmp_path / name / "a").exists()


def test_prepare__a_build_of_other_configs_is_refused_and_fresh_removes_what_a_build_wrote(tmp_path):
    built(tmp_path, "jpeg", "iso", "make", previous=True)
    (tmp_path / ".build" / "empty").mkdir()
    (tmp_path / "data" / "jpeg" / "mine.parquet").write_text("x")
    before = names(tmp_path)
    prepare_folder(tmp_path, ["make", "jpeg", "iso", "other"])
    with pytest.raises(UsageError) as caught:
        prepare_folder(tmp_path, ["jpeg"])
    assert str(tmp_path) in str(caught.value)
    assert names(tmp_path) == before
    prepare_folder(tmp_path, ["jpeg"], fresh=True)
    assert names(tmp_path) == {"notes.txt", "data/jpeg/mine.parquet"}
    prepare_folder(tmp_path, ["iso"])


def test_claim__marks_the_folder_or_names_why_not(tmp_path):
    claim_folder(tmp_path / "a" / "b")
    claim_folder(tmp_path / "a" / "b")
    assert (tmp_path / "a" / "b" / ".build").is_dir()
    (tmp_path / "file").write_text("x")
    with pytest.raises(DiskError, match="file/c"):
        claim_folder(tmp_path / "file" / "c")


def test_class_counts__of_every_class_column_over_all_shards(tmp_path):
    features = Features(
        {"make": ClassLabel(names=["a", "b", "c"]), "n": Value("int64"), "iso": ClassLabel(names=["x"])}
    )
    shards = []
    for number, makes in enumerate(([0, 2, 2, -1], [2, None, 0])):
        table = pa.table({"make": makes, "n": [1] * len(makes), "iso": [0] * len(makes)}, schema=features.arrow_schema)
        pq.write_table(table, tmp_path / f"{number}.parquet")
        shards.append(Shard(f"{number}.parquet", "r", len(makes), 1, 1, "s"))
    made = class_counts(tmp_path, SplitShards("jpeg", "test", tuple(shards)), features)
    assert made == [
        ClassCounts("jpeg", "test", "make", ("a", "b", "c"), (2, 0, 3)),
        ClassCounts("jpeg", "test", "iso", ("x",), (7,)),
    ]  # fmt: skip
    assert class_counts(tmp_path, SplitShards("jpeg", "test", ()), features)[0].counts == (0, 0, 0)


def test_write_failures__one_line_each_or_no_file(tmp_path):
    from builders.dataset.shards import ItemFailure

    def shard(*failures):
        return Shard("f", "r", 1, 1, 1, "s", tuple(ItemFailure(*each) for each in failures))

    splits = [
        SplitShards("jpeg", "train", (shard(("p", "brökn")), shard())),
        SplitShards("iso", "test", (shard(("q", "x")),)),
    ]  # fmt: skip
    assert write_failures(tmp_path, splits) == 2
    assert (tmp_path / "failures.jsonl").read_text(encoding="utf-8") == (
        '{"config": "jpeg", "split": "train", "id": "p", "reason": "brökn"}\n'
        '{"config": "iso", "split": "test", "id": "q", "reason": "x"}\n'
    )
    assert write_failures(tmp_path, [SplitShards("jpeg", "train", (shard(),))]) == 0
    assert not (tmp_path / "failures.jsonl").exists()
    assert write_failures(tmp_path, []) == 0


def test_remove_split__of_its_own_shards_and_markers_alone(tmp_path):
    for split in ("train", "train-2", "test"):
        for config in ("jpeg", "iso"):
            for file in (
                f"data/{config}/{split}-00000-of-00001.parquet",
                f".build/{config}/{split}-00000-of-00001.json",
            ):
                (tmp_path / file).parent.mkdir(parents=True, exist_ok=True)
                (tmp_path / file).write_text("x")
    (tmp_path / "data" / "jpeg" / "test-notes.txt").write_text("x")
    before = names(tmp_path)
    remove_split(job(tmp_path, split="test"))
    gone = {"data/jpeg/test-00000-of-00001.parquet", ".build/jpeg/test-00000-of-00001.json"}
    assert before - names(tmp_path) == gone


def test_set_aside__moves_every_build_into_a_generation_of_its_own(tmp_path):
    set_aside(tmp_path / "none")
    assert not (tmp_path / "none").exists()
    for number in (1, 2):
        built(tmp_path, "jpeg", "iso")
        set_aside(tmp_path)
        target = tmp_path / ".build" / "previous" / f"000{number}"
        assert names(target) == {
            f"{kind}/{config}/train-00000-of-00001.{end}"
            for config in ("jpeg", "iso")
            for kind, end in (("markers", "json"), ("data", "parquet"))
        }
        assert names(tmp_path) - {p for p in names(tmp_path) if p.startswith(".build/")} == {
            "croissant.json", "failures.jsonl", "notes.txt",
        }  # fmt: skip
        assert not (tmp_path / "data").exists()
    (tmp_path / ".build" / "previous" / "0009").mkdir()
    (tmp_path / ".build" / "previous" / "notes").mkdir()
    (tmp_path / "README.md").write_text("x")
    set_aside(tmp_path)  # there is no shard: no generation, and no folder that looks complete
    assert not (tmp_path / "README.md").exists()
    assert not (tmp_path / ".build" / "previous" / "0010").exists()
    built(tmp_path, "jpeg")
    shutil.rmtree(tmp_path / "data")
    set_aside(tmp_path)
    assert names(tmp_path / ".build" / "previous" / "0010") == {"markers/jpeg/train-00000-of-00001.json"}
    for _ in range(2):
        remove_previous(tmp_path)
        assert not (tmp_path / ".build" / "previous").exists()
    built(tmp_path, "jpeg")
    with building(tmp_path), pytest.MonkeyPatch.context() as patch:
        patch.setattr("builders.dataset.write.LOCK_TIMEOUT_S", 0)
        with pytest.raises(UsageError):
            set_aside(tmp_path)


@dataclass
class Rows:
    """Rows of photos of a version; those of an earlier build are right where ``right`` says so."""

    version: int = 1
    right: bool = True
    id_column: str = "photo_id"
    made: list = field(default_factory=list)
    seen: list = field(default_factory=list)

    def __call__(self, item):
        self.made.append(item)
        count = 1 + item % 3
        return [
            {"image": {"bytes": noise(item, c, 50), "path": f"{self.version}"}, "photo_id": IDS[item], "jpeg": c % 2}
            for c in range(count)
        ]

    def again(self, item, rows):
        self.seen.append((item, [(row["photo_id"], row["image"]["path"], row["jpeg"]) for row in rows]))
        return rows if self.right else None


def of_version(folder, rows, ids=IDS[:9], **more):
    return job(folder, **{"ids": ids, "make_rows": rows, "rows_recipe": {"seed": 1}, "items_per_shard": 4, **more})


@pytest.fixture
def two_builds(tmp_path, monkeypatch):
    """Version 1 of nine photos was set aside, then version 2 of the first five of them."""
    monkeypatch.setattr("builders.dataset.parquet_writer.ROW_GROUP_ROWS", 2)
    write_shards(of_version(tmp_path, Rows(1)))
    set_aside(tmp_path)
    write_shards(of_version(tmp_path, Rows(2), IDS[:5]))
    set_aside(tmp_path)
    return tmp_path


def expected(item, version):
    return item, [(IDS[item], str(version), c % 2) for c in range(1 + item % 3)]


def test_previous_rows__of_the_newest_build_that_has_the_photo(two_builds):
    rows = Rows(3)
    ids = (*IDS[:9], "new")
    updated = with_previous_rows(of_version(two_builds, rows, ids))
    assert previous_items([updated, of_version(two_builds, rows)]) == 9
    for item in (8, 0, 4, 5, 2):
        assert [row["image"]["path"] for row in updated.make_rows(item)] == [str(1 + (item < 5))] * (1 + item % 3)
    assert rows.seen == [expected(item, 1 + (item < 5)) for item in (8, 0, 4, 5, 2)]
    assert rows.made == []
    moved = with_previous_rows(of_version(two_builds, rows, ids[::-1]))
    rows.seen.clear()
    assert [row["photo_id"] for row in moved.make_rows(9)] == [IDS[0]]
    rows.right = False
    assert [row["image"]["path"] for row in updated.make_rows(7)] == ["3", "3"]
    assert rows.made == [7]
    with pytest.raises(IndexError):
        updated.make_rows(10)


@pytest.mark.parametrize(
    "change",
    [{"rows_recipe": None}, {"rows_recipe": {"seed": 2}}, {"config": "iso"}, {"ids": ("x", "y")},
     {"make_rows": lambda item: []}],
)  # fmt: skip
def test_previous_rows__of_other_settings_configs_or_photos_are_not_taken(two_builds, change):
    wanted = of_version(two_builds, Rows(3), **change)
    assert with_previous_rows(wanted) is wanted
    assert previous_items([wanted]) == 0


@pytest.mark.parametrize("fault", ["no marker", "no json", "no file", "no hash", "other bytes", "a list", "two rows"])
def test_previous_rows__a_damaged_shard_is_left_out(two_builds, fault, capsys):
    """Of version 2, the shard of photos 0 to 3: their rows are those of version 1."""
    newest = two_builds / ".build" / "previous" / "0002"
    marker = newest / "markers" / "jpeg" / "train-00000-of-00002.json"
    file = newest / "data" / "jpeg" / "train-00000-of-00002.parquet"
    stated = json.loads(marker.read_text())
    if fault == "no marker":
        marker.unlink()
    elif fault == "no file":
        file.unlink()
    elif fault == "other bytes":
        file.write_bytes(file.read_bytes() + b"x")
    else:
        text = {"no json": "{", "a list": "[]", "no hash": json.dumps({"file": stated["file"]})}.get(fault)
        marker.write_text(text or json.dumps({**stated, "file": 5}))
    rows = Rows(3)
    updated = with_previous_rows(of_version(two_builds, rows))
    assert previous_items([updated]) == 9
    assert [next(iter(updated.make_rows(item)))["image"]["path"] for item in (0, 3, 4, 5)] == ["1", "1", "2", "1"]
    err = capsys.readouterr().err
    assert err == (
        f"camtrace: warning: {file}: does not match its checksum; made again\n" if fault == "other bytes" else ""
    )
    update._row_group.cache_clear()
