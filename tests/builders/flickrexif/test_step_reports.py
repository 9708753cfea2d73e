"""What each step prints, records with ``--json`` and returns, by doubles of the functions that it calls."""

import shlex

import pytest

from builders.errors import UsageError
from builders.flickrexif.cli.steps import parser


@pytest.mark.parametrize(
    ("words", "defaults"),
    [
        ("search --state s", {"start": "2004-01-01", "photos": None, "dry_run": False, "fill": None, "licences": (),
                              "non_commercial": False, "no_derivatives": False, "each_licence": False,
                              "no_exif": False}),
        ("refresh --state s", {"older_than_days": None}),
        ("fetch --state s", {"size": "original", "retry_failed": False, "limit": None, "allow_loopback": False,
                             "output_option": "--state"}),
        ("import --state s", {"hub": None, "table": None, "revision": None}),
        ("build --state s -o out", {"pixels": False, "label_set": "clean", "extra": (), "split_files": None,
                                    "assign": "hash", "train": None, "val": None, "test": None, "fresh": False}),
        ("load org/a --state s -o out", {"size": "any", "configs": (), "revision": None, "retry_failed": False}),
        ("forget --state s", {"photo": [], "owner": []}),
        ("status --state s", {"calls_per_hour": None}),
    ],
)  # fmt: skip
def test_options__left_out(words, defaults):
    options = vars(parser().parse_args(shlex.split(words)))
    assert {name: options[name] for name in defaults} == defaults


@pytest.mark.parametrize(
    "words",
    ["check", "build --state s", "load --state s -o out", "load a --state s", "search",
     "build --state s -o out --assign random", "build --state s -o out --label-set x"],
)  # fmt: skip
def test_options__that_are_needed(words):
    with pytest.raises(UsageError):
        parser().parse_args(shlex.split(words))


def test_options__from_the_environment(monkeypatch):
    monkeypatch.setenv("CAMTRACE_CONTACT", "me@example.org")
    monkeypatch.setenv("FLICKR_API_URL", "https://example.org/rest")
    words = {"search": "--state s", "refresh": "--state s", "fetch": "--state s", "build": "--state s -o out"}
    for name, more in words.items():
        options = parser().parse_args([name, *shlex.split(more)])
        assert options.contact == "me@example.org"
        assert getattr(options, "api_url", "https://example.org/rest") == "https://example.org/rest"
