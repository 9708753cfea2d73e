"""Limits on time and size for everything that the Hub's clients fetch.

``huggingface_hub`` (and through it ``datasets``, ``timm`` and ``open_clip``) waits as long as a server sends a byte now
and then, and writes as many as it sends. Within ``from_hub`` its client has a guarded transport: headers have a
deadline; bodies have a least rate, a deadline and a limit of bytes, compressed ones counted uncompressed.
"""

from __future__ import annotations

import json
import os
import re
import sys
import threading
import time
import traceback
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from builders.errors import RemoteError, causes, disk_error, full_disk_in
from builders.processes import DeadlineExceeded, run_with_deadline
from builders.untrusted.files import too_large
from builders.untrusted.pace import BROKEN_S, MAX_WAIT_S, OUTAGES, Fetched, Pace, TransferLimit, check_pace, refusal
from builders.untrusted.redaction import redacted_logs
from builders.untrusted.text import describe_error, first_line

_guard = threading.Lock()
_users = 0
"""Threads and nested blocks within ``quiet_clients``."""
_bars_off: list[Any] = []
_counts_before: list[tuple[Any, str, bool]] = []
"""Module, switch, and the value that it had."""

_COUNTS = (
    ("huggingface_hub.constants", "HF_HUB_DISABLE_TELEMETRY", True),
    ("datasets.config", "HF_UPDATE_DOWNLOAD_COUNTS", False),
)
"""Module, its switch (also a variable of the environment), and the value with which downloads are not counted."""


@contextmanager
def quiet_clients() -> Iterator[None]:
    """Within it ``huggingface_hub`` and ``datasets`` report no downloads, and draw progress bars only on a terminal.

    Settings of the user, in the environment or by the libraries' switches, stay in force. Threads share the state; the
    last one that leaves restores what the first one switched off.
    """
    global _users
    with _guard:
        _users += 1
        if _users == 1:
            _count_nothing()
            if not (sys.stderr is not None and sys.stderr.isatty()):
                for switch in _switches():
                    switch.disable_progress_bars()
                    _bars_off.append(switch)
    try:
        yield
    finally:
        with _guard:
            _users -= 1
            while _bars_off and not _users:
                _bars_off.pop().enable_progress_bars()
            while _counts_before and not _users:
                setattr(*_counts_before.pop())


def _count_nothing() -> None:
    for module, switch, silent in _COUNTS:
        loaded = sys.modules.get(module)
        if loaded is not None and switch not in os.environ:
            _counts_before.append((loaded, switch, getattr(loaded, switch)))
            setattr(loaded, switch, silent)


def _switches() -> Iterator[Any]:
    """Switches of the loaded libraries that would draw bars and have no setting in the environment."""
    hub, datasets = sys.modules.get("huggingface_hub"), sys.modules.get("datasets")
    if hub is not None and hub.constants.HF_HUB_DISABLE_PROGRESS_BARS is None:
        yield from () if hub.utils.are_progress_bars_disabled() else (hub.utils,)
    if datasets is not None and datasets.config.HF_DATASETS_DISABLE_PROGRESS_BARS is None:
        yield from () if datasets.utils.are_progress_bars_disabled() else (datasets.utils,)


HUB_PACE = Pace(headers_s=60.0, grace_s=60.0, least_bytes_per_s=16384.0, deadline_s=86_400.0)
"""Default for one file of the Hub, all responses about it together."""

MAX_HUB_FILE_BYTES = 50 * 2**30
"""Of one file: the largest that the Hub serves by plain HTTP."""

MAX_API_BYTES = 256 * 2**20
"""Of one response of its API: a list of a million files has 100 MB."""

MAX_API_RESPONSES = 10_000
"""From one address of its API: lists of files have pages of 1,000, and each names the next."""

_SILENCE_S = 60.0
"""Longest wait for a byte where the client itself would wait for ever."""

CONNECT_S = 6.0
"""Longest wait for a connection."""

_UPLOAD_S = 600.0
"""Longest wait for the response to an upload: the Hub takes minutes for a large commit."""


@contextmanager
def from_hub(limit: int = MAX_HUB_FILE_BYTES, pace: Pace | None = None, *, sends: bool = False) -> Iterator[None]:
    """Within it, every download of the Hub's clients in this process has limits on time and size.

    Files come by plain HTTP, not from the Xet store, whose client has no such limits, unless the environment has
    ``HF_HUB_DISABLE_XET=0``. The innermost of nested blocks is in force; threads share it. Clients are also quiet, as
    within ``quiet_clients``.

    Args:
        limit: bytes of one file.
        pace: by default ``HUB_PACE``.
        sends: files are uploaded, by the Xet store if the client chooses it.

    Raises:
        RemoteError: raised in the client's call, if a response is too slow or too large; or the connection failed, such
            as of a redirect, of TLS, of a proxy or within a response; or an answer is not as the Hub gives it.
        DiskError: the disk with the client's cache is full.
    """
    from huggingface_hub import constants

    _install()
    transfers = TransferLimit(limit, pace or HUB_PACE)
    with _guard:
        _limits.append(transfers)
        before = constants.HF_HUB_DISABLE_XET
        constants.HF_HUB_DISABLE_XET = before if sends else _without_xet(before)
    try:
        with quiet_clients(), redacted_logs():
            yield
    except Exception as error:
        if full := full_disk_in(error):  # clients and their callers would take it for an error of the network
            place = full.filename if isinstance(full.filename, str) else constants.HF_HUB_CACHE
            raise disk_error(full, place, saved="fetched files are saved") from None
        # callers that upload try again, and know these errors; most others expect errors of the Hub's client alone
        if not sends and type(error).__module__.partition(".")[0] in _HTTP_LIBRARIES:
            raise RemoteError(f"no connection to the Hub ({describe_error(error)})") from error
        if not sends and _is_malformed_answer(error):
            raise malformed_answer(error) from error
        raise
    finally:
        with _guard:
            _limits.remove(transfers)
            constants.HF_HUB_DISABLE_XET = before


MALFORMED_ANSWER = (json.JSONDecodeError, UnicodeDecodeError, KeyError, TypeError, AttributeError, IndexError)
"""What the Hub's client raises for an answer that is not as the Hub gives it."""


def malformed_answer(error: Exception) -> RemoteError:
    """The error about an answer that is not as the Hub gives it.

    >>> str(malformed_answer(KeyError("oid")))
    "an answer of the Hub cannot be read (KeyError: 'oid')"
    """
    reason = error.__cause__ or error
    return RemoteError(f"an answer of the Hub cannot be read ({describe_error(reason)})")


def _is_malformed_answer(error: Exception) -> bool:
    """Whether the Hub's client raised this because an answer is not as the Hub gives it."""
    of_answers = (*MALFORMED_ANSWER, ValueError)  # a plain one where a file is fetched again, and the answer is cut
    if not isinstance(error, of_answers) or type(error).__module__.startswith("huggingface_hub"):
        return False
    modules = [
        frame.f_globals.get("__name__", "").partition(".")[0] for frame, _ in traceback.walk_tb(error.__traceback__)
    ]
    readers = {*_HTTP_LIBRARIES, *sys.stdlib_module_names}
    return next((name for name in reversed(modules) if name not in readers), "") == "huggingface_hub"


def client_message(error: BaseException) -> str:
    """The error of a client in one line: the ``RemoteError`` that caused it, if there is one, else its first line.

    ``datasets`` hides the reason of a file that it cannot read behind a sentence; the cause has it.

    >>> client_message(ValueError("cannot load\\nmore of it"))
    'cannot load'
    """
    remote = next((cause for cause in causes(error) if isinstance(cause, RemoteError)), None)
    if remote is not None:
        return str(remote)
    messages = [cause for cause in causes(error) if str(cause).strip() and not str(cause).startswith(_SAYS_NOTHING)]
    return first_line(error) if not messages or messages[0] is error else describe_error(messages[-1])


_SAYS_NOTHING = ("An error occurred while generating the dataset", "Couldn't reach ")
_HTTP_LIBRARIES = frozenset({"httpx", "httpx2", "httpcore", "httpcore2", "h11", "requests", "urllib3"})
_limits: list[TransferLimit] = []
"""In force, the innermost last."""
_installed: list[Callable[[], Any]] = []
"""Factories of clients that were installed here."""


def _without_xet(disabled: bool) -> bool:
    setting = os.environ.get("HF_HUB_DISABLE_XET", "").strip().lower()
    return disabled if setting in ("0", "false", "no", "off") else True


def _install() -> None:
    """Give clients of the Hub guarded transports from now on, once; outside ``from_hub`` these do nothing."""
    import huggingface_hub
    from huggingface_hub.utils import _http

    factory = getattr(_http, "_GLOBAL_CLIENT_FACTORY", None)
    if _installed and factory is _installed[-1]:
        return
    make_client: Callable[[], Any] = factory or _http.default_client_factory

    def guarded_client() -> Any:
        client = make_client()
        client._transport = _guarded(client._transport)
        client._mounts = {pattern: inner and _guarded(inner) for pattern, inner in client._mounts.items()}
        return client

    _installed.append(guarded_client)
    huggingface_hub.set_client_factory(guarded_client)


def _guarded(inner: Any) -> Any:
    base: Any = _library().BaseTransport

    class GuardedTransport(base):
        def handle_request(self, request: Any) -> Any:
            transfers = _limits[-1] if _limits else None
            return inner.handle_request(request) if transfers is None else _respond(inner, request, transfers)

        def close(self) -> None:
            inner.close()

    return GuardedTransport()


def _library() -> Any:
    """The HTTP library that this ``huggingface_hub`` was built on, httpx or httpx2."""
    from huggingface_hub.errors import HTTPError

    return sys.modules[HTTPError.__module__.partition(".")[0]]


def _respond(inner: Any, request: Any, transfers: TransferLimit) -> Any:
    url = request.url
    address = f"{url.scheme}://{url.netloc.decode('ascii', 'replace')}{url.path}"
    reads = request.method in ("GET", "HEAD")
    limit = MAX_API_BYTES if url.path.startswith("/api/") else transfers.limit
    timeouts = request.extensions.get("timeout") or {}
    silence = _SILENCE_S if reads else _UPLOAD_S
    names = ("connect", "read", "write", "pool")
    request.extensions["timeout"] = {name: timeouts.get(name) or silence for name in names}
    request.extensions["timeout"]["connect"] = min(CONNECT_S, request.extensions["timeout"]["connect"])
    if reads:
        request.headers["Accept-Encoding"] = "identity"
    fetched = transfers.of(address)
    fetched.responses += 1
    check_pace(fetched, transfers.pace, address)  # of earlier responses: each may bring a byte and break off
    if url.path.startswith("/api/") and fetched.responses > MAX_API_RESPONSES:
        raise refusal(address, f"more than {MAX_API_RESPONSES:,} answers from one address")
    seconds, began = transfers.pace.headers_s if reads else _UPLOAD_S, time.monotonic()
    try:
        response = run_with_deadline(seconds, lambda: inner.handle_request(request), late=lambda late: late.close())
    except DeadlineExceeded:
        raise refusal(address, f"too slow: no answer in {seconds:,.0f} seconds") from None
    except _library().TransportError as error:
        if reads and OUTAGES.lasts(url.host, began, time.monotonic()):
            raise _offline(f"no connection to the Hub ({describe_error(error)})") from error
        raise
    try:
        if response.status_code < 500:
            OUTAGES.end(url.host)
        elif reads and OUTAGES.lasts(url.host, began, time.monotonic()):
            raise _offline(f"the Hub answers with HTTP status {response.status_code}")
        _shorten_wait(response.headers)
        declared = response.headers.get("Content-Length", "")
        if request.method != "HEAD" and declared.isdecimal() and int(declared) > limit:
            raise refusal(address, too_large(int(declared), limit))
        unpacker = _unpacker(response, address) if request.method != "HEAD" else None
    except BaseException:
        response.close()
        raise
    response.stream = _guarded_body(response.stream, address, fetched, transfers.pace, limit, unpacker)
    return response


def _offline(reason: str) -> Exception:
    """The error that the Hub's clients do not try again after, but look into their caches."""
    from huggingface_hub.errors import OfflineModeIsEnabled

    return OfflineModeIsEnabled(reason)


def _shorten_wait(headers: Any) -> None:
    """Let the client wait no longer than ``MAX_WAIT_S`` before it tries again, whatever a response demands."""
    if (wanted := headers.get("Retry-After", "").strip()).isdecimal() and float(wanted) > MAX_WAIT_S:
        headers["Retry-After"] = f"{MAX_WAIT_S:.0f}"
    if (reset := re.search(r";\s*t=(\d+)", headers.get("ratelimit", ""))) and float(reset[1]) > MAX_WAIT_S:
        del headers["ratelimit"]


def _guarded_body(inner: Any, address: str, fetched: Fetched, pace: Pace, limit: int, unpacker: Any) -> Any:
    base: Any = _library().SyncByteStream

    class GuardedBody(base):
        def __iter__(self) -> Iterator[bytes]:
            size, whole, last = 0, False, time.monotonic()
            try:
                for part in inner:
                    now = time.monotonic()
                    fetched.bytes, fetched.seconds, last = fetched.bytes + len(part), fetched.seconds + now - last, now
                    check_pace(fetched, pace, address)
                    for piece in _unpacked(part, unpacker, address):
                        size += len(piece)
                        if size > limit:
                            raise refusal(address, f"more than {limit:,} bytes, which no such file may have")
                        yield piece
                    last = time.monotonic()  # the time of the reader does not count for the server
                if unpacker is not None and (rest := unpacker.flush()):
                    yield rest
                whole = True
            except GeneratorExit:  # the reader stopped, the server did not break off
                whole = True
                raise
            finally:
                fetched.seconds += 0.0 if whole else max(BROKEN_S, time.monotonic() - last)

        def close(self) -> None:
            inner.close()

    return GuardedBody()


def _unpacker(response: Any, address: str) -> Any:
    """A decompressor for a body that is compressed although that was not requested; None for a plain one."""
    packed = response.headers.get("Content-Encoding", "").strip().lower()
    if packed in ("", "identity"):
        return None
    if packed not in ("gzip", "x-gzip", "deflate"):
        raise refusal(address, f"packed as {packed[:20]!r}, which was not requested")
    for name in ("Content-Encoding", "Content-Length"):
        response.headers.pop(name, None)
    return zlib.decompressobj(47)  # accepts the headers of zlib and of gzip


def _unpacked(part: bytes, unpacker: Any, address: str) -> Iterator[bytes]:
    """A part of a body in pieces of at most 1 MiB, whatever it decompresses to."""
    if unpacker is None:
        yield part
        return
    while part:
        try:
            yield unpacker.decompress(part, 1 << 20)
        except zlib.error as error:
            raise refusal(address, f"not packed as it says ({error})") from None
        part = unpacker.unconsumed_tail
