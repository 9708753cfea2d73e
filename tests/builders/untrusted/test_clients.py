"""Clients as they are made: no proxies or certificates of the environment, guarded backends, one guard each."""

from __future__ import annotations

import asyncio
import socket
from types import SimpleNamespace

import httpcore
import httpx
import huggingface_hub
import pytest

from builders.errors import RemoteError
from builders.processes import DeadlineExceeded
from builders.untrusted import addresses, from_hub, hub_client, ranges
from builders.untrusted.addresses import AddressRefused, GuardedBackend, GuardedTransport


@pytest.fixture
def made(monkeypatch):
    """Contexts and pools that are made, by their settings."""
    calls = []
    monkeypatch.setattr(httpx, "create_ssl_context", lambda **named: calls.append(("context", named)) or "context")
    for name in ("ConnectionPool", "AsyncConnectionPool"):
        monkeypatch.setattr(httpcore, name, lambda name=name, **named: calls.append((name, named)) or SimpleNamespace())
    return calls


def test_client__of_parts_of_files(made, monkeypatch):
    monkeypatch.setattr(httpx, "Client", lambda **named: made.append(("client", named)) or "client")
    ranges._client.cache_clear()
    assert ranges._client(1) == ranges._client(1) == "client"
    ranges._client.cache_clear()
    (context, pool, client) = made
    assert context == ("context", {"trust_env": False})
    backend = pool[1].pop("network_backend")
    assert (pool, type(backend)) == (("ConnectionPool", {"ssl_context": "context"}), ranges._GuardedBackend)
    transport = client[1].pop("transport")
    assert isinstance(transport, ranges._GuardedTransport)
    assert client == ("client", {"timeout": 60.0, "trust_env": False, "headers": {"Accept-Encoding": "identity"}})


def test_transport__of_photos(made):
    GuardedTransport(connections=7, allow_loopback=True)
    GuardedTransport(connections=2, ssl_context="mine")
    (context, first, second) = made
    backends = [pool[1].pop("network_backend") for pool in (first, second)]
    assert [backend._allow_loopback for backend in backends] == [True, False]
    assert context == ("context", {"trust_env": False})
    settings = {"keepalive_expiry": 30.0}
    for pool, ssl_context, count in ((first, "context", 7), (second, "mine", 2)):
        connections = {"max_connections": count, "max_keepalive_connections": count}
        assert pool == ("AsyncConnectionPool", {"ssl_context": ssl_context, **settings, **connections})


class Response:
    """An answer of httpcore, in parts."""

    def __init__(self, *parts, status=206, **headers):
        self.parts, self.status, self.closed = parts, status, 0
        self.headers = [(name.replace("_", "-").encode(), value.encode()) for name, value in headers.items()]

    def iter_stream(self):
        yield from self.parts

    def close(self):
        self.closed += 1


@pytest.fixture
def transport(made, monkeypatch):
    """A transport whose pool gives one response, and the requests that it was sent."""
    sent = []

    def use(response):
        transport = ranges._GuardedTransport()
        transport._pool.handle_request = lambda raw: sent.append(raw) or response
        return transport

    return use, sent


def request(address="https://a.org:8443/b?c=1", span="bytes=10-14"):
    return httpx.Request("GET", address, headers={"Range": span})


def test_part__is_read_up_to_what_was_requested(transport):
    use, sent = transport
    response = Response(b"abc", b"de", ETag="x")
    answer = use(response).handle_request(request())
    assert (answer.status_code, answer.content, answer.headers["ETag"], response.closed) == (206, b"abcde", "x", 1)
    target = sent[0].url
    assert (target.scheme, target.host, target.port, target.target) == (b"https", b"a.org", 8443, b"/b?c=1")
    assert (sent[0].method, dict(sent[0].headers)[b"Range"]) == (b"GET", b"bytes=10-14")
    endless = Response(*[b"abc"] * 10)
    assert use(endless).handle_request(request()).content == b"abcabc"  # more than five bytes: no part of the file
    assert endless.closed == 1


def test_part__that_is_packed_slow_or_late(transport, monkeypatch):
    use, _ = transport
    packed = Response(b"x", Content_Encoding=" GZIP of a very long name")
    with pytest.raises(RemoteError) as refused:
        use(packed).handle_request(request())
    assert str(refused.value) == "packed as 'gzip of a very long ', which was not requested"
    assert packed.closed == 1
    assert use(Response(b"x", Content_Encoding="identity")).handle_request(request()).content == b"x"
    clock = iter([0.0, 20.0, 100.0])
    monkeypatch.setattr(ranges, "time", SimpleNamespace(monotonic=lambda: next(clock)))
    slow = Response(b"a", b"b")
    with pytest.raises(RemoteError) as refused:
        use(slow).handle_request(request())
    assert str(refused.value) == "too slow: 2 bytes in 100 seconds, fewer than 8,192 a second"
    assert slow.closed == 1

    def late(seconds, work, late):
        assert seconds == 60.0
        raise DeadlineExceeded

    monkeypatch.setattr(ranges, "run_with_deadline", late)
    with pytest.raises(RemoteError) as refused:
        use(Response()).handle_request(request())
    assert str(refused.value) == "too slow: no answer in 60 seconds"


def addresses_of(*texts):
    return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (text, 443)) for text in texts]


def test_backend__tries_allowed_addresses_in_turn(monkeypatch):
    tried = []

    def connect(self, address, port, *rest, **options):
        tried.append((address, port, rest, options))
        if address == "8.8.8.8":
            raise httpcore.ConnectError("no route")
        return f"to {address}"

    monkeypatch.setattr(httpcore.SyncBackend, "connect_tcp", connect)
    monkeypatch.setattr(
        socket, "getaddrinfo", lambda *given, **named: addresses_of("10.0.0.1", "8.8.8.8", "8.8.8.8", "9.9.9.9")
    )
    backend = ranges._GuardedBackend()
    assert backend.connect_tcp("a.org", 443, 5.0, local_address="x") == "to 9.9.9.9"
    assert tried == [(address, 443, (5.0,), {"local_address": "x"}) for address in ("8.8.8.8", "9.9.9.9")]
    monkeypatch.setattr(socket, "getaddrinfo", lambda *given, **named: addresses_of("8.8.8.8", "127.0.0.1"))
    with pytest.raises(httpcore.ConnectError, match=r"^no route$"):
        backend.connect_tcp("a.org", 443)
    monkeypatch.setattr(socket, "getaddrinfo", lambda *given, **named: addresses_of("127.0.0.1"))
    with pytest.raises(AddressRefused, match=r"^a\.org leads to no address on the open internet$"):
        backend.connect_tcp("a.org", 443)
    monkeypatch.setattr(ranges, "ALLOW_LOOPBACK", True)
    assert backend.connect_tcp("a.org", 443) == "to 127.0.0.1"

    def unknown(*given, **named):
        raise OSError("no such name")

    monkeypatch.setattr(socket, "getaddrinfo", unknown)
    with pytest.raises(httpcore.ConnectError, match=r"^a\.org: no such name$"):
        backend.connect_tcp("a.org", 443)
    with pytest.raises(AddressRefused, match=r"^a photo is not fetched from a socket of this machine$"):
        backend.connect_unix_socket("/x")


def test_async_backend__tries_allowed_addresses_in_turn(monkeypatch):
    tried = []

    class Inner:
        async def connect_tcp(self, *given):
            tried.append(given)
            if given[0] == "8.8.8.8":
                raise httpcore.ConnectError("no route")
            return f"to {given[0]}"

        async def sleep(self, seconds):
            tried.append(seconds)

    resolved = ["10.0.0.1", "8.8.8.8", "9.9.9.9"]

    async def names(self, host, port, timeout):
        tried.append((host, port, timeout))
        return resolved

    monkeypatch.setattr(GuardedBackend, "_resolved", names)
    backend = GuardedBackend(backend=Inner())
    assert asyncio.run(backend.connect_tcp("a.org", 443, 5.0, "x", ["o"])) == "to 9.9.9.9"
    assert tried == [("a.org", 443, 5.0), ("8.8.8.8", 443, 5.0, "x", ["o"]), ("9.9.9.9", 443, 5.0, "x", ["o"])]
    resolved[:] = ["8.8.8.8"]
    with pytest.raises(httpcore.ConnectError, match=r"^no route$"):
        asyncio.run(backend.connect_tcp("a.org", 443))
    asyncio.run(backend.sleep(3.0))
    assert tried[-1] == 3.0


def test_async_backend__names_that_do_not_resolve(monkeypatch):
    class Loop:
        def __init__(self, error):
            self.error = error

        async def getaddrinfo(self, *given, **named):
            if self.error is not None:
                raise self.error
            return addresses_of("8.8.8.8", "8.8.8.8", "9.9.9.9")

    backend = GuardedBackend()

    def resolve(error, timeout=5.0):
        monkeypatch.setattr(addresses.asyncio, "get_running_loop", lambda: Loop(error))
        return asyncio.run(backend._resolved("a.org", 443, timeout))

    for error, kind, sentence in (
        (OSError("no such name"), httpcore.ConnectError, "a.org: no such name"),
        (asyncio.TimeoutError(), httpcore.ConnectTimeout, "a.org: no answer from the name server"),
    ):
        with pytest.raises(kind) as failed:
            resolve(error)
        assert str(failed.value) == sentence
    assert resolve(None) == ["8.8.8.8", "9.9.9.9"]


def test_hub__its_client_is_guarded_once(monkeypatch):
    installed = []
    monkeypatch.setattr(hub_client, "_installed", [])
    monkeypatch.setattr(huggingface_hub, "set_client_factory", installed.append)
    http = hub_client._library()
    inner = SimpleNamespace(close=lambda: None, handle_request=None)
    client = SimpleNamespace(_transport=inner, _mounts={"all://": inner, "http://": None})
    from huggingface_hub.utils import _http

    monkeypatch.setattr(_http, "_GLOBAL_CLIENT_FACTORY", lambda: client, raising=False)
    with from_hub():
        pass
    assert len(installed) == 1
    monkeypatch.setattr(_http, "_GLOBAL_CLIENT_FACTORY", installed[0])
    for _ in range(2):
        with from_hub():
            pass
    assert len(installed) == 1
    made_client = installed[0]()
    assert made_client is client
    assert isinstance(client._transport, http.BaseTransport)
    assert isinstance(client._mounts["all://"], http.BaseTransport)
    assert client._mounts["http://"] is None
    monkeypatch.setattr(_http, "_GLOBAL_CLIENT_FACTORY", lambda: client)  # of another program: it is guarded anew
    with from_hub():
        pass
    assert len(installed) == 2
