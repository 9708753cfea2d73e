"""Whether an output has less of a trace at equal semantics: planted networks with equal and with unequal outputs."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from benchmark.judgement import AGAINST_FINAL, choose_outputs
from benchmark.judgement.outputs import OutputChoice, _drop
from benchmark.judgement.words import output_text
from benchmark.results import OutputScores, Result, Score
from benchmark.stats import paired_difference, wilson_interval
from benchmark.tasks import all_tasks


def score(task: str, right: np.ndarray, final: np.ndarray | None = None) -> Score:
    """The score of answers by photo; paired with those of the embedding where they are given."""
    value, ends = float(right.mean()), wilson_interval(float(right.mean()), len(right))
    details = {}
    if final is not None:
        pair = paired_difference(right, final)
        details = {AGAINST_FINAL: {n: getattr(pair, n) for n in ("value", "low", "high", "p_value")}}
    return Score(task, "toy", "accuracy", value, ends.low, ends.high, len(right), 1 / 6, details)


def network(
    final: tuple[np.ndarray, np.ndarray],
    outputs: list[tuple[np.ndarray, np.ndarray]],
    *,
    paired: bool = True,
    trace: str = "probe/jpeg",
) -> Result:
    """A result whose embedding and outputs have these answers (of the trace, of plain kNN)."""
    tasks = trace, "knn/original"
    layers = tuple(
        OutputScores(
            *(f"layers[{i}]:mean", f"block {i}", i, len(outputs), "grid-0-0" if i % 2 else "mean", 8, "hooks"),
            tuple(score(t, a, f if paired else None) for t, a, f in zip(tasks, answers, final, strict=True)),
        )
        for i, answers in enumerate(outputs)
    )
    scores = tuple(score(t, a) for t, a in zip(tasks, final, strict=True))
    return Result({"id": "toy"}, {"name": "toy"}, {}, scores, (), {}, "", outputs=layers)


def choice(result: Result) -> OutputChoice:
    [chosen] = choose_outputs(result, all_tasks())
    return chosen


def shares(mean: float, n: int = 3000) -> np.ndarray:
    """Answers of which ``mean`` are right, in a fixed order."""
    return (np.arange(n) % 100 < 100 * mean).astype(float)


@pytest.mark.slow
def test_choose_outputs__equal_outputs_have_a_winner_in_5_of_100_at_most() -> None:
    """24 outputs with the trace and the semantics of the embedding, 100 times; 10 is the bound for 5 %.

    Semantics are shown to be equal, so that the trace alone decides.
    """
    rng, plain = np.random.default_rng(11), shares(0.8, 600)
    winners = 0
    for _ in range(100):
        final, *outputs = ((right, plain) for right in (rng.random((25, 600)) < 0.6).astype(float))
        winners += choice(network(final, outputs)).answer == "yes"
    assert 1 <= winners <= 10


def test_choose_outputs__less_of_a_trace_at_the_same_semantics_is_found() -> None:
    final, regions = (shares(0.6), shares(0.8)), (shares(0.4), shares(0.8))
    chosen = choice(network(final, [final, regions]))
    assert (chosen.answer, chosen.less, chosen.outputs) == ("yes", 1, 2)
    assert chosen.best is not None
    assert chosen.best.output.pooling == "grid-0-0"  # outputs of regions are candidates too
    text = output_text(chosen, "probe/jpeg")
    assert text.startswith("**probe/jpeg is less at equal semantics in block 1: 40.0 % (")
    assert text.endswith("at +0.0 points of kNN accuracy (n = 3000 and 3000).**")


def test_choose_outputs__one_knn_answer_of_60_fewer_is_undecided() -> None:
    """A third of the trace, and 47 instead of 48 of 60 queries right: one query weighs more than the margin."""
    right = np.repeat([1.0, 0.0], [48, 12])
    one_less = right.copy()
    one_less[0] = 0
    chosen = choice(network((shares(0.9, 60), right), [(shares(0.3, 60), one_less)]))
    assert (chosen.answer, chosen.less) == ("undecided", 1)
    assert output_text(chosen, "x") == (
        "x: 1 of 1 outputs has less of it, but none of them is shown to have the semantics of the embedding."
    )


def test_choose_outputs__no_needs_a_proof_for_every_output() -> None:
    final = shares(0.6), shares(0.8)
    worse = shares(0.1), shares(0.5)
    assert choice(network(final, [final, worse])).answer == "no"
    assert choice(network(final, [final, (shares(0.1), shares(0.8))])).answer == "yes"
    few = shares(0.6, 100), shares(0.8, 100)
    chosen = choice(network(few, [few], paired=False))
    assert chosen.answer == "undecided"
    assert "whether any of the 1 outputs has less of it at equal semantics is undecided" in output_text(chosen, "x")


def test_choose_outputs__paired_differences_see_more_than_two_intervals() -> None:
    final = shares(0.6), shares(0.8)
    outputs = [(shares(0.5), shares(0.8))]
    assert choice(network(final, outputs)).answer == "yes"
    assert choice(network(final, outputs, paired=False)).answer == "undecided"  # semantics: +- 2.0 points


def test_choose_outputs__of_a_given_group_too() -> None:
    """Tasks of groups are not listed; outputs were compared by listed tasks alone."""
    result = network((shares(0.9), shares(0.9)), [(shares(0.5), shares(0.9))], trace="probe/scanner")
    chosen = choice(result)
    assert (chosen.task, chosen.answer, chosen.less) == ("probe/scanner", "yes", 1)


def test_drop__an_output_on_the_other_side_of_zero_is_compared_by_its_size() -> None:
    """Sizes 0.5 (0.4 to 0.6) and 0.3 (0.2 to 0.4): a drop of 0.2, with both errors of 0.1 added as squares."""
    final = Score("knn/jpeg", "toy", "spd", 0.5, 0.4, 0.6, 900, 0.0)
    other = Score("knn/jpeg", "toy", "spd", -0.3, -0.4, -0.2, 900, 0.0, {AGAINST_FINAL: {"value": -0.8}})
    drop = _drop(other, final, 0.05)
    width = (0.1**2 + 0.1**2) ** 0.5
    np.testing.assert_allclose([drop.value, drop.low, drop.high], [0.2, 0.2 - width, 0.2 + width])
    mirrored = _drop(
        replace(other, value=0.3, low=0.2, high=0.4), replace(final, value=-0.5, low=-0.6, high=-0.4), 0.05
    )
    np.testing.assert_allclose([mirrored.value, mirrored.low, mirrored.high], [0.2, 0.2 - width, 0.2 + width])
