"""Readers beside the linear one: against scikit-learn and torch, at chance where nothing is, and a planted XOR."""

import numpy as np
import pytest
import torch
from sklearn.neighbors import KNeighborsClassifier

from benchmark.erasing import fit_eraser
from benchmark.probe import READERS, AsGiven, LabelledSplits, labelled_probe, processing_probe
from benchmark.probe.problem import Problem
from benchmark.probe.readers.knn import NEIGHBOURS, read_knn, vote
from benchmark.probe.readers.mlp import Net, gradients, train
from benchmark.probe.solver.projected import project
from benchmark.probe.solver.rows import normalised
from builders.errors import UsageError
from tests.support.planted_groups import planted_table

OTHERS = [name for name in READERS if name != "linear"]


def planted_xor(n: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Two directions of a sign each among others of noise; the label is whether the signs differ."""
    rng = np.random.default_rng(seed)
    signs = rng.permutation(np.arange(n)[:, None] >> [0, 1] & 1)  # as many photos of each pair of signs
    x = 0.3 * rng.normal(size=(n, 16))
    x[:, :2] += 2 * signs - 1
    return x.astype(np.float32), signs[:, 0] ^ signs[:, 1]


def splits(make=planted_xor, eraser=None) -> LabelledSplits:
    (train_x, train_y), (test_x, test_y) = make(400, 0), make(300, 1)
    if eraser:
        train_x, test_x = eraser.apply(train_x), eraser.apply(test_x)
    return LabelledSplits(train_x, train_y, None, None, test_x, test_y, 2)


@pytest.fixture(scope="module")
def answers():
    eraser = fit_eraser(*planted_xor(400, 0), "leace")
    return {
        (when, reader): labelled_probe(splits(eraser=given), reader=reader)
        for when, given in (("before", None), ("after", eraser))
        for reader in READERS
    }


def test_a_planted_xor__is_found_by_the_network_and_not_by_the_linear_reader(answers):
    assert answers["before", "mlp"].accuracy > 0.95
    assert answers["before", "knn"].accuracy > 0.9
    assert answers["before", "linear"].accuracy < 0.6


def test_a_planted_xor__is_not_removed_by_leace(answers):
    assert answers["after", "mlp"].accuracy > 0.95
    assert answers["after", "linear"].accuracy < 0.6


def test_linear_reader__is_at_chance_on_erased_rows__and_not_on_these_at_unit_length():
    """LEACE's theorem is about the rows that it gives; lengths that depend on the group return it to unit rows."""
    rows, _, group, _ = planted_table(np.random.default_rng(0), dimension=6, photos=6, effects=(4, 4, 0.3))
    unit = normalised(rows)
    erased = fit_eraser(unit, group, "leace", unit_rows=True).apply(unit)

    def read(rows, reader="linear"):
        return labelled_probe(LabelledSplits(rows, group, None, None, rows, group, 2), reader=reader).accuracy

    assert read(AsGiven(erased)) == 0.5
    assert read(normalised(erased)) > 0.6
    assert read(AsGiven(erased), "knn") == read(normalised(erased), "knn")  # by cosine either way
    for reader in READERS:
        assert read(AsGiven(unit), reader) == read(unit, reader)
    few = np.concatenate([erased[group == 0][:80], erased[group == 1][:80]])
    wide = np.hstack([few, np.zeros((len(few), 300), np.float32)])  # more dimensions than photos: projected first
    splits = LabelledSplits(AsGiven(wide), np.arange(160) // 80, None, None, AsGiven(wide), np.arange(160) // 80, 2)
    assert isinstance(project(splits).train_x, AsGiven)
    np.testing.assert_allclose(
        np.linalg.norm(project(splits).test_x[:], axis=1), np.linalg.norm(wide, axis=1), atol=1e-5
    )


@pytest.mark.parametrize("reader", OTHERS)
def test_processing__a_shift_is_read_and_nothing_is_chance(reader):
    rng = np.random.default_rng(0)
    photos, shift = rng.normal(size=(220, 12)), rng.normal(size=(3, 12))
    for size, low, high in ((3.0, 0.9, 1.0), (0.0, 1 / 3, 1 / 3)):
        views = [(photos + size * one).astype(np.float32) for one in shift]
        given = [v[:160] for v in views], [v[160:] for v in views], rng.integers(0, 3, (4, 160))
        result = processing_probe(*given, reader=reader)
        assert low - 1e-9 <= result.accuracy <= high + 1e-9
        assert result.predicted.shape == (4, 3, 60)


@pytest.mark.parametrize("reader", OTHERS)
def test_more_photos_than_are_needed__are_sampled_and_fewer_assignments_used(reader, monkeypatch):
    monkeypatch.setattr("benchmark.probe.readers.registry.MOST_ROWS", 80)
    monkeypatch.setattr("benchmark.probe.readers.knn.MOST_ROWS", 80)
    monkeypatch.setattr("benchmark.probe.readers.mlp.FITS_ROWS", 80)
    rng = np.random.default_rng(0)
    views = [rng.normal(size=(200, 6)).astype(np.float32) + shift for shift in (0, 5)]
    given = [v[:120] for v in views], [v[120:] for v in views], rng.integers(0, 2, (3, 120))
    result = processing_probe(*given, reader=reader)
    assert result.n_train == 80
    assert result.predicted.shape == (1, 2, 80)
    assert result.accuracy > 0.9


def test_neighbours__are_those_of_scikit_learn():
    rng = np.random.default_rng(0)
    known, requested = normalised(rng.normal(size=(300, 8))), normalised(rng.normal(size=(90, 8)))
    labels = rng.integers(0, 2, 300)
    result = vote(torch.from_numpy(requested), torch.from_numpy(known), labels, (1, 5, 21), 2)  # odd: no ties
    for k, answer in zip((1, 5, 21), result, strict=True):
        expected = KNeighborsClassifier(k, metric="cosine").fit(known, labels).predict(requested)
        np.testing.assert_array_equal(answer, expected)


def test_a_tied_vote__goes_to_the_class_of_the_nearest():
    known = torch.tensor([[1.0, 0.0], [0.8, 0.6], [0.6, 0.8], [0.0, 1.0]])
    requested = torch.tensor([[1.0, 0.0], [0.0, 1.0]])
    assert vote(requested, known, np.array([2, 1, 1, 2]), (4,), 3).tolist() == [[2, 2]]
    assert vote(requested, known, np.array([2, 1, 1, 0]), (4, 2), 3).tolist() == [[1, 1], [2, 0]]


def test_network__steps_as_torch_does():
    """The same rows and steps through autograd and torch.optim.AdamW."""
    rng = np.random.default_rng(0)
    rows = torch.from_numpy(rng.normal(size=(2, 100, 7)).astype(np.float32))
    labels = torch.from_numpy(rng.integers(0, 3, (2, 100)))
    (measured,) = train(rows, labels, 3, [1e-2, 1e-3], [1.0, 0.1], (4,), seed=5)
    (start,) = train(rows, labels, 3, [0.0, 0.0], [0.0, 0.0], (1,), seed=5)
    for g, (rate, decay) in enumerate(((1e-2, 1.0), (1e-3, 0.1))):
        weights = [w[g : g + 1].clone().requires_grad_() for w in start]
        steps = torch.optim.AdamW(weights, lr=rate, weight_decay=decay)
        for _ in range(4):
            logits = Net(*weights).logits(rows[g : g + 1])
            loss = torch.nn.functional.cross_entropy(logits[0], labels[g])
            steps.zero_grad()
            loss.backward()
            steps.step()
        for mine, reference in zip(measured, weights, strict=True):
            torch.testing.assert_close(mine[g : g + 1], reference.detach(), atol=2e-5, rtol=1e-4)
    of_all = gradients(start, rows, labels)
    assert [g.shape for g in of_all] == [w.shape for w in start]


def test_an_unknown_reader__is_named():
    with pytest.raises(UsageError, match="'kmm'"):
        labelled_probe(splits(), reader="kmm")


def test_knn__without_validation_photos_takes_the_middle_number_of_neighbours():
    x, y = planted_xor(60, 0)
    photos = np.arange(60)
    problem = Problem([x], np.zeros((1, 60), np.int64), y[None].astype(np.int64), 2, photos, photos[:0])
    read = read_knn(problem, [x[:5]], device=torch.device("cpu"), seed=0)
    tried = [k for k in NEIGHBOURS if k < 60]
    assert read.search == ()
    assert read.chosen == {"k": tried[len(tried) // 2]}
