"""Calls of the API: retries, final errors, and that the key is written nowhere."""

import contextlib
import io
import logging

import pytest
import requests

from builders.errors import UsageError
from builders.flickrexif.api.call_budget import CallBudget, budget_file
from builders.flickrexif.api.client import (
    Credentials,
    FlickrClient,
    FlickrRefusal,
    FlickrUnavailable,
    checked_endpoint,
)
from builders.flickrexif.store.store import State
from tests.support.clocks import SimulatedClock
from tests.support.flickr import KEY, SECRET, serving
from tests.support.flickr_world import World


class Script(requests.adapters.BaseAdapter):
    """Prepared responses, in order; the last one is repeated."""

    def __init__(self, *answers, clock=None):
        super().__init__()
        self.answers, self.times, self.clock = list(answers), [], clock

    def send(self, request, **_):
        self.times.append(self.clock.now())
        status, body, headers = self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]
        if status is None:
            raise requests.ConnectionError("no route")
        answer = requests.Response()
        answer.status_code, answer.request = status, request
        answer.headers.update(headers)
        answer.raw = io.BytesIO(body)
        return answer

    def close(self):
        pass


OK = (200, b'{"stat": "ok", "photo": {"exif": []}}', {})


def failing(code):
    return 200, b'{"stat": "fail", "code": %d, "message": "No"}' % code, {}


@pytest.fixture
def clock():
    return SimulatedClock()


@pytest.fixture
def state(tmp_path, clock):
    with State(tmp_path / "state", create=True, clock=clock) as opened:
        yield opened


def scripted(state, clock, *answers, **options):
    budget = CallBudget(state.path_of("budget.json"), clock, options.pop("calls_per_hour", 3600))
    client = FlickrClient(Credentials("k", "s"), state.record_call, clock, budget, user_agent="test", seed=0, **options)
    script = Script(*answers, clock=clock)
    client.session.mount("https://", script)
    return client, script


def ask(client):
    return client.call("photos.getExif", "1", expect="photo", photo_id=1)


@pytest.mark.parametrize(
    ("fault", "name"),
    [
        ((500, b"<html>", {}), "http 500"),
        ((503, b"", {}), "http 503"),
        ((429, b"", {}), "http 429"),
        ((302, b"", {"Location": "http://127.0.0.1/"}), "http 302"),
        ((200, b"<!DOCTYPE html><html></html>", {}), "html with 200"),
        ((200, b"", {}), "not JSON"),
        ((200, b'{"stat": "ok"', {}), "unreadable answer"),
        ((200, b'{"stat": "fail"}', {}), "unreadable answer"),
        ((200, b'{"stat": "ok"}', {}), "answer without photo"),
        ((None, b"", {}), "ConnectionError"),
        (failing(0), "code 0"),
        (failing(105), "code 105"),
        (failing(201), "code 201"),
    ],
)
def test_call__transient_faults_are_retried_with_growing_waits(state, clock, fault, name):
    client, script = scripted(state, clock, fault, fault, fault, OK)
    assert ask(client)["photo"] == {"exif": []}
    waits = [b - a for a, b in zip(script.times, script.times[1:], strict=False)]
    assert 0.5 <= waits[0] <= 1.1
    assert 1.0 <= waits[1] <= 2.1
    assert 2.0 <= waits[2] <= 4.1
    assert [r[0] for r in state.rows("SELECT outcome FROM calls ORDER BY attempt")] == [name] * 3 + ["ok"]


@pytest.mark.parametrize("code", [1, 2, 116])
def test_call__permanent_codes_are_not_retried(state, clock, code):
    client, script = scripted(state, clock, failing(code))
    with pytest.raises(FlickrRefusal) as refusal:
        ask(client)
    assert (refusal.value.code, len(script.times)) == (code, 1)


@pytest.mark.parametrize(("more", "outcome"), [(0, "ok"), (1, "answer too large")])
def test_call__responses_have_a_largest_size(state, clock, more, outcome):
    body = OK[1].ljust(32 * 2**20 + more)
    client, _ = scripted(state, clock, (200, body, {}), attempts=1)
    with contextlib.suppress(FlickrUnavailable):
        ask(client)
    assert [row[0] for row in state.rows("SELECT outcome FROM calls")] == [outcome]


def test_call__every_attempt_counts_against_the_budget(state, clock):
    client, script = scripted(state, clock, *[failing(0)] * 7, OK, calls_per_hour=60, first_wait_s=0.001)
    ask(client)
    assert len(script.times) == 8
    assert script.times[-1] - script.times[0] >= 7 * 60


def test_call__a_key_that_is_not_accepted_ends_the_run(state, clock):
    client, _ = scripted(state, clock, failing(100))
    with pytest.raises(UsageError, match="FLICKR_API_KEY"):
        ask(client)


@pytest.mark.parametrize("secret", [SECRET, ""])
def test_call__signed_or_with_the_key_alone_against_the_double(state, clock, caplog, secret):
    caplog.set_level(logging.DEBUG)
    with serving(World(count=100)) as flickr:
        budget = CallBudget(budget_file(KEY, state.folder), clock)
        client = FlickrClient(
            Credentials(KEY, secret), state.record_call, clock, budget, user_agent="me", url=flickr.api_url
        )
        client.call("photos.licenses.getInfo", "x", expect="licenses")
        assert flickr.calls["flickr.photos.licenses.getInfo"] == 1
        assert flickr.agents == {"me"}
        wrong = FlickrClient(
            Credentials(KEY if secret else "x", "wrong" if secret else ""),
            state.record_call, clock, budget, user_agent="me", url=flickr.api_url,
        )  # fmt: skip
        with pytest.raises(UsageError):
            wrong.call("photos.licenses.getInfo", "x", expect="licenses")
    assert KEY not in caplog.text
    assert SECRET not in caplog.text
    assert KEY not in repr(Credentials(KEY, SECRET))
    state.close()
    files = [path for path in state.folder.rglob("*") if path.is_file()]
    assert budget_file(KEY, state.folder) in files
    assert not any(KEY.encode() in path.read_bytes() or KEY in path.name for path in files)


@pytest.mark.parametrize("url", ["http://api.flickr.com/", "ftp://127.0.0.1/", "http://127.0.0.1.evil.org/", "x"])
def test_checked_endpoint__keys_travel_encrypted(url):
    with pytest.raises(UsageError):
        checked_endpoint(url)


def test_checked_endpoint__loopback_may_be_plain():
    assert checked_endpoint("http://127.0.0.1:80/rest/") == "http://127.0.0.1:80/rest/"
