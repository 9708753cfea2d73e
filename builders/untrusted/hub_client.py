"""What the Hub's clients fetch, held to a pace and a size: one place for every repository that is read.

``huggingface_hub`` (and through it ``datasets``, ``timm`` and ``open_clip``) waits as long as a server sends one byte
now and then, and writes as many as it sends. Within ``from_hub`` its client's transport is guarded: headers have a
deadline, bodies a least rate, a deadline and a limit of bytes, packed ones counted unpacked.
"""

from __future__ import annotations

import os
import sys
import threading
import time
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from builders.errors import RemoteError, disk_error, full_disk_in
from builders.processes import DeadlineExceeded, run_with_deadline
from builders.untrusted.files import too_large
from builders.untrusted.pace import BROKEN_S, Fetched, Pace, TransferLimit, check_pace, refusal
from builders.untrusted.text import first_line

_guard = threading.Lock()

_within = 0

_switched_off: list[Any] = []

_set: list[tuple[Any, str, bool]] = []

_COUNTS = (
    ("huggingface_hub.constants", "HF_HUB_DISABLE_TELEMETRY", True),
    ("datasets.config", "HF_UPDATE_DOWNLOAD_COUNTS", False),
)
"""Module, its switch, which is a variable of the environment too, and what says that nothing is counted."""


@contextmanager
def quiet_clients() -> Iterator[None]:
    """Within it ``huggingface_hub`` and ``datasets`` count nothing, and draw bars only on a terminal.

    What the user has said, in the environment or by the libraries' own switches, stands. Threads share it; the last to
    leave switches on again what the first has switched off.
    """
    global _within
    with _guard:
        _within += 1
        if _within == 1:
            _count_nothing()
            if not (sys.stderr is not None and sys.stderr.isatty()):
                for switch in _switches():
                    switch.disable_progress_bars()
                    _switched_off.append(switch)
    try:
        yield
    finally:
        with _guard:
            _within -= 1
            while _switched_off and not _within:
                _switched_off.pop().enable_progress_bars()
            while _set and not _within:
                setattr(*_set.pop())


def _count_nothing() -> None:
    for module, switch, silent in _COUNTS:
        loaded = sys.modules.get(module)
        if loaded is not None and switch not in os.environ:
            _set.append((loaded, switch, getattr(loaded, switch)))
            setattr(loaded, switch, silent)


def _switches() -> Iterator[Any]:
    """Of the libraries that are loaded, would draw, and were not told by their environment whether to."""
    hub, datasets = sys.modules.get("huggingface_hub"), sys.modules.get("datasets")
    if hub is not None and hub.constants.HF_HUB_DISABLE_PROGRESS_BARS is None:
        yield from () if hub.utils.are_progress_bars_disabled() else (hub.utils,)
    if datasets is not None and datasets.config.HF_DATASETS_DISABLE_PROGRESS_BARS is None:
        yield from () if datasets.utils.are_progress_bars_disabled() else (datasets.utils,)


HUB_PACE = Pace(headers_s=60.0, grace_s=60.0, least_bytes_per_s=16384.0, deadline_s=86_400.0)
"""Of one file of the Hub, all answers about it together, unless a caller says otherwise."""

MAX_HUB_FILE_BYTES = 50 * 2**30
"""Of one file: what the Hub gives by plain HTTP."""

MAX_ANSWER_BYTES = 256 * 2**20
"""Of one answer of its API: a list of a million files has 100 MB."""

MAX_ANSWERS = 10_000
"""Of one address of its API: lists of files have pages of 1,000, and each names the next."""

_SILENCE_S = 60.0
"""Without a byte, where the client itself would wait for ever."""

_UPLOAD_S = 600.0
"""From a request that sends to the answer: the Hub takes minutes for a large commit."""


@contextmanager
def from_hub(limit: int = MAX_HUB_FILE_BYTES, pace: Pace | None = None, *, sends: bool = False) -> Iterator[None]:
    """Within it, whatever the Hub's clients fetch in this process comes in time and within a size, or not at all.

    Files come by plain HTTP, not from the Xet store, whose client has no such limits; ``HF_HUB_DISABLE_XET=0`` in the
    environment asks for it all the same. Of nested ones the inner one counts; threads share it. Their progress bars are
    drawn on a terminal alone, and they count nothing for their makers (``quiet.py``).

    Args:
        limit: bytes of one file.
        pace: by default ``HUB_PACE``.
        sends: files go to the Hub, by the Xet store as it likes.

    Raises:
        RemoteError: out of the client's call, when an answer was too slow or too large.
        DiskError: the disk with the client's cache is full.
    """
    from huggingface_hub import constants

    _install()
    watch = TransferLimit(limit, pace or HUB_PACE)
    with _guard:
        _watches.append(watch)
        before = constants.HF_HUB_DISABLE_XET
        constants.HF_HUB_DISABLE_XET = before if sends else _without_xet(before)
    try:
        with quiet_clients():
            yield
    except Exception as error:
        if full := full_disk_in(error):  # clients and their callers would take it for the network
            place = full.filename if isinstance(full.filename, str) else constants.HF_HUB_CACHE
            raise disk_error(full, place, kept="what was fetched is kept") from None
        raise
    finally:
        with _guard:
            _watches.remove(watch)
            constants.HF_HUB_DISABLE_XET = before


def said_by_client(error: BaseException) -> str:
    """The one line that tells what went wrong: our refusal where clients raised errors of their own from it.

    >>> said_by_client(ValueError("cannot load\\nmore of it"))
    'cannot load'
    """
    found: BaseException | None = error
    for _ in range(20):
        if found is None:
            break
        if isinstance(found, RemoteError):
            return str(found)
        found = found.__cause__ or found.__context__
    return first_line(error)


_watches: list[TransferLimit] = []

_installed: list[Callable[[], Any]] = []


def _without_xet(disabled: bool) -> bool:
    said = os.environ.get("HF_HUB_DISABLE_XET", "").strip().lower()
    return disabled if said in ("0", "false", "no", "off") else True


def _install() -> None:
    """Let the Hub's client be made with guarded transports from now on. Once; outside ``from_hub`` they do nothing."""
    import huggingface_hub
    from huggingface_hub.utils import _http

    made_by = getattr(_http, "_GLOBAL_CLIENT_FACTORY", None)
    if _installed and made_by is _installed[-1]:
        return
    plain: Callable[[], Any] = made_by or _http.default_client_factory

    def guarded_client() -> Any:
        client = plain()
        client._transport = _guarded(client._transport)
        client._mounts = {where: transport and _guarded(transport) for where, transport in client._mounts.items()}
        return client

    _installed.append(guarded_client)
    huggingface_hub.set_client_factory(guarded_client)


def _guarded(inner: Any) -> Any:
    base: Any = _library().BaseTransport

    class GuardedTransport(base):
        def handle_request(self, request: Any) -> Any:
            watch = _watches[-1] if _watches else None
            return inner.handle_request(request) if watch is None else _answer(inner, request, watch)

        def close(self) -> None:
            inner.close()

    return GuardedTransport()


def _library() -> Any:
    """The HTTP library that this ``huggingface_hub`` was built on, httpx or httpx2."""
    from huggingface_hub.errors import HTTPError

    return sys.modules[HTTPError.__module__.partition(".")[0]]


def _answer(inner: Any, request: Any, watch: TransferLimit) -> Any:
    url = request.url
    address = f"{url.scheme}://{url.netloc.decode('ascii', 'replace')}{url.path}"
    reads = request.method in ("GET", "HEAD")
    limit = MAX_ANSWER_BYTES if url.path.startswith("/api/") else watch.limit
    timeouts = request.extensions.get("timeout") or {}
    silence = _SILENCE_S if reads else _UPLOAD_S
    names = ("connect", "read", "write", "pool")
    request.extensions["timeout"] = {name: timeouts.get(name) or silence for name in names}
    if reads:
        request.headers["Accept-Encoding"] = "identity"
    fetched = watch.of(address)
    fetched.answers += 1
    check_pace(fetched, watch.pace, address)  # of what came before: each answer may bring a byte and break off
    if url.path.startswith("/api/") and fetched.answers > MAX_ANSWERS:
        raise refusal(address, f"more than {MAX_ANSWERS:,} answers from one address")
    seconds = watch.pace.headers_s if reads else _UPLOAD_S
    try:
        response = run_with_deadline(seconds, lambda: inner.handle_request(request), late=lambda answer: answer.close())
    except DeadlineExceeded:
        raise refusal(address, f"too slow: no answer in {seconds:,.0f} seconds") from None
    try:
        declared = response.headers.get("Content-Length", "")
        if request.method != "HEAD" and declared.isdigit() and int(declared) > limit:
            raise refusal(address, too_large(int(declared), limit))
        unpacker = _unpacker(response, address) if request.method != "HEAD" else None
    except BaseException:
        response.close()
        raise
    response.stream = _guarded_body(response.stream, address, fetched, watch.pace, limit, unpacker)
    return response


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
                    last = time.monotonic()  # what the reader did meanwhile is not the server's time
                if unpacker is not None and (rest := unpacker.flush()):
                    yield rest
                whole = True
            except GeneratorExit:  # a reader that has enough, not a server that breaks off
                whole = True
                raise
            finally:
                fetched.seconds += 0.0 if whole else max(BROKEN_S, time.monotonic() - last)

        def close(self) -> None:
            inner.close()

    return GuardedBody()


def _unpacker(response: Any, address: str) -> Any:
    """What unpacks a body that is packed though nobody asked for it; None for a plain one."""
    packed = response.headers.get("Content-Encoding", "").strip().lower()
    if packed in ("", "identity"):
        return None
    if packed not in ("gzip", "x-gzip", "deflate"):
        raise refusal(address, f"packed as {packed[:20]!r}, which was not asked for")
    for name in ("Content-Encoding", "Content-Length"):
        response.headers.pop(name, None)
    return zlib.decompressobj(47)  # of either header


def _unpacked(part: bytes, unpacker: Any, address: str) -> Iterator[bytes]:
    """A part of a body in pieces of modest size, whatever it unfolds to."""
    if unpacker is None:
        yield part
        return
    while part:
        try:
            yield unpacker.decompress(part, 1 << 20)
        except zlib.error as error:
            raise refusal(address, f"not packed as it says ({error})") from None
        part = unpacker.unconsumed_tail
