"""``Results`` of runs whose answers are known: keys, remarks, files, figures, and comparisons with every option."""

import dataclasses
import re
import sys
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
from matplotlib.figure import Figure

from benchmark.api import compare, compare_items, load_results
from benchmark.api import comparison as comparison_module
from benchmark.api import results as results_module
from benchmark.api.notebook import inline_image, show_figures
from benchmark.api.results import NoSuchScore, Results
from benchmark.results import Failure
from builders.errors import DataError, UsageError
from tests.support.probe_runs import probe_run, write

RIGHT = np.arange(300) % 4 > 0


def run(encoder="a", data="toy", right=RIGHT, failures=(), **more):
    scored = probe_run(encoder, right, data=data)
    return dataclasses.replace(scored, result=dataclasses.replace(scored.result, failures=tuple(failures), **more))


def some(*runs, missing=(), single=False):
    return Results(tuple(runs), dict(missing), single)


TWO_SETS = some(run(), run(data="other"))
TWO_BOTH = some(run(), run("b"), run(data="other"), run("b", data="other"))


@pytest.mark.parametrize(
    ("results", "keys", "choices"),
    [
        (some(run()), [("probe/jpeg", "accuracy")], ""),
        (TWO_SETS, [("a", "toy", "probe/jpeg", "accuracy"), ("a", "other", "probe/jpeg", "accuracy")],
         "probe/jpeg has 2 scores; results.select(...) takes one of data='toy', data='other'"),
        (some(run(), run("b")), [("a", "toy", "probe/jpeg", "accuracy"), ("b", "toy", "probe/jpeg", "accuracy")],
         "probe/jpeg has 2 scores; results.select(...) takes one of encoder='a', encoder='b'"),
        (TWO_BOTH, [(e, d, "probe/jpeg", "accuracy") for d in ("toy", "other") for e in "ab"],
         "probe/jpeg has 4 scores; results.select(...) takes one of encoder='a', encoder='b', data='toy', "
         "data='other'"),
        (some(), [], "unknown task 'probe/jpeg': there are: none"),
    ],
)  # fmt: skip
def test_results__keys_and_ambiguous_tasks(results, keys, choices):
    assert list(results) == keys
    assert len(results) == len(keys)
    if choices:
        with pytest.raises(NoSuchScore, match=re.escape(choices)):
            results["probe/jpeg"]
    else:
        assert results["probe/jpeg"] is results["probe/jpeg", "accuracy"]
        assert results["probe/jpeg"] is results["a", "toy", "probe/jpeg", "accuracy"]


def test_select__by_encoder_and_by_data():
    def names(results):
        return [(result.encoder["id"], result.data["name"]) for result in results.results]

    assert names(TWO_BOTH.select(encoder="b")) == [("b", "toy"), ("b", "other")]
    assert names(TWO_BOTH.select(data="other")) == [("a", "other"), ("b", "other")]
    one = TWO_BOTH.select(encoder="b", data="toy")
    assert (one.encoders, one.data, one.single) == (("b",), ("toy",), True)
    assert TWO_BOTH.select(encoder="b").single is False
    assert (TWO_BOTH.encoders, TWO_BOTH.data) == (("a", "b"), ("toy", "other"))
    with pytest.raises(UsageError, match="unknown data in these results 'toi': did you mean 'toy'"):
        TWO_BOTH.select(data="toi")


@pytest.mark.parametrize(("count", "more"), [(0, None), (1, None), (5, None), (6, 1), (8, 3)])
def test_remarks__at_most_five_failures_those_without_a_result_first(count, more):
    failures = [Failure("task", f"t{i}", f"reason {i}") for i in range(max(0, count - 1))]
    results = some(run(failures=failures), missing={"gone": "no such encoder"} if count else {})
    lines = repr(results).splitlines()
    remarks = [line for line in lines if line.startswith(("Not scored", "Failed"))]
    expected = ["Not scored gone: no such encoder", *(f"Failed: task t{i}: reason {i}" for i in range(count - 1))]
    assert remarks == expected[: min(count, 5)]
    assert [line for line in lines if "more failures" in line] == (
        [f"... and {more} more failures, see results.failures"] if more else []
    )
    assert [failure.kind for failure in results.failures] == ["not scored", *["task"] * (count - 1)][:count]


def test_table__columns_of_encoder_and_data_only_where_there_are_several():
    first = {"encoder": "a", "data": "toy", "task": "probe/jpeg", "metric": "accuracy", "value %": "75.0", "n": "300"}
    usual = ["task", "metric", "value %", "95 % interval", "chance %", "n"]
    for results, names in (
        (some(run()), []),
        (TWO_SETS, ["data"]),
        (some(run(), run("b")), ["encoder"]),
        (TWO_BOTH, ["encoder", "data"]),
    ):
        lines = repr(results).splitlines()
        header, cells = ([cell.strip() for cell in lines[at].split("|")[1:-1]] for at in (0, 2))
        assert header == [*names, *usual]
        row = dict(zip(header, cells, strict=True))
        assert {name: row[name] for name in header if name in first} == {n: first[n] for n in header if n in first}
    assert "a and b on toy and other." in repr(TWO_BOTH)
    assert "smoke test" not in repr(TWO_BOTH)
    smoke = run()
    smoke.result.data["smoke_test"] = True
    assert "A smoke test, not evidence" in repr(some(run(), smoke))


def test_statements__of_every_result():
    statements = TWO_BOTH.statements
    assert len(statements) == 4 * len(some(run()).statements) > 0


def test_load__with_and_without_answers(tmp_path):
    saved = some(run(), single=True)
    assert saved.save(tmp_path / "one") == tmp_path / "one"
    assert load_results(str(tmp_path / "one")) == saved
    assert load_results(tmp_path).single is False  # it lies below
    [scored] = load_results(tmp_path / "one").scored
    assert sorted(scored.answers) == ["probe/jpeg/photos", "probe/jpeg/predicted"]
    (tmp_path / "one" / "result.json").write_text("{}")
    with pytest.raises(DataError, match=rf"^{tmp_path}/one/result\.json: "):
        load_results(tmp_path / "one")


def test_plot__layers_over_depth_and_everything_else_as_a_summary(monkeypatch):
    calls = []

    def summary(results, questions, tasks, width):
        calls.append((tasks, width))
        return figure

    monkeypatch.setattr(results_module, "depth_figure", lambda results, questions, task: calls.append(task) or depth[0])
    monkeypatch.setattr(results_module, "summary_figure", summary)
    monkeypatch.setattr(results_module, "show_figures", lambda: calls.append("shown"))
    monkeypatch.setattr(results_module, "write_figure", lambda figure, file: calls.append(file.name))
    figure, depth = "figure", ["depth"]
    assert some(run()).plot("probe/jpeg", file="x.pdf") == "depth"
    depth[0] = None
    assert some(run()).plot("probe/*", width=5, file="y.svg") == "figure"
    assert some(run()).plot() == "figure"
    assert some(run()).plot("probe/*", "*/jpeg") == "figure"
    assert some(run(), run("b")).plot("probe/jpeg") == "figure"
    usual = results_module.COLUMN
    assert calls == [
        *("probe/jpeg", "x.pdf", "shown"), *("probe/*", (("probe/*",), 5), "y.svg", "shown"), *(((), usual), "shown"),
        *((("probe/*", "*/jpeg"), usual), "shown"), *((("probe/jpeg",), usual), "shown"),
    ]  # fmt: skip
    figure = None
    with pytest.raises(UsageError, match="there is no score to draw; failures says why"):
        some(run()).plot(file="z.pdf")
    assert "z.pdf" not in calls


def test_compare__options_and_sources(monkeypatch, tmp_path):
    calls = []

    def compare_runs(runs, patterns, **how):
        calls.append((runs, patterns, how))
        return [], []

    monkeypatch.setattr(comparison_module, "compare_runs", compare_runs)
    monkeypatch.setattr(comparison_module, "gate_runs", lambda *given, **how: calls.append((given, how)) or "gate")
    write(tmp_path, a=probe_run("stored", RIGHT))
    results = some(run("a"))
    compare(results, tmp_path / "a")
    compare(str(tmp_path / "a"), results, tasks="probe/*", all_metrics=True, across_codecs=True)
    assert compare(results, results, tasks=("x", "y"), across_presets=True, worse_by=3).gate == "gate"
    results.compare(results, tasks="probe/*", all_metrics=True, across_presets=True)
    of_runs = [call for call in calls if isinstance(call[0], list)]
    assert [[(one.result.encoder["id"], one.folder.name) for one in runs] for runs, *_ in of_runs] == [
        [("a", "first"), ("stored", "a")], [("stored", "a"), ("a", "second")], *[[("a", "first"), ("a", "second")]] * 2,
    ]  # fmt: skip
    usual = {"all_metrics": False, "across_codecs": False, "across_presets": False}
    assert [call[1:] for call in of_runs] == [
        ([], usual),
        (["probe/*"], {**usual, "all_metrics": True, "across_codecs": True}),
        (["x", "y"], {**usual, "across_presets": True}),
        (["probe/*"], {**usual, "all_metrics": True, "across_presets": True}),
    ]
    (first, second, patterns), how = next(call for call in calls if isinstance(call[0], tuple))
    assert (len(first), len(second), patterns) == (1, 1, ["x", "y"])
    assert how == {"margin": 0.03, **usual, "across_presets": True}


def test_compare__two_runs_of_known_difference():
    fewer = RIGHT & (np.arange(300) % 8 != 1)
    compared = compare(some(run("a", right=fewer)), some(run("b")), worse_by=5)  # a greater trace is worse
    [row] = compared.to_frame().to_dict("records")
    assert (row["task"], row["n"]) == ("probe/jpeg", 300)
    assert row["difference"] == pytest.approx(fewer.mean() - RIGHT.mean())
    assert compared.gate is not None
    assert not compared.gate.passed()
    assert repr(compared).count("\n\n") >= 1
    assert compare(some(run("a")), some(run("b", right=fewer)), worse_by=5).gate.passed()
    assert compare(some(run("a")), some(run("b", right=fewer))).gate is None
    assert compared._repr_html_().startswith("<pre>Worse: ")


def items(seed, shift=0.0):
    rng = np.random.default_rng(seed)
    return pd.DataFrame(
        {
            "item": [f"{i}" for i in range(40)], "site": [f"s{i % 8}" for i in range(40)],
            "kind": ["x", "y"] * 20, "points": rng.integers(0, 5, 40) + shift, "other": 1.0,
        }
    )  # fmt: skip


def test_compare_items__every_option_reaches_the_comparison(tmp_path):
    frames = {"one": items(0, 1.0), "two": items(0)}
    usual = {"item": "item", "score": "points"}
    [row] = compare_items(frames, **usual).to_frame().to_dict("records")
    assert (row["difference"], row["n"]) == (1.0, 40)
    by_task = compare_items(frames, **usual, task="kind").to_frame()
    assert sorted(by_task["task"]) == ["x", "y"]
    assert by_task["n"].tolist() == [20, 20]
    assert compare_items(frames, **usual, task="kind", tasks="x").to_frame()["task"].tolist() == ["x"]
    assert compare_items(frames, **usual, task="kind", tasks=["y", "y*"]).to_frame()["task"].tolist() == ["y"]
    assert compare_items(frames, item="item", score="other").to_frame()["difference"].tolist() == [0.0]
    with pytest.raises(DataError):
        compare_items({"one": frames["one"], "two": frames["two"][1:]}, **usual)
    dropped = compare_items({"one": frames["one"], "two": frames["two"][1:]}, **usual, on_missing="drop")
    assert dropped.to_frame()["n"].tolist() == [39]
    twice = pd.concat([frames["two"], frames["two"]])
    with pytest.raises(DataError):
        compare_items({"one": frames["one"], "two": twice}, **usual)
    averaged = compare_items({"one": frames["one"], "two": twice}, **usual, on_repeated="mean").to_frame()
    assert averaged["n"].tolist() == [40]
    both = pd.concat([frame.assign(model=name) for name, frame in frames.items()])
    both.to_csv(tmp_path / "both.csv", index=False)
    of_file = compare_items([tmp_path / "both.csv"], **usual, system="model").to_frame()
    assert of_file["difference"].tolist() == [1.0]
    clustered = compare_items(frames, **usual, cluster="site").compared
    assert "8" in repr(compare_items(frames, **usual, cluster="site"))
    assert clustered.rows
    for how, passed in (({}, False), ({"lower_is_better": True}, True), ({"score_range": (0.0, 1000.0)}, True)):
        assert compare_items(frames, **usual, worse_by=0.5, **how).gate.passed() is passed
    assert compare_items(frames, **usual).gate is None
    compare_items(frames, **usual, worse_by=10).save(tmp_path / "out")
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == [
        "comparison.html", "comparison.json", "differences.csv",
    ]  # fmt: skip


@pytest.mark.parametrize(("width", "dots"), [(3.3, 200), (5.0, 200), (5.1, 100)])
def test_inline_image__small_figures_have_twice_the_dots(monkeypatch, width, dots):
    saved = []
    monkeypatch.setattr(Figure, "savefig", lambda self, buffer, **how: saved.append(how) or buffer.write(b"png"))
    shown = inline_image(Figure(figsize=(width, 2)))
    assert shown == '<img alt="report" style="max-width:100%" src="data:image/png;base64,cG5n">'
    assert saved == [{"format": "png", "dpi": dots, "facecolor": "white"}]


def test_show_figures__once_and_only_in_a_notebook(monkeypatch):
    class Formatter(dict):
        def for_type(self, kind, function):
            self[kind] = function

    formatter = Formatter()
    shell = SimpleNamespace(display_formatter=SimpleNamespace(formatters={"image/png": formatter}))
    monkeypatch.setitem(sys.modules, "IPython", SimpleNamespace(get_ipython=lambda: None, version_info=(9, 0)))
    show_figures()
    assert formatter == {}
    monkeypatch.setitem(sys.modules, "IPython", SimpleNamespace(get_ipython=lambda: shell, version_info=(9, 0)))
    show_figures()
    [function] = formatter.values()
    assert list(formatter) == [Figure]
    formatter[Figure] = "of the user"
    show_figures()
    assert formatter[Figure] == "of the user"
    assert function(Figure(figsize=(1, 1))).startswith(b"\x89PNG")
    monkeypatch.delitem(sys.modules, "IPython")
    show_figures()
