"""What a result records of its encoder, options and environment, and the command that reproduces it.

The command names one encoder and one data set, and no path of this machine: what is on the author's disk or in memory
is written as ``MODEL``, ``PATH`` or ``MODULE:NAME``, and a sentence in ``Repeat.local`` says what it is.
"""

from __future__ import annotations

import dataclasses
import platform
import re
import resource
import shlex
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

import torch

from benchmark.bank import PrecisionVerdict, RuntimeVerdict
from benchmark.compute import json_values, library_version, named_devices
from benchmark.encoders import Encoder, Runtime, pixel_backend
from benchmark.erasing import Eraser, eraser_record
from benchmark.options import CHOICES, GROUPS, OPTIONS, PRESETS, Option, RunOptions
from builders.cli import parse_query
from builders.data_specs import KINDS, parse_data_spec
from builders.photos import PhotoSet
from builders.pixels import (
    PROCESSINGS,
    chosen_engine,
    codec_canary,
    codec_versions,
    engine_of,
    queried_processings,
)
from builders.plugins import plugin_versions

if TYPE_CHECKING:
    from benchmark.encoders import EncoderInfo
    from benchmark.erasing import Erasing
    from benchmark.results import Result

PACKAGES = ("camtrace", "torch", "torchvision", "transformers", "timm", "open_clip_torch", "numpy", "pillow")
"""Packages whose versions a result records."""


def encoder_record(encoder: Encoder, eraser: Eraser | None = None) -> dict[str, Any]:
    """What a result records of its encoder. An eraser adds its name to the encoder's, and its record to the details."""
    fields = {f.name: json_values(getattr(encoder.info, f.name)) for f in dataclasses.fields(encoder.info)}
    if eraser is None:
        return fields
    record = json_values(eraser_record(eraser))
    details = {**dict(encoder.info.details), "encoder": fields["id"], "eraser": record}
    return {**fields, "id": f"{fields['id']}+{eraser.name}", "details": json_values(details)}


def _preprocessing_by(encoder: Encoder) -> str:
    """What resizes and crops: the exact engine, Pillow, or the encoder's own code."""
    by = pixel_backend(encoder.preprocess)
    return "Pillow" if by == "exact engine" and chosen_engine() is None else by


def options_record(options: RunOptions, photos: PhotoSet) -> dict[str, Any]:
    """The options in ``environment.options`` of a result: those whose roles say that a result records them."""
    values = _settled_values(options, photos)
    recorded = [o for o in OPTIONS if o.role.in_result != "no"]
    return {o.name: values[o.name] for o in recorded if o.role.in_result == "always" or values[o.name] != o.default}


def options_key(options: RunOptions, photos: PhotoSet) -> dict[str, Any]:
    """The options in the key of a cached outcome: those that affect scores and are not in another part of the key."""
    values = _settled_values(options, photos)
    return {option.name: values[option.name] for option in OPTIONS if option.role.in_key}


def _settled_values(options: RunOptions, photos: PhotoSet) -> dict[str, Any]:
    """Every option by name. The photos settle two: built photos are upright, and a data set may have its own k."""
    values = {option.name: getattr(options, option.name) for option in OPTIONS}
    values["neighbours"] = options.neighbours or photos.neighbours
    return {**values, "orientation": "upright"} if photos.stored_views else values


def environment_record(
    encoder: Encoder,
    photos: PhotoSet,
    options: RunOptions,
    gate: PrecisionVerdict | None,
    compared: RuntimeVerdict | None,
) -> dict[str, Any]:
    """What a result records of where and how it was computed."""
    several = named_devices(options.device)
    return {
        "versions": {name: library_version(name) for name in PACKAGES} | plugin_versions(),
        "python": platform.python_version(),
        "platform": f"{platform.system()} {platform.machine()}",
        "codec": codec_versions(),
        "codec_canary": codec_canary(queried_processings()),
        **({"processings_by": _processings_by()} if options.processings else {}),
        "preprocessing_by": _preprocessing_by(encoder),
        "device": device_name(encoder.device),
        **({"devices": len(several)} if len(several) > 1 and encoder.reload is not None else {}),
        **({"cudnn": _cudnn_record()} if encoder.device.startswith("cuda") else {}),
        "dtype": encoder.dtype,
        "storage": options.storage,
        "compiled": encoder.compiled,
        **({"runtime": _runtime_record(encoder.runtime, compared)} if encoder.runtime else {}),
        **({"precision_gate": gate.record()} if gate else {}),
        "options": options_record(options, photos),
    }


def _processings_by() -> dict[str, str]:
    """By name of each processing in use, what makes it: the exact engine, Pillow, or both."""
    return {name: engine_of(processing) for name, processing in PROCESSINGS.items()}


def _cudnn_record() -> dict[str, Any]:
    """The version of cuDNN, and the settings by which it chooses algorithms, which other code may have changed."""
    cudnn = torch.backends.cudnn
    settings = {name: bool(getattr(cudnn, name)) for name in ("benchmark", "deterministic")}
    everything = torch.are_deterministic_algorithms_enabled()
    return {"version": cudnn.version() or 0, **settings, "deterministic_algorithms": everything}


def _runtime_record(runtime: Runtime, compared: RuntimeVerdict | None) -> dict[str, Any]:
    """The library that computed, and how far it is from torch on fixed pictures and on a batch of these photos."""
    about = {name: value for name, value in dataclasses.asdict(runtime).items() if value not in (None, "")}
    return {**about, **({"on_photos": compared.record()} if compared else {})}


def peak_memory(device: str) -> dict[str, int]:
    """Peak memory in bytes: of this process, of its largest worker, of the GPU."""
    unit = 1 if sys.platform == "darwin" else 1024
    peak = {
        "process": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit,
        "largest_worker": resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss * unit,
    }
    if device.startswith("cuda"):
        peak["device"] = torch.cuda.max_memory_allocated(device)
    return peak


def device_name(device: str) -> str:
    """Name of a device: the model of a GPU, else its type."""
    return torch.cuda.get_device_name(device) if device.startswith("cuda") else device


SCORE_COMMAND = ("camtrace", "score")

FILES = ("onnx:", "embeddings:", "scores:", "answers:")
"""Prefixes of encoders that are files on the author's disk."""

_REPO = re.compile(r"[\w.-]+/[\w.-]+")

_PLAIN = "=?/:()|[]{}^$*.,;@!~-_\\"
"""Characters of a value that ``_public_spec`` does not escape."""

_COMMIT = re.compile(r"[0-9a-f]{40}")


@dataclass(frozen=True)
class Invocation:
    """How one result was requested: encoder, photos, tasks and eraser."""

    model: str | None
    """As ``--model`` takes it; None for an object in memory."""
    data: str | None
    """As ``--data`` takes it; None if the photos were given in memory."""
    tasks: tuple[str, ...] = ()
    """Patterns as ``--tasks`` takes them; none for every task that fits the photos."""
    trust_remote_code: bool = False
    """Whether code of the model's repository was run."""
    erasing: Erasing | None = None
    """The eraser that was in place."""


@dataclass(frozen=True)
class Repeat:
    """How to reproduce one result."""

    command: str
    """For a shell, without paths of the author's machine and without options that change no score."""
    local: Mapping[str, str]
    """By ``model``, ``data``, ``options`` and ``eraser``: one sentence on what only the author has."""


def reproduce_command(origin: Invocation, encoder: EncoderInfo, photos: PhotoSet, options: RunOptions) -> Repeat:
    """The command that reproduces one result.

    Args:
        origin: how this result was requested.
        encoder: as loaded; of a Hub repository the command names the commit.
        photos: as scored, after ``limited``.
        options: of the run; only those that change scores and are not the default appear.

    >>> from benchmark.encoders import EncoderInfo
    >>> info = EncoderInfo("timm:resnet50.a1_in1k", "timm", None, "625ab1dc", 2048, {}, "mean", 25_000_000)
    >>> photos = PhotoSet.of_bytes("folder:pets", {"a.jpg": b"1", "b.jpg": b"2"})
    >>> origin = Invocation("timm:resnet50.a1_in1k", "folder:/home/me/pets", ("probe/*",))
    >>> repeat = reproduce_command(origin, info, photos, RunOptions(seed=3))
    >>> repeat.command
    "camtrace score --model timm:resnet50.a1_in1k --data folder:PATH --tasks 'probe/*' --seed 3"
    >>> repeat.local["data"]
    'PATH: your folder of 2 photos (folder:pets), ids hash 3cac671446cbcfa7'
    """
    shown_model, about_model = _model(origin.model, encoder)
    shown_data, about_data = _data(origin.data, photos)
    words = [*SCORE_COMMAND, "--model", shown_model, "--data", shown_data]
    about_eraser = ""
    if origin.erasing is not None:
        place, its = origin.erasing.place, origin.erasing.eraser
        public = _REPO.fullmatch(place.partition("@")[0]) and not Path(place).exists()
        words += ["--eraser", place if public else "ERASER"]
        about_eraser = "" if public else f"ERASER: your folder of an eraser ({its.name}), SHA-256 {its.sha256}"
    for pattern in origin.tasks:
        words += ["--tasks", pattern]
    words += _option_words(options)
    if origin.trust_remote_code:
        words.append("--trust-remote-code")
    in_python = [f"{o.name} = {getattr(options, o.name)}" for o in _changed(options) if not o.role.on_command_line]
    about_options = f"set in Python, without an option of the command: {', '.join(in_python)}" if in_python else ""
    local = {"model": about_model, "data": about_data, "options": about_options, "eraser": about_eraser}
    return Repeat(shlex.join(words), MappingProxyType({name: sentence for name, sentence in local.items() if sentence}))


def recorded(result: Result, repeat: Repeat) -> Result:
    """The result with ``environment.command`` and ``environment.local``."""
    return replace(result, environment={**result.environment, "command": repeat.command, "local": dict(repeat.local)})


def made_by_ranks(result: Result, machines: Sequence[Mapping[str, Any]]) -> Result:
    """The result with the machines of its ranks. Its device is theirs, not that of the machine that merged it."""
    devices = ", ".join(sorted({str(machine["device"]) for machine in machines}))
    environment = {**result.environment, "ranks": json_values(machines)}
    return replace(result, environment={**environment, "device": devices or environment["device"]})


def _changed(options: RunOptions) -> list[Option]:
    """The options that a reproduction needs: those that differ from the default or from the preset."""
    preset = PRESETS.get(options.preset)
    usual = {o.name: getattr(preset, o.name) if preset and o.name in CHOICES else o.default for o in OPTIONS}
    return [o for o in OPTIONS if o.role.repeat and getattr(options, o.name) != usual[o.name]]


def _option_words(options: RunOptions) -> list[str]:
    """Options as words: those with a value in the order of the help page, then repeatable ones, then flags."""
    changed = [o for o in _changed(options) if o.role.on_command_line]
    words: list[str] = []
    for option in sorted(changed, key=lambda o: (o.is_flag, o.is_repeated, GROUPS.index(o.role.group))):
        value = getattr(options, option.name)
        values = value if option.is_repeated else () if option.is_flag else (value,)
        words += [option.flag] if option.is_flag else [word for item in values for word in (option.flag, str(item))]
    return words


def _model(spec: str | None, encoder: EncoderInfo) -> tuple[str, str]:
    """The value of ``--model``, and a sentence on what only the author has; empty if that is nothing."""
    weights = f", SHA-256 {encoder.weights_sha256}" if encoder.weights_sha256 else ""
    if spec is None:
        return "MODULE:NAME", f"MODULE:NAME: your object in memory ({encoder.id}){weights}"
    named_by_folder = spec.startswith((".", "/", "~", "local-dir:")) and not encoder.id.startswith(("weights:", *FILES))
    if encoder.id.startswith("local-dir:") or named_by_folder:
        name = encoder.id if encoder.id.startswith("local-dir:") else encoder.library
        return "local-dir:MODEL", f"MODEL: your folder of a model ({name}){weights}"
    if encoder.id.startswith("vlm:"):
        return _answering_model(encoder, weights)
    if encoder.id.startswith("weights:"):
        query = encoder.id.partition("?")[2]
        prefix, ema = str(encoder.details.get("prefix", "")).strip("."), encoder.details.get("ema")
        more = f"{f'&prefix={prefix}' if prefix else ''}{'&ema=true' if ema else ''}" if query else ""
        return f"weights:PATH{'?' if query else ''}{query}{more}", f"PATH: your file of weights ({encoder.id}){weights}"
    if encoder.id.startswith(FILES):
        kind, place = encoder.id.partition(":")[0], "?" + spec.partition("?")[2] if "?" in spec else ""
        if kind == "answers":  # options that are paths, without their folders
            place = re.sub(r"((?:questions|embeddings)=)[^&]*/", r"\1", place)
        return f"{kind}:PATH{place}", f"PATH: your file ({encoder.id}){weights}"
    repo = spec.removeprefix("hf-hub:").partition("@")[0]
    if encoder.revision and _REPO.fullmatch(repo):
        return f"{repo}@{encoder.revision}", ""
    if _is_python(spec):
        return spec, f"{spec}: your own Python code{weights}"
    return spec, ""


def _answering_model(encoder: EncoderInfo, weights: str) -> tuple[str, str]:
    """The same of a vision-language model; its id has a table of questions by name and hash, without the folder."""
    place, mark, query = encoder.id.partition("?")
    table = next((value for name, _, value in (o.partition("=") for o in query.split("&")) if "@" in value), "")
    about = [f"{table}: your table of questions"] if table else []
    shown = f"{place.partition('@')[0]}@{encoder.revision}"
    if not encoder.revision:
        shown, about = "vlm:MODEL", [f"MODEL: your folder of a model ({place}){weights}", *about]
    return f"{shown}{mark}{query}", "; ".join(about)


def _is_python(spec: str) -> bool:
    """True for ``module:name``, which is not a name that everybody can load."""
    from benchmark.encoders import PREFIXES

    prefix, colon, _ = spec.partition(":")
    return bool(colon) and (prefix == "callable" or prefix not in PREFIXES)


def _data(text: str | None, photos: PhotoSet) -> tuple[str, str]:
    """The value of ``--data``, and a sentence on what only the author has; empty if that is nothing."""
    known = f"{len(photos):,} photo{'' if len(photos) == 1 else 's'} ({photos.name}), ids hash {photos.ids_hash()}"
    if text is None:
        return "folder:PATH", f"PATH: your photos in memory, {known}"
    spec = parse_data_spec(text)
    kind, commit = KINDS[spec.kind], str(photos.evidence.get("revision", ""))
    local = kind.is_local(spec) or (bool(spec.location) and commit == "local")
    shown = _public_spec(text, local=local, revision=commit if _COMMIT.fullmatch(commit) else "")
    masked = local or any(name in spec.options for name in kind.path_options)
    return shown, f"PATH: your folder of {known}" if masked else ""


def _public_spec(text: str, *, local: bool, revision: str) -> str:
    """A specification as others may read it: without paths of this machine.

    Args:
        text: the specification.
        local: whether the location is a path here.
        revision: commit that the location resolved to; empty for that of the specification.

    >>> _public_spec("table:/home/me/meta.csv?image=path&root=/data/me&label=re:a+b", local=True, revision="")
    'table:PATH?image=path&root=PATH&label=re:a%2Bb'
    """
    spec, query = parse_data_spec(text), text.partition("?")[2]
    kind = KINDS[spec.kind]
    if any(name in spec.options for name in kind.path_options):
        pairs = parse_query(query, f"data {text!r}", repeated=("group",))
        public = [(name, "PATH" if name in kind.path_options else quote(value, safe=_PLAIN)) for name, value in pairs]
        query = "&".join(f"{name}={value}" for name, value in public)
    options = f"?{query}" if query else ""
    if not spec.location:
        return f"{spec.kind}{options}"
    if local:
        return f"{spec.kind}:PATH{options}"
    place, _, named = spec.location.partition("@")
    at = revision or spec.revision or named
    return f"{spec.kind}:{place}{f'@{at}' if at else ''}{options}"
