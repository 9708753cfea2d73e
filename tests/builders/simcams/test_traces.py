"""Simple pixel statistics predict make and ISO; shuffled labels stay at chance."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from builders.photos import UNLABELLED, PhotoSet
from builders.simcams import simcams_photos
from tests.support.images import image_pixels

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def photos() -> PhotoSet:
    return simcams_photos(n_scenes=16, size=64)


@pytest.fixture(scope="module")
def features(photos: PhotoSet) -> np.ndarray:
    """Quantiles of differences of neighbours, by direction and channel, and of blocks' edges: noise, blur, codec."""

    def statistics(data: bytes) -> np.ndarray:
        rgb = image_pixels(data).astype(float)
        planes = (rgb @ [0.299, 0.587, 0.114], rgb[..., 0] - rgb[..., 1], rgb[..., 2] - rgb[..., 1])
        values = []
        for plane in planes:
            for difference in (np.diff(plane, axis=0), np.diff(plane, axis=1), np.diff(plane, 2, axis=1)):
                values.extend(np.log(np.quantile(abs(difference), [0.1, 0.3, 0.5, 0.7, 0.9]) + 0.3))
            columns = abs(np.diff(plane, axis=1)).mean(axis=0)
            values.append(columns[7::8].mean() / (columns.mean() + 1e-6))
            values.append(plane.mean() / 50)
        return np.array(values)

    return np.array([statistics(photos.read(i)) for i in range(len(photos))])


def accuracy(photos: PhotoSet, features: np.ndarray, values: np.ndarray) -> tuple[float, int]:
    train = (photos.splits < 2) & (values != UNLABELLED)
    test = (photos.splits == 2) & (values != UNLABELLED)
    model = make_pipeline(StandardScaler(), LogisticRegression(C=0.1, max_iter=2000))
    model.fit(features[train], values[train])
    return float(model.score(features[test], values[test])), int(test.sum())


@pytest.mark.parametrize(("attribute", "times_chance"), [("make", 3.0), ("is_smartphone", 1.4), ("iso", 1.6)])
def test_traces__are_read_from_pixels_of_new_scenes(
    photos: PhotoSet, features: np.ndarray, attribute: str, times_chance: float
) -> None:
    column = photos.attributes[attribute]
    values, _ = accuracy(photos, features, column.values)
    assert values > times_chance / len(column.names)


@pytest.mark.parametrize("attribute", ["make", "is_smartphone", "exposure", "aperture", "iso", "focal_length"])
def test_traces__shuffled_labels_stay_at_chance(photos: PhotoSet, features: np.ndarray, attribute: str) -> None:
    """Within 3.3 standard errors of a guess, on the mean of three shuffles."""
    column = photos.attributes[attribute]
    chance = 1 / len(column.names)
    scores = []
    for seed in range(3):
        shuffled = column.values.copy()
        labelled = shuffled != UNLABELLED
        shuffled[labelled] = np.random.default_rng(seed).permutation(shuffled[labelled])
        score, n = accuracy(photos, features, shuffled)
        scores.append(score)
    assert abs(np.mean(scores) - chance) < 3.3 * np.sqrt(chance * (1 - chance) / (3 * n))
