"""Paths that are taken seldom, each by a direct call."""

from pathlib import Path

from benchmark.scoring.cache import _files
from benchmark.scoring.estimating.pass_costs import _missing


def test_files__one_that_another_process_removes_is_passed_over(tmp_path, monkeypatch):
    for name in ("a", "b"):
        (tmp_path / name).write_text(name)
    real = Path.lstat

    def vanishing(self):
        if self.name == "a":
            raise FileNotFoundError(self)
        return real(self)

    monkeypatch.setattr(Path, "lstat", vanishing)
    assert [(path.name, status.st_size) for path, status in _files(tmp_path)] == [("b", 1)]


def test_missing__no_views_lack_nothing_and_without_a_bank_all_do():
    assert _missing([], None, 7) == {}
    assert _missing(["b", "a"], None, 7) == {("b", "a"): 7}
