"""README.md of a data set: front matter in YAML, then a rendered template of ``cards/``."""

from __future__ import annotations

import functools
import hashlib
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from importlib import resources
from typing import Any

import jinja2
import yaml
from datasets import DatasetInfo, Features
from datasets.info import DatasetInfosDict
from datasets.splits import SplitDict, SplitInfo
from huggingface_hub import DatasetCardData

from builders.dataset.write import SplitShards

MAX_NAMES_IN_YAML = 4000
"""Most class names of all configs in the YAML; beyond that only the Parquet schema has them."""

LANGUAGE = ("en",)
"""Language of the names of columns and classes, and of the card."""

ORIGINAL = ("original",)
"""``source_datasets`` of rows that were not made from another data set."""

_SOURCES = {"imagenet": "ILSVRC/imagenet-1k"}
"""Repositories of photo sets whose names do not contain them."""

_REPOSITORY = re.compile(r"(?:\w+:)?(?:hub|built|paircams):([A-Za-z0-9][\w.-]*/[A-Za-z0-9][\w.-]*)(?:[@?].*)?")
"""Name of a photo set that contains its repository."""

STUDY_BIBTEX = """@inproceedings{ramos2025processing,
  title     = {Processing and acquisition traces in visual encoders: What does {CLIP} know about your camera?},
  author    = {Ramos, Ryan and Stojni{\\'c}, Vladan and Kordopatis-Zilos, Giorgos and Nakashima, Yuta and Tolias,
               Giorgos and Garcia, Noa},
  booktitle = {Proceedings of the IEEE/CVF International Conference on Computer Vision (ICCV)},
  year      = {2025}
}"""


@dataclass(frozen=True)
class Card:
    """Contents of a README apart from the counts."""

    template: str
    """File in ``cards/``; it usually extends ``data_set.md.jinja``."""
    pretty_name: str
    license: str
    """An identifier of the Hub's list (``cc-by-4.0``, ``other``, ``unknown``)."""
    tags: tuple[str, ...] = ()
    task_categories: tuple[str, ...] = ("image-classification",)
    source_datasets: tuple[str, ...] = ()
    """Repositories on the Hub that the rows were made from (``source_datasets``), or ``original``; empty if unknown."""
    language: tuple[str, ...] = LANGUAGE
    context: Mapping[str, Any] = field(default_factory=dict)
    """Further variables of the template."""
    rai: Mapping[str, str] = field(default_factory=dict)
    """Text by name in the RAI vocabulary of Croissant, where the template does not say it already."""


def readme(
    card: Card, features: Mapping[str, Features], splits: tuple[SplitShards, ...], default: str, **context: Any
) -> str:
    """The text of README.md: front matter with ``configs`` and ``dataset_info``, then the rendered template.

    Args:
        card: licence, names and template.
        features: columns of each config.
        splits: the written splits.
        default: the config that ``load_dataset`` uses if none is named.
        context: further variables of the template.
    """
    text = render(card.template, card=card, splits=splits, default=default, **{**card.context, **context})
    return f"---\n{front_matter(card, features, splits, default)}---\n\n{text.strip()}\n"


def front_matter(card: Card, features: Mapping[str, Features], splits: tuple[SplitShards, ...], default: str) -> str:
    """The YAML that the Hub and ``load_dataset`` read. Arguments as in ``readme``."""
    data = DatasetCardData(
        language=list(card.language),
        license=card.license,
        pretty_name=card.pretty_name,
        tags=["camtrace", *card.tags],
        task_categories=list(card.task_categories),
        size_categories=[size_category(max((split.rows for split in splits), default=0))],
        source_datasets=list(card.source_datasets) or None,
        configs=[
            {
                "config_name": config,
                **({"default": True} if config == default else {}),
                # load_dataset caches a local folder under this text, not under the content of the files
                "description": f"content {_content(config, splits)}",
                "data_files": [
                    {"split": split.split, "path": _one_or_list(split.data_files)}
                    for split in splits
                    if split.config == config
                ],
            }
            for config in _with_rows(features, splits)
        ],
    )
    _add_dataset_info(data, features, splits)
    fields = {name: value for name, value in data.to_dict().items() if value is not None}
    return yaml.safe_dump(fields, sort_keys=False, allow_unicode=True, width=10_000)


def _with_rows(features: Mapping[str, Features], splits: tuple[SplitShards, ...]) -> Mapping[str, Features]:
    """The configs that have splits; ``load_dataset`` refuses a config without."""
    written = {split.config for split in splits}
    return {config: columns for config, columns in features.items() if config in written}


def _one_or_list(paths: tuple[str, ...]) -> str | list[str]:
    return paths[0] if len(paths) == 1 else list(paths)


def _content(config: str, splits: tuple[SplitShards, ...]) -> str:
    """Hash of the files of a config: 16 hex digits."""
    hashes = [shard.sha256 for split in splits if split.config == config for shard in split.shards]
    return hashlib.sha256("".join(hashes).encode()).hexdigest()[:16]


def source_datasets(*names: str) -> tuple[str, ...]:
    """Repositories that photo sets came from, each once; none for a set without a known repository.

    Args:
        names: ``PhotoSet.name`` of each set.

    >>> source_datasets("hub:food/101@main", "imagenet", "folder:mine", "flickrexif:hub:food/101")
    ('food/101', 'ILSVRC/imagenet-1k')
    """
    repositories: list[str] = []
    for name in names:
        match = _REPOSITORY.fullmatch(name)
        repositories += [match[1]] if match else [_SOURCES[name]] if name in _SOURCES else []
    return tuple(dict.fromkeys(repositories))


def render(template: str, **context: Any) -> str:
    """The text of a template in ``cards/``. A missing variable is an error."""
    return _environment().get_template(template).render(study_citation=STUDY_BIBTEX, **context)


def size_category(rows: int) -> str:
    """The Hub's size category of a number of rows.

    >>> size_category(1_281_167)
    '1M<n<10M'
    """
    names = ("n<1K", "1K<n<10K", "10K<n<100K", "100K<n<1M", "1M<n<10M", "10M<n<100M", "100M<n<1B")
    return names[sum(rows >= bound for bound in (10**3, 10**4, 10**5, 10**6, 10**7, 10**8))]


def _add_dataset_info(data: DatasetCardData, features: Mapping[str, Features], splits: tuple[SplitShards, ...]) -> None:
    names = sum(len(getattr(f, "names", None) or ()) for columns in features.values() for f in columns.values())
    infos = DatasetInfosDict()
    for config, columns in _with_rows(features, splits).items():
        config_splits = [split for split in splits if split.config == config]
        sizes = SplitDict()
        for split in config_splits:
            sizes.add(SplitInfo(split.split, num_bytes=split.data_bytes, num_examples=split.rows))
        infos[config] = DatasetInfo(
            features=columns if names <= MAX_NAMES_IN_YAML else None,
            splits=sizes,
            download_size=sum(split.file_bytes for split in config_splits),
            dataset_size=sum(split.data_bytes for split in config_splits),
        )
    infos.to_dataset_card_data(data)


@functools.cache
def _environment() -> jinja2.Environment:
    environment = jinja2.Environment(
        loader=jinja2.FunctionLoader(_template_text),
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
        autoescape=False,  # Markdown, not HTML; the Hub sanitises the rendered page
    )
    environment.globals["zip"] = zip
    environment.filters["cell"] = _cell
    return environment


def _cell(text: object) -> str:
    """Text that cannot break out of a Markdown table cell: names of classes are untrusted."""
    return " ".join(str(text).split()).replace("|", "\\|").replace("<", "&lt;")


def _template_text(name: str) -> str | None:
    path = resources.files("cards") / name
    return path.read_text(encoding="utf-8") if path.is_file() else None
