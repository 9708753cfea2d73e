"""``linear/original``: which rows, classes and clusters the probe receives, and what its score and answers say."""

from types import SimpleNamespace

import numpy as np
import pytest

import benchmark.probe
from benchmark.results import read_answers
from benchmark.tasks import all_tasks
from benchmark.tasks.acquisition_probe import labelled_splits
from builders.photos import CLUSTER, SPLITS
from tests.support.grouped_photos import grouped_photos, pixel_rows
from tests.support.scoring import as_rows, score_tasks, toy_encoder

TASK = "linear/original"


@pytest.fixture(scope="module")
def photos():
    return grouped_photos(clusters=8, photos=3, effects=(2.0, 4.5, 0.5))


@pytest.fixture
def received(photos, tmp_path, monkeypatch):
    """What the probe is given, and the run."""
    probe, calls = benchmark.probe.labelled_probe, []

    def spy(splits, **how):
        calls.append((splits, how))
        return probe(splits, **how)

    monkeypatch.setattr(benchmark.probe, "labelled_probe", spy)
    scored = score_tasks(toy_encoder(as_rows, pixel_rows, 12, name="pixels"), photos, [TASK], tmp_path)
    ((splits, how),) = calls
    return splits, how, scored


def test_linear_semantics__the_probe_receives_labelled_photos_and_their_clusters(received, photos):
    splits, how, _ = received
    assert (how["protocol"], how["device"]) == ("converged", "cpu")
    assert splits.n_classes == len(photos.labels.names)
    clusters = photos.columns[CLUSTER]
    named = {"train": "train", "test": "val" if "test" not in {SPLITS[s] for s in photos.splits} else "test"}
    for part, split in named.items():
        at = np.array([i for i in range(len(photos)) if SPLITS[photos.splits[i]] == split])
        assert getattr(splits, f"{part}_y").tolist() == photos.labels.values[at].tolist()
        codes = getattr(splits, f"{part}_clusters")
        same = codes[:, None] == codes[None]
        assert (same == (clusters[at][:, None] == clusters[at][None])).all()
        assert len(getattr(splits, f"{part}_x")) == len(at)


def test_linear_semantics__answers_give_the_score(received, photos):
    *_, scored = received
    (score,) = scored.result.scores
    answers = read_answers(scored.answers, all_tasks())
    values = answers.values[TASK, "accuracy"]
    assert values.values.mean() == pytest.approx(score.value, abs=1e-12)
    assert (len(values.photos), score.details["classes"]) == (score.n, len(photos.labels.names))
    assert score.chance == pytest.approx(1 / len(photos.labels.names))
    assert len(np.unique(values.clusters)) == score.details["units"]
    assert answers.facts[TASK, "accuracy"].details["balanced_accuracy"] == pytest.approx(
        score.details["balanced_accuracy"], abs=1e-6
    )


@pytest.mark.parametrize("has_val", [True, False])
def test_labelled_splits__each_split_has_its_rows_classes_and_clusters(has_val):
    rows = {split: np.full((i + 2, 1), i) for i, split in enumerate(SPLITS)}
    parts = {
        split: SimpleNamespace(photos=np.arange(i + 2), classes=np.full(i + 2, i)) for i, split in enumerate(SPLITS)
    }
    clusters = {split: np.full(i + 2, 10 + i) for i, split in enumerate(SPLITS)}
    if not has_val:
        parts["val"].photos = np.arange(0)
    made = labelled_splits(rows, parts, 7, clusters)
    assert made.n_classes == 7
    for split in SPLITS:
        of_split = [getattr(made, f"{split}_{part}") for part in ("x", "y", "clusters")]
        if split == "val" and not has_val:
            assert of_split == [None, None, None]
        else:
            assert of_split[0] is rows[split]
            assert of_split[1] is parts[split].classes
            assert of_split[2] is clusters[split]
