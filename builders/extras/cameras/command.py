"""``camtrace build simcams --layout``: simulated cameras in the layout of a real camera set."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING

from builders.cli import write_record
from builders.errors import UsageError

if TYPE_CHECKING:
    from builders.photos import PhotoSet
    from builders.simcams import Scenes


def write_simulated(arguments: argparse.Namespace, photos: PhotoSet, workers: int) -> int:
    """Write a simulated set and print where it is; the exit status.

    Args:
        arguments: of the command.
        photos: simulated.
        workers: processes.
    """
    from builders.extras.cameras.simulated import build_layout, fodb_files, imagenet_es_files
    from builders.simcams import bundled_catalogue, read_catalogue

    if arguments.layout == "imagenet-es" and arguments.pairs:
        raise UsageError("--pairs has two cameras and --layout imagenet-es has one: leave one of them out")
    cameras = bundled_catalogue() if arguments.cameras is None else read_catalogue(arguments.cameras)
    scenes: Scenes = photos.source.scenes  # type: ignore[attr-defined]
    if arguments.layout == "fodb":
        files = fodb_files(photos, cameras)
    else:
        files = imagenet_es_files(scenes, cameras, arguments.seed)
    build = build_layout(arguments.layout, scenes, files, arguments.output, workers=workers, fresh=arguments.fresh)
    print(
        f"{build.files:,} simulated photos in {build.folder}: score them with --data {arguments.layout}:{build.folder}"
    )
    for failure in build.failures[:5]:
        print(f"not rendered: {failure}")
    record = {"folder": str(build.folder), "files": build.files, "failures": list(build.failures), "simulated": True}
    write_record(arguments, record)
    return 0
