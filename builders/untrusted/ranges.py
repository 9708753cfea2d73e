"""Parts of remote files: over HTTP from the open internet only, or from a store that fsspec knows (``s3://``, ``gs://``)."""

from __future__ import annotations

import contextlib
import functools
import inspect
import os
import re
import socket
import time
import types
import typing
from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

import httpcore
import httpx

from builders.errors import CamtraceError, DataError, RemoteError, UsageError, missing_package
from builders.files import TIME_ALONE
from builders.processes import DeadlineExceeded, run_with_deadline
from builders.untrusted.addresses import AddressRefused, address_allowed
from builders.untrusted.files import ReadAtOffsets, too_large
from builders.untrusted.hub_client import client_message, from_hub
from builders.untrusted.pace import PHOTO_PACE
from builders.untrusted.text import describe_error, first_line, readable

AHEAD_BYTES = 1 << 20
"""Read at once by a stream: headers of a tar lie between photos of some 100 kB."""

TIMEOUT_S = 60.0

LISTING_S = 900.0
"""Seconds for the list of the files of a folder: a store may say for ever that there are more."""

MAX_SIZE = 1 << 60
"""Largest size that is believed of a file, in bytes."""

_STORES = {
    **{"s3": "s3fs", "s3a": "s3fs", "gs": "gcsfs", "gcs": "gcsfs", "abfs": "adlfs", "az": "adlfs"},
    **{"hf": "", "memory": ""},
}
"""Protocols of fsspec that are read, and the package of each beside those that are installed."""

_IDENTITIES = ("ETag", "etag", "blob_id")
_TIMES = ("mtime", "LastModified", "created")

_HUB_FILE = re.compile(r"hf://datasets/([^/@]+/[^/@]+)@([0-9a-f]{40})/(.+)")
"""A file of a commit on the Hub, whose address needs no question to the Hub."""


class RemoteFacts(NamedTuple):
    """What is known of a remote file without reading it."""

    size: int
    """In bytes."""
    identity: str
    """Changes with the bytes: an ETag, or ``TIME_ALONE`` and a time of change. Empty where the server says neither."""


def files_of_store(address: str) -> dict[str, RemoteFacts]:
    """Every file below a folder of a store, by its path relative to it, sorted; empty if there is none.

    Raises:
        DataError: it cannot be listed.
        UsageError: it is on a web server, the protocol is not known, or its package is not installed.
    """
    if _is_http(address):
        raise UsageError(f"{readable(address)}: a web server lists no folder: name a table of addresses, or tar shards")
    files, root = _store(address)
    begin = root.rstrip("/") + "/"
    with _asking(address, "listed"):
        files.invalidate_cache()
        try:
            listed = run_with_deadline(LISTING_S, lambda: files.find(root, detail=True))
        except DeadlineExceeded:
            raise RemoteError(f"too slow, or without an end: not complete after {LISTING_S:,.0f} seconds") from None
        return {
            path.removeprefix(begin): _facts(facts)
            for path, facts in sorted(listed.items())
            if path.startswith(begin) and facts.get("type") == "file"
        }


def remote_facts(address: str) -> RemoteFacts:
    """Size and identity of a remote file.

    Raises:
        DataError: it is not there, or the server gives no parts of files.
        UsageError: the protocol is not known, or its package is not installed.
    """
    if _is_http(address):
        facts, _ = _http_range(address, 0, 1)
        return facts
    files, path = _store(address)
    with _asking(address, "read"):
        return _facts(files.info(path))


def _facts(stated: Mapping[str, Any]) -> RemoteFacts:
    """What a store says of a file. Raises ``ValueError`` if it says no size."""
    identity = next((str(stated[name]) for name in _IDENTITIES if name in stated), "")
    identity = identity or next((f"{TIME_ALONE}{stated[name]}" for name in _TIMES if name in stated), "")
    size = stated.get("size")
    if not isinstance(size, int) or not 0 <= size <= MAX_SIZE:
        raise ValueError(f"the store says that {readable(str(stated.get('name', 'a file')))[:200]} has no size")
    return RemoteFacts(size, identity)


@contextlib.contextmanager
def _asking(address: str, what: str) -> Iterator[None]:
    """Within it, errors of the client of a store, or of the Hub's with its limits, are a ``DataError``."""
    try:
        with from_hub() if address.startswith("hf://") else store_errors():
            yield
    except (OSError, ValueError, RemoteError) as error:
        raise DataError(f"{readable(address)}: cannot be {what} ({first_line(error)})") from None


def read_range(address: str, offset: int, size: int, identity: str = "") -> bytes:
    """Some bytes of a remote file; fewer where it ends. Errors as ``remote_facts``.

    Args:
        address: of the file.
        offset: of the first byte.
        size: number of bytes.
        identity: that the file had when it was opened: a web server's file with another one is refused.
    """
    if size <= 0:
        return b""
    if _is_http(address):
        facts, data = _http_range(address, offset, size)
        if identity and facts.identity and facts.identity != identity:
            raise DataError(f"{readable(address)}: the file has changed since it was opened")
        return data
    if address.startswith("hf://"):
        data = _hub_range(address, offset, size)
    else:
        files, path = _store(address)
        with _asking(address, "read"):
            data = bytes(files.cat_file(path, start=offset, end=offset + size))
    if len(data) > size:
        raise _other_part(address)
    return data


class RemoteStream(ReadAtOffsets):
    """A remote file that is read as a file, some bytes at once."""

    def __init__(
        self, address: str, size: int, identity: str = "", *, ahead: int = AHEAD_BYTES, most: int = 1 << 30
    ) -> None:
        """Nothing is read yet.

        Args:
            address: as of ``read_range``.
            size: of the file, in bytes.
            identity: as of ``read_range``.
            ahead: least bytes of one request; 0 where a reader states exactly what it needs.
            most: bytes of one request.
        """
        super().__init__(size)
        self._address, self._identity, self._least, self._most = address, identity, ahead, most
        self._from, self._ahead = 0, b""

    def read_at(self, offset: int, size: int) -> bytes:
        """Raises ``DataError`` for fewer bytes than the file has there: a reader would take them for its end."""
        if not self._from <= offset <= offset + size <= self._from + len(self._ahead):
            if size > self._most:
                raise DataError(f"{readable(self._address)}: a part of it has {too_large(size, self._most)}")
            wanted = max(0, min(self._size - offset, max(size, self._least)))
            self._from, self._ahead = offset, read_range(self._address, offset, wanted, self._identity)
            if len(self._ahead) < wanted:
                stated = f"{len(self._ahead):,} of the {wanted:,} bytes from byte {offset:,}"
                raise DataError(f"{readable(self._address)}: the server gives {stated}, though it says that there are")
        start = offset - self._from
        return self._ahead[start : start + size]


def _hub_range(address: str, offset: int, size: int) -> bytes:
    """Some bytes of a file on the Hub, by its own client, with the limits of ``from_hub``."""
    from huggingface_hub import constants
    from huggingface_hub.errors import HfHubHTTPError
    from huggingface_hub.utils import build_hf_headers, hf_raise_for_status, http_backoff

    try:
        with from_hub(max(size, AHEAD_BYTES)):
            headers = {**build_hf_headers(), "Range": f"bytes={offset}-{offset + size - 1}"}
            timeout = constants.HF_HUB_DOWNLOAD_TIMEOUT
            answer = http_backoff("GET", _hub_url(address), headers=headers, timeout=timeout)
            hf_raise_for_status(answer)
            data = answer.content
    except (HfHubHTTPError, RemoteError, OSError, ValueError) as error:
        raise DataError(f"{readable(address)}: cannot be read ({client_message(error)})") from None
    if answer.status_code == 200:
        return data[offset : offset + size]
    stated = answer.headers.get("Content-Range", "")
    if answer.status_code != 206 or not _begins_at(stated, offset):
        raise _other_part(address)
    total = stated.rpartition("/")[2]
    if len(data) < size and not (re.fullmatch(r"[0-9]{1,18}", total) and offset + len(data) == int(total)):
        raise _broke_off(address)
    return data


@functools.lru_cache(maxsize=4096)
def _hub_url(address: str) -> str:
    if file := _HUB_FILE.fullmatch(address):
        from huggingface_hub import hf_hub_url

        return hf_hub_url(file[1], file[3], repo_type="dataset", revision=file[2])
    files, path = _store(address)
    return str(files.url(path))


def _is_http(address: str) -> bool:
    return address.startswith(("http://", "https://"))


def _http_range(address: str, offset: int, size: int) -> tuple[RemoteFacts, bytes]:
    """What the answer to a request for a part of a file says of the file; and the part."""
    try:
        answer = _client(os.getpid()).get(address, headers={"Range": f"bytes={offset}-{offset + size - 1}"})
    except (httpx.HTTPError, httpx.InvalidURL, *_OF_TRANSPORT, AddressRefused, RemoteError, OSError) as error:
        raise DataError(f"{readable(address)}: cannot be read ({first_line(error)})") from None
    if answer.status_code == 200:
        raise DataError(f"{readable(address)}: the server gives no parts of files: download it first")
    if answer.status_code != 206:
        raise DataError(f"{readable(address)}: the server answers {answer.status_code}")
    stated = answer.headers.get("Content-Range", "")
    total = stated.rpartition("/")[2]
    if not re.fullmatch(r"[0-9]{1,18}", total):
        raise DataError(f"{readable(address)}: the server does not say how large the file is")
    data = answer.content
    if not _begins_at(stated, offset) or len(data) > size:
        raise _other_part(address)
    if len(data) < min(size, int(total) - offset):
        raise _broke_off(address)
    modified = answer.headers.get("Last-Modified")
    identity = answer.headers.get("ETag") or (f"{TIME_ALONE}{modified}" if modified else "")
    return RemoteFacts(int(total), identity), data


_OF_TRANSPORT = (
    *(httpcore.NetworkError, httpcore.TimeoutException, httpcore.ProtocolError, httpcore.ProxyError),
    httpcore.UnsupportedProtocol,
)
"""Errors of httpcore, which have no type in common."""


def _begins_at(stated: str, offset: int) -> bool:
    """Whether a header ``Content-Range`` says that the part begins at an offset.

    >>> _begins_at("bytes 5-9/10", 5), _begins_at("bytes 0-9/10", 5), _begins_at("", 0)
    (True, False, False)
    """
    return re.match(rf"bytes {offset}-", stated) is not None


def _other_part(address: str) -> DataError:
    return DataError(f"{readable(address)}: the server gives another part of the file than was requested")


def _broke_off(address: str) -> DataError:
    return DataError(f"{readable(address)}: cannot be read (the server broke off within a part of it)")


ALLOW_LOOPBACK = False
"""For tests: this machine may be the server."""


@functools.lru_cache(maxsize=2)
def _client(process: int) -> httpx.Client:
    """The client of this process: connections are not shared with forks."""
    plain = {"Accept-Encoding": "identity"}
    return httpx.Client(transport=_GuardedTransport(), timeout=TIMEOUT_S, trust_env=False, headers=plain)


class _GuardedBackend(httpcore.SyncBackend):
    """httpcore's network backend, limited to allowed addresses, as ``GuardedBackend``."""

    def connect_tcp(self, host: str, port: int, *rest: Any, **options: Any) -> httpcore.NetworkStream:
        try:
            addresses = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
        except (OSError, UnicodeError) as error:
            raise httpcore.ConnectError(f"{host}: {error}") from None
        failure: Exception = AddressRefused(f"{host} leads to no address on the open internet")
        for address in dict.fromkeys(str(sockaddr[0]) for *_, sockaddr in addresses):
            if address_allowed(address, allow_loopback=ALLOW_LOOPBACK):
                try:
                    return super().connect_tcp(address, port, *rest, **options)
                except httpcore.ConnectError as error:
                    failure = error
        raise failure

    def connect_unix_socket(self, *_: typing.Any, **__: typing.Any) -> httpcore.NetworkStream:
        raise AddressRefused("a photo is not fetched from a socket of this machine")


class _GuardedTransport(httpx.BaseTransport):
    """httpx over guarded connections; redirections are not followed."""

    def __init__(self) -> None:
        context = httpx.create_ssl_context(trust_env=False)
        self._pool = httpcore.ConnectionPool(ssl_context=context, network_backend=_GuardedBackend())

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        url = request.url
        target = httpcore.URL(scheme=url.raw_scheme, host=url.raw_host, port=url.port, target=url.raw_path)
        raw = httpcore.Request(
            request.method, target, headers=request.headers.raw, content=request.stream, extensions=request.extensions
        )
        try:
            answer = run_with_deadline(
                PHOTO_PACE.headers_s, lambda: self._pool.handle_request(raw), late=lambda late: late.close()
            )
        except DeadlineExceeded:
            raise RemoteError(f"too slow: no answer in {PHOTO_PACE.headers_s:,.0f} seconds") from None
        first, _, last = request.headers["Range"].removeprefix("bytes=").partition("-")
        data, began = bytearray(), time.monotonic()
        try:
            headers = httpx.Headers(answer.headers)
            if (packed := headers.get("Content-Encoding", "identity").strip().lower()) not in ("", "identity"):
                raise RemoteError(f"packed as {packed[:20]!r}, which was not requested")
            for part in answer.iter_stream():
                data += part
                if len(data) > int(last) - int(first) + 1:  # a whole file, or a server that never ends
                    break
                if slow := PHOTO_PACE.objection(len(data), time.monotonic() - began):
                    raise RemoteError(f"too slow: {slow}")
            return httpx.Response(answer.status, headers=answer.headers, content=bytes(data))
        finally:
            answer.close()

    def close(self) -> None:
        self._pool.close()


@contextlib.contextmanager
def store_errors() -> Iterator[None]:
    """Within it, an error of a client of a store is an ``OSError``: botocore and others have trees of their own.

    >>> with store_errors():
    ...     raise TypeError("no such option")
    Traceback (most recent call last):
    OSError: TypeError: no such option
    """
    try:
        yield
    except (CamtraceError, OSError, ImportError):
        raise
    except ValueError as error:
        raise OSError(first_line(error)) from None
    except Exception as error:
        raise OSError(describe_error(error)) from None


def open_store(address: str) -> tuple[Any, str]:
    """fsspec's file system, and the path of a file in it. The client of S3 follows no redirection: it could lead to a
    private address.

    Raises:
        ImportError: a package is not installed.
        OSError: the address or the user's options are none.
    """
    from fsspec.config import conf
    from fsspec.core import url_to_fs

    options: dict[str, Any] = {}
    with store_errors():
        if address.startswith(("s3://", "s3a://")):
            os.environ.setdefault("AWS_EC2_METADATA_DISABLED", "true")  # asks no machine for credentials unless told to
        if address.startswith(("s3://", "s3a://")) and (session := _session_of_s3()) is not None:
            given = conf.get(address.partition("://")[0], {}).get("config_kwargs", {})
            options["config_kwargs"] = {"http_session_cls": session, **given}
        files, path = url_to_fs(address, **options)
    return files, str(path)


@functools.cache
def _session_of_s3() -> type | None:
    """aiobotocore's session, without redirections; None for versions that take no other session."""
    from aiobotocore.config import AioConfig
    from aiobotocore.httpsession import AIOHTTPSession

    if "http_session_cls" not in inspect.signature(AioConfig.__init__).parameters:
        return None

    class Staying(AIOHTTPSession):
        async def _get_session(self, proxy_url: Any) -> Any:
            session = await super()._get_session(proxy_url)
            return types.SimpleNamespace(request=functools.partial(session.request, allow_redirects=False))

    return Staying


def _store(address: str) -> tuple[Any, str]:
    """``open_store`` of a protocol that is read here, with errors as ``remote_facts``."""
    protocol = address.partition("://")[0]
    if protocol not in _STORES:
        raise UsageError(f"{readable(address)}: {protocol}:// is not read here: http, https, {', '.join(_STORES)} are")
    try:
        return open_store(address)
    except ImportError:
        package = _STORES[protocol] or f"fsspec[{protocol}]"
        raise UsageError(missing_package(package, address, install=package)) from None
    except OSError as error:
        raise DataError(f"{readable(address)}: cannot be read ({first_line(error)})") from None
