"""Types, limits and refusals of columns of Parquet files."""

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from builders.untrusted import read_columns, read_table


def categories(*values):
    return pa.array(values).dictionary_encode()


@pytest.mark.parametrize(
    ("column", "kind"),
    [
        (categories(5, 7, 5, None), pa.int64()), (categories(0.5, None, 0.5, 2.0), pa.float64()),
        (categories("a", "b", None, "a"), pa.string()), (categories(b"a", b"b", b"a", None), pa.binary()),
        (pa.array([1, 2, None, 4], pa.int16()), pa.int16()), (pa.array([[1], [], None, [2]]), pa.list_(pa.int64())),
    ],
)  # fmt: skip
def test_read_columns__values_of_categories_have_the_type_of_the_values(tmp_path, column, kind):
    pq.write_table(pa.table({"a": column}), tmp_path / "a.parquet")
    made = read_table(tmp_path / "a.parquet")
    assert made.schema.field("a").type in (kind, pa.list_(pa.field("element", pa.int64())))
    assert made["a"].to_pylist() == column.to_pylist()


@pytest.fixture
def file(tmp_path):
    columns = {"a": list(range(100)), "b": [{"x": "t" * 9, "y": None}] * 100, "text": ["u"] * 100}
    pq.write_table(pa.table(columns), tmp_path / "a.parquet", row_group_size=40, compression="none")
    return tmp_path / "a.parquet"


def test_read_columns__up_to_the_limit(file):
    size = read_columns(pq.ParquetFile(file), ["a"], limit=10_000).nbytes
    assert 800 <= size < 1000
    assert read_columns(pq.ParquetFile(file), ["a"], limit=size).num_rows == 100
    with pytest.raises(ValueError, match=r"0\.0"):
        read_columns(pq.ParquetFile(file), ["a"], limit=size - 1)
    assert read_columns(pq.ParquetFile(file), ["a"], limit=1, groups=[]).to_pydict() == {"a": []}
