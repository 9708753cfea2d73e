"""Options of each step as its function receives them, by doubles of the functions."""

import shlex

import pytest

from builders.errors import UsageError
from builders.flickrexif.cli.steps import main, user_agent
from builders.flickrexif.store.store import State


class Stop(Exception):
    """Raised by a double: what happens after the call does not matter here."""


@pytest.fixture
def called(monkeypatch, tmp_path):
    """Run a step until it calls one of these functions; returns its arguments without the state: positional, named."""
    places = {
        "search": "builders.flickrexif.search.search.search",
        "pilot": "builders.flickrexif.search.search.pilot",
        "fill": "builders.flickrexif.search.fill_classes.fill",
        "refresh": "builders.flickrexif.search.refresh.refresh",
        "fetch": "builders.flickrexif.fetch.fetch.fetch",
        "table": "builders.flickrexif.search.import_ids.import_table",
        "build": "builders.flickrexif.assemble.build.build",
        "load": "builders.flickrexif.assemble.local_copy.load_local_copy",
        "forget": "builders.flickrexif.store.tombstones.forget",
        "client": "builders.flickrexif.api.client.FlickrClient",
        "status": "builders.flickrexif.search.status.status_text",
    }
    monkeypatch.setenv("FLICKR_API_KEY", "0" * 32)
    with State(tmp_path / "state", create=True):
        pass

    def run(until: str, words: str):
        calls = []

        def double(*positional, **named):
            calls.append(([v for v in positional if not isinstance(v, State)], named))
            raise Stop

        with monkeypatch.context() as patched:
            if until != "client":
                patched.setattr(places["client"], lambda *positional, **named: "client")
            patched.setattr(places[until], double)
            step, *more = shlex.split(words)
            with pytest.raises(Stop):
                main([step, "--state", str(tmp_path / "state"), *more])
        return calls[0]

    return run


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ("search --from 2012-04-02 --to 2012-04-01", "--from 2012-04-02"),
        ("search --from 2012-4 --to 2012-04-01", "write a date as 2004-01-31"),
        ("search --per-user-month 0", "--per-user-month"),
        ("search --limit 0", "--limit"),
        ("search --empty-again-after -1", "-1"),
        ("search --empty-again-after nan", "finite"),
        ("search --calls-per-hour 1", "--calls-per-hour"),
        ("search --calls-per-hour 3601", "--calls-per-hour 3601"),
        ("search --api-url http://a.example", "https"),
        ("search --fill make --per-class 0", "--per-class"),
        ("forget", "--owner"),
        ("status --calls-per-hour 1", "--calls-per-hour"),
        ("--output out", "flickrexif search"),
        ("build --output out --extra colour", "unknown attribute 'colour'"),
    ],
)
def test_steps__mistakes_are_one_sentence(called, tmp_path, words, message):
    step, *more = shlex.split(words)
    with pytest.raises(UsageError) as error:
        main([step, "--state", str(tmp_path / "state"), *more])
    assert message in str(error.value)


@pytest.mark.parametrize("contact", ["a b\n", "é@b.org", "x" * 200])
def test_user_agent__a_contact_that_is_no_plain_address(contact):
    with pytest.raises(UsageError, match="address"):
        user_agent(contact)
