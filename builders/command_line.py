"""What both command lines share: lazy sub-commands, and errors as one sentence with an exit status."""

from __future__ import annotations

import importlib
import os
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from builders.errors import EXTRA_OF, CamtraceError, missing_package, unknown_name


@dataclass(frozen=True)
class Command:
    """One sub-command: where its ``main(argv) -> int`` lives, and its line in ``--help``."""

    target: str
    """``"package.module:function"``, imported only when the command is used."""
    summary: str
    """One line for the list of commands."""

    def load(self) -> Callable[[Sequence[str]], int]:
        module, _, function = self.target.partition(":")
        return getattr(importlib.import_module(module), function)


def run_command(name: str, argv: Sequence[str], commands: Mapping[str, Command]) -> int:
    """Run one sub-command; turn a ``CamtraceError`` into one line on stderr and its exit status."""

    def run() -> int:
        if name not in commands:
            raise unknown_name("command", name, commands)
        return commands[name].load()(argv)

    return guarded(run)


def guarded(run: Callable[[], int]) -> int:
    """Call ``run``; errors meant for people and missing extras become one sentence, Ctrl-C 130, a closed pipe 141."""
    try:
        return run()
    except CamtraceError as error:
        print(f"camtrace: {error}", file=sys.stderr)
        return error.exit_status
    except ModuleNotFoundError as error:
        if (error.name or "").partition(".")[0] not in EXTRA_OF:
            raise
        print(f"camtrace: {missing_package(error.name or '', 'this command')}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("camtrace: interrupted; finished work is kept, run the same command again to go on", file=sys.stderr)
        return 130
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 141
