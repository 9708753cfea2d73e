import pytest

from benchmark.audit.repairs import PLAN_FILE
from benchmark.erasing.eraser import ABOUT
from benchmark.results import read_results, write_result
from benchmark.scoring.output import SWEEP_FILE
from builders.errors import UsageError


def test_read_results__accepts_results_and_names_refused_files(make, tmp_path):
    write_result(make.result("a", make.probes(0.5)), tmp_path / "results" / "a" / "toy" / "1.json")
    (tmp_path / "results" / "b.json").write_text("{}")
    (tmp_path / "results" / "c.json").write_bytes(b"\xff\xfe\x00")
    (tmp_path / "elsewhere.json").write_text("{}")
    read = read_results(str(tmp_path))
    assert [f.file for f in read.accepted] == ["results/a/toy/1.json"]
    assert [r.file for r in read.refused] == ["results/b.json", "results/c.json"]
    assert "schema_version" in read.refused[0].reason


def test_read_results__files_that_other_commands_write_are_no_results(make, tmp_path):
    write_result(make.result("a", make.probes(0.5)), tmp_path / "a" / "toy" / "result.json")
    for name in (SWEEP_FILE, PLAN_FILE, ABOUT, "audit.json"):
        (tmp_path / name).write_text("{}")
    read = read_results(str(tmp_path))
    assert ([f.file for f in read.accepted], read.refused) == (["a/toy/result.json"], ())


def test_read_results__a_link_out_of_the_folder_is_refused(make, tmp_path):
    write_result(make.result("a", make.probes(0.5)), tmp_path / "outside" / "a.json")
    (tmp_path / "inside").mkdir()
    (tmp_path / "inside" / "a.json").symlink_to(tmp_path / "outside" / "a.json")
    read = read_results(str(tmp_path / "inside"))
    assert read.accepted == ()
    assert "leaves the folder" in read.refused[0].reason


@pytest.mark.parametrize("source", ["no/such/folder", "nothing", "../up", "./here", "a b/c"])
def test_read_results__neither_folder_nor_repo(source):
    with pytest.raises(UsageError, match="no such folder"):
        read_results(source)
