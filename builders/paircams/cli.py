"""``PairCams`` as a ``datasets`` builder, and ``camtrace build paircams``."""

from __future__ import annotations

import argparse
import hashlib
from dataclasses import dataclass
from typing import Any

import datasets
from datasets import Features

from builders.cli import Parser
from builders.dataset import RowsBuilder, add_build_options, item_ranges, summary
from builders.paircams.build import CONFIG, PAIR_FEATURES, build_paircams, pair_rows
from builders.sources import read_pair_photos

PAIRS_PER_RANGE = 64
"""Pairs of one ``gen_kwargs`` shard of ``PairCams``, the unit of work of ``num_proc``."""


@dataclass
class PairCamsConfig(datasets.BuilderConfig):
    """The source of the pairs."""

    source: str = ""
    """``hub:REPO[@REVISION]`` or a folder, as in ``read_pair_photos``."""
    phones: tuple[str, ...] = ()
    """Device names that count as phones, besides those of the study."""

    def create_config_id(self, config_kwargs: dict[str, Any], custom_features: Features | None = None) -> str:
        """Name of the cache folder. It depends on the pairs, not on the spelling of ``source``."""
        photos = read_pair_photos(self.source, phones=self.phones)
        contents = [photos.ids_hash(), *photos.columns["camera_type"], *photos.columns["pair_id"]]
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
        rows = pair_rows(read_pair_photos(self.config.source, phones=self.config.phones))
        arguments = {"ranges": item_ranges(len(rows.pairs), PAIRS_PER_RANGE), "rows": rows}
        return [datasets.SplitGenerator(name="test", gen_kwargs=arguments)]


def parser() -> Parser:
    """Parser of ``camtrace build paircams``."""
    p = Parser(
        "camtrace build paircams",
        description="Pairs of photos by a phone and by an older camera -> a data set that load_dataset reads.",
    )
    p.add_argument(
        "--source",
        required=True,
        help="hub:CTU-OU/PairCams, or a folder: with pairs.csv (file, pair_id, camera, camera_type), or with phone/ "
        "and camera/ of equally named files, or with one folder per pair that holds phone.* and camera.*",
    )
    add_build_options(p)
    p.add_argument("--phone", action="append", default=[], metavar="NAME", help="a device that counts as a phone")
    p.add_argument("--license", default="unknown", help="licence of the photos, an identifier of the Hub's list")
    p.set_defaults(run=run)
    return p


def run(arguments: argparse.Namespace) -> int:
    photos = read_pair_photos(arguments.source, phones=arguments.phone)
    build = build_paircams(
        photos,
        arguments.output,
        workers=max(1, arguments.workers),
        license=arguments.license,
        fresh=arguments.fresh,
        ignore_space=arguments.ignore_space,
    )
    if "left out" in photos.evidence:
        print(photos.evidence["left out"])
    print(summary(build, arguments.output))
    return 0
