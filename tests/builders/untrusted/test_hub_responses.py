"""One response of the Hub through the guard: waits, headers, limits, refusals and what is counted, by hand."""

from __future__ import annotations

import gzip
import zlib
from types import SimpleNamespace

import pytest
from huggingface_hub import constants
from huggingface_hub.errors import OfflineModeIsEnabled

from builders.errors import RemoteError
from builders.processes import DeadlineExceeded
from builders.untrusted import Pace, client_message, from_hub, hub_client
from builders.untrusted.pace import Fetched, Outages, TransferLimit

FILE = "https://user:pw@hub.example/datasets/a/b/resolve/main/x.bin?signature=1"
API = "https://hub.example/api/datasets/a/b?full=1"
NAME = "https://hub.example/datasets/a/b/resolve/main/x.bin"


class Stream:
    """A body in parts, each of which takes so many seconds of the clock."""

    def __init__(self, *parts, clock=None, takes=0.0):
        self.parts, self.closed, self.clock, self.takes = parts, 0, clock, takes

    def __iter__(self):
        for part in self.parts:
            if self.clock is not None:
                self.clock.now += self.takes
            if isinstance(part, Exception):
                raise part
            yield part

    def close(self):
        self.closed += 1


class Clock:
    def __init__(self):
        self.now = 100.0

    def monotonic(self):
        return self.now


@pytest.fixture
def clock(monkeypatch):
    made = Clock()
    monkeypatch.setattr(hub_client, "time", made)
    monkeypatch.setattr(hub_client, "OUTAGES", Outages())
    return made


class Server:
    """Gives one response to every request, and holds what it was sent."""

    def __init__(self, status=200, headers=(), body=()):
        http = hub_client._library()
        self.sent = []
        self.make = lambda: http.Response(status, headers=dict(headers), stream=Response(*body))

    def handle_request(self, request):
        self.sent.append(request)
        self.response = self.make()
        return self.response


class Response(Stream, hub_client._library().SyncByteStream):
    pass


def request(method="GET", url=FILE, **timeout):
    http = hub_client._library()
    return http.Request(method, url, headers={"Accept-Encoding": "gzip"}, extensions={"timeout": timeout})


def respond(server, sent, limit=100, pace=None, transfers=None):
    return hub_client._respond(server, sent, transfers or TransferLimit(limit, pace or Pace()))


READ = {"connect": 6.0, "read": 60.0, "write": 60.0, "pool": 60.0}


@pytest.mark.parametrize(
    ("method", "given", "timeouts", "encoding"),
    [
        ("GET", {}, READ, "identity"),
        ("HEAD", {"read": 10.0, "connect": 3.0}, READ | {"connect": 3.0, "read": 10.0}, "identity"),
        ("GET", {"pool": None, "connect": 90.0}, READ, "identity"),
        ("POST", {"write": 5.0}, {"connect": 6.0, "read": 600.0, "write": 5.0, "pool": 600.0}, "gzip"),
        ("PUT", {}, {"connect": 6.0, "read": 600.0, "write": 600.0, "pool": 600.0}, "gzip"),
    ],
)  # fmt: skip
def test_request__waits_and_encoding(clock, monkeypatch, method, given, timeouts, encoding):
    server, deadlines = Server(), []
    monkeypatch.setattr(
        hub_client, "run_with_deadline", lambda seconds, work, late: deadlines.append((seconds, late)) or work()
    )
    sent = request(method, **given)
    assert respond(server, sent, pace=Pace(headers_s=44.0)).status_code == 200
    assert (sent.extensions["timeout"], sent.headers["Accept-Encoding"]) == (timeouts, encoding)
    assert [seconds for seconds, _ in deadlines] == [44.0 if method in ("GET", "HEAD") else 600.0]
    late = SimpleNamespace(close=lambda: deadlines.clear())
    deadlines[0][1](late)
    assert deadlines == []


def test_request__without_timeouts_has_all(clock):
    server, sent = Server(), request()
    del sent.extensions["timeout"]
    respond(server, sent)
    assert sent.extensions["timeout"] == READ


@pytest.mark.parametrize(
    ("method", "url", "headers", "sentence"),
    [
        ("GET", FILE, {"Content-Length": "100"}, ""), ("HEAD", FILE, {"Content-Length": "999"}, ""),
        ("GET", FILE, {"Content-Length": "10³"}, ""), ("GET", FILE, {}, ""),
        ("POST", FILE, {"Content-Length": "101"}, "101 bytes, more than the 100 bytes that such a file may have"),
        ("GET", FILE, {"Content-Length": "101"}, "101 bytes, more than the 100 bytes that such a file may have"),
        ("GET", API, {"Content-Length": "200"}, ""),
        ("GET", API, {"Content-Length": "201"}, "201 bytes, more than the 200 bytes that such a file may have"),
        ("GET", FILE, {"Content-Encoding": "identity"}, ""), ("HEAD", FILE, {"Content-Encoding": "br"}, ""),
        ("GET", FILE, {"Content-Encoding": "zstandard of a long name"},
         "packed as 'zstandard of a long ', which was not requested"),
    ],
)  # fmt: skip
def test_response__what_its_headers_declare(clock, monkeypatch, method, url, headers, sentence):
    monkeypatch.setattr(hub_client, "MAX_API_BYTES", 200)
    server = Server(headers={name: value.encode() for name, value in headers.items()}, body=(b"x",))
    if not sentence:
        response = respond(server, request(method, url))
        assert b"".join(response.stream) == b"x"
        return
    with pytest.raises(RemoteError) as refused:
        respond(server, request(method, url))
    assert str(refused.value) == f"{NAME if url == FILE else API.partition('?')[0]}: {sentence}".replace(
        "user:pw", "user:pw"
    )
    assert server.response.is_closed


def test_requests__to_one_address_are_counted_together(clock, monkeypatch):
    monkeypatch.setattr(hub_client, "MAX_API_RESPONSES", 2)
    transfers, server = TransferLimit(100, Pace(grace_s=5, least_bytes_per_s=10)), Server()
    for _ in range(2):
        respond(server, request(url=API), transfers=transfers)
    respond(server, request(url=API.replace("/b?", "/c?")), transfers=transfers)
    for page in (1, 2):
        with pytest.raises(
            RemoteError, match=r"^https://hub.example/api/datasets/a/b: more than 2 answers from one address$"
        ):
            respond(server, request(url=f"{API}&page={page}"), transfers=transfers)
    for _ in range(5):
        respond(server, request(), transfers=transfers)
    assert (len(server.sent), transfers.of(NAME).responses) == (8, 5)
    transfers.of(NAME).seconds, transfers.of(NAME).bytes = 6.0, 59
    with pytest.raises(RemoteError, match=r"x\.bin: too slow: 59 bytes in 6 seconds, fewer than 10 a second$"):
        respond(server, request(), transfers=transfers)
    assert len(server.sent) == 8  # it is not tried again
    transfers.of(NAME).bytes = 60
    respond(server, request(), transfers=transfers)


def test_request__no_answer_in_time(clock, monkeypatch):
    def run(seconds, work, late):
        raise DeadlineExceeded

    monkeypatch.setattr(hub_client, "run_with_deadline", run)
    for method, seconds in (("GET", "1,200"), ("POST", "600")):
        with pytest.raises(RemoteError) as refused:
            respond(Server(), request(method), pace=Pace(headers_s=1200.0))
        assert str(refused.value) == f"{NAME}: too slow: no answer in {seconds} seconds"


@pytest.mark.parametrize(
    ("method", "status", "reason"),
    [
        ("GET", 500, "the Hub answers with HTTP status 500"), ("HEAD", 503, "the Hub answers with HTTP status 503"),
        ("POST", 500, None), ("GET", 499, None), ("GET", 404, None), ("GET", 200, None),
    ],
)  # fmt: skip
def test_outage__of_answers_that_are_errors_of_the_server(clock, method, status, reason):
    for takes in (0.0, 7.0):
        server = Server(status)
        clock.now += takes
        if takes and reason:
            with pytest.raises(OfflineModeIsEnabled) as refused:
                respond(server, request(method))
            assert str(refused.value) == reason
            assert server.response.is_closed
        else:
            assert respond(server, request(method)).status_code == status


def test_outage__of_a_connection_that_fails(clock):
    http = hub_client._library()

    class Silent:
        def handle_request(self, sent):
            clock.now += 4.0
            raise http.ConnectError("no route\nat all")

    for method in ("POST", "GET"):
        with pytest.raises(http.ConnectError):
            respond(Silent(), request(method))
    with pytest.raises(OfflineModeIsEnabled) as refused:
        respond(Silent(), request())
    assert str(refused.value) == "no connection to the Hub (ConnectError: no route)"
    with pytest.raises(http.ConnectError):  # an upload is tried as often as its client likes
        respond(Silent(), request("POST"))
    with pytest.raises(http.ConnectError):  # another host
        respond(Silent(), request(url="https://other.example/x"))
    respond(Server(404), request())
    with pytest.raises(http.ConnectError):  # it has answered since
        respond(Silent(), request())


def body(inner, clock=None, limit=10, pace=None, unpacker=None):
    fetched = Fetched()
    return hub_client._guarded_body(inner, "a", fetched, pace or Pace(), limit, unpacker), fetched


def test_body__seconds_of_the_server_and_not_of_the_reader(clock):
    made, fetched = body(Stream(b"abc", b"de", clock=clock, takes=2.0))
    parts = iter(made)
    assert next(parts) == b"abc"
    clock.now += 1000.0
    assert next(parts) == b"de"
    clock.now += 1000.0
    assert list(parts) == []
    assert (fetched.bytes, fetched.seconds) == (5, 4.0)


def test_body__a_reader_that_stops_breaks_nothing_off(clock):
    made, fetched = body(Stream(b"abc", b"de"))
    parts = iter(made)
    next(parts)
    parts.close()
    assert (fetched.bytes, fetched.seconds) == (3, 0.0)
    inner = Stream()
    body(inner)[0].close()
    assert inner.closed == 1


@pytest.mark.parametrize(("takes", "seconds"), [(0.0, 1.0), (0.5, 1.5), (3.0, 6.0)])
def test_body__that_breaks_off_counts_a_second_at_least(clock, takes, seconds):
    made, fetched = body(Stream(b"abc", ConnectionError("broke"), clock=clock, takes=takes))
    with pytest.raises(ConnectionError):
        list(made)
    assert (fetched.bytes, fetched.seconds) == (3, seconds)


def test_body__too_many_bytes_or_too_slow(clock):
    assert list(body(Stream(b"x" * 6, b"x" * 4))[0]) == [b"x" * 6, b"x" * 4]
    with pytest.raises(RemoteError, match=r"^a: more than 10 bytes, which no such file may have$"):
        list(body(Stream(b"x" * 6, b"x" * 5))[0])
    pace = Pace(grace_s=3, least_bytes_per_s=2)
    with pytest.raises(RemoteError, match=r"^a: too slow: 2 bytes in 4 seconds, fewer than 2 a second$"):
        list(body(Stream(b"x", b"x", clock=clock, takes=2.0), pace=pace)[0])


@pytest.mark.parametrize("pack", [gzip.compress, zlib.compress])
@pytest.mark.parametrize("packed", ["gzip", "X-GZIP ", "deflate"])
def test_body__that_is_packed_arrives_unpacked_and_counts_unpacked(clock, pack, packed):
    content = bytes(range(256)) * 12_000  # more than 1 MiB
    headers = hub_client._library().Headers({"Content-Encoding": packed, "Content-Length": "5", "ETag": "x"})
    response = SimpleNamespace(headers=headers)
    unpacker = hub_client._unpacker(response, "a")
    assert dict(headers) == {"etag": "x"}
    data = pack(content)
    made, fetched = body(Stream(data[:100], data[100:]), limit=len(content), unpacker=unpacker)
    pieces = list(made)
    assert b"".join(pieces) == content
    assert max(map(len, pieces)) <= 1 << 20
    assert fetched.bytes == len(data)
    response.headers = hub_client._library().Headers({"Content-Encoding": packed})
    made, _ = body(Stream(data), limit=len(content) - 1, unpacker=hub_client._unpacker(response, "a"))
    with pytest.raises(RemoteError, match="more than 3,071,999 bytes"):
        list(made)


def test_body__that_is_not_packed_as_it_says(clock):
    response = SimpleNamespace(headers=hub_client._library().Headers({"Content-Encoding": "gzip"}))
    with pytest.raises(RemoteError, match=r"^a: not packed as it says \(Error -3 while decompressing data"):
        list(body(Stream(b"plain"), unpacker=hub_client._unpacker(response, "a"))[0])


@pytest.mark.parametrize(
    ("setting", "disabled", "within"),
    [(None, False, True), ("1", False, True), ("", False, True), ("0", False, False), (" No ", False, False),
     ("off", False, False), ("FALSE", False, False), ("0", True, True), ("no", True, True)],
)  # fmt: skip
def test_xet__is_off_unless_the_environment_has_it_on(monkeypatch, setting, disabled, within):
    monkeypatch.delenv("HF_HUB_DISABLE_XET", raising=False)
    if setting is not None:
        monkeypatch.setenv("HF_HUB_DISABLE_XET", setting)
    monkeypatch.setattr(constants, "HF_HUB_DISABLE_XET", disabled)
    with from_hub():
        assert constants.HF_HUB_DISABLE_XET is within
    with from_hub(sends=True):
        assert constants.HF_HUB_DISABLE_XET is disabled
    assert constants.HF_HUB_DISABLE_XET is disabled


def test_limits__of_the_innermost_block(monkeypatch):
    with from_hub():
        (outer,) = hub_client._limits
        assert (outer.limit, outer.pace) == (50 << 30, Pace(60.0, 60.0, 16384.0, 86_400.0))
        with from_hub(7, Pace(1.0)):
            assert (hub_client._limits[0], hub_client._limits[1].limit) == (outer, 7)
            assert hub_client._limits[1].pace == Pace(1.0)
        assert hub_client._limits == [outer]
    assert hub_client._limits == []
    assert (hub_client.MAX_API_BYTES, hub_client.MAX_API_RESPONSES, hub_client.MAX_WAIT_S) == (256 << 20, 10_000, 300.0)


def test_limits__a_block_of_another_thread_may_end_first():
    first, second = from_hub(3), from_hub(5)
    first.__enter__()
    second.__enter__()
    first.__exit__(None, None, None)
    assert [transfers.limit for transfers in hub_client._limits] == [5]
    second.__exit__(None, None, None)
    assert hub_client._limits == []


def test_guarded__outside_of_a_block_the_transport_is_the_clients(clock):
    server = Server()
    closed = []
    server.close = lambda: closed.append(1)
    guarded = hub_client._guarded(server)
    sent = request(read=1.0)
    guarded.handle_request(sent)
    assert (sent.extensions["timeout"], sent.headers["Accept-Encoding"]) == ({"read": 1.0}, "gzip")
    with from_hub(3):
        guarded.handle_request(sent)
        assert sent.headers["Accept-Encoding"] == "identity"
    guarded.close()
    assert closed == [1]


@pytest.mark.parametrize(
    ("headers", "left"),
    [
        ({"Retry-After": "300"}, {"retry-after": "300"}), ({"Retry-After": " 301 "}, {"retry-after": "300"}),
        ({"ratelimit": "r=0; t=300"}, {"ratelimit": "r=0; t=300"}), ({"ratelimit": "r=0; t=301"}, {}),
        ({"ratelimit": "t=301"}, {"ratelimit": "t=301"}),
        ({"Retry-After": "900", "ratelimit": "r=0;t=900", "x": "900"}, {"retry-after": "300", "x": "900"}),
    ],
)  # fmt: skip
def test_wait__before_the_next_try_has_a_limit(headers, left):
    given = hub_client._library().Headers(headers)
    hub_client._shorten_wait(given)
    assert dict(given) == left


def test_message__the_deepest_cause_that_says_something():
    outer, middle, inner = ValueError("outer\nmore"), OSError("middle"), KeyError("inner")
    outer.__cause__, middle.__cause__ = middle, inner
    assert client_message(outer) == "outer"
    for hidden in ("An error occurred while generating the dataset", "Couldn't reach the Hub"):
        first = ValueError(hidden)
        assert client_message(first) == hidden
        first.__cause__ = middle
        assert client_message(first) == "KeyError: 'inner'"
        inner.__cause__ = OSError("  ")
        assert client_message(first) == "KeyError: 'inner'"
        inner.__cause__ = None


def test_malformed__only_where_the_client_of_the_hub_reads():
    def raised_in(name, kind=KeyError):
        module = {"__name__": name, "kind": kind}
        exec("def fail():\n    raise kind('x')", module)
        try:
            module["fail"]()
        except Exception as error:
            return error

    def malformed(name, kind=KeyError):
        return hub_client._is_malformed_answer(raised_in(name, kind))

    assert malformed("huggingface_hub.hf_api")
    assert malformed("huggingface_hub.hf_api", IndexError)
    assert malformed("huggingface_hub", AttributeError)
    assert not malformed("huggingface_hub.hf_api", OSError)
    assert not malformed("datasets.load")
    assert not malformed("other")
