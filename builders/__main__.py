"""``python -m builders COMMAND`` is ``camtrace build COMMAND``: make, check and publish data sets."""

from __future__ import annotations

import sys
from collections.abc import Sequence

from builders.cli import Command, Parser, group_parser, run_parsed
from builders.plugins import extras

COMMANDS: dict[str, Command] = {
    "imagenet": Command("builders.processed.cli:imagenet", "ImageNet-1k, processed in known ways"),
    "inat2018": Command("builders.processed.cli:inat2018", "iNaturalist 2018, processed in known ways"),
    "folder": Command("builders.processed.cli:folder", "any labelled photos, processed in known ways"),
    "paircams": Command("builders.paircams.cli:parser", "pairs of photos by a phone and by an older camera"),
    "exif-folder": Command("builders.exif_sets.cli:parser", "your own photos with labels from their Exif"),
    "check": Command("builders.check.cli:parser", "read a built folder as its users will, and test its labels"),
    "diff": Command("builders.check.cli:diff_parser", "two built folders: photos, labels and splits that differ"),
    "report": Command("builders.check.cli:report_parser", "one page about a built folder: pictures, counts, licences"),
    "publish": Command("builders.publish.cli:parser", "a built folder, or its recipe, to the Hub (dry run by default)"),
    "flickrexif": Command(
        "builders.flickrexif.cli.steps:parser", "photos of Flickr with labels of how they were taken"
    ),
    "simcams": Command("builders.simcams.cli:parser", "one scene through many simulated cameras, exact labels"),
    **extras("builders", "COMMANDS"),
}
"""By name, in the order of ``--help``."""


def parser() -> Parser:
    """Of ``camtrace build``."""
    return group_parser("camtrace build", "Make, check and publish data sets.", COMMANDS)


def main(argv: Sequence[str] | None = None) -> int:
    return run_parsed(parser, sys.argv[1:] if argv is None else argv)


if __name__ == "__main__":
    sys.exit(main())
