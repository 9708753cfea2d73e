"""``python -m benchmark [--model ID] ...`` scores encoders; ``python -m benchmark COMMAND`` does the rest."""

from __future__ import annotations

import sys
from collections.abc import Sequence

from builders.command_line import Command, guarded, run_command

COMMANDS: dict[str, Command] = {
    "list": Command("benchmark.listing:main", "encoders, tasks, parameters or data that can be named"),
}
"""Each entry is added by the change that adds its module."""


def main(argv: Sequence[str] | None = None) -> int:
    arguments = list(sys.argv[1:] if argv is None else argv)
    if arguments and not arguments[0].startswith("-"):
        return run_command(arguments[0], arguments[1:], COMMANDS)

    def score() -> int:
        from benchmark.score import main as score_main

        return score_main(arguments)

    return guarded(score)


if __name__ == "__main__":
    sys.exit(main())
