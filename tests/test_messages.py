"""``--json`` and ``--quiet`` of every sub-command: one declaration, and what they do."""

import argparse
import json

import pytest

import benchmark.__main__ as module
from builders.cli.commands import LazyParser
from tests.conftest import photo_bytes


def leaves(parser, name):
    """(name, parser) of every command that does something."""
    groups = [action for action in parser._actions if isinstance(action, argparse._SubParsersAction)]
    if not groups:
        yield name, parser
    for word, child in groups[0].choices.items() if groups else ():
        if isinstance(child, LazyParser):
            child.become_real()
        yield from leaves(child, f"{name} {word}")


COMMANDS = dict(leaves(module.parser(), "camtrace"))


def test_commands__each_has_both_options_from_one_declaration():
    assert len(COMMANDS) >= 37
    helps = {}
    for name, parser in COMMANDS.items():
        known = parser._option_string_actions
        assert {"--json", "--quiet", "-q"} <= set(known), name
        assert known["-q"] is known["--quiet"], name
        helps[name] = (known["--json"].help, known["--quiet"].help, known["--json"].nargs, known["--quiet"].nargs)
    assert len(set(helps.values())) == 1, helps


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    """Photos, a built folder, results of one run, a plan with one rank done, and a collection of FlickrExif."""
    root = tmp_path_factory.mktemp("messages")
    for number in range(24):
        file = root / "photos" / ("train" if number < 16 else "val") / "ab"[number % 2] / f"{number}.jpg"
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(photo_bytes(number))
    (root / "ids.csv").write_text("Flickr ID,Make\n1,Canon\n2,NIKON CORPORATION\n")
    score = "score -q -m control:random-projection -t probe/jpeg --workers 0"
    for command in (
        f"build folder -q --data {root}/photos --output {root}/set --workers 1",
        f"{score} -d folder:{root}/photos -o {root}/results --cache {root}/cache",
        f"{score} -d folder:{root}/photos -o {root}/second --seed 1 --cache {root}/cache",
        f"plan build folder --data {root}/photos --output {root}/planned --ranks 1",
        f"build flickrexif import --state {root}/flickr --table {root}/ids.csv",
    ):
        assert module.camtrace(command.split()) == 0, command
    return root


RUNS = {
    "list": "list tasks",
    "pipeline": "pipeline web --photo {0}/photos/train/a/0.jpg --output {0}/page.html",
    "audit": "audit folder:{0}/photos --output {0}/audit",
    "compare": "compare {0}/results {0}/second",
    "gate": "compare {0}/results {0}/second --worse-by 5",
    "leaderboard": "leaderboard {0}/results --output {0}/site",
    "publish-metrics": "publish-metrics --repo someone/trace_probe",
    "verify": "verify {0}/results",
    "cache list": "cache list --cache {0}/cache",
    "cache check": "cache check --cache {0}/cache",
    "cache clear": "cache clear all --dry-run --cache {0}/cache",
    "plan": "plan build folder --data {0}/photos --output {0}/other --ranks 2",
    "status": "status {0}/planned.plan",
    "work": "work {0}/planned.plan",
    "finish": "finish {0}/planned.plan",
    "score": "score -m control:random-projection -t probe/jpeg --workers 0 -d folder:{0}/photos -o {0}/r",
    "build folder": "build folder --data {0}/photos --output {0}/again --workers 1",
    "build simcams": "build simcams --scenes 3 --size 32 --configs iso --output {0}/simcams --workers 1",
    "build check": "build check {0}/set",
    "build diff": "build diff {0}/set {0}/set",
    "build report": "build report {0}/set --workers 1",
    "build publish": "build publish {0}/set --repo someone/set",
    "flickrexif import": "build flickrexif import --state {0}/flickr --table {0}/ids.csv",
    "flickrexif status": "build flickrexif status --state {0}/flickr",
    "flickrexif forget": "build flickrexif forget --state {0}/flickr --photo 1",
}


@pytest.mark.slow
@pytest.mark.parametrize("command", RUNS.values(), ids=RUNS)
def test_json__is_one_document_and_all_that_standard_output_gets(command, place, capfd):
    status = module.camtrace([*command.format(place).split(), "--json", "--quiet"])
    printed = capfd.readouterr()
    assert status == 0, printed.err
    assert json.loads(printed.out)
    assert "Traceback" not in printed.err
    assert not [line for line in printed.err.splitlines() if "warning" not in line]
