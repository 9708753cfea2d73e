"""Cards, manifests and Croissant files: whole texts of small builds, and why a hostile ``build.json`` is refused."""

from __future__ import annotations

import dataclasses
import json

import pytest

from builders.dataset import (
    PixelRights,
    SplitShards,
    parse_build,
    pixel_rights,
)
from builders.dataset.shards import Shard
from builders.errors import DataError
from builders.photos import PhotoSet
from tests.builders.dataset.test_manifest import BUILD, SHARD


def split(name, rows, number=1, failures=(), config="jpeg"):
    files = [f"data/{config}/{name}-{i:05d}-of-{number:05d}.parquet" for i in range(number)]
    sizes = rows, 1_250_000, 3_000_000
    shards = [Shard(file, "r", *sizes, f"sha {name}{i}", failures) for i, file in enumerate(files)]
    return SplitShards(config, name, tuple(shards))


def changed(**of_shard):
    return {**BUILD, "splits": [{"config": "jpeg", "split": "train", "shards": [{**SHARD, **of_shard}]}]}


FILE = "data/jpeg/train-00000-of-00001.parquet"


@pytest.mark.parametrize(
    ("contents", "reason"),
    [
        (changed(file="x"), f"ValueError: the file of shard 0 of jpeg/train is not {FILE}"),
        (changed(rows=-1), f"ValueError: {FILE}: rows and bytes are counts"),
        (changed(data_bytes=True), f"ValueError: {FILE}: rows and bytes are counts"),
        (changed(file_bytes=1.0), f"ValueError: {FILE}: rows and bytes are counts"),
        (changed(recipe_hash=1), f"ValueError: {FILE}: hashes and failures are text"),
        (changed(failures=[{"id": "a", "reason": None}]), f"ValueError: {FILE}: hashes and failures are text"),
        ({**BUILD, "default": "a/b"}, "ValueError: 'a/b' is not a name of a config or split"),
        ({**BUILD, "kind": "-a"}, "ValueError: '-a' is not a name of a config or split"),
        ({**BUILD, "kind": "a" * 101}, f"ValueError: '{'a' * 101}' is not a name of a config or split"),
        ({**BUILD, "kind": "é"}, "ValueError: 'é' is not a name of a config or split"),
        ({key: value for key, value in BUILD.items() if key != "codec"}, "KeyError: 'codec'"),
    ],
)  # fmt: skip
def test_parse__the_reason_of_a_refusal(contents, reason):
    with pytest.raises(DataError) as refused:
        parse_build(json.dumps(contents), "w")
    assert f"{reason}" in str(refused.value)


def test_parse__of_another_format():
    with pytest.raises(DataError) as refused:
        parse_build(json.dumps({**BUILD, "format": 2}), "w")
    assert "camtrace" in str(refused.value)
    build = parse_build(json.dumps({**BUILD, "kind": "a" * 100, "default": "a.b-c_d", "shared": None}), "w")
    assert (build.kind, build.default, build.shared) == ("a" * 100, "a.b-c_d", None)


IMAGENET = (
    "ImageNet's terms of access forbid passing its images on, so only a recipe (ids, labels, parameters; no pixels) "
    "may be published: everyone rebuilds it bit for bit from their own copy."
)
INATURALIST = (
    "The photos of iNaturalist 2018 belong to their observers and most licences do not allow us to pass them on, so "
    "only a recipe (ids, labels, parameters; no pixels) may be published: everyone rebuilds it from their own copy."
)
CAMERAS = (
    "Its files are named as those of FODB or VISION, whose terms do not allow us to pass them on, so only a recipe "
    "(ids, labels, parameters; no pixels) may be published."
)


@pytest.mark.parametrize(
    ("name", "ids", "labels", "terms", "reason"),
    [
        ("ImageNet", ("a",), None, "", IMAGENET), ("folder:a", ("a", "b"), ("n00000001", "n00000002"), "", IMAGENET),
        ("folder:a", ("a", "b"), ("n00000001", "n2"), "", ""), ("hub:x/iNat", ("a",), None, "", INATURALIST),
        ("imagenet", ("a",), None, "Terms.", "Terms."), ("imagenet", ("D01_img_orig_0001.jpg",), None, "", CAMERAS),
        ("a", ("x.jpg", "deep/D35_I_nat_0123.JPG"), None, "", CAMERAS),
        ("a", ("d35_i_flat_0123.png",), None, "", CAMERAS),
        ("a", ("xD35_I_nat_0123.jpg",), None, "", ""), ("a", ("D35_I_nat_123.jpg",), None, "", ""),
        ("a", ("D35_I_nat_0123.jpg/x",), None, "", ""), ("a", ("D3_I_nat_0123.jpg",), None, "", ""),
        ("a", ("D35_V_nat_0123.jpg",), None, "", ""),
    ],
)  # fmt: skip
def test_rights__and_their_reason(name, ids, labels, terms, reason):
    photos = PhotoSet.of_bytes(name, dict.fromkeys(ids, b""), list(labels) if labels else None)
    photos = dataclasses.replace(photos, evidence={"terms": terms} if terms else {})
    assert pixel_rights(photos) == PixelRights(not reason, reason)
