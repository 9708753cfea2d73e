"""All results of a repository as one Parquet file, one row per score, and the card that describes it."""

from __future__ import annotations

import io
from collections.abc import Callable, Mapping
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from benchmark.publishing.provenance import value_at
from benchmark.results import SCHEMA_VERSION, Result, Score

TABLE_FILE = "results.parquet"


def _text(value: object) -> str | None:
    return value[:500] if isinstance(value, str) else None


def _whole(value: object) -> int | None:
    return value if isinstance(value, int) and not isinstance(value, bool) and abs(value) < 2**63 else None


def _number(value: object) -> float | None:
    return float(value) if isinstance(value, int | float) and not isinstance(value, bool) else None


Column = tuple[pa.DataType, Callable[[Any], Any], str]
"""Type of a column, what reads an untrusted value for it, and where a result and its score have it."""


def _texts(place: str, names: str) -> dict[str, Column]:
    return {name: (pa.string(), _text, f"{place}{name}") for name in names.split()}


def _counts(place: str, names: str) -> dict[str, Column]:
    return {name: (pa.int64(), _whole, f"{place}{name}") for name in names.split()}


def _numbers(place: str, names: str) -> dict[str, Column]:
    return {name: (pa.float64(), _number, f"{place}{name}") for name in names.split()}


COLUMNS: Mapping[str, Column] = {
    **_texts("", "file"),
    "encoder": (pa.string(), _text, "encoder.id"),
    **_texts("encoder.", "library group training_data revision weights_sha256"),
    **_counts("encoder.", "dimension parameters"),
    "data": (pa.string(), _text, "data.name"),
    **_texts("data.", "question_hash ids_hash bytes_hash"),
    "smoke_test": (pa.bool_(), bool, "data.smoke_test"),
    **_texts("score.", "task metric"),
    **_numbers("score.", "value low high"),
    **_counts("score.", "n"),
    **_numbers("score.", "chance"),
    **_texts("score.details.", "protocol"),
    **_counts("score.details.", "k"),
    **_numbers("score.details.", "mask_ratio"),
    **_counts("environment.options.", "seed"),
    **_texts("environment.", "device dtype codec_canary"),
    **_texts("environment.codec.", "pillow libjpeg_turbo"),
    **_texts("environment.versions.", "camtrace"),
    **_texts("", "created"),
}

SCHEMA = pa.schema([(name, kind) for name, (kind, _, _) in COLUMNS.items()])


def results_table(results: Mapping[str, Result]) -> pa.Table:
    """One row per score, in the order of paths.

    Args:
        results: by path in the repository.
    """
    rows = [_row(path, result, score) for path, result in sorted(results.items()) for score in result.scores]
    return pa.Table.from_pylist(rows, schema=SCHEMA)


def table_bytes(results: Mapping[str, Result]) -> bytes:
    """The Parquet file of ``results_table``: equal results give equal bytes (with one version of pyarrow)."""
    buffer = io.BytesIO()
    pq.write_table(results_table(results), buffer, compression="zstd", write_page_index=True)
    return buffer.getvalue()


def card_text(results: Mapping[str, Result], repo: str, space: str = "") -> str:
    """README.md of the results data set.

    Args:
        results: by path in the repository.
        repo: its name.
        space: the leaderboard's Space, if there is one.
    """
    from builders.dataset import render
    from builders.publish import viewer_address

    every = list(results.values())
    text = render(
        "benchmark.md.jinja",
        repo=repo,
        space=space,
        viewer=viewer_address(repo),
        results=len(every),
        scores=sum(len(r.scores) for r in every),
        encoders=len({str(r.encoder["id"]) for r in every}),
        data=sorted({str(r.data["name"]) for r in every}),
        canaries=sorted({str(r.environment.get("codec_canary")) for r in every}),
        schema_version=SCHEMA_VERSION,
        table=TABLE_FILE,
        columns=SCHEMA.names,
    )
    return f"---\n{_front_matter(results)}---\n\n{text}"


def _front_matter(results: Mapping[str, Result]) -> str:
    """The YAML that the Hub and ``load_dataset`` read: columns, rows and bytes of the table as it is."""
    import yaml
    from datasets import DatasetInfo, Features
    from datasets.info import DatasetInfosDict
    from datasets.splits import SplitDict, SplitInfo
    from huggingface_hub import DatasetCardData

    from builders.dataset import LANGUAGE, size_category, source_datasets

    table = results_table(results)
    data = DatasetCardData(
        language=list(LANGUAGE),
        license="cc-by-4.0",
        pretty_name="camtrace results",
        tags=["camtrace", "benchmark", "computer-vision", "image-forensics"],
        size_categories=[size_category(table.num_rows)],
        source_datasets=list(source_datasets(*sorted({str(r.data["name"]) for r in results.values()}))) or None,
        configs=[
            {"config_name": "default", "default": True, "data_files": [{"split": "train", "path": TABLE_FILE}]},
        ],
    )
    split = SplitInfo("train", num_bytes=table.nbytes, num_examples=table.num_rows)
    splits = SplitDict()
    splits.add(split)
    info = DatasetInfo(
        features=Features.from_arrow_schema(SCHEMA),
        splits=splits,
        download_size=len(table_bytes(results)),
        dataset_size=split.num_bytes,
    )
    DatasetInfosDict({"default": info}).to_dataset_card_data(data)
    fields = {name: value for name, value in data.to_dict().items() if value is not None}
    return yaml.safe_dump(fields, sort_keys=False, allow_unicode=True, width=10_000)


def _row(path: str, result: Result, score: Score) -> dict[str, Any]:
    parts = {"encoder": result.encoder, "data": result.data, "environment": result.environment, "score": vars(score)}
    whole = {"file": path, "created": result.created, **parts}
    return {name: read(value_at(whole, place)) for name, (_, read, place) in COLUMNS.items()}
