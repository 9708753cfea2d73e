"""Which encoders have a name: the bundled ones, the controls, and the study's 47. What ``list encoders`` prints."""

from __future__ import annotations

from benchmark.encoders import bundled, checkpoints, controls, jpeg_statistics  # noqa: F401  (they fill NAMED)
from benchmark.encoders.registry import NAMED, EncoderRow
from benchmark.encoders.study import STUDY

__all__ = ["NAMED", "EncoderRow", "list_encoders", "study_row"]


def list_encoders() -> tuple[EncoderRow, ...]:
    """Every encoder that has a name here, bundled and controls first; any other spec is welcome too.

    >>> [row.spec for row in list_encoders()][:2]
    ['bundled:efficientnet-lite0', 'bundled:imgsim']
    """
    studied = {row.spec for row in STUDY}
    return (*(named.row for spec, named in NAMED.items() if spec not in studied), *STUDY)


def study_row(spec: str) -> EncoderRow | None:
    """The row of the study's encoder that ``spec`` names, or None."""
    return next((row for row in STUDY if row.spec == spec), None)
