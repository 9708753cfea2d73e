"""Calls of Flickr's REST API: flickrapi signs them; this module adds timeouts, the budget, retries and error classes.

There are two kinds of failure. A ``FlickrRefusal`` is final for one photo (it is gone or hidden). ``FlickrUnavailable``
means that no usable response came, after every retry.
"""

from __future__ import annotations

import logging
import os
import random
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

import flickrapi
import requests

from builders.errors import PhotoError, RemoteError, UsageError
from builders.flickrexif.api.call_budget import CallBudget
from builders.flickrexif.api.clock import Clock
from builders.processes import DeadlineExceeded, run_with_deadline
from builders.untrusted import backoff, retry_after, single_line

TRANSIENT_CODES = frozenset({0, 10, 105, 106, 201})
"""Flickr's codes of faults that may pass: 0 and 201 unexplained, 10 search down, 105 service down, 106 failed."""

_KEY_CODES = frozenset({95, 96, 97, 98, 99, 100})
_MAX_RESPONSE_BYTES = 32 * 2**20
_MAX_RESPONSE_S = 300.0
"""From the request to the last byte of the response, which has a few hundred kilobytes."""


class FlickrRefusal(PhotoError):
    """A final error of Flickr. ``code`` is its error code (1 not found, 2 permission denied, ...)."""

    def __init__(self, code: int, message: str) -> None:
        super().__init__(f"Flickr code {code}: {message}")
        self.code = code


class FlickrUnavailable(RemoteError):
    """No usable response, after every retry. ``error_class`` names the fault of the last attempt."""

    def __init__(self, error_class: str, attempts: int) -> None:
        super().__init__(
            f"Flickr gave no usable answer in {attempts} attempts (last: {error_class}); "
            "results so far are saved, run the same command again later"
        )
        self.error_class = error_class


@dataclass(frozen=True)
class Credentials:
    """A Flickr API key. Without a secret, calls carry the key and are not signed: enough for public photos."""

    key: str
    secret: str = ""

    def __repr__(self) -> str:
        return "Credentials(...)"

    @classmethod
    def from_environment(cls) -> Credentials:
        """From FLICKR_API_KEY and FLICKR_API_SECRET.

        Raises:
            UsageError: there is no key.
        """
        key = os.environ.get("FLICKR_API_KEY", "").strip()
        if not key:
            raise UsageError(
                "FLICKR_API_KEY is not set: get a key at https://www.flickr.com/services/apps/create/ and export it"
            )
        return cls(key, os.environ.get("FLICKR_API_SECRET", "").strip())


@dataclass(frozen=True)
class CallAttempt:
    """The record of one attempt at a call."""

    method: str
    """Without ``flickr.``."""
    subject: str
    """What the call is about."""
    attempt: int
    """From 1 on."""
    outcome: str
    """``ok``, or the class of the error."""
    started: float
    """Seconds since 1970."""
    seconds: float


class FlickrClient:
    """Calls the API within its budget and tries again where that helps. Threads may share it.

    Args:
        credentials: the key.
        record: called after each attempt, by the thread that made it.
        clock: the time; waits go through it.
        budget: of calls; each attempt takes one.
        user_agent: value of the header ``User-Agent``.
        url: of the REST endpoint; Flickr's if absent. Unencrypted only to this machine.
        attempts: how often one call is tried.
        first_wait_s: the first backoff; each further one may be twice as long.
        timeout_s: for connecting and between bytes.
        seed: of the jitter.
    """

    def __init__(
        self,
        credentials: Credentials,
        record: Callable[[CallAttempt], None],
        clock: Clock,
        budget: CallBudget,
        *,
        user_agent: str,
        url: str | None = None,
        attempts: int = 8,
        first_wait_s: float = 1.0,
        timeout_s: float = 30.0,
        seed: int | None = None,
    ) -> None:
        self._record_attempt, self._clock, self._budget = record, clock, budget
        self._attempts, self._first_wait_s = attempts, first_wait_s
        self._jitter = random.Random(seed)
        for name in ("flickrapi", "oauthlib", "requests_oauthlib"):  # these log bodies, keys and signatures
            logging.getLogger(name).setLevel(logging.CRITICAL)
        self._api = flickrapi.FlickrAPI(
            credentials.key, credentials.secret, format="parsed-json", store_token=False, timeout=timeout_s
        )
        self.session = CheckedSession(user_agent, None if credentials.secret else credentials.key)
        self._api.flickr_oauth.session = self.session
        if url:
            self._api.REST_URL = checked_endpoint(url)

    def stop(self) -> None:
        """End the waits of all threads: the run is ending."""
        self._clock.stop()

    def call(self, method: str, subject: str, *, expect: str, **parameters: Any) -> Mapping[str, Any]:
        """Make one call and return the response, as Flickr's JSON.

        Args:
            method: without ``flickr.``, for example ``photos.search``.
            subject: what the call is about, for the record.
            expect: the field that a valid response has.
            parameters: of the call.

        Raises:
            FlickrRefusal: Flickr reports a final error.
            FlickrUnavailable: every attempt failed.
            UsageError: the key is not accepted.
        """
        error_class = "never tried"
        for attempt in range(1, self._attempts + 1):
            self._budget.take()
            started = self._clock.now()
            try:
                response = self._api.do_flickr_call(f"flickr.{method}", **parameters)
                if response.get("stat") != "ok" or expect not in response:
                    raise _Transient(f"answer without {expect}")
            except _Transient as fault:
                error_class, retry_after_s = fault.error_class, fault.retry_after_s
            except flickrapi.FlickrError as error:
                code = -1 if error.code is None else error.code
                error_class, retry_after_s = f"code {code}", None
                if code not in TRANSIENT_CODES:
                    self._record(method, subject, attempt, error_class, started)
                    raise _final_error(code, single_line(error, 200)) from None
            except requests.Timeout:
                error_class, retry_after_s = "timeout", None
            except requests.RequestException as error:
                error_class, retry_after_s = type(error).__name__, None
            except (ValueError, KeyError, TypeError, AttributeError):  # flickrapi, for a response of another form
                error_class, retry_after_s = "unreadable answer", None
            else:
                self._record(method, subject, attempt, "ok", started)
                return response
            self._record(method, subject, attempt, error_class, started)
            if attempt < self._attempts:
                self._wait(attempt, retry_after_s)
        raise FlickrUnavailable(error_class, self._attempts)

    def _record(self, method: str, subject: str, attempt: int, outcome: str, started: float) -> None:
        seconds = self._clock.now() - started
        self._record_attempt(CallAttempt(method, subject, attempt, outcome, started, seconds))

    def _wait(self, attempt: int, retry_after_s: float | None) -> None:
        if retry_after_s is not None:
            self._budget.pause(retry_after_s)  # it holds for the key, so for every thread and process
            return
        self._clock.sleep(backoff(attempt, self._first_wait_s, self._jitter))


class CheckedSession(requests.Session):
    """The session of flickrapi: a user agent, no cookies, no redirects, responses of limited size, statuses checked."""

    def __init__(self, user_agent: str, key: str | None) -> None:
        super().__init__()
        self.headers["User-Agent"] = user_agent
        self._key = key

    def post(self, url: Any, data: Any = None, json: Any = None, **options: Any) -> Any:
        """Raises ``_Transient`` for every response except a 200 that begins like JSON."""
        if self._key is not None:
            data = {**data, "api_key": self._key}
            options["auth"] = _unsigned
        try:
            return run_with_deadline(_MAX_RESPONSE_S, lambda: self._response(url, data, **options))
        except DeadlineExceeded:
            raise _Transient("too slow") from None

    def _response(self, url: Any, data: Any, **options: Any) -> _Response:
        self.cookies.clear()
        with super().post(url, data=data, stream=True, allow_redirects=False, **options) as response:
            if response.status_code != 200:
                raise _Transient(f"http {response.status_code}", retry_after(response.headers, response.status_code))
            content = _limited_body(response)
        if not content.lstrip().startswith(b"{"):
            raise _Transient("html with 200" if b"<" in content[:256] else "not JSON")
        return _Response(200, content)


def _unsigned(request: requests.PreparedRequest) -> requests.PreparedRequest:
    """Authentication that does nothing. With None, requests would look for a password in .netrc."""
    return request


@dataclass(frozen=True)
class _Response:
    """The two fields of a response that flickrapi reads."""

    status_code: int
    content: bytes


class _Transient(Exception):
    """A fault that may pass: the call is tried again."""

    def __init__(self, error_class: str, retry_after_s: float | None = None) -> None:
        super().__init__(error_class)
        self.error_class, self.retry_after_s = error_class, retry_after_s


def checked_endpoint(url: str) -> str:
    """Return ``url`` if a key may be sent there: https, or http to this machine (a test server).

    Raises:
        UsageError: it is neither.
    """
    parts = urlsplit(url)
    if parts.scheme == "https" and parts.hostname:
        return url
    if parts.scheme == "http" and is_this_machine(url):
        return url
    raise UsageError(f"--api-url {url}: a key is only sent over https (or http to 127.0.0.1)")


def is_this_machine(url: str) -> bool:
    """Whether a URL names the loopback address."""
    return urlsplit(url).hostname in ("127.0.0.1", "localhost", "::1")


def _limited_body(response: requests.Response) -> bytes:
    parts, size = [], 0
    for part in response.iter_content(65536):
        size += len(part)
        if size > _MAX_RESPONSE_BYTES:
            raise _Transient("answer too large")
        parts.append(part)
    return b"".join(parts)


def _final_error(code: int, message: str) -> Exception:
    if code in _KEY_CODES:
        return UsageError(f"Flickr does not accept the key ({message}): check FLICKR_API_KEY and FLICKR_API_SECRET")
    return FlickrRefusal(code, message)
