"""Checkpoints whose vision tower is not whole: which names of a file are the tower's, and what is taken from them."""

from __future__ import annotations

import itertools
import re
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
from safetensors.torch import load_file, save_file

from benchmark.encoders import Embedder, load_encoder
from builders.errors import CamtraceError
from tests.encoders_by_hand.case import Case
from tests.encoders_by_hand.families import CASES
from tests.encoders_by_hand.trial import embed, photos, relative_error, save

Tensors = dict[str, torch.Tensor]
EQUAL = 1e-5
PARTS = ("vision_config", "backbone_config", "encoder", "image_config", "thinker_config", "vlm_config")
"""Parts of configurations that describe a vision tower below another module."""


def composite_types() -> set[str]:
    """Every ``model_type`` of transformers whose configuration has a vision tower as a part and that takes pictures."""
    from transformers.models.auto import configuration_auto, image_processing_auto, modeling_auto

    maps = [getattr(modeling_auto, name) for name in dir(modeling_auto) if name.endswith("MAPPING_NAMES")]
    of_pictures = {
        kind
        for mapping in maps
        for kind, names in mapping.items()
        if re.search("Image|Vision|Detection|Segment|Depth|Backbone|Conditional", str(names))
    } | set(image_processing_auto.IMAGE_PROCESSOR_MAPPING_NAMES)
    types = set()
    for kind in configuration_auto.CONFIG_MAPPING_NAMES:
        parts = getattr(configuration_auto.CONFIG_MAPPING[kind], "sub_configs", None) or {}
        if kind in of_pictures and any(part in parts for part in PARTS):
            types.add(kind)
    return types


def composite_cases() -> dict[str, Case]:
    """The tiny checkpoints that are scored and whose model has a tower as a part."""
    types = composite_types()
    return {name: case for name, case in CASES.items() if case.by_hand is not None and _type(name) in types}


def _type(name: str) -> str:
    """``model_type`` of a case, which is the first word of its name but for one."""
    return {"nougat": "vision-encoder-decoder"}.get(name, re.split(r"[ ,]", name)[0])


def tower_names(folder: Path, tensors: Tensors) -> list[str]:
    """Names of a file that hold the scored module's tensors, by their numbers and not by their names."""
    encoder = load_encoder(spec(folder), device="cpu", runtime="torch")
    assert isinstance(encoder.embed, Embedder)
    scored = {_bytes(tensor) for tensor in encoder.embed.module.state_dict().values() if tensor.ndim}
    return [name for name, tensor in tensors.items() if tensor.ndim and _bytes(tensor.float()) in scored]


def _bytes(tensor: torch.Tensor) -> tuple[tuple[int, ...], bytes]:
    return tuple(tensor.shape), tensor.detach().cpu().contiguous().numpy().tobytes()


def one_deleted(tensors: Tensors, tower: list[str]) -> Tensors:
    gone = str(np.random.default_rng(len(tower)).choice(sorted(tower)))
    return {name: tensor for name, tensor in tensors.items() if name != gone}


def layer_deleted(tensors: Tensors, tower: list[str]) -> Tensors:
    layers = [match[0] for name in tower if (match := re.match(r".*?\.\d+\.", name))]
    layer = max(set(layers), key=lambda each: (layers.count(each), each)) if layers else tower[0].rpartition(".")[0]
    return {name: tensor for name, tensor in tensors.items() if not name.startswith(layer)}


def prefix_renamed(tensors: Tensors, tower: list[str]) -> Tensors:
    starts = [name.partition(".")[0] for name in tower]
    inside = [name for name in tower if name.startswith(max(starts, key=starts.count))]
    pairs = zip(min(inside).split("."), max(inside).split("."), strict=False)
    prefix = ".".join(first for first, _ in itertools.takewhile(lambda pair: pair[0] == pair[1], pairs))
    return {
        f"renamed.{name}" if name == prefix or name.startswith(f"{prefix}.") else name: t for name, t in tensors.items()
    }


def tower_gone(tensors: Tensors, tower: list[str]) -> Tensors:
    return {name: tensor for name, tensor in tensors.items() if name not in tower}


BREAKS: dict[str, Callable[[Tensors, list[str]], Tensors]] = {
    "one tensor deleted": one_deleted,
    "one layer deleted": layer_deleted,
    "one prefix renamed": prefix_renamed,
    "tower gone": tower_gone,
}

_OPTIONS = "options.txt"


def spec(folder: Path) -> str:
    return f"local-dir:{folder}{(folder / _OPTIONS).read_text()}"


def write(case: Case, folder: Path) -> None:
    """The whole checkpoint, with the options that its specification needs next to it."""
    save(case, folder)
    options = case.options or (f"size={case.square}" if case.square else "")
    (folder / _OPTIONS).write_text(f"?{options}" if options else "")


def outcomes(case: Case, folder: Path) -> dict[str, str]:
    """What becomes of each break: ``refused``, ``unread`` (the embedding is the whole one's), or an error.

    A checkpoint of several files counts as its tensors together.
    """
    write(case, folder / "whole")
    file = folder / "whole" / "model.safetensors"
    tensors = load_file(file)
    tower = tower_names(folder / "whole", tensors)
    expected = embed(load_encoder(spec(folder / "whole"), device="cpu", runtime="torch"), photos())
    found = {}
    for name, change in BREAKS.items():
        broken = folder / "broken"
        shutil.copytree(folder / "whole", broken)
        save_file(change(dict(tensors), tower), broken / file.name, {"format": "pt"})
        try:
            encoder = load_encoder(spec(broken), device="cpu", runtime="torch")
            error = relative_error(embed(encoder, photos()), expected)
            found[name] = "unread" if error < EQUAL else f"scored with an error of {error:.0e}"
        except CamtraceError as refused:
            found[name] = "refused" if "\n" not in str(refused) else f"several lines: {refused}"
        shutil.rmtree(broken)
    return found
