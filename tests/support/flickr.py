"""A loopback server that answers as Flickr does: the REST methods we call, and the photo files, with its faults."""

from __future__ import annotations

import hashlib
import json
import threading
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qsl, urlsplit

from oauthlib.common import Request
from oauthlib.oauth1.rfc5849 import signature as oauth_signature

from builders.flickrexif.fetch.transfer import FetchPlan
from tests.support.flickr_world import World, as_json, licences_answer

KEY, SECRET = "double-key", "double-secret"
GIVEN_OUT = 4000
"""Results of one search, after which Flickr repeats itself."""

PLAN = FetchPlan(allow_loopback=True, first_wait_s=0.001, user_agent="camtrace-test (contact: me@example.org)")
"""How photos are fetched from it."""


@dataclass(frozen=True)
class Faults:
    """What goes wrong, as shares of the requests; each named request fails ``times`` times, then works."""

    busy: float = 0.0
    """429 with Retry-After."""
    broken: float = 0.0
    """503."""
    html: float = 0.0
    """A page in HTML with status 200."""
    code: float = 0.0
    """Flickr's own passing errors: 0, 105, 201."""
    slow: float = 0.0
    """No answer for ``slow_s``."""
    cut: float = 0.0
    """Files only: the connection ends in the middle."""
    times: int = 1
    retry_after_s: int = 0
    slow_s: float = 0.3
    latency_s: float = 0.0
    """Of every answer."""
    fuzz: float = 0.08
    """Totals are off by up to this share, differently in each slice."""


@dataclass
class Flickr:
    """The world, its faults, and a record of what was asked."""

    world: World
    faults: Faults = Faults()
    key: str = KEY
    secret: str = SECRET
    calls: Counter[str] = field(default_factory=Counter)
    """By method."""
    exif_calls: Counter[int] = field(default_factory=Counter)
    """Answers of getExif (not faults) by photo."""
    files: Counter[str] = field(default_factory=Counter)
    """Answers by path."""
    agents: set[str] = field(default_factory=set)
    deepest: int = 0
    """The last result that any search asked for."""
    base: str = ""
    attempts: Counter[str] = field(default_factory=Counter)
    lock: threading.Lock = field(default_factory=threading.Lock)

    @property
    def api_url(self) -> str:
        return f"{self.base}/services/rest/"

    def fault(self, name: str) -> str | None:
        """The fault of this attempt at a named request."""
        time.sleep(self.faults.latency_s)
        with self.lock:
            self.attempts[name] += 1
            attempt = self.attempts[name]
        if attempt > self.faults.times:
            return None
        point = _unit(name)
        for kind in ("busy", "broken", "html", "code", "slow", "cut"):
            share = getattr(self.faults, kind)
            if point < share:
                return kind
            point -= share
        return None

    def answer(self, method: str, query: dict[str, str]) -> dict:
        """The answer to one call."""
        with self.lock:
            self.calls[method] += 1
        if method == "flickr.photos.licenses.getInfo":
            return {"stat": "ok", "licenses": licences_answer()}
        if method == "flickr.photos.search":
            return {"stat": "ok", "photos": self.search(query)}
        at = self.world.index(int(query.get("photo_id", "0")))
        if at is None or self.world.deleted(at):
            return {"stat": "fail", "code": 1, "message": "Photo not found"}
        if method == "flickr.photos.getInfo":
            licence = int(self.world.licence[at])
            owner = {"nsid": self.world.nsid(at), "username": f"owner{at}", "realname": ""}
            return {"stat": "ok", "photo": {"license": licence, "owner": owner, "title": {"_content": f"Title {at}"}}}
        if method == "flickr.photos.getExif":
            with self.lock:
                self.exif_calls[int(query["photo_id"])] += 1
            if self.world.hidden_exif(at):
                return {"stat": "fail", "code": 2, "message": "Permission denied"}
            return {"stat": "ok", "photo": self.world.exif_answer(at)}
        return {"stat": "fail", "code": 112, "message": f'Method "{method}" not found'}

    def search(self, query: dict[str, str]) -> dict:
        if "license" not in query or "licence" in query:
            raise AssertionError("the parameter is spelled license")
        if (query.get("safe_search"), query.get("media"), query.get("content_type")) != ("1", "photos", "1"):
            raise AssertionError("safe photos only")
        start, end = int(query["min_upload_date"]), int(query["max_upload_date"])
        licences = tuple(map(int, query["license"].split(",")))
        page, per_page = int(query["page"]), min(500, int(query["per_page"]))
        with self.lock:
            self.deepest = max(self.deepest, page * per_page)
        result = self.world.results(start, end, licences)
        if query.get("text"):
            result = result[[self.world.names(int(at), query["text"]) for at in result]]
        given = result[:GIVEN_OUT]
        pages = max(1, -(-len(given) // per_page))
        page = min(page, pages)  # past the end Flickr shows the last page again
        entries = [self.world.search_entry(int(at), self.base) for at in given[(page - 1) * per_page : page * per_page]]
        if entries and _unit(f"repeat {start} {page}") < 0.1:
            entries += [entries[0], {"id": "not a photo"}]
        off = 1 + self.faults.fuzz * (2 * _unit(f"fuzz {start} {end} {licences}") - 1)
        return {
            "page": page,
            "pages": pages,
            "perpage": per_page,
            "total": str(round(len(result) * off)),
            "photo": entries,
        }


@contextmanager
def serving(world: World, faults: Faults = Faults()) -> Iterator[Flickr]:
    """Run the double on a free port of this machine."""
    flickr = Flickr(world, faults)
    server = _Server(("127.0.0.1", 0), type("Handler", (_Handler,), {"flickr": flickr}))
    flickr.base = f"http://127.0.0.1:{server.server_address[1]}"
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)
    thread.start()
    try:
        yield flickr
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 64

    def handle_error(self, request: object, client_address: object) -> None:
        """Clients that are killed do not say goodbye."""


class _Handler(BaseHTTPRequestHandler):
    flickr: Flickr
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    wbufsize = -1

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        query = dict(parse_qsl(body.decode()))
        self.flickr.agents.add(self.headers["User-Agent"])
        assert self.headers["Cookie"] is None
        refusal = self._refusal(query, body)
        if refusal:
            return self._send(200, as_json(refusal))
        named = {k: v for k, v in query.items() if not k.startswith("oauth_") and k != "api_key"}
        fault = self.flickr.fault(repr(sorted(named.items())))
        if fault == "busy":
            return self._send(429, b"slow down", {"Retry-After": str(self.flickr.faults.retry_after_s)})
        if fault == "broken":
            return self._send(503, b"<html>Bad, bad panda</html>", {"Content-Type": "text/html"})
        if fault == "html":
            return self._send(200, b"<!DOCTYPE html><html>Flickr is down</html>", {"Content-Type": "text/html"})
        if fault == "code":
            code = (0, 105, 201)[len(repr(named)) % 3]
            return self._send(200, as_json({"stat": "fail", "code": code, "message": "Sorry"}))
        if fault == "slow":
            time.sleep(self.flickr.faults.slow_s)
        return self._send(200, as_json(self.flickr.answer(query["method"], query)))

    def do_GET(self) -> None:
        flickr, path = self.flickr, urlsplit(self.path).path
        flickr.agents.add(self.headers["User-Agent"])
        assert self.headers["Cookie"] is None
        if path.startswith("/images/"):
            return self._send(200, b"\x89PNG\r\n\x1a\n" + b"gone", {"Content-Type": "image/png"})
        name = path.rpartition("/")[2]
        at = flickr.world.index(int(name.partition("_")[0]))
        fault = flickr.fault(path)
        if fault == "busy":
            return self._send(429, b"", {"Retry-After": str(flickr.faults.retry_after_s)})
        if fault == "broken":
            return self._send(502, b"<html></html>", {"Content-Type": "text/html"})
        if fault == "html":
            return self._send(200, b"<html></html>", {"Content-Type": "text/html"})
        if fault == "slow":
            time.sleep(flickr.faults.slow_s)
        if at is None:
            return self._send(404, b"")
        if flickr.world.deleted(at):
            return self._send(302, b"", {"Location": "/images/en-us/photo_unavailable.png"})
        with flickr.lock:
            flickr.files[path] += 1
        data = flickr.world.file(at, "o" if name.endswith("_o.jpg") else "l")
        return self._send(200, data, {"Content-Type": "image/jpeg", "Set-Cookie": "x=1"}, cut=fault == "cut")

    def _refusal(self, query: dict[str, str], body: bytes) -> dict | None:
        """None for a signed call or one with the key."""
        header = self.headers["Authorization"]
        if header is None:
            known = query.get("api_key") == self.flickr.key
            return (
                None if known else {"stat": "fail", "code": 100, "message": "Invalid API Key (Key has invalid format)"}
            )
        request = Request(self.flickr.api_url, "POST", body.decode(), dict(self.headers))
        collected = oauth_signature.collect_parameters(
            uri_query="", body=list(parse_qsl(body.decode())), headers=dict(self.headers), with_realm=False
        )
        request.params = collected
        signed = dict(
            oauth_signature.collect_parameters(
                uri_query="", body=[], headers=dict(self.headers), exclude_oauth_signature=False, with_realm=False
            )
        )
        request.signature = signed.get("oauth_signature")
        if signed.get("oauth_consumer_key") != self.flickr.key:
            return {"stat": "fail", "code": 100, "message": "Invalid API Key (Key not found)"}
        if not oauth_signature.verify_hmac_sha1(request, self.flickr.secret, ""):
            return {"stat": "fail", "code": 96, "message": "Invalid signature"}
        return None

    def _send(self, status: int, body: bytes, headers: dict[str, str] | None = None, cut: bool = False) -> None:
        self.send_response_only(status)
        headers = {"Content-Type": "application/json", **(headers or {})}
        for name, value in headers.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body[: len(body) // 2] if cut else body)
        self.wfile.flush()
        if cut:
            self.close_connection = True

    def log_message(self, *_: object) -> None:
        pass


def _unit(text: str) -> float:
    return int.from_bytes(hashlib.blake2b(text.encode(), digest_size=8).digest(), "big") / 2**64


def add(state, flickr, positions):
    """Select photos of the world as a search would."""
    with state.transaction() as db:
        for at in positions:
            entry = flickr.world.search_entry(at, flickr.base)
            urls = {size: [entry[f"url_{size}"], 1, 1] for size in ("o", "l") if f"url_{size}" in entry}
            db.execute(
                "INSERT INTO photos (id, owner, source, urls, rank, selected) VALUES (?, ?, 'search', ?, 0, 1)",
                (int(entry["id"]), entry["owner"], json.dumps(urls)),
            )
