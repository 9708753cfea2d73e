"""``answers:FILE``: every kind of file, texts as options, and what is refused in one sentence."""

import dataclasses
import json
import math

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from benchmark.answers import ClosedQuestion
from benchmark.encoders import load_encoder
from benchmark.encoders.loaders.answers.file import option_of
from builders.errors import EncoderError, UsageError

YES = ClosedQuestion("presence", "a.jpg", "Is there a cat in the picture?", ("yes", "no"), 0)
PLACE = ClosedQuestion("where", "b.jpg", "Where?", ("in a park", "on a bus", "at home"), 2)
ROWS = [
    {"photo_id": "a.jpg", "view": "original", "question_id": "presence", "logits": [2.0, -1.0]},
    {"photo_id": "a.jpg", "view": "jpeg-q75-420", "question_id": "presence", "logits": [0.0, 1.5]},
    {"photo_id": "b.jpg", "view": "original", "question_id": "where", "logits": [0.0, 1.0, 2.0]},
]


def jsonl(folder, rows):
    file = folder / "given.jsonl"
    file.write_text("".join(f"{json.dumps(row)}\n" for row in rows))
    return f"answers:{file}"


@pytest.mark.parametrize("kind", ["csv", "jsonl", "parquet"])
def test_file__the_same_logits_from_each_kind(tmp_path, kind):
    file = tmp_path / f"given.{kind}"
    if kind == "parquet":
        pq.write_table(pa.Table.from_pylist(ROWS), file)
    elif kind == "jsonl":
        jsonl(tmp_path, ROWS)
    else:
        lines = [f"{r['photo_id']},{r['view']},{r['question_id']},{'|'.join(map(str, r['logits']))}" for r in ROWS]
        file.write_text("\n".join(["photo_id,view,question_id,logits", *lines]))
    answers = load_encoder(f"answers:{file}").answers
    assert answers.graded
    assert answers.views == ("original", "jpeg-q75-420")
    values = answers.logits("original", [PLACE, YES])
    np.testing.assert_array_equal(values, np.float32([[0, 1, 2], [2, -1, np.nan]]))
    np.testing.assert_array_equal(answers.logits("jpeg-q75-420", [PLACE, YES])[0], np.full(3, np.nan))


@pytest.mark.parametrize("kind", ["csv", "jsonl"])
def test_file__may_begin_with_a_byte_order_mark(tmp_path, kind):
    text = {"csv": "photo_id,logits\na.jpg,1|0\n", "jsonl": '{"photo_id": "a.jpg", "logits": [1, 0]}\n'}[kind]
    (tmp_path / f"given.{kind}").write_text(text, encoding="utf-8-sig")
    answers = load_encoder(f"answers:{tmp_path}/given.{kind}").answers
    assert answers.logits("original", [YES]).tolist() == [[1, 0]]


@pytest.mark.parametrize("end", ["\n", "\r\n"])
def test_file__a_line_of_json_may_hold_other_ends_of_lines(tmp_path, end):
    """JSON may contain U+2028, U+0085 and others as they are; only a line feed ends a line of JSON."""
    marks = {"a.jpg": "\u2028", "b.jpg": "\u2029", "c.jpg": "\u0085"}
    rows = [{"photo_id": name, "note": f"a{mark}b", "logits": [1, 0]} for name, mark in marks.items()]
    lines = [json.dumps(row, ensure_ascii=False) + end for row in rows]
    (tmp_path / "given.jsonl").write_bytes("".join(lines).encode())
    answers = load_encoder(f"answers:{tmp_path}/given.jsonl").answers
    questions = [dataclasses.replace(YES, photo=name) for name in marks]
    assert np.isfinite(answers.logits("original", questions)).all()


def test_file__words_are_options_and_one_question_needs_no_id(tmp_path):
    rows = [{"photo_id": "a.jpg", "answer": "Yes, there is one."}, {"photo_id": "b.jpg", "answer": "(C)"}]
    answers = load_encoder(jsonl(tmp_path, rows)).answers
    assert not answers.graded
    values = answers.logits("original", [YES, PLACE])
    assert values[0, :2].tolist() == [0, -math.inf]
    assert values[1].tolist() == [-math.inf, -math.inf, 0]


@pytest.mark.parametrize(
    ("text", "option"),
    [("yes", 0), ("No.", 1), ("No, I see none", 1), ("NO", 1), ("Not sure", None), ("maybe yes", None), ("", None)],
)
def test_option_of__yes_and_no(text, option):
    assert option_of(text, YES) == option


@pytest.mark.parametrize(
    ("text", "option"),
    [("A", 0), ("b.", 1), ("C) at home", 2), ("At home.", 2), ("A bus", None), ("A) at home", None), ("D", None)],
)
def test_option_of__letters(text, option):
    assert option_of(text, PLACE) == option


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        ([{"photo_id": "a.jpg", "view": "original"}], "logits or answer"),
        ([{"photo": "a.jpg", "logits": [1, 2]}], r"photo_id"),
        ([{**ROWS[0], "view": "jpeg-q74"}], "jpeg-q74"),
        ([ROWS[0], ROWS[0]], "presence about a.jpg"),
        ([{**ROWS[0], "logits": ["a", "b"]}], "presence about a.jpg"),
        ([{**ROWS[0], "logits": ["1", "inf"]}], "presence about a.jpg"),
        ([{**ROWS[0], "logits": None}], "presence about a.jpg"),
        ([{**ROWS[0], "photo_id": ""}], "row 1"),
        ([ROWS[1]], "given.jsonl"),
    ],
)
def test_file__what_is_wrong_is_one_sentence(tmp_path, rows, message):
    with pytest.raises((EncoderError, UsageError), match=message) as error:
        load_encoder(jsonl(tmp_path, rows))
    assert str(tmp_path) not in str(error.value)
    assert "\n" not in str(error.value)


def test_file__logits_of_another_question(tmp_path):
    answers = load_encoder(jsonl(tmp_path, [{**ROWS[0], "logits": [1, 2, 3]}])).answers
    with pytest.raises(EncoderError, match=r"3 logits"):
        answers.logits("original", [YES])


def test_file__options(tmp_path):
    spec = jsonl(tmp_path, ROWS)
    with pytest.raises(UsageError, match="'question'"):
        load_encoder(f"{spec}?question=choice")
    with pytest.raises(UsageError, match="--device"):
        load_encoder(spec, device="cuda")
    with pytest.raises(UsageError, match=r"^answers:none.jsonl: "):
        load_encoder(f"answers:{tmp_path}/none.jsonl")
    choice = load_encoder(f"{spec}?questions=choice&model=big-one")
    assert choice.info.preprocessing["questions"] == "choice"
    assert choice.info.details["told"] == {"model": "big-one"}
    assert choice.answers.rule.name == "choice"
