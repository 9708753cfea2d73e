"""How fast ``flickrexif fetch`` is with small files from this machine, and whether its memory stays flat.

The server is a process of its own; the fetch is the real one, with its state, hashes, checks and renames.
"""

from __future__ import annotations

import asyncio
import json
import multiprocessing
import tempfile
import time
from dataclasses import dataclass
from multiprocessing.connection import Connection
from pathlib import Path

from builders.flickrexif.fetch.fetch import fetch
from builders.flickrexif.fetch.transfer import FetchPlan
from builders.flickrexif.store.store import State
from scripts.speed.measure import Row, peak_mb

AIM_FILES_PER_SECOND = 200.0
AIM_GROWTH_MB = 10.0
"""Between a quarter of the files and all of them."""


def rows(quick: bool = False, *, files: int = 6000, file_bytes: int = 20_000) -> list[Row]:
    """Rate, processor time, memory and its growth."""
    files = min(files, 400) if quick else files
    context = multiprocessing.get_context("spawn")
    receiver, sender = context.Pipe()
    server = context.Process(target=_serve, args=(sender, file_bytes), daemon=True)
    server.start()
    port = receiver.recv()
    try:
        with tempfile.TemporaryDirectory() as folder:
            fetcher = context.Process(target=_fetch, args=(sender, folder, port, files))
            fetcher.start()
            if not receiver.poll(600):
                raise SystemExit("the fetch did not end in ten minutes")
            measured: _Measured = receiver.recv()
            fetcher.join()
    finally:
        server.terminate()
        server.join()
    if measured.fetched != files:
        raise SystemExit(f"only {measured.fetched} of {files} files arrived")
    size = f"{file_bytes / 1000:g} kB"
    rate, growth = files / measured.seconds, measured.last_mb - measured.quarter_mb
    return [
        Row(f"fetch, files of {size}", rate, "files/s", files, aim=AIM_FILES_PER_SECOND),
        Row("  processor time of it", 1000 * measured.cpu_s / files, "ms a file", files),
        Row("  largest memory", measured.last_mb, "MB", files),
        Row("fetch, growth of memory after a quarter", growth, "MB", files, aim=AIM_GROWTH_MB),
    ]


@dataclass(frozen=True)
class _Measured:
    fetched: int
    seconds: float
    cpu_s: float
    quarter_mb: float
    last_mb: float


def _fetch(report: Connection, folder: str, port: int, files: int) -> None:
    with State(Path(folder) / "state", create=True) as state:
        with state.transaction() as db:
            db.executemany(
                "INSERT INTO photos (id, owner, source, urls, rank, selected) VALUES (?, ?, 'search', ?, 0, 1)",
                [
                    (i, f"{i}@N00", json.dumps({"o": [f"http://127.0.0.1:{port}/1/{i}_a_o.jpg", 0, 0]}))
                    for i in range(1, files + 1)
                ],
            )
        plan = {"connections": 16, "per_host": 16, "allow_loopback": True}
        cpu, start = time.process_time(), time.perf_counter()
        first = fetch(state, FetchPlan(**plan, limit=files // 4))  # type: ignore[arg-type]
        quarter_mb = peak_mb()
        rest = fetch(state, FetchPlan(**plan))  # type: ignore[arg-type]
        seconds, cpu_s = time.perf_counter() - start, time.process_time() - cpu
        report.send(_Measured(first.fetched + rest.fetched, seconds, cpu_s, quarter_mb, peak_mb()))


def _serve(report: Connection, file_bytes: int) -> None:
    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while head := await reader.readuntil(b"\r\n\r\n"):
                name = head.split(b" ", 2)[1]
                body = b"\xff\xd8\xff" + (name * (file_bytes // len(name) + 1))[: file_bytes - 3]
                writer.write(
                    b"HTTP/1.1 200 OK\r\nContent-Type: image/jpeg\r\nContent-Length: %d\r\n\r\n" % len(body) + body
                )
                await writer.drain()
        except (asyncio.IncompleteReadError, ConnectionError):
            writer.close()

    async def serve() -> None:
        server = await asyncio.start_server(answer, "127.0.0.1", 0)
        report.send(server.sockets[0].getsockname()[1])
        await server.serve_forever()

    asyncio.run(serve())
