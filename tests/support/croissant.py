"""Checks of ``croissant.json`` by MLCommons' own library, which raises where the file has an error."""

import json
import warnings

import datasets
import pytest

from builders.dataset import CROISSANT_FILE, file_sha256, read_build


def valid_description(folder):
    """The description as the library reads it. Its warnings about older libraries that it uses are not ours."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        mlcroissant = pytest.importorskip("mlcroissant", reason="pip install mlcroissant")
        return mlcroissant.Dataset(folder / CROISSANT_FILE)


def records(folder, record_set):
    """The rows of a record set as the library reads them."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return list(valid_description(folder).records(record_set))


def described_as_loaded(folder, cache):
    """The description as JSON, after a comparison of files and columns with what ``load_dataset`` gives."""
    described = json.loads((folder / CROISSANT_FILE).read_text())
    build = read_build(folder)
    files = {f["@id"]: f["sha256"] for f in described["distribution"] if f["@type"] == "cr:FileObject"}
    assert files == {shard.file: file_sha256(folder / shard.file) for shard in build.shards}
    sets = {record_set["name"]: record_set["field"] for record_set in described["recordSet"]}
    assert list(sets) == [f"{s.config}/{s.split}" for s in build.splits]
    for split in build.splits:
        loaded = datasets.load_dataset(str(folder), split.config, split=split.split, cache_dir=str(cache))
        fields = [field["source"]["extract"]["column"] for field in sets[f"{split.config}/{split.split}"]]
        assert fields == loaded.column_names
    return described
