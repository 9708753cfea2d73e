"""Photos over the network: many at once, byte-exact, each either a file with its hash or a failure with its reason.

Knows no state and no ranks: a ``FetchTarget`` says what is wanted and keeps what came.
"""

from __future__ import annotations

import asyncio
import itertools
import os
import random
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
from builders.untrusted import PHOTO_PACE, Pace

_LONGEST_WAIT_S = 300.0


@dataclass(frozen=True)
class FetchPlan:
    """How to fetch."""

    sizes: tuple[str, ...] = ("o",)
    """Sizes in order of preference; the first that a photo has is fetched. ``any`` takes whatever address there is."""
    user_agent: str = "camtrace"
    connections: int = 16
    per_host: int = 8
    max_bytes: int = DEFAULT_MAX_BYTES
    timeout_s: float = 60.0
    """Between two bytes."""
    pace: Pace = PHOTO_PACE
    attempts: int = 4
    first_wait_s: float = 1.0
    retry_failed: bool = False
    allow_loopback: bool = False
    limit: int | None = None

    def __post_init__(self) -> None:
        for size in self.sizes:
            if size not in (*FLICKR_SIZES, "any"):
                raise unknown_name("size", size, (*FLICKR_SIZES, "any"))
        if min(self.connections, self.per_host, self.attempts, self.max_bytes) < 1:
            raise UsageError("--connections, --per-host, --attempts and --max-bytes are at least 1")


@dataclass
class FetchCounts:
    """What one run of fetch did."""

    fetched: int = 0
    bytes: int = 0
    failures: Counter[str] = field(default_factory=Counter)
    """By class of error."""

    def to_text(self) -> str:
        """For people."""
        why = ", ".join(f"{name} {count}" for name, count in self.failures.most_common())
        return (
            f"{self.fetched} photos fetched ({self.bytes / 1e6:.1f} MB), {sum(self.failures.values())} failed"
            + f" ({why})" * bool(why)
        )


class FetchRequest(NamedTuple):
    """One photo, and where it is to be had."""

    id: int
    size: str | None
    """None: Flickr offers none of the sizes that are wanted."""
    url: str | None
    expected_sha256: str | None
    spent: tuple[str, ...] = ()
    """Sizes that have failed for good before."""


class FileRow(NamedTuple):
    """What became of one photo: a row of the table ``files``."""

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
    """Says what is wanted and keeps what came."""

    counts: FetchCounts
    clock: Clock

    def total(self) -> int:
        """Photos that are wanted, for the bar."""
        ...

    def wanted(self) -> Iterator[FetchRequest]:
        """They, each once; asked for only as fast as they are fetched."""
        ...

    def temporary(self, name: str) -> Path:
        """Where a file of this name may be while it arrives."""
        ...

    async def keep(self, row: FileRow, file: Path | None) -> None:
        """Put a file in the place that its row names, then the row; a failure has no file."""
        ...


def fetch_into(keeper: FetchTarget, plan: FetchPlan) -> FetchCounts:
    """Fetch everything that is wanted.

    Raises:
        OSError: the disk is full or cannot be written to; what was kept is kept.
    """
    asyncio.run(_Fetch(keeper, plan).run())
    return keeper.counts


def choose(
    id: int, urls: Mapping[str, Any], sizes: Sequence[str], spent: frozenset[str], expected: str | None
) -> FetchRequest:
    """Which file of a photo to fetch.

    Args:
        id: of the photo.
        urls: address, width and height by size.
        sizes: that are wanted, best first; ``any`` takes the first that is there.
        spent: sizes not to try again.
        expected: SHA-256 that was published.

    >>> choose(7, {"l": ["https://a.net/7_l.jpg", 1, 1]}, ("o", "any"), frozenset(), None)[:3]
    (7, 'l', 'https://a.net/7_l.jpg')
    """
    there = {size: entry for size, entry in urls.items() if size not in spent}
    for size in sizes:
        found = next(iter(there), None) if size == "any" else size
        if found is not None and found in there:
            return FetchRequest(id, found, there[found][0], expected, tuple(sorted(spent)))
    return FetchRequest(id, None, None, expected, tuple(sorted(spent)))


class _Fetch:
    """One run: a producer that reads what is wanted as it is needed, a bounded queue, and workers."""

    def __init__(self, keeper: FetchTarget, plan: FetchPlan) -> None:
        self._keeper, self._plan = keeper, plan
        self._hosts: dict[str, asyncio.Semaphore] = {}
        self._pauses: dict[str, float] = {}
        self._serial = itertools.count()
        self._ssl_context = httpx.create_ssl_context(trust_env=False)

    async def run(self) -> None:
        queue: asyncio.Queue[FetchRequest | None] = asyncio.Queue(maxsize=4 * self._plan.connections)
        with tqdm(total=self._keeper.total(), desc="fetch", unit="photo", disable=None) as bar:
            workers = [asyncio.create_task(self._work(queue, bar)) for _ in range(self._plan.connections)]
            feeder = asyncio.create_task(self._feed(queue))
            try:
                await asyncio.gather(feeder, *workers)
            finally:
                for task in (feeder, *workers):
                    task.cancel()
                await asyncio.gather(feeder, *workers, return_exceptions=True)

    async def _feed(self, queue: asyncio.Queue[FetchRequest | None]) -> None:
        for wanted in self._keeper.wanted():
            await queue.put(wanted)
        for _ in range(self._plan.connections):
            await queue.put(None)

    async def _work(self, queue: asyncio.Queue[FetchRequest | None], bar: tqdm[NoReturn]) -> None:
        async with photo_client(
            user_agent=self._plan.user_agent,
            timeout_s=self._plan.timeout_s,
            allow_loopback=self._plan.allow_loopback,
            ssl_context=self._ssl_context,
        ) as client:
            while (wanted := await queue.get()) is not None:
                await self._one(wanted, client)
                bar.update()
                bar.set_postfix_str(f"{sum(self._keeper.counts.failures.values())} failed", refresh=False)

    async def _one(self, wanted: FetchRequest, client: httpx.AsyncClient) -> None:
        if wanted.url is None or wanted.size is None:
            error = DownloadFailure("no such size", f"Flickr offers no {' or '.join(self._plan.sizes)}", permanent=True)
            await self._lost(wanted, error, 0)
            return
        for attempt in range(1, self._plan.attempts + 1):
            try:
                await self._attempt(wanted, wanted.size, wanted.url, client, attempt)
                return
            except DownloadFailure as failure:
                if failure.permanent or attempt == self._plan.attempts:
                    await self._lost(wanted, failure, attempt)
                    return
                await self._wait(wanted.url, attempt, failure.retry_after_s)

    async def _attempt(
        self, wanted: FetchRequest, size: str, url: str, client: httpx.AsyncClient, attempt: int
    ) -> None:
        host = urlsplit(url).netloc
        gate = self._hosts.setdefault(host, asyncio.Semaphore(self._plan.per_host))
        temporary = self._keeper.temporary(f"{wanted.id}.{os.getpid()}.{next(self._serial)}")
        try:
            async with gate:
                while (pause := self._pauses.get(host, 0.0) - asyncio.get_running_loop().time()) > 0:
                    await asyncio.sleep(pause)
                got = await download(
                    client,
                    url,
                    temporary,
                    max_bytes=self._plan.max_bytes,
                    allow_loopback=self._plan.allow_loopback,
                    pace=self._plan.pace,
                )
            if wanted.expected_sha256 not in (None, got.sha256):
                raise DownloadFailure("changed", "the bytes are not those that were published", permanent=True)
            path = file_path(wanted.id, size, got.suffix)
            row = FileRow(
                wanted.id, size, url, "ok", path, got.sha256, got.bytes, got.content_type, attempt,
                None, None, self._keeper.clock.now(),
            )  # fmt: skip
            await self._keeper.keep(row, temporary)
        finally:
            temporary.unlink(missing_ok=True)

    async def _wait(self, url: str, attempt: int, retry_after_s: float | None) -> None:
        if retry_after_s is not None:  # said to us all, not to this request
            host, until = urlsplit(url).netloc, asyncio.get_running_loop().time() + retry_after_s
            self._pauses[host] = max(self._pauses.get(host, 0.0), until)
            return
        longest = min(_LONGEST_WAIT_S, self._plan.first_wait_s * 2 ** (attempt - 1))
        await asyncio.sleep(longest * random.uniform(0.5, 1.0))

    async def _lost(self, wanted: FetchRequest, failure: DownloadFailure, attempts: int) -> None:
        """A failed row's size lists what is spent: the sizes that have failed for good."""
        status = "gone" if failure.permanent else "failed"
        size = ",".join(sorted({*wanted.spent, *([wanted.size] if wanted.size else ())})) or None
        row = FileRow(
            wanted.id, size, wanted.url, status, None, None, None, None, attempts,
            failure.error_class, str(failure)[:500], self._keeper.clock.now(),
        )  # fmt: skip
        await self._keeper.keep(row, None)
