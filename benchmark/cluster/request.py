"""A request of a plan: the words of the command that does the work on one machine, and where its output goes."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from benchmark.cluster.plan_form import check_plan
from builders.cli import Command, Parser
from builders.cluster import Plan
from builders.errors import UsageError, unknown_name
from builders.pixels import read_definitions

OUTPUT = "OUTPUT"
"""Placeholder of the output in a plan's words."""

KINDS = {
    "score": Command("benchmark.cli.score:parser", "score encoders"),
    "sweep": Command("benchmark.cli.sweep:parser", "score many encoders"),
    "embed": Command("benchmark.cli.sweep:parser", "fill the banks of encoders, score nothing"),
    "build": Command("builders.__main__:parser", "build a data set"),
}
"""Commands that can be planned. ``embed`` has the options of ``sweep``."""


@dataclass(frozen=True)
class Request:
    """A command as words."""

    kind: str
    words: tuple[str, ...]
    """The words after ``camtrace``, with ``OUTPUT`` for the output."""
    output: str
    """A path, or an address."""

    def parsed(self, output: Path) -> argparse.Namespace:
        """The parsed options, with this folder as the output."""
        words = [str(output) if word == OUTPUT else word for word in self.words[1:]]
        return _parser(self.kind, words)[0].parse_args(_parser(self.kind, words)[1])


def request_of(plan: Plan) -> Request:
    """The command that a plan froze. Raises ``DataError`` for a plan whose kind or notes ``plan`` does not write."""
    check_plan(plan, KINDS)
    return Request(plan.kind, plan.argv, plan.output)


def read_request(words: Sequence[str]) -> Request:
    """The request of a command line.

    Args:
        words: as a user writes them after ``camtrace plan``.

    Raises:
        UsageError: the command cannot be planned, or has an option that does not go with a plan.
    """
    if not words:
        raise UsageError(f"which command? give one of: {', '.join(KINDS)}")
    kind = words[0]
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
    parser, options = _parser(kind, rest)
    args = parser.parse_args(options)
    _freeze_processings(rest, getattr(args, "processings", ""))
    option = getattr(args, "output_option", "--output")
    output = _taken_output(rest, option)
    if output is None:
        default = getattr(args, "output", None)
        if default is None:
            raise UsageError(f"{parser.prog} has no --output, and cannot be planned")
        output, rest = str(default), [*rest, "--output", OUTPUT]
    return Request(kind, (kind, *rest), output if "://" in output else str(Path(output).absolute()))


def _freeze_processings(words: list[str], what: str) -> None:
    """Replace the path of a processing file in the words by its content."""
    text = read_definitions(what).text if what else ""
    for position, word in enumerate(words):
        if word == "--processings" and position + 1 < len(words):
            words[position + 1] = text
        elif word.startswith("--processings="):
            words[position] = f"--processings={text}"


def _taken_output(words: list[str], option: str) -> str | None:
    """Replace the value of ``--output``, or of the option in its place, in the words. Return it, or None if absent."""
    output = None
    for position, word in enumerate(words):
        if word in ("-o", option) and position + 1 < len(words):
            output, words[position + 1] = words[position + 1], OUTPUT
        elif word.startswith(f"{option}="):
            output = word.removeprefix(f"{option}=")
            words[position : position + 1] = [option, OUTPUT]
    return output


def _parser(kind: str, words: Sequence[str]) -> tuple[Parser, list[str]]:
    """The parser of a command, and the words that it parses."""
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
