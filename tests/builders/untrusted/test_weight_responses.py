"""One response to urllib through the guard of weights: addresses, waits, limits and what is counted, by hand."""

from __future__ import annotations

import http.client
import socket
import urllib.request
from types import SimpleNamespace

import pytest

from builders.errors import RemoteError
from builders.processes import DeadlineExceeded
from builders.untrusted import Pace, from_authors, weight_downloads
from builders.untrusted.pace import TransferLimit

ADDRESS = "https://me:pw@author.example/w/x.pth?token=1"
NAME = "https://author.example/w/x.pth"


class Answer:
    """A response of ``length`` bytes, whose parts take so many seconds."""

    def __init__(self, clock, *parts, length=None, takes=0.0):
        self.clock, self.parts, self.length, self.takes = clock, list(parts), length, takes
        self.amounts, self.closed = [], 0

    def read1(self, amount):
        self.amounts.append(amount)
        self.clock.now += self.takes
        part = self.parts.pop(0) if self.parts else b""
        if isinstance(part, Exception):
            raise part
        return part

    def close(self):
        self.closed += 1


@pytest.fixture
def clock(monkeypatch):
    made = SimpleNamespace(now=100.0)
    monkeypatch.setattr(weight_downloads, "time", SimpleNamespace(monotonic=lambda: made.now))
    return made


def respond(answer, transfers=None, timeout=5.0):
    request = urllib.request.Request(ADDRESS)
    request.timeout = timeout
    transfers = transfers or TransferLimit(10, Pace())
    return weight_downloads._respond(lambda sent: answer, request, transfers), request, transfers


@pytest.mark.parametrize(
    ("given", "used"), [(None, 60.0), (socket._GLOBAL_DEFAULT_TIMEOUT, 60.0), (5.0, 5.0), (900.0, 900.0)]
)
def test_request__waits_for_a_byte_and_for_the_headers(clock, monkeypatch, given, used):
    deadlines = []
    monkeypatch.setattr(
        weight_downloads, "run_with_deadline", lambda seconds, work, late: deadlines.append((seconds, late)) or work()
    )
    answer = Answer(clock)
    _, request, transfers = respond(answer, TransferLimit(10, Pace(headers_s=44.0)), given)
    assert (request.timeout, deadlines[0][0], list(transfers.fetched)) == (used, 44.0, [NAME])
    deadlines[0][1](answer)
    assert answer.closed == 1

    def never(seconds, work, late):
        raise DeadlineExceeded

    monkeypatch.setattr(weight_downloads, "run_with_deadline", never)
    with pytest.raises(RemoteError) as refused:
        respond(answer, TransferLimit(10, Pace(headers_s=1200.0)))
    assert str(refused.value) == f"{NAME}: too slow: no answer in 1,200 seconds"


def test_request__to_an_address_that_was_too_slow_is_not_made_again(clock):
    transfers = TransferLimit(10, Pace(grace_s=1, least_bytes_per_s=2))
    transfers.of(NAME).seconds = 2.0
    with pytest.raises(RemoteError, match=r"x\.pth: too slow: 0 bytes in 2 seconds, fewer than 2 a second$"):
        weight_downloads._respond(None, urllib.request.Request(ADDRESS), transfers)


def test_response__that_declares_too_much_is_closed(clock):
    answer = Answer(clock, length=11)
    with pytest.raises(RemoteError) as refused:
        respond(answer)
    assert str(refused.value) == f"{NAME}: 11 bytes, more than the 10 bytes that such a file may have"
    assert answer.closed == 1
    respond(Answer(clock, length=10))


def test_read__what_has_arrived_up_to_the_declared_length(clock):
    answer = Answer(clock, b"abc", b"de", b"f", length=6, takes=2.0)
    response, _, transfers = respond(answer)
    assert [response.read(4), response.read(0), response.read(9), response.read(9), response.read(9)] == [
        b"abc", b"", b"de", b"f", b"",
    ]  # fmt: skip
    assert answer.amounts == [4, 3, 1]
    fetched = transfers.of(NAME)
    assert (fetched.bytes, fetched.seconds) == (6, 6.0)
    for amount in ((), (None,), (-1,)):
        whole = Answer(clock, b"abc", b"de", length=5)
        assert respond(whole)[0].read(*amount) == b"abcde"
        assert whole.amounts == [5, 2]
    open_end = Answer(clock, b"abc", b"de")
    assert respond(open_end)[0].read() == b"abcde"
    assert open_end.amounts == [1 << 20] * 3


@pytest.mark.parametrize(
    ("part", "takes", "seconds", "sentence"),
    [
        (b"", 0.0, 1.0, "broke off after 3 bytes"), (b"", 3.0, 6.0, "broke off after 3 bytes"),
        (http.client.IncompleteRead(b"d", 2), 0.5, 1.5, "broke off after 3 bytes"),
        (ConnectionResetError("reset\nby peer"), 0.0, 1.0, "broke off after 3 bytes (reset)"),
        (TimeoutError("timed out"), 2.0, 4.0, "broke off after 3 bytes (timed out)"),
    ],
)  # fmt: skip
def test_read__a_response_that_breaks_off_counts_a_second_at_least(clock, part, takes, seconds, sentence):
    response, _, transfers = respond(Answer(clock, b"abc", part, length=5, takes=takes))
    assert response.read(9) == b"abc"
    with pytest.raises(RemoteError) as refused:
        response.read(9)
    assert str(refused.value) == f"{NAME}: {sentence}"
    fetched = transfers.of(NAME)
    assert (fetched.bytes, fetched.seconds) == (3, seconds)


def test_read__too_much_or_too_slowly(clock):
    response = respond(Answer(clock, b"x" * 6, b"x" * 4, b"x"), TransferLimit(10, Pace()))[0]
    assert [len(response.read(9)), len(response.read(9))] == [6, 4]
    with pytest.raises(RemoteError, match=r"x\.pth: more than 10 bytes, which no such file may have$"):
        response.read(9)
    many = respond(Answer(clock, b"x" * 2000), TransferLimit(1999, Pace()))[0]
    with pytest.raises(RemoteError, match=r"more than 1,999 bytes"):
        many.read(9999)
    slow = TransferLimit(10, Pace(grace_s=3, least_bytes_per_s=2))
    response = respond(Answer(clock, b"x", b"x", takes=2.0), slow)[0]
    response.read(9)
    with pytest.raises(RemoteError, match=r"x\.pth: too slow: 2 bytes in 4 seconds, fewer than 2 a second$"):
        response.read(9)


def test_redirects__by_the_scheme_of_the_request():
    redirect = weight_downloads._Redirects().redirect_request
    plain, safe = (urllib.request.Request(f"{scheme}://author.example/a") for scheme in ("http", "https"))
    for request, there in ((plain, "http://b/c"), (plain, "HTTPS://b/c"), (safe, "HTTPS://b/c")):
        assert redirect(request, None, 302, "", {}, there).full_url == there
    long = f"ftp://b/{'c' * 300}"
    for request, allowed in ((plain, "http or https"), (safe, "https")):
        with pytest.raises(RemoteError) as refused:
            redirect(request, None, 302, "", {}, long)
        assert str(refused.value) == f"{request.full_url}: leads to {long[:200]}, which is not {allowed}"


def test_openers__the_innermost_has_its_limits_and_the_first_is_restored(monkeypatch):
    monkeypatch.setattr(urllib.request, "_opener", None)

    def limits():
        (handler,) = [each for each in urllib.request._opener.handlers if isinstance(each, weight_downloads._Https)]
        (plain,) = [each for each in urllib.request._opener.handlers if isinstance(each, weight_downloads._Http)]
        assert handler._transfers is plain._transfers
        return handler._transfers.limit, handler._transfers.pace

    with from_authors():
        assert limits() == (50 << 30, Pace(60.0, 60.0, 16384.0, 86_400.0))
        with from_authors(7, Pace(1.0)):
            assert limits() == (7, Pace(1.0))
        assert limits()[0] == 50 << 30
    assert urllib.request._opener is None
    assert (weight_downloads._openers, weight_downloads._before) == ([], [])
