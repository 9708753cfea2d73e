"""From a state to what load_dataset reads: bytes untouched, rights, take-down, own copies, and the validator."""

import hashlib
import json
import os
import re
import shutil
import time
import tracemalloc
from collections import Counter

import datasets
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import yaml

from builders.dataset import read_build
from builders.errors import DataError, UsageError
from builders.exif.attributes import ATTRIBUTES, STUDY_ATTRIBUTES
from builders.flickrexif.build import BuildPlan, build, sources_of
from builders.flickrexif.checking import folder_tables, tables_to_check
from builders.flickrexif.cli import main
from builders.flickrexif.collection import collect
from builders.flickrexif.exif_entries import dumps, entries_from_answer
from builders.flickrexif.fetch import fetch
from builders.flickrexif.fetching import FetchPlan
from builders.flickrexif.importing import import_rows
from builders.flickrexif.licences import LICENCES
from builders.flickrexif.own_copy import load_own_copy
from builders.flickrexif.state import State
from builders.flickrexif.status import funnel
from builders.flickrexif.takedown import TOMBSTONES_FILE, forget
from builders.kinds import open_photos
from builders.publishing.command import plan_publication
from builders.splits.report import validate
from tests.builders.flickrexif.flickr_double import serving
from tests.builders.flickrexif.flickr_world import World
from tests.builders.flickrexif.test_fetch import PLAN, add

RENAMED = {"NIKON CORPORATION": "NIKON", "OLYMPUS OPTICAL CO.,LTD": "OLYMPUS", "EASTMAN KODAK COMPANY": "Kodak"}
WORLD = World(count=350, burst=0, owners=90)
SPLIT_NAMES = ("train", "validation", "test")


@pytest.fixture(scope="module")
def flickr():
    with serving(WORLD) as double:
        yield double


@pytest.fixture(scope="module")
def fetched(flickr, tmp_path_factory):
    """A state with files, licences and authors, as search and fetch leave it."""
    folder = tmp_path_factory.mktemp("fetched") / "state"
    with State(folder, create=True) as state:
        add(state, flickr, range(WORLD.count))
        with state.transaction() as db:
            db.executemany(
                "UPDATE photos SET licence = ?, licence_checked = 1.6e9, owner_name = ?, title = 'T' WHERE id = ?",
                [(int(WORLD.licence[at]), f"Owner {at}", int(WORLD.ids[at])) for at in range(WORLD.count)],
            )
        fetch(state, FetchPlan(**{**PLAN.__dict__, "sizes": ("o", "l")}))
    return folder


@pytest.fixture(scope="module")
def with_pixels(fetched, tmp_path_factory):
    output = tmp_path_factory.mktemp("built") / f"out-{time.time_ns()}"  # load_dataset caches by this name
    with State(fetched) as state:
        build(state, BuildPlan(output, pixels=True, contact="me@example.org"))
    return output


@pytest.fixture(scope="module")
def without_pixels(fetched, tmp_path_factory):
    output = tmp_path_factory.mktemp("built") / f"out-{time.time_ns()}"  # load_dataset caches by this name
    with State(fetched) as state:
        build(state, BuildPlan(output))
    return output


def paths_of(folder, config, split):
    found = [s for s in read_build(folder).splits if (s.config, s.split) == (config, split)]
    return [folder / shard.file for s in found for shard in s.shards]


def rows_of(folder, config, split):
    paths = paths_of(folder, config, split)
    return [row for path in paths for row in pq.read_table(path).to_pylist()]


def test_build__load_dataset_reads_every_config(with_pixels, tmp_path):
    for config in STUDY_ATTRIBUTES:
        data = datasets.load_dataset(str(with_pixels), config, split="test", cache_dir=str(tmp_path))
        assert set(data.features[config].names) <= set(ATTRIBUTES[config].classes["clean"])
        counts = np.bincount(data[config], minlength=len(data.features[config].names))
        assert counts.min() == counts.max() > 0
        assert data[0]["image"].size in ((64, 48), (48, 36))


def test_build__bytes_labels_and_rights_of_every_row(with_pixels):
    for split in ("train", "validation", "test"):
        names = datasets.Features.from_arrow_schema(pq.read_schema(paths_of(with_pixels, "make", split)[0]))[
            "make"
        ].names
        for row in rows_of(with_pixels, "make", split):
            at = WORLD.index(int(row["photo_id"]))
            true = WORLD.file(at, row["size"])
            assert row["image"]["bytes"] == true
            assert row["sha256"] == hashlib.sha256(true).hexdigest()
            assert names[row["make"]] == RENAMED.get(WORLD.shot(at).make, WORLD.shot(at).make)
            licence = LICENCES[int(WORLD.licence[at])]
            assert licence.redistributable
            assert (row["licence"], row["licence_checked"]) == (licence.slug, "2020-09-13")
            assert row["page"] == f"https://www.flickr.com/photos/{WORLD.nsid(at)}/{row['photo_id']}/"
            assert row["attribution"].startswith(f'"T" by Owner {at}, {row["page"]}, {licence.name}')


def test_build__default_has_no_pixels_and_keeps_all_rights_reserved_as_metadata_only(without_pixels, with_pixels):
    assert "image" not in rows_of(without_pixels, "make", "train")[0]
    all_rows = {row["photo_id"]: row for row in rows_of(without_pixels, "metadata", "train")}
    reserved = {id for id, row in all_rows.items() if row["licence"] == "all-rights-reserved"}
    assert reserved
    assert not reserved & {row["photo_id"] for row in rows_of(with_pixels, "metadata", "train")}
    for id, row in all_rows.items():
        shot = WORLD.shot(WORLD.index(int(id)))
        assert row["camera_model"] == shot.model
        if shot.exposure == (512, 8809):
            assert (row["exposure_s"], row["label_exposure"]) == ("512/8809", "other")
        if shot.iso == 65535:
            assert (row["iso_speed"], row["label_iso"]) == (None, "unknown")


def test_folder_tables__say_what_the_rows_say(without_pixels):
    tables = {table.name: table for table in folder_tables(without_pixels)}
    photos = {row["photo_id"]: row for split in SPLIT_NAMES for row in rows_of(without_pixels, "metadata", split)}
    for config in ("make", "iso"):
        path = paths_of(without_pixels, config, "train")[0]
        names = datasets.Features.from_arrow_schema(pq.read_schema(path))[config].names
        rows = [(at, row) for at, split in enumerate(SPLIT_NAMES) for row in rows_of(without_pixels, config, split)]
        table = tables[config]
        assert list(zip(table.splits.tolist(), table.ids.tolist(), table.labels.tolist(), strict=True)) == [
            (at, row["photo_id"], names[row[config]]) for at, row in rows
        ]
        assert table.owners.tolist() == [row["owner"] for _, row in rows]
        assert table.digests.tolist() == [(row["sha256"] or "").encode() for _, row in rows]
        also = [photos[row["photo_id"]] for _, row in rows]
        assert table.hashes.tolist() == [row["perceptual_hash"] or 0 for row in also]
        assert table.years.tolist() == [row["year"] or 0 for row in also]
        assert config not in table.metadata
        assert len(table.metadata) == len(ATTRIBUTES)  # and device_type, without itself
        for name, words in table.metadata.items():
            told = [row[f"label_{name}"] for row in also]
            assert words.tolist() == ["" if word in (None, "unknown", "other") else word for word in told]


def test_folder_tables__of_columns_that_are_not_flickrexifs_are_one_sentence(without_pixels, tmp_path):
    copy = tmp_path / "copy"
    shutil.copytree(without_pixels, copy)
    path = paths_of(copy, "make", "train")[0]
    table = pq.read_table(path)
    spoilt = table.set_column(table.column_names.index("make"), "make", pa.array([999] * len(table)))
    pq.write_table(spoilt.replace_schema_metadata(table.schema.metadata), path)
    with pytest.raises(DataError, match="its columns are not those of FlickrExif"):
        folder_tables(copy)
    path.unlink()
    os.mkfifo(path)
    with pytest.raises(DataError, match="not a regular file"):
        folder_tables(copy)


def test_build__clean_splits_share_no_owner_photo_or_near_duplicate(without_pixels):
    report = validate(folder_tables(without_pixels))
    for config in STUDY_ATTRIBUTES:
        for pair in ("test photos of owners in train", "val photos of owners in train", "test photos of owners in val"):
            assert report.find(config, pair).value == 0
        assert report.find(config, "test near-duplicates of train (other id)").value == 0
        assert report.find(config, "test: rarest over commonest class").value == 1
    for one in STUDY_ATTRIBUTES:
        for other in STUDY_ATTRIBUTES:
            if one != other:
                assert report.find(f"{other} -> {one}", "test photos in the other's train").value == 0


def test_build__card_says_what_must_be_said(without_pixels, with_pixels):
    front = yaml.safe_load((with_pixels / "README.md").read_text().split("---")[1])
    assert (front["source_datasets"], front["language"]) == (["original"], ["en"])
    text = (without_pixels / "README.md").read_text()
    assert "This product uses the Flickr API but is not endorsed or certified by SmugMug, Inc." in text
    assert "no pixels" in text
    assert "me@example.org" in (with_pixels / "README.md").read_text()
    for section in ("### Motivation", "### Take-down", "### Maintenance", "## Licence", "kept by the cap"):
        assert section in text


def test_build__the_benchmark_opens_it(with_pixels):
    photos = open_photos(f"hub:{with_pixels}?config=make")
    row = next(i for i in range(len(photos)) if i > 3)
    at = WORLD.index(int(photos.ids[row].rpartition("/")[2]))
    assert photos.read(row) in (WORLD.file(at, "o"), WORLD.file(at, "l"))
    assert "Canon" in photos.labels.names


def test_build__the_benchmark_opens_every_attribute_with_owners(with_pixels):
    photos = open_photos(f"flickrexif:{with_pixels}")
    assert set(photos.attributes) == {
        config for config in STUDY_ATTRIBUTES if config in read_build(with_pixels).configs
    }
    owners = photos.columns["owner"]
    for at in range(0, len(photos), 50):
        assert owners[at] == WORLD.nsid(WORLD.index(int(photos.ids[at])))
    assert not set(owners[photos.indices("train")]) & set(owners[photos.indices("test")])


def test_build__resumes_to_the_same_bytes(fetched, with_pixels, tmp_path):
    again = tmp_path / "again"
    with State(fetched) as state:
        build(state, BuildPlan(again, pixels=True, contact="me@example.org"))
        removed = paths_of(again, "model", "train")[0]
        removed.unlink()
        build(state, BuildPlan(again, pixels=True, contact="me@example.org"))
    names = {p.relative_to(again) for p in again.rglob("*.parquet")}
    assert names == {p.relative_to(with_pixels) for p in with_pixels.rglob("*.parquet")}
    assert all((again / name).read_bytes() == (with_pixels / name).read_bytes() for name in names)
    assert (again / "build.json").read_bytes() == (with_pixels / "build.json").read_bytes()


def test_build__a_broken_file_is_left_out_and_damaged_ones_are_fetched_again(flickr, tmp_path, capsys):
    with State(tmp_path / "state", create=True) as state:
        add(state, flickr, [at for at in range(300) if WORLD.kind[at] > 0.3])
        fetch(state, PLAN)
        paths = [row[0] for row in state.rows("SELECT path FROM files ORDER BY photo_id")]
        state.path_of(paths[0]).write_bytes(b"other bytes")
        state.path_of(paths[1]).unlink()
        broken = WORLD.file(WORLD.index(state.rows("SELECT photo_id FROM files ORDER BY photo_id")[2][0]), "o")[:300]
        state.path_of(paths[2]).write_bytes(broken)
        with state.transaction() as db:
            db.execute("UPDATE files SET sha256 = ? WHERE path = ?", (hashlib.sha256(broken).hexdigest(), paths[2]))
        built = build(state, BuildPlan(tmp_path / "out"))
        assert built.left_out == {"without Exif": 2, "file that cannot be decoded": 1}  # nobody asked Flickr for theirs
        said = capsys.readouterr().err
        assert f"{paths[0]}: the file is not the one that was fetched; 'flickrexif fetch' gets it again" in said
        assert f"{paths[1]}: the file cannot be read (No such file or directory); 'flickrexif" in said
        assert fetch(state, PLAN).fetched == 2
        assert build(state, BuildPlan(tmp_path / "again")).left_out == {"file that cannot be decoded": 1}
    assert len(rows_of(tmp_path / "out", "metadata", "train")) == len(paths) - 3
    assert len(rows_of(tmp_path / "again", "metadata", "train")) == len(paths) - 1


def test_build__nothing_there_is_one_sentence(tmp_path):
    with State(tmp_path / "state", create=True) as state, pytest.raises(DataError, match="search or import first"):
        build(state, BuildPlan(tmp_path / "out"))


def test_build__released_splits_come_as_released_leaks_and_all(tmp_path):
    rows = [WORLD.released_row(at, "https://live.staticflickr.com") for at in range(60)]
    ids = [row["Flickr ID"] for row in rows]
    split = {
        "train_ids": ids[:40], "val_ids": ids[40:50], "test_ids": [*ids[50:], ids[0], ids[1], ids[45]],
        "encoded_train_labels": [i % 2 for i in range(40)], "encoded_val_labels": [0] * 10,
        "encoded_test_labels": [1] * 13, "label_encoder_classes": ["a", "b"], "target_attribute": "Model",
    }  # fmt: skip
    (tmp_path / "splits").mkdir()
    (tmp_path / "splits" / "model.json").write_text(json.dumps(split))
    report = validate(tables_to_check([tmp_path / "splits"]))
    assert report.find("model", "test ids also in train").value == 2
    assert report.find("model", "test ids also in val").value == 1
    with State(tmp_path / "state", create=True) as state:
        import_rows(state, rows)
        build(state, BuildPlan(tmp_path / "out", split_files=(tmp_path / "splits" / "model.json",)))
    test = rows_of(tmp_path / "out", "model", "test")
    assert [row["photo_id"] for row in test] == [str(id) for id in split["test_ids"]]
    assert {row["model"] for row in test} == {1}
    assert {row["licence"] for row in test} == {"unknown"}


def test_build__unknown_licences_never_give_pixels(flickr, tmp_path):
    with State(tmp_path / "state", create=True) as state:
        import_rows(state, [WORLD.released_row(at, flickr.base) for at in range(10)])
        fetch(state, PLAN)
        with pytest.raises(DataError, match="licence unknown"):
            build(state, BuildPlan(tmp_path / "out", pixels=True))


def test_load__fetches_what_was_published_and_nothing_that_was_taken_down(flickr, without_pixels, tmp_path):
    folder = tmp_path / "published"
    shutil.copytree(without_pixels, folder)
    victim = rows_of(folder, "make", "train")[0]
    with State(tmp_path / "state", create=True) as state:
        forget(state, photos=[victim["photo_id"]])
        flickr.files.clear()
        done = load_own_copy(str(folder), state, tmp_path / "copy", PLAN, configs=["make"])
    assert done.buried == 1
    assert not [path for path in flickr.files if victim["photo_id"] in path]
    for split in ("train", "validation", "test"):
        published = {row["photo_id"]: row for row in rows_of(folder, "make", split)}
        copied = {row["photo_id"]: row for row in rows_of(tmp_path / "copy", "make", split)}
        assert set(published) - {victim["photo_id"]} == set(copied)
        for id, row in copied.items():
            assert hashlib.sha256(row["image"]["bytes"]).hexdigest() == published[id]["sha256"]
            assert row["make"] == published[id]["make"]
    with pytest.raises(DataError, match="own use"):
        plan_publication(tmp_path / "copy", "a/b")
    with State(tmp_path / "state") as state, pytest.raises(UsageError, match="did you mean 'make'"):
        load_own_copy(str(folder), state, tmp_path / "other", PLAN, configs=["mak"])
    with State(tmp_path / "state") as state, pytest.raises(DataError, match="no build"):
        load_own_copy(str(tmp_path), state, tmp_path / "other", PLAN)


def test_load__a_photo_that_is_gone_is_a_failure_of_its_own(flickr, without_pixels, tmp_path):
    row = rows_of(without_pixels, "is_smartphone", "test")[0]
    at = WORLD.index(int(row["photo_id"]))
    before = WORLD.kind[at]
    WORLD.kind[at] = 0.16  # deleted
    try:
        with State(tmp_path / "state", create=True) as state:
            done = load_own_copy(str(without_pixels), state, tmp_path / "copy", PLAN, configs=["is_smartphone"])
    finally:
        WORLD.kind[at] = before
    failures = {failure for split in done.build.splits for failure in split.failures}
    assert [(f.id, "photo unavailable" in f.reason) for f in failures] == [(row["photo_id"], True)]


def test_publish__refuses_what_has_been_taken_down_since_the_build(fetched, tmp_path):
    shutil.copytree(fetched, tmp_path / "state")
    with State(tmp_path / "state") as state:
        build(state, BuildPlan(tmp_path / "out"))
        published = plan_publication(tmp_path / "out", "a/b")
        assert TOMBSTONES_FILE in published.text_files
        owner = rows_of(tmp_path / "out", "make", "test")[0]["owner"]
        forget(state, owners=[owner])
        with pytest.raises(DataError, match="taken down since it was built"):
            plan_publication(tmp_path / "out", "a/b")
        build(state, BuildPlan(tmp_path / "out", fresh=True))
    plan_publication(tmp_path / "out", "a/b")
    assert owner not in {row["owner"] for row in rows_of(tmp_path / "out", "metadata", "train")}
    assert owner not in (tmp_path / "out" / TOMBSTONES_FILE).read_text()
    assert read_build(tmp_path / "out").kind == "flickrexif"


def test_build__exif_that_its_owner_hides_is_not_taken_from_the_file_either(fetched, tmp_path):
    shutil.copytree(fetched, tmp_path / "state")
    with State(tmp_path / "state") as state:
        before = {int(id) for id in collect(state, pixels=False).ids}
        hidden = sorted(before)[:7]
        with state.transaction() as db:
            db.executemany("UPDATE photos SET exif_status = 'hidden' WHERE id = ?", [(id,) for id in hidden])
        built = build(state, BuildPlan(tmp_path / "out"))
        assert built.left_out["Exif hidden by its owner"] == 7
        stage = next(s for s in funnel(state) if s.name == "Exif from Flickr")
    assert "hidden by their owners 7" in stage.note
    assert {int(r["photo_id"]) for r in rows_of(tmp_path / "out", "metadata", "train")} == before - set(hidden)
    for id in hidden:
        assert not any(str(id).encode() in path.read_bytes() for path in (tmp_path / "out").rglob("*.parquet"))
    assert "Exif hidden by its owner 7" in (tmp_path / "out" / "README.md").read_text()


def test_build__an_original_without_the_exif_that_flickr_lists_is_a_placeholder(fetched, tmp_path):
    shutil.copytree(fetched, tmp_path / "state")
    with State(tmp_path / "state") as state:
        before = {int(id) for id in collect(state, pixels=False).ids}
        rows = state.rows("SELECT photo_id, path FROM files WHERE status = 'ok' AND size = 'o' ORDER BY photo_id")
        stripped, unknown = [row for row in rows if row[0] in before][:2]
        for id, path in (stripped, unknown):
            data = WORLD.file(WORLD.index(id), "l")  # a picture of its own, without Exif
            state.path_of(path).write_bytes(data)
            with state.transaction() as db:
                db.execute("UPDATE files SET sha256 = ? WHERE photo_id = ?", (hashlib.sha256(data).hexdigest(), id))
        answer = {"photo": WORLD.exif_answer(WORLD.index(stripped[0]))}
        with state.transaction() as db:
            db.execute("DELETE FROM exif")
            db.execute("INSERT INTO exif VALUES (?, ?)", (stripped[0], dumps(entries_from_answer(answer))))
        built = build(state, BuildPlan(tmp_path / "out"))
    assert built.left_out["original without the Exif that Flickr lists"] == 1
    there = {int(r["photo_id"]) for r in rows_of(tmp_path / "out", "metadata", "train")}
    assert not there & {stripped[0], unknown[0]}  # of the other Flickr lists nothing: "without Exif", as before


@pytest.mark.parametrize(
    ("origins", "search", "said"),
    [([], True, ["original"]), (["a/b@main", "mine.csv"], True, ["original", "a/b"]), (["a/b@abc"], False, ["a/b"])],
)
def test_build__card_names_the_data_sets_that_rows_came_from(tmp_path, flickr, origins, search, said):
    with State(tmp_path / "state", create=True) as state:
        add(state, flickr, range(3))
        with state.transaction() as db:
            db.execute("UPDATE photos SET source = ?", ("search" if search else "import",))
        state.set("imported_from", origins)
        assert list(sources_of(state)) == said


def test_build__a_photo_that_nobody_can_load_is_no_row(fetched, tmp_path):
    shutil.copytree(fetched, tmp_path / "state")
    with State(tmp_path / "state") as state:
        before = len(collect(state, pixels=False))
        id = collect(state, pixels=False).ids[0]
        with state.transaction() as db:
            db.execute("UPDATE photos SET urls = '{}' WHERE id = ?", (int(id),))
            db.execute("DELETE FROM files WHERE photo_id = ?", (int(id),))
            entries = dumps({("IFD0", "Make"): "Canon"})
            db.execute("INSERT OR REPLACE INTO exif VALUES (?, ?)", (int(id), entries))
        after = collect(state, pixels=False)
    assert after.left_out["no address that anyone could load"] == 1
    assert (len(after), id in after.ids) == (before - 1, False)


@pytest.mark.parametrize("count", [1500, 3000])
def test_collect__memory_is_that_of_the_columns(tmp_path, count):
    """Photos are read some at a time: no more of Python's memory for twice as many of 8 kB of Exif."""
    entries = dumps({("IFD0", "Make"): "Canon", ("IFD0", "Model"): "Canon EOS 5D", ("ExifIFD", "Note"): "x" * 8_000})
    with State(tmp_path / "state", create=True) as state:
        with state.transaction() as db:
            for id in range(1, count + 1):
                urls = json.dumps({"l": [f"https://example.org/{id}.jpg", 10, 10]})
                db.execute(
                    "INSERT INTO photos (id, owner, source, urls, rank, selected) VALUES (?, ?, 'search', ?, 0, 1)",
                    (id, f"owner {id % 50}", urls),
                )
                db.execute("INSERT INTO exif VALUES (?, ?)", (id, entries))
        collect(state, pixels=False)  # tables of names, once for a process
        tracemalloc.start()
        found = collect(state, pixels=False)
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
    assert (len(found), found.of("camera_make")[0], found.of("owner")[51]) == (count, "Canon", "owner 2")
    assert peak < 6e6  # Exif alone is 12 and 24 MB
    assert found.table.nbytes < 400 * count


def test_load__without_a_published_hash_a_photo_is_unpinned(flickr, fetched, tmp_path):
    shutil.copytree(fetched, tmp_path / "state")
    with State(tmp_path / "state") as state:
        with state.transaction() as db:  # as search leaves it where nothing was fetched: Exif of Flickr, no hash
            db.execute("DELETE FROM files")
            for at in range(WORLD.count):
                entries = dumps(entries_from_answer({"photo": WORLD.exif_answer(at)}))
                db.execute("INSERT OR REPLACE INTO exif VALUES (?, ?)", (int(WORLD.ids[at]), entries))
        build(state, BuildPlan(tmp_path / "out"))
    published = [row for split in SPLIT_NAMES for row in rows_of(tmp_path / "out", "is_smartphone", split)]
    assert {row["sha256"] for row in published} == {""}
    with State(tmp_path / "own", create=True) as state:
        source = str(tmp_path / "out")
        done = load_own_copy(source, state, tmp_path / "copy", PLAN, configs=["is_smartphone"])
    positions = {row["photo_id"]: WORLD.index(int(row["photo_id"])) for row in published}
    gone = {id for id, at in positions.items() if WORLD.deleted(at) or WORLD.silent_placeholder(at)}
    assert gone
    assert (done.loaded, done.unpinned, done.missing) == (len(published) - len(gone),) * 2 + (len(gone),)
    rows = [row for split in SPLIT_NAMES for row in rows_of(tmp_path / "copy", "is_smartphone", split)]
    assert {row["photo_id"] for row in rows} == {row["photo_id"] for row in published} - gone
    for row in rows:
        true = WORLD.file(WORLD.index(int(row["photo_id"])), row["size"])
        assert row["image"]["bytes"] == true
        assert row["sha256"] == f"unpinned:{hashlib.sha256(true).hexdigest()}"
    card = (tmp_path / "copy" / "README.md").read_text()
    assert f"{len(rows)} photos of {len({row['owner'] for row in rows})} people" in card
    licences = Counter(row["licence"] for row in rows)
    for name, count in licences.items():
        assert f"| {name} | {count} |" in card


def test_load__nothing_loaded_is_exit_status_1(flickr, without_pixels, tmp_path, capsys):
    folder = tmp_path / "published"
    shutil.copytree(without_pixels, folder)
    (folder / TOMBSTONES_FILE).unlink()  # of other tests
    kinds = WORLD.kind.copy()
    WORLD.kind[:] = 0.16  # everybody has deleted everything
    options = ["--state", tmp_path / "s", "--output", tmp_path / "c", "--configs", "is_smartphone", "--allow-loopback"]
    try:
        assert main(["load", str(folder), *map(str, options)]) == 1
    finally:
        WORLD.kind[:] = kinds
    count = sum(len(rows_of(folder, "is_smartphone", split)) for split in SPLIT_NAMES)
    assert f"0 photos fetched, 0 in the data set, 0 taken down, {count} not to be had" in capsys.readouterr().out
    assert main(["load", str(folder), *map(str, options), "--retry-failed"]) == 1


def test_build__names_the_class_that_limits_each_attribute(fetched, tmp_path, capsys):
    shutil.copytree(fetched, tmp_path / "state")
    arguments = ["build", "--state", tmp_path / "state", "--workers", 1, "--output"]
    assert main([*map(str, arguments), str(tmp_path / "pixels"), "--pixels"]) == 0
    assert read_build(tmp_path / "pixels").configs == ("metadata",)
    assert main([*map(str, arguments), str(tmp_path / "four"), "--least", "4"]) == 0
    text = capsys.readouterr().out
    said = re.search(
        r"^is_smartphone: 2 classes of (\d+) \+ (\d+) \+ (\d+) photos; fewest photos: ([^;\n]*)", text, re.M
    )
    rows = [rows_of(tmp_path / "four", "is_smartphone", split) for split in SPLIT_NAMES]
    assert [len(part) for part in rows] == [2 * int(n) for n in said.groups()[:3]]
    assert "smartphone (train" in said[4]
    other = re.search(r"^make: no data set, \d classes have 4 .*--least (\d+): (\d) classes of (\d+) \+", text, re.M)
    assert "make" not in read_build(tmp_path / "four").configs
    card = (tmp_path / "four" / "README.md").read_text()
    assert f"| is_smartphone | 2 | {', '.join(said.groups()[:3])} | {said[4]} |" in card
    assert main([*map(str, arguments), str(tmp_path / "least"), "--least", other[1]]) == 0
    counts = Counter(row["make"] for row in rows_of(tmp_path / "least", "make", "train"))
    assert (len(counts), set(counts.values())) == (int(other[2]), {int(other[3])})
