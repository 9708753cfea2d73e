"""What a column says of its score: label, explanation, group and parameter of every task and metric, by their rules."""

import dataclasses

import pytest

from benchmark.leaderboard.board_data import board_json
from benchmark.leaderboard.columns import OTHER, SUMMARY, Meaning, board_families, column_order, meaning
from benchmark.leaderboard.datasets import data_sets
from benchmark.leaderboard.entries import Entry, Observation, Photos
from benchmark.leaderboard.means import folded
from benchmark.results import families
from benchmark.tasks import all_tasks
from tests.benchmark.leaderboard.test_values import build_board, entry, number


def expected(question, metric):
    """The rules, one after the other: grouped families, questions with one main number, others."""
    grouped, subject = question.family.grouped, question.name.partition("/")[2]
    if not (metric.main or metric.kind == "trace" or grouped):
        return Meaning(
            OTHER, f"{question.name} {metric.name}", f"{metric.name} of {question.name}.", metric.kind, "", subject
        )
    if grouped:
        return Meaning(question.family.name, metric.title, metric.explain, metric.kind, question.title, subject)
    if sum(m.main for m in question.metrics) != 1:
        return Meaning(question.family.name, metric.title, metric.explain, metric.kind, "", "")
    if metric.main:
        return Meaning(question.family.name, question.title, question.explain, metric.kind, "", subject)
    reader = metric.title.partition(", ")[2]
    explain = f"{question.explain} {metric.explain}"
    return Meaning(question.family.name, f"{question.title}, {reader}", explain, metric.kind, "", subject)


@pytest.mark.parametrize("task", [name for name in all_tasks() if "/" in name])
def test_meaning__by_the_rules(task):
    question = all_tasks()[task]
    for metric in question.metrics:
        made, wanted = meaning(task, metric.name), expected(question, metric)
        assert made == wanted, metric.name
    extra = meaning(task, "no-such-metric")
    assert (extra.family, extra.label) == (OTHER, f"{task} no-such-metric")
    assert extra.explain == f"no-such-metric of {task}."


def test_board_families__the_summary_first_and_further_scores_last():
    ids = [name for name, *_ in board_families()]
    assert ids == [SUMMARY, *(family.name for family in families(all_tasks())), OTHER]
    for family in families(all_tasks()):
        assert (family.name, family.title, family.explain) in board_families()


def test_column_order__the_whole_key():
    names = [name for name, *_ in board_families()]
    tasks = list(all_tasks())
    task = "probe/jpeg"
    metrics = [metric.name for metric in all_tasks()[task].metrics]
    for at, metric in enumerate(metrics):
        family = names.index(meaning(task, metric).family)
        assert column_order(task, metric)[0] == family
        assert column_order(task, metric)[2:] == (at, task, metric)
    first, second = (column_order(name, "accuracy")[1] for name in tasks[:2])
    assert second == first + 1
    unknown = column_order("x/y", "z")
    assert unknown[1] > max(column_order(name, "z")[1] for name in tasks)
    assert unknown[2:] == (0, "x/y", "z")
    assert column_order(task, "z")[2] == len(metrics)


STUDY = Photos("toy")


def of_photos(*several):
    published = Entry("p", "p", "p", "published", "SUP", {}, (number("probe/jpeg", "accuracy", 0.5, photos=STUDY),))
    rows = [
        Entry(f"e{i}", "e", "e", "measured", "SUP", {}, (number("probe/jpeg", "accuracy", 0.5, photos=photos),))
        for i, photos in enumerate(several)
    ]
    return [set(each.members) - {STUDY} for each in data_sets([published, *rows])]


@pytest.mark.parametrize(
    ("first", "second", "together"),
    [
        (Photos("toy", "a", "c", question_hash="q"), Photos("toy", "b", "c", question_hash="q"), True),
        (Photos("toy", "a", "c", question_hash="q"), Photos("toy", "a", "c", question_hash="r"), False),
        (Photos("toy", "a", "c", question_hash="q"), Photos("toy", "a", "d", question_hash="q"), False),
        (Photos("toy", "a", "c", question_hash="q"), Photos("toy", "a", "c"), False),
        (Photos("toy", "b", "c"), Photos("toy", "a", "c"), True),
        (Photos("toy", "a", "c"), Photos("toy", "a", "d"), False),
    ],
)
@pytest.mark.parametrize("turned", [False, True])
def test_data_sets__one_codec_and_one_question_join_the_study(first, second, together, turned):
    """The first by id and codec joins, one with a hash of its question before all others."""
    sets = of_photos(*((second, first) if turned else (first, second)))
    if together:
        assert sets == [{first, second}]
    else:
        assert sets == [{first}, {second}]


def test_group_means__an_encoder_counts_once_and_one_without_an_id_by_itself():
    def row(key, value, name, **facts):
        made = entry(key, number("probe/jpeg", "accuracy", value), **facts)
        return dataclasses.replace(made, id=name)

    board = build_board(
        [row("a", 0.2, ""), row("b", 0.4, ""), row("c", 0.9, "x"), row("d", 0.6, "x"), row("e", 0.1, "y", eraser="z",
        encoder="x", weights_sha256="")]
    )  # fmt: skip
    page = board_json(board, [], "T")
    (means,) = page["group_means"].values()
    assert means == {"SUP": {"mean": pytest.approx((0.2 + 0.4 + 0.6) / 3), "low": 0.2, "high": 0.6, "n": 3}}


def test_folded__interval_of_a_size():
    for ends, sizes in (
        ((-0.2, 0.1), (0, 0.2)), ((-0.1, 0.2), (0, 0.2)), ((0.0, 0.3), (0, 0.3)), ((-0.3, 0.0), (0, 0.3)),
        ((0.1, 0.3), (0.1, 0.3)), ((-0.3, -0.1), (0.1, 0.3)), ((-0.1, -0.1), (0.1, 0.1)),
    ):  # fmt: skip
        assert folded(*ends) == sizes


def test_observation__what_it_is_compared_by():
    """The file, the parts of a mean and the judge's flag are no part of the number."""
    one = number("probe/jpeg", "accuracy", 0.5)
    for same in ({"file": object()}, {"parts": (1,)}, {"flag": "undecided"}):
        assert dataclasses.replace(one, **same) == one
    for other in ({"flags": ("conflict",)}, {"settings": "k = 5"}, {"n": 7}, {"chance": 0.5}, {"photos": STUDY}):
        assert dataclasses.replace(one, **other) != one
    assert "file" not in repr(one)
    assert isinstance(one, Observation)
