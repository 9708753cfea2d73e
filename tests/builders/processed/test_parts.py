"""Processed photos part by part: calls of the build and its last step, recipes of jobs, and whole refusals."""

from __future__ import annotations

import dataclasses
import hashlib
import json
from types import SimpleNamespace

import numpy as np
import pytest
from datasets import ClassLabel, Dataset, Features, Image, Value
from datasets.distributed import split_dataset_by_node

from builders import with_processing
from builders.dataset import BuildOptions, PixelRights
from builders.errors import DataError, PhotoError, UsageError
from builders.photos import Labels, PhotoSet
from builders.pixels import PARAMETERS
from builders.processed import build as builds
from builders.processed import recipe as recipes
from builders.processed import rows as rows_of
from builders.processed.assignment import expected_counts, tied_classes
from builders.processed.build import Association, ProcessedPhotos, associations, build_processed, processed_jobs
from builders.processed.rows import ProcessingSettings
from builders.processed.view_files import view_file
from builders.splits import Guarded
from tests.conftest import photo_bytes


def photo_set(name="folder:some", **more):
    files = {f"{i}.jpg": photo_bytes(i, (12, 10)) for i in range(4)}
    splits = ["train", "train", "test", "val"]
    return dataclasses.replace(PhotoSet.of_bytes(name, files, ["x", "y", "x", "y"], splits), **more)


def test_build__passes_on_every_option(tmp_path, monkeypatch):
    calls, guards = [], []
    photos = photo_set()
    guarded = Guarded(photos, "move", 3, ("d",) * 4)
    monkeypatch.setattr(builds, "build_data_set", lambda *given, **named: calls.append((given, named)) or "built")
    monkeypatch.setattr(
        builds, "with_duplicates_on_one_side", lambda *given, **named: guards.append((given, named)) or guarded
    )
    options = {"workers": 3, "fresh": True, "ignore_space": True, "progress": False, "sizes": {"jpeg/train": 5}}
    more = {"assignment": "every", "seed": 2, "assignment_seed": 3, "lossless": True, "duplicates": "keep"}
    names = ("jpeg", "sharpening")
    assert build_processed(photos, tmp_path, parameters=names, license="mit", **options, **more) == "built"
    assert guards == [((photos, "keep"), {"workers": 3, "cached_for": tmp_path})]
    ((jobs, given, finish), named) = calls.pop()
    assert given == BuildOptions(tmp_path, 3, True, True, False, False)
    assert named == {"name": "folder:some", "item": "photo could be processed", "sizes": {"jpeg/train": 5}}
    settings = [ProcessingSettings(name, "every", 2, 3, True) for name in names]
    assert (finish.args, finish.keywords) == ((guarded, tmp_path, settings, "mit"), {})
    assert [(job.config, job.split) for job in jobs] == [
        (name, split) for name in names for split in ("train", "validation", "test")
    ]
    assert {job.make_rows.digests for job in jobs} == {("d", "d"), ("d",)}
    build_processed(photos, tmp_path, update=True, duplicates=guarded)
    assert len(guards) == 1  # what the guard measured is passed
    ((jobs, given, finish), named) = calls.pop()
    assert given == BuildOptions(tmp_path, 1, False, False, True, True)
    assert (finish.args[2], finish.args[3], named["sizes"]) == ([ProcessingSettings("jpeg")], "unknown", None)
    build_processed(photos, tmp_path)
    assert guards[1:] == [((photos, None), {"workers": 1, "cached_for": tmp_path})]


def test_jobs__recipes_whole(tmp_path, monkeypatch):
    monkeypatch.setattr(builds, "codec_canary", lambda made_by: f"canary of {len(made_by)}")
    site = Labels(("n", "s"), np.array([0, 1, -1, 0], dtype=np.int32))
    photos = photo_set(groups={"site": site})
    settings = ProcessingSettings("sharpening", "study", 2, 3)
    train, validation, test = processed_jobs(photos, tmp_path, [settings])
    described = {"parameter": "sharpening", "assignment": "study", "seed": 2, "assignment_seed": 3}
    canary = {"codec_canary": f"canary of {len(PARAMETERS['sharpening'].made_by)}"}
    for job, labels, sites, ids in (
        (train, [0, 1], [0, 1], ("0.jpg", "1.jpg")), (validation, [1], [0], ("3.jpg",)), (test, [0], [-1], ("2.jpg",)),
    ):  # fmt: skip
        columns = json.dumps({"group_site": sites}, sort_keys=True)
        assert job.recipe == {
            **described, **canary, "labels": hashlib.sha256(np.array(labels, "<i4").tobytes()).hexdigest(),
            "columns": hashlib.sha256(columns.encode()).hexdigest(),
        }  # fmt: skip
        assert job.rows_recipe == {
            "parameter": "sharpening", "seed": 2, **canary, "classes": PARAMETERS["sharpening"].classes,
            "processings": PARAMETERS["sharpening"].processings,
        }  # fmt: skip
        assert (job.ids, job.output) == (ids, tmp_path)
    plain = dataclasses.replace(photo_set(), labels=Labels((), np.full(4, -1, dtype=np.int32)))
    job = processed_jobs(plain, tmp_path, [settings])[0]
    assert job.recipe["labels"] == hashlib.sha256(b"").hexdigest()
    assert "columns" not in job.recipe


def test_finish__its_call_whole(tmp_path, monkeypatch):
    monkeypatch.setattr(builds, "finish_folder", lambda output, **named: (output, named))
    monkeypatch.setattr(builds, "associations", lambda output, splits, s, names: [(output, splits, s.parameter, names)])
    photos = photo_set("hub:me/set", evidence={"note": "by hand"})
    settings = [ProcessingSettings("jpeg", seed=2), ProcessingSettings("sharpening")]
    split = SimpleNamespace(config="jpeg")
    output, named = builds._finish(Guarded(photos, "keep", 3), tmp_path, settings, "mit", [split], {"jpeg/train": 5})
    card, features = named.pop("card"), named.pop("features")
    assert (output, list(features), list(features["sharpening"])[:4]) == (
        tmp_path, ["jpeg", "sharpening"], ["image", "photo_id", "label", "sharpening"],
    )  # fmt: skip
    assert named == {
        "kind": "processed",
        "splits": [split],
        "default": "jpeg",
        "recipe": {
            "source": "hub:me/set", "source_evidence": {"note": "by hand"}, "ids_hash": photos.ids_hash(),
            "photos": {"train": 2, "val": 1, "test": 1}, "settings": [s.described() for s in settings],
            "items_per_shard": {"jpeg/train": 5}, "duplicates": {"policy": "keep", "groups_in_several_splits": 3},
        },
        "pixels": PixelRights(True),
    }  # fmt: skip
    assert (card.template, card.pretty_name, card.license) == (
        "processed_photos.md.jinja", "me/set: processing traces", "mit",
    )  # fmt: skip
    assert card.tags == ("image-forensics", "jpeg", "processing-traces", "robustness")
    assert (card.source_datasets, card.task_categories) == (("me/set",), ("image-classification",))
    assert card.context == {
        "settings": settings,
        "parameters": {"jpeg": PARAMETERS["jpeg"], "sharpening": PARAMETERS["sharpening"]},
        "photos": photos,
        "associations": [(tmp_path, [split], name, ("x", "y")) for name in ("jpeg", "sharpening")],
        "formats": ["JPEG"],
    }
    imagenet = photo_set("imagenet")
    _, named = builds._finish(Guarded(imagenet, "keep", 0), tmp_path, settings, "mit", [], {})
    assert (named["card"].license, named["card"].pretty_name) == ("other", "imagenet: processing traces")
    assert not named["pixels"].allowed


def test_associations__measured_and_expected(tmp_path, monkeypatch):
    tables = {
        "train": np.array([[6, 0, 0], [0, 0, 6]]), "validation": np.zeros((2, 3), dtype=int), "other": np.ones((2, 3)),
    }  # fmt: skip
    calls = []
    monkeypatch.setattr(
        builds, "joint_counts", lambda folder, split, *rest: calls.append((folder, *rest)) or tables[split.split]
    )
    splits = [
        SimpleNamespace(config=c, split=s)
        for c, s in (("jpeg", "other"), ("resizing", "train"), ("resizing", "validation"))
    ]
    settings = ProcessingSettings("resizing", "correlated:0.5", 0, 0)
    made = associations(tmp_path, splits, settings, ["x", "y"])
    tied = tied_classes(["x", "y"], PARAMETERS["resizing"], "correlated:0.5", 0)
    rows = np.full((2, 3), 1.0)
    rows[[0, 1], tied] += 3
    chi = float((np.square(rows - rows.sum(0) / 2) / (rows.sum(0) / 2)).sum())
    assert made == [Association("resizing", "train", 12, pytest.approx(1), pytest.approx(np.sqrt(chi / 12)))]
    assert calls == [(tmp_path, PARAMETERS["resizing"], 2)] * 2
    assert expected_counts(np.array([6, 6]), tied, 3, "correlated:0.5").tolist() == rows.tolist()


def test_assignment__needs_two_classes():
    with pytest.raises(UsageError) as refused:
        tied_classes(["x"], PARAMETERS["jpeg"], "correlated:0.5")
    assert str(refused.value) == (
        "assignment correlated:0.5: needs photos of at least two semantic classes, these have 1"
    )
    assert tied_classes(["x"], PARAMETERS["jpeg"], "study").tolist() == [-1]


def test_builder__its_description_ranges_and_splits(tmp_path, monkeypatch):
    monkeypatch.setattr(builds, "PHOTOS_PER_RANGE", 1)
    builder = ProcessedPhotos(config_name="jpeg", source=photo_set(), cache_dir=str(tmp_path))
    assert builder.info.description == "Photos of folder:some under the classes of jpeg."
    assert builder.dataset_name == "processed_photos"
    splits = builder._split_generators(None)
    assert [(split.name, split.gen_kwargs["ranges"]) for split in splits] == [
        ("train", [(0, 1), (1, 2)]), ("validation", [(0, 1)]), ("test", [(0, 1)]),
    ]  # fmt: skip
    alone = ProcessedPhotos(config_name="jpeg", source=photo_set().select([0, 1]), cache_dir=str(tmp_path))
    assert [split.name for split in alone._split_generators(None)] == ["train"]


def test_png__at_its_level(monkeypatch):
    saved = []
    picture = SimpleNamespace(save=lambda stream, kind, **options: saved.append((kind, options)))
    monkeypatch.setattr(rows_of, "decode_rgb", lambda data: picture)
    assert rows_of.png_of(b"x") == b""
    assert saved == [("PNG", {"compress_level": 3})]


JPEG = photo_bytes(1, (12, 10))


def plain(split="train", **columns):
    features = {"image": Image(), "label": ClassLabel(names=["a", "b"]), **{n: Value("string") for n in columns}}
    values = {"image": [{"bytes": JPEG, "path": None}] * 2, "label": [0, 1], **columns}
    return Dataset.from_dict(values, Features(features), split=split)


NUMBER = ": name a column of ids (photo_id=), or process first"


@pytest.mark.parametrize(
    ("make", "options", "sentence"),
    [
        (lambda: plain().to_iterable_dataset().shuffle(seed=1), {},
         "the rows of this stream do not say their number (BufferShuffledExamplesIterable)" + NUMBER
         + " and shuffle, skip, take or filter then"),
        (lambda: split_dataset_by_node(plain().to_iterable_dataset(), rank=0, world_size=2), {},
         "the rows of a stream that is divided between nodes do not say their number" + NUMBER),
        (lambda: plain().to_iterable_dataset().map(dict), {},
         "this stream does not know its columns (a map forgets them): say map(..., features=...) or cast it"),
        (lambda: plain().to_iterable_dataset(), {"photo_id": ["a", "b"]},
         "photo_id: a data set that is streamed takes the name of a column"),
        (plain, {"assignment": "correlated:1", "label": "kind"},
         "assignment correlated:1: 'kind' is no column of semantic classes (ClassLabel): name it with label=, or "
         "cast_column it first"),
        (lambda: plain("train[:2]"), {},
         "rows of 'train[:2]' do not say their number: give photo_id, or load the whole split"),
        (lambda: plain(jpeg=["a", "b"]), {},
         "the data set has a column 'jpeg' already: rename it first (rename_column)"),
    ],
)  # fmt: skip
def test_views__what_is_refused(make, options, sentence):
    with pytest.raises(UsageError) as refused:
        with_processing(make(), "jpeg", **options)
    assert str(refused.value) == sentence


def test_views__of_decoded_streams_and_other_processes():
    raw = plain().to_iterable_dataset()
    features = Features({**raw.features, "key": Value("string")})
    decoded = raw.map(lambda row: {"key": "a"}, features=features)
    with pytest.raises(UsageError) as refused:
        list(with_processing(decoded, "jpeg", photo_id="key", split="train"))
    assert str(refused.value) == (
        "this stream decodes its images before they can be processed: cast_column('image', Image(decode=False)) before "
        "the map"
    )
    written = "with_processing(..., decode=False).map(dict).with_format(None)"
    with pytest.raises(PhotoError) as failed:
        view_file(f"{'0' * 16}/0-0.jpg")
    assert str(failed.value) == (
        "the data set that this view belongs to is not in this process: call with_processing here, or save there what "
        f"{written} writes out"
    )
    with pytest.raises(UsageError) as refused:
        with_processing(plain(), "jpeg").save_to_disk("/nowhere/at/all")
    assert str(refused.value) == (
        f"views are made when they are read: {written} writes them out, and that can be saved and pushed"
    )


def test_recipe__rows_that_differ_in_their_columns():
    with pytest.raises(DataError) as refused:
        recipes._compare([{"a": 1, "group_b": 2}], [{"a": 1, "c": 3}], "jpeg/train")
    assert str(refused.value) == (
        "jpeg/train: the columns c, group_b are not in both; give --data the group= and cluster= of the original build"
    )
    with pytest.raises(DataError) as refused:
        recipes._compare([{"a": 1}], [], "jpeg/train")
    assert str(refused.value) == "jpeg/train: 0 rows, the recipe has 1; see failures.jsonl"
    recipes._compare([{"a": 1}], [{"a": 1}], "jpeg/train")
    row = {"photo_id": "p", "source_sha256": "a", "x": 1}
    for change, what in (({"x": 2}, "the image differs"), ({"source_sha256": "b"}, "the source file differs")):
        with pytest.raises(DataError, match=f"^w: p is not as in the recipe: {what}$"):
            recipes._compare([row], [{**row, **change}], "w")


def test_rebuild__passes_on_what_the_recipe_states(tmp_path, monkeypatch):
    """The second of two parameters is of a processing file; photos, sizes and every setting are those of the recipe."""
    web = ProcessingSettings.of("web-size-webp", "study", 2, 3, True, processings="web")
    settings = [ProcessingSettings("jpeg", "study", 2, 3, True), web]
    recipe = {
        "codec": {"canary": "abc", "pillow": "9", "libjpeg_turbo": "3"},
        "settings": [each.described() for each in settings],
        "items_per_shard": {"jpeg/train": "5", "web-size-webp/train": 7},
    }
    described = SimpleNamespace(kind="recipe", recipe=recipe)
    guarded, calls = Guarded(photo_set(), "move", 0), []
    monkeypatch.setattr(recipes.DatasetRepo, "download", lambda self: tmp_path / self.location)
    monkeypatch.setattr(recipes, "read_build", lambda folder: calls.append(("read", folder)) or described)
    monkeypatch.setattr(recipes, "codec_canary", lambda: "abc")
    monkeypatch.setattr(recipes, "_photos_of", lambda *given: calls.append(("photos", *given)) or guarded)
    monkeypatch.setattr(recipes, "build_processed", lambda *given, **named: calls.append((given, named)) or "built")
    monkeypatch.setattr(recipes, "_verify", lambda *given: calls.append(("verified", *given)))
    photos = photo_set()
    assert recipes.rebuild("r", photos, tmp_path / "out", workers=3) == "built"
    named = {
        "parameters": ["jpeg", "web-size-webp"], "processings": web.definitions, "assignment": "study", "seed": 2,
        "assignment_seed": 3, "lossless": True, "sizes": {"jpeg/train": 5, "web-size-webp/train": 7}, "workers": 3,
        "duplicates": guarded,
    }  # fmt: skip
    assert calls == [
        ("read", tmp_path / "r"), ("photos", tmp_path / "r", described, photos),
        ((guarded.photos, tmp_path / "out"), named), ("verified", tmp_path / "r", described, tmp_path / "out", "built"),
    ]  # fmt: skip
    calls.clear()
    recipes.rebuild("r", photos, tmp_path / "out", any_codec=True)
    assert [call[0] for call in calls[:2]] == ["read", "photos"]
    assert len(calls) == 3  # nothing is verified
    assert calls[2][1] == {**named, "workers": 1}
    for change, reason in (
        ({"items_per_shard": {"jpeg/train": 0}}, "ValueError: a shard of no items"), ({"settings": []}, "IndexError: "),
        ({"codec": {}}, "KeyError: 'canary'"),
    ):  # fmt: skip
        monkeypatch.setattr(described, "recipe", {**recipe, **change})
        with pytest.raises(DataError) as refused:
            recipes.rebuild("r", photos, tmp_path / "out")
        assert str(refused.value).startswith(f"r: not a recipe of camtrace ({reason}")
