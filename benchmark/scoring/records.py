"""What a result says of its encoder, its options, and the machine: everything needed to repeat it, as JSON values."""

from __future__ import annotations

import dataclasses
import platform
import resource
import sys
from collections.abc import Mapping
from importlib import metadata
from typing import Any

import torch

from benchmark.bank import RuntimeVerdict, Verdict
from benchmark.compute import named_devices
from benchmark.encoders import Encoder, Runtime, made_by
from benchmark.erasers import Eraser, eraser_record
from benchmark.options import OPTIONS, RunOptions
from builders.photos import PhotoSet
from builders.pixels import chosen_engine, codec_canary, codec_versions

PACKAGES = ("camtrace", "torch", "torchvision", "transformers", "timm", "open_clip_torch", "numpy", "pillow")
"""Whose versions a result records."""


def encoder_record(encoder: Encoder, eraser: Eraser | None = None) -> dict[str, Any]:
    """What a result says of its encoder, and of the eraser that is in place: together they have a name of their own."""
    found = {f.name: _plain(getattr(encoder.info, f.name)) for f in dataclasses.fields(encoder.info)}
    if eraser is None:
        return found
    record = _plain(eraser_record(eraser))
    details = {**dict(encoder.info.details), "encoder": found["id"], "eraser": record}
    return {**found, "id": f"{found['id']}+{eraser.name}", "details": _plain(details)}


def _preprocessing_by(encoder: Encoder) -> str:
    """Who carries out the encoder's resize and crop: the exact engine, Pillow, or the encoder's own code."""
    by = made_by(encoder.preprocess)
    return "Pillow" if by == "exact engine" and chosen_engine() is None else by


def options_record(options: RunOptions, photos: PhotoSet) -> dict[str, Any]:
    """The options in ``environment.options`` of a result: those that decide its scores."""
    values = settled_values(options, photos)
    recorded = [o for o in OPTIONS if o.role.in_result != "no"]
    return {o.name: values[o.name] for o in recorded if o.role.in_result == "always" or values[o.name] != o.default}


def options_key(options: RunOptions, photos: PhotoSet) -> dict[str, Any]:
    """The options in the key of a cached outcome: those that affect scores and that the key does not hold otherwise."""
    values = settled_values(options, photos)
    return {option.name: values[option.name] for option in OPTIONS if option.role.in_key}


def settled_values(options: RunOptions, photos: PhotoSet) -> dict[str, Any]:
    """Every option by name; two are settled by the photos: built ones are upright, and a data set has its own k."""
    values = {option.name: getattr(options, option.name) for option in OPTIONS}
    values["neighbours"] = options.neighbours or photos.neighbours
    return {**values, "orientation": "upright"} if photos.stored_views else values


def environment_record(
    encoder: Encoder,
    photos: PhotoSet,
    options: RunOptions,
    gate: Verdict | None,
    compared: RuntimeVerdict | None = None,
) -> dict[str, Any]:
    """What a result says of where and how it was computed."""
    several = named_devices(options.device)
    return {
        "versions": {name: _version(name) for name in PACKAGES},
        "python": platform.python_version(),
        "platform": f"{platform.system()} {platform.machine()}",
        "codec": codec_versions(),
        "codec_canary": codec_canary(),
        "preprocessing_by": _preprocessing_by(encoder),
        "device": _device_name(encoder.device),
        **({"devices": len(several)} if len(several) > 1 and encoder.elsewhere is not None else {}),
        "dtype": encoder.dtype,
        "storage": options.storage,
        "compiled": encoder.compiled,
        **({"runtime": _runtime_record(encoder.runtime, compared)} if encoder.runtime else {}),
        **({"precision_gate": gate.record()} if gate else {}),
        "options": options_record(options, photos),
    }


def _runtime_record(runtime: Runtime, compared: RuntimeVerdict | None) -> dict[str, Any]:
    """Which library computed, how far from torch on fixed pictures, and on one batch of these photos."""
    about = {name: value for name, value in dataclasses.asdict(runtime).items() if value not in (None, "")}
    return {**about, **({"on_photos": compared.record()} if compared else {})}


def peak_memory(device: str) -> dict[str, int]:
    """Bytes at their highest so far: this process, the largest of its workers, the GPU."""
    unit = 1 if sys.platform == "darwin" else 1024
    peak = {
        "process": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit,
        "largest_worker": resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss * unit,
    }
    if device.startswith("cuda"):
        peak["device"] = torch.cuda.max_memory_allocated(device)
    return peak


def _plain(value: object) -> object:
    """Mappings and sequences as JSON writes them."""
    if isinstance(value, Mapping):
        return {str(key): _plain(inner) for key, inner in value.items()}
    return [_plain(inner) for inner in value] if isinstance(value, list | tuple) else value


def _version(package: str) -> str | None:
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return None


def _device_name(device: str) -> str:
    return torch.cuda.get_device_name(device) if device.startswith("cuda") else device
