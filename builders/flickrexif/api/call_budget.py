"""At most so many calls of the API in any hour: a token bucket that survives restarts.

A bucket of ``burst`` tokens that is refilled at (limit - burst) per hour lets at most ``limit`` calls through in any
3,600 seconds, wherever they begin. The token is written off before the call is made, so a killed run never overdraws.
"""

from __future__ import annotations

from builders.errors import UsageError
from builders.flickrexif.api.clock import Clock
from builders.flickrexif.store.store import State

FLICKR_CALLS_PER_HOUR = 3600
"""Flickr's limit for one key (https://www.flickr.com/services/developer/api/)."""

_HOUR_S = 3600.0


def burst_of(calls_per_hour: float) -> float:
    """Calls that may be made at once."""
    return max(1.0, min(60.0, calls_per_hour / 60))


def seconds_for(calls: float, calls_per_hour: float) -> float:
    """How long so many calls take once the calls that may be made at once have been made.

    >>> seconds_for(0, 3600), seconds_for(3540, 3600)
    (0.0, 3600.0)
    """
    return calls * _HOUR_S / (calls_per_hour - burst_of(calls_per_hour))


class CallBudget:
    """The right to call, shared by all threads and all runs of one state.

    Args:
        state: keeps the bucket.
        clock: the time.
        calls_per_hour: the most calls in any hour.

    Raises:
        UsageError: the limit is under 2.
    """

    def __init__(self, state: State, clock: Clock, calls_per_hour: int = FLICKR_CALLS_PER_HOUR) -> None:
        if calls_per_hour < 2:
            raise UsageError(f"--calls-per-hour {calls_per_hour}: give at least 2")
        self._state = state
        self._clock = clock
        self.burst = burst_of(calls_per_hour)
        self.per_second = (calls_per_hour - self.burst) / _HOUR_S

    def take(self) -> None:
        """Wait until a call may be made, and write it off."""
        while (wait := self._try_take()) > 0:
            self._clock.sleep(wait)

    def pause(self, seconds: float) -> None:
        """Nobody calls for this long: Flickr asked for it."""
        with self._state.transaction():
            until = max(self._state.setting("budget_pause") or 0.0, self._clock.now() + seconds)
            self._state.set("budget_pause", until)

    def _try_take(self) -> float:
        """0 if a token was taken, else the seconds until there may be one."""
        with self._state.transaction():
            now = self._clock.now()
            pause = (self._state.setting("budget_pause") or 0.0) - now
            if 0 < pause <= _HOUR_S:
                return pause
            tokens, at = self._state.setting("budget") or (self.burst, now)
            elapsed = max(0.0, now - at)  # a clock that was set back gives nothing away
            tokens = min(self.burst, tokens + elapsed * self.per_second)
            if tokens < 1:
                return (1 - tokens) / self.per_second + 1e-3
            self._state.set("budget", (tokens - 1, now))
            return 0.0
