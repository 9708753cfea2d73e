"""``camtrace build exif-folder``: a data set of one's own photos from the command line."""

from __future__ import annotations

import argparse

from builders.cli import Parser, real_number, whole_number, write_record
from builders.dataset import BuildOptions, add_build_options, build_record, summary
from builders.exif_sets.build import build_exif_folder
from builders.sources import MIN_PHOTOS, read_camera_folder


def parser() -> Parser:
    """Parser of ``camtrace build exif-folder``."""
    p = Parser(
        "camtrace build exif-folder",
        most_used=("--data", "--output", "--groups", "--license", "--mask"),
        examples=(
            "camtrace build exif-folder --data my_photos --output mine --license cc-by-4.0",
            "camtrace build exif-folder --data my_photos --output mine --mask 0.5",
        ),
        description="Photos of a folder with labels from their own Exif -> a data set that load_dataset reads, in the "
        "form of FlickrExif. Files lose their metadata, not their pixels.",
    )
    p.add_argument("-d", "--data", required=True, metavar="DIR", help="folder of JPEG files as cameras wrote them")
    add_build_options(p)
    p.add_argument(
        "--groups",
        default="auto",
        metavar="GROUPS",
        help="what stays in one split: folder (a sub-folder is an owner), day, none, or auto (default)",
    )
    p.add_argument("--classes", default="found", metavar="SET", help="found (default), clean or reference")
    p.add_argument(
        "--min-photos", type=whole_number(3), default=MIN_PHOTOS, metavar="N", help="of a class (default: %(default)s)"
    )
    p.add_argument("--seed", type=whole_number(0), default=0, metavar="N", help="of the splits (default: 0)")
    p.add_argument(
        "--mask",
        type=real_number(least=0, below=1),
        default=0.0,
        metavar="SHARE",
        help="cover this share of each picture from its centre on",
    )
    p.add_argument(
        "--license", default="unknown", metavar="NAME", help="licence of the photos, an identifier of the Hub's list"
    )
    p.set_defaults(run=run)
    return p


def run(arguments: argparse.Namespace) -> int:
    photos = read_camera_folder(
        arguments.data.removeprefix("exif-folder:").removeprefix("folder:"),
        seed=arguments.seed,
        classes=arguments.classes,
        groups=arguments.groups,
        min_photos=arguments.min_photos,
        workers=arguments.workers,
    )
    options = BuildOptions(
        arguments.output, arguments.workers, arguments.fresh, arguments.ignore_space, update=arguments.update
    )
    build = build_exif_folder(photos, options, license=arguments.license, mask=arguments.mask)
    if "left out" in photos.evidence:
        print(f"left out: {photos.evidence['left out']}")
    print(f"duplicates: {photos.evidence['duplicates']}")
    print(summary(build, arguments.output))
    write_record(arguments, build_record(build, arguments.output))
    return 0
