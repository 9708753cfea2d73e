"""Presets: named sets of choices, and how a result names the one that it was scored under."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields
from types import MappingProxyType
from typing import Any

from builders.errors import unknown_name


@dataclass(frozen=True)
class Preset:
    """A named set of choices. An option that is also given wins, and the result records it."""

    name: str
    protocol: str
    preprocess: str
    ties: str
    orientation: str
    summary: str
    """One line for people."""


CHOICES = tuple(f.name for f in fields(Preset) if f.name not in ("name", "summary"))
"""The options that a preset decides, by name."""

PRESETS: Mapping[str, Preset] = MappingProxyType(
    {
        preset.name: preset
        for preset in (
            Preset(
                "camtrace",
                "converged",
                "own",
                "nearest",
                "upright",
                "the default: each encoder's own preprocessing, probes solved to their optimum, ties to the nearest "
                "label",
            ),
            Preset(
                "iccv2025",
                "iccv2025",
                "study",
                "random",
                "stored",
                "as the ICCV 2025 study's released code: short side = crop, its SGD, random ties, no Exif orientation",
            ),
        )
    }
)
"""By name."""

STUDY_PRESET = "iccv2025"
"""The preset under which scores are compared with the published ones."""


def choices(preset: str, given: Mapping[str, str | None]) -> dict[str, str]:
    """The choices of a preset, replaced by those that are given.

    Args:
        preset: a name in ``PRESETS``.
        given: by name in ``CHOICES``; None, or no entry, leaves a choice to the preset.

    Raises:
        UsageError: there is no such preset.

    >>> choices("iccv2025", {"ties": "nearest", "protocol": None})
    {'protocol': 'iccv2025', 'preprocess': 'study', 'ties': 'nearest', 'orientation': 'stored'}
    """
    if preset not in PRESETS:
        raise unknown_name("preset", preset, PRESETS)
    return {name: given.get(name) or getattr(PRESETS[preset], name) for name in CHOICES}


def preset_label(recorded: Mapping[str, Any], relevant: tuple[str, ...] = CHOICES) -> str:
    """The preset that a result records, and the choices that are not the preset's.

    Args:
        recorded: ``environment.options`` of a result; one without a preset is older than presets: ``camtrace``.
        relevant: the choices that matter.

    >>> preset_label({"preset": "iccv2025", "protocol": "converged", "ties": "random"})
    'iccv2025 with protocol converged'
    >>> preset_label({"protocol": "iccv2025"}), preset_label({"protocol": "iccv2025"}, ("ties",))
    ('camtrace with protocol iccv2025', 'camtrace')
    """
    name = str(recorded.get("preset") or "camtrace")
    usual = PRESETS.get(name)
    other = [
        f"{choice} {recorded[choice]}"
        for choice in relevant
        if usual and recorded.get(choice) is not None and recorded[choice] != getattr(usual, choice)
    ]
    return f"{name} with {' and '.join(other)}" if other else name
