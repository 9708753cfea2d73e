"""``python -m benchmark [--model ID] ...`` scores encoders; ``python -m benchmark COMMAND`` does the rest."""

from __future__ import annotations

import sys
from collections.abc import Sequence

from builders.command_line import Command, guarded, run_command

COMMANDS: dict[str, Command] = {
    "audit": Command("benchmark.audit.command:main", "is a data set's label confounded with codec, size or camera?"),
    "list": Command("benchmark.scoring.listing:main", "encoders, tasks, parameters or data that can be named"),
    "compare": Command(
        "benchmark.study.compare:main", "paired differences between results, or against the published study"
    ),
    "leaderboard": Command("benchmark.leaderboard.command:main", "results to a static site"),
    "publish": Command("benchmark.publishing.command:main", "results to a data set of results on the Hub"),
    "publish-metrics": Command("benchmark.publishing.metrics_spaces:main", "the evaluate metrics as Spaces on the Hub"),
    "reproduce": Command("benchmark.study.reproduce:main", "the published study's protocol beside its numbers"),
    "sweep": Command("benchmark.sweep.command:main", "score many encoders; resumes, estimates beforehand"),
    "verify": Command("benchmark.publishing.verify:main", "which published results can be made again"),
}
"""Each entry is added by the change that adds its module."""


def main(argv: Sequence[str] | None = None) -> int:
    arguments = list(sys.argv[1:] if argv is None else argv)
    if arguments and not arguments[0].startswith("-"):
        return run_command(arguments[0], arguments[1:], COMMANDS)

    def score() -> int:
        from benchmark.scoring import main as score_main

        return score_main(arguments)

    return guarded(score)


if __name__ == "__main__":
    sys.exit(main())
