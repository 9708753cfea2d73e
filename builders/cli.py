"""The base of all commands: lazy sub-commands, errors in one sentence, exit statuses.

A command is a function that makes its parser. The parser sets ``run`` by ``set_defaults(run=...)``: a function from the
parsed options to an exit status. 0: all done; 1: a part of the request failed and is recorded; 2: a wrong request;
130 or 143: interrupted or terminated, finished work stays; 141: the reader of a pipe has gone.
"""

from __future__ import annotations

import argparse
import contextlib
import difflib
import importlib
import os
import re
import signal
import sys
import threading
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NoReturn
from urllib.parse import unquote, unquote_plus

from builders.errors import (
    EXTRA_OF,
    CamtraceError,
    DiskError,
    UsageError,
    disk_error,
    is_disk_error,
    missing_package,
    unknown_name,
)
from builders.files import try_writing
from builders.untrusted import parse_in_turn, readable

SHELLS = ("bash", "zsh", "tcsh")


@dataclass(frozen=True)
class Command:
    """A sub-command: the function that makes its parser, and its line in ``--help``."""

    target: str
    """``"package.module:function"``, imported only when the command is used."""
    summary: str
    """A line for the list of commands."""

    def parser(self) -> argparse.ArgumentParser:
        """The parser, by importing and calling ``target``."""
        module, _, function = self.target.partition(":")
        return getattr(importlib.import_module(module), function)()


class Parser(argparse.ArgumentParser):
    """A parser that raises ``UsageError`` with the nearest known option; options cannot be abbreviated."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **{"allow_abbrev": False, **kwargs})

    def parse_known_args(self, args: Any = None, namespace: Any = None) -> Any:
        """As ``argparse``, but unknown options are an error of the parser that knows the others."""
        words = list(sys.argv[1:] if args is None else args)
        if self._subparsers is None:
            self._refuse_unknown_options(words)
        parsed, extra = super().parse_known_args(words, namespace)
        if extra:
            self.error(f"unexpected argument {extra[0]!r}")
        return parsed, []

    def error(self, message: str) -> NoReturn:
        raise UsageError(f"{message}; '{self.prog} --help' explains the options") from None

    def known_options(self) -> list[str]:
        """Every long option."""
        return sorted(option for option in self._option_string_actions if option.startswith("--"))

    def _refuse_unknown_options(self, words: Iterable[str]) -> None:
        for word in words:
            if word == "--":
                return
            name = word.partition("=")[0]
            if name.startswith("--") and " " not in name and name not in self._option_string_actions:
                raise unknown_option(name, self.known_options(), self.prog)

    def _check_value(self, action: argparse.Action, value: Any) -> None:
        if action.choices is not None and value not in action.choices:
            of_options = "/".join(action.option_strings) or action.metavar or action.dest
            kind = "command" if isinstance(action, argparse._SubParsersAction) else f"value of {of_options}"
            raise unknown_name(kind, str(value), map(str, action.choices))


def unknown_option(name: str, known: Sequence[str], prog: str) -> UsageError:
    """The error of an unknown option, with the nearest known one, or how to list all.

    >>> str(unknown_option("--batch_size", ["--batch-size", "--limit"], "camtrace score"))
    "unknown option '--batch_size': did you mean '--batch-size'?"
    """
    plain = {option.lstrip("-"): option for option in known}
    near = difflib.get_close_matches(name.lstrip("-").replace("_", "-"), plain, n=1, cutoff=0.6)
    hint = f"did you mean {plain[near[0]]!r}?" if near else f"'{prog} --help' lists the options"
    return UsageError(f"unknown option {name!r}: {hint}")


class LazyParser(Parser):
    """Placeholder in the list of sub-commands for a parser that is made when it is used."""

    command: Command

    def parse_known_args(self, args: Any = None, namespace: Any = None) -> Any:
        return self.command.parser().parse_known_args(args, namespace)

    def become_real(self) -> None:
        """Become the parser: take over all of its attributes."""
        self.__dict__ |= vars(self.command.parser())


def group_parser(
    prog: str, description: str, commands: Mapping[str, Command], *, stray: str = "", top: bool = False
) -> Parser:
    """The parser of a command with sub-commands. Without a sub-command it prints its help.

    Args:
        prog: the command as users type it.
        description: for ``--help``.
        commands: by name.
        stray: hint for an option before the sub-command.
        top: add ``--version`` and ``--print-completion``.
    """
    parser = _Group(prog, description=description, epilog=f"'{prog} COMMAND --help' explains one of them.")
    parser.stray = stray or f"options follow a command, such as '{prog} {next(iter(commands))} ...'"
    if top:
        parser.add_argument("--version", action=_Version, help="print the version")
        parser.add_argument(
            "--print-completion",
            action=_Completion,
            choices=SHELLS,
            help="print what makes the shell complete commands and options",
        )
    steps = parser.add_subparsers(title="commands", metavar="COMMAND", parser_class=LazyParser)
    for name, command in commands.items():
        steps.add_parser(name, help=command.summary, add_help=False).command = command

    def print_help(_: argparse.Namespace) -> int:
        parser.print_help()
        return 0

    parser.set_defaults(run=print_help)
    return parser


class _Group(Parser):
    stray = ""

    def parse_known_args(self, args: Any = None, namespace: Any = None) -> Any:
        words = list(sys.argv[1:] if args is None else args)
        if words and words[0].startswith("-") and words[0].partition("=")[0] not in self._option_string_actions:
            raise UsageError(f"unknown option {words[0]!r}: {self.stray}")
        return super().parse_known_args(words, namespace)


class _Version(argparse.Action):
    def __init__(self, option_strings: Sequence[str], dest: str, **kwargs: Any) -> None:
        super().__init__(option_strings, argparse.SUPPRESS, nargs=0, **kwargs)

    def __call__(self, parser: argparse.ArgumentParser, *_: Any) -> None:
        print(f"camtrace {version()}")
        parser.exit()


class _Completion(argparse.Action):
    def __init__(self, option_strings: Sequence[str], dest: str, **kwargs: Any) -> None:
        super().__init__(option_strings, argparse.SUPPRESS, metavar="SHELL", **kwargs)

    def __call__(self, parser: argparse.ArgumentParser, namespace: Any, values: Any, option: Any = None) -> None:
        try:
            import shtab
        except ModuleNotFoundError:
            raise UsageError("--print-completion needs the package shtab: pip install shtab") from None
        _complete(parser, shtab.FILE)
        print(shtab.complete(parser, shell=values))
        parser.exit()


def _complete(parser: argparse.ArgumentParser, file: Mapping[str, Any]) -> None:
    """Make every sub-command's parser; paths are completed as files."""
    for action in parser._actions:
        if action.type is Path:
            action.complete = file  # type: ignore[attr-defined]
        if isinstance(action, argparse._SubParsersAction):
            for child in action.choices.values():
                if isinstance(child, LazyParser):
                    child.become_real()
                _complete(child, file)


def version() -> str:
    """Version of the installed package; ``dev`` if it is not installed."""
    from importlib import metadata

    try:
        return metadata.version("camtrace")
    except metadata.PackageNotFoundError:
        return "dev"


def run_parsed(make_parser: Callable[[], argparse.ArgumentParser], argv: Sequence[str]) -> int:
    """Parse and run with ``guarded``. Returns the exit status."""

    def run() -> int:
        parse_in_turn()
        args = make_parser().parse_args(argv)
        return int(args.run(args))

    return guarded(run)


def size_in_bytes(text: str) -> int:
    """Bytes of an amount of memory such as ``512M``, for an option.

    Raises:
        argparse.ArgumentTypeError: the text is no amount.

    >>> size_in_bytes("1.5G"), size_in_bytes("512 MiB")
    (1610612736, 536870912)
    """
    match = re.fullmatch(r"(\d+(?:\.\d+)?)\s*([KMGT]?)(?:i?B)?", text.strip(), re.IGNORECASE)
    if match is None:
        raise argparse.ArgumentTypeError(f"{text!r} is no size: write it like 512M or 8G")
    return int(float(match[1]) * 1024 ** " KMGT".index(match[2].upper() or " "))


def check_writable(option: str, folder: Path) -> None:
    """Check that a folder can be written to, before the work begins.

    Raises:
        DiskError: it cannot be written to.
    """
    try:
        try_writing(folder)
    except OSError as error:
        raise disk_error(error, f"{option} {folder}", saved="nothing was begun") from None


class Terminated(KeyboardInterrupt):
    """The process received SIGTERM."""


def guarded(run: Callable[[], int]) -> int:
    """Call ``run`` and return its exit status.

    Errors and missing extras become one sentence on standard error; Ctrl-C is 130, SIGTERM 143, a closed pipe 141.
    """
    try:
        with _terminated_like_interrupted():
            return run()
    except CamtraceError as error:
        print(f"camtrace: {readable(str(error))}", file=sys.stderr)
        return error.exit_status
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 141
    except OSError as error:
        if not is_disk_error(error):
            raise
        print(f"camtrace: {readable(str(disk_error(error)))}", file=sys.stderr)
        return DiskError.exit_status
    except ModuleNotFoundError as error:
        if (error.name or "").partition(".")[0] not in EXTRA_OF:
            raise
        print(f"camtrace: {missing_package(error.name or '', 'this command')}", file=sys.stderr)
        return 2
    except KeyboardInterrupt as interrupt:
        how = "terminated" if isinstance(interrupt, Terminated) else "interrupted"
        print(f"camtrace: {how}; finished work is saved, run the same command again to go on", file=sys.stderr)
        return 143 if isinstance(interrupt, Terminated) else 130


@contextlib.contextmanager
def _terminated_like_interrupted() -> Iterator[None]:
    """Within it SIGTERM raises ``Terminated``; forked workers, which inherit the handler, end as without it."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    owner = os.getpid()

    def stop(number: int, frame: object) -> None:
        if os.getpid() != owner:
            signal.signal(number, signal.SIG_DFL)
            os.kill(os.getpid(), number)
            return
        raise Terminated

    before = signal.signal(signal.SIGTERM, stop)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before or signal.SIG_DFL)


_QUOTED = re.compile(r"""(?P<name>[\w.-]+=)?(?P<quote>["'])(?P<text>.*?)(?P=quote)(?=&|\Z)""", re.DOTALL)
"""A quoted value, also that of a group with a name."""

_PATTERN = re.compile(r"([\w.-]+=)?re:")
"""The beginning of a value that is a regular expression."""


def parse_query(query: str, where: str, repeated: Iterable[str] = ()) -> list[tuple[str, str]]:
    """The options of a specification, in order: what follows its ``?``, as ``name=value&name=value``.

    A value may contain ``=`` and ``?``. ``&`` and ``%`` are written ``%26`` and ``%25``; or the value is quoted, and
    ends at the same quote before ``&`` or the end. ``+`` is a space, but not in quotes or in a regular expression
    (``re:``). A named group is quoted as a whole or after its name: ``group=site="re:a&b"``.

    Args:
        query: the text after the question mark.
        where: the beginning of an error message.
        repeated: names of options that may be given several times.

    Raises:
        UsageError: an option has no name or no value, a quote is not closed, or an option is given twice.

    >>> parse_query('label=re:(a|b)+x=y&group=site="re:p&q"&name=my+set', "data", ["group"])
    [('label', 're:(a|b)+x=y'), ('group', 'site=re:p&q'), ('name', 'my set')]
    """
    options: list[tuple[str, str]] = []
    at = 0
    while at <= len(query):
        name, equals, _ = query[at:].partition("&")[0].partition("=")
        if not equals or not name:
            raise UsageError(f"{where}: options are written ?name=value&name=value, and {name or query!r} is none")
        start = at + len(name) + 1
        if quoted := _QUOTED.match(query, start):
            value, end = (quoted["name"] or "") + quoted["text"], quoted.end()
        else:
            end = query.find("&", start) if "&" in query[start:] else len(query)
            value = _unquoted(query[start:end], f"{where}: {name}")
        if not value:
            raise UsageError(f"{where}: {name}= has no value")
        options.append((unquote(name), value))
        at = end + 1
    names = [name for name, _ in options if name not in repeated]
    twice = next((name for name in names if names.count(name) > 1), None)
    if twice is not None:
        raise UsageError(f"{where}: an option stands there twice: {twice}=")
    return options


def _unquoted(text: str, where: str) -> str:
    """A value without percent-escapes."""
    if re.match(r"""([\w.-]+=)?["']""", text):
        raise UsageError(f"{where}={text}: the quote is not closed before the next & or the end")
    try:
        return (unquote if _PATTERN.match(text) else unquote_plus)(text, errors="strict")
    except UnicodeDecodeError:
        raise UsageError(f"{where}={text}: its percent-escapes are not UTF-8 text") from None
