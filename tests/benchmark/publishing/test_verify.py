"""What a stranger is told about published results."""

import dataclasses

import pytest

from benchmark.__main__ import camtrace
from benchmark.publishing import VERDICTS, Verification, verified
from benchmark.results import ResultFile
from builders.files import write_text_atomically
from builders.pixels import codec_canary

KNOWN = {"fb0aec8615dad61c": "11.0.0", "78e492f7fbf1fa50": "13.0.0"}
CANARY, PILLOW = next((canary, pillow) for canary, pillow in KNOWN.items() if canary != codec_canary())
OTHER = {"codec": {"pillow": PILLOW}, "codec_canary": CANARY}
UNKNOWN = {"codec": {"pillow": "99"}, "codec_canary": "0" * 16}


@pytest.mark.parametrize(
    ("part", "values", "verdict", "why"),
    [
        ("cost", {}, "repeatable here", ""),
        ("environment", OTHER, "other codec", f"Pillow {PILLOW}"),
        ("environment", UNKNOWN, "unknown codec", "0000000000000000"),
        ("environment", {"device": None, "options": {"seed": 0}}, "lacks provenance", "device"),
        ("data", {"question_hash": ""}, "lacks provenance", "data.question_hash"),
        ("encoder", {"library": "callable", "revision": None, "id": "mine:encode"}, "private inputs", "mine:encode"),
        ("encoder", {"id": "weights:x"}, "private inputs", "weights:x"),
        ("encoder", {"id": "local-dir:x"}, "private inputs", "local-dir:x"),
        ("data", {"name": "folder:photos"}, "private inputs", "folder:photos"),
        ("data", {"name": "exif-folder:photos"}, "private inputs", "exif-folder:photos"),
        ("data", {"name": "hub:x"}, "private inputs", "hub:x"),
        ("data", {"name": "hub:a/b"}, "repeatable here", ""),
        ("data", {"name": "paircams"}, "repeatable here", ""),
        ("environment", {"local": {"model": "MODULE:NAME: your object"}}, "private inputs", "timm/resnet50"),
        ("environment", {"local": {"data": "PATH: your folder"}}, "repeatable here", ""),
        ("environment", {"local": {"options": "set in Python"}}, "repeatable here", ""),
    ],
)
def test_verified__verdict_and_what_it_names(make, part, values, verdict, why):
    changed = make.changed(make.result(), part, **values)
    here = str(make.result().environment["codec_canary"])
    measured = verified(ResultFile(make.path(changed), changed), here)
    assert measured.verdict == verdict
    assert why in measured.why
    assert verdict in VERDICTS


def test_verified__of_several_reasons_the_first(make):
    """Edited, then what lacks, then what is private, then the codec: each is said only where none before it holds."""
    faults = {
        "unknown codec": lambda made: make.changed(made, "environment", **UNKNOWN),
        "private inputs": lambda made: make.changed(made, "data", name="folder:mine"),
        "lacks provenance": lambda made: make.changed(made, "encoder", pooling=""),
    }
    made = make.result("org/a")
    for verdict, fault in faults.items():
        made = fault(made)
        assert verified(ResultFile("a.json", made)).verdict == verdict
    assert verified(ResultFile(make.path(make.result("org/a")), made)).verdict == "edited"


OPTIONAL = {
    *("encoder.parameters", "encoder.group", "encoder.training_data", "encoder.details"),
    *("data.classes", "data.source_jpeg", "data.smoke_test", "data.evidence"),
}
"""What others can repeat a result without, or has a rule of its own."""


def test_verified__names_each_field_that_is_needed_to_repeat_a_result(make):
    made = make.result()
    assert verified(ResultFile(make.path(made), made)) == Verification(
        make.path(made), "timm/resnet50.a1_in1k", "imagenet", "repeatable here", ""
    )
    for part in ("encoder", "data"):
        values = getattr(made, part)
        for name in values.keys() - {"id", "name"}:
            without = dataclasses.replace(made, **{part: {k: v for k, v in values.items() if k != name}})
            lacking = verified(ResultFile("a.json", without))
            if f"{part}.{name}" not in OPTIONAL:
                assert (lacking.verdict, lacking.why) == ("lacks provenance", f"{part}.{name}")
            else:
                assert lacking.verdict == "repeatable here"
    control = make.changed(made, "encoder", revision=None, id="control:jpeg-statistics")
    assert verified(ResultFile("a.json", control)).verdict == "repeatable here"


def test_verified__an_edited_file_by_the_name_of_a_published_result(make):
    made = make.result("org/a")
    folder, encoder, data, name = make.path(made).split("/")
    other = f"{'0' * 16}.json"
    for where, edited in (
        (make.path(made), False),
        (f"{folder}/{encoder}/{data}/{other}", True),
        (f"{folder}/x/y/{name}", False),
        (f"mine/{encoder}/{data}/{other}", False),
        (f"{folder}/{encoder}/{data}/0{other}", False),
    ):
        assert (verified(ResultFile(where, made)).verdict == "edited") is edited, where


def test_verify__names_the_edited_and_the_refused_and_exits_1(tmp_path, make, capsys):
    good = make.result("b/b")
    path = tmp_path / make.path(good)
    write_text_atomically(path, good.to_json())
    assert camtrace(["verify", str(tmp_path)]) == 0
    path.write_text(path.read_text().replace('"value": 0.5,', '"value": 0.55,', 1))
    (tmp_path / "results" / "bad.json").write_text("{}")
    assert camtrace(["verify", str(tmp_path)]) == 1
    out = capsys.readouterr().out
    assert "| edited " in out
    assert "| refused " in out
