"""Which encoders have a name: bundled, controls, the study's 47, those of 2024-26. What ``list encoders`` prints."""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass

from benchmark.encoders import bundled, checkpoints, controls, jpeg_statistics  # noqa: F401  (they fill NAMED)
from benchmark.encoders.modern import MODERN
from benchmark.encoders.registry import NAMED, EncoderRow
from benchmark.encoders.study import STUDY

__all__ = ["MODERN", "NAMED", "EncoderRow", "installed_lists", "list_encoders", "study_row"]


def list_encoders() -> tuple[EncoderRow, ...]:
    """Every encoder that has a name here, bundled and controls first; any other spec is welcome too.

    >>> [row.spec for row in list_encoders()][:2]
    ['bundled:efficientnet-lite0', 'bundled:imgsim']
    """
    studied = {row.spec for row in STUDY}
    return (*(named.row for spec, named in NAMED.items() if spec not in studied), *STUDY, *MODERN)


@dataclass(frozen=True)
class InstalledLists:
    """The names that installed libraries say they have weights for."""

    timm: frozenset[str] | None
    """Of ``timm.list_pretrained()``; None where timm is not installed."""
    open_clip: Mapping[str, str] | None
    """``ARCH/TAG`` of ``open_clip.list_pretrained()``, and the Hub's names of the same weights, each with ``ARCH/TAG``;
    None where open_clip is not installed."""

    def confirming(self, spec: str) -> str:
        """Which list knows a name, or that none does."""
        if spec in NAMED:
            return "camtrace"
        name = re.sub(r"^timm[:/]", "", spec)
        lists = {"timm.list_pretrained()": self.timm, "open_clip.list_pretrained()": self.open_clip}
        if name != spec:
            return _said("timm.list_pretrained()", self.timm, name)
        if spec.startswith("open_clip:"):
            return _said("open_clip.list_pretrained()", self.open_clip, spec.removeprefix("open_clip:"))
        if self.open_clip is not None and spec in self.open_clip:
            return f"open_clip.list_pretrained(), as {self.open_clip[spec]}"
        absent = [f"{title.partition('.')[0]} is not installed" for title, found in lists.items() if found is None]
        return "; ".join(["no installed list", *absent])


def installed_lists() -> InstalledLists:
    """Ask the libraries that are installed; this imports them, and nothing is downloaded."""
    return InstalledLists(_timm_names(), _open_clip_names())


def _timm_names() -> frozenset[str] | None:
    try:
        import timm
    except ImportError:
        return None
    return frozenset(timm.list_pretrained())


def _open_clip_names() -> dict[str, str] | None:
    try:
        import open_clip
    except ImportError:
        return None
    found: dict[str, str] = {}
    for architecture, tag in open_clip.list_pretrained():
        name = f"{architecture}/{tag}"
        on_hub = str((open_clip.get_pretrained_cfg(architecture, tag) or {}).get("hf_hub") or "").strip("/")
        found[name] = name
        if on_hub:
            found.setdefault(on_hub, name)
    return found


def _said(title: str, names: Collection[str] | None, name: str) -> str:
    if names is None:
        return f"not asked: {title.partition('.')[0]} is not installed"
    return title if name in names else f"no: {title} does not know it"


def study_row(spec: str) -> EncoderRow | None:
    """The row of the study's encoder that ``spec`` names, or None."""
    return next((row for row in STUDY if row.spec == spec), None)
