"""The one name to import and the one command: cheap, exact, complete."""

import json
import re
import subprocess
import sys
from pathlib import Path

import pytest

import camtrace
from benchmark.__main__ import COMMANDS, main
from benchmark.__main__ import camtrace as run_camtrace
from builders.__main__ import COMMANDS as BUILDS

ROOT = Path(__file__).parents[1]


def in_python(code):
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, timeout=120)
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
    assert {name.partition(".")[0] for name in printed.split()} <= {"camtrace", "typing", "_typing", "collections"}


def test_all__is_exact_and_every_name_is_there():
    assert camtrace.__all__ == sorted(set(camtrace.__all__))
    for name in camtrace.__all__:
        value = getattr(camtrace, name)
        assert name == "__version__" or callable(value), name
    assert set(camtrace.__all__) <= set(dir(camtrace))
    assert re.fullmatch(r"\d+\.\d+\.\d+.*|dev", camtrace.__version__)
    with pytest.raises(AttributeError, match="has no attribute 'scoer'"):
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


@pytest.mark.parametrize("words", [" ".join(words) for words in WORDS])
def test_help__of_a_command_names_it_and_imports_no_torch(words, helped):
    printed, torch_is_there = helped[words]
    assert printed.startswith(f"usage: camtrace {words} [-h]")
    assert not torch_is_there


def test_score_help__names_the_options(capsys):
    printed = printed_by(main, ["--help"], capsys)
    options = "-m --model -d --data -t --tasks -o --output -q --quiet -v --verbose --json --config --batch-size"
    for option in options.split():
        assert re.search(rf"(?<![\w-]){option}(?![\w-])", printed), option


def test_module__is_the_command_and_scores_by_default(capsys):
    import benchmark.__main__ as module

    assert module.main(["--limit", "0"]) == module.camtrace(["score", "--limit", "0"]) == 2
    assert module.main(["lst"]) == module.camtrace(["lst"]) == 2
    first, second, third, fourth = capsys.readouterr().err.splitlines()
    assert first == second == "camtrace: limit 0: at least 1 is needed"
    assert third == fourth == "camtrace: unknown command 'lst': did you mean 'list'?"
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
    done = subprocess.run(["bash", "-c", ask], capture_output=True, text=True, timeout=60)
    assert done.stdout.split() == ["--mask-ratio"], done.stderr


def test_option_names__every_command_has_those_that_it_had():
    """Scripts of users name them. One that is new is no matter; add it to the list when it has been published."""
    had = json.loads((ROOT / "tests" / "option_names.json").read_text())
    parsers = {name: command.parser() for name, command in COMMANDS.items()}
    parsers |= {f"build {name}": command.parser() for name, command in BUILDS.items()}
    assert set(had) <= set(parsers)
    gone = {name: set(options.split()) - set(parsers[name]._option_string_actions) for name, options in had.items()}
    assert {name: options for name, options in gone.items() if options} == {}
