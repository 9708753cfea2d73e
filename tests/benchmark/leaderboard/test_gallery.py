"""The pairs gallery of a run's report: whose photos stand in it, and what a reader sees."""

from __future__ import annotations

import base64
import dataclasses
import io

import numpy as np
import pytest
from PIL import Image

from benchmark.leaderboard import write_report_page
from benchmark.report import report_text
from benchmark.tasks import all_tasks
from builders.photos import PhotoSet
from tests.benchmark.leaderboard.conftest import AXE, page_data

EVIL = '"><img src=x onerror=alert(1)>.jpg'
IDS = [f"{pair}/{kind}.jpg" for pair in range(3) for kind in ("phone", "camera")] + [EVIL, "broken.jpg"]


def photo_set(smoke_test: bool = False) -> PhotoSet:
    def jpeg(i: int) -> bytes:
        buffer = io.BytesIO()
        coarse = np.random.default_rng(i).integers(0, 256, (6, 8, 3), dtype=np.uint8)
        Image.fromarray(coarse).resize((640, 480)).save(buffer, "JPEG")
        return buffer.getvalue()

    files = {photo_id: jpeg(i) for i, photo_id in enumerate(IDS)} | {"broken.jpg": b"broken"}
    photos = PhotoSet.of_bytes("toy", files, None, ["test"] * len(files))
    return dataclasses.replace(photos, smoke_test=smoke_test)


def lost_pair(query: str, target: str, distractor: str) -> dict[str, object]:
    ids = {"query": query, "target": target, "distractor": distractor, "camera": "phone", "target_camera": "camera"}
    return ids | {"target_similarity": 0.8125, "distractor_similarity": 0.9375, "by_camera": True}


SHOWN = [lost_pair("0/phone.jpg", "0/camera.jpg", "1/phone.jpg"), lost_pair("2/phone.jpg", "broken.jpg", EVIL)]


def run(make):
    lost = {"queries": 80, "lost": 20, "by_camera": 12, "shown": SHOWN}
    scores = [
        make.score("retrieval/pairs", "same", 0.9),
        make.score("retrieval/pairs", "different", 0.75, lost=lost),
    ]
    result = make.result("timm/whole", scores)
    cost = {"photos": 8, "views": 8, "views_per_second": 310.0, "seconds": {"embedding": 1.0}}
    environment = {**result.environment, "codec": {"pillow": "13.0.0"}, "command": "camtrace score"}
    return dataclasses.replace(result, cost=cost, environment=environment)


def test_thumbnails__are_small_pictures_of_the_named_photos(make, tmp_path):
    write_report_page([run(make)], "text", tmp_path / "report.html", photos=[photo_set()])
    made = page_data(tmp_path / "report.html")["photos"]
    assert list(made) == ["toy"]
    assert set(made["toy"]) == {"0/phone.jpg", "0/camera.jpg", "1/phone.jpg", "2/phone.jpg", EVIL}  # one is broken
    start, _, text = made["toy"]["0/camera.jpg"].partition(",")
    picture = Image.open(io.BytesIO(base64.b64decode(text)))
    assert (start, picture.format, picture.size) == ("data:image/jpeg;base64", "JPEG", (160, 120))


@pytest.mark.parametrize(("smoke_test", "published", "shown"), [(0, 0, 5), (0, 1, 0), (1, 0, 5), (1, 1, 5)])
def test_report__photos_of_others_stand_only_in_a_local_report(make, tmp_path, smoke_test, published, shown):
    path, photos = tmp_path / "report.html", [photo_set(bool(smoke_test))]
    write_report_page([run(make)], "text", path, published=bool(published), photos=photos)
    assert len(page_data(path)["photos"].get("toy", {})) == path.read_text().count("data:image/jpeg") == shown


@pytest.mark.slow
@pytest.mark.parametrize(("width", "scheme"), [(1280, "light"), (390, "dark")])
def test_gallery__shows_the_other_half_on_focus(few_published, make, tmp_path, axe, open_page, width, scheme):
    result, path = run(make), tmp_path / "report.html"
    write_report_page([result], report_text([result], all_tasks()), path, photos=[photo_set()])
    page = open_page(f"{path.as_uri()}#view=figures", width=width, scheme=scheme)
    assert page.locator("#gallery .summary").inner_text().startswith("20 of 80")
    card = page.locator("#gallery .pair").first
    assert card.locator("img").evaluate_all("all => all.map(i => i.naturalWidth)") == [160, 160, 160]
    assert all(similarity in card.locator(".words").inner_text() for similarity in ("0.938", "0.813"))
    seen = "all => all.map(i => i.alt)"
    query, instead = "Query, phone: 0/phone.jpg", "Found instead, phone: 1/phone.jpg"
    other_half = "Other half, camera: 0/camera.jpg"
    assert card.locator("img:visible").evaluate_all(seen) == [query, instead]
    card.hover()
    assert card.locator("img:visible").evaluate_all(seen) == [query, other_half]
    page.mouse.move(0, 0)
    assert card.locator("img:visible").evaluate_all(seen) == [query, instead]
    card.focus()
    assert card.locator("img:visible").evaluate_all(seen) == [query, other_half]
    other = page.locator("#gallery .pair").nth(1)
    assert other.locator("img").count() == 2  # what could not be read is named
    assert other.locator(".named").text_content() == "Other half, camera: broken.jpg"
    page.evaluate(axe)
    assert page.evaluate(AXE)[1] == []
    assert page.evaluate("document.documentElement.scrollWidth") <= width
