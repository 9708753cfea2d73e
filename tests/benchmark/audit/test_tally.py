"""Counts over blocks are those of one big table, and memory is bounded: rare values and samples are cut."""

from dataclasses import dataclass

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest

from benchmark.audit.features import FEATURES
from benchmark.audit.power import smallest_effect
from benchmark.audit.scan import KNOWN, Block, _type
from benchmark.audit.tally import tally


@dataclass(frozen=True)
class Blocks:
    """A scan in memory."""

    frame: pd.DataFrame
    size: int

    def blocks(self):
        for start in range(0, len(self.frame), self.size):
            part = self.frame.iloc[start : start + self.size]
            columns = {name: pa.array(part[name].tolist(), _type(name)) for name in (*KNOWN, *FEATURES)}
            yield Block(pa.table(columns), {name: np.zeros(0) for name in ("rows", "numbers", "whole", "border")})


def rows(n, values=6, seed=0):
    rng = np.random.default_rng(seed)
    frame = pd.DataFrame({"id": [f"{i:06d}" for i in range(n)]})
    frame["label"] = rng.choice(["a", "b", "c", ""], n)
    frame["split"], frame["source"], frame["owner"] = rng.choice(["train", "val"], n), "", ""
    frame["content"], frame["near"], frame["failure"] = (
        np.arange(1, n + 1),
        0,
        np.where(np.arange(n) % 50 == 7, "bad", ""),
    )
    for name, feature in FEATURES.items():
        numbers = rng.normal(10, 2, n)
        frame[name] = numbers if feature.kind == "number" else [f"v{k}" for k in rng.integers(0, values, n)]
    return frame


def test_tally__blocks_count_as_one_table():
    frame = rows(1000)
    counts = tally(Blocks(frame, 64))
    good = frame[frame.failure == ""]
    known = good[good.label != ""]
    assert (counts.photos, counts.unreadable, len(counts.failures)) == (len(known), 20, 20)
    values, table = counts.tables["label", "quality"].counts(3)
    expected = pd.crosstab(known.quality, known.label)
    order = [list(counts.names["label"]).index(name) for name in expected.columns]
    assert pd.DataFrame(table[:, order], values, expected.columns).sort_index().to_numpy().tolist() == (
        expected.to_numpy().tolist()
    )
    moments = counts.moments["split", "bytes"]
    val = counts.names["split"]["val"]
    assert moments.sums[val] == pytest.approx(good[good.split == "val"].bytes.sum())
    assert moments.squares == pytest.approx((good.bytes**2).sum())
    assert counts.rows.tolist() == np.flatnonzero(frame.failure == "").tolist()
    assert sorted(counts.sample.row) == counts.rows.tolist()


def test_smallest_effect__is_flagged_in_nine_of_ten_sets():
    from benchmark.stats import table_p_value
    from builders.splits import cramers_v

    n, questions = 1000, 20
    effect = smallest_effect(n, questions)
    rng = np.random.default_rng(0)
    counts = 0
    for seed in range(100):
        trait = rng.random(n) < (1 + effect * np.where(np.arange(n) % 2, 1, -1)) / 2
        table = np.histogram2d(np.arange(n) % 2, trait, (2, 2))[0].astype(int)
        counts += questions * table_p_value(table, seed=seed) < 0.01 and cramers_v(table) >= 0.05
    assert 80 <= counts <= 98
