"""Folders of compiled kernels: which are kept and which are removed."""

import os
import shutil
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


def test_mark_used__another_process_may_be_faster(tmp_path, monkeypatch):
    used = aged(tmp_path / USED, 0)
    for digit in "abc":
        aged(tmp_path / f"engine-{digit * 16}", 400)
    remove, seen = shutil.rmtree, []

    def all_gone(path, **how):
        seen.append(path)
        for other in tmp_path.glob("engine-[abc]*"):
            remove(other)
        remove(path, **how)

    monkeypatch.setattr(cache.shutil, "rmtree", all_gone)
    mark_used(used)
    assert len(seen) == 1
    assert [path.name for path in tmp_path.iterdir()] == [USED]


def test_index_hash__holds_what_numba_finds_compiled_functions_by(tmp_path, monkeypatch):
    """Two checkouts of the same files: numba keeps what it compiles under their folders."""
    hashes = []

    def now():
        for cached in (cache.index_hash, cache.sources_hash):
            cached.cache_clear()
        hashes.append(cache.index_hash((str(part),)))
        return cache.sources_hash((str(part),))

    for checkout in ("one", "two"):
        (tmp_path / checkout).mkdir()
        monkeypatch.setattr(cache, "__file__", str(tmp_path / checkout / "kernel_cache.py"))
        for name in ("kernel_cache.py", "part.py"):
            (tmp_path / checkout / name).write_text("FACTOR = 2\n")
            os.utime(tmp_path / checkout / name, (1, 1))
        part = tmp_path / checkout / "part.py"
        sources = now()
        now()
        assert hashes.pop() == hashes[-1]
    assert now() == sources
    assert len(set(hashes)) == 2  # the second twice
    os.utime(part, (2, 2))
    assert now() == sources
    versions = {"numba": "0.1", "llvmlite": "0.2"}
    monkeypatch.setattr(cache.importlib.metadata, "version", versions.get)
    now()
    monkeypatch.setenv("NUMBA_CPU_NAME", "generic")
    now()
    cores = tmp_path / "cpuinfo"
    monkeypatch.setattr(cache, "CPU_INFO", cores)
    cores.write_text("processor : 0\nflags : sse2\ncpu MHz : 1\n\nprocessor : 1\n")
    now()
    cores.write_text("processor : 0\nflags : sse2\ncpu MHz : 2\n\nprocessor : 1\nflags : other\n")
    now()
    assert hashes.pop() == hashes[-1]
    cores.write_text("processor : 0\nflags : avx2\ncpu MHz : 2\n")
    assert now() == sources
    assert len(hashes) == 8
    assert len(set(hashes)) == 7
    cache.index_hash.cache_clear()
    cache.sources_hash.cache_clear()


def test_kernel_folder__in_the_cache_of_the_user(monkeypatch, tmp_path):
    name = f"engine-{cache.sources_hash()}"
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    assert cache.kernel_folder() == tmp_path / "cache" / "camtrace" / name
    monkeypatch.setenv("HOME", str(tmp_path))
    for absent in ("", None):
        monkeypatch.setenv("XDG_CACHE_HOME", "") if absent == "" else monkeypatch.delenv("XDG_CACHE_HOME")
        assert cache.kernel_folder() == tmp_path / ".cache" / "camtrace" / name


def test_index_hash__of_features_packages_and_lines_of_the_first_core(monkeypatch, tmp_path):
    cores, hashes = tmp_path / "cpuinfo", []
    monkeypatch.setattr(cache, "CPU_INFO", cores)

    def now():
        cache.index_hash.cache_clear()
        hashes.append(cache.index_hash())

    now()  # no file at all
    for line in ("model name", "flags", "CPU implementer", "CPU part", "Features", "isa"):
        cores.write_text(f"bogus : 1\n{line} : x\n")
        now()
    cores.write_text("bogus : 2\nisa : x\n\nisa : y\n")
    now()
    assert hashes.pop() == hashes[-1]
    monkeypatch.setenv("NUMBA_CPU_FEATURES", "+avx")
    now()
    monkeypatch.setattr(cache.sys.implementation, "cache_tag", "other-1")
    now()

    def absent(package):
        raise cache.importlib.metadata.PackageNotFoundError(package)

    monkeypatch.setattr(cache.importlib.metadata, "version", absent)
    now()
    monkeypatch.setattr(cache.platform, "machine", lambda: "another")
    now()
    assert len(set(hashes)) == len(hashes) == 11
    assert all(len(name) == 16 for name in hashes)
    cache.index_hash.cache_clear()
