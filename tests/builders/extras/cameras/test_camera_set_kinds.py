"""What one kind of camera set alone has: its folders, its parts, or its tables."""

import numpy as np
import pytest

from builders.data_specs import open_photos
from builders.dataset import pixel_rights
from tests.builders.extras.cameras.test_camera_sets import assert_true, photos_in, refusal, table_of
from tests.support.camera_sets import DOUBLES, as_csv, tree_of, write_tree


def test_fodb__contradicting_folders_are_left_out_and_named(tmp_path):
    tree = tree_of("fodb")
    moved = {
        "D01_Motorola_E3_1/orig/D02_img_orig_0050.jpg": b"1",
        "D01_Motorola_E3_1/orig/D01_img_facebook_0051.jpg": b"2",
        "D01_Motorola_E3_1/orig/D01_img_tiktok_0052.jpg": b"3",
        "D01_Motorola_E3_1/orig/D01_img_orig_0001 (1).jpg": b"4",
        "D01_Motorola_E3_1/orig/D01_img_orig_0001_2.jpg": b"5",
    }
    photos = open_photos(f"fodb:{write_tree(tmp_path / 's', {**tree, **moved})}")
    assert_true(photos, "fodb", tree)
    for phrase in (
        "photos in the folder of another device than their name says: 1 (the first: D01_Motorola_E3_1/orig/D02_img",
        "photos in the folder of another platform than their name says: 1",
        "files whose path names no scene or device of the set: 1",
        "further shots or copies of one scene by one device: 2",
    ):
        assert phrase in photos.evidence["left out"]


def test_fodb__photos_without_folders_have_devices_without_names(tmp_path):
    tree = {path.rpartition("/")[2]: data for path, data in tree_of("fodb").items()}
    photos = open_photos(f"fodb:{write_tree(tmp_path / 'flat', tree)}")
    assert set(photos.columns["device"]) == {"D01", "D02", "D03"}
    assert not photos.attributes


def test_vision__flat_fields_show_no_scene(tmp_path):
    flat = {"D01_Samsung_GalaxyS3/images/flat/D01_I_flat_0001.jpg": b"flat"}
    photos = open_photos(f"vision:{write_tree(tmp_path / 's', {**tree_of('vision'), **flat})}")
    assert_true(photos, "vision", tree_of("vision"))
    assert "pictures of flat fields, which show no scene: 1" in photos.evidence["left out"]


def test_imagenet_es__parts_have_settings_of_their_own(tmp_path):
    tree = tree_of("imagenet-es")
    val = {path.replace("es-test", "es-val"): data + b"v" for path, data in tree.items()}
    both = write_tree(tmp_path / "both", {**tree, **val})
    assert "part=es-test" in refusal(f"imagenet-es:{both}")
    assert_true(open_photos(f"imagenet-es:{both}?part=es-test"), "imagenet-es", tree)
    photos = open_photos(f"imagenet-es:{both}?part=es-val")
    at = next(i for i, name in enumerate(photos.ids) if "/l1/param_27/" in name)
    stated = {name: column.names[column.values[at]] for name, column in photos.attributes.items()}
    assert stated == {"aperture": "8.0", "exposure": "1/160", "iso": "3200"}  # 26 is 1 2 2 in base 4
    assert photos.attributes["exposure"].names == ("1/160", "1/20", "0.4")  # of 1/1250, 1/160, 1/20 and 0.4 s
    assert "part=es-train" in refusal(f"imagenet-es:{both}?part=es-train")
    assert "'part'" in refusal(f"fodb:{write_tree(tmp_path / 'f', tree_of('fodb'))}?part=es-val")


def test_imagenet_es__names_of_scenes_are_escaped_in_what_is_missing(tmp_path):
    tree = tree_of("imagenet-es")
    first = next(path for path in tree if "param_" in path)
    moved = f"{first.rpartition('/')[0]}/\x1b[31mred.{first.rpartition('.')[2]}"
    photos = open_photos(f"imagenet-es:{write_tree(tmp_path / 's', {**tree, moved: b'x'})}")
    assert r"\x1b[31mred" in photos.evidence["missing"]
    assert not [text for text in photos.evidence.values() if "\x1b" in text]


def test_imagenet_es__without_its_part_is_refused_unless_settings_tell(tmp_path):
    tree = {path.removeprefix("es-test/"): data for path, data in tree_of("imagenet-es").items()}
    root = write_tree(tmp_path / "some", tree)
    assert "settings" in refusal(f"imagenet-es:{root}")
    assert_true(open_photos(f"imagenet-es:{root}?part=es-test"), "imagenet-es", tree_of("imagenet-es"))
    many = {f"param_control/l1/param_{i}/n0209960{s}/a.JPEG": bytes([i, s]) for i in (1, 64) for s in (1, 2)}
    photos = open_photos(f"imagenet-es:{write_tree(tmp_path / 'many', many)}")
    assert photos.attributes["iso"].names == ("200", "12800")


def test_imagenet_es_diverse__has_levels_for_values(tmp_path):
    tree = {
        f"es-diverse-test/param_control/l{light}/param_{i}/n0209960{s}/a.JPEG": bytes([light, i, s])
        for light in (1, 6)
        for i in range(1, 28)
        for s in (1, 2)
    }
    tree["es-diverse-test/sampled_tin_no_resize2/n02099601/a.JPEG"] = b"r"
    tree["es-diverse-test/param_control/l1/param_28/n02099601/a.JPEG"] = b"s"
    photos = open_photos(f"imagenet-es:{write_tree(tmp_path / 'd', tree)}")
    assert len(photos) == 108
    assert photos.groups["light"].names == ("l1", "l6")
    for attribute in ("aperture", "exposure", "iso"):
        assert photos.attributes[attribute].names == ("1", "2", "3")
        assert np.bincount(photos.attributes[attribute].values).tolist() == [36, 36, 36]
    assert "reference pictures, which no camera took: 1" in photos.evidence["left out"]
    assert "the number of a setting that there is not: 1" in photos.evidence["left out"]


def test_raise__raw_files_alone_are_refused_with_the_remedy(tmp_path):
    tree = tree_of("raise")
    raw = {path.replace(".TIF", ".NEF"): data for path, data in photos_in(tree).items()}
    words = refusal(f"raise:{write_tree(tmp_path / 'set', {**raw, **table_of(tree)})}")
    assert "developed" in words


@pytest.mark.parametrize("image", [False, True])
def test_plism_table__has_scanner_staining_and_tile(image, tmp_path):
    tree, truth = tree_of("plism"), DOUBLES["plism"]()
    write_tree(tmp_path / "set", tree)
    rows = [("slide_id", "stainer", "scanner", "tile_id", "file")]
    rows += [(one["slide"], one["staining"], one["device"], one["scene"], path) for path, one in truth.items()]
    (tmp_path / "set" / "tiles.csv").write_bytes(as_csv(rows))
    photos = open_photos(f"plism:{tmp_path}/set/tiles.csv{'?image=file' if image else ''}")
    assert photos.has_pictures == image
    assert photos.ids == tuple(f"{slide}-{tile}" for slide, _, _, tile, _ in rows[1:])
    for i, one in enumerate(truth.values()):
        for group in ("device", "staining"):
            assert photos.groups[group].names[photos.groups[group].values[i]] == one[group]
        assert photos.columns["scene"][i] == one["scene"]
    if image:
        assert [photos.read(i) for i in range(len(photos))] == list(tree.values())
    assert not pixel_rights(photos).allowed


def test_scorpion__tiles_of_samples_are_scenes(tmp_path):
    tree = {
        f"slide_{s}-sample_1-tile_{i}_0-{scanner}.jpg": bytes([s, i, len(scanner)])
        for s in (1, 2)
        for i in (0, 1)
        for scanner in ("AT2", "Philips")
    }
    photos = open_photos(f"scorpion:{write_tree(tmp_path / 'tiles', tree)}")
    assert len(set(photos.columns["scene"])) == 4
    assert set(photos.columns["cluster"]) == {"slide_1", "slide_2"}
    rows = [("slide_id", "tile_id", "scanner_id")]
    rows += [(name.split("-")[0], name.rpartition("-")[0], name[:-4].split("-")[3]) for name in tree]
    (tmp_path / "t.csv").write_bytes(as_csv(rows))
    table = open_photos(f"scorpion:{tmp_path}/t.csv")
    assert [scene.replace("-", "/") for scene in table.columns["scene"]] == [
        scene for name in tree for scene in [name.rpartition("-")[0].replace("-", "/")]
    ]
    assert set(table.columns["cluster"]) == set(photos.columns["cluster"])
    assert set(table.groups["device"].names) == set(photos.groups["device"].names)
