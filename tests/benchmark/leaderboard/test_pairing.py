"""Ranks of rows with answers by photo, compared with ``paired_difference`` of each pair, and pairs that are refused."""

import csv
import dataclasses
import itertools
import json
from collections import defaultdict

import numpy as np
import pytest
from scipy import stats

from benchmark.cli.leaderboard import main
from benchmark.leaderboard import pairing
from benchmark.leaderboard.board import build_board
from benchmark.leaderboard.entries import measured_entries
from benchmark.leaderboard.means import means
from benchmark.leaderboard.pairing import StoredAnswers
from benchmark.results import PhotoValues, ResultFile, Score, log_odds_over_chance, read_answers, write_result
from benchmark.stats import holm, joint_units, paired_difference
from benchmark.tasks import all_tasks
from tests.support.probe_runs import true_score

CLASSES = {"jpeg": 6, "sharpening": 3, "resizing": 3, "interpolation": 4}


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


@pytest.fixture
def board(make, tmp_path):
    """Function that writes runs (arrays by task, by encoder) and makes a board of them."""

    def written(runs, *, spoil=lambda name, folder: None, data=lambda name: {}, true=False):
        files = []
        for name, arrays in runs.items():
            stored = {f"{task}/{key}": array for task, of_task in arrays.items() for key, array in of_task.items()}
            answers = read_answers(stored, all_tasks())
            assert not answers.unreadable
            scores = [score_of(task, metric, values) for (task, metric), values in answers.values.items()]
            scores = [true_score(score, arrays[score.task]) for score in scores] if true else scores
            result = make.result(name, scores)
            result = dataclasses.replace(result, data={**result.data, "question_hash": "q", **data(name)})
            folder = tmp_path / "runs" / name
            write_result(result, folder / "result.json")
            np.savez_compressed(folder / "answers.npz", **stored)
            spoil(name, folder)
            files.append(ResultFile(f"{name}/result.json", result, path=folder / "result.json"))
        return build_board(measured_entries(files))

    return written


def score_of(task, metric, values: PhotoValues) -> Score:
    """A score with an interval so wide that no two rows differ by their intervals."""
    value, least = float(values.values.mean()), values.bounds[0]
    chance = 0.0 if least < 0 else 1 / CLASSES.get(task.partition("/")[2], 5)
    return Score(task, "toy", metric, value, max(least, value - 0.4), min(1.0, value + 0.4), len(values.photos), chance)


def column(board, task, metric="accuracy"):
    return next(c for c in board.columns if (c.task, c.metric) == (task, metric))


def p_values(board, task, metric="accuracy"):
    """P-values of every pair of a column, by the names of encoders; None where they were not paired."""
    names = {e.key: e.id for e in board.entries}
    scores = defaultdict(dict)
    for entry in board.entries:
        for o in entry.observations:
            scores["toy", o.task, o.metric, o.settings][entry.key] = o
    scores.update(means("toy", scores))
    (by_entry,) = [by_entry for key, by_entry in scores.items() if key[1:3] == (task, metric)]
    signed = column(board, task, metric).meaning.kind == "difference"
    p = pairing.paired_p_values(list(by_entry.values()), StoredAnswers(all_tasks()), signed=signed)
    pairs = itertools.permutations(range(len(by_entry)), 2)
    ids = [names[key] for key in by_entry]
    return {(ids[i], ids[j]): None if np.isnan(p[i, j]) else float(p[i, j]) for i, j in pairs}


def ranks(board, task, metric="accuracy"):
    names = {e.key: e.id for e in board.entries}
    return {names[k]: (c.rank_low, c.rank_high, c.paired) for k, c in column(board, task, metric).cells.items()}


@pytest.fixture
def answers():
    """Three encoders on 60 photos; the second is a little worse than the first on the very same photos."""
    rng = np.random.default_rng(0)
    first = rng.integers(1, 7, 60)
    return {"a": first, "b": np.maximum(first - (np.arange(60) % 3 == 0), 0), "c": rng.integers(1, 7, 60)}


def expected(values, pairs=None):
    return {
        (a, b): pytest.approx(paired_difference(values[a], values[b], bounds=(-9, 9)).p_value, rel=1e-6)
        for a, b in pairs or itertools.permutations(values, 2)
    }


def test_pairs__are_those_of_paired_difference_and_make_the_ranks(board, answers):
    made = board({name: {"probe/jpeg": reads(right)} for name, right in answers.items()})
    values = {name: right / 6 for name, right in answers.items()}
    assert p_values(made, "probe/jpeg") == expected(values)
    pairs = [("a", "b"), ("a", "c"), ("b", "c")]
    corrected = dict(zip(pairs, holm([p_values(made, "probe/jpeg")[pair] for pair in pairs]), strict=True))
    assert corrected["a", "b"] < 0.05 < min(corrected["a", "c"], corrected["b", "c"])
    assert ranks(made, "probe/jpeg") == {"a": (1, 2, 2), "b": (2, 3, 2), "c": (1, 3, 2)}


def test_pairs__without_answers_the_intervals_tell_nothing_apart(board, answers):
    runs = {name: {"probe/jpeg": reads(right)} for name, right in answers.items()}
    alone = board(runs, spoil=lambda name, place: (place / "answers.npz").unlink())
    assert ranks(alone, "probe/jpeg") == dict.fromkeys("abc", (1, 3, 0))
    some = board(runs, spoil=lambda name, place: (place / "answers.npz").unlink() if name == "c" else None)
    assert ranks(some, "probe/jpeg") == {"a": (1, 2, 1), "b": (2, 3, 1), "c": (1, 3, 0)}


def test_pairs__a_difference_is_compared_by_its_size(board):
    """One moves by -30 points, one by +10, photo by photo alike: their sizes differ by 20."""
    rng = np.random.default_rng(1)
    base = rng.integers(2, 4, 80)
    down = {"pos": base - (rng.random(80) < 0.7) * 2, "neg": base}
    up = {"pos": base + (rng.random(80) < 0.5), "neg": base}
    made = board({"down": {"knn/jpeg": finds(**down)}, "up": {"knn/jpeg": finds(**up)}})
    by_size = {"down": (down["neg"] - down["pos"]) / 5, "up": (up["pos"] - up["neg"]) / 5}
    assert by_size["down"].mean() > by_size["up"].mean() > 0
    assert p_values(made, "knn/jpeg", "spd") == expected(by_size)
    assert ranks(made, "knn/jpeg", "spd") == {"down": (1, 1, 1), "up": (2, 2, 1)}


def test_pairs__means_over_tasks_pair_the_means_of_each_photo(board):
    rng = np.random.default_rng(2)
    right = {n: {p: rng.integers(0, c + 1, 50) for p, c in CLASSES.items()} for n in "ab"}
    moved = {n: {p: (rng.integers(0, 6, 50), rng.integers(0, 6, 50)) for p in CLASSES} for n in "ab"}
    made = board(
        {
            n: {
                **{f"probe/{p}": reads(right[n][p], classes=c) for p, c in CLASSES.items()},
                **{f"knn/{p}": finds(*moved[n][p]) for p in CLASSES},
            }
            for n in "ab"
        }
    )
    mp = {n: np.mean([right[n][p] / c for p, c in CLASSES.items()], axis=0) for n in "ab"}
    assert p_values(made, "summary/mp-processing", "mean") == expected(mp)
    spd = {n: [(pos - neg) / 5 for pos, neg in moved[n].values()] for n in "ab"}
    sizes = {n: np.mean([x * np.sign(x.mean()) for x in spd[n]], axis=0) for n in "ab"}
    assert p_values(made, "summary/spd-processing", "mean") == expected(sizes)
    signed = {n: np.mean(spd[n], axis=0) for n in "ab"}
    signed = {n: x * np.sign(x.mean()) for n, x in signed.items()}
    assert p_values(made, "summary/spd-processing-signed", "mean") == expected(signed)
    # Of log-odds the slope counts: how far each photo moves them, to first order (a step of 1e-6 by hand).
    odds = {}
    for n in "ab":
        means = {p: right[n][p].mean() / c for p, c in CLASSES.items()}
        here = np.mean([log_odds_over_chance(means[p], 50, 1 / c) for p, c in CLASSES.items()])
        slope = {
            p: (log_odds_over_chance(means[p] + 1e-6, 50, 1 / c) - log_odds_over_chance(means[p], 50, 1 / c)) / 1e-6
            for p, c in CLASSES.items()
        }
        odds[n] = here + np.mean([slope[p] * (right[n][p] / c - means[p]) for p, c in CLASSES.items()], axis=0)
    measured = p_values(made, "summary/log-odds-processing", "mean")["a", "b"]
    assert measured == pytest.approx(paired_difference(odds["a"], odds["b"], bounds=(-9, 9)).p_value, rel=1e-4)


OWNERS = np.repeat(np.arange(15), 8)


@pytest.fixture
def by_owner():
    """Two attributes of 120 photos of 15 owners; the second is known of some photos alone. Owners err together."""
    rng = np.random.default_rng(3)
    some = np.flatnonzero(rng.random(120) < 0.6)
    better = {"a": 0.2, "b": 0.0}
    each = {n: np.clip(rng.normal(0.5, 0.3, 15) + better[n], 0, 1)[OWNERS] for n in "ab"}
    return some, {n: {"make": rng.random(120) < each[n], "iso": rng.random(len(some)) < each[n][some]} for n in "ab"}


def attributes(some, right, owners=OWNERS):
    changed = {"probe/make": tells(right["make"], np.arange(120), owners)}
    return {**changed, "probe/iso": tells(right["iso"], some, None if owners is None else owners[some])}


def test_pairs__owners_err_together_also_in_a_mean_over_attributes_of_other_photos(board, by_owner):
    some, right = by_owner
    made = board({n: attributes(some, r) for n, r in right.items()})
    of_make = {n: r["make"].astype(float) for n, r in right.items()}
    p = paired_difference(of_make["a"], of_make["b"], clusters=OWNERS).p_value
    assert p_values(made, "probe/make")["a", "b"] == pytest.approx(p)
    # What each owner adds to the mean of the two accuracies, by hand: an owner of n photos counts as
    # n / (1 + (n - 1) / 10), and its squared deviation is divided by one less its weight.
    apart, weights, value = np.zeros(15), np.zeros(15), 0.0
    for photos, task in ((np.arange(120), "make"), (some, "iso")):
        x = right["a"][task].astype(float) - right["b"][task]
        sizes = np.array([(OWNERS[photos] == owner).sum() for owner in range(15)])
        of_owner = np.array([x[OWNERS[photos] == owner].mean() for owner in range(15)])
        weight = sizes / (1 + (sizes - 1) / 10)
        weight /= weight.sum()
        value += 0.5 * (weight * of_owner).sum()
        apart += 0.5 * weight * (of_owner - (weight * of_owner).sum()) / np.sqrt(1 - weight)
        weights += 0.5 * weight
    freedom = 1 / np.square(weights).sum() - 1
    assert abs(stats.skew(apart)) < np.sqrt(6 * 13 / (16 * 18))  # so that no correction is made
    by_hand = 2 * stats.t.sf(abs(value) / np.sqrt(np.square(apart).sum()), freedom)
    assert p_values(made, "summary/mp-acquisition", "mean")["a", "b"] == pytest.approx(by_hand)


def test_pairs__a_mean_whose_parts_name_owners_differently_is_not_paired(board, by_owner):
    """As older results do, which numbered the owners of each question by themselves."""
    some, right = by_owner
    runs = {n: attributes(some, r) for n, r in right.items()}
    for changed in runs.values():
        changed["probe/iso"]["clusters"] = 14 - changed["probe/iso"]["clusters"]
    made = board(runs)
    assert p_values(made, "probe/iso")["a", "b"] is not None
    assert p_values(made, "summary/mp-acquisition", "mean")["a", "b"] is None


@pytest.mark.parametrize(
    ("photos", "names", "units"),
    [
        # photos that no part names stand alone, each by itself and in no owner's place
        ([[5, 7, 9], [9, 11, 13]], [["x", "x", "y"], None], [0, 0, 1, 1, 2, 3]),
        ([[9, 11, 13], [5, 7, 9]], [None, ["x", "x", "y"]], [0, 1, 2, 3, 3, 0]),
        ([[5, 7], [7, 9]], [None, None], [0, 1, 1, 2]),
        ([[5, 7], [7, 9]], [["x", "y"], ["y", "x"]], [0, 1, 1, 0]),
        # two owners of one photo, and names of two kinds
        ([[5, 7], [7, 9]], [["x", "y"], ["x", "z"]], None),
        ([[5, 7], [7, 9]], [["x", "y"], [1, 2]], None),
    ],
)
def test_joint__units_of_all_parts(photos, names, units):
    given = [None if name is None else np.array(name) for name in names]
    measured = joint_units([np.array(part) for part in photos], given)
    assert (None if measured is None else measured.tolist()) == units


def test_pairs__rows_that_cluster_photos_differently_are_not_paired(board, by_owner):
    some, right = by_owner
    runs = {"a": attributes(some, right["a"]), "b": attributes(some, right["b"], np.arange(120) // 2)}
    runs["moved"] = attributes(some, right["b"], np.roll(OWNERS, 4))  # as many owners, of other photos
    runs["named"] = attributes(some, right["b"], 100 - OWNERS)  # other names of the same owners
    runs["none"] = attributes(some, right["b"], None)
    made = p_values(board(runs), "probe/make")
    paired = {pair for pair, p in made.items() if p is not None}
    assert paired == {("a", "named"), ("named", "a")}


def test_pairs__a_few_photos_that_failed_for_one_are_left_out_of_its_pairs(board, answers):
    seen = np.setdiff1d(np.arange(60), [7, 31])
    runs = {name: {"probe/jpeg": reads(right)} for name, right in answers.items()}
    runs["b"] = {"probe/jpeg": reads(answers["b"][seen][::-1], photos=seen[::-1])}
    made = p_values(board(runs), "probe/jpeg")
    for one, other, photos in (("a", "b", seen), ("c", "b", seen), ("a", "c", np.arange(60))):
        p = paired_difference(answers[one][photos] / 6, answers[other][photos] / 6).p_value
        assert made[one, other] == made[other, one] == pytest.approx(p)
    few = np.arange(50)
    runs["b"] = {"probe/jpeg": reads(answers["b"][few], photos=few)}
    made = p_values(board(runs), "probe/jpeg")
    assert (made["a", "b"], made["c", "b"]) == (None, None)
    assert made["a", "c"] is not None


def test_pairs__a_common_part_that_says_the_contrary_finds_nothing(board):
    """The first is better on all photos because of six that the second did not answer; on the others it is worse."""
    first, second = np.array([6] * 6 + [3] * 60), np.array([4, 3] * 30 + [0] * 5)
    made = board(
        {"a": {"probe/jpeg": reads(first)}, "b": {"probe/jpeg": reads(second, photos=np.arange(6, 71))}},
    )
    assert first.mean() > second.mean()
    assert paired_difference(first[6:], second[:60], bounds=(0, 6)).p_value < 1e-6
    assert p_values(made, "probe/jpeg")["a", "b"] == 1.0


@pytest.mark.parametrize(
    ("name", "data"),
    [
        ("another file of the photos", {"bytes_hash": "other"}),
        ("no name of the question", {"question_hash": None, "ids_hash": None}),
    ],
)
def test_pairs__not_of_the_same_photos(board, answers, name, data):
    runs = {n: {"probe/jpeg": reads(answers[n])} for n in "ab"}
    made = board(runs, data=lambda n: data if n == "b" or "question_hash" in data else {})
    assert p_values(made, "probe/jpeg")["a", "b"] is None, name


def test_pairs__answers_that_are_not_those_of_the_score_are_not_taken(board, answers):
    """The file changed after the result was accepted: answers are checked whenever they are read."""

    def spoil(name, folder):
        if name == "b":
            forged = {f"probe/jpeg/{k}": v for k, v in reads(np.full(60, 1)).items()}
            np.savez_compressed(folder / "answers.npz", **forged)

    made = board({n: {"probe/jpeg": reads(right)} for n, right in answers.items()}, spoil=spoil)
    assert {pair for pair, p in p_values(made, "probe/jpeg").items() if p is not None} == {("a", "c"), ("c", "a")}
    (path,) = {e.files[0].path for e in made.entries if e.id == "c"}
    path.with_name("answers.npz").write_bytes(b"no archive")
    assert set(p_values(made, "probe/jpeg").values()) == {None}


def test_pairs__are_the_same_with_any_limit_of_memory(board, answers, monkeypatch):
    runs = {n: {"probe/jpeg": reads(r), "knn/jpeg": finds(r * 5 // 6, (6 - r) * 5 // 6)} for n, r in answers.items()}
    made = board(runs)
    whole = [p_values(made, *key) for key in (("probe/jpeg", "accuracy"), ("knn/jpeg", "spd"))]
    monkeypatch.setattr(pairing, "BLOCK_BYTES", 1)
    monkeypatch.setattr(StoredAnswers.__init__, "__defaults__", (1,))
    in_parts = [p_values(made, *key) for key in (("probe/jpeg", "accuracy"), ("knn/jpeg", "spd"))]
    assert [{k: pytest.approx(p) for k, p in pairs.items()} for pairs in whole] == in_parts


def test_stored_answers__are_read_once_while_they_fit_and_never_hold_more(board, answers, monkeypatch):
    runs = {n: {"knn/jpeg": finds(r * 5 // 6, (6 - r) * 5 // 6)} for n, r in answers.items()}
    made = board(runs)
    read = []
    task_answers = pairing.task_answers
    monkeypatch.setattr(pairing, "task_answers", lambda *args: read.append(args[1]) or task_answers(*args))
    files = [e.files[0] for e in made.entries]
    roomy, tight = StoredAnswers(all_tasks()), StoredAnswers(all_tasks(), limit=1)
    for cache, reads_of in ((roomy, 3), (tight, 6)):
        read.clear()
        for metric in ("pos-same", "neg-same"):
            for file in files:
                assert cache.get(file, "knn/jpeg", metric).codes.dtype == np.uint8
        assert len(read) == reads_of
    assert roomy.get(files[0], "knn/jpeg", "spd").photo_list is roomy.get(files[1], "knn/jpeg", "spd").photo_list
    assert roomy.get(files[0], "knn/jpeg", "none") is None
    np.testing.assert_array_equal(roomy.get(files[0], "knn/jpeg", "pos-same").values(), (answers["a"] * 5 // 6) / 5)


def test_coded__many_values_have_no_table():
    values = np.random.default_rng(4).random(70_000)
    many = StoredAnswers(all_tasks())._coded(PhotoValues(np.arange(70_000), values, (0.0, 1.0)))
    np.testing.assert_array_equal(many.values(), values)
    some = StoredAnswers(all_tasks())._coded(PhotoValues(np.arange(300), values[:300], (0.0, 1.0)))
    assert some.codes.dtype == np.uint16
    np.testing.assert_array_equal(some.values(np.array([5, 2])), values[[5, 2]])


def test_leaderboard__notes_which_ranks_are_paired(board, answers, tmp_path, capsys):
    board({n: {"probe/jpeg": reads(right)} for n, right in answers.items()}, true=True)
    words = ["--results", str(tmp_path / "runs"), "--no-published", "-o", str(tmp_path / "site")]
    assert main(words) == 0
    data = json.loads((tmp_path / "site" / "data.json").read_text())
    assert [c["paired"] for c in data["columns"]] == ["ranks from the paired difference of each pair of rows"]
    assert "paired difference" in data["source"]["interval_note"]
    (tmp_path / "runs" / "c" / "answers.npz").unlink()
    assert main(words) == 0
    data = json.loads((tmp_path / "site" / "data.json").read_text())
    assert [c["paired"] for c in data["columns"]] == [
        "ranks from paired differences among 2 of 3 rows, from two intervals elsewhere"
    ]
    assert data["columns"][0]["explain"].endswith(" Here with preset camtrace, " + data["columns"][0]["paired"] + ".")
    with (tmp_path / "site" / "board.csv").open() as lines:
        rows = {row["id"]: (row["rank_low"], row["rank_high"], row["paired"]) for row in csv.DictReader(lines)}
    assert rows == {"a": ("1", "2", "1"), "b": ("2", "3", "1"), "c": ("1", "3", "0")}
    capsys.readouterr()
