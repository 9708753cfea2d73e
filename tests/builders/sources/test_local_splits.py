"""When Parquet files of a folder are read in place, and when they are left to ``load_dataset``."""

import datasets
import pytest
from datasets.packaged_modules.csv.csv import Csv
from datasets.packaged_modules.parquet.parquet import Parquet

from builders.sources import local_splits

FEATURES = datasets.Features({"image": datasets.Image(), "kind": datasets.Value("string")})


@pytest.fixture
def folder(tmp_path):
    for split in ("train", "test"):
        rows = [{"image": {"bytes": b"x", "path": None}, "kind": f"{split} {i}"} for i in range(3)]
        datasets.Dataset.from_list(rows, features=FEATURES).to_parquet(str(tmp_path / "data" / f"{split}-0.parquet"))
    return tmp_path


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        ({}, ["test", "train"]),
        ({"columns": ["image"]}, None),
        ({"filters": [("kind", "=", "train 1")]}, None),
        ({"data_files": {}}, None),
        ({"features": FEATURES}, ["test", "train"]),
        ({"features": datasets.Features({"image": datasets.Image(), "kind": datasets.Value("int64")})}, None),
        ({"class": Csv}, None),
    ],
)
def test_local_splits__only_whole_files_with_their_features(folder, monkeypatch, change, expected):
    builder = datasets.load_dataset_builder(str(folder))
    assert isinstance(builder, Parquet)
    calls = []
    monkeypatch.setattr(datasets, "load_dataset_builder", lambda *args: calls.append(args) or builder)
    for name, value in change.items():
        if name == "class":
            builder.__class__ = value
        elif name == "features":
            builder.info.features = value
        else:
            setattr(builder.config, name, value)
    made = local_splits(str(folder), "default")
    assert calls == [(str(folder), "default")]
    assert (made and sorted(made)) == expected
    if made:
        assert [len(made[split]) for split in sorted(made)] == [3, 3]
