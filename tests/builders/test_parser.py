"""The parser of all commands: its help page whole, earlier spellings, lists of names, sizes, and records."""

from __future__ import annotations

import argparse
import io
import json
import sys
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType

import pytest

from builders.cli import (
    Joined,
    Names,
    Parser,
    Renamed,
    add_push,
    result_stream,
    size_in_bytes,
    unknown_option,
    write_record,
)
from builders.cli.commands import record_only
from builders.errors import UsageError


def made(**more) -> Parser:
    parser = Parser(
        "camtrace count",
        description="Counts photos.",
        most_used=("--limit", "--no-such"),
        examples=("camtrace count a --limit 3", "camtrace count b"),
        epilog="See also: weigh.",
        **more,
    )
    parser.add_argument("folder", nargs="+", metavar="DIR", help="folders")
    parser.add_argument("hidden", nargs="?", help=argparse.SUPPRESS)
    parser.add_argument("-n", "--limit", type=int, metavar="N", help="most photos")
    parser.add_argument("--names", action=Names, metavar="NAME", help="classes")
    weights = parser.add_argument_group("weights")
    weights.add_argument("--size", type=size_in_bytes, choices=(1024, 2048), help="of a photo")
    weights.add_argument("--tags", action=Joined, default="usual", help="as one text")
    parser.add_argument("--secret", help=argparse.SUPPRESS)
    return parser


def test_parse__values_and_lists_of_names():
    words = ["a", "-n", "3", "--names", "x, y", "--size", "2k", "--names=z", "--tags", "one", "--tags", "two", "b"]
    parsed = made().parse_args(["a", "b", *words[1:-1]])
    assert (parsed.folder, parsed.limit, parsed.size) == (["a", "b"], 3, 2048)
    assert (parsed.names, parsed.tags, made().parse_args(["a"]).tags) == (["x", "y", "z"], "one,two", "usual")
    assert (parsed.json, parsed.quiet) == (False, False)


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (["a", "--limi", "3"], "--limit"),
        (["a", "--nothing_like=it"], "--nothing"),
        (["a", "--size", "3k"], r"value of --size.*'?3072"),
        (["a", "--size", "big"], "--help"),
        (["a", "-n", "x"], "--help"),
        (["a", "--names", ","], "--names"),
        ([], "required: DIR"),
    ],
)
def test_parse__a_mistake_is_one_sentence(words, sentence):
    with pytest.raises(UsageError, match=sentence):
        made().parse_args(words)


def test_parse__what_follows_two_dashes_is_no_option_and_no_more_than_wanted_is_taken():
    parser = Parser("x")
    parser.add_argument("word", nargs="*")
    assert parser.parse_args(["--", "--limit"]).word == ["--limit"]
    with pytest.raises(UsageError, match="unexpected argument 'b'"):
        Parser("x").parse_args(["b", "c"])
    ranges = Parser("x")
    ranges.add_argument("--range")
    ranges.add_argument("--flag", action="store_true")
    assert ranges.parse_args(["--range", "-1:1", "--flag"]).range == "-1:1"
    assert ranges.parse_args(["--range", "-.5:1"]).range == "-.5:1"
    with pytest.raises(UsageError, match="'-1:1'"):
        ranges.parse_args(["--flag", "-1:1"])
    paths = Parser("x")
    paths.add_argument("--to", type=Path)
    assert paths.parse_args(["--to", "s3://a/b"]).to == Path("s3://a/b")
    with pytest.raises(UsageError, match="//u"):
        paths.parse_args(["--to", "https://u:p@a/b"])


RENAMED = (
    Renamed("--from", "", str),
    Renamed("--count", "--limit", lambda text: text.removesuffix("x")),
    Renamed("--old", "--new"),
)


@pytest.mark.parametrize(
    ("words", "new"),
    [
        (["a", "--count", "3x", "--limit", "4"], ["a", "--limit=3", "--limit", "4"]),
        (["--count=5x", "b"], ["--limit=5", "b"]),
        (["a", "--from", "c", "--from=d", "b"], ["c", "d", "a", "b"]),
        (["a", "--from", "c", "--", "--count", "1"], ["c", "a", "--", "--count", "1"]),
        (["--old"], ["--new="]),
        (["--from"], []),
        (["--old="], ["--new="]),
        (["--olden", "1"], ["--olden", "1"]),
    ],
)
def test_earlier_spellings__are_replaced_with_a_line_each(words, new, capsys):
    parser = Parser("x", renamed=RENAMED)
    assert parser.in_new_spelling(words) == new
    shown = {"--from": "an argument without a name", "--count": "--limit", "--old": "--new"}
    old = [word.partition("=")[0] for word in (words[: words.index("--")] if "--" in words else words)]
    assert capsys.readouterr().err.splitlines() == [
        f"camtrace: {name} is now {shown[name]}; the old spelling still works" for name in old if name in shown
    ]


@pytest.mark.parametrize(
    ("text", "size"),
    [("7", 7), ("7b", 7), ("2k", 2048), ("2 KiB", 2048), ("0.5M", 2**19), ("3g", 3 * 2**30), (" 1T ", 2**40)],
)
def test_size_in_bytes(text, size):
    assert size_in_bytes(text) == size


@pytest.mark.parametrize("text", ["", "K", "-1", "1.", "1 2", "1P", "1KBB", "9" * 400, "1" * 5000 + "K", "1" * 19])
def test_size_in_bytes__of_no_size(text):
    with pytest.raises(argparse.ArgumentTypeError, match="512M"):
        size_in_bytes(text)


def test_unknown_option__names_the_nearest_of_all():
    known = ["--batch-size", "--limit", "-q"]
    assert "did you mean '--limit'?" in str(unknown_option("--limits", known, "x"))
    assert str(unknown_option("--zzz", known, "x")) == "unknown option '--zzz': 'x --help' lists the options"


def test_add_push__one_of_two():
    parser = Parser("x")
    add_push(parser)
    assert [parser.parse_args([*words]).push for words in ([], ["--push"], ["--yes"], ["--dry-run"])] == [0, 1, 1, 0]
    with pytest.raises(UsageError, match="argument"):
        parser.parse_args(["--push", "--dry-run"])


@dataclass(frozen=True)
class Pair:
    name: str
    where: Path


def test_write_record__plain_values_on_standard_output_alone(monkeypatch):
    out, err = io.StringIO(), io.StringIO()
    monkeypatch.setattr(sys, "stdout", out)
    monkeypatch.setattr(sys, "stderr", err)
    record = {"pair": Pair("é", Path("a/b")), "map": MappingProxyType({"n": 1})}
    for quiet in (False, True):
        with record_only(quiet=quiet):
            print(f"shown {quiet}")
            with record_only():
                assert result_stream() is out
            write_record(argparse.Namespace(json=True), record)
            write_record(argparse.Namespace(json=False), "nothing")
        assert result_stream() is out is sys.stdout
    text = '{\n  "pair": {\n    "name": "é",\n    "where": "a/b"\n  },\n  "map": {\n    "n": 1\n  }\n}\n'
    assert (out.getvalue(), err.getvalue()) == (text * 2, "shown False\n")
    assert json.loads(text)["map"] == {"n": 1}
    for wrong in ({"x": {1}}, {"x": Pair}):
        with pytest.raises(TypeError):
            write_record(argparse.Namespace(json=True), wrong)


def test_help__of_many_options_shows_the_most_used_and_names_the_others(capsys):
    parser = made()
    group = parser.add_argument_group("many", "Thirty of a kind.")
    for number in range(30):
        group.add_argument(f"--option-{number}", help=f"the {number}th")

    def printed(*words):
        with pytest.raises(SystemExit):
            parser.parse_args(words)
        return capsys.readouterr().out

    short = printed("--help")
    assert "most photos" in short
    assert "--option-29" in short
    assert "the 29th" not in short
    assert printed("--help", "all") == printed("-hh") == parser.format_help()
    assert "the 29th" in parser.format_help()
    assert "Thirty of a kind." in parser.format_help()
    assert "most photos" in made().format_help(whole=True)


def test_help__of_few_options_is_whole(capsys):
    with pytest.raises(SystemExit):
        made().parse_args(["-h"])
    assert capsys.readouterr().out == made().format_help()
