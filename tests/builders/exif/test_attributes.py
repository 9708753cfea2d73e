"""Attributes: the study's counts and strings, snapping by hand."""

from __future__ import annotations

import math
from datetime import datetime
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from builders.errors import UsageError
from builders.exif import (
    ATTRIBUTES,
    LABEL_SETS,
    OTHER,
    UNKNOWN,
    Acquisition,
    acquisition_from_raw,
    acquisition_from_tags,
    label,
)
from builders.exif.attributes import printed


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
def test_label__no_value_is_unknown(attribute, label_set):
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
    result = label(Acquisition(exposure_s=value), "exposure")
    printed = round(1 / float(value)) if value < Fraction(25001, 100000) else None
    distances = (
        {c: abs(math.log2(float(Fraction(c)) * printed)) for c in ATTRIBUTES["exposure"].classes["clean"]}
        if (printed)
        else {"none": 9.0}
    )
    nearest = min(distances, key=distances.get)
    if abs(distances[nearest] - 1 / 12) > 1e-9 and abs(1 / float(value) % 1 - 0.5) > 1e-9:
        assert result == (nearest if distances[nearest] < 1 / 12 else OTHER)


@given(st.integers(100, 30_000))
def test_label__file_and_flickr_agree_on_focal_length(hundredths):
    """A file has 4.25, Flickr (ExifTool) prints 4.2 mm: the label is the same."""
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


@pytest.mark.parametrize("name", ATTRIBUTES)
def test_classes__of_the_study_stand_in_order(name):
    """Of names, the order of characters; of numbers, from the smallest of the printed ones up."""
    classes = ATTRIBUTES[name].classes["reference"]
    if name not in ("is_smartphone", "flash"):  # "no" stands before "yes"
        assert list(classes) == sorted(
            classes, key=(lambda c: c) if "m" in name else (lambda c: float(c[c.find("/") + 1 :]))
        )


def test_year__before_the_camera_existed_is_other_in_clean():
    early = Acquisition(make="Canon", model="Canon EOS R5", taken=datetime(2012, 1, 1))
    assert label(early, "year", "reference") == "2012"
    assert label(early, "year", "clean") == OTHER
    assert label(Acquisition(taken=datetime(1998, 1, 1)), "year") == OTHER


def test_year__of_the_release_is_a_year_like_any_other():
    taken = {year: Acquisition(model="Canon EOS 5D", taken=datetime(year, 12, 31)) for year in (2004, 2005, 2006)}
    assert [label(one, "year") for one in taken.values()] == [OTHER, "2005", "2006"]


def test_printed__a_quarter_of_a_second_is_still_a_fraction():
    assert [printed(Fraction(n, 1000), "exposure") for n in (249, 250, 251)] == ["1/4", "1/4", "0.3"]


def test_label__unknown_names_are_refused():
    with pytest.raises(UsageError, match="'aperture'"):
        label(Acquisition(), "apertur")
    with pytest.raises(UsageError, match="'clean'"):
        label(Acquisition(), "make", "clen")
