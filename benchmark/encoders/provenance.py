"""How encoders were trained: the study's table, then the families of ``encoder_families.yaml``.

The group is the study's main axis. So each statement is data with a source, and what no source states is ``unknown``.
"""

from __future__ import annotations

import csv
import functools
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

from benchmark.encoders.registry import EncoderRow
from builders.files import read_package_yaml

STUDY_FILE = Path(__file__).parents[1] / "data" / "study_encoders.csv"
"""The study's 47 encoders, one a line; its columns are fields of ``EncoderRow``."""


def _study() -> tuple[EncoderRow, ...]:
    with STUDY_FILE.open(encoding="utf-8", newline="") as file:
        rows: list[dict[str, Any]] = list(csv.DictReader(file))
    return tuple(
        EncoderRow(**{**row, "input_px": int(row["input_px"]), "parameters": int(row["parameters"])}) for row in rows
    )


STUDY = _study()
"""The study's encoders in its order; ``published_name`` equals the first column of the published table."""

FAMILIES_FILE = Path(__file__).parents[1] / "data" / "encoder_families.yaml"
"""Patterns of ids with group, training data, year and source of the statement. The first that matches counts."""

STUDY_SOURCE = "Ramos et al., ICCV 2025"
"""Source of the statements about the study's 47 encoders."""

_CONTRASTIVE = re.compile(r"clip|siglip|align|coca", re.IGNORECASE)


@dataclass(frozen=True)
class EncoderFamily:
    """How encoders of one family of ids were trained."""

    family: str
    pattern: re.Pattern[str]
    """Matches a whole id without revision and options; ``timm/NAME`` for both spellings of timm's names."""
    group: str
    """One of ``encoder.GROUPS``."""
    training_data: str
    year: int | None
    """Year of publication; None where the source gives none for single encoders."""
    source: str
    """The publication or registry that states it."""


@functools.cache
def families() -> tuple[EncoderFamily, ...]:
    """The families of ``FAMILIES_FILE``, in its order."""
    rows = read_package_yaml(FAMILIES_FILE)
    return tuple(EncoderFamily(**{**row, "pattern": re.compile(row["pattern"], re.IGNORECASE)}) for row in rows)


def family_of(name: str) -> EncoderFamily | None:
    """Family of an encoder's id, with its training data written out; None if no pattern matches.

    >>> family = family_of("facebook/dinov2-base@main")
    >>> family.group, family.training_data, family.year, family.source
    ('SSL', 'LVD-142M', 2023, 'Oquab et al., arXiv:2304.07193')
    """
    encoder_id = _without_options(name)
    for family in families():
        if match := family.pattern.fullmatch(encoder_id):
            data = family.training_data.format_map(_MatchedGroups(match.groupdict()))
            return EncoderFamily(**{**vars(family), "training_data": data})
    return None


class Training(NamedTuple):
    """How an encoder was trained."""

    group: str
    """One of ``encoder.GROUPS``."""
    data: str


def group_and_data(name: str, *, contrastive: bool = False, architecture: str = "", classes: int = 0) -> Training:
    """Group and training data of an encoder; ``unknown`` rather than a guess.

    Args:
        name: id of the encoder; a revision after ``@`` and options after ``?`` are ignored.
        contrastive: whether the model has a text tower as well as an image tower.
        architecture: name of the architecture, for image towers that were saved alone.
        classes: number of classes of the classifier; a network with one was trained, or last fine-tuned, with labels.

    >>> group_and_data("facebook/dino-vits16")
    Training(group='SSL', data='ImageNet-1k')
    >>> group_and_data("timm:vit_huge_patch16_radio_v4.c_radio").group
    'distilled'
    """
    encoder_id = _without_options(name)
    for row in STUDY:
        if row.spec == encoder_id:
            return Training(row.group, row.training_data)
    if family := family_of(name):
        return Training(family.group, family.training_data)
    if contrastive or _CONTRASTIVE.search(architecture):
        return Training("CVL", "unknown")
    return Training("SUP" if classes else "unknown", "unknown")


def statement(name: str) -> Mapping[str, str | int]:
    """Source of what is known of an encoder's training, and its year, for a result's details; empty if unknown.

    >>> statement("timm/aimv2_large_patch14_224.apple_pt")
    {'training_source': 'Fini et al., arXiv:2411.14402', 'year': 2024}
    """
    family = family_of(name)
    in_study = any(row.spec == _without_options(name) for row in STUDY)
    if family is None:
        return {"training_source": STUDY_SOURCE} if in_study else {}
    source: dict[str, str | int] = {"training_source": STUDY_SOURCE if in_study else family.source}
    return source | ({"year": family.year} if family.year else {})


def _without_options(name: str) -> str:
    """An id without revision and options, as the patterns of families have it."""
    encoder_id = re.split(r"[@?]", name.removeprefix("hf-hub:"), maxsplit=1)[0]
    return f"timm/{encoder_id.removeprefix('timm:')}" if encoder_id.startswith("timm:") else encoder_id


class _MatchedGroups(dict[str, str | None]):
    """Named groups of a match; a group that did not match is an empty text."""

    def __missing__(self, name: str) -> str:
        return ""
