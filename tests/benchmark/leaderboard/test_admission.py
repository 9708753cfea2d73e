"""Untrusted results that a board accepts or refuses, and results of one encoder that disagree."""

import dataclasses
import datetime
import json

import numpy as np
import pytest

from benchmark.cli.leaderboard import main
from benchmark.leaderboard import board as boards
from benchmark.leaderboard.admission import objection
from benchmark.leaderboard.board import build_board
from benchmark.leaderboard.entries import measured_entries
from benchmark.results import ResultFile, write_result
from benchmark.results.check import check_forms
from builders.errors import UsageError
from tests.support.probe_runs import true_score


def test_objection__questions_that_are_not_known(make):
    good = make.result("a", make.probes(0.5))
    assert objection(ResultFile("a", good)) == ""
    unknown = dataclasses.replace(good, scores=(*good.scores, make.score("probe/charm", "accuracy", 0.5)))
    assert objection(ResultFile("a", unknown)).startswith(
        "it answers questions that this camtrace does not know (probe/charm)"
    )
    assert objection(ResultFile("a", unknown)).endswith("of its photos, data.evidence lacks group=charm=")
    stated = dict.fromkeys(("label=", "group=charm="), "folder:1")
    of_group = dataclasses.replace(unknown, data={**unknown.data, "evidence": stated})
    assert objection(ResultFile("a", of_group)) == ""
    many = {f"group=g{i}=": "folder:1" for i in range(20)} | stated
    assert "probe/charm" in objection(
        ResultFile("a", dataclasses.replace(of_group, data={**unknown.data, "evidence": many}))
    )
    outside = make.score("probe/charm", "accuracy", 1.5)
    assert objection(ResultFile("a", dataclasses.replace(of_group, scores=(outside,)))) == (
        f"probe/charm accuracy: low is {outside.low:g}: not a share in [0, 1]"
    )


@pytest.mark.parametrize(("task", "most"), [("retrieval/pairs", 155), ("variance/components", 30), ("probe/jpeg", 8)])
def test_objection__names_of_groups_and_their_combinations_are_shown_up_to_a_number(make, task, most):
    for count in (most, most + 1):
        scores = tuple(make.score(task, f"by-{i}", 0.5) for i in range(count))
        scores = tuple(dataclasses.replace(score, data="toy", low=0.5, high=0.5) for score in scores)
        refused = f"{task} has more than {most} scores under names that it does not list" if count > most else ""
        assert objection(ResultFile("a", dataclasses.replace(make.result("a", []), scores=scores))) == refused


@pytest.mark.parametrize(
    ("score", "why"),
    [
        (("probe/jpeg", "accuracy", 0.5, {"chance": 0.0}), "probe/jpeg accuracy: chance is 0"),
        (("probe/jpeg", "accuracy", 0.5, {"chance": 1.0}), "probe/jpeg accuracy: chance is 1"),
        (("probe/jpeg", "accuracy", -0.5, {}), "probe/jpeg accuracy: low is -0.5: not a share in [0, 1]"),
        (("probe/jpeg", "accuracy", 0.5, {"low": 0.6}), "probe/jpeg accuracy: low is 0.6, above high, 0.5"),
        (("knn/jpeg", "all-same", 0.5, {"chance": -0.1}), "knn/jpeg all-same: chance is -0.1"),
        (("knn/jpeg", "spd", -0.5, {"chance": 0.0}), ""),
        (("knn/jpeg", "spd", 0.5, {"n": 0}), "n is 0"),
        (("knn/jpeg", "spd", 0.5, {"n": 10**12 + 1}), "n is 1000000000001"),
    ],
)
def test_objection__numbers_that_cannot_be(make, score, why):
    task, metric, value, details = score
    given = make.score(task, metric, value)
    given = dataclasses.replace(given, **{"data": "toy", "low": value, "high": value, **details})
    assert why in objection(ResultFile("a", dataclasses.replace(make.result("a", []), scores=(given,))))


@pytest.mark.parametrize("numbers", [{"n": 1}, {"n": 10**12}, {"low": 0.0, "high": 1.0}, {"chance": 1e-9}])
def test_objection__numbers_at_the_ends_of_what_can_be(make, numbers):
    given = dataclasses.replace(make.score("probe/jpeg", "accuracy", 0.5), **{"data": "toy", **numbers})
    assert objection(ResultFile("a", dataclasses.replace(make.result("a", []), scores=(given,)))) == ""
    content = dataclasses.replace(make.score("knn/jpeg", "all-same", 1.0), **{"data": "toy", "chance": 0.0, **numbers})
    assert objection(ResultFile("a", dataclasses.replace(make.result("a", []), scores=(content,)))) == ""


def test_objection__answers_that_say_otherwise(make, tmp_path):
    probe = dataclasses.replace(make.score("probe/jpeg", "accuracy", 0.5), n=4, data="toy")
    half = np.where(np.arange(4) < 2, np.arange(6)[:, None], 9)[None].astype(np.uint8)
    probe = true_score(probe, {"predicted": half, "photos": np.arange(4)})
    result = dataclasses.replace(make.result("a", []), scores=(probe,))
    write_result(result, tmp_path / "result.json")
    for right, why in ((2, ""), (3, "probe/jpeg accuracy is 0.5 of 4, but its answers in answers.npz give 0.75 of 4")):
        predicted = np.where(np.arange(4) < right, np.arange(6)[:, None], 9)[None].astype(np.uint8)
        arrays = {"probe/jpeg/predicted": predicted, "probe/jpeg/photos": np.arange(4)}
        np.savez(tmp_path / "answers.npz", **arrays)
        assert objection(ResultFile("result.json", result, path=tmp_path / "result.json")) == why
        # Answers lie beside the file that is called so; another one has none.
        assert objection(ResultFile("a.json", result, path=tmp_path / "a.json")) == ""


@pytest.mark.parametrize(
    ("hours", "taken"), [(-24 * 400, True), (0, True), (23, True), (25, False), (24 * 365 * 7000, False)]
)
def test_check_forms__a_result_from_the_future_is_refused(make, hours, taken):
    now = datetime.datetime(2026, 11, 25, 12, tzinfo=datetime.timezone.utc)
    made = (now + datetime.timedelta(hours=hours)).isoformat()
    result = make.result("a", make.probes(0.5), created=made)
    if taken:
        check_forms(result, now)
    else:
        with pytest.raises(ValueError, match=r"lies in the future by this machine's clock \(2026-11-25T12:00\+00:00\)"):
            check_forms(result, now)


def board_of(*results):
    return build_board(measured_entries([ResultFile(f"{i}.json", r) for i, r in enumerate(results)]))


def flags(board):
    (column,) = [c for c in board.columns if c.task == "probe/jpeg"]
    (cell,) = column.cells.values()
    return cell.value, cell.flags


def test_board__results_that_disagree_are_marked(make):
    old = make.result("a", make.probes(0.5), created="2026-11-19T10:00:00+00:00")
    forged = make.result("a", make.probes(0.9), created="2026-11-20T10:00:00+00:00")
    board = board_of(old, forged)
    assert flags(board) == (0.9, ("conflict",))
    (entry,) = board.entries
    assert board.notes[entry.key][-1] == "Conflicting results: 2 files disagree on 1 scores; the newest is shown."
    again = make.result("a", make.probes(0.5004), created="2026-11-20T10:00:00+00:00")
    assert flags(board_of(old, again)) == (0.5004, ())


def test_board__another_seed_may_move_a_score_within_its_interval(make):
    old = make.result("a", make.probes(0.5), created="2026-11-19T10:00:00+00:00")
    for value, expected in ((0.52, ()), (0.9, ("conflict",))):
        new = make.result("a", make.probes(value))
        options = {**new.environment["options"], "seed": 1}
        new = dataclasses.replace(new, environment={**new.environment, "options": options})
        assert flags(board_of(old, new)) == (value, expected)


def test_board__columns_have_a_limit_that_keeps_what_most_encoders_have(make, monkeypatch):
    monkeypatch.setattr(boards, "MAX_COLUMNS", 3)
    many = [make.result(name, make.probes(0.5, 0.6, 0.7)) for name in "abc"]
    odd = [make.result("d", make.probes(0.5), data=f"odd-{i}") for i in range(3)]
    board = board_of(*odd, *many)
    assert {c.data for c in board.columns} == {"toy"}
    assert board.left_out == ("3 of 6 columns are left out: a board has at most 3",)


def test_leaderboard__refuses_by_name_and_goes_on(make, tmp_path, capsys):
    write_result(make.result("good", make.probes(0.5)), tmp_path / "in" / "good.json")
    raw = json.loads((tmp_path / "in" / "good.json").read_text())
    raw["scores"][0]["value"] += 0.001
    (tmp_path / "in" / "touched.json").write_text(json.dumps(raw))
    write_result(
        make.result("late", make.probes(0.5), created="9999-01-01T00:00:00+00:00"), tmp_path / "in" / "late.json"
    )
    assert main(["--results", str(tmp_path / "in"), "-o", str(tmp_path / "site"), "--no-published"]) == 0
    out = capsys.readouterr().out
    assert "refused touched.json: its values are not those that it was written with" in out
    assert "refused late.json: created 9999-01-01T00:00:00+00:00 lies in the future" in out
    assert "1 measured encoders from 1 result files (2 refused)" in out


def test_leaderboard__goes_on_where_it_was_killed_and_touches_no_other_folder(make, tmp_path, capsys):
    write_result(make.result("a", make.probes(0.5)), tmp_path / "in" / "a.json")
    words = ["--results", str(tmp_path / "in"), "--no-published", "-o"]
    killed = tmp_path / "killed"
    (killed / "encoders").mkdir(parents=True)
    (killed / "encoders" / "measured-a-0123.js").write_text("half a board")
    assert main([*words, str(killed)]) == 0
    assert (killed / "index.html").is_file()
    assert not (killed / "encoders" / "measured-a-0123.js").exists()
    for name in ("README.md", "encoders/thesis.js"):
        other = tmp_path / name.partition("/")[0].lower()
        (other / name).parent.mkdir(parents=True, exist_ok=True)
        (other / name).write_text("mine")
        with pytest.raises(UsageError, match="is no leaderboard"):
            main([*words, str(other)])
        assert (other / name).read_text() == "mine"


def test_objection__whole_sentences_about_questions(make):
    def refusal(tasks, **options):
        result = make.result("a", [make.score(task, "accuracy", 0.5) for task in tasks])
        changed = {**result.environment, "options": {**result.environment["options"], **options}}
        return objection(ResultFile("a", dataclasses.replace(result, environment=changed)))

    newer = "if a newer camtrace does, install that one (pip install -U camtrace)"
    assert refusal(["zzz/b", "zzz/a", "probe/jpeg"]) == (
        f"it answers questions that this camtrace does not know (zzz/a and 1 more); {newer}"
    )
    assert refusal(["probe/charm"]) == (
        f"it answers questions that this camtrace does not know (probe/charm); {newer}; if charm is a group of its "
        "photos, data.evidence lacks group=charm="
    )
    assert refusal(["probe/charm"], processings="[x]") == (
        "probe/charm is about processings of the author's own file, which no other result here shares"
    )


def test_flags__what_each_says():
    assert {name: boards.CELL_FLAGS[name] for name in ("conflict", "inconsistent", "metadata")} == {
        "conflict": "results of this encoder on these photos disagree; the newest is shown",
        "inconsistent": "SPD is not the difference of its two accuracies",
        "metadata": "a predictor that sees only the other labels does as well",
    }
    assert list(boards.CELL_FLAGS) == ["at-chance", "undecided", "below-chance", "conflict", "inconsistent", "metadata"]
