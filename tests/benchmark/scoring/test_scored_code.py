"""The hash of the code that decides scores covers what tasks import, whatever a package is called."""

import shutil
from pathlib import Path

import pytest

from benchmark.results.scoring_code import HELD_ELSEWHERE, hash_of_code, scoring_packages

ROOT = Path(__file__).parents[3]

COVERED = {
    *("benchmark.compute", "benchmark.erasing", "benchmark.knn", "benchmark.probe", "benchmark.results"),
    *("benchmark.judgement", "benchmark.retrieval", "benchmark.robustness", "benchmark.stats", "benchmark.tasks"),
    "benchmark.answers",
    "benchmark.detection",
    "benchmark.extras.copies",
    *(
        "builders.exif",
        "builders.kernels",
        "builders.photos",
        "builders.pixels",
        "builders.plugins",
        "builders.processes",
        "builders.splits",
    ),
}


@pytest.fixture
def copied(tmp_path):
    """The covered packages, and an empty package for each that is left out."""
    for package in COVERED:
        part = package.replace(".", "/")
        if (ROOT / part).is_dir():
            shutil.copytree(ROOT / part, tmp_path / part, ignore=shutil.ignore_patterns("__pycache__"))
        else:
            (tmp_path / part).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(ROOT / f"{part}.py", tmp_path / f"{part}.py")
    for package in HELD_ELSEWHERE:
        (tmp_path / package.replace(".", "/")).mkdir(parents=True)
    return tmp_path


def test_scoring_packages__are_these():
    assert set(scoring_packages(ROOT)) == COVERED


@pytest.mark.parametrize("file", ["benchmark/erasing/eraser.py", "builders/exif/aliases.yaml"])
def test_hash_of_code__one_byte_moves_it(copied, file):
    before = hash_of_code(copied)
    assert before == hash_of_code(ROOT)
    path = copied / file
    path.write_bytes(path.read_bytes() + b" ")
    assert hash_of_code(copied) != before


def test_hash_of_code__what_was_compiled_does_not_count(copied):
    before = hash_of_code(copied)
    compiled = copied / "benchmark" / "probe" / "__pycache__" / "x.nbi"
    compiled.parent.mkdir()
    compiled.write_bytes(b"1")
    (copied / "benchmark" / "bank" / "bank.py").write_bytes(b"1")
    assert hash_of_code(copied) == before


@pytest.mark.parametrize(
    "line",
    [
        "from benchmark.fresh.inner import thing",
        "if TYPE_CHECKING:\n    from benchmark.fresh import Thing",
        'READ = "benchmark.fresh.inner:thing"',
    ],
)
def test_scoring_packages__a_new_one_counts_as_soon_as_it_is_imported(copied, line):
    (copied / "benchmark" / "fresh.py").write_text("from builders.deeper import thing\n")
    (copied / "builders" / "deeper").mkdir()
    (copied / "builders" / "deeper" / "__init__.py").write_text("")
    with (copied / "benchmark" / "knn" / "votes.py").open("a") as file:
        file.write(f"\n{line}\n")
    assert set(scoring_packages(copied)) == {*COVERED, "benchmark.fresh", "builders.deeper"}


def test_scoring_packages__a_package_without_files_is_an_error(copied):
    shutil.rmtree(copied / "benchmark" / "erasing")
    with pytest.raises(RuntimeError, match=r"benchmark\.erasing: has no files"):
        hash_of_code(copied)


def test_scoring_packages__a_reason_for_no_package_is_an_error(copied):
    shutil.rmtree(copied / "benchmark" / "bank")
    with pytest.raises(RuntimeError, match=r"benchmark\.bank: there is no such package"):
        hash_of_code(copied)
