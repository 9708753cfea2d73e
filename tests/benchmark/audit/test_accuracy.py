"""The classifier of a layer, its columns and its interval, compared with scikit-learn and with plain loops."""

from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import StratifiedGroupKFold, StratifiedKFold

from benchmark.audit import accuracy
from benchmark.audit.accuracy import _cross_validated, _one_hot, _score, _standardised, layer_scores
from benchmark.stats import photo_interval, upper_p_value


def data(n=60, seed=0):
    rng = np.random.default_rng(seed)
    y = rng.integers(0, 3, n)
    x = (rng.random((n, 5)) < 0.3 + 0.15 * y[:, None]).astype(np.int8)
    return x, y, rng.integers(0, 12, n)


@pytest.mark.parametrize("owners", [False, True])
@pytest.mark.parametrize("seed", [0, 3])
def test_cross_validated__by_scikit_learn(owners, seed):
    x, y, groups = data()
    groups = groups if owners else None
    splitter = (StratifiedGroupKFold if owners else StratifiedKFold)(5, shuffle=True, random_state=seed)
    expected = np.full(len(y), -1)
    for train, test in splitter.split(x, y, groups):
        model = LogisticRegression(C=1.0, max_iter=100, class_weight="balanced").fit(
            x[train].astype(np.float32), y[train]
        )
        expected[test] = model.predict(x[test].astype(np.float32))
    assert _cross_validated(x, y, groups, seed).tolist() == expected.tolist()


@pytest.mark.parametrize(
    ("counts", "owners", "folds"),
    [((30, 30), None, 5), ((30, 4), None, 4), ((30, 30), 3, 3), ((30, 30), 1, 2), ((30, 1), None, 2), ((9, 9), 9, 5)],
)
def test_cross_validated__folds_by_the_rarest_class_and_the_owners(monkeypatch, counts, owners, folds):
    made = []

    class Splitter:
        def __init__(self, count, **options):
            made.append((count, options))

        def split(self, *given):
            return []

    monkeypatch.setattr("sklearn.model_selection.StratifiedKFold", Splitter)
    monkeypatch.setattr("sklearn.model_selection.StratifiedGroupKFold", Splitter)
    y = np.repeat([0, 1], counts)
    groups = None if owners is None else np.arange(len(y)) % owners
    assert (_cross_validated(np.zeros((len(y), 1), np.int8), y, groups, 7) == -1).all()
    assert made == [(folds, {"shuffle": True, "random_state": 7})]


def sample(labels, owner=""):
    return pd.DataFrame({"label": labels, "owner": owner})


@pytest.mark.parametrize("owned", [False, True])
def test_score__every_number_of_it(monkeypatch, owned):
    """Classes a (30 photos) and c (12); b has too few, and three photos have no label."""
    labels = (["a"] * 5 + ["b", "c", "c", ""]) * 6
    labels = [label for i, label in enumerate(labels) if label != "" or i < 27]
    owners = [f"o{i // 4}" for i in range(len(labels))] if owned else [""] * len(labels)
    frame = sample(labels, owners)
    columns = np.arange(2 * len(labels), dtype=np.int8).reshape(-1, 2)
    calls = []
    at = [i for i, label in enumerate(labels) if label in "ac" and label]
    y = np.array([0 if labels[i] == "a" else 1 for i in at])
    predicted = np.where(np.arange(len(at)) % 4 == 1, 1 - y, y)

    def cross_validated(x, classes, groups, seed):
        calls.append((x.tolist(), classes.tolist(), groups is not None, seed))
        return predicted

    monkeypatch.setattr(accuracy, "_cross_validated", cross_validated)
    score = _score(frame, columns, "label", ["a", "b", "c"], "weight", "the title", 9)
    assert calls == [(columns[at].tolist(), y.tolist(), owned, 9)]
    recalls = [float((predicted == y)[y == k].mean()) for k in (0, 1)]
    assert (score.target, score.layer, score.title, score.content) == ("label", "weight", "the title", True)
    assert (score.n, score.classes, score.chance) == (len(at), 2, 0.5)
    assert score.accuracy == pytest.approx(np.mean(recalls))
    order = sorted(zip(recalls, "ac", strict=True), key=lambda pair: -pair[0])
    assert list(score.recalls.items()) == [(name, pytest.approx(recall)) for recall, name in order]
    weights = np.where(y == 0, 1 / (y == 0).sum(), 1 / (y == 1).sum()) / 2 * len(y)
    codes = np.unique([owners[i] for i in at], return_inverse=True)[1] if owned else None
    interval = photo_interval((predicted == y) * weights, weights, clusters=codes)
    assert score.accuracy == pytest.approx(interval.value)  # the interval has the variance of the p-value: 1.5 times
    assert (score.high - score.low) == pytest.approx(1.5 * (interval.high - interval.low))
    distance = (interval.value - 0.5) / (interval.standard_error * (1 + 5 / 4) ** 0.5)
    if owned:
        sizes = np.bincount(codes)
        freedom = sizes.sum() ** 2 / (sizes**2).sum() - 1
        assert score.p_value == pytest.approx(upper_p_value(distance, freedom), rel=1e-6)
    else:
        assert score.p_value == pytest.approx(upper_p_value(distance, None))
    assert (score.adjusted, score.flagged) == (score.p_value, False)


def test_score__the_most_frequent_classes_in_the_order_of_their_names(monkeypatch):
    monkeypatch.setattr(accuracy, "MAX_CLASSES", 2)
    seen = []
    monkeypatch.setattr(accuracy, "_cross_validated", lambda x, y, *_: seen.append((x[:, 0].tolist(), y.tolist())) or y)
    labels = ["a"] * 12 + ["b"] * 10 + ["c"] * 12
    columns = np.arange(len(labels), dtype=np.int8)[:, None]
    score = _score(sample(labels), columns, "label", ["c", "b", "a"], "exif", "Exif", 0)
    assert seen == [([*range(12), *range(22, 34)], [1] * 12 + [0] * 12)]
    assert dict(score.recalls) == {"c": 1.0, "a": 1.0}
    assert (score.accuracy, score.low, score.content) == (1.0, pytest.approx(score.low), False)
    assert score.p_value < 1e-9  # without an error of one photo, the distance is not divided by 0


@pytest.mark.parametrize(("work", "n"), [(3e8, 60), (2 * 3 * 50, 50), (1, 40)])
def test_score__a_large_sample_is_cut_to_20_photos_of_a_class_at_least(monkeypatch, work, n):
    monkeypatch.setattr(accuracy, "WORK", work)
    monkeypatch.setattr(accuracy, "_cross_validated", lambda x, y, *_: y)
    columns = np.zeros((60, 3), np.int8)
    assert _score(sample(["a", "b"] * 30), columns, "label", ["a", "b"], "exif", "Exif", 0).n == n


def test_one_hot__columns_of_values_and_bins():
    n = 64
    frame = pd.DataFrame({
        "make": ["x"] * 40 + ["y"] * 15 + ["z"] * 5 + ["w"] * 4,
        "model": ["same"] * n,
        "bytes": [float(i) for i in range(n)],
        "pixels": [np.nan] * 8 + [3.0] * 56,
        "aspect": [np.nan] * n,
    })  # fmt: skip
    values = _one_hot(frame, ["make", "model"])
    assert values.dtype == np.int8
    assert values.T.tolist() == [[int(v == name) for v in frame["make"]] for name in "xyz"]  # w has four photos
    bins = _one_hot(frame, ["bytes"])
    edges = np.quantile(np.arange(n), np.arange(1, 8) / 8)
    expected = [[int(sum(value >= edge for edge in edges) == k) for value in range(n)] for k in range(8)]
    assert bins.T.tolist() == expected
    missing = _one_hot(frame, ["pixels"])
    assert missing.T.tolist() == [[1] * 8 + [0] * 56, [0] * 8 + [1] * 56]
    for names in (["aspect"], ["model"], []):
        assert _one_hot(frame, names).shape == (n, 0)
    assert _one_hot(frame, ["make", "bytes"]).shape == (n, 11)


def test_one_hot__at_most_sixty_values():
    frame = pd.DataFrame({"make": [f"v{i % 61:02d}" for i in range(61 * 5)] + ["v60"]})
    columns = _one_hot(frame, ["make"])
    assert columns.shape[1] == 60
    assert columns[-1].sum() == 1


def test_standardised__columns_that_vary():
    vectors = np.array([[1.0, 5.0, 0.0], [3.0, 5.0, 1e-7], [5.0, 5.0, 0.0]])
    made = _standardised(vectors)
    assert made.dtype == np.float32
    np.testing.assert_allclose(made, [[-(1.5**0.5)], [0], [1.5**0.5]], rtol=1e-6)


def test_layer_scores__columns_title_and_seed_of_each_layer(monkeypatch):
    calls = []
    monkeypatch.setattr(accuracy, "_score", lambda *given: calls.append(given))
    monkeypatch.setattr(accuracy, "_one_hot", lambda frame, names: tuple(names))
    monkeypatch.setattr(accuracy, "_standardised", lambda vectors: ("standardised", vectors))
    frame = "frame"
    tally = SimpleNamespace(
        names={"split": {"a": 0, "b": 1}}, sample="sample", pixels={"frame": frame, "whole": "w", "border": "b"}
    )
    assert layer_scores(tally, "split", 5) == []
    groups = ["a", "b"]
    header = ("format", "coding", "channels", "quality", "tables", "subsampling", "huffman", "restart", "order",
              "metadata", "icc", "comment", "thumbnail", "nearest_quality")  # fmt: skip
    size, exif = ("dimensions", "pixels", "aspect"), ("make", "model", "software", "year")
    weight = ("bytes", "bytes_per_pixel")
    assert calls == [
        ("sample", header, "split", groups, "header", "the file header alone", 5),
        ("sample", size, "split", groups, "size", "the size of the picture alone", 5),
        ("sample", exif, "split", groups, "exif", "the Exif alone", 5),
        ("sample", (*header, *size, *exif), "split", groups, "file", "header, size and Exif together", 5),
        ("sample", weight, "split", groups, "weight", "the bytes of the file alone", 5),
        (frame, ("standardised", "w"), "split", groups, "pixels", "pixel statistics", 5),
        (frame, ("standardised", "b"), "split", groups, "hidden", "a narrow border of the picture alone", 5),
    ]
