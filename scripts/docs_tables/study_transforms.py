"""Transforms of the study's 47 encoders under ``--preset iccv2025``: the site shows them on its page of presets.

python scripts/docs_tables/study_transforms.py    # prints the table
"""

from __future__ import annotations

import sys
from pathlib import Path

if __name__ == "__main__" and not __package__:  # by its path, not by python -m
    sys.path[0] = str(Path(__file__).resolve().parents[2])

from benchmark.encoders.preprocess.modes import StudyTransform, study_transform
from benchmark.encoders.provenance import STUDY
from benchmark.report import markdown_table


def table() -> str:
    """One row for each transform, with the encoders that have it, in the study's order."""
    groups: dict[tuple[str, ...], list[str]] = {}
    for row in STUDY:
        transform = study_transform(row.spec)
        assert transform is not None
        steps = f"short side {transform.crop_px} {transform.resample.name.lower()}, centre {transform.crop_px}"
        cells = (row.library, steps, _constants(transform), transform.unlike_own or "the same")
        groups.setdefault(cells, []).append(f"`{row.spec}`")
    rows = [[", ".join(specs), *cells] for cells, specs in groups.items()]
    return markdown_table(["encoders", "library", "under the preset", "mean / std", "its own library"], rows)


def _constants(transform: StudyTransform) -> str:
    mean, std = (", ".join(f"{value:.4g}" for value in part) for part in (transform.mean, transform.std))
    return f"{mean} / {std}" if len(set(transform.mean)) > 1 else f"{transform.mean[0]:g} / {transform.std[0]:g}"


if __name__ == "__main__":
    print(table())
