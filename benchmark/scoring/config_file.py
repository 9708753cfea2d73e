"""``--config FILE.toml``: options from a file, under their own names; the command line wins."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from builders.command_line import Parser
from builders.errors import UsageError, unknown_name
from builders.outside import Refused, read_outside_text, readable_line

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib


MAX_BYTES = 2**16
"""Of such a file: the parser takes time by the square of the parts of a key (a.a.a...)."""


class ConfiguredParser(Parser):
    """A parser with ``--config``. What the file says is parsed as if it stood first on the command line."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.add_argument(
            "--config",
            type=Path,
            metavar="FILE",
            help="TOML with options under their names, such as batch-size = 32; the command line wins",
        )

    def parse_known_args(self, args: Any = None, namespace: Any = None) -> Any:
        words = list(sys.argv[1:] if args is None else args)
        found, extra = super().parse_known_args(words, namespace)
        if found.config is None:
            return found, extra
        from_file = self._words(found.config, found)
        try:
            return super().parse_known_args([*from_file, *words], None)
        except UsageError as error:  # the command line alone was right
            raise UsageError(f"{found.config}: {error}") from None

    def _words(self, path: Path, given: argparse.Namespace) -> list[str]:
        """The options of a file as words; those that repeat are left out where the command line has them."""
        words: list[str] = []
        for key, value in read_toml(path).items():
            action = self._option_string_actions.get(f"--{key}")
            if action is None or action.dest in ("config", "help"):
                known = [option[2:] for option in self.known_options() if option not in ("--config", "--help")]
                raise unknown_name(f"option in {path}", key, known)
            repeats = isinstance(action, argparse._AppendAction)
            values = value if isinstance(value, list) else [value]
            if len(values) != 1 and not repeats:
                raise UsageError(f"{path}: {key} takes one value, not a list")
            if any(isinstance(v, dict | list) for v in values):
                raise UsageError(f"{path}: {key} takes text, a number, true or false")
            if action.nargs == 0:
                if not isinstance(value, bool):
                    raise UsageError(f"{path}: {key} is true or false")
                words += [f"--{key}"] * value
            elif any(isinstance(v, bool) for v in values):
                raise UsageError(f"{path}: {key} takes a value, not true or false")
            elif not (repeats and getattr(given, action.dest)):
                words += [f"--{key}={v}" for v in values]
        return words


def read_toml(path: Path) -> Mapping[str, Any]:
    """The content of a TOML file.

    Raises:
        UsageError: it cannot be read, or is not TOML.
    """
    try:
        return tomllib.loads(read_outside_text(path, limit=MAX_BYTES))
    except Refused as refused:
        raise UsageError(f"--config {path}: {refused.reason}") from None
    except (ValueError, RecursionError) as error:  # TOMLDecodeError is one, a number of 5,000 digits another
        raise UsageError(f"--config {path}: not TOML ({readable_line(error)})") from None
