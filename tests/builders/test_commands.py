"""Groups of commands, and how a command ends: what it prints and its exit status, for each kind of end."""

import argparse
import errno
import io
import itertools
import os
import signal
import sys
import threading
from importlib import metadata
from pathlib import Path

import pytest

from builders import errors
from builders.__main__ import COMMANDS, main
from builders.cli import Command, Parser, group_parser, guarded, run_parsed, version, without_terminal
from builders.errors import CamtraceError, DataError, DiskError, EncoderError, PhotoError, RemoteError, UsageError


def weigh() -> Parser:
    parser = Parser("camtrace tool weigh", description="Weighs photos.")
    parser.add_argument("photos", nargs="*")
    parser.add_argument("--scale", type=int, default=3)
    parser.add_argument("--to", type=Path)
    parser.set_defaults(run=lambda args: print(args.scale, *args.photos) or args.scale)
    return parser


TOOLS = {"weigh": Command(f"{__name__}:weigh", "the weight"), "other": Command("no.such.module:parser", "not used")}


@pytest.fixture(autouse=True)
def importable(monkeypatch):
    monkeypatch.setitem(sys.modules, __name__, sys.modules.get(__name__) or argparse.Namespace(weigh=weigh))


def tool(top=True, **more):
    return lambda: group_parser("camtrace tool", "Some tools.", TOOLS, top=top, **more)


def ended(argv, make=None):
    return run_parsed(make or tool(), argv)


def test_group__lists_its_commands_and_runs_one_of_them(capsys):
    assert ended([]) == 0
    page = capsys.readouterr().out
    assert page.startswith("usage: camtrace tool ")
    for line in ("Some tools.", "    weigh", "the weight", "not used", "'camtrace tool COMMAND --help' explains one"):
        assert line in page
    assert "--json" not in page
    assert ended(["weigh", "a", "b"]) == 3
    assert capsys.readouterr().out == "3 a b\n"
    assert ended(["weigh", "--scale", "0"]) == 0
    with pytest.raises(SystemExit) as left:
        ended(["weigh", "--help"])
    assert left.value.code == 0
    assert "Weighs photos." in capsys.readouterr().out


@pytest.mark.parametrize(
    ("words", "printed"),
    [
        (["--scale", "3", "weigh"], "unknown option '--scale': options follow a command, such as "
         "'camtrace tool weigh ...'"),
        (["-x"], "unknown option '-x': options follow a command, such as 'camtrace tool weigh ...'"),
        (["weigh", "--scal", "3"], "unknown option '--scal': did you mean '--scale'?"),
        (["weih"], "unknown command 'weih': did you mean 'weigh'?"),
        (["--print-completion=0"], "unknown value of --print-completion '0': known: bash, tcsh, zsh"),
    ],
)  # fmt: skip
def test_group__a_mistake_is_one_sentence_and_status_2(words, printed, capsys):
    assert ended(words) == 2
    assert capsys.readouterr().err == f"camtrace: {printed}\n"


def test_group__hint_of_its_own_and_no_version_below_the_top(capsys):
    assert ended(["--version"], tool(top=False, stray="write it elsewhere")) == 2
    assert "--version" in capsys.readouterr().err
    with pytest.raises(SystemExit) as left:
        ended(["--version"])
    assert left.value.code == 0
    assert capsys.readouterr().out == f"camtrace {metadata.version('camtrace')}\n"


def test_version__of_a_package_that_is_not_installed(monkeypatch):
    def absent(name):
        raise metadata.PackageNotFoundError(name)

    monkeypatch.setattr(metadata, "version", absent)
    assert version() == "dev"


@pytest.mark.parametrize("words", [["--print-completion=bash"], ["--print-completion", "bash"]])
def test_completion__names_commands_and_options_and_completes_paths_as_files(words, capsys, monkeypatch):
    pytest.importorskip("shtab")
    monkeypatch.setitem(TOOLS, "other", TOOLS["weigh"])
    with pytest.raises(SystemExit) as left:
        ended(words)
    assert left.value.code == 0
    text = capsys.readouterr().out
    assert "weigh" in text
    assert "--scale" in text
    assert [line for line in text.splitlines() if "__to_COMPGEN" in line or "_to_COMPGEN=" in line]
    assert not [line for line in text.splitlines() if "_scale_COMPGEN=" in line]


def test_completion__needs_its_package(monkeypatch, capsys):
    monkeypatch.setitem(sys.modules, "shtab", None)
    assert ended(["--print-completion", "zsh"]) == 2
    expected = "camtrace: --print-completion needs the package shtab: pip install shtab\n"
    assert capsys.readouterr().err == expected


def test_quiet__standard_error_is_no_terminal_and_shows_no_notices(monkeypatch, capsys):
    class Terminal(io.StringIO):
        def isatty(self):
            return True

    monkeypatch.setattr(sys, "stderr", Terminal())
    seen = []
    monkeypatch.setattr(
        sys.modules[__name__], "weigh", weigh_with(lambda: seen.append((sys.stderr.isatty(), is_quiet())))
    )
    for words in (["weigh"], ["weigh", "-q"], ["weigh", "--quiet"]):
        ended(words)
    assert seen == [(True, False), (False, True), (False, True)]
    with without_terminal():
        sys.stderr.write("still written")
    assert sys.stderr.getvalue() == "still written"


def is_quiet() -> bool:
    return getattr(sys.stderr, "is_quiet", False)


def weigh_with(action):
    parser = weigh()

    def make():
        parser.set_defaults(run=lambda args: action() or 0)
        return parser

    return make


def raising(error):
    def run():
        raise error

    return run


@pytest.mark.parametrize(
    ("error", "status", "printed"),
    [
        (CamtraceError("a b"), 2, "a b"), (UsageError("u"), 2, "u"), (DataError("d"), 2, "d"),
        (DiskError("k"), 1, "k"), (PhotoError("p"), 2, "p"), (EncoderError("e"), 1, "e"), (RemoteError("r"), 2, "r"),
        (UsageError("two\nlines \x1b[2J"), 2, None),
        (KeyboardInterrupt(), 130, "interrupted; finished work is saved, run the same command again to go on"),
        (errors.Terminated(), 143, "terminated; finished work is saved, run the same command again to go on"),
        (OSError(errno.ENOSPC, "x", "/f"), 1, "/f: the disk is full; finished work is saved, free some space and run "
         "the same command again"),
        (MemoryError(), 1, "the memory that this process may use is not enough: take fewer or smaller photos (--limit),"
         " or a smaller --batch-size; finished work is saved"),
        (OSError(errno.EACCES, "No"), 1, "the disk: cannot be written to (No); finished work is saved"),
    ],
)  # fmt: skip
def test_guarded__each_kind_of_end(error, status, printed, capsys, monkeypatch):
    monkeypatch.setattr(sys, "unraisablehook", sys.unraisablehook)
    assert guarded(raising(error)) == status
    out, err = capsys.readouterr()
    assert out in ("", "\n")
    assert err == f"camtrace: {printed}\n" if printed else (err.count("\n") <= 2 and "\x1b" not in err)


def test_guarded__the_status_of_what_it_runs_and_other_errors_as_they_are():
    assert [guarded(lambda status=status: status) for status in (0, 1, 7)] == [0, 1, 7]
    for error in (ValueError("x"), ConnectionResetError("x"), OSError(errno.EINTR, "x", "/f")):
        with pytest.raises(type(error), match="x"):
            guarded(raising(error))


@pytest.mark.parametrize("number", [errno.EPIPE, errno.ENOSPC, errno.EIO])
def test_guarded__standard_output_that_is_gone_or_full(number, monkeypatch, capfd):
    class Output:
        def write(self, text):
            return len(text)

        def flush(self):
            raise OSError(number, "no space at all")

        def fileno(self):
            return copy

    copy = os.dup(1)
    monkeypatch.setattr(sys, "stdout", Output())
    status = guarded(lambda: 0)
    monkeypatch.undo()
    os.close(copy)
    err = capfd.readouterr().err
    if number == errno.EPIPE:
        assert (status, err) == (141, "")
    else:
        sentence = "standard output cannot be written to (no space at all); files that were written stay"
        assert (status, err) == (1, f"camtrace: {sentence}\n")


def test_guarded__sigterm_raises_within_it_and_the_handler_before_is_back():
    before = signal.getsignal(signal.SIGTERM)
    seen = []

    def run():
        try:
            signal.raise_signal(signal.SIGTERM)
        except errors.Terminated:
            seen.append("raised")
            raise
        return 0

    hook = sys.unraisablehook
    try:
        assert guarded(run) == 143
    finally:
        sys.unraisablehook = hook
    assert seen == ["raised"]
    assert signal.getsignal(signal.SIGTERM) is before
    results = []
    thread = threading.Thread(target=lambda: results.append(guarded(lambda: 5)))  # has no handlers of signals
    thread.start()
    thread.join()
    assert results == [5]


def test_build__every_command_has_a_parser_of_its_name(capsys):
    for name, command in COMMANDS.items():
        parser = command.parser()
        assert parser.prog.split()[:3] == ["camtrace", "build", name]
        assert command.summary[0].islower() or command.summary.startswith(("ImageNet", "iNaturalist"))
    assert main([]) == 0
    page = capsys.readouterr().out
    assert "Make, check and publish data sets." in page
    assert [name for name in COMMANDS if f"    {name}" not in page] == []
    assert main(["--no-option"]) == 2
    assert "camtrace" in capsys.readouterr().err


DISK = {
    "ENOSPC", "EDQUOT", "EFBIG", "EROFS", "EACCES", "EPERM", "ENOTDIR", "EISDIR", "ENOENT",
    "EEXIST", "EIO", "ENAMETOOLONG", "ELOOP", "ENODEV", "ENXIO", "ESTALE", "EMFILE", "ENFILE",
}  # fmt: skip


def test_errors__of_disks_and_no_others():
    known = {name for name in errno.errorcode.values() if errors.is_disk_error(OSError(getattr(errno, name), "x"))}
    assert known == DISK
    full = {name for name in known if errors.full_disk_in(OSError(getattr(errno, name), "x"))}
    assert full == {"ENOSPC", "EDQUOT", "EFBIG", "EROFS"}
    text = str(errors.disk_error(OSError(errno.EFBIG, "x"), "/a"))
    assert text.startswith("/a: the disk is full; finished work is saved")
    assert "finished" in str(errors.disk_error(OSError(2, "x", 7)))


def test_errors__causes_end_after_twenty():
    chain = [ValueError(str(i)) for i in range(30)]
    for inner, outer in itertools.pairwise(chain):
        inner.__cause__ = outer
    assert list(errors.causes(chain[0])) == chain[:20]


def test_errors__an_unknown_name_is_like_one_or_all_are_listed():
    assert "'abcd'" in str(errors.unknown_name("kind", "abcd", ["b", "abce"]))
    assert "'abyz'" in str(errors.unknown_name("kind", "ab", ["abyz", "q"]))
    assert "'zz'" in str(errors.unknown_name("kind", "zz", ["b", "a"]))


def test_errors__an_old_spelling_is_a_warning(caplog):
    errors.notice_of_old_spelling("f(x)", "is now g(x)")
    (record,) = caplog.records
    assert (record.name, record.levelname) == ("camtrace", "WARNING")
    assert record.getMessage() == "f(x) is now g(x); the old spelling still works"
