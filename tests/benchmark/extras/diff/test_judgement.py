"""Sentences about ways to an embedding: the answer and its numbers, for every answer."""

from __future__ import annotations

import dataclasses

import pytest

from benchmark.extras.diff.judged import PathMoves, judge_paths, paths_rule
from benchmark.stats import Difference


def moves(**more: object) -> PathMoves:
    beyond = Difference(0.01, 0.008, 0.012, 1e-9, 500, 0.001, 500)
    accuracy = Difference(0.04, 0.02, 0.06, 1e-4, 500, 0.01, 500)
    path = PathMoves("decoder=opencv", False, beyond, (0.5, 0.4, 0.6), (30, 10), 1e-4, accuracy)
    return dataclasses.replace(path, **more)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("ends", "limit", "words"),
    [
        ((0.5, 0.4, 0.6), "not worse", "0.5 times as far as the weakest trace, jpeg (0.4 to 0.6): not more than the"),
        ((2.0, 1.5, 3.0), "worse", "2 times as far as the weakest trace, jpeg (1.5 to 3): more than the limit of 1."),
        ((1.1, 0.9, 1.3), "undecided", "it is undecided whether that is more than the limit of 1."),
    ],
)
def test_limit(ends: tuple[float, float, float], limit: str, words: str) -> None:
    [judged] = judge_paths([moves(traces=ends)], "jpeg", 1.0)
    assert judged.limit == limit
    assert words in judged.text


def test_limit__without_a_unit() -> None:
    [judged] = judge_paths([moves(traces=None)], "", 1.0)
    assert judged.limit == "undecided"
    assert judged.text.startswith("decoder=opencv: there is no trace to measure it by.")


@pytest.mark.parametrize(
    ("beyond", "answer", "words"),
    [
        (Difference(0.01, 0.008, 0.012, 1e-9, 500, 0.001, 500), "yes", "That is more than another batch size does."),
        (Difference(1e-12, 9e-13, 2e-12, 1e-9, 500, 1e-13, 500), "no", "no more than rounding and another batch"),
        (Difference(1e-3, -1e-3, 3e-3, 0.3, 500, 1e-3, 500), "undecided", "another batch size does is undecided."),
        (None, "undecided", ""),
    ],
)
def test_noise(beyond: Difference | None, answer: str, words: str) -> None:
    [judged] = judge_paths([moves(beyond_noise=beyond)], "jpeg", 1.0)
    assert judged.beyond_noise == answer
    assert words in judged.text
    assert ("batch" in judged.text) == (beyond is not None)


@pytest.mark.parametrize(
    ("accuracy", "p_value", "answer", "words"),
    [
        (
            Difference(0.04, 0.02, 0.06, 1e-4, 500, 0.01, 500),
            1e-4,
            "yes",
            "the accuracy differs (-4.0 points, p = 0.0001)",
        ),
        (Difference(0.0, -0.004, 0.004, 0.9, 500, 0.002, 500), 0.9, "no", "shown to differ by less than 1 point (+0.0"),
        (Difference(0.01, -0.01, 0.03, 0.2, 500, 0.01, 500), 0.2, "undecided", "whether the accuracy differs is undec"),
    ],
)
def test_flips(accuracy: Difference, p_value: float, answer: str, words: str) -> None:
    [judged] = judge_paths([moves(accuracy=accuracy, flip_p=p_value)], "jpeg", 1.0)
    assert judged.accuracy == answer
    assert "30 right answers of kNN become wrong and 10 wrong ones right" in judged.text
    assert words in judged.text


def test_identical_ways_are_no_part_of_the_family() -> None:
    faint = moves(accuracy=Difference(0.03, 0.001, 0.06, 0.04, 500, 0.015, 500), flip_p=0.04)
    same = moves(name="same", identical=True, flip_p=0.9)  # whatever was measured of it
    alone = judge_paths([faint, same, dataclasses.replace(same, name="same too")], "jpeg", 1.0)
    assert [j.accuracy for j in alone] == ["yes", "no", "no"]
    two = judge_paths([faint, dataclasses.replace(faint, name="other")], "jpeg", 1.0)
    assert [j.accuracy for j in two] == ["undecided", "undecided"]  # Holm's correction over two
    assert paths_rule(1) == "Shown: p < 0.05."
    assert "over 2 ways" in paths_rule(2)


def test_flips__a_gain_of_accuracy_is_a_difference_too() -> None:
    gain = Difference(-0.04, -0.06, -0.02, 1e-4, 500, 0.01, 500)
    [judged] = judge_paths([moves(accuracy=gain, flip_p=1e-4, flips=(10, 30))], "jpeg", 1.0)
    assert judged.accuracy == "yes"
    assert "the accuracy differs (+4.0 points" in judged.text


def test_noise__identical_ways_are_no_part_of_the_family() -> None:
    faint = moves(beyond_noise=Difference(0.01, -0.0008, 0.0208, 0.07, 500, 0.005, 500))
    same = PathMoves("same", True, Difference(0.0, 0.0, 0.0, 1.0, 500, 0.0, 500))
    assert [j.beyond_noise for j in judge_paths([faint, same], "jpeg", 1.0)] == ["yes", "no"]
    other = dataclasses.replace(faint, name="other")
    assert [j.beyond_noise for j in judge_paths([faint, other], "jpeg", 1.0)] == ["undecided", "undecided"]


def test_flips__a_large_gain_that_is_undecided_is_not_shown_to_be_small() -> None:
    gain = Difference(-0.04, -0.09, 0.005, 0.2, 500, 0.025, 500)
    assert judge_paths([moves(accuracy=gain, flip_p=0.2)], "jpeg", 1.0)[0].accuracy == "undecided"
