"""Published numbers of detectors of generated photos, to stand beside: other training sets, thresholds and test photos.

They are no scores of camtrace's tasks and have no rank among these. No paper was read in full for this table: numbers
come from secondary notes, and ``read_in_full`` says what was read besides (``benchmark/data/published_detectors.csv``).
"""

from __future__ import annotations

import csv
import functools
from dataclasses import dataclass
from importlib import resources


@dataclass(frozen=True)
class PublishedDetector:
    """One published number."""

    detector: str
    trained_on: str
    tested_on: str
    number: str
    """What it is: ``accuracy``, ``AUC``, ..."""
    percent: float
    source: str
    url: str
    read_in_full: str
    """Whether its source could be read in full, or what of it was."""


READ_NOTE = (
    "None of the sources could be read in full for this table: the numbers come from secondary notes. They have other "
    "training sets, thresholds and test photos than the scores of camtrace, and so no rank among them."
)


@functools.cache
def published_detectors() -> tuple[PublishedDetector, ...]:
    """The numbers in the order of the table.

    >>> sorted((d.detector, d.percent) for d in published_detectors() if d.trained_on == "GenImage repaired")
    [('ResNet-50', 82.74), ('Swin-T', 85.83)]
    """
    text = (resources.files("benchmark") / "data" / "published_detectors.csv").read_text(encoding="utf-8")
    rows = csv.DictReader(text.splitlines())
    texts = ("detector", "trained_on", "tested_on", "number", "percent", "source", "url", "read_in_full")
    return tuple(_detector(*(str(row[name]) for name in texts)) for row in rows)


def _detector(
    detector: str, trained_on: str, tested_on: str, number: str, percent: str, source: str, url: str, read_in_full: str
) -> PublishedDetector:
    return PublishedDetector(detector, trained_on, tested_on, number, float(percent), source, url, read_in_full)
