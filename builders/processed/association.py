"""How strongly a built set ties processing to semantic class: measured in its files, beside what its settings say."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from builders.dataset import SplitShards, read_table
from builders.pixels import ALL_PARAMETERS
from builders.processed.assignment import correlation_of, expected_counts
from builders.processed.processed_rows import ProcessingSettings
from builders.splits import cramers_v


@dataclass(frozen=True)
class Association:
    """Cramer's V of semantic class and processing in one split."""

    config: str
    split: str
    rows: int
    measured: float
    """Bias-corrected (Bergsma 2013), 0 to 1."""
    expected: float
    """Of the table that the settings give on average."""


def associations(
    folder: Path, splits: Sequence[SplitShards], settings: ProcessingSettings, label_names: Sequence[str]
) -> list[Association]:
    """One for each split of a config; none where the assignment is not correlated.

    Raises:
        DataError: a file cannot be read.
    """
    if correlation_of(settings.assignment) is None:
        return []
    own = settings.own_classes(label_names)
    found = []
    for split in (s for s in splits if s.config == settings.parameter):
        counts = joint_counts(folder, split, settings.parameter, len(label_names))
        if counts.any():
            expected = expected_counts(counts.sum(axis=1), own, counts.shape[1], settings.assignment)
            found.append(
                Association(
                    split.config,
                    split.split,
                    int(counts.sum()),
                    cramers_v(counts),
                    cramers_v(expected, corrected=False),
                )
            )
    return found


def joint_counts(folder: Path, split: SplitShards, parameter: str, labels: int) -> np.ndarray:
    """Rows by semantic class and processing: int64 [semantic classes, processings], without unlabelled rows."""
    classes = len(ALL_PARAMETERS[parameter].classes)
    counts = np.zeros(labels * classes, dtype=np.int64)
    for shard in split.shards:
        table = read_table(folder / shard.file, ["label", parameter])
        shows, code = (table.column(name).to_numpy().astype(np.int64) for name in ("label", parameter))
        kept = shows >= 0
        counts += np.bincount(shows[kept] * classes + code[kept], minlength=len(counts))
    return counts.reshape(labels, classes)
