"""The script that compares this Exif reader with ExifTool."""

from __future__ import annotations

import shutil
from datetime import datetime
from fractions import Fraction

import piexif
import pytest

from scripts.checks import exiftool
from tests.support.exif_files import CAMERA, picture


@pytest.mark.parametrize(
    ("field", "reference", "measured", "verdict"),
    [
        ("exposure_s", "0.002557544757", Fraction(1, 391), "equal"),
        ("exposure_s", "0.002557544757", Fraction(1, 390), "UNEXPLAINED"),
        ("exposure_s", "undef", None, "explained"),
        ("exposure_s", "0.01", None, "UNEXPLAINED"),
        ("iso", 65535, None, "explained"),
        ("exposure_s", "4244635", None, "explained"),
        ("f_number", "0.0004", None, "explained"),
        ("f_number", "2.8", None, "UNEXPLAINED"),
        ("iso", None, 100, "UNEXPLAINED"),
        ("iso", None, None, "absent"),
        ("flash_fired", 25, True, "equal"),
        ("flash_fired", 24, True, "UNEXPLAINED"),
        ("make", "Canon", "Canon", "equal"),
        ("make", "Canon", "Cano", "UNEXPLAINED"),
        ("taken", "2021:04:11 15:47:53", datetime(2021, 4, 11, 15, 47, 53), "equal"),
    ],
)
def test_compare_exiftool__verdicts(field, reference, measured, verdict):
    assert exiftool.judge(field, reference, measured)[0] == verdict


@pytest.mark.skipif(shutil.which("exiftool") is None, reason="ExifTool is not installed")
def test_compare_exiftool__photos_of_the_tests(tmp_path, capsys):
    (tmp_path / "camera.jpg").write_bytes(picture(exif=piexif.dump(CAMERA)))
    (tmp_path / "camera.tiff").write_bytes(picture("TIFF", piexif.dump(CAMERA)))
    (tmp_path / "plain.png").write_bytes(picture("PNG"))
    assert exiftool.compare(sorted(tmp_path.iterdir()), workers=1) == 0
    total = next(line for line in capsys.readouterr().out.splitlines() if line.startswith("all"))
    assert total.split()[1:] == ["16", "0", "0", "11"]
