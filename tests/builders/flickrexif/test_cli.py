"""The real command line against the double, from the search to load_dataset, killed and not killed."""

import os
import random
import re
import signal
import sqlite3
import time
from contextlib import closing
from pathlib import Path

import datasets
import pytest

from builders.flickrexif.cli.steps import main, parser
from builders.flickrexif.search.fill_classes import PER_CLASS
from tests.builders.flickrexif.test_search import MONTH, expected_ids
from tests.support.flickr import KEY, SECRET, Faults, serving
from tests.support.flickr_world import World
from tests.support.processes import start_python

ROOT = Path(__file__).parents[3]
CONNECTIONS = 4
HALF_MONTH = MONTH[0], MONTH[0] + 15 * 86400
FAULTS = Faults(busy=0.03, broken=0.03, html=0.03, code=0.03, slow=0.01, cut=0.02, slow_s=0.05, latency_s=0.002)


def start(flickr, *arguments):
    environment = {**os.environ, "FLICKR_API_KEY": KEY, "FLICKR_API_SECRET": SECRET, "FLICKR_API_URL": flickr.api_url}
    return start_python("-m", "builders", "flickrexif", *arguments, cwd=ROOT, env=environment)


def finish(process):
    out, err = process.communicate(timeout=120)
    assert process.returncode == 0, err
    assert KEY not in out + err
    return out


def steps(state, output):
    """Search half a month, fetch, build."""
    quick, built = ("--first-wait", 0.01), ("--contact", "a@b.org", "--least", 1)
    search = ("--from", "2012-04-01", "--to", "2012-04-15", "--per-user-month", 2, "--calls-per-hour", 10**8)
    return {
        "search": ("search", "--state", state, *search, *quick, "--connections", CONNECTIONS, "--contact", "a@b.org"),
        "fetch": ("fetch", "--state", state, "--allow-loopback", "--size", "o,l", *quick),
        "build": ("build", "--state", state, "--output", output, "--pixels", "--workers", 1, *built),
    }


def contents(state):
    """Content of a state without times and numbers of attempts."""
    with closing(sqlite3.connect(state / "state.sqlite")) as db:
        photos = db.execute(
            "SELECT id, owner, owner_name, title, month, uploaded, taken, licence, urls, rank, selected, exif_status,"
            " exif_error FROM photos ORDER BY id"
        ).fetchall()
        exif = db.execute("SELECT * FROM exif ORDER BY photo_id").fetchall()
        files = db.execute(
            "SELECT photo_id, size, url, status, path, sha256, bytes, content_type, error_class FROM files ORDER BY 1"
        ).fetchall()
        wanted = 'SELECT month, start, "end", licences, status, total, found FROM slices ORDER BY 2, 4'
        slices = db.execute(wanted).fetchall()
    on_disk = {p.relative_to(state): p.read_bytes() for p in (state / "files").rglob("*") if p.is_file()}
    return photos, exif, files, slices, on_disk


def kill_when(process, reached):
    """Kill a process when ``reached()``; returns whether it was killed."""
    while process.poll() is None:
        if reached():
            process.send_signal(signal.SIGKILL)
            process.communicate()
            return True
        time.sleep(0.002)
    return False


@pytest.mark.slow
def test_end_to_end__a_run_killed_in_each_step_ends_with_the_same_data_set(tmp_path):
    world, rng = World(), random.Random(5)
    with serving(world, FAULTS) as flickr:
        for arguments in steps(tmp_path / "calm", tmp_path / "calm-out").values():
            finish(start(flickr, *arguments))
        assert any(agent.endswith("(FlickrExif data set builder; contact: a@b.org)") for agent in flickr.agents)
        calm_calls = flickr.exif_calls.copy()
        assert set(calm_calls.values()) == {1}
        flickr.attempts.clear()
        flickr.exif_calls.clear()

        kills = 0
        todo = steps(tmp_path / "killed", tmp_path / "killed-out")
        for name in ("search", "fetch", "build"):
            process = start(flickr, *todo[name])
            if name == "build":
                kills += kill_when(process, lambda: any((tmp_path / "killed-out").glob("data/*/*.parquet")))
            else:
                target = sum(flickr.attempts.values()) + rng.randrange(1, 60)
                kills += kill_when(process, lambda at=target: sum(flickr.attempts.values()) >= at)
            finish(start(flickr, *todo[name]))
        assert kills == 3

    calm, killed = contents(tmp_path / "calm"), contents(tmp_path / "killed")
    for mine, reference in zip(calm, killed, strict=True):
        assert mine == reference
    assert {row[0] for row in calm[0]} == expected_ids(world, *HALF_MONTH, 2)
    # only a call that is running when a run is killed may be repeated
    assert set(flickr.exif_calls) == set(calm_calls)
    assert sum(flickr.exif_calls.values()) - sum(calm_calls.values()) <= CONNECTIONS
    one, other = tmp_path / "calm-out", tmp_path / "killed-out"
    names = {p.relative_to(one) for p in one.rglob("*.parquet")}
    assert names == {p.relative_to(other) for p in other.rglob("*.parquet")}
    assert all((one / name).read_bytes() == (other / name).read_bytes() for name in names)
    data = datasets.load_dataset(str(other), "make", split="test", cache_dir=str(tmp_path / "cache"))
    assert len(data) > 0
    assert data[0]["image"].size in ((64, 48), (48, 36))


def test_status__prints_the_funnel(tmp_path, monkeypatch, capsys):
    with serving(World(count=3000, burst=0)) as flickr:
        monkeypatch.setenv("FLICKR_API_KEY", KEY)
        monkeypatch.setenv("FLICKR_API_SECRET", SECRET)
        search = steps(tmp_path / "state", "")["search"]
        assert main([*map(str, search), "--api-url", flickr.api_url]) == 0
        capsys.readouterr()
        assert main(["status", "--state", str(tmp_path / "state")]) == 0
    out = capsys.readouterr().out
    expected = len(expected_ids(World(count=3000, burst=0), *HALF_MONTH, 2))
    assert re.search(rf"^within the cap +{expected} ", out, re.M)
    assert re.search(rf"^photos\.getExif +{expected} ", out, re.M)
    assert "still needed" in out


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["status", "--state", "nowhere"], "flickrexif"),
        (["search", "--state", "s", "--from", "2012-13-01"], "--from 2012-13-01"),
        (["search", "--state", "s", "--from", "2013-01-01", "--to", "2012-01-01"], "lies after"),
        (["search", "--state", "s", "--per-user-month", "0"], "at least 1"),
        (["search", "--state", "s", "--license", "cc-by-5"], "did you mean"),
        (["search", "--state", "s", "--calls-per-hour", "7200"], "Flickr allows 3600"),
        (["search", "--state", "s", "--api-url", "http://example.org/"], "https"),
        (["fetch", "--state", "nowhere"], "no state there"),
        (["forget", "--state", "s"], "--owner"),
        (["import", "--state", "s"], "--table"),
        (["check", "nothing.json"], "nothing.json"),
        (["build", "--state", "nowhere", "--output", "o"], "no state there"),
    ],
)
def test_cli__invalid_input_is_one_sentence(tmp_path, monkeypatch, capsys, arguments, message):
    from builders.cli import guarded

    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("FLICKR_API_KEY", "k")
    assert guarded(lambda: main(arguments)) == 2
    err = capsys.readouterr().err
    assert message in err
    assert err.count("\n") == 1
    assert not (tmp_path / "s" / "state.sqlite").exists() or arguments[0] == "forget"


def test_cli__no_key_is_one_sentence(tmp_path, monkeypatch, capsys):
    from builders.cli import guarded

    monkeypatch.delenv("FLICKR_API_KEY", raising=False)
    assert guarded(lambda: main(["search", "--state", str(tmp_path)])) == 2
    assert "FLICKR_API_KEY" in capsys.readouterr().err


def test_cli__two_searches_at_once_are_refused(tmp_path):
    with serving(World(), Faults(latency_s=0.05)) as flickr:
        arguments = steps(tmp_path / "state", "")["search"]
        first = start(flickr, *arguments)
        while not flickr.calls["flickr.photos.search"] and first.poll() is None:
            time.sleep(0.01)
        second = start(flickr, *arguments)
        _, err = second.communicate(timeout=60)
        first.kill()
        first.communicate()
    assert second.returncode == 2
    assert "'search'" in err


def test_check__exit_status_1_for_leaks(tmp_path, capsys):
    leaky = tmp_path / "model.csv"
    leaky.write_text("id,split,label\n1,train,a\n2,train,b\n1,test,a\n3,test,b\n4,val,a\n5,val,b\n")
    assert main(["check", str(leaky)]) == 1
    assert re.search(r"PROBLEM +model +test ids also in train +1 +2", capsys.readouterr().out)
    leaky.write_text("id,split,label\n1,train,a\n2,train,b\n6,test,a\n3,test,b\n4,val,a\n5,val,b\n")
    assert main(["check", str(leaky)]) == 0


def test_search__photos_of_a_class_are_those_of_fill():
    """Written again in the options, so that they load without the search."""
    assert parser().parse_args(["search", "--state", "s"]).per_class == PER_CLASS
