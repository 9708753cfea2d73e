"""A message as somebody else's library may write it: several lines, a command to the terminal, as long as a file."""

import contextlib
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple, NoReturn

import pytest

from builders.errors import CamtraceError

PLANTED = "a\x1b[2J" + "x" * 10_000 + "\nsecond\x07 line"

ESCAPED = "a\\x1b[2J" + "x" * 289 + "..."
"""All that is said of it: 300 characters."""


def raising(error: BaseException) -> Callable[..., Any]:
    """Stands in the place of anything that is called."""

    def called(*_: Any, **__: Any) -> NoReturn:
        raise error

    return called


class Where(NamedTuple):
    """A place that passes on what was said."""

    patched: str
    """What raises there; "" where the call sees to it."""
    error: BaseException
    call: Callable[[Path, pytest.MonkeyPatch], Any]
    """Returns the sentence, or raises it."""
    printed: str
    """With DIR for the test's folder."""

    def heard(self, folder: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
        """What it does say."""
        if self.patched:
            monkeypatch.setattr(self.patched, raising(self.error))
        try:
            return self.call(folder, monkeypatch)
        except CamtraceError as error:
            return str(error)


def bar_that_tells(labels: list[str]) -> Callable[..., Any]:
    """Stands in the place of ``tqdm``."""

    def bar(**options: Any) -> Any:
        labels.append(options["desc"])
        return contextlib.nullcontext()

    return bar
