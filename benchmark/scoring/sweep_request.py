"""The encoders of a sweep, from the options of its command, and their groups; imports no torch."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path

from benchmark.options import STUDY_PRESET
from builders.errors import UsageError
from builders.untrusted import UntrustedInputError, read_untrusted_text

ENCODERS_TOGETHER = 8
"""Encoders that share one pass over the photos, and the memory."""


def chosen_specs(args: argparse.Namespace) -> list[str]:
    """The encoders that were asked for, each once.

    Raises:
        UsageError: none, or the file cannot be read.
    """
    specs = list(args.model or [])
    if args.models:
        specs += read_specs(args.models)
    if args.published:
        from benchmark.encoders import STUDY

        specs += [row.spec for row in STUDY]
    if args.modern:
        from benchmark.encoders import MODERN

        specs += [row.spec for row in MODERN]
    if args.eraser:
        raise UsageError("--eraser goes with one encoder, which it was fitted on: use camtrace score")
    if not specs:
        raise UsageError("which encoders? give --models FILE, --published, --modern, or --model ID (repeatable)")
    if args.revision:
        raise UsageError("--revision goes with one encoder; write each as NAME@REVISION")
    return list(dict.fromkeys(specs))


def read_specs(path: Path) -> list[str]:
    """Encoders of a file, one on a line; ``#`` begins a comment.

    Raises:
        UsageError: it cannot be read, or names none.
    """
    try:
        lines = read_untrusted_text(path).splitlines()
    except UntrustedInputError as refused:
        raise UsageError(f"--models {path}: {refused.reason}") from None
    specs = [spec for line in lines if (spec := line.partition("#")[0].strip())]
    if not specs:
        raise UsageError(f"--models {path}: it names no encoder; write one on a line")
    return specs


def settle_preset(args: argparse.Namespace) -> None:
    """The encoders of the study are scored under its preset, unless another is asked for."""
    if args.preset is None and args.published:
        args.preset = STUDY_PRESET


def groups_of(specs: Sequence[str], together: int) -> list[list[str]]:
    """Encoders in groups that share a pass. Encoders of one input size are grouped, since their views may be equal.

    Args:
        specs: the encoders.
        together: the most of a group.

    >>> groups_of(["facebook/dino-vits8", "timm/vit_base_patch16_siglip_256.webli", "facebook/dino-vits16"], 2)
    [['facebook/dino-vits8', 'facebook/dino-vits16'], ['timm/vit_base_patch16_siglip_256.webli']]
    """
    from benchmark.encoders import list_encoders

    known = {row.spec: row for row in list_encoders()}

    def input_size(spec: str) -> tuple[int, str]:
        row = known.get(spec)
        return (row.input_px or 0, row.library) if row else (1 << 30, "")

    ordered = sorted(specs, key=input_size)
    return [ordered[i : i + together] for i in range(0, len(ordered), together)]
