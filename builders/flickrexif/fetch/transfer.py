"""Fetch photos over the network, many at once, byte-exact: each is a file with its hash or a failure with its reason.

This module knows neither states nor ranks: a ``FetchTarget`` lists the requests and stores the results.
"""

from __future__ import annotations

import asyncio
import itertools
import os
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple, NoReturn, Protocol
from urllib.parse import urlsplit

import httpx
from tqdm.auto import tqdm

from builders.errors import UsageError, unknown_name
from builders.flickrexif.api.clock import Clock
from builders.flickrexif.api.search_results import FLICKR_SIZES
from builders.flickrexif.fetch.download import DEFAULT_MAX_BYTES, DownloadFailure, download, photo_client
from builders.flickrexif.store.store import file_path
from builders.processes import progress_bar
from builders.untrusted import PHOTO_PACE, Pace, backoff


@dataclass(frozen=True)
class FetchPlan:
    """How to fetch."""

    sizes: tuple[str, ...] = ("o",)
    """Sizes in order of preference; the first that a photo has is fetched. ``any`` takes the first address."""
    user_agent: str = "camtrace"
    connections: int = 16
    """Files at once."""
    per_host: int = 8
    """Files at once from one host."""
    max_bytes: int = DEFAULT_MAX_BYTES
    """Of one file."""
    timeout_s: float = 60.0
    """Between two bytes."""
    pace: Pace = PHOTO_PACE
    """Lowest rate that is accepted."""
    attempts: int = 4
    """How often one file is tried."""
    first_wait_s: float = 1.0
    """The first backoff; each further one may be twice as long."""
    retry_failed: bool = False
    """Also fetch photos whose failure may pass, and those that have a size that was not tried."""
    allow_loopback: bool = False
    """For tests: this machine may be the server."""
    limit: int | None = None
    """Most files of one run."""

    def __post_init__(self) -> None:
        for size in self.sizes:
            if size not in (*FLICKR_SIZES, "any"):
                raise unknown_name("size", size, (*FLICKR_SIZES, "any"))
        if min(self.connections, self.per_host, self.attempts, self.max_bytes) < 1:
            raise UsageError("--connections, --per-host, --attempts and --max-bytes are at least 1")


@dataclass
class FetchCounts:
    """Counts of one run of fetch."""

    fetched: int = 0
    bytes: int = 0
    failures: Counter[str] = field(default_factory=Counter)
    """By class of error."""

    def add(self, row: FileRow) -> None:
        """Count the result of one photo."""
        if row.status == "ok":
            self.fetched += 1
            self.bytes += row.bytes or 0
        else:
            self.failures[row.error_class or ""] += 1

    def to_text(self) -> str:
        """One line for people."""
        why = ", ".join(f"{name} {count}" for name, count in self.failures.most_common())
        return (
            f"{self.fetched} photos fetched ({self.bytes / 1e6:.1f} MB), {sum(self.failures.values())} failed"
            + f" ({why})" * bool(why)
        )


class FetchRequest(NamedTuple):
    """One photo to fetch, and its address."""

    id: int
    size: str | None
    """None: Flickr offers none of the requested sizes."""
    url: str | None
    expected_sha256: str | None
    spent: tuple[str, ...] = ()
    """Sizes whose download has failed permanently."""


class FileRow(NamedTuple):
    """Result of one photo: a row of the table ``files``."""

    photo_id: int
    size: str | None
    url: str | None
    status: str
    path: str | None
    sha256: str | None
    bytes: int | None
    content_type: str | None
    attempts: int
    error_class: str | None
    error: str | None
    at: float


class FetchTarget(Protocol):
    """Lists what to fetch and stores the results."""

    counts: FetchCounts
    clock: Clock

    def total(self) -> int:
        """Number of requests, for the progress bar."""
        ...

    def requests(self) -> Iterator[FetchRequest]:
        """The requests, each once; read only as fast as files are fetched."""
        ...

    def temporary(self, name: str) -> Path:
        """Path of a file of this name while it arrives."""
        ...

    async def save(self, row: FileRow, file: Path | None) -> None:
        """Move a file to the path in its row, then store the row. A failure has no file."""
        ...


def fetch_into(target: FetchTarget, plan: FetchPlan) -> FetchCounts:
    """Fetch all requests of a target.

    Args:
        target: lists the requests and stores the results.
        plan: how to fetch.

    Raises:
        OSError: the disk is full or cannot be written to; stored results stay.
    """
    asyncio.run(_fetched(_Fetch(target, plan)))
    return target.counts


async def _fetched(fetch: _Fetch) -> None:
    asyncio.get_running_loop().set_exception_handler(_report)
    await fetch.run()


def _report(loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
    """As asyncio reports errors that nothing awaits, except for a signal that ends the command in whichever task."""
    if not _is_interrupt(context.get("exception")):
        loop.default_exception_handler(context)


def _is_interrupt(error: BaseException | None) -> bool:
    """Whether an error, or one of a group, is of a signal that ends the command."""
    return isinstance(error, KeyboardInterrupt) or any(map(_is_interrupt, getattr(error, "exceptions", ())))


def choose(
    id: int, urls: Mapping[str, Any], sizes: Sequence[str], spent: frozenset[str], expected: str | None
) -> FetchRequest:
    """Choose which file of a photo to fetch.

    Args:
        id: of the photo.
        urls: address, width and height by size.
        sizes: in order of preference; ``any`` takes the first that the photo has.
        spent: sizes not to try again.
        expected: published SHA-256.

    >>> choose(7, {"l": ["https://a.net/7_l.jpg", 1, 1]}, ("o", "any"), frozenset(), None)[:3]
    (7, 'l', 'https://a.net/7_l.jpg')
    """
    available = {size: entry for size, entry in urls.items() if size not in spent}
    for size in sizes:
        chosen = next(iter(available), None) if size == "any" else size
        if chosen is not None and chosen in available:
            return FetchRequest(id, chosen, available[chosen][0], expected, tuple(sorted(spent)))
    return FetchRequest(id, None, None, expected, tuple(sorted(spent)))


class _Fetch:
    """One run: a producer that reads requests as they are needed, a bounded queue, and workers."""

    def __init__(self, target: FetchTarget, plan: FetchPlan) -> None:
        self._target, self._plan = target, plan
        self._hosts: dict[str, asyncio.Semaphore] = {}
        self._pauses: dict[str, float] = {}
        self._serial = itertools.count()
        self._ssl_context = httpx.create_ssl_context(trust_env=False)

    async def run(self) -> None:
        queue: asyncio.Queue[FetchRequest | None] = asyncio.Queue(maxsize=4 * self._plan.connections)
        with progress_bar(total=self._target.total(), desc="fetch", unit="photo") as bar:
            workers = [asyncio.create_task(self._work(queue, bar)) for _ in range(self._plan.connections)]
            feeder = asyncio.create_task(self._feed(queue))
            try:
                await asyncio.gather(feeder, *workers)
            finally:
                for task in (feeder, *workers):
                    task.cancel()
                await asyncio.gather(feeder, *workers, return_exceptions=True)

    async def _feed(self, queue: asyncio.Queue[FetchRequest | None]) -> None:
        for request in self._target.requests():
            await queue.put(request)
        for _ in range(self._plan.connections):
            await queue.put(None)

    async def _work(self, queue: asyncio.Queue[FetchRequest | None], bar: tqdm[NoReturn]) -> None:
        async with photo_client(
            user_agent=self._plan.user_agent,
            timeout_s=self._plan.timeout_s,
            allow_loopback=self._plan.allow_loopback,
            ssl_context=self._ssl_context,
        ) as client:
            while (request := await queue.get()) is not None:
                await self._fetch(request, client)
                bar.update()
                bar.set_postfix_str(f"{sum(self._target.counts.failures.values())} failed", refresh=False)

    async def _fetch(self, request: FetchRequest, client: httpx.AsyncClient) -> None:
        if request.url is None or request.size is None:
            error = DownloadFailure("no such size", f"Flickr offers no {' or '.join(self._plan.sizes)}", permanent=True)
            await self._fail(request, error, 0)
            return
        for attempt in range(1, self._plan.attempts + 1):
            try:
                await self._attempt(request, request.size, request.url, client, attempt)
                return
            except DownloadFailure as failure:
                if failure.permanent or attempt == self._plan.attempts:
                    await self._fail(request, failure, attempt)
                    return
                await self._wait(request.url, attempt, failure.retry_after_s)

    async def _attempt(
        self, request: FetchRequest, size: str, url: str, client: httpx.AsyncClient, attempt: int
    ) -> None:
        host = urlsplit(url).netloc
        gate = self._hosts.setdefault(host, asyncio.Semaphore(self._plan.per_host))
        temporary = self._target.temporary(f"{request.id}.{os.getpid()}.{next(self._serial)}")
        try:
            async with gate:
                while (pause := self._pauses.get(host, 0.0) - asyncio.get_running_loop().time()) > 0:
                    await asyncio.sleep(pause)
                downloaded = await download(
                    client,
                    url,
                    temporary,
                    max_bytes=self._plan.max_bytes,
                    allow_loopback=self._plan.allow_loopback,
                    pace=self._plan.pace,
                )
            if request.expected_sha256 not in (None, downloaded.sha256):
                raise DownloadFailure("changed", "the bytes are not those that were published", permanent=True)
            path = file_path(request.id, size, downloaded.suffix)
            row = FileRow(
                request.id, size, url, "ok", path, downloaded.sha256, downloaded.bytes, downloaded.content_type,
                attempt, None, None, self._target.clock.now(),
            )  # fmt: skip
            await self._target.save(row, temporary)
        finally:
            temporary.unlink(missing_ok=True)

    async def _wait(self, url: str, attempt: int, retry_after_s: float | None) -> None:
        if retry_after_s is not None:  # it holds for the host, not for this request alone
            host, until = urlsplit(url).netloc, asyncio.get_running_loop().time() + retry_after_s
            self._pauses[host] = max(self._pauses.get(host, 0.0), until)
            return
        await asyncio.sleep(backoff(attempt, self._plan.first_wait_s))

    async def _fail(self, request: FetchRequest, failure: DownloadFailure, attempts: int) -> None:
        """Store a failure; its column ``size`` lists the sizes that have failed permanently."""
        status = "gone" if failure.permanent else "failed"
        size = ",".join(sorted({*request.spent, *([request.size] if request.size else ())})) or None
        row = FileRow(
            request.id, size, request.url, status, None, None, None, None, attempts,
            failure.error_class, str(failure)[:500], self._target.clock.now(),
        )  # fmt: skip
        await self._target.save(row, None)
