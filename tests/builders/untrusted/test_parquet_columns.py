"""Types, limits and refusals of columns of Parquet files."""

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from builders.errors import DataError
from builders.untrusted import parquet, read_columns, read_table, table_schema
from builders.untrusted.parquet import unpacked_bytes


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


def test_unpacked_bytes__as_the_metadata_state_them_and_one_byte_a_value(file):
    opened = pq.ParquetFile(file)
    stated = {}
    for group in range(3):
        for at in range(4):
            column = opened.metadata.row_group(group).column(at)
            size = max(column.total_uncompressed_size, column.num_values)
            stated[column.path_in_schema] = stated.get(column.path_in_schema, 0) + size
    assert unpacked_bytes(opened, None) == sum(stated.values())
    assert unpacked_bytes(opened, ["b"]) == stated["b.x"] + stated["b.y"]
    assert unpacked_bytes(opened, ["a", "text"]) == stated["a"] + stated["text"]
    assert unpacked_bytes(opened, []) == 0
    equal = {"n": [None] * 5000}
    pq.write_table(pa.table(equal, schema=pa.schema([("n", pa.int8())])), file)
    assert unpacked_bytes(pq.ParquetFile(file), ["n"]) == 5000


def test_read_table__a_wrong_column_size_or_file_is_one_sentence(file, tmp_path, monkeypatch):
    assert read_table(file, ["text", "a"]).column_names == ["text", "a"]
    for columns, name in ((["z", "y\n"], "'y\\\\x0a'"), (["a", "b.x"], "'b.x'")):
        with pytest.raises(DataError) as caught:
            read_table(file, columns)
        assert str(caught.value) == f"{file}: there is no column {name}"
    size = unpacked_bytes(pq.ParquetFile(file), ["a"])
    monkeypatch.setattr(parquet, "MAX_TABLE_BYTES", size)
    assert read_table(file, ["a"]).num_rows == 100
    monkeypatch.setattr(parquet, "MAX_TABLE_BYTES", size - 1)
    with pytest.raises(DataError, match=r"a\.parquet"):
        read_table(file, ["a"])
    (tmp_path / "b.parquet").write_bytes(b"PAR1 no table")
    for read in (read_table, table_schema):
        with pytest.raises(DataError, match=r"b\.parquet"):
            read(tmp_path / "b.parquet")
        with pytest.raises(DataError, match=r"c\.parquet"):
            read(tmp_path / "c.parquet")
    monkeypatch.setattr(parquet, "MAX_SHARD_BYTES", 10)
    for read in (read_table, table_schema):
        with pytest.raises(DataError, match="10"):
            read(file)


class Group:
    def __init__(self, rows):
        self.num_rows = rows


class Footer:
    def __init__(self, rows, total):
        self.rows, self.num_rows, self.num_row_groups = rows, total, len(rows)

    def row_group(self, number):
        return Group(self.rows[number])


@pytest.mark.parametrize(
    ("rows", "total", "sentence"),
    [
        ([], 0, ""), ([0, 5], 5, ""), ([1 << 26], 1 << 26, ""),
        ([1, (1 << 26) + 1], 3, "it says that its row group 1 has 67,108,865 rows"),
        ([-1, 1], 0, "it says that its row group 0 has -1 rows"),
        ([1000, 2000], 2999, "it says that it has 2,999 rows, and its row groups have 3,000"),
        ([], 1, "it says that it has 1 rows, and its row groups have 0"),
    ],
)  # fmt: skip
def test_checked_footer__edges(rows, total, sentence):
    footer = Footer(rows, total)
    if not sentence:
        assert parquet.checked_footer(footer) is footer
        return
    with pytest.raises(ValueError, match=f"^{sentence}$"):
        parquet.checked_footer(footer)
