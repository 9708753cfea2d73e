"""Ranks of rows with answers by photo: those of ``paired_difference`` of each pair, and pairs that are refused."""

import csv
import dataclasses
import itertools
import shutil

import numpy as np
import pytest

from benchmark.leaderboard import build_leaderboard
from benchmark.results import PhotoValues, Score, read_answers, write_result
from benchmark.stats import holm, paired_difference
from benchmark.tasks import all_tasks
from tests.support.probe_runs import true_score

CLASSES = {"jpeg": 6, "sharpening": 3, "resizing": 3, "interpolation": 4}
NAMES = "abcdefghij"


def reads(right, *, classes=6, photos=None):
    """Arrays of a processing probe that reads ``right`` [n] of each photo's views."""
    views = np.arange(classes)[:, None]
    predicted = np.where(views < np.asarray(right), views, classes)[None].astype(np.uint8)
    return {"predicted": predicted, "photos": np.arange(len(right)) if photos is None else np.asarray(photos)}


def tells(right, photos, owners=None):
    """Arrays of an acquisition probe that is right about photos where ``right`` [n] says so."""
    right = np.asarray(right, dtype=bool)
    arrays = {"predicted": np.where(right, 1, 2)[None, None].astype(np.uint8), "photos": np.asarray(photos)}
    arrays["expected"] = np.ones((1, len(right)), np.uint8)
    return arrays if owners is None else {**arrays, "clusters": np.asarray(owners)}


def finds(pos, neg):
    """Arrays of kNN: of five answers per photo and set-up, how many are right."""
    correct = np.stack([pos, pos, pos, neg, pos, pos]).astype(np.uint8)
    return {"correct": correct, "combinations": np.full(6, 5), "photos": np.arange(len(pos))}


def score_of(task, metric, values: PhotoValues) -> Score:
    """A score with an interval so wide that no two rows differ by their intervals."""
    value, least = float(values.values.mean()), values.bounds[0]
    chance = 0.0 if least < 0 else 1 / CLASSES.get(task.partition("/")[2], 5)
    return Score(task, "toy", metric, value, max(least, value - 0.4), min(1.0, value + 0.4), len(values.photos), chance)


@pytest.fixture
def ranks(make, tmp_path):
    """Function that writes runs (arrays by task, by encoder), builds their board and reads the ranks of a column.

    It returns (lowest rank, highest rank, number of rows that it was paired with) by encoder.
    """

    def built(runs, task, metric="accuracy", *, spoil=lambda name, folder: None, data=lambda name: {}):
        shutil.rmtree(tmp_path / "runs", ignore_errors=True)
        for name, arrays in runs.items():
            stored = {f"{task}/{key}": array for task, of_task in arrays.items() for key, array in of_task.items()}
            answers = read_answers(stored, all_tasks())
            assert not answers.unreadable
            scores = [score_of(task, metric, values) for (task, metric), values in answers.values.items()]
            result = make.result(name, [true_score(score, arrays[score.task]) for score in scores])
            result = dataclasses.replace(result, data={**result.data, "question_hash": "q", **data(name)})
            folder = tmp_path / "runs" / name
            write_result(result, folder / "result.json")
            np.savez_compressed(folder / "answers.npz", **stored)
            spoil(name, folder)
        site = build_leaderboard([str(tmp_path / "runs")], tmp_path / "site", published=False)
        assert not site.refused
        with (tmp_path / "site" / "board.csv").open(newline="") as file:
            rows = [row for row in csv.DictReader(file) if (row["task"], row["metric"]) == (task, metric)]
        return {row["id"]: (int(row["rank_low"]), int(row["rank_high"]), int(row["paired"])) for row in rows}

    return built


def expected(values, **clusters):
    """Ranks by definition: of the pairwise tests that are left after Holm's correction, who is above and below."""
    pairs = list(itertools.combinations(values, 2))
    tests = [paired_difference(values[a], values[b], bounds=(-9, 9), **clusters) for a, b in pairs]
    found = [pair for pair, p in zip(pairs, holm([test.p_value for test in tests]), strict=True) if p < 0.05]
    above = {name: [] for name in values}
    below = {name: [] for name in values}
    for a, b in found:
        better, worse = (a, b) if np.mean(values[a]) > np.mean(values[b]) else (b, a)
        above[worse].append(better)
        below[better].append(worse)
    assert found
    assert len(found) < len(pairs)
    return {n: (1 + len(above[n]), len(values) - len(below[n]), len(values) - 1) for n in values}


def graded(rng, most, photos=60, lost=0.06):
    """Ten encoders, each a little worse than the one before on the very same photos."""
    base = rng.integers(1, most + 1, photos)
    worse = np.cumsum(rng.random((10, photos)) < lost, axis=0)
    return {name: np.maximum(base - worse[i], 0) for i, name in enumerate(NAMES)}


@pytest.fixture
def answers():
    return graded(np.random.default_rng(0), 6)


def test_ranks__are_those_of_paired_differences(ranks, answers):
    made = ranks({name: {"probe/jpeg": reads(right)} for name, right in answers.items()}, "probe/jpeg")
    assert made == expected({name: right / 6 for name, right in answers.items()})


def test_ranks__without_answers_the_intervals_tell_nothing_apart(ranks, answers):
    runs = {name: {"probe/jpeg": reads(right)} for name, right in answers.items()}
    alone = ranks(runs, "probe/jpeg", spoil=lambda name, place: (place / "answers.npz").unlink())
    assert alone == dict.fromkeys(NAMES, (1, 10, 0))
    some = ranks(runs, "probe/jpeg", spoil=lambda n, place: (place / "answers.npz").unlink() if n == "j" else None)
    assert some["j"][2] == 0
    assert {paired for name, (*_, paired) in some.items() if name != "j"} == {8}
    assert some["a"][1] < 10


def test_ranks__a_difference_is_compared_by_its_size(ranks):
    """Half of the encoders move by -, half by +, photo by photo alike."""
    rng = np.random.default_rng(1)
    base = rng.integers(2, 4, 80)
    moves = {name: (rng.random(80) < 0.9 - 0.06 * i) * (2 if i % 2 else -2) for i, name in enumerate(NAMES)}
    made = ranks({n: {"knn/jpeg": finds(base + move, base)} for n, move in moves.items()}, "knn/jpeg", "spd")
    assert made == expected({n: np.abs(move) / 5 for n, move in moves.items()})


def test_ranks__means_over_tasks_pair_the_means_of_each_photo(ranks):
    rng = np.random.default_rng(2)
    right = {p: graded(rng, c, 50, lost=0.02) for p, c in CLASSES.items()}
    runs = {n: {f"probe/{p}": reads(right[p][n], classes=c) for p, c in CLASSES.items()} for n in NAMES}
    means = {n: np.mean([right[p][n] / c for p, c in CLASSES.items()], axis=0) for n in NAMES}
    assert ranks(runs, "summary/mp-processing", "mean") == expected(means)


def test_ranks__owners_err_together(ranks):
    rng = np.random.default_rng(3)
    owners = np.repeat(np.arange(15), 8)
    each = {n: np.clip(rng.normal(0.9 - 0.08 * i, 0.2, 15), 0, 1)[owners] for i, n in enumerate(NAMES)}
    right = {n: rng.random(120) < chances for n, chances in each.items()}
    made = ranks({n: {"probe/make": tells(r, np.arange(120), owners)} for n, r in right.items()}, "probe/make")
    assert made == expected({n: r.astype(float) for n, r in right.items()}, clusters=owners)
    assert made != expected({n: r.astype(float) for n, r in right.items()})


def test_ranks__of_a_mean_whose_parts_name_owners_differently_are_not_paired(ranks):
    """As older results do, which numbered the owners of each question by themselves."""
    owners, right = np.repeat(np.arange(15), 8), np.random.default_rng(4).random((2, 120)) < 0.5
    runs = {
        name: {"probe/make": tells(r, np.arange(120), owners), "probe/iso": tells(r, np.arange(120), 14 - owners)}
        for name, r in zip("ab", right, strict=True)
    }
    assert ranks(runs, "probe/iso")["a"][2] == 1
    assert ranks(runs, "summary/mp-acquisition", "mean")["a"][2] == 0


@pytest.mark.parametrize(
    ("owners", "paired"),
    [
        (np.repeat(np.arange(15), 8), 1),
        (100 - np.repeat(np.arange(15), 8), 1),  # other names of the same owners
        (np.roll(np.repeat(np.arange(15), 8), 4), 0),  # as many owners, of other photos
        (np.arange(120) // 2, 0),
        (None, 0),
    ],
    ids=["the same", "renamed", "moved", "smaller", "none"],
)
def test_ranks__rows_that_cluster_photos_differently_are_not_paired(ranks, owners, paired):
    right, photos = np.random.default_rng(5).random((2, 120)) < 0.5, np.arange(120)
    of = zip("ab", right, (np.repeat(np.arange(15), 8), owners), strict=True)
    made = ranks({name: {"probe/make": tells(r, photos, some)} for name, r, some in of}, "probe/make")
    assert made["a"][2] == made["b"][2] == paired


@pytest.mark.parametrize(("missing", "paired"), [(2, 1), (6, 1), (10, 0)])
def test_ranks__a_few_photos_that_failed_for_one_are_left_out_of_its_pairs(ranks, missing, paired):
    """Nine tenths of the photos of either are enough."""
    right = np.random.default_rng(6).integers(0, 7, 60)
    seen = np.arange(missing, 60)[::-1]
    made = ranks(
        {
            "a": {"probe/jpeg": reads(right)},
            "b": {"probe/jpeg": reads(np.maximum(right - 1, 0)[seen], photos=seen)},
        },
        "probe/jpeg",
    )
    assert made == {"a": (1, 1, paired), "b": (2, 2, paired)}


def test_ranks__a_common_part_that_says_the_contrary_finds_nothing(ranks):
    """The first is better on all photos because of six that the second did not answer; on the others it is worse."""
    first, second = np.array([6] * 6 + [3] * 60), np.array([4, 3] * 30 + [0] * 5)
    made = ranks(
        {"a": {"probe/jpeg": reads(first)}, "b": {"probe/jpeg": reads(second, photos=np.arange(6, 71))}}, "probe/jpeg"
    )
    assert first.mean() > second.mean()
    assert paired_difference(first[6:], second[:60], bounds=(0, 6)).p_value < 1e-6
    assert made == dict.fromkeys("ab", (1, 2, 1))


@pytest.mark.parametrize("data", [{"bytes_hash": "other"}, {"question_hash": None, "ids_hash": None}])
def test_ranks__rows_of_other_photos_are_not_paired(ranks, answers, data):
    runs = {n: {"probe/jpeg": reads(answers[n])} for n in "aj"}
    assert ranks(runs, "probe/jpeg", data=lambda n: data if n == "j" or "question_hash" in data else {})["a"][2] == 0
    assert ranks(runs, "probe/jpeg")["a"][2] == 1
