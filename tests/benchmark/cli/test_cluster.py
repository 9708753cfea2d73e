"""``camtrace plan``, ``status`` and ``finish`` around their work: what is frozen, printed, refused and passed on."""

import json
import os
from pathlib import Path
from types import SimpleNamespace

import pytest

from benchmark.cli import cluster
from builders.cluster import RankPlan
from builders.errors import DataError, UsageError

RANKS = (RankPlan(("a",), 600), RankPlan(("b", "c"), 634))


class Storage(SimpleNamespace):
    def __str__(self):
        return "run.plan"


@pytest.fixture
def world(monkeypatch, tmp_path, capsys):
    """The commands on work by hand: (status, standard output, what was called)."""
    fields = {
        "ranks": RANKS,
        "facts": {"weights": "1d5"},
        "estimate": {"seconds": None, "bytes": None, "items": "photos"},
    }
    world = SimpleNamespace(fields=fields, called={}, missing=(), code="c1", status=0)

    class Work:
        def planned(self, storage, rank_seconds, count):
            world.called["planned"] = (str(storage), rank_seconds, count)
            return {**world.fields}

        def finish(self, plan, done, storage, how):
            world.called["finish"] = (plan, done, how)
            return world.status

    class Markers:
        def __init__(self, storage, name):
            self.name = name

        def sweep(self):
            world.called["swept"] = self.name

    states = SimpleNamespace(done={0: "x"})
    plan = SimpleNamespace(ranks=RANKS, facts={cluster.CODE: "c1"}, name="n1", kind="build", output="planned")
    storage = Storage(sweep=lambda: world.called.setdefault("storage swept", True))

    request = SimpleNamespace(kind="build", words=("build", "x"), output=str(tmp_path / "out"))
    for name, value in {
        "read_request": lambda words: world.called.setdefault("words", words) and request,
        "ranked": lambda request: Work(),
        "request_of": lambda plan: request,
        "code": lambda: world.code,
        "version_facts": lambda packages: {"numpy": "2"},
        "write_plan": lambda plan, storage, files: world.called.update(plan=plan, files=files),
        "progress": lambda plan, storage: SimpleNamespace(missing=world.missing, states=states),
        "state_text": lambda now, storage: "first line\nlast line",
        "state_record": lambda now, storage: {"state": 1},
        "read_plan": lambda address: world.called.setdefault("address", address) and (plan, storage),
        "check_facts": lambda plan, here: world.called.setdefault("checked", here),
        "versions_here": lambda facts: {"here": "2"},
        "refuse_other_versions": lambda plan, done, storage: world.called.setdefault("versions of", done),
        "go_to_folder": lambda plan: None,
        "Markers": Markers,
    }.items():
        monkeypatch.setattr(cluster, name, value)

    def of(*words):
        world.called.clear()
        parser = {"plan": cluster.plan_parser, "status": cluster.status_parser, "finish": cluster.finish_parser}[
            words[0]
        ]
        status = (args := parser().parse_args(words[1:])).run(args)
        return status, capsys.readouterr().out, dict(world.called)

    world.of = of
    return world


@pytest.mark.parametrize(
    ("estimate", "known"),
    [
        ({"seconds": None, "bytes": None}, "hours and bytes are not known beforehand"),
        (
            {"seconds": 5400, "bytes": None},
            "about 1.50 hours of this machine in all (measured on a sample: it may be half",
        ),
        ({"seconds": 0.0, "bytes": 9_999_999}, "about 0.00 hours of this machine in all, 10.00 MB (measured"),
        ({"seconds": None, "bytes": 10_000_000}, "0.01 GB (measured on a sample"),
        ({"seconds": None, "bytes": 0}, "0.00 MB (measured on a sample"),
        ({"seconds": None, "bytes": 2 * 10**9, "disk": ["one", "two"]}, "2.00 GB of files of blocks (measured"),
    ],
)
def test_plan__what_it_takes(world, estimate, known):
    world.fields["estimate"] = {**estimate, "items": "photos"}
    status, out, _ = world.of("plan", "build", "folder")
    lines = out.splitlines()
    assert status == 0
    assert lines[0].split("plan.json: ")[1].startswith(f"2 ranks, 1,234 photos; {known}")
    assert lines[1:] == [*(["disk: one", "disk: two"] if "disk" in estimate else []), "last line"]


def test_plan__what_is_frozen_and_where(world, tmp_path):
    world.fields |= {"files": {"a": b"1"}, "notes": {"groups": 2}}
    _, out, called = world.of("plan", "sweep", "--published", "--ranks", "3", "--data", "x", "--rank-minutes", "2.5")
    assert called["words"] == ["sweep", "--published", "--data", "x"]
    assert called["planned"] == (f"{tmp_path / 'out'}.plan", 150.0, 3)
    plan = called["plan"]
    assert (plan.kind, plan.argv, plan.output, plan.ranks) == ("build", ("build", "x"), str(tmp_path / "out"), RANKS)
    assert plan.facts == {cluster.CODE: "c1", "numpy": "2", "weights": "1d5"}
    assert (plan.notes, called["files"]) == ({"groups": 2, "folder": os.getcwd()}, {"a": b"1"})
    assert world.of("plan", "build")[2]["planned"][1:] == (600.0, None)
    _, out, called = world.of("plan", "build", "--plan", str(tmp_path / "there"), "--json")
    assert called["planned"][0] == str(tmp_path / "there")
    assert (called["files"], json.loads(out[out.index("{") :])["kind"]) == ({"a": b"1"}, "build")
    with pytest.raises(
        UsageError, match="--ranks: 0: at least 1 is needed; 'camtrace plan --help' explains the options"
    ):
        world.of("plan", "build", "--ranks", "0")


def test_status__of_the_plan(world, tmp_path):
    status, out, called = world.of("status", str(tmp_path / "run.plan"))
    assert (status, out) == (0, "first line\nlast line\n")
    assert str(called["address"]) == str(tmp_path / "run.plan")
    assert json.loads(world.of("status", "run.plan", "--json")[1].partition("last line\n")[2]) == {"state": 1}


def test_finish__everything_is_passed_on(world, tmp_path):
    world.status = 1
    words = ["-o", "here", "--push-to", "me/set", "--public", "--remove-blocks", "--wait", "0"]
    status, out, called = world.of("finish", "run.plan", *words, "--json")
    _, done, how = called["finish"]
    assert (how.output, how.push_to, how.public, how.wait_s, how.remove_blocks) == (
        Path("here").absolute(), "me/set", True, 0.0, True,
    )  # fmt: skip
    assert (done, called["versions of"], called["checked"]) == ({0: "x"}, {0: "x"}, {"here": "2"})
    assert (called["swept"], called["storage swept"], status) == ("n1", True, 1)
    assert json.loads(out) == {
        "plan": "run.plan", "kind": "build", "ranks": 2, "output": str(Path("here").absolute()), "pushed_to": "me/set",
        "exit_status": 1,
    }  # fmt: skip
    world.status = 0
    status, out, called = world.of("finish", "run.plan", "--json")
    how = called["finish"][2]
    assert (how.output, how.push_to, how.public, how.remove_blocks, status) == (None, None, False, False, 0)
    assert how.wait_s > 0
    assert (json.loads(out)["output"], json.loads(out)["pushed_to"]) == ("planned", None)


def test_finish__what_is_missing_or_of_other_code(world):
    world.missing = (1,)
    with pytest.raises(DataError, match=r"run\.plan: 1 of 2 ranks are not done; 'camtrace status run\.plan' says why"):
        world.of("finish", "run.plan")
    world.missing, world.code = (), "c2"
    with pytest.raises(DataError, match=r"here: c2; of the plan: c1\. Finish with the code of the ranks"):
        world.of("finish", "run.plan")
