"""The report of an audit: every cell of its tables, what carries a finding, and the marks of its figure."""

import dataclasses

import pytest

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


def table_after(text: str, heading: str) -> list[list[str]]:
    lines = text[text.index(heading) :].split("\n\n")[1].splitlines()
    return [[cell.strip() for cell in line.split("|")[1:-1]] for line in lines]


def test_audit_text__tables():
    text = audit_text(AUDIT)
    assert text.startswith(
        "# Audit of me/photos\\_1\n\n**Confounded.** It can be told from \\*this\\*.\n\n12,000 photos"
    )
    assert "- First.\n- Second.\n\n## What would repair it\n\n- Re-save.\n\n" in text
    header, _, *rows = table_after(text, "## Accuracy of predictions")
    assert header == ["what is predicted", "accuracy, %", "95 % interval", "chance, %", "photos", "flagged"]
    assert rows == [
        ["label from the exif", "90.0", "80.0 to 100.0", "50.0", "1,200", "flagged"],
        ["label from the pixels (hint)", "70.0", "60.0 to 80.0", "25.0", "500", "hint"],
        ["split from the size", "50.0", "40.0 to 60.0", "50.0", "1,200", ""],
    ]
    header, _, *rows = table_after(text, "## Questions")
    assert header == ["question", "V or eta", "uncorrected", "p (Holm)", "photos", ""]
    assert rows == [
        ["label and software", "0.500 V", "0.510", "0.0020", "11,000", "flagged"],
        ["label and make", "0.250 eta", "0.250", "< 0.0001", "100", "hint"],
        ["split and iso", "0.125 V", "0.125", "0.0020", "100", ""],
    ]
    assert "more in audit.json" not in text


def test_audit_text__what_carries_it():
    lines = audit_text(AUDIT).partition("## What carries it\n\n")[2].partition("\n\n")[0].splitlines()
    assert [line.rstrip() for line in lines] == [
        "- software, label fake: GIMP 80.0 % against 0.4 % elsewhere (for example `a.jpg`, `b'.jpg`)",
        "- software, label real: 64",
    ]
    many = [question(f"f{i}", carriers=(Carrier("x", "fake"),) * 6) for i in range(9)]
    text = audit_text(dataclasses.replace(AUDIT, questions=tuple(many)))
    assert text.count(", label fake: x") == 8 * 4
    assert "- f8, " not in text
    calm = tuple(dataclasses.replace(q, flagged=False) for q in many)
    assert "What carries it" not in audit_text(dataclasses.replace(AUDIT, questions=calm))


@pytest.mark.parametrize(("count", "rest"), [(15, ""), (16, "1 more in audit.json."), (18, "3 more in audit.json.")])
def test_audit_text__fifteen_questions_are_a_table(count, rest):
    text = audit_text(dataclasses.replace(AUDIT, questions=(AUDIT.questions[2],) * count))
    assert len(table_after(text, "## Questions")) == 2 + 15
    assert ("more in audit.json" in text) is bool(rest)
    assert rest in text


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
