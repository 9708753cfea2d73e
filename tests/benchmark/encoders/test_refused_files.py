"""Whole sentences about ONNX files, files of embeddings, questions and Python objects that are no encoders."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

from benchmark.answers import NOISE_VIEWS, ClosedQuestion, QuestionRule, every_view
from benchmark.answers.questions import questions_of_rows
from benchmark.encoders import as_encoder, load_encoder
from benchmark.encoders.loaders.answers.file import FileAnswers
from builders.errors import CamtraceError
from builders.photos import PhotoSet
from builders.pixels import ALL_PROCESSINGS
from tests.benchmark.encoders.test_onnx_files import averaging


def refusal(function: Callable[..., Any], *arguments: Any, **named: Any) -> str:
    with pytest.raises(CamtraceError) as refused:
        function(*arguments, **named)
    return f"{type(refused.value).__name__}: {refused.value}"


def test_onnx__a_network_whose_embedding_is_not_finite(tmp_path: Path) -> None:
    averaging(tmp_path / "f.onnx")
    assert "onnx:f.onnx" in refusal(load_encoder, f"onnx:{tmp_path}/f.onnx?mean=0&std=1e-45,1,1")


def test_answers__another_number_of_logits_than_of_options() -> None:
    answers = FileAnswers("answers:a", QuestionRule("presence"), [(1.0, 2.0, 3.0)], {"png": {("p", "q"): 0}}, True)
    question = ClosedQuestion("q", "p", "Is it?", ("yes", "no"), 0)
    assert "answers:a" in refusal(answers.logits, "png", [question])


def test_questions__refusals_and_views() -> None:
    row = {"photo_id": "a", "question_id": "1", "text": "Is it?", "options": [1, 2], "right": "1"}
    assert "DataError" in refusal(questions_of_rows, [row])
    assert "question_id" in refusal(questions_of_rows, [{**row, "text": ""}])
    photos = PhotoSet.of_bytes("toy", {"a": b"", "b": b""}, ["cat", "cat"])
    for rule in ("presence", "choice"):
        assert "DataError" in refusal(QuestionRule(rule).questions, photos, 0)
    assert dict(NOISE_VIEWS) == {
        "png": "the same pixels, saved as PNG",
        "other-batch": "another batch size",
        "other-precision": "another precision",
        "other-order": "the options in another order",
    }
    assert every_view() == ("original", *ALL_PROCESSINGS, *NOISE_VIEWS)


def test_objects__modules_without_a_preprocessing_or_with_a_random_one() -> None:
    module = nn.Sequential(nn.Linear(4, 2), nn.Flatten())
    assert "PIL.Image" in refusal(as_encoder, module, name="mine")
    count = iter(range(100))
    assert "EncoderError" in refusal(
        as_encoder, module, name="mine", preprocess=lambda image: torch.full((3, 4, 4), next(count))
    )
