"""Cards, manifests and Croissant files: whole texts of small builds, and why a hostile ``build.json`` is refused."""

from __future__ import annotations

import dataclasses
import hashlib
import json

import pytest
import yaml
from datasets import ClassLabel, Features, Image

from builders.dataset import (
    Build,
    Card,
    PixelRights,
    SharedShards,
    SplitShards,
    card,
    finish_folder,
    folder,
    parse_build,
    pixel_rights,
    read_build,
)
from builders.dataset.croissant import croissant_text, licence_address
from builders.dataset.shards import ItemFailure, Shard
from builders.errors import DataError
from builders.photos import PhotoSet
from tests.builders.dataset.test_manifest import BUILD, SHARD

TEMPLATE = """{% extends "data_set.md.jinja" %}
{% block summary %}Of {{ card.pretty_name }}.{% endblock %}
{% block columns %}two{% endblock %}
{% block how %}By hand.{% endblock %}
{% block known_limits %}Few.{% endblock %}
"""


@pytest.fixture
def template(monkeypatch):
    real = card._template_text
    monkeypatch.setattr(card, "_template_text", lambda name: TEMPLATE if name == "own.jinja" else real(name))
    card._environment.cache_clear()
    yield "own.jinja"
    card._environment.cache_clear()


ALLOWED = PixelRights(True)
LOST = ItemFailure("p7", "broken")
FEATURES = {"jpeg": Features({"image": Image(), "label": ClassLabel(names=["c|at", "<dog>"])})}


def split(name, rows, number=1, failures=(), config="jpeg"):
    files = [f"data/{config}/{name}-{i:05d}-of-{number:05d}.parquet" for i in range(number)]
    sizes = rows, 1_250_000, 3_000_000
    shards = [Shard(file, "r", *sizes, f"sha {name}{i}", failures) for i, file in enumerate(files)]
    return SplitShards(config, name, tuple(shards))


@pytest.fixture
def finished(tmp_path, monkeypatch, template):
    """A build of two splits whose rows are counted by a double."""
    counted = []

    def counts(output, of, features):
        counted.append((output, of.config, of.split, list(features)))
        return [folder.ClassCounts(of.config, of.split, "label", ("c|at", "<dog>"), (1200, 3))]

    monkeypatch.setattr(folder, "class_counts", counts)
    monkeypatch.setattr(folder, "codec_versions", lambda: {"pillow": "9.1", "libjpeg_turbo": "3.0"})
    monkeypatch.setattr(folder, "codec_canary", lambda: "abc")

    def finish(*failures, pixels=ALLOWED, names=2, **more):
        monkeypatch.setattr(folder, "MAX_COUNTED_CLASSES", names)
        return finish_folder(
            tmp_path,
            kind="processed",
            splits=[split("train", 1000, 2, failures), split("test", 5)],
            features=FEATURES,
            default="jpeg",
            card=Card(template, "Small set", "cc-by-4.0", tags=("exif",)),
            recipe={"seed": 3, "license": "none"},
            pixels=pixels,
            **more,
        )

    return finish, counted


@pytest.mark.usefixtures("finished")
def test_finish__shared_shards_come_first_and_once(tmp_path):
    group = split("train-1", 7, failures=(LOST,), config="photos")
    shared = SharedShards(("jpeg",), (group,))
    monkey = {"photos": FEATURES["jpeg"], **FEATURES}
    build = finish_folder(
        tmp_path, kind="flickrexif", splits=[], features=monkey, default="jpeg",
        card=Card("own.jinja", "x", "cc0-1.0"), recipe={}, pixels=PixelRights(True), shared=shared,
    )  # fmt: skip
    assert [(one.config, one.split) for one in build.splits] == [("jpeg", "train"), ("photos", "train")]
    assert (len(build.shards), build.file_bytes) == (1, 1_250_000)
    assert (tmp_path / "failures.jsonl").read_text() == (
        '{"config": "photos", "split": "train", "id": "p7", "reason": "broken"}\n'
    )
    text = (tmp_path / "README.md").read_text()
    assert "Configs share files: each photo is in the repository once, 1.2 MB in all" in text
    stated = json.loads((tmp_path / "build.json").read_text())
    assert stated["splits"] == []
    of_group = json.loads(json.dumps(dataclasses.asdict(group.shards[0])))
    assert stated["shared"] == {"configs": ["jpeg"], "groups": [{"name": "train-1", "shards": [of_group]}]}
    assert read_build(tmp_path).splits == build.splits


def test_front_matter__content_is_a_hash_of_the_files_of_a_config():
    splits = (split("train", 1, 2), split("test", 1), split("train", 1, config="iso"))
    features = {**FEATURES, "iso": FEATURES["jpeg"]}
    text = card.front_matter(Card("t", "Set", "other"), features, splits, "iso")
    fields = yaml.safe_load(text)
    hashes = "sha train0sha train1sha test0", "sha train0"
    expected = [hashlib.sha256(names.encode()).hexdigest()[:16] for names in hashes]
    assert [config["description"] for config in fields["configs"]] == [f"content {value}" for value in expected]
    assert [config.get("default") for config in fields["configs"]] == [None, True]
    assert list(fields["configs"][0]) == ["config_name", "description", "data_files"]


def test_croissant__a_file_of_several_splits_is_listed_once():
    one = split("train", 3)
    build = Build("x", "jpeg", {}, PixelRights(True), {}, (one, dataclasses.replace(one, split="test")))
    stated = json.loads(croissant_text(build, Card("t", "Set", "unknown"), FEATURES, ""))
    assert [entry["@type"] for entry in stated["distribution"]] == ["cr:FileObject", "cr:FileSet", "cr:FileSet"]
    assert stated["license"] == "unknown"
    assert [licence_address(name) for name in ("cc0-1.0", "mit", "other")] == [
        "https://spdx.org/licenses/CC0-1.0.html", "mit", "other",
    ]  # fmt: skip


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
    assert str(refused.value) == f"w: not a build file of camtrace ({reason})"


def test_parse__of_another_format():
    with pytest.raises(DataError) as refused:
        parse_build(json.dumps({**BUILD, "format": 2}), "w")
    assert str(refused.value) == "w: format 2, this camtrace reads 1"
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
