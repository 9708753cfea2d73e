"""``mcnemar`` against statsmodels' exact test."""

import numpy as np
import pytest
from statsmodels.stats.contingency_tables import mcnemar as reference

from benchmark.stats import mcnemar
from builders.errors import DataError


@pytest.mark.parametrize("counts", [(1, 9), (9, 1), (0, 1), (0, 30), (17, 25), (500, 620), (5, 5)])
def test_mcnemar__statsmodels(counts):
    b, c = counts
    expected = reference(np.array([[11, b], [c, 7]]), exact=True).pvalue
    assert mcnemar(b, c) == pytest.approx(min(1.0, expected), abs=1e-12)


def test_mcnemar__nothing_differs():
    assert mcnemar(0, 0) == 1.0


def test_mcnemar__negative():
    with pytest.raises(DataError, match="not negative"):
        mcnemar(-1, 3)
