"""Duplicates of an audit: confirmed files, nearly equal pictures, ids of streams; and the whole report in its order."""

from types import SimpleNamespace

import numpy as np
import pytest

from benchmark.audit import verdict
from benchmark.audit.result import Duplicates
from benchmark.audit.subjects import PhotoSubject, StreamedSubject
from benchmark.audit.verdict import duplicates_of, findings_of, verdict_of
from benchmark.judgement import ConfoundVerdict
from builders.photos import PhotoSet
from tests.benchmark.audit.test_verdict import GIMP, layer, question, tally


def subject_of(files):
    photos = PhotoSet.of_bytes("some", files)
    return PhotoSubject(photos, photos.labels, None, None)


def counted(content, near=None, labels=None, splits=None, rows=None):
    n = len(content)
    return SimpleNamespace(
        content=np.array(content),
        near=np.zeros(n, np.uint64) if near is None else np.array(near, np.uint64),
        rows=np.arange(n) if rows is None else np.array(rows),
        label_codes=np.zeros(n, int) if labels is None else np.array(labels),
        split_codes=np.zeros(n, int) if splits is None else np.array(splits),
    )


FILES = {"a\x1b": b"1", "b": b"1", "c": b"2", "d": b"2", "e": b"x"}


def test_duplicates_of__rows_are_those_of_the_subject():
    """The second photo could not be read, so positions are not rows."""
    (same,) = duplicates_of(counted([5, 6, 6], rows=[0, 2, 3], labels=[0, 1, 0]), subject_of(FILES))
    assert same == Duplicates("same file", 2, 1, 1, 0, 3, (("c", "d"),))


def test_duplicates_of__a_stream_has_rows_and_is_not_read_again():
    rows = StreamedSubject("hub:x", iter(()), None)
    (same,) = duplicates_of(counted([5, 5, 6, 6], rows=[0, 3, 5, 8], splits=[0, 0, 0, 1]), rows)
    assert same == Duplicates("same file", 4, 2, 0, 1, 4, (("row 5", "row 8"), ("row 0", "row 3")))


def test_duplicates_of__nearly_equal_pictures_of_those_that_were_decoded():
    near = [0, 0xFF00FF00FF00FF00, 0xFF00FF00FF00FF00, 0, 0xFF00FF00FF00FF01, 0x00FF00FF0F0F0F0F]
    files = {f"{i}": bytes([i]) for i in range(6)}
    same, pictures = duplicates_of(counted(range(6), near, labels=[0, 0, 0, 0, 1, 1]), subject_of(files))
    assert (same.kind, same.groups) == ("same file", 0)
    assert pictures == Duplicates("same picture", 3, 1, 1, 0, 4, (("1", "2", "4"),))


@pytest.fixture
def power(monkeypatch):
    calls = []

    def titles(*given):
        calls.append(("untestable_titles", given))
        return ["maker"]

    def effects(*given):
        calls.append(("smallest_effects", given))
        return [(2, 0.1)]

    monkeypatch.setattr(verdict, "untestable_titles", titles)
    monkeypatch.setattr(verdict, "smallest_effects", effects)
    monkeypatch.setattr(verdict, "power_text", lambda effects, rule: f"Power {effects} by {rule}.")
    return calls


def test_findings_of__all_of_them_in_their_order(power):
    counts = tally(unreadable=3, sources=range(201), owners=["x", "x", "y"])
    questions = [question(target="source"), question(target="split"), question()]
    layers = [
        layer("size", 0.9, target="split"),
        layer("file", 0.8, recalls={"real": 0.995, "fake": 0.25}),
        layer("hidden", 0.6, n=40),
        layer("pixels", 0.7, n=50),
        layer("weight", 0.51, n=60, flagged=False),
    ]
    duplicates = [Duplicates("same file", 2, 1, 0, 0, 9), Duplicates("same picture", 6, 3, 0, 0, 9)]
    findings = findings_of(ConfoundVerdict("yes", "", "", 1.0, False), counts, questions, layers, duplicates)
    starts = [
        f"The split can be predicted at 90 % from the size (chance 50 %): {GIMP}",
        f"The source goes with the software (V = 0.50): {GIMP}",
        "The classes that the file tells best: real (99.5 %), fake (25 %).",
        "From the weight the label can be predicted at 51 % (chance 50 %, 60 photos)",
        "From the pixels the label can be predicted at 70 % (chance 50 %, 50 photos)",
        "From the hidden the label can be predicted at 60 % (chance 50 %, 40 photos)",
        "2 files are there more than once, in 1 groups.",
        "6 pictures are (nearly) there more than once, in 3 groups.",
        "3 files could not be read and are left out.",
        "There are more than 200 sources, so they are not examined one by one.",
        "Intervals and p-values are over slides",
        "With so few slides no association with these could have been found, however strong: maker.",
    ]
    assert len(findings) == len(starts)
    for finding, start in zip(findings, starts, strict=True):
        assert finding.startswith(start)
    assert power == [("untestable_titles", (counts, questions, 8))]


def test_verdict_of__the_file_as_a_whole_is_read_by_all_flagged_questions(power):
    """Layers that are not flagged alone: the first flagged question carries it, whatever its layer."""
    layers = [layer("exif", 0.7, flagged=False), layer("file", 0.75), layer("weight", 0.99, content=True)]
    text = verdict_of(tally(), [question("make", layer="exif"), question("width", layer="size")], layers).text
    assert text == (
        "The label can be predicted at 75 % from the file (chance 50 %): 80 % of fake have make GIMP (0.4 % "
        "elsewhere). Any classifier can use this."
    )
