"""A folder is listed completely, or an error names the folder that cannot be listed."""

from __future__ import annotations

import errno
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from benchmark.__main__ import camtrace
from builders.untrusted import UntrustedInputError, files_below, files_matching, list_folder, walk_folders
from tests.conftest import write_dark_and_light

Lose = Callable[..., None]


@pytest.fixture
def lose(monkeypatch: pytest.MonkeyPatch) -> Lose:
    """Make listing of folders of this name fail. (Root may list folders that others may not.)"""
    scandir, listdir = os.scandir, os.listdir

    def refuse(name: str, number: int = errno.EACCES) -> None:
        def refusing(real: Any) -> Any:
            def called(path: Any = ".") -> Any:
                if not isinstance(path, int) and os.path.basename(os.fspath(path)) == name:
                    raise OSError(number, os.strerror(number), os.fspath(path))
                return real(path)

            return called

        monkeypatch.setattr(os, "scandir", refusing(scandir))
        monkeypatch.setattr(os, "listdir", refusing(listdir))

    return refuse


def write(root: Path, *names: str) -> Path:
    for name in names:
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_bytes(b"x")
    return root


def test_files_below__in_order_hidden_ones_and_links(tmp_path: Path) -> None:
    write(tmp_path, "b/2.jpg", "b/a/3.jpg", "a/1.jpg", "z.jpg", ".hidden/4.jpg", "a/.5.jpg")
    (tmp_path / "c").symlink_to(tmp_path / "b")
    (tmp_path / "d").symlink_to(tmp_path)
    (tmp_path / "gone").symlink_to(tmp_path / "nowhere")
    assert files_below(tmp_path, hidden=False) == ["gone", "z.jpg", "a/1.jpg", "b/2.jpg", "b/a/3.jpg"]
    assert files_below(tmp_path, hidden=False, links=True) == files_below(tmp_path, hidden=False)
    assert set(files_below(tmp_path)) - set(files_below(tmp_path, hidden=False)) == {".hidden/4.jpg", "a/.5.jpg"}
    (tmp_path / "b").rename(tmp_path.parent / "elsewhere")
    (tmp_path / "c").unlink()
    (tmp_path / "c").symlink_to(tmp_path.parent / "elsewhere")
    assert files_below(tmp_path, hidden=False, links=True)[-2:] == ["c/2.jpg", "c/a/3.jpg"]


def test_files_below__an_absent_folder_is_empty_only_if_allowed(tmp_path: Path) -> None:
    assert files_below(tmp_path / "none", may_be_absent=True) == []
    with pytest.raises(UntrustedInputError):
        files_below(tmp_path / "none")


def test_folders__a_file_in_the_place_of_one_is_absent_too(tmp_path: Path) -> None:
    write(tmp_path, "file")
    for place in (tmp_path / "file", tmp_path / "file" / "below"):
        assert list_folder(place, may_be_absent=True) == (str(place), [], [])
        assert files_below(place, may_be_absent=True) == []
        assert files_matching(place, "*") == []
        for read in (list_folder, files_below):
            with pytest.raises(UntrustedInputError) as refused:
                read(place)
            assert str(place) in str(refused.value)


@pytest.mark.parametrize("number", [errno.EACCES, errno.EIO, errno.ESTALE])
@pytest.mark.parametrize("may_be_absent", [True, False])
def test_walk_folders__a_folder_that_cannot_be_listed_is_an_error(
    tmp_path: Path, lose: Lose, number: int, may_be_absent: bool
) -> None:
    write(tmp_path, "a/1.jpg", "b/2.jpg")
    lose("b", number)
    with pytest.raises(UntrustedInputError) as refused:
        list(walk_folders(tmp_path, may_be_absent=may_be_absent))
    assert str(tmp_path) in str(refused.value)


class Entry:
    """A link on which ``stat`` fails."""

    name = "class"

    def __init__(self, number: int) -> None:
        self.number = number

    def is_dir(self) -> bool:
        raise OSError(self.number, os.strerror(self.number))


@pytest.mark.parametrize(
    ("number", "listed"),
    [
        *((getattr(errno, name), False) for name in ("EIO", "ESTALE", "ENOTCONN", "ETIMEDOUT", "EHOSTDOWN")),
        *((getattr(errno, name), True) for name in ("ELOOP", "ENOENT", "EACCES", "ENAMETOOLONG")),
    ],
)
def test_list_folder__a_link_into_a_mount_that_is_gone_is_no_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: int, listed: bool
) -> None:
    class Entries(list[Entry]):
        def __enter__(self) -> Entries:
            return self

        def __exit__(self, *given: object) -> None: ...

    monkeypatch.setattr(os, "scandir", lambda path: Entries([Entry(number)]))
    if listed:
        assert list_folder(tmp_path).files == ["class"]
    else:
        with pytest.raises(UntrustedInputError, match="cannot be listed"):
            list_folder(tmp_path)


@pytest.mark.parametrize("split", [True, False])
@pytest.mark.parametrize(
    "words",
    [
        ("score", "-m", "control:jpeg-statistics", "-d", "folder:photos", "-o", "out"),
        ("audit", "folder:photos", "-o", "out"),
        ("build", "folder", "--source", "photos", "--output", "out", "--workers", "1"),
        ("build", "simcams", "--source", "folder:photos", "--output", "out"),
    ],
    ids=lambda words: "-".join(words[:2]),
)
def test_commands__a_class_folder_that_cannot_be_listed_is_one_sentence(
    words: tuple[str, ...],
    split: bool,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
    lose: Lose,
) -> None:
    write_dark_and_light(tmp_path / "photos", 8, 4, (48, 64))
    if not split:
        (tmp_path / "photos" / "train").rename(tmp_path / "train")
        (tmp_path / "photos").rename(tmp_path / "whole")
        (tmp_path / "train").rename(tmp_path / "photos")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("CAMTRACE_CACHE", str(tmp_path / "cache"))
    lose("light")
    assert camtrace(list(words)) == 2
    printed = capfd.readouterr().err
    assert f"{'train/' * split}" in printed
    assert "Traceback" not in printed
    assert not list(tmp_path.glob("out/*.json"))
