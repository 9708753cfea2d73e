"""What every option takes, and what it is by default, are an interface: those of ``declared_options.json``."""

import argparse
import json
import os
import re
from pathlib import Path

from benchmark.__main__ import parser as camtrace_parser
from benchmark.options import RunOptions
from benchmark.options.roles import declared as declared_run_options
from builders.errors import UsageError
from scripts.docs_tables.options import commands

RECORD = Path(__file__).with_name("declared_options.json")

OF_THIS_MACHINE = {"cache", "workers", "end", "contact", "api_url"}
"""Destinations of options whose default is a folder, cores, today, or a variable of the environment."""


def shown(value):
    """A default as text; objects by their names."""
    if isinstance(value, (list, tuple)):
        return "[" + ", ".join(map(shown, value)) + "]"
    return getattr(value, "__name__", None) or str(value)


def declared(action, group):
    """What an option takes: name, number, form and choices of its values, its default, what happens to them, and the
    group of the help page where it stands."""
    parts = {
        "values": action.metavar,
        "number": action.nargs,
        "type": getattr(action.type, "__name__", None) and action.type.__name__.strip("_"),
        "choices": action.choices and shown(list(action.choices)),
        "default": None if action.dest in OF_THIS_MACHINE else shown(action.default),
        "sets": action.const,
        "to": action.dest,
        "required": action.required or None,
        "action": type(action).__name__.strip("_"),
        "without": None if action.help else "help",
        "among": group,
        "numbers": accepted(action),
    }
    return ", ".join(f"{name} {value}" for name, value in parts.items() if value is not None)


NUMBERS = ("-1", "0", "0.25", "1", "1.5", "2", "3", "10", "64", "101", "5000")
OF_RUNS = {option.name: option for option in declared_run_options(RunOptions)}


def taken(action, text):
    """Whether an option takes a text as a number."""
    try:
        value = action.type(text)
        if action.dest in OF_RUNS:
            OF_RUNS[action.dest].check(value)
    except (argparse.ArgumentTypeError, ValueError, UsageError):
        return False
    return isinstance(value, (int, float))


def accepted(action):
    """Those of ``NUMBERS`` that an option of numbers takes: its bounds; None for other options."""
    made = [text for text in NUMBERS if action.type and taken(action, text)]
    return " ".join(made) or None


PARSERS = list(commands(camtrace_parser()))
ACTIONS = [
    (name, action)
    for name, parser in PARSERS
    for action in parser._actions
    if not isinstance(action, argparse._HelpAction)
]
GROUPS = {
    id(action): group.title
    for _, parser in PARSERS
    for group in parser._action_groups
    for action in group._group_actions
}


def test_options__take_and_default_to_what_they_did():
    options = {}
    for name, action in ACTIONS:
        title = " ".join(action.option_strings) or f"({action.dest})"
        options.setdefault(title, {}).setdefault(declared(action, GROUPS[id(action)]), []).append(
            name.removeprefix("camtrace ")
        )
    made = {
        title: {text: " / ".join(names) for text, names in texts.items()} for title, texts in sorted(options.items())
    }
    if os.environ.get("CAMTRACE_WRITE_RECORD_KEYS"):
        RECORD.write_text(json.dumps(made, indent=1) + "\n", "utf-8")
    assert made == json.loads(RECORD.read_text("utf-8"))


STATED = re.compile(r"\((?:default:? )?(\d[\d.]*)(?: MiB|G|[a-z ]*)?\)|default:? (\d[\d.]*)")


def test_help__states_the_number_that_an_option_has_by_default():
    stated = 0
    for name, action in ACTIONS:
        match = STATED.search(action.help or "")
        if match and isinstance(action.default, int | float) and action.dest not in OF_THIS_MACHINE:
            number, unit = float(match[1] or match[2]), 2**20 if "MiB" in match[0] else 1
            assert action.default == number * unit, (name, action.dest, match[0])
            stated += 1
    assert stated > 30


FIRST = {
    "score": "--model --data --tasks --output --dry-run",
    "list": "--json",
    "sweep": "--models --published --data --output --dry-run",
    "erase": "--model --data --trace --method --output",
    "audit": "--label --output --pixels --repair --exit-code",
    "pipeline": "--photo --output",
    "compare": "--tasks --item --score --worse-by --exit-code",
    "diff": "--data --a --b --output --exit-code",
    "reproduce": "--data --output --dry-run --limit --models",
    "leaderboard": "--output --title --no-published",
    "publish": "--repo --push --space --public --model-card",
    "publish-metrics": "--repo --push --dry-run --public --json",
    "verify": "--json",
    "cache list": "--cache --json",
    "cache check": "--cache",
    "cache clear": "--older-than --dry-run --cache",
    "plan": "--ranks --rank-minutes --plan",
    "work": "--engine --rank --at-once --jobs --memory",
    "finish": "--output --push-to --public --remove-blocks --wait",
    "build imagenet": "--data --output --parameter --assignment --limit",
    "build inat2018": "--data --output --parameter --assignment --limit",
    "build folder": "--data --output --parameter --assignment --limit",
    "build paircams": "--data --output --phone --license --workers",
    "build diff": "--json --exit-code",
    "build report": "--output",
    "build publish": "--repo --push --dry-run --public --recipe",
    "build flickrexif search": "--state --limit --dry-run --from --to",
    "build flickrexif refresh": "--state --older-than-days --calls-per-hour --attempts --contact",
    "build flickrexif fetch": "--state --size --limit --retry-failed --connections",
    "build flickrexif import": "--state --hub --table --revision --seed",
    "build flickrexif build": "--state --output --pixels --extra --workers",
    "build flickrexif load": "--state --output --configs --limit --connections",
    "build flickrexif forget": "--state --photo --owner",
    "build flickrexif status": "--state --calls-per-hour",
    "build simcams": "--output --scenes --data --pairs --configs",
}
"""Command -> the options that its help page shows first, those that most people need."""


def test_help__shows_first_what_most_people_need():
    made = {name.removeprefix("camtrace "): parser for name, parser in commands(camtrace_parser())}
    assert {name: " ".join(parser.most_used) for name, parser in made.items() if parser.most_used} == FIRST
    for name, options in FIRST.items():
        shown = re.findall(r"^  (?:-\w, )?(--[\w-]+)", made[name].format_help(), re.MULTILINE)
        assert shown[: len(options.split())] == options.split(), name


def test_options__that_are_numbers_refuse_what_is_none_of_theirs():
    """Each states its limit where it is declared: in the parser, or among the options of a run."""
    numbers = [(name, action) for name, action in ACTIONS if is_number(action)]
    odd = [
        f"{name} {'/'.join(action.option_strings)} {text}"
        for name, action in numbers
        for text in ("-1", "nan", "inf", "-inf", "1e999")
        if taken(action, text)
    ]
    assert odd == []
    assert len(numbers) > 100


def is_number(action):
    return any(action.type and taken(action, text) for text in ("1", "0.5", "2"))
