"""Cards, manifests and Croissant files: whole texts of small builds, and why a hostile ``build.json`` is refused."""

from __future__ import annotations

import dataclasses
import hashlib
import json

import pytest
import yaml
from datasets import ClassLabel, Features, Image

from builders.dataset import Build, Card, PixelRights, card, folder, manifest, parse_build, read_build
from builders.dataset.croissant import _CONTEXT, CONFORMS_TO, croissant_text, licence_address
from builders.dataset.folder import finish_folder
from builders.dataset.manifest import build_text, pixel_rights
from builders.dataset.shards import ItemFailure, Shard
from builders.dataset.shared_shards import SharedShards
from builders.dataset.write import SplitShards
from builders.errors import DataError, DiskError
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


CARD = """# Small set

Of Small set.

## Use

```python
from datasets import Image, load_dataset

data = load_dataset("PATH_OR_REPO", "jpeg", split="train")
files = data.cast_column("image", Image(decode=False))
first = files[0]["image"]["bytes"]
```

`files` has the bytes as they are stored: decoding hides them, and a re-encode destroys the traces.

<!-- viewer -->

## Contents

| config | split | rows | size |
|---|---|--:|--:|
| `jpeg` | `train` | 2,000 | 2.5 MB |
| `jpeg` | `test` | 5 | 1.2 MB |


### Rows per class

`jpeg`

| column | split | rows per class |
|---|---|---|
| `label` | `train` | c\\|at: 1,200, &lt;dog>: 3 |
| `label` | `test` | c\\|at: 1,200, &lt;dog>: 3 |

### Columns

two

## How it was made

By hand.

By camtrace with Pillow 9.1 and libjpeg-turbo 3.0 (codec canary
`abc`: the same canary means the same pixels). `build.json` holds every setting and the SHA-256 of every file.
No source item is missing from the data.

## Known limits

Few.

## Licence

Licence of this data set: `cc-by-4.0`.

## Citation

The question, the processings and the protocol are from this study:

```bibtex
"""


def squeezed(text):
    """Text without empty lines: their number is no matter of a card."""
    return [line for line in text.splitlines() if line.strip()]


def test_finish__the_card_whole(finished, tmp_path):
    finish, counted = finished
    build = finish()
    text = (tmp_path / "README.md").read_text(encoding="utf-8")
    front, body = text.removeprefix("---\n").split("---\n", 1)
    assert squeezed(body.partition("@inproceedings")[0]) == squeezed(CARD)
    assert body.partition("@inproceedings")[2].endswith("}\n```\n")
    assert yaml.safe_load(front)["pretty_name"] == "Small set"
    assert counted == [(tmp_path, "jpeg", name, ["image", "label"]) for name in ("train", "test")]
    assert build.recipe == {"seed": 3, "license": "cc-by-4.0"}
    assert build.codec == {"pillow": "9.1", "libjpeg_turbo": "3.0", "canary": "abc"}
    assert (build.kind, build.default, build.pixels) == ("processed", "jpeg", PixelRights(True))
    assert read_build(tmp_path) == build
    assert (tmp_path / "build.json").read_text(encoding="utf-8") == build_text(build)
    assert json.loads((tmp_path / "croissant.json").read_text())["description"] == "Of Small set."
    assert not (tmp_path / "failures.jsonl").exists()


def test_finish__failures_rights_and_many_classes_in_the_card(finished, tmp_path):
    finish, _ = finished
    finish(LOST, pixels=PixelRights(False, "Terms."), names=1)
    lines = (tmp_path / "README.md").read_text().splitlines()
    assert "> **Not for redistribution.** Terms." in lines
    assert "| `label` | `train` | 2 classes, 3 to 1,200 rows each |" in lines
    assert "1 source item is missing from the data; `failures.jsonl` names it with the reason." in lines
    assert (tmp_path / "failures.jsonl").read_text().count("p7") == 2  # in two shards
    finish(LOST, ItemFailure("p8", "x"))
    text = (tmp_path / "README.md").read_text()
    assert "2 source items are missing from the data; `failures.jsonl` names each with the reason." in text


def test_finish__which_columns_are_counted(finished):
    finish, counted = finished
    finish(counted={"jpeg": ["label"]})
    finish(counted={"iso": []})
    finish(counted={"jpeg": []})
    assert [columns for *_, columns in counted] == [["label"]] * 2 + [["image", "label"]] * 2 + [[]] * 2


def test_finish__the_readme_is_last_and_a_disk_that_fails_is_a_sentence(finished, tmp_path, monkeypatch):
    finish, _ = finished
    written = []

    def write(path, text, *, durable):
        written.append((path.name, durable))
        if path.name == full:
            raise OSError(28, "No space left on device")

    monkeypatch.setattr(folder, "write_text_atomically", write)
    full = ""
    finish()
    assert written == [("build.json", True), ("croissant.json", True), ("README.md", True)]
    full = "croissant.json"
    with pytest.raises(DiskError) as refused:
        finish()
    assert str(refused.value) == (
        f"{tmp_path}: the disk is full; finished shards are saved, free some space and run the same command again"
    )


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


@pytest.mark.parametrize(
    ("text", "cell"), [("a|b", "a\\|b"), ("<b>", "&lt;b>"), (" a\n b\t c ", "a b c"), (5, "5"), ("a\\|", "a\\\\|")]
)
def test_cell__cannot_leave_its_table(text, cell):
    assert card._cell(text) == cell


def test_render__a_missing_variable_or_template_is_an_error(template):
    import jinja2

    with pytest.raises(jinja2.UndefinedError):
        card.render(template, card=Card("t", "Set", "other"))
    with pytest.raises(jinja2.TemplateNotFound):
        card.render("no.jinja")


def test_context__of_croissant_is_that_of_the_specification():
    """Every term is the one of its name in the vocabulary of Croissant, but for these."""
    others = {
        "@language": "en", "@vocab": "https://schema.org/", "sc": "https://schema.org/",
        "conformsTo": "dct:conformsTo", "cr": "http://mlcommons.org/croissant/", "dct": "http://purl.org/dc/terms/",
        "rai": "http://mlcommons.org/croissant/RAI/", "data": {"@id": "cr:data", "@type": "@json"},
        "dataType": {"@id": "cr:dataType", "@type": "@vocab"}, "examples": {"@id": "cr:examples", "@type": "@json"},
    }  # fmt: skip
    assert {name: _CONTEXT[name] for name in others} == others
    assert {name: value for name, value in _CONTEXT.items() if name not in others} == {
        name: f"cr:{name}" for name in _CONTEXT if name not in others
    }
    assert len(_CONTEXT) == 36
    assert CONFORMS_TO == ("http://mlcommons.org/croissant/1.0", "http://mlcommons.org/croissant/RAI/1.0")


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


def test_read__a_folder_without_its_last_file_is_not_finished(tmp_path, monkeypatch):
    limits = []
    read = manifest.read_untrusted_text
    monkeypatch.setattr(
        manifest, "read_untrusted_text", lambda path, limit: limits.append(limit) or read(path, limit=limit)
    )
    sentence = f"{tmp_path}: no finished build is there; run the builder (again), it goes on where it was"
    for names in ((), ("README.md",), ("build.json",)):
        for name in ("README.md", "build.json"):
            (tmp_path / name).unlink(missing_ok=True)
        for name in names:
            (tmp_path / name).write_text(json.dumps(BUILD))
        with pytest.raises(DataError) as refused:
            read_build(tmp_path)
        assert str(refused.value) == sentence
    (tmp_path / "README.md").write_text("x")
    assert read_build(tmp_path).kind == "processed"
    assert limits == [256 << 20]
    (tmp_path / "build.json").write_text("{}")
    with pytest.raises(DataError, match=f"^{tmp_path}/build.json: not a build file of camtrace"):
        read_build(tmp_path)


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
