"""Downloads reach the open internet only, never a private address; the address is checked as the connection is made.

A host name is resolved once, every address is checked, and the connection goes to an address that passed: a name that
resolves to something else a moment later (DNS rebinding) gains nothing.
"""

from __future__ import annotations

import asyncio
import ipaddress
import socket
import ssl
import typing
from collections.abc import AsyncIterator, Iterable

import httpcore
import httpx

from builders.errors import CamtraceError

_NAT64 = ipaddress.ip_network("64:ff9b::/96")
_LOCAL_NAT64 = ipaddress.ip_network("64:ff9b:1::/48")
_NEVER = (ipaddress.ip_network("fec0::/10"), ipaddress.ip_network("3fff::/20"), ipaddress.ip_network("5f00::/16"))
"""Site-local (RFC 3879), documentation (RFC 9637), segment routing (RFC 9602): not every Python knows them."""


class AddressRefused(CamtraceError):
    """A URL leads to an address that is not on the open internet."""


def address_allowed(text: str, *, allow_loopback: bool = False) -> bool:
    """True if a photo may be fetched from an IP address.

    Not allowed: private, loopback, link-local, multicast, reserved and unspecified addresses, and IPv6 addresses that
    contain one of them (IPv4-mapped, 6to4, Teredo, NAT64).

    >>> [address_allowed(a) for a in ("93.184.216.34", "10.0.0.1", "169.254.169.254", "::ffff:127.0.0.1", "224.0.0.1")]
    [True, False, False, False, False]
    """
    try:
        address = ipaddress.ip_address(text.partition("%")[0])
    except ValueError:
        return False
    if address.is_loopback:
        return allow_loopback
    inner = _embedded(address)
    if inner is not None:
        return address_allowed(str(inner), allow_loopback=allow_loopback)
    if isinstance(address, ipaddress.IPv6Address) and any(address in network for network in _NEVER):
        return False
    return address.is_global and not address.is_multicast and not address.is_reserved


def _embedded(address: ipaddress.IPv4Address | ipaddress.IPv6Address) -> ipaddress.IPv4Address | None:
    if isinstance(address, ipaddress.IPv4Address):
        return None
    if address in _NAT64:
        return ipaddress.IPv4Address(int(address) & 0xFFFFFFFF)
    if address in _LOCAL_NAT64:
        return ipaddress.IPv4Address("10.0.0.0")
    if address.teredo is not None:
        return address.teredo[1]
    return address.ipv4_mapped or address.sixtofour


class GuardedBackend(httpcore.AsyncNetworkBackend):
    """httpcore's network backend, limited to allowed addresses."""

    def __init__(self, *, allow_loopback: bool = False, backend: httpcore.AsyncNetworkBackend | None = None) -> None:
        self._allow_loopback = allow_loopback
        self._backend = backend or httpcore.AnyIOBackend()

    async def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,
        local_address: str | None = None,
        socket_options: Iterable[typing.Any] | None = None,
    ) -> httpcore.AsyncNetworkStream:
        """Resolve the host, check each address, connect to one that passed. Raises ``AddressRefused``."""
        error: Exception = AddressRefused(f"{host} leads to no address on the open internet")
        for address in await self._resolved(host, port, timeout):
            if not address_allowed(address, allow_loopback=self._allow_loopback):
                continue
            try:
                return await self._backend.connect_tcp(address, port, timeout, local_address, socket_options)
            except httpcore.ConnectError as failed:
                error = failed
        raise error

    async def connect_unix_socket(self, *_: typing.Any, **__: typing.Any) -> httpcore.AsyncNetworkStream:
        raise AddressRefused("a photo is not fetched from a socket of this machine")

    async def sleep(self, seconds: float) -> None:
        await self._backend.sleep(seconds)

    async def _resolved(self, host: str, port: int, timeout: float | None) -> list[str]:
        loop = asyncio.get_running_loop()
        try:
            addresses = await asyncio.wait_for(loop.getaddrinfo(host, port, type=socket.SOCK_STREAM), timeout)
        except asyncio.TimeoutError:
            raise httpcore.ConnectTimeout(f"{host}: no answer from the name server") from None
        except (OSError, UnicodeError) as failed:
            raise httpcore.ConnectError(f"{host}: {failed}") from None
        return list(dict.fromkeys(str(sockaddr[0]) for *_, sockaddr in addresses))


class GuardedTransport(httpx.AsyncBaseTransport):
    """httpx over a pool of guarded connections. Proxies of the environment are not used: they would resolve names."""

    def __init__(
        self, *, connections: int, allow_loopback: bool = False, ssl_context: ssl.SSLContext | None = None
    ) -> None:
        self._pool = httpcore.AsyncConnectionPool(
            ssl_context=ssl_context or httpx.create_ssl_context(trust_env=False),
            max_connections=connections,
            max_keepalive_connections=connections,
            keepalive_expiry=30.0,
            network_backend=GuardedBackend(allow_loopback=allow_loopback),
        )

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        url = request.url
        raw = httpcore.Request(
            method=request.method,
            url=httpcore.URL(scheme=url.raw_scheme, host=url.raw_host, port=url.port, target=url.raw_path),
            headers=request.headers.raw,
            content=request.stream,
            extensions=request.extensions,
        )
        response = await self._pool.handle_async_request(raw)
        return httpx.Response(response.status, headers=response.headers, stream=_Body(response))

    async def aclose(self) -> None:
        await self._pool.aclose()


class _Body(httpx.AsyncByteStream):
    def __init__(self, response: httpcore.Response) -> None:
        self._response = response

    async def __aiter__(self) -> AsyncIterator[bytes]:
        async for part in self._response.aiter_stream():
            yield part

    async def aclose(self) -> None:
        await self._response.aclose()
