"""``vlm:``: what the library's calls are given, what identifies a model, and every refusal, without a network."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
import transformers
from PIL import Image
from torch import nn

from benchmark.answers import QuestionRule
from benchmark.encoders import Prompt
from benchmark.encoders.encoder import Encoder, EncoderInfo
from benchmark.encoders.loaders.hub import Checkpoint
from benchmark.encoders.loaders.transformers import answering
from benchmark.encoders.loaders.transformers.answering import VisionLanguageModel, load_vlm
from benchmark.encoders.loaders.transformers.prompts import PromptForm
from benchmark.encoders.network import probe_image
from benchmark.encoders.placement import Placement
from benchmark.encoders.registry import LoadRequest
from builders.errors import CamtraceError

YES, NIGHT = Prompt("Is it day?", ("yes", "no")), Prompt("Is it night?", ("yes", "no"))
PICTURE = Image.new("RGB", (3, 2))
FORM = PromptForm(lambda question: f"Q: {question} A:", " ", True, "the form")


def model_of(
    folder: Path = Path("nowhere"), *, revision: str | None = None, dtype: str = "float32", trusted: bool = False
) -> VisionLanguageModel:
    return VisionLanguageModel(Checkpoint("vlm:mine", folder, revision), Placement("cpu", dtype), trusted)


def refusal(function: Callable[..., Any], *arguments: Any) -> str:
    with pytest.raises(CamtraceError) as refused:
        function(*arguments)
    return f"{type(refused.value).__name__}: {refused.value}"


class Calls:
    """Of a function: its arguments are recorded, its result is fixed."""

    def __init__(self, result: Any = None) -> None:
        self.result, self.calls = result, []  # type: ignore[var-annotated]

    def __call__(self, *arguments: Any, **named: Any) -> Any:
        self.calls.append((arguments, named))
        return self.result


@pytest.mark.parametrize(
    ("spec", "rest", "rule"),
    [
        ("org/name", "org/name", "presence"),
        ("org/name?questions=choice", "org/name", "choice"),
        ("org/name@v1?size=9&questions=choice&mean=0.5", "org/name@v1?size=9&mean=0.5", "choice"),
        ("./a?output=projected", "./a?output=projected", "presence"),
    ],
)
def test_without_questions(spec: str, rest: str, rule: str) -> None:
    assert answering._without_questions(spec) == (rest, QuestionRule(rule))


def test_without_questions__of_a_rule_that_does_not_exist() -> None:
    assert refusal(answering._without_questions, "a?questions=presense") == (
        "UsageError: questions=presense: it is presence, choice, or a file of questions that exists"
    )


def write(folder: Path, **files: str) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    for name, content in files.items():
        (folder / name.replace("__", ".")).write_text(content)
    return folder


def digest(*files: tuple[str, str]) -> str:
    text = "".join(f"{name}\0{hashlib.sha256(content.encode()).hexdigest()}\0" for name, content in sorted(files))
    return hashlib.sha256(text.encode()).hexdigest()


@pytest.mark.parametrize("revision", ["r1", None])
def test_identity__all_that_decides_logits(revision: str | None, tmp_path: Path) -> None:
    described = [("a.json", "{}"), ("b.txt", "b"), ("c.model", "c"), ("d.jinja", "d")]
    weights = [("model-1.safetensors", "1"), ("model.safetensors", "2")]
    others = [("adapter_model.safetensors", "3"), ("model.bin", "4"), ("notes.md", "5")]
    for name, content in (*described, *weights, *others):
        write(tmp_path, **{name: content})
    model = model_of(tmp_path, revision=revision)
    processor = SimpleNamespace(image_processor=PICTURE)
    model._of_thread.processor = processor
    model.__dict__["_form"] = FORM
    sha = digest(*weights)
    assert dict(model.identity) == {
        "id": "vlm:mine" if revision else f"vlm:mine@{sha[:8]}",
        "library": "transformers",
        "revision": revision,
        "weights_sha256": sha,
        "processor": {
            "class": "SimpleNamespace",
            "pictures": "Image",
            "files_sha256": digest(*described),
            "prompts": hashlib.sha256(b"the form").hexdigest()[:16],
            "transformers": transformers.__version__,
        },
    }
    del model.__dict__["identity"], processor.image_processor
    assert model.identity["processor"]["pictures"] == "SimpleNamespace"  # a processor of pictures alone


def test_content_hash__read_again_when_a_file_changes(tmp_path: Path) -> None:
    write(tmp_path, **{"model.safetensors": "1"})
    file = tmp_path / "model.safetensors"
    first = answering._files_hash([file])
    assert answering._files_hash([file]) == first == digest(("model.safetensors", "1"))
    file.write_text("22")
    assert answering._files_hash([file]) == digest(("model.safetensors", "22"))


CLIP = (
    "(clip) cannot answer questions: transformers has no model of this kind from image and text to text; without vlm: "
    "it may be an encoder"
)


@pytest.mark.parametrize(
    ("config", "trusted", "weights", "message"),
    [
        ({"model_type": "clip"}, False, "model.safetensors", f"UsageError: vlm:mine {CLIP}"),
        ({"model_type": "clip", "auto_map": {}}, False, "model.safetensors", f"UsageError: vlm:mine {CLIP}"),
        ({"model_type": "clip"}, True, "model.safetensors", f"UsageError: vlm:mine {CLIP}"),
        ({}, False, "model.safetensors",
         f"UsageError: vlm:mine {CLIP}".replace("clip", "no configuration of transformers")),
        ({"model_type": "llava"}, False, "pytorch_model.bin",
         "EncoderError: vlm:mine: its weights are no safetensors files; convert them, or take another revision"),
        ({"model_type": "llava"}, False, "adapter.safetensors",
         "EncoderError: vlm:mine: its weights are no safetensors files; convert them, or take another revision"),
        ({"model_type": "llava"}, False, "model.safetensors", ""),
        ({"model_type": "clip", "auto_map": {}}, True, "model.safetensors", ""),
    ],
)  # fmt: skip
def test_check_form(config: dict[str, Any], trusted: bool, weights: str, message: str, tmp_path: Path) -> None:
    write(tmp_path, **{"config.json": json.dumps(config), weights: "1"})
    model = model_of(tmp_path, trusted=trusted)
    model.__dict__["_form"] = FORM
    if message:
        assert refusal(model.check_form) == message
    else:
        model.check_form()


def test_check_form__reads_the_form_of_prompts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write(tmp_path, **{"config.json": '{"model_type": "llava"}', "model.safetensors": "1"})
    processor, config, form = SimpleNamespace(tokenizer=SimpleNamespace()), Calls("config"), Calls(FORM)
    reads = Calls(processor)
    monkeypatch.setattr(transformers.AutoProcessor, "from_pretrained", reads)
    monkeypatch.setattr(transformers.AutoConfig, "from_pretrained", config)
    monkeypatch.setattr(answering, "prompt_form", form)
    for trusted in (True, False):
        model_of(tmp_path, trusted=trusted).check_form()
        assert reads.calls.pop() == config.calls.pop() == ((tmp_path,), {"trust_remote_code": trusted})
        assert form.calls.pop() == (("vlm:mine", processor, "config"), {})
    assert processor.tokenizer.padding_side == "left"
    reads.result = SimpleNamespace()
    assert refusal(model_of(tmp_path).check_form) == "UsageError: vlm:mine cannot answer questions: it has no tokenizer"
    reads.result, form.result = processor, None

    def fails(*_: Any, **__: Any) -> None:
        raise ValueError("bad\nmore")

    monkeypatch.setattr(answering, "prompt_form", fails)
    assert refusal(model_of(tmp_path).check_form) == (
        "EncoderError: vlm:mine: transformers cannot load it (ValueError: bad)"
    )


def test_check__each_set_of_words_and_one_question_twice(monkeypatch: pytest.MonkeyPatch) -> None:
    model = model_of()
    letters = Prompt("Which?", ("A", "B"))
    tokens, prepared = Calls((1, 2)), Calls("prepared")
    answers = [np.ones(2), np.ones(2), np.ones(2), np.array([1.0, np.nextafter(1, 2)])]
    monkeypatch.setattr(model, "_tokens", tokens)
    monkeypatch.setattr(model, "prepare", prepared)
    monkeypatch.setattr(model, "logits", lambda inputs: [answers.pop(0), inputs])
    model.check([YES, NIGHT, letters, YES])
    assert tokens.calls == [((YES,), {}), ((letters,), {})]
    assert [(prompts, named) for (_, prompts), named in prepared.calls] == [([YES], {})] * 2
    assert all(np.array_equal(pictures[0], probe_image()) for (pictures, _), _ in prepared.calls)
    assert refusal(model.check, [YES]) == (
        "EncoderError: vlm:mine gives other logits for the same question at the second time"
    )


def test_prepare__what_the_processor_is_given(monkeypatch: pytest.MonkeyPatch) -> None:
    model = model_of()
    processor = model._of_thread.processor = Calls("inputs")
    model.__dict__["_form"] = replace(FORM, add_special_tokens=False)
    letters = Prompt("Which?", ("A", "B", "C"))
    tokens: list[Prompt] = []
    monkeypatch.setattr(model, "_tokens", lambda prompt: tokens.append(prompt) or tuple(range(len(prompt.words))))
    other = Image.new("RGB", (1, 1))
    assert model.prepare([PICTURE, other, PICTURE], [YES, letters, YES]) == answering.Prepared(
        "inputs", ((0, 1), (0, 1, 2), (0, 1))
    )
    assert sorted(tokens) == [YES, letters]  # once each
    assert processor.calls == [
        (
            (),
            {
                "text": ["Q: Is it day? A:", "Q: Which? A:", "Q: Is it day? A:"],
                "images": [[PICTURE], [other], [PICTURE]],
                "padding": True,
                "return_tensors": "pt",
                "add_special_tokens": False,
            },
        )
    ]


def test_tokens__of_the_rendered_prompt(monkeypatch: pytest.MonkeyPatch) -> None:
    model, answers = model_of(), Calls((5, 6))
    model._of_thread.processor = SimpleNamespace(tokenizer="tokenizer")
    model.__dict__["_form"] = FORM
    monkeypatch.setattr(answering, "answer_tokens", answers)
    assert model._tokens(YES) == (5, 6)
    assert answers.calls == [(("vlm:mine", "tokenizer", "Q: Is it day? A:", ("yes", "no"), " "), {})]


class Network(nn.Module):
    """Gives fixed logits of one further token."""

    def __init__(self, rows: Any = ((0.0, 1.0, 2.0, 3.0), (4.0, 5.0, 6.0, 7.0))) -> None:
        super().__init__()
        self.layer = nn.Linear(2, 2)
        self.rows, self.calls = torch.tensor(rows, dtype=torch.bfloat16), []  # type: ignore[var-annotated]

    def generate(self, **given: Any) -> Any:
        self.calls.append((given, torch.is_inference_mode_enabled()))
        return SimpleNamespace(logits=(self.rows, None))


class Inputs(dict[str, Any]):
    """Of a processor; moves are recorded."""

    moves: tuple[Any, ...] = ()

    def to(self, *where: Any) -> Inputs:
        self.moves = where
        return self


@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
def test_logits__of_the_words_alone_from_one_generated_token(dtype: str, monkeypatch: pytest.MonkeyPatch) -> None:
    model, network = model_of(dtype=dtype, trusted=True), Network()
    read = Calls((network, {"missing_keys": [], "unexpected_keys": [], "mismatched_keys": []}))
    monkeypatch.setattr(transformers.AutoModelForImageTextToText, "from_pretrained", read)
    inputs = Inputs(pixels=1)
    first, second = model.logits(answering.Prepared(inputs, ((2, 0), (3, 1, 0))))
    assert (first.tolist(), second.tolist(), first.dtype) == ([2, 0], [7, 5, 4], np.dtype(np.float32))
    options = {"max_new_tokens": 1, "do_sample": False, "num_beams": 1, "use_cache": False, "output_logits": True}
    assert network.calls == [({"pixels": 1, **options, "return_dict_in_generate": True}, True)]
    assert inputs.moves == ("cpu", getattr(torch, dtype))
    assert (network.training, network.layer.weight.requires_grad) == (False, False)
    loading = {"dtype": getattr(torch, dtype), "use_safetensors": True, "output_loading_info": True}
    assert read.calls == [((Path("nowhere"),), {**loading, "trust_remote_code": True})]
    model.logits(answering.Prepared(Inputs(), ((0,), (0,))))
    assert len(read.calls) == 1
    model.release()
    model.logits(answering.Prepared(Inputs(), ((0,), (0,))))
    assert len(read.calls) == 2


def test_logits__of_weights_that_are_not_whole(monkeypatch: pytest.MonkeyPatch) -> None:
    report: dict[str, list[str]] = {"missing_keys": ["layer.weight"], "unexpected_keys": [], "mismatched_keys": []}
    network = Network()
    monkeypatch.setattr(transformers.AutoModelForImageTextToText, "from_pretrained", lambda *_, **__: (network, report))
    message = refusal(model_of().logits, answering.Prepared(Inputs(), ()))
    assert message.startswith(
        "EncoderError: vlm:mine: the checkpoint lacks 1 of its weights (layer.weight), which would "
    )
    report.update(missing_keys=[], unexpected_keys=["b.weight"])
    assert "holds 1 weights that the network of its configuration has no place for (b.weight)" in refusal(
        model_of().logits, answering.Prepared(Inputs(), ())
    )
    report.update(unexpected_keys=[])
    nn.init.constant_(network.layer.bias, torch.nan)
    assert refusal(model_of().logits, answering.Prepared(Inputs(), ())).startswith(
        "EncoderError: vlm:mine: 1 of its weights holds values that are not finite numbers (layer.bias)"
    )


def test_in_dtype__the_same_checkpoint_elsewhere_the_same() -> None:
    model = VisionLanguageModel(Checkpoint("vlm:mine", Path("a"), None), Placement("cpu", "float32"), True)
    lower = model.in_dtype("bfloat16")
    assert (lower._checkpoint, lower._trusted) == (model._checkpoint, True)
    assert (lower._place, lower.dtype, lower.device) == (Placement("cpu", "bfloat16"), "bfloat16", "cpu")


@pytest.fixture
def loading(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> SimpleNamespace:
    """The loaders of checkpoints, recorded; they give an encoder without a network."""
    info = EncoderInfo("tower", "transformers", "r", "0" * 64, 2, {}, "mean", 8, details={"architecture": "X"})
    encoder = Encoder(info, np.asarray, lambda batch: batch, "cpu", "float32")
    record = SimpleNamespace(
        local=Calls(Checkpoint("local-dir:mine", tmp_path, None)), hub=Calls(Checkpoint("org/mine", tmp_path, "r1")),
        files=Calls(encoder), checked=[],
    )  # fmt: skip
    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(answering, "folder_checkpoint", record.local)
    monkeypatch.setattr(answering, "hub_checkpoint", record.hub)
    monkeypatch.setattr(answering, "load_files", record.files)
    monkeypatch.setattr(VisionLanguageModel, "check_form", lambda model: record.checked.append(model.name))

    def identity(model: VisionLanguageModel) -> dict[str, Any]:
        return {"id": f"{model.name}@id", "weights_sha256": "b" * 64, "processor": {"class": "P"}}

    monkeypatch.setattr(VisionLanguageModel, "identity", property(identity))
    return record


@pytest.mark.parametrize(
    ("source", "local"), [("org/mine", False), ("./mine", True), ("/mine", True), ("~/mine", True), ("here", True)]
)
@pytest.mark.parametrize(
    ("query", "more"), [("", ""), ("?questions=choice", "?questions=choice"),
                        ("?size=9&questions=choice", "&questions=choice"), ("?size=9", "")],
)  # fmt: skip
def test_load_vlm__the_tower_with_the_whole_model(
    source: str, local: bool, query: str, more: str, loading: SimpleNamespace
) -> None:
    request = LoadRequest(f"vlm:{source}{query}", "cpu", trust_remote_code=True)
    encoder = load_vlm(request)
    plain = replace(request, spec=f"{source}{'?size=9' if 'size' in query else ''}")
    used, unused = (loading.local, loading.hub) if local else (loading.hub, loading.local)
    assert (used.calls, unused.calls) == ([((plain,), {})], [])
    assert loading.files.calls == [((used.result, plain), {})]
    label = "vlm:mine" if local else "vlm:org/mine"
    assert loading.checked == [label]
    model = encoder.answers.answerer  # type: ignore[union-attr]
    assert (model.name, model._trusted, model._place) == (label, True, Placement("cpu", "float32"))
    assert encoder.answers.rule == QuestionRule("choice" if more else "presence")  # type: ignore[union-attr]
    assert encoder.info == replace(
        loading.files.result.info,
        id=f"{label}@id{more}",
        weights_sha256="b" * 64,
        details={
            "architecture": "X",
            "weights_sha256_is": "of the files of weights, the language model's included",
            "answering": {"class": "P"},
        },
    )


def test_load_vlm__options_that_cannot_apply(loading: SimpleNamespace) -> None:
    request = LoadRequest("vlm:./mine", "cpu")
    assert refusal(load_vlm, replace(request, revision="v1")) == (
        "UsageError: vlm:mine has no revisions: --revision goes with a model of the Hub (vlm:ORG/NAME)"
    )
    assert refusal(load_vlm, replace(request, compile=True)) == (
        "UsageError: vlm:mine: --compile is for encoders; leave it out for a model that answers"
    )
    load_vlm(replace(request, spec="vlm:org/mine", revision="v1"))
