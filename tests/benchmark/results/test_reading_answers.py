"""Stored answers of made-up questions: what is read of them, what each refusal says, and which runs a folder has."""

import dataclasses
from types import SimpleNamespace

import numpy as np
import pytest

from benchmark.results import (
    SPLITS_KEY,
    AnswerFacts,
    PhotoValues,
    read_answers,
    read_files,
    task_answers,
    write_result,
)
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


def test_pairing__is_what_a_paired_difference_takes():
    values = PhotoValues(np.arange(2), np.zeros(2), (0.0, 1.0), np.array([7, 8]), 5, (-2.0, 2.0), ("web",))
    pairing = values.pairing
    assert pairing.pop("clusters").tolist() == [7, 8]
    assert pairing == {"bounds": (0.0, 1.0), "freedom": 5, "limits": (-2.0, 2.0)}


@pytest.fixture
def plain(make):
    return make.result("a", [make.score("probe/jpeg", "accuracy", 0.5, n=2), make.score("knn/jpeg", "spd", 0.0, n=2)])


QUESTIONS = {"probe/jpeg": question(shares, half), "other/task": question(shares, half)}


def written(folder, result, **arrays):
    folder.mkdir(parents=True, exist_ok=True)
    if arrays:
        np.savez(folder / "answers.npz", **{name.replace("__", "/"): array for name, array in arrays.items()})
    write_result(result, folder / "result.json")
    [file] = read_files(folder, ["result.json"]).accepted
    return file


HALVES = np.array([0.0, 1.0])


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
