"""Of several readers of a trace the main one is counted and chosen; costs are ordered by their size."""

from __future__ import annotations

from typing import Any

from benchmark.judgement import choose_outputs, conclude, output_questions, statements
from tests.benchmark.judgement.test_rules import PLAIN, QUESTIONS, equal_semantics, output, result, score, shift

RISES: dict[str, Any] = {
    "p_chance": 1e-9,
    "learning_curve": {"rises": True, "gain": {"value": 0.05, "low": 0.03, "high": 0.07, "p_value": 1e-9}},
}


def test_conclude__rising_accuracies_of_the_main_reader() -> None:
    readers = [score("probe/jpeg", f"accuracy{end}", 0.9, 0.01, 0.2, **RISES) for end in ("-knn", "", "-mlp")]
    short = conclude([result(*readers)], QUESTIONS)
    assert short.sure.text == "1 accuracy still rises with more training photos."
    assert short.keeps.title == "1 of 1 trace can be read"
    others = conclude([result(*readers[::2])], QUESTIONS)
    assert (others.keeps.title, others.sure.text) == ("Traces were not scored", "")


def test_choose_outputs__by_the_main_reader() -> None:
    traces = [score("probe/jpeg", f"accuracy{end}", 0.9, 0.01, 0.2) for end in ("-knn", "", "-mlp")]
    lower = [score("probe/jpeg", f"accuracy{end}", 0.5, 0.01, 0.2, **shift(-0.4, 0.01)) for end in ("-knn", "", "-mlp")]
    run = result(*traces, PLAIN, outputs=(output("a", *lower, equal_semantics()),))
    questions = {(task, metric.name) for task, metric in output_questions(run, QUESTIONS)}
    assert questions == {("knn/original", "accuracy"), ("probe/jpeg", "accuracy")}
    assert [(c.task, c.metric.name, c.answer, c.family) for c in choose_outputs(run, QUESTIONS)] == [
        ("probe/jpeg", "accuracy", "yes", 1)
    ]
    assert [s.metric for s in statements(run, QUESTIONS) if s.kind == "trace"] == ["accuracy"]
