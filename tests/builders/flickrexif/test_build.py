"""From a state to a data set that load_dataset reads: bytes, labels and rights of every row, card, and validator."""

import hashlib
import json
import shutil

import datasets
import numpy as np
import pyarrow.parquet as pq
import pytest
import yaml
from PIL import Image

from builders.data_specs import open_photos
from builders.dataset import read_build
from builders.errors import DataError
from builders.exif import ATTRIBUTES, STUDY_ATTRIBUTES
from builders.flickrexif import LICENCES
from builders.flickrexif.assemble.build import BuildPlan, build
from builders.flickrexif.assemble.check_splits import folder_tables, tables_to_check
from builders.flickrexif.assemble.inspect_files import inspect_files
from builders.flickrexif.search.import_ids import import_rows
from builders.flickrexif.store.store import State
from builders.splits import validate
from tests.builders.splits.test_variants import scene
from tests.support.croissant import described_as_loaded, valid_description
from tests.support.flickr_builds import WORLD, paths_of, rows_of
from tests.support.images import image_bytes
from tests.support.records import check_keys

pytestmark = pytest.mark.slow

RENAMED = {"NIKON CORPORATION": "NIKON", "OLYMPUS OPTICAL CO.,LTD": "OLYMPUS", "EASTMAN KODAK COMPANY": "Kodak"}


def test_build__load_dataset_reads_every_config(with_pixels, tmp_path):
    check_keys("build.json of flickrexif", json.loads((with_pixels / "build.json").read_text("utf-8")))
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


def test_build__card_has_all_sections(without_pixels, with_pixels):
    front = yaml.safe_load((with_pixels / "README.md").read_text().split("---")[1])
    assert (front["source_datasets"], front["language"]) == (["original"], ["en"])
    text = (without_pixels / "README.md").read_text()
    assert "This product uses the Flickr API but is not endorsed or certified by SmugMug, Inc." in text
    assert "no pixels" in text
    assert "me@example.org" in (with_pixels / "README.md").read_text()
    for section in ("### Motivation", "### Take-down", "### Maintenance", "## Licence", "within the cap"):
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
    shutil.copytree(fetched, tmp_path / "state")
    with State(tmp_path / "state") as state:
        build(state, BuildPlan(again, pixels=True, contact="me@example.org"))
        removed = paths_of(again, "model", "train")[0]
        removed.unlink()
        build(state, BuildPlan(again, pixels=True, contact="me@example.org"))
    names = {p.relative_to(again) for p in again.rglob("*.parquet")}
    assert names == {p.relative_to(with_pixels) for p in with_pixels.rglob("*.parquet")}
    assert all((again / name).read_bytes() == (with_pixels / name).read_bytes() for name in names)
    assert (again / "build.json").read_bytes() == (with_pixels / "build.json").read_bytes()


def test_build__mirrored_turned_and_cropped_copies_by_other_owners_are_on_one_side(fetched, tmp_path):
    """Twelve photos of as many owners get the picture of another owner's photo in three ways."""
    shutil.copytree(fetched, tmp_path / "state")
    changes = (
        lambda image: image.transpose(Image.Transpose.FLIP_LEFT_RIGHT),
        lambda image: image.transpose(Image.Transpose.ROTATE_90),
        lambda image: image.crop((12, 9, 108, 81)).transpose(Image.Transpose.ROTATE_180),  # 80 % of both sides
    )
    exif = Image.Exif()
    exif[0x010F], exif[0x0110] = "Canon", "Canon EOS 5D"
    with State(tmp_path / "state") as state:
        photos = state.rows(
            "SELECT min(f.photo_id), path FROM files f JOIN photos p ON p.id = f.photo_id"
            " WHERE f.status = 'ok' GROUP BY owner"
        )
        pairs = [(photos[i], photos[-1 - i], changes[i % 3]) for i in range(12)]
        for i, (original, copy, change) in enumerate(pairs):
            picture = scene(i, (120, 90))
            for (id, path), image in ((original, picture), (copy, change(picture))):
                data = image_bytes(image, "JPEG", quality=90, exif=exif)
                state.path_of(path).write_bytes(data)
                with state.transaction() as db:
                    values = (hashlib.sha256(data).hexdigest(), id)
                    db.execute("UPDATE files SET size = 'o', sha256 = ? WHERE photo_id = ?", values)
        build(state, BuildPlan(tmp_path / "out"))
    rows = {row["photo_id"]: row for row in rows_of(tmp_path / "out", "metadata", "train")}
    sides, distant = set(), 0
    for original, copy, _ in pairs:
        first, second = rows[str(original[0])], rows[str(copy[0])]
        assert first["owner"] != second["owner"]
        assert first["near_duplicates"] == second["near_duplicates"] != ""
        assert first["split"] == second["split"]
        sides.add(first["split"])
        distant += bin(first["perceptual_hash"] ^ second["perceptual_hash"]).count("1") > 4
    assert distant == 12  # the hashes of the whole pictures would not join them
    assert len(sides) > 1
    report = validate(folder_tables(tmp_path / "out"))
    assert report.find("make", "test near-duplicates of train (other id)").value == 0


def test_build__a_state_of_version_2_is_inspected_again_and_gives_the_same_bytes(fetched, without_pixels, tmp_path):
    shutil.copytree(fetched, tmp_path / "state")
    with State(tmp_path / "state") as state:
        inspect_files(state)
        with state.transaction() as db:
            db.execute("ALTER TABLE looks DROP COLUMN variants")
            db.execute("PRAGMA user_version = 2")
    with State(tmp_path / "state") as state:
        removed = state.path_of(state.value("SELECT path FROM files WHERE status = 'ok'"))
        removed.unlink()  # what is known of it stays known
        build(state, BuildPlan(tmp_path / "out", contact="me@example.org"))
        assert state.value("SELECT count(*) FROM looks WHERE variants IS NULL") == 0
        assert state.value("SELECT count(*) FROM looks WHERE length(variants) = 256") > 100
        assert inspect_files(state) == 0
    for path in without_pixels.rglob("*.parquet"):
        assert (tmp_path / "out" / path.relative_to(without_pixels)).read_bytes() == path.read_bytes()


def test_build__near_duplicates_of_given_splits_are_counted(fetched, tmp_path):
    shutil.copytree(fetched, tmp_path / "state")
    with State(tmp_path / "state") as state:
        query = "SELECT photo_id, path FROM files WHERE status = 'ok' LIMIT 2"
        (one, path), (other, other_path) = (tuple(row) for row in state.rows(query))
        shutil.copyfile(state.path_of(path), state.path_of(other_path))
        with state.transaction() as db:
            same = "(SELECT sha256 FROM files WHERE photo_id = ?)"
            db.execute(f"UPDATE files SET sha256 = {same} WHERE photo_id = ?", (one, other))
        given = tmp_path / "make.csv"
        given.write_text(f"id,split,label\n{one},train,a\n{other},test,b\n1,test,a\n")
        built = build(state, BuildPlan(tmp_path / "out", split_files=(given,)))
    assert built.report.find("make", "test near-duplicates of train (other id)").value == 1
    assert built.report.find("make", "test files also in train (other id)").value == 1


def test_build__nothing_there_is_one_sentence(tmp_path):
    with State(tmp_path / "state", create=True) as state, pytest.raises(DataError, match="search"):
        build(state, BuildPlan(tmp_path / "out"))


def test_build__released_splits_are_unchanged_with_their_leaks(tmp_path):
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


@pytest.mark.parametrize("kind", ["with_pixels", "without_pixels"])
def test_build__croissant_says_what_the_card_says(kind, request, tmp_path):
    folder = shutil.copytree(request.getfixturevalue(kind), tmp_path / f"{kind}-described")
    described = described_as_loaded(folder, tmp_path / "cache")
    valid_description(folder)
    assert "no sample of all people" in described["rai:dataBiases"]
    assert "people who did not consent" in described["rai:personalSensitiveInformation"]
    assert "Exif can lie" in described["rai:dataLimitations"].replace("**", "")
