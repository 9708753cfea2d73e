"""Differences of encoders, their p-values and ties do not move between versions."""

import numpy as np

from benchmark.compare import compare_runs, comparison_json
from tests.support.probe_runs import N, probe_run, read_run, write
from tests.support.recorded import check_recorded


def test_comparison__of_four_encoders_is_as_recorded(tmp_path):
    rng = np.random.default_rng(6)
    shared = rng.random(N)
    bounds = {"a": 0.3, "b": 0.33, "c": 0.5, "d": 0.5}
    right = {name: 0.7 * shared + 0.3 * rng.random(N) < bound for name, bound in bounds.items()}
    folders = write(tmp_path, **{name: probe_run(f"encoder-{name}", values) for name, values in right.items()})
    rows, ties = compare_runs([read_run(folder) for folder in folders])
    check_recorded("comparison", comparison_json(rows, ties))
