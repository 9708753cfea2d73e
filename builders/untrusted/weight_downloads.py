"""Weights that their authors keep on servers of their own, held to a pace and a size as the Hub's files are.

``torch.hub`` (and through it torchvision and timm) and ``open_clip`` fetch them by ``urllib``, which waits for ever for
a server that is silent or sends a byte now and then, writes as many as it sends, and takes a body that breaks off for
the whole file. Within ``from_authors`` none of it happens.
"""

from __future__ import annotations

import http.client
import socket
import threading
import time
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any
from urllib.parse import urlsplit

from builders.processes import DeadlineExceeded, run_with_deadline
from builders.untrusted.files import too_large
from builders.untrusted.hub_client import HUB_PACE, MAX_HUB_FILE_BYTES
from builders.untrusted.pace import BROKEN_S, Fetched, Pace, TransferLimit, check_pace, refusal
from builders.untrusted.text import first_line

AUTHORS_PACE = HUB_PACE
"""Of one file, unless a caller says otherwise."""

_SILENCE_S = 60.0
"""Without a byte."""


@contextmanager
def from_authors(limit: int = MAX_HUB_FILE_BYTES, pace: Pace | None = None) -> Iterator[None]:
    """Within it, whatever ``urllib.request.urlopen`` opens in this process comes in time and within a size, or not at
    all; and by http(s) alone, never from https to http.

    Of nested ones the inner one counts; threads share it.

    Args:
        limit: bytes of one file.
        pace: by default ``AUTHORS_PACE``.

    Raises:
        RemoteError: out of the library's call, when an answer was too slow or too large, or broke off.
    """
    watch = TransferLimit(limit, pace or AUTHORS_PACE)
    opener = urllib.request.build_opener(_Http(watch), _Https(watch), _Redirects, _Refused)
    with _guard:
        if not _openers:
            _before.append(getattr(urllib.request, "_opener", None))
        _openers.append(opener)
        urllib.request.install_opener(opener)
    try:
        yield
    finally:
        with _guard:
            _openers.remove(opener)
            urllib.request.install_opener(_openers[-1] if _openers else _before.pop())


_openers: list[urllib.request.OpenerDirector] = []
_before: list[Any] = []
"""What was installed outside all of them, if anything."""
_guard = threading.Lock()


class _Http(urllib.request.HTTPHandler):
    def __init__(self, watch: TransferLimit) -> None:
        super().__init__()
        self._watch = watch

    def http_open(self, request: urllib.request.Request) -> Any:
        return _answer(super().http_open, request, self._watch)


class _Https(urllib.request.HTTPSHandler):
    def __init__(self, watch: TransferLimit) -> None:
        super().__init__()
        self._watch = watch

    def https_open(self, request: urllib.request.Request) -> Any:
        return _answer(super().https_open, request, self._watch)


class _Redirects(urllib.request.HTTPRedirectHandler):
    def redirect_request(self, req: Any, fp: Any, code: int, msg: str, headers: Any, newurl: str) -> Any:
        allowed = ("https",) if req.type == "https" else ("http", "https")
        if urlsplit(newurl).scheme.lower() not in allowed:
            raise refusal(req.full_url, f"leads to {newurl[:200]}, which is not {' or '.join(allowed)}")
        return super().redirect_request(req, fp, code, msg, headers, newurl)


class _Refused(urllib.request.FTPHandler, urllib.request.FileHandler):
    """In the place of urllib's own two."""

    def ftp_open(self, req: Any) -> Any:
        raise refusal(req.full_url, "not an address of http or https")

    file_open = ftp_open


def _answer(opened: Callable[[Any], Any], request: urllib.request.Request, watch: TransferLimit) -> Any:
    url = urlsplit(request.full_url)
    address = f"{url.scheme}://{url.netloc.rpartition('@')[2]}{url.path}"
    fetched = watch.of(address)
    check_pace(fetched, watch.pace, address)
    if request.timeout is None or request.timeout is socket._GLOBAL_DEFAULT_TIMEOUT:  # type: ignore[attr-defined]
        request.timeout = _SILENCE_S
    try:
        response = run_with_deadline(watch.pace.headers_s, lambda: opened(request), late=lambda answer: answer.close())
    except DeadlineExceeded:
        raise refusal(address, f"too slow: no answer in {watch.pace.headers_s:,.0f} seconds") from None
    if response.length is not None and response.length > watch.limit:
        response.close()
        raise refusal(address, too_large(response.length, watch.limit))
    response.read = _guarded_read(response, address, fetched, watch)
    return response


def _guarded_read(
    response: http.client.HTTPResponse, address: str, fetched: Fetched, watch: TransferLimit
) -> Callable[[int | None], bytes]:
    """Its ``read``, which gives what is there instead of waiting for all that was asked for."""
    size, declared = 0, response.length  # kept here: read1 of older Pythons does not count it down

    def part(amount: int) -> bytes:
        nonlocal size
        if declared is not None:
            amount = min(amount, declared - size)
        began, whole = time.monotonic(), False
        try:
            piece = response.read1(amount) if amount else b""
            whole = bool(piece) or declared is None or size == declared
        except OSError as error:
            raise refusal(address, f"broke off after {size:,} bytes ({first_line(error)})") from None
        except http.client.IncompleteRead:
            piece = b""
        finally:
            took = time.monotonic() - began
            fetched.seconds += took if whole else max(BROKEN_S, took)
        if not whole:
            raise refusal(address, f"broke off after {size:,} bytes")
        fetched.bytes, size = fetched.bytes + len(piece), size + len(piece)
        check_pace(fetched, watch.pace, address)
        if size > watch.limit:
            raise refusal(address, f"more than {watch.limit:,} bytes, which no such file may have")
        return piece

    def read(amount: int | None = None) -> bytes:
        if amount is not None and amount >= 0:
            return part(amount) if amount else b""
        return b"".join(iter(lambda: part(1 << 20), b""))

    return read
