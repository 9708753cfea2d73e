"""Everything that a scan of a few blocks is counted into, by plain loops; failures, samples, decoded photos, limits."""

from collections import Counter
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest

from benchmark.audit import tally as module
from benchmark.audit.features import FEATURES
from benchmark.audit.scan import KNOWN, Block, _type
from benchmark.audit.tally import RARER, Table, tally

NUMBERS = [name for name, feature in FEATURES.items() if feature.kind == "number"]
VALUES = [name for name in FEATURES if name not in NUMBERS]


def frame(n=30, **columns):
    """Facts of photos: every seventh cannot be read, every fifth has no label."""
    rows = pd.DataFrame({"id": [f"{i:03d}" for i in range(n)]})
    rows["label"] = [("" if i % 5 == 4 else "ba"[i % 2]) for i in range(n)]
    rows["split"] = [("train", "val", "")[i % 3] for i in range(n)]
    rows["source"] = [("t", "s", "")[i // 2 % 3] for i in range(n)]
    rows["owner"] = ""
    rows["content"] = [1000 + i // 2 for i in range(n)]
    rows["near"] = 0
    rows["failure"] = [f"reason {i}" if i % 7 == 6 else "" for i in range(n)]
    for k, name in enumerate(FEATURES):
        rows[name] = [float(i * k % 11) if i % 4 else np.nan for i in range(n)] if name in NUMBERS else [
            f"v{i * (k + 1) % 5}" for i in range(n)
        ]  # fmt: skip
    for name, values in columns.items():
        rows[name] = values
    return rows


def blocks(rows, size, pixels=()):
    """A scan of these facts; ``pixels``: rows that were decoded."""

    def made():
        for start in range(0, len(rows), size):
            part = rows.iloc[start : start + size]
            facts = pa.table({name: pa.array(part[name].tolist(), _type(name)) for name in (*KNOWN, *FEATURES)})
            at = [i - start for i in pixels if start <= i < start + size]
            arrays = {name: np.array([[start + i, k] for i in at], float) for k, name in enumerate(PIXELS)}
            yield Block(facts, {"rows": np.array(at, int), **arrays})

    return SimpleNamespace(blocks=made)


PIXELS = ("numbers", "whole", "border")


@pytest.mark.parametrize("size", [4, 30])
def test_tally__every_table_moment_and_code(size):
    rows = frame()
    counts = tally(blocks(rows, size))
    good = rows[rows.failure == ""].reset_index()
    assert counts.names == {
        "label": {"b": 0, "a": 1},
        "split": {"train": 0, "val": 1},
        "source": {"t": 0, "s": 1},
    }
    for target, names in counts.names.items():
        assert counts.totals[target].tolist() == [int((good[target] == name).sum()) for name in names]
    assert counts.photos == int((good.label != "").sum())
    assert (counts.unreadable, counts.failures) == (4, [(f"{i:03d}", f"reason {i}") for i in (6, 13, 20, 27)])
    codes = {target: [counts.names[target].get(name, -1) for name in good[target]] for target in counts.names}
    assert counts.label_codes.tolist() == codes["label"]
    assert counts.split_codes.tolist() == codes["split"]
    assert (counts.rows.tolist(), counts.content.tolist()) == (good["index"].tolist(), good.content.tolist())
    assert (counts.near.tolist(), counts.pixels, counts.unit) == ([], {}, "owner")
    targets = [
        *((target, name) for target in counts.names for name in VALUES),
        ("label", "source"),
        ("split", "source"),
    ]
    assert set(counts.tables) == set(targets)
    for target, name in targets:
        values, table = counts.tables[target, name].counts(2)
        cells = Counter((v, c) for v, c in zip(good[name], codes[target], strict=True) if c >= 0)
        expected = {(v, c): int(table[i, c]) for i, v in enumerate(values) for c in (0, 1) if table[i, c]}
        assert expected == cells
    assert set(counts.moments) == {(target, name) for target in counts.names for name in NUMBERS}
    for (target, name), moments in counts.moments.items():
        of_class = [
            [x for x, c in zip(good[name], codes[target], strict=True) if c == k and np.isfinite(x)] for k in (0, 1)
        ]
        assert moments.counts.tolist() == [len(values) for values in of_class]
        assert moments.sums == pytest.approx([sum(values) for values in of_class])
        assert moments.squares == pytest.approx(sum(x * x for values in of_class for x in values))
    assert sorted(counts.sample["row"]) == good["index"].tolist()
    by_row = counts.sample.set_index("row")
    assert by_row.loc[good["index"], "id"].tolist() == good["id"].tolist()
    assert by_row.loc[good["index"], "owner"].tolist() == [""] * len(good)


def test_tally__more_than_200_sources_are_counted_and_not_tested():
    for sources in (200, 201):
        n = 2 * sources
        rows = frame(n, source=[f"s{i // 2}" for i in range(n)], failure="", label=["a", "b"] * sources)
        counts = tally(blocks(rows, n))
        assert len(counts.names["source"]) == sources
        assert (("source", "make") in counts.tables) is (sources == 200)
        assert (("source", "bytes") in counts.moments) is (sources == 200)
        assert ("label", "source") in counts.tables


def test_table__one_of_its_values_is_that_of_the_rarer_ones():
    table = Table()
    table.add(pa.array(["x", "y", "x", "z"]).dictionary_encode(), np.array([0, 1, 1, -1]), 2)
    assert (list(table.values), table.counts(2)[0]) == ([RARER, "x", "y", "z"], ["x", "y"])
    assert table.counts(2)[1].tolist() == [[1, 1], [0, 1]]
    table.add(pa.array(["y", "w"]).dictionary_encode(), np.array([4, 2]), 5)
    assert dict(zip(*(table.counts(5)[0], table.counts(5)[1].tolist()), strict=True)) == {
        "x": [1, 1, 0, 0, 0], "y": [0, 1, 0, 0, 1], "w": [0, 0, 1, 0, 0],
    }  # fmt: skip


def test_table__merges_where_there_are_more_values_than_separate_counts(monkeypatch):
    monkeypatch.setattr(module, "MAX_VALUES", 32)
    texts = [f"v{i:02d}" for i in range(34) for _ in range(40 - i)]
    table = Table()
    table.add(pa.array(texts[:]).dictionary_encode(), np.zeros(len(texts), int), 1)
    assert len(table.values) == 35  # up to twice as many are counted apart on the way
    values, counts = table.counts(1)
    assert values == [RARER, *(f"v{i:02d}" for i in range(32))]
    assert counts[:, 0].tolist() == [8 + 7, *(40 - i for i in range(32))]
    more = [f"w{i:02d}" for i in range(32)]
    table.add(pa.array(more[:31]).dictionary_encode(), np.zeros(31, int), 1)
    assert len(table.values) == 64
    table.add(pa.array(more[31:] * 50).dictionary_encode(), np.zeros(50, int), 1)
    assert len(table.values) == 33
    assert table.counts(1)[0][-1] == "w31"
