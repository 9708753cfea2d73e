"""``erase_trace`` with fitting and scoring by hand: what is fitted, measured and written, in which order."""

from __future__ import annotations

import json
from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest

from benchmark.erasing import Eraser, FitSet
from benchmark.judgement import chance_of
from benchmark.options import RunOptions
from benchmark.results import Failure, Score
from benchmark.scoring import erase as module
from benchmark.scoring.erase import Erased, EraseRequest, erase_trace, erased_record, rows_of, save_erased
from benchmark.tasks import TaskOutcome, all_tasks, trace_of
from builders.errors import DataError
from builders.photos import Labels, PhotoSet
from tests.benchmark.erasing.test_measuring import pairs
from tests.support.scoring import as_rows, toy_encoder

TASKS = all_tasks()


def photo_set(name="here", **more):
    ids = dict.fromkeys([f"{i}" for i in range(8)], b"x")
    photos = PhotoSet.of_bytes(name, ids, list("xyxyxyxy"), ["train"] * 4 + ["val"] * 4)
    return replace(photos, **more)


def eraser(count=8, **provenance):
    about = {"attribute": "jpeg", "n_photos": count, **provenance}
    return Eraser("leace", np.zeros(4, np.float32), np.eye(4, dtype=np.float32), 1, provenance=about)


def score(task, metric="accuracy", value=0.5):
    return Score(task, "", metric, value, value - 0.1, value + 0.1, 8, 0.25)


def scored_of(scores, name="here", failures=()):
    result = SimpleNamespace(scores=tuple(scores), failures=tuple(failures), data={"name": name})
    return SimpleNamespace(result=result, answers={})


@pytest.fixture
def world(monkeypatch, tmp_path):
    w = SimpleNamespace(notes=[], by_size={4: eraser(4), 8: eraser(8)}, applies=lambda *given: True)
    w.options, w.encoder, w.photos = (
        RunOptions(cache=tmp_path, seed=3),
        toy_encoder(as_rows, lambda i: i, 4),
        photo_set(),
    )
    w.measured = photo_set("here, measured")
    w.sides = SimpleNamespace(
        photos=w.measured, fitted=photo_set("fitted"), rows=np.array([0, 2, 3]), fit=np.array([0, 1]),
        fit_set=FitSet(np.array([7], np.uint64), np.array([0], np.uint64)), unseen={"photos": 4},
    )  # fmt: skip

    def plan(*given, **how):
        w.notes.append(("plan", given, how))
        return w.sides

    def fitted(encoder, sides, request, trace):
        w.notes.append(("fit", encoder is w.encoder, sides is w.sides, request, trace.labels.shape))
        w.labels = trace.labels
        return w.by_size

    def tasks(trace, photos, *, every):
        w.notes.append(("tasks", trace, photos.name, every))
        return [TASKS["probe/jpeg"], TASKS["knn/jpeg"]]

    def scored(encoder, photos, tasks, options, eraser=None):
        assert (encoder, options) == (w.encoder, w.options)
        w.notes.append(("score", photos.name, [task.name for task in tasks], eraser))
        return scored_of([score(task.name, value=0.3 if eraser else 0.6) for task in tasks], photos.name)

    monkeypatch.setattr(module, "plan_fit", plan)
    monkeypatch.setattr(module, "_fitted", fitted)
    monkeypatch.setattr(module, "check_eraser", lambda *given: w.notes.append(("check", *given)))
    monkeypatch.setattr(module, "refuse_leaks", lambda erasing, photos: w.notes.append(("leaks", erasing, photos.name)))
    monkeypatch.setattr(module, "tasks_of", tasks)
    monkeypatch.setattr(module, "_applies", lambda *given: w.applies(*given))
    monkeypatch.setattr(module, "_scored", scored)
    monkeypatch.setattr(module, "rows_of", lambda before, after: [(before.result.data["name"], after)])
    return w


def erase(world, *also, **request):
    lines = []
    request = EraseRequest("jpeg", "mean", world.options, **request)
    return erase_trace(world.encoder, world.photos, request, also=also, log=lines.append), lines, request


def test_erase_trace__steps_in_order(world):
    there, fitted = photo_set("there"), world.by_size[8]
    done, lines, request = erase(world, there)
    both = ["probe/jpeg", "knn/jpeg"]
    leaks = world.notes[6]
    assert world.notes == [
        (
            "plan", (world.photos, "jpeg"),
            {"seed": 3, "drop_leaks": False, "cameras": True, "apart": True, "share": 0.5},
        ),
        ("fit", True, True, request, (len(trace_of("jpeg", world.photos, world.options).views), 3)),
        ("check", fitted, world.encoder),
        ("tasks", "jpeg", "here, measured", False),
        ("score", "here, measured", both, None),
        ("score", "here, measured", both, fitted),
        leaks,
        ("tasks", "jpeg", "there", False),
        ("score", "there", both, None),
        ("score", "there", both, fitted),
    ]  # fmt: skip
    assert (leaks[0], leaks[1].place, leaks[1].eraser, leaks[1].fit, leaks[2]) == (
        "leaks", "the eraser just fitted", fitted, world.sides.fit_set, "there",
    )  # fmt: skip
    whole = trace_of("jpeg", world.photos, world.options).labels
    assert world.labels.tolist() == whole[:, [0, 2, 3]].tolist()
    assert lines == [
        "fitting mean to jpeg on 2 photos of here",
        "measuring on here, measured: probe/jpeg, knn/jpeg",
        "measuring on there: probe/jpeg, knn/jpeg",
    ]
    assert (done.eraser, done.plan, done.curve) == (fitted, world.sides, ())
    assert [one.result.data["name"] for one in done.before] == ["here, measured", "there"]
    assert [one.result.scores[0].value for one in (*done.before, *done.after)] == [0.6, 0.6, 0.3, 0.3]
    assert done.rows == (("here, measured", done.after[0]), ("there", done.after[1]))


def test_erase_trace__choices_of_the_request(world):
    choices = {"drop_leaks": True, "cameras_apart": False, "readers_apart": False, "fit_share": 0.25}
    erase(world, transfer=True, **choices)
    assert world.notes[0][2] == {"seed": 3, "drop_leaks": True, "cameras": False, "apart": False, "share": 0.25}
    assert [note for note in world.notes if note[0] == "tasks"] == [("tasks", "jpeg", "here, measured", True)]


def test_erase_trace__tasks_that_the_eraser_cannot_be_applied_to_are_left_out(world):
    given = []

    def applies(eraser, task, photos, options):
        given.append((eraser, task.name, photos.name, options))
        return task.name == "knn/jpeg" and photos.name == "there"

    world.applies = applies
    done, lines, _ = erase(world, photo_set("there"))
    fitted, options = world.by_size[8], world.options
    both = [
        ("probe/jpeg", "here, measured"),
        ("knn/jpeg", "here, measured"),
        ("probe/jpeg", "there"),
        ("knn/jpeg", "there"),
    ]
    assert given == [(fitted, task, photos, options) for task, photos in both]
    assert lines[1:] == ["here, measured: has no answers to these questions", "measuring on there: knn/jpeg"]
    assert (len(done.before), len(done.rows)) == (1, 1)


def test_curve__without_an_eraser_then_by_size(world):
    done, _, _ = erase(world, sizes=(4,))
    scored = [(name, tasks, made) for _, name, tasks, made in world.notes[-3:]]
    of = ("here, measured", ["probe/jpeg"])
    assert scored == [(*of, None), (*of, world.by_size[4]), (*of, world.by_size[8])]
    point = {"readers": {"linear": {"value": 0.3, "low": 0.2, "high": 0.4}}, "n": 8, "chance": 0.25}
    before = {"value": 0.6, "low": 0.5, "high": 0.7}
    assert done.curve == (
        {**point, "photos": 0, "readers": {"linear": before}}, {"photos": 4, **point}, {"photos": 8, **point},
    )  # fmt: skip


def test_point__one_entry_by_reader():
    scores = [score("probe/jpeg", "accuracy", 0.1234567), score("probe/jpeg", "accuracy-knn", 0.7)]
    assert module._point(60, scored_of(scores)) == {
        "photos": 60,
        "readers": {
            "linear": {"value": 0.123457, "low": 0.023457, "high": 0.223457},
            "knn": {"value": 0.7, "low": 0.6, "high": 0.8},
        },
        "n": 8,
        "chance": chance_of(scores[0]),
    }  # fmt: skip


def test_applies__an_eraser_that_needs_labels_must_know_them():
    photos, options = photo_set(attributes={"make": Labels(("one", "two"), np.zeros(8, np.int32))}), RunOptions()
    photos = replace(photos, groups={"scanner": photos.attributes["make"]})
    jpeg, plain = TASKS["probe/jpeg"], TASKS["knn/original"]
    needs = replace(eraser(views=list(jpeg.recipe(photos, options).names)), group_means=np.zeros((2, 4)))
    cases = [
        (eraser(), plain, True),
        (needs, jpeg, True),
        (needs, plain, False),
        (replace(needs, provenance={"views": ["original", "more"]}), plain, True),
        (replace(needs, provenance={"views": ["one of them"]}), plain, False),
        (replace(needs, provenance={}), plain, False),
        (replace(needs, provenance={"column": "make"}), plain, True),
        (replace(needs, provenance={"column": "scanner"}), plain, True),
        (replace(needs, provenance={"column": "model"}), plain, False),
    ]
    assert [module._applies(made, task, photos, options) for made, task, _ in cases] == [answer for *_, answer in cases]


def test_fitted__a_task_on_the_views_of_the_probe(monkeypatch):
    options = RunOptions(seed=5, mask_ratio=0.4)
    make = Labels(("one", "two"), np.arange(8, dtype=np.int32) % 2)
    photos, encoder = photo_set(attributes={"make": make}), toy_encoder(as_rows, lambda i: i, 4)
    sides = SimpleNamespace(fitted=photos, unseen={"photos": 3}, fit_set=SimpleNamespace(digest=lambda: "d1"))
    calls, scored = [], []

    def fit(*given):
        calls.append(given)
        return {8: "fitted"}

    def score_encoders(encoders, given, tasks, chosen, *, eraser):
        scored.append((encoders, given, [task.name for task in tasks], chosen, eraser))
        [task] = tasks
        assert task.run("input") == TaskOutcome(())
        return [scored_of([], failures=[Failure("photo", "a", "is empty")])]

    monkeypatch.setattr(module, "fit_on_bank", fit)
    monkeypatch.setattr(module, "score_encoders", score_encoders)
    for name, ratio in (("make", 0.4), ("jpeg", 0.0)):
        trace = trace_of(name, photos, options)
        request = EraseRequest(name, "leace", options, sizes=(60,))
        assert module._fitted(encoder, sides, request, trace) == {8: "fitted"}
        facts = {
            "attribute": name, "encoder": {"id": "toy", "weights_sha256": "0" * 64}, "data": "here",
            "fit_photos_hash": "d1", "unseen": {"photos": 3}, "seed": 5, "mask_ratio": ratio,
        }  # fmt: skip
        assert calls.pop() == ("leace", trace, "input", sides, (60,), facts)
        assert scored.pop() == ([encoder], photos, [f"erase {name}"], options, None)


def test_scored__what_failed_but_for_photos(monkeypatch):
    given = []

    def score_encoders(*positional, **named):
        given.append((positional, named))
        return [scored_of([], failures=[Failure("photo", "a", "is empty"), *failures])]

    monkeypatch.setattr(module, "score_encoders", score_encoders)
    options, photos, tasks, made = RunOptions(), photo_set(), [TASKS["knn/jpeg"]], eraser()
    failures = []
    assert module._scored("E", photos, tasks, options, made).answers == {}
    assert given == [((["E"], photos, tasks, options), {"eraser": made})]
    failures = [Failure("encoder", "toy", "no memory")]
    with pytest.raises(DataError, match=r"^toy on here: no memory$"):
        module._scored("E", photos, tasks, options, made)


def test_rows_of__chance_and_what_errs_together(monkeypatch):
    monkeypatch.setattr(module, "units_text", lambda scores: f"units of {scores[0].task}")
    probes = [("probe/jpeg", "accuracy"), ("probe/jpeg", "accuracy-knn")]
    names = [*probes, ("retrieval/pairs", "same"), ("retrieval/pairs", "spd")]
    before, after = (scored_of([score(*name, value) for name in names]) for value in (0.5, 0.3))
    before.answers, after.answers = pairs([[0, 0, 0, 0], [0, 0, 0, 1]]), pairs([[0, 1, 0, 0], [0, 2, 0, 1]])
    rows = rows_of(before, after)
    assert [(row.kind, row.reader, row.units) for row in rows] == [
        ("trace", "linear", "units of probe/jpeg"), ("trace", "knn", "units of probe/jpeg"),
        ("accuracy", "", ""), ("difference", "", ""),
    ]  # fmt: skip
    assert [row.chance for row in rows] == [chance_of(one) for one in before.result.scores]
    unjudged = [(row.before_answer is None, row.after_answer is None) for row in rows]
    assert unjudged == [(False, False)] * 2 + [(True, True)] * 2


def test_save_erased__results_and_the_folder(tmp_path, monkeypatch):
    written, saved = [], []
    monkeypatch.setattr(module, "write_scored", lambda *given, **how: written.append((*given, how)))
    monkeypatch.setattr(module, "save_eraser", lambda *given, **how: saved.append((given, how)))
    monkeypatch.setattr(module, "card_text", lambda erased, questions, place: (erased, questions == TASKS, place))
    made = replace(eraser(8, column="make"), provenance={"measured": "old", "column": "make"})
    row, plan = SimpleNamespace(record=lambda: {"task": "probe/jpeg"}), SimpleNamespace(fit_set="fit")
    erased = Erased(made, plan, (row,), ({"photos": 4},), ("before",), ("after",))
    record = {"measured": [{"task": "probe/jpeg"}], "curve": [{"photos": 4}], "column": "make"}
    assert erased_record(erased) == record
    save_erased(erased, tmp_path, "me/e")
    results = tmp_path / "results"
    assert written == [("before", results, {"single": False}), ("after", results, {"single": False})]
    assert saved == [((tmp_path, made, "fit"), {"about": record, "card": (erased, True, "me/e")})]
    save_erased(erased, tmp_path)
    assert saved[-1][1]["card"][2] == ""
    plain = replace(erased, eraser=replace(made, provenance={}))
    assert json.dumps(erased_record(plain)) == '{"measured": [{"task": "probe/jpeg"}], "curve": [{"photos": 4}]}'
