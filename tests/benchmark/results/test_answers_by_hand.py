"""Stored answers of made-up questions: what is read of them, what each refusal says, and which runs a folder has."""

import dataclasses
from types import SimpleNamespace

import numpy as np
import pytest

from benchmark.results import (
    SPLITS_KEY,
    AnswerFacts,
    PhotoValues,
    Refusal,
    ResultFile,
    answers,
    processings_of,
    proof_of,
    read_answers,
    read_files,
    read_runs,
    task_answers,
    write_result,
)
from benchmark.results.answers import _photos_of, answers_path
from benchmark.results.proof import objection
from benchmark.tasks import all_tasks
from builders.errors import DataError
from builders.untrusted import describe_error


def question(values, facts=None):
    """A question whose answers are arrays as they are, or an error."""

    def read(stored):
        if isinstance(values, Exception):
            raise values
        return {name: values(array) for name, array in stored.items()}

    def read_facts(stored):
        return {name: facts(array) for name, array in stored.items()}

    return SimpleNamespace(read_answers=read, read_facts=read_facts)


def shares(array):
    return PhotoValues(np.arange(len(array)), array, (0.0, 1.0))


def half(array):
    return AnswerFacts(0.5, None, {"of": len(array)})


def test_read_answers__each_task_by_itself():
    good = np.array([0.0, 1.0])
    arrays = {"a/x/m": good, "a/x/n": good[:1], SPLITS_KEY: good, "b/m": good, "c/m": good, "d/m": good}
    questions = {"a/x": question(shares, half), "b": question(KeyError("gone")), "d": question(shares, lambda a: 1 / 0)}
    made = read_answers(arrays, questions)
    assert {key: values.values.tolist() for key, values in made.values.items()} == {
        ("a/x", "m"): [0.0, 1.0],
        ("a/x", "n"): [0.0],
    }
    assert made.facts == {("a/x", "m"): half(good), ("a/x", "n"): half(good[:1])}
    assert made.unreadable == {
        "b": f"its answers cannot be read ({describe_error(KeyError('gone'))})",
        "c": "this version of camtrace does not know the question",
        "d": f"its answers cannot be read ({describe_error(ZeroDivisionError('division by zero'))})",
    }
    without = read_answers(arrays, questions, with_facts=False)
    assert (set(without.values), without.facts) == ({("a/x", "m"), ("a/x", "n"), ("d", "m")}, {})


@pytest.mark.parametrize(
    ("changed", "sentence"),
    [
        ({}, ""),
        ({"values": np.array([-0.0, 1.0, 1.0])}, ""),
        ({"values": np.array([-1.0, 1.0, 0.0]), "bounds": (-1.0, 1.0)}, ""),
        ({"clusters": np.array([1, 1, 2])}, ""),
        ({"values": np.array([0.5])}, "3 photos, values of shape (1,)"),
        ({"values": np.zeros((3, 1))}, "3 photos, values of shape (3, 1)"),
        ({"clusters": np.array([1, 1])}, "3 photos, values of shape (3,)"),
        ({"photos": np.zeros(0, int), "values": np.zeros(0)}, "0 photos, values of shape (0,)"),
        ({"photos": np.array([4, 5, 4])}, "a photo is there twice"),
        ({"values": np.array([0.5, 1.01, 0.5])}, "values outside [0, 1]"),
        ({"values": np.array([0.5, -0.01, 0.5])}, "values outside [0, 1]"),
        ({"values": np.array([0.5, np.nan, 0.5]), "bounds": (-1.0, 0.5)}, "values outside [-1, 0.5]"),
    ],
)
def test_read_answers__values_that_are_refused(changed, sentence):
    plain = PhotoValues(np.array([4, 5, 6]), np.array([0.0, 0.5, 1.0]), (0.0, 1.0))
    values = dataclasses.replace(plain, **changed)
    made = read_answers({"a/m": np.zeros(1)}, {"a": question(lambda array: values, half)})
    if sentence:
        error = DataError(sentence)
        assert made.unreadable == {"a": f"its answers cannot be read ({describe_error(error)})"}
    else:
        assert (made.unreadable, list(made.values)) == ({}, [("a", "m")])


def test_photos_of__one_more_than_the_largest_index():
    def of(photos):
        return PhotoValues(np.asarray(photos), np.zeros(len(photos)), (0.0, 1.0))

    indices = {("a", "m"): of([3, 9]), ("a", "n"): of(np.array([4], np.uint8)), ("b", "m"): of(["p77", "p78"])}
    assert _photos_of(indices) == 10
    assert _photos_of({("b", "m"): indices["b", "m"]}) == 0
    assert _photos_of({}) == 0
    for dtype in (np.uint8, np.uint16, np.uint32, np.uint64, np.int8, np.int32, np.int64):
        one = of(np.array([7, 120, 4], dtype))
        assert _photos_of({**indices, ("c", "m"): one}) == _photos_of({("c", "m"): one}) == 121


def test_pairing__is_what_a_paired_difference_takes():
    values = PhotoValues(np.arange(2), np.zeros(2), (0.0, 1.0), np.array([7, 8]), 5, (-2.0, 2.0), ("web",))
    pairing = values.pairing
    assert pairing.pop("clusters").tolist() == [7, 8]
    assert pairing == {"bounds": (0.0, 1.0), "freedom": 5, "limits": (-2.0, 2.0)}


@pytest.fixture
def plain(make):
    return make.result("a", [make.score("probe/jpeg", "accuracy", 0.5, n=2), make.score("knn/jpeg", "spd", 0.0, n=2)])


def test_processings_of__the_options_of_a_run(plain):
    for options, expected in (
        ({"processings": "[a]"}, "[a]"),
        ({"processings": None}, ""),
        ({}, ""),
        ([], ""),
        (None, ""),
    ):
        environment = {**plain.environment, "options": options}
        assert processings_of(dataclasses.replace(plain, environment=environment)) == expected
    without = {name: value for name, value in plain.environment.items() if name != "options"}
    assert processings_of(dataclasses.replace(plain, environment=without)) == ""


def test_answers_path__next_to_a_result_of_a_run(tmp_path, plain):
    (tmp_path / "answers.npz").symlink_to(tmp_path / "gone")
    for name, path in (("result.json", tmp_path / "answers.npz"), ("other.json", None)):
        assert answers_path(ResultFile("a", plain, path=tmp_path / name)) == path
    assert answers_path(ResultFile("a", plain)) is None
    assert answers_path(ResultFile("a", plain, path=tmp_path / "below" / "result.json")) is None


QUESTIONS = {"probe/jpeg": question(shares, half), "other/task": question(shares, half)}


def written(folder, result, **arrays):
    folder.mkdir(parents=True, exist_ok=True)
    if arrays:
        np.savez(folder / "answers.npz", **{name.replace("__", "/"): array for name, array in arrays.items()})
    write_result(result, folder / "result.json")
    [file] = read_files(folder, ["result.json"]).accepted
    return file


HALVES = np.array([0.0, 1.0])


def refusal(file):
    with pytest.raises(DataError) as error:
        answers._checked_answers(file, QUESTIONS)
    return str(error.value)


def test_checked_answers__what_each_refusal_says(tmp_path, plain, monkeypatch):
    none = answers._checked_answers(written(tmp_path / "none", plain), QUESTIONS)
    assert vars(none) == {"values": {}, "facts": {}, "unreadable": {}}
    recorded = dataclasses.replace(plain, environment={**plain.environment, "answers_sha256": "0" * 64})
    file = written(tmp_path / "changed", recorded, probe__jpeg__accuracy=HALVES)
    assert refusal(file) == "answers.npz is not the one that the result was written with: its SHA-256 is another"
    file = written(tmp_path / "broken", plain)
    (tmp_path / "broken" / "answers.npz").write_bytes(b"no archive")
    assert refusal(file).startswith("answers.npz ")
    file = written(tmp_path / "wrong", plain, probe__jpeg__accuracy=np.array([1.0, 1.0]))
    assert refusal(file) == "probe/jpeg accuracy is 0.5 of 2, but its answers in answers.npz give 1 of 2"
    assert proof_of(file, QUESTIONS) == answers.Proof(refusal(file), ("probe/jpeg accuracy", "knn/jpeg spd"))
    calls = []

    def miscounted(result, splits, photos):
        calls.append((result, None if splits is None else splits.tolist(), photos))
        return "too many"

    arrays = {"probe__jpeg__accuracy": HALVES, "other__task__m": np.zeros(9), "photo-set__splits": np.zeros(3, np.int8)}
    monkeypatch.setattr(answers, "contradicted", lambda *arguments: calls.append(arguments) or "")
    monkeypatch.setattr(answers, "miscounted", miscounted)
    file = written(tmp_path / "right", plain, **arrays)
    assert refusal(file) == "too many"
    (score, values, facts, result), counted = calls
    assert (score, result, facts) == (file.result.scores[0], file.result, half(HALVES))
    assert values.values.tolist() == [0.0, 1.0]
    assert counted == (file.result, [0, 0, 0], 2)
    monkeypatch.setattr(answers, "miscounted", lambda *arguments: "")
    made = answers._checked_answers(file, QUESTIONS)
    assert (list(made.values), made.unreadable) == ([("probe/jpeg", "accuracy")], {})
    assert set(made.facts) == {("probe/jpeg", "accuracy"), ("other/task", "m")}
    assert proof_of(file, QUESTIONS) == answers.Proof("", ("knn/jpeg spd",))
    calls.clear()
    file = written(tmp_path / "others", plain, other__task__m=np.zeros(9))
    monkeypatch.setattr(answers, "miscounted", miscounted)
    assert answers._checked_answers(file, QUESTIONS).values == {}
    assert calls == []


def test_task_answers__of_the_task_alone_without_what_contradicts_its_score(tmp_path, plain):
    more = [*plain.scores, dataclasses.replace(plain.scores[0], metric="other", value=0.49)]
    result = dataclasses.replace(plain, scores=tuple(more))
    arrays = {"probe__jpeg__accuracy": HALVES, "probe__jpeg__other": HALVES, "probe__jpeg__third": HALVES}
    file = written(tmp_path, result, **arrays, knn__jpeg__spd=HALVES)
    made = task_answers(file, "probe/jpeg", QUESTIONS)
    assert {name: values.values.tolist() for name, values in made.items()} == {"accuracy": [0.0, 1.0]}
    assert task_answers(file, "knn/jpeg", QUESTIONS) == {}
    (tmp_path / "answers.npz").write_bytes(b"no archive")
    assert task_answers(file, "probe/jpeg", QUESTIONS) == {}
    (tmp_path / "answers.npz").unlink()
    assert task_answers(file, "probe/jpeg", QUESTIONS) == {}


def test_read_runs__in_the_order_of_paths_and_refused_ones(tmp_path, plain, monkeypatch):
    with pytest.raises(DataError) as error:
        read_runs(tmp_path, all_tasks())
    assert str(error.value) == f"{tmp_path}: there is no result.json; give the --output of a run"
    remembered = []
    monkeypatch.setattr(answers, "remember_parameters", remembered.append)
    monkeypatch.setattr(answers, "contradicted", lambda score, values, facts, result: objection(score, values))
    defined = dataclasses.replace(plain, environment={**plain.environment, "options": {"processings": "[x]"}})
    written(tmp_path / "b", plain, probe__jpeg__accuracy=HALVES)
    written(tmp_path / "a", defined, zzz__m=HALVES)
    written(tmp_path / "c", plain, probe__jpeg__accuracy=np.array([1.0, 1.0]))
    (tmp_path / "d").mkdir()
    (tmp_path / "d" / "result.json").write_text("{}")
    read = read_runs(tmp_path, QUESTIONS)
    assert [(run.folder, run.encoder, run.data, list(run.answers)) for run in read.runs] == [
        (tmp_path / "a", "a", "toy", []),
        (tmp_path / "b", "a", "toy", [("probe/jpeg", "accuracy")]),
    ]
    assert [dict(run.unreadable) for run in read.runs] == [
        {"zzz": "this version of camtrace does not know the question"},
        {},
    ]
    assert read.refused == (
        Refusal("d/result.json", "schema_version is None, this camtrace reads 1 to 2"),
        Refusal("c/result.json", "probe/jpeg accuracy is 0.5 of 2, but its answers in answers.npz give 1 of 2"),
    )
    assert remembered == ["[x]", "", ""]
