"""A kind of work that is cut into ranks: how it is planned, done and finished."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from builders.ranks.markers import Finished
from builders.ranks.places import Place
from builders.ranks.plan import Plan
from builders.ranks.working import Work


@dataclass(frozen=True)
class Finishing:
    """What ``finish`` is told besides the plan."""

    output: Path | None = None
    """A folder of this machine, instead of the planned output."""
    push_to: str | None = None
    """A repository of the Hub that takes what was made."""
    public: bool = False
    """Whether a new repository is public."""


class Ranked(Protocol):
    """Of one command."""

    def planned(self, place: Place, rank_seconds: float, count: int | None) -> dict[str, Any]:
        """Fields of the plan that this kind decides; ``files``: what lies beside it, by path.

        Args:
            place: of the plan.
            rank_seconds: that a rank should take.
            count: so many ranks instead.
        """
        ...

    def open(self, plan: Plan, place: Place) -> Work:
        """On this machine."""
        ...

    def finish(self, plan: Plan, done: Mapping[int, Finished], place: Place, how: Finishing) -> int:
        """When every rank is done: verify, merge, do what is left. The exit status."""
        ...
