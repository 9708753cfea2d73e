"""Tables about generated photos, by hand-made details."""

import pytest

from benchmark.report.detection import audit_text, detection_text
from benchmark.results import Score
from benchmark.tasks import all_tasks
from tests.benchmark.leaderboard.conftest import result


def score(task="forensics/detect", metric="auc", **details):
    return Score(task, "toy", metric, 0.8, 0.7, 0.9, 321, 0.5, details)


def text(*scores):
    return detection_text(result("a", scores), all_tasks())


def rows(table):
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in table.splitlines() if line[:1] == "|"]


PAIR = {"sources": ["web", "ph\x00one"], "auc": 0.5, "test_photos": 40}
GENERATOR = {"generator": "sd", "auc": 0.9, "photos": 12}
RECALL = {"false_alarms": 0.01, "recall": 0.5, "low": 0.4, "high": 0.6, "real_photos": 100, "generated_photos": 7}


def test_detection_text__pairs_of_sources():
    shown = text(score("forensics/floor", pairs=[PAIR, 5, PAIR]))
    assert shown.startswith("forensics/floor:\n\n| two sources")
    row = ["web and ph\\x00one", "50.0", "40"]
    assert rows(shown) == [["two sources of real photos", "AUC %", "photos"], [":" + "-" * 25, "-" * 4 + ":",
        "-" * 5 + ":"], row, row]  # fmt: skip
    assert len(rows(text(score(pairs=[PAIR] * 41)))) == 2 + 40
    assert text(score(pairs=[]), score(pairs="x"), score()) == ""


def test_detection_text__generators_with_and_without_training():
    assert rows(text(score(by_generator=[GENERATOR])))[::2] == [
        ["generator", "AUC %", "generated photos"],
        ["sd", "90.0", "12"],
    ]
    assert rows(text(score(by_generator=[{**GENERATOR, "auc_if_trained": 0.95}])))[::2] == [
        ["generator", "AUC %, not in training", "in training", "generated photos"],
        ["sd", "90.0", "95.0", "12"],
    ]


def test_detection_text__recalls_with_and_without_an_interval():
    without = {name: value for name, value in RECALL.items() if name not in ("low", "high")}
    head, _, first, second = rows(text(score(recall=[RECALL, without])))
    assert head == ["false alarms %", "generated photos found %", "95 % interval", "real / generated"]
    assert (first, second) == (["1", "50.0", "40.0 to 60.0", "100 / 7"], ["1", "50.0", "-", "100 / 7"])


def test_detection_text__calibration_and_notes():
    calibrated = (
        "forensics/detect: stated probabilities lie 12.3 points from the shares they promise (expected calibration "
        "error, 15 bins, n = 321)."
    )
    assert text(score(calibration_error=0.123)) == calibrated
    assert text(score(calibration_error="x", notes="y")) == ""
    note = "forensics/detect: No\\x00 floor."
    assert text(score(calibration_error=0.123, notes=["No\x00 floor.", "b"]), score(metric="margin", notes=["b"])) == (
        f"{calibrated}\n\n{note}\n\nforensics/detect: b"
    )


def test_detection_text__bias_by_processing():
    row = {
        "both": 0.7,
        "real_only": 0.8,
        "generated_only": 0.6,
        "bias": 0.1,
        "low": 0.05,
        "high": 0.15,
        "p_value": 1e-9,
    }
    shown = text(score("forensics/crossing", "bias", by_processing={"jpeg": row}))
    assert shown.startswith("forensics/crossing:\n\n| AUC % under")
    assert rows(shown)[2] == ["jpeg", "70.0", "80.0", "60.0", "+10.0 (+5.0 to +15.0)"]
    assert rows(shown)[0] == [
        "AUC % under", "all processed", "real ones", "generated ones", "bias, points (95 % interval)",
    ]  # fmt: skip
    assert "looks generated to the detector: jpeg (+10.0 points)" in shown


@pytest.mark.parametrize(
    ("audits", "expected"),
    [
        ([], ""),
        (["x"], ""),
        ([None, {"verdict": "All\x00 well.", "photos": 9}, {"verdict": "b"}],
         "**The files themselves, without any encoder (9 photos)**: All\\x00 well."),
    ],
)  # fmt: skip
def test_audit_text__is_of_the_first_audit(audits, expected):
    assert audit_text(result("a", [score(audit=audit) for audit in audits])) == expected
