"""Comparing runs by their per-photo answers."""

import dataclasses
import json
import re
from pathlib import Path

import numpy as np
import pytest

from benchmark.cli.compare import main
from benchmark.compare import compare_runs
from benchmark.options import OPTIONS
from benchmark.results import Failure, read_answers, read_runs
from benchmark.retrieval import pair_retrieval
from benchmark.scoring.run import Scored
from benchmark.stats import paired_difference
from benchmark.tasks import all_tasks
from builders.errors import DataError, UsageError
from builders.photos import Labels, PhotoSet
from tests.support.probe_runs import UNDER_PRESET, N, probe_run, read_run, write


@pytest.fixture
def answers():
    rng = np.random.default_rng(0)
    base = rng.random(N) < 0.7
    flips = rng.random(N) < 0.02
    return {"strong": rng.random(N) < 0.9, "base": base, "nearly": base ^ flips}


def replace_answers(folder: Path, **arrays) -> None:
    """Other answers for a result of an older version, which has no hash of them."""
    np.savez(folder / "answers.npz", **arrays)
    raw = json.loads((folder / "result.json").read_text())
    del raw["environment"]["answers_sha256"], raw["environment"]["values_sha256"]
    (folder / "result.json").write_text(json.dumps(raw))


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
    stored = {key.replace("jpeg", "sharpening"): array for key, array in other.answers.items()}
    return Scored(result, {**one.answers, **stored})


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
    assert "differences" in (capsys.readouterr().out)


def test_compare__pairs_by_photo_where_one_lost_some(tmp_path, answers, capsys):
    stored = np.flatnonzero(np.arange(N) % 10)
    write(tmp_path, a=probe_run("a", answers["strong"]), b=probe_run("b", answers["base"][stored], photos=stored))
    assert main([str(tmp_path)]) == 0
    printed = capsys.readouterr()
    assert "270" in printed.err
    expected = 100 * (answers["strong"][stored].mean() - answers["base"][stored].mean())
    assert f"{expected:+.1f}" in printed.out
    assert re.search(r"\b270 \|", printed.out)
    assert "differences" in printed.out


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"ids": "other"}, "splits"),
        ({"question": "other"}, "attributes"),
        ({"canary": "other"}, "different codecs"),
    ],
)
def test_compare__refuses_what_is_not_comparable(tmp_path, answers, change, reason):
    folders = write(tmp_path, a=probe_run("a", answers["base"]), b=probe_run("b", answers["base"], **change))
    with pytest.raises(DataError, match=reason):
        compare_runs([read_run(f) for f in folders])


def test_compare__an_encoder_that_failed_is_not_compared(tmp_path, answers):
    folders = write(tmp_path, a=probe_run("a", answers["base"]), b=probe_run("b", answers["strong"]))
    runs = [read_run(folder) for folder in folders]
    failure = Failure("encoder", "b", "it fails on 270 of 300 photos, which can be read")
    runs[1] = dataclasses.replace(runs[1], result=dataclasses.replace(runs[1].result, failures=(failure,)))
    with pytest.raises(DataError, match="270"):
        compare_runs(runs)


def test_compare__runs_whose_makes_were_swapped_are_not_paired(tmp_path, answers):
    photos = PhotoSet.of_bytes("toy", {str(i): b"" for i in range(N)})
    makes = np.arange(N) % 2
    runs = {}
    for name, names in (("a", ("canon", "nikon")), ("b", ("nikon", "canon"))):
        variant = dataclasses.replace(photos, attributes={"make": Labels(names, makes)})
        runs[name] = probe_run(name, answers["base"], ids=variant.ids_hash(), question=variant.question_hash())
    folders = write(tmp_path, **runs)
    with pytest.raises(DataError, match="attributes"):
        compare_runs([read_run(f) for f in folders])


def test_compare__older_results_are_compared_by_ids_with_a_warning(tmp_path, answers, capsys):
    write(tmp_path, a=probe_run("a", answers["base"]), b=probe_run("b", answers["base"], question=None))
    assert main([str(tmp_path)]) == 0
    warning = capsys.readouterr().err
    assert f"warning: {tmp_path / 'b'}: written by an older camtrace, so only ids, splits and labels" in warning
    write(tmp_path, b=probe_run("b", answers["base"], question=None, ids="other"))
    with pytest.raises(DataError, match="splits"):
        main([str(tmp_path)])


def test_compare__equal_questions_are_compared_in_silence(tmp_path, answers, capsys):
    write(tmp_path, a=probe_run("a", answers["base"]), b=probe_run("b", answers["base"]))
    assert main([str(tmp_path)]) == 0
    assert capsys.readouterr().err == ""


@pytest.mark.parametrize(
    "option",
    [o for o in OPTIONS if o.changes_question and o.name not in ("preset", "processings")],  # these are refused
    ids=lambda option: option.name,
)
def test_compare__every_option_that_changes_the_question_warns_unless_it_is_the_default(
    tmp_path, answers, capsys, option
):
    values = {"other": True} | ({option.default: False} if option.role.in_result == "if changed" else {})
    for value, warns in values.items():
        plain, changed = (probe_run(encoder, answers["base"]) for encoder in "ab")
        changed.result.environment["options"][option.name] = value
        write(tmp_path, a=plain, b=changed)
        assert main([str(tmp_path)]) == 0
        assert (f": {option.name} is " in capsys.readouterr().err) is warns


def test_compare__across_codecs_warns(tmp_path, answers, capsys):
    write(tmp_path, a=probe_run("a", answers["base"]), b=probe_run("b", answers["base"], canary="other"))
    assert main([str(tmp_path), "--across-codecs"]) == 0
    assert "difference" in capsys.readouterr().err


def test_compare__needs_two_on_the_same_data(tmp_path, answers):
    folders = write(tmp_path, a=probe_run("a", answers["base"]), b=probe_run("b", answers["base"], data="other"))
    with pytest.raises(UsageError, match="other"):
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
            "future/new/predicted": predicted,
        },
        all_tasks(),
    )
    measured = answers.values
    assert sorted(answers.unreadable) == ["future/new", "probe/aperture", "probe/flash"]
    assert "4 photos, values of shape (9,)" in answers.unreadable["probe/aperture"]
    assert "KeyError: 'photos'" in answers.unreadable["probe/flash"]
    assert "does not know the question" in answers.unreadable["future/new"]
    assert measured["knn/jpeg", "spd"].values == pytest.approx((correct[2] - correct[3]) / 20)
    assert measured["knn/jpeg", "spd"].bounds == (-1.0, 1.0)
    for name in ("same", "different", "spd"):
        assert measured["retrieval/pairs", name].values.mean() == pytest.approx(pairs.values[name])
    assert measured["probe/make", "accuracy"].values == pytest.approx((predicted[0] == expected)[0].astype(float))
    assert ("probe/iso", "accuracy") not in measured  # its true classes were not kept


def test_compare__answers_that_cannot_be_read_cost_their_own_task_alone(tmp_path, answers, capsys):
    folders = write(tmp_path, a=probe_run("a", answers["strong"]), b=probe_run("b", answers["base"]))
    whole = dict(np.load(folders[0] / "answers.npz"))
    replace_answers(folders[0], **whole, **{"knn/jpeg/correct": np.zeros((6, 3)), "retrieval/map/x": np.ones(3)})
    assert main([str(tmp_path)]) == 0
    printed = capsys.readouterr()
    assert "knn/jpeg" in printed.err
    assert "retrieval/map" in printed.err
    assert "differences" in printed.out


def test_read_runs__a_pickle_in_the_answers_is_refused(tmp_path, answers):
    (folder,) = write(tmp_path, a=probe_run("a", answers["base"]))
    replace_answers(folder, **{"probe/jpeg/predicted": np.array([{"not": "data"}], dtype=object)})
    (refused,) = read_runs(folder, all_tasks()).refused
    assert "cannot be read" in refused.reason


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
    assert f"{tmp_path}" in printed.err
    rows = [line.split("|") for line in printed.out.splitlines() if line.startswith("| probe/jpeg")]
    assert [(row[3].strip(), row[4].strip()) for row in rows] == [("a", "c")]


def test_compare__a_photo_that_is_there_twice_costs_its_task(tmp_path, answers, capsys):
    write(tmp_path, a=probe_run("a", answers["base"]), b=probe_run("b", answers["base"]))
    replace_answers(tmp_path / "b", **probe_run("b", answers["base"], photos=np.r_[0, 0 : N - 1]).answers)
    with pytest.raises(DataError, match="answers"):
        main([str(tmp_path)])
    assert "probe/jpeg" in capsys.readouterr().err


def test_compare__answers_that_are_not_those_of_the_result_are_refused(tmp_path, answers, capsys):
    write(tmp_path, **{name: probe_run(name, answers["base"]) for name in "abc"})
    path = tmp_path / "b" / "answers.npz"
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(data)
    assert main([str(tmp_path)]) == 1
    assert "b/result.json" in capsys.readouterr().err


def test_compare__two_presets_are_refused_without_a_flag(tmp_path, answers, capsys):
    one, other = probe_run("a", answers["strong"]), probe_run("b", answers["base"])
    mixed = dataclasses.replace(
        other, result=dataclasses.replace(other.result, environment={"codec_canary": "c", **UNDER_PRESET})
    )
    folders = write(tmp_path, a=one, b=mixed)
    with pytest.raises(DataError, match="--across-presets"):
        main([str(tmp_path)])
    assert main([str(tmp_path), "--across-presets"]) == 0
    assert "preprocessing" in capsys.readouterr().err
    with pytest.raises(UsageError, match="iccv2025"):
        main([str(folders[0]), "--preset", "iccv2025"])
