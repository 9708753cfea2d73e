"""Folders of compiled kernels: which are kept and which are removed."""

import os
import time
from pathlib import Path

import pytest

from builders.kernels import cache
from builders.kernels.cache import MAX_UNUSED_DAYS, mark_used

USED = f"engine-{'5' * 16}"
OLD, RECENT = f"engine-{'a' * 16}", f"engine-{'b' * 16}"


@pytest.fixture(autouse=True)
def _fresh():
    mark_used.cache_clear()
    yield
    mark_used.cache_clear()


def aged(path: Path, days: float) -> Path:
    """Of kernels, last used so many days ago."""
    kernels = path / "engine_0123"
    kernels.mkdir(parents=True)
    (kernels / "render-39.py311.1.nbc").write_bytes(b"code")
    then = time.time() - days * 86_400
    os.utime(path, (then, then))
    return path


def test_mark_used__removes_what_was_unused_for_long(tmp_path):
    used = aged(tmp_path / USED, MAX_UNUSED_DAYS + 9)
    aged(tmp_path / OLD, MAX_UNUSED_DAYS + 0.1)
    aged(tmp_path / RECENT, MAX_UNUSED_DAYS - 0.1)
    mark_used(used)
    assert {path.name for path in tmp_path.iterdir()} == {USED, RECENT}
    assert list(used.rglob("*.nbc"))
    assert time.time() - used.stat().st_mtime < 3600


def test_mark_used__leaves_alone_other_folders(tmp_path):
    root, outside = tmp_path / "camtrace", aged(tmp_path / "outside", 400)
    used = aged(root / USED, 0)
    for name in ("engine-notes", "banks", f"engine-{'a' * 17}", f"engine-{'A' * 16}", f"old-engine-{'a' * 16}"):
        aged(root / name, 400)
    (root / OLD).symlink_to(outside)
    os.utime(root / OLD, (0, 0), follow_symlinks=False)
    (root / RECENT).write_text("a file")
    os.utime(root / RECENT, (0, 0))
    before = sorted(root.rglob("*"))
    mark_used(used)
    assert sorted(root.rglob("*")) == before
    assert list(outside.rglob("*.nbc"))


def test_mark_used__where_nothing_can_be_written_nothing_is_removed(tmp_path, monkeypatch):
    used, old = aged(tmp_path / USED, 0), aged(tmp_path / OLD, 400)

    def refuse(path, *args, **kwargs):
        raise PermissionError(13, "read-only", str(path))

    with monkeypatch.context() as patch:
        patch.setattr(os, "utime", refuse)
        mark_used(used)
    assert list(old.rglob("*.nbc"))
    mark_used(tmp_path / "nowhere" / USED)
    mark_used.cache_clear()
    monkeypatch.setattr(os, "rmdir", refuse)
    mark_used(used)  # may not remove the folder itself
    assert old.is_dir()


def test_kernel_folder__in_the_cache_of_the_user(monkeypatch, tmp_path):
    name = f"engine-{cache.sources_hash()}"
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    assert cache.kernel_folder() == tmp_path / "cache" / "camtrace" / name
    monkeypatch.setenv("HOME", str(tmp_path))
    for absent in ("", None):
        monkeypatch.setenv("XDG_CACHE_HOME", "") if absent == "" else monkeypatch.delenv("XDG_CACHE_HOME")
        assert cache.kernel_folder() == tmp_path / ".cache" / "camtrace" / name
