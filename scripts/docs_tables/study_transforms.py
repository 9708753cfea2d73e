"""The table of ``docs/reference/presets.md``: transforms of the study's 47 encoders under ``--preset iccv2025``.

python scripts/docs_tables/study_transforms.py            # prints the table
python scripts/docs_tables/study_transforms.py --write    # puts it between the markers of docs/reference/presets.md
"""

from __future__ import annotations

import argparse
import re
import sys
from pathlib import Path

if __name__ == "__main__" and not __package__:  # by its path, not by python -m
    sys.path[0] = str(Path(__file__).resolve().parents[2])

from benchmark.encoders.preprocess.modes import StudyTransform, study_transform
from benchmark.encoders.provenance import STUDY
from benchmark.report import markdown_table
from builders.files import write_text_atomically

PAGE = Path(__file__).parents[2] / "docs" / "reference" / "presets.md"
BEGIN, END = re.compile(r"<!-- \S*study_transforms\S* begins -->"), "<!-- and ends -->"


def table() -> str:
    """One row an encoder, in the study's order."""
    rows = []
    for row in STUDY:
        transform = study_transform(row.spec)
        assert transform is not None
        steps = f"short side {transform.crop_px} {transform.resample.name.lower()}, centre {transform.crop_px}"
        rows.append([f"`{row.spec}`", row.library, steps, _constants(transform), transform.unlike_own or "the same"])
    return markdown_table(["encoder", "library", "under the preset", "mean / std", "its own library"], rows)


def _constants(transform: StudyTransform) -> str:
    mean, std = (", ".join(f"{value:.4g}" for value in part) for part in (transform.mean, transform.std))
    return f"{mean} / {std}" if len(set(transform.mean)) > 1 else f"{transform.mean[0]:g} / {transform.std[0]:g}"


def page_with(text: str, made: str) -> str:
    """The page with the table between its markers."""
    begin = BEGIN.search(text)
    assert begin, f"the page has no mark {BEGIN.pattern}"
    return f"{text[: begin.end()]}\n\n{made}\n\n{END}{text[begin.end() :].partition(END)[2]}"


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--write", action="store_true", help="put it into docs/reference/presets.md")
    if parser.parse_args().write:
        write_text_atomically(PAGE, page_with(PAGE.read_text(encoding="utf-8"), table()))
    else:
        print(table())
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
