"""How long a client waits before it tries again: one policy for all services."""

from __future__ import annotations

import email.utils
import random
import time
from collections.abc import Mapping

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
