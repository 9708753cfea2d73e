"""The one name to import and the one command: cheap, exact, complete."""

import argparse
import json
import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

import camtrace
from benchmark.__main__ import COMMANDS, main
from benchmark.__main__ import camtrace as run_camtrace
from benchmark.__main__ import parser as make_parser
from builders.__main__ import COMMANDS as BUILDS
from builders.errors import UsageError
from scripts.docs_tables.options import commands

ROOT = Path(__file__).parents[1]


def in_python(code):
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, timeout=600)
    assert done.returncode == 0, done.stderr
    return done.stdout


def printed_by(run, words, capsys):
    """What a command prints that then ends."""
    with pytest.raises(SystemExit) as ended:
        run(words)
    assert ended.value.code == 0
    return capsys.readouterr().out


def test_import__brings_nothing():
    printed = in_python(
        "import sys; before = set(sys.modules)\nimport camtrace\nprint(*sorted(set(sys.modules) - before), sep='\\n')"
    )
    brought = {name.partition(".")[0] for name in printed.split()}
    assert brought <= {"camtrace", *sys.stdlib_module_names, *(n for n in brought if n.startswith("__editable__"))}


def test_all__is_exact_and_every_name_is_there():
    assert camtrace.__all__ == sorted(set(camtrace.__all__))
    for name in camtrace.__all__:
        value = getattr(camtrace, name)
        assert name == "__version__" or callable(value), name
    assert set(camtrace.__all__) <= set(dir(camtrace))
    assert re.fullmatch(r"\d+\.\d+\.\d+.*|dev", camtrace.__version__)
    with pytest.raises(AttributeError, match="'scoer'"):
        camtrace.scoer  # noqa: B018


def test_help__shows_every_command_and_imports_nothing_heavy():
    printed = in_python(
        "import os, sys, camtrace\nsys.argv = ['camtrace', '--help']\n"
        "said = 'OPENBLAS_THREAD_TIMEOUT', 'OMP_WAIT_POLICY'\n"
        "for name in said: os.environ.pop(name, None)\n"
        "try: camtrace.main()\nexcept SystemExit: pass\n"
        "print([os.environ[name] for name in said])\n"
        "print(*{'torch', 'numpy', 'datasets', 'importlib.metadata'} & set(sys.modules))"
    )
    for name, command in COMMANDS.items():
        assert re.search(rf"^    {name} ", printed, re.MULTILINE)
        assert command.summary.split()[0] in printed
    assert printed.endswith("\n['4', 'PASSIVE']\n\n")  # none of the heavy ones, which then read how threads wait


def test_list_tasks__needs_neither_torch_nor_scipy():
    printed = in_python(
        "import sys\nfrom benchmark.__main__ import camtrace\ncamtrace(['list', 'tasks'])\n"
        "print(*{'torch', 'scipy', 'sklearn', 'pandas'} & set(sys.modules))"
    )
    assert "probe/jpeg" in printed
    assert printed.endswith("\n\n")  # none of them


WORDS = [[name] for name in COMMANDS] + [["build", name] for name in BUILDS]


@pytest.fixture(scope="module")
def helped():
    """By words of a command: what its --help says, and whether torch was there after it; all in one process."""
    code = (
        "import contextlib, io, json, sys, benchmark.__main__ as m\n"
        "def asked(words):\n"
        "    with contextlib.redirect_stdout(io.StringIO()) as said, contextlib.suppress(SystemExit):\n"
        "        m.camtrace([*words, '--help'])\n"
        "    return said.getvalue(), 'torch' in sys.modules\n"
        f"print(json.dumps([asked(words) for words in {WORDS}]))"
    )
    return dict(zip(map(" ".join, WORDS), json.loads(in_python(code)), strict=True))


@pytest.mark.slow
@pytest.mark.parametrize("words", [" ".join(words) for words in WORDS])
def test_help__of_a_command_names_it_and_imports_no_torch(words, helped):
    printed, torch_is_there = helped[words]
    assert printed.startswith(f"usage: camtrace {words} [-h]")
    assert not torch_is_there


def every_parser():
    """(words, parser) of every command and step."""
    for name, parser in commands(make_parser()):
        yield name.removeprefix("camtrace "), parser


@pytest.fixture(scope="module")
def pages():
    """Each command's help page by its words, as wide as it may be."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("COLUMNS", "200")
        return {name: (parser, parser.format_help()) for name, parser in every_parser()}


def test_folders__are_no_addresses():
    """As a path ``https://me:secret@host`` loses a slash; commands then wrote and printed a folder of that name."""
    tried = 0
    for name, parser in every_parser():
        for action in parser._actions:
            if action.type is Path:
                with pytest.raises(argparse.ArgumentError, match="address"):
                    parser._get_value(action, "https://me:secret@host.invalid/x?token=1")
                assert parser._get_value(action, "c:/photos") == Path("c:/photos"), name
                tried += 1
    assert tried > 50


def test_whole_numbers__of_every_option_are_at_most_the_largest_that_records_can_hold():
    tried = 0
    for name, parser in every_parser():
        for action in parser._actions:
            if getattr(action.type, "__name__", "") == "int":
                for text in (str(2**53 + 1), "9" * 300):
                    with pytest.raises(argparse.ArgumentError, match="9,007,199,254,740,992"):
                        parser._get_value(action, text)
                assert parser._get_value(action, str(2**53)) == 2**53, name
                tried += 1
    assert tried > 50


def test_help_pages__have_80_columns(pages):
    assert len(pages) > 30
    assert {name: line for name, (_, page) in pages.items() for line in page.splitlines() if len(line) > 80} == {}


def test_help_pages__begin_with_what_most_people_need_and_end_with_two_examples(pages):
    for name, (parser, page) in pages.items():
        titles = re.findall(r"^(\S.*):$", page, re.MULTILINE)
        named = [option for option in parser.most_used if option in parser._option_string_actions]
        assert named == list(parser.most_used), name
        assert len(named) <= 10, name
        visible = [a for a in parser._actions if a.option_strings and a.help != argparse.SUPPRESS and a.dest != "help"]
        if len(visible) > 5:
            assert len(named) >= 5, name
        if named:
            assert titles[: 1 + ("arguments" in titles)][-1] == "most used", name
        assert len(parser.examples) >= 2, name
        end = page[page.index("\nexamples:\n") :]
        for example in parser.examples:
            assert f"  {example}\n" in end
            words = shlex.split(example)
            assert words[: 1 + len(name.split())] == ["camtrace", *name.split()]
            given = make_parser().parse_args(words[1:])  # raises UsageError
            if words[1] == "plan":
                make_parser().parse_args(given.words)
        assert "optional arguments" not in titles


def test_renamed_options__work_with_one_line_of_notice(capsys):
    parsers = dict(every_parser())
    renamed = {(name, each.old) for name, parser in parsers.items() for each in parser.renamed}
    assert ("audit", "--source") in renamed
    assert ("leaderboard", "--results") in renamed
    work = parsers["work"]
    for words in (
        ["p", "--workers", "3", "--memory-gb=5", "--tasks", "2"],
        ["p", "--at-once", "3", "--memory", "4.5G", "--jobs=2"],
    ):
        args = work.parse_args(words)
        assert (args.workers, args.memory_gb, args.tasks, args.plan) == (3, 5, 2, "p")
    notices = capsys.readouterr().err.splitlines()
    new = ("--at-once", "--memory", "--jobs")
    assert [name in notice for name, notice in zip(new, notices, strict=True)] == [True] * 3
    args = parsers["leaderboard"].parse_args(["--results", "a", "-o", "site", "--results=b"])
    assert [str(place) for place in args.results] == ["a", "b"]
    assert parsers["publish"].parse_args(["out", "--results", "me/r"]).results == "me/r"
    assert parsers["build folder"].parse_args(["--source", "x", "--output", "o"]).source == "x"
    with pytest.raises(UsageError, match="--jobs"):  # a new spelling, not the old one
        work.parse_args(["p", "--jbos", "2"])


def test_lists__take_commas_and_repeats():
    score = dict(every_parser())["score"]
    args = score.parse_args(["-t", "a/*,b", "-t", "c", "--readers", "linear", "--readers", "knn"])
    assert (args.tasks, args.readers) == (["a/*", "b", "c"], "linear,knn")
    assert score.parse_args([]).readers == "linear"
    folder = dict(every_parser())["build folder"]
    assert folder.parse_args(["--data", "x", "-o", "y", "--parameter", "jpeg"]).parameter == "jpeg"
    given = folder.parse_args(["--data", "x", "-o", "y", "--parameter", "jpeg", "--parameter", "resizing"])
    assert given.parameter == "jpeg,resizing"


def test_score_help__names_the_options(capsys):
    printed = printed_by(main, ["--help", "all"], capsys)
    options = "-m --model -d --data -t --tasks -o --output -q --quiet -v --verbose --json --config --batch-size"
    for option in options.split():
        assert re.search(rf"(?<![\w-]){option}(?![\w-])", printed), option


def test_module__is_the_command_and_scores_by_default(capsys):
    import benchmark.__main__ as module

    assert module.main(["--limit", "0"]) == module.camtrace(["score", "--limit", "0"]) == 2
    assert module.main(["lst"]) == module.camtrace(["lst"]) == 2
    first, second, third, fourth = capsys.readouterr().err.splitlines()
    assert first == second
    assert "limit 0" in first
    assert third == fourth
    assert "'list'" in third
    for run in (module.main, module.camtrace):
        with pytest.raises(SystemExit) as ended:
            run(["--version"])
        assert ended.value.code == 0
        assert capsys.readouterr().out == f"camtrace {camtrace.__version__}\n"


def test_command__alone_prints_its_help(capsys):
    import benchmark.__main__ as module
    import builders.__main__ as builders

    assert module.camtrace([]) == 0
    assert capsys.readouterr().out.startswith("usage: camtrace [-h] [--version]")
    assert module.camtrace(["build"]) == builders.main([]) == 0
    assert capsys.readouterr().out.count("usage: camtrace build [-h]") == 2


@pytest.mark.parametrize("shell", ["bash", "zsh", "tcsh"])
def test_completion__knows_commands_and_options_of_every_depth(shell, capsys):
    printed = printed_by(run_camtrace, ["--print-completion", shell], capsys)
    for word in ("sweep", "publish-metrics", "--mask-ratio", "--one-at-a-time", "flickrexif", "--assignment-seed"):
        assert word.replace("--", "") in printed, word


def test_completion__of_bash_completes(tmp_path, capsys):
    script = tmp_path / "completion"
    script.write_text(printed_by(run_camtrace, ["--print-completion", "bash"], capsys))
    ask = (
        f"source {script}; COMP_WORDS=(camtrace score --mask); COMP_CWORD=2; _shtab_camtrace; "
        'printf "%s\\n" "${COMPREPLY[@]}"'
    )
    done = subprocess.run(["bash", "-c", ask], capture_output=True, text=True, timeout=600)
    assert done.stdout.split() == ["--mask-ratio"], done.stderr


def test_option_names__every_command_has_those_that_it_had():
    """Scripts of users name them. One that is new is no matter; add it to the list when it has been published."""
    had = json.loads((ROOT / "tests" / "option_names.json").read_text())
    parsers = {name: command.parser() for name, command in COMMANDS.items()}
    parsers |= {f"build {name}": command.parser() for name, command in BUILDS.items()}
    assert set(had) <= set(parsers)
    known = {name: {*p._option_string_actions, *(each.old for each in p.renamed)} for name, p in parsers.items()}
    gone = {name: set(options.split()) - known[name] for name, options in had.items()}
    assert {name: options for name, options in gone.items() if options} == {}
