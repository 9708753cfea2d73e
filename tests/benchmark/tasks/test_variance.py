"""``variance/components``: its scores, their sum, its answers, and sets that it refuses."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from benchmark.robustness import variance_components
from benchmark.tasks import all_tasks
from builders.errors import DataError
from builders.photos import labels_of
from tests.support.scenes import input_of, scene_photos

TASK = all_tasks()["variance/components"]
SHAPE = (20, 3, 4)


def added(scanner: float = 0.5, staining: float = 0.8, seed: int = 0) -> np.ndarray:
    """Rows of ``scene_photos``: a scene, a scanner, a staining and a photo, one added to the other."""
    rng, d = np.random.default_rng(seed), 40
    effects = (
        rng.normal(size=(1, 1, 20, d)),
        scanner * rng.normal(size=(3, 1, 1, d)),
        staining * rng.normal(size=(1, 4, 1, d)),
        0.4 * rng.normal(size=(1, 4, 20, d)),
        0.5 * rng.normal(size=(3, 4, 20, d)),
    )
    return sum(effects, np.zeros((3, 4, 20, d))).reshape(240, d)


@pytest.fixture(scope="module")
def rows() -> np.ndarray:
    return added()


def test_run__scores_are_the_components(rows: np.ndarray) -> None:
    photos = scene_photos(*SHAPE)
    made = TASK.run(input_of(photos, rows))
    scores = {s.metric: s for s in made.scores}
    scene = np.arange(240) % 20
    factors = {"scene": scene, "scanner": np.arange(240) // 80, "staining": np.arange(240) // 20 % 4}
    of = dict(zip(*(lambda c: (c.effects, c.shares))(variance_components(rows, factors, scene)), strict=True))
    assert scores["scene"].value == pytest.approx(of[("scene",)])
    assert scores["groups"].value == pytest.approx(of["scanner",] + of["staining",] + of["scanner", "staining"])
    assert scores["interactions"].value == pytest.approx(of["scene", "scanner"] + of["scene", "staining"])
    assert scores["rest"].value == pytest.approx(of[("rest",)])
    assert scores["by-scene-x-staining"].value == pytest.approx(of["scene", "staining"])
    assert sum(scores[name].value for name in ("scene", "groups", "interactions", "rest")) == pytest.approx(1.0)
    assert all(s.low <= s.value <= s.high and s.n == 240 for s in made.scores)
    assert (scores["scene"].chance, scores["rest"].chance) == (0.0, 1.0)
    assert [row["effect"] for row in scores["scene"].details["components"]][-1] == "rest"
    assert scores["scene"].details["units"] == 20
    read, facts = TASK.read_answers(made.answers), TASK.read_facts(made.answers)
    for name, score in scores.items():
        assert read[name].values.mean() == pytest.approx(score.value)
        assert read[name].limits == (0.0, 1.0)
        assert facts[name].chance == score.chance


def test_run__an_estimate_below_0_is_shown_as_0_and_said() -> None:
    """Scenes alone, without scanners: some share of the others is below 0."""
    made = TASK.run(input_of(scene_photos(*SHAPE), added(0.0, 0.0, seed=1)))
    below = [s for s in made.scores if s.details["estimate"] < 0]
    assert below
    assert all(s.value == 0 == s.low and 0 < s.high < 0.05 for s in below)
    [components] = [s.details["components"] for s in made.scores if "components" in s.details]
    assert all(row["share"] == 0 for row in components if row["estimate"] < 0)


def test_run__clusters_of_scenes_err_together(rows: np.ndarray) -> None:
    photos = scene_photos(*SHAPE)
    cluster = np.array([f"tissue {int(name[-4:]) // 4}" for name in photos.columns["scene"]])
    made = TASK.run(input_of(dataclasses.replace(photos, columns={**photos.columns, "cluster": cluster}), rows))
    assert {(s.details["resampled"], s.details["units"]) for s in made.scores} == {("cluster", 5)}


def test_run__equal_photos_of_all_scanners_have_no_share_of_the_scanner() -> None:
    one = added()[:80]
    made = TASK.run(input_of(scene_photos(*SHAPE), np.concatenate([one, one, one])))
    shares = {s.metric: s.details["estimate"] for s in made.scores}
    assert abs(shares["by-scanner"]) < 1e-6
    assert abs(shares["by-scene-x-scanner"]) < 1e-6
    assert shares["by-staining"] > 0.05


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (lambda p: dataclasses.replace(p, columns={}), "nothing says which of its photos show one scene"),
        (lambda p: dataclasses.replace(p, groups={}), "it has no groups"),
    ],
)
def test_unfit__says_what_is_missing(change, reason: str) -> None:
    assert TASK.unfit(scene_photos(*SHAPE)) == ""
    assert reason in TASK.unfit(change(scene_photos(*SHAPE)))


def test_run__refuses_too_many_groups_in_a_sentence(rows: np.ndarray) -> None:
    photos = scene_photos(*SHAPE)
    rng = np.random.default_rng(0)
    groups = {f"g{i}": labels_of(map(str, rng.integers(0, 2, 240))) for i in range(5)}
    with pytest.raises(DataError, match="variance"):
        TASK.run(input_of(dataclasses.replace(photos, groups=groups), rows))
