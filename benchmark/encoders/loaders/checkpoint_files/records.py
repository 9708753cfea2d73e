"""The architecture that a training's own record names: ``args.yaml``, ``params.txt``, or entries of the checkpoint."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from benchmark.encoders.loaders.checkpoint_files.architectures import TRANSFORMED, Architecture
from builders.untrusted import UntrustedInputError, parse_yaml, read_untrusted_text

TIMM_RECORD, OPEN_CLIP_RECORD = "args.yaml", "params.txt"
"""Records of timm's train.py (beside its checkpoints) and of open_clip (above them)."""

_TIMM_DATA = ("input_size", "img_size", "crop_pct", "crop_mode", "mean", "std", "interpolation")
"""Entries of timm's record that decide the preprocessing."""


def recorded_architecture(file: Path) -> Architecture | None:
    """The architecture in the record of the training that wrote a file; None where there is no record.

    Args:
        file: of weights; the record is in its folder (timm) or in the one above (open_clip).
    """
    timm = file.parent / TIMM_RECORD
    if timm.is_file():
        return _timm_architecture(_yaml(timm), TIMM_RECORD)
    for folder in (file.parent, file.parent.parent):
        if (folder / OPEN_CLIP_RECORD).is_file():
            return _open_clip(folder / OPEN_CLIP_RECORD)
    return None


def architecture_in(facts: Mapping[str, Any]) -> Architecture | None:
    """The architecture that the entries of a checkpoint name; None where they do not, or the trainer is not known.

    Args:
        facts: entries that are no tensors.
    """
    held = facts.get("args")
    arguments = held if isinstance(held, Mapping) else vars(held) if type(held).__name__ == "Namespace" else {}
    if "initial_checkpoint" in arguments:  # timm's train.py
        return _timm_architecture(arguments, "the file")
    if "val_crop_size" in arguments and isinstance(arguments.get("model"), str):  # torchvision's references
        options, data = _torchvision_options(arguments), _torchvision_data(arguments)
        return Architecture("torchvision", arguments["model"], options, data, "the file")
    if isinstance(facts.get("arch"), str) and "best_acc1" in facts:  # the ImageNet example of PyTorch
        return Architecture("torchvision", facts["arch"], data={"resize": 256, "size": 224}, source="the file")
    return None


def model_named_in(facts: Mapping[str, Any]) -> str:
    """A name of a model in the entries of a checkpoint, for a message; empty if there is none."""
    held = facts.get("args")
    arguments = held if isinstance(held, Mapping) else vars(held) if type(held).__name__ == "Namespace" else {}
    names = (*map(facts.get, ("arch", "architecture", "model_name")), arguments.get("model"), arguments.get("arch"))
    return next((name for name in names if isinstance(name, str) and len(name) < 80), "")


def _timm_architecture(arguments: Mapping[str, Any], source: str) -> Architecture | None:
    """The architecture in the arguments of timm's train.py.

    Args:
        arguments: by name.
        source: file that has them.
    """
    name = arguments.get("model")
    if not isinstance(name, str):
        return None
    options = arguments.get("model_kwargs")
    options = dict(options) if isinstance(options, Mapping) else {}
    if arguments.get("gp"):
        options["global_pool"] = arguments["gp"]
    if arguments.get("bn_eps") is not None:
        options["bn_eps"] = arguments["bn_eps"]
    data = {key: arguments[key] for key in _TIMM_DATA if arguments.get(key) not in (None, "", [])}
    return Architecture("timm", name, options, data, source)


def _torchvision_options(arguments: Mapping[str, Any]) -> dict[str, Any]:
    """What torchvision sets where it is asked for pretrained weights (``pretrained`` in older versions)."""
    if arguments["model"] not in TRANSFORMED:
        return {}
    return {"transform_input": bool(arguments.get("weights") or arguments.get("pretrained"))}


def _torchvision_data(arguments: Mapping[str, Any]) -> dict[str, Any]:
    named = {"resize": "val_resize_size", "size": "val_crop_size", "interpolation": "interpolation"}
    return {
        option: arguments[argument]
        for option, argument in named.items()
        if isinstance(arguments.get(argument), int | str)
    }


def _open_clip(record: Path) -> Architecture | None:
    try:
        lines = read_untrusted_text(record).splitlines()
    except UntrustedInputError:
        return None
    entries = dict(line.partition(": ")[::2] for line in lines)
    if not entries.get("model"):
        return None
    names = ("image_mean", "image_std", "image_interpolation", "image_resize_mode")
    data = {name: _literal(entries[name]) for name in names if entries.get(name, "None") != "None"}
    options: dict[str, Any] = {}
    if entries.get("force_quick_gelu") == "True":
        options["force_quick_gelu"] = True
    if entries.get("force_image_size", "None") != "None":
        options["force_image_size"] = _literal(entries["force_image_size"])
    return Architecture("open_clip", entries["model"], options, data, OPEN_CLIP_RECORD)


def _literal(text: str) -> Any:
    """A list or number as Python prints it; else the text."""
    try:
        return json.loads(text.replace("(", "[").replace(")", "]"))
    except ValueError:
        return text


def _yaml(file: Path) -> Mapping[str, Any]:
    try:
        content = parse_yaml(read_untrusted_text(file), file.name)
    except UntrustedInputError:
        return {}
    return content if isinstance(content, Mapping) else {}
