"""The attributes by hand: classes, texts and tolerances; of models, years of release, regional and generic names."""

from datetime import datetime
from fractions import Fraction

import pytest

from builders.exif import (
    ATTRIBUTES,
    OTHER,
    UNKNOWN,
    Acquisition,
    alias_groups,
    canonical_model,
    device_type_of_name,
    devices,
    known_make,
    label,
    questionable_names,
    release_year,
    study_pair_type,
)
from builders.exif.attributes import snapped
from builders.exif.devices import canonical_make

IPHONES = ("iPhone 11", "iPhone 11 Pro Max", "iPhone 12 Pro", "iPhone 12 Pro Max", "iPhone 13 Pro", "iPhone 6",
           "iPhone 6s", "iPhone 7", "iPhone 7 Plus", "iPhone X", "iPhone XR", "iPhone XS")  # fmt: skip

CANON = (
    "10D 20D 300D_DIGITAL 30D 350D_DIGITAL 40D 450D 50D 5D 5D_Mark_II 5D_Mark_III 5D_Mark_IV 600D 60D 6D 6D_Mark_II 70D"
    " 7D 7D_Mark_II 80D 90D DIGITAL_REBEL DIGITAL_REBEL_XT R R5 R6 REBEL_T3i Rebel_T6"
)
NIKON = (
    "D100 D200 D300 D3100 D3200 D40 D5 D50 D500 D5000 D5100 D5200 D5300 D5500 D5600 D600 D610 D70 D700 D7000 D7100"
    " D7200 D750 D7500 D80 D800 D810 D850 D90 Z_6 Z_6_2 Z_9"
)
MODELS = (
    "CYBERSHOT",
    *("Canon EOS " + name.replace("_", " ") for name in CANON.split()),
    *("Canon EOS-1D X", "Canon EOS-1D X Mark II", "E-M1MarkII", "E5700", "E990", "ILCE-6000", "ILCE-6400", "ILCE-7"),
    *("ILCE-7M3", "ILCE-7RM2", "ILCE-7RM3", "Kodak CLAS Digital Film Scanner / HR200"),
    *("NIKON " + name.replace("_", " ").replace("6 2", "6_2") for name in NIKON.split()),
    *("X-T2", "X-T3", "X-T4", *IPHONES),
)
LEFT_OUT = {"CYBERSHOT", "Kodak CLAS Digital Film Scanner / HR200", "Canon EOS DIGITAL REBEL",
            "Canon EOS DIGITAL REBEL XT", "Canon EOS REBEL T3i"}  # fmt: skip
"""Of the clean classes: no body, a scanner, and regional names of bodies with another class."""

CLASSES = {
    "make": "Apple|Canon|EASTMAN KODAK COMPANY|FUJIFILM|NIKON|OLYMPUS OPTICAL CO.,LTD|Panasonic|SONY|samsung",
    "is_smartphone": "not a smartphone|smartphone",
    "exposure": "1/30|1/40|1/50|1/60|1/80|1/100|1/125|1/160|1/200|1/250|1/320|1/400|1/500|1/640|1/800|1/1000",
    "aperture": "1.8|2.0|2.2|2.4|2.8|3.2|3.5|4.0|4.5|5.0|5.6|6.3|7.1|8.0|9.0|10.0|11.0",
    "iso": "50|64|80|100|125|160|200|250|320|400|500|640|800|1000|1600|3200",
    "focal_length": "4.0|4.2|4.3|5.8|6.0|18.0|24.0|28.0|35.0|50.0|55.0|70.0|200.0",
    "flash": "without flash|with flash",
    "year": "|".join(map(str, range(2000, 2025))),
}

TEXTS = {
    "make": ("Make", "Which maker's camera."),
    "model": ("Model", "Which camera model."),
    "smartphone_model": ("Phone model", "Which smartphone model."),
    "is_smartphone": ("Phone or not", "Smartphone or another camera."),
    "exposure": ("Exposure", "Which exposure time."),
    "aperture": ("Aperture", "Which f-number."),
    "iso": ("ISO", "Which ISO speed."),
    "focal_length": ("Focal length", "Which focal length."),
    "flash": ("Flash", "Whether the flash fired."),
    "year": ("Year", "Which year the photo was taken in."),
}


def test_attributes__in_order_with_their_classes():
    assert list(ATTRIBUTES) == list(TEXTS)
    for name, attribute in ATTRIBUTES.items():
        classes = {"model": MODELS, "smartphone_model": IPHONES}.get(name) or tuple(CLASSES[name].split("|"))
        assert attribute.classes["reference"] == classes
        if name == "make":
            classes = ("Apple", "Canon", "FUJIFILM", "Kodak", "NIKON", "OLYMPUS", "Panasonic", "SONY", "samsung")
        if name == "model":
            classes = tuple(sorted({*MODELS} - LEFT_OUT))
        assert attribute.classes["clean"] == classes


def test_attributes__texts_and_kinds():
    assert {name: (a.title, a.explain) for name, a in ATTRIBUTES.items()} == TEXTS
    assert [name for name, a in ATTRIBUTES.items() if a.names_camera] == [*TEXTS][:4]
    tolerances = {"exposure": 1 / 12, "aperture": 1 / 24, "iso": 1 / 12, "focal_length": 1 / 64}
    assert {name: a.tolerance for name, a in ATTRIBUTES.items() if a.tolerance} == tolerances
    phone, camera = Acquisition("Apple", "iPhone 4"), Acquisition("NIKON CORPORATION", "NIKON D1")
    named = {name: [a.find_any(one) for one in (phone, camera)] for name, a in ATTRIBUTES.items() if a.find_any}
    assert named == {
        "make": ["Apple", "NIKON"], "model": ["iPhone 4", "NIKON D1"], "smartphone_model": ["iPhone 4", OTHER],
    }  # fmt: skip


@pytest.mark.parametrize(
    ("name", "inside", "outside", "nearest"),
    [
        ("exposure", "1/105", "1/106", "1/100"),  # a twelfth of an octave: 1/105.95
        ("aperture", "4.1", "4.2", "4.0"),  # 4.117
        ("iso", "3390", "3391", "3200"), ("iso", "48", "47", "50"),
        ("focal_length", "202.1", "202.2", "200.0"), ("focal_length", "69.3", "69.2", "70.0"),
    ],
)  # fmt: skip
def test_snapped__to_the_tolerance(name, inside, outside, nearest):
    assert (snapped(inside, name), snapped(outside, name), snapped("0", name)) == (nearest, OTHER, OTHER)


RELEASED = {
    2000: "E990", 2002: "E5700|NIKON D100", 2003: "Canon EOS 10D|Canon EOS 300D DIGITAL",
    2004: "Canon EOS 20D|NIKON D70", 2005: "Canon EOS 350D DIGITAL|Canon EOS 5D|NIKON D200|NIKON D50",
    2006: "Canon EOS 30D|Canon EOS 400D DIGITAL|NIKON D40|NIKON D80", 2007: "Canon EOS 40D|NIKON D300",
    2008: "Canon EOS 450D|Canon EOS 50D|Canon EOS 5D Mark II|Canon EOS 1000D|NIKON D700|NIKON D90",
    2009: "Canon EOS 500D|Canon EOS 7D|NIKON D5000", 2010: "Canon EOS 550D|Canon EOS 60D|NIKON D3100|NIKON D7000",
    2011: "Canon EOS 600D|Canon EOS 1100D|NIKON D5100",
    2012: "Canon EOS 5D Mark III|Canon EOS 650D|Canon EOS 6D|Canon EOS-1D X|NIKON D3200|NIKON D5200|NIKON D600"
          "|NIKON D800",
    2013: "Canon EOS 700D|Canon EOS 70D|Canon EOS 100D|ILCE-7|NIKON D5300|NIKON D610|NIKON D7100",
    2014: "Canon EOS 7D Mark II|Canon EOS 1200D|ILCE-6000|NIKON D750|NIKON D810|iPhone 6",
    2015: "Canon EOS 750D|Canon EOS 760D|ILCE-7RM2|NIKON D5500|NIKON D7200|iPhone 6s",
    2016: "Canon EOS 5D Mark IV|Canon EOS 80D|Canon EOS Rebel T6|Canon EOS-1D X Mark II|E-M1MarkII|NIKON D5|NIKON D500"
          "|NIKON D5600|X-T2|iPhone 7|iPhone 7 Plus",
    2017: "Canon EOS 6D Mark II|Canon EOS 77D|Canon EOS 800D|Canon EOS 200D|ILCE-7RM3|NIKON D7500|NIKON D850|iPhone X",
    2018: "Canon EOS 2000D|Canon EOS 4000D|Canon EOS R|ILCE-7M3|NIKON Z 6|X-T3|iPhone XR|iPhone XS",
    2019: "Canon EOS 90D|Canon EOS 250D|ILCE-6400|iPhone 11|iPhone 11 Pro Max",
    2020: "Canon EOS 850D|Canon EOS R5|Canon EOS R6|NIKON Z 6_2|X-T4|iPhone 12 Pro|iPhone 12 Pro Max",
    2021: "NIKON Z 9|iPhone 13 Pro",
}  # fmt: skip


def test_release_year__by_hand():
    """Of the makers' announcements."""
    years = {model: year for year, models in RELEASED.items() for model in models.split("|")}
    assert {model: release_year(model) for model in years} == years
    assert set(devices._tables().released) == set(years)
    assert release_year("NIKON D1") is None


REGIONAL = """
300D DIGITAL|DIGITAL REBEL|Kiss Digital, 350D DIGITAL|DIGITAL REBEL XT|Kiss Digital N,
400D DIGITAL|DIGITAL REBEL XTi|Kiss Digital X, 450D|DIGITAL REBEL XSi|Kiss X2, 500D|REBEL T1i|Kiss X3,
550D|REBEL T2i|Kiss X4, 600D|REBEL T3i|Kiss X5, 650D|REBEL T4i|Kiss X6i, 700D|REBEL T5i|Kiss X7i,
750D|Rebel T6i|Kiss X8i, 760D|Rebel T6s|8000D, 77D|9000D, 800D|Rebel T7i|Kiss X9i, 850D|Rebel T8i|Kiss X10i,
100D|REBEL SL1|Kiss X7, 200D|Rebel SL2|Kiss X9, 250D|Rebel SL3|Kiss X10|200D II, 1000D|DIGITAL REBEL XS|Kiss F,
1100D|REBEL T3|Kiss X50, 1200D|REBEL T5|Kiss X70, Rebel T6|1300D|Kiss X80, 2000D|Rebel T7|Kiss X90|1500D,
4000D|Rebel T100|3000D
"""
"""Names of Canon's bodies in Europe, America and Japan; the first is the canonical one."""


def test_canonical_model__regional_names_by_hand():
    groups = [[f"Canon EOS {name}" for name in group.strip().split("|")] for group in REGIONAL.split(",")]
    for group in groups:
        assert {canonical_model(Acquisition(model=name.upper())) for name in group} == {group[0]}
        assert alias_groups((*group, "NIKON D90")) == (tuple(group),)
    names = {" ".join(name.lower().split()) for group in groups for name in group}
    others = {model for model in devices._tables().models.values() if model.lower() not in names}
    assert set(devices._tables().models) == names | {model.lower() for model in others}
    assert alias_groups(("NIKON", "Nikon Corporation", "Acme", "acme", "Sony")) == (("NIKON", "Nikon Corporation"),)


def test_generic_models__by_hand():
    generic = ("CYBERSHOT", "Cyber-shot", "MAVICA", "DIGITALMAVICA", "Digital Mavica", "Digital Camera",
               "DigitalCamera", "Camera",
               "Digital Still Camera", "Camera Phone", "Unknown", "None", "N/A", "Mobile Phone")  # fmt: skip
    assert devices._tables().generic == {name.lower() for name in generic}
    assert {canonical_model(Acquisition(model=f" {name.upper()} ")) for name in generic} == {OTHER}
    names = (*generic, "iPhone X", "Nikon LS-5000", "CanoScan 9000F", "Gran Turismo", "NIKON D90", "Perfection V700")
    assert questionable_names(names) == (*generic, "CanoScan 9000F", "Gran Turismo", "Perfection V700")


def test_study_pair_type__by_hand():
    phones = ("iPhone XR", "Pixel 4", "iPhone SE (3rd generation)", "22101320G", "iPhone 12", "iPhone 14 Pro", "A065",
              "iPhone 12 Pro")  # fmt: skip
    for phone in phones:
        assert study_pair_type(f" {phone.upper()}") == "phone"
    assert (len(devices._tables().study_phones), devices._tables().study_cameras) == (8, {"xt1032"})
    assert [study_pair_type(name) for name in ("xt1032", "iPhone 13", "")] == ["camera", None, None]


@pytest.mark.parametrize(
    ("name", "device"),
    [
        # of a maker whose devices are phones, the type that a rule gives comes first, with or without the maker's name
        ("Google Pixel C", "tablet"), ("Pixel C", "tablet"), ("samsung SM-T800", "tablet"), ("SAMSUNG NX500", "camera"),
        ("Xiaomi", "phone"), ("Sony Ericsson W800i", "phone"), ("Sony", "camera"), ("  iPhone   4 ", "phone"),
        ("", UNKNOWN), ("NIKONOS", UNKNOWN), ("Nikon-D1", "camera"), ("SM-S928B edited", "phone"),
    ],
)  # fmt: skip
def test_device_type_of_name__with_the_maker_or_without(name, device):
    assert device_type_of_name(name) == device


@pytest.mark.parametrize(
    ("make", "model", "canonical"),
    [
        ("SAMSUNG", None, "samsung"), ("SAMSUNG", "Galaxy Camera", "samsung"),
        ("Samsung", "  NX500", "SAMSUNG TECHWIN"),
        ("RICOH", "Pentax  K-1", "PENTAX"), ("RICOH", "pentaxian", "RICOH"), ("Acme", "PENTAX K-1", "Acme"),
        ("  Acme   Inc ", None, "Acme Inc"), ("Nikonos", None, "Nikonos"),
        ("Sony5 Y", None, "Sony5 Y"), ("NIKON-X", None, "NIKON"),
        ("Sony Ericsson Mobile", None, "Sony Ericsson"), ("SonyEricsson", None, "Sony Ericsson"),
    ],
)  # fmt: skip
def test_canonical_make__by_whole_words(make, model, canonical):
    assert canonical_make(Acquisition(make=make, model=model)) == canonical
    assert known_make(make) is (canonical not in ("Acme", "Acme Inc", "Nikonos", "Sony5 Y"))


@pytest.mark.parametrize(
    ("model", "canonical"),
    [("  canon  eos  r5 ", "Canon EOS R5"), ("samsung SM-G900", "SM-G900"), ("SM-G9000AB1", "SM-G9000"),
     ("SM-G90A", "SM-G90A"), ("Samsung SPH-L720T", "SPH-L720T"), ("samsung sm-g900f x", "samsung sm-g900f x"),
     ("XSM-G900F", "XSM-G900F"), ("My   Camera", "My Camera")],
)  # fmt: skip
def test_canonical_model__variants_and_blanks(model, canonical):
    assert canonical_model(Acquisition(model=model)) == canonical


@pytest.mark.parametrize(
    ("taken", "clean"),
    [
        (Acquisition("Epson", "Perfection V700", taken=datetime(2010, 1, 1)), OTHER),
        (Acquisition("Polyphony Digital", "x", taken=datetime(2010, 1, 1)), OTHER),
        (Acquisition("DJI", "FC300X", taken=datetime(2010, 1, 1)), "2010"),
        (Acquisition("Apple", "iPad", taken=datetime(2010, 1, 1)), "2010"),
        (Acquisition("Epson", "Perfection V700"), UNKNOWN),
    ],
)
def test_label__of_what_is_no_camera(taken, clean):
    assert label(taken, "year", "clean") == clean
    assert label(taken, "year", "reference") == (UNKNOWN if taken.taken is None else "2010")


def test_label__of_numbers_with_fractions():
    assert label(Acquisition(exposure_s=Fraction(2, 121)), "exposure", "reference") == OTHER  # 1/60.5: rounded up
    assert label(Acquisition(exposure_s=Fraction(4, 241)), "exposure", "reference") == "1/60"
