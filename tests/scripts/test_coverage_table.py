"""The table of the statistics page, and the coverage that reports state, are those of the stored simulation."""

from pathlib import Path

import numpy as np
import pytest

from benchmark.judgement import units
from scripts.checks.clusters import ALIKE, UNLIKE, measure
from scripts.docs_tables.coverage import markdown, stored

PAGE = Path(__file__).parents[2] / "docs/explanation/statistics.md"


def test_page__has_the_table_of_the_stored_run() -> None:
    assert markdown(*stored()) in PAGE.read_text("utf-8")
    assert {row.trials for rows in stored() for row in rows} == {2000}


def test_reports__state_the_measured_coverage() -> None:
    alike, unlike = stored()
    every = [*alike, *unlike]
    few = [row.single for row in every if row.effective < units.FEW]
    assert f"{100 * min(few):.0f} to {100 * max(few):.0f} %" == units.FEW_COVERAGE
    assert min(row.single for row in every) >= 0.95


def test_power__of_equal_clusters_is_that_of_a_t_test_over_cluster_means() -> None:
    """Of unequal ones that test is about another mean, in which small clusters count as much as large ones."""
    rows = [row for rows in stored() for row in rows]
    assert min(row.detected - row.t_detected for row in rows if row.sizes == "equal") > -0.025
    assert max(row.size for row in rows) < 0.07
    assert max(row.spd_size for row in rows) < 0.07
    assert max(row.ranks for row in rows) < 0.07


@pytest.mark.parametrize(
    ("count", "shape", "accuracy", "unlike"),
    [(6, "equal", 0.9, False), (16, "zipf", 0.5, False), (28, "geometric", 0.98, True)],
)
def test_stored_run__is_what_a_small_run_measures(count: int, shape: str, accuracy: float, unlike: bool) -> None:
    """300 trials of another seed: shares within four standard errors."""
    expected = next(
        row for row in stored()[unlike] if (row.clusters, row.sizes, row.accuracy) == (count, shape, accuracy)
    )
    row = measure(count, shape, accuracy, 300, 7, UNLIKE if unlike else ALIKE)
    for name in ("single", "chance", "paired_null", "size", "spd", "spd_size", "ranks", "wild_chance", "wild_size"):
        share = getattr(expected, name)
        error = np.sqrt(max(share * (1 - share), 0.005) * (1 / 300 + 1 / 2000))
        assert abs(getattr(row, name) - share) <= 4 * error, name
