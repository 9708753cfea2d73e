"""All results of a repository as one Parquet file, one row per score, and the card that describes it."""

from __future__ import annotations

import io
from collections.abc import Mapping, Sequence
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from benchmark.results import SCHEMA_VERSION, Result, Score

TABLE_FILE = "results.parquet"

SCHEMA = pa.schema(
    [
        *((name, pa.string()) for name in ("file", "encoder", "library", "group", "training_data", "revision")),
        ("weights_sha256", pa.string()),
        ("dimension", pa.int64()),
        ("parameters", pa.int64()),
        *((name, pa.string()) for name in ("data", "question_hash", "ids_hash", "bytes_hash")),
        ("smoke_test", pa.bool_()),
        *((name, pa.string()) for name in ("task", "metric")),
        *((name, pa.float64()) for name in ("value", "low", "high")),
        ("n", pa.int64()),
        ("chance", pa.float64()),
        ("protocol", pa.string()),
        ("k", pa.int64()),
        ("mask_ratio", pa.float64()),
        ("seed", pa.int64()),
        *((name, pa.string()) for name in ("device", "dtype", "codec_canary", "pillow", "libjpeg_turbo", "camtrace")),
        ("created", pa.string()),
    ]
)


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
    encoder, data, environment, details = result.encoder, result.data, result.environment, score.details
    options = environment.get("options")
    options = options if isinstance(options, Mapping) else {}
    codec, versions = environment.get("codec"), environment.get("versions")
    codec = codec if isinstance(codec, Mapping) else {}
    versions = versions if isinstance(versions, Mapping) else {}
    return {
        "file": path,
        "encoder": encoder["id"],
        **{name: _text(encoder.get(name)) for name in _ENCODER_TEXTS},
        "dimension": _whole(encoder.get("dimension")),
        "parameters": _whole(encoder.get("parameters")),
        "data": data["name"],
        "question_hash": _text(data.get("question_hash")),
        "ids_hash": _text(data.get("ids_hash")),
        "bytes_hash": _text(data.get("bytes_hash")),
        "smoke_test": bool(data.get("smoke_test")),
        "task": score.task,
        "metric": score.metric,
        "value": float(score.value),
        "low": float(score.low),
        "high": float(score.high),
        "n": score.n,
        "chance": float(score.chance),
        "protocol": _text(details.get("protocol")),
        "k": _whole(details.get("k")),
        "mask_ratio": _number(details.get("mask_ratio")),
        "seed": _whole(options.get("seed")),
        "device": _text(environment.get("device")),
        "dtype": _text(environment.get("dtype")),
        "codec_canary": _text(environment.get("codec_canary")),
        "pillow": _text(codec.get("pillow")),
        "libjpeg_turbo": _text(codec.get("libjpeg_turbo")),
        "camtrace": _text(versions.get("camtrace")),
        "created": result.created,
    }


_ENCODER_TEXTS: Sequence[str] = ("library", "group", "training_data", "revision", "weights_sha256")


def _text(value: object) -> str | None:
    return value[:500] if isinstance(value, str) else None


def _whole(value: object) -> int | None:
    return value if isinstance(value, int) and not isinstance(value, bool) and abs(value) < 2**63 else None


def _number(value: object) -> float | None:
    return float(value) if isinstance(value, int | float) and not isinstance(value, bool) else None
