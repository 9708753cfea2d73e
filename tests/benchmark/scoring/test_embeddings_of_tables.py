"""Embeddings and a table without pictures, end to end: what needs no pixels is scored, and what needs them is said."""

from __future__ import annotations

import csv
import json
import re

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from benchmark.cli.audit import main as audit
from benchmark.cli.score import main as score
from benchmark.encoders import load_encoder
from benchmark.results import read_result
from benchmark.views import ORIGINAL
from builders.errors import DataError, EncoderError, UsageError

pytestmark = pytest.mark.usefixtures("unpainted", "brief")

COLUMNS = ("subset", "slide_id", "patch_id", "biological_class", "medical_center")


@pytest.fixture(scope="module")
def pathology(tmp_path_factory):
    """A table of 2 classes x 2 centres x 4 slides x 6 patches, and embeddings in which the class can be read."""
    folder = tmp_path_factory.mktemp("pathology")
    rows = [
        ("ID", f"{label}_{centre}_{slide}", patch, label, centre)
        for label in ("normal", "tumor")
        for centre in ("RUMC", "UMCU")
        for slide in range(4)
        for patch in range(6)
    ]
    with (folder / "camelyon.csv").open("w", newline="") as file:
        csv.writer(file).writerows([COLUMNS, *rows])
    rng = np.random.default_rng(0)
    vectors = rng.normal(size=(len(rows), 8)) + 9 * np.array([[row[3] == "tumor"] for row in rows])
    columns = {"slide_id": [r[1] for r in rows], "patch_id": [r[2] for r in rows], "embedding": vectors.tolist()}
    pq.write_table(pa.table(columns), folder / "E.parquet")
    pq.write_table(pa.table(columns).slice(0, 1), folder / "by_slide.parquet")
    return folder


def run(folder, out, *words: str) -> tuple[int, dict]:
    options = ["--output", str(out), "--cache", str(folder / "cache"), "--workers", "0"]
    status = score([*words, *options])
    return status, json.loads((out / "result.json").read_text())


def test_score__a_table_of_patches(pathology, tmp_path, capsys):
    status, result = run(
        pathology,
        tmp_path / "out",
        *("--model", f"embeddings:{pathology}/E.parquet?id=slide_id,patch_id"),
        *("--data", f"pathorob:{pathology}/camelyon.csv"),
        *("-t", "knn/original", "-t", "linear/original", "-t", "probe/jpeg"),
    )
    printed = capsys.readouterr().err
    assert status == 0
    scores = {s["task"]: s["value"] for s in result["scores"]}
    assert set(scores) == {"knn/original", "linear/original"}
    assert min(scores.values()) > 0.9
    assert "probe/jpeg" in printed
    lines = [line.split() for line in printed.splitlines()]
    assert ["normal", "24", "(4)", "24", "(4)"] in lines
    assert printed.index("2 labels x 2 medical_center") < printed.index("written to")
    assert result["data"]["name"] == "pathorob:camelyon"
    assert result["data"]["evidence"]["clusters"] == "16 clusters, 0 of them in several splits"
    assert str(pathology) not in json.dumps(result)
    assert result["cost"]["encoders_in_pass"] == 1
    assert dict(read_result(tmp_path / "out" / "result.json").data["evidence"]) == result["data"]["evidence"]
    assert "--data pathorob:PATH" in result["environment"]["command"]


def test_score__a_table_with_ids_of_its_own(pathology, tmp_path):
    table = "table:{}/camelyon.csv?id=slide_id,patch_id&label=medical_center&group=biological_class&cluster=slide_id"
    _, result = run(
        pathology,
        tmp_path / "out",
        *("--model", f"embeddings:{pathology}/E.parquet?id=slide_id,patch_id"),
        *("--data", table.format(pathology), "-t", "knn/original"),
    )
    assert result["scores"][0]["value"] < 0.9
    assert result["data"]["name"] == "table:camelyon.csv"


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (["--model", "control:random-projection"], r"camelyon names no pictures, and .*--model embeddings:FILE"),
        (["--model", "embeddings:{}/by_slide.parquet?id=slide_id"], "it holds no id of pathorob:camelyon: its ids are"),
        (
            ["--model", "embeddings:{}/E.parquet?id=slide_id,patch_id", "-t", "probe/jpeg"],
            "names no pictures to process .image=COLUMN., and what embeddings alone can answer",
        ),
    ],
)
def test_score__what_cannot_be_scored_is_one_sentence(pathology, tmp_path, capsys, words, sentence):
    words = [word.format(pathology) for word in words]
    options = ["--output", str(tmp_path), "--cache", str(tmp_path / "cache"), "--workers", "0"]
    assert score([*words, "--data", f"pathorob:{pathology}/camelyon.csv", *options]) == 1
    assert re.search(sentence, "".join(capsys.readouterr()))


def test_audit__needs_pictures(pathology, tmp_path):
    with pytest.raises(DataError, match="pathorob:camelyon"):
        audit([f"pathorob:{pathology}/camelyon.csv", "--output", str(tmp_path)])


def test_embeddings__ids_are_part_of_what_identifies_them(pathology):
    joined = load_encoder(f"embeddings:{pathology}/E.parquet?id=slide_id,patch_id")
    assert joined.info.preprocessing["ids"] == "slide_id,patch_id"
    assert joined.stored.rows[ORIGINAL] == joined.stored.rows["photo"]
    assert set(joined.stored.rows[ORIGINAL]) >= {"normal_RUMC_0-0", "tumor_UMCU_3-5"}
    with pytest.raises(EncoderError, match="id=COLUMN"):
        load_encoder(f"embeddings:{pathology}/E.parquet")
    with pytest.raises(EncoderError, match="normal_RUMC_0"):
        load_encoder(f"embeddings:{pathology}/E.parquet?id=slide_id")
    with pytest.raises(UsageError, match="twice: id="):
        load_encoder(f"embeddings:{pathology}/E.parquet?id=a&id=b")
