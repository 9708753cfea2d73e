"""``croissant.json``: the data set in the format of MLCommons Croissant 1.0, with facts in its RAI vocabulary.

Text is that of the card, so that neither says what the other does not. There is a record set for each split of each
config, whose fields are the columns that ``load_dataset`` gives.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from typing import Any

from datasets import ClassLabel, Features, Image

from builders.dataset.card import STUDY_BIBTEX, Card
from builders.dataset.manifest import Build
from builders.dataset.write import SplitShards

CROISSANT_FILE = "croissant.json"

_VERSION = "1.0.0"
"""Of every build: contents are told apart by the SHA-256 of their files, and by the commit of a repository."""

CONFORMS_TO = ("http://mlcommons.org/croissant/1.0", "http://mlcommons.org/croissant/RAI/1.0")

_CONTEXT: dict[str, Any] = {
    "@language": "en",
    "@vocab": "https://schema.org/",
    "citeAs": "cr:citeAs",
    "column": "cr:column",
    "conformsTo": "dct:conformsTo",
    "cr": "http://mlcommons.org/croissant/",
    "data": {"@id": "cr:data", "@type": "@json"},
    "dataType": {"@id": "cr:dataType", "@type": "@vocab"},
    "dct": "http://purl.org/dc/terms/",
    "equivalentProperty": "cr:equivalentProperty",
    "examples": {"@id": "cr:examples", "@type": "@json"},
    "extract": "cr:extract",
    "field": "cr:field",
    "fileObject": "cr:fileObject",
    "fileProperty": "cr:fileProperty",
    "fileSet": "cr:fileSet",
    "format": "cr:format",
    "includes": "cr:includes",
    "isLiveDataset": "cr:isLiveDataset",
    "jsonPath": "cr:jsonPath",
    "key": "cr:key",
    "md5": "cr:md5",
    "parentField": "cr:parentField",
    "path": "cr:path",
    "rai": "http://mlcommons.org/croissant/RAI/",
    "recordSet": "cr:recordSet",
    "references": "cr:references",
    "regex": "cr:regex",
    "repeated": "cr:repeated",
    "replace": "cr:replace",
    "samplingRate": "cr:samplingRate",
    "sc": "https://schema.org/",
    "separator": "cr:separator",
    "source": "cr:source",
    "subField": "cr:subField",
    "transform": "cr:transform",
}
"""The context of the specification (https://docs.mlcommons.org/croissant/docs/croissant-spec.html)."""


def croissant_text(build: Build, card: Card, features: Mapping[str, Features], readme: str, published: str) -> str:
    """The text of ``croissant.json``. It contains no name of the machine, and of the time the day alone.

    Args:
        build: with every file.
        card: licence and names.
        features: columns of each config.
        readme: text of the card.
        published: day of the build, as in 2026-12-03.
    """
    limits, how = section(readme, "Known limits"), section(readme, "How it was made")
    contents: dict[str, Any] = {
        "@context": _CONTEXT,
        "@type": "sc:Dataset",
        "conformsTo": list(CONFORMS_TO),
        "name": card.pretty_name,
        "description": _summary_of(readme),
        "license": _licence_address(card.license),
        "keywords": ["camtrace", *card.tags],
        "inLanguage": list(card.language),
        "version": _VERSION,
        "datePublished": published,
        "citeAs": STUDY_BIBTEX,
        "distribution": [*_files(build), *(_file_set(split) for split in build.splits)],
        "recordSet": [_record_set(split, features[split.config]) for split in build.splits],
        "rai:dataLimitations": limits,
        "rai:dataPreprocessingProtocol": how,
        **{f"rai:{name}": text for name, text in card.rai.items()},
    }
    return json.dumps({name: value for name, value in contents.items() if value}, indent=1, ensure_ascii=False) + "\n"


def section(text: str, heading: str) -> str:
    """The text below a heading of second level, up to the next one; "" if there is none.

    >>> section("# A\\n\\n## B\\none\\n### C\\ntwo\\n## D\\n", "B")
    'one\\n### C\\ntwo'
    """
    match = re.search(rf"^## {re.escape(heading)}\n(.*?)(?=^## |\Z)", text, re.DOTALL | re.MULTILINE)
    return match[1].strip() if match else ""


def _summary_of(text: str) -> str:
    """What stands between the title of a card and its first heading of second level."""
    match = re.search(r"^# [^\n]*\n(.*?)(?=^## |\Z)", text, re.DOTALL | re.MULTILINE)
    return match[1].strip() if match else ""


def _licence_address(license: str) -> str:
    """The address of a Creative Commons licence in SPDX's list; other identifiers as they are.

    >>> _licence_address("cc-by-4.0"), _licence_address("unknown")
    ('https://spdx.org/licenses/CC-BY-4.0.html', 'unknown')
    """
    return f"https://spdx.org/licenses/{license.upper()}.html" if license.startswith("cc") else license


def _files(build: Build) -> Iterator[dict[str, Any]]:
    for shard in build.shards:
        yield {
            "@type": "cr:FileObject",
            "@id": shard.file,
            "name": shard.file,
            "contentUrl": shard.file,
            "contentSize": f"{shard.file_bytes} B",
            "encodingFormat": "application/x-parquet",
            "sha256": shard.sha256,
        }


def _file_set(split: SplitShards) -> dict[str, Any]:
    return {
        "@type": "cr:FileSet",
        "@id": f"files/{split.config}/{split.split}",
        "name": f"files of {split.config}/{split.split}",
        "encodingFormat": "application/x-parquet",
        "includes": list(split.data_files),
    }


def _record_set(split: SplitShards, features: Features) -> dict[str, Any]:
    name = f"{split.config}/{split.split}"
    return {
        "@type": "cr:RecordSet",
        "@id": name,
        "name": name,
        "description": f"Split {split.split} of config {split.config}, {split.rows:,} rows.",
        "field": [_field(name, column, feature) for column, feature in features.items()],
    }


def _field(record_set: str, column: str, feature: Any) -> dict[str, Any]:
    source: dict[str, Any] = {"fileSet": {"@id": f"files/{record_set}"}, "extract": {"column": column}}
    if isinstance(feature, Image):
        source["transform"] = {"jsonPath": "bytes"}
    described = {"description": _classes(feature)} if isinstance(feature, ClassLabel) else {}
    return {
        "@type": "cr:Field",
        "@id": f"{record_set}/{column}",
        "name": f"{record_set}/{column}",
        **described,
        "dataType": _data_type(feature),
        "source": source,
    }


MAX_NAMED_CLASSES = 100
"""Classes that the description of a field names; the Parquet schema has them all."""


def _classes(feature: ClassLabel) -> str:
    names = [f"{code}: {name}" for code, name in enumerate(feature.names[:MAX_NAMED_CLASSES])]
    more = len(feature.names) - len(names)
    return "Number of the class. " + ", ".join(names) + (f", and {more:,} more" if more else "")


def _data_type(feature: Any) -> str:
    if isinstance(feature, Image):
        return "sc:ImageObject"
    if isinstance(feature, ClassLabel):
        return "sc:Integer"
    kind = str(feature.dtype)
    if kind.startswith(("int", "uint")):
        return "sc:Integer"
    if kind.startswith("float"):
        return "sc:Float"
    return "sc:Boolean" if kind == "bool" else "sc:Text"
