"""What paths of camera sets say, one by one; and by hand what is counted, missing, drawn and ordered."""

from __future__ import annotations

import pytest

from builders.errors import DataError
from builders.sources import ES_GRIDS, SIMULATED_FILE
from builders.sources.cameras.archives import entries_below, is_junk
from builders.sources.cameras.design import (
    Oddities,
    design_text,
    missing_text,
    not_a_photo,
    simulated_evidence,
    stated_facts,
)
from builders.sources.cameras.layouts import LAYOUTS, NOT_OF_LAYOUT, Capture, PathLayout

ELSEWHERE = {
    "device": "photos in the folder of another device than their name says",
    "platform": "photos in the folder of another platform than their name says",
    "flat": "pictures of flat fields, which show no scene",
    "reference": "reference pictures, which no camera took",
    "number": "photos with the number of a setting that there is not",
    "scanner": "files whose name is no scanner of SCORPION",
}


@pytest.mark.parametrize(
    ("kind", "path", "expected"),
    [
        ("fodb", "D01_A_B_1/orig/D01_img_orig_0001.jpg", ("0001", "D01", "A_B_1", "original", False)),
        ("fodb", "x/D7_A/FACEBOOK/d07_IMG_Facebook_12.JPG", ("0012", "D07", "A", "facebook", False)),
        ("fodb", "D01/D01_img_orig_0001 (1).jpg", ("0001", "D01", "", "original", True)),
        ("fodb", "D01/D01_img_orig_0001-copy.jpg", ("0001", "D01", "", "original", True)),
        ("fodb", "D01_img_twitter_0001.jpg", ("0001", "D01", "", "twitter", False)),
        ("fodb", "D02_A/orig/D01_img_orig_0001.jpg", "device"),
        ("fodb", "D01_A/twitter/D01_img_orig_0001.jpg", "platform"),
        ("fodb", "D01_A/original/D01_img_orig_0001.jpg", ("0001", "D01", "A", "original", False)),
        ("fodb", "D01_A/orig/D01_img_myspace_0001.jpg", NOT_OF_LAYOUT),
        ("fodb", "D01_A/orig/notes.jpg", NOT_OF_LAYOUT),
        ("fodb", "D09_X/D01_A/D01_img_orig_0001.jpg", ("0001", "D01", "A", "original", False)),
        ("vision", "D05_Apple_iPhone5c/images/nat/D05_I_nat_0001.jpg",
         ("D05/0001", "D05", "Apple_iPhone5c", "original", False)),
        ("vision", "D05_A/images/natFBH/D05_I_natFBH_7.jpg", ("D05/0007", "D05", "A", "facebook-high", False)),
        ("vision", "D05_A/D05_natFBL_7.jpg", ("D05/0007", "D05", "A", "facebook-low", False)),
        ("vision", "D05_A/D05_I_natWA_7.jpg", ("D05/0007", "D05", "A", "whatsapp", False)),
        ("vision", "D05_A/images/flat/D05_I_flat_0001.jpg", "flat"),
        ("vision", "D05_A/videos/D05_V_nat_0001.jpg", NOT_OF_LAYOUT),
        ("scorpion", "slide_1/sample_2/AT2.jpg", ("slide_1/sample_2", "AT2", "AT2", "", False)),
        ("scorpion", "x/SLIDE_1/Sample_2/philips.png", ("slide_1/sample_2", "Philips", "Philips", "", False)),
        ("scorpion", "y/slide_1-sample_2-tile_0_1-DP200.jpg",
         ("slide_1/sample_2/tile_0_1", "DP200", "DP200", "", False)),
        ("scorpion", "slide_1/sample_2/Leica.jpg", "scanner"),
        ("scorpion", "slide_1/AT2.jpg", NOT_OF_LAYOUT), ("scorpion", "AT2.jpg", NOT_OF_LAYOUT),
        ("scorpion", "slide_x/sample_2/AT2.jpg", NOT_OF_LAYOUT),
        ("plism", "GIVH_AT2_to_GMH_S60/tile_16_100_127.png", ("tile_16_100_127", "AT2", "AT2", "", False)),
        ("plism", "a/giv_s60_to_gmh_s60.tiff/TILE_1_2_3.png", ("tile_1_2_3", "S60", "S60", "", False)),
        ("plism", "tile_1_2_3.png", NOT_OF_LAYOUT), ("plism", "GIVH_AT2/tile_1_2_3.png", NOT_OF_LAYOUT),
        ("plism", "GIVH_AT2_to_GMH_S60/tile_1_2.png", NOT_OF_LAYOUT),
    ],
)  # fmt: skip
def test_path__says_what_a_photo_is(kind, path, expected):
    parsed = LAYOUTS[kind].parse(tuple(path.split("/")))
    if isinstance(expected, str):
        assert parsed == ELSEWHERE.get(expected, expected)
        return
    assert (parsed.scene, parsed.device, parsed.name, parsed.platform, parsed.further) == expected
    assert path.lower().replace(".tiff/", "/").endswith(parsed.id.lower())


ES = "es-test/param_control/l1/param_2/n02099601/a.JPEG"


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        (ES, ("n02099601/a", "es-test", "l1", "param 2", {"aperture": "5.0", "exposure": "1/4", "iso": "2000"})),
        (f"x/y/{ES}",
         ("n02099601/a", "es-test", "l1", "param 2", {"aperture": "5.0", "exposure": "1/4", "iso": "2000"})),
        (ES.replace("param_2/", "param_27/"),
         ("n02099601/a", "es-test", "l1", "param 27", {"aperture": "16.0", "exposure": "1/1000", "iso": "16000"})),
        (ES.replace("es-test", "es-val").replace("param_2/", "param_64/"),
         ("n02099601/a", "es-val", "l1", "param 64", {"aperture": "20.0", "exposure": "1/1250", "iso": "12800"})),
        (ES.replace("param_control", "auto_exposure"), ("n02099601/a", "es-test", "l1", "auto 2", {})),
        (ES.removeprefix("es-test/"), ("n02099601/a", "", "l1", "param 2", {})),
        (ES.replace("es-test", "es-diverse-test").upper().replace("A.JPEG", "a.JPEG"),
         ("n02099601/a", "es-diverse-test", "l1", "param 2", {"aperture": "1", "exposure": "1", "iso": "2"})),
        (ES.replace("param_2/", "param_28/"), "number"), (ES.replace("param_2/", "param_0/"), "number"),
        (ES.replace("l1/", "tin_no_resize/l1/"), "reference"),
        (ES.replace("l1", "sampled_tin_no_resize2"), "reference"),
        (ES.replace("l1/", ""), NOT_OF_LAYOUT), (ES.replace("n02099601", "dog"), NOT_OF_LAYOUT),
        (ES.replace("l1", "light"), NOT_OF_LAYOUT), (ES.replace("param_2/", "setting_2/"), NOT_OF_LAYOUT),
        (ES.replace("param_control", "other"), NOT_OF_LAYOUT), (f"{ES}/b.jpg", NOT_OF_LAYOUT),
    ],
)  # fmt: skip
def test_imagenet_es__settings_of_a_path(path, expected):
    parsed = LAYOUTS["imagenet-es"].parse(tuple(path.split("/")))
    if isinstance(expected, str):
        assert parsed == ELSEWHERE.get(expected, expected)
        return
    assert (parsed.scene, parsed.part, parsed.groups["light"], parsed.groups["setting"], parsed.settings) == expected
    assert parsed.label == "n02099601"


def test_grid__each_setting_once():
    for part, grid in ES_GRIDS.items():
        count = len(grid.iso) ** 3
        settings = [grid.settings(number) for number in range(1, count + 1)]
        assert len({tuple(each.items()) for each in settings}) == count, part
        assert (grid.settings(0), grid.settings(count + 1)) == (None, None)
        assert settings[0] == {"aperture": grid.aperture[0], "exposure": grid.exposure[0], "iso": grid.iso[0]}
        assert settings[1]["iso"] == grid.iso[1]


@pytest.mark.parametrize(
    ("path", "reason"),
    [
        ("a/b.JPG", ""), ("a.heif", ""), ("a.avif", ""), ("a.NEF", "raw"), ("a/.b/c.jpg", "hidden"),
        ("__MACOSX/a.jpg", "hidden"), ("a/Thumbs.db", "hidden"), ("DESKTOP.INI", "hidden"), ("a.txt", "other"),
        ("jpg", "other"), ("a.jpg.txt", "other"),
    ],
)  # fmt: skip
def test_photo__by_its_name(path, reason):
    words = {"": "", "raw": "raw files, which are not developed here: convert them to TIFF",
             "hidden": "files of macOS or Windows, or hidden ones", "other": "other files"}  # fmt: skip
    assert not_a_photo(path) == words[reason]
    assert is_junk(path) is (reason == "hidden")


def test_oddities__the_most_frequent_first_with_its_first_example():
    odd = Oddities()
    assert odd.text() == ""
    for what, example in (("rare", "r"), ("files", "a\n"), ("files", "b")):
        odd.add(what, example)
    assert odd.text() == "files: 2 (the first: a\\x0a); rare: 1 (the first: r)"
    facts = stated_facts({"simulated": "by"}, "2 scenes", "", odd)
    assert (list(facts), facts["design"]) == (["simulated", "design", "left out"], "2 scenes")
    assert facts["left out"].startswith("files: 2 (the first: a")
    assert stated_facts({}, "d", "m", Oddities()) == {"design": "d", "missing": "m"}


def capture(scene, device="D01", platform="original", **more):
    return Capture(f"{device}/{platform}/{scene}", scene, device, platform=platform, **more)


LAYOUT = PathLayout("T", "form", lambda parts: NOT_OF_LAYOUT, 3, 4, "D")


def test_design__sizes_and_what_is_missing():
    whole = [capture(s, d, p) for s in "abcd" for d in ("D01", "D02", "D03") for p in ("original", "web")]
    assert design_text(LAYOUT, whole) == "4 scenes, 3 devices x 2 platforms: 24 photos"
    assert missing_text(LAYOUT, whole) == ""
    fewer = [c for c in whole if c.device != "D02" and c.scene != "d"]
    assert missing_text(LAYOUT, fewer) == "1 of 3 devices (D02); 1 of 4 scenes"
    gap = [c for c in whole if (c.scene, c.device, c.platform) != ("b", "D03", "web")]
    assert missing_text(LAYOUT, gap) == "1 of the 24 photos of these scenes (the first: D03, web, scene b)"
    many = PathLayout("T", "form", LAYOUT.parse, 9, 0, "D")
    assert missing_text(many, whole) == "6 of 9 devices (D04, D05, D06, D07, ... (6))"
    assert missing_text(PathLayout("T", "form", LAYOUT.parse, 5, 0, ""), whole) == "2 of 5 devices"


@pytest.mark.parametrize("depth", [0, 1, 2, 3, 4])
def test_simulated__the_mark_of_the_folder_or_of_three_folders_above(tmp_path, depth):
    folders = [tmp_path, *(tmp_path / "/".join("abcd"[:i]) for i in range(1, 5))]
    folders[-1].mkdir(parents=True)
    (tmp_path / SIMULATED_FILE).write_text('{"simulated": "by\\u200bcamtrace"}')
    entries = entries_below(folders[depth], "fodb")
    stated = {"simulated": "by\\u200bcamtrace"} if depth < 4 else {}
    assert simulated_evidence(entries, folders[depth]) == stated


@pytest.mark.parametrize("text", ["{}", "[]", "no JSON", '{"simulated": 1'])
def test_simulated__a_mark_that_cannot_be_read_is_refused(tmp_path, text):
    (tmp_path / SIMULATED_FILE).write_text(text)
    (tmp_path / "a").mkdir()
    for root in (tmp_path, tmp_path / "a"):
        with pytest.raises(DataError) as error:
            simulated_evidence(entries_below(root, "fodb"), root)
        assert str(error.value).startswith(f"{root}: SIMULATED.json marks a simulated set, and cannot be read (")
