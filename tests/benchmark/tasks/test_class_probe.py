"""``linear/original``: which rows, classes and clusters the probe receives, and what its score and answers say."""

from types import SimpleNamespace

import numpy as np
import pytest

from benchmark.tasks.acquisition_probe import labelled_splits
from builders.photos import SPLITS


@pytest.mark.parametrize("has_val", [True, False])
def test_labelled_splits__each_split_has_its_rows_classes_and_clusters(has_val):
    rows = {split: np.full((i + 2, 1), i) for i, split in enumerate(SPLITS)}
    parts = {
        split: SimpleNamespace(photos=np.arange(i + 2), classes=np.full(i + 2, i)) for i, split in enumerate(SPLITS)
    }
    clusters = {split: np.full(i + 2, 10 + i) for i, split in enumerate(SPLITS)}
    if not has_val:
        parts["val"].photos = np.arange(0)
    made = labelled_splits(rows, parts, 7, clusters)
    assert made.n_classes == 7
    for split in SPLITS:
        of_split = [getattr(made, f"{split}_{part}") for part in ("x", "y", "clusters")]
        if split == "val" and not has_val:
            assert of_split == [None, None, None]
        else:
            assert of_split[0] is rows[split]
            assert of_split[1] is parts[split].classes
            assert of_split[2] is clusters[split]
