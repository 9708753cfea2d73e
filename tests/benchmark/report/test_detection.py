"""Tables about generated photos, by hand-made details."""

from benchmark.report.detection import detection_text
from benchmark.results import Score
from benchmark.tasks import all_tasks
from tests.benchmark.leaderboard.conftest import result


def score(task="forensics/detect", metric="auc", **details):
    return Score(task, "toy", metric, 0.8, 0.7, 0.9, 321, 0.5, details)


def text(*scores):
    return detection_text(result("a", scores), all_tasks())


def rows(table):
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in table.splitlines() if line[:1] == "|"]


RECALL = {"false_alarms": 0.01, "recall": 0.5, "low": 0.4, "high": 0.6, "real_photos": 100, "generated_photos": 7}


def test_detection_text__recalls_with_and_without_an_interval():
    without = {name: value for name, value in RECALL.items() if name not in ("low", "high")}
    head, _, first, second = rows(text(score(recall=[RECALL, without])))
    assert head == ["false alarms %", "generated photos found %", "95 % interval", "real / generated"]
    assert (first, second) == (["1", "50.0", "40.0 to 60.0", "100 / 7"], ["1", "50.0", "-", "100 / 7"])


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
