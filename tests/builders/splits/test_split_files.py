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
