"""Weights of a network of transformers: its configuration from a folder or Hub repo, its weights from another file."""

from __future__ import annotations

import json
import shutil
import tempfile
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch

from benchmark.encoders.admission.gate import ignored_sentences
from benchmark.encoders.encoder import Encoder
from benchmark.encoders.loaders.checkpoint_files.architectures import Architecture
from benchmark.encoders.loaders.checkpoint_files.fitting import LEFT_OUT, Fit, fitted, is_whole_somewhere
from benchmark.encoders.loaders.checkpoint_files.folders import ADAPTER
from benchmark.encoders.loaders.checkpoint_files.reading import WeightsFile
from benchmark.encoders.loaders.checkpoint_files.request import WeightsRequest
from benchmark.encoders.loaders.hub import Checkpoint, fetch, read_config
from benchmark.encoders.preprocess.stated import STATED
from benchmark.encoders.registry import LoadRequest
from builders.errors import EncoderError, UsageError
from builders.untrusted import describe_error, list_folder

DESCRIPTIONS = (".json", ".txt", ".model")
"""Suffixes of the files of a checkpoint that are no weights."""


def load(
    weights: WeightsFile,
    architecture: Architecture,
    wanted: WeightsRequest,
    label: str,
    request: LoadRequest,
) -> tuple[Encoder, Fit, list[str]]:
    """An encoder of transformers with the weights of a file.

    The configuration and the weights, under the library's names, are written into a temporary folder, which is read as
    any checkpoint of the library is.

    Raises:
        UsageError: there is no such configuration.
        EncoderError: the weights do not fit.
    """
    from safetensors.torch import save_file

    described = _configuration_of(architecture.name, label, request)
    config = read_config(described / "config.json")
    if "model_type" not in config:
        raise UsageError(f"{label}: {architecture} has no config.json of transformers")
    classes = _classes(described, label)
    ema, prefix = wanted.options.get("ema") == "true", wanted.options.get("prefix")
    name, shapes = max(classes, key=lambda pair: _likeness(pair[1], weights.tensors))
    fit = fitted(label, _headless(shapes), weights.tensors, str(architecture), prefix=prefix, ema=ema)
    config = {**config, "architectures": [name], **_class_count(shapes, fit.tensors)}
    with tempfile.TemporaryDirectory(prefix="camtrace-") as temporary:
        folder = Path(temporary)
        copy_descriptions(described, folder)
        (folder / "config.json").write_text(json.dumps(config), encoding="utf-8")
        left = [key for key in fit.tensors if wanted.ignored and key.startswith(wanted.ignored) and key not in shapes]
        # Superfluous ones too: ``load_checkpoint`` decides whether they belong to a head or to a layer too many.
        tensors = {key: tensor.clone().contiguous() for key, tensor in fit.tensors.items() if key not in left}
        save_file(tensors, folder / "model.safetensors", {"format": "pt"})
        options = {key: value for key, value in wanted.options.items() if key in STATED}
        encoder = load_from(folder, Checkpoint(label, folder, None, options, of_base=True), request)
    heads = [key for key in fit.tensors if key in shapes and _is_head(key)]
    ignored = ignored_sentences({**dict.fromkeys(heads, "the classifier"), **dict.fromkeys(left, LEFT_OUT)})
    return encoder, fit, [*encoder.info.details.get("ignored_weights", ()), *ignored]


def load_from(folder: Path, checkpoint: Checkpoint, request: LoadRequest) -> Encoder:
    """An encoder of a folder of transformers."""
    from benchmark.encoders.loaders.transformers.models import load_checkpoint

    encoder = load_checkpoint(checkpoint, replace(request, revision=None))
    return replace(encoder, info=replace(encoder.info, id=checkpoint.name))


def _configuration_of(source: str, label: str, request: LoadRequest) -> Path:
    """The folder with the configuration that ``arch=transformers:SOURCE`` names: a folder, or a Hub repo.

    Raises:
        UsageError: there is neither.
    """
    folder = Path(source).expanduser()
    if folder.is_dir():
        return folder
    if source.startswith((".", "/", "~")):
        raise UsageError(f"{label}: arch=transformers:{source}: there is no such folder")
    repo, _, revision = source.partition("@")
    return fetch(repo, revision or None, request.trust_remote_code, weights=False)[0]


def copy_descriptions(source: Path, target: Path) -> None:
    """Copy the files of a checkpoint that are no weights, and that the target does not have."""
    for name in list_folder(source).files:
        unwanted = name.endswith(".index.json") or name == ADAPTER
        if name.endswith(DESCRIPTIONS) and not unwanted and not (target / name).exists():
            shutil.copyfile(source / name, target / name)


def _classes(described: Path, label: str) -> list[tuple[str, dict[str, torch.Size]]]:
    """Classes of the library and shapes of their weights: of the class that the configuration names and of the base
    class, by the names in files, which are those of older versions, and by those in the network."""
    import transformers
    from transformers.core_model_loading import revert_weight_conversion

    try:
        config = transformers.AutoConfig.from_pretrained(described)
        names = [n for n in (config.architectures or []) if isinstance(getattr(transformers, n, None), type)]
        with torch.device("meta"):
            models = [getattr(transformers, name)(config) for name in names[:1]]
            models.append(transformers.AutoModel.from_config(config))
    except Exception as error:  # any class, any error
        raise EncoderError(f"{label}: transformers cannot make its network ({describe_error(error)})") from None
    return [
        (type(model).__name__, {key: tensor.shape for key, tensor in tensors.items()})
        for model in models
        for tensors in (revert_weight_conversion(model, model.state_dict()), model.state_dict())
    ]


def _likeness(shapes: Mapping[str, torch.Size], tensors: Mapping[str, torch.Tensor]) -> tuple[bool, int]:
    """Whether all weights are in a file, and how many of the file's names are theirs."""
    return is_whole_somewhere(_headless(shapes), tensors), sum(key.endswith(tuple(shapes)) for key in tensors)


def _headless(shapes: Mapping[str, torch.Size]) -> dict[str, torch.Size]:
    """Shapes without the last layer of a classifier, whose number of classes is the training's."""
    return {key: shape for key, shape in shapes.items() if not _is_head(key)}


def _is_head(key: str) -> bool:
    return key.partition(".")[0] in ("classifier", "fc", "cls_classifier", "distillation_classifier")


def _class_count(shapes: Mapping[str, torch.Size], tensors: Mapping[str, torch.Tensor]) -> dict[str, Any]:
    """The number of classes of the training, as an entry of the configuration."""
    heads = [tensors[key] for key in shapes if _is_head(key) and key.endswith("weight") and key in tensors]
    count = int(heads[-1].shape[0]) if heads and heads[-1].ndim else 0
    labels = {str(i): str(i) for i in range(count)}
    return {"id2label": labels, "label2id": {i: int(i) for i in labels}} if count else {}
