"""Comparisons of runs whose answers are laid out by hand: clusters, ties, and the correction for many comparisons."""

from pathlib import Path

import numpy as np
import pytest

from benchmark.cli.compare import main
from benchmark.compare import Compared, compare_runs, comparison_text
from benchmark.results import Result, Run, Score
from benchmark.scoring import write_scored
from benchmark.scoring.run import Scored
from tests.support.probe_runs import read_run, true_score


def written(
    folder: Path, encoder: str, task: str, metric: str, value: float, n: int, answers: dict, data="toy"
) -> Path:
    stated = Score(task, data, metric, value, max(-1.0, value - 0.1), min(1.0, value + 0.1), n, 0.5)
    score = true_score(stated, answers)
    result = Result(
        encoder={"id": encoder},
        data={"name": data, "ids_hash": "i", "bytes_hash": "b"},
        environment={"codec_canary": "c", "options": {"protocol": "converged"}},
        scores=(score,),
        failures=(),
        cost={},
        created="2026-11-20T10:00:00+00:00",
    )
    return write_scored(
        Scored(result, {f"{task}/{name}": array for name, array in answers.items()}), folder, single=True
    )


def probe(folder: Path, encoder: str, right, *, clusters=None, photos=None, data="toy") -> Path:
    """An acquisition probe that is right about the photos in ``right`` [n]; all of them are of class 1."""
    right = np.asarray(right, dtype=bool)
    answers = {
        "predicted": right[None, None].astype(np.uint8),
        "expected": np.ones((1, len(right)), np.uint8),
        "photos": np.arange(len(right)) if photos is None else np.asarray(photos),
        **({} if clusters is None else {"clusters": np.asarray(clusters)}),
    }
    value = float(right.mean())
    return written(folder / encoder, encoder, "probe/make", "accuracy", value, len(right), answers, data)


def runs(folder: Path, clusters=None, **right) -> list[Run]:
    return [read_run(probe(folder, name, row, clusters=clusters)) for name, row in right.items()]


SCENES = np.repeat(np.arange(6), 40)
"""6 scenes of 40 photos."""


def of_scenes(*right: int) -> np.ndarray:
    """Right about all photos of these scenes, and of no other."""
    return np.isin(SCENES, right)


def test_compare__two_scenes_are_not_eighty_photos(tmp_path):
    """One encoder is right about 4 of 6 scenes, the other about 2 of these 4: of two scenes nothing follows."""
    pair = {"first": of_scenes(0, 1, 2, 3), "second": of_scenes(0, 1)}
    ((by_photo,), _) = compare_runs(runs(tmp_path / "photos", **pair))
    ((by_scene,), _) = compare_runs(runs(tmp_path / "scenes", clusters=SCENES, **pair))
    assert by_photo.difference.value == by_scene.difference.value == pytest.approx(1 / 3)
    assert by_photo.difference.p_value < 1e-6
    assert by_photo.difference.low > 0.2
    assert by_scene.difference.p_value > 0.05
    assert by_scene.difference.low < 0.1


def test_compare__clusters_follow_their_photos_where_a_run_lost_some(tmp_path):
    """The second run lost every second photo; the clusters of those that are left decide, not those of the first n."""
    left = np.arange(0, 240, 2)
    first = read_run(probe(tmp_path, "first", of_scenes(0, 1, 2, 3), clusters=SCENES))
    second = read_run(probe(tmp_path, "second", of_scenes(0, 1)[left], clusters=SCENES[left], photos=left))
    ((row,), ties) = compare_runs([first, second])
    assert (row.difference.n, row.difference.value) == (120, pytest.approx(1 / 3))
    assert row.difference.p_value > 0.05
    assert ties == []  # ranks need all encoders on the same photos
    ((other_way,), _) = compare_runs([second, first])
    assert other_way.difference.value == pytest.approx(-1 / 3)
    assert other_way.difference.p_value == pytest.approx(row.difference.p_value, abs=0.03)


def test_compare__ties_by_scene_and_by_photo(tmp_path):
    """By photos the first encoder beats all; by scenes the second, right about 2 of its 4, may be as good."""
    three = {"best": of_scenes(0, 1, 2, 3), "half": of_scenes(0, 1), "same": of_scenes(0, 1, 2, 3)}
    _, (by_photo,) = compare_runs(runs(tmp_path / "photos", **three))
    _, (by_scene,) = compare_runs(runs(tmp_path / "scenes", clusters=SCENES, **three))
    assert (by_photo.best, by_photo.tied, by_photo.encoders) == ("best", ("same",), 3)
    assert (by_scene.best, by_scene.tied, by_scene.encoders) == ("best", ("half", "same"), 3)


def table(text: str) -> list[list[str]]:
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in text.splitlines() if line.startswith("|")]


def test_comparison_text__who_is_tied_with_the_highest(tmp_path):
    many = np.arange(200)
    three = runs(tmp_path, **{"low": many < 20, "top": many < 180, "near": (many > 1) & (many < 181)})
    rows = table(comparison_text(*compare_runs(three)))
    at = next(i for i, row in enumerate(rows) if "tied with it" in row)
    assert rows[at] == ["score", "data", "highest", "tied with it", "encoders"]
    assert rows[at + 2] == ["probe/make accuracy", "toy", "top", "near", "3"]
    alone = runs(tmp_path / "alone", **{"low": many < 20, "top": many < 180, "mid": many < 100})
    assert table(comparison_text(*compare_runs(alone)))[-1] == ["probe/make accuracy", "toy", "top", "none", "3"]


def test_comparison_text__of_two_encoders_has_no_table_of_ties(tmp_path):
    many = np.arange(200)
    text = comparison_text(*compare_runs(runs(tmp_path, a=many < 20, b=many < 180)))
    assert "tied with it" not in text
    assert len(table(text)) == 3


def step_down(p_values: list[float]) -> list[float]:
    """Holm's correction in words: the smallest times their number, the next times one less, but never falling."""
    measured, least = dict.fromkeys(range(len(p_values)), 0.0), 0.0
    for step, i in enumerate(sorted(measured, key=lambda i: p_values[i])):
        least = max(least, (len(p_values) - step) * p_values[i])
        measured[i] = min(1.0, least)
    return list(measured.values())


def three_pairs() -> dict[str, np.ndarray]:
    """``a`` against ``b`` and against ``c``: 40 of 400 photos for ``a``, 22 for the other; p is about 0.025 each."""
    a = np.arange(400) < 240
    b, c = a.copy(), a.copy()
    b[0:40], b[240:262] = False, True
    c[40:80], c[262:284] = False, True
    return {"a": a, "b": b, "c": c}


def test_compare__holm_over_the_rows_of_each_pair(tmp_path):
    rows, _ = compare_runs(runs(tmp_path, **three_pairs()))
    raw = [row.difference.p_value for row in rows]
    assert [(row.first, row.second) for row in rows] == [("a", "b"), ("a", "c"), ("b", "c")]
    assert [round(400 * row.difference.value) for row in rows] == [18, 18, 0]
    assert max(raw[:2]) < 0.05
    assert [row.holm_p for row in rows] == raw  # one question about each pair
    other = [read_run(probe(tmp_path / "other", name, right, data="other")) for name, right in three_pairs().items()]
    more, _ = compare_runs([*(read_run(tmp_path / name) for name in "abc"), *other])
    assert len(more) == 6
    for pair in (("a", "b"), ("a", "c"), ("b", "c")):
        changed = [row for row in more if (row.first, row.second) == pair]
        assert [row.data for row in changed] == ["toy", "other"]
        assert [row.holm_p for row in changed] == pytest.approx(step_down([row.difference.p_value for row in changed]))
    assert max(row.holm_p for row in more if row.second != "c") > max(raw[:2])


def test_compare_command__says_how_many_are_significant_after_holm(tmp_path, capsys):
    for name, right in three_pairs().items():
        probe(tmp_path / "three", name, right)
    assert main([str(tmp_path / "three")]) == 0
    assert "differences" in capsys.readouterr().out
    assert main([str(tmp_path / "three/a"), str(tmp_path / "three/b")]) == 0
    assert "differences" in capsys.readouterr().out


def retrieval(folder: Path, encoder: str, nearer, tied, value: float) -> Path:
    """Pairs of which ``nearer`` [n] and ``tied`` [n] distractors stand before and level with the target, either way."""
    n = len(nearer)
    answers = {
        "nearer": np.broadcast_to(np.asarray(nearer, np.int32), (2, 2, n)),
        "tied": np.broadcast_to(np.asarray(tied, np.int32), (2, 2, n)),
        "pair_ids": np.array([f"pair-{i:02d}" for i in range(n)]),
    }
    return written(folder / encoder, encoder, "retrieval/pairs", "same", value, n, answers)


def test_compare__a_target_level_with_distractors_is_found_by_chance(tmp_path):
    """20 pairs: a target level with three distractors is first in one order of four, wherever it stands in an array."""
    alone = read_run(retrieval(tmp_path, "alone", [0] * 20, [0] * 20, 1.0))
    level = read_run(retrieval(tmp_path, "level", [0] * 20, [3] * 20, 0.25))
    behind = read_run(retrieval(tmp_path, "behind", [1] * 20, [0] * 20, 0.0))
    rows, _ = compare_runs([alone, level, behind])
    same: list[Compared] = [row for row in rows if row.metric == "same"]
    assert [(row.first_value, row.second_value) for row in same] == [(1.0, 0.25), (1.0, 0.0), (0.25, 0.0)]
    assert {row.difference.value for row in rows if row.metric == "spd"} == {0.0}
