"""Pictures of pages for the docs: reports of one and of several encoders, and a board with encoders of one's own.

    camtrace score -o RESULTS -m bundled:efficientnet-lite0 -m control:jpeg-statistics -m control:random-projection
    python scripts/docs_tables/screens.py RESULTS FOLDER           # 1400 and 390 px wide, light and dark
    python scripts/docs_tables/screens.py RESULTS docs/screens --docs   # those that the docs show

The three encoders of one's own on the board are invented: scores of published encoders, moved by a few points.
It needs Chromium and the packages playwright and Pillow.
"""

from __future__ import annotations

import argparse
import dataclasses
import io
import shutil
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path

from benchmark.leaderboard import build_leaderboard, write_report_page
from benchmark.report import report_text
from benchmark.results import Result, Score, published_encoders, read_results, write_result
from benchmark.tasks import all_tasks

SCREENS = [(1400, 900, "light"), (1400, 900, "dark"), (390, 844, "light"), (390, 844, "dark")]

IN_DOCS = ["report-1400-light", "report-three-1400-light", "board-1400-light", "board-390-dark"]

INVENTED = {
    "my-clip-v1": ("CLIP (ViT-B/16, WIT)", -0.02, "CVL"),
    "my-clip-v2": ("CLIP (ViT-B/16, WIT)", -0.07, "CVL"),
    "my-dino": ("DINOv2 (ViT-B/14 reg, LVD-142M)", 0.03, "SSL"),
}
"""Name: the published encoder whose ImageNet scores it has, by how much its traces are moved, its training type."""


def invented() -> Iterator[Result]:
    """Results as a run under the study's preset on its ImageNet would write them."""
    published = {encoder.name: encoder for encoder in published_encoders()}
    for name, (like, moved, group) in INVENTED.items():
        scores = []
        for s in published[like].scores:
            if s.data == "imagenet":
                move = moved if s.task.startswith("probe/") else 0.0
                details = {"protocol": "iccv2025"} if s.task.startswith("probe/") else {"k": 10}
                low, high = s.low if s.low is not None else s.value, s.high if s.high is not None else s.value
                ends = (s.value + move, low + move, high + move)
                scores.append(Score(s.task, s.data, s.metric, *ends, s.n, s.chance, details))
        encoder = {"id": name, "library": "timm", "group": group, "parameters": 86_000_000, "training_data": "invented"}
        data = {"name": "imagenet", "photos": {"train": 1_281_167, "val": 50_000}, "classes": 1000}
        options = {"preset": "iccv2025", "protocol": "iccv2025", "preprocess": "study", "ties": "random"}
        environment = {"options": {**options, "orientation": "stored"}, "codec_canary": "c", "device": "cpu"}
        yield Result(encoder, data, environment, tuple(scores), (), {}, "2026-01-01T00:00:00+00:00")


def pages(results: Sequence[Result], folder: Path) -> dict[str, str]:
    """Addresses of the pages, written into a folder."""
    first = str(results[0].encoder["id"])
    one = [result for result in results if result.encoder["id"] == first]
    addresses = {}
    for name, some in (("report", one), ("report-three", results)):
        write_report_page(some, report_text(some, all_tasks()), folder / f"{name}.html")
        addresses[name] = (folder / f"{name}.html").as_uri()
    for result in invented():
        write_result(result, folder / "results" / str(result.encoder["id"]) / "result.json")
    site = build_leaderboard([str(folder / "results")], folder / "board")
    for refusal in site.refused:
        print(f"refused: {refusal.file}: {refusal.reason}")
    addresses["board"] = (folder / "board" / "index.html").as_uri()
    return addresses


def main() -> None:
    from PIL import Image
    from playwright.sync_api import sync_playwright

    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("results", type=Path, help="folder of a run; the first encoder is that of the report of one")
    parser.add_argument("output", type=Path, help="folder of the pictures")
    parser.add_argument("--docs", action="store_true", help="only those that the docs show")
    options = parser.parse_args()
    files = read_results(str(options.results), lambda _: "").accepted
    ids = [str(file.result.encoder["id"]) for file in files]
    ordered = sorted((f.result for f in files), key=lambda r: (str(r.encoder["id"]).startswith("control"), ids))
    results = [dataclasses.replace(result) for result in ordered]
    options.output.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as folder, sync_playwright() as p:
        addresses = pages(results, Path(folder))
        browser = p.chromium.launch(executable_path=shutil.which("chromium"), args=["--no-sandbox", "--disable-gpu"])
        for name, address in addresses.items():
            for width, height, scheme in SCREENS:
                if options.docs and f"{name}-{width}-{scheme}" not in IN_DOCS:
                    continue
                page = browser.new_page(viewport={"width": width, "height": height}, color_scheme=scheme)
                page.goto(address)
                page.wait_for_selector("html[data-ready]")
                picture = Image.open(io.BytesIO(page.screenshot()))
                path = options.output / f"{name}-{width}-{scheme}.webp"
                picture.save(path, lossless=False, quality=82, method=6)
                print(f"{path}: {path.stat().st_size / 1000:.0f} kB")
                page.close()
        browser.close()


if __name__ == "__main__":
    main()
