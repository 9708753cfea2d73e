"""Fetching: byte identity, what is refused, what is tried again, and where a connection may go."""

import asyncio
import errno
import hashlib
import importlib
import io
import json
import threading
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, HTTPServer

import httpcore
import httpx
import numpy as np
import piexif
import pytest
from PIL import Image

from builders.errors import DiskError, UsageError
from builders.flickrexif.addresses import AddressRefused, GuardedBackend, address_allowed
from builders.flickrexif.download import DownloadFailure, download, photo_client
from builders.flickrexif.fetch import fetch
from builders.flickrexif.fetching import FetchPlan
from builders.flickrexif.state import State
from builders.flickrexif.takedown import forget
from builders.outside import Pace, TooSlow, within
from tests.builders.flickrexif.flickr_double import Faults, serving
from tests.builders.flickrexif.flickr_world import World

WORLD = World(count=400, burst=0)
PLAN = FetchPlan(allow_loopback=True, first_wait_s=0.001, user_agent="camtrace-test (contact: me@example.org)")
JPEG = b"\xff\xd8\xff\xda" + bytes(497) + b"\xff\xd9"


@pytest.fixture
def state(tmp_path):
    with State(tmp_path / "state", create=True) as opened:
        yield opened


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


def rows(state):
    return {row["photo_id"]: row for row in state.rows("SELECT * FROM files")}


def test_fetch__bytes_are_the_servers_and_failures_have_classes(state):
    faults = Faults(busy=0.05, broken=0.05, html=0.05, slow=0.02, cut=0.05, slow_s=0.05)
    with serving(WORLD, faults) as flickr:
        add(state, flickr, range(WORLD.count))
        counts = fetch(state, PLAN)
        assert flickr.agents == {PLAN.user_agent}
    found = rows(state)
    assert len(found) == WORLD.count
    for at in range(WORLD.count):
        row = found[int(WORLD.ids[at])]
        if WORLD.no_original(at):
            assert (row["status"], row["error_class"]) == ("gone", "no such size")
        elif WORLD.deleted(at) or WORLD.silent_placeholder(at):
            assert (row["status"], row["error_class"], row["path"]) == ("gone", "unavailable", None)
        else:
            true = WORLD.file(at, "o")
            assert (row["status"], row["size"], row["content_type"]) == ("ok", "o", "image/jpeg")
            assert row["sha256"] == hashlib.sha256(true).hexdigest()
            assert state.path_of(row["path"]).read_bytes() == true
    ok = sum(row["status"] == "ok" for row in found.values())
    assert (counts.fetched, sum(counts.failures.values())) == (ok, WORLD.count - ok)
    on_disk = [p for p in (state.folder / "files").rglob("*") if p.is_file()]
    assert len(on_disk) == ok


def test_fetch__second_run_asks_for_nothing(state):
    with serving(WORLD) as flickr:
        add(state, flickr, range(60))
        fetch(state, PLAN)
        before = dict(flickr.attempts)
        fetch(state, PLAN)
        assert dict(flickr.attempts) == before


def test_fetch__sizes_in_order_of_preference_and_the_choice_is_kept(state):
    with serving(WORLD) as flickr:
        add(state, flickr, range(WORLD.count))
        fetch(state, FetchPlan(**{**PLAN.__dict__, "sizes": ("o", "l")}))
    found = rows(state)
    positions = [at for at in range(WORLD.count) if WORLD.no_original(at)]
    assert positions
    for at in positions:
        row = found[int(WORLD.ids[at])]
        assert (row["size"], row["sha256"]) == ("l", hashlib.sha256(WORLD.file(at, "l")).hexdigest())
    with pytest.raises(UsageError, match="size"):
        FetchPlan(sizes=("xxl",))


def test_fetch__transient_failures_wait_for_retry_failed_permanent_ones_are_final(state):
    alive = [at for at in range(100) if WORLD.kind[at] > 0.25]
    dead = next(at for at in range(WORLD.count) if WORLD.deleted(at))
    with serving(WORLD, Faults(broken=1.0, times=2)) as flickr:
        add(state, flickr, [*alive[:5], dead])
        once = FetchPlan(**{**PLAN.__dict__, "attempts": 2})
        fetch(state, once)
        assert {row["status"] for row in rows(state).values()} == {"failed"}
        assert {row["error_class"] for row in rows(state).values()} == {"http 502"}
        fetch(state, once)
        assert sum(flickr.attempts.values()) == 12
        fetch(state, FetchPlan(**{**once.__dict__, "retry_failed": True}))
        assert {row["status"] for row in rows(state).values()} == {"ok", "gone"}
        before = sum(flickr.attempts.values())
        fetch(state, FetchPlan(**{**once.__dict__, "retry_failed": True}))
        assert sum(flickr.attempts.values()) == before


def test_fetch__loopback_is_refused_unless_a_test_says_so(state):
    with serving(WORLD) as flickr:
        add(state, flickr, range(5))
        fetch(state, FetchPlan(**{**PLAN.__dict__, "allow_loopback": False, "sizes": ("l",)}))
        assert flickr.attempts == {}
    assert {(r["status"], r["error_class"]) for r in rows(state).values()} == {("gone", "bad url")}  # by its port
    with pytest.raises(AddressRefused):
        asyncio.run(GuardedBackend().connect_tcp("127.0.0.1", 80))


def test_fetch__another_hash_than_the_published_one_is_refused(state):
    with serving(WORLD) as flickr:
        at = next(at for at in range(100) if WORLD.kind[at] > 0.5)
        add(state, flickr, [at])
        with state.transaction() as db:
            db.execute("UPDATE photos SET expected_sha256 = ?", ("0" * 64,))
        fetch(state, PLAN)
    assert [(r["status"], r["error_class"]) for r in rows(state).values()] == [("gone", "changed")]
    assert not any(p.is_file() for p in (state.folder / "files").rglob("*"))


def test_forget__deletes_rows_and_bytes_even_of_files_without_a_row(state):
    with serving(WORLD) as flickr:
        add(state, flickr, range(100))
        fetch(state, PLAN)
        victim = next(row for row in rows(state).values() if row["status"] == "ok")
        stray = state.path_of(victim["path"]).with_name(f"{victim['photo_id']}_l.jpg")
        stray.write_bytes(b"x")  # as a run leaves it that dies between rename and record
        done = forget(state, photos=[str(victim["photo_id"])])
        assert (done.photos, done.files) == (1, 2)
        assert not state.path_of(victim["path"]).exists()
        assert not stray.exists()
        assert state.value("SELECT count(*) FROM files WHERE photo_id = ?", victim["photo_id"]) == 0
        owner = state.value("SELECT owner FROM photos LIMIT 1")
        theirs = state.value("SELECT count(*) FROM photos WHERE owner = ?", owner)
        assert forget(state, owners=[owner]).photos == theirs
        assert state.value("SELECT count(*) FROM photos WHERE owner = ?", owner) == 0
    with pytest.raises(UsageError, match="NSID"):
        forget(state, owners=["somebody"])
    with pytest.raises(UsageError, match="--photo x1"):
        forget(state, photos=["x1"])


def test_fetch__a_failure_belongs_to_the_size_that_was_asked_for(state):
    positions = [at for at in range(WORLD.count) if WORLD.no_original(at)]
    assert positions
    larger = FetchPlan(**{**PLAN.__dict__, "sizes": ("o", "l")})
    again = FetchPlan(**{**larger.__dict__, "retry_failed": True})
    with serving(WORLD) as flickr:
        add(state, flickr, positions)
        fetch(state, PLAN)
        assert {row["error_class"] for row in rows(state).values()} == {"no such size"}
        fetch(state, larger)
        assert flickr.attempts == {}
        fetch(state, again)
        assert {(row["status"], row["size"]) for row in rows(state).values()} == {("ok", "l")}
        assert sum(flickr.attempts.values()) == len(positions)


def test_fetch__a_size_that_is_spent_is_not_asked_for_again(state):
    asked = []

    def sizes():
        return FetchPlan(**{**PLAN.__dict__, "sizes": ("o", "l"), "retry_failed": True})

    with answering((404, {}, b""), (404, {}, b""), (200, IMAGE, JPEG)) as url:
        with state.transaction() as db:
            db.execute(
                "INSERT INTO photos (id, owner, source, urls, rank, selected) VALUES (5, '1@N00', 'search', ?, 0, 1)",
                (json.dumps({"o": [url, 1, 1], "l": [url.replace("_o", "_b"), 1, 1]}),),
            )
        for _ in range(3):
            fetch(state, sizes())
            asked.append(tuple(rows(state)[5][name] for name in ("status", "size", "error_class")))
    # the third answer, a photo, is never asked for: both sizes have failed for good
    assert asked == [("gone", "o", "gone"), ("gone", "l,o", "gone"), ("gone", "l,o", "gone")]


@pytest.mark.parametrize("page", [b"<!DOCTYPE html><html>", b"\n  <html>", b"\xef\xbb\xbf<?xml version='1.0'?>"])
def test_download__a_page_served_as_an_image_is_tried_again(tmp_path, page):
    with answering((200, IMAGE, page)) as url, pytest.raises(DownloadFailure) as failure:
        get(url, tmp_path / "file")
    assert (failure.value.error_class, failure.value.permanent) == ("not an image", False)


@pytest.mark.parametrize(
    "address",
    [
        "127.0.0.1", "127.8.8.8", "10.1.2.3", "172.16.0.1", "192.168.1.1", "169.254.169.254", "100.64.0.1", "0.0.0.0",
        "224.0.0.1", "255.255.255.255", "240.0.0.1", "198.18.0.1", "192.0.2.1", "::1", "::", "fe80::1%eth0", "fc00::1",
        "ff02::1", "::ffff:10.0.0.1", "::ffff:127.0.0.1", "2002:7f00:1::", "64:ff9b::a00:1", "64:ff9b:1::1",
        "2001:db8::1", "fec0::1", "feff::1", "3fff::1", "3fff:fff::1", "5f00::1", "localhost", "",
    ],
)  # fmt: skip
def test_address_allowed__nothing_but_the_open_internet(address):
    assert not address_allowed(address)


def test_address_allowed__public_ones_and_loopback_on_request():
    assert address_allowed("93.184.216.34")
    assert address_allowed("2606:2800:220:1:248:1893:25c8:1946")
    assert address_allowed("127.0.0.1", allow_loopback=True)
    assert address_allowed("::ffff:127.0.0.1", allow_loopback=True)
    assert not address_allowed("10.0.0.1", allow_loopback=True)


class _Recorder(httpcore.AsyncMockBackend):
    def __init__(self):
        super().__init__([b"HTTP/1.1 200 OK\r\n\r\n"])
        self.hosts = []

    async def connect_tcp(self, host, *rest, **options):
        self.hosts.append(host)
        return await super().connect_tcp(host, *rest, **options)


class _Names(GuardedBackend):
    """A name server of our own, whose answers change."""

    def __init__(self, recorder, *answers):
        super().__init__(backend=recorder)
        self.answers = list(answers)

    async def _resolved(self, host, port, timeout):
        return self.answers.pop(0)


def test_guarded_backend__connects_to_the_address_that_was_judged():
    recorder = _Recorder()
    backend = _Names(recorder, ["10.0.0.1", "93.184.216.34"], ["127.0.0.1"])
    asyncio.run(backend.connect_tcp("rebinding.example", 80))
    assert recorder.hosts == ["93.184.216.34"]  # an address, so that nobody resolves the name again
    with pytest.raises(AddressRefused):
        asyncio.run(backend.connect_tcp("rebinding.example", 80))
    assert recorder.hosts == ["93.184.216.34"]


@contextmanager
def answering(*answers):
    """A server that gives these (status, headers, body) in turn, the last one for ever."""
    left = list(answers)

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self):
            status, headers, body = left.pop(0) if len(left) > 1 else left[0]
            self.send_response_only(status)
            for name, value in headers.items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_):
            pass

    server = HTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True).start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}/1/2_a_o.jpg"
    finally:
        server.shutdown()
        server.server_close()


def get(url, target, **options):
    async def once():
        async with photo_client(user_agent="t", timeout_s=5, allow_loopback=True) as client:
            return await download(client, url, target, **{"allow_loopback": True, **options})

    return asyncio.run(once())


IMAGE = {"Content-Type": "image/jpeg"}


@pytest.mark.parametrize(
    ("answers", "error_class", "permanent"),
    [
        ([(404, {}, b"")], "gone", True),
        ([(410, {}, b"")], "gone", True),
        ([(403, {}, b"")], "refused", True),
        ([(500, {}, b"")], "http 500", False),
        ([(429, {"Retry-After": "3"}, b"")], "http 429", False),
        ([(200, {"Content-Type": "text/html"}, b"<html>")], "not an image", False),
        ([(200, {"Content-Type": "video/mp4"}, b"x")], "not an image", True),
        ([(200, IMAGE, b"no image at all")], "not an image", True),
        ([(200, IMAGE, b"")], "short", False),
        ([(200, {**IMAGE, "Content-Length": "900"}, JPEG)], "connection", False),
        ([(200, {**IMAGE, "Content-Length": "99999999"}, JPEG)], "too large", True),
        ([(200, IMAGE, JPEG * 10)], "too large", True),
        ([(200, {**IMAGE, "Content-Encoding": "gzip"}, JPEG)], "encoded", True),
        ([(302, {}, b"")], "redirects", False),
        ([(302, {"Location": "file:///etc/passwd"}, b"")], "bad url", True),
        ([(302, {"Location": "http://10.0.0.1/x.jpg"}, b"")], "address refused", True),
        ([(302, {"Location": "http://169.254.169.254/latest"}, b"")], "address refused", True),
        ([(302, {"Location": "http://me:pw@127.0.0.1/"}, b"")], "bad url", True),
        ([(302, {"Location": "https://s.yimg.com/pw/images/en-us/photo_unavailable_l.png"}, b"")], "unavailable", True),
        ([(302, {"Location": "/again.jpg"}, b"")], "redirects", True),
    ],
)
def test_download__every_way_to_fail_has_its_class(tmp_path, answers, error_class, permanent):
    with answering(*answers) as url, pytest.raises(DownloadFailure) as failure:
        get(url, tmp_path / "file", max_bytes=2000)
    assert (failure.value.error_class, failure.value.permanent) == (error_class, permanent)


def test_download__follows_redirects_of_its_own_kind(tmp_path):
    with answering((301, {"Location": "/moved.jpg"}, b""), (200, IMAGE, JPEG)) as url:
        got = get(url, tmp_path / "file")
    assert (got.bytes, got.suffix, got.sha256) == (len(JPEG), ".jpg", hashlib.sha256(JPEG).hexdigest())
    assert (tmp_path / "file").read_bytes() == JPEG


def follow(tmp_path, hops, asked):
    """Download the first address of ``hops``, {address: where it sends one, "" for the photo}; ``asked`` notes each."""

    def answer(request):
        asked.append(str(request.url))
        target = hops[asked[-1]]
        if target:
            return httpx.Response(302, headers={"Location": target})
        return httpx.Response(200, headers=IMAGE, content=body())

    async def body():
        yield JPEG

    async def once():
        async with httpx.AsyncClient(transport=httpx.MockTransport(answer)) as client:
            return await download(client, next(iter(hops)), tmp_path / "file")

    return asyncio.run(once())


def slow(tmp_path, pace, *, headers_s=0.0, part_s=0.0, parts=50, part=b"x"):
    """Download from a server that waits before its headers, and before each part of the body."""

    async def answer(request):
        await asyncio.sleep(headers_s)
        return httpx.Response(200, headers=IMAGE, content=body())

    async def body():
        yield JPEG[:4]
        for _ in range(parts):
            await asyncio.sleep(part_s)
            yield part
        yield JPEG[-2:]

    async def once():
        async with httpx.AsyncClient(transport=httpx.MockTransport(answer)) as client:
            return await download(client, "https://a.example/1.jpg", tmp_path / "file", pace=pace)

    return asyncio.run(once())


@pytest.mark.parametrize(
    ("how", "pace", "error_class", "reason"),
    [
        ({"headers_s": 30.0}, Pace(headers_s=0.05), "timeout", "no answer in time"),
        ({"part_s": 0.02}, Pace(grace_s=0.05, least_bytes_per_s=1e6), "too slow", "fewer than 1,000,000 a second"),
        ({"part_s": 0.02, "part": bytes(10**6)}, Pace(deadline_s=0.05), "too slow", "not complete after"),
    ],
)
def test_download__a_tarpit_is_left(tmp_path, how, pace, error_class, reason):
    with pytest.raises(DownloadFailure, match=reason) as failure:
        slow(tmp_path, pace, **how)
    assert (failure.value.error_class, failure.value.permanent) == (error_class, False)


def test_download__a_slow_server_above_the_least_rate_is_waited_for(tmp_path):
    got = slow(tmp_path, Pace(grace_s=0.0, least_bytes_per_s=1.0), part_s=0.002, parts=20)
    assert got.bytes == 26


def test_pace__counts_from_the_end_of_its_grace():
    pace = Pace(grace_s=30, least_bytes_per_s=100, deadline_s=1000)
    assert pace.objection(0, 30) == ""
    assert pace.objection(3101, 31) == ""
    assert pace.objection(3099, 31) == "3,099 bytes in 31 seconds, fewer than 100 a second"
    assert pace.objection(10**9, 1001) == "not complete after 1,000 seconds"


def test_within__gives_the_answer_the_error_or_up():
    never = threading.Event()
    with pytest.raises(TooSlow):
        within(0.05, never.wait)
    with pytest.raises(ZeroDivisionError):
        within(5.0, lambda: 1 / 0)
    assert within(5.0, lambda: "answer") == "answer"
    never.set()


SAFE, ALSO_SAFE, PLAIN = "https://a.example/1.jpg", "https://b.example/2.jpg", "http://c.example/3.jpg"


@pytest.mark.parametrize("way", [(SAFE, ALSO_SAFE), (PLAIN, SAFE), (PLAIN, "http://d.example/4.jpg", SAFE, ALSO_SAFE)])
def test_download__redirects_between_hosts_and_to_https(tmp_path, way):
    asked = []
    got = follow(tmp_path, dict(zip(way, (*way[1:], ""), strict=True)), asked)
    assert (got.url, asked) == (way[-1], list(way))


@pytest.mark.parametrize("way", [(SAFE, PLAIN), (SAFE, ALSO_SAFE, PLAIN), (PLAIN, SAFE, "http://a.example/1.jpg")])
def test_download__never_leaves_https_for_http(tmp_path, way):
    asked = []
    with pytest.raises(DownloadFailure, match="from https to something else") as failure:
        follow(tmp_path, dict(zip(way, (*way[1:], ""), strict=True)), asked)
    assert (failure.value.error_class, failure.value.permanent) == ("redirects", True)
    assert asked == list(way[:-1])


@pytest.mark.parametrize("url", ["ftp://x/1.jpg", "http:///1.jpg", "https://a@b/1.jpg", "http://x:99999/", "x"])
def test_download__addresses_that_make_no_sense(tmp_path, url):
    with pytest.raises(DownloadFailure) as failure:
        get(url, tmp_path / "file")
    assert failure.value.error_class == "bad url"


def picture_bytes(format):
    buffer = io.BytesIO()
    Image.new("RGB", (8, 8)).save(buffer, "JPEG")
    exif = piexif.dump({"thumbnail": buffer.getvalue(), "1st": {}})  # its end is not that of the file
    buffer = io.BytesIO()
    pixels = np.random.default_rng(0).integers(0, 256, (40, 60, 3), dtype=np.uint8)
    options = {"exif": exif} if format == "JPEG" else {}
    Image.fromarray(pixels).save(buffer, format, **options)
    return buffer.getvalue()


@pytest.mark.parametrize("format", ["JPEG", "PNG", "GIF", "WEBP", "HEIF"])
def test_download__a_body_that_is_cut_is_noticed_where_no_length_was_said(tmp_path, format):
    if format == "HEIF":
        pytest.importorskip("pillow_heif").register_heif_opener()
    whole, kind = picture_bytes(format), {"Content-Type": f"image/{format.lower()}"}
    with answering((200, kind, whole)) as url:
        assert get(url, tmp_path / "file").bytes == len(whole)
    for cut in (len(whole) // 3, len(whole) // 2, len(whole) - 100):
        with answering((200, kind, whole[:cut])) as url, pytest.raises(DownloadFailure) as failure:
            get(url, tmp_path / "file")
        assert (failure.value.error_class, failure.value.permanent) == ("short", False)
    if format == "JPEG":  # what cameras add after the end does not matter
        with answering((200, kind, whole + b"maker's data")) as url:
            assert get(url, tmp_path / "file").bytes == len(whole) + 12


def test_fetch__a_full_disk_is_one_sentence_and_exit_status_1(tmp_path, monkeypatch):
    def full(*_):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(importlib.import_module("builders.flickrexif.fetch"), "fetch_into", full)
    with (
        State(tmp_path, create=True) as state,
        pytest.raises(DiskError, match="disk is full; what was fetched is kept"),
    ):
        fetch(state, PLAN)
    assert DiskError.exit_status == 1
