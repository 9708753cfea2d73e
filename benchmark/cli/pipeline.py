"""``camtrace pipeline``: one photo under each processing of a file, as a page."""

from __future__ import annotations

import argparse
import dataclasses
import math
from pathlib import Path
from typing import Any

from benchmark.report import Processed, markdown_table, pipeline_page, pipeline_rows, pipeline_table
from builders.cli import Parser, whole_number, write_record
from builders.errors import DataError, PhotoError
from builders.files import write_text_atomically
from builders.pixels import PRESETS, chosen_processings, read_definitions
from builders.untrusted import UntrustedInputError, read_untrusted

MAX_PHOTO_BYTES = 200 << 20


def parser() -> Parser:
    """The options of the command."""
    p = Parser(
        "camtrace pipeline",
        most_used=("--photo", "--output"),
        examples=(
            "camtrace pipeline web --photo photo.jpg --output page.html",
            "camtrace pipeline mine.toml --photo photo.jpg",
        ),
        description="Show what processings do to one photo: bytes, PSNR and SSIM of each, as a table and as a page "
        "that opens without a network.",
    )
    p.add_argument("file", metavar="FILE", help=f"TOML file of processings, or one of {', '.join(PRESETS)}")
    p.add_argument("--photo", type=Path, required=True, metavar="PHOTO", help="file of the photo")
    p.add_argument("-o", "--output", type=Path, metavar="PAGE", help="HTML file to write (default: none)")
    p.add_argument(
        "--seed", type=whole_number(0), default=0, metavar="N", help="of random strengths (default: %(default)s)"
    )
    p.set_defaults(run=run)
    return p


def _record(row: Processed) -> dict[str, Any]:
    """Values for programs: all of the table, without the cut-out. JSON has no infinite PSNR: of equal pixels it is null
    beside an SSIM of 1."""
    values = {field.name: getattr(row, field.name) for field in dataclasses.fields(row) if field.name != "cut"}
    return {**values, "psnr": None if row.psnr is None or math.isinf(row.psnr) else row.psnr}


def run(args: argparse.Namespace) -> int:
    """The exit status: 1 if a processing has no result."""
    chosen_processings(args.file)  # its codecs are installed
    definitions = read_definitions(args.file)
    try:
        data = read_untrusted(args.photo, limit=MAX_PHOTO_BYTES)
        rows = pipeline_rows(data, args.photo.name, definitions, args.seed)
    except UntrustedInputError as refused:
        raise DataError(f"--photo {args.photo}: {refused.reason}") from None
    except PhotoError as error:
        raise DataError(f"--photo {args.photo}: {error}") from None
    print(markdown_table(["processing", "size", "bytes", "PSNR", "SSIM", "made by"], pipeline_table(rows)))
    if args.output is not None:
        title = args.file if args.file in PRESETS else Path(args.file).name
        write_text_atomically(args.output, pipeline_page(title, args.photo.name, data, rows))
        print(f"written to {args.output}")
    write_record(args, {"photo": args.photo, "page": args.output, "processings": [_record(row) for row in rows]})
    return 1 if any(row.failure for row in rows) else 0
