"""Parts of Parquet files by hand: rows of each file and group, bounds, stamps, and what makes a part none."""

from __future__ import annotations

import datasets
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from builders.sources.hub_data_sets import table_stamps
from builders.sources.parquet_splits import parquet_part

PICTURES = datasets.Features({"image": datasets.Image(decode=False), "n": datasets.Value("int64")})


def written(path, first, rows, group=2, absent=(), features=PICTURES):
    cells = [
        {"image": {"bytes": None if i in absent else str(i).encode(), "path": f"{i}"}, "n": i}
        for i in range(first, first + rows)
    ]
    pq.write_table(pa.Table.from_pylist(cells, schema=features.arrow_schema), path, row_group_size=group)
    return str(path)


@pytest.fixture
def files(tmp_path):
    """Files of 3, 0 and 4 rows in groups of two; that of no rows has a group of none."""
    return [written(tmp_path / f"{n}.parquet", *of) for n, of in (("a", (0, 3)), ("b", (3, 0)), ("c", (3, 4)))]


@pytest.mark.parametrize(("absent", "whole"), [((), True), ((0,), False), ((6,), False), ((3,), False)])
def test_bytes__of_every_image_are_in_the_table(tmp_path, absent, whole):
    files = [written(tmp_path / "a.parquet", 0, 3, absent=absent), written(tmp_path / "b.parquet", 3, 4, absent=absent)]
    part = parquet_part(files)
    assert part.holds_all_bytes("image") is whole
    assert part.holds_all_bytes("n") is False
    assert (table_stamps([part], "image") is not None) is whole
