"""Where a connection of a download may go."""

import asyncio
import ipaddress

import httpcore
import pytest

from builders.untrusted import AddressRefused
from builders.untrusted.addresses import GuardedBackend, address_allowed


@pytest.mark.parametrize(
    "address",
    [
        "127.0.0.1", "127.8.8.8", "10.1.2.3", "172.16.0.1", "192.168.1.1", "169.254.169.254", "100.64.0.1", "0.0.0.0",
        "224.0.0.1", "255.255.255.255", "240.0.0.1", "198.18.0.1", "192.0.2.1", "::1", "::", "fe80::1%eth0", "fc00::1",
        "ff02::1", "::ffff:10.0.0.1", "::ffff:127.0.0.1", "2002:7f00:1::", "64:ff9b::a00:1", "64:ff9b:1::1",
        "2001:db8::1", "fec0::1", "feff::1", "3fff::1", "3fff:fff::1", "5f00::1", "localhost", "",
    ],
)  # fmt: skip
def test_address_allowed__only_the_open_internet(address):
    assert not address_allowed(address)


def test_address_allowed__public_addresses_and_loopback_if_allowed():
    assert address_allowed("93.184.216.34")
    assert address_allowed("2606:2800:220:1:248:1893:25c8:1946")
    assert address_allowed("127.0.0.1", allow_loopback=True)
    assert address_allowed("::ffff:127.0.0.1", allow_loopback=True)
    assert not address_allowed("10.0.0.1", allow_loopback=True)


def within(form, address, other="0.0.0.0"):
    """An IPv6 address that contains an IPv4 address."""
    inner, rest = (int(ipaddress.IPv4Address(text)) for text in (address, other))
    number = {
        "mapped": 0xFFFF << 32 | inner,
        "6to4": 0x2002 << 112 | inner << 80,
        "NAT64": 0x64FF9B << 96 | inner,
        "Teredo": 0x20010000 << 96 | rest << 64 | inner ^ 0xFFFFFFFF,
        "Teredo's server": 0x20010000 << 96 | inner << 64 | rest ^ 0xFFFFFFFF,
    }[form]
    return str(ipaddress.IPv6Address(number))


@pytest.mark.parametrize("form", ["mapped", "6to4", "NAT64", "Teredo"])
def test_address_allowed__by_the_address_within(form):
    for address, allowed in (
        *(("93.184.216.34", (True, True)), ("8.8.8.8", (True, True)), ("10.0.0.1", (False, False))),
        *(("127.0.0.1", (False, True)), ("224.0.0.1", (False, False)), ("169.254.169.254", (False, False))),
    ):
        for server in ("65.54.227.120", "10.0.0.1", "127.0.0.1"):  # Teredo's, which gets no connection
            text = within(form, address, server)
            assert (address_allowed(text), address_allowed(text, allow_loopback=True)) == allowed, (address, server)


def test_address_allowed__teredo_reaches_the_client_and_not_the_server():
    assert address_allowed(within("Teredo's server", "10.0.0.1", "93.184.216.34"))
    assert not address_allowed(within("Teredo's server", "93.184.216.34", "10.0.0.1"))


class _Recorder(httpcore.AsyncMockBackend):
    def __init__(self):
        super().__init__([b"HTTP/1.1 200 OK\r\n\r\n"])
        self.hosts = []

    async def connect_tcp(self, host, *rest, **options):
        self.hosts.append(host)
        return await super().connect_tcp(host, *rest, **options)


class _Names(GuardedBackend):
    """A resolver whose results change."""

    def __init__(self, recorder, *answers):
        super().__init__(backend=recorder)
        self.answers = list(answers)

    async def _resolved(self, host, port, timeout):
        return self.answers.pop(0)


def test_guarded_backend__connects_to_the_address_that_was_checked():
    recorder = _Recorder()
    backend = _Names(recorder, ["10.0.0.1", "93.184.216.34"], ["127.0.0.1"])
    asyncio.run(backend.connect_tcp("rebinding.example", 80))
    assert recorder.hosts == ["93.184.216.34"]  # an address, so that nobody resolves the name again
    with pytest.raises(AddressRefused):
        asyncio.run(backend.connect_tcp("rebinding.example", 80))
    assert recorder.hosts == ["93.184.216.34"]


@pytest.mark.parametrize(
    ("address", "allowed"),
    [("64:ff9b::808:808", True), ("64:ff9b::5db8:d822", True), ("64:ff9b::7f00:1", False), ("64:ff9b::", False)],
)
def test_address__behind_nat64_is_judged_by_its_last_32_bits(address, allowed):
    assert address_allowed(address) is allowed
