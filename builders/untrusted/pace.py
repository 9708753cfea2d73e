"""How slow a server may be: a deadline for its headers and for the whole, and a least rate in between.

A timeout between two bytes is none: a server that sends one each half second keeps a connection as long as it likes.
"""

from __future__ import annotations

import threading
from dataclasses import dataclass, field

from builders.errors import RemoteError
from builders.untrusted.text import readable


@dataclass(frozen=True)
class Pace:
    """What one file may take."""

    headers_s: float = 60.0
    """From the request to the last header, redirects each for themselves."""
    grace_s: float = 30.0
    """After so long the rate counts."""
    least_bytes_per_s: float = 8192.0
    """On average since the body began: a photo of 5 MB takes ten minutes at this rate."""
    deadline_s: float = 3600.0
    """From the first byte of the body to its last."""

    def objection(self, size: int, seconds: float) -> str:
        """Why a body of which ``size`` bytes came in ``seconds`` is not waited for; "" if it is.

        >>> Pace().objection(1000, 60.0)
        '1,000 bytes in 60 seconds, fewer than 8,192 a second'
        """
        if seconds > self.deadline_s:
            return f"not complete after {self.deadline_s:,.0f} seconds"
        if seconds > self.grace_s and size < self.least_bytes_per_s * seconds:
            return f"{size:,} bytes in {seconds:.0f} seconds, fewer than {self.least_bytes_per_s:,.0f} a second"
        return ""


PHOTO_PACE = Pace()
"""Of photos, unless a caller says otherwise."""


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
class TransferLimit:
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
