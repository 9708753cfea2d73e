"""Untrusted Parquet files: the same rows as the library reads, and a limit on their unpacked size."""

import io
import struct

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from builders.data_specs import open_photos
from builders.errors import DataError
from builders.untrusted import checked_footer, parquet_error_text, parquet_errors, read_columns, read_table


@pytest.fixture
def file(tmp_path):
    table = pa.table(
        {
            "a": list(range(100)),
            "text": [f"t{i}" for i in range(100)],
            "image": [{"bytes": b"x" * i} for i in range(100)],
        }
    )
    pq.write_table(table, tmp_path / "a.parquet", row_group_size=30)
    return tmp_path / "a.parquet"


@pytest.mark.parametrize("piece", [1, 1000, 1 << 31])
def test_read_columns__equals_what_the_library_reads(file, monkeypatch, piece):
    """In pieces of one row, of several, of a row group."""
    monkeypatch.setattr("builders.untrusted.parquet.PIECE_BYTES", piece)
    opened, whole = pq.ParquetFile(file), pq.read_table(file)
    assert read_columns(opened, ["image", "a"], limit=1 << 30).to_pylist() == whole.select(["image", "a"]).to_pylist()
    part = read_columns(opened, ["text"], limit=1 << 30, groups=[3, 1])
    assert part["text"].to_pylist() == [f"t{i}" for i in (*range(90, 100), *range(30, 60))]
    assert read_table(file).to_pylist() == whole.to_pylist()


def test_read_columns__no_rows(tmp_path):
    pq.write_table(pa.table({"a": pa.array([], pa.int64())}), tmp_path / "a.parquet")
    assert read_columns(pq.ParquetFile(tmp_path / "a.parquet"), ["a"], limit=1).to_pydict() == {"a": []}


@pytest.mark.parametrize("coded", [False, True])
def test_read_columns__a_long_value_in_many_rows_is_stopped_at_the_limit(tmp_path, monkeypatch, coded):
    """A file of 30 kB that unpacks to 10 GB: memory stays within the limit and one piece."""
    long, rows = "x" * 1_000_000, 10_000
    column = pa.DictionaryArray.from_arrays(pa.array([0] * rows, pa.int32()), [long])
    pq.write_table(pa.table({"a": column}), tmp_path / "a.parquet", store_schema=coded)
    assert (tmp_path / "a.parquet").stat().st_size < 100_000
    monkeypatch.setattr("builders.untrusted.parquet.MAX_TABLE_BYTES", 50_000_000)
    monkeypatch.setattr("builders.untrusted.parquet.PIECE_BYTES", 10_000_000)
    before = pa.total_allocated_bytes()
    with pytest.raises(DataError, match=r"0\.1"):
        read_table(tmp_path / "a.parquet")
    assert pa.default_memory_pool().max_memory() - before < 300_000_000


def test_read_columns__fewer_rows_than_the_metadata_state(file, monkeypatch):
    opened = pq.ParquetFile(file)
    real = opened.iter_batches

    class Short:
        metadata, schema_arrow, num_row_groups = opened.metadata, opened.schema_arrow, opened.num_row_groups

        def iter_batches(self, **words):
            return (batch.slice(1) for batch in real(**words))

    with pytest.raises(parquet_errors()) as caught:
        read_columns(Short(), ["a"], limit=1 << 20)
    assert parquet_error_text(caught.value) == "29 rows where it says 30"


def varint(number):
    made = b""
    while number > 127:
        made, number = made + bytes([number & 127 | 128]), number >> 7
    return made + bytes([number])


def with_rows(data, of_groups, whole):
    """A Parquet file of 1,000 rows in a row group whose footer says other numbers of them."""
    length = struct.unpack("<I", data[-8:-4])[0]
    body, footer = data[: -8 - length], data[-8 - length : -8]
    stated = b"\x16" + varint(2 * 1000)  # Thrift's compact protocol: the next field, 64 bits, zigzag
    before, middle, after = footer.partition(stated)  # the file's own comes first, then those of columns and row groups
    assert middle
    assert stated in after
    footer = before + b"\x16" + varint(2 * whole) + after.replace(stated, b"\x16" + varint(2 * of_groups))
    return body + footer + struct.pack("<I", len(footer)) + b"PAR1"


@pytest.mark.parametrize(
    ("of_groups", "whole", "sentence"),
    [
        (1 << 40, 1 << 40, "its row group 0 has 1,099,511,627,776 rows"),
        (1000, 1001, "has 1,001 rows, and its row groups have 1,000"),
        (10_000, 10_000, ""),
    ],
)
def test_checked_footer__numbers_of_rows_that_no_array_can_have_are_refused(tmp_path, of_groups, whole, sentence):
    """Else a data set of the Hub ends in a MemoryError as it is opened, whatever part of it is wanted."""
    rows = {"image": [{"bytes": b"x", "path": "x"}] * 1000, "label": ["a", "b"] * 500}
    content = io.BytesIO()
    pq.write_table(pa.table(rows), content, use_dictionary=False)
    data = with_rows(content.getvalue(), of_groups, whole)
    footer = pq.read_metadata(io.BytesIO(data))
    assert (footer.num_rows, footer.row_group(0).num_rows) == (whole, of_groups)
    (tmp_path / "set").mkdir()
    (tmp_path / "set" / "train.parquet").write_bytes(data)
    if not sentence:
        assert checked_footer(footer) is footer
        return
    with pytest.raises(ValueError, match=sentence):
        checked_footer(footer)
    with pytest.raises(DataError, match=sentence):
        open_photos(f"hub:{tmp_path / 'set'}?label=label")
