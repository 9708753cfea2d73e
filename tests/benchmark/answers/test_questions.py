"""Closed questions from classes and from tables: balance, seeds, prompts and what is refused."""

import json
from collections import Counter

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from benchmark.answers import (
    ClosedQuestion,
    choice_questions,
    chosen_rule,
    presence_questions,
    prompt_of,
    questions_hash,
    reversed_order,
    words_of,
)
from builders.errors import DataError, UsageError
from builders.photos import PhotoSet

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
    with pytest.raises(DataError, match=r"no question about a test photo of toy: its ids are such as 'a.jpg'"):
        rule.questions(PhotoSet.of_bytes("toy", {"b.jpg": b""}), 0)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"right": "dusk"}, "row 2: the right answer dusk is none of its options"),
        ({"options": ["day"]}, "row 2: 2 to 26 different options are needed"),
        ({"options": ["night", "night"]}, "row 2: 2 to 26 different options are needed"),
        ({"options": [1, 2]}, "row 2: options are texts"),
        ({"text": None}, "row 2 has no text"),
        ({}, "row 2: the question light about a.jpg is there twice"),
    ],
)
def test_table__what_is_wrong_is_one_sentence_with_the_row(tmp_path, change, message):
    file = tmp_path / "own.jsonl"
    file.write_text(f"{json.dumps(ROW)}\n{json.dumps({**ROW, **change})}\n")
    with pytest.raises(DataError, match=f"^own.jsonl: {message}"):
        chosen_rule(str(file))


def test_rule__neither_a_name_nor_a_file():
    with pytest.raises(UsageError, match="questions=presense: it is presence, choice, or a file"):
        chosen_rule("presense")
    with pytest.raises(DataError, match="fewer than two classes"):
        chosen_rule("presence").questions(PhotoSet.of_bytes("toy", {"a": b""}, ["cat"]), 0)
