"""The command ``camtrace``; ``python -m benchmark`` is the same, and with options alone ``camtrace score``."""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from functools import partial

from benchmark.compute import run_and_exit, run_supervised, wait_asleep
from builders.cli import Command, Parser, group_parser, run_parsed
from builders.plugins import extras

_OF_SCORE = ("evaluate", "eval", "run", "benchmark", "bench", "test", "measure", "predict", "embed")
"""What people call ``score``."""

COMMANDS: dict[str, Command] = {
    "score": Command(
        "benchmark.cli.score:parser", "what encoders keep of the camera and the codec, on photos", _OF_SCORE, True
    ),
    "list": Command("benchmark.cli.list:parser", "encoders, tasks, parameters or data that can be named"),
    "sweep": Command(
        "benchmark.cli.sweep:parser", "score many encoders; resumes, estimates beforehand", runs_encoders=True
    ),
    "erase": Command(
        "benchmark.cli.erase:parser", "take a trace out of embeddings, and see whether it is out", runs_encoders=True
    ),
    "audit": Command("benchmark.cli.audit:parser", "is a data set's label confounded with codec, size or camera?"),
    "pipeline": Command("benchmark.cli.pipeline:parser", "one photo under each processing of a file, as a page"),
    "compare": Command(
        "benchmark.cli.compare:parser", "paired differences between results, or against the published study"
    ),
    "reproduce": Command(
        "benchmark.cli.reproduce:parser", "the published study's protocol next to its numbers", runs_encoders=True
    ),
    "leaderboard": Command("benchmark.cli.leaderboard:parser", "results to a static site"),
    "publish": Command("benchmark.cli.sharing.publish:parser", "results to a data set of results on the Hub"),
    "publish-metrics": Command("benchmark.cli.sharing.publish_metrics:parser", "the evaluate metrics as Spaces"),
    "verify": Command("benchmark.cli.sharing.verify:parser", "which published results can be made again"),
    "cache": Command("benchmark.cli.cache:parser", "what is stored on this machine, and how to remove it"),
    "plan": Command("benchmark.cli.cluster:plan_parser", "freeze a big job in one file, cut into ranks"),
    "work": Command(
        "benchmark.cli.cluster:work_parser", "do the ranks of a plan that are not done", runs_encoders=True
    ),
    "status": Command("benchmark.cli.cluster:status_parser", "how far a plan is, and what to run next"),
    "finish": Command(
        "benchmark.cli.cluster:finish_parser", "verify and merge what ranks made, then score it", runs_encoders=True
    ),
    "build": Command("builders.__main__:parser", "make, check and publish data sets"),
    **extras("benchmark", "COMMANDS"),
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


def _process(command: Callable[[], int]) -> int:
    """The exit status of a command that ends with its process."""
    words = sys.argv[1:2]
    named = COMMANDS.get(words[0], COMMANDS["score"] if command is main else None) if words else None
    supervised = named is not None and named.runs_encoders
    return run_supervised(partial(run_and_exit, command)) if supervised else run_and_exit(command)


def script() -> int:
    """The installed command ``camtrace``."""
    return _process(camtrace)


if __name__ == "__main__":
    sys.exit(_process(main))
