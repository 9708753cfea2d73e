"""Logs of four harnesses through ``camtrace compare``: the numbers are those that the harnesses wrote themselves."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from scipy import stats as reference

from benchmark.cli.compare import main
from builders.errors import DataError, UsageError
from tests.benchmark.extras.items.test_command import record

LOGS = Path(__file__).parent / "logs"


def scores_of_inspect(path: Path) -> list[float]:
    """Means over epochs by sample, from the reductions that inspect_ai wrote itself."""
    log = json.loads(path.read_text())
    (match,) = (each for each in log["reductions"] if each["scorer"] == "match")
    return [sample["value"] for sample in match["samples"]]


def test_inspect_ai__epochs_are_averaged_as_its_own_reductions_are(capsys):
    paths = [next((LOGS / "inspect_ai_json" / name).iterdir()) for name in ("old", "new")]
    result = record(capsys, *paths)
    (row,) = result["differences"]
    old, new = map(scores_of_inspect, paths)
    assert (row["first"], row["second"], row["task"], row["metric"]) == ("mockllm/old", "mockllm/new", "sums", "match")
    assert (row["first_value"], row["second_value"]) == (pytest.approx(np.mean(old)), pytest.approx(np.mean(new)))
    assert row["test_p_value"] == pytest.approx(reference.ttest_rel(old, new).pvalue, rel=1e-9)
    assert result["averaged"] == [{"task": "sums", "least": 2, "most": 2}]
    assert 0 < np.mean(old) < np.mean(new) < 1


def test_inspect_ai__archives_of_several_tasks_in_a_folder(capsys):
    folders = (LOGS / "inspect_ai" / "old", LOGS / "inspect_ai" / "new")
    rows = record(capsys, *folders, "--score", "closeness", "--cluster", "topic")["differences"]
    assert {(row["task"], row["metric"], row["n"], row["units"]) for row in rows} == {
        ("sums", "closeness", 10, 3),
        ("doubles", "closeness", 10, 3),
    }
    with pytest.raises(UsageError, match="'match'"):
        main([*map(str, folders), "--score", "mach"])
    with pytest.raises(UsageError, match="'subject'"):
        main([*map(str, folders), "--cluster", "subject"])


def test_lm_evaluation_harness__values_are_those_of_its_results(capsys):
    folders = (LOGS / "lm_eval" / "mock__old", LOGS / "lm_eval" / "mock__new")
    rows = record(capsys, *folders)["differences"]
    for row in rows:
        results = [json.loads(next(folder.glob("results_*")).read_text())["results"] for folder in folders]
        name = row["metric"] if "," in row["metric"] else f"{row['metric']},none"
        assert [row["first_value"], row["second_value"]] == pytest.approx([r[row["task"]][name] for r in results])
        assert (row["first"], row["n"], row["test"]) == ("mock/old", 12, "exact McNemar")
    assert [(row["task"], row["metric"]) for row in rows] == [
        ("arith_choice", "acc"),
        ("arith_gen", "exact_match,strict"),
    ]
    loose = record(capsys, *folders, "--tasks", "arith_gen", "--score", "exact_match,loose")["differences"]
    assert loose[0]["first_value"] >= rows[1]["first_value"]


def test_lm_evaluation_harness__another_document_under_a_number_is_another_item(tmp_path):
    changed = Path(shutil.copytree(LOGS / "lm_eval" / "mock__new", tmp_path / "new"))
    samples = next(changed.glob("samples_arith_choice*"))
    lines = [json.loads(line) for line in samples.read_text().splitlines()]
    lines[3]["doc_hash"] = "f" * 64
    samples.write_text("\n".join(map(json.dumps, lines)))
    with pytest.raises(DataError, match="mock/old"):
        main([str(LOGS / "lm_eval" / "mock__old"), str(changed)])


def test_lmms_eval__numbers_and_dictionaries_with_a_score(capsys):
    folders = (LOGS / "lmms_eval" / "mock__old", LOGS / "lmms_eval" / "mock__new")
    (plain,) = record(capsys, *folders)["differences"]
    (by_kind,) = record(capsys, *folders, "--score", "by_kind", "--cluster", "category")["differences"]
    results = [json.loads(next(folder.glob("*_results.json")).read_text())["results"] for folder in folders]
    expected = [each["arith_vis"]["accuracy,none"] for each in results]
    assert [plain["first_value"], plain["second_value"]] == pytest.approx(expected)
    assert (plain["metric"], by_kind["units"], by_kind["difference"]) == ("accuracy", 2, plain["difference"])


@pytest.mark.parametrize("suffix", [".xlsx", ".tsv", ".json"])
def test_vlmevalkit__folders_of_models_with_evaluated_predictions(tmp_path, capsys, suffix):
    # columns and names as image_mcq.py and image_yorn.py write them (``dump`` in vlmeval/smp/file.py)
    rng = np.random.default_rng(0)
    for model in ("LLaVA", "Qwen"):
        folder = tmp_path / model
        folder.mkdir()
        base = {"index": range(30), "question": "Which?", "prediction": "A\nbecause", "answer": "A"}
        tables = {
            "MMBench_exact_matching_result": pd.DataFrame({**base, "hit": rng.integers(0, 2, 30), "log": "Succeed"}),
            "POPE_auxmatch": pd.DataFrame({**base, "extracted": "Yes", "score": rng.random(30) < 0.6}),
            "MMBench": pd.DataFrame(base),
        }
        for name, table in tables.items():
            path = folder / f"{model}_{name}{suffix}"
            if suffix == ".xlsx":
                table.to_excel(path, index=False)
            elif suffix == ".tsv":
                table.to_csv(path, sep="\t", index=False, quoting=1)
            else:
                path.write_text(json.dumps(table.to_dict("records"), indent=4))
    rows = record(capsys, tmp_path / "LLaVA", tmp_path / "Qwen")["differences"]
    assert {(row["task"], row["metric"], row["first"], row["second"], row["n"]) for row in rows} == {
        ("MMBench_exact_matching_result", "hit", "LLaVA", "Qwen", 30),
        ("POPE_auxmatch", "score", "LLaVA", "Qwen", 30),
    }
