"""What is known about how an encoder was trained: the study's table, then the families of ``encoder_families.yaml``.

Group is the study's main axis, so the statement is data with a source, and what nobody states stays ``unknown``.
"""

from __future__ import annotations

import functools
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

from benchmark.encoders.study import STUDY
from builders.files import read_own_yaml

FAMILIES_FILE = Path(__file__).parents[1] / "data" / "encoder_families.yaml"
"""Patterns of ids with group, training data, year and the source of the statement; the first that matches counts."""

STUDY_SOURCE = "Ramos et al., ICCV 2025"
"""Who says how the study's 47 encoders were trained."""

_CONTRASTIVE = re.compile(r"clip|siglip|align|coca", re.IGNORECASE)


@dataclass(frozen=True)
class EncoderFamily:
    """How encoders of one family of ids were trained."""

    family: str
    pattern: re.Pattern[str]
    """Of a whole id, without revision and options; ``timm/NAME`` for both spellings of it."""
    group: str
    """One of ``encoder.GROUPS``."""
    training_data: str
    year: int | None
    """In which it was published; None where the source does not date single encoders."""
    source: str
    """Who states it."""


@functools.cache
def families() -> tuple[EncoderFamily, ...]:
    """The families of ``FAMILIES_FILE``, in its order."""
    rows = read_own_yaml(FAMILIES_FILE)
    return tuple(EncoderFamily(**{**row, "pattern": re.compile(row["pattern"], re.IGNORECASE)}) for row in rows)


def family_of(name: str) -> EncoderFamily | None:
    """The family of an encoder's id, its training data written out; None if no pattern knows it.

    >>> found = family_of("facebook/dinov2-base@main")
    >>> found.group, found.training_data, found.year, found.source
    ('SSL', 'LVD-142M', 2023, 'Oquab et al., arXiv:2304.07193')
    """
    plain = _plain(name)
    for family in families():
        if match := family.pattern.fullmatch(plain):
            data = family.training_data.format_map(_Named(match.groupdict()))
            return EncoderFamily(**{**vars(family), "training_data": data})
    return None


class Training(NamedTuple):
    """How an encoder was trained."""

    group: str
    """One of ``encoder.GROUPS``."""
    data: str


def group_and_data(name: str, *, contrastive: bool = False, architecture: str = "", classes: int = 0) -> Training:
    """The group and training data of an encoder; ``unknown`` rather than a guess.

    Args:
        name: its id; a revision after ``@`` and options after ``?`` are not looked at.
        contrastive: it has a text tower beside its image tower.
        architecture: its architecture's name, for towers that were saved alone.
        classes: number of classes of its classifier; with one it was trained, or at last fine-tuned, with labels.

    >>> group_and_data("facebook/dino-vits16")
    Training(group='SSL', data='ImageNet-1k')
    >>> group_and_data("timm:vit_huge_patch16_radio_v4.c_radio").group
    'distilled'
    """
    plain = _plain(name)
    for row in STUDY:
        if row.spec == plain:
            return Training(row.group, row.training_data)
    if family := family_of(name):
        return Training(family.group, family.training_data)
    if contrastive or _CONTRASTIVE.search(architecture):
        return Training("CVL", "unknown")
    return Training("SUP" if classes else "unknown", "unknown")


def statement(name: str) -> Mapping[str, str | int]:
    """Who says how it was trained, and when it was published, for a result's details; empty if nobody here does.

    >>> statement("timm/aimv2_large_patch14_224.apple_pt")
    {'training_source': 'Fini et al., arXiv:2411.14402', 'year': 2024}
    """
    family = family_of(name)
    studied = any(row.spec == _plain(name) for row in STUDY)
    if family is None:
        return {"training_source": STUDY_SOURCE} if studied else {}
    said: dict[str, str | int] = {"training_source": STUDY_SOURCE if studied else family.source}
    return said | ({"year": family.year} if family.year else {})


def _plain(name: str) -> str:
    """An id as patterns have it."""
    plain = re.split(r"[@?]", name.removeprefix("hf-hub:"), maxsplit=1)[0]
    return f"timm/{plain.removeprefix('timm:')}" if plain.startswith("timm:") else plain


class _Named(dict[str, str | None]):
    """What a pattern found by name; what it did not find is left out."""

    def __missing__(self, name: str) -> str:
        return ""
