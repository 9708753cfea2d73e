"""Closed forms compared with concept-erasure, with general solvers, and with their theorems."""

import dataclasses

import numpy as np
import pytest
import torch
from concept_erasure import LeaceFitter
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.linear_model import LogisticRegression, Ridge

from benchmark.erasing import METHODS, Eraser, Moments, Source, fit_eraser, fit_method, moments_of
from benchmark.erasing.methods import inlp, leace, mean_projection, random_projection, splince
from builders.errors import DataError, UsageError

N, D, C, K = 600, 12, 4, 3


def embeddings(seed: int = 0, n: int = N):
    """Correlated rows with a trace and a class that depends on it, and both labels."""
    rng = np.random.default_rng(seed)
    y = rng.integers(0, K, n)
    z = np.where(rng.random(n) < 0.3, y, rng.integers(0, C, n))
    mixing = rng.normal(size=(D, D))
    x = rng.normal(size=(n, D)) @ mixing + rng.normal(size=(C, D))[z] + 2 * rng.normal(size=(K, D))[y]
    return x.astype(np.float32), z, y


def moments(x, z, y=None, step: int = 170) -> Moments:
    summed = Moments(D, C, K if y is not None else 0)
    for start in range(0, len(x), step):
        part = slice(start, start + step)
        summed.update(x[part], z[part], None if y is None else y[part])
    return summed


def one_hot(labels, count):
    return np.eye(count)[labels]


def reference(x, z, method: str, **more):
    """The eraser of concept-erasure. Labels are one-hot, because it would take integers for a single column."""
    fitter = LeaceFitter(D, C, method=method, dtype=torch.float64, shrinkage=False, svd_tol=1e-8, **more)
    return fitter.update(torch.tensor(x, dtype=torch.float64), torch.tensor(one_hot(z, C))).eraser


def test_leace__equals_concept_erasure():
    x, z, _ = embeddings()
    expected = reference(x, z, "leace", constrain_cov_trace=False)
    projected = leace(moments(x, z))
    np.testing.assert_allclose(projected.projection, expected.P, atol=1e-5)
    assert projected.rank == C - 1
    applied = fit_eraser(x, z, "leace").apply(x)
    np.testing.assert_allclose(applied, expected(torch.tensor(x, dtype=torch.float64)), atol=1e-4)


def test_mean_projection__equals_orth_of_concept_erasure():
    x, z, _ = embeddings()
    np.testing.assert_allclose(mean_projection(moments(x, z)).projection, reference(x, z, "orth").P, atol=1e-5)


@pytest.mark.parametrize("shrinkage", [0.0, 0.01, 0.5])
def test_leace__leaves_no_linear_reader_above_a_constant(shrinkage):
    x, z, _ = embeddings()
    clean = fit_eraser(x, z, "leace", shrinkage=shrinkage).apply(x)
    cross = (clean - clean.mean(0)).T @ one_hot(z, C)
    assert np.abs(cross).max() / N < 1e-5
    best = LogisticRegression(C=1e6, max_iter=2000).fit(clean, z)
    frequencies = np.bincount(z) / N
    loss = -np.log(best.predict_proba(clean)[np.arange(N), z]).mean()
    assert loss == pytest.approx(-(frequencies * np.log(frequencies)).sum(), abs=1e-4)  # that of a constant
    assert LogisticRegression(C=1e6, max_iter=2000).fit(x, z).score(x, z) > 0.6


def test_leace__changes_least_in_the_whitened_norm():
    """Every other map that erases is that of LEACE plus a map that the constraint does not restrict."""
    x, z, _ = embeddings()
    summed = moments(x, z)
    projection, white = leace(summed).projection.numpy(), np.linalg.inv(np.cov(x.T))
    least = _moved(x, projection, white)
    basis = np.linalg.svd(summed.cross.numpy())[0][:, C - 1 :]  # directions orthogonal to all class means
    rng = np.random.default_rng(1)
    for _ in range(20):
        other = projection + 0.1 * rng.normal(size=(D, D - C + 1)) @ basis.T
        assert np.abs(other @ summed.cross.numpy()).max() < 1e-9
        assert _moved(x, other, white) > least


def _moved(x, projection, metric) -> float:
    change = (x - x.mean(0)) @ (projection - np.eye(D)).T
    return float(np.einsum("ij,jk,ik->i", change, metric, change).mean())


def test_splince__erases_the_trace_and_keeps_the_covariance_with_the_class():
    x, z, y = embeddings()
    summed = moments(x, z, y)
    projection = splince(summed).projection
    assert float((projection @ summed.cross).abs().max()) < 1e-9
    np.testing.assert_allclose(projection @ summed.preserved_cross, summed.preserved_cross, atol=1e-9)
    assert float((leace(summed).projection @ summed.preserved_cross - summed.preserved_cross).abs().max()) > 1e-2


def test_splince__is_the_constrained_least_squares_solution():
    """Reference: the least change in whitened space under the two constraints, by a least-squares solver."""
    x, z, y = embeddings()
    summed = moments(x, z, y)
    values, vectors = np.linalg.eigh(summed.covariance.numpy())
    white, back = vectors / np.sqrt(values) @ vectors.T, vectors * np.sqrt(values) @ vectors.T
    both = white @ np.hstack([summed.cross.numpy(), summed.preserved_cross.numpy()])
    wanted = white @ np.hstack([np.zeros((D, C)), summed.preserved_cross.numpy()])
    change = np.linalg.lstsq(both.T, (wanted - both).T, rcond=1e-10)[0].T
    np.testing.assert_allclose(splince(summed).projection, back @ (np.eye(D) + change) @ white, atol=1e-5)


def test_splince__refuses_a_class_that_is_the_trace():
    x, z, _ = embeddings()
    summed = Moments(D, C, C)
    summed.update(x, z, z)
    with pytest.raises(DataError, match="tells"):
        splince(summed)
    with pytest.raises(DataError, match="class"):
        fit_eraser(x, z, "splince")


def test_inlp__equals_a_loop_of_ridge_classifiers():
    x, z, _ = embeddings()
    centred, summed = x - x.mean(0), moments(x, z)
    penalty = 1e-3 * float(summed.covariance.diagonal().mean()) * (N - 1)
    expected = np.eye(D)
    for _ in range(2):
        weights = Ridge(alpha=penalty, fit_intercept=False, tol=1e-12).fit(centred @ expected, one_hot(z, C)).coef_
        basis = np.linalg.svd(weights @ expected, full_matrices=False)[2][: C - 1].T
        expected = expected - basis @ basis.T
    projected = inlp(summed, rounds=2)
    np.testing.assert_allclose(projected.projection, expected, atol=1e-5)
    assert projected.rank == 2 * (C - 1)


def test_controls__remove_nothing_or_as_many_directions_as_leace():
    x, z, _ = embeddings()
    assert (
        np.array_equal(fit_eraser(x, z, "identity").apply(x), x)
        or np.abs(fit_eraser(x, z, "identity").apply(x) - x).max() < 1e-5
    )
    drawn = random_projection(moments(x, z))
    np.testing.assert_allclose(drawn.projection @ drawn.projection, drawn.projection, atol=1e-9)
    assert np.linalg.matrix_rank(drawn.projection) == D - (C - 1)


def test_standardise__gives_all_groups_the_same_mean_and_deviation():
    x, z, _ = embeddings()
    eraser = fit_eraser(x, z, "standardise")
    clean = eraser.apply(x, z)
    for group in range(C):
        np.testing.assert_allclose(clean[z == group].mean(0), x.mean(0), atol=1e-4)
        np.testing.assert_allclose(clean[z == group].std(0), x.std(0), rtol=1e-4)
    assert eraser.needs_labels
    with pytest.raises(DataError, match="label"):
        eraser.apply(x)


@given(st.integers(0, 2**16), st.integers(1, 97))
@settings(max_examples=15, deadline=None)
def test_moments__do_not_depend_on_the_batches(seed, step):
    x, z, y = embeddings(seed % 7, n=100)
    whole, cut = moments(x, z, y, step=100), moments(x, z, y, step=step)
    for name in ("mean", "covariance", "cross", "preserved_cross", "class_means", "class_deviations", "deviations"):
        np.testing.assert_allclose(getattr(cut, name), getattr(whole, name), atol=1e-10)
    np.testing.assert_allclose(whole.covariance, np.cov(x.T.astype(float)), atol=1e-9)
    expected = np.cov(np.hstack([x, one_hot(z, C)]).T.astype(float))[:D, D:]
    np.testing.assert_allclose(whole.cross, expected, atol=1e-9)


def test_moments__a_class_without_rows_adds_no_direction_and_has_the_moments_of_all_rows():
    rng = np.random.default_rng(8)
    labels = rng.choice([0, 3], 60)
    rows = rng.normal(size=(60, 6)) + labels[:, None]
    summed = Moments(6, 4)
    summed.update(rows, labels)
    assert summed.classes_present == 2
    assert [method(summed).rank for method in (mean_projection, leace, random_projection)] == [1] * 3
    for code in range(4):
        expected = rows[labels == code] if code in (0, 3) else rows
        np.testing.assert_allclose(summed.class_means[code], expected.mean(axis=0), atol=1e-12)
        np.testing.assert_allclose(summed.class_deviations[code], expected.std(axis=0), atol=1e-12)


def test_moments__far_from_the_origin_lose_no_digits():
    x, z, _ = embeddings()
    near, far = moments(x, z), moments(x.astype(np.float64) + 1e6, z)
    np.testing.assert_allclose(far.covariance, near.covariance, rtol=1e-6, atol=1e-6)


def test_source__views_of_a_photo_are_separate_rows_of_one_batch():
    x, z, y = embeddings(n=90)
    source = Source([x[:30], x[30:60], x[60:]], z.reshape(3, 30), C, y[:30], K)
    batches = list(source.batches(seed=3, rows=12))
    assert sum(len(b.rows) for b in batches) == 90
    assert all(len(b.rows) == 12 for b in batches[:-1])
    flat = moments_of(source)
    np.testing.assert_allclose(flat.covariance, moments(x, z).covariance, atol=1e-9)
    # each view has the class of its photo
    np.testing.assert_allclose(flat.preserved_cross, moments(x, z, np.tile(y[:30], 3)).preserved_cross, atol=1e-9)


def test_fit_eraser__does_not_depend_on_the_names_of_classes():
    x, z, _ = embeddings()
    names = np.array(["q50", "q75", "q90", "raw"])[z]
    assert fit_eraser(x, names).sha256 == fit_eraser(x, z).sha256
    assert fit_eraser(x, z * 10 + 7).sha256 == fit_eraser(x, z).sha256


@pytest.mark.parametrize(
    ("views", "labels", "preserved", "reason"),
    [
        ([(4, 3), (4, 2)], (2, 4), None, "views must be"),
        ([(4,)], (1, 4), None, "views must be"),
        ([(4, 3)], (4,), None, r"labels of shape \(4,\)"),
        ([(4, 3)], (1, 5), None, r"labels of shape \(1, 5\)"),
    ],
)
def test_source__shapes_that_do_not_fit(views, labels, preserved, reason):
    with pytest.raises(ValueError, match=reason):
        Source([np.zeros(shape) for shape in views], np.zeros(labels, int), 2, preserved)


@pytest.mark.parametrize("value", [-1, 2])
def test_source__classes_outside_their_count(value):
    labels = np.zeros((1, 4), int)
    wrong = np.array([0, 1, value, 0])
    with pytest.raises(ValueError, match=r"0\.\.1"):
        Source([np.zeros((4, 3))], wrong[None], 2)
    with pytest.raises(ValueError, match=r"0\.\.1"):
        Source([np.zeros((4, 3))], labels, 2, wrong, 2)
    assert Source([np.zeros((4, 3))], labels, 2, np.array([0, 1, 1, 0]), 2).photos == 4


def test_moments__need_two_rows_and_take_none_once_they_were_read():
    few = moments(np.ones((1, D)), np.zeros(1, int))
    with pytest.raises(DataError, match="1 embeddings"):
        _ = few.mean
    x, z, _ = embeddings(n=20)
    read = moments(x, z)
    assert read.dimension == D
    _ = read.mean
    with pytest.raises(ValueError, match="read already"):
        read.update(x, z)


@pytest.mark.parametrize("shrinkage", [-0.1, 1.1])
def test_leace__shrinkage_is_a_share(shrinkage):
    x, z, _ = embeddings(n=60)
    with pytest.raises(ValueError, match=f"shrinkage {shrinkage}: a share in"):
        fit_eraser(x, z, shrinkage=shrinkage)


def test_unit_rows__are_scaled_before_the_map():
    x, z, _ = embeddings()
    eraser = fit_eraser(x, z, unit_rows=True)
    np.testing.assert_allclose(eraser.apply(x * 7), eraser.apply(x), atol=1e-5)
    assert eraser.sha256 != fit_eraser(x, z).sha256
    assert eraser.apply(x[0]).shape == (D,)


def test_methods__all_can_be_fitted_and_applied():
    x, z, y = embeddings(n=200)
    source = Source([x], z[None], C, y, K)
    summed = moments_of(source)
    for name, method in METHODS.items():
        options = {"rounds": 1, "epochs": 1} if name == "adversary" else {}
        eraser = fit_method(name, source, summed, **options)
        assert eraser.method == name
        assert eraser.needs_labels == method.labels_at_test
        assert eraser.apply(x, z).shape == x.shape


def test_eraser__rows_are_scaled_only_where_it_was_fitted_so():
    """The formula by hand; a length of its own for each row shows whether they were scaled."""
    rows = np.array([[3.0, 4.0], [0.0, 2.0]], np.float32)
    mean, projection = np.array([1.0, 0.0], np.float32), np.array([[1.0, 0.0], [0.0, 0.0]], np.float32)
    plain, unit = Eraser("some", mean, projection, 1), Eraser("some", mean, projection, 1, unit_rows=True)
    np.testing.assert_allclose(plain.apply(rows), [[3.0, 0.0], [0.0, 0.0]])
    np.testing.assert_allclose(unit.apply(rows), [[0.6, 0.0], [0.0, 0.0]], atol=1e-7)
    assert plain.sha256 != unit.sha256


def test_apply__by_hand_and_what_it_refuses():
    means, scales = np.array([[1, 0], [0, 2]], np.float32), np.array([[1, 2], [2, 1]], np.float32)
    mean, turn = np.array([10, 20], np.float32), np.array([[0, 1], [2, 0]], np.float32)
    plain = Eraser("leace", mean, turn, 1)
    assert plain.apply([11, 23]).tolist() == [13, 22]
    assert plain.apply([[11, 23], [10, 20]], [7, -1]).tolist() == [[13, 22], [10, 20]]
    given = Eraser("standardise", mean, turn, 0, False, means, scales)
    rows = [[2, 4], [4, 4]]
    assert given.apply(rows, [0, 1]).tolist() == [[12, 22], [12, 24]]
    assert given.apply([2, 4], 0).tolist() == [12, 22]
    assert given.apply(np.zeros((0, 2)), []).shape == (0, 2)
    for labels, reason in (
        ([0, -1], "-1"),
        ([0, 2], "standardise"),
        (None, "standardise"),
        ([0], "standardise"),
    ):
        with pytest.raises(DataError, match=reason):
            given.apply(rows, labels)
    for value, reason in (
        (np.zeros((2, 3)), "embeddings"),
        (np.zeros((1, 2, 2)), "eraser"),
        ([[1, np.inf]], "finite"),
    ):
        with pytest.raises(DataError, match=reason):
            plain.apply(value)
    unit = dataclasses.replace(plain, unit_rows=True)
    assert unit.apply([3, 4]).tolist() == pytest.approx([10 + 0.8 - 20, 20 + 2 * (0.6 - 10)])


def test_eraser__its_name_and_hash_follow_the_map():
    mean, turn = np.zeros(2, np.float32), np.eye(2, dtype=np.float32)
    plain = Eraser("leace", mean, turn, 1)
    of_trace = dataclasses.replace(plain, provenance={"attribute": "jpeg"})
    given = dataclasses.replace(of_trace, group_means=np.ones((2, 2), np.float32), group_scales=np.ones((2, 2)))
    assert plain.name == f"leace@{plain.sha256[:8]}"
    assert of_trace.name == f"leace-jpeg@{plain.sha256[:8]}"
    assert given.name == f"leace-jpeg@{given.sha256[:8]} (given test labels)"
    others = [given, dataclasses.replace(plain, unit_rows=True), dataclasses.replace(plain, mean=mean + 1)]
    others += [dataclasses.replace(plain, projection=2 * turn)]
    assert len({each.sha256 for each in (plain, *others)}) == 5
    assert dataclasses.replace(plain, rank=2, method="mean").sha256 == plain.sha256


def test_fit_eraser__what_it_records_and_refuses():
    rng = np.random.default_rng(0)
    labels = np.array(["b", "a", "c"])[np.arange(90) % 3]
    x = rng.normal(size=(90, 6)) + 3 * np.eye(6)[np.arange(90) % 3]
    made = fit_eraser(x, labels, "leace", shrinkage=0.1)
    assert made.provenance == {"classes": ["a", "b", "c"], "n_rows": 90, "options": {"shrinkage": 0.1}}
    assert (made.rank, made.unit_rows, made.method) == (2, False, "leace")
    assert fit_eraser(x, labels, unit_rows=True).unit_rows
    assert fit_eraser(x[:, :2], labels).rank == 1  # no more directions than the dimension less one
    for arguments, options, reason in (
        ((x, labels[:-1]), {}, "89"),
        ((x, labels), {"keep": labels[:-1], "method": "splince"}, "89"),
        ((x, np.zeros(90)), {}, "nothing"),
        ((x, labels), {"method": "splince"}, "readable"),
    ):
        with pytest.raises(DataError, match=reason):
            fit_eraser(*arguments, **options)
    with pytest.raises(UsageError, match="rounds"):
        fit_eraser(x, labels, rounds=3)
    with pytest.raises(UsageError, match="leace"):
        fit_eraser(x, labels, "leaze")
