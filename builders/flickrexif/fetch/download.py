"""Download one photo from its address into a file, byte for byte, or give the reason why there is none.

A ``DownloadFailure`` says whether trying again can help. Servers are not trusted: addresses, redirects, types and sizes
are checked, the body is streamed to disk, and a "photo unavailable" picture is not accepted as the photo.
"""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import mmap
import re
import ssl
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urljoin, urlsplit

import httpcore
import httpx

from builders.errors import PhotoError
from builders.untrusted import (
    PHOTO_PACE,
    AddressRefused,
    GuardedTransport,
    Pace,
    describe_error,
    first_line,
    retry_after,
)

_BOX_LIMIT = 10_000


def is_complete_file(path: Path, suffix: str) -> bool:
    """Whether a file has the end that its format requires. Nothing is decoded.

    JPEG: an end-of-image marker after the start of the first scan (bytes after it do not matter). PNG: ``IEND``. GIF:
    its trailer. WebP and HEIC: the length in their headers. TIFF has no end marker; every TIFF file passes.

    Args:
        path: the file, not empty.
        suffix: ``.jpg``, ``.png``, ... by its content.
    """
    with open(path, "rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as data:
        if suffix == ".jpg":
            return _jpeg_ends(data)
        if suffix == ".png":
            return data.rfind(b"IEND\xaeB`\x82") >= 0
        if suffix == ".gif":
            return data[-16:].rstrip(b"\0").endswith(b";")
        if suffix == ".webp":
            return int.from_bytes(data[4:8], "little") + 8 <= len(data)
        return suffix != ".heic" or _boxes_end(data)


def _jpeg_ends(data: mmap.mmap) -> bool:
    """Segments are skipped by their lengths, so that the end marker of a thumbnail inside one does not count."""
    at = 2
    while at + 4 <= len(data):
        if data[at] != 0xFF:
            return False
        marker = data[at + 1]
        if marker == 0xFF or 0xD0 <= marker <= 0xD7 or marker == 0x01:
            at += 1 if marker == 0xFF else 2
        elif marker == 0xDA:
            return data.find(b"\xff\xd9", at) >= 0  # entropy-coded data never holds these two bytes
        else:
            at += 2 + max(2, int.from_bytes(data[at + 2 : at + 4], "big"))
    return False


def _boxes_end(data: mmap.mmap) -> bool:
    """Whether the boxes of an ISO base media file fill it to its end."""
    at = 0
    for _ in range(_BOX_LIMIT):
        if at + 8 > len(data):
            return at == len(data)
        length = int.from_bytes(data[at : at + 4], "big")
        if length == 1:
            length = int.from_bytes(data[at + 8 : at + 16], "big")
        if length == 0:
            return True
        if length < 8:
            return False
        at += length
    return False


MAX_REDIRECTS = 5

DEFAULT_MAX_BYTES = 200 * 2**20
"""Flickr takes photos of up to 200 MB."""

_PLACEHOLDER = re.compile(r"photo[_-]?unavailable|image[_-]?unavailable|/unavailable[._/]", re.IGNORECASE)
"""Paths of the pictures that Flickr serves instead of a photo that is gone."""

_REDIRECTS = frozenset({301, 302, 303, 307, 308})

_PERMANENT = {400: "refused", 401: "refused", 403: "refused", 404: "gone", 410: "gone", 451: "gone"}

_SUFFIXES: tuple[tuple[bytes, int, str, str], ...] = (
    (b"\xff\xd8\xff", 0, ".jpg", "image/jpeg"),
    (b"\x89PNG\r\n\x1a\n", 0, ".png", "image/png"),
    (b"GIF8", 0, ".gif", "image/gif"),
    (b"II*\0", 0, ".tif", "image/tiff"),
    (b"MM\0*", 0, ".tif", "image/tiff"),
    (b"WEBP", 8, ".webp", "image/webp"),
    (b"ftyp", 4, ".heic", "image/heic"),
)
"""(magic bytes, their offset, suffix, media type)."""


@dataclass(frozen=True)
class Downloaded:
    """A file that has arrived in full."""

    sha256: str
    bytes: int
    content_type: str
    suffix: str
    """By its content."""
    url: str
    """Its address after redirects."""


class DownloadFailure(PhotoError):
    """A download that gave no file. ``permanent``: trying again cannot help."""

    def __init__(self, error_class: str, reason: str, *, permanent: bool, retry_after_s: float | None = None) -> None:
        super().__init__(reason)
        self.error_class, self.permanent, self.retry_after_s = error_class, permanent, retry_after_s


def photo_client(
    *,
    user_agent: str,
    timeout_s: float,
    allow_loopback: bool,
    connections: int = 2,
    ssl_context: ssl.SSLContext | None = None,
) -> httpx.AsyncClient:
    """An HTTP client for photos: no cookies, no proxies, no automatic redirects, bytes as they are.

    Give each worker its own client: a connection pool examines all of its connections at every request. Clients may
    share the ``ssl_context``, which is slow to make.
    """
    return httpx.AsyncClient(
        transport=GuardedTransport(connections=connections, allow_loopback=allow_loopback, ssl_context=ssl_context),
        headers={"User-Agent": user_agent, "Accept": "image/*", "Accept-Encoding": "identity"},
        timeout=httpx.Timeout(timeout_s),
        follow_redirects=False,
        trust_env=False,
    )


async def download(
    client: httpx.AsyncClient,
    url: str,
    target: Path,
    *,
    max_bytes: int = DEFAULT_MAX_BYTES,
    allow_loopback: bool = False,
    pace: Pace = PHOTO_PACE,
) -> Downloaded:
    """Fetch a photo into a file.

    Args:
        client: of ``photo_client``.
        url: address of the photo.
        target: a temporary name, since a failure may leave a part of the file.
        max_bytes: the largest file.
        allow_loopback: for tests: this machine may be the server.
        pace: lowest rate that is accepted.

    Raises:
        DownloadFailure: there is no photo at that address, or not now.
    """
    origin = url
    for _ in range(MAX_REDIRECTS + 1):
        _check_url(url, allow_loopback)
        try:
            request = client.build_request("GET", url)
            response = await asyncio.wait_for(client.send(request, stream=True), pace.headers_s)
            async with contextlib.aclosing(response):
                client.cookies.clear()
                if response.status_code in _REDIRECTS:
                    url = _redirected(url, response.headers)
                    continue
                _check_answer(response, max_bytes)
                return await _save(response, target, url, max_bytes, pace)
        except AddressRefused as refused:
            raise DownloadFailure("address refused", str(refused), permanent=True) from None
        except (httpcore.TimeoutException, httpx.TimeoutException, asyncio.TimeoutError):
            raise DownloadFailure("timeout", "no answer in time", permanent=False) from None
        except (httpcore.UnsupportedProtocol, httpx.InvalidURL, httpx.UnsupportedProtocol, UnicodeError) as error:
            raise DownloadFailure("bad url", first_line(error), permanent=True) from None
        except (httpcore.NetworkError, httpcore.ProtocolError, httpx.HTTPError) as error:
            reason = f"the connection failed ({describe_error(error)})"
            raise DownloadFailure("connection", reason, permanent=False) from None
    raise DownloadFailure("redirects", f"more than {MAX_REDIRECTS} redirects from {origin}", permanent=True)


def _check_url(url: str, allow_loopback: bool) -> None:
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError:
        raise DownloadFailure("bad url", "an address that makes no sense", permanent=True) from None
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise DownloadFailure(
            "bad url", f"{parts.scheme or 'no scheme'}: only http and https are fetched", permanent=True
        )
    if parts.username or parts.password:
        raise DownloadFailure("bad url", "an address with a user name in it", permanent=True)
    if port not in (None, 80, 443) and not allow_loopback:
        raise DownloadFailure("bad url", f"port {port}: photos are served on 80 and 443", permanent=True)


def _redirected(url: str, headers: Mapping[str, str]) -> str:
    target = headers.get("Location", "")
    if not target:
        raise DownloadFailure("redirects", "a redirect to nowhere", permanent=False)
    target = urljoin(url, target)
    if _PLACEHOLDER.search(urlsplit(target).path):
        raise DownloadFailure("unavailable", "Flickr shows its 'photo unavailable' picture", permanent=True)
    if url.startswith("https:") and not target.startswith("https:"):
        raise DownloadFailure("redirects", "a redirect from https to something else", permanent=True)
    return target


def _check_answer(response: httpx.Response, max_bytes: int) -> None:
    status, headers = response.status_code, response.headers
    if status in _PERMANENT:
        raise DownloadFailure(_PERMANENT[status], f"http {status}", permanent=True)
    if status != 200:
        raise DownloadFailure(
            f"http {status}", f"http {status}", permanent=False, retry_after_s=retry_after(headers, status)
        )
    kind = headers.get("Content-Type", "").partition(";")[0].strip().lower()
    if kind.startswith("text/") or kind in ("application/json", "application/xml"):
        raise DownloadFailure("not an image", f"{kind} instead of a photo", permanent=False)
    if kind and not kind.startswith("image/") and kind not in ("application/octet-stream", "binary/octet-stream"):
        raise DownloadFailure("not an image", f"{kind[:60]!r} instead of a photo", permanent=True)
    if headers.get("Content-Encoding", "identity").lower() != "identity":
        raise DownloadFailure("encoded", "the server would not send the file as it is", permanent=True)
    length = headers.get("Content-Length", "")
    if length.isdecimal() and int(length) > max_bytes:
        raise DownloadFailure("too large", f"{length} bytes are more than {max_bytes}", permanent=True)


async def _save(response: httpx.Response, target: Path, url: str, max_bytes: int, pace: Pace) -> Downloaded:
    digest, size, head = hashlib.sha256(), 0, b""
    started = time.monotonic()
    with open(target, "wb") as file:
        async for part in response.aiter_raw():
            size += len(part)
            if slow := pace.objection(size, time.monotonic() - started):
                raise DownloadFailure("too slow", slow, permanent=False)
            if size > max_bytes:
                raise DownloadFailure("too large", f"more than {max_bytes} bytes", permanent=True)
            head = head if len(head) >= 16 else (head + part)[:16]
            digest.update(part)
            file.write(part)
    declared = response.headers.get("Content-Length", "")
    if not size:
        raise DownloadFailure("short", "an empty file", permanent=False)
    for magic, at, suffix, media_type in _SUFFIXES:
        if head[at : at + len(magic)] == magic:
            if not declared and not is_complete_file(target, suffix):
                raise DownloadFailure("short", f"{size} bytes arrived, and the picture goes on", permanent=False)
            return Downloaded(digest.hexdigest(), size, media_type, suffix, url)
    if head.lstrip(b"\xef\xbb\xbf \t\r\n").startswith(b"<"):  # an error page under an image's name passes
        raise DownloadFailure("not an image", "a page of text instead of a photo", permanent=False)
    raise DownloadFailure("not an image", "the bytes are of no image format", permanent=True)
