"""The strip of a run's report: one photo under every processing, its distances and its neighbours."""

from __future__ import annotations

import base64
import csv
import dataclasses
import io
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from benchmark.leaderboard import write_report_page
from benchmark.leaderboard.shown_photos import DETAIL, details_of
from benchmark.report import report_text
from benchmark.tasks import all_tasks
from builders.photos import PhotoSet
from builders.pixels import ALL_PROCESSINGS, STUDY_PROCESSINGS, process_all
from tests.benchmark.leaderboard.conftest import AXE, page_data

EVIL = '"><img src=x onerror=alert(1)>.jpg'
IDS = ("query.jpg", "cat-1.jpg", "cat-2.jpg", "dog-1.jpg", EVIL, "second.jpg", "broken.jpg")
TURNED = "sharpening-x4"


def photo_set(smoke_test: bool = False) -> PhotoSet:
    def jpeg(i: int) -> bytes:
        buffer = io.BytesIO()
        coarse = np.random.default_rng(i).integers(0, 256, (12, 16, 3), dtype=np.uint8)
        Image.fromarray(coarse).resize((320, 240), Image.Resampling.NEAREST).save(buffer, "JPEG")
        return buffer.getvalue()

    files = {photo_id: jpeg(i) for i, photo_id in enumerate(IDS)} | {"broken.jpg": b"broken"}
    photos = PhotoSet.of_bytes("toy", files, None, ["test"] * len(files))
    return dataclasses.replace(photos, smoke_test=smoke_test)


def strip(query: str, why: str) -> dict[str, object]:
    """As it is three cats are nearest; sharpened by 4 two dogs are."""
    near = [{"id": i, "class": c} for i, c in zip(IDS[1:5], ("cat", "cat", "dog", "dog"), strict=True)]
    views = [
        {
            "processing": name,
            "distance": 0.5 if name == TURNED else 0.001 * i,
            "answer": "dog" if name == TURNED else "cat",
            "right": float(name != TURNED),
            "neighbours": [3, 2, 0] if name == TURNED else [0, 1, 2],
            "similarities": [0.9, 0.8, 0.7],
        }
        for i, name in enumerate(STUDY_PROCESSINGS)
    ]
    views.append({**views[0], "processing": "original", "distance": 0.0})
    return {"query": query, "class": "cat", "why": why, "photos": near, "views": views}


def run(make, encoder: str = "timm/whole"):
    strips = [strip("query.jpg", "embedding moved most"), strip("second.jpg", "drawn at random, 1")]
    by = {name: {"accuracy": 0.5, "distance": 0.01 * i} for i, name in enumerate(STUDY_PROCESSINGS)}
    by["original"] = {"accuracy": 0.55, "distance": 0.0}
    of = {"worst": {"strips": strips}, "average": {"by_processing": by}, "best": {}}
    scores = [
        make.score("knn/adversary", m, v, k=3, **of[m]) for m, v in (("worst", 0.4), ("average", 0.5), ("best", 0.6))
    ]
    result = make.result(encoder, [*scores, make.score("knn/original", "accuracy", 0.55)])
    cost = {"photos": 8, "views": 8, "views_per_second": 310.0, "seconds": {"embedding": 1.0}}
    environment = {**result.environment, "codec": {"pillow": "13.0.0"}, "command": "camtrace score"}
    return dataclasses.replace(result, cost=cost, environment=environment)


def test_details__are_those_of_the_whole_photo():
    """A photo larger than the window: JPEG, sharpening and resizing give its middle the same pixels."""
    rng = np.random.default_rng(1)
    photo = Image.fromarray(rng.integers(0, 256, (700, 900, 3), dtype=np.uint8)).resize((1000, 812))
    names = [name for name in STUDY_PROCESSINGS if not name.startswith("interpolation")]
    read = details_of(photo, ["original", *names, "unknown"], "a")
    assert list(read) == ["original", *names]
    # The window begins at multiples of 32 below (1000 - 512) / 2 = 244 and (812 - 512) / 2 = 150.
    left, top = 224 + (512 - DETAIL) // 2, 128 + (512 - DETAIL) // 2
    whole = process_all(photo, [ALL_PROCESSINGS[name] for name in names], "a")
    np.testing.assert_array_equal(read["original"], photo.crop((left, top, left + DETAIL, top + DETAIL)))
    for name, view in zip(names, whole, strict=True):
        scale = view.width / photo.width
        box = tuple(scale * side for side in (left, top, left + DETAIL, top + DETAIL))
        expected = view.resize((DETAIL, DETAIL), 2, box=box) if scale != 1 else view.crop(tuple(map(round, box)))
        np.testing.assert_array_equal(read[name], expected, name)


def test_shown__details_of_the_queries_and_copies_of_their_neighbours(make, tmp_path):
    write_report_page([run(make)], "text", tmp_path / "report.html", photos=[photo_set()])
    shown = page_data(tmp_path / "report.html")
    assert list(shown["views"]["toy"]) == ["second.jpg", "query.jpg"]
    assert all(set(views) == {*STUDY_PROCESSINGS, "original"} for views in shown["views"]["toy"].values())
    assert set(shown["photos"]["toy"]) == {*IDS[:6]}
    sizes = {}
    for photo_id in ("query.jpg", "cat-1.jpg"):
        data = base64.b64decode(shown["photos"]["toy"][photo_id].partition(",")[2])
        sizes[photo_id] = Image.open(io.BytesIO(data)).size
    assert sizes == {"query.jpg": (160, 120), "cat-1.jpg": (96, 72)}


@pytest.mark.parametrize(("smoke_test", "published", "shown"), [(0, 0, True), (0, 1, False), (1, 1, True)])
def test_report__photos_of_others_stand_only_in_a_local_report(make, tmp_path, smoke_test, published, shown):
    path, photos = tmp_path / "report.html", [photo_set(bool(smoke_test))]
    write_report_page([run(make)], "text", path, published=bool(published), photos=photos)
    assert bool(page_data(path)["views"]) == ("data:image/jpeg" in path.read_text()) == shown


@pytest.mark.slow
@pytest.mark.parametrize(("width", "scheme"), [(1280, "light"), (390, "dark")])
def test_strip__in_a_browser(few_published, make, tmp_path, axe, open_page, width, scheme):
    results, path = [run(make), run(make, "timm/other")], tmp_path / "report.html"
    write_report_page(results, report_text(results, all_tasks()), path, photos=[photo_set()])
    page = open_page(f"{path.as_uri()}#view=figures", width=width, scheme=scheme)
    strip_of = page.locator("#strip")
    text_shown = strip_of.locator(".summary").inner_text()
    # 13 x 3 and 2 of 14 processings
    assert all(part in text_shown for part in ("query.jpg", TURNED, "0.5000", "1 of 14", "2.9 of its 3", "40.0 %"))
    rows = strip_of.locator("tbody tr")
    assert rows.count() == 15
    assert rows.first.locator("th").inner_text() == "as it is"
    turned = strip_of.locator("tr.lost")
    assert turned.locator("th").all_inner_texts() == [TURNED]
    assert turned.locator(".near .fresh").count() == 1  # the first; the third and the first of before stay
    assert turned.locator("meter").evaluate("m => [m.value, m.max]") == [0.5, 0.5]
    assert strip_of.locator(".detail img").evaluate_all("all => all.map(i => i.naturalWidth)") == [DETAIL] * 15
    with page.expect_download() as download:
        strip_of.locator("figcaption button").click()
    records = list(csv.DictReader(io.StringIO(Path(download.value.path()).read_text(encoding="utf-8"))))
    assert [r["processing"] for r in records] == ["original", *STUDY_PROCESSINGS]
    assert (records[8]["processing"], records[8]["accuracy"], records[8]["mean_distance"]) == (TURNED, "0.5", "0.07")
    page.select_option("#choice-strip", label="drawn at random, 1: second.jpg")
    assert strip_of.locator(".summary").inner_text().startswith("second.jpg, cat")
    again = open_page(page.url, width=width, scheme=scheme)
    assert again.locator("#strip .summary").inner_text().startswith("second.jpg, cat")
    page.evaluate(axe)
    assert page.evaluate(AXE)[1] == []
    assert page.evaluate("document.documentElement.scrollWidth") <= width
