"""Options of the builds of processed photos: each arrives, and each leaves its mark in rows, record and card."""

import json
import re
from dataclasses import replace

import numpy as np
import pytest

from builders.data_specs import open_photos
from builders.dataset import read_build
from builders.errors import UsageError
from builders.photos import UNLABELLED, Labels, PhotoSet
from builders.pixels import PARAMETERS, read_definitions
from builders.processed import ProcessingSettings, cli
from builders.processed.build import ProcessedPhotosConfig, associations, build_processed, processed_jobs
from builders.splits import with_duplicates_on_one_side
from tests.conftest import photo_bytes


def test_parse_parameters__names_and_files():
    assert cli.parse_parameters(" jpeg , resizing") == ("jpeg", "resizing")
    assert cli.parse_parameters("all") == tuple(PARAMETERS)
    assert cli.parse_parameters("all", "web") == tuple(read_definitions("web").parameters)
    assert set(cli.parse_parameters("all", "web")).isdisjoint(PARAMETERS)
    assert cli.parse_parameters("jpeg-fine") == ("jpeg-fine",)  # built in, and not one of all
    with pytest.raises(UsageError, match="'web-size-webp'"):
        cli.parse_parameters("web-size-web", "web")


CONFIGS = ("jpeg", "web-size-webp")


def test_jobs__of_ranks_are_those_of_the_build(photo_folder, tmp_path, capsys):
    def jobs(*words, guarded=None):
        arguments = ["--data", str(photo_folder), "-o", str(tmp_path / "out"), *words]
        parsed = cli.folder().parse_args(arguments)
        parsed.guarded = guarded
        sizes = {f"{name}/{split}": size for name in CONFIGS for split, size in (("train", 5), ("validation", 7))}
        return parsed, parsed.jobs(parsed, sizes)

    for option, what in (("--recipe", "a rebuild verifies as it goes"), ("--update", "an update runs on one machine")):
        with pytest.raises(UsageError, match=re.escape(str(option))):
            jobs(option, *(["r"] if option == "--recipe" else []))
    words = ["--assignment", "study", "--seed", "2", "--assignment-seed", "3", "--lossless", "--duplicates", "refuse"]
    parsed, made = jobs(*words)
    settings = ProcessingSettings("jpeg", "study", 2, 3, True)
    assert [(job.config, job.split, len(job.ids), job.items_per_shard) for job in made] == [
        ("jpeg", "train", 24, 5),
        ("jpeg", "validation", 12, 7),
    ]
    rows = [job.make_rows for job in made]
    assert [one.settings for one in rows] == [settings] * 2
    assert [one.every for one in rows] == [False, True]
    photos = open_photos(f"folder:{photo_folder}")
    guarded = with_duplicates_on_one_side(photos, "refuse")
    assert parsed.guarded == guarded.record()
    expected = processed_jobs(guarded.photos, tmp_path / "out", [settings])
    assert [job.recipe for job in made] == [job.recipe for job in expected]
    # with its record no photo is compared again: one of another set is refused
    _, again = jobs(*words, guarded=guarded.record())
    assert [job.recipe for job in again] == [job.recipe for job in made]
    _, of_file = jobs("--processings", "web", "--parameter", "web-size-webp", guarded=guarded.record())
    assert of_file[0].make_rows.settings == ProcessingSettings.of("web-size-webp", processings="web")


def small(names=("a", "b", "c", "d"), **more):
    files = {name: photo_bytes(i, size=(24, 16)) for i, name in enumerate(names)}
    return PhotoSet.of_bytes("folder:some", files, **more)


def test_jobs__recipes_tell_settings_labels_and_columns_apart(tmp_path):
    """The recipe decides whether a folder is another build, and that of the rows what an update reuses."""
    plain = small(labels=["x", "y", "x", "y"])
    swapped = small(labels=["y", "y", "x", "x"])
    site = Labels(("north", "south"), np.array([0, 1, 0, UNLABELLED], dtype=np.int32))
    base = ProcessingSettings("interpolation")
    cases = {
        "plain": (plain, base),
        "other labels": (swapped, base),
        "no labels": (small(), base),
        "a group": (replace(plain, groups={"site": site}), base),
        "another group": (replace(plain, groups={"site": replace(site, values=site.values[::-1].copy())}), base),
        "assignment": (plain, replace(base, assignment="every")),
        "seed": (plain, replace(base, seed=1)),
        "assignment seed": (plain, replace(base, assignment_seed=1)),
        "lossless": (plain, replace(base, lossless=True)),
        "parameter": (plain, replace(base, parameter="resizing")),
    }
    jobs = {name: processed_jobs(photos, tmp_path, [settings])[0] for name, (photos, settings) in cases.items()}
    assert len({json.dumps(job.recipe, sort_keys=True) for job in jobs.values()}) == len(cases)
    rows = {name: job.rows_recipe_hash for name, job in jobs.items()}
    assert {name for name, key in rows.items() if key == rows["plain"]} == {
        "plain", "other labels", "assignment", "assignment seed"
    }  # fmt: skip
    assert "columns" not in jobs["plain"].recipe
    assert {name: tuple(jobs[name].features) for name in ("no labels", "a group", "parameter")} == {
        "no labels": (
            "image", "photo_id", "interpolation", "scale", "source_sha256", "source_quality", "source_subsampling",
            "width", "height",
        ),
        "a group": (
            "image", "photo_id", "label", "interpolation", "scale", "source_sha256", "source_quality",
            "source_subsampling", "width", "height", "group_site",
        ),
        "parameter": (
            "image", "photo_id", "label", "resizing", "source_sha256", "source_quality", "source_subsampling", "width",
            "height",
        ),
    }  # fmt: skip


def test_build__record_and_card(tmp_path):
    photos = small(("a", "b", "c", "d", "bad"), labels=list("xyxyx"), splits=["train", "train", "val", "test", "train"])
    source = replace(photos.source, photos=(*photos.source.photos[:4], b"no photo"))
    photos = replace(photos, source=source, evidence={"note": "by hand"})
    options = {"parameters": ("interpolation", "jpeg"), "assignment": "study", "seed": 2, "assignment_seed": 3}
    options["duplicates"] = "ignore"
    build = build_processed(photos, tmp_path / "out", license="cc0-1.0", progress=False, **options)
    assert build == read_build(tmp_path / "out")
    assert (build.kind, build.default, build.configs) == ("processed", "interpolation", ("interpolation", "jpeg"))
    assert [(s.config, s.split, s.rows) for s in build.splits] == [
        ("interpolation", "train", 2),
        ("interpolation", "validation", 4),
        ("interpolation", "test", 4),
        ("jpeg", "train", 2),
        ("jpeg", "validation", 6),
        ("jpeg", "test", 6),
    ]
    recipe = dict(build.recipe)
    sizes = recipe.pop("items_per_shard")
    assert set(sizes) == {f"{c}/{s}" for c in ("interpolation", "jpeg") for s in ("train", "validation", "test")}
    assert recipe == {
        "source": "folder:some",
        "source_evidence": {"note": "by hand"},
        "license": "cc0-1.0",
        "ids_hash": photos.ids_hash(),
        "photos": {"train": 3, "val": 1, "test": 1},
        "settings": [ProcessingSettings(p, "study", 2, 3).described() for p in ("interpolation", "jpeg")],
        "duplicates": {"policy": "ignore", "groups_in_several_splits": 0},
    }
    card = (tmp_path / "out" / "README.md").read_text()
    for text in (
        "pretty_name: 'some: processing traces'",
        "license: cc0-1.0",
        "- image-forensics\n- jpeg\n- processing-traces\n- robustness\n",
        "Note: by hand.",
        "a JPEG file; bytes as the processing encoded them",
        "(assignment seed 3)",
        "(seed 2)",
    ):
        assert text.replace("'", "") in card.replace("'", "").replace('"', "")


def test_build__without_pixel_rights_has_no_licence_of_the_hub(tmp_path):
    photos = small(labels=["n02099601"] * 4)
    build_processed(photos, tmp_path / "out", license="cc0-1.0", parameters=("sharpening",), progress=False)
    assert "license: other" in (tmp_path / "out" / "README.md").read_text()
    assert not read_build(tmp_path / "out").pixels.allowed


def test_associations__only_of_a_correlation_and_of_labelled_rows(tmp_path):
    """An unlabelled split has no row, and one config does not count for another."""
    names = [f"p{i}" for i in range(12)]
    photos = small(names, labels=list("xyxyxyxyxyxy"), splits=["train"] * 8 + ["val"] * 4)
    values = photos.labels.values.copy()
    values[8:] = UNLABELLED
    photos = replace(photos, labels=replace(photos.labels, values=values))
    options = {"parameters": ("resizing", "sharpening"), "assignment": "correlated:1", "progress": False}
    build = build_processed(photos, tmp_path / "out", **options)
    for parameter in ("resizing", "sharpening"):
        settings = ProcessingSettings(parameter, "correlated:1")
        [made] = associations(tmp_path / "out", build.splits, settings, photos.labels.names)
        assert (made.config, made.split, made.rows) == (parameter, "train", 8)
        assert (made.measured, made.expected) == (pytest.approx(1), pytest.approx(1))
    assert associations(tmp_path / "out", build.splits, ProcessingSettings("resizing"), ("x", "y")) == []


def test_processed_photos_config__cache_changes_with_what_changes_rows(photo_folder):
    def name(**options):
        options = {"name": "jpeg", "source": f"folder:{photo_folder / 'train'}", **options}
        return ProcessedPhotosConfig(**options).create_config_id({})

    plain = name()
    assert plain == name(source=open_photos(f"folder:{photo_folder / 'train'}"))
    assert plain.startswith("jpeg-")
    assert len(plain) == len("jpeg-") + 16
    others = [
        name(assignment="every"),
        name(seed=1),
        name(assignment_seed=1),
        name(split_seed=1),
        name(source=f"folder:{photo_folder}"),
        name(name="web-size-webp", processings="web"),
        name(name="sharpening"),
    ]
    assert len({plain, *others}) == 8
    photos = small()  # columns that rows have: groups, clusters and the names of groups
    north = Labels(("north", "south"), np.array([0, 1, 0, 1], np.int32))
    grouped = [
        photos,
        replace(photos, groups={"site": north}),
        replace(photos, groups={"site": replace(north, values=north.values[::-1].copy())}),
        replace(photos, groups={"site": replace(north, names=("east", "west"))}),
        replace(photos, groups={"place": north}),
        replace(photos, columns={"cluster": np.array(list("aabb"))}),
        replace(photos, columns={"cluster": np.array(list("aabc"))}),
    ]
    assert len({name(source=source) for source in grouped}) == len(grouped)
    assert name(source=replace(photos, columns={"camera": np.array(list("aabb"))})) == name(source=photos)
