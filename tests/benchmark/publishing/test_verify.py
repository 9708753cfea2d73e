"""What a stranger is told about published results."""

import pytest

from benchmark.cli.sharing.verify import main
from benchmark.publishing import VERDICTS, Verification, verified
from benchmark.publishing.files import result_path
from benchmark.publishing.provenance import codec_objection, known_codecs
from benchmark.results import ResultFile
from builders.files import write_text_atomically
from builders.pixels import codec_canary, codec_versions

OTHER = {"codec": {"pillow": "12.0.0"}, "codec_canary": "fb0aec8615dad61c"}


@pytest.mark.parametrize(
    ("part", "values", "verdict", "why"),
    [
        ("cost", {}, "repeatable here", ""),
        ("environment", OTHER, "other codec", "Pillow 11.0.0 or"),
        ("environment", {"codec_canary": "0" * 16, "codec": {"pillow": "99"}}, "unknown codec", "0000000000000000"),
        ("environment", {"device": None, "options": {"seed": 0}}, "lacks provenance", "device, environment.opt"),
        ("encoder", {"library": "callable", "revision": None, "id": "mine:encode"}, "private inputs", "mine:encode"),
        ("data", {"name": "folder:photos"}, "private inputs", "folder:photos"),
        ("data", {"question_hash": ""}, "lacks provenance", "data.question_hash"),
        ("environment", {"local": {"model": "MODULE:NAME: your object"}}, "private inputs", "own code, file or object"),
        ("environment", {"local": {"data": "PATH: your folder"}}, "repeatable here", ""),
        ("environment", {"local": {"options": "set in Python"}}, "repeatable here", ""),
    ],
)  # fmt: skip
def test_judge(make, part, values, verdict, why):
    changed = make.changed(make.result(), part, **values)
    measured = verified(ResultFile(result_path(changed), changed), local_canary="78e492f7fbf1fa50")
    if verdict == "repeatable here" and codec_canary() != "78e492f7fbf1fa50":
        pytest.skip("another codec than the one that this case is about")
    assert measured.verdict == verdict
    assert why in measured.why


def test_known_codecs__this_machines_pillow_gives_the_recorded_pixels():
    recorded = [c for c in known_codecs().values() if codec_versions()["pillow"] in c.pillow]
    if not recorded:
        pytest.skip(f"Pillow {codec_versions()['pillow']} is not in the table")
    assert [c.canary for c in recorded] == [codec_canary()]


def test_codec_objection__versions_and_pixels_must_agree(make):
    lying = make.changed(make.result(), "environment", codec={"pillow": "13.0.0"}, codec_canary="fb0aec8615dad61c")
    assert "not that of Pillow 13.0.0" in codec_objection(lying, codec_canary())


def test_verify__names_the_edited_and_the_refused_and_exits_1(tmp_path, make, capsys):
    good = make.result("b/b")
    path = tmp_path / result_path(good)
    write_text_atomically(path, good.to_json())
    assert main([str(tmp_path)]) == 0
    path.write_text(path.read_text().replace('"value": 0.5,', '"value": 0.55,', 1))
    (tmp_path / "results" / "bad.json").write_text("{}")
    assert main([str(tmp_path)]) == 1
    out = capsys.readouterr().out
    assert "| edited " in out
    assert "| refused " in out
    assert "2 results; the codec here is" in out


def test_verdicts__best_first_and_what_each_means():
    assert list(VERDICTS.items()) == [
        ("repeatable here", "everything is recorded and public, and the codec is this machine's"),
        (
            "other codec",
            "everything is recorded and public, but made with other codec versions: install them to repeat it",
        ),
        ("unknown codec", "made with a codec that no listed version of Pillow gives"),
        ("private inputs", "recorded, but only the author has the encoder or the photos"),
        ("lacks provenance", "what is needed to repeat it was not recorded"),
        ("edited", "the content is not the one that the file's name was made of"),
        ("refused", "not a result that this camtrace reads"),
    ]


def test_verified__every_field_and_reason(make):
    here = codec_canary()
    made = make.result("org/a", data="imagenet")
    name = result_path(made)
    assert verified(ResultFile(name, made)) == Verification(name, "org/a", "imagenet", "repeatable here", "")
    older = make.changed(made, "data", question_hash=None)
    assert verified(ResultFile("a.json", older), here).why == (
        "photos by their ids alone: files of version 1 do not name attributes and clusters"
    )
    assert verified(ResultFile(name, older), here).verdict == "edited"
    assert verified(ResultFile(name, older), here).why == "its SHA-256 is another"
    lacking = make.changed(make.changed(made, "encoder", pooling=""), "data", bytes_hash=None)
    assert verified(ResultFile("a.json", lacking)).why == "encoder.pooling, data.bytes_hash"
    codecs = list(known_codecs().values())
    for codec in codecs:
        old = make.changed(made, "environment", codec={"pillow": codec.pillow[0]}, codec_canary=codec.canary)
        checked = verified(ResultFile("a.json", old), "of no codec")
        assert (checked.verdict, checked.why) == (
            "other codec",
            f"codec canary {codec.canary}: Pillow {' or '.join(codec.pillow)}",
        )
