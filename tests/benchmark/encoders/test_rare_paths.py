"""Paths that are taken seldom, each by a direct call."""

from types import SimpleNamespace

import numpy as np
import pytest
import torch
from PIL import Image

from benchmark.encoders.loaders.transformers.prompts import MARK, _conversation
from benchmark.encoders.preprocess.by_library import _by_pillow
from benchmark.encoders.runtime import onnxruntime
from benchmark.encoders.runtime.speed import choice_file
from tests.benchmark.encoders.test_openvino_decisions import INFO


@pytest.mark.parametrize("form", ["parts", "text", "none", "unmarked"])
def test_conversation__answers_as_parts_or_as_a_text(form):
    calls = []

    def apply(messages, **given):
        calls.append((messages, given))
        answer = messages[-1]["content"]
        if form == "none" or (form == "text" and not isinstance(answer, str)):
            raise TypeError("a template takes texts alone")
        return "nothing" if form == "unmarked" else f"<{MARK}>"

    processor = SimpleNamespace(apply_chat_template=apply)
    made = _conversation(processor, "What?", "Yes.")
    assert made == ("" if form in ("none", "unmarked") else f"<{MARK}>")
    question = {"role": "user", "content": [{"type": "image"}, {"type": "text", "text": "What?"}]}
    forms = [[{"type": "text", "text": "Yes."}], "Yes."][: 1 if form == "parts" else 2]
    assert calls == [([question, {"role": "assistant", "content": each}], {}) for each in forms]


def test_by_pillow__with_antialias_is_pillow_s():
    pixels = np.random.default_rng(0).integers(0, 256, (13, 9, 3), dtype=np.uint8)
    for name in ("bilinear", "bicubic", "lanczos", "box"):
        expected = Image.fromarray(pixels).resize((5, 7), Image.Resampling[name.upper()])
        assert np.array_equal(_by_pillow(pixels, (5, 7), name, True), np.asarray(expected))


def test_exported__the_record_is_of_the_views_that_it_was_traced_with(tmp_path, monkeypatch):
    calls = []
    monkeypatch.setattr(torch.onnx, "export", lambda network, given, file, **more: calls.append((given, more)))
    monkeypatch.setattr(onnxruntime, "_try_elsewhere", lambda *given: calls.append(given))
    monkeypatch.setattr(onnxruntime, "OnnxNetwork", lambda data: data)
    batch = torch.arange(24.0).reshape(2, 3, 4)
    embed = SimpleNamespace(name="mine", eval=lambda: None)
    monkeypatch.setattr(onnxruntime, "WholeNetwork", lambda embed: SimpleNamespace(eval=lambda: embed))
    assert onnxruntime.exported_network(INFO, embed, batch, tmp_path) == b""
    (given, more), (name, data, views, file) = calls
    assert given == (batch,)
    assert more["dynamic_axes"] == {"views": {0: "n"}, "embeddings": {0: "n"}}
    assert (more["input_names"], more["output_names"], more["dynamo"]) == (["views"], ["embeddings"], False)
    assert (name, data, views.tolist()) == ("mine", b"", batch.tolist())
    assert file == choice_file(tmp_path, "onnxruntime", INFO, batch)
    assert file != choice_file(tmp_path, "onnxruntime", INFO, batch.flatten(1))
