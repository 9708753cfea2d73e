"""``camtrace build simcams``: simulated cameras from the command line."""

from __future__ import annotations

import argparse
import importlib
import re
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from builders.cli import Joined, Parser, Renamed, whole_number, write_record
from builders.errors import UsageError, unknown_name
from builders.plugins import extras

if TYPE_CHECKING:
    from builders.dataset import ShardJob
    from builders.photos import PhotoSet
    from builders.simcams.render import Scenes


def run(arguments: argparse.Namespace) -> int:
    """Build ``simcams`` (or, with ``--pairs``, ``simpairs``)."""
    from builders.dataset import build_record, summary
    from builders.processes import default_workers
    from builders.simcams.build import build_simcams, build_simpairs

    workers = default_workers() if arguments.workers is None else arguments.workers
    if arguments.layout:
        return _write_layout(arguments, workers)
    photos = _photos(arguments)
    options = {"workers": workers, "fresh": arguments.fresh, "ignore_space": arguments.ignore_space}
    if arguments.pairs:
        build = build_simpairs(photos, arguments.output, **options)
    else:
        build = build_simcams(photos, arguments.output, configs=_configs(arguments), **options)
    print(summary(build, arguments.output))
    write_record(arguments, build_record(build, arguments.output))
    return 0


def _write_layout(arguments: argparse.Namespace, workers: int) -> int:
    """Build a simulated set in the layout of a real one."""
    layouts = extras("builders", "LAYOUTS")
    if arguments.layout not in layouts:
        raise unknown_name("layout", arguments.layout, layouts)
    if arguments.configs != "all":
        raise UsageError("--configs names configs of a data set that load_dataset reads: leave it out with --layout")
    module, _, function = layouts[arguments.layout].partition(":")
    return int(getattr(importlib.import_module(module), function)(arguments, _photos(arguments), workers))


def jobs(arguments: argparse.Namespace, sizes: Mapping[str, int] | None) -> list[ShardJob]:
    """The shard jobs of the command, for cluster ranks that each write a part (``builders.dataset.ShardWork``).

    Args:
        arguments: of the command.
        sizes: photos per shard by ``config/split``; measured on a sample if absent.
    """
    from builders.dataset import BuildOptions, plan_shards
    from builders.simcams.build import simcams_jobs, simpairs_jobs

    if arguments.layout:
        raise UsageError("--layout is built on one machine: leave it out, or run the command without a cluster")
    photos = _photos(arguments)
    if arguments.pairs:
        shard_jobs = simpairs_jobs(photos, arguments.output)
    else:
        shard_jobs = simcams_jobs(photos, arguments.output, _configs(arguments))
    options = BuildOptions(arguments.output, ignore_space=True, progress=False)
    return plan_shards(shard_jobs, options, sizes=sizes, alike=True)


def _configs(arguments: argparse.Namespace) -> tuple[str, ...]:
    from builders.exif import STUDY_ATTRIBUTES

    names = arguments.configs.replace("-", "_").split(",")
    configs = tuple(STUDY_ATTRIBUTES) if names == ["all"] else tuple(name.strip() for name in names)
    for config in configs:
        if config not in STUDY_ATTRIBUTES:
            raise unknown_name("config", config, STUDY_ATTRIBUTES)
    return configs


def _photos(arguments: argparse.Namespace) -> PhotoSet:
    """The photo set that the arguments describe."""
    from builders.simcams.catalogue import bundled_catalogue, read_catalogue
    from builders.simcams.photo_sets import simcams_photos, simpairs_photos
    from builders.simcams.settings import CLASS_LISTS

    height, width = _parse_size(arguments.size)
    if arguments.classes not in CLASS_LISTS:
        raise unknown_name("class list", arguments.classes, CLASS_LISTS)
    cameras = bundled_catalogue() if arguments.cameras is None else read_catalogue(arguments.cameras)
    scenes = _scenes(arguments.source, arguments.scenes, height, width, arguments.seed, arguments.license)
    if arguments.pairs:
        return simpairs_photos(seed=arguments.seed, scenes=scenes, cameras=cameras)
    return simcams_photos(seed=arguments.seed, scenes=scenes, cameras=cameras, classes=CLASS_LISTS[arguments.classes])


def _scenes(source: str, count: int, height: int, width: int, seed: int, licence: str) -> Scenes:
    from builders.simcams.scene_sources import PhotoScenes, ProceduralScenes

    kind, _, path = source.partition(":")
    if kind == "procedural" and not path:
        return ProceduralScenes(count, height, width, seed)
    if kind == "folder" and path:
        return PhotoScenes.of_folder(Path(path), height, width, limit=count, licence=licence)
    raise unknown_name("source", source, ("procedural", "folder:PATH"))


def _parse_size(text: str) -> tuple[int, int]:
    """Height and width of ``512`` or ``640x480`` (width x height).

    >>> _parse_size("640x480")
    (480, 640)
    """
    match = re.fullmatch(r"(\d{2,5})(?:x(\d{2,5}))?", text)
    if not match:
        raise UsageError(f"--size {text}: pixels a side, or WIDTHxHEIGHT")
    width = int(match[1])
    height = int(match[2] or width)
    if min(width, height) < 32 or width % 2 or height % 2:
        raise UsageError(f"--size {text}: both sides are even and at least 32")
    return height, width


def parser() -> Parser:
    """The options of the command."""
    p = Parser(
        "camtrace build simcams",
        most_used=("--output", "--scenes", "--data", "--pairs", "--configs"),
        examples=(
            "camtrace build simcams --data folder:my_photos --configs iso,flash -o out",
            "camtrace build simcams --pairs --scenes 20 --size 256 -o out",
        ),
        renamed=(Renamed("--source", "--data"),),
        description="Render scenes through simulated cameras and write a data set that load_dataset reads: every scene "
        "through every camera, settings independent of scene and camera, splits by scene. A run that was stopped goes "
        "on where it was: run the same command again.",
    )
    p.add_argument(
        "-d",
        "--data",
        dest="source",
        default="procedural",
        metavar="SCENES",
        help="procedural (the default), or folder:PATH of photos",
    )
    p.add_argument(
        "--scenes",
        type=whole_number(1),
        default=100,
        metavar="N",
        help="how many scenes, or photos at most (default 100)",
    )
    p.add_argument("--size", default="512", metavar="SIZE", help="pixels a side, or WIDTHxHEIGHT; even (default 512)")
    p.add_argument("-o", "--output", type=Path, required=True, metavar="DIR", help="folder of the data set")
    p.set_defaults(layout=None)
    if layouts := extras("builders", "LAYOUTS"):
        p.add_argument(
            "--layout",
            metavar="NAME",
            help=f"write files in the layout of a real camera set, marked as simulated: {' or '.join(layouts)}",
        )
    p.add_argument("--pairs", action="store_true", help="each scene by a phone and by an older compact (simpairs)")
    p.add_argument(
        "--configs",
        action=Joined,
        default="all",
        metavar="NAMES",
        help="attributes; repeatable, or with commas (default: all eight)",
    )
    p.add_argument(
        "--classes", default="stops", metavar="NAME", help="settings a stop apart (stops), or the study's (study)"
    )
    p.add_argument("--cameras", type=Path, metavar="FILE", help="a YAML table of cameras instead of the bundled 27")
    p.add_argument(
        "--license", default="unknown", metavar="NAME", help="of the photos of folder:PATH, as the Hub names it"
    )
    p.add_argument(
        "--seed", type=whole_number(0), default=0, metavar="N", help="of everything that is drawn (default 0)"
    )
    p.add_argument("--workers", type=whole_number(1), metavar="N", help="processes (default: all cores)")
    p.add_argument("--fresh", action="store_true", help="replace a build of other settings in --output")
    p.add_argument("--ignore-space", action="store_true", help="start although the disk looks too small")
    p.set_defaults(run=run, jobs=jobs)
    return p
