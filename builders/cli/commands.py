"""Lazy sub-commands, errors in one sentence, exit statuses.

A command is a function that makes its parser. The parser sets ``run`` by ``set_defaults(run=...)``: a function from the
parsed options to an exit status. 0: all done; 1: a part of the request failed and is recorded; 2: a wrong request;
130 or 143: interrupted or terminated, finished work stays; 141: the reader of a pipe has gone.
"""

from __future__ import annotations

import _thread
import argparse
import contextlib
import dataclasses
import importlib
import json
import os
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TextIO

from builders.cli.parser import Parser
from builders.errors import (
    EXTRA_OF,
    CamtraceError,
    DiskError,
    Terminated,
    UsageError,
    disk_error,
    is_disk_error,
    missing_package,
)
from builders.files import try_writing
from builders.untrusted import parse_in_turn, public_text, redacted_logs

SHELLS = ("bash", "zsh", "tcsh")


@dataclass(frozen=True)
class Command:
    """A sub-command: the function that makes its parser, and its line in ``--help``."""

    target: str
    """``"package.module:function"``, imported only when the command is used."""
    summary: str
    """A line for the list of commands."""
    other_names: tuple[str, ...] = ()
    """What people call it, for the suggestion after an unknown command."""
    runs_encoders: bool = False
    """Whether it runs code of encoders, which may end the process."""

    def parser(self) -> argparse.ArgumentParser:
        """The parser, by importing and calling ``target``."""
        module, _, function = self.target.partition(":")
        return getattr(importlib.import_module(module), function)()


class LazyParser(Parser):
    """Placeholder in the list of sub-commands for a parser that is made when it is used."""

    command: Command

    @property
    def other_names(self) -> tuple[str, ...]:
        """What people call the command."""
        return self.command.other_names

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, messages=False, **kwargs)

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
    epilog = f"'{prog} COMMAND --help' explains one of them."
    parser = _Group(prog, messages=False, description=description, epilog=epilog)
    parser.stray = stray
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
    def parse_known_args(self, args: Any = None, namespace: Any = None) -> Any:
        words = list(sys.argv[1:] if args is None else args)
        words = [*words[1:], "--help"] if words[:1] == ["help"] else words
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
        from builders.processes import heartbeat  # not for --help

        with redacted_logs(command=True), without_terminal() if getattr(args, "quiet", False) else heartbeat():
            return run_command(args)

    return guarded(run)


def run_command(args: argparse.Namespace) -> int:
    """Run a parsed command; with ``--json``, only ``write_record`` writes to standard output. The exit status."""
    is_json = getattr(args, "json", False)
    with record_only(quiet=args.quiet) if is_json else contextlib.nullcontext():
        return int(args.run(args))


_standard_output: TextIO | None = None
"""Standard output within ``record_only``."""


def result_stream() -> TextIO:
    """Where the result of a command goes: standard output, also where ``--json`` keeps all other text off it."""
    return sys.stdout if _standard_output is None else _standard_output


@contextlib.contextmanager
def record_only(*, quiet: bool = False) -> Iterator[None]:
    """A context in which what is printed goes to standard error, or with ``quiet`` nowhere, but for the record."""
    global _standard_output
    with contextlib.ExitStack() as stack:
        elsewhere = stack.enter_context(open(os.devnull, "w")) if quiet else sys.stderr
        before, _standard_output = _standard_output, result_stream()
        stack.enter_context(contextlib.redirect_stdout(elsewhere))
        try:
            yield
        finally:
            _standard_output = before


def write_record(arguments: argparse.Namespace, record: object) -> None:
    """With ``--json``, write the result of a command: one JSON document, the only text on standard output.

    Args:
        arguments: of the command.
        record: values of JSON, data classes, and paths.
    """
    if arguments.json:
        print(json.dumps(record, indent=2, ensure_ascii=False, default=_plain), file=result_stream(), flush=True)


def _plain(value: object) -> object:
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return {field.name: getattr(value, field.name) for field in dataclasses.fields(value)}
    if isinstance(value, Mapping):
        return dict(value)
    if isinstance(value, Path):
        return str(value)
    raise TypeError(f"{type(value).__name__} is no value of JSON")


@contextlib.contextmanager
def without_terminal() -> Iterator[None]:
    """A context in which standard error is no terminal, so that nothing draws progress on it."""
    with contextlib.redirect_stderr(_NoTerminal(sys.stderr)):
        yield


class _NoTerminal:
    """Standard error that is no terminal, and to which ``notice`` prints nothing."""

    is_quiet = True

    def __init__(self, stream: Any) -> None:
        self._stream = stream

    def isatty(self) -> bool:
        return False

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)


def check_writable(option: str, folder: Path) -> None:
    """Check that a folder can be written to, before the work begins.

    Raises:
        UsageError: it is a file.
        DiskError: it cannot be written to.
    """
    if folder.is_file():
        raise UsageError(f"{option} {folder}: is a file; give a folder")
    try:
        try_writing(folder)
    except OSError as error:
        raise disk_error(error, f"{option} {folder}", saved="nothing was begun") from None


def guarded(run: Callable[[], int]) -> int:
    """Call ``run`` and return its exit status.

    Errors and missing extras become one sentence on standard error; Ctrl-C is 130, SIGTERM 143, a closed pipe 141.
    """
    try:
        with _terminated_like_interrupted():
            status = run()
            if sys.stdout is not None:
                sys.stdout.flush()  # here, where an error becomes a sentence
            return status
    except CamtraceError as error:
        _print_last(str(error))
        return error.exit_status
    except BrokenPipeError:
        _drop_output()
        return 141
    except OSError as error:
        if error.filename is None and (reason := _output_error()) is not None:
            _drop_output()
            _print_last(f"standard output cannot be written to ({reason}); files that were written stay")
            return DiskError.exit_status
        if not is_disk_error(error):
            raise
        _print_last(str(disk_error(error)))
        return DiskError.exit_status
    except MemoryError:
        _print_last(
            "the memory that this process may use is not enough: take fewer or smaller photos (--limit), or a smaller "
            "--batch-size; finished work is saved"
        )
        return 1
    except ModuleNotFoundError as error:
        if (error.name or "").partition(".")[0] not in EXTRA_OF:
            raise
        _print_last(missing_package(error.name or "", "this command"))
        return 2
    except KeyboardInterrupt as interrupt:
        sys.unraisablehook = _ignored  # objects that were interrupted cannot end as they would
        how = "terminated" if isinstance(interrupt, Terminated) else "interrupted"
        _print_last(f"{how}; finished work is saved, run the same command again to go on")
        return 143 if isinstance(interrupt, Terminated) else 130


def _ignored(error: object) -> None:
    """In the place of the hook that prints what cannot be raised, such as errors of finalizers."""


def _print_last(sentence: str) -> None:
    """Print the sentence that a command ends with; an error output that cannot be written to changes nothing."""
    with contextlib.suppress(OSError):
        print(f"camtrace: {public_text(sentence)}", file=sys.stderr)


def _output_error() -> str | None:
    """Why standard output cannot be written to; None if it can. Writes an empty line, since nothing else shows it."""
    try:
        if sys.stdout is not None:
            sys.stdout.write("\n")
            sys.stdout.flush()
    except OSError as error:
        return error.strerror or str(error)
    return None


def _drop_output() -> None:
    """Send what is left of standard output to nowhere, so that the end of the process does not try it again."""
    null = os.open(os.devnull, os.O_WRONLY)
    os.dup2(null, sys.stdout.fileno())
    os.close(null)


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

    hook = sys.unraisablehook

    def report(lost: Any) -> None:
        """A finalizer that a signal interrupts cannot raise: the signal is sent once more, after it."""
        if not isinstance(lost.exc_value, KeyboardInterrupt) or os.getpid() != owner:
            return hook(lost)
        number = signal.SIGTERM if isinstance(lost.exc_value, Terminated) else signal.SIGINT
        _thread.start_new_thread(_send_soon, (owner, number))  # ``threading`` has a lock that may be held here
        return None

    before = signal.signal(signal.SIGTERM, stop)
    sys.unraisablehook = report
    try:
        yield
    finally:
        if sys.unraisablehook is report:
            sys.unraisablehook = hook
        signal.signal(signal.SIGTERM, before or signal.SIG_DFL)


def _send_soon(process: int, number: int) -> None:
    time.sleep(0.01)
    os.kill(process, number)
