"""Which failures of the Hub are tried again, after which wait, and what is said in the end."""

from __future__ import annotations

import threading
import time
from types import SimpleNamespace

import httpx
import pytest
from huggingface_hub.errors import HfHubHTTPError, HFValidationError, HTTPError

from builders.errors import RemoteError
from builders.publish import create_repo, retry, viewer_address
from builders.publish.push import ATTEMPTS
from builders.untrusted import MAX_WAIT_S


@pytest.fixture
def waits(monkeypatch) -> list[float]:
    """Seconds that this thread would have slept; threads of other tests may still be there."""
    seconds, sleep, thread = [], time.sleep, threading.get_ident()
    monkeypatch.setattr(time, "sleep", lambda s: seconds.append(s) if threading.get_ident() == thread else sleep(s))
    return seconds


def are_between_half_of(seconds: list[float], *longest: float) -> bool:
    """Whether each wait is at least half of its longest and at most all of it."""
    return all(most / 2 <= wait <= most for wait, most in zip(seconds, longest, strict=True))


def http_error(status: int, message: str | None = None, **headers: str) -> HfHubHTTPError:
    request = httpx.Request("POST", "https://hub.example/api")
    error = HfHubHTTPError("failed", response=httpx.Response(status, request=request, headers=headers))
    error.server_message = message
    return error


def failing(*errors: BaseException):
    """A call that raises these, one after another, and then returns how often it was called."""
    left = list(errors)

    def call() -> int:
        if left:
            raise left.pop(0)
        return len(errors) + 1

    return call


@pytest.mark.parametrize("status", [408, 409, 412, 425, 429, 500, 502, 503, 504])
def test_retry__statuses_that_may_pass(waits, status):
    assert retry(failing(http_error(status), http_error(status)), "a/b") == 3
    assert are_between_half_of(waits, 1.0, 2.0)


@pytest.mark.parametrize("status", [400, 401, 403, 404, 410, 413, 422, 501, 505])
def test_retry__statuses_that_stay(waits, status):
    with pytest.raises(RemoteError) as error:
        retry(failing(http_error(status, "  too large\nmore  ")), "a/b")
    login = "log in with `hf auth login`, by a token that may write to this repository"
    expected = f"HTTP {status}: {login}" if status in (401, 403) else f"HTTP {status} (too large)"
    assert f"{expected}" in str(error.value)
    assert waits == []


def test_retry__waits_double_up_to_a_limit_and_attempts_end(waits):
    for error, sentence in (
        (http_error(503), "a/b"),
        (ConnectionResetError("x"), "a/b"),
        (HTTPError("x"), "a/b"),
    ):
        waits.clear()
        assert retry(failing(*[error] * (ATTEMPTS - 1)), "a/b") == ATTEMPTS == 6
        assert are_between_half_of(waits, 1.0, 2.0, 4.0, 8.0, 16.0)
        with pytest.raises(RemoteError) as caught:
            retry(failing(*[error] * ATTEMPTS), "a/b")
        assert sentence in str(caught.value)
    with pytest.raises(HFValidationError):
        retry(failing(HFValidationError("name")), "a/b")


@pytest.mark.parametrize(
    ("stated", "wait"),
    [("7", 7.0), ("0", 0.0), ("soon", 1.0), ("-3", 1.0), ("1.5", 1.0), ("9" * 6, MAX_WAIT_S)],
)
def test_retry__the_wait_that_the_hub_states(waits, stated, wait):
    assert retry(failing(http_error(429, None, **{"Retry-After": stated})), "a/b") == 2
    assert waits == [wait] or (not stated.isdecimal() and are_between_half_of(waits, wait))


def test_retry__a_long_answer_is_cut(waits):
    with pytest.raises(RemoteError) as error:
        retry(failing(http_error(400, "y" * 201)), "a/b")
    assert str(error.value).endswith(f"HTTP 400 ({'y' * 200})")


@pytest.mark.parametrize("public", [False, True])
@pytest.mark.parametrize(("kind", "more"), [("dataset", {}), ("model", {}), ("space", {"space_sdk": "static"})])
def test_create_repo__private_unless_it_is_to_be_public(kind, more, public):
    made = []
    api = SimpleNamespace(create_repo=lambda repo, **options: made.append((repo, options)) or "address")
    assert create_repo(api, "a/b", kind, public) == "address"
    assert made == [("a/b", {"repo_type": kind, "private": not public, "exist_ok": True, **more})]


def test_viewer_address():
    assert viewer_address("me/photos") == "https://huggingface.co/datasets/me/photos/embed/viewer"
