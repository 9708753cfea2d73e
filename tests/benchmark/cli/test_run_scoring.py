"""``camtrace score`` and ``sweep`` around a run: status, messages, reports, figure and Hub, by outcomes by hand."""

import contextlib
import dataclasses
import io
import json
from types import SimpleNamespace

import pytest

import benchmark.publishing
import benchmark.report
import benchmark.scoring
from benchmark.cli import erase, score, sweep
from benchmark.cli.console import Console
from benchmark.encoders import NO_FILE
from benchmark.results import Failure, Result, Score
from benchmark.scoring import Failed, PassTimes, Row, RunOutcome
from benchmark.scoring.estimating.measuring import Measured
from builders.errors import DataError, UsageError


def result(name="a", *failures):
    scores = (Score("knn/original", "sample", "accuracy", 0.5, 0.4, 0.6, 10, 0.1),)
    data = {"name": "sample", "photos": {"train": 5, "val": 10}, "classes": 2}
    failed = tuple(Failure(kind, name, "broken") for kind, name in failures)
    return Result(
        {"id": name}, data, {"options": {}}, scores, failed, {"seconds": {}, "views": 0}, "2026-01-01T00:00:00+00:00"
    )


SCORED = Row("a", "sample", "scored", "", "", result())
PARTIAL = Row("a", "sample", "partial", "no memory", "", result("a", ("task", "knn/jpeg")))
LOST = Row("b", "sample", "failed", "no such model", "")
NO_MODEL, NO_DATA = Failed("b", UsageError("b: no such model")), Failed("sample", DataError("sample: is empty"))


@pytest.fixture
def run(monkeypatch, tmp_path, capsys):
    """Runs a command whose request has this outcome; (status, standard output, error, what was called)."""
    called = {}

    def of(outcome, *words, command=score, rows_text=None):
        called.clear()

        def run_request(request, *, failed, log):
            called["request"] = request
            for failure in outcome.failed:
                failed(failure)
            log.warning("warned")
            log.info("informed")
            log.debug("details")
            return outcome

        def write_reports(results, unloaded, output, photos, drawing):
            called["reports"] = (list(results), dict(unloaded), output, tuple(photos))
            return "THE REPORT"

        def summary_figure(results, questions):
            called["drawn"] = list(results)
            return "FIGURE" if results else None

        monkeypatch.setattr(benchmark.scoring, "run_request", run_request)
        monkeypatch.setattr(benchmark.scoring, "write_reports", write_reports)
        monkeypatch.setattr(benchmark.scoring, "begin_drawing", contextlib.nullcontext)
        monkeypatch.setattr(
            benchmark.publishing, "push_folder_of_results", lambda *given: called.setdefault("pushed", given)
        )
        monkeypatch.setattr(benchmark.report, "summary_figure", summary_figure)
        monkeypatch.setattr(
            benchmark.report, "write_figure", lambda figure, file: called.setdefault("figure", (figure, file))
        )
        folders = ["--output", str(tmp_path / "out"), "--cache", str(tmp_path / "c"), "--workers", "0"]
        args = command.parser().parse_args(["-m", "a", "-d", "sample", *folders, *words])
        status = (
            command.run(args) if rows_text is None else score.run_scoring(args, ["a"], together=1, rows_text=rows_text)
        )
        printed = capsys.readouterr()
        return status, printed.out, printed.err, dict(called)

    return of


@pytest.mark.parametrize(
    ("rows", "failed", "alone", "in_sweep"),
    [
        ((SCORED,), (), 0, 0),
        ((SCORED, LOST), (NO_MODEL,), 1, 1),
        ((PARTIAL,), (), 1, 1),
        ((LOST,), (NO_MODEL,), 2, 1),
        ((LOST,), (NO_MODEL, NO_DATA), 1, 1),
        ((), (NO_DATA,), 1, 1),
        ((SCORED,), (NO_DATA,), 1, 1),
    ],
)
def test_status(run, tmp_path, rows, failed, alone, in_sweep):
    outcome = RunOutcome(rows, failed, ())
    status, out, err, called = run(outcome)
    assert status == alone
    results = [row.result for row in rows if row.result]
    if results:
        assert out == "THE REPORT\n"
        assert called["reports"] == (results, {f.name: f.error.args[0] for f in failed}, tmp_path / "out", ())
        files = "result.json, answers.npz, report.html, report.md, report.png"
        assert f"written to {tmp_path / 'out'}: {files}; banks in {tmp_path / 'c'}" in err
    else:
        assert (out, "reports" in called, "written to" in err) == ("", False, False)
    assert [f"camtrace: {failure.reason}\n" in err for failure in failed] == [True] * len(failed)
    assert "pushed" not in called
    assert "figure" not in called
    status, out, err, called = run(outcome, command=sweep)
    assert status == in_sweep
    assert called["request"].together == 8
    unloaded = {f"{row.spec} on {row.data}": row.reason for row in rows if row.state == "failed"}
    assert called["reports"][:2] == (results, unloaded)
    assert "Written to" in out
    # of a sweep only encoders that cannot be loaded are printed; what fails later is a row
    assert [f"camtrace: {failure.name}: {failure.reason}\n" in err for failure in failed] == [
        failure.name == "a" for failure in failed
    ]


def test_sweep__names_an_encoder_that_cannot_be_loaded(run):
    outcome = RunOutcome((dataclasses.replace(LOST, spec="a"),), (Failed("a", DataError("no weights")),), ())
    assert "camtrace: a: no weights\n" in run(outcome, command=sweep)[2]
    status, out, _, _ = run(outcome, rows_text=lambda rows, output: f"{len(rows)} rows in {output.name}")
    assert (status, out) == (1, "1 rows in out\n")


def test_warnings_of_lost_photos_are_printed_but_for_a_sweep(run):
    lost = result("a", ("photo", "x"), ("photo", "y"), ("task", "knn/jpeg"))
    outcome = RunOutcome((dataclasses.replace(PARTIAL, result=lost),), (), ())
    sentence = "camtrace: warning: a on sample: 2 photos, 1 task failed, see the report"
    assert sentence in run(outcome)[2]
    assert sentence not in run(outcome, command=sweep)[2]
    assert "camtrace: warning" not in run(RunOutcome((SCORED,), (), ()))[2]


def test_push_and_figure__only_where_there_are_results(run, tmp_path):
    words = ["--push-to", "me/results", "--figure", str(tmp_path / "a.pdf")]
    *_, called = run(RunOutcome((SCORED,), (), ()), *words)
    assert called["pushed"] == (tmp_path / "out", "me/results")
    assert called["figure"] == ("FIGURE", tmp_path / "a.pdf")
    assert called["drawn"] == [SCORED.result]
    *_, called = run(RunOutcome((SCORED,), (), ()))
    assert not {"pushed", "figure", "drawn"} & set(called)
    with pytest.raises(DataError, match=r"--figure .*a\.pdf: there is no score to draw"):
        run(RunOutcome((LOST,), (NO_DATA,), ()), *words)
    *_, called = run(RunOutcome((LOST,), (NO_DATA,), ()), *words[:2])
    assert "pushed" not in called


@pytest.mark.parametrize(
    ("words", "report_on", "info", "debug", "is_json"),
    [
        ([], "out", True, False, False),
        (["--quiet"], "out", False, False, False),
        (["--verbose"], "out", True, True, False),
        (["--json"], "err", True, False, True),
        (["--json", "--quiet"], "", False, False, True),
    ],
)
def test_console__who_gets_what(run, monkeypatch, words, report_on, info, debug, is_json):
    for name in ("HF_HUB_DISABLE_PROGRESS_BARS", "TRANSFORMERS_VERBOSITY", "CAMTRACE_DEBUG"):
        monkeypatch.setenv(name, "as it was")
    _, out, err, _ = run(RunOutcome((SCORED, LOST), (NO_MODEL,), ()), *words)
    assert ("THE REPORT" in out, "THE REPORT" in err) == (report_on == "out", report_on == "err")
    assert ("warned" in err, "informed" in err, "details" in err) == (info, info, debug)
    assert ("scoring a on sample; results go to" in err) == info
    assert "camtrace: b: no such model" in err
    if is_json:
        record = json.loads(out)
        assert "b: no such model" in json.dumps(record)
        assert "knn/original" in out


def test_console__standard_output_is_opened_again_where_code_closed_it(monkeypatch):
    console = Console(SimpleNamespace(quiet=False, verbose=False, json=False))
    closed = io.StringIO()
    closed.close()
    console._out = closed
    assert not console.out.closed
    assert console.out is console.out


def test_score__revision_goes_with_one_model(run):
    outcome = RunOutcome((SCORED,), (), ())
    assert run(outcome, "--revision", "abc")[0] == 0
    assert run(outcome, "--revision", "abc", "-m", "a")[0] == 0  # the same model again
    with pytest.raises(UsageError, match="--revision goes with one --model"):
        run(outcome, "--revision", "abc", "-m", "c")


def test_request__what_the_command_line_says(run, tmp_path):
    *_, called = run(
        RunOutcome((SCORED,), (), ()), "-t", "knn/*,probe/jpeg", "--trust-remote-code", "-d", "simcams", "-d", "sample"
    )
    request = called["request"]
    assert (list(request.encoders), request.encoders["a"].spec) == (["a"], "a")
    assert (request.data, request.tasks) == (["sample", "simcams"], ["knn/*", "probe/jpeg"])
    assert (request.trust_remote_code, request.erasing, request.output) == (True, None, tmp_path / "out")
    assert (request.together, request.by_ranks) == (None, None)
    *_, called = run(RunOutcome((SCORED,), (), ()))
    assert (called["request"].tasks, called["request"].trust_remote_code) == ([], False)


@pytest.mark.parametrize(("reasons", "alone"), [(("", "no"), 0), (("no", "no"), 1), (("",), 0)])
def test_dry_run__status(monkeypatch, tmp_path, capsys, reasons, alone):
    measured = [
        Measured(f"e{i}", "sample", reason, times=PassTimes(), compiled=NO_FILE) for i, reason in enumerate(reasons)
    ]
    groups = []

    def estimate(given, sets, options, load):
        groups.append(given)
        return measured

    monkeypatch.setattr(benchmark.scoring, "estimate", estimate)
    for command, status in ((score, alone), (sweep, 0)):
        words = ["-m", "a", "-m", "b", "-d", "sample", "--dry-run", "--output", str(tmp_path / "out")]
        args = command.parser().parse_args([*words, "--cache", str(tmp_path / "c")])
        assert command.run(args) == status
        printed = capsys.readouterr()
        assert f"{sum(not r for r in reasons)} of {len(reasons)} rows can be scored" in printed.out
        assert "measuring a and b on sample; results go to" in printed.err
    assert groups == [[["a", "b"]]] * 2
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        ([], "which trace?"),
        (["--trace", "jpeg", "-m", "a", "-m", "b"], "one encoder and one data set"),
        (["--trace", "jpeg", "-d", "sample", "-d", "simcams"], "one encoder and one data set"),
        (["--trace", "jpeg", "--tasks", "probe/*"], "go with camtrace score"),
        (["--trace", "jpeg", "--eraser", "x"], "go with camtrace score"),
        (["--trace", "jpeg", "--dry-run"], "go with camtrace score"),
        (["--trace", "jpeg", "--figure", "a.pdf"], "go with camtrace score"),
        (["--trace", "jpeg", "--fit-share", "0.3", "--shared-train"], "leave out --fit-share"),
        (["--trace", "jpeg", "--push-to", "name"], "--push-to name: write OWNER/NAME, and give one --trace"),
        (["--trace", "jpeg,make", "--push-to", "me/name"], "write OWNER/NAME, and give one --trace"),
    ],
)
def test_erase__what_does_not_go_together(words, sentence):
    with pytest.raises(UsageError, match=sentence):
        erase.run(erase.parser().parse_args(words))


@pytest.fixture
def erased(monkeypatch, tmp_path, capsys):
    """Runs ``camtrace erase`` with work by hand: (standard output, error, what was called, folder)."""

    def of(*words, rows=("row",), curve=()):
        called = {"requests": [], "saved": []}

        def erase_trace(encoder, photos, request, *, also, log):
            called["requests"].append(request)
            called["also"] = also
            return SimpleNamespace(rows=rows, curve=curve, eraser="E", trace=request.trace)

        monkeypatch.setattr(benchmark.scoring, "erase_trace", erase_trace)
        monkeypatch.setattr(benchmark.scoring, "open_limited", lambda spec, options: Photos(spec))
        monkeypatch.setattr(benchmark.scoring, "erased_record", lambda erased: {"of": erased.trace})
        monkeypatch.setattr(
            benchmark.scoring, "save_erased", lambda erased, folder, place: called["saved"].append((folder, place))
        )
        monkeypatch.setattr(
            "benchmark.encoders.load_encoder", lambda spec, **options: called.setdefault("loaded", (spec, options))
        )
        monkeypatch.setattr("benchmark.erasing.table", lambda rows, eraser, questions: f"TABLE {eraser}")
        monkeypatch.setattr("benchmark.erasing.verdict", lambda rows, trace: f"VERDICT {trace}")
        monkeypatch.setattr("benchmark.erasing.curve_table", lambda curve: "CURVE")
        monkeypatch.setattr("benchmark.erasing.matrix", lambda erased, questions: f"MATRIX {','.join(erased)}")
        monkeypatch.setattr("benchmark.publishing.publish_eraser", lambda *given: called.setdefault("pushed", given))
        monkeypatch.setattr(erase, "cells_text", lambda photos: f"cells of {photos.name}")
        folders = ["--output", str(tmp_path / "out"), "--cache", str(tmp_path / "c"), "--workers", "0"]
        assert erase.run(erase.parser().parse_args([*folders, *words])) == 0
        printed = capsys.readouterr()
        return printed.out, printed.err, called, tmp_path / "out"

    return of


class Photos:
    def __init__(self, name):
        self.name = name

    def __len__(self):
        return 480


def test_erase__one_trace(erased):
    out, err, called, folder = erased(
        "--trace", "is_smartphone", "--revision", "abc", "--also", "simcams", "--push-to", "me/e"
    )
    assert out == "TABLE E\n\nVERDICT is-smartphone\n"
    assert called["saved"] == [(folder, "me/e")]
    assert called["pushed"] == (folder, "me/e")
    assert [photos.name for photos in called["also"]] == ["simcams"]
    assert ("cells of sample\ncells of simcams" in err, f"written to {folder}" in err) == (True, True)
    assert (called["loaded"][0], called["loaded"][1]["revision"]) == ("bundled:efficientnet-lite0", "abc")
    assert not (folder / "transfer.md").exists()
    [request] = called["requests"]
    fields = (request.trace, request.method, request.transfer, request.sizes, request.drop_leaks)
    assert fields == ("is-smartphone", "leace", False, [], False)
    assert (request.cameras_apart, request.readers_apart, request.fit_share) == (True, True, 0.5)
    assert (request.options.readers, request.options.mask_ratio) == ("linear,knn,mlp", 0.0)


def test_erase__choices_of_the_fit(erased):
    words = ["--method", "mean", "--curve", "--drop-leaks", "--seen-cameras", "--shared-train", "--transfer"]
    out, _, called, folder = erased("--trace", "jpeg", *words, curve=("point",), rows=())
    assert out == "CURVE\n"  # the matrix of one trace is only written
    assert (folder / "transfer.md").read_text() == "MATRIX jpeg\n"
    [request] = called["requests"]
    assert (request.method, request.transfer, request.sizes, request.drop_leaks) == ("mean", True, [60, 120, 240], True)
    assert (request.cameras_apart, request.readers_apart) == (False, False)
    assert called["saved"] == [(folder, "")]
    assert "pushed" not in called
    assert erased("--trace", "jpeg", "--fit-share", "0.25")[2]["requests"][0].fit_share == 0.25


def test_erase__several_traces_each_once(erased):
    out, _, called, folder = erased("--trace", "jpeg,make", "--trace", "jpeg")
    assert out == "TABLE E\n\nVERDICT jpeg\nTABLE E\n\nVERDICT make\nMATRIX jpeg,make\n"
    assert called["saved"] == [(folder / "jpeg", ""), (folder / "make", "")]
    assert [request.transfer for request in called["requests"]] == [True, True]
    assert (folder / "transfer.md").read_text() == "MATRIX jpeg,make\n"
    out, err, *_ = erased("--trace", "jpeg,make", "--json")
    assert json.loads(out) == {"jpeg": {"of": "jpeg"}, "make": {"of": "make"}}
    assert "VERDICT make" in err
