"""Folders of builds: which are refused, what ``fresh`` removes, what an update sets aside and reads again."""

import pytest

from builders.dataset import claim_folder, prepare_folder
from builders.dataset.write import remove_split
from builders.errors import DiskError, UsageError
from tests.builders.dataset.test_shards import job


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
