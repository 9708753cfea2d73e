"""Whole sentences about ONNX files, files of embeddings, questions and Python objects that are no encoders."""

from __future__ import annotations

import sys
import types
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import torch
from torch import nn

from benchmark.answers import NOISE_VIEWS, ClosedQuestion, every_view
from benchmark.answers.questions import QuestionRule, questions_of_rows
from benchmark.encoders import as_encoder, load_encoder
from benchmark.encoders.loaders import onnx_file
from benchmark.encoders.loaders.answers.file import FileAnswers
from benchmark.encoders.loaders.onnx_file import OnnxDescription, _Forward, _Input, load_onnx, read_description
from benchmark.encoders.network import Normalisation
from benchmark.encoders.registry import LoadRequest
from builders.errors import CamtraceError
from builders.photos import PhotoSet
from builders.pixels import ALL_PROCESSINGS
from tests.benchmark.encoders.test_onnx_files import averaging, two_inputs


def refusal(function: Callable[..., Any], *arguments: Any, **named: Any) -> str:
    with pytest.raises(CamtraceError) as refused:
        function(*arguments, **named)
    return f"{type(refused.value).__name__}: {refused.value}"


def picture(name: str, kind: str, *shape: Any) -> Any:
    return SimpleNamespace(name=name, type=f"tensor({kind})", shape=list(shape))


def network_of(*inputs: Any) -> Any:
    session = SimpleNamespace(get_inputs=lambda: list(inputs), get_outputs=lambda: [SimpleNamespace(name="y")])
    return SimpleNamespace(session=session, version="1")


@pytest.mark.parametrize(
    ("inputs", "message"),
    [
        ([picture("x", "float", 1), picture("z", "float", 1)], "it takes 2 inputs (x, z), not a picture"),
        ([], "it takes 0 inputs (), not a picture"),
        ([picture("x", "int64", "n", 77)], "its input is tensor(int64) ['n', 77], not pictures [n, 3, height, width]"),
        ([picture("x", "float", "n", 3, 8)], "its input is tensor(float) ['n', 3, 8], not pictures [n, 3, height, "
         "width]"),
        ([picture("x", "int8", 1, 3, 8, 8)], "its input is tensor(int8) [1, 3, 8, 8], not pictures [n, 3, height, "
         "width]"),
        ([picture("x", "float", 1, 4, 8, 5)], "its input [1, 4, 8, 5] has no axis of three colours"),
    ],
)  # fmt: skip
def test_onnx_input__that_is_no_picture(inputs: list[Any], message: str) -> None:
    assert refusal(onnx_file._input_of, network_of(*inputs), "mine") == f"EncoderError: mine: {message}"


@pytest.mark.parametrize(
    ("shape", "expected"),
    [
        (("n", 3, 8, 6), (False, None, 8, 6)), ((2, 3, "h", 0), (False, 2, None, None)),
        ((-1, 8, 6, 3), (True, None, 8, 6)), (("n", "c", 8, 6), (False, None, 8, 6)), ((1, 3, 8, 3), (False, 1, 8, 3)),
        (("n", "h", "w", 3), (True, None, None, None)), (("n", 8, 6, "c"), (True, None, 8, 6)),
    ],
)  # fmt: skip
def test_onnx_input__which_axis_is_which(shape: Any, expected: Any) -> None:
    for kind, dtype in (("float", np.float32), ("float16", np.float16), ("uint8", np.uint8)):
        made = onnx_file._input_of(network_of(picture("x", kind, *shape)), "mine")
        assert made == _Input(dtype, *expected)


def test_onnx_size__stated_or_of_the_file() -> None:
    def size(text: str | None, height: Any, width: Any) -> Any:
        options = {} if text is None else {"size": text}
        return onnx_file._size(options, _Input(np.float32, False, None, height, width), "mine")

    assert (size(None, 8, 6), size("8x6", 8, 6), size("8x6", None, 6), size("9", None, None)) == (
        (8, 6), (8, 6), (8, 6), (9, 9)
    )  # fmt: skip
    for height, width in ((None, None), (8, None), (None, 6)):
        assert refusal(size, None, height, width) == (
            "UsageError: mine takes pictures of any size: say which, as in onnx:PATH?size=224"
        )
    assert refusal(size, "9", 8, 6) == "UsageError: size=9: mine takes 8 x 6 (height x width)"
    assert refusal(size, "8x9", None, 6) == "UsageError: size=8x9: mine takes any x 6 (height x width)"


def test_onnx_normalisation__stated_assumed_or_none() -> None:
    of_floats, of_bytes = (_Input(kind, False, None, 8, 8) for kind in (np.float32, np.uint8))
    imagenet = Normalisation((0.485, 0.456, 0.406), (0.229, 0.224, 0.225))
    for options, expected, assumed in (
        ({}, imagenet, ["mean", "std"]),
        ({"mean": "0.5"}, Normalisation((0.5,) * 3, imagenet.std), ["std"]),
        ({"mean": "0", "std": "1"}, Normalisation((0.0,) * 3, (1.0,) * 3), []),
    ):
        assert onnx_file._normalisation(options, of_floats, "mine") == (expected, assumed)
    assert onnx_file._normalisation({}, of_bytes, "mine") == (None, [])
    for option in ("mean", "std"):
        assert refusal(onnx_file._normalisation, {option: "0.5"}, of_bytes, "mine") == (
            "UsageError: mine takes 8-bit pixels: mean and std do not apply"
        )


@pytest.mark.parametrize(
    ("output", "message"),
    [
        (np.zeros((2, 3), np.int64), "its output y holds int64, not numbers of an embedding"),
        (np.zeros((1, 3), np.float32), "its output y is (1, 3), not an embedding of each of 2 views"),
        (np.zeros(2, np.float32), "its output y is (2,), not an embedding of each of 2 views"),
        (np.zeros((2, 1, 1, 1, 1), np.float32), "its output y is (2, 1, 1, 1, 1), not an embedding of each of 2 views"),
        ([1], "its output y is list, not an embedding of each of 2 views"),
    ],
)
def test_onnx_output__that_is_no_embedding(output: Any, message: str) -> None:
    network = network_of()
    network.run = lambda pixels: output
    forward = _Forward(network, _Input(np.float32, False, None, 4, 4), None, None, "mean")
    with pytest.raises(RuntimeError) as refused:
        forward([np.zeros((2, 4, 4, 3), np.uint8)])
    assert str(refused.value) == message


def test_onnx_forward__a_fixed_batch_is_filled_with_the_last_view() -> None:
    given: list[np.ndarray] = []
    network = network_of()
    network.run = lambda pixels: given.append(pixels) or pixels.reshape(len(pixels), 2, -1).astype(np.float64)
    views = np.arange(3 * 2 * 2 * 3, dtype=np.uint8).reshape(3, 2, 2, 3)
    forward = _Forward(network, _Input(np.uint8, True, 4, 2, 2), None, "z", "first")
    assert forward.batch_sizes == (4,)
    [vectors] = forward([views])
    assert given[0].tolist() == views[[0, 1, 2, 2]].tolist()
    assert given[0].flags.c_contiguous
    assert vectors.tolist() == views.reshape(3, 2, -1)[:, 0].tolist()
    assert (vectors.dtype, forward.described()) == (np.float32, "output z, first of its tokens")
    turned = _Forward(network, _Input(np.float16, False, None, 2, 2), None, None, "mean")
    turned([views])
    assert (given[1].tolist(), given[1].dtype) == (views.transpose(0, 3, 1, 2).tolist(), np.float16)
    assert (turned.batch_sizes, turned.described()) == ((), "output y, mean of its tokens")


def test_onnx__refusals_of_files_and_options(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = tmp_path / "f.onnx"
    for content, message in (
        (b"", "it is no ONNX file, or holds no network"),
        (b"\xff" * 99, "it is no ONNX file"),
    ):
        file.write_bytes(content)
        assert refusal(read_description, file, "mine") == f"EncoderError: mine: {message}"
    assert refusal(load_onnx, LoadRequest("onnx:?size=9")) == (
        "UsageError: onnx: needs a file, as in onnx:PATH?size=224"
    )
    for option in ({"device": "cuda"}, {"dtype": "tf32"}, {"compile": True}):
        assert refusal(load_onnx, LoadRequest("onnx:f.onnx", **option)) == (
            "UsageError: onnx:f.onnx: an ONNX file is computed on the CPU as it is: --device, --dtype, --compile do "
            "not apply"
        )
    two_inputs(file)
    assert refusal(load_onnx, LoadRequest(f"onnx:{file}", "cpu")) == (
        "EncoderError: onnx:f.onnx: it takes 2 inputs (x, z), not a picture"
    )
    averaging(file)
    description = OnnxDescription("0" * 64, 1, {})
    monkeypatch.setattr(onnx_file, "read_description", lambda path, label: description)
    file.write_bytes(b"damaged")
    message = refusal(load_onnx, LoadRequest(f"onnx:{file}"))
    assert message.startswith("EncoderError: onnx:f.onnx: ONNX Runtime cannot load it (")
    assert str(tmp_path) not in message
    assert (onnx_file.LARGEST_FILE, onnx_file.LARGEST_WEIGHTS, onnx_file.LONGEST_TEXT) == (2 << 30, 64 << 30, 200)


def test_onnx__a_network_whose_embedding_is_not_finite(tmp_path: Path) -> None:
    averaging(tmp_path / "f.onnx")
    assert refusal(load_encoder, f"onnx:{tmp_path}/f.onnx?mean=0&std=1e-45,1,1") == (
        "EncoderError: onnx:f.onnx: the embedding of a plain picture is not finite"
    )


def parquet(folder: Path, embedding: Any, ids: Any = ("a", "b"), **columns: Any) -> str:
    pq.write_table(pa.table({"photo_id": list(ids), **columns, "embedding": embedding}), folder / "e.parquet")
    return f"embeddings:{folder}/e.parquet"


@pytest.mark.parametrize(
    ("embedding", "message"),
    [
        (pa.array([1.0, 2.0]), "the column embedding holds double, not lists of numbers"),
        (pa.array([["a"], ["b"]]), "the embeddings are lists of string, not of numbers"),
        (pa.array([[True], [False]]), "the embeddings are lists of bool, not of numbers"),
        (pa.array([[1.0], None]), "b has no embedding"),
        (pa.array([[1.0, None], [1.0, 2.0]]), "an embedding lacks one of its numbers (null)"),
        (pa.array([[1.0], [1.0, 2.0]]), "the embedding of b has 2 numbers, that of a has 1"),
        (pa.array([[1.0], [np.nan]]), "the embedding of b is not finite (and 0 others)"),
    ],
)
def test_embeddings__columns_that_are_none(embedding: Any, message: str, tmp_path: Path) -> None:
    assert refusal(load_encoder, parquet(tmp_path, embedding)) == f"EncoderError: embeddings:e.parquet: {message}"


def test_embeddings__files_that_are_none(tmp_path: Path) -> None:
    empty = pa.array([], pa.list_(pa.float32()))
    assert refusal(load_encoder, parquet(tmp_path, empty, ())) == (
        "EncoderError: embeddings:e.parquet: it holds no row"
    )
    (tmp_path / "x.parquet").write_bytes(b"damaged")
    message = refusal(load_encoder, f"embeddings:{tmp_path}/x.parquet")
    assert message.startswith("EncoderError: embeddings:x.parquet: it is no Parquet file that can be read (")
    (tmp_path / "folder").mkdir()
    assert refusal(load_encoder, f"embeddings:{tmp_path}/folder") == (
        "EncoderError: embeddings:folder: the folder holds no .parquet file"
    )
    np.save(tmp_path / "e.npy", np.ones((2, 3)))
    spec = f"embeddings:{tmp_path}/e.npy"
    for lines, message in (
        (None, "e.csv must be in the same folder, with a column photo_id"),
        ("photo_id\na\n", "it holds 2 embeddings, and e.csv 1 lines"),
        ("photo\na\nb\n", "e.csv has no column photo_id"),
    ):
        if lines is not None:
            (tmp_path / "e.csv").write_text(lines)
        assert refusal(load_encoder, spec) == f"EncoderError: embeddings:e.npy: {message}"
    (tmp_path / "e.npy").write_bytes(b"damaged")
    assert refusal(load_encoder, spec).startswith("EncoderError: embeddings:e.npy: it cannot be read (")
    columns: Any = {"jpeg": ["q95-444", None], "sharpening": [None, "none"]}
    assert refusal(load_encoder, parquet(tmp_path, pa.array([[1.0], [2.0]]), ("a", "a"), **columns)) == (
        "EncoderError: embeddings:e.parquet: a under jpeg-q95-444 has two embeddings, as classes of two parameters"
    )


def test_answers__another_number_of_logits_than_of_options() -> None:
    answers = FileAnswers("answers:a", QuestionRule("presence"), [(1.0, 2.0, 3.0)], {"png": {("p", "q"): 0}}, True)
    question = ClosedQuestion("q", "p", "Is it?", ("yes", "no"), 0)
    assert refusal(answers.logits, "png", [question]) == (
        "EncoderError: answers:a: q about p under png has 3 logits, and the question 2 options"
    )


def test_questions__refusals_and_views() -> None:
    row = {"photo_id": "a", "question_id": "1", "text": "Is it?", "options": [1, 2], "right": "1"}
    assert refusal(questions_of_rows, [row]) == ("DataError: row 1: options are texts, in a CSV cell separated by |")
    assert refusal(questions_of_rows, [{**row, "text": ""}]) == (
        "DataError: row 1 has no text (columns: photo_id, question_id, text, options, right)"
    )
    photos = PhotoSet.of_bytes("toy", {"a": b"", "b": b""}, ["cat", "cat"])
    for rule in ("presence", "choice"):
        assert refusal(QuestionRule(rule).questions, photos, 0) == (
            "DataError: toy has fewer than two classes to ask about: give a table of questions"
        )
    assert dict(NOISE_VIEWS) == {
        "png": "the same pixels, saved as PNG",
        "other-batch": "another batch size",
        "other-precision": "another precision",
        "other-order": "the options in another order",
    }
    assert every_view() == ("original", *ALL_PROCESSINGS, *NOISE_VIEWS)


def test_objects__modules_without_a_preprocessing_or_with_a_random_one() -> None:
    module = nn.Sequential(nn.Linear(4, 2), nn.Flatten())
    assert refusal(as_encoder, module, name="mine") == (
        "UsageError: mine: how does a picture become its input? give preprocess=..., the transform that its weights "
        "were evaluated with (RGB PIL.Image -> tensor [3, height, width])"
    )
    count = iter(range(100))
    assert refusal(as_encoder, module, name="mine", preprocess=lambda image: torch.full((3, 4, 4), next(count))) == (
        "EncoderError: mine: preprocess gives two different arrays for one picture: give the transform of evaluation, "
        "without random augmentation"
    )


def test_objects__modules_that_cannot_be_imported(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", [path for path in sys.path if path])
    (tmp_path / "needs_other.py").write_text("import not_installed_anywhere\n")
    (tmp_path / "fails_at_import.py").write_text("raise ValueError('bad')\n")
    monkeypatch.setitem(sys.modules, "empty_of_a_test", types.ModuleType("empty_of_a_test"))
    for spec, message in (
        ("needs_other:f", "EncoderError: needs_other:f: importing needs_other failed: no module named "
         "'not_installed_anywhere'"),
        ("fails_at_import:f", "EncoderError: fails_at_import:f: importing fails_at_import failed (ValueError: bad)"),
        ("not_here.part:f", "UsageError: no module named 'not_here.part' for --model not_here.part:f: is it in this "
         "folder?"),
        ("empty_of_a_test:f.g", "UsageError: the module 'empty_of_a_test' has no 'f.g' for --model "
         "empty_of_a_test:f.g"),
    ):  # fmt: skip
        assert refusal(load_encoder, spec) == message
