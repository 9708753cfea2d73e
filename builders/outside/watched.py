"""What was fetched from each address, held to a pace and a size: shared by every client that is guarded."""

from __future__ import annotations

import threading
from dataclasses import dataclass, field

from builders.errors import RemoteError
from builders.outside.names import readable
from builders.outside.pace import Pace

BROKEN_S = 1.0
"""What an answer that breaks off counts at least: a server may send a byte and hang up, again and again."""

_guard = threading.Lock()


@dataclass
class Fetched:
    """What came from one address so far."""

    bytes: int = 0
    seconds: float = 0.0
    answers: int = 0


@dataclass(eq=False)
class Watch:
    """Limits, and what has come from each address while they hold."""

    limit: int
    """Bytes of one file."""
    pace: Pace
    fetched: dict[str, Fetched] = field(default_factory=dict)
    """By address without its query: signatures change from answer to answer."""

    def of(self, address: str) -> Fetched:
        """Of one address."""
        with _guard:
            return self.fetched.setdefault(address, Fetched())


def check_pace(fetched: Fetched, pace: Pace, address: str) -> None:
    """Raise ``RemoteError`` where what came from an address came too slowly."""
    if slow := pace.objection(fetched.bytes, fetched.seconds):
        raise refusal(address, f"too slow: {slow}")


def refusal(address: str, reason: str) -> RemoteError:
    """The one sentence about an address that is not read on."""
    return RemoteError(f"{readable(address[:300])}: {reason}")
