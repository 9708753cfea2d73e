"""``camtrace compare`` around its work: which kind of comparison, what is passed on, status, presets, and figures."""

from pathlib import Path
from types import SimpleNamespace

import pytest

import benchmark.compare
import benchmark.report
import benchmark.results
from benchmark.cli.compare import main
from benchmark.results import Refusal
from builders.errors import DataError, UsageError


def run_of(name, preset=None):
    options = {} if preset is None else {"preset": preset}
    environment = {"options": options} if preset != "none" else {}
    return SimpleNamespace(name=name, result=SimpleNamespace(name=name, environment=environment))


class Gate:
    def __init__(self, passes, undecided=False):
        self.passes, self.undecided = passes, undecided

    def passed(self, *, fail_undecided):
        return self.passes and not (fail_undecided and self.undecided)

    def to_json(self):
        return {"gate": True}


@pytest.fixture
def world(monkeypatch, capsys):
    """Runs the command on runs by hand: (status, standard output, error, what was called)."""
    world = SimpleNamespace(runs={}, refused={}, gate=Gate(True), figure="FIGURE", called={}, items=())

    def note(name, value):
        def noted(*given, **named):
            world.called[name] = (given, named)
            return value() if callable(value) else value

        return noted

    def read_runs(folder, questions):
        runs, refused = (tuple(table.get(str(folder), ())) for table in (world.runs, world.refused))
        return SimpleNamespace(runs=runs, refused=refused)

    monkeypatch.setattr(benchmark.results, "read_runs", read_runs)
    monkeypatch.setattr(benchmark.compare, "is_item_source", lambda path: str(path) in world.items)
    for name, value in {
        "compare_runs": (["row"], ["tie"]), "comparison_text": "COMPARED", "comparison_json": {"compared": 1},
        "gate_runs": lambda: world.gate, "gate_text": "GATE", "read_sources": "SOURCES",
        "gate_items": lambda: world.gate,
        "compare_rows": ("ITEMS", "ALIGNED"), "items_text": "ITEMS TEXT", "items_record": {"items": 1},
        "write_items": None, "items_figure": "ITEMS FIGURE",
    }.items():  # fmt: skip
        monkeypatch.setattr(benchmark.compare, name, note(name, value))
    monkeypatch.setattr(
        benchmark.compare, "published_text",
        lambda run, name, tasks, *, across_presets: f"{run.name} {name!r} {tasks} {across_presets}",
    )  # fmt: skip
    monkeypatch.setattr(benchmark.report, "summary_figure", note("summary_figure", lambda: world.figure))
    monkeypatch.setattr(benchmark.report, "write_figure", note("write_figure", None))

    def of(*words):
        world.called.clear()
        status = main(list(words))
        printed = capsys.readouterr()
        return status, printed.out, printed.err, dict(world.called)

    world.of = of
    return world


def test_runs__everything_is_passed_on(world):
    world.runs = {"a": [run_of("1"), run_of("2")], "b": [run_of("3")]}
    status, out, err, called = world.of("a", "b", "-t", "probe/*,knn/jpeg", "--all-metrics", "--across-codecs")
    (runs, tasks), named = called["compare_runs"]
    assert [run.name for run in runs] == ["1", "2", "3"]
    assert tasks == ["probe/*", "knn/jpeg"]
    assert named == {"all_metrics": True, "across_codecs": True, "across_presets": False}
    assert (status, out, err) == (0, "COMPARED\n", "")
    assert called["comparison_text"][0] == (["row"], ["tie"])
    world.refused = {"b": [Refusal("x/result.json", "is damaged")]}
    status, out, err, called = world.of("a", "b", "--across-presets", "--json")
    assert called["compare_runs"][1] == {"all_metrics": False, "across_codecs": False, "across_presets": True}
    assert status == 1
    assert '"compared": 1' in out
    assert f"camtrace: refused {Path('b/x/result.json')}: is damaged" in err
    world.runs = {}
    with pytest.raises(DataError, match="none of the results given can be compared"):
        world.of("a", "b")


@pytest.mark.parametrize(
    ("words", "passes", "undecided", "refused", "status"),
    [
        (["--worse-by", "2"], False, False, False, 0),
        (["--worse-by", "2"], False, False, True, 1),
        (["--exit-code"], False, False, False, 1),
        (["--exit-code"], True, True, False, 0),
        (["--exit-code"], True, True, True, 1),
        (["--fail-undecided"], True, True, False, 1),
        (["--fail-undecided"], True, False, False, 0),
    ],
)
def test_gate__status_and_margin(world, words, passes, undecided, refused, status):
    world.runs, world.gate = {"a": [run_of("1")], "b": [run_of("2")]}, Gate(passes, undecided)
    world.refused = {"a": [Refusal("x", "is damaged")]} if refused else {}
    made, out, _, called = world.of("a", "b", *words, "-t", "knn/*", "--all-metrics")
    assert (made, out) == (status, "GATE\n")
    (old, new, tasks), named = called["gate_runs"]
    assert ([run.name for run in old], [run.name for run in new], tasks) == (["1"], ["2"], ["knn/*"])
    assert named.pop("margin") == (0.02 if "--worse-by" in words else 0.0)
    assert named == {"all_metrics": True, "across_codecs": False, "across_presets": False}


def test_published__a_text_for_each_run_of_the_studys_preset(world):
    world.runs = {"a": [run_of("1"), run_of("2", "iccv2025")], "b": [run_of("3", "iccv2025")]}
    status, out, err, _ = world.of("a", "b", "--published", "-t", "knn/*")
    assert (status, out) == (0, "2 '' ['knn/*'] False\n\n3 '' ['knn/*'] False\n")
    assert err == "1 of 3 runs are of another preset and left out (--preset names one)\n"
    status, out, err, _ = world.of("a", "--published", "CLIP", "--across-presets")
    assert (out, err) == ("1 'CLIP' [] True\n\n2 'CLIP' [] True\n", "")
    world.runs = {"a": [run_of("1"), run_of("2", "none")]}
    assert world.of("a", "--published")[1:3] == ("1 '' [] False\n\n2 '' [] False\n", "")  # there is no other
    world.refused = {"a": [Refusal("x", "is damaged")]}
    assert world.of("a", "--published")[0] == 1


def test_preset__only_its_runs(world):
    world.runs = {"a": [run_of("1"), run_of("2", "iccv2025"), run_of("3", "camtrace"), run_of("4", "none")]}
    for preset, names in (("camtrace", ["1", "3", "4"]), ("iccv2025", ["2"])):
        _, _, err, called = world.of("a", "--preset", preset)
        assert [run.name for run in called["compare_runs"][0][0]] == names
        assert err == ""
    _, _, err, called = world.of("a")
    assert len(called["compare_runs"][0][0]) == 4
    world.runs = {"a": [run_of("1")]}
    with pytest.raises(UsageError, match="no run of the preset iccv2025 here; there are: camtrace"):
        world.of("a", "--preset", "iccv2025")


def test_figure__of_results_before_anything_else_and_of_none(world, tmp_path):
    world.runs = {"a": [run_of("1")], "b": [run_of("2")]}
    file = tmp_path / "a.pdf"
    _, _, err, called = world.of("a", "b", "--figure", str(file), "-t", "knn/*")
    (results, _, tasks), _ = called["summary_figure"]
    assert ([result.name for result in results], tasks) == (["1", "2"], ["knn/*"])
    assert called["write_figure"][0] == ("FIGURE", file)
    assert f"written to {file}" in err
    world.figure = None
    with pytest.raises(DataError, match=r"--figure .*a\.pdf: there is no score to draw"):
        world.of("a", "b", "--figure", str(file))
    world.runs = {}
    with pytest.raises(UsageError, match="is written as"):  # before any result is read
        world.of("a", "b", "--figure", "a.gif")


def test_items__everything_is_passed_on(world, tmp_path):
    world.items = ("a.csv", "b.csv")
    words = ["--item", "id", "--score", "right", "--cluster", "page", "--task", "t", "--system", "s", "-t", "x"]
    words += ["--on-missing", "drop", "--on-repeated", "mean", "--range", "0,100", "--lower-is-better"]
    output, file = tmp_path / "out", tmp_path / "a.svg"
    status, out, err, called = world.of(*world.items, *words, "--output", str(output), "--figure", str(file))
    (folders, columns, tasks), _ = called["read_sources"]
    assert [str(folder) for folder in folders] == ["a.csv", "b.csv"]
    assert (columns, tasks) == (benchmark.compare.Columns("id", "right", "page", "t", "s"), ["x"])
    assert called["compare_rows"] == (
        ("SOURCES",),
        {"on_missing": "drop", "on_repeated": "mean", "score_range": (0.0, 100.0), "lower_is_better": True},
    )
    assert called["write_items"][0] == ("ITEMS", output, None)
    assert called["write_figure"][0] == ("ITEMS FIGURE", file)
    assert (status, out) == (0, "ITEMS TEXT\n")
    assert f"written to {output / 'comparison.html'}" in err
    assert f"written to {file}" in err
    assert "gate_items" not in called
    _, _, _, called = world.of("a.csv", "b.csv")
    usual = {"on_missing": "fail", "on_repeated": "fail", "score_range": None, "lower_is_better": False}
    assert called["compare_rows"][1] == usual
    assert not {"write_items", "write_figure"} & set(called)


@pytest.mark.parametrize(("words", "status"), [(["--worse-by", "3"], 0), (["--exit-code"], 1)])
def test_items__gate(world, words, status):
    world.items, world.gate = ("a.csv", "b.csv"), Gate(False)
    made, out, _, called = world.of("a.csv", "b.csv", *words, "--lower-is-better")
    margin = 0.03 if "--worse-by" in words else 0.0
    assert called["gate_items"] == (("ITEMS", "ALIGNED"), {"margin": margin, "lower_is_better": True})
    assert called["gate_text"] == ((world.gate,), {"unit": "item"})
    assert called["items_record"][0] == ("ITEMS", world.gate)
    assert (made, out) == (status, "GATE\n")


@pytest.mark.parametrize(
    "words",
    [["--item", "i"], ["--score", "s"], ["--cluster", "c"], ["--task", "t"], ["--system", "s"], ["--range", "0,1"],
     ["--output", "o"], ["--lower-is-better"], ["--on-missing", "drop"], ["--on-repeated", "mean"]],
)  # fmt: skip
def test_items__each_option_of_theirs_makes_it_a_comparison_by_item(world, words, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert world.of("a", "b", *words)[1] == "ITEMS TEXT\n"
    (tmp_path / "a").mkdir()
    (tmp_path / "a" / "result.json").write_text("{}")
    with pytest.raises(UsageError, match="results of camtrace and scores by item are not compared with each other"):
        world.of("a", "b", *words)
    world.items = ("b",)
    with pytest.raises(UsageError, match="are not compared with each other"):
        world.of("a", "b")
    world.items = ("a", "b")
    assert world.of("a", "b")[1] == "ITEMS TEXT\n"


@pytest.mark.parametrize("option", ["published", "preset", "all-metrics", "across-codecs", "across-presets"])
def test_items__options_of_results_are_refused(world, option):
    world.items = ("a.csv", "b.csv")
    words = [f"--{option}", *(["camtrace"] if option == "preset" else [])]
    with pytest.raises(UsageError, match=f"--{option} goes with results of camtrace, not with scores by item"):
        world.of("a.csv", "b.csv", *words)


@pytest.mark.parametrize("text", ["1,0", "1,1", "1", "1,2,3", "a,b", "nan,1", "0,inf", "-1e301,0"])
def test_range__that_is_none(world, text):
    with pytest.raises(UsageError, match="the lower one first"):
        world.of("a.csv", "b.csv", f"--range={text}")
