"""Audits by hand-made counts: effects that can be found, values that carry an association, what a match keeps."""

import math

import numpy as np
import pandas as pd
import pytest
from scipy.stats import chi2, ncx2, norm
from sklearn.linear_model import LogisticRegression

from benchmark.audit import accuracy, power, questions, repair_plan
from benchmark.audit.power import smallest_effect
from benchmark.audit.tally import RARER


@pytest.mark.parametrize("freedom", [1, 24, 200])
def test_noncentrality__is_exceeded_with_the_stated_power(freedom):
    critical = chi2.isf(0.01 / 30, freedom)
    noncentrality = power._noncentrality(critical, freedom)
    assert ncx2.sf(critical, freedom, noncentrality) == pytest.approx(power.POWER, abs=1e-4)


@pytest.mark.parametrize("freedom", [201, 2000])
def test_noncentrality__of_many_values_is_that_of_a_normal_variable(freedom):
    critical = chi2.isf(0.01 / 30, freedom)
    noncentrality = power._noncentrality(critical, freedom)
    deviation = math.sqrt(2 * (freedom + 2 * noncentrality))
    assert norm.sf(critical, freedom + noncentrality, deviation) == pytest.approx(power.POWER)
    assert ncx2.sf(critical, freedom, noncentrality) == pytest.approx(power.POWER, abs=0.01)


@pytest.mark.parametrize(("n", "values", "classes"), [(1, 2, 2), (100, 1, 2), (100, 2, 1)])
def test_smallest_effect__without_two_photos_values_or_classes_is_all(n, values, classes):
    assert smallest_effect(n, 10, values=values, classes=classes) == 1.0


def test_carriers__the_cells_with_the_largest_residuals():
    #             real  fake
    counts = np.array([[60, 20], [20, 60], [10, 10], [10, 10]])
    carriers = questions._carriers(["a", "b", "c", "d"], counts, ["real", "fake"], lambda value, group: [value + group])
    assert [(c.value, c.group, c.share, c.elsewhere, c.examples) for c in carriers] == [
        ("a", "real", 0.6, 0.2, ("areal",)),
        ("b", "fake", 0.6, 0.2, ("bfake",)),
    ]
    # expected 40 of 80 and 100 of 200: residual 20 / sqrt(40 * 0.6 * 0.5) = 5.8; 3.0 is the least that carries
    few = np.array([[60, 40], [40, 60]])  # 10 / sqrt(50 * 0.5 * 0.5) = 2.8
    assert questions._carriers(["a", "b"], few, ["real", "fake"], lambda *_: []) == ()
    rarer = questions._carriers([RARER, "b"], counts[:2], ["real", "fake"], lambda *_: [])
    assert [(c.value, c.group) for c in rarer] == [("b", "fake")]


def test_carriers__at_most_six():
    counts = np.eye(8, dtype=int) * 100
    groups = [f"class {k}" for k in range(8)]
    carriers = questions._carriers([f"value {k}" for k in range(8)], counts, groups, lambda *_: [])
    assert [c.group for c in carriers] == groups[: questions.CARRIERS]
    assert {(c.share, c.elsewhere) for c in carriers} == {(1.0, 0.0)}


def test_extremes__largest_and_smallest_mean_of_classes_with_photos():
    means = questions._extremes("brightness", ["a", "b", "c", "d"], np.array([2, 0, 4, 1]), np.array([6.0, 0, 4, 2]))
    assert [(c.value, c.group) for c in means] == [("largest mean: 3.0", "a"), ("smallest mean: 1.0", "c")]
    assert questions._extremes("brightness", ["a", "b"], np.array([2, 0]), np.array([6.0, 0])) == ()


def test_table__counts_known_classes_by_value():
    frame = pd.DataFrame({"label": ["x", "y", "x", "?"], "value": ["2", "1", "1", "1"]})
    assert questions._table(frame, "value", "label", ["x", "y"]).tolist() == [[1, 1], [1, 0]]


def test_matched__every_class_keeps_the_same_mixture():
    strata = np.repeat([0, 1, 0, 1, 2], [6, 4, 4, 16, 3])
    labels = np.repeat([0, 0, 1, 1, 1], [6, 4, 4, 16, 3])
    matched = repair_plan._matched(strata, labels, [str(i) for i in range(len(strata))])
    counts = {(s, k): int(matched[(strata == s) & (labels == k)].sum()) for s in range(3) for k in range(2)}
    # shares of stratum 0: 6 of 10 and 4 of 23; of stratum 1: 4 of 10 and 16 of 23; stratum 2 is in one class alone
    assert counts == {(0, 0): 2, (0, 1): 4, (1, 0): 4, (1, 1): 9, (2, 0): 0, (2, 1): 0}
    again = repair_plan._matched(strata[::-1], labels[::-1], [str(i) for i in range(len(strata))][::-1])
    assert again[::-1].tolist() == matched.tolist()  # the draw depends on ids, not on their order


def test_layer_score__needs_columns_and_two_classes_of_enough_photos():
    sample = pd.DataFrame({"label": ["x"] * 40 + ["y"] * (accuracy.FEWEST_PHOTOS - 1)})
    columns = np.zeros((len(sample), 1), np.int8)
    assert accuracy._score(sample, columns[:, :0], "label", ["x", "y"], "exif", "Exif", 0) is None
    assert accuracy._score(sample, columns, "label", ["x", "y"], "exif", "Exif", 0) is None


@pytest.mark.parametrize(("kind", "strength"), [(np.int8, 1.0), (np.float32, 1e-3)])
def test_cross_validated__penalty_of_indicators_and_of_many_numbers(kind, strength, monkeypatch):
    """Indicators of values are int8; standardised statistics of pixels are float32 and need a stronger penalty."""
    fitted = []

    class Recorded(LogisticRegression):
        def fit(self, x, y):
            fitted.append((self.C, self.class_weight, x.dtype))
            return super().fit(x, y)

    monkeypatch.setattr("sklearn.linear_model.LogisticRegression", Recorded)
    y = np.arange(40) % 2
    x = np.stack([y, 1 - y], 1).astype(kind)
    assert (accuracy._cross_validated(x, y, None, 0) == y).all()
    assert fitted == [(strength, "balanced", np.float32)] * 5
