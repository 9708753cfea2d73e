"""Fetch photos: many at once, byte-exact, each either in its place with its hash or a recorded failure.

Files lie at ``files/<id % 100>/<id // 100 % 100>/<id>_<size>.<suffix>``. A file is renamed into place before its row
is written, so a row always has its file; a killed run fetches at most the files it had in hand again.
"""

from __future__ import annotations

import asyncio
import itertools
import json
import os
import random
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import NoReturn
from urllib.parse import urlsplit

import httpx
from tqdm.auto import tqdm

from builders.errors import DataError, UsageError, unknown_name
from builders.flickrexif.download import DEFAULT_MAX_BYTES, Downloaded, DownloadFailure, download, photo_client
from builders.flickrexif.found import FLICKR_SIZES
from builders.flickrexif.state import FILES, State, file_path
from builders.flickrexif.takedown import bury
from builders.outside import PHOTO_PACE, Pace

PLACEHOLDER_OWNERS = 3
"""The same bytes under photos of so many owners are no photo of theirs: a placeholder that we do not know by name."""

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


def fetch(state: State, plan: FetchPlan) -> FetchCounts:
    """Fetch every selected photo that has neither a file nor a recorded failure.

    Raises:
        UsageError: another fetch runs on this state.
        DataError: the disk is full or cannot be written to; what was fetched is kept.
    """
    with state.only_one("fetch"):
        bury(state)
        _incoming(state).mkdir(parents=True, exist_ok=True)
        for leftover in _incoming(state).iterdir():
            leftover.unlink()
        spent = _retry(state, plan.sizes) if plan.retry_failed else {}
        try:
            return asyncio.run(_Fetch(state, plan, spent).run())
        except OSError as error:
            raise DataError(
                f"{state.folder}: cannot be written to ({error.strerror}); make room and run again"
            ) from None


class _Fetch:
    """One run: a producer that reads the state in small portions, a bounded queue, and workers."""

    def __init__(self, state: State, plan: FetchPlan, spent: Mapping[int, frozenset[str]]) -> None:
        self._state, self._plan, self._spent = state, plan, spent
        self._hosts: dict[str, asyncio.Semaphore] = {}
        self._pauses: dict[str, float] = {}
        self._counts = FetchCounts()
        self._serial = itertools.count()
        self._ssl_context = httpx.create_ssl_context(trust_env=False)

    async def run(self) -> FetchCounts:
        plan = self._plan
        waiting = self._state.value(f"SELECT count(*) FROM photos WHERE {_WANTED}")
        queue: asyncio.Queue[_Task | None] = asyncio.Queue(maxsize=4 * plan.connections)
        total = waiting if plan.limit is None else min(waiting, plan.limit)
        with tqdm(total=total, desc="fetch", unit="photo", disable=None) as bar:
            workers = [asyncio.create_task(self._work(queue, bar)) for _ in range(plan.connections)]
            feeder = asyncio.create_task(self._feed(queue))
            try:
                await asyncio.gather(feeder, *workers)
            finally:
                for task in (feeder, *workers):
                    task.cancel()
                await asyncio.gather(feeder, *workers, return_exceptions=True)
        return self._counts

    async def _feed(self, queue: asyncio.Queue[_Task | None]) -> None:
        for task in itertools.islice(_tasks(self._state), self._plan.limit):
            await queue.put(task)
        for _ in range(self._plan.connections):
            await queue.put(None)

    async def _work(self, queue: asyncio.Queue[_Task | None], bar: tqdm[NoReturn]) -> None:
        async with photo_client(
            user_agent=self._plan.user_agent,
            timeout_s=self._plan.timeout_s,
            allow_loopback=self._plan.allow_loopback,
            ssl_context=self._ssl_context,
        ) as client:
            while (task := await queue.get()) is not None:
                await self._one(task, client)
                bar.update()
                bar.set_postfix_str(f"{sum(self._counts.failures.values())} failed", refresh=False)

    async def _one(self, task: _Task, client: httpx.AsyncClient) -> None:
        choice = _choose(task.urls, self._plan.sizes, self._spent.get(task.id, frozenset()))
        if choice is None:
            error = DownloadFailure("no such size", f"Flickr offers no {' or '.join(self._plan.sizes)}", permanent=True)
            self._record_failure(task, None, error, 0)
            return
        for attempt in range(1, self._plan.attempts + 1):
            try:
                await self._attempt(task, choice, client, attempt)
                return
            except DownloadFailure as failure:
                if failure.permanent or attempt == self._plan.attempts:
                    self._record_failure(task, choice, failure, attempt)
                    return
                await self._wait(choice.url, attempt, failure.retry_after_s)

    async def _attempt(self, task: _Task, choice: _Choice, client: httpx.AsyncClient, attempt: int) -> None:
        host = urlsplit(choice.url).netloc
        gate = self._hosts.setdefault(host, asyncio.Semaphore(self._plan.per_host))
        temporary = _incoming(self._state) / f"{task.id}.{os.getpid()}.{next(self._serial)}"
        async with gate:
            while (pause := self._pauses.get(host, 0.0) - asyncio.get_running_loop().time()) > 0:
                await asyncio.sleep(pause)
            try:
                got = await download(
                    client,
                    choice.url,
                    temporary,
                    max_bytes=self._plan.max_bytes,
                    allow_loopback=self._plan.allow_loopback,
                    pace=self._plan.pace,
                )
                if task.expected_sha256 not in (None, got.sha256):
                    raise DownloadFailure("changed", "the bytes are not those that were published", permanent=True)
                relative = file_path(task.id, choice.size, got.suffix)
                place = self._state.path_of(relative)
                place.parent.mkdir(parents=True, exist_ok=True)
                os.replace(temporary, place)
            finally:
                temporary.unlink(missing_ok=True)
        self._record(task, choice, got, relative, attempt)

    async def _wait(self, url: str, attempt: int, retry_after_s: float | None) -> None:
        if retry_after_s is not None:  # said to us all, not to this request
            host, until = urlsplit(url).netloc, asyncio.get_running_loop().time() + retry_after_s
            self._pauses[host] = max(self._pauses.get(host, 0.0), until)
            return
        longest = min(_LONGEST_WAIT_S, self._plan.first_wait_s * 2 ** (attempt - 1))
        await asyncio.sleep(longest * random.uniform(0.5, 1.0))

    def _record(self, task: _Task, choice: _Choice, got: Downloaded, relative: str, attempts: int) -> None:
        values = (task.id, choice.size, choice.url, "ok", relative, got.sha256, got.bytes, got.content_type, attempts)
        with self._state.transaction() as db:
            db.execute(_INSERT, (*values, None, None, self._state.clock.now()))
            alike = db.execute(
                "SELECT count(DISTINCT owner) FROM files JOIN photos ON id = photo_id WHERE sha256 = ?", (got.sha256,)
            ).fetchone()[0]
        self._counts.fetched += 1
        self._counts.bytes += got.bytes
        if alike >= PLACEHOLDER_OWNERS:
            self._refuse_placeholder(got.sha256)

    def _refuse_placeholder(self, sha256: str) -> None:
        for photo_id, path in self._state.rows(
            "SELECT photo_id, path FROM files WHERE sha256 = ? AND status = 'ok'", sha256
        ):
            self._state.path_of(path).unlink(missing_ok=True)
            with self._state.transaction() as db:
                db.execute(
                    "UPDATE files SET status = 'gone', path = NULL, error_class = 'unavailable',"
                    " error = 'the same bytes came for photos of several owners' WHERE photo_id = ?",
                    (photo_id,),
                )
            self._counts.fetched -= 1
            self._counts.failures["unavailable"] += 1

    def _record_failure(self, task: _Task, choice: _Choice | None, failure: DownloadFailure, attempts: int) -> None:
        status = "gone" if failure.permanent else "failed"
        url = choice.url if choice else None
        size = ",".join(sorted({*self._spent.get(task.id, ()), *([choice.size] if choice else ())})) or None
        values = (task.id, size, url, status, None, None, None, None, attempts, failure.error_class, str(failure)[:500])
        with self._state.transaction() as db:
            db.execute(_INSERT, (*values, self._state.clock.now()))
        self._counts.failures[failure.error_class] += 1


@dataclass(frozen=True)
class _Task:
    id: int
    urls: str
    expected_sha256: str | None


@dataclass(frozen=True)
class _Choice:
    size: str
    url: str


_WANTED = "selected = 1 AND id NOT IN (SELECT photo_id FROM files)"
_INSERT = "INSERT OR REPLACE INTO files VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)"
_PORTION = 500


def _tasks(state: State) -> Iterator[_Task]:
    """Photos to fetch, by id, read in portions so that memory does not grow with their number."""
    last = 0
    while rows := state.rows(
        f"SELECT id, urls, expected_sha256 FROM photos WHERE {_WANTED} AND id > ? ORDER BY id LIMIT {_PORTION}", last
    ):
        last = rows[-1][0]
        yield from (_Task(*row) for row in rows)


def _retry(state: State, sizes: Sequence[str]) -> dict[int, frozenset[str]]:
    """Forget failures that may pass, and final ones if a size is wanted that they were not of.

    A failed row's size lists what is spent: the sizes that have failed for good.

    Returns:
        The spent sizes of the photos that get another try.
    """
    rows = state.rows(
        "SELECT photo_id, f.size, urls FROM files f JOIN photos ON id = photo_id"
        " WHERE f.status = 'gone' AND error_class NOT IN ('unavailable', 'changed')"
    )
    spent = {row[0]: frozenset((row[1] or "").split(",")) - {""} for row in rows}
    again = {row[0]: spent[row[0]] for row in rows if _choose(row[2], sizes, spent[row[0]]) is not None}
    with state.transaction() as db:
        db.execute("DELETE FROM files WHERE status = 'failed'")
        db.executemany("DELETE FROM files WHERE photo_id = ?", [(id,) for id in again])
    return again


def _choose(urls_text: str, sizes: Sequence[str], spent: frozenset[str]) -> _Choice | None:
    urls = {size: entry for size, entry in json.loads(urls_text).items() if size not in spent}
    for size in sizes:
        found = next(iter(urls), None) if size == "any" else size
        if found is not None and found in urls:
            return _Choice(found, urls[found][0])
    return None


def _incoming(state: State) -> Path:
    return state.path_of(f"{FILES}/.incoming")
