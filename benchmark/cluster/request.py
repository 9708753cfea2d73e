"""What is to be planned: the words of a command that does it on one machine, and where its output goes."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from builders.cli import Command, Parser
from builders.errors import UsageError, unknown_name

OUTPUT = "OUTPUT"
"""Stands in a plan's words for the output."""

KINDS = {
    "score": Command("benchmark.cli.score:parser", "score encoders"),
    "sweep": Command("benchmark.cli.sweep:parser", "score many encoders"),
    "embed": Command("benchmark.cli.sweep:parser", "fill the banks of encoders, score nothing"),
    "build": Command("builders.__main__:parser", "build a data set"),
}
"""What can be planned. ``embed`` has the options of ``sweep``."""


@dataclass(frozen=True)
class Request:
    """A command as words."""

    kind: str
    words: tuple[str, ...]
    """After ``camtrace``, with ``OUTPUT`` for the output."""
    output: str
    """A path, or an address."""

    def parsed(self, output: Path) -> argparse.Namespace:
        """The options, with this folder for the output."""
        words = [str(output) if word == OUTPUT else word for word in self.words[1:]]
        return _parser(self.kind, words)[0].parse_args(_parser(self.kind, words)[1])


def read_request(words: Sequence[str]) -> Request:
    """The words of a command, as a user writes them.

    Raises:
        UsageError: nothing that can be planned, or not in this way.
    """
    kind = words[0] if words else ""
    if kind not in KINDS:
        raise unknown_name("kind of plan", kind, KINDS)
    rest = list(words[1:])
    for option, instead in (
        ("--fresh", "remove what is there instead"),
        ("--config", "write the options out: a plan is frozen, and a file is not"),
        ("--dry-run", "a plan measures as it is made"),
        ("--push-to", "give it to 'camtrace finish'"),
    ):
        if any(word == option or word.startswith(f"{option}=") for word in rest):
            raise UsageError(f"{option} does not go with a plan: {instead}")
    parser, own = _parser(kind, rest)
    args = parser.parse_args(own)
    option = getattr(args, "output_option", "--output")
    output = _taken_output(rest, option)
    if output is None:
        default = getattr(args, "output", None)
        if default is None:
            raise UsageError(f"{parser.prog} has no --output, and cannot be planned")
        output, rest = str(default), [*rest, "--output", OUTPUT]
    return Request(kind, (kind, *rest), output if "://" in output else str(Path(output).absolute()))


def _taken_output(words: list[str], option: str) -> str | None:
    """The value of ``--output``, or of the option in its place, replaced in the words; None if it is not there."""
    found = None
    for position, word in enumerate(words):
        if word in ("-o", option) and position + 1 < len(words):
            found, words[position + 1] = words[position + 1], OUTPUT
        elif word.startswith(f"{option}="):
            found = word.removeprefix(f"{option}=")
            words[position : position + 1] = [option, OUTPUT]
    return found


def _parser(kind: str, words: Sequence[str]) -> tuple[Parser, list[str]]:
    """The parser of a command, and the words that it takes."""
    if kind != "build":
        parser = KINDS[kind].parser()
        assert isinstance(parser, Parser)
        parser.prog = f"camtrace {kind}"
        return parser, list(words)
    from builders.__main__ import COMMANDS

    name = words[0] if words else ""
    if name not in COMMANDS:
        raise unknown_name("build command", name, COMMANDS)
    parser = COMMANDS[name].parser()
    assert isinstance(parser, Parser)
    return parser, list(words[1:])
