"""At most so many calls of the API in any hour, for all processes of one user that call with one key.

A token bucket of ``burst`` tokens that is refilled at (limit - burst) per hour lets at most ``limit`` calls through in
any 3,600 seconds, wherever they begin. Each API key has one bucket, in a file of its own in the cache folder: Flickr
counts calls per key, so several collections that are searched at once share it. The token is written off before the
call is made, so a killed run never overdraws. A new bucket is empty: if the file has been deleted, or an earlier
version has just made calls, the first calls wait a second each and the limit holds.
"""

from __future__ import annotations

import fcntl
import hashlib
import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path

from builders.errors import UsageError, disk_error
from builders.files import cache_folder
from builders.flickrexif.api.clock import Clock

FLICKR_CALLS_PER_HOUR = 3600
"""Flickr's limit for one key (https://www.flickr.com/services/developer/api/)."""

_HOUR_S = 3600.0
_RECORD_BYTES = 200
"""Every record has this length, so that a write replaces all of the one before."""


def _burst_of(calls_per_hour: float) -> float:
    """Calls that may be made at once."""
    return max(1.0, min(60.0, calls_per_hour / 60))


def seconds_for(calls: float, calls_per_hour: float) -> float:
    """Seconds that some calls take once the calls that may be made at once have been made.

    >>> seconds_for(0, 3600), seconds_for(3540, 3600)
    (0.0, 3600.0)
    """
    return calls * _HOUR_S / (calls_per_hour - _burst_of(calls_per_hour))


def budget_file(key: str, cache: Path | None = None) -> Path:
    """The file with the bucket of an API key. Its name contains a hash of the key, not the key.

    Args:
        key: of the API.
        cache: cache folder; that of the user if absent.
    """
    digest = hashlib.sha256(f"flickrexif call budget\0{key}".encode()).hexdigest()[:32]
    return (cache or cache_folder()) / "flickr" / f"calls-{digest}.json"


@dataclass
class _Bucket:
    """Content of the file."""

    tokens: float
    at: float
    """When ``tokens`` was right, in seconds since 1970."""
    paused_until: float = 0.0


class CallBudget:
    """The right to call, shared by all threads and processes that name the same file.

    Args:
        path: of the bucket (``budget_file``); created if it does not exist.
        clock: the time.
        calls_per_hour: the most calls in any hour.

    Raises:
        UsageError: the limit is under 2.
    """

    def __init__(self, path: Path, clock: Clock, calls_per_hour: int = FLICKR_CALLS_PER_HOUR) -> None:
        if calls_per_hour < 2:
            raise UsageError(f"--calls-per-hour {calls_per_hour}: give at least 2")
        self._path = path
        self._clock = clock
        self.burst = _burst_of(calls_per_hour)
        self.per_second = (calls_per_hour - self.burst) / _HOUR_S

    def take(self) -> None:
        """Wait until a call may be made, and write it off.

        Raises:
            DiskError: the file cannot be written.
        """
        while (wait := self._try_take()) > 0:
            self._clock.sleep(wait)

    def pause(self, seconds: float) -> None:
        """Let no call be made for some time, as Flickr requested.

        Raises:
            DiskError: the file cannot be written.
        """
        with self._locked_bucket() as bucket:
            bucket.paused_until = max(bucket.paused_until, self._clock.now() + seconds)

    def _try_take(self) -> float:
        """0 if a token was taken, else the seconds until there may be one."""
        with self._locked_bucket() as bucket:
            now = self._clock.now()
            pause = bucket.paused_until - now
            if 0 < pause <= _HOUR_S:
                return pause
            bucket.at = min(bucket.at, now)  # a clock that was set back adds no tokens
            tokens = min(self.burst, bucket.tokens + (now - bucket.at) * self.per_second)
            if tokens < 1:
                return (1 - tokens) / self.per_second + 1e-3
            bucket.tokens, bucket.at = tokens - 1, now
            return 0.0

    @contextmanager
    def _locked_bucket(self) -> Iterator[_Bucket]:
        """The bucket, locked against all other threads and processes until the block ends; changes are written then."""
        try:
            self._path.parent.mkdir(parents=True, exist_ok=True)
            descriptor = os.open(self._path, os.O_RDWR | os.O_CREAT, 0o600)
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX)  # belongs to the descriptor, so threads exclude each other too
                before = os.pread(descriptor, _RECORD_BYTES, 0)
                bucket = _parse(before) or _Bucket(0.0, self._clock.now())
                yield bucket
                after = json.dumps(asdict(bucket)).encode().ljust(_RECORD_BYTES)
                if after != before:
                    os.pwrite(descriptor, after, 0)
            finally:
                os.close(descriptor)
        except OSError as error:
            raise disk_error(error, self._path, saved="recorded data are saved") from None


def _parse(record: bytes) -> _Bucket | None:
    """None if the file is new or damaged."""
    try:
        fields = json.loads(record)
        return _Bucket(float(fields["tokens"]), float(fields["at"]), float(fields["paused_until"]))
    except (ValueError, TypeError, KeyError):
        return None
