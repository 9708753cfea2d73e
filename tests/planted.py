"""A message as somebody else's library may write it: several lines, a command to the terminal, as long as a file."""

import contextlib
from collections.abc import Callable
from typing import Any, NoReturn

PLANTED = "a\x1b[2J" + "x" * 10_000 + "\nsecond\x07 line"

SAID = "a\\x1b[2J" + "x" * 289 + "..."
"""All that is said of it: 300 characters."""


def raising(error: BaseException) -> Callable[..., Any]:
    """Stands in the place of anything that is called."""

    def called(*_: Any, **__: Any) -> NoReturn:
        raise error

    return called


def bar_that_tells(labels: list[str]) -> Callable[..., Any]:
    """Stands in the place of ``tqdm``."""

    def bar(**options: Any) -> Any:
        labels.append(options["desc"])
        return contextlib.nullcontext()

    return bar
