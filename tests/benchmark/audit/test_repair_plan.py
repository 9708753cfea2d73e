"""Parts of repairs against plain loops: strata, shared values, matched draws, windows of sizes; whole plans by hand."""

from collections import Counter
from types import SimpleNamespace

import numpy as np
import pyarrow as pa
import pytest

from benchmark.audit.repair_plan import Repair, plan_repair
from benchmark.audit.subjects import PhotoSubject
from builders.errors import UsageError
from builders.photos import Labels, PhotoSet
from tests.benchmark.audit.test_verdict import question


def scan_of(block=7, **columns):
    """A scan of these columns, in blocks."""
    n = len(next(iter(columns.values())))

    def blocks():
        for start in range(0, n, block):
            yield SimpleNamespace(facts=pa.table({k: v[start : start + block] for k, v in columns.items()}))

    return SimpleNamespace(blocks=blocks)


def planned(repair, columns, labels, questions, names=("real", "fake")):
    n = len(labels)
    photos = PhotoSet.of_bytes("toy", {f"{i}": b"" for i in range(n)})
    subject = PhotoSubject(photos, Labels(names, np.array(labels, np.int32)), None, None)
    audit = SimpleNamespace(name="toy", questions=questions)
    failures = columns.pop("failure", [""] * n)
    return plan_repair(repair, audit, subject, scan_of(failure=failures, **columns))


def test_plan__reencode_by_the_lowest_quality_and_the_worst_chroma():
    columns = {
        "nearest_quality": [90.0, 75.0, None, 40.0, 80.0], "subsampling": ["4:4:4", "grey", "none", "4:2:0", "4:4:4"],
        "failure": ["", "", "", "bad", ""],
    }  # fmt: skip
    plan = planned(Repair("reencode"), dict(columns), [0, 1, 0, 1, -1], [])
    assert (plan.repair, plan.retained.tolist(), plan.photos) == (Repair("reencode", 75, "4:2:0"), [0, 1, 2], 3)
    assert (plan.by_class, plan.matched) == ({"real": (2, 2), "fake": (1, 1)}, ())
    sentences = (
        "Every photo is decoded and saved as baseline JPEG of quality 75, 4:2:0, without metadata.",
        "No photo is lost; 1 that were no JPEG become one, and all lose detail.",
        "Header and Exif then say nothing. Sizes stay as they are, and an earlier compression stays visible in the "
        "pixels of photos that had one.",
    )
    assert plan.sentences == sentences
    columns = {"nearest_quality": [90.0, 30.0, 49.0], "subsampling": ["4:4:4", "grey", None]}
    plan = planned(Repair("reencode"), dict(columns), [0, 1, 0], [])
    assert plan.repair == Repair("reencode", 50, "4:4:4")  # no lower
    assert "coarsely" in plan.sentences[3]
    given = planned(Repair("reencode", 60, "4:2:0"), dict(columns), [0, 1, 0], [])
    assert given.repair == Repair("reencode", 60, "4:2:0")
    none = {"nearest_quality": pa.array([None] * 3, pa.float64()), "subsampling": ["4:2:2", "none", "none"]}
    assert planned(Repair("reencode"), none, [0, 1, 0], []).repair == Repair("reencode", 95, "4:2:0")
    fine = {"nearest_quality": [98.0] * 3, "subsampling": ["4:4:4"] * 3}
    assert planned(Repair("reencode"), fine, [0, 1, 0], []).repair == Repair("reencode", 95, "4:4:4")


FORMATS = {"format": ["JPEG"] * 8, "quality": ["90"] * 8, "subsampling": ["4:4:4"] * 8, "channels": ["3"] * 8}


def test_plan__match_and_drop_say_what_is_done_and_lost():
    make = ["x", "x", "x", "y", "x", "y", "y", "y"]
    columns = {**FORMATS, "dimensions": ["1 x 1"] * 8, "make": make}
    labels = [0, 0, 0, 0, 1, 1, 1, 1]
    questions = [
        question("make"), question("software", flagged=False), question("bytes", layer="weight", content=True),
        question("make", target="split"), question("earlier_quality", layer="pixels"),
    ]  # fmt: skip
    plan = planned(Repair("match"), dict(columns), labels, questions)
    assert plan.by_class == {"real": (4, 2), "fake": (4, 2)}
    assert (plan.matched, plan.photos) == (("make",), 8)
    assert Counter((labels[i], make[i]) for i in plan.retained) == {(k, m): 1 for k in (0, 1) for m in "xy"}
    assert plan.sentences == (
        "Every class will have the same mixture of: camera make.",
        "4 of 8 photos are lost (50 %); the others keep their files.",
        "What was not flagged is not matched, and associations within pixels stay.",
    )
    columns["make"] = ["x", "x", "x", "y", "x", "x", "y", "y"]
    dropped = planned(Repair("drop"), dict(columns), labels, questions)
    assert dropped.retained.tolist() == [0, 1, 2, 4, 5]
    assert dropped.sentences[:2] == (
        "Every class will have one value, the same, of: camera make.",
        "3 of 8 photos are lost (38 %); the others keep their files.",
    )
    with pytest.raises(UsageError) as error:
        planned(Repair("drop"), {**FORMATS, "make": make}, labels, questions)
    assert "--repair" in str(error.value)
    with pytest.raises(UsageError) as error:
        planned(Repair("match"), dict(columns), labels, questions[1:])
    assert "nothing" in str(error.value)


def test_plan__sources_are_matched_too_and_named_as_they_are():
    columns = {**FORMATS, "dimensions": ["1 x 1"] * 8, "source": ["s", "t"] * 4}
    plan = planned(Repair("match"), columns, [0, 0, 0, 0, 1, 1, 1, 1], [question("source", layer="origin")])
    assert (plan.sentences[0], plan.matched) == ("Every class will have the same mixture of: source.", ("source",))
    assert "photos" in plan.sentences[1]


def of_codecs(**changes):
    """Eight JPEG files of class real, two codings; four PNG files of class fake of one size."""
    columns = {
        "format": ["JPEG"] * 8 + ["PNG"] * 4,
        "quality": ["90"] * 5 + ["80"] * 3 + ["none"] * 4,
        "subsampling": ["4:2:0"] * 8 + ["none"] * 4,
        "channels": ["3 x 8 bit"] * 8 + ["RGB x 8 bit"] * 4,
        "dimensions": ["100 x 100", "105 x 95", "200 x 200", "110 x 110", "100 x 90"] + ["100 x 100"] * 7,
    }
    return {**columns, **changes}


def test_plan__of_one_codec_as_fake_or_jpeg_has_it():
    labels = [0] * 8 + [1] * 4
    plan = planned(Repair("match"), of_codecs(), labels, [question("format", layer="header")])
    assert plan.repair == Repair("match", 90, "4:2:0", ("fake",))
    assert (plan.retained.tolist(), plan.matched) == (
        [0, 1, 2, 3, 4, 8, 9, 10, 11],
        ("format", "quality", "subsampling"),
    )
    assert plan.sentences == (
        "Of real the photos of the most frequent coding stay, JPEG of quality 90, 4:2:0: 5 of 8. They keep their "
        "files.",
        "Photos of fake are decoded and saved as JPEG of this quality.",
        "3 of 12 photos are lost (25 %).",
        "Kinds of metadata and the writer of a file, which no pixel depends on, stay as they are.",
    )
    sized = planned(Repair("match"), of_codecs(), labels, [question("dimensions", layer="size")])
    assert sized.retained.tolist() == [0, 1, 3, 4, 8, 9, 10, 11]
    assert sized.matched == ("format", "quality", "subsampling", "dimensions")
    assert "110" in sized.sentences[2]
    assert "12" in sized.sentences[4]


@pytest.mark.parametrize(
    ("changes", "codec", "stay"),
    [
        ({"quality": ["90"] * 6 + ["80"] * 2 + ["none"] * 4}, (90, "4:2:0"), [0, 1, 2, 3, 4, 5]),
        ({"quality": ["90"] * 3 + ["80"] * 5 + ["none"] * 4}, (80, "4:2:0"), [3, 4, 5, 6, 7]),
        ({"quality": ["90"] * 8 + ["none"] * 4, "subsampling": ["4:4:4"] * 5 + ["4:2:0"] * 3 + ["none"] * 4},
         (90, "4:4:4"), [0, 1, 2, 3, 4]),
        ({"quality": ["90"] * 8 + ["none"] * 4, "channels": ["1 x 8 bit"] * 3 + ["3 x 8 bit"] * 5 + ["RGB"] * 4},
         (90, "4:2:0"), [3, 4, 5, 6, 7]),
        ({"quality": ["90"] * 8 + ["none"] * 4, "channels": ["1 x 8 bit"] * 6 + ["3 x 8 bit"] * 2 + ["RGB"] * 4},
         (90, "4:2:0"), [0, 1, 2, 3, 4, 5]),
    ],
)  # fmt: skip
def test_plan__files_of_the_most_frequent_coding_stay(changes, codec, stay):
    """A coding is quality, chroma and channels together; the other class is four PNG files, all of which stay."""
    plan = planned(Repair("match"), of_codecs(**changes), [0] * 8 + [1] * 4, [question("format", layer="header")])
    assert (plan.repair.quality, plan.repair.subsampling) == codec
    assert plan.retained.tolist() == [*stay, 8, 9, 10, 11]
    assert plan.by_class == {"real": (8, len(stay)), "fake": (4, 4)}
    assert f"{codec[1]}" in plan.sentences[0]
