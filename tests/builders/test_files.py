"""Disks: atomic writes, allocated space, leftovers of killed processes, errors as sentences."""

import errno
import os
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest
import yaml

from builders import files
from builders.cli import check_writable, guarded
from builders.errors import DiskError, disk_error
from builders.files import (
    read_package_yaml,
    reserve_space,
    sweep_cache,
    sweep_temporaries,
    temporary_path,
    try_writing,
    write_bytes_atomically,
    write_text_atomically,
)


def test_write_bytes_atomically__a_failed_write_leaves_the_old_file_and_nothing_else(tmp_path, monkeypatch):
    path = tmp_path / "deep" / "a"
    write_text_atomically(path, "old", durable=True)

    def full(descriptor):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError, match="No space left"):
        write_bytes_atomically(path, b"new", durable=True)
    assert path.read_text() == "old"
    assert os.listdir(path.parent) == ["a"]


def test_write_bytes_atomically__durable_files_are_synchronised_before_the_rename(tmp_path, monkeypatch):
    order = []
    for name in ("fsync", "replace"):
        true = getattr(os, name)
        monkeypatch.setattr(os, name, lambda *a, name=name, true=true: (order.append(name), true(*a))[1])
    write_bytes_atomically(tmp_path / "a", b"x", durable=True)
    assert order == ["fsync", "replace", "fsync"]  # the content, the name, the folder's list of names
    order.clear()
    write_bytes_atomically(tmp_path / "b", b"x")
    assert order == ["replace"]


def test_sweep_temporaries__of_ended_processes_here_and_old_ones_elsewhere(tmp_path):
    dead = subprocess.run([sys.executable, "-c", "import os; print(os.getpid())"], capture_output=True, text=True)
    mine = temporary_path(tmp_path / "rows.npy").name
    of_the_dead = mine.replace(f"-{os.getpid()}.", f"-{int(dead.stdout)}.")
    elsewhere = mine.replace(mine.split(".")[-2].partition("-")[0], "0123abcd")
    old = elsewhere.replace("rows", "old")
    others = ["a.tmp", ".notes.tmp", "kept.npy"]
    for name in (mine, of_the_dead, elsewhere, old, *others):
        (tmp_path / name).write_bytes(b"x")
    os.utime(tmp_path / old, (0, 0))
    assert sweep_temporaries(tmp_path) == 2
    assert sorted(os.listdir(tmp_path)) == sorted([mine, elsewhere, *others])
    assert sweep_temporaries(tmp_path, exclusive=True) == 2
    assert sorted(os.listdir(tmp_path)) == sorted(others)
    assert sweep_temporaries(tmp_path / "gone") == 0


@pytest.mark.skipif(sys.platform != "linux", reason="the state of a process is read from /proc")
def test_sweep_temporaries__of_zombies(tmp_path):
    process = subprocess.Popen(["true"])
    os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOWAIT)
    half = temporary_path(tmp_path / "rows.npy")
    half.with_name(half.name.replace(f"-{os.getpid()}.", f"-{process.pid}.")).touch()
    half.touch()
    assert sweep_temporaries(tmp_path) == 1
    assert os.listdir(tmp_path) == [half.name]
    process.wait()


def test_sweep_cache__of_every_kind_and_entry(tmp_path):
    dead = subprocess.run([sys.executable, "-c", "import os; print(os.getpid())"], capture_output=True, text=True)
    for folder in ("compiled", "outcomes/0a1b"):
        path = temporary_path(tmp_path / folder / "x.npz")
        path.parent.mkdir(parents=True)
        path.with_name(path.name.replace(f"-{os.getpid()}.", f"-{int(dead.stdout)}.")).write_bytes(b"half")
        (path.parent / "x.npz").write_bytes(b"whole")
    sweep_cache(tmp_path)
    left = sorted(path.relative_to(tmp_path).as_posix() for path in tmp_path.rglob("*") if path.is_file())
    assert left == ["compiled/x.npz", "outcomes/0a1b/x.npz"]


def test_reserve_space__is_allocated_on_the_disk(tmp_path, monkeypatch):
    for name in ("fallocate", "written"):
        if name == "written":
            monkeypatch.delattr(os, "posix_fallocate")
        with open(tmp_path / name, "wb") as stream:
            stream.write(b"head")
            stream.flush()
            reserve_space(stream.fileno(), 3_000_000)
        result = os.stat(tmp_path / name)
        assert (result.st_size, result.st_blocks * 512 >= 3_000_000) == (3_000_000, True)
        assert (tmp_path / name).read_bytes() == b"head" + bytes(2_999_996)


def test_try_writing__leaves_nothing_and_raises_what_fails(tmp_path):
    try_writing(tmp_path / "new" / "deep")
    assert os.listdir(tmp_path) == []
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(DiskError, match="--output"):
        check_writable("--output", tmp_path / "file" / "out")


@pytest.mark.parametrize(
    ("error", "output"),
    [
        (
            OSError(errno.ENOSPC, "No space left on device"),
            "camtrace: the disk is full; finished work is saved, free",
        ),
        (
            OSError(errno.EDQUOT, "Disk quota exceeded", "/a"),
            "camtrace: /a: the quota of the disk is used up; fin",
        ),
        (OSError(errno.EROFS, "Read-only file system", "/a"), "camtrace: /a: cannot be written to (Read-only file"),
        (
            NotADirectoryError(errno.ENOTDIR, "Not a directory", "/a/\x1b[2J"),
            "camtrace: /a/\\x1b[2J: cannot be written to",
        ),
        (
            disk_error(OSError(errno.ENOSPC, "x"), "/b", saved="shards are saved"),
            "camtrace: /b: the disk is full; shards",
        ),
    ],
)
def test_guarded__an_error_of_the_disk_is_one_sentence_and_status_1(capsys, error, output):
    def run():
        raise error

    assert guarded(run) == 1
    printed = capsys.readouterr().err
    assert printed.startswith(output)
    assert printed.count("\n") == 1


def test_guarded__another_error_is_not_hidden():
    def run():
        raise ConnectionError("a bug")

    with pytest.raises(ConnectionError):
        guarded(run)


def test_sweep_scratch__removes_files_of_killed_runs_only(tmp_path, monkeypatch):
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    gone = subprocess.Popen([sys.executable, "-c", ""])
    gone.wait()
    mine = files.scratch_prefix()
    dead = mine.replace(f"-{os.getpid()}-", f"-{gone.pid}-")
    elsewhere = "camtrace-00000000-" + dead.rpartition("-")[0].rpartition("-")[2] + "-x"
    (tmp_path / f"{dead}a" / "inside").mkdir(parents=True)
    (tmp_path / f"{dead}b").write_text("x")
    (tmp_path / f"{dead}c").symlink_to(tmp_path / f"{mine}a")
    private = files.private_scratch()
    assert private.stat().st_mode & 0o777 == 0o700
    for name in (f"{mine}views", f"{dead}views"):
        (private / name).write_text("x")
    stored = {f"{mine}a", elsewhere, "camtrace-notes", f"{dead}c", private.name}
    for name in stored - {f"{dead}c", private.name}:
        (tmp_path / name).mkdir()
    assert files.sweep_scratch() >= 3
    assert set(os.listdir(tmp_path)) == stored
    assert os.listdir(private) == [f"{mine}views"]
    private.chmod(0o755)  # others could look into it: not taken
    assert files.private_scratch() is None


ROOT = Path(files.__file__).parents[1]
OWN_YAML = [path for room in ("builders", "benchmark") for path in sorted((ROOT / room).rglob("*.yaml"))]


@pytest.mark.parametrize("path", OWN_YAML, ids=lambda path: path.name)
def test_read_package_yaml__equals_the_parser_in_python(path):
    assert repr(read_package_yaml(path)) == repr(
        yaml.safe_load(path.read_text(encoding="utf-8"))
    )  # types too, and order


@pytest.mark.parametrize("with_c", [True, False])
def test_read_package_yaml__plain_values_only_with_the_parser_in_c_and_without(tmp_path, monkeypatch, with_c):
    if not with_c:
        monkeypatch.delattr(yaml, "CSafeLoader", raising=False)
    (tmp_path / "a.yaml").write_text("é: [1, 2.5]", encoding="utf-8")
    assert read_package_yaml(tmp_path / "a.yaml") == {"é": [1, 2.5]}
    (tmp_path / "b.yaml").write_text("!!python/object/apply:os.getpid []")
    with pytest.raises(yaml.YAMLError):
        read_package_yaml(tmp_path / "b.yaml")


@pytest.mark.parametrize(
    ("name", "written"),
    [("EINVAL", True), ("EOPNOTSUPP", True), ("ENOSYS", True), ("ENOSPC", False), ("EIO", False), ("EFBIG", False)],
)
def test_reserve_space__zeros_are_written_where_a_file_system_cannot_reserve(tmp_path, monkeypatch, name, written):
    def refusing(descriptor, start, size):
        raise OSError(getattr(errno, name), name)

    monkeypatch.setattr(os, "posix_fallocate", refusing, raising=False)
    path = tmp_path / "a"
    path.write_bytes(b"abc")
    with path.open("r+b") as stream:
        if written:
            reserve_space(stream.fileno(), 1 << 21)
        else:
            with pytest.raises(OSError, match=name):
                reserve_space(stream.fileno(), 1 << 21)
    assert path.read_bytes() == b"abc" + bytes((1 << 21) - 3 if written else 0)
