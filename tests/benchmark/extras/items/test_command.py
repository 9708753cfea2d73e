"""``camtrace compare`` of scores by item, end to end, with tables."""

from __future__ import annotations

import csv
import dataclasses
import json
import shutil
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from scipy import stats as reference
from statsmodels.stats.power import TTestPower

import camtrace
from benchmark.cli.compare import main
from benchmark.extras.items import Columns, compare_rows, items_figure, read_sources
from benchmark.extras.items.figure import MOST_ROWS
from benchmark.stats import holm, paired_difference
from builders.errors import DataError, UsageError

GPQA = [
    [21, 1, 3, 4, 0, 4],
    [4, 0, 5, 3, 3, 2],
    [9, 1, 0, 1, 1, 3],
    [2, 2, 0, 1, 1, 7],
    [3, 2, 2, 2, 0, 8],
    [4, 7, 10, 3, 19, 60],
]
"""Items of 198 that the first system solved in i of 5 epochs and the second in j. The scores of GPQA Diamond behind
inspect_ai issue 4206 are not published with it; this table was searched for its figures: accuracies of 67.6 and 61.7 %,
paired p = .0363 with -0.4 to 11.3 points, unpaired (Welch) p = .1486 with -2.1 to 13.8."""


def record(capsys, *words) -> dict:
    """The JSON of a command that ends well."""
    assert main([*map(str, words), "--json"]) == 0
    return json.loads(capsys.readouterr().out)


def frame(n=60, seed=0, shift=0.3) -> pd.DataFrame:
    rng = np.random.default_rng(seed)
    return pd.DataFrame(
        {
            "id": [f"{i:03d}" for i in range(n)],
            "right": (np.random.default_rng(9).normal(size=n) + rng.normal(size=n) < shift).astype(int),
            "page": [f"p{i // 4}" for i in range(n)],
        }
    )


@pytest.fixture
def pair(tmp_path) -> tuple[Path, Path]:
    paths = tmp_path / "old.csv", tmp_path / "new.csv"
    for path, seed in zip(paths, (1, 2), strict=True):
        frame(seed=seed, shift=0.2 * seed).to_csv(path, index=False)
    return paths


TABLE = ("--item", "id", "--score", "right")


def test_case_of_inspect_ai_4206__paired_finds_what_unpaired_does_not(tmp_path, capsys):
    pairs = [(i, j) for i, row in enumerate(GPQA) for j, count in enumerate(row) for _ in range(count)]
    rows = [
        (f"item{at:03d}", model, int(epoch < solved), epoch + 1)
        for at, pair in enumerate(pairs)
        for model, solved in zip(("gpt-5-nano", "gpt-5.4-mini"), pair, strict=True)
        for epoch in range(5)
    ]
    columns = ["item_id", "model_id", "score", "epoch"]
    pd.DataFrame(rows, columns=columns).to_csv(tmp_path / "scores.csv", index=False)
    words = (tmp_path / "scores.csv", "--item", "item_id", "--score", "score", "--system", "model_id")
    with pytest.raises(DataError, match="--on-repeated"):
        main([*map(str, words)])
    result = record(capsys, *words, "--on-repeated", "mean")
    (row,) = result["differences"]
    first, second = np.transpose(pairs) / 5
    unpaired = reference.ttest_ind(first, second, equal_var=False)
    assert round(unpaired.pvalue, 4) == 0.1486
    assert [round(100 * end, 1) for end in unpaired.confidence_interval()] == [-2.1, 13.8]
    assert (round(row["p_value"], 4), row["test"], row["n"]) == (0.0363, "paired t", 198)
    assert [round(100 * row[name], 1) for name in ("difference", "low", "high")] == [5.9, 0.4, 11.3]
    assert row["test_p_value"] == pytest.approx(reference.ttest_rel(first, second).pvalue, rel=1e-9)
    assert row["differs"] == "yes"
    assert result["averaged"] == [{"task": "", "least": 5, "most": 5}]
    # evalconfidence states 56 % as the power of this comparison: fewer items than would have 80 %
    assert 198 < row["needed_items"] < 400


@pytest.mark.parametrize("suffix", [".csv", ".tsv", ".parquet", ".jsonl", ".json", ".xlsx"])
def test_tables__of_every_kind_give_the_same_numbers(tmp_path, capsys, suffix):
    write = {
        ".csv": lambda f, p: f.to_csv(p, index=False),
        ".tsv": lambda f, p: f.to_csv(p, index=False, sep="\t", quoting=1),
        ".parquet": lambda f, p: f.to_parquet(p),
        ".jsonl": lambda f, p: f.to_json(p, orient="records", lines=True),
        ".json": lambda f, p: f.to_json(p, orient="records"),
        ".xlsx": lambda f, p: f.to_excel(p, index=False),
    }[suffix]
    frames = [frame(seed=seed) for seed in (1, 2)]
    for name, each in zip(("a", "b"), frames, strict=True):
        write(each.sample(frac=1, random_state=3), tmp_path / (name + suffix))
    words = (tmp_path / f"a{suffix}", tmp_path / f"b{suffix}", *TABLE, "--cluster", "page")
    (row,) = record(capsys, *words)["differences"]
    expected = paired_difference(frames[0].right, frames[1].right, clusters=frames[0].page)
    assert (row["difference"], row["low"]) == (pytest.approx(expected.value), pytest.approx(expected.low))
    assert (row["n"], row["units"], row["test"]) == (60, 15, "cluster-robust t")


def test_text__says_what_was_compared_and_how(pair, capsys):
    assert main([*map(str, pair), *TABLE]) == 0
    text = capsys.readouterr().out
    assert "exact McNemar" in text
    assert "(paired by item, Holm's correction over the 1 task of each pair)" in text
    assert "80 % of repeats" in text


def test_items_that_differ__are_named_and_refused_or_left_out(pair, capsys):
    table = pd.read_csv(pair[1], dtype={"id": str})
    table = table[table.id != "007"]
    table.loc[table.id == "011", "right"] = None
    table.loc[table.id == "012", "id"] = "extra"
    table.to_csv(pair[1], index=False)
    with pytest.raises(DataError) as error:
        main([*map(str, pair), *TABLE])
    assert "--on-missing" in str(error.value)
    result = record(capsys, *pair, *TABLE, "--on-missing", "drop")
    assert result["differences"][0]["n"] == 57
    assert result["left_out"] == [
        {"task": "", "system": "old", "items": 1, "first": ["extra"]},
        {"task": "", "system": "new", "items": 3, "first": ["007", "011", "012"]},
    ]
    assert main([*map(str, pair), *TABLE, "--on-missing", "drop"]) == 0
    assert "007" in capsys.readouterr().out


def test_clusters__that_systems_disagree_about_are_an_error(pair):
    table = pd.read_csv(pair[1], dtype={"id": str})
    table.loc[[3, 5], "page"] = "p9"
    table.to_csv(pair[1], index=False)
    with pytest.raises(DataError, match="003"):
        main([*map(str, pair), *TABLE, "--cluster", "page"])


def test_plan__counts_items_of_as_many_in_each_cluster(pair, capsys):
    frame(seed=4, shift=0.9).to_csv(pair[1], index=False)
    (row,) = record(capsys, *pair, *TABLE, "--cluster", "page")["differences"]
    first, second = (pd.read_csv(path, dtype={"id": str}).set_index("id") for path in pair)
    of_clusters = (first.right - second.right).groupby(first.page).mean()
    effect = abs(of_clusters.mean()) / of_clusters.std()
    clusters = TTestPower().solve_power(effect, power=0.8, alpha=0.05)
    assert row["needed_items"] == pytest.approx(4 * clusters, rel=1e-3, abs=1)
    detectable = TTestPower().solve_power(nobs=15, power=0.8, alpha=0.05) * of_clusters.std()
    assert row["detectable"] == pytest.approx(float(detectable), rel=1e-3)


def test_tasks__are_corrected_together_by_holm_and_a_missing_one_is_named(tmp_path, capsys):
    for name, seed in (("a", 1), ("b", 2)):
        tables = [frame(seed=10 * seed + i, shift=0.4 * seed).assign(subject=f"t{i}") for i in range(4)]
        pd.concat(tables[: 3 + seed // 2]).to_csv(tmp_path / f"{name}.csv", index=False)
    words = (tmp_path / "a.csv", tmp_path / "b.csv", *TABLE, "--task", "subject")
    with pytest.raises(DataError, match="--on-missing"):
        main([*map(str, words)])
    rows = record(capsys, *words, "--on-missing", "drop")["differences"]
    assert [row["task"] for row in rows] == ["t0", "t1", "t2"]
    assert [row["holm_p"] for row in rows] == pytest.approx(list(holm([row["p_value"] for row in rows])))
    limited = record(capsys, *words, "--tasks", "t[01]")["differences"]
    assert [row["task"] for row in limited] == ["t0", "t1"]
    with pytest.raises(UsageError, match="unknown task 'q'"):
        main([*map(str, words), "--tasks", "q"])


def test_ranks__of_many_systems(tmp_path, capsys):
    rng = np.random.default_rng(4)
    n, hard = 800, rng.normal(size=800)
    for name, skill in (("best", 1.2), ("good", 0.0), ("same", 0.0), ("worst", -1.2)):
        score = np.clip(0.5 + 0.1 * (skill + hard + rng.normal(size=n)), 0, 1)
        pd.DataFrame({"id": range(n), "right": score}).to_parquet(tmp_path / f"{name}.parquet")
    paths = [tmp_path / f"{name}.parquet" for name in ("worst", "good", "best", "same")]
    result = record(capsys, *paths, *TABLE)
    ranks = {
        each["system"]: (each["low"], each["high"], each["tied_with_best"]) for each in result["ranks"][0]["systems"]
    }
    assert ranks == {"best": (1, 1, True), "good": (2, 3, False), "same": (2, 3, False), "worst": (4, 4, False)}
    assert len(result["differences"]) == 6
    reverse = record(capsys, *paths, *TABLE, "--lower-is-better")
    assert {each["system"]: each["low"] for each in reverse["ranks"][0]["systems"]}["worst"] == 1


def test_gate__worse_is_status_1_and_equal_is_status_0(pair, tmp_path, capsys):
    old = frame(400, seed=1, shift=1.0)
    worse = old.assign(right=old.right * (np.arange(400) % 5 > 0))
    old.to_csv(pair[0], index=False)
    worse.to_csv(pair[1], index=False)
    words = [*map(str, pair), *TABLE, "--worse-by", "2"]
    assert main([*words, "--exit-code"]) == 1
    text = capsys.readouterr().out
    assert "1 of 1 score worse by more than 2 points: right." in text
    assert "paired by item" in text
    assert main(words) == 0
    assert main([*words, "--exit-code", "--lower-is-better"]) == 0
    assert main([words[1], words[0], *words[2:], "--exit-code", "--fail-undecided"]) == 0
    capsys.readouterr()
    same = [str(pair[0]), str(shutil.copy(pair[0], tmp_path / "copy.csv")), *TABLE]
    assert main([*same, "--exit-code"]) == 0
    assert main([*same, "--worse-by", "0", "--fail-undecided"]) == 1
    with pytest.raises(UsageError, match="systems"):
        main([str(pair[1]), *same, "--exit-code"])


def test_scores_of_another_range__have_points_of_a_hundredth_of_it(tmp_path, capsys):
    rng = np.random.default_rng(0)
    scores = rng.integers(1, 6, 200)
    for name, values in (("a", scores), ("b", np.clip(scores - (rng.random(200) < 0.3), 1, 5))):
        pd.DataFrame({"id": range(200), "right": values}).to_csv(tmp_path / f"{name}.csv", index=False)
    words = [str(tmp_path / "a.csv"), str(tmp_path / "b.csv"), *TABLE]
    assert main(words) == 0
    assert "scores" in capsys.readouterr().out
    result = record(capsys, *words, "--range", "0,100", "--worse-by", "1")
    assert result["gate"]["worse"] == []  # a quarter of a point of 100 is less than one
    assert record(capsys, *words, "--worse-by", "0.1")["gate"]["worse"] != []  # in the unit of the score
    with pytest.raises(DataError, match="is outside 0 to 4"):
        main([*words, "--range", "0,4"])


def test_output__has_tables_record_and_page(pair, tmp_path, capsys):
    folder = tmp_path / "out"
    assert main([*map(str, pair), *TABLE, "--output", str(folder), "--worse-by", "1"]) == 0
    assert sorted(path.name for path in folder.iterdir()) == ["comparison.html", "comparison.json", "differences.csv"]
    stored = json.loads((folder / "comparison.json").read_text())
    table = pd.read_csv(folder / "differences.csv")
    assert table.p_value.tolist() == [row["p_value"] for row in stored["differences"]]
    page = (folder / "comparison.html").read_text()
    assert "old and new, item by item" in page
    assert "<svg" in page
    assert "worse by more than 1 point" in page


def test_figure__marks_are_the_differences_in_points(pair, tmp_path, capsys):
    assert main([*map(str, pair), *TABLE, "--figure", str(tmp_path / "a.svg")]) == 0
    assert b"<svg" in (tmp_path / "a.svg").read_bytes()
    with pytest.raises(UsageError, match="is written as"):
        main([*map(str, pair), *TABLE, "--figure", str(tmp_path / "a.gif")])
    compared, _ = compare_rows(read_sources(pair, Columns("id", "right"), []), score_range=(-1.0, 4.0))
    for answer in ("yes", "undecided"):
        [row] = compared.rows
        judged = dataclasses.replace(row, answer=answer, first="$a$", task="=t")
        [axes] = items_figure(dataclasses.replace(compared, rows=(judged,))).axes
        interval, mark, _ = axes.lines
        assert interval.get_xdata() == pytest.approx([20 * end for end in row.judged])
        assert mark.get_xdata() == pytest.approx([20 * row.difference.value])
        assert (mark.get_markerfacecolor() == "white") == (answer == "undecided")
        assert axes.get_yticklabels()[0].get_text() == r"=t right: \$a\$ - new"
    many = dataclasses.replace(compared, rows=compared.rows * (MOST_ROWS + 1))
    with pytest.raises(UsageError, match="120"):
        items_figure(many)


def test_output__text_of_others_is_no_formula_in_a_spreadsheet(tmp_path):
    names = ["=1+1", "+a", "-b", "@c"]
    rows = [(i, name, float(i % (2 + at) > 0)) for at, name in enumerate(names) for i in range(30)]
    pd.DataFrame(rows, columns=["id", "who", "right"]).to_csv(tmp_path / "a.csv", index=False)
    words = [str(tmp_path / "a.csv"), *TABLE[:4], "--system", "who", "--output", str(tmp_path / "out")]
    assert main(words) == 0
    for file, column in (("differences.csv", "first"), ("ranks.csv", "system")):
        with (tmp_path / "out" / file).open(newline="") as lines:
            written = list(csv.DictReader(lines))
        assert {row[column] for row in written} <= {f"'{name}" for name in names}
        assert not any(value.startswith("'") for row in written for value in row.values() if value[1:] not in names)
        assert file == "ranks.csv" or any(float(row["difference"]) < 0 for row in written)


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (("--item", "id"), "--score"),
        (("--item", "name", "--score", "right"), "'name'"),
        (("--item", "id", "--score", "page"), "'p0'"),
        ((*TABLE, "--all-metrics"), "--all-metrics"),
        ((*TABLE, "--published"), "--published"),
    ],
)
def test_requests__that_are_wrong_are_one_sentence(pair, words, sentence):
    with pytest.raises((UsageError, DataError)) as error:
        main([*map(str, pair), *words])
    assert sentence in str(error.value)


def test_one_system__is_not_enough(pair):
    with pytest.raises(UsageError, match="systems"):
        main([str(pair[0]), *TABLE])


def test_same_names__get_their_files(tmp_path, capsys):
    for folder in ("x", "y"):
        (tmp_path / folder).mkdir()
        frame(seed=len(folder)).to_csv(tmp_path / folder / "run.csv", index=False)
    result = record(capsys, tmp_path / "x" / "run.csv", tmp_path / "y" / "run.csv", *TABLE)
    assert result["systems"] == [f"run ({tmp_path / 'x' / 'run.csv'})", f"run ({tmp_path / 'y' / 'run.csv'})"]


def test_python__frames_files_and_a_gate(pair, tmp_path):
    frames = {path.stem: pd.read_csv(path, dtype={"id": str}) for path in pair}
    columns = {"item": "id", "score": "right", "cluster": "page"}
    of_frames = camtrace.compare_items(frames, **columns, worse_by=50)
    of_files = camtrace.compare_items(pair, **columns)
    assert of_frames.to_frame().to_dict() == of_files.to_frame().to_dict()
    assert of_frames.gate.passed(fail_undecided=True)
    assert "exit" not in repr(of_frames)
    of_files.save(tmp_path / "saved")
    assert (tmp_path / "saved" / "comparison.html").exists()
    of_frames.save(tmp_path / "gated")
    assert "<h2>Gate</h2>" in (tmp_path / "gated" / "comparison.html").read_text()
    assert "<h2>Gate</h2>" not in (tmp_path / "saved" / "comparison.html").read_text()


def test_verdict__names_what_was_left_out(pair, tmp_path, capsys):
    shorter = tmp_path / "shorter.csv"
    shorter.write_text("".join(pair[1].read_text().splitlines(keepends=True)[:-2]))
    words = [str(pair[0]), str(shorter), *TABLE, "--on-missing", "drop", "--worse-by", "50"]
    assert main(words) == 0
    assert "shorter lacks 2 items" in capsys.readouterr().out


@pytest.mark.parametrize("options", [{"on_missing": "error"}, {"on_repeated": "Mean"}, {"score_range": (0, np.nan)}])
def test_compare_items__refuses_what_is_no_choice(options):
    frames = {name: pd.DataFrame({"id": range(6), "s": [0, 1, 1, 0, 1, 1]}) for name in "ab"}
    with pytest.raises(UsageError, match=next(iter(options))):
        camtrace.compare_items(frames, item="id", score="s", **options)
