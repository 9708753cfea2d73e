"""Parts of remote files: over HTTP from the open internet only, or from a store that fsspec knows (``s3://``, ``gs://``)."""

from __future__ import annotations

import contextlib
import functools
import os
import re
import socket
import typing
from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

import httpcore
import httpx

from builders.errors import CamtraceError, DataError, RemoteError, UsageError, missing_package
from builders.untrusted.addresses import AddressRefused, address_allowed
from builders.untrusted.files import ReadAtOffsets, too_large
from builders.untrusted.hub_client import client_message, from_hub
from builders.untrusted.text import describe_error, first_line, readable

AHEAD_BYTES = 1 << 20
"""Read at once by a stream: headers of a tar lie between photos of some 100 kB."""

TIMEOUT_S = 60.0

_STORES = {
    **{"s3": "s3fs", "s3a": "s3fs", "gs": "gcsfs", "gcs": "gcsfs", "abfs": "adlfs", "az": "adlfs"},
    **{"hf": "", "memory": ""},
}
"""Protocols of fsspec that are read, and the package of each beside those that are installed."""

_IDENTITIES = ("ETag", "etag", "blob_id", "mtime", "LastModified", "created")

_HUB_FILE = re.compile(r"hf://datasets/([^/@]+/[^/@]+)@([0-9a-f]{40})/(.+)")
"""A file of a commit on the Hub, whose address needs no question to the Hub."""


class RemoteFacts(NamedTuple):
    """What is known of a remote file without reading it."""

    size: int
    """In bytes."""
    identity: str
    """Changes with the bytes: an ETag, or a time of change. Empty where the server says neither."""


def files_of_store(address: str) -> dict[str, RemoteFacts]:
    """Every file below a folder of a store, by its path relative to it, sorted; empty if there is none.

    Raises:
        DataError: it cannot be listed.
        UsageError: it is on a web server, the protocol is not known, or its package is not installed.
    """
    if _is_http(address):
        raise UsageError(f"{readable(address)}: a web server lists no folder: name a table of addresses, or tar shards")
    files, root = _store(address)
    with _asking(address, "listed"):
        listed = files.find(root, detail=True)
    begin = root.rstrip("/") + "/"
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
        answer = _http_range(address, 0, 1)
        total = answer.headers.get("Content-Range", "").rpartition("/")[2]
        if not total.isdecimal():
            raise DataError(f"{readable(address)}: the server does not say how large the file is")
        return RemoteFacts(int(total), answer.headers.get("ETag") or answer.headers.get("Last-Modified", ""))
    files, path = _store(address)
    with _asking(address, "read"):
        facts = files.info(path)
    return _facts(facts)


def _facts(stated: Mapping[str, Any]) -> RemoteFacts:
    identity = next((str(stated[name]) for name in _IDENTITIES if name in stated), "")
    return RemoteFacts(int(stated["size"]), identity)


@contextlib.contextmanager
def _asking(address: str, what: str) -> Iterator[None]:
    """Within it, errors of the client of a store, or of the Hub's with its limits, are a ``DataError``."""
    try:
        with from_hub() if address.startswith("hf://") else store_errors():
            yield
    except (OSError, ValueError, RemoteError) as error:
        raise DataError(f"{readable(address)}: cannot be {what} ({first_line(error)})") from None


def read_range(address: str, offset: int, size: int) -> bytes:
    """Some bytes of a remote file; fewer where it ends. Errors as ``remote_facts``."""
    if size <= 0:
        return b""
    if _is_http(address):
        return _http_range(address, offset, size).content[:size]
    if address.startswith("hf://"):
        return _hub_range(address, offset, size)
    files, path = _store(address)
    with _asking(address, "read"):
        return bytes(files.cat_file(path, start=offset, end=offset + size))


class RemoteStream(ReadAtOffsets):
    """A remote file that is read as a file, some bytes at once."""

    def __init__(self, address: str, size: int, *, ahead: int = AHEAD_BYTES, most: int = 1 << 30) -> None:
        """Nothing is read yet.

        Args:
            address: as of ``read_range``.
            size: of the file, in bytes.
            ahead: least bytes of one request; 0 where a reader states exactly what it needs.
            most: bytes of one request.
        """
        super().__init__(size)
        self._address, self._least, self._most = address, ahead, most
        self._from, self._ahead = 0, b""

    def read_at(self, offset: int, size: int) -> bytes:
        if not self._from <= offset <= offset + size <= self._from + len(self._ahead):
            if size > self._most:
                raise DataError(f"{readable(self._address)}: a part of it has {too_large(size, self._most)}")
            self._from = offset
            self._ahead = read_range(self._address, offset, min(self._size - offset, max(size, self._least)))
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
    return data[offset : offset + size] if answer.status_code == 200 else data[:size]


@functools.lru_cache(maxsize=4096)
def _hub_url(address: str) -> str:
    if file := _HUB_FILE.fullmatch(address):
        from huggingface_hub import hf_hub_url

        return hf_hub_url(file[1], file[3], repo_type="dataset", revision=file[2])
    files, path = _store(address)
    return str(files.url(path))


def _is_http(address: str) -> bool:
    return address.startswith(("http://", "https://"))


def _http_range(address: str, offset: int, size: int) -> httpx.Response:
    """The answer to a request for a part of a file."""
    try:
        answer = _client(os.getpid()).get(address, headers={"Range": f"bytes={offset}-{offset + size - 1}"})
    except (httpx.HTTPError, httpcore.NetworkError, httpcore.TimeoutException, AddressRefused, OSError) as error:
        raise DataError(f"{readable(address)}: cannot be read ({first_line(error)})") from None
    if answer.status_code == 200:
        raise DataError(f"{readable(address)}: the server gives no parts of files: download it first")
    if answer.status_code != 206:
        raise DataError(f"{readable(address)}: the server answers {answer.status_code}")
    return answer


ALLOW_LOOPBACK = False
"""For tests: this machine may be the server."""


@functools.lru_cache(maxsize=2)
def _client(process: int) -> httpx.Client:
    """The client of this process: connections are not shared with forks."""
    return httpx.Client(transport=_GuardedTransport(), timeout=TIMEOUT_S, trust_env=False)


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
        answer = self._pool.handle_request(raw)
        first, _, last = request.headers["Range"].removeprefix("bytes=").partition("-")
        data = bytearray()
        try:
            for part in answer.iter_stream():
                data += part
                if len(data) > int(last) - int(first) + 1:  # a whole file, or a server that never ends
                    break
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


def _store(address: str) -> tuple[Any, str]:
    """fsspec's file system, and the path of a file in it."""
    protocol = address.partition("://")[0]
    if protocol not in _STORES:
        raise UsageError(f"{readable(address)}: {protocol}:// is not read here: http, https, {', '.join(_STORES)} are")
    from fsspec.core import url_to_fs

    try:
        with store_errors():
            files, path = url_to_fs(address)
    except ImportError:
        package = _STORES[protocol] or f"fsspec[{protocol}]"
        raise UsageError(missing_package(package, address, install=package)) from None
    except OSError as error:
        raise DataError(f"{readable(address)}: cannot be read ({first_line(error)})") from None
    return files, str(path)
