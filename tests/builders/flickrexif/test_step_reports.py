"""What each step prints, records with ``--json`` and returns, by doubles of the functions that it calls."""

import json
import re
import shlex
from collections import Counter
from types import SimpleNamespace

import pytest

from builders.errors import UsageError
from builders.flickrexif.assemble.local_copy import LocalCopy
from builders.flickrexif.cli.steps import SEARCH_TAKES_ALL, main, parser
from builders.flickrexif.fetch.transfer import FetchCounts
from builders.flickrexif.search.fill_classes import FilledClass
from builders.flickrexif.search.forecast import Forecast
from builders.flickrexif.search.refresh import Refreshed
from builders.flickrexif.store.photos import ImportCounts
from builders.flickrexif.store.store import State
from builders.flickrexif.store.tombstones import Forgotten

PLACES = {
    "search": "builders.flickrexif.search.search.search",
    "pilot": "builders.flickrexif.search.search.pilot",
    "fill": "builders.flickrexif.search.fill_classes.fill",
    "refresh": "builders.flickrexif.search.refresh.refresh",
    "fetch": "builders.flickrexif.fetch.fetch.fetch",
    "table": "builders.flickrexif.search.import_ids.import_table",
    "rows": "builders.flickrexif.search.import_ids.import_rows",
    "build": "builders.flickrexif.assemble.build.build",
    "load": "builders.flickrexif.assemble.local_copy.load_local_copy",
    "forget": "builders.flickrexif.store.tombstones.forget",
    "text": "builders.flickrexif.search.status.status_text",
    "record": "builders.flickrexif.search.status.status_record",
}
FETCHED = FetchCounts(3, 2_500_000, Counter({"gone": 2, "timeout": 5}))
BUILD = SimpleNamespace(
    kind="flickrexif",
    default="make",
    splits=(
        SimpleNamespace(config="make", split="train", rows=1234, file_bytes=5, shards=(1, 2), failures=()),
        SimpleNamespace(
            config="iso", split="test", rows=7, file_bytes=6, shards=(1,),
            failures=(SimpleNamespace(id="9", reason="gone"),),
        ),
    ),
)  # fmt: skip


@pytest.fixture
def step(monkeypatch, tmp_path, capsys):
    """Run a step with values that functions return: its exit status, output, record, and the calls by name."""
    monkeypatch.setenv("FLICKR_API_KEY", "0" * 32)
    monkeypatch.setattr("builders.flickrexif.api.client.FlickrClient", lambda *positional, **named: "client")
    with State(tmp_path / "state", create=True) as state:
        state.rows("INSERT INTO calls VALUES (0, 'photos.search', 's', 1, 'ok', 0)")

    def run(words, **returned):
        calls = {}

        def double(name, value):
            return lambda *positional, **named: calls.setdefault(name, (positional, named)) and value

        for name, value in returned.items():
            monkeypatch.setattr(PLACES[name], double(name, value))
        first, *more = shlex.split(words)
        arguments = [first, *(() if first == "check" else ("--state", str(tmp_path / "state"))), *more]
        status = main(arguments)
        out = capsys.readouterr().out
        assert main([*arguments, "--json"]) == status
        result = capsys.readouterr()
        assert result.err.splitlines() == out.splitlines()
        return status, out.splitlines(), json.loads(result.out), calls

    return run


def test_search__of_everything_says_so_and_of_a_sample_does_not(step):
    status, lines, record, _ = step("search --per-user-month 7", search=None, text="the funnel", record={"a": 1})
    assert (status, lines, record) == (0, [SEARCH_TAKES_ALL.format(cap=7), "the funnel"], {"a": 1})
    _, lines, _, _ = step("search --limit 7", search=None, text="the funnel", record={"a": 1})
    assert lines == ["the funnel"]


def test_search__a_dry_run_forecasts(step, tmp_path):
    made = Forecast(100, False, 10, 12, 5000, 2, 30, 300, 28, True, 2.0, 0.5, True, 90)
    status, lines, record, _ = step("search --dry-run --limit 100 --calls-per-hour 183", pilot=made)
    assert status == 0
    assert lines[:-1] == made.to_text(183).splitlines()
    assert lines[-1] == (
        f"1 calls made so far; their results are in {tmp_path / 'state'}, and the search goes on from there"
    )
    hours = 360 / (183 - 183 / 60)
    assert (record["calls"], record["hours"], record["bytes"]) == (360, pytest.approx(hours), 9e7)
    assert (record["target"], record["exif_calls"], record["measured"]) == (100, 300, True)


def test_search__fill_has_a_line_for_each_class(step):
    classes = [FilledClass("make", "Kodak", 3, 12, 1040, 52_000), FilledClass("model", "X", 0, 0, 0, 0)]
    status, lines, record, calls = step("search --fill make,model --per-class 15", fill=classes)
    assert (status, lines) == (0, [
        f"{'make':<16} {'Kodak':<24}     3 ->    12 of 15, 1,040 photos checked; Flickr reports 52,000 for these words",
        f"{'model':<16} {'X':<24}     0 ->     0 of 15, 0 photos checked; Flickr reports 0 for these words",
    ])  # fmt: skip
    assert record[0] == {"attribute": "make", "name": "Kodak", "before": 3, "after": 12, "checked": 1040,
                         "reported": 52_000}  # fmt: skip
    assert calls["fill"][1]["tick"]() is None
    assert step("search --fill make", fill=[])[1:3] == (["every class has 200 photos"], [])


def test_refresh__counts(step):
    status, lines, record, calls = step("refresh", refresh=Refreshed(9, 1, 2, 3, 4))
    assert lines == ["9 looked up: 1 gone, 2 whose owner hides Exif now, 3 with another licence; 4 unanswered"]
    assert (status, record) == (0, {"checked": 9, "gone": 1, "hidden": 2, "changed": 3, "failed": 4})
    assert calls["refresh"][1] == {"older_than_days": None}


def test_fetch__counts(step):
    status, lines, record, _ = step("fetch", fetch=FETCHED)
    assert (status, lines) == (0, ["3 photos fetched (2.5 MB), 7 failed (timeout 5, gone 2)"])
    assert record == {"fetched": 3, "bytes": 2_500_000, "failures": {"gone": 2, "timeout": 5}}
    assert step("fetch", fetch=FetchCounts(1, 40_000))[1] == ["1 photos fetched (0.0 MB), 0 failed"]


@pytest.mark.parametrize(
    ("words", "origin", "seed"),
    [
        ("--hub org/ids", "org/ids@main", 0),
        ("--hub org/ids --revision abc --seed 4", "org/ids@abc", 4),
        ("--table some/where/ids.csv", "ids.csv", 0),
    ],
)
def test_import__records_where_from(step, words, origin, seed):
    status, lines, record, calls = step(f"import {words}", table=["row"], rows=ImportCounts(5, 4, 3, 2))
    assert (status, lines) == (0, [
        "5 photos added, 4 known before, 3 taken down, 2 rows unusable; 'refresh' looks up their licences, 'fetch' gets"
        " the files"
    ])  # fmt: skip
    assert record == {"added": 5, "known": 4, "taken_down": 3, "unusable": 2}
    assert calls["rows"][0][1:] == (["row"],)
    assert calls["rows"][1] == {"seed": seed, "origin": origin}


def test_build__splits_limits_and_what_is_left_out(step, tmp_path):
    limits = SimpleNamespace(attribute="make", to_text=lambda: "make: 2 classes")
    made = SimpleNamespace(
        build=BUILD, limits=(), left_out={"no file": 1200, "gone": 1}, report=SimpleNamespace(problems=["a", "b"])
    )
    status, lines, record, calls = step(f"build --output {tmp_path}/out --contact me@example.org", build=made)
    assert (status, lines) == (0, [
        f"{'make':<18} {'train':<11}     1,234 rows",
        f"{'iso':<18} {'test':<11}         7 rows, 1 failed",
        "left out: no file: 1,200",
        "left out: gone: 1",
        f"{tmp_path}/out: 2 problems found in the splits; 'check' lists them",
    ])  # fmt: skip
    assert record["splits"][1]["failures"] == [{"id": "9", "reason": "gone"}]
    assert {name: record[name] for name in ("output", "kind", "default", "limits", "left_out", "problems")} == {
        "output": f"{tmp_path}/out", "kind": "flickrexif", "default": "make", "limits": {},
        "left_out": {"no file": 1200, "gone": 1}, "problems": 2,
    }  # fmt: skip
    assert calls["build"][0][1].split_files == ()
    from builders.flickrexif.cli import steps

    printed = SimpleNamespace(**{**vars(made), "limits": (limits,)})
    options = parser().parse_args(["build", "--state", str(tmp_path / "state"), "--output", str(tmp_path / "out")])
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(PLACES["build"], lambda *given: printed)
        printed_lines = []
        patched.setattr("builtins.print", lambda *words, **named: printed_lines.append(words))
        assert steps._build(options) == 0
    assert ("make: 2 classes",) in printed_lines


@pytest.mark.parametrize(
    ("loaded", "unpinned", "status"), [(5, 0, 0), (5, 2, 0), (0, 0, 1)], ids=["all", "unpinned", "nothing"]
)
def test_load__counts_and_exit_status(step, tmp_path, loaded, unpinned, status):
    copy = LocalCopy(BUILD, FETCHED, taken_down=6, loaded=loaded, unpinned=unpinned, missing=8)
    done, lines, record, calls = step(f"load org/photos --output {tmp_path}/out", load=copy)
    middle = " (2 of them unpinned: their hash was never published)" if unpinned else ""
    assert lines == [
        f"{tmp_path}/out: 3 photos fetched, {loaded} in the data set{middle}, 6 taken down, 8 not to be had"
    ]
    assert done == status
    counts = {"loaded": loaded, "unpinned": unpinned, "taken_down": 6, "missing": 8}
    assert {name: record[name] for name in counts} == counts
    assert (record["fetched"]["fetched"], record["splits"][0]["rows"]) == (3, 1234)
    (source, _, output, plan), named = calls["load"]
    assert (source, str(output), plan.sizes, plan.connections) == ("org/photos", f"{tmp_path}/out", ("any",), 16)
    assert named == {"configs": [], "revision": None}


@pytest.mark.parametrize("whole", [True, False])
def test_forget__counts_and_whether_the_state_was_written_anew(step, tmp_path, whole):
    status, lines, record, calls = step("forget --photo 5,6 --owner 1@N00", forget=Forgotten(4, 3, whole))
    assert lines[0] == (
        "4 photos and 3 files removed; tombstones keep them out. Data sets built before still hold them: build again "
        "and publish that"
    )
    assert lines[1:] == (
        [] if whole else [f"another process has {tmp_path / 'state'} open: run 'forget' again after it, to write the "
                          "state anew"]
    )  # fmt: skip
    assert (status, record) == (0, {"photos": 4, "files": 3, "overwritten": whole})
    assert calls["forget"][1] == {"photos": ["5", "6"], "owners": ["1@N00"]}


def test_status__text_and_record_by_the_budget(step):
    status, lines, record, calls = step("status --calls-per-hour 500", text="funnel\ncalls", record={"b": 2})
    assert (status, lines, record) == (0, ["funnel", "calls"], {"b": 2})
    assert (calls["text"][0][1:], calls["record"][0][1:]) == ((500,), (500,))


def test_check__findings_and_exit_status(step, tmp_path):
    table = tmp_path / "model.csv"
    table.write_text("id,split,label\n1,train,a\n2,train,b\n1,test,a\n3,test,b\n4,val,a\n5,val,b\n")
    status, lines, record, _ = step(f"check {table}")
    assert status == 1
    assert any("PROBLEM" in line for line in lines)
    assert any(finding["level"] == "problem" for finding in record["findings"])


STATED = re.compile(r"\((?:default )?(\d+)( MiB)?\)")


def test_options__defaults_are_those_that_the_help_states():
    """Numbers in brackets, or the first of words after ``default``."""
    checked = set()
    (steps,) = [action for action in parser()._actions if action.choices]
    for name, step in steps.choices.items():
        for action in step._actions:
            if action.help and (stated := STATED.search(action.help)):
                number = int(stated[1]) * (2**20 if stated[2] else 1)
                assert action.default == number, (name, action.option_strings)
                checked.add((name, action.dest))
    assert {("search", "per_user_month"), ("search", "empty_again_after"), ("fetch", "max_bytes"), ("build", "least"),
            ("load", "attempts"), ("refresh", "attempts"), ("search", "connections")} <= checked  # fmt: skip
    assert len(checked) > 20


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
