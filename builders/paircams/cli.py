"""``PairCams`` as a ``datasets`` builder, and ``camtrace build paircams``."""

from __future__ import annotations

import argparse
import hashlib
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import datasets
from datasets import Features

from builders.cli import Names, Parser, Renamed, write_record
from builders.dataset import RowsBuilder, add_build_options, build_record, item_ranges, summary
from builders.errors import UsageError
from builders.files import write_text_atomically
from builders.paircams.build import CONFIG, PAIR_FEATURES, build_paircams, cameras_hash, pair_rows
from builders.sources import contradicted_types, propose_pairs, read_pair_photos

PAIRS_PER_RANGE = 64
"""Pairs of one ``gen_kwargs`` shard of ``PairCams``, the unit of work of ``num_proc``."""


@dataclass
class PairCamsConfig(datasets.BuilderConfig):
    """The source of the pairs."""

    source: str = ""
    """``hub:REPO[@REVISION]`` or a folder, as in ``read_pair_photos``."""
    phones: tuple[str, ...] = ()
    """Device names that count as phones, whatever the device table says."""
    cameras: tuple[str, ...] = ()
    """Device names that count as cameras."""

    def create_config_id(self, config_kwargs: dict[str, Any], custom_features: Features | None = None) -> str:
        """Name of the cache folder. It depends on the pairs, not on the spelling of ``source``."""
        photos = read_pair_photos(self.source, phones=self.phones, cameras=self.cameras)
        contents = [photos.ids_hash(), cameras_hash(photos)]
        return f"{self.name}-{hashlib.sha256(repr(contents).encode()).hexdigest()[:16]}"


class PairCams(RowsBuilder):
    """Pairs as a ``datasets`` builder; a pair with an unusable photo is left out with a warning.

    builder = PairCams(source="my_pairs")
    builder.download_and_prepare()
    pairs = builder.as_dataset(split="test")
    """

    BUILDER_CONFIG_CLASS = PairCamsConfig
    BUILDER_CONFIGS = [PairCamsConfig(name=CONFIG)]  # noqa: RUF012
    DEFAULT_CONFIG_NAME = CONFIG

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **{"dataset_name": "paircams", **kwargs})

    def _info(self) -> datasets.DatasetInfo:
        return datasets.DatasetInfo(
            description="Pairs of photos of one subject, by a phone and by an older camera.", features=PAIR_FEATURES
        )

    def _split_generators(self, dl_manager: Any) -> list[datasets.SplitGenerator]:
        config = self.config
        rows = pair_rows(read_pair_photos(config.source, phones=config.phones, cameras=config.cameras))
        arguments = {"ranges": item_ranges(len(rows.pairs), PAIRS_PER_RANGE), "rows": rows}
        return [datasets.SplitGenerator(name="test", gen_kwargs=arguments)]


def parser() -> Parser:
    """Parser of ``camtrace build paircams``."""
    p = Parser(
        "camtrace build paircams",
        most_used=("--data", "--output", "--phone", "--license", "--workers"),
        examples=(
            "camtrace build paircams --data hub:CTU-OU/PairCams --output out/pairs",
            "camtrace build paircams --data my_pairs --output out/pairs",
        ),
        renamed=(Renamed("--source", "--data"),),
        description="Pairs of photos by a phone and by an older camera -> a data set that load_dataset reads.",
    )
    p.add_argument(
        "-d",
        "--data",
        dest="source",
        required=True,
        metavar="PAIRS",
        help="hub:CTU-OU/PairCams, or a folder: with pairs.csv (file, pair_id, camera, camera_type), or with phone/ "
        "and camera/ of equally named files, or with one folder per pair that holds phone.* and camera.*",
    )
    add_build_options(p)
    p.add_argument(
        "--phone", action=Names, default=[], metavar="NAME", help="a device that counts as a phone; repeatable"
    )
    p.add_argument("--camera", action="append", default=[], metavar="NAME", help="a device that counts as a camera")
    p.add_argument(
        "--propose",
        action="store_true",
        help="pair photos straight off two cards (--data holds phone/ and camera/) by the time of their Exif and "
        "write pairs-proposed.csv into --output, for review; builds nothing",
    )
    p.add_argument(
        "--license", default="unknown", metavar="NAME", help="licence of the photos, an identifier of the Hub's list"
    )
    p.set_defaults(run=run)
    return p


def run(arguments: argparse.Namespace) -> int:
    if arguments.propose:
        return _propose(Path(arguments.source.removeprefix("folder:")).expanduser(), arguments)
    photos = read_pair_photos(arguments.source, phones=arguments.phone, cameras=arguments.camera)
    contradicted = contradicted_types(photos)
    if contradicted:
        print(
            f"{len(contradicted)} photos whose Exif names another type of device than their camera_type "
            f"(for example {contradicted[0]}); the stated type is used",
            file=sys.stderr,
        )
    build = build_paircams(
        photos,
        arguments.output,
        workers=arguments.workers,
        license=arguments.license,
        fresh=arguments.fresh,
        ignore_space=arguments.ignore_space,
        update=arguments.update,
    )
    if "left out" in photos.evidence:
        print(photos.evidence["left out"])
    print(summary(build, arguments.output))
    write_record(arguments, build_record(build, arguments.output))
    return 0


def _propose(source: Path, arguments: argparse.Namespace) -> int:
    proposal = propose_pairs(source)
    output = arguments.output
    table = output / "pairs-proposed.csv"
    if table.exists():
        raise UsageError(f"{table} exists: remove it, or name another --output")
    output.mkdir(parents=True, exist_ok=True)
    write_text_atomically(table, proposal.csv())
    print(
        f"{len(proposal.pairs)} pairs proposed in {table}: the camera's clock is {proposal.offset_s:+.0f} s from the "
        f"phone's, {proposal.unpaired} photos have no partner, {proposal.without_time} have no time in their Exif"
    )
    print(f"Review it, save it as {source / 'pairs.csv'}, then build with --data {source}")
    counts = {"pairs": len(proposal.pairs), "unpaired": proposal.unpaired, "without_time": proposal.without_time}
    write_record(arguments, {"table": table, "offset_s": proposal.offset_s, **counts})
    return 0
