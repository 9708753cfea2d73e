"""The attributes by hand: classes, texts and tolerances; of models, years of release, regional and generic names."""

from datetime import datetime
from fractions import Fraction

import pytest

from builders.exif import (
    OTHER,
    UNKNOWN,
    Acquisition,
    canonical_model,
    known_make,
    label,
)
from builders.exif.devices import canonical_make

NIKON = (
    "D100 D200 D300 D3100 D3200 D40 D5 D50 D500 D5000 D5100 D5200 D5300 D5500 D5600 D600 D610 D70 D700 D7000 D7100"
    " D7200 D750 D7500 D80 D800 D810 D850 D90 Z_6 Z_6_2 Z_9"
)


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
