"""Tables of questions: which rows are questions about which photos, and which cells are no question."""

import json

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from benchmark.answers import (
    answers_of,
    by_photo,
    chosen_rule,
    closed_questions,
    read_rows,
    tables,
)
from benchmark.answers.questions import questions_of_rows
from builders.errors import DataError
from builders.photos import PhotoSet


def row(photo="a.jpg", name="1", text="When?", options="day|night", right="night", **more):
    return {"photo_id": photo, "question_id": name, "text": text, "options": options, "right": right, **more}


def pairs_of(*pairs):
    return [(question.photo, question.id) for question in pairs]


def table(folder, *rows):
    file = folder / "own.jsonl"
    file.write_text("".join(json.dumps(one) + "\n" for one in rows))
    return str(file)


def photo_set(splits):
    return PhotoSet.of_bytes("toy", {f"{name}.jpg": b"" for name in "abcd"}, None, splits)


def test_questions__of_the_test_photos_in_their_order_whatever_else_the_table_names(tmp_path):
    pairs = [("d.jpg", "2"), ("x.jpg", "1"), ("b.jpg", "1"), ("d.jpg", "1"), ("a.jpg", "1")]
    spec = table(tmp_path, *(row(photo, name) for photo, name in pairs))
    photos = photo_set(["train", "val", "test", "val"])
    assert pairs_of(*closed_questions(photos, spec)) == [("b.jpg", "1"), ("d.jpg", "2"), ("d.jpg", "1")]
    without = photo_set(["train", "test", "train", "train"])  # no val: every photo is one of test
    every = pairs_of(*closed_questions(without, spec))
    assert every == [("a.jpg", "1"), ("b.jpg", "1"), ("d.jpg", "2"), ("d.jpg", "1")]
    rule = chosen_rule(spec)
    assert (rule.unfit(photos), rule.unfit(without)) == ("", "")
    other = photo_set(["train", "train", "val", "val"])
    only = chosen_rule(table(tmp_path, row("x.jpg"), row("a.jpg")))
    assert all(name in only.unfit(other) for name in (only.name, "x.jpg", "c.jpg"))
    with pytest.raises(DataError, match="no question"):
        only.questions(other, 0)


def test_rows__one_photo_has_several_questions_and_one_question_several_photos():
    pairs = [("a", "1"), ("a", "2"), ("b", "1")]
    assert pairs_of(*questions_of_rows([row(photo, name) for photo, name in pairs])) == pairs
    with pytest.raises(DataError, match="question"):
        questions_of_rows([])


@pytest.mark.parametrize("kind", ["tsv", "csv", "jsonl", "parquet", "CSV"])
def test_read_rows__only_columns_that_were_named_and_are_there(tmp_path, kind):
    file = tmp_path / f"own.{kind}"
    rows = [{"a": "1", "b": "x", "c": "y"}, {"a": "2", "b": "z", "c": "w"}]
    if kind == "parquet":
        pq.write_table(pa.Table.from_pylist(rows), file)
    elif kind == "jsonl":
        file.write_text("\n".join(["", *map(json.dumps, rows), " "]))
    else:
        mark = "\t" if kind == "tsv" else ","
        file.write_text("\n".join(mark.join(values) for values in ("abc", ("1", "x", "y"), ("2", "z", "w"))))
    read = read_rows(file, ["c", "a", "absent"]).rows
    assert [{name: one[name] for name in ("a", "c")} for one in read] == [{"a": "1", "c": "y"}, {"a": "2", "c": "w"}]
    assert all("absent" not in one for one in read)
    assert all("b" not in one for one in read) or kind == "jsonl"


def test_answers__of_marks_have_neither_probability_nor_margin_and_of_logits_the_first_view_has_the_margin():
    logits = np.log(np.array([[[0.6, 0.4, np.nan]], [[0.1, 0.2, 0.7]]]))
    graded = answers_of(logits, np.array([1]), graded=True)
    assert graded.chosen.tolist() == [[0], [2]]
    np.testing.assert_allclose(graded.probability, [[0.4], [0.2]], rtol=1e-6)
    np.testing.assert_allclose(graded.margin, [0.2], rtol=1e-6)
    assert (graded.chosen.dtype, graded.probability.dtype, graded.margin.dtype) == (np.int8, np.float32, np.float32)
    marks = answers_of(logits, np.array([1]), graded=False)
    assert (marks.chosen.tolist(), marks.probability, marks.margin) == ([[0], [2]], None, None)
    assert by_photo(np.array([True, False, True]), np.array([1, 1, 0]), 2).tolist() == [1.0, 0.5]


def test_read_rows__lines_of_json_and_cells_of_csv_as_they_are(tmp_path):
    (tmp_path / "own.jsonl").write_bytes(b'\xef\xbb\xbf{"a": 1}\r\n \n{"a": [0.5], "b": null}')
    assert read_rows(tmp_path / "own.jsonl", ["a"]).rows == [{"a": 1}, {"a": [0.5], "b": None}]
    (tmp_path / "other.jsonl").write_bytes(b'{"a": "\xff"}')
    with pytest.raises(DataError, match=r"other\.jsonl: line 1"):
        read_rows(tmp_path / "other.jsonl", ["a"])
    (tmp_path / "own.csv").write_text("a,b,c\n1,,x\n2, y ,\n")
    assert read_rows(tmp_path / "own.csv", ["c", "b", "d"]).rows == [{"c": "x", "b": None}, {"c": None, "b": "y"}]
    with pytest.raises(DataError) as error:
        read_rows(tmp_path / "gone.csv", ["a"])
    assert str(error.value).startswith("gone.csv: ")
    assert tables.LARGEST_TABLE == 4 << 30
