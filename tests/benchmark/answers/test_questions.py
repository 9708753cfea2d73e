"""Closed questions from classes and from tables: balance, seeds, prompts and what is refused."""

import dataclasses
import json
from collections import Counter

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from benchmark.answers import (
    ClosedQuestion,
    choice_questions,
    chosen_rule,
    closed_questions,
    presence_questions,
    prompt_of,
    questions_hash,
    reversed_order,
    words_of,
)
from builders.errors import DataError, UsageError
from builders.photos import SPLITS, Labels, PhotoSet, hash64

CLASSES = ("airplane", "cat", "tench_fish")
ROW = {"photo_id": "a.jpg", "question_id": "light", "text": "When?", "options": ["day", "night"], "right": "night"}
LIGHT = ClosedQuestion("light", "a.jpg", "When?", ("day", "night"), 1)


def photo_set(n=60):
    ids = {f"{i}.jpg": b"" for i in range(n)}
    labels = [CLASSES[i % 3] for i in range(n)]
    return PhotoSet.of_bytes("toy", ids, labels, ["train" if i % 4 else "val" for i in range(n)])


def test_presence__half_of_each_class_and_split_is_true():
    photos = photo_set()
    questions = presence_questions(photos, 0)
    assert [question.photo for question in questions] == list(photos.ids)
    true = Counter()
    for question, label, split in zip(questions, photos.labels.values, photos.splits, strict=True):
        shown = CLASSES[label].replace("_", " ")
        assert (shown in question.text) == (question.right == 0)
        true[label, split, question.right] += 1
    for label, split in {(key[0], key[1]) for key in true}:
        assert abs(true[label, split, 0] - true[label, split, 1]) <= 1
    assert questions[0].text in {
        f"Is there {name} in the picture?" for name in ("an airplane", "a cat", "a tench fish")
    }
    assert questions == presence_questions(photos, 0) != presence_questions(photos, 1)


def test_choice__positions_are_balanced_and_options_differ():
    photos = photo_set()
    questions = choice_questions(photos, 0)
    for question, label in zip(questions, photos.labels.values, strict=True):
        assert sorted(question.options) == ["airplane", "cat", "tench fish"]  # three classes: three options
        assert question.options[question.right] == CLASSES[label].replace("_", " ")
    assert set(Counter(question.right for question in questions).values()) <= {19, 20, 21}
    assert questions == choice_questions(photos, 0) != choice_questions(photos, 1)


NAMES = ("_owl", "Ape", "cat", "tench_fish", "urn")
SPOKEN = {"_owl": "owl", "Ape": "Ape", "cat": "cat", "tench_fish": "tench fish", "urn": "urn"}
ARTICLES = {"_owl": "a", "Ape": "an", "cat": "a", "tench_fish": "a", "urn": "an"}


@pytest.mark.parametrize("count", [2, 3, 5])
def test_questions__by_definition_one_photo_after_the_other(count):
    """In the order of hashes within class and split, photos take turns; other classes come in the order of a hash."""
    rng = np.random.default_rng(count)
    values, splits = rng.integers(-1, count, 60), rng.integers(0, 3, 60)
    photos = PhotoSet.of_bytes("toy", {f"{i}.jpg": b"" for i in range(60)}, None, [SPLITS[s] for s in splits])
    photos = dataclasses.replace(photos, labels=Labels(NAMES[:count], values.astype(np.int32)))
    known = [i for i in range(60) if values[i] >= 0]

    def expected(rule, period, i):
        """(the turn of a photo, other classes)."""
        alike = [j for j in known if (values[j], splits[j]) == (values[i], splits[i])]
        alike.sort(key=lambda j: hash64(f"{rule}\0{7}\0{j}.jpg"))
        others = [name for name in NAMES[:count] if name != NAMES[values[i]]]
        others.sort(key=lambda name: hash64(f"{rule}\0{7}\0{i}.jpg\0{name}"))
        return (alike.index(i) + values[i]) % period, others

    presence, choice = [], []
    for i in known:
        turn, others = expected("presence", 2, i)
        name = others[0] if turn else NAMES[values[i]]
        text = f"Is there {ARTICLES[name]} {SPOKEN[name]} in the picture?"
        presence.append(ClosedQuestion("presence", f"{i}.jpg", text, ("yes", "no"), turn))
        size = min(4, count)
        turn, others = expected("choice", size, i)
        options = [SPOKEN[name] for name in (*others[:turn], NAMES[values[i]], *others[turn : size - 1])]
        choice.append(ClosedQuestion("choice", f"{i}.jpg", "What is in the picture?", tuple(options), turn))
    assert presence_questions(photos, 7) == tuple(presence)
    assert choice_questions(photos, 7) == tuple(choice)
    assert list(closed_questions(photos, "choice", seed=7)) == [choice[known.index(i)] for i in known if splits[i] == 1]


def test_presence__unlabelled_photos_have_no_question():
    photos = photo_set(6)
    photos.labels.values[2] = -1
    assert [question.photo for question in presence_questions(photos, 0)] == [f"{i}.jpg" for i in (0, 1, 3, 4, 5)]


def test_prompt_and_words_by_hand():
    yes = ClosedQuestion("1", "a", "Is there a cat in the picture?", ("yes", "no"), 0)
    assert prompt_of(yes, reversed_order(yes)) == "Is there a cat in the picture? Answer no or yes."
    assert words_of(yes, reversed_order(yes)) == ("yes", "no")
    assert prompt_of(LIGHT, (1, 0)) == "When?\nA. night\nB. day\nAnswer with the letter."
    assert words_of(LIGHT) == ("A", "B")
    assert words_of(LIGHT, (1, 0)) == ("B", "A")
    four = ClosedQuestion("1", "a", "What?", ("k", "l", "m", "n"), 0)
    order = (2, 0, 3, 1)  # listed: m, k, n, l
    assert words_of(four, order) == ("B", "D", "A", "C")


def test_hash_changes_with_every_field():
    changed = [("light", "a", "x", ("a", "b"), 0), ("l", "b", "x", ("a", "b"), 0), ("l", "a", "y", ("a", "b"), 0)]
    changed += [("l", "a", "x", ("b", "a"), 0), ("l", "a", "x", ("a", "b"), 1), ("l", "a", "x", ("a", "b"), 0)]
    assert len({questions_hash([ClosedQuestion(*fields)]) for fields in changed}) == 6


@pytest.mark.parametrize("kind", ["csv", "jsonl", "parquet"])
def test_table__the_same_questions_from_each_kind_of_file(tmp_path, kind):
    file = tmp_path / f"own.{kind}"
    if kind == "csv":
        file.write_text("photo_id,question_id,text,options,right\na.jpg,light,When?,day | night,night\n")
    elif kind == "jsonl":
        file.write_text(json.dumps(ROW) + "\n\n")
    else:
        pq.write_table(pa.Table.from_pylist([ROW]), file)
    rule = chosen_rule(str(file))
    assert rule.table == (LIGHT,)
    assert rule.name.startswith(f"own.{kind}@")
    photos = PhotoSet.of_bytes("toy", {"b.jpg": b"", "a.jpg": b""})
    assert rule.questions(photos, 0) == (LIGHT,)
    with pytest.raises(DataError, match=r"a.jpg"):
        rule.questions(PhotoSet.of_bytes("toy", {"b.jpg": b""}), 0)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"right": "dusk"}, "row 2: .*dusk"),
        ({"options": ["day"]}, "row 2: "),
        ({"options": ["night", "night"]}, "row 2: "),
        ({"options": [1, 2]}, "row 2: options are texts"),
        ({"text": None}, "row 2 has no text"),
        ({}, "row 2: .*light about a.jpg"),
    ],
)
def test_table__what_is_wrong_is_one_sentence_with_the_row(tmp_path, change, message):
    file = tmp_path / "own.jsonl"
    file.write_text(f"{json.dumps(ROW)}\n{json.dumps({**ROW, **change})}\n")
    with pytest.raises(DataError, match=f"^own.jsonl: {message}"):
        chosen_rule(str(file))


@pytest.mark.parametrize(
    ("name", "text", "message"),
    [
        ("own.txt", "", "own.txt"),
        ("own.jsonl", "[1]\n", "own.jsonl: line 1"),
        ("own.jsonl", "\n{\n", "own.jsonl, line 2: "),
        ("own.jsonl", "", "own.jsonl"),
        ("own.csv", "photo_id,question_id,text,options\na,b,c,d|e\n", "own.csv: row 1"),
        ("own.csv", "photo_id,text,right\na,b\n", "own.csv"),
        ("own.parquet", "no table", "own.parquet"),
    ],
)
def test_table__of_another_form_is_one_sentence_without_its_folder(tmp_path, name, text, message):
    (tmp_path / name).write_text(text)
    with pytest.raises(DataError) as error:
        chosen_rule(str(tmp_path / name))
    assert str(error.value).startswith(message)
    assert str(tmp_path) not in str(error.value)


def test_rule__neither_a_name_nor_a_file(tmp_path):
    with pytest.raises(UsageError, match="file"):
        chosen_rule(str(tmp_path))
    with pytest.raises(UsageError, match="questions=presense"):
        chosen_rule("presense")
    with pytest.raises(DataError, match="classes"):
        chosen_rule("presence").questions(PhotoSet.of_bytes("toy", {"a": b""}, ["cat"]), 0)
