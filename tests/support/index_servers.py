"""Servers of vectors on loopback for tests: PostgreSQL with pgvector where Debian's packages are installed, and a
double of Qdrant's REST interface, as far as its client asks for it."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import socket
import subprocess
import tempfile
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path


def postgres_binaries() -> Path | None:
    """The newest ``bin`` of Debian's PostgreSQL that has pgvector; None where there is none."""
    for folder in sorted(Path("/usr/lib/postgresql").glob("*/bin"), reverse=True):
        if Path(f"/usr/share/postgresql/{folder.parent.name}/extension/vector.control").is_file():
            return folder
    return None


@contextlib.contextmanager
def postgres() -> Iterator[str]:
    """The address of a fresh database with the extension ``vector``."""
    import psycopg

    binaries = postgres_binaries()
    assert binaries is not None
    folder = Path(tempfile.mkdtemp(prefix="pg-"))
    as_user = {"user": "postgres", "group": "postgres"} if os.geteuid() == 0 else {}  # it refuses to run as root
    if as_user:
        shutil.chown(folder, "postgres", "postgres")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL, "cwd": folder, **as_user}
    settings = f"-p {port} -c listen_addresses=127.0.0.1 -c unix_socket_directories={folder} -c fsync=off"
    data = str(folder / "data")
    subprocess.run([binaries / "initdb", "-D", data, "-A", "trust", "-U", "postgres"], check=True, **quiet)
    subprocess.run([binaries / "pg_ctl", "-D", data, "-w", "-o", settings, "start"], check=True, **quiet)
    try:
        address = f"postgresql://postgres@127.0.0.1:{port}/postgres"
        with psycopg.connect(address) as connection:
            connection.execute("CREATE EXTENSION vector")
        yield address
    finally:
        subprocess.run([binaries / "pg_ctl", "-D", data, "-m", "immediate", "stop"], check=False, **quiet)
        shutil.rmtree(folder, ignore_errors=True)


class _Qdrant(BaseHTTPRequestHandler):
    def do_POST(self) -> None:
        points = self.server.points
        asked = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        self.server.pages.append(asked)
        if self.path.partition("?")[0] != f"/collections/{self.server.collection}/points/scroll":
            return self._answer(404, {"status": {"error": "Not found: Collection doesn't exist!"}})
        start = int(asked.get("offset") or 0)
        stop = start + asked["limit"]
        page = {"points": points[start:stop], "next_page_offset": stop if stop < len(points) else None}
        return self._answer(200, {"result": page, "status": "ok", "time": 0.0})

    def _answer(self, status: int, body: dict) -> None:
        data = json.dumps(body).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def log_message(self, *_: object) -> None: ...


@contextlib.contextmanager
def qdrant(collection: str, points: list[dict]) -> Iterator[tuple[str, list[dict]]]:
    """The address of a collection with these points, ids 0, 1, ..., and the pages that were asked for."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), _Qdrant)
    server.collection, server.points, server.pages = collection, points, []
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}/{collection}", server.pages
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
