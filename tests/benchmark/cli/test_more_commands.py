"""``leaderboard``, ``diff``, ``reproduce``, ``list`` and ``cache`` with the work by hand: calls, texts and statuses."""

import json
import time
from pathlib import Path
from types import SimpleNamespace

import pytest

import benchmark.compare
import benchmark.diff
import benchmark.encoders
import benchmark.leaderboard
import benchmark.report
import benchmark.scoring
from benchmark.cli import cache, diff, leaderboard, reproduce, sweep
from benchmark.cli import list as listing
from benchmark.leaderboard import DEFAULT_TITLE
from benchmark.leaderboard.site import WrittenSite
from benchmark.results import Refusal
from benchmark.scoring import Row
from benchmark.tasks import all_tasks
from builders.errors import UsageError


def run(command, words, capsys):
    """(status, standard output, standard error)."""
    args = command.parser().parse_args(words)
    status = command.run(args)
    printed = capsys.readouterr()
    return status, printed.out, printed.err


def refusal(command, words):
    with pytest.raises(UsageError) as refused:
        command.run(command.parser().parse_args(words))
    return str(refused.value)


def test_leaderboard__what_it_builds_and_prints(monkeypatch, capsys):
    calls = []
    refused, left_out = Refusal("a.json", "not JSON"), Refusal("columns", "too many")
    site = WrittenSite(47, 3, 5, 9, (refused,), (left_out,), 1_234_567)
    monkeypatch.setattr(leaderboard, "build_leaderboard", lambda *given, **how: calls.append((given, how)) or site)
    status, out, _ = run(leaderboard, ["r1", "r2", "-o", "site"], capsys)
    assert calls.pop() == ((["r1", "r2"], Path("site")), {"title": DEFAULT_TITLE, "published": True})
    assert (status, out.splitlines()) == (0, [
        "refused a.json: not JSON",
        "refused columns: too many",
        "47 published and 3 measured encoders from 5 result files (1 refused), 9 columns",
        "written to site: open site/index.html (1.23 MB to load)",
    ])  # fmt: skip
    words = ["r1", "-o", "site", "--title", "T", "--no-published", "--json"]
    status = leaderboard.main(words)
    record = {
        "output": "site", "published": 47, "measured": 3, "files": 5, "columns": 9, "loaded_bytes": 1_234_567,
        "refused": [{"file": "a.json", "reason": "not JSON"}], "left_out": [{"file": "columns", "reason": "too many"}],
    }  # fmt: skip
    assert (status, json.loads(capsys.readouterr().out)) == (0, record)
    assert calls.pop() == ((["r1"], Path("site")), {"title": "T", "published": False})
    run(leaderboard, ["-o", "site"], capsys)
    assert calls.pop()[0] == ([], Path("site"))
    sentence = "nothing to show: give a folder of results, or leave out --no-published"
    assert refusal(leaderboard, ["-o", "site", "--no-published"]) == sentence


class Compared:
    """A result of ``diff`` whose verdict is no, or undecided."""

    def __init__(self, passes=(True, True)):
        self.passes = passes

    def __str__(self):
        return "THE TABLE"

    def to_json(self):
        return {"ways": 2}

    def passed(self, *, fail_undecided):
        return self.passes[fail_undecided]


def test_diff__what_it_is_given_and_its_status(monkeypatch, capsys, tmp_path):
    calls, results = [], [Compared()]
    monkeypatch.setattr(benchmark.diff, "diff", lambda *given, **how: calls.append((given, how)) or results[0])
    monkeypatch.setattr(benchmark.diff, "write_diff", lambda *given: calls.append(given))
    defaults = {
        "a": "", "b": ["decoder=opencv"], "limit": None, "neighbours": None, "at_most": 1.0, "seed": 0,
        "device": "auto", "revision": None, "trust_remote_code": False,
    }  # fmt: skip
    assert run(diff, ["--b", "decoder=opencv"], capsys)[:2] == (0, "THE TABLE\n")
    assert calls == [(("bundled:efficientnet-lite0", "sample"), defaults)]
    calls.clear()
    out = tmp_path / "out"
    words = [
        "-m",
        "M",
        "-d",
        "D",
        "--a",
        "A",
        "--b",
        "B",
        "--b",
        "C",
        "--limit",
        "5",
        "--neighbours",
        "3",
        "--seed",
        "7",
    ]
    words += ["--at-most", "0.5", "--device", "cpu", "--revision", "R", "--trust-remote-code", "-o", str(out)]
    assert run(diff, words, capsys)[:2] == (0, f"THE TABLE\n\nwritten to {out / 'diff.html'}\n")
    changed = {
        "a": "A", "b": ["B", "C"], "limit": 5, "neighbours": 3, "at_most": 0.5, "seed": 7, "device": "cpu",
        "revision": "R", "trust_remote_code": True,
    }  # fmt: skip
    assert calls == [(("M", "D"), changed), (results[0], out)]
    base = ["--b", "dtype=bfloat16"]
    for passes, statuses in (
        ((True, True), (0, 0, 0, 0)),
        ((True, False), (0, 0, 1, 1)),
        ((False, False), (0, 1, 1, 1)),
    ):
        results[0] = Compared(passes)
        flags = ([], ["--exit-code"], ["--fail-undecided"], ["--exit-code", "--fail-undecided"])
        assert tuple(run(diff, [*base, *more], capsys)[0] for more in flags) == statuses
    args = diff.parser().parse_args([*base, "--json"])
    assert diff.run(args) == 0
    assert '{\n  "ways": 2\n}' in capsys.readouterr().out


def study(words, monkeypatch):
    """The arguments and encoders that ``reproduce`` hands to a sweep."""
    handed = []
    monkeypatch.setattr(reproduce, "run_sweep", lambda *given: handed.append(given) or 7)
    assert reproduce.run(reproduce.parser().parse_args(words)) == 7
    return handed.pop()


def test_reproduce__encoders_and_preset(monkeypatch, tmp_path):
    words = ["iccv2025", "--data", "imagenet:/a"]
    args, specs, text = study(words, monkeypatch)
    assert (args.preset, args.published, text) == ("iccv2025", True, reproduce._compare_with_study)
    assert specs == [row.spec for row in benchmark.encoders.STUDY]
    args, specs, _ = study([*words, "-m", "mine:encode"], monkeypatch)
    assert (args.published, specs) == (False, ["mine:encode"])
    args, specs, _ = study([*words, "-m", "mine:encode", "--published"], monkeypatch)
    assert (specs[0], len(specs)) == ("mine:encode", 48)
    (tmp_path / "models").write_text("a/b")
    args, specs, _ = study([*words, "--models", str(tmp_path / "models")], monkeypatch)
    assert (args.published, specs) == (False, ["a/b"])


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        ([], "which photos? give --data, such as --data imagenet:PATH --data inat2018:PATH (repeatable)"),
        (["--preset", "camtrace"], "--preset"),
        (["--protocol", "converged"], "--protocol"),
        (["--ties", "nearest", "--preset", "camtrace"], "--preset, --ties"),
        (["--preprocess", "own"], "--preprocess"),
    ],
)
def test_reproduce__is_the_preset_whole(words, sentence):
    whole = "reproduce iccv2025 is the preset iccv2025, whole: leave {} out, or use sweep --published"
    data = ["--data", "sample"] if words else []
    assert refusal(reproduce, ["iccv2025", *data, *words]) == (whole.format(sentence) if words else sentence)


@pytest.mark.parametrize("some", [True, False])
def test_compare_with_study__files_and_text(monkeypatch, tmp_path, some):
    notes = []

    def noted(module, name, outcome):
        monkeypatch.setattr(module, name, lambda *given, **how: notes.append((name, given, how)) or outcome)

    noted(benchmark.compare, "published_rows", "TABLE")
    noted(benchmark.compare, "write_published", None)
    noted(benchmark.compare, "study_text", "STUDY")
    noted(benchmark.compare, "draw_article", ["fig1.pdf"] if some else [])
    noted(benchmark.compare, "draw_figures", ["knn.png"] if some else [])
    noted(benchmark.report, "report_text", "REPORT")
    noted(benchmark.leaderboard, "write_report_page", None)
    noted(benchmark.scoring, "sweep_text", "SWEEP")
    rows = [Row("b", "imagenet", "failed", "no weights", "")]
    rows += [Row("a", "imagenet", "scored", "", "x", "RESULT")] * some
    text = reproduce._compare_with_study(rows, tmp_path)
    results = ["RESULT"] * some
    page = [
        ("report_text", (results, all_tasks()), {}),
        ("write_report_page", (results, "STUDY\n\nREPORT", tmp_path / "iccv2025.html"), {"published": True}),
    ]
    assert notes == [
        ("published_rows", (rows,), {}),
        ("write_published", ("TABLE", tmp_path / "beside.csv"), {}),
        ("study_text", ("TABLE", rows), {}),
        ("draw_article", ("TABLE", results, tmp_path), {}),
        ("draw_figures", ("TABLE", tmp_path), {}),
        *(page if some else []),
        ("sweep_text", (rows, tmp_path), {}),
    ]
    assert (tmp_path / "iccv2025.md").read_text() == "STUDY"
    drawn = "iccv2025.html, fig1.pdf, knn.png" if some else "no figure (nothing to show)"
    assert text == f"SWEEP\n\nSTUDY\nwritten to {tmp_path}: iccv2025.md, beside.csv, {drawn}"


def test_sweep__hands_on_encoders_and_its_size(monkeypatch):
    calls = []
    monkeypatch.setattr(sweep, "run_scoring", lambda *given, **how: calls.append((given, how)) or 3)
    args = sweep.parser().parse_args(["-m", "a", "--together", "5"])
    assert sweep.run(args) == 3
    assert calls.pop() == ((args, ["a"]), {"together": 5, "rows_text": None})
    assert args.preset is None
    args = sweep.parser().parse_args(["-m", "a", "--one-at-a-time", "--published"])
    assert sweep.run_sweep(args, ["x"], "text") == 3
    assert calls.pop() == ((args, ["x"]), {"together": 1, "rows_text": "text"})
    assert args.preset == "iccv2025"


def test_list__tasks_and_encoders_by_hand(monkeypatch, capsys):
    known = all_tasks()["knn/jpeg"]
    monkeypatch.setattr("benchmark.tasks.all_tasks", lambda: {"knn/jpeg": known})
    row = SimpleNamespace(
        spec="a/b", library="timm", group="SSL", training_data="IN", input_px=None, parameters=1_250_000,
        published_name=None,
    )  # fmt: skip
    named = SimpleNamespace(**{**vars(row), "spec": "c", "input_px": 224, "parameters": 0, "published_name": "C"})
    monkeypatch.setattr(benchmark.encoders, "list_encoders", lambda: [row, named])
    monkeypatch.setattr(
        benchmark.encoders, "installed_lists", lambda: SimpleNamespace(confirming=lambda spec: f"list of {spec}")
    )
    rows = {}
    for what in ("tasks", "encoders"):
        status, out, _ = run(listing, [what, "--json"], capsys)
        rows[what] = json.loads(out)
        assert status == 0
    metrics = ", ".join(metric.name for metric in known.metrics)
    assert rows["tasks"] == [{"task": "knn/jpeg", "metrics": metrics, "question": known.summary}]
    plain = {
        "encoder": "a/b", "library": "timm", "group": "SSL", "training data": "IN", "input px": "-",
        "parameters": "1.2 M", "name confirmed by": "list of a/b", "name in the published study": "-",
    }  # fmt: skip
    other = {"encoder": "c", "input px": "224", "parameters": "none", "name confirmed by": "list of c"}
    assert rows["encoders"] == [plain, {**plain, **other, "name in the published study": "C"}]
    status, out, _ = run(listing, ["encoders"], capsys)
    assert "\n\nAny other model of the Hub (ORG/NAME), timm/NAME" in out


def test_age__in_hours_up_to_two_days(monkeypatch):
    monkeypatch.setattr(time, "time", lambda: 1_000_000.0)
    hours = (-5, 0, 0.4, 0.6, 47.9, 47.4, 48, 36 * 24, 61)
    assert [cache._age(1_000_000.0 - 3600 * hour) for hour in hours] == [
        "0 h ago", "0 h ago", "0 h ago", "1 h ago", "48 h ago", "47 h ago", "2 days ago", "36 days ago", "3 days ago",
    ]  # fmt: skip


def test_list__parameters_and_data_by_hand(monkeypatch, capsys):
    parameter = SimpleNamespace(name="jpeg", classes=("q75", "q95"), chance=1 / 6)
    monkeypatch.setattr("builders.pixels.ALL_PARAMETERS", {"jpeg": parameter})
    kinds = [SimpleNamespace(usage="folder:PATH", options=("name", "label"), summary="a folder")]
    kinds.append(SimpleNamespace(usage="sample", options=(), summary="bundled"))
    monkeypatch.setattr("builders.data_specs.KINDS", {kind.usage: kind for kind in kinds})
    rows = {}
    for what in ("parameters", "data"):
        rows[what] = json.loads(run(listing, [what, "--json"], capsys)[1])
    assert rows["parameters"] == [{"parameter": "jpeg", "classes": "q75, q95", "chance %": "16.7"}]
    assert rows["data"] == [
        {"data": "folder:PATH", "options": "?name= ?label=", "what": "a folder"},
        {"data": "sample", "options": "-", "what": "bundled"},
    ]
