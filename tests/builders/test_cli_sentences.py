"""Every sentence of the parser and of specifications, whole."""

import argparse
import json
from pathlib import Path

import pytest

from builders.cli import (
    Command,
    Joined,
    Names,
    Parser,
    check_writable,
    group_parser,
    parse_query,
    real_number,
    unknown_option,
    whole_number,
)
from builders.cli.parser import LARGEST_WHOLE
from builders.errors import DiskError, UsageError


@pytest.mark.parametrize(
    ("query", "sentence"),
    [
        ("label", "data: options are written ?name=value&name=value, and 'label' is none"),
        ("a=b&", "data: options are written ?name=value&name=value, and 'a=b&' is none"),
        ("=b", "data: options are written ?name=value&name=value, and '=b' is none"),
        ("label=", "data: label= has no value"),
        ("x=1&label=a&label=b", "data: an option stands there twice: label="),
        ('label="re:a', 'data: label="re:a: the quote is not closed before the next & or the end'),
        ("label=site='a&b=c", "data: label=site='a: the quote is not closed before the next & or the end"),
        ("label=%ff", "data: label=%ff: its percent-escapes are not UTF-8 text"),
    ],
)
def test_parse_query__whole(query, sentence):
    with pytest.raises(UsageError) as error:
        parse_query(query, "data")
    assert str(error.value) == sentence
    assert parse_query("a=1&a=2", "data", ["a"]) == [("a", "1"), ("a", "2")]
    assert parse_query("a%20b=1+2&c=re:1+2&d='x+y'&e=n=\"p&q\"", "data") == [
        ("a b", "1 2"), ("c", "re:1+2"), ("d", "x+y"), ("e", "n=p&q"),
    ]  # fmt: skip


def parser():
    made = Parser("camtrace x")
    made.add_argument("--count", type=whole_number(0))
    made.add_argument("--share", type=real_number(above=0))
    made.add_argument("--least", type=real_number(least=-2.5))
    made.add_argument("--to", type=Path)
    made.add_argument("--kind", choices=("low", "high"))
    made.add_argument("--names", action=Names, nargs="+")
    made.add_argument("--joined", action=Joined)
    made.add_argument("what", nargs="?", choices=("one", "two"))
    return made


END = "; 'camtrace x --help' explains the options"


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (["--count", "-1"], f"argument --count: -1: at least 0 is needed{END}"),
        (["--count", "1.5"], f"argument --count: invalid int value: '1.5'{END}"),
        (["--count", str(2**53 + 1)],
         f"argument --count: 9007199254740993... is too large: at most 9,007,199,254,740,992{END}"),
        (["--count", "1" * 30], f"argument --count: {'1' * 20}... is too large: at most 9,007,199,254,740,992{END}"),
        (["--share", "0"], f"argument --share: 0: a finite number above 0 is needed{END}"),
        (["--share", "inf"], f"argument --share: inf: a finite number above 0 is needed{END}"),
        (["--share", "x"], f"argument --share: invalid float value: 'x'{END}"),
        (["--least", "-3"], f"argument --least: -3: a finite number of at least -2.5 is needed{END}"),
        (["--to", "HTTPS://a/b"],
         f"argument --to: HTTPS://a/b is an address: give a file or folder of this machine{END}"),
        (["--kind", "hig"], "unknown value of --kind 'hig': did you mean 'high'?"),
        (["tow"], "unknown value of what 'tow': did you mean 'two'?"),
        (["one", "two"], f"unexpected argument 'two'{END}"),
        (["--knd", "low"], "unknown option '--knd': did you mean '--kind'?"),
        (["--zzz"], "unknown option '--zzz': 'camtrace x --help' lists the options"),
    ],
)  # fmt: skip
def test_parser__whole(words, sentence):
    with pytest.raises(UsageError) as error:
        parser().parse_args(words)
    assert str(error.value) == sentence


def test_parser__values_at_the_limits():
    parsed = parser().parse_args(["--count", str(LARGEST_WHOLE), "--least", "-2.5", "--share", "1e-9", "--to", "a:/b"])
    assert (parsed.count, parsed.least, parsed.share, parsed.to) == (2**53, -2.5, 1e-9, Path("a:/b"))
    parsed = parser().parse_args(
        ["--names", "a, ,b", "c,", "--names", "d", "--joined", "x", "--joined=y,z", "--", "two"]
    )
    assert (parsed.names, parsed.joined, parsed.what) == (["a", "b", "c", "d"], "x,y,z", "two")
    assert (parser().parse_args([]).names, parser().parse_args([]).joined) == (None, None)
    assert real_number()("1e300") == 1e300


def test_unknown_option__near_and_far():
    known = ["--batch-size", "--limit"]
    for name, hint in (("--batch_size", "did you mean '--batch-size'?"), ("--limits", "did you mean '--limit'?"),
                       ("--qq", "'camtrace x --help' lists the options")):  # fmt: skip
        assert str(unknown_option(name, known, "camtrace x")) == f"unknown option {name!r}: {hint}"


def test_group__its_page(monkeypatch):
    monkeypatch.setenv("COLUMNS", "200")
    commands = {"one": Command("m:f", "the first"), "two": Command("m:g", "another")}
    page = group_parser("camtrace tool", "Some tools.", commands, top=True).format_help().splitlines()
    assert page[-1] == "'camtrace tool COMMAND --help' explains one of them."
    text = " ".join(" ".join(page).split())
    shell = "--print-completion SHELL print what makes the shell complete commands and options"
    for part in ("--version print the version", "one the first", "two another", shell):
        assert part in text
    below = group_parser("camtrace tool", "Some tools.", commands).format_help()
    assert "--version" not in below
    assert "--print-completion" not in below


def test_check_writable__names_the_option(tmp_path):
    check_writable("--output", tmp_path / "new")
    (tmp_path / "file").write_text("x")
    with pytest.raises(DiskError) as error:
        check_writable("--output", tmp_path / "file" / "a")
    assert str(error.value).startswith(f"--output {tmp_path / 'file' / 'a'}: cannot be written to (")
    assert "; nothing was begun" in str(error.value)


def test_messages__of_every_command():
    parsed = Parser("x").parse_args(["-q", "--json"])
    assert (parsed.quiet, parsed.json) == (True, True)
    assert json.loads(json.dumps(vars(Parser("x").parse_args([])))) == {"json": False, "quiet": False}
    assert vars(Parser("x", messages=False).parse_args([])) == {}
    with pytest.raises(argparse.ArgumentTypeError, match=r"^5: at least 6 is needed$"):
        whole_number(6)("5")
