"""Limits on time and size for weights on servers of their authors, as for files of the Hub.

``torch.hub`` (and through it torchvision and timm) and ``open_clip`` fetch them by ``urllib``, which waits for ever for
a server that is silent or sends a byte now and then, writes as many bytes as it sends, and takes a body that breaks off
for the whole file. Within ``from_authors`` none of it happens.
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
"""Default for one file."""

_SILENCE_S = 60.0
"""Longest wait for a byte."""


@contextmanager
def from_authors(limit: int = MAX_HUB_FILE_BYTES, pace: Pace | None = None) -> Iterator[None]:
    """Within it, everything that ``urllib.request.urlopen`` opens in this process has limits on time and size.

    Only http and https are allowed, and no redirect from https to http. The innermost of nested blocks is in force;
    threads share it.

    Args:
        limit: bytes of one file.
        pace: by default ``AUTHORS_PACE``.

    Raises:
        RemoteError: raised in the library's call, if a response is too slow or too large, or breaks off.
    """
    transfers = TransferLimit(limit, pace or AUTHORS_PACE)
    opener = urllib.request.build_opener(_Http(transfers), _Https(transfers), _Redirects, _OtherProtocols)
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
"""The opener that was installed before all of them, if any."""
_guard = threading.Lock()


class _Http(urllib.request.HTTPHandler):
    def __init__(self, transfers: TransferLimit) -> None:
        super().__init__()
        self._transfers = transfers

    def http_open(self, request: urllib.request.Request) -> Any:
        return _respond(super().http_open, request, self._transfers)


class _Https(urllib.request.HTTPSHandler):
    def __init__(self, transfers: TransferLimit) -> None:
        super().__init__()
        self._transfers = transfers

    def https_open(self, request: urllib.request.Request) -> Any:
        return _respond(super().https_open, request, self._transfers)


class _Redirects(urllib.request.HTTPRedirectHandler):
    def redirect_request(self, req: Any, fp: Any, code: int, msg: str, headers: Any, newurl: str) -> Any:
        allowed = ("https",) if req.type == "https" else ("http", "https")
        if urlsplit(newurl).scheme.lower() not in allowed:
            raise refusal(req.full_url, f"leads to {newurl[:200]}, which is not {' or '.join(allowed)}")
        return super().redirect_request(req, fp, code, msg, headers, newurl)


class _OtherProtocols(urllib.request.FTPHandler, urllib.request.FileHandler):
    """An error in place of urllib's handlers of ftp and file."""

    def ftp_open(self, req: Any) -> Any:
        raise refusal(req.full_url, "not an address of http or https")

    file_open = ftp_open


def _respond(open_url: Callable[[Any], Any], request: urllib.request.Request, transfers: TransferLimit) -> Any:
    url = urlsplit(request.full_url)
    address = f"{url.scheme}://{url.netloc.rpartition('@')[2]}{url.path}"
    fetched = transfers.of(address)
    check_pace(fetched, transfers.pace, address)
    if request.timeout is None or request.timeout is socket._GLOBAL_DEFAULT_TIMEOUT:  # type: ignore[attr-defined]
        request.timeout = _SILENCE_S
    try:
        response = run_with_deadline(
            transfers.pace.headers_s, lambda: open_url(request), late=lambda late: late.close()
        )
    except DeadlineExceeded:
        raise refusal(address, f"too slow: no answer in {transfers.pace.headers_s:,.0f} seconds") from None
    if response.length is not None and response.length > transfers.limit:
        response.close()
        raise refusal(address, too_large(response.length, transfers.limit))
    response.read = _guarded_read(response, address, fetched, transfers)
    return response


def _guarded_read(
    response: http.client.HTTPResponse, address: str, fetched: Fetched, transfers: TransferLimit
) -> Callable[[int | None], bytes]:
    """A ``read`` for the response that returns what has arrived instead of waiting for the whole amount."""
    size, declared = 0, response.length  # a copy: read1 of older Pythons does not count it down

    def part(amount: int) -> bytes:
        nonlocal size
        if declared is not None:
            amount = min(amount, declared - size)
        started, whole = time.monotonic(), False
        try:
            piece = response.read1(amount) if amount else b""
            whole = bool(piece) or declared is None or size == declared
        except OSError as error:
            raise refusal(address, f"broke off after {size:,} bytes ({first_line(error)})") from None
        except http.client.IncompleteRead:
            piece = b""
        finally:
            seconds = time.monotonic() - started
            fetched.seconds += seconds if whole else max(BROKEN_S, seconds)
        if not whole:
            raise refusal(address, f"broke off after {size:,} bytes")
        fetched.bytes, size = fetched.bytes + len(piece), size + len(piece)
        check_pace(fetched, transfers.pace, address)
        if size > transfers.limit:
            raise refusal(address, f"more than {transfers.limit:,} bytes, which no such file may have")
        return piece

    def read(amount: int | None = None) -> bytes:
        if amount is not None and amount >= 0:
            return part(amount) if amount else b""
        return b"".join(iter(lambda: part(1 << 20), b""))

    return read
