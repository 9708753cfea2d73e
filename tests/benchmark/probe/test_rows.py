"""Rows of banks: only wanted ones are read, gathered once they are the same bits."""

import numpy as np
import pytest
import torch

from benchmark.probe import AsGiven, Some, probe, processing_probe
from benchmark.probe.solver import rows as rows_module
from benchmark.probe.solver.rows import Gathered, Stacked, features, gather, is_as_given, normalised, picked
from builders.errors import DataError

RNG = np.random.default_rng(5)


def test_stacked__by_index_and_by_slice():
    first, second = RNG.normal(size=(5, 2)), RNG.normal(size=(4, 2))
    both, stacked = np.concatenate([first, second]), Stacked(first, second)
    for wanted in ([0, 4, 5, 8], [1, 2], [6], [5, 8]):
        np.testing.assert_array_equal(picked(stacked, np.array(wanted)), both[wanted])
    np.testing.assert_array_equal(stacked[3:7], both[3:7])


def test_normalised__one_long_block_equals_row_by_row():
    rows = (RNG.normal(size=(999, 700)) * 10.0 ** RNG.integers(-20, 19, (999, 1))).astype(np.float32)
    rows[5] = 0
    wide = rows.astype(np.float64)
    lengths = np.sqrt((wide**2).sum(axis=1))
    lengths[5] = 1
    np.testing.assert_allclose(normalised(rows), wide / lengths[:, None], rtol=1e-6)
    np.testing.assert_array_equal(normalised(rows), np.concatenate([normalised(row[None]) for row in rows]))


def test_gathered__the_same_bits_as_gathering_from_the_banks():
    banks = [RNG.normal(size=(50, 6)).astype(np.float32) for _ in range(3)]
    which, rows = RNG.integers(0, 3, (4, 50)), np.sort(RNG.permutation(50)[:31])
    once = Gathered(banks, torch.device("cpu")).source(which, rows)
    anew = gather(banks, which, rows)
    for start, stop in ((0, 31), (3, 20), (30, 31), (7, 7)):
        assert torch.equal(once(start, stop), anew(start, stop))


@pytest.mark.parametrize("protocol", ["converged", "iccv2025"])
def test_processing_probe__gathered_once_or_not_gives_the_same_answers(monkeypatch, protocol):
    photos, made = RNG.normal(size=(90, 8)), []
    classes = [photos + shift for shift in RNG.normal(size=(3, 8))]
    given = ([c[:60] for c in classes], [c[60:] for c in classes], RNG.integers(0, 3, (4, 60)))
    plain = processing_probe(*given, protocol=protocol)
    monkeypatch.setattr(probe, "GATHERED_FROM_ON_CPU", 1)
    monkeypatch.setattr(probe, "Gathered", lambda *a: made.append(1) or Gathered(*a))
    once = processing_probe(*given, protocol=protocol)
    assert made
    np.testing.assert_array_equal(once.predicted, plain.predicted)
    np.testing.assert_array_equal(once.final_loss, plain.final_loss)


def test_features__of_unit_length_or_as_given_and_finite():
    rows = np.array([[3.0, 4.0], [0.0, 0.0], [1.0, np.inf], [np.nan, 1.0]])
    for bank, sentence in (
        (rows, "embedding"),
        (AsGiven(rows), "embedding"),
    ):
        with pytest.raises(DataError) as error:
            features(bank, rows)
        assert sentence in str(error.value)
    assert features(AsGiven(rows), rows[:2]).tolist() == [[3, 4], [0, 0]]
    assert features(AsGiven(rows), rows[:2]).dtype == np.float32
    np.testing.assert_allclose(features(rows, rows[:2]), [[0.6, 0.8], [0, 0]])
    assert is_as_given(Some(AsGiven(rows), np.arange(2)))
    assert is_as_given(Stacked(AsGiven(rows), AsGiven(rows)))
    assert not is_as_given(Some(rows, np.arange(2)))
    assert not is_as_given(Stacked(rows, rows))


def test_normalised__the_number_of_a_bad_row_counts_over_blocks(monkeypatch):
    monkeypatch.setattr(rows_module, "CACHED_BYTES", 8 * 3 * 2)  # two rows of three numbers
    rows = RNG.normal(size=(7, 3)).astype(np.float32)
    expected = rows.astype(float) / np.linalg.norm(rows.astype(float), axis=1)[:, None]
    np.testing.assert_allclose(normalised(rows), expected, rtol=1e-6)
    rows[5, 1] = np.nan
    with pytest.raises(DataError, match=r"^embedding 5 of a block"):
        normalised(rows)


def test_gather__a_bank_of_which_no_row_is_needed_is_not_read():
    class Unread:
        shape = (5, 3)

        def __getitem__(self, rows):
            raise AssertionError("it is read")

    bank = RNG.normal(size=(5, 3)).astype(np.float32)
    read = gather([bank, Unread()], np.array([[0, 0, 1, 0, 0]]), np.array([0, 1, 3]))
    np.testing.assert_array_equal(read(0, 3)[0], normalised(bank)[[0, 1, 3]])
    assert read(1, 1).shape == (1, 0, 3)
