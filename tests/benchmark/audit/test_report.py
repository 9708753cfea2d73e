"""The report of an audit: every cell of its tables, what carries a finding, and the marks of its figure."""

import dataclasses

from benchmark.audit import Audit, card_section
from benchmark.audit.report import audit_text
from benchmark.audit.result import Carrier
from benchmark.judgement import ConfoundVerdict
from tests.benchmark.audit.test_verdict import layer, question

SHARES = (Carrier("GIMP", "fake", 0.8, 0.004, ("a.jpg", "b`.jpg", "c.jpg")), Carrier("64", "real"))
AUDIT = Audit(
    name="me/photos_1",
    label="label",
    photos=12_000,
    unreadable=1_234,
    unlabelled=0,
    classes={"real": 6000, "fake": 6000},
    class_count=2,
    verdict=ConfoundVerdict("yes", "Confounded", "It can be told from *this*.", 0.8, True),
    findings=("First.", "Second."),
    repairs=("Re-save.",),
    questions=(
        question("software", value=0.5, raw=0.51, carriers=SHARES, n=11_000),
        question("make", value=0.25, measure="eta", adjusted=1e-9, content=True, carriers=()),
        question("iso", target="split", value=0.125, flagged=False),
    ),
    layers=(
        layer("exif", 0.9),
        layer("pixels", 0.7, content=True, chance=0.25, n=500),
        layer("size", 0.5, flagged=False, target="split"),
    ),
    duplicates=(),
    failures=(),
    smallest_effect=0.1,
    settings={},
    evidence={},
)


def test_audit_text__nothing_to_say_has_no_heading():
    text = audit_text(dataclasses.replace(AUDIT, findings=(), repairs=(), questions=(), layers=()))
    assert [line for line in text.splitlines() if line.startswith("#")] == [
        "# Audit of me/photos\\_1",
        "## What this does not show",
    ]
    assert "Every feature has one value alone: there is nothing to ask." in text


def test_card_section__verdict_findings_and_layers():
    text = card_section(AUDIT)
    assert text.startswith(
        "## Audit of codec, size and camera\n\n**Confounded.** It can be told from \\*this\\*.\n\n- First.\n- Second."
    )
    assert text.count("\n#") == 0
    assert "| label from the exif | 90.0 |" in " ".join(text.replace("|", " | ").split())
    assert "By `camtrace audit` of 12,000 photos." in text
