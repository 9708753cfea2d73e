"""The command ``camtrace``; ``python -m benchmark`` is the same, and with options alone ``camtrace score``."""

from __future__ import annotations

import sys
from collections.abc import Sequence

from benchmark.compute import alone, wait_asleep
from builders.command_line import Command, Parser, group_parser, run_parsed

COMMANDS: dict[str, Command] = {
    "score": Command("benchmark.scoring.command:parser", "what encoders keep of the camera and the codec, on photos"),
    "list": Command("benchmark.scoring.listing:parser", "encoders, tasks, parameters or data that can be named"),
    "sweep": Command("benchmark.sweep.command:parser", "score many encoders; resumes, estimates beforehand"),
    "erase": Command("benchmark.erasing.command:parser", "take a trace out of embeddings, and see whether it is out"),
    "audit": Command("benchmark.audit.command:parser", "is a data set's label confounded with codec, size or camera?"),
    "compare": Command(
        "benchmark.study.command:parser", "paired differences between results, or against the published study"
    ),
    "reproduce": Command("benchmark.study.reproduce:parser", "the published study's protocol beside its numbers"),
    "leaderboard": Command("benchmark.leaderboard.command:parser", "results to a static site"),
    "publish": Command("benchmark.publishing.command:parser", "results to a data set of results on the Hub"),
    "publish-metrics": Command(
        "benchmark.publishing.metrics_spaces:parser", "the evaluate metrics as Spaces on the Hub"
    ),
    "verify": Command("benchmark.publishing.verify:parser", "which published results can be made again"),
    "cache": Command("benchmark.scoring.cache_command:parser", "what is kept on this machine, and how to be rid of it"),
    "plan": Command("benchmark.cluster.parsers:plan_parser", "freeze a big job in one file, cut into ranks"),
    "work": Command("benchmark.cluster.parsers:work_parser", "do the ranks of a plan that are not done"),
    "status": Command("benchmark.cluster.parsers:status_parser", "how far a plan is, and what to run next"),
    "finish": Command("benchmark.cluster.parsers:finish_parser", "verify and merge what ranks made, then score it"),
    "build": Command("builders.__main__:parser", "make, check and publish data sets"),
}
"""Each entry is added by the change that adds its module."""

_OF_ALL = ("--version", "--print-completion")
"""Options that need no command."""


def parser() -> Parser:
    """Of ``camtrace``."""
    return group_parser(
        "camtrace",
        "What do visual encoders know about the camera and the codec, and how much does it cost you?",
        COMMANDS,
        stray="options follow a command, such as 'camtrace score --model ... --data ...'",
        top=True,
    )


def camtrace(argv: Sequence[str] | None = None) -> int:
    """``camtrace ARGUMENTS``: the exit status."""
    wait_asleep()  # before NumPy is loaded
    return run_parsed(parser, sys.argv[1:] if argv is None else argv)


def main(argv: Sequence[str] | None = None) -> int:
    """``python -m benchmark ARGUMENTS``: without a command it scores."""
    words = list(sys.argv[1:] if argv is None else argv)
    named = bool(words) and (not words[0].startswith("-") or words[0].partition("=")[0] in _OF_ALL)
    return camtrace(words if named else ["score", *words])


def script() -> int:
    """The installed command ``camtrace``, which ends with its process."""
    return alone(camtrace)


if __name__ == "__main__":
    sys.exit(alone(main))
