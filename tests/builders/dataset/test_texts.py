"""What a folder says about its data set, for people and for programs: each text of one build by hand, whole."""

from __future__ import annotations

import dataclasses
import json
import shutil
from typing import NamedTuple

import pytest
import yaml
from datasets import ClassLabel, Features, Image, Value

from builders.dataset import (
    Build,
    Card,
    PixelRights,
    SplitShards,
    build_record,
    items_per_shard,
    parse_build,
    require_space,
    size_category,
    source_datasets,
    summary,
)
from builders.dataset.card import front_matter
from builders.dataset.croissant import CONFORMS_TO, croissant_text, section, summary_of
from builders.dataset.manifest import build_text
from builders.dataset.shards import ItemFailure, Shard
from builders.errors import DiskError


def shard(config, split, number, count, rows, failures=()):
    file = f"data/{config}/{split}-{number:05d}-of-{count:05d}.parquet"
    return Shard(file, "recipe", rows, 1000 * rows + number, 2000 * rows, f"sha of {file}", tuple(failures))


LOST = ItemFailure("p7", "broken")
SPLITS = (
    SplitShards("jpeg", "train", (shard("jpeg", "train", 0, 2, 1200), shard("jpeg", "train", 1, 2, 1100, [LOST]))),
    SplitShards("jpeg", "test", (shard("jpeg", "test", 0, 1, 0, [LOST, ItemFailure("p8", "gone")]),)),
    SplitShards("iso", "train", (shard("iso", "train", 0, 1, 5),), ("data/iso/tr*.parquet", "data/iso/x-*.parquet")),
)
BUILD = Build("processed", "jpeg", {"seed": 3}, PixelRights(False, "It is not allowed."), {"pillow": "9"}, SPLITS)
FEATURES = {
    "jpeg": Features({"image": Image(), "label": ClassLabel(names=["cat", "dog"]), "photo_id": Value("string")}),
    "iso": Features({"score": Value("float32"), "n": Value("uint8"), "wide": Value("bool"), "k": Value("int64")}),
    "empty": Features({"n": Value("int64")}),
}
CARD = Card(
    "none", "Small set", "cc-by-4.0", tags=("exif",), source_datasets=("a/b",), rai={"dataBiases": "None known."}
)
README = (
    "---\nx: 1\n---\n\n# Small set\n\nOf cats.\n\n"
    "## How it was made\nBy hand.\n\n## Known limits\nFew.\n\n## Other\nx\n"
)


def test_summary_and_record__of_a_build(tmp_path):
    assert summary(BUILD, tmp_path / "out").splitlines() == [
        f"{tmp_path}/out:",
        "  jpeg/train: 2,300 rows, 2.3 MB, 2 files",
        "  jpeg/test: 0 rows, 0.0 MB, 1 files",
        "  iso/train: 5 rows, 0.0 MB, 1 files",
        f"  2 could not be used and are left out (the first, p7: broken); all are in {tmp_path}/out/failures.jsonl",
        f'  load_dataset("{tmp_path}/out", "jpeg", split="train")',
    ]
    whole = dataclasses.replace(BUILD, splits=SPLITS[2:])
    assert len(summary(whole, tmp_path).splitlines()) == 3
    record = build_record(BUILD, tmp_path)
    lost = [{"id": "p7", "reason": "broken"}]
    assert record == {
        "output": str(tmp_path),
        "kind": "processed",
        "default": "jpeg",
        "splits": [
            {"config": "jpeg", "split": "train", "rows": 2300, "bytes": 2_300_001, "files": 2, "failures": lost},
            {
                "config": "jpeg",
                "split": "test",
                "rows": 0,
                "bytes": 0,
                "files": 1,
                "failures": [*lost, {"id": "p8", "reason": "gone"}],
            },
            {"config": "iso", "split": "train", "rows": 5, "bytes": 5000, "files": 1, "failures": []},
        ],
    }


def test_build_text__is_read_back_whole():
    # patterns of files follow from the names of splits
    plain = dataclasses.replace(BUILD, splits=tuple(dataclasses.replace(split, paths=()) for split in SPLITS))
    assert parse_build(build_text(plain), "build.json") == plain
    stated = json.loads(build_text(plain))
    assert list(stated) == ["format", "kind", "default", "recipe", "pixels", "codec", "splits"]
    assert stated["pixels"] == {"allowed": False, "reason": "It is not allowed."}
    assert (plain.configs, plain.file_bytes) == (("jpeg", "iso"), 2_305_001)


def test_front_matter__whole():
    fields = yaml.safe_load(front_matter(CARD, FEATURES, SPLITS, "jpeg"))
    configs, infos = fields.pop("configs"), fields.pop("dataset_info")
    assert fields == {
        "language": ["en"],
        "license": "cc-by-4.0",
        "pretty_name": "Small set",
        "tags": ["camtrace", "exif"],
        "task_categories": ["image-classification"],
        "size_categories": ["1K<n<10K"],
        "source_datasets": ["a/b"],
    }
    content = [config.pop("description") for config in configs]
    assert all(text.startswith("content ") and len(text) == 24 for text in content)
    assert content[0] != content[1]
    assert configs == [
        {
            "config_name": "jpeg",
            "default": True,
            "data_files": [
                {"split": "train", "path": "data/jpeg/train-*.parquet"},
                {"split": "test", "path": "data/jpeg/test-*.parquet"},
            ],
        },
        {
            "config_name": "iso",
            "data_files": [{"split": "train", "path": ["data/iso/tr*.parquet", "data/iso/x-*.parquet"]}],
        },
    ]
    iso, jpeg = infos
    assert (jpeg["config_name"], jpeg["download_size"], jpeg["dataset_size"]) == ("jpeg", 2_300_001, 4_600_000)
    assert (iso["config_name"], iso["download_size"], iso["dataset_size"]) == ("iso", 5000, 10_000)
    assert [(s["name"], s["num_bytes"], s["num_examples"]) for s in jpeg["splits"]] == [
        ("train", 4_600_000, 2300),
        ("test", 0, 0),
    ]
    assert [feature["name"] for feature in jpeg["features"]] == ["image", "label", "photo_id"]
    assert "source_datasets" not in front_matter(dataclasses.replace(CARD, source_datasets=()), FEATURES, SPLITS, "x")


@pytest.mark.parametrize(("more", "named"), [(0, True), (1, False)])
def test_front_matter__names_at_most_so_many_classes(more, named):
    names = [f"c{i}" for i in range(3998 + more)]
    features = {**FEATURES, "iso": Features({"n": ClassLabel(names=names)})}
    infos = yaml.safe_load(front_matter(CARD, features, SPLITS, "jpeg"))["dataset_info"]
    assert [("features" in info) for info in infos] == [named, named]


def field(record_set, column, kind, **more):
    source = {"fileSet": {"@id": f"files/{record_set}"}, "extract": {"column": column}, **more.pop("source", {})}
    name = f"{record_set}/{column}"
    return {"@type": "cr:Field", "@id": name, "name": name, **more, "dataType": f"sc:{kind}", "source": source}


def test_croissant__whole():
    contents = json.loads(croissant_text(BUILD, CARD, FEATURES, README))
    assert contents.pop("@context")["cr"] == "http://mlcommons.org/croissant/"
    assert "ramos2025processing" in contents.pop("citeAs")
    files, sets, records = contents["distribution"][:4], contents["distribution"][4:], contents["recordSet"]
    del contents["distribution"], contents["recordSet"]
    assert contents == {
        "@type": "sc:Dataset",
        "conformsTo": list(CONFORMS_TO),
        "name": "Small set",
        "description": "Of cats.",
        "license": "https://spdx.org/licenses/CC-BY-4.0.html",
        "keywords": ["camtrace", "exif"],
        "inLanguage": ["en"],
        "rai:dataLimitations": "Few.",
        "rai:dataPreprocessingProtocol": "By hand.",
        "rai:dataBiases": "None known.",
    }
    shards = [shard for split in SPLITS for shard in split.shards]
    assert files == [
        {
            "@type": "cr:FileObject",
            "@id": shard.file,
            "name": shard.file,
            "contentUrl": shard.file,
            "contentSize": f"{shard.file_bytes} B",
            "encodingFormat": "application/x-parquet",
            "sha256": shard.sha256,
        }
        for shard in shards
    ]
    assert sets[2] == {
        "@type": "cr:FileSet",
        "@id": "files/iso/train",
        "name": "files of iso/train",
        "encodingFormat": "application/x-parquet",
        "includes": ["data/iso/tr*.parquet", "data/iso/x-*.parquet"],
    }
    assert [(s["@id"], s["includes"]) for s in sets[:2]] == [
        ("files/jpeg/train", ["data/jpeg/train-*.parquet"]),
        ("files/jpeg/test", ["data/jpeg/test-*.parquet"]),
    ]
    assert records[0] == {
        "@type": "cr:RecordSet",
        "@id": "jpeg/train",
        "name": "jpeg/train",
        "description": "Split train of config jpeg, 2,300 rows.",
        "field": [
            field("jpeg/train", "image", "ImageObject", source={"transform": {"jsonPath": "bytes"}}),
            field("jpeg/train", "label", "Integer", description="Number of the class. 0: cat, 1: dog"),
            field("jpeg/train", "photo_id", "Text"),
        ],
    }
    kinds = {"score": "Float", "n": "Integer", "wide": "Boolean", "k": "Integer"}
    assert records[2]["field"] == [field("iso/train", column, kind) for column, kind in kinds.items()]
    many = Features({"n": ClassLabel(names=[f"c{i}" for i in range(1200)])})
    text = croissant_text(BUILD, CARD, {**FEATURES, "iso": many}, "no card")
    described = json.loads(text)["recordSet"][2]["field"][0]["description"]
    assert described.endswith("98: c98, 99: c99, and 1,100 more")
    assert {"description", "rai:dataLimitations", "rai:dataPreprocessingProtocol"}.isdisjoint(json.loads(text))


def test_section__ends_at_the_next_of_its_level():
    assert (summary_of(README), section(README, "Known limits"), section(README, "Known")) == ("Of cats.", "Few.", "")
    assert section(README, "Other") == "x"
    assert (summary_of("# Title\n"), summary_of("text"), summary_of("# A\n\nb\n\n### c\n")) == ("", "", "b\n\n### c")


def test_source_datasets__names_of_photo_sets():
    names = [
        "hub:a/b?split=x",
        "processed:built:c/d@main",
        "hub:a/b",
        "paircams:e/f",
        "folder:g/h",
        "hub:/i",
        "imagenet",
    ]
    assert source_datasets(*names) == ("a/b", "c/d", "e/f", "ILSVRC/imagenet-1k")


@pytest.mark.parametrize(
    ("rows", "name"),
    [(0, "n<1K"), (999, "n<1K"), (1000, "1K<n<10K"), (9999, "1K<n<10K"), (10_000, "10K<n<100K"),
     (100_000, "100K<n<1M"), (10**6, "1M<n<10M"), (10**7, "10M<n<100M"), (10**8, "100M<n<1B")],
)  # fmt: skip
def test_size_category__begins_with_its_first_number(rows, name):
    assert size_category(rows) == name


@pytest.mark.parametrize(
    ("size", "items", "each"),
    [
        (0, 0, 1),
        (0, 10, 10),  # one file
        (100, 5000, 5000),
        (2**15, 1000, 63),  # 2 MiB are 64 items: 16 files
        (2**15, 1024, 64),
        (2**15, 1025, 65),
        (2**21, 100, 50),  # 64 items at most by number, 200 by size
        (2**23, 100, 50),
        (2**25, 100, 12),  # 400 MiB are 12 items
        (2**30, 3, 1),
    ],
)
def test_items_per_shard__by_size_and_number(size, items, each):
    assert items_per_shard(size, items) == each


class Usage(NamedTuple):
    free: int


@pytest.mark.parametrize(("free", "present", "enough"), [(1050, 0, True), (1049, 0, False), (50, 1000, True)])
def test_require_space__with_a_margin_and_what_is_there(tmp_path, monkeypatch, free, present, enough):
    monkeypatch.setattr(shutil, "disk_usage", lambda folder: Usage(free * 10**6))
    (tmp_path / "set" / "data" / "jpeg").mkdir(parents=True)
    with open(tmp_path / "set" / "data" / "jpeg" / "a.parquet", "wb") as stream:
        stream.truncate(present * 10**6)
    (tmp_path / "set" / "data" / "jpeg" / "note.txt").write_bytes(b"0" * 2_000_000)
    if enough:
        require_space(tmp_path / "set", 10**9)
    else:
        with pytest.raises(DiskError, match=r"1\.0"):
            require_space(tmp_path / "set", 10**9)
        with pytest.raises(DiskError, match=r"999\.1"):
            require_space(tmp_path / "new", 999_100_000_000)
