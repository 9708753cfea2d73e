"""``camtrace build imagenet | inat2018 | folder``: processed photos from the command line."""

from __future__ import annotations

import argparse
from collections.abc import Mapping
from functools import partial
from pathlib import Path

from builders.cli import Joined, Parser, Renamed, whole_number, write_record
from builders.dataset import BuildOptions, ShardJob, add_build_options, build_record, plan_shards, summary
from builders.errors import UsageError, unknown_name
from builders.photos import PhotoSet, print_cells
from builders.pixels import ALL_PARAMETERS, PARAMETERS, PRESETS, read_definitions
from builders.processed.assignment import correlation_of
from builders.processed.build import build_processed, processed_jobs
from builders.processed.rows import ProcessingSettings
from builders.splits import POLICIES, guarded_by, with_duplicates_on_one_side

_ALL = "all"


def imagenet() -> Parser:
    """Parser of ``camtrace build imagenet``."""
    return _parser("imagenet", "folder with train/ and val/, or with the official tars, or hub:ILSVRC/imagenet-1k")


def inat2018() -> Parser:
    """Parser of ``camtrace build inat2018``."""
    return _parser("inat2018", "folder with train2018.json and val2018.json, or torchvision's 2018/ layout")


def folder() -> Parser:
    """Parser of ``camtrace build folder``, which also takes any data specification."""
    return _parser("folder", "folder of class folders, or any data specification such as hub:REPO")


def parse_parameters(text: str, processings: str = "") -> tuple[str, ...]:
    """Names of parameters, separated by commas; ``all`` is all of them: of the processing file, if there is one.

    Raises:
        UsageError: an unknown name, or a name twice.

    >>> parse_parameters("jpeg,resizing")
    ('jpeg', 'resizing')
    """
    of_file = read_definitions(processings).parameters if processings else PARAMETERS
    names = tuple(of_file) if text == _ALL else tuple(name.strip() for name in text.split(","))
    known = {**of_file, **ALL_PARAMETERS}
    for name in names:
        if name not in known:
            raise unknown_name("parameter", name, [*known, _ALL])
    if len(set(names)) != len(names):
        raise UsageError(f"--parameter {text}: a name stands there twice")
    return names


def _run(kind: str, arguments: argparse.Namespace) -> int:
    parameters = _check_options(arguments)
    photos = _photos(kind, arguments)
    if arguments.recipe:
        from builders.processed.recipe import rebuild

        build = rebuild(
            arguments.recipe, photos, arguments.output, workers=arguments.workers, any_codec=arguments.any_codec
        )
        print("every image is as the recipe says" if not arguments.any_codec else "images were not compared")
    else:
        build = build_processed(
            photos,
            arguments.output,
            parameters=parameters,
            processings=arguments.processings,
            assignment=arguments.assignment,
            seed=arguments.seed,
            assignment_seed=arguments.assignment_seed,
            lossless=arguments.lossless,
            workers=arguments.workers,
            license=arguments.license,
            fresh=arguments.fresh,
            ignore_space=arguments.ignore_space,
            duplicates=arguments.duplicates if arguments.guarded is None else guarded_by(photos, arguments.guarded),
            update=arguments.update,
        )
    print(summary(build, arguments.output))
    if "duplicates" in build.recipe["source_evidence"]:
        print(f"duplicates: {build.recipe['source_evidence']['duplicates']}")
    write_record(arguments, build_record(build, arguments.output))
    return 0


def _jobs(kind: str, arguments: argparse.Namespace, sizes: Mapping[str, int] | None) -> list[ShardJob]:
    """The jobs of the command, for ranks of a cluster that write a part of them (``builders.dataset.ShardWork``).

    The first call looks for duplicates and records the result as ``arguments.guarded``. With it, no photo is read.
    """
    parameters = _check_options(arguments)
    if arguments.recipe:
        raise UsageError("--recipe: a rebuild verifies as it goes and is not cut into ranks")
    if arguments.update:
        raise UsageError("--update: an update runs on one machine and is not cut into ranks")
    settings = [
        ProcessingSettings.of(
            p,
            arguments.assignment,
            arguments.seed,
            arguments.assignment_seed,
            arguments.lossless,
            processings=arguments.processings,
        )
        for p in parameters
    ]
    photos = _photos(kind, arguments)
    if arguments.guarded is None:
        guarded = with_duplicates_on_one_side(photos, arguments.duplicates, cached_for=arguments.output)
        arguments.guarded = guarded.record()
    else:
        guarded = guarded_by(photos, arguments.guarded)
    return plan_shards(
        processed_jobs(guarded.photos, arguments.output, settings),
        BuildOptions(arguments.output, ignore_space=True, progress=False),
        sizes=sizes,
    )


def _check_options(arguments: argparse.Namespace) -> tuple[str, ...]:
    """The requested parameters. Raises ``UsageError`` for an option out of range."""
    if arguments.update and arguments.recipe:
        raise UsageError("--update and --recipe exclude each other: a rebuild makes every photo to verify it")
    parameters = parse_parameters(arguments.parameter, arguments.processings)
    correlation_of(arguments.assignment)
    return parameters


def _photos(kind: str, arguments: argparse.Namespace) -> PhotoSet:
    photos = _open(kind, arguments.source, arguments.split_seed)
    print_cells(photos)
    if arguments.limit is not None:
        photos = photos.limited(arguments.limit)
    return photos


def _open(kind: str, source: str, split_seed: int) -> PhotoSet:
    from builders.data_specs import KINDS, open_photos

    is_spec = source.partition(":")[0] in KINDS and not Path(source).exists()
    return open_photos(source if is_spec else f"{kind}:{source}", split_seed)


_EXAMPLES = {
    "imagenet": (
        "camtrace build imagenet --data /data/imagenet --output out/imagenet-jpeg",
        "camtrace build imagenet --data hub:ILSVRC/imagenet-1k --limit 1000 -o out",
    ),
    "inat2018": (
        "camtrace build inat2018 --data /data/inat2018 --output out/inat-jpeg",
        "camtrace build inat2018 --data /data/inat2018 --parameter all --output out",
    ),
    "folder": (
        "camtrace build folder --data my_photos --output out/mine",
        "camtrace build folder --data hub:cifar100 --parameter all --output out/cifar",
    ),
}


def _parser(kind: str, source_help: str) -> Parser:
    parser = Parser(
        f"camtrace build {kind}",
        most_used=("--data", "--output", "--parameter", "--assignment", "--limit"),
        examples=_EXAMPLES[kind],
        renamed=(Renamed("--source", "--data"),),
        description="Process photos in known ways and write a data set that load_dataset reads. "
        "A run that was stopped goes on where it was: run the same command again.",
    )
    parser.add_argument("-d", "--data", dest="source", required=True, metavar="PHOTOS", help=source_help)
    add_build_options(parser)
    parser.add_argument(
        "--parameter",
        action=Joined,
        default="jpeg",
        metavar="NAMES",
        help=f"{', '.join(ALL_PARAMETERS)}; repeatable, or with commas, or all (of {', '.join(PARAMETERS)})",
    )
    parser.add_argument(
        "--processings",
        default="",
        metavar="FILE",
        help="TOML file that defines further parameters and their processings, or one of "
        f"{', '.join(PRESETS)}; see docs/how-to/own-processings.md",
    )
    parser.add_argument(
        "--assignment",
        default="uniform",
        metavar="HOW",
        help="uniform: one class per photo (default); every: each photo in every class; "
        "study: uniform for train, every for the rest; correlated:P: uniform, but a share P of the photos of each "
        "semantic class get that class's own processing; correlated-classes:P: all photos of a share P of the "
        "semantic classes do",
    )
    parser.add_argument(
        "--lossless",
        action="store_true",
        help="store what decoders make of the processed photos, as PNG: to embed them elsewhere, see "
        "score --model embeddings:FILE",
    )
    parser.add_argument(
        "--seed", type=whole_number(0), default=0, metavar="N", help="of the random scale of interpolation (default 0)"
    )
    parser.add_argument(
        "--assignment-seed",
        type=whole_number(0),
        default=0,
        metavar="N",
        help="of what the assignment draws (default 0)",
    )
    parser.add_argument(
        "--split-seed", type=whole_number(0), default=0, metavar="N", help="of the split, where the source brings none"
    )
    parser.add_argument(
        "--duplicates",
        choices=POLICIES,
        help="equal and nearly equal photos in different splits: move them to one split (default where the split is "
        "drawn by seed), keep and count them (default where the source has splits), refuse the data set, or ignore "
        "them (no photo is read for it)",
    )
    parser.add_argument(
        "--limit", type=whole_number(1), metavar="N", help="at most so many photos, seeded and class-balanced"
    )
    parser.add_argument(
        "--license", default="unknown", metavar="NAME", help="licence of the photos, an identifier of the Hub's list"
    )
    parser.add_argument("--recipe", metavar="FOLDER_OR_REPO", help="rebuild what this recipe describes, and verify it")
    parser.add_argument("--any-codec", action="store_true", help="with --recipe: build with other codecs, unverified")
    parser.set_defaults(run=partial(_run, kind), jobs=partial(_jobs, kind), guarded=None)
    return parser
