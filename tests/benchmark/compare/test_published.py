"""Comparing a run with the published numbers."""

import dataclasses
import json
import re

import numpy as np
import pytest

from benchmark.cli.compare import main
from benchmark.compare.published import pair_with_published, published_encoder
from benchmark.results import Result, Score, published_encoders
from benchmark.scoring import write_scored
from benchmark.scoring.run import Scored
from builders.errors import UsageError
from tests.support.probe_runs import UNDER_PRESET, probe_run, unseal

NAME = "CLIP (ViT-B/16, WIT)"


def published_run(tmp_path, data="imagenet", encoder="mine", environment=UNDER_PRESET):
    """A run whose first score is the published one and whose second is far from it."""
    clip = published_encoders()[0]
    jpeg = clip.score("probe/jpeg", "imagenet", "accuracy").value
    spd = clip.score("knn/jpeg", "imagenet", "spd").value
    scores = (
        Score("probe/jpeg", data, "accuracy", jpeg, jpeg - 0.01, jpeg + 0.01, 50_000, 1 / 6),
        Score("knn/jpeg", data, "spd", spd - 0.2, spd - 0.21, spd - 0.19, 50_000, 0.0),
        Score("probe/mine", data, "accuracy", 0.5, 0.4, 0.6, 50, 0.5),
    )
    base = probe_run(encoder, np.ones(4, bool), data=data)
    result = dataclasses.replace(base.result, scores=scores, environment=environment)
    return write_scored(Scored(result, {}), tmp_path / "run", single=True)


def test_compare_published__values_difference_and_inside(tmp_path, capsys):
    folder = published_run(tmp_path)
    assert main([str(folder), "--published", NAME]) == 0
    out = capsys.readouterr().out
    rows = {row[1]: row for line in out.splitlines() if len(row := [c.strip() for c in line.split("|")]) > 5}
    assert rows["probe/jpeg accuracy"][4:9] == ["64.8", "63.8 to 65.8", "64.8", "+0.0", "yes"]
    spd = 100 * published_encoders()[0].score("knn/jpeg", "imagenet", "spd").value  # a difference: with its sign
    interval = f"{spd - 21:+.1f} to {spd - 19:+.1f}"
    assert rows["knn/jpeg spd"][4:9] == [f"{spd - 20:+.1f}", interval, f"{spd:+.1f}", "-20.0", "no"]
    assert "probe/mine accuracy" not in rows
    assert "1 of 2 comparable published values lie inside" in out
    assert "Not comparable" not in out


def test_compare_published__other_photos_are_not_comparable(tmp_path, capsys):
    folder = published_run(tmp_path, data="folder:mine")
    assert main([str(folder), "--published", NAME, "--tasks", "probe/*"]) == 0
    out = capsys.readouterr().out
    assert out.count("probe/jpeg accuracy") == 2  # with ImageNet and with iNaturalist
    assert "**Not comparable**: 2 of 2 rows are of other photos" in out
    assert "not comparable (another data set)" in out
    assert "not comparable (50,000 photos; the study: 24,426" in out.replace(" of 8,142", "")
    assert "lie inside" not in out


@pytest.mark.parametrize(
    ("name", "n", "classes", "reason"),
    [
        ("imagenet", 50_000, 1000, ""),
        ("imagenet", 1_200, 20, "1,200 photos of 20 classes; the study: 50,000 of 1,000"),
        ("imagenet", 5_000, 1000, "5,000 photos of 1,000 classes; the study: 50,000 of 1,000"),
        ("imagenet", 50_000, 999, "50,000 photos of 999 classes; the study: 50,000 of 1,000"),
        ("imagenet", 5_000, None, "5,000 photos; the study: 50,000"),
        ("folder:mine", 50_000, 1000, "another data set"),
    ],
)
def test_pair_with_published__only_the_same_photos_are_comparable(name, n, classes, reason):
    clip = published_encoders()[0]
    value = clip.score("knn/jpeg", "imagenet", "all-same").value
    score = Score("knn/jpeg", name, "all-same", value, value - 0.01, value + 0.01, n, 0.001)
    row = pair_with_published(
        Result({"id": "x"}, {"name": name, "classes": classes}, UNDER_PRESET, (score,), (), {}, ""), clip
    )[0]
    assert row.not_comparable == reason
    assert row.inside is (True if not reason else None)


def test_pair_with_published__of_acquisition_and_pairs_compares_their_counts():
    clip = published_encoders()[0]
    scores = (
        Score("probe/make", "flickrexif", "accuracy", 0.5, 0.4, 0.6, 4_500, 1 / 9, {"classes": 9}),
        Score("probe/model", "flickrexif", "accuracy", 0.5, 0.4, 0.6, 8_800, 1 / 87, {"classes": 87}),
        Score("retrieval/pairs", "paircams", "same", 0.9, 0.8, 0.95, 700, 1 / 700),
    )
    rows = pair_with_published(Result({"id": "x"}, {"name": "x", "classes": 1}, UNDER_PRESET, scores, (), {}, ""), clip)
    assert [r.not_comparable for r in rows] == [
        "",
        "8,800 photos of 87 classes; the study: 8,800 of 88",
        "700 scenes; the study: 730",
    ]


def test_compare_published__a_part_of_the_study_counts_comparable_rows_only(tmp_path, capsys):
    folder = published_run(tmp_path)
    unseal(folder)
    text = (folder / "result.json").read_text().replace('"n": 50000', '"n": 1200', 1)
    (folder / "result.json").write_text(text.replace('"name": "imagenet"', '"name": "imagenet", "classes": 20'))
    assert main([str(folder), "--published", NAME]) == 0
    out = capsys.readouterr().out
    line = next(line for line in out.splitlines() if "probe/jpeg accuracy" in line)
    assert "not comparable (1,200 photos of 20 classes; the study: 50,000 of 1,000)" in line
    assert not re.search(r"\b(yes|no) *\|", line)


def test_compare_published__another_preset_is_not_comparable_without_a_flag(tmp_path, capsys):
    """A converged probe on the photos of the study; and one choice that differs from the preset."""
    converged = {"options": {"protocol": "converged"}}
    folder = published_run(tmp_path / "converged", environment=converged)
    assert main([str(folder), "--published", NAME]) == 0
    out = capsys.readouterr().out
    assert out.count("not comparable (preset camtrace; the study: iccv2025)") == 2
    assert "lie inside" not in out
    assert main([str(folder), "--published", NAME, "--across-presets"]) == 0
    out = capsys.readouterr().out
    assert "1 of 2 comparable published values lie inside" in out
    assert "**Across presets**: preset camtrace; the study: iccv2025" in out

    changed = {"options": {**UNDER_PRESET["options"], "ties": "nearest"}}
    published_run(tmp_path / "changed", environment=changed)
    assert main([str(tmp_path / "changed"), "--published", NAME]) == 0
    assert "iccv2025" in capsys.readouterr().out


def test_compare_published__takes_the_runs_of_the_preset(tmp_path, capsys):
    published_run(tmp_path / "a", encoder="a", environment={"options": {"protocol": "converged"}})
    published_run(tmp_path / "b", encoder="b")
    assert main([str(tmp_path), "--published", NAME]) == 0
    printed = capsys.readouterr()
    assert "## b and the study's" in printed.out
    assert "## a and the study's" not in printed.out
    assert "another" in printed.err
    assert main([str(tmp_path), "--published", NAME, "--preset", "camtrace"]) == 0
    assert "## a and the study's" in capsys.readouterr().out


def test_published_encoder__by_its_own_id_and_by_mistake():
    assert published_encoder("", "openai/clip-vit-base-patch16@abc").name == NAME
    with pytest.raises(UsageError, match="did you mean"):
        published_encoder("CLIP (ViT-B/16)")
    with pytest.raises(UsageError, match="encoders"):
        published_encoder("", "mine:encode")


def test_pair_with_published__every_published_number_equals_itself():
    for encoder in published_encoders()[:3]:
        scores = tuple(Score(s.task, s.data, s.metric, s.value, s.low, s.high, s.n, s.chance) for s in encoder.scores)
        result = Result({"id": "x"}, {"name": "x"}, UNDER_PRESET, scores, (), {}, "")
        rows = pair_with_published(result, encoder)
        assert len(rows) == len(encoder.scores)
        assert {row.difference for row in rows} == {0.0}
        assert json.dumps([row.inside for row in rows]).count("false") == 0
