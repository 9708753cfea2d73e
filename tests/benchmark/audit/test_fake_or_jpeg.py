"""``--repair match`` finds the recipe of *Fake or JPEG* (arXiv 2403.17608), and detectors change with it."""

import csv
import io
import json

import numpy as np
import pytest
from PIL import Image
from scipy.fft import dctn

from benchmark.__main__ import camtrace
from benchmark.encoders import Encoder
from benchmark.judgement import biases
from builders.data_specs import open_photos
from builders.pixels import read_image_header
from tests.benchmark.audit.planted import jpeg, picture
from tests.support.images import image_bytes
from tests.support.scoring import as_rows, score_tasks, toy_encoder

REALS = (
    [(500, 500, 96)] * 12 + [(480, 520, 96)] * 6 + [(500, 375, 96)] * 8 + [(512, 512, 85)] * 5 + [(900, 800, 96)] * 5
)
FAKES = [("SDv14", 512)] * 20 + [("BigGAN", 128)] * 8 + [("Midjourney", 1024)] * 2


@pytest.fixture(scope="module")
def table(tmp_path_factory):
    """Photos with the columns of the paper's table: real ones mostly of quality 96, in sizes by generator."""
    folder = tmp_path_factory.mktemp("table")
    rng = np.random.default_rng(0)
    rows = []
    kinds = [("nature", *real) for real in REALS] + [(name, side, side, 0) for name, side in FAKES]
    for i, (generator, width, height, quality) in enumerate(kinds):
        image = picture(rng, 64).resize((width, height))
        path = f"{'nature' if quality else 'ai'}/{i}.{'jpg' if quality else 'png'}"
        (folder / path).parent.mkdir(exist_ok=True)
        (folder / path).write_bytes(jpeg(image, quality) if quality else image_bytes(image))
        rows.append((path, ("train", "val")[i % 2], generator, f"class {i % 3}", width, height, quality))
    with open(folder / "metadata.csv", "w", newline="") as file:
        names = ("path", "mode", "generator", "class", "width", "height", "compression_rate")
        csv.writer(file).writerows([names, *rows])
    return folder, rows


@pytest.mark.slow
def test_the_recipe_is_found(table, tmp_path, capsys):
    folder, rows = table
    spec = f"table:{folder}/metadata.csv?image=path&label=re:(nature|ai)/&group=generator=generator&split=mode"
    assert camtrace(["audit", spec, "--repair", "match", "--output", str(tmp_path / "out")]) == 0
    printed = capsys.readouterr().out
    plan = json.loads((tmp_path / "out" / "repair.json").read_text())
    recipe = {"kind": "match", "quality": 96, "subsampling": "4:2:0", "classes": ["ai"]}
    assert plan["repair"] == {**recipe, "processing": "", "definitions": ""}
    assert "461" in " ".join(plan["sentences"])
    # by hand, from the table alone
    left = {r[0] for r in rows if r[2] == "SDv14"}
    left |= {r[0] for r in rows if r[6] == 96 and all(461 <= side <= 563 for side in r[4:6])}
    repaired = next(line for line in printed.splitlines() if line.startswith("scores before and after"))
    after = open_photos(repaired.rpartition("--data ")[2].strip("'"))
    assert {photo_id.partition("/")[2] for photo_id in after.ids} == left
    assert {row[0]: row[2] for row in rows if row[0] in left} == {
        photo_id.partition("/")[2]: after.groups["generator"].names[value]
        for photo_id, value in zip(after.ids, after.groups["generator"].values, strict=True)
    }
    headers = [read_image_header(after.read(i)) for i in range(len(after))]
    assert {(h.format, h.quality, h.subsampling) for h in headers} == {("JPEG", "96", "4:2:0")}
    untouched = [i for i, photo_id in enumerate(after.ids) if "nature" in photo_id]
    assert all(after.read(i) == (folder / after.ids[i].partition("/")[2]).read_bytes() for i in untouched)


COMB = ((3, 4), (4, 3), (4, 4), (5, 5), (6, 6))
"""Coefficients (row, column) of blocks of 8 x 8 pixels with wide steps at quality 96."""


def luminance_steps() -> dict[tuple[int, int], int]:
    image = Image.open(io.BytesIO(jpeg(Image.new("RGB", (8, 8)), 96)))
    return {(k // 8, k % 8): step for k, step in enumerate(image.quantization[0])}


def traces(image: Image.Image) -> np.ndarray:
    """How much a picture was quantised at quality 96, and how much brighter its left half is."""
    grey = np.asarray(image.convert("YCbCr"), dtype=float)[..., 0]
    grey = grey[: grey.shape[0] // 8 * 8, : grey.shape[1] // 8 * 8] - 128
    blocks = grey.reshape(grey.shape[0] // 8, 8, grey.shape[1] // 8, 8).swapaxes(1, 2)
    coefficients, steps = dctn(blocks, axes=(2, 3), norm="ortho"), luminance_steps()
    comb = np.mean([np.cos(2 * np.pi * coefficients[..., u, v] / steps[u, v]).mean() for u, v in COMB])
    half = grey.shape[1] // 2
    return np.array([0.3 * comb, (grey[:, :half].mean() - grey[:, half:].mean()) / 16, 3], np.float32)


def encoder() -> Encoder:
    return toy_encoder(as_rows, traces, 3, name="traces")


@pytest.fixture(scope="module")
def confounded(tmp_path_factory):
    """Real JPEGs of quality 96 beside generated PNGs; the generators also make the left half brighter."""
    folder = tmp_path_factory.mktemp("confounded")
    rng = np.random.default_rng(1)
    for i in range(240):
        made = i % 2
        pixels = np.asarray(picture(rng), dtype=float)
        pixels[:, :32] += rng.normal(11 * made, 4)
        pixels -= pixels.mean() - 128
        image = Image.fromarray(np.clip(pixels, 0, 255).round().astype(np.uint8))
        split, generator = ("train", "val")[i // 2 % 3 == 0], f"generator {i // 2 % 2}"
        path = folder / generator / split / ("nature", "ai")[made] / f"{i}.{('jpg', 'png')[made]}"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(image_bytes(image) if made else jpeg(image, 96))
    return f"genimage:{folder}"


@pytest.mark.slow
def test_one_sided_processing__moves_the_detector_before_the_repair_and_not_after(confounded, tmp_path, capsys):
    output = tmp_path / "out"
    assert camtrace(["audit", confounded, "--repair", "match", "--output", str(output)]) == 0
    printed = capsys.readouterr().out
    spec = next(line for line in printed.splitlines() if line.startswith("scores before")).rpartition("--data ")[2]
    before, after = open_photos(confounded), open_photos(spec.strip("'"))
    assert len(after) == 240
    tasks = ("forensics/detect", "forensics/crossing")
    by_set = {}
    for name, photos in (("before", before), ("after", after)):
        scored = score_tasks(encoder(), photos, tasks, tmp_path / "cache")
        by_set[name] = {(s.task.partition("/")[2], s.metric): s for s in scored.result.scores}
    first, second = (by_set[name]["detect", "auc"].details["audit"] for name in ("before", "after"))
    assert first["flagged"]
    assert "100 % from the file header alone" in first["verdict"]
    assert not second["flagged"]
    assert by_set["before"]["detect", "auc"].value > 0.99
    assert 0.65 < by_set["after"]["detect", "auc"].value < 0.97
    # sharpening takes the trace of quality 96 from a real photo, which then looks generated; an enlarged photo has
    # coefficients near 0, as if it had been quantised, so a generated one then looks real
    moved = {n: b for n, b in biases(by_set["before"]["crossing", "bias"]).items() if b.decision.answer == "yes"}
    assert moved["sharpening-x4"].value > 0.1
    assert moved["resizing-x2"].value < -0.1
    still = biases(by_set["after"]["crossing", "bias"])
    assert len(still) == 14
    assert not [name for name, bias in still.items() if bias.decision.answer == "yes"]
    assert max(abs(bias.value) for bias in still.values()) < 0.03
