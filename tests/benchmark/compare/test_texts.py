"""Texts of comparisons with the published numbers as a whole, and whole sentences about runs that cannot be paired."""

import dataclasses
from pathlib import Path

import pytest

from benchmark.compare import (
    published_rows,
    published_text,
    study_text,
    write_published,
)
from benchmark.compare.paired import check_pair
from benchmark.compare.published import CSV_COLUMNS, pair_with_published
from benchmark.results import Failure, Result, Run, Score, published_encoders
from benchmark.scoring import Row
from builders.errors import DataError
from tests.benchmark.compare.test_recorded_study import SPECS
from tests.benchmark.compare.test_recorded_study import run as study_row
from tests.support.probe_runs import UNDER_PRESET

NAME = "CLIP (ViT-B/16, WIT)"
OTHER = {"options": {"preset": "camtrace", "protocol": "converged"}}


def of_study(data, shift=0.02, environment=UNDER_PRESET):
    """A run with the published scores of the first encoder on a data set, shifted; the last one is not published."""
    made = study_row(SPECS[0], data, shift).result
    unpublished = Score("probe/mine", data, "accuracy", 0.5, 0.4, 0.6, 50, 0.5)
    made = dataclasses.replace(made, scores=(*made.scores, unpublished), environment=environment)
    return Run(Path("out"), made, {}, {})


def test_texts_of_published_numbers__are_as_recorded(tmp_path):
    runs = {data: of_study(data) for data in ("imagenet", "flickrexif", "paircams")}
    few = dataclasses.replace(runs["imagenet"].result.scores[0], n=1200)
    mixed = dataclasses.replace(runs["imagenet"].result, scores=(few, *runs["imagenet"].result.scores[1:]))
    mixed = dataclasses.replace(mixed, data={"name": "imagenet", "classes": 20})
    made = {data: published_text(run, NAME, (), across_presets=False) for data, run in runs.items()}
    made["patterns"] = published_text(runs["imagenet"], "", ["probe/j*", "knn/*"], across_presets=False)
    made["other photos"] = published_text(Run(Path("out"), mixed, {}, {}), NAME, (), across_presets=False)
    for across in (False, True):
        other = of_study("imagenet", environment=OTHER)
        made[f"other preset {across}"] = published_text(other, NAME, ["probe/*"], across_presets=across)
    swept = [study_row(spec, data, shift) for spec, shift in zip(SPECS, (0.03, -0.05), strict=True) for data in runs]
    swept += [study_row(SPECS[0], "folder:mine", -0.02, of="imagenet")]
    swept += [Row("x/y", "imagenet", "failed", "no weights", "", None), Row("z", "paircams", "failed", "a|b", "", None)]
    rows = published_rows(swept)
    made["study"] = study_text(rows, swept)
    write_published(rows, tmp_path / "a.csv")
    made["csv"] = (tmp_path / "a.csv").read_text()
    assert made["csv"].splitlines()[0] == ",".join(CSV_COLUMNS)


def test_published_rows__of_an_encoder_of_the_study_and_of_another():
    scores = (
        Score("probe/jpeg", "mine", "accuracy", 0.6, 0.5, 0.7, 90, 1 / 6),
        Score("probe/own", "mine", "accuracy", 0.6, 0.5, 0.7, 90, 0.5),
    )
    plain = Result({"id": "x"}, {"name": "mine"}, UNDER_PRESET, scores, (), {}, "")
    grouped = dataclasses.replace(plain, encoder={"id": "x", "group": "SSL"})
    swept = [Row(SPECS[0], "mine", "scored", "", "x", plain), Row("y", "mine", "scored", "", "x", grouped)]
    swept += [Row("z", "mine", "scored", "", "x", plain), Row(SPECS[0], "mine", "failed", "why", "", None)]
    made = published_rows(swept)
    study = published_encoders()[0]
    values = [(s.data, s.value) for s in study.scores if (s.task, s.metric) == ("probe/jpeg", "accuracy")]
    reasons = ["90 photos; the study: 50,000", "90 photos; the study: 24,426"]
    assert [data for data, _ in values] == ["imagenet", "inat2018"]
    about = [
        (r.encoder, r.spec, r.group, r.data, r.published_data, r.task, r.published, r.not_comparable) for r in made
    ]
    assert about == [
        *(
            (NAME, SPECS[0], "CVL", "mine", data, "probe/jpeg", value, reason)
            for (data, value), reason in zip(values, reasons, strict=True)
        ),
        (NAME, SPECS[0], "CVL", "mine", "", "probe/own", None, ""),
        *(("y", "y", "SSL", "mine", "", task, None, "") for task in ("probe/jpeg", "probe/own")),
        *(("z", "z", "unknown", "mine", "", task, None, "") for task in ("probe/jpeg", "probe/own")),
    ]
    assert [r.measured for r in made] == [scores[0], scores[0], scores[1], *scores * 2]
    assert (made[0].difference, made[2].difference) == (0.6 - values[0][1], None)
    assert [pair.measured for pair in pair_with_published(plain, study)] == [scores[0]] * 2
    inside = dataclasses.replace(made[0], not_comparable="", published=0.5)
    assert (inside.inside, made[0].inside, made[2].inside) == (True, None, None)
    assert [dataclasses.replace(inside, published=value).inside for value in (0.7, 0.49, 0.71)] == [True, False, False]


SAME = {"ids_hash": "i", "question_hash": "q", "bytes_hash": "b"}


def run(folder, *, failures=(), data=None, encoder="e", canary="c", **options):
    environment = {"codec_canary": canary, "options": options}
    facts = {"name": "toy", **SAME, **(data or {})}
    return Run(Path(folder), Result({"id": encoder}, facts, environment, (), tuple(failures), {}, ""), {}, {})


def checked(a, b, **across):
    check_pair(a, b, **{"across_codecs": False, "across_presets": False, **across})


@pytest.mark.parametrize(
    ("changed", "sentence"),
    [
        (
            {"data": {"ids_hash": "j"}},
            "nothing",
        ),
        (
            {"data": {"question_hash": "r"}},
            "attributes",
        ),
        (
            {"data": {"bytes_hash": "d"}},
            "nothing",
        ),
        ({"processings": "[a]"}, "--processings"),
        (
            {"canary": "d"},
            "--across-codecs",
        ),
        (
            {"preset": "iccv2025"},
            "--across-presets",
        ),
        (
            {"failures": [Failure("encoder", "e", "it fails")], "encoder": "f"},
            "compared",
        ),
    ],
)
def test_check_pair__refusals(changed, sentence):
    checked(run("x"), run("y"))
    with pytest.raises(DataError) as error:
        checked(run("x"), run("y", **changed))
    assert sentence in str(error.value)
