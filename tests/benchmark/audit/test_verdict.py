"""Sentences of an audit, by hand-made findings: which one speaks, with which numbers, and which stay silent."""

from types import SimpleNamespace

import pandas as pd
import pytest

from benchmark.audit import verdict
from benchmark.audit.result import Carrier, LayerScore, Question
from benchmark.audit.verdict import findings_of, repairs_of
from benchmark.judgement import ConfoundVerdict

RARE = Carrier("GIMP", "fake", share=0.8, elsewhere=0.004)


VERDICT = ConfoundVerdict("yes", "", "", 1.0, False)


def question(feature="software", layer="exif", target="label", value=0.5, flagged=True, content=False, **more):
    values = {"title": feature, "measure": "V", "raw": value, "p_value": 0.001, "adjusted": 0.002, "n": 100}
    values |= {"distinct": 2, "carriers": (RARE,)} | more
    return Question(target, feature, layer=layer, value=value, flagged=flagged, content=content, **values)


def layer(name, accuracy=0.9, flagged=True, target="label", content=False, **more):
    values = {"low": accuracy - 0.1, "high": accuracy + 0.1, "chance": 0.5, "n": 1200, "classes": 2}
    values |= {"p_value": 0.001, "adjusted": 0.002} | more
    return LayerScore(target, name, f"the {name}", accuracy, flagged=flagged, content=content, **values)


def tally(labels=("real", "fake"), unreadable=0, sources=("a",), owners=None):
    names = {"label": dict.fromkeys(labels), "source": dict.fromkeys(sources)}
    sample = pd.DataFrame({"owner": owners or ["", "", ""]})
    return SimpleNamespace(names=names, photos=12_000, unreadable=unreadable, sample=sample, unit="slide")


@pytest.fixture(autouse=True)
def power(monkeypatch):
    """What could have been found; ``power`` has tests of its own."""
    monkeypatch.setattr(verdict, "smallest_effects", lambda tally, questions, tests: tests)
    monkeypatch.setattr(verdict, "power_text", lambda tests, rule: f"Power of {tests} tests.")
    monkeypatch.setattr(verdict, "untestable_titles", lambda tally, questions, tests: ["maker", f"{tests} tests"][:0])


GIMP = "80 % of fake have software GIMP (0.4 % elsewhere)."


FINDINGS = {
    "split": ([question(target="split", value=0.3)], [], f"The split goes with the software (V = 0.30): {GIMP}"),
    "source": ([question(target="source")], [], f"The source goes with the software (V = 0.50): {GIMP}"),
    "best": (
        [question(target="split")],
        [layer("exif", 0.7, target="split"), layer("size", 0.8, target="split")],
        f"The split can be predicted at 80 % from the size (chance 50 %): {GIMP}",
    ),
    "pixels": ([], [layer("pixels", 0.7)], "From the pixels the label can be predicted at 70 % (chance 50 %, 1,200 "
        "photos): what the pictures show, or how they were made; this layer does not tell which."),
    "hidden": ([], [layer("hidden", 0.7)], "most of what the picture shows is hidden there, so it may well be how"),
    "weight": ([], [layer("weight", 0.5, flagged=False)], "photos): nothing was found there."),
    "recalls": ([], [layer("file", recalls=dict.fromkeys("abcdef", 0.5))], "The classes that the file tells best: "
        "a (50 %), b (50 %), c (50 %), d (50 %), e (50 %)."),
}  # fmt: skip


@pytest.mark.parametrize("name", FINDINGS)
def test_findings_of__one_sentence_each(name):
    questions, layers, sentence = FINDINGS[name]
    (finding,) = findings_of(VERDICT, tally(), questions, layers, [])
    assert sentence in finding


REPAIRS = {"header": 2, "exif": 2, "size": 1, "origin": 1, "pixels": 1, "hidden": 0}


def test_repairs_of__each_once_in_one_order():
    every = repairs_of([question(layer=name) for name in REPAIRS], [layer("header")])
    words = ("reencode", "match keeps", "Size", "sources", "pixels are")
    assert [word for word, sentence in zip(words, every, strict=True) if word in sentence] == list(words)
