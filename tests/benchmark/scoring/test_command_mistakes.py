"""What is asked wrongly ends in one sentence that says how it is asked, before anything is done."""

import os
import re

import pytest

from benchmark.__main__ import camtrace
from benchmark.cli.score import main, parser
from benchmark.options import RunOptions
from builders.errors import DiskError, UsageError
from tests.support.user_project import run


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["score", "--model", "bundled:eficientnet-lite0"], "'bundled:efficientnet-lite0'"),
        (["score", "--data", "smaple"], "'sample'"),
        (["score", "--data", "cifar10"], "'hub:cifar10'"),
        (["score", "--data", "photos?name=mine"], "'folder:photos?name=mine'"),
        (["score", "--data", "flder:photos"], "'folder:PATH'"),
        (["score", "--tasks", "probe/jpg"], "'probe/jpeg'"),
        (["score", "--data", "folder:nowhere"], "nowhere"),
        (["score", "--batch_size", "8"], "--batch-size"),
        (["score", "--taks=probe/jpeg"], "--tasks"),
        (["score", "--batch", "8"], "--batch-size"),
        (["score", "--dtype", "float31"], "--dtype"),
        (["score", "--limit", "many"], "--limit"),
        (["score", "--mask-ratio", "1"], "1.0"),
        (["score", "photos"], "unexpected argument 'photos'"),
        (["--model", "mine:encode"], "--model"),
        (["lst"], "'list'"),
        (["list", "encoder"], "'encoders'"),
        (["build", "foldr"], "'folder'"),
        (["build", "folder", "--dta", "photos"], "--data"),
        (["build", "flickrexif", "fetch", "--stat", "x"], "--state"),
        (["score", "--tasks", "probe/make", "--data", "folder:photos"], "cannot"),
        (
            ["score", "--data", "folder:photos", "--data", "folder:photos?name=folder:photos"],
            "called",
        ),
    ],
)
def test_command__mistakes_are_one_sentence(project, monkeypatch, capfd, arguments, sentence):
    monkeypatch.chdir(project)
    assert camtrace(arguments) == 2
    printed = capfd.readouterr()
    assert sentence in printed.err
    assert len([line for line in printed.err.splitlines() if line.startswith("camtrace:")]) == 1
    assert "Traceback" not in printed.err
    assert printed.out == ""


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["score", "--model", "mine:missing", "--data", "folder:photos"], "missing"),
        (["score", "--taks=probe/jpeg"], "--tasks"),
    ],
)
def test_command__mistakes_end_a_process_as_they_end_the_command(project, arguments, sentence):
    done = run(project, *arguments, expect=2)
    assert sentence in done.stderr
    assert len([line for line in done.stderr.splitlines() if line.startswith("camtrace:")]) == 1
    assert done.stdout == ""


@pytest.mark.slow
def test_score__a_data_set_that_fails_is_status_1(project):
    done = run(project, "score", "--model", "mine:encode", "--data", "folder:bad", "-o", "of-bad", expect=1)
    [sentence] = [line for line in done.stderr.splitlines() if line.startswith("camtrace:")]
    assert "photos" in sentence
    assert not (project / "of-bad").exists()


def test_score__config_file_and_the_command_line_wins(project):
    (project / "run.toml").write_text(
        'model = ["mine:missing"]\ndata = "folder:photos"\ntasks = ["knn/jpeg", "probe/jpeg"]\n'
        'limit = 9\nfresh = true\nprotocol = "iccv2025"\nmask-ratio = 0.5\n'
    )
    args = parser().parse_args(["--config", str(project / "run.toml"), "-m", "mine:encode", "--limit", "40"])
    assert (args.model, args.data, args.tasks) == (["mine:encode"], ["folder:photos"], ["knn/jpeg", "probe/jpeg"])
    assert (args.limit, args.fresh, args.protocol, args.mask_ratio, args.workers) == (
        *(40, True, "iccv2025", 0.5),
        RunOptions().workers,
    )


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("batch_size = 8", "'batch-size'"),
        ("limit = [1, 2]", "limit"),
        ("limit = true", "limit takes a value"),
        ("fresh = 1", "fresh"),
        ('dtype = "float31"', "'float32'"),
        ("limit =", "not TOML"),
        (f"limit = {'9' * 5000}", "not TOML"),
        (f"{'a.' * 100_000}b = 1", "KiB"),
        ("[model]\nname = 1", "takes text, a number"),
        ('config = "other.toml"', "unknown option in"),
    ],
)
def test_config__mistakes_name_the_file(tmp_path, text, sentence):
    file = tmp_path / "mine.toml"
    file.write_text(text)
    with pytest.raises(UsageError, match=re.escape(sentence)) as caught:
        parser().parse_args(["--config", str(file)])
    assert "mine.toml" in str(caught.value)


@pytest.mark.parametrize("option", ["--output", "--cache"])
def test_score__a_place_that_cannot_be_written_is_reported_before_the_work(tmp_path, option):
    (tmp_path / "file").write_bytes(b"")
    places = {"--output": tmp_path / "out", "--cache": tmp_path / "c", option: tmp_path / "file" / "x"}
    with pytest.raises(DiskError, match=f"{option}"):
        main(["-d", "folder:/nowhere", *(str(word) for pair in places.items() for word in pair)])
    assert sorted(os.listdir(tmp_path)) == ["file"]
