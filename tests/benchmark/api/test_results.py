"""``Results`` of runs whose answers are known: keys, remarks, files, figures, and comparisons with every option."""

import dataclasses

import numpy as np
import pytest

from benchmark.api import Results, compare, load_results
from builders.errors import DataError, UsageError
from tests.support.probe_runs import probe_run

RIGHT = np.arange(300) % 4 > 0


def run(encoder="a", data="toy", right=RIGHT, failures=(), **more):
    scored = probe_run(encoder, right, data=data)
    return dataclasses.replace(scored, result=dataclasses.replace(scored.result, failures=tuple(failures), **more))


def some(*runs, missing=(), single=False):
    return Results(tuple(runs), dict(missing), single)


TWO_SETS = some(run(), run(data="other"))
TWO_BOTH = some(run(), run("b"), run(data="other"), run("b", data="other"))


def test_select__by_encoder_and_by_data():
    def names(results):
        return [(result.encoder["id"], result.data["name"]) for result in results.results]

    assert names(TWO_BOTH.select(encoder="b")) == [("b", "toy"), ("b", "other")]
    assert names(TWO_BOTH.select(data="other")) == [("a", "other"), ("b", "other")]
    one = TWO_BOTH.select(encoder="b", data="toy")
    assert (one.encoders, one.data, one.single) == (("b",), ("toy",), True)
    assert TWO_BOTH.select(encoder="b").single is False
    assert (TWO_BOTH.encoders, TWO_BOTH.data) == (("a", "b"), ("toy", "other"))
    with pytest.raises(UsageError, match="'toi'"):
        TWO_BOTH.select(data="toi")


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
    assert compared._repr_html_().startswith("<pre>")
