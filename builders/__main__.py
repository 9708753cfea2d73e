"""``python -m builders COMMAND``: make, check and publish data sets."""

from __future__ import annotations

import sys
from collections.abc import Sequence

from builders.command_line import Command, run_command

COMMANDS: dict[str, Command] = {}
"""Each entry is added by the change that adds its module."""


def main(argv: Sequence[str] | None = None) -> int:
    arguments = list(sys.argv[1:] if argv is None else argv)
    if not arguments or arguments[0] in ("-h", "--help"):
        print(__doc__.strip() + "\n\ncommands:")
        for name, command in COMMANDS.items():
            print(f"  {name:12} {command.summary}")
        print("\n'python -m builders COMMAND --help' explains one of them.")
        return 0
    return run_command(arguments[0], arguments[1:], COMMANDS)


if __name__ == "__main__":
    sys.exit(main())
