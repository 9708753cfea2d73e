"""A planted scanner by every command, end to end: embeddings with a table, and pictures that hold them."""

from __future__ import annotations

import csv
import json
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from PIL import Image

import camtrace
from benchmark.__main__ import main
from benchmark.robustness import clustering, drop
from tests.benchmark.audit.planted import exif
from tests.support.planted_groups import planted_table

pytestmark = pytest.mark.usefixtures("unpainted", "brief")

CLUSTERS, TRAIN, PHOTOS = 60, 48, 3
COLUMNS = "label=diagnosis&group=scanner&cluster=slide&split=fold"
ENCODER = """
import numpy as np

def encode(image):
    return np.asarray(image.convert("RGB"), dtype=np.float32)[0, :12].reshape(-1) - 128

def half(image):
    return encode(image)[:18]

encode.cache_key = "planted rows 1"
half.cache_key = "half of them 1"
"""


@pytest.fixture(scope="module", autouse=True)
def few_seeds():
    """k-means with two seeds and few numbers of clusters."""
    with pytest.MonkeyPatch.context() as patch:
        few = {**clustering.clustering_score.__kwdefaults__, "seeds": 2, "numbers": (2, 3)}
        patch.setattr(clustering.clustering_score, "__kwdefaults__", few)
        patch.setattr(drop.performance_drop, "__kwdefaults__", {**drop.performance_drop.__kwdefaults__, "repeats": 2})
        yield


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """2 diagnoses x 2 scanners x 40 slides x 3 tiles, of which scanner B writes its program into each file."""
    root: Path = tmp_path_factory.mktemp("tissue")
    rng = np.random.default_rng(0)
    rows, label, scanner, slide = planted_table(
        rng, clusters=CLUSTERS, photos=PHOTOS, dimension=36, effects=(3.5, 4.0, 0.3)
    )
    with (root / "META.csv").open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["image", "tile", "diagnosis", "scanner", "slide", "fold"])
        for i, row in enumerate(rows):
            pixels = rng.integers(0, 256, (16, 16, 3), dtype=np.uint8)
            pixels[0, :12] = np.clip(128 + 14 * row, 0, 255).astype(np.uint8).reshape(12, 3)
            tags = {"exif": exif(Software="Scan 2")} if scanner[i] else {}
            Image.fromarray(pixels).save(root / f"{i}.png", **tags)
            names = ("benign", "tumor")[label[i]], "AB"[scanner[i]], f"s{slide[i]}"
            writer.writerow([f"{i}.png", f"t{i}", *names, "train" if slide[i] % CLUSTERS < TRAIN else "test"])
    embeddings = {"photo_id": [f"t{i}" for i in range(len(rows))], "embedding": rows.astype(np.float32).tolist()}
    pq.write_table(pa.table(embeddings), root / "E.parquet")
    (root / "tile_rows.py").write_text(ENCODER)
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(str(root))
        yield root


@pytest.fixture
def printed_by(capsys):
    """(command, ...) -> what it printed, as one line; it has to end well."""

    def run(*words: object) -> str:
        status = main([str(word) for word in words])
        captured = capsys.readouterr()
        assert status == 0, captured.err
        return " ".join((captured.out + captured.err).split())

    return run


def table(folder: Path, columns: str = COLUMNS) -> tuple[str, ...]:
    """The options of a run on embeddings and a table without pictures."""
    data = f"table:{folder}/META.csv?id=tile&{columns}"
    return ("--model", f"embeddings:{folder}/E.parquet", "--data", data, *cache(folder))


def cache(folder: Path) -> tuple[str, ...]:
    return ("--cache", f"{folder}/cache", "--workers", "0")


def pictures(folder: Path, columns: str = COLUMNS) -> str:
    return f"table:{folder}/META.csv?image=image&{columns}"


def scores_of(path: Path) -> dict[tuple[str, str], dict[str, Any]]:
    return {(s["task"], s["metric"]): s for s in json.loads(path.read_text())["scores"]}


@pytest.mark.slow
def test_score__says_that_the_group_is_given(folder, tmp_path, printed_by):
    printed = printed_by("score", *table(folder), "--output", tmp_path)
    report = " ".join((tmp_path / "report.md").read_text().split())
    assert "clusters" in printed
    assert "The group is given, not assigned" in report
    assert "observational" in report
    scores = scores_of(tmp_path / "result.json")
    assert {task for task, _ in scores} == {"knn/original", *(f"{t}/scanner" for t in ("probe", "knn", "robustness"))}
    assert scores["probe/scanner", "accuracy"]["low"] > 0.9
    again = camtrace.score(
        f"embeddings:{folder}/E.parquet",
        data=f"table:{folder}/META.csv?id=tile&{COLUMNS}",
        tasks="robustness/scanner",
        cache=folder / "cache",
        workers=0,
    )
    (index,) = [s for s in again.results[0].scores if s.metric == "index"]
    assert index.value == scores["robustness/scanner", "index"]["value"]


@pytest.mark.slow
def test_erase__takes_the_scanner_out_and_keeps_the_diagnosis(folder, tmp_path, printed_by):
    printed = printed_by("erase", *table(folder), "--trace", "scanner", "--fit-share", 0.8, "--output", tmp_path)
    assert "scanner is still read by" not in printed.replace("hether scanner is still read by", "")
    rows = {(r["task"], r["metric"]): r for r in json.loads((tmp_path / "eraser.json").read_text())["measured"]}
    probe, index = rows["probe/scanner", "accuracy"], rows["robustness/scanner", "index"]
    assert probe["before"] > 0.95
    assert probe["after_low"] < 0.5 < probe["after_high"]
    assert probe["high"] < -0.3
    assert index["low"] > 0.1
    label = rows["knn/original", "accuracy"]
    assert abs(label["difference"]) < 0.03
    for row in rows.values():  # paired by slide, within the range of the score
        assert -2 <= row["low"] <= row["difference"] <= row["high"] <= 2


@pytest.mark.slow
def test_audit__of_the_scanner(folder, tmp_path, printed_by):
    spec = pictures(folder)
    printed = printed_by("audit", spec, "--label", "scanner", "--output", tmp_path)
    assert "100" in printed
    silent = printed_by("audit", spec, "--output", tmp_path / "label")
    assert "No confound was found" in silent


@pytest.mark.slow
def test_sweep_and_compare__two_encoders(folder, tmp_path, printed_by):
    words = ("-m", "tile_rows:encode", "-m", "tile_rows:half", "--data", pictures(folder), *cache(folder))
    printed_by("sweep", *words, "-t", "*/scanner", "--output", tmp_path)
    printed = printed_by("compare", tmp_path, "--all-metrics", "--json")
    differences = json.loads(printed[printed.index("{") : printed.rindex("}") + 1])["differences"]
    assert {row["task"] for row in differences} == {"probe/scanner", "knn/scanner", "robustness/scanner"}
    for row in differences:
        assert -2 <= row["low"] <= row["difference"] <= row["high"] <= 2


@pytest.mark.slow
def test_plan_work_finish__gives_what_score_gives(folder, tmp_path, printed_by):
    words = ("score", "--model", "tile_rows:encode", "--data", pictures(folder), "-t", "knn/scanner")
    printed_by("plan", *words, "--ranks", 2, "--output", tmp_path / "ranks", "--cache", folder / "cache")
    printed_by("work", tmp_path / "ranks.plan")
    printed_by("finish", tmp_path / "ranks.plan")
    printed_by(*words, "--output", tmp_path / "plain", *cache(folder))
    (result,) = (tmp_path / "ranks").rglob("result.json")
    first, second = (scores_of(path) for path in (result, tmp_path / "plain" / "result.json"))
    assert {key: s["value"] for key, s in first.items()} == {key: s["value"] for key, s in second.items()}


@pytest.mark.slow
def test_build__prints_the_cells_and_keeps_clusters_apart(folder, tmp_path, printed_by):
    drawn = pictures(folder, COLUMNS.replace("&split=fold", ""))
    words = ("--data", drawn, "--parameter", "jpeg", "--output", tmp_path, "--workers", 1)
    assert "2 labels x 2 scanner" in printed_by("build", "folder", *words)
    with (folder / "META.csv").open() as file:
        slide = {row["image"]: row["slide"] for row in csv.DictReader(file)}
    slides = {name: set() for name in ("train", "validation")}
    for part in tmp_path.rglob("*.parquet"):
        slides[part.name.split("-")[0]] |= {slide[name] for name in pq.read_table(part)["photo_id"].to_pylist()}
    assert min(map(len, slides.values())) > 10
    assert not slides["train"] & slides["validation"]


@pytest.mark.slow
@pytest.mark.parametrize(
    ("keep", "sentence"),
    [
        (lambda row: row["scanner"] == "A", "scanner"),
        (lambda row: row["slide"] == "s0" or int(row["slide"][1:]) >= CLUSTERS, "cluster"),
        (lambda row: int(row["slide"][1:]) >= 30, "180"),
    ],
    ids=["one class", "one cluster", "unequal cells"],
)
def test_score__says_what_cannot_be_compared(folder, tmp_path, printed_by, keep, sentence):
    with (folder / "META.csv").open() as file:
        rows = [row for row in csv.DictReader(file) if keep(row)]
    with (tmp_path / "PART.csv").open("w", newline="") as file:
        writer = csv.DictWriter(file, list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)
    words = ("--model", f"embeddings:{folder}/E.parquet", "--data", f"table:{tmp_path}/PART.csv?id=tile&{COLUMNS}")
    assert sentence in printed_by("score", *words, "--output", tmp_path / "out", *cache(folder))
