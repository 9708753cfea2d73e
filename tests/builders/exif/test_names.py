"""Names of makes and models: merged names of the clean set, alias tables, device types."""

from __future__ import annotations

import csv
from datetime import datetime
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from builders.exif import (
    OTHER,
    UNKNOWN,
    Acquisition,
    canonical_model,
    device_type,
    device_type_of_name,
    devices,
    label,
)
from builders.exif.devices import canonical_make
from builders.files import read_package_yaml


@pytest.mark.parametrize(
    ("make", "reference", "clean"),
    [
        ("NIKON", "NIKON", "NIKON"),
        ("NIKON CORPORATION", "NIKON", "NIKON"),
        ("OLYMPUS OPTICAL CO.,LTD", "OLYMPUS OPTICAL CO.,LTD", "OLYMPUS"),
        ("OLYMPUS IMAGING CORP.", OTHER, "OLYMPUS"),
        ("OLYMPUS CORPORATION", OTHER, "OLYMPUS"),
        ("OM Digital Solutions", OTHER, "OLYMPUS"),
        ("EASTMAN KODAK COMPANY", "EASTMAN KODAK COMPANY", "Kodak"),
        ("Eastman Kodak Company", OTHER, "Kodak"),
        ("KODAK", OTHER, "Kodak"),
        ("samsung", "samsung", "samsung"),
        ("Samsung Techwin", OTHER, OTHER),
        ("SAMSUNG TECHWIN CO., LTD.", OTHER, OTHER),
        ("Sony Ericsson", OTHER, OTHER),
        ("SONY", "SONY", "SONY"),
        ("FUJI PHOTO FILM CO., LTD.", OTHER, "FUJIFILM"),
        ("FUJIFILM", "FUJIFILM", "FUJIFILM"),
        ("Canon", "Canon", "Canon"),
        ("Panasonic", "Panasonic", "Panasonic"),
        ("Apple", "Apple", "Apple"),
        ("PENTAX Corporation", OTHER, OTHER),
        ("Acme", OTHER, OTHER),
    ],
)
def test_label__make(make, reference, clean):
    assert label(Acquisition(make=make), "make", "reference") == reference
    assert label(Acquisition(make=make), "make", "clean") == clean


def test_make__samsung_the_camera_maker_and_the_phone_maker():
    assert canonical_make(Acquisition(make="SAMSUNG", model="NX300")) == "SAMSUNG TECHWIN"
    assert canonical_make(Acquisition(make="SAMSUNG", model="GT-I9100")) == "samsung"
    assert canonical_make(Acquisition(make="samsung", model="SM-G930F")) == "samsung"
    assert canonical_make(Acquisition(make="Samsung Techwin", model="<Digimax i50 MP3>")) == "SAMSUNG TECHWIN"


@pytest.mark.parametrize(
    ("one", "two"),
    [
        ("Canon EOS 600D", "Canon EOS REBEL T3i"),
        ("Canon EOS 600D", "Canon EOS Kiss X5"),
        ("Canon EOS 300D DIGITAL", "Canon EOS DIGITAL REBEL"),
        ("Canon EOS 350D DIGITAL", "Canon EOS DIGITAL REBEL XT"),
        ("Canon EOS Rebel T6", "Canon EOS 1300D"),
    ],
)
def test_label__regional_names_are_one_body_in_clean_only(one, two):
    first, second = Acquisition(model=one), Acquisition(model=two)
    assert label(first, "model", "clean") == label(second, "model", "clean") != OTHER
    assert label(first, "model", "reference") != label(second, "model", "reference")


@pytest.mark.parametrize("model", ["MAVICA", "DIGITALMAVICA", "Digital Camera", "Cyber-shot", "digital  camera"])
def test_label__a_generic_name_is_no_model(model):
    assert canonical_model(Acquisition(make="SONY", model=model)) == OTHER


@pytest.mark.parametrize(
    ("model", "body"),
    [
        ("SAMSUNG-SM-N900A", "SM-N900"),
        ("SM-N900V", "SM-N900"),
        ("SM-N900R4", "SM-N900"),
        ("SM-N900", "SM-N900"),
        ("SM-N9005", "SM-N9005"),
        ("SM-G900F", "SM-G900"),
        ("sm-g900w8", "SM-G900"),
        ("SAMSUNG-SGH-I337", "SGH-I337"),
        ("SM-N900A edited", "SM-N900A edited"),
        ("ILCE-7M3", "ILCE-7M3"),
    ],
)
def test_model__carrier_variants_are_one_body(model, body):
    assert canonical_model(Acquisition(make="samsung", model=model)) == body


@pytest.mark.parametrize(
    ("make", "model", "canonical"),
    [
        ("RICOH IMAGING COMPANY, LTD.", "PENTAX K-1", "PENTAX"),
        ("RICOH IMAGING COMPANY, LTD.", "GR III", "RICOH"),
        ("RICOH", None, "RICOH"),
        ("Konica Corporation", "KD-500Z", "KONICA"),
        ("KONICA MINOLTA", "DYNAX 5D", "Minolta"),
        ("Konica Minolta Camera, Inc.", "DiMAGE A200", "Minolta"),
        ("FUJI", "SP-3000", "FUJIFILM"),
    ],
)
def test_make__brands_that_changed_hands(make, model, canonical):
    assert canonical_make(Acquisition(make=make, model=model)) == canonical


@pytest.mark.parametrize("model", ["CYBERSHOT", "Kodak CLAS Digital Film Scanner / HR200"])
def test_label__other_devices_than_cameras_are_dropped_in_clean(model):
    assert label(Acquisition(model=model), "model", "clean") == OTHER
    assert label(Acquisition(model=model), "model", "reference") == model


def test_label__a_scanner_takes_no_photo():
    scanned = Acquisition("NIKON", "Nikon SUPER COOLSCAN 5000 ED", iso=100, taken=datetime(2009, 1, 1))
    for name in ("make", "iso", "year"):
        assert label(scanned, name, "clean") == OTHER
    assert label(scanned, "iso", "reference") == "100"


@pytest.mark.parametrize(
    ("make", "model", "device"),
    [
        ("Apple", "iPhone XR", "phone"),
        ("Apple", "iPad Air", "tablet"),
        ("samsung", "SM-G930F", "phone"),
        ("SAMSUNG", "ES65, ES67 / VLUU ES65, ES67 / SAMSUNG SL50", "camera"),
        ("Sony", "E6653", "phone"),
        ("SONY", "ILCE-7M3", "camera"),
        ("SONY", "DSC-WX300", "camera"),
        ("Sony Ericsson", "K750i", "phone"),
        ("HMD Global", "Nokia 8.3 5G", "phone"),
        ("NIKON CORPORATION", "NIKON D90", "camera"),
        ("Nikon", "Nikon LS-5000", "scanner"),
        ("EPSON", "Perfection V700", "scanner"),
        ("SEIKO EPSON CORP.", "R-D1", "camera"),
        ("NORITSU KOKI", "QSS-32_33", "scanner"),
        ("FUJIFILM", "SP-3000", "scanner"),
        ("Kodak", "Kodak CLAS Digital Film Scanner / HR200", "scanner"),
        ("FUJI PHOTO FILM CO., LTD.", "SP-2500", "scanner"),
        ("FUJI", "SP-3000", "scanner"),
        ("FUJIFILM", "FinePix S2500HD", "camera"),
        ("Kodak", "KODAK i260", "scanner"),
        ("Eastman Kodak Company", "i200", "scanner"),
        ("EASTMAN KODAK COMPANY", "KODAK EASYSHARE C613", "camera"),
        ("Canon", "MG5200 series", "scanner"),
        ("Canon", "MP560", "scanner"),
        ("Canon", "Canon MV750i", "camera"),
        ("Canon", "Canon EOS M50", "camera"),
        ("EPSON", "WF-2630", "scanner"),
        ("Seiko Epson Corp.", "PhotoPC 850Z", "camera"),
        ("HP", "HP pstc4380", "scanner"),
        ("HP", "HP PhotoSmart C850 (V05.27)", "camera"),
        ("Brother", "MFC-J5620DW", "scanner"),
        ("Plustek", "OpticFilm 8200i", "scanner"),
        ("KYOCERA", "FINECAM S5", "camera"),
        ("KYOCERA", "KYV37", "phone"),
        ("Arashi Vision", "Insta360 X3", "camera"),
        ("samsung", "SAMSUNG-SM-T337A", "tablet"),
        ("samsung", "SAMSUNG-SM-N900A", "phone"),
        ("DJI", "FC6310", "drone"),
        ("DJI", "DJI OsmoPocket", "camera"),
        ("Hasselblad", "L1D-20c", "drone"),
        ("Polyphony Digital Inc.", "Gran Turismo 5", "software"),
        (None, "iPhone 7", "phone"),
        (None, None, UNKNOWN),
        ("Acme", "Model T", UNKNOWN),
    ],
)
def test_device_type(make, model, device):
    assert device_type(Acquisition(make=make, model=model)) == device


BY_HAND = list(csv.DictReader((Path(__file__).parent / "devices_by_hand.csv").read_text().splitlines()))
"""Devices typed by hand: Exif's Make and Model, and what the device is."""


OF_LISTS = list(csv.DictReader((Path(__file__).parent / "devices_of_lists.csv").read_text().splitlines()))
"""Devices drawn at random from public lists: cameras, phones and drones of lensfun's database 0.3.4 (which states no
type: two phones among its cameras are called so here), phones and tablets of makers with 60 models or more in Matomo's
Device Detector (device-detector 6.5.1), and scanners of SANE's hardware database (sane-backends 1.3)."""


def test_device_type__of_devices_typed_by_hand():
    wrong = [row for row in BY_HAND if device_type(Acquisition(row["make"], row["model"])) != row["type"]]
    assert not wrong


def test_device_type__of_public_lists_none_is_wrong_and_few_are_unknown():
    found = [(row, device_type(Acquisition(row["make"], row["model"]))) for row in OF_LISTS]
    assert not [row for row, kind in found if kind not in {row["type"], UNKNOWN}]
    assert sum(kind == UNKNOWN for _, kind in found) <= 0.1 * len(found)


def test_device_type_of_name__is_right_or_unknown_without_the_maker():
    assert not [row for row in BY_HAND if device_type_of_name(row["model"]) not in {row["type"], UNKNOWN}]


def test_device_type_of_name__most_names_with_and_without_their_maker_are_known():
    assert len(BY_HAND) >= 300
    assert sum(device_type_of_name(row["model"]) == row["type"] for row in BY_HAND) > 200
    assert sum(device_type_of_name(f"{row['make']} {row['model']}") == row["type"] for row in BY_HAND) > 340


CAMERAS = {
    "Canon": "Canon EOS 5D", "EASTMAN KODAK COMPANY": "KODAK DX7590", "FUJIFILM": "X-T3", "NIKON": "COOLPIX P900",
    "OLYMPUS IMAGING CORP.": "E-M5", "OM Digital Solutions": "OM-1", "Panasonic": "DMC-GH4", "SONY": "DSC-RX100",
    "SAMSUNG TECHWIN": "VLUU NV 7", "CASIO COMPUTER CO.,LTD.": "EX-Z75", "GoPro": "HERO5 Black",
    "Hasselblad": "Hasselblad X1D", "LEICA CAMERA AG": "LEICA M10", "Leica": "Q2", "KONICA MINOLTA": "DYNAX 5D",
    "Minolta Co., Ltd.": "DiMAGE 7i", "PENTAX": "PENTAX K-5", "Phase One": "P45+", "Polaroid": "i733",
    "RICOH IMAGING COMPANY, LTD.": "GR III", "RECONYX": "HC500", "SANYO Electric Co.,Ltd.": "VPC-S500",
    "Bushnell": "Trophy Cam", "FLIR": "FLIR E60", "Insta360": "Insta360 ONE X2", "JVC": "GZ-MG555", "KONICA": "KD-500Z",
    "Traveler": "DC-5080", "SIGMA": "SIGMA DP2", "Toshiba": "PDR-M700", "Vivitar": "ViviCam 8400",
}  # fmt: skip

PHONES = {
    "Apple": "iPhone 4S", "samsung": "SM-S901B", "ASUS": "ASUS_Z012D", "BlackBerry": "BlackBerry 9800",
    "Fairphone": "FP4", "Google": "Pixel 6", "HTC": "HTC One_M8", "HUAWEI": "VOG-L29", "Jolla": "Jolla",
    "LG Electronics": "LG-H870", "LGE": "Nexus 5", "Lenovo": "Lenovo K50", "Meizu": "M3 note",
    "Microsoft": "Lumia 950", "Motorola": "moto g(7)", "Nokia": "808 PureView", "Nothing": "A063", "OPPO": "CPH2005",
    "OnePlus": "ONEPLUS A6003", "Palm": "Pre", "SHARP": "SH-04L", "Sony Ericsson": "W800i", "TCL": "T782H",
    "Xiaomi": "MI 9", "ZTE": "ZTE A2017", "vivo": "vivo 1804", "KYOCERA": "KYL22",
}  # fmt: skip

OTHERS = {"Autel Robotics": ("XT705", "drone"), "DJI": ("FC300X", "drone"), "Parrot": ("Anafi", "drone"),
          "Yuneec": ("CGO3", "drone"), "HP": ("scanjet", "scanner")}  # fmt: skip


@pytest.mark.parametrize(
    ("make", "model", "printed"),
    [
        *((make, model, "not a smartphone") for make, model in list(CAMERAS.items())[::3]),
        *((make, model, "smartphone") for make, model in list(PHONES.items())[::3]),
        *((make, model, OTHER) for make, (model, device) in OTHERS.items()),
    ],
)
def test_is_smartphone__of_each_makers_devices(make, model, printed):
    """A device of every maker of the table, as its Exif names it."""
    assert label(Acquisition(make=make, model=model), "is_smartphone") == printed


def test_is_smartphone__reference_knows_six_makers_only():
    pixel = Acquisition(make="Google", model="Pixel 4")
    assert label(pixel, "is_smartphone", "reference") == OTHER
    assert label(pixel, "is_smartphone", "clean") == "smartphone"
    assert label(Acquisition(make="Apple"), "is_smartphone", "reference") == "smartphone"
    assert label(Acquisition(make="NIKON CORPORATION"), "is_smartphone", "reference") == "not a smartphone"


@pytest.mark.parametrize(
    ("make", "printed"),
    [
        ("Apple", "smartphone"), ("apple", OTHER), (None, UNKNOWN), ("SONY", OTHER), ("samsung", OTHER),
        ("Nikon", OTHER),
        *((make, "not a smartphone") for make in (
            "Canon", "FUJIFILM", "NIKON", "NIKON CORPORATION", "OLYMPUS OPTICAL CO.,LTD", "Panasonic")),
        ("OLYMPUS IMAGING CORP.", OTHER), ("EASTMAN KODAK COMPANY", OTHER),
    ],
)  # fmt: skip
def test_is_smartphone__reference_by_the_maker_as_written(make, printed):
    assert label(Acquisition(make=make, model="X"), "is_smartphone", "reference") == printed


def test_questionable_names__scanners_programs_and_generic_names():
    names = ("GIMP 2.10", "iPhone X", "CYBERSHOT", "Kodak CLAS Digital Film Scanner / HR200", "NIKON D90", "Picasa")
    assert devices.questionable_names(names) == (names[0], names[2], names[3], names[5])


def test_aliases__no_name_belongs_to_two_bodies():
    table = read_package_yaml(Path(devices.__file__).with_name("aliases.yaml"))
    names = [n.casefold() for model, entry in table["models"].items() for n in (model, *entry.get("names", ()))]
    assert len(names) == len(set(names))
    beginnings = [n.casefold() for entry in table["makes"].values() for n in entry["names"]]
    assert len(beginnings) == len(set(beginnings))


@given(st.text(max_size=30), st.text(max_size=30))
def test_devices__any_name_has_a_label(make, model):
    acquisition = Acquisition(make=make.strip() or None, model=model.strip() or None)
    assert device_type(acquisition) in {*devices.DEVICE_TYPES, OTHER, UNKNOWN}
    assert canonical_make(acquisition)
    assert canonical_model(acquisition)
