"""Means of clusters of unequal size: their weights, the variance of their mean, and its degrees of freedom.

Every mean is over photos, whatever their clusters: a cluster of n photos counts n times. So a score, a difference and
a rank are about one quantity, also where the size of a cluster goes with its answers (Williamson, Datta and Satten,
Biometrics 59, 2003, call such sizes informative). The usual cluster-robust variance is too small where a few clusters
have most of the photos, because such a cluster pulls the mean towards itself. Two rules hold the level
(``scripts/checks/clusters.py``, docs/explanation/statistics.md):

- The squared deviation of each cluster is divided by its share of an expected one (CR2: Bell and McCaffrey, Survey
  Methodology 28, 2002), if photos of one cluster correlate by ``WORKING_CORRELATION``.
- Student's t has the effective number of clusters, ``(sum w)^2 / sum w^2`` of their weights w, less one as degrees of
  freedom (Kish, Survey Sampling, 1965).

Weights depend on sizes alone, never on answers. With equal sizes both are the usual t-test over cluster means.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

WORKING_CORRELATION = 0.1
"""Correlation of two photos of one cluster that corrections assume. Coverage depends on it little: 0.05 to
0.3 hold the level, whatever the true correlation."""


@dataclass(frozen=True, eq=False)
class ClusterWeights:
    """How much each of G clusters counts in a mean."""

    weights: np.ndarray
    """float64 [G], the sum is 1; 0 for a cluster without photos."""
    correction: np.ndarray
    """float64 [G], factor of the squared deviation of each cluster from the mean in the variance."""
    equal: bool
    """Whether all clusters with photos have the same weight."""

    @property
    def effective(self) -> float:
        """Effective number of clusters."""
        return float(1 / np.square(self.weights).sum())

    @property
    def freedom(self) -> float:
        """Degrees of freedom of Student's t."""
        return int((self.weights > 0).sum()) - 1.0 if self.equal else self.effective - 1


def photo_weights(sizes: np.ndarray) -> ClusterWeights:
    """Weights of the mean over photos, for G clusters of these sizes.

    >>> round(photo_weights(np.array([30.0, 10.0, 10.0])).effective, 2)
    2.27
    """
    sizes = np.asarray(sizes, dtype=np.float64)
    weights = sizes / sizes.sum()
    present = sizes > 0
    count = int(present.sum())
    if np.ptp(sizes[present]) <= 1e-9 * sizes.max():
        return ClusterWeights(weights, np.where(present, count / max(count - 1, 1), 0.0), equal=True)
    variances = WORKING_CORRELATION + (1 - WORKING_CORRELATION) / np.where(present, sizes, 1.0)
    of_mean = float((np.square(weights) * variances).sum())
    expected = variances - 2 * weights * variances + of_mean
    return ClusterWeights(weights, np.where(present, variances / expected, 0.0), equal=False)


def scaled_deviations(sums: np.ndarray, rows: np.ndarray, weights: ClusterWeights) -> np.ndarray:
    """float64 [K, G]: deviations of clusters whose mean square over G is G - 1 times the variance of the mean.

    So they enter the formulas of G equal units (``benchmark.stats.student.Means``).

    Args:
        sums: [K, G], values summed over the rows of each cluster.
        rows: [G], rows of each cluster.
        weights: of the clusters.
    """
    clusters = sums.shape[1]
    means = sums / np.where(rows > 0, rows, 1.0)
    centre = sums.sum(axis=1) / rows.sum()
    factor = np.sqrt(clusters * max(clusters - 1, 1) * weights.correction) * weights.weights
    scaled: np.ndarray = (means - centre[:, None]) * factor
    return scaled
