"""Attributes: the study's counts and strings, the clean set's joins, snapping by hand, alias tables."""

from __future__ import annotations

import math
from datetime import datetime
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from builders.errors import UsageError
from builders.exif import devices
from builders.exif.acquisition import Acquisition, acquisition_from_raw, acquisition_from_tags
from builders.exif.attributes import (
    ATTRIBUTES,
    LABEL_SETS,
    OTHER,
    STUDY_ATTRIBUTES,
    UNKNOWN,
    column_spelling,
    label,
    labels_of,
    printed,
    task_spelling,
)
from builders.exif.devices import canonical_make, canonical_model, device_type
from builders.files import read_own_yaml
from builders.photos import UNLABELLED


@pytest.mark.parametrize(
    ("attribute", "reference", "clean"),
    [
        ("make", 9, 9),
        ("model", 88, 83),  # three regional pairs joined, the scanner and CYBERSHOT dropped
        ("smartphone_model", 12, 12),
        ("is_smartphone", 2, 2),
        ("exposure", 16, 16),
        ("aperture", 17, 17),
        ("iso", 16, 16),
        ("focal_length", 13, 13),
        ("flash", 2, 2),
        ("year", 25, 25),
    ],
)
def test_class_counts(attribute, reference, clean):
    classes = ATTRIBUTES[attribute].classes
    assert (len(classes["reference"]), len(classes["clean"])) == (reference, clean)
    for label_set in LABEL_SETS:
        assert len(set(classes[label_set])) == len(classes[label_set])
        assert ATTRIBUTES[attribute].chance(label_set) == 1 / len(classes[label_set])
        assert not {OTHER, UNKNOWN} & set(classes[label_set])


@pytest.mark.parametrize("attribute", ATTRIBUTES)
@pytest.mark.parametrize("label_set", LABEL_SETS)
def test_label__nothing_said_is_unknown(attribute, label_set):
    assert label(Acquisition(), attribute, label_set) == UNKNOWN


@pytest.mark.parametrize("name", ["exposure", "aperture", "iso", "focal_length"])
@pytest.mark.parametrize("label_set", LABEL_SETS)
def test_label__every_class_value_is_its_class(name, label_set):
    field = {"exposure": "exposure_s", "aperture": "f_number", "iso": "iso", "focal_length": "focal_length_mm"}[name]
    for text in ATTRIBUTES[name].classes[label_set]:
        value = int(text) if name == "iso" else Fraction(text)
        assert label(Acquisition(**{field: value}), name, label_set) == text


@pytest.mark.parametrize(
    ("attribute", "raw", "reference", "clean"),
    [
        ("exposure", "10/600", "1/60", "1/60"),
        ("exposure", "0.0166 sec (1/60)", "1/60", "1/60"),
        ("exposure", "512/8809", OTHER, OTHER),  # prints as 1/17: no class
        ("exposure", "1/391", OTHER, "1/400"),  # 0.033 octaves off
        ("exposure", "1/350", OTHER, OTHER),  # 0.129 octaves from 1/320
        ("exposure", "1/24", OTHER, OTHER),
        ("exposure", "1/1100", OTHER, OTHER),
        ("exposure", "30", OTHER, OTHER),
        ("exposure", "1/0", UNKNOWN, UNKNOWN),
        ("aperture", "f/2.8", "2.8", "2.8"),
        ("aperture", "2.79", "2.8", "2.8"),
        ("aperture", "2.88", OTHER, OTHER),  # prints as 2.9, 0.051 octaves off
        ("aperture", "5.7", OTHER, "5.6"),  # 0.026 octaves off
        ("aperture", "2.6", OTHER, OTHER),
        ("iso", "103", OTHER, "100"),
        ("iso", "400", "400", "400"),
        ("iso", "0", UNKNOWN, UNKNOWN),
        ("iso", "6400", OTHER, OTHER),
        ("iso", "1250", OTHER, OTHER),
        ("focal_length", "3.99", "4.0", "4.0"),
        ("focal_length", "17/4", "4.2", "4.2"),
        ("focal_length", "4.15", "4.2", "4.2"),
        ("focal_length", "4.3 mm", "4.3", "4.3"),
        ("focal_length", "4.1", OTHER, OTHER),
        ("focal_length", "50 mm", "50.0", "50.0"),
        ("focal_length", "50.4", OTHER, "50.0"),
        ("focal_length", "51", OTHER, OTHER),
        ("flash", "16", "without flash", "without flash"),
        ("flash", "Auto, Fired", "with flash", "with flash"),
    ],
)
def test_label__numbers_by_hand(attribute, raw, reference, clean):
    tag = {"exposure": "ExposureTime", "aperture": "FNumber", "iso": "ISO", "focal_length": "FocalLength"}
    acquisition = acquisition_from_raw({tag.get(attribute, "Flash"): raw})
    assert label(acquisition, attribute, "reference") == reference
    assert label(acquisition, attribute, "clean") == clean


@given(st.fractions(Fraction(1, 4000), Fraction(40)).filter(bool))
def test_label__exposure_is_the_nearest_class_or_other(value):
    found = label(Acquisition(exposure_s=value), "exposure")
    printed = round(1 / float(value)) if value < Fraction(25001, 100000) else None
    distances = (
        {c: abs(math.log2(float(Fraction(c)) * printed)) for c in ATTRIBUTES["exposure"].classes["clean"]}
        if (printed)
        else {"none": 9.0}
    )
    nearest = min(distances, key=distances.get)
    if abs(distances[nearest] - 1 / 12) > 1e-9 and abs(1 / float(value) % 1 - 0.5) > 1e-9:
        assert found == (nearest if distances[nearest] < 1 / 12 else OTHER)


@given(st.integers(100, 30_000))
def test_label__file_and_flickr_agree_on_focal_length(hundredths):
    """A file says 4.25, Flickr (ExifTool) prints 4.2 mm: one photo, one label."""
    value = Fraction(hundredths, 100)
    flickr = acquisition_from_tags({("ExifIFD", "FocalLength"): f"{float(value):.1f} mm"})
    for label_set in LABEL_SETS:
        assert label(Acquisition(focal_length_mm=value), "focal_length", label_set) == label(
            flickr, "focal_length", label_set
        )


@pytest.mark.parametrize("name", ["exposure", "aperture", "iso", "focal_length"])
def test_tolerance__puts_no_value_into_two_classes(name):
    values = sorted(math.log2(float(Fraction(c))) for c in ATTRIBUTES[name].classes["clean"])
    assert 2 * ATTRIBUTES[name].tolerance < min(np.diff(values))


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
def test_label__what_is_no_body_is_dropped_in_clean(model):
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
        ("Apple", "iPad Air", OTHER),
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
        ("samsung", "SAMSUNG-SM-T337A", OTHER),
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
    ("make", "model", "said"),
    [
        *((make, model, "not a smartphone") for make, model in CAMERAS.items()),
        *((make, model, "smartphone") for make, model in PHONES.items()),
        *((make, model, OTHER) for make, (model, device) in OTHERS.items()),
    ],
)
def test_is_smartphone__of_each_makers_devices(make, model, said):
    """One device of every maker of the table, as it writes itself into Exif."""
    assert label(Acquisition(make=make, model=model), "is_smartphone") == said


def test_is_smartphone__every_maker_of_the_table_is_in_this_test():
    known = {canonical_make(Acquisition(make=make)) for make in (*CAMERAS, *PHONES, *OTHERS)}
    elsewhere = {"Brother", "EPSON", "Noritsu", "Plustek", "Polyphony Digital"}  # test_device_type
    assert set(devices._tables().devices) - elsewhere <= known


def test_is_smartphone__reference_knows_six_makers_only():
    pixel = Acquisition(make="Google", model="Pixel 4")
    assert label(pixel, "is_smartphone", "reference") == OTHER
    assert label(pixel, "is_smartphone", "clean") == "smartphone"
    assert label(Acquisition(make="Apple"), "is_smartphone", "reference") == "smartphone"
    assert label(Acquisition(make="NIKON CORPORATION"), "is_smartphone", "reference") == "not a smartphone"


def test_year__before_the_camera_existed_is_other_in_clean():
    early = Acquisition(make="Canon", model="Canon EOS R5", taken=datetime(2012, 1, 1))
    assert label(early, "year", "reference") == "2012"
    assert label(early, "year", "clean") == OTHER
    assert label(Acquisition(taken=datetime(1998, 1, 1)), "year") == OTHER


def test_year__of_the_release_is_a_year_like_any_other():
    taken = {year: Acquisition(model="Canon EOS 5D", taken=datetime(year, 12, 31)) for year in (2004, 2005, 2006)}
    assert [label(one, "year") for one in taken.values()] == [OTHER, "2005", "2006"]


def test_printed__a_quarter_of_a_second_is_a_fraction_yet():
    assert [printed(Fraction(n, 1000), "exposure") for n in (249, 250, 251)] == ["1/4", "1/4", "0.3"]


def test_labels_of__a_column():
    column = labels_of([Acquisition(iso=100), Acquisition(), Acquisition(iso=99999), Acquisition(iso=50)], "iso")
    assert column.names == ATTRIBUTES["iso"].classes["clean"]
    assert column.values.tolist() == [3, UNLABELLED, UNLABELLED, 0]
    assert column.values.dtype == np.int32


def test_label__unknown_names_are_refused():
    with pytest.raises(UsageError, match="did you mean 'aperture'"):
        label(Acquisition(), "apertur")
    with pytest.raises(UsageError, match="did you mean 'clean'"):
        label(Acquisition(), "make", "clen")


def test_aliases__the_table_is_sound():
    tables = devices._tables()
    assert devices.aliases_version()
    assert set(tables.devices.values()) <= set(devices.DEVICE_TYPES)
    assert {rule.type for rule in tables.rules} <= {*devices.DEVICE_TYPES, OTHER}
    for model in ATTRIBUTES["model"].classes["clean"]:
        assert canonical_model(Acquisition(model=model)) == model  # a canonical name is its own name
        assert 1999 < devices.release_year(model) < 2025
    for make in ATTRIBUTES["make"].classes["clean"]:
        assert make in tables.devices


def test_aliases__no_name_belongs_to_two_bodies():
    table = read_own_yaml(Path(devices.__file__).with_name("aliases.yaml"))
    names = [n.casefold() for model, entry in table["models"].items() for n in (model, *entry.get("names", ()))]
    assert len(names) == len(set(names))
    beginnings = [n.casefold() for entry in table["makes"].values() for n in entry["names"]]
    assert len(beginnings) == len(set(beginnings))


@given(st.text(max_size=30), st.text(max_size=30))
def test_devices__any_name_has_an_answer(make, model):
    acquisition = Acquisition(make=make.strip() or None, model=model.strip() or None)
    assert device_type(acquisition) in {*devices.DEVICE_TYPES, OTHER, UNKNOWN}
    assert canonical_make(acquisition)
    assert canonical_model(acquisition)


def test_attributes__say_what_people_and_tasks_need():
    for name, attribute in ATTRIBUTES.items():
        assert attribute.name == name == column_spelling(attribute.task)
        assert attribute.task == task_spelling(name) == name.replace("_", "-")
        assert attribute.title
        assert attribute.explain.endswith(".")
    assert len(STUDY_ATTRIBUTES) == 8
    assert set(STUDY_ATTRIBUTES) <= set(ATTRIBUTES)
    naming = [name for name in STUDY_ATTRIBUTES if ATTRIBUTES[name].names_camera]
    assert naming == ["make", "model", "smartphone_model", "is_smartphone"]
