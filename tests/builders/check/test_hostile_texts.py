"""Texts of an untrusted build with commands to the terminal: the checks, the page and the differences escape each one.

A build is made twice, with hostile texts and with the same texts escaped before: both give the same.
"""

import json

import pytest
from datasets import ClassLabel, Dataset, Features, Value

from builders.check import diff_builds, diff_text
from builders.check.report.facts import NOT_KNOWN, Count, report_facts
from builders.dataset import FAILURES_FILE
from builders.untrusted import readable
from tests.support.built_folders import write_build

WORDS = Value("string")


def hostile(text: str) -> str:
    return f"{text}\x1b[2J\u202e\n"


def escaped(text: str) -> str:
    return readable(hostile(text))


def long(text: str) -> str:
    """An escape is cut where 200, 300 or 500 characters end."""
    return text + "\x1b" * 200


@pytest.fixture
def facts_of(tmp_path):
    def of(text, folder, *, licences=True):
        """Facts of a build all of whose texts are made by ``text``."""
        place = tmp_path / folder
        place.mkdir()
        features = {
            "photo_id": WORDS, "label": ClassLabel(names=[text("cat"), "dog"]), "owner": WORDS, "camera": WORDS,
            text("label_make"): WORDS, **({"licence": WORDS} if licences else {}),
        }  # fmt: skip
        columns = {
            "photo_id": [text("p"), "q", "r"], "label": [0, 1, 0], "owner": [text("ann"), "bob", ""],
            "camera": [text("D90"), text("D90"), None], text("label_make"): ["x", text("y"), "x"],
            "licence": [text("cc0-1.0"), text("cc0-1.0"), ""],
        }  # fmt: skip
        table = Dataset.from_dict({name: columns[name] for name in features}, Features(features))
        recipe = {
            "source": text("folder:mine"), "license": text("mine"), "evidence": {text("key"): text("value")},
            "source_evidence": {"long": text("x") * 200}, "left_out": {text("gone"): 2, long("l"): 1},
        }  # fmt: skip
        write_build(place, {("jpeg", "train"): table}, recipe=recipe)
        failures = [
            {"id": text("f"), "reason": text("broken")}, {"id": "g", "reason": text("broken")}, {},
            {"id": long("i"), "reason": long("r")},
        ]  # fmt: skip
        lines = "\n".join(map(json.dumps, failures))
        (place / FAILURES_FILE).write_text(lines)
        return report_facts(place)

    return of


def test_report_facts__of_hostile_texts_are_those_of_escaped_ones(facts_of):
    made, expected = facts_of(hostile, "a"), facts_of(escaped, "b")
    for field in ("photos", "distributions", "classes", "duplicates", "missing", "licences", "evidence"):
        assert getattr(made, field) == getattr(expected, field)
    assert made.classes[0].classes == ((escaped("cat"), (2,)), ("dog", (1,)))
    assert [d.title for d in made.distributions] == [
        "Labels", "Owners", "Devices", "Licences", f"Label {escaped('make')}",
    ]  # fmt: skip
    assert [[c.name for c in d.counts] for d in made.distributions] == [
        [escaped("cat"), "dog"], [escaped("ann"), "bob", NOT_KNOWN], [escaped("D90"), NOT_KNOWN],
        [escaped("cc0-1.0"), NOT_KNOWN], ["x", escaped("y")],
    ]  # fmt: skip
    assert [(m.reason, m.photos, m.examples) for m in made.missing] == [
        (escaped("broken"), 2, (escaped("f"), "g")), (escaped("gone"), 2, ()),
        (("r" + r"\x1b" * 200)[:300], 1, (("i" + r"\x1b" * 200)[:200],)), (("l" + r"\x1b" * 200)[:300], 1, ()),
    ]  # fmt: skip
    assert made.licences == (Count(escaped("cc0-1.0"), 2, 2 / 3), Count(NOT_KNOWN, 1, 1 / 3))
    assert made.evidence == (
        ("source", escaped("folder:mine")), ("licence of the data set", escaped("mine")),
        ("long", (escaped("x") * 200)[:500]), (escaped("key"), escaped("value")),
    )  # fmt: skip


def test_report_facts__the_licence_of_the_data_set_and_the_name_of_the_folder_are_escaped(facts_of):
    made = facts_of(hostile, "a\x1b\n", licences=False)
    assert (made.folder, made.licences) == (r"a\x1b\x0a", (Count(escaped("mine"), 3, 1.0),))


def test_diff_text__of_hostile_texts_is_that_of_escaped_ones(tmp_path):
    def text_of(text):
        features = Features({"photo_id": WORDS, "sha256": WORDS, text("make"): WORDS})
        rows = {
            "first": [(text("same"), "1", "m"), (text("lost"), "1", "m"), (text("other"), "1", text("m"))],
            "second": [(text("same"), "2", "m"), (text("new"), "1", "m"), (text("other"), "1", "n")],
        }
        tables = {
            name: {"train": Dataset.from_dict(dict(zip(features, zip(*of, strict=True), strict=True)), features)}
            for name, of in rows.items()
        }
        recipes = {"first": {text("seed"): text("0")}, "second": {text("seed"): 1}}
        place = tmp_path / text.__name__
        for name, table in tables.items():
            write_build(place / name, {("jpeg", "train"): table["train"]}, recipe=recipes[name])
        return diff_text(diff_builds(place / "first", place / "second"))

    made = text_of(hostile)
    assert made == text_of(escaped)
    assert made.splitlines() == [
        "jpeg: 0 photos equal", f"  added: 1 ({escaped('new')})", f"  lost: 1 ({escaped('lost')})",
        f"  other bytes: 1 ({escaped('same')})", f"  other {escaped('make')}: 1 ({escaped('other')})",
        f"setting {escaped('seed')}: {escaped('0')} -> 1",
    ]  # fmt: skip
