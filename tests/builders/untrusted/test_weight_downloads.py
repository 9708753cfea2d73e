"""torch.hub and plain urllib against a server that is slow, endless, broken or redirects: an error by name."""

import urllib.error
import urllib.request

import pytest
import torch

from builders.errors import RemoteError
from builders.untrusted import Pace, from_authors
from tests.support.hub import HubDouble

QUICK = Pace(headers_s=0.4, grace_s=0.4, least_bytes_per_s=1000.0, deadline_s=30.0)
BIG = bytes(range(256)) * 4000


@pytest.fixture
def hub():
    with HubDouble() as double:
        double.create("a/b").commit({"weights.json": BIG}, "files")
        yield double


def _address(hub, name="weights.json"):
    return f"{hub.url}/datasets/a/b/resolve/main/{name}"


ESCAPED = {
    "slow headers": "too slow: no answer in 0 seconds",
    "slow body": r"too slow: \d+ bytes in 0 seconds, fewer than 1,000 a second",
    "breaks off": "broke off after 1 bytes",
    "endless": "more than 1,050,000 bytes, which no such file may have",
    "too large": "more than the 1 MiB that such a file may have",
}


@pytest.mark.parametrize("how", ESCAPED)
def test_from_authors__hostile_responses_end_in_a_sentence_and_leave_no_file(hub, tmp_path, how):
    hub.fail("GET", "resolve", 100, hostile=how)
    with from_authors(1_050_000, QUICK), pytest.raises(RemoteError, match=ESCAPED[how]) as caught:
        torch.hub.download_url_to_file(_address(hub), str(tmp_path / "w.pth"), progress=False)
    assert str(caught.value).startswith(_address(hub))
    assert list(tmp_path.iterdir()) == []


def test_from_authors__a_file_in_time_arrives_whole(hub, tmp_path):
    with from_authors(len(BIG), QUICK):
        torch.hub.download_url_to_file(_address(hub), str(tmp_path / "w.pth"), progress=False)
        with urllib.request.urlopen(_address(hub)) as answer:
            assert answer.read() == BIG
        with urllib.request.urlopen(_address(hub)) as answer:
            assert b"".join(iter(lambda: answer.read(1000), b"")) == BIG
        with pytest.raises(urllib.error.HTTPError, match="404"):
            urllib.request.urlopen(_address(hub, "none"))
    assert (tmp_path / "w.pth").read_bytes() == BIG


@pytest.mark.parametrize("address", ["file:///etc/hostname", "ftp://127.0.0.1/x"])
def test_from_authors__other_schemes_are_refused(address):
    with from_authors(), pytest.raises(RemoteError):
        urllib.request.urlopen(address)


def test_from_authors__the_innermost_is_in_force_and_the_opener_before_is_restored(hub):
    before = urllib.request.build_opener()
    urllib.request.install_opener(before)
    try:
        with from_authors(10, QUICK):
            with from_authors(len(BIG), QUICK), urllib.request.urlopen(_address(hub)) as answer:
                assert len(answer.read()) == len(BIG)
            with pytest.raises(RemoteError, match="10"):
                urllib.request.urlopen(_address(hub))
        assert urllib.request._opener is before
    finally:
        urllib.request.install_opener(None)
