"""Results of checks: one property of one split each."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from builders.untrusted import readable

MAX_EXAMPLES = 3
"""Rows with errors that a check names, at most."""


@dataclass(frozen=True)
class Check:
    """One property of one split."""

    config: str
    split: str
    name: str
    passed: bool
    detail: str


@dataclass(frozen=True)
class Adder:
    """Appends checks of one split to a list."""

    config: str
    split: str
    checks: list[Check]

    def __call__(self, name: str, passed: bool, detail: str) -> None:
        self.checks.append(Check(self.config, self.split, name, bool(passed), readable(detail)))


def examples(wrong: Sequence[str]) -> str:
    more = f", and {len(wrong) - MAX_EXAMPLES} more" if len(wrong) > MAX_EXAMPLES else ""
    return ", ".join(wrong[:MAX_EXAMPLES]) + more
