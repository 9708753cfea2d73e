"""Files of embeddings, scores and answers that other programs made: rows, records, identities and refusals by hand."""

from __future__ import annotations

import hashlib
import json
import math
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import torch
from PIL import Image

from benchmark.answers import ClosedQuestion
from benchmark.encoders.loaders.answers.file import load_answers, option_of
from benchmark.encoders.loaders.scores import load_scores
from benchmark.encoders.loaders.stored import load_embeddings
from benchmark.encoders.registry import LoadRequest
from builders.errors import CamtraceError, EncoderError

LOADERS: Any = {"embeddings": load_embeddings, "scores": load_scores, "answers": load_answers}


def load(spec: str, **request: Any) -> Any:
    return LOADERS[spec.partition(":")[0]](LoadRequest(spec, **request))


def parquet(file: Path, embedding: Any = ((1.0, 2.0), (3.0, 4.0)), **columns: Any) -> Path:
    columns = columns or {"photo_id": ["a", "b"]}
    column = embedding if isinstance(embedding, pa.Array) else pa.array([list(vector) for vector in embedding])
    pq.write_table(pa.table({**columns, "embedding": column}), file)
    return file


def refusal(spec: str, **request: Any) -> str:
    with pytest.raises(CamtraceError) as refused:
        load(spec, **request)
    return str(refused.value)


def test_embeddings__record_and_notice(tmp_path: Path) -> None:
    file = parquet(tmp_path / "e.parquet", ((1.0, 2.0), (3.0, 4.0), (5.0, 6.0)), photo_id=["a", "b", "c"])
    sha256 = hashlib.sha256(file.read_bytes()).hexdigest()
    encoder = load(f"embeddings:{file}?model=m&training_data=t")
    info = encoder.info
    assert (info.id, info.library, info.revision, info.weights_sha256) == (
        f"embeddings:e.parquet@{sha256[:8]}", "embeddings", None, sha256,
    )  # fmt: skip
    assert (info.dimension, info.parameters, info.group, info.training_data) == (2, 0, "unknown", "t")
    assert info.preprocessing == {
        "size": "unknown", "backend": "unknown, embedded elsewhere", "transport": "embeddings",
    }  # fmt: skip
    assert info.details == {
        "file": "e.parquet", "rows": 3, "sha256_is": "of the file of embeddings, not of weights",
        "unknown": ["weights", "preprocessing"], "told": {"model": "m", "training_data": "t"},
    }  # fmt: skip
    assert encoder.notices == ("embeddings:e.parquet: not known: weights, preprocessing",)
    assert (encoder.device, encoder.dtype, encoder.stored.name) == ("cpu", "float32", info.id)
    assert encoder.preprocess(Image.new("RGB", (3, 2))).tolist() == [0.0]
    with pytest.raises(EncoderError, match="embeddings"):
        encoder.embed(torch.zeros(1, 1))
    plain = load(f"embeddings:{file}").info
    assert "told" not in plain.details
    assert refusal(f"embeddings:{file}?group=x").startswith("unknown group 'x'")
    assert (plain.training_data, load(f"embeddings:{file}?group=CVL").info.group) == ("unknown", "CVL")


def test_embeddings__a_folder_is_one_file_of_its_parts(tmp_path: Path) -> None:
    first, second = (parquet(tmp_path / f"{n}.parquet", photo_id=[n, f"{n}2"], **more) for n, more in (
        ("a", {}), ("b", {"jpeg": [0, None]})))  # fmt: skip
    (tmp_path / "notes.txt").write_text("x")
    encoder = load(f"embeddings:{tmp_path}")
    assert encoder.stored.rows["photo"] == {"a": 0, "a2": 1, "b2": 3}
    assert encoder.stored.rows["jpeg-q75-420"] == {"b": 2}
    assert encoder.info.weights_sha256 == hashlib.sha256(first.read_bytes() + second.read_bytes()).hexdigest()
    parquet(second, ((1.0, 2.0, 3.0), (1.0, 2.0, 3.0)), photo_id=["c", "d"])
    assert "embeddings" in refusal(f"embeddings:{tmp_path}")
    parquet(second, photo=["c", "d"])
    name = f"embeddings:{tmp_path.name}"
    assert f"{name}" in refusal(f"embeddings:{tmp_path}")


@pytest.mark.parametrize(
    ("columns", "option", "ids"),
    [
        ({"key": ["a", "b"]}, "key", ["a", "b"]),
        ({"key": [7, 8]}, "key", ["7", "8"]),
        ({"key,part": ["a", "b"]}, "key,part", ["a", "b"]),
        ({"key": ["a", "b"], "part": [1, 2]}, "key, part", ["a-1", "b-2"]),
        ({"photo_id": ["a", "b"], "part": ["x", "y"]}, "part,photo_id", ["x-a", "y-b"]),
    ],
)
def test_embeddings__columns_that_make_an_id(columns: Any, option: str, ids: list[str], tmp_path: Path) -> None:
    file = parquet(tmp_path / "e.parquet", **columns)
    encoder = load(f"embeddings:{file}?id={option}")
    assert list(encoder.stored.rows["photo"]) == list(encoder.stored.rows["original"]) == ids
    assert encoder.info.preprocessing["ids"] == option
    np.save(tmp_path / "e.npy", np.array([[1, 2], [3, 4]], np.int16))
    quoted = [f'"{name}"' for name in columns]
    lines = [",".join(quoted), *(",".join(map(str, values)) for values in zip(*columns.values(), strict=True))]
    (tmp_path / "e.csv").write_text("\n".join(lines), encoding="utf-8-sig")
    other = load(f"embeddings:{tmp_path}/e.npy?id={option}")
    assert other.stored.rows == encoder.stored.rows
    assert (other.stored.vectors.tolist(), str(other.stored.vectors.dtype)) == ([[1, 2], [3, 4]], "float32")
    assert (
        other.info.weights_sha256
        == hashlib.sha256((tmp_path / "e.npy").read_bytes() + b"\0" + (tmp_path / "e.csv").read_bytes()).hexdigest()
    )


def test_embeddings__one_photo_under_two_parameters_that_leave_it_so(tmp_path: Path) -> None:
    columns: Any = {"photo_id": ["a", "a"], "jpeg": ["q95-444", None], "sharpening": [None, "none"]}
    stored = load(f"embeddings:{parquet(tmp_path / 'e.parquet', ((1.0,), (1.0,)), **columns)}").stored
    assert stored.rows == {"jpeg-q95-444": {"a": 1}}
    np.save(tmp_path / "e.npy", np.ones((2, 1), np.float32))
    (tmp_path / "e.csv").write_text("photo_id,sharpening\na,0.0\na,1.0\n")  # numbers of classes, as pandas writes them
    assert set(load(f"embeddings:{tmp_path}/e.npy").stored.rows) == {"jpeg-q95-444", "sharpening-x2"}


@pytest.mark.parametrize("kind", LOADERS)
def test_options__that_cannot_apply(kind: str, tmp_path: Path) -> None:
    for request in ({"device": "cpu"}, {"dtype": "float16"}, {"compile": True}):
        assert f"{kind}" in refusal(f"{kind}:x.csv", **request)
    assert f"{kind}" in refusal(f"{kind}:")
    assert f"{kind}" in refusal(f"{kind}:x.csv?ids=a")
    assert refusal(f"{kind}:{tmp_path}/gone.csv").startswith(f"{kind}:gone.csv: ")


def scores(folder: Path, *lines: str) -> str:
    (folder / "s.csv").write_text("\n".join(lines) + "\n")
    return f"scores:{folder}/s.csv"


def test_scores__record_rows_and_notice(tmp_path: Path) -> None:
    spec = scores(tmp_path, "photo_id,view,score", "a,,1.5", "b,original,-2", "a,jpeg-q75-420,0")
    sha256 = hashlib.sha256((tmp_path / "s.csv").read_bytes()).hexdigest()
    encoder = load(f"{spec}?threshold=-0.25&trained_on=g1, ,g2&model=m")
    photos = {"a": 0, "b": 1}
    assert encoder.stored.rows == {"original": photos, "jpeg-q75-420": {"a": 2}, "photo": photos}
    assert encoder.stored.vectors.tolist() == [[1.5], [-2.0], [0.0]]
    detector = encoder.stored.detector
    assert (detector.threshold, detector.trained_on, encoder.notices) == (-0.25, ("g1", "g2"), ())
    info = encoder.info
    assert (info.id, info.weights_sha256, info.dimension, info.parameters) == (
        f"scores:s.csv@{sha256[:8]}",
        sha256,
        1,
        0,
    )
    assert info.preprocessing == {
        "size": "unknown", "backend": "unknown, scored elsewhere", "threshold": "-0.25", "trained_on": "g1, ,g2",
        "model": "m",
    }  # fmt: skip
    assert info.details == {
        "file": "s.csv", "rows": 3, "sha256_is": "of the file of scores", "told": {"model": "m"},
    }  # fmt: skip
    plain = load(f"{spec}?training_data=t")
    assert (plain.stored.detector.threshold, plain.stored.detector.trained_on) == (None, ())
    assert plain.notices == ("scores:s.csv: it is not known which generators the detector was trained on",)
    assert (plain.info.training_data, plain.info.details["told"]) == ("t", {"training_data": "t"})
    with pytest.raises(EncoderError, match="computed"):
        encoder.embed(torch.zeros(1))
    assert load(scores(tmp_path, "key,score", "7,1") + "?id=key").stored.rows["photo"] == {"7": 0}


def answers(folder: Path, *rows: dict[str, Any]) -> str:
    (folder / "a.jsonl").write_text("".join(f"{json.dumps(row)}\n" for row in rows))
    return f"answers:{folder}/a.jsonl"


YES = ClosedQuestion("q", "a", "Is it?", ("yes", "no"), 0)
LETTERS = ClosedQuestion("q", "b", "What is it?", ("a cat", "dog", "cow"), 0)


def test_answers__record(tmp_path: Path) -> None:
    spec = answers(tmp_path, {"photo_id": "b", "logits": [1, 2]}, {"photo_id": "a", "answer": "no"},
                   *({"photo_id": photo, "view": "png", "answer": "no"} for photo in "cb"))  # fmt: skip
    sha256 = hashlib.sha256((tmp_path / "a.jsonl").read_bytes()).hexdigest()
    encoder = load(f"{spec}?training_data=t")
    info, stored = encoder.info, encoder.stored
    assert (info.id, info.weights_sha256, info.library) == (f"answers:a.jsonl@{sha256[:8]}", sha256, "answers")
    assert (info.dimension, info.pooling, info.training_data, info.parameters) == (1, "no embedding", "t", 0)
    assert info.preprocessing == {
        "size": "unknown", "backend": "unknown, computed elsewhere", "questions": "presence",
    }  # fmt: skip
    assert info.details == {
        "file": "a.jsonl", "rows": 4, "sha256_is": "of the file of answers", "told": {"training_data": "t"},
    }  # fmt: skip
    assert (stored.answers_only, stored.answer_ids, stored.rows) == (True, ("b", "a", "c"), {})
    assert (encoder.answers.name, encoder.answers.graded, encoder.answers.views) == (
        info.id,
        False,
        ("original", "png"),
    )
    with pytest.raises(EncoderError, match="answers"):
        encoder.embed(torch.zeros(1))
    tower = parquet(tmp_path / "e.parquet")
    both = load(f"{spec}?embeddings={tower}")
    of_tower = hashlib.sha256(tower.read_bytes()).hexdigest()
    assert both.info.weights_sha256 == hashlib.sha256(f"{sha256} {of_tower}".encode()).hexdigest()
    assert (both.info.id, both.info.dimension, both.info.pooling) == (info.id, 2, "as the file has it")
    assert (both.stored.name, both.stored.answer_ids, both.stored.answers_only) == (info.id, ("b", "a", "c"), False)
    assert both.stored.rows["photo"] == {"a": 0, "b": 1}


def test_answers__logits_of_rows(tmp_path: Path) -> None:
    rows = [{"photo_id": "a", "logits": "1|3"}, {"photo_id": "b", "question_id": "q", "logits": [2, 2, 1]},
            {"photo_id": "b", "logits": [5, 6, 7]}]  # fmt: skip
    graded = load(answers(tmp_path, *rows)).answers
    assert graded.logits("original", [YES, LETTERS])[:, :2].tolist() == [[1, 3], [2, 2]]
    assert graded.logits("original", [LETTERS]).tolist() == [[2, 2, 1]]
    twice = [YES, ClosedQuestion("r", "a", "Is it?", ("yes", "no"), 0)]  # two questions about a photo need their ids
    assert np.isnan(graded.logits("original", twice)).all()
    words = load(answers(tmp_path, {"photo_id": "a", "logits": [3, 3]}, {"photo_id": "b", "answer": "B"})).answers
    assert words.logits("original", [YES, LETTERS]).tolist()[0][:2] == [0, 0]
    assert words.logits("original", [LETTERS]).tolist() == [[-math.inf, 0, -math.inf]]
    numbers = load(answers(tmp_path, {"key": 7, "question_id": 3, "logits": [1, 2]}) + "?id=key").answers
    assert numbers.logits("original", [ClosedQuestion("3", "7", "Is it?", ("yes", "no"), 0)]).tolist() == [[1, 2]]
    assert load(answers(tmp_path, {"photo_id": "a", "logits": [], "answer": "no"})).answers.cells == ["no"]


@pytest.mark.parametrize(
    ("text", "question", "option"),
    [
        (" 'Yes.' ", YES, 0), ("*no*", YES, 1), ("no, yes", YES, 1), ("y", YES, None), ("yesterday", YES, None),
        ("b: dog", LETTERS, 1), ("(b)\ndog", LETTERS, 1), ("b", YES, None), ("b) Dog", LETTERS, 1),
        ("b) cow", LETTERS, None),
        ("B:", LETTERS, 1), ("(C", LETTERS, 2), ("dog", LETTERS, 1), ("bb", LETTERS, None), ("1", LETTERS, None),
    ],
)  # fmt: skip
def test_option_of__more_texts(text: str, question: ClosedQuestion, option: int | None) -> None:
    assert option_of(text, question) == option
