"""Untrusted split files: their tables, and errors of one sentence."""

from __future__ import annotations

import pytest

from builders.errors import DataError
from builders.splits import read_split_file


@pytest.mark.parametrize("suffix", ["csv", "parquet"])
def test_read_split_file__tables(tmp_path, suffix):
    import pyarrow
    import pyarrow.csv
    import pyarrow.parquet

    table = pyarrow.table(
        {
            "photo_id": ["7", "8", "9"],
            "split": ["train", "validation", "test"],
            "label": ["x", "y", "x"],
            "owner": ["o", None, "o"],
            "perceptual_hash": pyarrow.array([2**63 + 5, 0, 7], pyarrow.uint64()),
            "iso": ["100", "", "200"],
        }
    )
    path = tmp_path / f"make.{suffix}"
    pyarrow.parquet.write_table(table, path) if suffix == "parquet" else pyarrow.csv.write_csv(table, path)
    result = read_split_file(path)
    assert result.name == "make"
    assert result.ids.tolist() == ["7", "8", "9"]
    assert result.splits.tolist() == [0, 1, 2]
    assert result.owners.tolist() == ["o", "", "o"]
    assert int(result.hashes[0]) == 2**63 + 5
    assert result.metadata["iso"].tolist() == ["100", "", "200"]


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("a.json", "{}"),
        ("a.json", "no json"),
        ("a.json", '{"train_ids":[1],"val_ids":[],"test_ids":[],"label_encoder_classes":["x"],'
                   '"encoded_train_labels":[3],"encoded_val_labels":[],"encoded_test_labels":[]}'),
        ("a.csv", "x,y\n1,2\n"),
        ("a.csv", f"id,split\n{'1' * 140_000},train\n"),
        ("a.csv", "id,split\n1,nowhere\n"),
        ("a.txt", "train: 1 2 3"),
        ("missing.json", None),
    ],
)  # fmt: skip
def test_read_split_file__what_is_none_gets_one_sentence(tmp_path, name, text):
    if text is not None:
        (tmp_path / name).write_text(text)
    with pytest.raises(DataError, match=name.replace(".", r"\.")):
        read_split_file(tmp_path / name)


def test_read_split_file__every_column_of_a_table(tmp_path):
    """Names of ids before others, signed hashes, years and names of groups, columns of other attributes, no lists."""
    import pyarrow
    import pyarrow.parquet

    table = pyarrow.table(
        {
            "flickr_id": ["x", "y", "z"],
            "photo_id": [7, 8, 9],
            "split": ["dev", "train", "val"],
            "label": ["a", None, "b"],
            "scene": ["s", "", None],
            "owner": ["o", None, "p"],
            "sha256": ["aa", "bb", None],
            "perceptual_hash": [-1, None, 5],
            "near_duplicates": [None, "7", "7"],
            "taken_year": [2010, None, 2012],
            "iso": ["100", None, "200"],
            "width": [640, 480, 320],
            "tags": [["t"], [], ["u"]],
        }
    )
    pyarrow.parquet.write_table(table, tmp_path / "make.parquet")
    result = read_split_file(tmp_path / "make.parquet")
    columns = {name: getattr(result, name).tolist() for name in vars(result) if name not in ("name", "metadata")}
    assert columns == {
        "ids": ["7", "8", "9"],
        "splits": [1, 0, 1],
        "labels": ["a", "", "b"],
        "owners": ["o", "", "p"],
        "digests": ["aa", "bb", ""],
        "hashes": [2**64 - 1, 0, 5],
        "near": ["", "7", "7"],
        "years": [2010, 0, 2012],
    }
    assert {name: column.tolist() for name, column in result.metadata.items()} == {
        "flickr_id": ["x", "y", "z"],
        "scene": ["s", "", ""],
        "iso": ["100", "", "200"],
    }
    alone = table.select(["flickr_id", "split"])
    pyarrow.parquet.write_table(alone.slice(0, 0), tmp_path / "empty.parquet")
    empty = read_split_file(tmp_path / "empty.parquet")
    assert (empty.ids.tolist(), empty.splits.tolist(), dict(empty.metadata)) == ([], [], {})
    assert [empty.labels, empty.owners, empty.digests, empty.hashes, empty.near, empty.years] == [None] * 6
