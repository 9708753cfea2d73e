"""``Parser``: one spelling for an option, mistakes in one sentence, what most people need first in help pages."""

from __future__ import annotations

import argparse
import re
import shutil
import sys
import textwrap
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NoReturn

from builders.errors import UsageError, unknown_name
from builders.files import SERVERS

WIDTH = 80
"""Columns of a help page, at most."""

MOST_USED = "most used"
OTHERS = "other options"

LONG = 20
"""Options from which ``--help`` shows those that are most used, and names the others by group."""

ALL = ("all", "h")
"""What ``--help`` takes for the whole page: ``--help all``, or ``-hh``."""


@dataclass(frozen=True)
class Renamed:
    """An earlier spelling of an option, which still works with a notice."""

    old: str
    new: str
    """The option; empty for an argument without a name."""
    convert: Callable[[str], str] = str
    """From the value under the old spelling to that under the new one."""


class _Help(argparse._HelpAction):
    """``-h``, ``--help``: the page, of a long one the most used options; ``--help all`` or ``-hh``: the whole page."""

    def __init__(self, option_strings: Sequence[str], dest: str) -> None:
        super().__init__(option_strings, dest, help="show this page; --help all, or -hh, shows every option")
        self.nargs, self.metavar = "?", "all"

    def __call__(self, parser: Any, namespace: Any, values: Any, option: str | None = None) -> None:
        print(parser.format_help(whole=values in ALL or not parser.is_long), end="")
        parser.exit()


class Parser(argparse.ArgumentParser):
    """A parser that raises ``UsageError`` with the nearest known option; options cannot be abbreviated.

    Args:
        most_used: the options that most people need, which the help page shows first.
        examples: command lines at the end of the help page.
        renamed: earlier spellings of options.
        messages: whether it has ``--json`` and ``--quiet``, as every command has that does something.
    """

    stray = ""
    """Hint for an option before a sub-command; by default an example with the first one."""

    def __init__(
        self,
        *args: Any,
        most_used: Sequence[str] = (),
        examples: Sequence[str] = (),
        renamed: Sequence[Renamed] = (),
        messages: bool = True,
        **kwargs: Any,
    ) -> None:
        has_help = kwargs.pop("add_help", True)
        defaults = {"allow_abbrev": False, "formatter_class": _Formatter, "add_help": False}
        super().__init__(*args, **{**defaults, **kwargs})
        if has_help:
            self.add_argument("-h", "--help", action=_Help)
        self.most_used, self.examples = tuple(most_used), tuple(examples)
        self.renamed: tuple[Renamed, ...] = tuple(renamed)
        if messages:
            add_messages(self)

    def parse_known_args(self, args: Any = None, namespace: Any = None) -> Any:
        """As ``argparse``, but unknown options are an error of the parser that knows the others."""
        words = self._with_ranges_below_zero(self.in_new_spelling(sys.argv[1:] if args is None else args))
        if self._subparsers is None:
            self._refuse_unknown_options(words)
        elif words and words[0].startswith("-") and words[0].partition("=")[0] not in self._option_string_actions:
            raise UsageError(f"unknown option {words[0]!r}: {self.stray or self._options_follow()}")
        parsed, extra = super().parse_known_args(words, namespace)
        if extra:
            self.error(f"unexpected argument {extra[0]!r}")
        return parsed, []

    def _with_ranges_below_zero(self, words: Sequence[str]) -> list[str]:
        """The words, with ``--range -1:1`` as ``--range=-1:1``: argparse takes what begins with ``-`` for an option."""
        written: list[str] = []
        for word in words:
            last = self._option_string_actions.get(written[-1]) if written else None
            if last is not None and last.nargs is None and re.match(r"-[\d.]", word) and "--" not in written:
                written[-1] += f"={word}"
            else:
                written.append(word)
        return written

    def _options_follow(self) -> str:
        steps = next(action for action in self._actions if isinstance(action, argparse._SubParsersAction))
        return f"options follow a command, such as '{self.prog} {next(iter(steps.choices))} ...'"

    def in_new_spelling(self, words: Iterable[str]) -> list[str]:
        """The words with earlier spellings replaced, and a line on standard error for each of them."""
        by_name = {each.old: each for each in self.renamed}
        given, written, first = list(words), list[str](), list[str]()
        while given:
            word = given.pop(0)
            if word == "--":
                return [*first, *written, word, *given]
            name, equals, value = word.partition("=")
            each = by_name.get(name)
            if each is None:
                written.append(word)
                continue
            shown = each.new or "an argument without a name"
            print(f"camtrace: {each.old} is now {shown}; the old spelling still works", file=sys.stderr)
            value = each.convert(value if equals else given.pop(0)) if equals or given else ""
            if each.new:
                written.append(f"{each.new}={value}")
            elif value:  # all arguments without a name stand together
                first.append(value)
        return [*first, *written]

    def error(self, message: str) -> NoReturn:
        raise UsageError(f"{message}; '{self.prog} --help' explains the options") from None

    def known_options(self) -> list[str]:
        """Every long option that the help page shows."""
        shown = (a for a in self._actions if a.help != argparse.SUPPRESS or a.dest == "help")
        return sorted(option for action in shown for option in action.option_strings if option.startswith("--"))

    def _refuse_unknown_options(self, words: Iterable[str]) -> None:
        for word in words:
            if word == "--":
                return
            name = word.partition("=")[0]
            if name.startswith("--") and " " not in name and name not in self._option_string_actions:
                raise unknown_option(name, self.known_options(), self.prog)

    def _get_value(self, action: argparse.Action, arg_string: str) -> Any:
        value = super()._get_value(action, arg_string)
        if isinstance(value, Path) and _ADDRESS.match(arg_string):  # a folder of that name would hold its password
            raise argparse.ArgumentError(action, f"{arg_string} is an address: give a file or folder of this machine")
        if isinstance(value, int) and abs(value) > LARGEST_WHOLE:
            raise argparse.ArgumentError(action, f"{arg_string[:20]}... is too large: at most {LARGEST_WHOLE:,}")
        return value

    def _check_value(self, action: argparse.Action, value: Any) -> None:
        if action.choices is not None and value not in action.choices:
            of_options = "/".join(action.option_strings) or action.metavar or action.dest
            if isinstance(action, argparse._SubParsersAction):
                others = {other: name for name, p in action.choices.items() for other in getattr(p, "other_names", ())}
                otherwise = f"'{self.prog} --help' lists the commands"
                raise unknown_name("command", str(value), action.choices, other_names=others, otherwise=otherwise)
            raise unknown_name(f"value of {of_options}", str(value), map(str, action.choices))

    def add_subparsers(self, **kwargs: Any) -> Any:
        """As argparse. The page of sub-commands is whole, and ``-h`` takes no word, which may be one of them."""
        self._option_string_actions["-h"].nargs = 0
        self._option_string_actions["-h"].help = "show this page"
        return super().add_subparsers(**kwargs)

    @property
    def is_long(self) -> bool:
        """Whether ``--help`` shows a part of the options."""
        return bool(self.most_used) and len(self.known_options()) > LONG

    def format_help(self, *, whole: bool = True) -> str:
        """The help page: what most people need first, then the other options in their groups, then examples.

        Args:
            whole: else the other options are only named, a line for each group.
        """
        formatter = self._get_formatter()
        groups = [group for group in self._action_groups if group._group_actions]
        positionals = [action for action in self._actions if not action.option_strings]
        if self._subparsers is None:
            names = [_name_in_usage(action) for action in positionals if action.help != argparse.SUPPRESS]
            formatter.add_usage(" ".join([self.prog, "[-h]", "[OPTION ...]", *names]), [], [])
        else:
            formatter.add_usage(self.usage, self._actions, self._mutually_exclusive_groups)
        formatter.add_text(self.description)
        first = [a for name in self.most_used if (a := self._option_string_actions.get(name)) is not None]
        if self._subparsers is None:
            self._section(formatter, "arguments", positionals)
        self._section(formatter, MOST_USED, first)
        sections = [
            (group.title or "", group.description, [action for action in group._group_actions if action not in first])
            for group in groups
            if group not in (self._optionals, self._positionals)
        ]
        others = [action for action in self._optionals._group_actions if action not in first]
        sections.append((OTHERS if first else "options", None, others))
        if whole:
            for title, about, actions in sections:
                self._section(formatter, title, actions, about)
        text = formatter.format_help()
        if not whole:
            text += f"\nmore ('{self.prog} --help all', or -hh, explains them):\n"
            text += "".join(_named(title, actions, formatter._width) for title, _, actions in sections)
        if self.examples:
            text += "\nexamples:\n" + "".join(f"  {example}\n" for example in self.examples)
        if self.epilog:
            end = self._get_formatter()
            end.add_text(self.epilog)
            text += "\n" + end.format_help()
        return text

    @staticmethod
    def _section(
        formatter: argparse.HelpFormatter, title: str, actions: Sequence[argparse.Action], about: str | None = None
    ) -> None:
        formatter.start_section(title)
        formatter.add_text(about if actions else None)
        formatter.add_arguments(actions)
        formatter.end_section()


def _named(title: str, actions: Sequence[argparse.Action], width: int) -> str:
    """A line with the names of a group's options; empty without any."""
    names = [action.option_strings[-1] for action in actions if action.help != argparse.SUPPRESS]
    names = [name for name in names if name != "--help"]
    if not names:
        return ""
    text = f"{title}: {', '.join(names)}"
    return textwrap.fill(text, width, initial_indent="  ", subsequent_indent="    ", break_on_hyphens=False) + "\n"


def _name_in_usage(action: argparse.Action) -> str:
    name = action.metavar if isinstance(action.metavar, str) else action.dest
    return {"*": f"[{name} ...]", "+": f"{name} [{name} ...]", "?": f"[{name}]"}.get(str(action.nargs), name)


LARGEST_WHOLE = 2**53
"""Largest whole number of an option: larger ones are no exact numbers in JSON (RFC 8259, section 6), and beyond 2**63
databases and arrays have no place for them."""

_ADDRESS = re.compile(rf"(?:{SERVERS}):/", re.IGNORECASE)
"""Addresses of servers; that of a store may be an output of a plan."""


class _Formatter(argparse.HelpFormatter):
    """At most ``WIDTH`` columns; option names stand once before their value: ``-o, --output DIR``."""

    def __init__(self, prog: str) -> None:
        columns = min(WIDTH, max(40, shutil.get_terminal_size((WIDTH, 24)).columns))
        super().__init__(prog, max_help_position=26, width=columns)

    def _format_action_invocation(self, action: argparse.Action) -> str:
        if isinstance(action, _Help):
            return ", ".join(action.option_strings)
        if not action.option_strings or action.nargs == 0:
            return super()._format_action_invocation(action)
        value = self._format_args(action, self._get_default_metavar_for_optional(action))
        return f"{', '.join(action.option_strings)} {value}"


class Names(argparse._AppendAction):
    """A list of names: with commas between them, by repeating the option, or both."""

    def __call__(self, parser: Any, namespace: Any, values: Any, option: str | None = None) -> None:
        texts = [values] if isinstance(values, str) else values
        names = [name.strip() for text in texts for name in text.split(",") if name.strip()]
        if not names:
            raise argparse.ArgumentError(self, f"{','.join(texts)!r} names nothing")
        setattr(namespace, self.dest, [*(getattr(namespace, self.dest, None) or ()), *names])


class Joined(argparse.Action):
    """Names as one text with commas between them; repeating the option adds to it."""

    def __call__(self, parser: Any, namespace: Any, values: Any, option: str | None = None) -> None:
        before = getattr(namespace, self.dest, None)
        joined = f"{before},{values}" if isinstance(before, _GivenText) else values
        setattr(namespace, self.dest, _GivenText(joined))


def add_messages(parser: argparse.ArgumentParser) -> None:
    """Add ``--json`` and ``--quiet``: their one declaration. ``run_parsed`` and ``write_record`` obey them."""
    parser.add_argument(
        "--json", action="store_true", help="result to standard output as JSON; everything else to standard error"
    )
    parser.add_argument("-q", "--quiet", action="store_true", help="no progress and no notices, only the result")


def add_push(parser: argparse.ArgumentParser) -> None:
    """Add ``--push`` of commands that publish, and ``--dry-run``, which is what they do without it."""
    either = parser.add_mutually_exclusive_group()
    either.add_argument("--push", "--yes", action="store_true", help="really upload (default: a dry run)")
    either.add_argument("--dry-run", action="store_true", help="show what would be uploaded; the default")


class _GivenText(str):
    """A text from the command line, not a default."""


OPTIONS_MEANT: Mapping[str, str] = {
    "checkpoint": "model",
    "cuda": "device",
    "dataset": "data",
    "encoder": "model",
    "force": "fresh",
    "gpu": "device",
    "images": "data",
    "jobs": "workers",
    "layers": "outputs",
    "models": "model",
    "overwrite": "fresh",
    "photos": "data",
    "precision": "dtype",
    "samples": "limit",
    "task": "tasks",
    "threads": "workers",
}
"""What people call an option -> the option, as words of the command line without dashes."""


def unknown_option(name: str, known: Iterable[str], prog: str) -> UsageError:
    """The error of an unknown option, with the nearest known one, or how to list all.

    >>> str(unknown_option("--batch_size", ["--batch-size", "--limit"], "camtrace score"))
    "unknown option '--batch_size': did you mean '--batch-size'?"
    """
    meant = {f"--{other}": f"--{option}" for other, option in OPTIONS_MEANT.items()}
    return unknown_name("option", name, known, other_names=meant, otherwise=f"'{prog} --help' lists the options")


def repository_name(text: str) -> str:
    """The name of a repository on the Hub, as ``type`` of an option.

    >>> repository_name("me/results")
    'me/results'
    """
    if not re.fullmatch(r"\w[\w.-]*/\w[\w.-]*", text):
        raise argparse.ArgumentTypeError(f"{text}: write OWNER/NAME")
    return text


def size_in_bytes(text: str) -> int:
    """Bytes of an amount of memory such as ``512M``, for an option.

    Raises:
        argparse.ArgumentTypeError: the text is no amount.

    >>> size_in_bytes("1.5G"), size_in_bytes("512 MiB")
    (1610612736, 536870912)
    """
    match = re.fullmatch(r"(\d{1,18}(?:\.\d{1,18})?)\s*([KMGT]?)(?:i?B)?", text.strip(), re.IGNORECASE)
    if match is None:
        raise argparse.ArgumentTypeError(f"{text!r} is no size: write it like 512M or 8G")
    return int(float(match[1]) * 1024 ** " KMGT".index(match[2].upper() or " "))
