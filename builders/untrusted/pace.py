"""Limits on slow servers: deadlines for headers and for the whole, a least rate in between; and how long clients wait.

A timeout between two bytes limits nothing: a server that sends a byte each half second holds a connection for ever.
"""

from __future__ import annotations

import email.utils
import random
import threading
import time
from collections.abc import Mapping
from dataclasses import dataclass, field

from builders.errors import RemoteError
from builders.untrusted.text import readable


@dataclass(frozen=True)
class Pace:
    """Limits on the time of one file."""

    headers_s: float = 60.0
    """From the request to the last header, for each redirect anew."""
    grace_s: float = 30.0
    """The rate is checked after so long."""
    least_bytes_per_s: float = 8192.0
    """On average since the body began: a photo of 5 MB takes ten minutes at this rate."""
    deadline_s: float = 3600.0
    """From the first byte of the body to its last."""

    def objection(self, size: int, seconds: float) -> str:
        """Why a body of which ``size`` bytes came in ``seconds`` is too slow; empty if it is not.

        >>> Pace().objection(1000, 60.0)
        '1,000 bytes in 60 seconds, fewer than 8,192 a second'
        """
        if seconds > self.deadline_s:
            return f"not complete after {self.deadline_s:,.0f} seconds"
        if seconds > self.grace_s and size < self.least_bytes_per_s * seconds:
            return f"{size:,} bytes in {seconds:.0f} seconds, fewer than {self.least_bytes_per_s:,.0f} a second"
        return ""


PHOTO_PACE = Pace()
"""Default for photos."""


BROKEN_S = 1.0
"""Least time that a response that breaks off counts: a server may send a byte and hang up, again and again."""

_guard = threading.Lock()


@dataclass
class Fetched:
    """What came from one address so far."""

    bytes: int = 0
    seconds: float = 0.0
    responses: int = 0


@dataclass(eq=False)
class TransferLimit:
    """Limits, and what has come from each address since they were set."""

    limit: int
    """Bytes of one file."""
    pace: Pace
    fetched: dict[str, Fetched] = field(default_factory=dict)
    """By address without its query: signatures change from response to response."""

    def of(self, address: str) -> Fetched:
        """What came from one address."""
        with _guard:
            return self.fetched.setdefault(address, Fetched())


OUTAGE_S = 6.0
"""A host that gives no answer for so long is not tried again and again."""

FORGOTTEN_S = 60.0
"""A failure so long ago is none of the same outage."""


class Outages:
    """Hosts that do not answer. Clients try each request six times in 23 s or more, and make several of them.

    >>> outages = Outages()
    >>> outages.lasts("a", 100.0, 100.1), outages.lasts("a", 106.2, 106.3)
    (False, True)
    """

    def __init__(self) -> None:
        self._of: dict[str, tuple[float, float]] = {}
        """Begin of the first request that failed, and the last failure, by host."""

    def lasts(self, host: str, began: float, now: float) -> bool:
        """Note a failure; whether the host has given no answer to two requests or more for ``OUTAGE_S``.

        Args:
            host: of the request.
            began: monotonic time of the request.
            now: monotonic time of its failure.
        """
        with _guard:
            first, last = self._of.get(host, (began, None))
            if last is None or began - last > FORGOTTEN_S:
                first, last = began, None
            self._of[host] = first, now
        return last is not None and now - first >= OUTAGE_S

    def end(self, host: str) -> None:
        """Note an answer."""
        with _guard:
            self._of.pop(host, None)


OUTAGES = Outages()
"""Of this process."""


def check_pace(fetched: Fetched, pace: Pace, address: str) -> None:
    """Raise ``RemoteError`` if the bytes of an address came too slowly."""
    if slow := pace.objection(fetched.bytes, fetched.seconds):
        raise refusal(address, f"too slow: {slow}")


def refusal(address: str, reason: str) -> RemoteError:
    """The error about an address that is not read any further."""
    return RemoteError(f"{readable(address[:300])}: {reason}")


MAX_WAIT_S = 300.0
"""Longest wait that a client chooses; of the Hub also the longest that a response may ask for, since it counts requests
per five minutes."""

MAX_RETRY_AFTER_S = 3600.0
"""Longest wait that a service may ask for."""


def backoff(attempt: int, first_s: float, jitter: random.Random | None = None) -> float:
    """Seconds to wait after a failed attempt: twice as long after each, at random between half of it and all of it.

    Args:
        attempt: 1 for the first.
        first_s: longest wait after the first.
        jitter: source of random numbers.

    >>> 4 <= backoff(3, 2.0) <= 8
    True
    """
    longest = min(MAX_WAIT_S, first_s * 2 ** (attempt - 1))
    return longest * (random if jitter is None else jitter).uniform(0.5, 1.0)


def retry_after(headers: Mapping[str, str], status: int, now: float | None = None) -> float | None:
    """Seconds to wait by the header ``Retry-After`` of a 429 or 5xx response, at most 3600; None without one.

    >>> retry_after({"Retry-After": "7"}, 429)
    7.0
    """
    text = headers.get("Retry-After", "").strip() if status == 429 or status >= 500 else ""
    if not text:
        return None
    if text.isdecimal():  # not isdigit: a superscript is no number
        return min(float(text), MAX_RETRY_AFTER_S)
    try:
        at = email.utils.parsedate_to_datetime(text).timestamp()
    except (TypeError, ValueError, OverflowError):
        return None
    return min(max(0.0, at - (time.time() if now is None else now)), MAX_RETRY_AFTER_S)
