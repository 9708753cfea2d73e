"""The encoder of a file or a folder of weights as a trainer wrote it; ``request.py`` lists the options."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from benchmark.encoders.admission.gate import ignored_sentences, reason_of
from benchmark.encoders.admission.sources import shape_words
from benchmark.encoders.encoder import Encoder, named_by_weights
from benchmark.encoders.loaders.checkpoint_files import adapters, transformers_files
from benchmark.encoders.loaders.checkpoint_files.architectures import (
    NAMED,
    Architecture,
    argument_values,
    named_architecture,
    without_weights,
)
from benchmark.encoders.loaders.checkpoint_files.conversion import in_names_of_children, in_names_of_timm
from benchmark.encoders.loaders.checkpoint_files.fitting import (
    LEFT_OUT,
    Fit,
    fitted,
    is_whole_somewhere,
)
from benchmark.encoders.loaders.checkpoint_files.folders import ADAPTER, chosen
from benchmark.encoders.loaders.checkpoint_files.formats import format_of, refuse
from benchmark.encoders.loaders.checkpoint_files.reading import WeightsFile, read_weights
from benchmark.encoders.loaders.checkpoint_files.records import (
    architecture_in,
    model_named_in,
    recorded_architecture,
)
from benchmark.encoders.loaders.checkpoint_files.request import PREFIX, WeightsRequest, parsed_request
from benchmark.encoders.loaders.hub import Checkpoint, is_checkpoint, load_folder
from benchmark.encoders.loaders.library_model import LibraryModel, library_encoder
from benchmark.encoders.preprocess.stated import STATED, Stated, in_words, restated, stated
from benchmark.encoders.registry import LoadRequest
from builders.errors import UsageError

REMEDY = (
    "name the architecture that was trained by arch= and arch.NAME=, or leave out what belongs to a head of the "
    "training by ignore=NAME"
)
"""End of a message about weights that do not fit."""


OF_WEIGHTS = ("arch", "prefix", "ema", "ignore")
"""Options that an ONNX file does not have."""


def load_path(request: LoadRequest) -> Encoder:
    """Load ``local-dir:PATH`` or a path: a checkpoint of a library, or a file or folder as a trainer wrote it.

    Raises:
        UsageError: nothing is there, or what is there is not read.
        EncoderError: its files cannot be read.
    """
    path, _, query = request.spec.removeprefix("local-dir:").partition("?")
    folder = Path(path).expanduser()
    if not folder.exists():
        raise UsageError(f"{request.spec}: there is no such folder or file")
    if folder.is_dir() and is_checkpoint(folder) and "arch=" not in query:
        return load_folder(request)
    if folder.suffix == ".onnx" and not any(f"{option}=" in query for option in OF_WEIGHTS):
        return _load_onnx(folder, request)
    return load_weights(request)


def load_weights(request: LoadRequest) -> Encoder:
    """Load ``weights:PATH?...``, or a path to a file of weights or to a folder of a training.

    Raises:
        UsageError: an option is wrong, the architecture is not known, or the format is not read here.
        EncoderError: the file cannot be read, or its weights are not all there.
    """
    wanted = parsed_request(request.spec)
    label = f"{PREFIX}{wanted.path.resolve().name}"
    if not wanted.path.is_dir():
        return _of_file(wanted.path, wanted, label, request, "")
    choice = chosen(wanted.path.resolve(), label)
    reason = f"{choice.path.name} ({choice.reason})" if choice.reason else ""
    if (choice.path / ADAPTER).is_file():
        encoder = adapters.load_adapter(choice.path, label, request)
        return _with_notice(encoder, f"{label}: {reason}" if reason else "")
    if choice.path.is_dir():
        query = request.spec.partition("?")[2]
        spec = f"{choice.path}{'?' if query else ''}{query}"
        return _with_notice(load_path(replace(request, spec=spec)), f"{label}: {reason}" if reason else "")
    return _of_file(choice.path, wanted, label, request, reason or choice.path.name)


def _of_file(file: Path, wanted: WeightsRequest, label: str, request: LoadRequest, chosen_file: str) -> Encoder:
    """An encoder of one file; ``chosen_file`` says which one of a folder, and why."""
    if not file.exists():
        raise UsageError(f"{request.spec}: there is no such file or folder")
    kind = format_of(file, label)
    if kind == "ONNX" and not set(OF_WEIGHTS) & set(wanted.options):
        return _load_onnx(file, request)
    if kind not in ("torch", "safetensors"):
        raise refuse(kind, file, label)
    weights = read_weights(file, label)
    architecture = _architecture(file, weights, wanted, label)
    if architecture.library == "transformers":
        encoder, fit, ignored = transformers_files.load(weights, architecture, wanted, label, request)
    else:
        encoder, fit, ignored = _of_library(weights, architecture, wanted, label, request)
    return _described(encoder, file, weights, architecture, wanted, label, fit, ignored, chosen_file)


def _load_onnx(file: Path, request: LoadRequest) -> Encoder:
    from benchmark.encoders.loaders.onnx.file import load_onnx

    query = request.spec.partition("?")[2]
    return load_onnx(replace(request, spec=f"onnx:{file}{'?' if query else ''}{query}"))


def _architecture(file: Path, weights: WeightsFile, wanted: WeightsRequest, label: str) -> Architecture:
    """The architecture that the specification names, else that of the training's record, else of the file.

    Of a record that names the same one its options and its preprocessing count too.
    """
    architecture = recorded_architecture(file) or architecture_in(weights.facts)
    if "arch" in wanted.options:
        wanted_one = named_architecture(label, wanted.options["arch"], wanted.arguments)
        if architecture is None or (architecture.library, architecture.name) != (wanted_one.library, wanted_one.name):
            return wanted_one
    if architecture is None:
        named = model_named_in(weights.facts)
        known = f" (it says {named!r})" if named else ""
        raise UsageError(
            f"{label}: of which network are these weights{known}? Add ?arch=timm:NAME, torchvision:NAME, "
            "open_clip:NAME or transformers:ORG/NAME, as in weights:model.pth?arch=timm:resnet50"
        )
    return replace(architecture, options={**architecture.options, **argument_values(wanted.arguments)})


def _of_library(
    weights: WeightsFile, architecture: Architecture, wanted: WeightsRequest, label: str, request: LoadRequest
) -> tuple[Encoder, Fit, list[str]]:
    """An encoder of timm, torchvision or open_clip, with the weights of a file."""
    model = without_weights(label, architecture, wanted.preprocessing.size)
    shapes = {name: tensor.shape for name, tensor in model.weights.state_dict().items()}
    tensors = weights.tensors
    if architecture.library == "timm" and not is_whole_somewhere(shapes, tensors):
        tensors = in_names_of_timm(architecture, model.weights, tensors)
    if not is_whole_somewhere(shapes, tensors):
        tensors = in_names_of_children(shapes, model.weights, tensors)
    ema = wanted.options.get("ema") == "true"
    fit = fitted(label, shapes, tensors, str(architecture), prefix=wanted.options.get("prefix"), ema=ema)
    of_library = model.outside

    def outside(key: str) -> str:
        return of_library(key) or (LEFT_OUT if wanted.ignored and key.startswith(wanted.ignored) else "")

    options = replace(wanted.preprocessing, **_of_record(architecture, wanted.preprocessing))

    def load() -> LibraryModel:
        model.weights.load_state_dict(_of_version_of(model.weights, fit.tensors), strict=False)
        return replace(model, outside=outside, restate=lambda known: restated(label, known, options))

    checkpoint = Checkpoint(label, Path(), None)
    encoder = library_encoder(
        architecture.library, checkpoint, request, load, "its weights do not fit", _remedy(fit, shapes, outside)
    )
    return encoder, fit, list(encoder.info.details.get("ignored_weights", ()))


def _of_version_of(network: Any, tensors: Mapping[str, Any]) -> OrderedDict[str, Any]:
    """Tensors as a state dict of a network's own version, without which MNASNet of torchvision loads none."""
    state: Any = OrderedDict(tensors)
    state._metadata = OrderedDict({"": {"version": network._version}})
    return state


def _of_record(architecture: Architecture, options: Stated) -> dict[str, Any]:
    """Preprocessing in the record of torchvision's trainings, where the specification does not state it."""
    if architecture.library != "torchvision" or not architecture.data:
        return {}
    recorded = stated({key: str(value) for key, value in architecture.data.items()})
    return {name: getattr(recorded, name) for name in vars(recorded) if getattr(options, name) is None}


def _remedy(fit: Fit, shapes: Mapping[str, Any], outside: Callable[[str], str]) -> str:
    """What to add to a specification, where weights of the file are in no part of the network."""
    parts = {name.partition(".")[0] for name in shapes}
    unknown = {name for name in fit.tensors if name not in shapes and not outside(name) and not reason_of(name)}
    if not unknown or any(name.partition(".")[0] in parts for name in unknown):
        return REMEDY
    beginnings = sorted({"".join(name.partition(".")[:2]) for name in unknown})
    return f"if they are of a head of the training, leave them out by &ignore={','.join(beginnings)}"


def _described(
    encoder: Encoder,
    file: Path,
    weights: WeightsFile,
    architecture: Architecture,
    wanted: WeightsRequest,
    label: str,
    fit: Fit,
    ignored: list[str],
    chosen_file: str,
) -> Encoder:
    """The encoder with its id, and with what was done to the file in its record and in one notice."""
    info = encoder.info
    query = [f"{name}={wanted.options[name]}" for name in STATED if name in wanted.options]
    encoder_id = f"{named_by_weights(label, info.weights_sha256)}?{'&'.join([architecture.query(), *query])}"
    reason = f"outside of {fit.prefix!r}" if fit.prefix else "another copy"
    elsewhere = ignored_sentences(dict.fromkeys(fit.elsewhere, reason))
    details: dict[str, Any] = {
        **info.details,
        "file": file.name,
        "architecture_from": architecture.source,
        "prefix": fit.prefix,
        "ema": wanted.options.get("ema") == "true",
        "ignored_weights": [*ignored, *elsewhere],
        **({"objects_not_read": list(weights.unread)} if weights.unread else {}),
        **({"wrappers": list(weights.wrappers)} if weights.wrappers else {}),
    }
    guessed = [name for name in STATED if name not in wanted.options] if not architecture.data else []
    preprocessing = f"of {architecture.source}" if architecture.data else "as stated"
    if guessed:
        preprocessing = f"guessed, the architecture's, where not stated ({', '.join(guessed)})"
    in_file = {key: weights.tensors.get(f"{fit.prefix}{key}", tensor).shape for key, tensor in fit.tensors.items()}
    converted = [shape_words(key, in_file[key], t.shape) for key, t in fit.tensors.items() if in_file[key] != t.shape]
    facts = [
        chosen_file,
        f"{architecture} ({architecture.source})" if architecture.source != NAMED else str(architecture),
        architecture.unrecorded(),
        f"names without {fit.prefix!r}" if fit.prefix else "",
        f"names without {' and '.join(weights.wrappers)}" if weights.wrappers else "",
        f"converted as {architecture.library} does: {', '.join(converted)}" if converted else "",
        f"not used: {'; '.join([*ignored, *elsewhere])}" if ignored or elsewhere else "",
        f"preprocessing {preprocessing}: {in_words(info.preprocessing)}",
    ]
    described = replace(
        info,
        id=encoder_id,
        group=wanted.options.get("group", info.group),
        training_data=wanted.options.get("training_data", info.training_data),
        details=details,
    )
    return _with_notice(replace(encoder, info=described), f"{label}: {'; '.join(fact for fact in facts if fact)}")


def _with_notice(encoder: Encoder, notice: str) -> Encoder:
    return replace(encoder, notices=(*encoder.notices, notice)) if notice else encoder
