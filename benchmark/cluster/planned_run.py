"""A planned run as values, and the facts of its photos and encoders that must be equal on every machine."""

from __future__ import annotations

import argparse
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from benchmark.bank import hash_of_block, key_hash
from benchmark.cluster.request import Request
from benchmark.options import DEFAULT_MODEL, RunOptions, checked_data, loading_options, to_run_options
from benchmark.scoring import OpenedSet, any_answers, chosen_specs, groups_of, open_sets, settle_preset
from builders.errors import PhotoError, UsageError
from builders.photos import PhotoSet, photo_digest
from builders.processes import default_workers

BANKS = "banks"
"""Folder of the block files in the plan's folder, and of the banks in the cache."""

SAMPLED = 8
"""Photos whose bytes every rank reads before it begins. The photos of its own blocks are checked as they are read."""


@dataclass(frozen=True)
class PlannedRun:
    """A request, parsed: encoders, options, and how encoders are loaded."""

    args: argparse.Namespace
    specs: tuple[str, ...]
    options: RunOptions
    loading: Mapping[str, Any]

    @classmethod
    def of(cls, request: Request, output: Path, **chosen: Any) -> PlannedRun:
        """Parse a request.

        Args:
            request: to score, sweep or embed.
            output: folder of the command's output.
            chosen: options that the plan froze, such as the device.

        Raises:
            UsageError: an option is wrong, or cannot be planned.
        """
        args = request.parsed(output)
        for name, value in chosen.items():
            setattr(args, name, value)
        if request.kind == "score":
            specs = list(dict.fromkeys(args.model or [DEFAULT_MODEL]))
        else:
            specs = chosen_specs(args)
            settle_preset(args)
        if not any(word.partition("=")[0] == "--workers" for word in request.words):
            args.workers = min(8, default_workers())
        if args.outputs:
            raise UsageError("--outputs is scored in one place: leave it out of plans, and run camtrace score")
        revision = {"revision": args.revision} if args.revision else {}
        return cls(args, tuple(specs), to_run_options(args), {**loading_options(args), **revision})

    def groups(self) -> list[list[str]]:
        """Encoders in groups that share a pass."""
        together = getattr(self.args, "together", len(self.specs))
        return groups_of(self.specs, 1 if getattr(self.args, "one_at_a_time", False) else together)

    @cached_property
    def sets(self) -> list[OpenedSet]:
        """The photo sets, opened."""
        data, tasks = checked_data(self.args), self.args.tasks or []
        return open_sets(data, tasks, self.options, answering=any_answers(self.specs))


def photo_facts(photos: PhotoSet) -> dict[str, str]:
    """Facts of a photo set that must be equal on every machine: the list, and the bytes of a few photos."""
    fingerprint = getattr(photos.source, "fingerprint", None)
    facts = {f"the photos of {photos.name}": f"{len(photos):,}, {photos.question_hash()}"}
    if fingerprint is not None:
        return {**facts, f"what {photos.name} is made of": str(fingerprint())}
    at = np.unique(np.linspace(0, len(photos) - 1, min(SAMPLED, len(photos))).astype(int)).tolist()
    return {**facts, f"the bytes of {len(at)} photos of {photos.name}": hash_of_block([_digest(photos, i) for i in at])}


PACKAGES = ("torch", "torchvision", "numpy", "scipy", "numba", "pillow")
"""Packages whose versions may change embeddings or scores of any encoder."""

PACKAGES_OF = {
    "transformers": ("transformers",),
    "timm": ("timm",),
    "open_clip": ("open_clip_torch",),
    "checkpoint": ("transformers", "timm", "open_clip_torch"),
    "onnx": ("onnxruntime",),
    "onnxruntime": ("onnxruntime",),
    "openvino": ("openvino",),
}
"""Packages of the library, or of the runtime, of an encoder, by its name in keys of banks."""


def packages_of(keys: Collection[Mapping[str, Any]]) -> list[str]:
    """Packages whose versions may change what these encoders, by the keys of their banks, and their tasks give."""
    names = {str(key["encoder"]["library"]) for key in keys} | {_runtime_of(key) for key in keys}
    return [*PACKAGES, *sorted({package for name in names for package in PACKAGES_OF.get(name, ())})]


def _runtime_of(key: Mapping[str, Any]) -> str:
    return str((key["encoder"].get("runtime") or {"name": "torch"})["name"])


def encoder_facts(spec: str, photos: PhotoSet, key: Mapping[str, Any]) -> dict[str, str]:
    """Facts of an encoder that must be equal on every machine: weights, preprocessing, the rest of its key."""
    encoder, runtime = key["encoder"], _runtime_of(key)
    return {
        f"the weights of {spec}": str(encoder["weights_sha256"])[:16],
        f"the preprocessing of {spec}": key_hash(encoder["preprocessing"])[:16],
        f"the runtime of {spec}": f"{runtime}, {encoder['dtype']}",
        f"everything that decides the embeddings of {spec} on {photos.name}": key_hash(key),
    }


def _digest(photos: PhotoSet, index: int) -> bytes:
    try:
        return photo_digest(photos.read(index))
    except PhotoError:
        return b""
