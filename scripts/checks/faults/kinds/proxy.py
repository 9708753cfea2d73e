"""A proxy that changes a share of the answers of a service, and a server of files and of a bucket to put it before."""

from __future__ import annotations

import contextlib
import gzip
import http.client
import json
import random
import re
import threading
import zlib
from collections.abc import Callable, Iterable, Mapping, Sequence
from email.utils import formatdate
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, NamedTuple
from urllib.parse import parse_qs, quote, unquote, urlsplit
from xml.sax.saxutils import escape

from scripts.checks.faults.campaign import closed_port
from scripts.checks.faults.mutations import flipped, spoil

MANNERS = ("values", "bits", "cut", "status", "redirect", "dropped", "page", "length", "headers")
"""How an answer is changed."""

BYTES_DIFFER = frozenset({"values", "bits"})
"""Manners that no client can notice: a whole answer, with other bytes."""


class Answer(NamedTuple):
    """An answer of the service behind the proxy."""

    status: int
    headers: list[tuple[str, str]]
    body: bytes

    def header(self, name: str, value: str | None) -> list[tuple[str, str]]:
        """The headers with another value of one, or without it."""
        others = [pair for pair in self.headers if pair[0].lower() != name.lower()]
        return others if value is None else [*others, (name, value)]


class ChangingProxy:
    """Passes requests on to a double and changes a share of the answers by a seed."""

    def __init__(self) -> None:
        self.upstream, self.manners, self.share = "", tuple[str, ...](), 0.0
        self.random, self.changed = random.Random(), 0
        self.url = serve(type("Handler", (_Handler,), {"proxy": self}))

    def begin(self, upstream: str, manners: Sequence[str], share: float, seed: int) -> None:
        """How the answers of the next case are changed; ``changed`` counts them."""
        self.upstream, self.manners, self.share, self.random = upstream, tuple(manners), share, random.Random(seed)
        self.changed = 0


def serve(handler: type[BaseHTTPRequestHandler]) -> str:
    """The address of a server on loopback, which ends with this process."""
    server = _Server(("127.0.0.1", 0), handler)
    threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True).start()
    return f"http://127.0.0.1:{server.server_address[1]}"


class _Server(ThreadingHTTPServer):
    daemon_threads = True

    def handle_error(self, *_: object) -> None:
        """Say nothing of clients that hang up."""


class _Handler(BaseHTTPRequestHandler):
    proxy: ChangingProxy
    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        sent = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        try:
            answer = self.ask(sent)
        except OSError:
            self.close_connection = True
            return
        if self.proxy.random.random() < self.proxy.share:
            self.proxy.changed += 1
            self._changed(self.proxy.random.choice(self.proxy.manners), answer, sent)
        else:
            self.send(*answer)

    do_HEAD = do_POST = do_PUT = do_DELETE = do_GET

    def ask(self, sent: bytes, span: str | None = "") -> Answer:
        """What the service answers; to a request for another span of bytes, or for the whole file, where one is
        given."""
        parts = urlsplit(self.proxy.upstream)
        connection = http.client.HTTPConnection(parts.hostname or "", parts.port, timeout=30)
        headers = {name: value for name, value in self.headers.items() if name.lower() not in ("host", "connection")}
        if span != "":
            headers.pop("Range", None)
            headers |= {"Range": span} if span else {}
        with contextlib.closing(connection):
            connection.request(self.command, self.path, sent, headers)
            answer = connection.getresponse()
            hop_headers = ("content-length", "transfer-encoding", "connection", "date", "server")
            passed_on = [(name, value) for name, value in answer.getheaders() if name.lower() not in hop_headers]
            return Answer(answer.status, passed_on, answer.read())

    def send(self, status: int, headers: Sequence[tuple[str, str]], body: bytes, length: int | None = None) -> None:
        """Send an answer, and say that it has so many bytes; a negative number says nothing, and it ends with the
        connection."""
        try:
            self.send_response_only(status)
            for name, value in headers:
                self.send_header(name, value)
            if length is None or length >= 0:
                self.send_header("Content-Length", str(len(body) if length is None else length))
            else:
                self.close_connection = True
            self.end_headers()
            if self.command != "HEAD":
                self.wfile.write(body)
        except OSError:
            self.close_connection = True

    def _changed(self, manner: str, answer: Answer, sent: bytes) -> None:
        draw, (status, headers, body) = self.proxy.random, answer
        if manner in OF_RANGES:
            OF_RANGES[manner](self, answer, sent, draw)
        elif manner == "dropped":
            self.close_connection = True
            self.connection.close()
        elif manner == "status":
            self.send(
                draw.choice((400, 401, 403, 404, 409, 410, 416, 418, 451, 501)), headers, b'{"error": "no\\u001b[31m"}'
            )
        elif manner == "redirect":
            where = draw.choice((
                f"http://127.0.0.1:{closed_port()}/", "file:///etc/passwd", "http://[::1", "//", "ftp://a/", self.path,
                "http://169.254.169.254/latest/meta-data", "http://user:pw@127.0.0.1:1/",
                "\u20ac".encode().decode("latin-1"),
            ))  # fmt: skip
            self.send(draw.choice((301, 302, 307, 308)), [("Location", where)], b"")
        elif manner == "page":
            self.send(200, [("Content-Type", "text/html")], b"<!DOCTYPE html><html>\x1b[31mdown</html>")
        elif manner == "length":
            self.send(status, headers, body, draw.choice((0, 1, len(body) // 2, len(body) + 100)))
            self.close_connection = True
        elif manner == "headers":
            changed = [(n, draw.choice(("", "0", "-1", "x" * 5000, "..", "1e9", v[::-1]))) for n, v in headers]
            self.send(status, changed, body)
        elif manner == "cut":
            self.send(status, headers, body[: len(body) // 2])
        elif manner == "values":
            try:
                raw = json.loads(body)
                spoil(raw, draw)
                body = json.dumps(raw).encode()
            except (ValueError, IndexError, TypeError):
                body = flipped(body or b"\0", draw)
            self.send(status, headers, body)
        else:
            self.send(status, headers, flipped(body or b"\0", draw))

    def log_message(self, *_: object) -> None:
        pass


def _other_part(to: _Handler, answer: Answer, sent: bytes, draw: random.Random) -> None:
    """A part from elsewhere, which the answer says or denies."""
    span = re.fullmatch(r"bytes=(\d+)-(\d+)", to.headers.get("Range") or "")
    if not span:
        return to.send(*answer)
    move = draw.choice((-512, 512, 1, 1 << 20, -int(span[1])))
    first = max(0, int(span[1]) + move)
    other = to.ask(sent, f"bytes={first}-{first + int(span[2]) - int(span[1])}")
    to.send(other.status, other.headers if draw.random() < 0.7 else answer.headers, other.body)


def _shorter(to: _Handler, answer: Answer, sent: bytes, draw: random.Random) -> None:
    """Fewer bytes than were asked for, with a length that fits."""
    body = answer.body[: draw.choice((0, 1, 512, len(answer.body) // 2, max(0, len(answer.body) - 512)))]
    to.send(answer.status, answer.headers, body)


def _longer(to: _Handler, answer: Answer, sent: bytes, draw: random.Random) -> None:
    """More bytes than were asked for, perhaps without a stated length."""
    more = bytes(draw.choice((1, 512, 1 << 22)))
    to.send(answer.status, answer.headers, answer.body + more, draw.choice((None, -1)))


def _whole(to: _Handler, answer: Answer, sent: bytes, draw: random.Random) -> None:
    """The range is ignored, and the status says so or not."""
    whole = to.ask(sent, None)
    headers = draw.choice((whole.headers, answer.headers))
    to.send(draw.choice((whole.status, whole.status, answer.status)), headers, whole.body)


def _refused(to: _Handler, answer: Answer, sent: bytes, draw: random.Random) -> None:
    """There is no such range."""
    stated = draw.choice(("bytes */0", "bytes */1", f"bytes */{10**400}", "", "x"))
    to.send(416, answer.header("Content-Range", stated), draw.choice((b"", answer.body)))


def _changed_file(to: _Handler, answer: Answer, sent: bytes, draw: random.Random) -> None:
    """The file has changed since the last answer, or its name for that has."""
    named = draw.choice(('"other"', 'W/"other"', "", None, "\x01\x1b[31m", "x" * 9000))
    name = next((name for name, _ in answer.headers if name.lower() == "etag"), "ETag")
    to.send(answer.status, answer.header(name, named), answer.body)


def _stated(to: _Handler, answer: Answer, sent: bytes, draw: random.Random) -> None:
    """Where the part is from, and how large the file is, are nonsense."""
    stated = draw.choice((
        None, "", "bytes 0-0/*", "bytes 0-0/0", "bytes */5", f"bytes 0-0/{10**15}", f"bytes 0-0/{'9' * 5000}",
        "bytes 0-0/-1", "bytes 5-2/10", "bytes 0-0/1e9", "0-0/10", "bytes 0-0/\u0663".encode().decode("latin-1"),
        "items 0-0/10", "bytes 0-0/ 10",
    ))  # fmt: skip
    to.send(answer.status, answer.header("Content-Range", stated), answer.body)


def _packed(to: _Handler, answer: Answer, sent: bytes, draw: random.Random) -> None:
    """A body that unfolds to far more, or that is not packed as it says."""
    how = draw.choice(("gzip", "gzip", "deflate", "br", "zstd", "x-unknown", "gzip, gzip"))
    body = draw.choice((gzip.compress(bytes(1 << 26), 1), gzip.compress(answer.body), answer.body))
    to.send(answer.status, answer.header("Content-Encoding", how), body)


def _parts(to: _Handler, answer: Answer, sent: bytes, draw: random.Random) -> None:
    """The part within a body of several parts."""
    body = b"--x\r\nContent-Range: bytes 0-0/9\r\n\r\n" + answer.body + b"\r\n--x--\r\n"
    to.send(answer.status, answer.header("Content-Type", "multipart/byteranges; boundary=x"), body)


OF_RANGES: Mapping[str, Callable[[_Handler, Answer, bytes, random.Random], None]] = {
    "other part": _other_part,
    "shorter": _shorter,
    "longer": _longer,
    "whole": _whole,
    "refused": _refused,
    "changed file": _changed_file,
    "stated": _stated,
    "packed": _packed,
    "parts": _parts,
}
"""How the answer to a request for a part of a file is changed."""


class Bucket:
    """Files on loopback: as a web server with parts of files, and as a bucket in the form of S3.

    ``listed`` is what a listing says, and need not be what is there.
    """

    def __init__(self) -> None:
        self.files: dict[str, bytes] = {}
        """Content by path, without the slash at its begin."""
        self.listed: Sequence[Mapping[str, Any]] | None = None
        """``Key``, ``Size``, ``ETag``, ``LastModified`` of each; None for what is there."""
        self.more = ""
        """What a listing ends with: elements of XML."""
        self.url = serve(type("Handler", (_Files,), {"bucket": self}))


def entries_of(files: Mapping[str, bytes]) -> list[dict[str, Any]]:
    """What an honest listing of files says."""
    return [
        {"Key": path, "Size": len(data), "ETag": f'"{zlib.crc32(data):x}"', "LastModified": _CHANGED}
        for path, data in sorted(files.items())
    ]


_CHANGED = "2026-01-01T00:00:00.000Z"


class _Files(BaseHTTPRequestHandler):
    bucket: Bucket
    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        parts = urlsplit(self.path)
        query = parse_qs(parts.query, keep_blank_values=True)
        data = self.bucket.files.get(unquote(parts.path).partition("/")[2].partition("/")[2])
        if "list-type" in query or "prefix" in query:
            return self._answer(200, self._listing(query), {"Content-Type": "application/xml"})
        if data is None:
            return self._answer(404, b"<Error><Code>NoSuchKey</Code><Message>no</Message></Error>", {})
        headers = {"ETag": f'"{zlib.crc32(data):x}"', "Last-Modified": formatdate(0, usegmt=True)}
        span = re.fullmatch(r"bytes=(\d+)-(\d*)", self.headers.get("Range") or "")
        if not span:
            return self._answer(200, data, headers)
        first, last = int(span[1]), min(int(span[2] or len(data)), len(data) - 1)
        if first >= len(data):
            return self._answer(416, b"", {"Content-Range": f"bytes */{len(data)}"})
        stated = {"Content-Range": f"bytes {first}-{last}/{len(data)}"}
        return self._answer(206, data[first : last + 1], {**headers, **stated})

    do_HEAD = do_GET

    def _answer(self, status: int, body: bytes, headers: Mapping[str, str]) -> None:
        self.send_response_only(status)
        for name, value in headers.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    def _listing(self, query: Mapping[str, list[str]]) -> bytes:
        prefix, delimiter = (query.get(name, [""])[0] for name in ("prefix", "delimiter"))
        entries = entries_of(self.bucket.files) if self.bucket.listed is None else self.bucket.listed
        inside = [entry for entry in entries if str(entry.get("Key", "")).startswith(prefix)]
        folders = set()
        if delimiter:
            names = [str(entry["Key"])[len(prefix) :] for entry in inside]
            folders = {prefix + name.partition(delimiter)[0] + delimiter for name in names if delimiter in name}
            inside = [entry for entry, name in zip(inside, names, strict=True) if delimiter not in name]
        contents = "".join(_element("Contents", entry) for entry in inside)
        common = "".join(_element("CommonPrefixes", {"Prefix": folder}) for folder in sorted(folders))
        head = f"<Name>b</Name><Prefix>{quote(prefix)}</Prefix><KeyCount>{len(inside)}</KeyCount>"
        body = f"{head}{contents}{common}{self.bucket.more}"
        return f'<?xml version="1.0"?><ListBucketResult>{body}</ListBucketResult>'.encode("utf-8", "replace")

    def log_message(self, *_: object) -> None:
        pass


def _element(name: str, entry: Mapping[str, Any]) -> str:
    inner: Iterable[str] = (f"<{key}>{escape(str(value))}</{key}>" for key, value in entry.items())
    return f"<{name}>{''.join(inner)}</{name}>"
