"""Comparing runs by their per-photo answers, and a run with the published numbers."""

import dataclasses
import json
import re
from pathlib import Path

import numpy as np
import pytest

from benchmark.results.answers import read_answers
from benchmark.results.answers import read_run as read_run_by
from benchmark.results.published import published_encoders
from benchmark.results.schema import Result, Score
from benchmark.retrieval.pairs import pair_retrieval
from benchmark.scoring.output import write_scored
from benchmark.scoring.run import Scored
from benchmark.stats import paired_difference
from benchmark.study.beside_published import beside, published_encoder
from benchmark.study.command import main
from benchmark.study.compare import compare_runs
from benchmark.tasks import all_tasks
from builders.errors import DataError, UsageError
from builders.photos import Labels, PhotoSet

N = 300


def probe_run(encoder, right, *, photos=None, ids="same", question="q", canary="c", data="toy"):
    """A run of one probe of two classes whose answers are right for the photos in ``right`` [n]."""
    predicted = np.stack([np.where(right, 0, 1), np.where(right, 1, 0)])[None].astype(np.uint8)
    value = float(right.mean())
    score = Score(
        "probe/jpeg", data, "accuracy", value, max(0.0, value - 0.05), min(1.0, value + 0.05), len(right), 0.5
    )
    result = Result(
        encoder={"id": encoder},
        data={"name": data, "question_hash": question, "ids_hash": ids, "bytes_hash": "b"},
        environment={"codec_canary": canary, "options": {"protocol": "converged"}},
        scores=(score,),
        failures=(),
        cost={},
        created="2026-11-20T10:00:00+00:00",
    )
    at = np.arange(len(right)) if photos is None else photos
    return Scored(result, {"probe/jpeg/predicted": predicted, "probe/jpeg/photos": at})


@pytest.fixture
def answers():
    rng = np.random.default_rng(0)
    base = rng.random(N) < 0.7
    flips = rng.random(N) < 0.02
    return {"strong": rng.random(N) < 0.9, "base": base, "nearly": base ^ flips}


def read_run(folder):
    return read_run_by(folder, all_tasks())


def replace_answers(folder: Path, **arrays) -> None:
    """Other answers beside a result of an older version, which did not record their hash."""
    np.savez(folder / "answers.npz", **arrays)
    raw = json.loads((folder / "result.json").read_text())
    del raw["environment"]["answers_sha256"], raw["environment"]["values_sha256"]
    (folder / "result.json").write_text(json.dumps(raw))


def unseal(folder: Path) -> None:
    """Make a result one of an older version, without a checksum of its values, so that a test may change them."""
    raw = json.loads((folder / "result.json").read_text())
    del raw["environment"]["values_sha256"]
    (folder / "result.json").write_text(json.dumps(raw, indent=2))


def write(folder: Path, **runs) -> list[Path]:
    return [write_scored(run, folder / name, single=True) for name, run in runs.items()]


def test_compare__a_real_difference_is_found_and_equal_encoders_are_tied(tmp_path, answers):
    folders = write(tmp_path, **{name: probe_run(name, right) for name, right in answers.items()})
    rows, ties = compare_runs([read_run(f) for f in folders])
    p = {(r.first, r.second): r.holm_p for r in rows}
    assert p["strong", "base"] < 0.001
    assert p["strong", "nearly"] < 0.001
    assert p["base", "nearly"] > 0.05
    direct = paired_difference(answers["strong"], answers["base"])
    strong = rows[0].difference
    assert (strong.value, strong.low, strong.n) == (pytest.approx(direct.value), pytest.approx(direct.low), N)
    assert rows[0].holm_p >= strong.p_value
    assert [(t.best, t.tied) for t in ties] == [("strong", ())]
    two, tied = compare_runs([read_run(f) for f in folders[1:]])
    assert len(two) == 1
    assert len(tied[0].tied) == 1


def two_probes(encoder, jpeg, sharpening):
    """A run of two probes."""
    one, other = probe_run(encoder, jpeg), probe_run(encoder, sharpening)
    score = dataclasses.replace(other.result.scores[0], task="probe/sharpening")
    result = dataclasses.replace(one.result, scores=(*one.result.scores, score))
    kept = {key.replace("jpeg", "sharpening"): array for key, array in other.answers.items()}
    return Scored(result, {**one.answers, **kept})


def test_compare__a_third_encoder_changes_no_verdict_on_the_other_two(tmp_path, answers, capsys):
    better = answers["base"] | (np.arange(N) % 40 == 0)
    runs = {
        "a": two_probes("a", better, answers["strong"]),
        "b": two_probes("b", answers["base"], answers["base"]),
        "c": two_probes("c", answers["nearly"], answers["base"]),
    }
    folders = write(tmp_path, **runs)
    two = compare_runs([read_run(f) for f in folders[:2]])[0]
    three = compare_runs([read_run(f) for f in folders])[0]
    assert [r.holm_p for r in two] == [r.holm_p for r in three if (r.first, r.second) == ("a", "b")]
    raw = {r.task: r.difference.p_value for r in two}
    # by hand: of two p-values the less is doubled, and the greater stays or is the less one doubled
    less, greater = sorted(raw.values())
    assert sorted(r.holm_p for r in two) == pytest.approx([2 * less, max(greater, 2 * less)])
    assert main([str(tmp_path)]) == 0
    assert (
        "of 6 differences are significant at 5 % (paired by photo, Holm's correction over the 2 rows of each pair)"
        in (capsys.readouterr().out)
    )


def test_compare__pairs_by_photo_where_one_lost_some(tmp_path, answers, capsys):
    kept = np.flatnonzero(np.arange(N) % 10)
    write(tmp_path, a=probe_run("a", answers["strong"]), b=probe_run("b", answers["base"][kept], photos=kept))
    assert main([str(tmp_path)]) == 0
    printed = capsys.readouterr()
    assert "270 photos are in both a (300) and b (270)" in printed.err
    expected = 100 * (answers["strong"][kept].mean() - answers["base"][kept].mean())
    assert f"{expected:+.1f}" in printed.out
    assert re.search(r"\b270 \|", printed.out)
    assert "1 of 1 differences are significant" in printed.out


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"ids": "other"}, "ids, splits or labels of the photos differ"),
        ({"question": "other"}, r"attributes, owners, .* of the photos differ \(q and other\)"),
        ({"canary": "other"}, "different codecs"),
    ],
)
def test_compare__refuses_what_is_not_comparable(tmp_path, answers, change, reason):
    folders = write(tmp_path, a=probe_run("a", answers["base"]), b=probe_run("b", answers["base"], **change))
    with pytest.raises(DataError, match=reason):
        compare_runs([read_run(f) for f in folders])


def test_compare__runs_whose_makes_were_swapped_are_not_paired(tmp_path, answers):
    photos = PhotoSet.of_bytes("toy", {str(i): b"" for i in range(N)})
    makes = np.arange(N) % 2
    runs = {}
    for name, names in (("a", ("canon", "nikon")), ("b", ("nikon", "canon"))):
        own = dataclasses.replace(photos, attributes={"make": Labels(names, makes)})
        runs[name] = probe_run(name, answers["base"], ids=own.ids_hash(), question=own.question_hash())
    folders = write(tmp_path, **runs)
    with pytest.raises(DataError, match="attributes, owners, scenes, pairs or stored views of the photos differ"):
        compare_runs([read_run(f) for f in folders])


def test_compare__older_results_are_compared_by_ids_with_a_warning(tmp_path, answers, capsys):
    write(tmp_path, a=probe_run("a", answers["base"]), b=probe_run("b", answers["base"], question=None))
    assert main([str(tmp_path)]) == 0
    warning = capsys.readouterr().err
    assert f"warning: {tmp_path / 'b'}: written by an older camtrace, so only ids, splits and labels" in warning
    write(tmp_path, b=probe_run("b", answers["base"], question=None, ids="other"))
    with pytest.raises(DataError, match="ids, splits or labels of the photos differ"):
        main([str(tmp_path)])


def test_compare__equal_questions_are_compared_in_silence(tmp_path, answers, capsys):
    write(tmp_path, a=probe_run("a", answers["base"]), b=probe_run("b", answers["base"]))
    assert main([str(tmp_path)]) == 0
    assert capsys.readouterr().err == ""


def test_compare__across_codecs_warns(tmp_path, answers, capsys):
    write(tmp_path, a=probe_run("a", answers["base"]), b=probe_run("b", answers["base"], canary="other"))
    assert main([str(tmp_path), "--across-codecs"]) == 0
    assert "a difference may be the codec's" in capsys.readouterr().err


def test_compare__needs_two_on_the_same_data(tmp_path, answers):
    folders = write(tmp_path, a=probe_run("a", answers["base"]), b=probe_run("b", answers["base"], data="other"))
    with pytest.raises(UsageError, match="a on toy, b on other"):
        compare_runs([read_run(f) for f in folders])


def test_read_answers__knn_and_retrieval_and_acquisition():
    rng = np.random.default_rng(1)
    correct, combinations = rng.integers(0, 6, (6, 8)), np.array([5, 20, 20, 20, 50, 50])
    embeddings = rng.normal(size=(12, 3))
    pairs = pair_retrieval(embeddings, np.repeat([f"p{i}" for i in range(6)], 2), np.array(["a", "b"] * 6))
    predicted = rng.integers(0, 3, (1, 1, 9)).astype(np.uint8)
    expected = rng.integers(0, 3, (1, 9)).astype(np.uint8)
    answers = read_answers(
        {
            "knn/jpeg/correct": correct,
            "knn/jpeg/combinations": combinations,
            "knn/jpeg/photos": np.arange(8),
            "retrieval/pairs/nearer": pairs.nearer,
            "retrieval/pairs/tied": pairs.tied,
            "retrieval/pairs/pair_ids": np.array(pairs.pair_ids),
            "probe/make/predicted": predicted,
            "probe/make/expected": expected,
            "probe/make/photos": np.arange(9),
            "probe/iso/predicted": predicted,
            "probe/iso/photos": np.arange(9),
            "probe/aperture/predicted": predicted,
            "probe/aperture/expected": expected,
            "probe/aperture/photos": np.arange(4),
            "probe/flash/predicted": predicted,
            "probe/flash/expected": expected,
            "probe/new/predicted": predicted,
        },
        all_tasks(),
    )
    found = answers.values
    assert sorted(answers.unreadable) == ["probe/aperture", "probe/flash", "probe/new"]
    assert "4 photos, values of shape (9,)" in answers.unreadable["probe/aperture"]
    assert "KeyError: 'photos'" in answers.unreadable["probe/flash"]
    assert "does not know the question" in answers.unreadable["probe/new"]
    assert found["knn/jpeg", "spd"].values == pytest.approx((correct[2] - correct[3]) / 20)
    assert found["knn/jpeg", "spd"].bounds == (-1.0, 1.0)
    for name in ("same", "different", "spd"):
        assert found["retrieval/pairs", name].values.mean() == pytest.approx(pairs.values[name])
    assert found["probe/make", "accuracy"].values == pytest.approx((predicted[0] == expected)[0].astype(float))
    assert ("probe/iso", "accuracy") not in found  # its true classes were not kept


def test_compare__answers_that_cannot_be_read_cost_their_own_task_alone(tmp_path, answers, capsys):
    folders = write(tmp_path, a=probe_run("a", answers["strong"]), b=probe_run("b", answers["base"]))
    whole = dict(np.load(folders[0] / "answers.npz"))
    replace_answers(folders[0], **whole, **{"knn/jpeg/correct": np.zeros((6, 3)), "retrieval/map/x": np.ones(3)})
    assert main([str(tmp_path)]) == 0
    printed = capsys.readouterr()
    assert "knn/jpeg is left out: its answers cannot be read (KeyError" in printed.err
    assert "retrieval/map is left out: this version of camtrace does not know the question" in printed.err
    assert "1 of 1 differences are significant" in printed.out


def test_read_run__a_pickle_in_the_answers_is_refused(tmp_path, answers):
    (folder,) = write(tmp_path, a=probe_run("a", answers["base"]))
    replace_answers(folder, **{"probe/jpeg/predicted": np.array([{"not": "data"}], dtype=object)})
    with pytest.raises(DataError, match="cannot be read"):
        read_run(folder)


@pytest.mark.parametrize(
    ("right", "photos", "why"),
    [
        (np.arange(N) < 150, np.arange(N), "is 0.7 of 300, but its answers in answers.npz give 0.5 of 300"),
        (np.arange(110) < 77, np.arange(110), "is 0.7 of 300, but its answers in answers.npz give 0.7 of 110"),
    ],
)
def test_compare__a_result_that_its_answers_contradict_is_refused_and_the_others_go_on(
    tmp_path, capsys, right, photos, why
):
    honest = np.arange(N) < 210
    write(tmp_path, a=probe_run("a", honest), b=probe_run("b", ~honest), c=probe_run("c", honest))
    replace_answers(tmp_path / "b", **probe_run("b", right, photos=photos).answers)
    forged = json.loads((tmp_path / "b" / "result.json").read_text())
    forged["scores"][0] |= {"value": 0.7, "low": 0.65, "high": 0.75}
    (tmp_path / "b" / "result.json").write_text(json.dumps(forged))
    assert main([str(tmp_path)]) == 1
    printed = capsys.readouterr()
    assert f"refused {tmp_path}/b/result.json: probe/jpeg accuracy {why}" in printed.err
    rows = [line.split("|") for line in printed.out.splitlines() if line.startswith("| probe/jpeg")]
    assert [(row[3].strip(), row[4].strip()) for row in rows] == [("a", "c")]


def test_compare__a_photo_that_is_there_twice_costs_its_task(tmp_path, answers, capsys):
    write(tmp_path, a=probe_run("a", answers["base"]), b=probe_run("b", answers["base"]))
    replace_answers(tmp_path / "b", **probe_run("b", answers["base"], photos=np.r_[0, 0 : N - 1]).answers)
    with pytest.raises(DataError, match="no task has per-photo answers"):
        main([str(tmp_path)])
    assert (
        "probe/jpeg is left out: its answers cannot be read (DataError: a photo is there twice)"
        in capsys.readouterr().err
    )


def test_compare__answers_that_are_not_those_of_the_result_are_refused(tmp_path, answers, capsys):
    write(tmp_path, **{name: probe_run(name, answers["base"]) for name in "abc"})
    path = tmp_path / "b" / "answers.npz"
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(data)
    assert main([str(tmp_path)]) == 1
    assert "b/result.json: answers.npz is not the one that the result was written with" in capsys.readouterr().err


NAME = "CLIP (ViT-B/16, WIT)"

UNDER_PRESET = {
    "options": {
        "preset": "iccv2025",
        "protocol": "iccv2025",
        "preprocess": "study",
        "ties": "random",
        "orientation": "stored",
    }
}
"""The environment of a run under the study's preset, as far as a comparison asks."""


def published_run(tmp_path, data="imagenet", encoder="mine", environment=UNDER_PRESET):
    """A run whose first score is the published one and whose second is far from it."""
    theirs = published_encoders()[0]
    jpeg = theirs.score("probe/jpeg", "imagenet", "accuracy").value
    spd = theirs.score("knn/jpeg", "imagenet", "spd").value
    scores = (
        Score("probe/jpeg", data, "accuracy", jpeg, jpeg - 0.01, jpeg + 0.01, 50_000, 1 / 6),
        Score("knn/jpeg", data, "spd", spd - 0.2, spd - 0.21, spd - 0.19, 50_000, 0.0),
        Score("probe/mine", data, "accuracy", 0.5, 0.4, 0.6, 50, 0.5),
    )
    base = probe_run(encoder, np.ones(4, bool), data=data)
    result = dataclasses.replace(base.result, scores=scores, environment=environment)
    return write_scored(Scored(result, {}), tmp_path / "run", single=True)


def test_compare_published__ours_theirs_difference_and_inside(tmp_path, capsys):
    folder = published_run(tmp_path)
    assert main([str(folder), "--published", NAME]) == 0
    out = capsys.readouterr().out
    rows = {row[1]: row for line in out.splitlines() if len(row := [c.strip() for c in line.split("|")]) > 5}
    assert rows["probe/jpeg accuracy"][4:9] == ["64.8", "63.8 to 65.8", "64.8", "+0.0", "yes"]
    assert rows["knn/jpeg spd"][7:9] == ["-20.0", "no"]
    assert "probe/mine accuracy" not in rows
    assert "1 of 2 comparable published values lie inside" in out
    assert "Not comparable" not in out


def test_compare_published__other_photos_are_said_so(tmp_path, capsys):
    folder = published_run(tmp_path, data="folder:mine")
    assert main([str(folder), "--published", NAME, "--tasks", "probe/*"]) == 0
    out = capsys.readouterr().out
    assert out.count("probe/jpeg accuracy") == 2  # beside ImageNet and beside iNaturalist
    assert "**Not comparable**: 2 of 2 rows are of other photos" in out
    assert "not comparable (another data set)" in out
    assert "not comparable (50,000 photos; the study: 24,426" in out.replace(" of 8,142", "")
    assert "lie inside" not in out


@pytest.mark.parametrize(
    ("name", "n", "classes", "unlike"),
    [
        ("imagenet", 50_000, 1000, ""),
        ("imagenet", 1_200, 20, "1,200 photos of 20 classes; the study: 50,000 of 1,000"),
        ("imagenet", 5_000, 1000, "5,000 photos of 1,000 classes; the study: 50,000 of 1,000"),
        ("imagenet", 50_000, 999, "50,000 photos of 999 classes; the study: 50,000 of 1,000"),
        ("imagenet", 5_000, None, "5,000 photos; the study: 50,000"),
        ("folder:mine", 50_000, 1000, "another data set"),
    ],
)
def test_beside__comparable_are_the_same_photos_alone(name, n, classes, unlike):
    theirs = published_encoders()[0]
    value = theirs.score("knn/jpeg", "imagenet", "all-same").value
    score = Score("knn/jpeg", name, "all-same", value, value - 0.01, value + 0.01, n, 0.001)
    row = beside(Result({"id": "x"}, {"name": name, "classes": classes}, UNDER_PRESET, (score,), (), {}, ""), theirs)[0]
    assert row.unlike == unlike
    assert row.inside is (True if not unlike else None)


def test_beside__of_acquisition_and_pairs_their_own_counts_decide():
    theirs = published_encoders()[0]
    scores = (
        Score("probe/make", "flickrexif", "accuracy", 0.5, 0.4, 0.6, 4_500, 1 / 9, {"classes": 9}),
        Score("probe/model", "flickrexif", "accuracy", 0.5, 0.4, 0.6, 8_800, 1 / 87, {"classes": 87}),
        Score("retrieval/pairs", "paircams", "same", 0.9, 0.8, 0.95, 700, 1 / 700),
    )
    rows = beside(Result({"id": "x"}, {"name": "x", "classes": 1}, UNDER_PRESET, scores, (), {}, ""), theirs)
    assert [r.unlike for r in rows] == [
        "",
        "8,800 photos of 87 classes; the study: 8,800 of 88",
        "700 pairs; the study: 730",
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
    """A converged probe on the study's own photos; and one choice of the preset that was made otherwise."""
    ours = {"options": {"protocol": "converged"}}
    folder = published_run(tmp_path / "ours", environment=ours)
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
    assert "not comparable (preset iccv2025 with ties nearest; the study: iccv2025)" in capsys.readouterr().out


def test_compare_published__takes_the_runs_of_the_preset(tmp_path, capsys):
    published_run(tmp_path / "a", encoder="a", environment={"options": {"protocol": "converged"}})
    published_run(tmp_path / "b", encoder="b")
    assert main([str(tmp_path), "--published", NAME]) == 0
    printed = capsys.readouterr()
    assert "## b beside" in printed.out
    assert "## a beside" not in printed.out
    assert "1 of 2 runs are of another preset and left out" in printed.err
    assert main([str(tmp_path), "--published", NAME, "--preset", "camtrace"]) == 0
    assert "## a beside" in capsys.readouterr().out


def test_compare__two_presets_are_refused_without_a_flag(tmp_path, answers, capsys):
    one, other = probe_run("a", answers["strong"]), probe_run("b", answers["base"])
    mixed = dataclasses.replace(
        other, result=dataclasses.replace(other.result, environment={"codec_canary": "c", **UNDER_PRESET})
    )
    folders = write(tmp_path, a=one, b=mixed)
    with pytest.raises(DataError, match=r"presets are camtrace and iccv2025.*--across-presets"):
        main([str(tmp_path)])
    assert main([str(tmp_path), "--across-presets"]) == 0
    assert "a difference may be that of preprocessing, votes or probes" in capsys.readouterr().err
    with pytest.raises(UsageError, match="no run of the preset iccv2025 here; there are: camtrace"):
        main([str(folders[0]), "--preset", "iccv2025"])


def test_published_encoder__by_its_own_id_and_by_mistake():
    assert published_encoder("", "openai/clip-vit-base-patch16@abc").name == NAME
    with pytest.raises(UsageError, match="did you mean"):
        published_encoder("CLIP (ViT-B/16)")
    with pytest.raises(UsageError, match="not one of the study's encoders"):
        published_encoder("", "mine:encode")


def test_beside__every_published_number_is_beside_itself():
    for encoder in published_encoders()[:3]:
        scores = tuple(Score(s.task, s.data, s.metric, s.value, s.low, s.high, s.n, s.chance) for s in encoder.scores)
        result = Result({"id": "x"}, {"name": "x"}, UNDER_PRESET, scores, (), {}, "")
        rows = beside(result, encoder)
        assert len(rows) == len(encoder.scores)
        assert {row.difference for row in rows} == {0.0}
        assert json.dumps([row.inside for row in rows]).count("false") == 0
