"""Sentences of errors in every case; tests of commands read few of them."""

import errno
import os

import pytest

from builders.cli import guarded
from builders.errors import disk_error, full_disk_in, is_disk_error, missing_package


@pytest.mark.parametrize(
    ("name", "printed"),
    [
        ("torch", "camtrace: this command needs the package torch, which is not installed: "
                  "pip install 'camtrace[encoders]'\n"),
        ("flickrapi.auth", "camtrace: this command needs the package flickrapi, which is not installed: "
                           "pip install 'camtrace[flickr]'\n"),
    ],
)  # fmt: skip
def test_guarded__a_missing_extra_is_one_sentence_and_status_2(name, printed, capsys):
    def run():
        raise ModuleNotFoundError(f"No module named {name!r}", name=name)

    assert guarded(run) == 2
    assert capsys.readouterr().err == printed


@pytest.mark.parametrize("name", [None, "", "somebodys.torch"])
def test_guarded__a_module_of_no_extra_is_raised(name, capsys):
    def run():
        raise ModuleNotFoundError("something is missing", name=name)

    with pytest.raises(ModuleNotFoundError, match="something is missing"):
        guarded(run)
    assert capsys.readouterr().err == ""


@pytest.mark.parametrize(
    ("module", "install", "ends"),
    [
        ("torch", "", "package torch, which is not installed: pip install 'camtrace[encoders]'"),
        ("torch.nn.functional", "", "package torch, which is not installed: pip install 'camtrace[encoders]'"),
        ("somebodys.part", "", "package somebodys, which is not installed: pip install somebodys"),
        ("torch", "torch==2", "package torch, which is not installed: pip install torch==2"),
    ],
)
def test_missing_package__names_the_extra_the_module_or_the_given_package(module, install, ends):
    assert missing_package(module, "this", install=install) == f"this needs the {ends}"


def full(number: int = errno.ENOSPC, file: str | None = None) -> OSError:
    return OSError(number, os.strerror(number), *([file] if file else []))


@pytest.mark.parametrize(
    ("error", "place", "printed"),
    [
        (full(), "/data", "/data: the disk is full; k, free some space and run the same command again"),
        (full(file="/a"), "/data", "/data: the disk is full; k, free some space and run the same command again"),
        (full(file="/a"), "", "/a: the disk is full; k, free some space and run the same command again"),
        (full(), "", "the disk is full; k, free some space and run the same command again"),
        (full(errno.EDQUOT), "", "the quota of the disk is used up; k, free some space and run the same command again"),
        (full(errno.EACCES), "/data", "/data: cannot be written to (Permission denied); k"),
        (full(errno.EACCES), "", "the disk: cannot be written to (Permission denied); k"),
        (OSError("odd"), "/data", "/data: cannot be written to (odd); k"),
    ],
)
def test_disk_error__names_the_place_the_fault_and_what_was_not_lost(error, place, printed):
    assert str(disk_error(error, place, saved="k")) == printed


@pytest.mark.parametrize(
    ("number", "known"),
    [(errno.ENOSPC, True), (errno.EDQUOT, True), (errno.EACCES, True), (errno.EROFS, True), (errno.EPIPE, False)],
)
def test_is_disk_error(number, known):
    assert is_disk_error(full(number)) is known


def chained(error: BaseException, *, cause: BaseException | None = None, context: BaseException | None = None):
    error.__cause__, error.__context__ = cause, context
    return error


def test_full_disk_in__follows_the_causes_of_an_error():
    disk, locked, other = full(), full(errno.EROFS), full(errno.EACCES)
    assert full_disk_in(disk) is disk
    assert full_disk_in(locked) is locked
    assert full_disk_in(other) is None
    assert full_disk_in(ValueError("no disk")) is None
    assert full_disk_in(chained(ValueError(), cause=disk)) is disk
    assert full_disk_in(chained(ValueError(), context=disk)) is disk
    assert full_disk_in(chained(ValueError(), cause=other, context=disk)) is None
    assert full_disk_in(chained(ValueError(), cause=chained(KeyError(), context=locked))) is locked
    circle = ValueError()
    assert full_disk_in(chained(circle, cause=circle)) is None


@pytest.mark.parametrize(
    ("names", "of_a_disk", "is_full"),
    [
        ("ENOSPC EDQUOT EFBIG EROFS", True, True),
        ("EACCES EPERM ENOTDIR EISDIR ENOENT EEXIST EIO ENAMETOOLONG", True, False),
        ("ELOOP ENODEV ENXIO ESTALE EMFILE ENFILE", True, False),
        ("EINTR EAGAIN ENOMEM EINVAL EPIPE ECONNRESET ETIMEDOUT EBADF EBUSY", False, False),
    ],
)  # fmt: skip
def test_disk_errors__by_their_number(names, of_a_disk, is_full):
    """Among the causes of an error, only those that say that a disk is full or read-only count."""
    for name in names.split():
        error = OSError(getattr(errno, name), name)
        assert is_disk_error(error) is of_a_disk, name
        outer = ValueError("outer")
        outer.__cause__ = error
        assert full_disk_in(outer) is (error if is_full else None), name
    assert is_disk_error(OSError("no number")) is False
