"""``vlm:ORG/NAME[@REVISION]``, ``vlm:PATH``: a vision-language model of transformers, which also answers questions.

The encoder is its vision tower, as without the prefix; its ``answerer`` is the whole model, loaded when it answers.
"""

from __future__ import annotations

import copy
import functools
import hashlib
import os
import threading
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image

from benchmark.answers import QuestionRule, chosen_rule
from benchmark.encoders.admission.gate import admit
from benchmark.encoders.admission.sources import sources_of_pretrained
from benchmark.encoders.answerer import AnsweringModel, Prompt
from benchmark.encoders.encoder import Encoder, named_by_weights
from benchmark.encoders.loaders.hub import (
    Checkpoint,
    check_files,
    folder_checkpoint,
    hub_checkpoint,
    load_files,
    read_config,
)
from benchmark.encoders.loaders.transformers.models import one_sentence, quiet_library
from benchmark.encoders.loaders.transformers.prompts import PromptForm, answer_tokens, prompt_form
from benchmark.encoders.network import probe_image
from benchmark.encoders.placement import TORCH_DTYPES, Placement, placement, tf32_only_if_requested
from benchmark.encoders.registry import LoadRequest
from builders.cli import parse_query
from builders.errors import EncoderError, UsageError
from builders.photos import file_stamp
from builders.untrusted import MAX_HUB_FILE_BYTES, list_folder, open_untrusted

PREFIX = "vlm:"

PRESENCE = "presence"
"""The rule of questions where none is named."""

DESCRIPTIONS = (".json", ".txt", ".model", ".jinja")
"""Suffixes of the files of a checkpoint that decide prompts, tokens and pictures."""


def load_vlm(request: LoadRequest) -> Encoder:
    """Load ``vlm:ORG/NAME[@REVISION]`` or ``vlm:PATH``: the vision tower, with the whole model as its ``answerer``.

    Raises:
        UsageError: no such checkpoint, or a model that cannot answer.
        EncoderError: its files cannot be read, or its vision tower gives no embedding.
    """
    source, rule = _without_questions(request.spec.removeprefix(PREFIX))
    request = replace(request, spec=source)
    local = source.startswith((".", "/", "~")) or Path(source.partition("?")[0]).exists()
    checkpoint = (folder_checkpoint if local else hub_checkpoint)(request)
    label = PREFIX + checkpoint.name.removeprefix("local-dir:")
    place = placement(request.device, request.dtype)
    if local and request.revision is not None:
        raise UsageError(f"{label} has no revisions: --revision goes with a model of the Hub (vlm:ORG/NAME)")
    if request.compile:
        raise UsageError(f"{label}: --compile is for encoders; leave it out for a model that answers")
    model = VisionLanguageModel(replace(checkpoint, name=label), place, request.trust_remote_code)
    model.check_form()
    encoder = load_files(checkpoint, request)
    weights = str(model.identity["weights_sha256"])
    details = {
        **encoder.info.details,
        "weights_sha256_is": "of the files of weights, the language model's included",
        "answering": model.identity["processor"],
    }
    more = "" if rule.name == PRESENCE else f"{'&' if '?' in source else '?'}questions={rule.name}"
    info = replace(encoder.info, id=f"{model.identity['id']}{more}", weights_sha256=weights, details=details)
    return replace(encoder, info=info, answers=AnsweringModel(model, rule))


def _without_questions(spec: str) -> tuple[str, QuestionRule]:
    """A specification without its option ``questions``, and the rule that the option names."""
    place, _, query = spec.partition("?")
    options = parse_query(query, spec) if query else []
    rest = "&".join(f"{name}={value}" for name, value in options if name != "questions")
    return f"{place}?{rest}" if rest else place, chosen_rule(dict(options).get("questions", PRESENCE))


@dataclass(frozen=True)
class Prepared:
    """The model's input for a few pictures."""

    inputs: Any
    """Of the processor."""
    tokens: tuple[tuple[int, ...], ...]
    """For each picture, the tokens of its words."""


class VisionLanguageModel:
    """``Answerer`` of a checkpoint of transformers."""

    def __init__(self, checkpoint: Checkpoint, place: Placement, trust_remote_code: bool) -> None:
        self.name, self.device, self.dtype = checkpoint.name, place.device, place.dtype
        self._checkpoint, self._place, self._trusted = checkpoint, place, trust_remote_code
        self._model: Any = None
        self._of_thread = threading.local()

    @functools.cached_property
    def identity(self) -> Mapping[str, Any]:
        import transformers

        folder, revision = self._checkpoint.folder, self._checkpoint.revision
        weights = _files_hash(_weight_files(folder))
        pictures = getattr(self._processor, "image_processor", self._processor)
        return {
            "id": self.name if revision else named_by_weights(self.name, weights),
            "library": "transformers",
            "revision": revision,
            "weights_sha256": weights,
            "processor": {
                "class": type(self._processor).__name__,
                "pictures": type(pictures).__name__,
                "files_sha256": _files_hash(_files(folder, DESCRIPTIONS)),
                "prompts": hashlib.sha256(self._form.record.encode()).hexdigest()[:16],
                "transformers": transformers.__version__,
            },
        }

    def check_form(self) -> None:
        """Refuse a model that cannot answer questions, before its weights are read.

        Raises:
            UsageError: it is none that answers questions about pictures, or the form of its prompts is not known.
            EncoderError: its files are not readable, or its weights are no safetensors.
        """
        from transformers.models.auto.modeling_auto import MODEL_FOR_IMAGE_TEXT_TO_TEXT_MAPPING_NAMES

        folder, name = self._checkpoint.folder, self.name
        check_files(folder, name)
        config = read_config(folder / "config.json")
        kind = str(config.get("model_type", "no configuration of transformers"))
        if kind not in MODEL_FOR_IMAGE_TEXT_TO_TEXT_MAPPING_NAMES and not (self._trusted and "auto_map" in config):
            raise UsageError(
                f"{name} ({kind}) cannot answer questions: transformers has no model of this kind from image and text "
                "to text; without vlm: it may be an encoder"
            )
        if not _weight_files(folder):
            raise EncoderError(f"{name}: its weights are no safetensors files; convert them, or take another revision")
        _ = self._form

    def check(self, prompts: Sequence[Prompt]) -> None:
        checked: set[tuple[str, ...]] = set()
        for prompt in prompts:
            if prompt.words not in checked:
                self._tokens(prompt)
                checked.add(prompt.words)
        with self._one_sentence():
            first, second = (self.logits(self.prepare([probe_image()], prompts[:1]))[0] for _ in range(2))
        if not np.array_equal(first, second):
            raise EncoderError(f"{self.name} gives other logits for the same question at the second time")

    def prepare(self, pictures: Sequence[Image.Image], prompts: Sequence[Prompt]) -> Prepared:
        processor, form = self._processor, self._form
        tokens = {prompt: self._tokens(prompt) for prompt in set(prompts)}  # most views of a batch share a question
        inputs = processor(
            text=[form.render(prompt.text) for prompt in prompts],
            images=[[picture] for picture in pictures],
            padding=True,
            return_tensors="pt",
            add_special_tokens=form.add_special_tokens,
        )
        return Prepared(inputs, tuple(tokens[prompt] for prompt in prompts))

    @torch.inference_mode()
    def logits(self, prepared: Prepared) -> list[np.ndarray]:
        model = self._loaded()
        inputs = prepared.inputs.to(self.device, TORCH_DTYPES[self.dtype])
        with tf32_only_if_requested(self._place), quiet_library():
            # generate prepares positions and masks for padding, and computes the logits of the last position alone
            first = model.generate(
                **inputs,
                max_new_tokens=1,
                do_sample=False,
                num_beams=1,
                use_cache=False,
                output_logits=True,
                return_dict_in_generate=True,
            ).logits[0]
        rows = first.float().cpu().numpy()
        return [row[list(tokens)] for row, tokens in zip(rows, prepared.tokens, strict=True)]

    def in_dtype(self, dtype: str) -> VisionLanguageModel:
        return VisionLanguageModel(self._checkpoint, replace(self._place, dtype=dtype), self._trusted)

    def release(self) -> None:
        self._model = None

    @property
    def _processor(self) -> Any:
        """The processor of this thread: tokenizers hold the state of a call."""
        if not hasattr(self._of_thread, "processor"):
            self._of_thread.processor = copy.deepcopy(self._first_processor)
        return self._of_thread.processor

    @functools.cached_property
    def _first_processor(self) -> Any:
        import transformers

        with quiet_library(), self._one_sentence():
            processor = transformers.AutoProcessor.from_pretrained(
                self._checkpoint.folder, trust_remote_code=self._trusted
            )
            if not hasattr(processor, "tokenizer"):
                raise UsageError(f"{self.name} cannot answer questions: it has no tokenizer")
            processor.tokenizer.padding_side = "left"  # so that every answer follows the last position
            return processor

    @functools.cached_property
    def _form(self) -> PromptForm:
        import transformers

        with quiet_library(), self._one_sentence():
            config = transformers.AutoConfig.from_pretrained(self._checkpoint.folder, trust_remote_code=self._trusted)
            return prompt_form(self.name, self._first_processor, config)

    def _tokens(self, prompt: Prompt) -> tuple[int, ...]:
        form = self._form
        return answer_tokens(self.name, self._processor.tokenizer, form.render(prompt.text), prompt.words, form.before)

    def _loaded(self) -> Any:
        if self._model is None:
            import transformers

            with quiet_library(), self._one_sentence():
                source: Any = transformers.AutoModelForImageTextToText
                model, report = source.from_pretrained(
                    self._checkpoint.folder,
                    dtype=TORCH_DTYPES[self.dtype],
                    use_safetensors=True,
                    output_loading_info=True,
                    trust_remote_code=self._trusted,
                )
                admit(self.name, model, sources_of_pretrained(model, report), provable=False)
                self._model = model.eval().requires_grad_(False).to(self.device)
        return self._model

    def _one_sentence(self) -> Any:
        return one_sentence(self._checkpoint, self._trusted)


def _weight_files(folder: Path) -> list[Path]:
    """The safetensors files that the library reads."""
    return [file for file in _files(folder, (".safetensors",)) if file.name.startswith("model")]


def _files(folder: Path, suffixes: tuple[str, ...]) -> list[Path]:
    return sorted(folder / name for name in list_folder(folder).files if name.endswith(suffixes))


def _files_hash(files: Sequence[Path]) -> str:
    """SHA-256 over names and contents of files."""
    digest = hashlib.sha256()
    for file in files:
        digest.update(f"{file.name}\0{_content_hash(file, file_stamp(os.path.abspath(file)).text)}\0".encode())
    return digest.hexdigest()


@functools.lru_cache(maxsize=256)
def _content_hash(file: Path, stamp: str) -> str:
    """SHA-256 of a file, computed once while its stamp stays."""
    with open_untrusted(file, limit=MAX_HUB_FILE_BYTES) as stream:
        digest = hashlib.sha256()
        while part := stream.read(1 << 24):
            digest.update(part)
        return digest.hexdigest()
