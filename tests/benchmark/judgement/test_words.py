"""No sentence of judgement is printed that the judge did not write: in the sources, the pages and rendered reports."""

from __future__ import annotations

import ast
import json
import re
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from benchmark.erasing import Row
from benchmark.erasing.card import verdict
from benchmark.judgement import (
    choose_outputs,
    extremes,
    extremes_text,
    moves,
    moves_text,
    outputs_text,
    readers_text,
    traces_text,
    verdicts,
)
from benchmark.judgement.words import TRACE_GROUPS
from benchmark.report import report_text
from benchmark.results import OutputScores, Result, Score, families, score_label
from benchmark.tasks import all_tasks

ROOT = Path(__file__).parents[3]

JUDGEMENT = re.compile(
    r"\b((?:above|below|at) chance|told from chance|told apart|no trace|significan\w*|undecided|still reads?\b|"
    r"is (?:not )?read by|read by no|readable from|no confound|does not matter|less often|more easily|"
    r"pushe?s? \w+ away|most likely|no output has|is out where|was found there|do(?:es)? not predict|"
    r"worse by more|goes? further|is absent|is gone (?:from|in)|shown to be|can be predicted|goes with the|"
    r"can use this|could have been found|cannot be shown|is confounded)",
    re.IGNORECASE,
)
"""Words that say whether something is there, or is not."""

ANSWERS = ("yes", "no", "undecided")
"""A whole text that is one of these is an answer of the judge in a value or in a cell."""


def docstrings(tree: ast.AST) -> set[int]:
    bodies = (node.body for node in ast.walk(tree) if isinstance(getattr(node, "body", None), list))
    first = (statement.value for body in bodies for statement in body if isinstance(statement, ast.Expr))
    return {id(value) for value in first}


OF_THE_JUDGE = ("if_positive", "if_negative")


def of_the_judge(tree: ast.AST) -> set[int]:
    """Strings of ``if_positive`` and ``if_negative``, which only the judge prints."""
    keywords = (node.value for node in ast.walk(tree) if isinstance(node, ast.keyword) and node.arg in OF_THE_JUDGE)
    return {id(part) for value in keywords for part in ast.walk(value)}


def of_options(tree: ast.AST) -> set[int]:
    """Strings of options and of errors: they say what an option does, or what was refused, not what was found."""
    calls = (node for node in ast.walk(tree) if isinstance(node, ast.Call))
    names = ((call, getattr(call.func, "attr", getattr(call.func, "id", ""))) for call in calls)
    named = (call for call, name in names if name in ("add_argument", "Parser") or name.endswith("Error"))
    return {id(part) for call in named for part in ast.walk(call)}


def texts() -> Iterator[tuple[str, str]]:
    """(file, text) of every string but docstrings, options and ``if_positive``; of scripts, cards and the notebook."""
    for path in [*(ROOT / "benchmark").rglob("*.py"), *(ROOT / "builders").rglob("*.py")]:
        if path.parent.name != "judgement":
            tree = ast.parse(path.read_text("utf-8"))
            skipped = docstrings(tree) | of_the_judge(tree) | of_options(tree)
            for node in ast.walk(tree):
                if not isinstance(node, ast.Constant) or not isinstance(node.value, str) or id(node) in skipped:
                    continue
                if node.value not in ANSWERS:
                    yield path.relative_to(ROOT).as_posix(), node.value
    pages = [*(ROOT / "benchmark/leaderboard/web/src").glob("*.js"), *(ROOT / "cards").glob("*.jinja")]
    for path in (ROOT / "docs").rglob("*.ipynb"):  # its outputs are what commands print
        for cell in json.loads(path.read_text("utf-8"))["cells"]:
            yield path.relative_to(ROOT).as_posix(), "".join(cell["source"])
    for path in [*pages, ROOT / "benchmark/leaderboard/site/index.html"]:
        for line in path.read_text("utf-8").splitlines():
            if not line.strip().startswith(("//", "/**", "*")):
                yield path.relative_to(ROOT).as_posix(), line


@pytest.mark.slow
def test_sources__judge_in_words_only_in_judgement() -> None:
    seen = {(file, match[0].lower()) for file, text in texts() for match in JUDGEMENT.finditer(text)}
    assert seen == set()


@pytest.mark.slow
def test_if_positive__is_printed_by_the_judge_alone() -> None:
    readers = {
        path.parent.name
        for path in (ROOT / "benchmark").rglob("*.py")
        for node in ast.walk(ast.parse(path.read_text("utf-8")))
        if isinstance(node, ast.Attribute) and node.attr in OF_THE_JUDGE
    }
    assert readers == {"judgement"}


def score(task: str, metric: str, value: float, half: float = 0.02, chance: float = 1 / 6, **details: object) -> Score:
    return Score(task, "toy", metric, value, value - half, value + half, 2000, chance, {"classes": 6, **details})


def planted(rng: np.random.Generator) -> Result:
    """A result with every kind of statement, at random."""
    probes = [
        score(f"probe/{name}", metric, float(rng.choice([0.9, 0.19, 0.17, 0.2])), float(rng.choice([0.01, 0.05])))
        for name in ("jpeg", "resizing", "make", "iso")
        for metric in ("accuracy", "accuracy-knn", "accuracy-mlp")
    ]
    moved = [score(f"knn/{name}", "spd", float(rng.normal(0, 0.03)), 0.02, 0.0) for name in ("jpeg", "resizing")]
    same = [score(f"knn/{name}", "all-same", 0.8, chance=0.1) for name in ("jpeg", "resizing")]
    beyond = {"value": 0.1, "low": 0.05, "high": 0.15, "p_value": float(rng.choice([1e-6, 0.5]))}
    jitter = {"value": 0.8, "low": 0.7, "high": 0.9, "jitters": 14, "beyond": beyond}
    worst = score("knn/adversary", "worst", 0.6, jitter=jitter)
    plain = score("knn/original", "accuracy", 0.9, chance=0.1)
    layers = tuple(
        OutputScores(
            *(f"layers[{i}]:mean", f"block {i}", i, 3, "mean", 8, "hooks"),
            (score("probe/jpeg", "accuracy", float(rng.uniform(0.2, 0.9)), 0.01), plain),
        )
        for i in range(3)
    )
    environment = {"device": "cpu", "dtype": "float32", "codec_canary": "c", "codec": {"pillow": "13"}, "options": {}}
    data = {"name": "toy", "photos": {"train": 300, "val": 300}, "classes": 20}
    cost = {"seconds": {}, "views": 0, "views_per_second": 0.0}
    scores = (*probes, plain, *same, *moved, worst)
    return Result({"id": "mine"}, data, environment, scores, (), cost, "", outputs=layers)


def judged_sentences(result: Result) -> list[str]:
    """Everything that the judge says about a result."""
    questions = all_tasks()
    judged, choices = verdicts(result, questions), choose_outputs(result, questions)
    printed = [outputs_text(choices, [score_label(c.task, c.metric, questions) for c in choices])]
    for family in families(questions):
        scores = [s for s in result.scores if questions[s.task].family == family]
        main = [s for s in scores if any(m.name == s.metric and m.main for m in questions[s.task].metrics)]
        printed += [traces_text(main, judged), readers_text(scores, judged, questions)]
        printed += [moves_text(scores, moves(result, questions), questions)]
        printed += [extremes_text(scores, extremes(result), questions)]
    return sorted(filter(None, printed), key=len, reverse=True)


@pytest.mark.parametrize("seed", range(20))
def test_report__what_is_left_without_the_judge_has_no_judgement(seed: int) -> None:
    result = planted(np.random.default_rng(seed))
    text = report_text([result], all_tasks())
    for sentence in judged_sentences(result):
        assert sentence in text
        text = text.replace(sentence, "")
    assert JUDGEMENT.findall(text) == []


def test_erase__the_verdict_is_the_judges() -> None:
    row = Row(
        *("probe/jpeg", "accuracy", "toy", "trace", "knn"),
        *(0.9, 0.8, 1.0, 0.86, 0.8, 0.92, -0.04, -0.1, 0.02, 0.2, 50, 1 / 6),
        before_answer="yes",
        after_answer="undecided",
    )
    assert "is undecided" in verdict([row], "jpeg")
    assert "still read by" not in verdict([row], "jpeg").replace("whether jpeg is still read by", "")


def test_trace_groups__have_one_of_each_answer() -> None:
    assert set(TRACE_GROUPS) == {"readable", "weak", "none", "undecided"}
