"""Options of each step as its function receives them, by doubles of the functions."""

import dataclasses
import shlex

import pytest

from builders.errors import UsageError
from builders.exif import STUDY_ATTRIBUTES
from builders.flickrexif.cli.steps import main, user_agent
from builders.flickrexif.fetch.transfer import FetchPlan
from builders.flickrexif.store.store import State
from builders.splits import Sizes

DAY = 86400
APRIL = 1333238400
"""2012-04-01, midnight UTC."""


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


MONTH = "--from 2012-04-01 --to 2012-04-15"


@pytest.mark.parametrize(
    ("words", "changes"),
    [
        ("--limit 7", {"photos": 7}),
        ("--limit 7 --per-user-month 3", {"photos": 7, "per_user_month": 3}),
        ("--limit 7 --seed 5", {"photos": 7, "seed": 5}),
        ("--limit 7 --no-exif", {"photos": 7, "with_exif": False}),
        ("--limit 7 --each-licence", {"photos": 7, "each_licence": True}),
        ("--limit 7 --empty-again-after 0", {"photos": 7, "empty_again_s": 0.0}),
        ("", {"photos": None}),
    ],
)
def test_search__options_are_in_the_plan(called, words, changes):
    (client, made), named = called("search", f"search {MONTH} {words} --connections 3 --calls-per-hour 1800")
    default = called("search", f"search {MONTH}")[0][1]
    assert (client, named) == ("client", {"connections": 3, "seconds_per_call": 2.0})
    assert (made.start, made.end) == (APRIL, APRIL + 15 * DAY)
    expected = {**vars(default), **changes}
    assert vars(made) == expected


def test_search__one_day_is_a_day(called):
    made = called("search", "search --from 2012-04-01 --to 2012-04-01")[0][1]
    assert (made.start, made.end) == (APRIL, APRIL + DAY)


def test_search__a_dry_run_asks_the_pilot(called):
    (_, made), named = called("pilot", f"search {MONTH} --dry-run --connections 5 --limit 9")
    assert (made.photos, named) == (9, {"connections": 5})


def test_search__fill(called):
    words = f"search {MONTH} --fill make,iso --per-class 7 --connections 3 --calls-per-hour 100"
    (client, _, attributes), named = called("fill", words)
    assert (client, attributes) == ("client", ["make", "iso"])
    del named["tick"]
    assert named == {"per_class": 7, "connections": 3, "calls_per_hour": 100, "dry_run": False}
    assert called("fill", f"{words} --dry-run")[1]["dry_run"] is True


@pytest.mark.parametrize("step", ["refresh", f"search {MONTH}"])
def test_client__is_made_with_the_options(called, step):
    words = "--api-url http://127.0.0.1:9/a --attempts 3 --first-wait 0.5 --timeout 9 --contact me@example.org"
    (credentials, *_), named = called("client", f"{step} {words} --calls-per-hour 100")
    assert credentials.key == "0" * 32
    agent = named.pop("user_agent")
    assert agent == user_agent("me@example.org")
    assert named == {"url": "http://127.0.0.1:9/a", "attempts": 3, "first_wait_s": 0.5, "timeout_s": 9.0}


def test_refresh__after_so_many_days(called):
    assert called("refresh", "refresh --older-than-days 3") == (["client"], {"older_than_days": 3})


FETCHED = (
    "--size original,l --contact me@example.org --connections 2 --per-host 1 --max-bytes 1000 --timeout 3 "
    "--attempts 2 --first-wait 0.25 --retry-failed --allow-loopback --limit 5"
)
FETCH_PLAN = FetchPlan(
    sizes=("o", "l"), user_agent=user_agent("me@example.org"), connections=2, per_host=1, max_bytes=1000, timeout_s=3.0,
    attempts=2, first_wait_s=0.25, retry_failed=True, allow_loopback=True, limit=5,
)  # fmt: skip


def test_fetch__every_option_is_in_the_plan(called):
    assert called("fetch", f"fetch {FETCHED}") == ([FETCH_PLAN], {})


def test_load__options_of_fetching_and_its_own(called, tmp_path):
    options = FETCHED.removeprefix("--size original,l ")
    words = f"me/photos --output {tmp_path}/out --configs make,device-type --revision main {options}"
    (source, output, fetched), named = called("load", f"load {words}")
    assert (source, str(output)) == ("me/photos", f"{tmp_path}/out")
    assert fetched == dataclasses.replace(FETCH_PLAN, sizes=("any",))
    assert named == {"configs": ["make", "device_type"], "revision": "main"}


def test_import__where_from(called, tmp_path):
    assert called("table", f"import --table {tmp_path}/ids.csv")[0] == [None, tmp_path / "ids.csv", None]
    assert called("table", "import --hub me/ids --revision abc")[0] == ["me/ids", None, "abc"]


def test_build__every_option_is_in_the_plan(called, tmp_path):
    (tmp_path / "splits").mkdir()
    for name in ("a.csv", "b.md", "c.parquet"):
        (tmp_path / "splits" / name).write_text("")
    sizes = "--train 10 --val 4 --test 5 --least 2 --seed 3 --assign stratified"
    words = f"--pixels --label-set reference --extra flash,year --workers 7 --fresh --contact a@b.org {sizes}"
    (made,), _ = called("build", f"build --output {tmp_path}/out --split-files {tmp_path}/splits {words}")
    assert (made.output, made.pixels, made.label_set, made.workers) == (tmp_path / "out", True, "reference", 7)
    assert (made.fresh, made.contact, made.seed, made.assign) == (True, "a@b.org", 3, "stratified")
    assert made.sizes == Sizes(10, 4, 5, 2)
    assert made.attributes == (*STUDY_ATTRIBUTES, "flash", "year")
    assert {p.name for p in made.split_files} == {"a.csv", "c.parquet"}
    (plain,), _ = called("build", f"build --output {tmp_path}/out")
    assert (plain.pixels, plain.label_set, plain.fresh, plain.seed, plain.assign) == (False, "clean", False, 0, "hash")
    assert (plain.sizes.least, plain.attributes, plain.split_files) == (20, tuple(STUDY_ATTRIBUTES), ())


def test_forget__photos_and_owners(called):
    assert called("forget", "forget --photo 5 --photo 6 --owner 1@N02")[1] == {
        "photos": ["5", "6"],
        "owners": ["1@N02"],
    }


def test_status__calls_per_hour(called):
    assert called("status", "status --calls-per-hour 100") == ([100], {})


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ("search --from 2012-04-02 --to 2012-04-01", "--from 2012-04-02 lies after --to 2012-04-01"),
        ("search --from 2012-4 --to 2012-04-01", "write a date as 2004-01-31"),
        ("search --per-user-month 0", "--per-user-month: 0: at least 1 is needed"),
        ("search --limit 0", "--limit: 0: at least 1 is needed"),
        ("search --empty-again-after -1", "-1: a finite number of at least 0 is needed"),
        ("search --empty-again-after nan", "nan: a finite number of at least 0 is needed"),
        ("search --calls-per-hour 1", "--calls-per-hour: 1: at least 2 is needed"),
        ("search --calls-per-hour 3601", "--calls-per-hour 3601: Flickr allows 3600"),
        ("search --api-url http://a.example", "a key is only sent over https"),
        ("search --fill make --per-class 0", "--per-class: 0: at least 1 is needed"),
        ("forget", "say whom to forget: --owner NSID or --photo ID"),
        ("status --calls-per-hour 1", "--calls-per-hour: 1: at least 2 is needed"),
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
    with pytest.raises(UsageError, match="give a plain e-mail address"):
        user_agent(contact)


def test_user_agent__with_and_without_contact():
    assert user_agent(None).endswith("(FlickrExif data set builder)")
    assert user_agent("x" * 199).endswith(f"; contact: {'x' * 199})")
    assert user_agent("") == user_agent(None)
