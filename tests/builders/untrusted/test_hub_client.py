"""The real client of the Hub against a server that is slow, endless, broken or compresses: an error by name."""

import errno
import io
import json
import sys
import time
from typing import Any

import huggingface_hub
import pytest
from huggingface_hub import HfApi, constants, hf_hub_download
from huggingface_hub.errors import HFValidationError
from huggingface_hub.utils import _http

from builders.errors import DiskError, RemoteError
from builders.untrusted import Pace, client_message, from_hub
from tests.support.hub import HOSTILE, HubDouble

QUICK = Pace(headers_s=0.4, grace_s=0.4, least_bytes_per_s=1000.0, deadline_s=30.0)


@pytest.fixture
def hub(monkeypatch):
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", False)
    with HubDouble() as double:
        repo = double.create("a/b")
        repo.commit({"config.json": b"{}", "big.json": bytes(3_000_000)}, "files")
        yield double


def _fetch(hub, tmp_path, name="config.json"):
    path = hf_hub_download("a/b", name, repo_type="dataset", endpoint=hub.url, cache_dir=tmp_path)
    with open(path, "rb") as stream:
        return stream.read()


ESCAPED = {
    "slow headers": "too slow: no answer in 0 seconds",
    "slow body": r"too slow: \d+ bytes in 0 seconds, fewer than 1,000 a second",
    "breaks off": r"too slow: \d+ bytes in \d+ seconds",
    "endless": "more than 1,000,000 bytes, which no such file may have",
    "too large": "more than the 977 KiB that such a file may have",
    "packed": "more than 1,000,000 bytes",
    "packed as br": "packed as 'br', which was not requested",
}


@pytest.mark.slow
@pytest.mark.parametrize("how", HOSTILE)
def test_from_hub__hostile_responses_end_in_a_sentence(hub, tmp_path, how):
    hub.fail("GET", "resolve", 100, hostile=how)
    with from_hub(1_000_000, QUICK), pytest.raises(RemoteError, match=ESCAPED[how]) as caught:
        _fetch(hub, tmp_path)
    assert "/datasets/a/b/resolve/" in str(caught.value)
    assert hub.count("GET", "resolve") <= 3
    assert sum(path.stat().st_size for path in tmp_path.rglob("*") if path.is_file()) < 1_100_000


def test_from_hub__responses_of_the_api_and_heads_have_limits_too(hub, tmp_path):
    hub.fail("GET", "/api/", hostile="slow headers")
    with from_hub(pace=QUICK), pytest.raises(RemoteError, match="/api/datasets/a/b"):
        HfApi(endpoint=hub.url).dataset_info("a/b")
    hub.fail("HEAD", "resolve", hostile="slow headers")
    with from_hub(pace=QUICK), pytest.raises(RemoteError, match="too slow"):
        _fetch(hub, tmp_path)


def test_from_hub__a_file_in_time_and_within_the_limit_arrives_whole(hub, tmp_path):
    with from_hub(3_000_000, QUICK):
        assert _fetch(hub, tmp_path, "big.json") == bytes(3_000_000)
        assert [entry.path for entry in HfApi(endpoint=hub.url).list_repo_tree("a/b", repo_type="dataset")]
    with from_hub(2_999_999, QUICK), pytest.raises(RemoteError, match="MiB"):
        _fetch(hub, tmp_path / "other", "big.json")


def test_from_hub__compressed_responses_within_the_limit_are_decompressed(hub, tmp_path):
    hub.fail("GET", "resolve", hostile="packed")
    huggingface_hub.close_session()
    with (
        from_hub(64 << 20, QUICK),
        huggingface_hub.get_session().stream("GET", f"{hub.url}/datasets/a/b/resolve/main/config.json") as response,
    ):
        assert "Content-Encoding" not in response.headers
        assert sum(map(len, response.iter_bytes())) == 64 << 20


def test_from_hub__outside_of_it_the_client_is_as_it_was(hub, tmp_path, monkeypatch):
    monkeypatch.setattr(constants, "HF_HUB_DISABLE_XET", False)
    with from_hub(10, QUICK):
        assert constants.HF_HUB_DISABLE_XET
        with from_hub(3_000_000, QUICK):
            assert len(_fetch(hub, tmp_path, "big.json")) == 3_000_000
        assert constants.HF_HUB_DISABLE_XET
    with from_hub(sends=True):
        assert not constants.HF_HUB_DISABLE_XET
    assert not constants.HF_HUB_DISABLE_XET
    monkeypatch.setattr(constants, "HF_HUB_DISABLE_XET", True)
    assert len(_fetch(hub, tmp_path / "again", "big.json")) == 3_000_000
    monkeypatch.setenv("HF_HUB_DISABLE_XET", "0")
    monkeypatch.setattr(constants, "HF_HUB_DISABLE_XET", False)
    with from_hub():
        assert not constants.HF_HUB_DISABLE_XET


def test_client_message__is_that_of_the_remote_error_below_the_errors_of_clients():
    measured = RemoteError("too slow")
    reference = ValueError("cannot load")
    reference.__cause__ = OSError()
    reference.__cause__.__context__ = measured
    assert client_message(reference) == "too slow"
    assert client_message(ValueError("x\ny")) == "x"
    assert client_message(KeyError()) == "KeyError"


def test_client_message__of_a_file_that_datasets_cannot_read_is_the_reason():
    hidden = ValueError("An error occurred while generating the dataset")
    hidden.__cause__ = OSError("the archive has 3 GiB unpacked, more than 1 GiB")
    assert client_message(hidden) == "OSError: the archive has 3 GiB unpacked, more than 1 GiB"


def test_from_hub__a_connection_that_fails_is_an_error_of_the_package():
    """A README that redirects to a host that refuses: the client passes on what its HTTP library raises."""
    import httpx

    with pytest.raises(RemoteError), from_hub():
        httpx.get("http://127.0.0.1:9/README.md")


@pytest.mark.parametrize(
    "answer", [b'{"id": "a/b", "tags": [', b"\xff\xfe", b"[]", b"3", b'{"id": 7, "siblings": [4]}']
)
def test_from_hub__an_answer_that_is_malformed_is_an_error_of_the_package(hub, monkeypatch, answer):
    http = getattr(_http, "httpx2", None) or _http.httpx

    def respond(self, request, **kwargs):
        return http.Response(200, content=answer, request=request)

    monkeypatch.setattr(http.Client, "send", respond)
    with pytest.raises(RemoteError), from_hub():
        HfApi(endpoint=hub.url).dataset_info("a/b")


def test_from_hub__other_errors_stay_as_they_are(hub):
    with pytest.raises(KeyError), from_hub():
        {}["ours"]
    with pytest.raises(json.JSONDecodeError), from_hub():
        json.loads("{")
    with pytest.raises(HFValidationError), from_hub():
        HfApi(endpoint=hub.url).dataset_info("a/b/c/d")


def test_from_hub__a_request_does_not_wait_for_another_one_that_hangs(hub, tmp_path):
    hub.fail("GET", "config.json", 100, hostile="slow headers")
    started = time.monotonic()
    with from_hub(3_000_000, Pace(headers_s=0.4)):
        for _ in range(2):
            with pytest.raises(RemoteError):
                _fetch(hub, tmp_path)
        assert len(_fetch(hub, tmp_path, "big.json")) == 3_000_000
    assert time.monotonic() - started < 60  # not the hours that the header would take


def test_from_hub__a_full_disk_is_no_fault_of_the_network(tmp_path):
    wrapped = ValueError("cannot load it")
    wrapped.__cause__ = OSError(errno.ENOSPC, "No space left on device", str(tmp_path / "blob"))
    with (
        pytest.raises(DiskError),
        from_hub(),
    ):
        raise wrapped
    with pytest.raises(OSError, match="no route"), from_hub():
        raise OSError(errno.EHOSTUNREACH, "no route to host")


class Terminal(io.StringIO):
    def __init__(self, seen: bool) -> None:
        super().__init__()
        self.isatty = lambda: seen


@pytest.mark.parametrize("seen", [False, True])
def test_from_hub__bars_are_drawn_on_a_terminal_only(monkeypatch, hub, tmp_path, seen):
    """Also with several threads: what the first one switched off is on again when the last one has left."""
    datasets = pytest.importorskip("datasets")
    libraries = (huggingface_hub.utils, datasets.utils)
    monkeypatch.setattr(constants, "HF_HUB_DISABLE_PROGRESS_BARS", None)
    monkeypatch.setattr(sys.modules["huggingface_hub.utils.tqdm"], "HF_HUB_DISABLE_PROGRESS_BARS", None)
    for library in libraries:
        library.enable_progress_bars()
    monkeypatch.setattr("sys.stderr", Terminal(seen))
    with from_hub():
        with from_hub():
            assert [library.are_progress_bars_disabled() for library in libraries] == [not seen] * 2
        _fetch(hub, tmp_path, "big.json")
        datasets.Dataset.from_dict({"a": [1]}).map(lambda row: row)
    assert [library.are_progress_bars_disabled() for library in libraries] == [False] * 2
    assert ("big.json" in sys.stderr.getvalue(), "Map" in sys.stderr.getvalue()) == (seen, seen)


def test_from_hub__at_most_so_many_answers_of_the_api_from_one_address(hub, tmp_path, monkeypatch):
    """A page that names itself as the next one would be read for ever."""
    monkeypatch.setattr("builders.untrusted.hub_client.MAX_API_RESPONSES", 3)
    api = HfApi(endpoint=hub.url)
    with from_hub(pace=QUICK):
        for _ in range(3):
            api.dataset_info("a/b")
        with pytest.raises(RemoteError, match="/api/datasets/a/b"):
            api.dataset_info("a/b")
        for _ in range(5):  # files are not of the API
            _fetch(hub, tmp_path)


def test_from_hub__a_plain_error_of_the_client_about_an_answer_is_a_remote_error_with_its_cause():
    """As where a damaged file is fetched again, and the answer about it cannot be read."""
    module: dict[str, Any] = {"__name__": "huggingface_hub.file_download"}
    exec("def fail(cause):\n    raise ValueError('Force download failed due to the above error.') from cause", module)
    with pytest.raises(RemoteError, match="'etag'"), from_hub():
        module["fail"](KeyError("etag"))
    with pytest.raises(ValueError, match="of a caller"), from_hub():
        raise ValueError("of a caller")
